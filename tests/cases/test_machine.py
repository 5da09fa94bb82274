"""Any number of people doing anything in any order: what must always hold of a case, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fraud.review.cases import STATES, Actor, Case, CaseRefusedError, Casework, Proposal, money
from fraud.review.cases.workflow import ALLOWED
from fraud.store import Store
from fraud.store.ledger import Record
from fraud.store.recoveries import left_of
from fraud.store.tables import CANONICAL
from tests.cases.parts import ANN, BOB, EVE, EVERYWHERE, FOUND, NOTHING, READER, SUE, Clock, scored

ACTORS = (ANN, BOB, EVE, SUE, READER)
MORE = Proposal("needs_more_evidence", "The ward's record is missing.")
DAY = date(2026, 2, 9)


def taken_off(work: Casework, case_id: str, actor: Actor) -> object:
    """The first payment of which something is left, taken off as a whole."""
    left = left_of(work.file(case_id, actor).recoveries)
    number = next((n for n, amount in left.items() if amount > 1), 1)
    amount = left.get(number, 1.0)
    return work.change(case_id, actor, (lambda s, at: money.reverse(s, actor, at, number, amount, "another case"),))


# Every step by its name, as anybody would take it.
STEPS: dict[str, Callable[[Casework, str, Actor], object]] = {
    "take": lambda w, c, a: w.take(c, a),
    "assign": lambda w, c, a: w.assign(c, a, "eve"),
    "hand_back": lambda w, c, a: w.hand_back(c, a, "away next week"),
    "prioritise": lambda w, c, a: w.prioritise(c, a, "urgent", "a complaint"),
    "ask_evidence": lambda w, c, a: w.ask_evidence(c, a, "file", "the record of the ward", "h-1"),
    "evidence_arrived": lambda w, c, a: w.evidence_arrived(c, a),
    "check": lambda w, c, a: w.check(c, a, "A long stay.", "refuted", "one day"),
    "propose": lambda w, c, a: w.propose(c, a, FOUND),
    "confirm": lambda w, c, a: w.confirm(c, a),
    "send_back": lambda w, c, a: w.send_back(c, a, "ask the ward first"),
    "unfounded": lambda w, c, a: w.unfounded(c, a, "both were done"),
    "appeal": lambda w, c, a: w.appeal(c, a, "both were done", "the hospital"),
    "decide_appeal": lambda w, c, a: w.decide_appeal(c, a, upheld=True, reason="right", reopen=True),
    "close": lambda w, c, a: w.close(c, a, "nobody objects", waived=True),
    "follow_up": lambda w, c, a: w.follow_up(c, a, satisfaction=4),
    "attach": lambda w, c, a: w.attach(c, a, "record.txt", "text/plain", b"one"),
    "note": lambda w, c, a: w.note(c, a, "called the ward"),
    "recover": lambda w, c, a: w.change(c, a, (lambda s, at: money.recover(s, a, at, 20.1, DAY, "t-7", "interest"),)),
    "reverse": lambda w, c, a: taken_off(w, c, a),
}


def test_every_step_is_tried() -> None:
    assert set(STEPS) == set(ALLOWED)


class Machine(RuleBasedStateMachine):
    """One case, several people, and a clock."""

    store: Store
    made = 0

    @initialize(amount=st.sampled_from([100.0, 50_000.0]), drawn=st.booleans())
    def open(self, amount: float, drawn: bool) -> None:
        Machine.made += 1
        self.clock = Clock(datetime(2026, 2, 9, 9))
        self.work = Casework(self.store, clock=self.clock)
        self.entity_id = f"claim-{Machine.made}"
        chosen = {"selected_by": "random", "chance": 0.01} if drawn else {}
        case = self.work.open(scored(self.entity_id, amount=amount), ANN, **chosen)  # type: ignore[arg-type]
        self.case_id, self.drawn, self.outcomes = case.case_id, drawn, 0

    @property
    def case(self) -> Case:
        return self.work.get(self.case_id)

    @rule(step=st.sampled_from(sorted(STEPS)), actor=st.sampled_from(ACTORS))
    def anything(self, step: str, actor: Actor) -> None:
        self.do(step, actor)

    @rule(data=st.data())
    def something_that_is_possible(self, data: st.DataObject) -> None:
        actor = data.draw(st.sampled_from(ACTORS[:4]))
        if steps := self.work.possible(self.case, actor):
            self.do(data.draw(st.sampled_from(steps)), actor)

    @rule(proposal=st.sampled_from([NOTHING, MORE]))
    @precondition(lambda self: self.case.state in ("assigned", "evidence"))
    def propose_another_result(self, proposal: Proposal) -> None:
        self.work.propose(self.case_id, SUE, proposal)

    @rule(hours=st.sampled_from([0.5, 30, 500]))
    def wait(self, hours: float) -> None:
        self.clock.pass_by(hours=hours)

    def do(self, step: str, actor: Actor) -> None:
        # Two decisions of one case are never made at the same moment.
        self.clock.pass_by(seconds=1)
        before = self.case
        may = step in self.work.possible(before, actor)
        try:
            STEPS[step](self.work, self.case_id, actor)
            done = True
        except CaseRefusedError:
            done = False
        assert done == may
        if not done:
            assert self.case == before
            return
        assert self.case.revision == before.revision + 1
        decided = before.decided_at is None and self.case.decided_at is not None
        withdrawn = step == "decide_appeal" and before.result == "violation"
        self.outcomes += decided + withdrawn

    @invariant()
    def two_people_confirm(self) -> None:
        case = self.case
        if case.state == "confirmed" or (case.result == "violation" and case.decided_at):
            assert case.proposer
            assert case.signer
            assert case.proposer != case.signer

    @invariant()
    def every_decision_is_one_outcome(self) -> None:
        outcomes = CANONICAL["outcomes"]
        query = sa.select(outcomes).where(outcomes.c.entity_id == self.entity_id)
        with self.store.database.read() as connection:
            found = connection.execute(query).mappings().all()
        assert len(found) == self.outcomes
        assert {row["source"] for row in found} <= {"random_check" if self.drawn else "desk_review"}
        assert all(len(row["investigators"]) == 2 for row in found if row["verdict"] == "improper_payment")

    @invariant()
    def the_history_adds_up_to_the_state(self) -> None:
        case, history = self.case, self.work.history(self.case_id)
        assert [e.number for e in history] == list(range(1, case.events + 1))
        assert [e.state_before for e in history] == [None, *(e.state_after for e in history[:-1])]
        assert history[-1].state_after == case.state
        assert case.state in STATES
        entries = self.work.ledger.entries(Record("case", self.case_id))
        assert len(entries) == case.events

    @invariant()
    def money_is_the_sum_of_its_entries(self) -> None:
        entries = self.work.file(self.case_id, ANN).recoveries
        assert round(sum(e.amount for e in entries), 2) == (self.case.recovered_amount or 0.0)
        assert all(left > -1e-9 for left in left_of(entries).values())

    @invariant()
    def clocks_run_forwards_and_stand_still(self) -> None:
        case, now = self.case, self.clock()
        assert (case.seconds_left(now) or 0.0) >= 0
        assert not (case.paused and case.overdue(now))
        assert case.paused == (case.evidence_due_at is not None)
        assert (case.clock is None) == (case.state in ("confirmed", "unfounded", "closed"))


@EVERYWHERE
@pytest.mark.requirement("000-48", "002-24")
def test_whatever_people_do_two_confirm_each_decision_counts_once_and_the_history_adds_up(
    store: Store, request: pytest.FixtureRequest
) -> None:
    Machine.store = store
    on_sqlite = "sqlite" in request.node.name
    how = settings(max_examples=18 if on_sqlite else 3, stateful_step_count=30, deadline=None, database=None)
    run_state_machine_as_test(Machine, settings=how)
    assert Casework(store).ledger.verify().holds
