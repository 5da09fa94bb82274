"""Reports over HTTP: drawn up once, kept with their decision, and the same a year, a model and a catalogue later."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from fraud.explaining.report import FORMATS
from fraud.learning.model import FittedModel
from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Explanations, Store
from fraud.store.explanations import KeptExplanation
from fraud.store.ledger import Event, Record
from fraud.store.retention import Warrant, destroy
from fraud.web.app import build_app
from fraud.web.calls.answered import Answered, differences
from fraud.web.calls.explained import explanation_of, keep_missing
from fraud.web.running.door import Door
from fraud.web.running.keeping import Keeper
from fraud.web.running.runtime import Models, Runtime
from tests.explaining.test_formats import needs_chinese
from tests.web.client import Client, body, check_problem
from tests.web.models import small_model, small_novelty
from tests.web.room import write_room

NOON = datetime(2024, 4, 1, 12)
SIGNALS = ("claim.many_lines", "claim.many_past")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return load_catalogue(write_room(tmp_path_factory.mktemp("room")) / "features")


def model_of(room: Catalogue, version: int, sign: int = 1) -> FittedModel:
    """A model that reads the room's two rules."""
    digests = dict.fromkeys(SIGNALS, "sha256:0")
    return replace(
        small_model(room, version, "champion", sign), names=SIGNALS, signal_ids=SIGNALS, signal_digests=digests
    )


@pytest.fixture(scope="module")
def champion(room: Catalogue) -> ClaimScorer:
    return ClaimScorer(room, model_of(room, 1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'service.db'}", busy_ms=60_000, environ={}) as opened:
        yield opened


@pytest.fixture
def runtime(store: Store, room: Catalogue, champion: ClaimScorer) -> Runtime:
    return Runtime(store, room, champion, Models(), now=lambda: NOON)


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    opened = Client(build_app(runtime, Door(seconds=60)))
    yield opened
    opened.close()


def much(claim_id: str = "c-1", lines: int = 5, **claim: Any) -> dict[str, Any]:
    """A claim with as many lines as asked for; more than three are too many."""
    made = body(claim_id, **claim)
    made["lines"] = [{"line_no": n, "item_code": f"X{n}", "quantity": 1, "amount": 24} for n in range(1, lines + 1)]
    return made


def score(client: Client, given: dict[str, Any], **options: Any) -> dict[str, Any]:
    answer = client.post("/v1/claims/score", json=given | {"options": options})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def report(client: Client, claim_id: str = "c-1", form: str = "json", **query: str) -> Any:
    accept = FORMATS[form].media_type  # type: ignore[index]
    answer = client.get(f"/v1/claims/{claim_id}/report", headers={"Accept": accept}, params=query)
    assert answer.status_code == 200, answer.text
    return answer


def every_format(client: Client, **query: str) -> dict[tuple[str, str], bytes]:
    return {
        (form, audience): report(client, form=form, audience=audience, **query).content
        for form in FORMATS
        for audience in ("internal", "provider")
    }


@needs_chinese
def test_a_report_is_byte_identical_a_year_a_model_and_more_claims_later(
    client: Client, runtime: Runtime, room: Catalogue
) -> None:
    score(client, much(settled_at="2024-03-09"))
    before = every_format(client, locale="zh-CN")
    # All that a year brings: another model and other titles, late claims, another clock, and the claim itself changed.
    renamed = replace(room["claim.many_lines"], title={"en": "Renamed", "zh": "改名"}, version=2)
    later = replace(room, signals={**room.signals, renamed.id: renamed}, sources={})
    runtime.catalogue = later
    runtime.scorer = ClaimScorer(later, model_of(room, 2, -1))
    runtime.now = lambda: NOON + timedelta(days=366)
    changed = {"uploaded_at": "2025-01-01", "settled_at": "2024-03-09", "total_amount": 9999}
    assert client.post("/v1/claims", json={"claims": [much("c-0"), much(**changed)]}).status_code == 200
    assert every_format(client, locale="zh-CN") == before
    assert "Renamed" not in report(client, form="html").text
    assert report(client).json()["provenance"]["generated_at"] == NOON.isoformat()


def test_the_report_is_that_of_the_latest_decision_or_of_the_one_that_is_named(
    client: Client, runtime: Runtime
) -> None:
    first = score(client, much(lines=2))
    runtime.now = lambda: NOON + timedelta(hours=1)
    second = score(client, much(lines=5))
    assert report(client).json()["provenance"]["run_id"] == second["request_id"]
    named = report(client, request_id=first["request_id"]).json()
    assert (named["provenance"]["run_id"], len(named["findings"])) == (first["request_id"], 0)
    other = score(client, much("c-2"))
    for request_id in ("nobody", other["request_id"]):
        answer = client.get("/v1/claims/c-1/report", params={"request_id": request_id})
        check_problem(answer, 404, "not-found")


def test_a_claim_that_was_never_scored_is_explained_and_nothing_is_kept(client: Client, store: Store) -> None:
    assert client.post("/v1/claims", json=much()).status_code == 200
    found = report(client).json()
    assert (found["provenance"]["run_id"], len(found["findings"])) == ("", 1)
    with store.database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM explanations")).scalar_one() == 0


def test_what_came_beside_a_claim_in_another_format_counts_for_its_report_too(
    client: Client, runtime: Runtime, store: Store
) -> None:
    """Decisions of neighbours' formats keep what was told beside the claim."""
    days = {"admitted_at": "2024-01-01", "discharged_at": "2024-01-01", "settled_at": "2024-01-02"}
    earlier = [much(f"past-{n}", 1, **days) | {"procedures": []} for n in range(3)]
    answered = score(client, much(lines=1), store=False)
    decision = store.decision(answered["request_id"])
    assert decision is not None
    beside = {"claims": earlier, "patient": {"patient_id": "p-1", "sex": "female"}}
    told = orjson.dumps(orjson.loads(decision.request) | {"beside": beside})
    told_decision = replace(decision, request_id="told", request=told, scored_at=NOON + timedelta(hours=2))
    store.put_decision(told_decision)
    found = explanation_of(runtime, "c-1", "told")
    # What was answered holds; the evidence knows the three that came along.
    assert found.caveats == ("differs",)
    assert [e.claim_id for e in found.timeline] == ["past-0", "past-1", "past-2", "c-1"]  # type: ignore[union-attr]


@pytest.mark.requirement("002-50")
def test_a_report_says_what_the_decision_log_says_for_many_decisions(
    client: Client, runtime: Runtime, store: Store
) -> None:
    # One patient, so that the past grows; and every third decision is made without any explanation.
    sent = [much(f"c-{n}", n % 6 + 1, settled_at=f"2024-03-{n % 9 + 2:02d}") for n in range(16)]
    answers = [score(client, b, explain="none" if n % 3 == 0 else "reasons") for n, b in enumerate(sent)]
    agreed = 0
    for answer in answers:
        decision = store.decision(answer["request_id"])
        assert decision is not None
        found = explanation_of(runtime, answer["claim_id"])
        answered = Answered.of(decision)
        assert differences(found, answered) == ()
        agreed += not found.caveats
        if found.base is not None:
            total = found.base + sum(r.contribution for r in found.reasons) + found.rest
            assert total == pytest.approx(found.margin, abs=1e-9)
    # Claims that settled later and arrived earlier are in the past now: those reports say so.
    assert 0 < agreed < len(answers)


def test_where_the_figures_differ_today_the_report_says_what_was_answered_and_that_it_differs(
    client: Client, runtime: Runtime, room: Catalogue
) -> None:
    answered = score(client, much(), explain="reasons")
    renamed = replace(room["claim.many_lines"], version=2)
    gone = {i: s for i, s in room.signals.items() if i != "claim.many_past"}
    later = replace(room, signals={**gone, renamed.id: renamed})
    narrow = replace(model_of(room, 2, -1), names=SIGNALS[:1] * 2, signal_ids=SIGNALS[:1])
    runtime.catalogue, runtime.scorer = later, ClaimScorer(later, narrow)
    found = report(client).json()
    assert found["caveats"] == ["differs", "model_changed"]
    assert found["probability"] == answered["risk"]["probability"]
    assert [(f["rule"], f["version"], f["amount"]) for f in found["findings"]] == [
        (f["rule"], f["version"], f["amount"]) for f in answered["findings"]
    ]
    assert (found["provenance"]["model_version"], found["peers"]) == ("1", [])
    total = found["base"] + sum(r["contribution"] for r in found["reasons"]) + found["rest"]
    assert total == pytest.approx(found["margin"], abs=1e-9)
    page = report(client, form="html").text
    assert "the figures differ from those of the decision" in page
    assert answered["findings"][0]["sentence"] in page


def test_who_looked_before_stands_in_the_report_and_who_looks_after_does_not(client: Client, runtime: Runtime) -> None:
    score(client, much())
    runtime.guard.ledger.add(
        Event("claim.read", "key-early", Record("claim", "c-1"), details={"role": "auditor"}),
        Event("claim.read", "key-elsewhere", Record("claim", "c-2"), details={"role": "auditor"}),
    )
    looks = report(client).json()["provenance"]["looks"]
    assert [(look["who"], look["role"]) for look in looks] == [("key-early", "auditor"), ("open", "open")]
    assert report(client).json()["provenance"]["looks"] == looks


def test_files_have_names_that_tell_of_nobody_and_only_known_audiences_are_served(client: Client) -> None:
    score(client, much())
    for form in ("pdf", "xlsx"):
        answer = report(client, form=form)
        assert answer.headers["content-disposition"] == f'inline; filename="report.{form}"'
        assert answer.headers["content-type"] == FORMATS[form].media_type  # type: ignore[index]
    problem = check_problem(client.get("/v1/claims/c-1/report", params={"audience": "press"}), 400, "bad-query")
    assert "internal, provider" in problem["detail"]


def test_explanations_of_new_cases_are_drawn_up_before_anybody_asks(client: Client, runtime: Runtime) -> None:
    score(client, much())
    score(client, much("c-2", lines=1))
    # A limit of law was passed in one of the two: that one has a case.
    assert (keep_missing(runtime), keep_missing(runtime)) == (1, 0)
    runtime.now = lambda: NOON + timedelta(days=9)
    found = report(client).json()["provenance"]
    assert (found["generated_at"], found["looks"]) == (NOON.isoformat(), [])


def test_they_are_drawn_up_as_soon_as_nobody_waits(client: Client, runtime: Runtime) -> None:
    decision = score(client, much())["request_id"]
    known, busy = Explanations(runtime.store.database), threading.Event()
    busy.set()
    asked = threading.Semaphore(0)

    def quiet() -> bool:
        asked.release()
        return not busy.is_set()

    keeper = Keeper(runtime, quiet, seconds=0.01)
    assert [asked.acquire(timeout=30) for _ in range(3)] == [True] * 3
    assert known.of(decision) is None, "somebody waits"
    busy.clear()
    until = monotonic() + 30
    while known.of(decision) is None and monotonic() < until:
        sleep(0.01)
    keeper.close()
    assert known.of(decision) is not None


# --- at rest ----------------------------------------------------------------------------------------------


def test_the_first_explanation_that_anybody_brings_is_the_one_that_is_kept(store: Store) -> None:
    explanations = Explanations(store.database)
    first = KeptExplanation("r-1", "c-1", NOON, b"first")
    assert explanations.of("r-1") is None
    assert explanations.keep(first) == first
    assert explanations.keep(replace(first, explanation=b"second")) == first
    assert explanations.of("r-1") == first


def test_explanations_are_sealed_where_the_database_has_a_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sealed.db'}"
    with Store(url, environ={"FRAUD_DATA_KEY": "ab" * 32}) as sealed:
        Explanations(sealed.database).keep(KeptExplanation("r-1", "c-1", NOON, b"zhang-san"))
        assert Explanations(sealed.database).of("r-1") == KeptExplanation("r-1", "c-1", NOON, b"zhang-san")
        with sealed.database.read() as connection:
            stored = connection.exec_driver_sql("SELECT explanation FROM explanations").scalar_one()
    assert b"zhang-san" not in bytes(stored)


def test_an_explanation_is_destroyed_with_its_decision(client: Client, runtime: Runtime, store: Store) -> None:
    score(client, much())
    report(client)
    runtime.now = lambda: NOON + timedelta(days=400)
    kept = score(client, much("c-2", settled_at="2025-04-01"))
    report(client, "c-2")
    destroyed = destroy(store.database, NOON + timedelta(days=1), "person:x", Warrant("a", "b", "the time has come"))
    assert destroyed.rows["explanations"] == destroyed.rows["decisions"] == 1
    assert Explanations(store.database).of(kept["request_id"]) is not None


def test_a_report_is_described_with_all_its_formats(client: Client) -> None:
    said = json.loads(client.get("/docs.json").content)["paths"]["/v1/claims/{claim_id}/report"]["get"]
    assert set(said["responses"]["200"]["content"]) == {kind.media_type for kind in FORMATS.values()}
    assert {"request_id", "audience"} <= {p["name"] for p in said["parameters"]}


def test_a_model_without_labels_knows_no_probability_in_its_report(client: Client, runtime: Runtime) -> None:
    odd = replace(small_novelty(), names=SIGNALS, signal_ids=SIGNALS, signal_digests=dict.fromkeys(SIGNALS, "sha256:0"))
    runtime.scorer = ClaimScorer(runtime.catalogue, odd)
    score(client, much())
    assert client.post("/v1/claims", json=much("c-2")).status_code == 200
    for claim_id in ("c-1", "c-2"):
        page = report(client, claim_id, form="html").text
        assert "more unusual than" in page
        assert "nan%" not in page
        assert report(client, claim_id).json()["probability"] is None
