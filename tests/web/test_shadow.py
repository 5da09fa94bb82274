"""The shadow: scored after the answer, stored beside it, and known to no answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from fraud.errors import CatalogueError, NotKnownError
from fraud.learning.model import FittedModel
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle, History
from fraud.scoring.snapshots import snapshots_of
from fraud.signals.catalogue import Catalogue
from fraud.store import EVERYTHING, Store
from fraud.web.app import build_app
from fraud.web.running import shadow as shadow_module
from fraud.web.running.runtime import Models, Runtime
from fraud.web.running.shadow import Shadow
from tests.learning.town import write_room
from tests.web.client import Client, body
from tests.web.models import small_model

NOON = datetime(2024, 4, 1, 12)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return write_room(tmp_path_factory.mktemp("room"))


@pytest.fixture(scope="module")
def champion(room: Catalogue) -> ClaimScorer:
    return ClaimScorer(room, small_model(room, 1, "champion", 1))


@pytest.fixture(scope="module")
def other(room: Catalogue) -> ClaimScorer:
    return ClaimScorer(room, small_model(room, 2, "shadow", -1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'service.db'}", busy_ms=60_000) as opened:
        yield opened


@pytest.fixture
def runtime(store: Store, room: Catalogue, champion: ClaimScorer, other: ClaimScorer) -> Iterator[Runtime]:
    made = Runtime(store, room, champion, Models(), now=lambda: NOON, shadow=Shadow(store, other, lambda: NOON))
    yield made
    if made.shadow is not None:
        made.shadow.close()


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    opened = Client(build_app(runtime))
    yield opened
    opened.close()


def _counted(became: str) -> float:
    return REGISTRY.get_sample_value("fraud_shadow_total", {"became": became}) or 0.0


def _score(client: Client, claim_id: str = "c-1", **claim: Any) -> dict[str, Any]:
    answer = client.post("/v1/claims/score", json=body(claim_id, **claim))
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_what_the_shadow_says_is_stored_beside_the_decision(client: Client, runtime: Runtime, store: Store) -> None:
    answered = _score(client, total_amount=900)
    assert runtime.shadow is not None
    runtime.shadow.drain()
    kept = store.shadow_score(answered["request_id"])
    assert kept is not None
    assert (kept.model, kept.version, kept.scored_at) == ("claim_risk", 2, NOON)
    row = np.array([[900.0, 0.0]])
    assert kept.margin == runtime.shadow.model.margins(row)[0]
    assert kept.percentile < 50 < answered["risk"]["percentile"]
    assert answered["model"]["version"] == 1
    assert store.shadow_score("nothing") is None


def test_an_answer_is_the_same_byte_for_byte_with_and_without_a_shadow(
    tmp_path: Path, room: Catalogue, champion: ClaimScorer, other: ClaimScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What differs between any two answers: the id of the request and the time that it took.
    monkeypatch.setattr("fraud.web.calls.scoring.uuid4", lambda: SimpleNamespace(hex="the-same"))
    for module in ("fraud.web.calls.scoring", "fraud.scoring.scorer"):
        monkeypatch.setattr(f"{module}.perf_counter", lambda: 0.0)
    answers = []
    for name in ("without", "with"):
        with Store(f"sqlite:///{tmp_path / name}.db", busy_ms=60_000) as store:
            shadow = Shadow(store, other) if name == "with" else None
            client = Client(build_app(Runtime(store, room, champion, Models(), now=lambda: NOON, shadow=shadow)))
            answer = client.post("/v1/claims/score", json=body())
            if shadow is not None:
                shadow.drain()
                assert store.shadow_score("the-same") is not None
                shadow.close()
            again = client.get("/v1/decisions/the-same")
            client.close()
        answers.append((answer.status_code, answer.content, again.content, sorted(answer.headers.items())))
    (status, content, *_), with_shadow = answers
    assert status == 200
    assert b'"risk":{"probability"' in content
    headers = [dict(a[3]) | {"x-request-id": ""} for a in answers]
    assert answers[0][:3] == with_shadow[:3]
    assert headers[0] == headers[1]


def test_a_shadow_that_fails_harms_no_answer(client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("out of order")

    before = _counted("failed")
    assert runtime.shadow is not None
    monkeypatch.setattr(runtime.shadow, "_scorer", SimpleNamespace(score=broken, wanted=EVERYTHING))
    _score(client, "c-1")
    runtime.shadow.drain()
    assert _counted("failed") == before + 1
    monkeypatch.undo()
    monkeypatch.setattr(runtime.store, "put_shadow_scores", broken)
    _score(client, "c-2")
    runtime.shadow.drain()
    assert _counted("failed") == before + 2


def test_claims_beyond_the_queue_are_left_out_without_waiting(
    store: Store, other: ClaimScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, begun = threading.Event(), threading.Event()

    def waiting(*_: object) -> History:
        begun.set()
        go_on.wait(20)
        return History()

    monkeypatch.setattr(shadow_module, "_MOST_WAITING", 3)
    monkeypatch.setattr(store, "history", waiting)
    shadow, before = Shadow(store, other), _counted("left out")
    bundle = ClaimBundle({"claim_id": "c-1"})
    shadow.offer("first", bundle, None)
    assert begun.wait(20)
    started = time.perf_counter()
    for i in range(10):
        shadow.offer(f"r-{i}", bundle, None)
    assert time.perf_counter() - started < 1
    assert _counted("left out") == before + 7
    go_on.set()
    shadow.close()


def test_a_service_without_a_usable_shadow_answers_all_the_same(
    store: Store, room: Catalogue, champion: ClaimScorer
) -> None:
    def missing(name: str) -> FittedModel:
        raise NotKnownError("no shadow")

    def unfit(name: str) -> FittedModel:
        raise CatalogueError("fitted on another catalogue")

    for load in (missing, unfit, None):
        runtime = Runtime(store, room, champion, Models(), names={"claim": "claim_risk"}, load_shadow=load)
        runtime.cast_shadow()
        assert runtime.shadow is None
        assert runtime.ready()


def test_a_shadow_is_cast_and_taken_back_as_the_registry_says(
    store: Store, room: Catalogue, champion: ClaimScorer, other: ClaimScorer
) -> None:
    registered: list[FittedModel] = [other.model] if other.model else []

    def load(name: str) -> FittedModel:
        if not registered:
            raise NotKnownError("no shadow")
        return registered[0]

    runtime = Runtime(store, room, champion, Models(), names={"claim": "claim_risk"}, load_shadow=load)
    runtime.cast_shadow()
    assert runtime.shadow is not None
    assert runtime.shadow.model.version == 2
    registered.clear()
    runtime.cast_shadow()
    assert runtime.shadow is None


def test_a_shadow_reads_snapshots_of_its_own(room: Catalogue, champion: ClaimScorer, other: ClaimScorer) -> None:
    assert champion.model is not None
    assert other.model is not None
    assert (snapshots_of(champion.model), snapshots_of(other.model)) == ("claim_risk", "claim_risk@shadow")
    assert snapshots_of(replace(other.model, alias="challenger")) == "claim_risk"
