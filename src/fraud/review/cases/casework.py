"""Everything that can be done with cases, on the store: each change is one transaction with its event and entry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection

from fraud.errors import FraudError, InputError, NotKnownError
from fraud.review.cases import filing, workflow
from fraud.review.cases.assigning import in_hands
from fraud.review.cases.calendar import WorkingDays, working_days
from fraud.review.cases.opening import new_case
from fraud.review.cases.refusals import CaseRefusedError
from fraud.review.cases.rules import CaseRules
from fraud.review.cases.shapes import Actor, CaseFile, Counts, Page, Planned, Progress, Proposal
from fraud.review.cases.workflow import Moment, Step
from fraud.store.casework import rows, searching
from fraud.store.casework.shapes import ORDERS, Attachment, Case, CaseEvent, Chosen, Scored, SelectedBy, Within
from fraud.store.ledger import Event, Ledger, Record
from fraud.store.outcomes import add_outcomes, outcomes_about
from fraud.store.recoveries import add_recovery, left_of, recoveries_of

if TYPE_CHECKING:
    from fraud.review.queue import Queue
    from fraud.store import Store

__all__ = ["Casework", "StepOf"]

MOST_ON_A_PAGE = 1_000
# What makes a step of a case as it stands when its turn comes.
StepOf = Callable[[Case, Moment], Step]
_Tell = Callable[[Case, Case, CaseEvent], None]
_Note = Callable[[Connection, Case, CaseEvent, str], None]
_NO_BOUNDS, _ALL = Within(), Chosen()


def _unheard(before: Case, after: Case, event: CaseEvent) -> None:
    """Nobody is told."""


class Casework:
    """The cases of one store, under rules, by a clock (civil time without a zone).

    Every method that changes a case gives it back as it stands then, and raises `NotKnownError` for a number that
    is not there, `CaseRefusedError` for a step that cannot be taken (its `why` and `allowed` say more) and
    `InputError` with all faults for what was said wrongly. With `revision`, the one that the caller has seen, a case
    that somebody else has changed since is left as it is. Changes are entries of the ledger; reading is not told
    here: whoever shows a case to somebody tells the ledger who looked.

    `note` writes within each change, given the case after, the event and whose account did it; `tell` hears of it once
    it is durable: the case before and after, and the event.
    """

    def __init__(
        self,
        store: Store,
        rules: CaseRules | None = None,
        clock: Callable[[], datetime] = datetime.now,
        *,
        ledger: Ledger | None = None,
        days: WorkingDays | None = None,
        tell: _Tell = _unheard,
        note: _Note | None = None,
    ) -> None:
        self.rules = rules or CaseRules()
        self.clock = clock
        self._store = store
        self._ledger = ledger or Ledger(store.database)
        self._days = days or working_days()
        self._tell, self._note = tell, note

    # --- reading ------------------------------------------------------------------------------------------

    def get(self, case_id: str) -> Case:
        """One case."""
        with self._store.database.read() as connection:
            return _known(rows.case_of(connection, case_id.upper()))

    def file(self, case_id: str, actor: Actor) -> CaseFile:
        """One case with its history, files, checks, last proposal, and the steps that this person can take now."""
        with self._store.database.read() as connection:
            case = _known(rows.case_of(connection, case_id.upper()))
            history = rows.events_of(connection, case.case_id)
            files = rows.attachments_of(connection, case.case_id)
            money = recoveries_of(connection, case.case_id)
        now = self.clock()
        return CaseFile(
            case,
            history,
            files,
            workflow.possible(case, actor, self._moment(now)),
            filing.checks_in(history),
            filing.proposal_in(history),
            filing.notes_on(case, now, self._days),
            money,
        )

    def history(self, case_id: str) -> tuple[CaseEvent, ...]:
        """What was done in a case, from its beginning."""
        with self._store.database.read() as connection:
            return rows.events_of(connection, case_id.upper())

    def attachments(self, case_id: str) -> tuple[Attachment, ...]:
        """The files of a case, without their content."""
        with self._store.database.read() as connection:
            return rows.attachments_of(connection, case_id.upper())

    def attachment(self, case_id: str, number: int) -> tuple[Attachment, bytes]:
        """A file of a case with its content; raises `FraudError` for one that was changed since it was handed in."""
        with self._store.database.read() as connection:
            found = {a.number: a for a in rows.attachments_of(connection, case_id.upper())}
            content = rows.attachment_content(connection, case_id.upper(), number)
        if number not in found or content is None:
            raise NotKnownError(f"The case has no file number {number}; it has {len(found)}.")
        if hashlib.sha256(content).hexdigest() != found[number].digest:
            raise FraudError(f"File {number} of case {case_id} is not what was handed in: its SHA-256 differs.")
        return found[number], content

    def about(self, entity: str, entity_id: str) -> tuple[Case, ...]:
        """All cases about a claim, patient, provider or physician, the latest first."""
        with self._store.database.read() as connection:
            return rows.cases_about(connection, entity, entity_id)

    def outcomes(self, case: Case) -> tuple[Mapping[str, Any], ...]:
        """What investigations have found about the same claim or person, the earliest first."""
        with self._store.database.read() as connection:
            return outcomes_about(connection, case.entity, case.entity_id)

    def similar(self, case: Case, within: Within = _NO_BOUNDS, most: int = 10) -> tuple[Case, ...]:
        """Other cases that were decided, of the same type of violation: those of the same provider first."""
        kinds = (case.violation,) if case.violation else ()
        decided = Chosen(states=("confirmed", "unfounded", "appealed", "closed"), violations=kinds)
        ours = self.search(replace(decided, provider_id=case.provider_id), within, "-opened", most + 1).cases
        others = self.search(decided, within, "-opened", 2 * most + 1).cases if len(ours) <= most else ()
        found = {c.case_id: c for c in (*ours, *others) if c.case_id != case.case_id}
        return tuple(found.values())[:most]

    def search(
        self,
        chosen: Chosen = _ALL,
        within: Within = _NO_BOUNDS,
        order: str = "-worth",
        most: int = 50,
        skip: int = 0,
    ) -> Page:
        """A page of the cases that are looked for, within somebody's bounds, in one of `ORDERS`, with the total."""
        if order not in ORDERS or not 0 < most <= MOST_ON_A_PAGE or skip < 0:
            raise InputError(f"A page has 1 to {MOST_ON_A_PAGE:,} cases; its order is one of: {', '.join(ORDERS)}.")
        now = self.clock()
        with self._store.database.read() as connection:
            total = searching.how_many(connection, chosen, within, now)
            found = searching.found_cases(connection, chosen, within, now, order, most, skip) if total > skip else ()
        return Page(found, total, skip)

    def counts(self, chosen: Chosen = _ALL, within: Within = _NO_BOUNDS) -> Counts:
        """How many of the cases that are looked for there are, by state and priority, and how many are overdue."""
        with self._store.database.read() as connection:
            return filing.counted(searching.counts_of(connection, chosen, within, self.clock()))

    def possible(self, case: Case, actor: Actor) -> tuple[str, ...]:
        """The steps that this person can take now."""
        return workflow.possible(case, actor, self._moment(self.clock()))

    # --- opening ------------------------------------------------------------------------------------------

    def open(
        self,
        scored: Scored,
        actor: Actor,
        *,
        selected_by: SelectedBy = "investigator",
        chance: float | None = None,
        reason: str | None = None,
    ) -> Case:
        """The case about a claim or person in which nothing was decided yet: the one that is there, or a new one.

        Cases of flagged claims are opened with their decision (`fraud.review.cases.opening`); this opens all others.
        """

        def work(connection: Connection) -> Case:
            found = rows.undecided_about(connection, scored.entity, scored.entity_id)
            return found or self.open_in(connection, scored, actor, selected_by, chance, reason)

        return self._store.database.transact(work)

    def open_in(
        self,
        connection: Connection,
        scored: Scored,
        actor: Actor,
        selected_by: SelectedBy,
        chance: float | None = None,
        reason: str | None = None,
    ) -> Case:
        """A new case, in a transaction of the caller's, who has seen that nobody works on one about the same."""
        before = rows.cases_about(connection, scored.entity, scored.entity_id)
        turn = before[0].round + 1 if before else 0
        made = new_case(scored, self.clock(), self.rules, turn=turn, selected_by=selected_by, chance=chance)
        rows.insert_case(connection, made)
        told = {"selected_by": selected_by, "chance": chance, "violation": made.violation, "priority": made.priority}
        self._add_event(connection, None, made, actor, "opened", {**told, "reason": reason}, made.opened_at)
        return made

    # --- who works on it ----------------------------------------------------------------------------------

    def take(self, case_id: str, actor: Actor, revision: int | None = None) -> Case:
        """The case in the actor's own hands."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.take(case, actor, at))

    def assign(self, case_id: str, actor: Actor, to: str, revision: int | None = None) -> Case:
        """The case in somebody's hands."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.assign(case, actor, at, to))

    def assign_many(
        self, case_ids: Sequence[str], actor: Actor, to: str
    ) -> tuple[tuple[Case, ...], dict[str, InputError]]:
        """The cases that are in somebody's hands then, and why each of the others is not."""
        done: list[Case] = []
        refused: dict[str, InputError] = {}
        for case_id in dict.fromkeys(case_ids):
            try:
                done.append(self.assign(case_id, actor, to))
            except InputError as error:
                refused[case_id] = error
        return tuple(done), refused

    def hand_back(self, case_id: str, actor: Actor, reason: str, revision: int | None = None) -> Case:
        """The case in nobody's hands."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.hand_back(case, actor, at, reason))

    def prioritise(
        self, case_id: str, actor: Actor, priority: str, reason: str | None = None, revision: int | None = None
    ) -> Case:
        """The case with another priority, and its clock; a lower one needs a reason."""
        return self._one(
            case_id, actor, revision, lambda case, at: workflow.prioritise(case, actor, at, priority, reason)
        )

    # --- evidence -----------------------------------------------------------------------------------------

    def ask_evidence(
        self,
        case_id: str,
        actor: Actor,
        kind: str,
        what: str,
        of: str | None = None,
        days: int | None = None,
        revision: int | None = None,
    ) -> Case:
        """The case while evidence is awaited; `kind` is file or inquiry, `days` working days in place of the usual."""
        return self._one(
            case_id, actor, revision, lambda case, at: workflow.ask_evidence(case, actor, at, kind, what, of, days)
        )

    def evidence_arrived(
        self, case_id: str, actor: Actor, remark: str | None = None, missing: bool = False, revision: int | None = None
    ) -> Case:
        """The case once evidence is there, or with `missing` once it is known to be lost or never made."""
        return self._one(
            case_id, actor, revision, lambda case, at: workflow.evidence_arrived(case, actor, at, remark, missing)
        )

    def check(
        self,
        case_id: str,
        actor: Actor,
        explanation: str,
        answer: str,
        remark: str | None = None,
        revision: int | None = None,
    ) -> Case:
        """The case with an innocent explanation looked into: refuted (with a remark), holds or open."""
        return self._one(
            case_id, actor, revision, lambda case, at: workflow.check(case, actor, at, explanation, answer, remark)
        )

    def note(self, case_id: str, actor: Actor, text: str, kind: str = "note", revision: int | None = None) -> Case:
        """The case with something written down; `kind` is note, cause, or change of a rule or model."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.note(case, actor, at, text, kind))

    def attach(
        self,
        case_id: str,
        actor: Actor,
        name: str,
        media_type: str,
        content: bytes,
        revision: int | None = None,
    ) -> tuple[Case, Attachment]:
        """The case with a file of at most 10 MiB, and the file; sealed at rest where the store is."""
        changed = self._one(
            case_id, actor, revision, lambda case, at: workflow.attach(case, actor, at, name, media_type, content)
        )
        return changed, self.attachments(case_id)[-1]

    # --- deciding -----------------------------------------------------------------------------------------

    def propose(self, case_id: str, actor: Actor, proposal: Proposal, revision: int | None = None) -> Case:
        """The case with a result that waits for a second signature."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.propose(case, actor, at, proposal))

    def confirm(self, case_id: str, actor: Actor, remark: str | None = None, revision: int | None = None) -> Case:
        """The case as it was proposed, signed by another person; its outcome becomes a label."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.confirm(case, actor, at, remark))

    def send_back(self, case_id: str, actor: Actor, reason: str, revision: int | None = None) -> Case:
        """The case with whoever proposed, to look again."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.send_back(case, actor, at, reason))

    def unfounded(
        self, case_id: str, actor: Actor, reason: str, verdict: str | None = None, revision: int | None = None
    ) -> Case:
        """The case without a violation, signed by two or, where little is at stake, by one."""
        return self._one(
            case_id, actor, revision, lambda case, at: workflow.unfounded(case, actor, at, reason, verdict)
        )

    def appeal(
        self, case_id: str, actor: Actor, reason: str, by: str | None = None, revision: int | None = None
    ) -> Case:
        """The case with an objection, within 10 working days of the decision."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.appeal(case, actor, at, reason, by))

    def decide_appeal(
        self,
        case_id: str,
        actor: Actor,
        upheld: bool,
        reason: str,
        reopen: bool = False,
        revision: int | None = None,
    ) -> Case:
        """The case after its appeal: closed, or with `upheld` and `reopen` open again."""
        return self._one(
            case_id, actor, revision, lambda case, at: workflow.decide_appeal(case, actor, at, upheld, reason, reopen)
        )

    def close(
        self,
        case_id: str,
        actor: Actor,
        reason: str | None = None,
        waived: bool = False,
        revision: int | None = None,
    ) -> Case:
        """The case closed, once the time to appeal is over or the appeal was waived."""
        return self._one(case_id, actor, revision, lambda case, at: workflow.close(case, actor, at, reason, waived))

    def follow_up(
        self,
        case_id: str,
        actor: Actor,
        on: date | None = None,
        satisfaction: int | None = None,
        remark: str | None = None,
        measure: str | None = None,
        revision: int | None = None,
    ) -> Case:
        """The case with its follow-up: the day, how satisfied whoever was concerned is (1 to 5), what was done."""

        def step(case: Case, at: Moment) -> Step:
            return workflow.follow_up(case, actor, at, on, satisfaction, remark, measure)

        return self._one(case_id, actor, revision, step)

    # --- the week -----------------------------------------------------------------------------------------

    def plan(self, queue: Queue, actor: Actor) -> Planned:
        """The week's list put onto cases: opened where there is none, each with its place and why it was chosen."""
        from fraud.review.cases.planning import planned

        return planned(self, queue, actor)

    def progress(self, week: date, within: Within = _NO_BOUNDS) -> Progress:
        """How far the list of a week has come, against the capacity of the team."""
        from fraud.review.cases.planning import progress_of

        return progress_of(self, week, within)

    # --- in one transaction -------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The store that the cases are in."""
        return self._store

    @property
    def ledger(self) -> Ledger:
        """The ledger that is told of changes."""
        return self._ledger

    def _moment(self, now: datetime) -> Moment:
        return Moment(now, self.rules, self._days)

    def _one(self, case_id: str, actor: Actor, revision: int | None, step: StepOf) -> Case:
        return self.change(case_id, actor, (step,), revision)

    def change(
        self,
        case_id: str,
        actor: Actor,
        steps: Sequence[StepOf],
        revision: int | None = None,
        finish: Callable[[Connection, Case], None] = lambda connection, case: None,
    ) -> Case:
        """The case after several steps (see `fraud.review.cases.workflow`), all of them or none.

        `finish` is given the case as it stands then, within the same transaction; it may run more than once.
        """

        def work(connection: Connection) -> list[tuple[Case, Case, CaseEvent]]:
            case = _known(rows.case_of(connection, case_id.upper(), to_change=True))
            if revision is not None and revision != case.revision:
                raise _changed()
            now = self._moment(self.clock())
            at, done = replace(now, left=lambda: left_of(recoveries_of(connection, case.case_id))), []
            for step in steps:
                done.append(self._taken(connection, case, step(case, at), actor, at.now))
                case = done[-1][1]
            finish(connection, case)
            return done

        done = self._store.database.transact(work)
        for before, after, event in done:
            self._tell(before, after, event)
        return done[-1][1] if done else self.get(case_id)

    def _taken(
        self, connection: Connection, before: Case, step: Step, actor: Actor, now: datetime
    ) -> tuple[Case, Case, CaseEvent]:
        """Write what a step makes of a case, what the history says of it, and the outcomes that follow."""
        after = replace(step.case, revision=before.revision + 1, events=before.events + 1)
        if after.assignee is not None and after.assignee_id is None:
            after = in_hands(connection, after, actor)
        _check_alone(connection, before, after)
        if not rows.replace_case(connection, before, after):
            raise _changed()
        if step.file is not None:
            rows.add_attachment(connection, replace(step.file[0], number=after.events), step.file[1])
        if step.recovery is not None:
            add_recovery(connection, replace(step.recovery, number=after.events))
        if set(add_outcomes(connection, step.outcomes)) - {"added"}:
            # The same verdict at the very same moment is there already: nothing is decided without its outcome.
            raise _changed()
        event = self._add_event(connection, before, after, actor, step.what, step.details, now)
        if self._note is not None:
            self._note(connection, after, event, actor.account)
        return before, after, event

    def _add_event(
        self,
        connection: Connection,
        before: Case | None,
        after: Case,
        actor: Actor,
        what: str,
        details: Any,
        now: datetime,
    ) -> CaseEvent:
        said = {k: v for k, v in dict(details).items() if v is not None}
        state = before.state if before is not None else None
        event = CaseEvent(after.case_id, after.events, now, actor.person, what, state, after.state, said)
        rows.add_event(connection, event)
        digest = hashlib.sha256(rows.digest_bytes(said)).hexdigest()
        told = {"role": actor.role, "number": event.number, "from": state, "to": after.state, "details": digest}
        entry = Event(
            f"case.{what}",
            actor.id,
            Record("case", after.case_id),
            person=after.person,
            purpose=actor.purpose,
            request_id=actor.request_id,
            details=told,
        )
        self._ledger.add_in(connection, entry)
        return event


def _known(case: Case | None) -> Case:
    if case is None:
        raise NotKnownError("There is no case with this number.")
    return case


def _changed() -> CaseRefusedError:
    return CaseRefusedError("changed", "Somebody has changed this case since you read it. Read it again, then decide.")


def _check_alone(connection: Connection, before: Case, after: Case) -> None:
    """Refuse to open a case again beside another one about the same."""
    if after.at_work and not before.at_work:
        other = rows.undecided_about(connection, after.entity, after.entity_id)
        if other is not None:
            raise CaseRefusedError("state", f"Case {other.case_id} about the same is under way; go on there.")
