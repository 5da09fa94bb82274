"""The service as it runs, under requests that nobody foresaw, under load, and killed in the middle of it.

Small versions of `benchmarks/fuzz_service.py` and `benchmarks/bench_endurance.py`, which have the numbers.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.endurance.fuzzing import Fuzzer, log_faults
from benchmarks.endurance.judging import Answer, Judge
from benchmarks.endurance.kept import BAD, compared
from benchmarks.endurance.load import Acknowledged, Sending, Tally, deliver, planned
from benchmarks.endurance.mutations import Request
from benchmarks.endurance.running import Connection, Running
from fraud.config import Settings, load_settings
from fraud.store import Store
from fraud.store.tables import decisions
from fraud.web.openapi import description
from tests.web.client import GOOD
from tests.web.room import write_room

DOCUMENT: dict[str, Any] = json.loads(description())
SCORE = "/v1/claims/score"
# Of the long proofs.
REQUESTS = 5_000


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home of two rules, so that the service starts soon."""
    made = load_settings({"FRAUD_HOME": str(write_room(tmp_path_factory.mktemp("home")))})
    made.var.mkdir(exist_ok=True)
    return made


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[Running]:
    started = Running(settings, FRAUD_LOG="json")
    started.start()
    asyncio.run(started.answering())
    yield started
    started.kill()


def bodies() -> list[dict[str, Any]]:
    return [{**GOOD, "claim": {k: v for k, v in GOOD["claim"].items() if k != "claim_id"}}]


# --- the service ------------------------------------------------------------------------------------------


def fuzzed(service: Running, requests: int, seed: int) -> Fuzzer:
    fuzzer = Fuzzer(service.port, DOCUMENT)
    fuzzer.run(requests, seed)
    return fuzzer


def check_fuzzed(service: Running, fuzzer: Fuzzer, requests: int) -> None:
    assert [f.as_dict() for f in fuzzer.found] == []
    assert log_faults(service.log) == []
    assert fuzzer.sent.total() > requests * 0.8
    # Requests of all kinds got through to the work, and to each kind of refusal.
    assert {200, 400, 404, 405, 422} <= set(fuzzer.statuses)


def test_no_request_makes_the_service_fail_and_each_answer_is_as_described(service: Running) -> None:
    check_fuzzed(service, fuzzed(service, 150, seed=20_261_122), 150)


def test_what_was_acknowledged_before_a_kill_is_there_once_and_the_rest_can_be_sent_again(
    service: Running, settings: Settings
) -> None:
    tally = Tally()
    asyncio.run(_killed_once(service, tally))
    found = compared(settings, tally)
    assert {name: found[name] for name in BAD} == dict.fromkeys(BAD, 0)
    assert found["acknowledged"] > 150
    assert found["versions"] > len(tally.versions)
    # Some were on their way when it was killed.
    assert tally.tried_again["connection"] > 0


async def _killed_once(service: Running, tally: Tally) -> None:
    sendings = list(itertools.islice(planned(bodies(), seed=5), 200))
    delivery = asyncio.create_task(deliver(service.port, sendings, clients=8, tally=tally))
    while len(tally.answers) < 60:
        await asyncio.sleep(0.01)
    service.kill()
    service.start()
    await service.answering()
    await delivery


def test_refusals_of_keys_come_in_the_form_that_is_described_for_each_interface(service: Running) -> None:
    fuzzer = Fuzzer(service.port, DOCUMENT)
    sent = {"Content-Type": "application/json", "Authorization": "Bearer nonsense"}
    for path in ("/fsi/api/riskConService/beforeAnalyze", "/fhir/Claim/$score", SCORE, "/v1/outcomes"):
        fuzzer.try_out("refused", Request("POST", path, path, sent, b"{}"))
    fuzzer.close()
    assert fuzzer.statuses == {401: 4}
    assert fuzzer.found == []


@pytest.mark.full
def test_nothing_is_lost_or_doubled_in_thousands_of_requests(service: Running, settings: Settings) -> None:
    tally = Tally()
    asyncio.run(deliver(service.port, itertools.islice(planned(bodies(), seed=6), REQUESTS), 32, tally))
    found = compared(settings, tally)
    assert {name: found[name] for name in BAD} == dict.fromkeys(BAD, 0)
    assert found["acknowledged"] > REQUESTS * 0.85


@pytest.mark.full
def test_no_request_of_thousands_makes_the_service_fail(service: Running) -> None:
    check_fuzzed(service, fuzzed(service, REQUESTS, seed=7), REQUESTS)


# --- what judges it ---------------------------------------------------------------------------------------


def problem(status: int = 422, **changes: Any) -> Answer:
    told = {
        "type": "urn:fraud:problem:faults",
        "title": "The body has faults",
        "status": status,
        "detail": "The body has one fault.",
        "instance": "urn:fraud:request:r-1",
        "errors": [{"pointer": "/claim/total_amount", "code": "negative", "detail": "below zero"}],
        **changes,
    }
    return Answer(status, HEADERS, json.dumps(told).encode())


HEADERS = {"content-type": "application/problem+json", "x-request-id": "r-1"}
SENT = Request("POST", SCORE, SCORE, {}, json.dumps(GOOD).encode())


def error(pointer: str, code: str) -> list[dict[str, str]]:
    return [{"pointer": pointer, "code": code, "detail": "x"}]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (problem(500), "status 500"),
        (problem(errors=error("/claim/nowhere/at/all", "negative")), "which is not in the body"),
        (problem(errors=error("/lines/9/amount", "negative")), "which is not in the body"),
        (problem(errors=error("/lines/9/amount", "missing")), "which is not in the body"),
        (problem(errors=error("/claim/total_amount", "invented")), "an unknown code invented"),
        (problem(errors=[]), "faults without errors"),
        (problem(instance="urn:fraud:request:other"), "an instance that is not the X-Request-ID"),
        (problem(type="urn:fraud:problem:invented", errors=[]), "a problem of kind invented"),
        (problem(surprise=1), "not as described"),
        (Answer(422, HEADERS | {"content-type": "text/html"}, b"<p>"), "422 as text/html, described are"),
        (Answer(200, HEADERS | {"content-type": "application/json"}, b"{}"), "not as described"),
        (Answer(200, HEADERS | {"content-type": "application/json"}, b"{"), "not JSON"),
        (Answer(200, HEADERS | {"content-type": "application/json"}, b'"Traceback"'), "a traceback"),
        (Answer(404, {"content-type": HEADERS["content-type"]}, problem().body), "no X-Request-ID"),
    ],
)
def test_an_answer_that_is_not_as_it_must_be_is_noticed(answer: Answer, says: str) -> None:
    assert any(says in fault for fault in Judge(DOCUMENT).faults(SENT, answer))


def test_a_fault_that_is_rightly_named_passes() -> None:
    judge = Judge(DOCUMENT)
    assert judge.faults(SENT, problem()) == []
    assert judge.faults(SENT, problem(errors=error("/claim/payee_account", "missing"))) == []


def test_lines_of_a_log_that_tell_of_our_faults_are_noticed(settings: Settings) -> None:
    log = settings.var / "made-up.log"
    good = '{"level": "INFO", "message": "all is well"}\nlistening'
    bad = [
        '{"level": "ERROR", "message": "x"}',
        '{"level": "WARNING", "error": {}}',
        "Traceback (most recent call last):",
    ]
    log.write_text("\n".join([good, *bad]), "utf-8")
    assert log_faults(log) == bad


def test_decisions_that_are_lost_altered_or_doubled_are_noticed(settings: Settings) -> None:
    own = replace(settings, database_url=f"sqlite:///{settings.var / 'compared.db'}")
    tally = Tally()
    sendings = list(itertools.islice(planned(bodies(), seed=8), 4))
    for n, sending in enumerate(sendings):
        tally.keys[sending.claim_id].add(sending.key)
        tally.answers[sending.key] = Acknowledged(f"r-{n}", b"digest")
    tally.acknowledge(replace(sendings[0], key="new"), b'{"request_id": "r-9"}', 0.1)
    tally.acknowledge(replace(sendings[0], key="new"), b'{"request_id": "r-8"}', 0.1)
    with Store(own.database_url) as store, store.database.write() as connection:
        for n, request_id in enumerate(("r-0", "more", "even more")):
            row = {"request_id": request_id, "claim_id": sendings[0].claim_id, "action": "pass", "response": b"other"}
            connection.execute(decisions.insert(), row | {"scored_at": _moment(sendings[n]), "request": b"{}"})
    found = compared(own, tally)
    expected = {"lost": 4, "altered": 1, "doubled": 2, "left_over": 2, "changed": 1}
    assert {name: found[name] for name in expected} == expected


def _moment(sending: Sending) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(sending.uploaded_at)


def test_the_same_seed_sends_the_same_with_versions_out_of_order_and_requests_sent_again() -> None:
    first, second = (list(itertools.islice(planned(bodies(), seed=9), 400)) for _ in range(2))
    assert first == second
    assert len({s.key for s in first}) < len(first)
    moments: dict[str, list[str]] = {}
    for sending in dict.fromkeys(first):
        moments.setdefault(sending.claim_id, []).append(sending.uploaded_at)
    assert any(sent != sorted(sent) for sent in moments.values())


def test_a_connection_that_was_closed_opens_again(service: Running) -> None:
    async def twice() -> list[int]:
        async with Connection(service.port) as connection:
            first = await connection.send("GET", "/livez")
            connection.close()
            return [first[0], (await connection.send("GET", "/livez"))[0]]

    assert asyncio.run(twice()) == [200, 200]
