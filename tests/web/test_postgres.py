"""The service with its state in PostgreSQL: requests from door to commit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.store.servers import Server
from tests.web.client import Client, body, check_problem
from tests.web.room import write_room

NOON = datetime(2024, 4, 1, 12)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_catalogue(write_room(tmp_path_factory.mktemp("room")) / "features")


def served(address: str, room: Catalogue, busy_ms: int = 60_000) -> tuple[Runtime, Client]:
    store = Store(address, busy_ms=busy_ms)
    runtime = Runtime(store, room, ClaimScorer(room, None), Models(), now=lambda: NOON)
    return runtime, Client(build_app(runtime, Door(seconds=60)))


@pytest.fixture
def client(postgres: Server, room: Catalogue) -> Iterator[Client]:
    address = postgres.ready_database()
    runtime, opened = served(address, room)
    yield opened
    opened.close()
    runtime.close()
    postgres.drop(address)


def test_a_claim_is_scored_recorded_and_told_again_under_its_key(client: Client) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/claims/score", json=body(), headers=headers)
    assert first.status_code == 200
    assert first.json()["degraded"] == ["model"]
    assert client.post("/v1/claims/score", json=body(), headers=headers).content == first.content
    check_problem(client.post("/v1/claims/score", json=body("other"), headers=headers), 422, "key-reused")
    assert client.get(f"/v1/decisions/{first.json()['request_id']}").content == first.content


def test_what_was_added_and_what_was_scored_is_the_past_of_a_later_claim(client: Client) -> None:
    added = client.post("/v1/claims", json={"claims": [body("c-1"), body("c-2")]})
    assert added.status_code == 200
    client.post("/v1/claims/score", json=body("c-3"))
    later = body("c-4", admitted_at="2024-03-20", discharged_at="2024-03-20", settled_at="2024-03-20")
    found = {f["rule"]: f for f in client.post("/v1/claims/score", json=later).json()["findings"]}
    assert found["claim.many_past"]["value"] == 3


def test_many_claims_in_one_call_and_many_calls_at_once_lose_nothing(client: Client) -> None:
    batch = client.post("/v1/claims/score-batch", json=[body(f"b-{n}") for n in range(20)])
    assert batch.status_code == 200
    answers = client.together(*[("POST", "/v1/claims/score", {"json": body(f"c-{n % 4}")}) for n in range(24)])
    assert [a.status_code for a in answers] == [200] * 24
    ids = {a.json()["request_id"] for a in answers}
    assert len(ids) == 24
    assert all(client.get(f"/v1/decisions/{i}").status_code == 200 for i in ids)


def test_while_the_server_is_away_callers_are_told_to_wait_and_then_all_goes_on(
    stoppable: Server, room: Catalogue, tmp_path: Path
) -> None:
    runtime, client = served(stoppable.new_database(), room, busy_ms=2_000)
    before = client.post("/v1/claims/score", json=body("c-1"))
    stoppable.stop()
    away = client.post("/v1/claims/score", json=body("c-2"))
    check_problem(away, 503, "store-unavailable")
    assert int(away.headers["retry-after"]) > 0
    assert not runtime.ready()
    stoppable.start()
    assert client.post("/v1/claims/score", json=body("c-2")).status_code == 200
    assert client.get(f"/v1/decisions/{before.json()['request_id']}").content == before.content
    assert runtime.ready()
    client.close()
    runtime.close()
