"""Any number of people doing anything in any order: what must always hold of a campaign, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fraud.review.campaigns import STATES, CampaignRefusedError, Campaigns, Inspected
from fraud.review.campaigns.workflow import ALLOWED
from fraud.review.cases import Actor
from fraud.store import Store
from fraud.store.ledger import Record
from tests.campaigns.parts import LEAD, LETTER, TRAINING, judged, opened, step
from tests.cases.parts import ANN, BOB, EVERYWHERE, READER, SUE, Clock

ACTORS = (ANN, BOB, SUE, LEAD, READER)


def first_open(work: Campaigns, number: str) -> int:
    tasks = work.dossier(number, "h-1", LEAD).tasks
    return next((t.number for t in tasks if not t.done), 1)


# Every step by its name, as anybody would take it.
STEPS: dict[str, Callable[[Campaigns, str, Actor], Inspected]] = {
    "tell": lambda w, n, a: step(w, n, "tell", a),
    "declare": lambda w, n, a: step(w, n, "declare", a, 1, 10.0, file=LETTER),
    "undeclared": lambda w, n, a: step(w, n, "undeclared", a, "reminded twice"),
    "plan": lambda w, n, a: step(w, n, "plan", a, TRAINING),
    "finish": lambda w, n, a: step(w, n, "finish", a, first_open(w, n), "done", LETTER),
    "submit": lambda w, n, a: step(w, n, "submit", a, "a mistaken rule"),
    "accept": lambda w, n, a: w.decide(n, "h-1", a, "accepted"),
    "return_": lambda w, n, a: w.decide(n, "h-1", a, "returned", "no list"),
    "refer": lambda w, n, a: w.decide(n, "h-1", a, "referred", "nobody answers"),
}


class Machine(RuleBasedStateMachine):
    """One provider in one campaign."""

    store: Store

    @initialize()
    def begin(self) -> None:
        self.clock = Clock(datetime(2026, 3, 2, 9))
        self.work = Campaigns(self.store, self.clock)
        self.number = opened(self.work, providers=("h-1",))
        self.hands = set[str]()

    @property
    def row(self) -> Inspected:
        return self.work.dossier(self.number, "h-1", LEAD).row

    @rule(name=st.sampled_from(sorted(STEPS)), actor=st.sampled_from(ACTORS))
    def take(self, name: str, actor: Actor) -> None:
        before = self.work.dossier(self.number, "h-1", actor)
        try:
            after = STEPS[name](self.work, self.number, actor)
        except CampaignRefusedError:
            # What is offered is never refused, and what is refused changes nothing.
            assert name not in before.possible
            assert self.row == before.row
            return
        assert name in before.possible
        assert before.row.state in ALLOWED[name]
        assert (after.revision, after.events) == (before.row.revision + 1, before.row.events + 1)
        assert after == self.row
        if name in ("plan", "finish", "submit"):
            self.hands.add(actor.person)
        if name in ("accept", "return_", "refer"):
            assert actor.person not in self.hands
            assert after.decided_by == actor.person

    @rule(days=st.integers(1, 15))
    def wait(self, days: int) -> None:
        self.clock.now += timedelta(days=days)

    @rule(actor=st.sampled_from(ACTORS))
    def come_too_late(self, actor: Actor) -> None:
        with pytest.raises(CampaignRefusedError):
            self.work.decide(self.number, "h-1", actor, "accepted", revision=self.row.revision + 1)

    @invariant()
    def what_is_accepted_has_nothing_open(self) -> None:
        dossier = self.work.dossier(self.number, "h-1", LEAD)
        assert dossier.row.state in STATES
        if dossier.row.state in ("acceptance", "accepted"):
            assert all(t.done for t in dossier.tasks)
        assert dossier.row.finished == (dossier.row.due_at is None)

    @invariant()
    def the_history_adds_up_and_the_ledger_has_each_step(self) -> None:
        dossier = self.work.dossier(self.number, "h-1", LEAD)
        history = dossier.history
        assert [e.number for e in history] == list(range(1, dossier.row.events + 1))
        assert [e.state_before for e in history] == [None, *(e.state_after for e in history[:-1])]
        assert history[-1].state_after == dossier.row.state
        assert len(self.work.ledger.entries(Record("campaign", self.number), most=200)) == len(history)
        assert {f.number for f in dossier.files} <= {e.number for e in history}


def play(store: Store, examples: int, steps: int) -> None:
    judged(store)
    Machine.store = store
    how = settings(max_examples=examples, stateful_step_count=steps, deadline=None, database=None)
    run_state_machine_as_test(Machine, settings=how)
    assert Campaigns(store).ledger.verify().holds


@EVERYWHERE
@pytest.mark.requirement("003-19", "001-57")
def test_whatever_people_do_others_accept_nothing_is_lost_and_no_step_that_is_offered_is_refused(
    store: Store, request: pytest.FixtureRequest
) -> None:
    play(store, *((5, 16) if "sqlite" in request.node.name else (1, 10)))


@pytest.mark.full
@EVERYWHERE
def test_the_same_holds_for_many_more_steps(store: Store) -> None:
    play(store, 30, 40)
