"""Money that came back: entered once, taken off again by entries of its own, and never changed."""

from __future__ import annotations

import json
import zipfile
from datetime import date, datetime, timedelta
from io import BytesIO

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner, Result

from fraud.cli import app
from fraud.errors import InputError
from fraud.review.cases import Actor, Case, CaseRefusedError, Casework, Chosen, money
from fraud.review.cases.casework import StepOf
from fraud.review.cases.referral import referral_pack
from fraud.store import Store
from fraud.store.ledger import Record
from fraud.store.recoveries import left_of, recoveries
from fraud.store.retention import Warrant, destroy, due
from tests.cases.parts import ANN, BOB, EVERYWHERE, READER, SUE, Clock, confirmed, scored, taken

DAY = date(2026, 3, 2)


def payment(amount: float, actor: Actor = ANN, on: date = DAY, told: str = "transfer 7", why: str = "") -> StepOf:
    return lambda case, at: money.recover(case, actor, at, amount, on, told, why)


def paid(work: Casework, case: Case, amount: float, actor: Actor = ANN, reason: str = "") -> Case:
    """The case with a payment of its first day."""
    return work.change(case.case_id, actor, (payment(amount, actor, why=reason),))


def taken_off(work: Casework, case: Case, number: int, amount: float, reason: str | None = "another case") -> Case:
    """The case with a counter-entry to a payment."""
    return work.change(case.case_id, SUE, (lambda c, at: money.reverse(c, SUE, at, number, amount, reason),))


def faults_of(caught: pytest.ExceptionInfo[InputError]) -> set[tuple[str, str]]:
    return {(f.where, f.code) for f in caught.value.faults}


@EVERYWHERE
def test_what_came_back_is_the_sum_of_entries_that_are_never_changed(work: Casework, store: Store) -> None:
    case = confirmed(work)
    assert case.recovered_amount is None
    assert (paid(work, case, 40.0).recovered_amount, paid(work, case, 20.0).recovered_amount) == (40.0, 60.0)
    first, second = work.file(case.case_id, ANN).recoveries
    assert taken_off(work, case, first.number, 15.5).recovered_amount == 44.5
    entries = work.file(case.case_id, ANN).recoveries
    assert entries[:2] == (first, second)
    assert (entries[2].amount, entries[2].corrects, entries[2].received_on) == (-15.5, first.number, DAY)
    assert left_of(entries) == {first.number: 24.5, second.number: 20.0}
    with pytest.raises(DBAPIError, match="only ever added to"), store.database.write() as connection:
        connection.execute(sa.update(recoveries).values(amount=1.0))
    told = [e.what for e in work.ledger.entries(Record("case", case.case_id))]
    assert (told.count("case.recovered"), told.count("case.recovery_reversed")) == (2, 1)
    assert work.ledger.verify().holds


def test_more_than_was_confirmed_comes_back_only_for_a_reason(work: Casework) -> None:
    case = paid(work, confirmed(work), 60.0)
    with pytest.raises(InputError) as caught:
        paid(work, case, 0.01)
    assert faults_of(caught) == {("/reason", "more_than_confirmed")}
    assert paid(work, case, 3.0, reason="interest").recovered_amount == 63.0


def test_an_entry_names_all_that_is_wrong_with_it(work: Casework, clock: Clock) -> None:
    case = paid(work, confirmed(work), 10.0)
    with pytest.raises(InputError) as caught:
        work.change(case.case_id, ANN, (payment(-1.0, on=DAY + timedelta(days=1), told=" "),))
    assert faults_of(caught) == {("/amount", "out_of_range"), ("/on", "ahead"), ("/reference", "missing")}
    for number, amount, reason, fault in (
        (1, 5.0, "x", ("/corrects", "no_such_payment")),
        (case.events, 10.1, "x", ("/amount", "more_than_left")),
        (case.events, 5.0, None, ("/reason", "missing")),
    ):
        with pytest.raises(InputError) as caught:
            taken_off(work, case, number, amount, reason)
        assert faults_of(caught) == {fault}
    assert work.get(case.case_id) == case


def test_money_comes_back_where_a_violation_was_confirmed_and_can_always_be_taken_off(
    work: Casework, clock: Clock
) -> None:
    open_case = taken(work, "c-2")
    with pytest.raises(CaseRefusedError, match="cannot recover"):
        paid(work, open_case, 1.0)
    cleared = work.unfounded(open_case.case_id, ANN, "both were done")
    assert "recover" not in work.possible(work.close(cleared.case_id, ANN, "done", waived=True), ANN)
    case = paid(work, confirmed(work), 60.0)
    with pytest.raises(CaseRefusedError, match="auditor reads"):
        paid(work, case, 1.0, READER)
    clock.pass_by(seconds=1)
    work.appeal(case.case_id, ANN, "both were done")
    again = work.decide_appeal(case.case_id, SUE, True, "right", reopen=True)
    assert (again.state, "recover" in work.possible(again, SUE), "reverse" in work.possible(again, SUE)) == (
        "open", False, True,
    )  # fmt: skip
    given_back = taken_off(work, again, case.events, 60.0, "the appeal was upheld")
    assert (given_back.recovered_amount, "reverse" in work.possible(given_back, SUE)) == (0.0, False)


def test_two_who_enter_money_at_once_do_not_lose_any(work: Casework) -> None:
    case = confirmed(work)
    paid(work, case, 20.0)
    with pytest.raises(CaseRefusedError, match="changed this case"):
        work.change(case.case_id, BOB, (payment(5.0, BOB),), revision=case.revision)
    assert work.change(case.case_id, BOB, (payment(5.0, BOB),)).recovered_amount == 25.0


def test_money_is_handed_over_with_the_case_and_destroyed_with_it(work: Casework, store: Store) -> None:
    case = paid(work, confirmed(work), 60.0)
    with zipfile.ZipFile(BytesIO(referral_pack(work, case.case_id))) as pack:
        assert json.loads(pack.read("recoveries.json"))[0]["amount"] == 60.0
    assert due(store.database, datetime(2030, 1, 1))["recoveries"] == 0
    work.close(case.case_id, ANN, "paid", waived=True)
    destroyed = destroy(store.database, datetime(2030, 1, 1), "person:a", Warrant("b", "c", "too old"))
    assert (destroyed.rows["recoveries"], destroyed.rows["cases"]) == (1, 1)


def test_money_is_entered_at_the_command_line(
    work: Casework, store: Store, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_DATABASE_URL", address)
    case = confirmed(work)

    def run(*given: str) -> Result:
        return CliRunner().invoke(app, ["cases", "recover", case.case_id, *given])

    said = run("--amount", "45.5", "--on", "2026-03-12", "--reference", "t-1", "--by", "office-1")
    assert (said.exit_code, said.stdout) == (0, "Number 5: +45.50; 45.50 of 60.00 came back.\n")
    told = json.loads(run("--corrects", "5", "--amount", "0.5", "--reason", "typed wrongly", "--json").stdout)
    assert (told["recovered_amount"], [p["amount"] for p in told["payments"]]) == (45.0, [45.5, -0.5])
    assert told["patient_id"].startswith("patient:")
    assert isinstance(run("--amount", "100", "--on", "2026-03-12", "--reference", "t").exception, InputError)


def test_what_is_searched_for_can_be_bounded_by_money_and_probability(work: Casework) -> None:
    for n in range(10):
        work.open(scored(f"c-{n}", amount=100.0 * n, probability=n / 10 if n else None), ANN)

    def found(**more: float) -> list[float | None]:
        return [c.amount for c in work.search(Chosen(**more), order="amount").cases]  # type: ignore[arg-type]

    assert found(amount_at_least=300.0, amount_below=500.0) == [300.0, 400.0]
    assert found(probability_at_least=0.3, probability_below=0.5) == [300.0, 400.0]
    assert found(probability_below=1.0, amount_below=200.0) == [100.0]
