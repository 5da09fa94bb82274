"""The steps of a case, one function each: from how it stands to how it stands then. Nothing here touches a database.

    open ─ take, assign ─> assigned ─ ask_evidence ─> evidence ─ propose ─> proposed
    proposed ─ confirm ─> confirmed | unfounded | evidence      proposed ─ send_back ─> assigned
    confirmed | unfounded ─ appeal ─> appealed ─ decide_appeal ─> closed, or open again where it is upheld
    confirmed | unfounded ─ close ─> closed
    confirmed | appealed | closed ─ recover, reverse ─> the same, with money (`money.py`)

Every step that a state does not allow is refused with those that it does. Whoever proposed never signs, and whoever
proposed or signed never decides the appeal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from fraud.errors import Fault, InputError
from fraud.review.cases.calendar import WorkingDays, working_days
from fraud.review.cases.filing import accepted
from fraud.review.cases.refusals import CaseRefusedError
from fraud.review.cases.rules import CaseRules
from fraud.review.cases.shapes import (
    ANSWERS,
    EVIDENCE_KINDS,
    MEASURES,
    NOTE_KINDS,
    VERDICTS,
    Actor,
    Proposal,
)
from fraud.store.casework.shapes import PRIORITIES, STATES, Attachment, Case, Priority, State
from fraud.store.recoveries import Recovery

__all__ = ["ALLOWED", "ROLES_AT_WORK", "Moment", "Step", "possible"]

# Who may work on cases; `open` is whoever sits at a machine that asks nobody for a key.
ROLES_AT_WORK = ("investigator", "supervisor", "open")
_LEADS = ("supervisor", "open")
_UNDER_WAY: tuple[State, ...] = ("assigned", "evidence")
_DECIDED: tuple[State, ...] = ("confirmed", "unfounded")
# From which states each step can be taken.
ALLOWED: Mapping[str, tuple[State, ...]] = {
    "take": ("open",),
    "assign": ("open", *_UNDER_WAY),
    "hand_back": _UNDER_WAY,
    "prioritise": ("open", *_UNDER_WAY, "proposed"),
    "ask_evidence": _UNDER_WAY,
    "evidence_arrived": ("evidence",),
    "check": _UNDER_WAY,
    "propose": _UNDER_WAY,
    "confirm": ("proposed",),
    "send_back": ("proposed",),
    "unfounded": (*_UNDER_WAY, "proposed"),
    "appeal": _DECIDED,
    "decide_appeal": ("appealed",),
    "close": _DECIDED,
    "follow_up": (*_DECIDED, "appealed", "closed"),
    "recover": ("confirmed", "appealed", "closed"),
    "reverse": STATES,
    "attach": tuple(s for s in STATES if s != "closed"),
    "note": STATES,
}
_LONGEST = 10_000


@dataclass(frozen=True)
class Moment:
    """When a step is taken, and under which rules; `left` gets what is left of each payment, by its number."""

    now: datetime
    rules: CaseRules = field(default_factory=CaseRules)
    days: WorkingDays = field(default_factory=working_days)
    left: Callable[[], Mapping[int, float]] = dict

    def in_days(self, days: int) -> datetime:
        """So many working days from now."""
        return self.days.after(self.now, days)

    def first_action(self, priority: str) -> datetime:
        """When somebody should have begun."""
        return self.now + timedelta(hours=self.rules.hours[priority])


@dataclass(frozen=True)
class Step:
    """What a step makes of a case: how it stands then, what the history says, and the outcomes that follow.

    `file` is what was handed in, with its content; `recovery` is money that came back or was taken off again.
    """

    case: Case
    what: str
    details: Mapping[str, Any] = field(default_factory=dict)
    outcomes: tuple[Mapping[str, Any], ...] = ()
    file: tuple[Attachment, bytes] | None = None
    recovery: Recovery | None = None


def possible(case: Case, actor: Actor, at: Moment) -> tuple[str, ...]:
    """The steps that this person can take now, in the order of the workflow.

    A confirmed case can be closed before the time to appeal is over only by saying that nobody will.
    """
    return tuple(step for step in ALLOWED if _refusal(step, case, actor, at) is None)


def _refusal(step: str, case: Case, actor: Actor, at: Moment) -> CaseRefusedError | None:
    """Why this person cannot take this step; None where nothing is against it."""
    if actor.role not in ROLES_AT_WORK:
        return CaseRefusedError("role", f"The role {actor.role} reads cases and does not work on them.")
    if case.state not in ALLOWED[step]:
        open_steps = (s for s, states in ALLOWED.items() if case.state in states)
        from_here = tuple(s for s in open_steps if _without_money(s, case, actor, at) is None)
        said = f"A case that is {case.state} cannot {_said(step)}. From here: {', '.join(map(_said, from_here))}."
        return CaseRefusedError("state", said, from_here)
    return next((found for check in _CHECKS if (found := check(step, case, actor, at)) is not None), None)


def _said(step: str) -> str:
    return step.replace("_", " ")


def _not_theirs(step: str, case: Case, actor: Actor, at: Moment) -> CaseRefusedError | None:
    own = step in ("hand_back", "ask_evidence", "evidence_arrived", "check", "propose") or (
        step in ("unfounded", "assign") and case.state in _UNDER_WAY
    )
    theirs = case.assignee is None or actor.is_them(case.assignee_id, case.assignee)
    if own and not theirs and actor.role not in _LEADS:
        return CaseRefusedError("person", "Somebody else works on this case. A supervisor can assign it to you.")
    return None


def _same_person(step: str, case: Case, actor: Actor, at: Moment) -> CaseRefusedError | None:
    signs = step in ("confirm", "send_back") or (step == "unfounded" and case.state == "proposed")
    proposed = actor.is_them(case.proposer_id, case.proposer)
    signed = actor.is_them(case.signer_id, case.signer)
    if signs and proposed:
        return CaseRefusedError("person", "A second investigator must sign: you proposed this result yourself.")
    if step == "decide_appeal" and (proposed or signed):
        return CaseRefusedError("person", "Somebody who neither proposed nor signed the result decides the appeal.")
    return None


def _untimely(step: str, case: Case, actor: Actor, at: Moment) -> CaseRefusedError | None:
    if step == "appeal" and case.appeal_until is not None and at.now > case.appeal_until:
        return CaseRefusedError("time", f"The time to appeal ended on {case.appeal_until:%Y-%m-%d %H:%M}.", ("close",))
    if step == "evidence_arrived" and not case.paused:
        return CaseRefusedError("time", "No evidence is awaited in this case.", ("ask_evidence", "propose"))
    return None


def _not_alone(step: str, case: Case, actor: Actor, at: Moment) -> CaseRefusedError | None:
    if step != "unfounded":
        return None
    if case.state == "proposed" and case.result != "compliant":
        said = "Another result was proposed. Send the case back, or sign what was proposed."
        return CaseRefusedError("state", said, ("confirm", "send_back"))
    if case.state != "proposed" and (case.amount is None or case.amount >= at.rules.alone_below):
        least = f"{at.rules.alone_below:,.0f}"
        said = f"Unless less than {least} is at stake, two persons find a case unfounded. Propose it as compliant."
        return CaseRefusedError("person", said, ("propose",))
    return None


def _without_money(step: str, case: Case, actor: Actor, at: Moment) -> CaseRefusedError | None:
    if step == "recover" and case.result != "violation":
        return CaseRefusedError("state", "Nothing was confirmed in this case that could be paid back.")
    if step == "reverse" and not case.recovered_amount:
        return CaseRefusedError("state", "No money has come back in this case that could be taken off again.")
    return None


_CHECKS: tuple[Callable[[str, Case, Actor, Moment], CaseRefusedError | None], ...] = (
    _not_theirs,
    _same_person,
    _untimely,
    _not_alone,
    _without_money,
)


def require(step: str, case: Case, actor: Actor, at: Moment) -> None:
    """Raises `CaseRefusedError` for whoever cannot take this step."""
    if (refusal := _refusal(step, case, actor, at)) is not None:
        raise refusal


def text_of(name: str, value: str | None, *, needed: bool = True) -> str | None:
    """The text without the space around it; raises `InputError` for one that is missing or too long."""
    found = (value or "").strip()
    if needed and not found:
        raise InputError(f"{name} is missing.", [Fault(f"/{name}", "missing", "a required value is absent or null")])
    if len(found) > _LONGEST:
        raise InputError(
            f"{name} has {len(found):,} characters; {_LONGEST:,} at most.",
            [Fault(f"/{name}", "too_long", f"the text has more than {_LONGEST:,} characters")],
        )
    return found or None


def one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    """The value; raises `InputError` for one that is not known."""
    if value not in known:
        said = f"expected one of: {', '.join(known)}"
        raise InputError(f"{name}: {said}.", [Fault(f"/{name}", "not_in_set", said)])
    return value


# --- who works on it --------------------------------------------------------------------------------------


def take(case: Case, actor: Actor, at: Moment) -> Step:
    """The case in the hands of whoever takes it: the first action of most."""
    require("take", case, actor, at)
    taken = replace(case, state="assigned", assignee=actor.person, assignee_id=actor.account)
    return Step(_begun(taken, at), "taken")


def assign(case: Case, actor: Actor, at: Moment, to: str) -> Step:
    """The case in the hands of somebody; being given it is no action of theirs yet.

    Whose account the name is, is looked up when the step is written.
    """
    require("assign", case, actor, at)
    name = text_of("assignee", to)
    state: State = "assigned" if case.state == "open" else case.state
    given = replace(case, state=state, assignee=name, assignee_id=None)
    return Step(given, "assigned", {"to": name, "before": case.assignee})


def hand_back(case: Case, actor: Actor, at: Moment, reason: str | None) -> Step:
    """The case in nobody's hands again; evidence that was awaited is awaited no more."""
    require("hand_back", case, actor, at)
    said = {"reason": text_of("reason", reason), "before": case.assignee}
    return Step(replace(_resumed(case, at), state="open", assignee=None, assignee_id=None), "handed_back", said)


def prioritise(case: Case, actor: Actor, at: Moment, priority: str, reason: str | None) -> Step:
    """The case with another priority; a first action that is still due is due by its clock, from the opening on."""
    require("prioritise", case, actor, at)
    chosen: Priority = one_of("priority", priority, PRIORITIES)  # type: ignore[assignment]
    due = case.opened_at + timedelta(hours=at.rules.hours[chosen]) if case.clock == "first_action" else case.due_at
    # Who lets a case wait longer says why.
    later = PRIORITIES.index(chosen) > PRIORITIES.index(case.priority)
    said = {"from": case.priority, "to": chosen, "reason": text_of("reason", reason, needed=later)}
    return Step(replace(case, priority=chosen, due_at=due), "prioritised", said)


def _begun(case: Case, at: Moment) -> Case:
    """The case once somebody has acted: from then on its findings are due."""
    if case.first_action_at is not None:
        return case
    due = at.in_days(at.rules.findings_days)
    return replace(case, first_action_at=at.now, clock="findings", due_at=due)


# --- evidence ---------------------------------------------------------------------------------------------


def ask_evidence(
    case: Case, actor: Actor, at: Moment, kind: str, what: str | None, of: str | None = None, days: int | None = None
) -> Step:
    """The case while evidence is awaited: its clock stands still.

    `kind` is file (2 working days) or inquiry (5) unless `days` are given; `of` says who is to send it.
    """
    require("ask_evidence", case, actor, at)
    usual = {"file": at.rules.file_days, "inquiry": at.rules.inquiry_days}
    due = at.in_days(days or usual[one_of("kind", kind, EVIDENCE_KINDS)])
    begun = _begun(case, at)
    left = begun.remaining_seconds
    if left is None and begun.due_at is not None:
        left = (begun.due_at - at.now).total_seconds()
    waiting = replace(begun, state="evidence", due_at=None, remaining_seconds=left or 0.0, evidence_due_at=due)
    said = {"kind": kind, "asked": text_of("asked", what), "of": text_of("of", of, needed=False), "due_at": due}
    return Step(waiting, "evidence_asked", said)


def evidence_arrived(case: Case, actor: Actor, at: Moment, remark: str | None = None, missing: bool = False) -> Step:
    """The case once evidence is there, or with `missing` once it is known that it does not exist; its clock goes on."""
    require("evidence_arrived", case, actor, at)
    late = case.evidence_due_at is not None and at.now > case.evidence_due_at
    said = {"remark": text_of("remark", remark, needed=missing), "late": late}
    return Step(_resumed(case, at), "evidence_missing" if missing else "evidence_arrived", said)


def _resumed(case: Case, at: Moment) -> Case:
    """The case with its clock running on from where it stood still."""
    if case.remaining_seconds is None:
        return case
    due = at.now + timedelta(seconds=case.remaining_seconds)
    return replace(case, due_at=due, remaining_seconds=None, evidence_due_at=None)


def check(case: Case, actor: Actor, at: Moment, explanation: str, answer: str, remark: str | None = None) -> Step:
    """The case with an innocent explanation looked into: refuted, it holds, or still open."""
    require("check", case, actor, at)
    said = {
        "explanation": text_of("explanation", explanation),
        "answer": one_of("answer", answer, ANSWERS),
        "remark": text_of("remark", remark, needed=answer == "refuted"),
    }
    return Step(_begun(case, at), "checked", said)


def note(case: Case, actor: Actor, at: Moment, text: str, kind: str = "note") -> Step:
    """The case with something written down: a note, a root cause, or the rule or model changed because of it."""
    require("note", case, actor, at)
    said = {"text": text_of("text", text), "kind": one_of("kind", kind, NOTE_KINDS)}
    acts = case.state in _UNDER_WAY and actor.is_them(case.assignee_id, case.assignee)
    return Step(_begun(case, at) if acts else case, "noted", said)


def attach(case: Case, actor: Actor, at: Moment, name: str, media_type: str, content: bytes) -> Step:
    """The case with a file of at most 10 MiB."""
    require("attach", case, actor, at)
    kept = replace(accepted(name, media_type, content), case_id=case.case_id, added_at=at.now, added_by=actor.person)
    told = {"name": kept.name, "media_type": kept.media_type, "size": kept.size, "sha256": kept.digest}
    return Step(case, "attached", told, file=(kept, content))


# --- deciding ---------------------------------------------------------------------------------------------


def propose(case: Case, actor: Actor, at: Moment, proposal: Proposal) -> Step:
    """The case with a proposed result, waiting for the signature of somebody else."""
    require("propose", case, actor, at)
    said = proposal.checked()
    proposed = replace(
        _resumed(_begun(case, at), at),
        state="proposed",
        result=said.result,
        verdict=said.verdict,
        disposition=said.disposition,
        confirmed_amount=said.amount,
        violation=said.violation or case.violation,
        proposer=actor.person,
        proposer_id=actor.id,
        signer=None,
        signer_id=None,
        clock="signature",
        due_at=at.in_days(at.rules.signature_days),
    )
    told = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(said).items() if v not in (None, ())}
    return Step(proposed, "proposed", told)


def confirm(case: Case, actor: Actor, at: Moment, remark: str | None = None) -> Step:
    """The case as it was proposed, signed by a second person: confirmed, unfounded, or back to gather evidence."""
    require("confirm", case, actor, at)
    said = {"result": case.result, "remark": text_of("remark", remark, needed=False)}
    if case.result == "needs_more_evidence":
        again = replace(_unproposed(case, at), state="evidence")
        return Step(again, "evidence_agreed", {**said, "proposer": case.proposer})
    state: State = "confirmed" if case.result == "violation" else "unfounded"
    decided = _decided(case, at, state, actor)
    return Step(decided, state, {**said, "proposer": case.proposer}, (_outcome(decided, at),))


def send_back(case: Case, actor: Actor, at: Moment, reason: str) -> Step:
    """The case with whoever proposed, to look again."""
    require("send_back", case, actor, at)
    said = {"reason": text_of("reason", reason), "proposer": case.proposer}
    return Step(replace(_unproposed(case, at), state="assigned"), "sent_back", said)


def unfounded(case: Case, actor: Actor, at: Moment, reason: str, verdict: str | None = None) -> Step:
    """The case without a violation: signed by two, or where little money is at stake by whoever works on it."""
    require("unfounded", case, actor, at)
    said: dict[str, Any] = {"reason": text_of("reason", reason)}
    if case.state == "proposed":
        return replace(confirm(case, actor, at, reason), details={**said, "proposer": case.proposer})
    found = one_of("verdict", verdict or VERDICTS["compliant"][0], VERDICTS["compliant"])
    alone = replace(
        _resumed(_begun(case, at), at), result="compliant", verdict=found, proposer=actor.person,
        proposer_id=actor.id, confirmed_amount=None,
    )  # fmt: skip
    decided = _decided(alone, at, "unfounded", None)
    return Step(decided, "unfounded", {**said, "verdict": found, "alone": True}, (_outcome(decided, at),))


def _unproposed(case: Case, at: Moment) -> Case:
    due = at.in_days(at.rules.findings_days)
    return replace(
        case, result=None, verdict=None, disposition=None, confirmed_amount=None, proposer=None,
        proposer_id=None, signer=None, signer_id=None, clock="findings", due_at=due,
    )  # fmt: skip


def _decided(case: Case, at: Moment, state: State, signer: Actor | None) -> Case:
    return replace(
        case,
        state=state,
        signer=signer.person if signer else None,
        signer_id=signer.id if signer else None,
        decided_at=at.now,
        clock=None,
        due_at=None,
        appeal_until=at.in_days(at.rules.appeal_days),
    )


def _outcome(case: Case, at: Moment, verdict: str | None = None, by: str | None = None) -> dict[str, Any]:
    """The row of `outcomes` that a decision is; a random case says so, and labels stay honest."""
    return {
        "entity": case.entity,
        "entity_id": case.entity_id,
        "verdict": verdict or case.verdict,
        "violation": case.violation if verdict or case.state == "confirmed" else None,
        "period_from": None,
        "period_to": None,
        "decided_at": at.now,
        "amount": case.confirmed_amount,
        "investigators": [by] if by else [p for p in (case.proposer, case.signer) if p],
        "source": "random_check" if case.selected_by == "random" else "desk_review",
    }


# --- afterwards -------------------------------------------------------------------------------------------


def appeal(case: Case, actor: Actor, at: Moment, reason: str, by: str | None = None) -> Step:
    """The case with an objection to what was decided; `by` says whose it is."""
    require("appeal", case, actor, at)
    due = at.in_days(at.rules.recheck_days)
    appealed = replace(case, state="appealed", appealed_at=at.now, clock="appeal", due_at=due)
    said = {"reason": text_of("reason", reason), "by": text_of("by", by, needed=False)}
    return Step(appealed, "appealed", said)


def decide_appeal(case: Case, actor: Actor, at: Moment, upheld: bool, reason: str, reopen: bool = False) -> Step:
    """The case closed after its appeal, or where that was upheld and with `reopen` to be looked at anew.

    An appeal against a decision that nothing was found can only be upheld by looking anew.
    """
    require("decide_appeal", case, actor, at)
    said = {"reason": text_of("reason", reason), "upheld": upheld}
    if not upheld:
        return Step(_closed(case, at), "appeal_rejected", said)
    withdrawn = (_outcome(case, at, "appeal_upheld", actor.person),) if case.result == "violation" else ()
    if not reopen and withdrawn:
        return Step(_closed(case, at), "appeal_upheld", said, withdrawn)
    anew = replace(
        _unproposed(case, at), state="open", assignee=None, assignee_id=None, decided_at=None, appeal_until=None,
        appealed_at=None, first_action_at=None, clock="first_action", due_at=at.first_action(case.priority),
    )  # fmt: skip
    return Step(anew, "reopened", said, withdrawn)


def close(case: Case, actor: Actor, at: Moment, reason: str | None = None, waived: bool = False) -> Step:
    """The case closed: once nobody can appeal any more, or with `waived` where nobody wants to."""
    require("close", case, actor, at)
    open_still = case.state == "confirmed" and case.appeal_until is not None and at.now <= case.appeal_until
    if open_still and not waived:
        raise CaseRefusedError(
            "time",
            f"It can be appealed against until {case.appeal_until:%Y-%m-%d %H:%M}. Close it then, or say that the "
            "appeal was waived.",
            ("appeal",),
        )
    said = {"reason": text_of("reason", reason, needed=waived), "waived": waived}
    return Step(_closed(case, at), "closed", said)


def follow_up(
    case: Case, actor: Actor, at: Moment, on: date | None = None, satisfaction: int | None = None,
    remark: str | None = None, measure: str | None = None,
) -> Step:  # fmt: skip
    """The case with the day of its follow-up, how satisfied whoever was concerned is (1 to 5), and what was done."""
    require("follow_up", case, actor, at)
    if satisfaction is not None and not 1 <= satisfaction <= 5:
        raise InputError(
            "satisfaction is a whole number from 1 to 5.",
            [Fault("/satisfaction", "out_of_range", "expected a whole number from 1 to 5")],
        )
    followed = replace(case, follow_up_on=on or case.follow_up_on, satisfaction=satisfaction or case.satisfaction)
    said = {
        "on": on,
        "satisfaction": satisfaction,
        "remark": text_of("remark", remark, needed=False),
        "measure": one_of("measure", measure, MEASURES) if measure else None,
    }
    return Step(followed, "followed_up", {k: v for k, v in said.items() if v is not None})


def _closed(case: Case, at: Moment) -> Case:
    return replace(case, state="closed", closed_at=at.now, clock=None, due_at=None)
