"""When a client tries again: against a real server that fails as it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from fraud.client import AsyncFraudClient, FraudClient, FraudProblem, FraudUnreachable, Retrying
from tests.client.moody import Mood, MoodyServer, problem
from tests.web.client import body

QUICK = Retrying(deadline=5.0, first=0.001, longest=0.01)
GOOD = Mood(200, {"request_id": "x"})
CLAIM = body("c-1")["claim"]
Score = Callable[[MoodyServer, Retrying], Any]


def _sync(server: MoodyServer, retrying: Retrying) -> Any:
    with FraudClient(server.url, "secret", retrying=retrying) as client:
        return client.score(CLAIM)


def _async(server: MoodyServer, retrying: Retrying) -> Any:
    async def call() -> Any:
        async with AsyncFraudClient(server.url, "secret", retrying=retrying) as client:
            return await client.score(CLAIM)

    return asyncio.run(call())


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def score(request: pytest.FixtureRequest) -> Score:
    found: Score = request.param
    return found


@pytest.mark.parametrize(
    "trouble",
    [
        problem(503, "overloaded"),
        problem(429, "rate-limited"),
        problem(409, "still-running"),
        Mood(502, b"<html>bad gateway</html>"),
        Mood(hangs_up=True),
    ],
    ids=["busy", "too-many", "still-running", "gateway", "hung-up"],
)
def test_what_passes_is_tried_again_with_the_same_key_and_the_same_body(
    moody: MoodyServer, score: Score, trouble: Mood
) -> None:
    moody.will(trouble, trouble, GOOD)
    assert score(moody, QUICK) == {"request_id": "x"}
    assert len(moody.asked) == 3
    assert len({a.headers["idempotency-key"] for a in moody.asked}) == 1
    assert len({a.body for a in moody.asked}) == 1
    assert {a.headers["authorization"] for a in moody.asked} == {"Bearer secret"}


def test_two_calls_have_two_keys(moody: MoodyServer, score: Score) -> None:
    moody.will(GOOD)
    score(moody, QUICK)
    score(moody, QUICK)
    assert len({a.headers["idempotency-key"] for a in moody.asked}) == 2


@pytest.mark.parametrize(("status", "name"), [(422, "faults"), (422, "key-reused"), (404, "no-model"), (500, "x")])
def test_what_does_not_pass_is_raised_at_once(moody: MoodyServer, score: Score, status: int, name: str) -> None:
    moody.will(problem(status, name))
    with pytest.raises(FraudProblem) as caught:
        score(moody, QUICK)
    found = caught.value
    assert (found.status, found.code, found.detail, found.request_id) == (status, name, "why", "r-1")
    assert len(moody.asked) == 1


@pytest.mark.parametrize("form", ["seconds", "moment"])
def test_the_service_says_how_long_to_wait_at_least(moody: MoodyServer, score: Score, form: str) -> None:
    # A moment is told in whole seconds.
    at = {"seconds": "1", "moment": format_datetime(datetime.now(UTC) + timedelta(seconds=2.5), usegmt=True)}
    moody.will(problem(503, "overloaded", **{"Retry-After": at[form]}), GOOD)
    started = time.monotonic()
    score(moody, QUICK)
    assert time.monotonic() - started >= 0.9


def test_a_wait_beyond_the_deadline_is_not_begun(moody: MoodyServer, score: Score) -> None:
    moody.will(problem(503, "overloaded", **{"Retry-After": "60"}))
    started = time.monotonic()
    with pytest.raises(FraudProblem, match="overloaded"):
        score(moody, QUICK)
    assert time.monotonic() - started < 4
    assert len(moody.asked) == 1


def test_a_service_that_stays_busy_is_given_up_at_the_deadline(moody: MoodyServer, score: Score) -> None:
    moody.will(problem(503, "overloaded"))
    with pytest.raises(FraudProblem, match="503 overloaded"):
        score(moody, Retrying(deadline=0.3, first=0.01, longest=0.05))
    assert len(moody.asked) > 2


def test_nobody_there_is_told_after_the_deadline(score: Score) -> None:
    with MoodyServer() as gone:
        pass
    with pytest.raises(FraudUnreachable, match=r"No answer within 0\.2 seconds") as caught:
        score(gone, Retrying(deadline=0.2, first=0.01))
    assert caught.value.__cause__ is not None


def test_an_answer_that_never_comes_is_not_waited_for_beyond_the_deadline(moody: MoodyServer, score: Score) -> None:
    moody.will(Mood(waits=30))
    started = time.monotonic()
    with pytest.raises(FraudUnreachable):
        score(moody, Retrying(deadline=0.3))
    assert time.monotonic() - started < 10


def test_a_proxys_page_is_a_problem_without_a_name_of_ours(moody: MoodyServer, score: Score) -> None:
    moody.will(Mood(418, b"<html>no</html>", {"Content-Type": "text/html"}))
    with pytest.raises(FraudProblem) as caught:
        score(moody, QUICK)
    assert (caught.value.status, caught.value.code, caught.value.errors) == (418, "http", ())


def test_nothing_secret_is_in_what_is_raised_or_shown(moody: MoodyServer, score: Score) -> None:
    moody.will(problem(401, "bad-key"))
    with pytest.raises(FraudProblem) as caught:
        score(moody, QUICK)
    assert "secret" not in f"{caught.value!r} {caught.value}"


def test_waits_grow_are_spread_and_end_somewhere() -> None:
    low, high = Retrying(draw=lambda: 0.0), Retrying(draw=lambda: 1.0)
    assert [high.wait(n, None) for n in (1, 2, 3, 50)] == [0.1, 0.2, 0.4, 5.0]
    assert [low.wait(n, None) for n in (1, 2, 3)] == [0.05, 0.1, 0.2]
    assert low.wait(1, 2.0) == 2.05
