from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.bodies.answers import AddedAnswer, ClaimScore, ModelAnswer
from fraud.web.bodies.reading import MOST_BYTES
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.web.client import Client, body, check_problem

SCORE, ADD = "/v1/claims/score", "/v1/claims"


def answers_until(
    client: Client, requests: list[tuple[str, str, dict[str, Any]]], first: int, then: threading.Event
) -> list[httpx.Response]:
    """The answers to requests that are sent at once; `then` is set when the `first` of them are answered."""

    async def all_of_them() -> list[httpx.Response]:
        waiting = {asyncio.create_task(client._send(m, a, given)) for m, a, given in requests}
        done: set[asyncio.Task[httpx.Response]] = set()
        while waiting:
            if len(done) >= first:
                then.set()
            finished, waiting = await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            assert finished, f"{len(done)} of {len(requests)} were answered"
            done |= finished
        return [task.result() for task in done]

    return client._runner.run(all_of_them())


# --- scoring ----------------------------------------------------------------------------------------------


def test_a_claim_is_answered_in_the_shape_of_the_contract(client: Client) -> None:
    answer = client.post(SCORE, json=body())
    assert answer.status_code == 200
    found = answer.json()
    ClaimScore.model_validate_json(answer.content, strict=False)
    assert list(found) == list(ClaimScore.model_fields)
    assert (found["claim_id"], found["as_of"]) == ("c-1", "2024-03-02T00:00:00")
    assert found["scored_at"] == "2024-04-01T12:00:00.123000"
    assert found["action"] in ("pass", "review", "hold")
    assert set(found["timing_ms"]) >= {"history", "signals"}


def test_without_a_model_the_rules_answer_and_the_answer_says_so(client: Client) -> None:
    found = client.post(SCORE, json=body()).json()
    assert (found["risk"], found["degraded"], found["model"]["name"]) == (None, ["model"], None)
    assert found["model"]["catalogue"].startswith("sha256:")
    assert found["case"] is None


def test_a_decision_is_found_again_byte_for_byte(client: Client) -> None:
    answer = client.post(SCORE, json=body())
    again = client.get(f"/v1/decisions/{answer.json()['request_id']}")
    assert (again.status_code, again.content) == (200, answer.content)
    check_problem(client.get("/v1/decisions/none"), 404, "not-found")


def test_the_request_id_of_the_caller_is_echoed_and_one_is_made_without(client: Client) -> None:
    assert client.post(SCORE, json=body(), headers={"X-Request-ID": "me-1"}).headers["x-request-id"] == "me-1"
    made = client.post(SCORE, json=body()).headers["x-request-id"]
    assert made != client.post(SCORE, json=body(), headers={"X-Request-ID": "a b\tc"}).headers["x-request-id"]


def test_a_scored_claim_becomes_history_unless_it_must_not(client: Client, store: Store) -> None:
    client.post(SCORE, json=body("kept"))
    client.post(SCORE, json=body("forgotten") | {"options": {"store": False}})
    kept = store.claim("kept")
    assert kept is not None
    assert [r["claim_id"] for r in (*kept.lines, *kept.diagnoses)] == ["kept"] * 3
    assert kept.claim["settled_at"] == datetime(2024, 3, 2)
    assert store.claim("forgotten") is None
    assert store.latest_decision("forgotten") is not None


def test_a_claim_scored_again_gets_the_same_findings_because_it_is_not_its_own_past(client: Client) -> None:
    first, second = (client.post(SCORE, json=body()).json() for _ in range(2))
    assert (first["action"], first["findings"]) == (second["action"], second["findings"])


def test_null_stands_for_what_may_be_left_out(client: Client) -> None:
    given = body(department=None, physician_id=None) | {"lines": None, "procedures": None, "options": None}
    assert client.post(SCORE, json=given).status_code == 200


def test_answers_are_not_kept_by_caches(client: Client) -> None:
    assert client.post(SCORE, json=body()).headers["cache-control"] == "no-store"


# --- the same request twice -------------------------------------------------------------------------------


def test_a_repeated_key_gets_the_first_answer_and_scores_once(client: Client, tmp_path: Path) -> None:
    first, second = (client.post(SCORE, json=body(), headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, second.status_code, second.content) == (200, 200, first.content)
    assert second.headers["idempotent-replayed"] == "true"
    connection = sqlite3.connect(tmp_path / "service.db")
    assert connection.execute("SELECT count(*) FROM decisions").fetchall() == [(1,)]
    connection.close()


def test_a_repeated_key_with_another_body_is_refused(client: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    client.post(SCORE, json=body(), headers=headers)
    check_problem(client.post(SCORE, json=body(total_amount=1), headers=headers), 422, "key-reused")


def test_a_key_whose_first_request_still_runs_is_a_conflict_until_that_has_died(
    runtime: Runtime, tmp_path: Path
) -> None:
    now = datetime(2026, 1, 1)
    with Store(f"sqlite:///{tmp_path / 'keys.db'}", lambda: now) as store:
        runtime.store = store
        client = Client(build_app(runtime, Door(seconds=60)))
        slow = threading.Event()
        score = runtime.scorer.score

        def wait_and_score(*given: Any, **named: Any) -> Any:
            slow.wait(60)
            return score(*given, **named)

        runtime.scorer = _Scorer(runtime.scorer, wait_and_score)
        request = ("POST", SCORE, {"json": body(), "headers": {"Idempotency-Key": "k"}})
        answers = answers_until(client, [request, request], 1, slow)
        assert sorted(a.status_code for a in answers) == [200, 409]
        check_problem(max(answers, key=lambda a: a.status_code), 409, "still-running")
        store.idempotent("score:dead", b"?")
        now += timedelta(minutes=2)
        assert client.post(SCORE, json=body(), headers={"Idempotency-Key": "dead"}).status_code == 200
        client.close()


class _Scorer:
    """A real scorer whose `score` does something more."""

    def __init__(self, scorer: Any, score: Any) -> None:
        self._scorer = scorer
        self.score = score

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)


def test_a_faulty_body_does_not_use_up_its_key(client: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    check_problem(client.post(SCORE, json=body(total_amount=-1), headers=headers), 422, "faults")
    assert client.post(SCORE, json=body(), headers=headers).status_code == 200


def test_a_request_that_failed_frees_its_key(client: Client, runtime: Runtime) -> None:
    working = runtime.scorer

    def fail(*given: Any, **named: Any) -> Any:
        raise RuntimeError("patient p-1 is odd")

    runtime.scorer = _Scorer(working, fail)
    headers = {"Idempotency-Key": "k"}
    answer = client.post(SCORE, json=body(), headers=headers)
    check_problem(answer, 500, "internal")
    assert "p-1" not in answer.text
    runtime.scorer = working
    assert client.post(SCORE, json=body(), headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "a b", "x" * 201])
def test_a_key_that_cannot_be_one_is_refused(client: Client, key: str) -> None:
    answer = client.post(SCORE, json=body(), headers={"Idempotency-Key": key})
    check_problem(answer, 400, "bad-header")


# --- adding -----------------------------------------------------------------------------------------------


def test_settled_claims_are_added_once(client: Client, store: Store) -> None:
    first = client.post(ADD, json=body("one"))
    AddedAnswer.model_validate_json(first.content)
    assert first.json() == {"claims": [{"claim_id": "one", "status": "added"}], "counts": {"added": 1}}
    several = client.post(ADD, json={"claims": [body("one"), body("two"), body("one", total_amount=7)]}).json()
    assert several["counts"] == {"unchanged": 1, "added": 1, "replaced": 1}
    found = store.claim("one")
    assert found is not None
    assert found.claim["total_amount"] == 7.0


def test_adding_with_a_repeated_key_gets_the_first_answer(client: Client) -> None:
    first, second = (client.post(ADD, json=body("one"), headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert second.content == first.content
    # The keys of different calls have nothing to do with each other.
    assert client.post(SCORE, json=body("one"), headers={"Idempotency-Key": "k"}).json()["action"]


def test_a_fault_in_one_of_several_claims_names_it_and_adds_none(client: Client, store: Store) -> None:
    given = {"claims": [body("one"), body("two", total_amount=-1)]}
    problem = check_problem(client.post(ADD, json=given), 422, "faults")
    assert [e["pointer"] for e in problem["errors"]] == ["/claims/1/claim/total_amount"]
    assert store.claim("one") is None


def test_an_added_claim_is_the_past_of_a_later_one(client: Client, store: Store) -> None:
    client.post(ADD, json=body("early"))
    assert [c["claim_id"] for c in store.history(_later()).claims] == ["early"]


def _later() -> dict[str, Any]:
    return {"claim_id": "late", "patient_id": "p-1", "provider_id": "h-1", "settled_at": datetime(2024, 3, 9)}


# --- what goes wrong around a request -----------------------------------------------------------------------


def test_addresses_and_methods_that_are_not_there_are_problems(client: Client) -> None:
    check_problem(client.get("/v1/nothing"), 404, "not-found")
    check_problem(client.get("/nothing/at/all"), 404, "not-found")
    assert client.get(SCORE).headers["allow"] == "POST"
    check_problem(client.get(SCORE), 405, "method-not-allowed")
    check_problem(client.send("DELETE", "/v1/decisions/x"), 405, "method-not-allowed")
    check_problem(client.send("BREW", SCORE), 405, "method-not-allowed")


def test_a_store_that_cannot_be_reached_is_a_503_with_a_time_to_wait(runtime: Runtime, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
    with Store(f"sqlite:///{tmp_path / 'service.db'}", busy_ms=50) as impatient:
        runtime.store = impatient
        client = Client(build_app(runtime, Door(seconds=60)))
        other.execute("BEGIN IMMEDIATE")
        answer = client.post(SCORE, json=body())
        other.execute("ROLLBACK")
        other.close()
        check_problem(answer, 503, "store-unavailable")
        assert int(answer.headers["retry-after"]) > 0
        runtime.store = Store(f"sqlite:///{tmp_path / 'service.db'}")
        assert client.post(SCORE, json=body()).status_code == 200
        runtime.store.close()
        client.close()


def test_more_requests_than_the_door_lets_in_are_shed_at_once(runtime: Runtime) -> None:
    slow = threading.Event()
    score = runtime.scorer.score

    def wait_and_score(*given: Any, **named: Any) -> Any:
        slow.wait(60)
        return score(*given, **named)

    runtime.scorer = _Scorer(runtime.scorer, wait_and_score)
    client = Client(build_app(runtime, Door(most=2, threads=2, seconds=60)))

    requests = [("POST", SCORE, {"json": body(f"c{i}")}) for i in range(6)]
    answers = answers_until(client, requests, 4, slow)
    assert sorted(a.status_code for a in answers) == [200, 200, 503, 503, 503, 503]
    shed = next(a for a in answers if a.status_code == 503)
    check_problem(shed, 503, "overloaded")
    assert shed.headers["retry-after"] == "1"
    assert client.post(SCORE, json=body()).status_code == 200
    client.close()


def test_an_answer_that_takes_too_long_is_given_up(runtime: Runtime) -> None:
    slow = threading.Event()
    runtime.scorer = _Scorer(runtime.scorer, lambda *given, **named: slow.wait(60))
    client = Client(build_app(runtime, Door(seconds=0.05)))
    check_problem(client.post(SCORE, json=body()), 503, "too-slow")
    assert client.app.state.door.inside == 1
    slow.set()
    client.close()


def test_a_body_that_never_ends_arriving_is_given_up(runtime: Runtime) -> None:
    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    client = Client(build_app(runtime, Door(seconds=0.05)))
    answer = client.post(SCORE, content=drip(), headers={"Content-Type": "application/json"})
    check_problem(answer, 408, "slow-body")
    assert client.app.state.door.inside == 0
    client.close()


def test_a_body_without_end_is_refused_and_not_read_on(client: Client) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 17
            yield b" " * (1 << 17)

    answer = client.post(SCORE, content=pieces(), headers={"Content-Type": "application/json"})
    check_problem(answer, 413, "too-large")
    assert answer.headers["connection"] == "close"
    assert MOST_BYTES < sent < 20 * MOST_BYTES


def test_the_event_loop_stays_free_while_a_claim_is_scored(runtime: Runtime) -> None:
    score, began, freed = runtime.scorer.score, threading.Event(), threading.Event()

    def wait_and_score(*given: Any, **named: Any) -> Any:
        began.set()
        assert freed.wait(30), "nothing else was done meanwhile"
        return score(*given, **named)

    runtime.scorer = _Scorer(runtime.scorer, wait_and_score)
    client = Client(build_app(runtime, Door(seconds=60)))

    async def longest_work() -> tuple[float, int]:
        scoring = asyncio.create_task(client._send("POST", SCORE, {"json": body()}))
        longest, last = 0.0, time.thread_time()
        while not scoring.done():
            await asyncio.sleep(0.001)
            now = time.thread_time()
            longest, last = max(longest, now - last), now
            if began.is_set():
                freed.set()
        return longest, (await scoring).status_code

    longest, status = client._runner.run(longest_work())
    assert status == 200
    # What the loop's thread itself works at a stretch, whatever else the machine does meanwhile.
    assert longest < 0.15
    client.close()


# --- the model --------------------------------------------------------------------------------------------


def test_the_model_in_force_is_told_even_when_there_is_none(client: Client, runtime: Runtime) -> None:
    answer = client.get("/v1/model")
    ModelAnswer.model_validate_json(answer.content)
    assert answer.json()["catalogue"] == runtime.catalogue.digest
    assert (answer.json()["name"], answer.json()["models"]) == (None, {})


def test_a_service_without_a_registered_model_is_ready_and_one_whose_model_failed_is_not(runtime: Runtime) -> None:
    assert runtime.ready()
    runtime.models = Models(failed={"claim": "gone"})
    assert not runtime.ready()


def test_a_service_without_its_database_is_not_ready(runtime: Runtime, tmp_path: Path) -> None:
    runtime.store.close()
    (tmp_path / "service.db").unlink()
    (tmp_path / "service.db").mkdir()
    assert not runtime.ready()


def test_claims_that_come_at_once_are_all_answered_and_none_twice(runtime: Runtime, tmp_path: Path) -> None:
    # The first one waits for the signals to be compiled: on a busy machine longer than a caller would.
    client = Client(build_app(runtime, Door(seconds=60)))
    answers = client.together(*(("POST", SCORE, {"json": body(f"c{i}")}) for i in range(40)))
    assert [a.status_code for a in answers] == [200] * 40
    assert [a.json()["claim_id"] for a in answers] == [f"c{i}" for i in range(40)]
    connection = sqlite3.connect(tmp_path / "service.db")
    counts = connection.execute("SELECT count(*), count(DISTINCT claim_id) FROM decisions").fetchone()
    connection.close()
    assert counts == (40, 40)
    client.close()
