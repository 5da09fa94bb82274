"""Many claims in one call: each answers for itself."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle, History
from fraud.signals.catalogue import load_catalogue
from fraud.store import Store
from fraud.web.app import ACCEPTED, build_app
from fraud.web.bodies.answers import ClaimScore, ItemProblem
from fraud.web.calls.company import with_company
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.store.made import bundle, claim
from tests.web.client import JSON, Client, body, check_problem
from tests.web.room import write_room

BATCH, SCORE = "/v1/claims/score-batch", "/v1/claims/score"
LINES = {"Content-Type": "application/x-ndjson"}


def lines(*items: Any) -> bytes:
    return b"\n".join(i if isinstance(i, bytes) else orjson.dumps(i) for i in items)


def decided(tmp_path: Path) -> list[str]:
    connection = sqlite3.connect(tmp_path / "service.db")
    found = [claim_id for (claim_id,) in connection.execute("SELECT claim_id FROM decisions ORDER BY claim_id")]
    connection.close()
    return found


def without_time(score: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in score.items() if k not in ("request_id", "timing_ms")}


def test_every_claim_of_a_list_is_scored_as_it_would_be_alone(client: Client, store: Store) -> None:
    sent = [body(f"c{n}", patient_id=f"p{n}") for n in range(40)]
    answer = client.post(BATCH, json=sent)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    scores = answer.json()
    assert [s["claim_id"] for s in scores] == [f"c{n}" for n in range(40)]
    for score in scores:
        ClaimScore.model_validate_json(orjson.dumps(score))
    assert without_time(scores[7]) == without_time(client.post(SCORE, json=sent[7]).json())
    stored = store.decision(scores[39]["request_id"])
    assert stored is not None
    assert orjson.loads(stored.response) == scores[39]
    assert store.claim("c39") is not None


def test_a_faulty_claim_gets_a_problem_with_its_place_and_the_others_are_scored(client: Client, tmp_path: Path) -> None:
    many = [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 1} for n in range(2_001)]
    sent = [body("good"), body("bad", total_amount=-1), 7, body("long") | {"lines": many}, body("fine")]
    answer = client.post(BATCH, json=sent)
    found = answer.json()
    assert [("type" in i, i.get("status")) for i in found] == [
        (False, None),
        (True, 422),
        (True, 422),
        (True, 413),
        (False, None),
    ]
    for place in (1, 2, 3):
        problem = ItemProblem.model_validate_json(orjson.dumps(found[place]))
        assert (problem.index, problem.instance) == (place, f"urn:fraud:request:{answer.headers['x-request-id']}")
    assert [e["pointer"] for e in found[1]["errors"]] == ["/1/claim/total_amount"]
    assert decided(tmp_path) == ["fine", "good"]


def test_claims_come_and_go_one_on_each_line(client: Client) -> None:
    sent = lines(body("one"), b"{not json", b"", body("two"))
    answer = client.post(BATCH, content=sent, headers=LINES | {"Accept": "application/x-ndjson"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    found = [orjson.loads(line) for line in answer.content.splitlines()]
    assert [found[0]["claim_id"], found[2]["claim_id"]] == ["one", "two"]
    assert (found[1]["index"], found[1]["type"]) == (1, "urn:fraud:problem:not-json")
    assert client.post(BATCH, content=lines(body("three")), headers=LINES).json()[0]["claim_id"] == "three"


@pytest.mark.parametrize(
    ("sent", "headers", "status", "name"),
    [
        (b"[]", JSON, 422, "faults"),
        (b"{}", JSON, 422, "faults"),
        (b"[", JSON, 400, "not-json"),
        (b"\n\n", LINES, 422, "faults"),
        (b"[" + b"0," * 1_000 + b"0]", JSON, 422, "faults"),
        (b"0\n" * 1_001, LINES, 422, "faults"),
        (b" " * (ACCEPTED["score_batch"].most_bytes + 1), JSON, 413, "too-large"),
        (b"[]", {"Content-Type": "text/plain"}, 415, "media-type"),
    ],
)
def test_a_body_that_is_no_list_of_claims_is_refused_as_a_whole(
    client: Client, sent: bytes, headers: dict[str, str], status: int, name: str
) -> None:
    check_problem(client.post(BATCH, content=sent, headers=headers), status, name)


def test_a_list_may_be_larger_than_a_claim(client: Client) -> None:
    sent = orjson.dumps([body("one")]) + b" " * (2 << 20)
    assert client.post(BATCH, content=sent, headers=JSON).status_code == 200
    check_problem(client.post(SCORE, content=sent, headers=JSON), 413, "too-large")


def test_a_repeated_key_gets_the_whole_first_answer_and_scores_once(client: Client, tmp_path: Path) -> None:
    sent, headers = [body("one"), body("two", total_amount=-1)], {"Idempotency-Key": "k"}
    first, second = (client.post(BATCH, json=sent, headers=headers) for _ in range(2))
    assert (second.content, second.headers["idempotent-replayed"]) == (first.content, "true")
    assert decided(tmp_path) == ["one"]
    as_lines = client.post(BATCH, json=sent, headers=headers | {"Accept": "application/x-ndjson"})
    assert [orjson.loads(line) for line in as_lines.content.splitlines()] == first.json()
    check_problem(client.post(BATCH, json=[body("three")], headers=headers), 422, "key-reused")


def test_a_key_of_nothing_but_faults_is_remembered_too(client: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    first, second = (client.post(BATCH, json=[{}], headers=headers) for _ in range(2))
    assert second.content == first.content
    assert second.headers["idempotent-replayed"] == "true"


def test_a_list_whose_decisions_cannot_be_stored_is_unanswered_as_a_whole(runtime: Runtime, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
    with Store(f"sqlite:///{tmp_path / 'service.db'}", busy_ms=50) as impatient:
        runtime.store = impatient
        client = Client(build_app(runtime, Door(seconds=60)))
        other.execute("BEGIN IMMEDIATE")
        check_problem(client.post(BATCH, json=[body("one"), body("two")]), 503, "store-unavailable")
        other.execute("ROLLBACK")
        other.close()
        assert decided(tmp_path) == []
        client.close()


# --- claims of the same call --------------------------------------------------------------------------------


def test_earlier_claims_of_a_list_are_the_past_of_later_ones_of_the_patient() -> None:
    first, second, other = (
        ClaimBundle(claim(i, days=d, patient_id=p)) for i, d, p in (("a", 1, "p"), ("b", 2, "p"), ("c", 0, "q"))
    )
    company = [second, first, other]
    assert [c["claim_id"] for c in with_company(second, History(), company).claims] == ["a"]
    assert with_company(first, History(), company) == History()


def test_of_a_claim_that_is_stored_too_the_version_of_the_list_counts_unless_it_is_older() -> None:
    early, late = datetime(2024, 1, 1), datetime(2024, 2, 1)
    stored = bundle("a", days=1, uploaded_at=early)
    known = History(claims=(stored.claim,), lines=stored.lines)
    own = ClaimBundle(claim("b", days=5))
    newer = bundle("a", days=1, lines=1, uploaded_at=late, total_amount=7.0)
    found = with_company(own, known, [newer])  # type: ignore[list-item]
    assert [(c["total_amount"], len(found.lines)) for c in found.claims] == [(7.0, 1)]
    older = bundle("a", days=1, uploaded_at=datetime(2023, 1, 1))
    assert with_company(own, known, [older]) is known  # type: ignore[list-item]


def test_a_list_finds_what_its_claims_sent_one_after_another_would_have_found(store: Store, tmp_path: Path) -> None:
    catalogue = load_catalogue(write_room(tmp_path / "home") / "features")
    client = Client(build_app(Runtime(store, catalogue, ClaimScorer(catalogue, None), Models()), Door(seconds=60)))

    def sent(patient: str) -> list[dict[str, Any]]:
        days = (9, 2, 5, 7)
        return [body(f"{patient}-{d}", patient_id=patient, settled_at=f"2024-03-{d:02}") for d in days]

    together = client.post(BATCH, json=sent("together")).json()
    in_order = sorted(sent("alone"), key=lambda given: given["claim"]["settled_at"])
    alone = {s["claim_id"].removeprefix("alone"): s for s in (client.post(SCORE, json=g).json() for g in in_order)}
    told = [s["findings"] for s in together]
    assert told == [alone[s["claim_id"].removeprefix("together")]["findings"] for s in together]
    assert [[f["rule"] for f in found] for found in told] == [["claim.many_past"], [], [], []]
    client.close()
