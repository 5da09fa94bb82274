"""Claims that come at the same time: one query, one prediction, one commit; and what happens when parts fail."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import History, Row
from fraud.scoring.triage import Triage
from fraud.signals.catalogue import Catalogue
from fraud.store import Store, StoreBusyError
from fraud.web.app import build_app
from fraud.web.bodies.answers import ClaimScore
from fraud.web.running.deadlines import HistoryReader
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from fraud.web.running.warming import warm_up
from tests.learning.town import write_room
from tests.web.client import Client, body, check_problem
from tests.web.models import small_model, small_novelty

SCORE = "/v1/claims/score"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return write_room(tmp_path_factory.mktemp("room"))


@pytest.fixture
def runtime(store: Store, room: Catalogue) -> Runtime:
    return Runtime(
        store, room, ClaimScorer(room, small_model(room, 1, "champion", 1), triage=Triage(review=60)), Models()
    )


class Held:
    """A scorer whose first claim waits, so that others gather."""

    def __init__(self, scorer: ClaimScorer) -> None:
        self._scorer = scorer
        self.began, self.go = threading.Event(), threading.Event()
        self.sizes: list[int] = []

    def score(self, *given: Any, **named: Any) -> Any:
        self.sizes.append(1)
        self.began.set()
        assert self.go.wait(60)
        return self._scorer.score(*given, **named)

    def score_many(self, bundles: Sequence[Any], *given: Any, **named: Any) -> Any:
        self.sizes.append(len(bundles))
        return self._scorer.score_many(bundles, *given, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)


@pytest.fixture
def held(runtime: Runtime) -> Held:
    made = Held(runtime.scorer)
    runtime.scorer = made  # type: ignore[assignment]
    return made


def answers_to(client: Client, held: Held, *requests: tuple[str, str, dict[str, Any]]) -> list[Any]:
    """Answers to requests of which all but the first gather while that one is held."""

    async def all_of_them() -> list[Any]:
        first = asyncio.create_task(client._send(*requests[0]))
        while not held.began.is_set():
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(client._send(*r)) for r in requests[1:]]
        while client.app.state.door.inside + sum(task.done() for task in rest) < len(requests):
            await asyncio.sleep(0.001)
        held.go.set()
        return [await task for task in (first, *rest)]

    return client._runner.run(all_of_them())


def request(claim_id: str, **more: Any) -> tuple[str, str, dict[str, Any]]:
    return ("POST", SCORE, {"json": body(claim_id, patient_id=f"of-{claim_id}"), **more})


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    opened = Client(build_app(runtime, Door(seconds=60)))
    yield opened
    opened.close()


def stored(path: Path) -> list[tuple[str, bytes]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT claim_id, response FROM decisions ORDER BY rowid").fetchall()


def test_claims_that_wait_share_one_look_up_one_scoring_and_one_commit(
    client: Client, held: Held, store: Store, tmp_path: Path
) -> None:
    commits: list[int] = []
    sa.event.listen(store.database.writing, "commit", lambda connection: commits.append(1))
    answers = answers_to(client, held, *(request(f"c{n}") for n in range(20)))
    assert [a.status_code for a in answers] == [200] * 20
    assert (held.sizes, len(commits)) == ([1, 19], 2)
    assert [a.json()["claim_id"] for a in answers] == [f"c{n}" for n in range(20)]
    assert sorted(stored(tmp_path / "service.db")) == sorted((a.json()["claim_id"], a.content) for a in answers)


def test_a_faulty_claim_a_poisonous_one_and_a_repeated_key_harm_none_of_those_that_they_came_with(
    client: Client, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {"headers": {"Idempotency-Key": "k"}}
    working = held._signals.compute_many

    def choke(requests: Sequence[tuple[Any, Any]]) -> Any:
        if any(bundle.claim["claim_id"] == "poison" for bundle, _ in requests):
            raise ArithmeticError("one of these cannot be computed")
        return working(requests)

    monkeypatch.setattr(held._signals, "compute_many", choke)
    faulty = ("POST", SCORE, {"json": body("faulty", total_amount=-1)})
    answers = answers_to(
        client, held, request("first"), faulty, request("poison"), request("k1", **key), request("k1", **key),
        request("last"),
    )  # fmt: skip
    assert [a.status_code for a in answers] == [200, 422, 500, 200, 409, 200]
    check_problem(answers[2], 500, "internal")
    check_problem(answers[4], 409, "still-running")
    assert client.together(request("k1", **key))[0].content == answers[3].content


def test_a_decision_that_cannot_be_stored_harms_none_of_those_that_it_came_with(
    client: Client, held: Held, store: Store, tmp_path: Path
) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON decisions WHEN NEW.claim_id = 'odd' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    answers = answers_to(client, held, *(request(i) for i in ("a", "b", "odd", "c")))
    assert [a.status_code for a in answers] == [200, 200, 500, 200]
    assert [claim_id for claim_id, _ in stored(tmp_path / "service.db")] == ["a", "b", "c"]
    assert store.claim("odd") is None


def test_the_same_key_in_two_workers_is_one_decision_and_both_get_its_answer(
    runtime: Runtime, room: Catalogue, tmp_path: Path
) -> None:
    """Both find the key free and compute; who records last is told what the first one answered."""
    held = [Held(runtime.scorer) for _ in range(2)]
    url = f"sqlite:///{tmp_path / 'service.db'}"
    with Store(url, busy_ms=60_000) as one, Store(url, busy_ms=60_000) as other:
        workers = [Runtime(s, room, h, Models()) for s, h in zip((one, other), held, strict=True)]  # type: ignore[arg-type]
        clients = [Client(build_app(w, Door(seconds=60))) for w in workers]
        given = {"json": body("c-1"), "headers": {"Idempotency-Key": "k"}}

        async def both() -> list[Any]:
            tasks = [asyncio.create_task(c._send("POST", SCORE, given)) for c in clients]
            while not all(h.began.is_set() for h in held):
                await asyncio.sleep(0.001)
            for h in held:
                h.go.set()
            return [await task for task in tasks]

        first, second = clients[0]._runner.run(both())
        assert (first.status_code, second.status_code) == (200, 200)
        assert first.content == second.content
        assert len({"idempotent-replayed" in a.headers for a in (first, second)}) == 2
        assert len(stored(tmp_path / "service.db")) == 1
        for c in clients:
            c.close()


# --- what fails -------------------------------------------------------------------------------------------


def test_a_slow_database_costs_the_history_and_not_the_answer(client: Client, runtime: Runtime) -> None:
    gate = threading.Event()
    read = runtime.store.history

    def slow(*given: Any) -> History:
        gate.wait(60)
        return read(*given)

    runtime.store.history = slow  # type: ignore[method-assign]
    runtime.histories = HistoryReader(seconds=0.05, threads=1)
    answer = client.post(SCORE, json=body("c-1"))
    assert (answer.status_code, answer.json()["degraded"]) == (200, ["history"])
    assert answer.json()["risk"]["margin"] is not None
    # The only thread is held up: nobody waits for it any more.
    assert runtime.histories.read(runtime.store, [body()["claim"]], True, "") is None
    gate.set()
    runtime.histories.close()
    runtime.histories = HistoryReader()
    assert client.post(SCORE, json=body("c-2")).json()["degraded"] == []


def test_a_database_that_cannot_be_read_costs_the_history_and_one_that_cannot_be_written_the_answer(
    client: Client, runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*given: Any, **named: Any) -> Any:
        raise StoreBusyError("away")

    monkeypatch.setattr(runtime.store, "history", unreachable)
    assert client.post(SCORE, json=body("c-1")).json()["degraded"] == ["history"]
    monkeypatch.setattr(runtime.store, "put_answers", unreachable)
    answer = client.post(SCORE, json=body("c-2"))
    check_problem(answer, 503, "store-unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert [claim_id for claim_id, _ in stored(tmp_path / "service.db")] == ["c-1"]


def test_a_claim_whose_history_cannot_be_read_gets_the_error_alone(
    client: Client, held: Held, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(claim: Row, *rest: Any) -> History:
        if claim["claim_id"] == "odd":
            raise ArithmeticError("no history of this one")
        return History()

    def many(claims: Sequence[Row], *rest: Any) -> list[History]:
        return [odd(c) for c in claims]

    monkeypatch.setattr(runtime.store, "history", odd)
    monkeypatch.setattr(runtime.store, "histories", many)
    answers = answers_to(client, held, *(request(i) for i in ("a", "b", "odd", "c")))
    assert [a.status_code for a in answers] == [200, 200, 500, 200]


def test_a_request_that_is_given_up_before_its_turn_is_never_decided(
    runtime: Runtime, held: Held, tmp_path: Path
) -> None:
    client = Client(build_app(runtime, Door(seconds=0.3)))

    async def two() -> list[Any]:
        return await asyncio.gather(*(client._send(*request(i)) for i in ("one", "other")))

    answers = client._runner.run(two())
    for answer in answers:
        check_problem(answer, 503, "too-slow")
    assert client.app.state.door.inside == 1
    held.go.set()
    client.close()
    assert (held.sizes, len(stored(tmp_path / "service.db"))) == ([1], 1)


def test_warming_up_leaves_no_trace(runtime: Runtime, tmp_path: Path) -> None:
    warm_up(runtime.store, runtime.histories, runtime.scorer)
    with closing(sqlite3.connect(tmp_path / "service.db")) as connection:
        for table in ("decisions", "claims", "lines", "idempotency"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


# --- what is told -----------------------------------------------------------------------------------------


def test_a_model_without_labels_tells_no_probability_and_the_answer_is_json(store: Store, room: Catalogue) -> None:
    runtime = Runtime(store, room, ClaimScorer(room, small_novelty()), Models())
    client = Client(build_app(runtime, Door(seconds=60)))
    given = body("c-1", total_amount=1e6) | {"options": {"explain": "full"}}
    answer = client.post(SCORE, json=given)
    assert b"NaN" not in answer.content
    ClaimScore.model_validate_json(answer.content)
    risk = answer.json()["risk"]
    unknown = ("probability", "probability_low", "probability_high", "expected_recovery")
    assert [risk[name] for name in unknown] == [None] * 4
    assert (risk["percentile"] > 90, len(risk["reasons"])) == (True, 2)
    (same,) = client.post("/v1/claims/score-batch", json=[given]).json()
    assert same["risk"]["probability"] is None
    assert orjson.loads(answer.content)["risk"]["margin"] == same["risk"]["margin"]
    client.close()


def test_reasons_are_given_for_what_is_flagged_unless_asked_otherwise(client: Client) -> None:
    cheap, dear = (body(i, total_amount=a) for i, a in (("cheap", 1), ("dear", 1e6)))
    passed, flagged = (client.post(SCORE, json=given).json() for given in (cheap, dear))
    assert (passed["action"], flagged["action"]) == ("pass", "review")
    assert (passed["risk"]["reasons"], passed["risk"]["base"]) == ([], None)
    assert flagged["risk"]["reasons"]
    assert flagged["risk"]["base"] is not None
    asked = client.post(SCORE, json=cheap | {"options": {"explain": "reasons"}}).json()
    assert asked["risk"]["reasons"]
