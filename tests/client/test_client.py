"""Both clients against a service that really listens."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
import pytest

import fraud.client
from fraud.client import AsyncFraudClient, FraudClient, FraudClientError, FraudProblem, FraudUnreachable
from tests.web.client import body

CALLS = (
    "score", "score_batch", "add_claims", "decision", "risk", "report", "outcomes", "cases", "case", "change_case",
    "decide_case", "case_file", "case_pack", "paper", "ledger", "model", "ready",
)  # fmt: skip
Call = Callable[..., Any]


def _sync(address: str, name: str, *given: Any, **named: Any) -> Any:
    with FraudClient(address) as client:
        return getattr(client, name)(*given, **named)


def _async(address: str, name: str, *given: Any, **named: Any) -> Any:
    async def call() -> Any:
        async with AsyncFraudClient(address) as client:
            made: Awaitable[Any] = getattr(client, name)(*given, **named)
            return await made

    return asyncio.run(call())


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def call(request: pytest.FixtureRequest, address: str) -> Call:
    """Makes one call with either client."""
    return lambda name, *given, **named: request.param(address, name, *given, **named)


def claim(claim_id: str, **changes: Any) -> dict[str, Any]:
    """The row of a claim."""
    row: dict[str, Any] = body(claim_id, **changes)["claim"]
    return row


def lines(count: int) -> list[dict[str, Any]]:
    return [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 10} for n in range(1, count + 1)]


def test_a_claim_is_scored_and_its_decision_is_found_again(call: Call) -> None:
    answer = call("score", claim("c-1"), lines(4), locale="zh-CN")
    assert (answer["action"], answer["findings"][0]["sentence"]) == ("hold", "4条明细,至多3条。")
    assert call("decision", answer["request_id"]) == answer


def test_times_and_numbers_of_python_and_numpy_are_sent_as_the_service_reads_them(call: Call) -> None:
    given = claim("c-2", admitted_at=datetime(2024, 3, 1, 9, 30), settled_at=date(2024, 3, 2))
    answer = call("score", given | {"total_amount": np.float64(120.0), "discharged_at": None}, lines(1))
    assert answer["as_of"] == "2024-03-02T00:00:00"


def test_a_list_of_claims_answers_in_order_and_a_faulty_one_harms_no_other(call: Call) -> None:
    answers = call("score_batch", [body("b-1"), body("b-2", total_amount=-1), body("b-3")])
    assert [a.get("claim_id") for a in answers] == ["b-1", None, "b-3"]
    assert (answers[1]["status"], answers[1]["index"]) == (422, 1)


def test_more_claims_than_one_request_may_carry_are_sent_in_several(call: Call) -> None:
    few = [{"claim": claim(f"m-{n}", patient_id=f"p-{n}")} for n in range(1_001)]
    answers = call("add_claims", few)
    assert [sum(a["counts"].values()) for a in answers] == [1_000, 1]


def test_outcomes_are_added_once(call: Call) -> None:
    found = {"entity": "claim", "entity_id": "c-1", "verdict": "waste", "decided_at": datetime(2024, 5, 1)}
    assert call("outcomes", [found])[0]["counts"].keys() <= {"added", "unchanged"}
    assert call("outcomes", [found])[0]["counts"] == {"unchanged": 1}


def test_a_report_comes_as_an_object_or_as_a_page(call: Call) -> None:
    call("score", claim("r-1"), lines(4))
    assert call("report", "r-1")["entity_id"] == "r-1"
    assert call("report", "r-1", "html", "zh-CN").lower().startswith("<!doctype html>")


def test_a_paper_comes_as_its_file(call: Call) -> None:
    call("score", claim("p-1", provider_id="h-1"), lines(4))
    page = call("paper", "scorecard", "html", "zh-CN", provider="h-1", period="2024-04")
    assert page.lower().startswith(b"<!doctype html>")
    assert orjson.loads(call("paper", "ranking", "json", least=5))["content"]["title"].startswith("Ranking of physic")
    assert call("paper", "monthly", period="2024-04").startswith(b"%PDF-")
    with pytest.raises(FraudProblem, match="period"):
        call("paper", "monthly", period="soon")


def test_the_ledger_says_what_was_done_and_where_it_ends(call: Call) -> None:
    call("score", claim("l-1"), lines(1))
    call("report", "l-1", "html")
    told = call("ledger", record="claim:l-1", most=1)
    assert [e["what"] for e in told["entries"]] == ["claim.read"]
    assert told["seal"]


def test_the_models_in_force_are_told(call: Call) -> None:
    assert call("model")["catalogue"].startswith("sha256:")


def test_a_problem_is_raised_with_every_fault(call: Call) -> None:
    with pytest.raises(FraudProblem) as caught:
        call("score", claim("c-9", total_amount=-1, visit_type="x"))
    problem = caught.value
    assert (problem.status, problem.code) == (422, "faults")
    assert {(e["pointer"], e["code"]) for e in problem.errors} == {
        ("/claim/total_amount", "negative"),
        ("/claim/visit_type", "not_in_set"),
    }
    assert problem.request_id
    assert "/claim/total_amount" in str(problem)


def test_what_nobody_knows_is_a_problem_with_its_name(call: Call) -> None:
    with pytest.raises(FraudProblem, match="no-model"):
        call("risk", "provider", "h-1")
    with pytest.raises(FraudProblem, match="not-found"):
        call("report", "a/b?c=d")


def test_the_same_key_gets_the_same_answer(call: Call) -> None:
    first, second = (call("score", claim("k-1"), idempotency_key="mine") for _ in range(2))
    assert first == second
    with pytest.raises(FraudProblem, match="key-reused"):
        call("score", claim("k-2"), idempotency_key="mine")


def test_a_service_that_does_not_listen_is_not_ready() -> None:
    assert _sync("http://127.0.0.1:9", "ready") is False
    assert _async("http://127.0.0.1:9", "ready") is False


def test_both_clients_have_the_same_calls_with_the_same_parameters() -> None:
    for name in CALLS:
        one, other = (inspect.signature(getattr(c, name)) for c in (FraudClient, AsyncFraudClient))
        assert one == other
        assert inspect.iscoroutinefunction(getattr(AsyncFraudClient, name))


def test_what_is_raised_has_one_base() -> None:
    assert issubclass(FraudProblem, FraudClientError)
    assert issubclass(FraudUnreachable, FraudClientError)
    assert set(fraud.client.__all__) == {
        "AsyncFraudClient",
        "FraudClient",
        "FraudClientError",
        "FraudProblem",
        "FraudUnreachable",
        "Retrying",
    }


def test_the_client_needs_nothing_of_the_engine() -> None:
    """In a process of its own, so that what tests import does not count."""
    code = "import fraud.client, sys; print(*sorted(m for m in sys.modules if m.startswith('fraud')))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(m == "fraud" or m.startswith("fraud.client") for m in found.stdout.split())
