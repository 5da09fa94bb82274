"""The steps of a provider in a campaign, one function each: from how it stands to how it stands then.

    announced ─ tell ─> self_check ─ declare, undeclared ─> rectification
    rectification ─ plan, finish ─> … once all is done, or submit ─> acceptance
    acceptance ─ accept ─> accepted      acceptance ─ return_ ─> rectification      … ─ refer ─> referred

Nothing here touches a database. Whoever entered anything of the rectification never decides on its acceptance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fraud.errors import Fault, InputError
from fraud.review.campaigns.refusals import CampaignRefusedError
from fraud.review.campaigns.shapes import (
    MOST_DAYS,
    RETURN_DAYS,
    Plan,
    declaration_faults,
    number_faults,
    refuse,
    text_faults,
)
from fraud.review.cases.calendar import WorkingDays, working_days
from fraud.review.cases.filing import accepted
from fraud.review.cases.shapes import Actor
from fraud.store.campaigns.shapes import Campaign, Effect, Found, Inspected, State, Task

__all__ = ["ALLOWED", "LEADS", "RECORDERS", "File", "Moment", "Step", "possible"]

# Who records, and who opens and decides; `open` is whoever sits at a machine that asks nobody for a key.
RECORDERS = ("investigator", "supervisor", "open")
LEADS = ("supervisor", "open")
# From which states each step can be taken.
ALLOWED: Mapping[str, tuple[State, ...]] = {
    "tell": ("announced",),
    "declare": ("announced", "self_check", "rectification"),
    "undeclared": ("self_check",),
    "plan": ("rectification", "acceptance"),
    "finish": ("rectification",),
    "submit": ("rectification",),
    "accept": ("acceptance",),
    "return_": ("acceptance",),
    "refer": ("self_check", "rectification", "acceptance"),
}
_DECIDING = ("accept", "return_", "refer")


@dataclass(frozen=True)
class File:
    """A file as it was handed in."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Moment:
    """When a step is taken, in which campaign, and with which tasks of the provider."""

    now: datetime
    campaign: Campaign
    tasks: tuple[Task, ...] = ()
    days: WorkingDays = field(default_factory=working_days)

    @property
    def open_tasks(self) -> tuple[Task, ...]:
        """What is still to be done."""
        return tuple(t for t in self.tasks if not t.done)


@dataclass(frozen=True)
class Step:
    """What a step makes of a provider's row, what the history says, and a task or file that comes with it."""

    row: Inspected
    what: str
    details: Mapping[str, Any] = field(default_factory=dict)
    entered: Task | None = None
    finished: Task | None = None
    file: File | None = None


StepOf = Callable[[Inspected, Moment], Step]


def possible(row: Inspected, actor: Actor, at: Moment) -> tuple[str, ...]:
    """The steps that this person can take now, in the order of the workflow."""
    return tuple(step for step in ALLOWED if _refusal(step, row, actor, at) is None)


def _refusal(step: str, row: Inspected, actor: Actor, at: Moment) -> CampaignRefusedError | None:
    """Why this person cannot take this step; None where nothing is against it."""
    if actor.role not in (LEADS if step in _DECIDING else RECORDERS):
        who = "A supervisor decides" if step in _DECIDING else "Investigators and supervisors record"
        return CampaignRefusedError("role", f"{who} here; the role {actor.role} does not.")
    if at.campaign.closed_at is not None:
        return CampaignRefusedError("state", "The campaign is closed.")
    if row.state not in ALLOWED[step]:
        from_here = ", ".join(_said(s) for s, states in ALLOWED.items() if row.state in states) or "nothing"
        now = row.state.replace("_", " ")
        return CampaignRefusedError("state", f"At {now}, there is nothing to {_said(step)}. From here: {from_here}.")
    return _same_person(step, row, actor) or _untimely(step, at)


def _said(step: str) -> str:
    return step.strip("_")


def _same_person(step: str, row: Inspected, actor: Actor) -> CampaignRefusedError | None:
    if step in _DECIDING and any(actor.is_them(account, name) for account, name in row.hands):
        return CampaignRefusedError("person", "Somebody else decides: you entered part of this rectification.")
    return None


def _untimely(step: str, at: Moment) -> CampaignRefusedError | None:
    if step == "undeclared" and at.now <= at.campaign.self_check_due:
        due = f"{at.campaign.self_check_due:%Y-%m-%d %H:%M}"
        return CampaignRefusedError("time", f"The provider may declare until {due}.")
    if step in ("finish", "submit") and bool(at.open_tasks) != (step == "finish"):
        said = "There is no open task." if step == "finish" else "Finish the open tasks first."
        return CampaignRefusedError("state", said)
    return None


def require(step: str, row: Inspected, actor: Actor, at: Moment) -> None:
    """Raises `CampaignRefusedError` for whoever cannot take this step."""
    if (refusal := _refusal(step, row, actor, at)) is not None:
        raise refusal


# --- self-check -------------------------------------------------------------------------------------------


def tell(row: Inspected, actor: Actor, at: Moment, remark: str = "") -> Step:
    """The provider, which was told and has to check itself."""
    require("tell", row, actor, at)
    refuse("It is not noted:", text_faults("remark", remark, needed=False))
    told = replace(row, state="self_check", told_at=at.now, due_at=at.campaign.self_check_due)
    return Step(told, "told", {"remark": remark.strip() or None})


def declare(
    row: Inspected,
    actor: Actor,
    at: Moment,
    count: int | None,
    amount: float | None,
    remark: str = "",
    file: File | None = None,
) -> Step:
    """The provider with what it declares: claims and money that it found wrong itself; a later one stands in place."""
    require("declare", row, actor, at)
    faults = [*declaration_faults(count, amount), *text_faults("remark", remark, needed=False)]
    refuse("The declaration is not taken:", [*faults, *_file_faults(file)])
    late = row.state != "rectification" and at.now > at.campaign.self_check_due
    declared = replace(
        row, state="rectification", told_at=row.told_at or at.now, due_at=_rectified_by(row, at),
        declared_count=count, declared_amount=amount, declared_at=at.now, declared_by=actor.person,
    )  # fmt: skip
    said = {"count": count, "amount": amount, "late": late, "remark": remark.strip() or None}
    return Step(declared, "declared", said, file=file)


def undeclared(row: Inspected, actor: Actor, at: Moment, reason: str) -> Step:
    """The provider, which has declared nothing in its time, and goes on with what was found."""
    require("undeclared", row, actor, at)
    refuse("It is not noted:", text_faults("reason", reason))
    going_on = replace(row, state="rectification", due_at=_rectified_by(row, at))
    return Step(going_on, "undeclared", {"reason": reason.strip()})


def _rectified_by(row: Inspected, at: Moment) -> datetime | None:
    """A provider that declares anew keeps the time that it has, as after a return."""
    return row.due_at if row.state == "rectification" else at.campaign.rectification_due


# --- rectification ----------------------------------------------------------------------------------------


def plan(row: Inspected, actor: Actor, at: Moment, said: Plan) -> Step:
    """The provider with one more thing to put right; what was ready for acceptance is not any more."""
    require("plan", row, actor, at)
    said = said.checked()
    due = at.days.after(at.now, said.days) if said.days is not None else (row.due_at or at.campaign.rectification_due)
    number = max((t.number for t in at.tasks), default=0) + 1
    task = Task(
        row.campaign_id, row.provider_id, number, said.action, due, at.now, actor.person,
        said.root_cause.strip(), said.text.strip(), said.responsible.strip(),
        said.cases, said.rules, (said.model or "").strip() or None,
    )  # fmt: skip
    back = row.due_at if row.state == "rectification" else at.campaign.rectification_due
    planned = replace(row, state="rectification", due_at=back, hands=_with(row, actor))
    told = {"task": number, "due_at": due, **{n: getattr(task, n) for n in _TOLD}}
    return Step(planned, "planned", told, entered=task)


_TOLD = ("action", "root_cause", "text", "responsible", "cases", "rules", "model")


def finish(row: Inspected, actor: Actor, at: Moment, number: int, remark: str = "", file: File | None = None) -> Step:
    """The provider with a task done, and its evidence; once nothing is open it is ready for acceptance."""
    require("finish", row, actor, at)
    found = next((t for t in at.open_tasks if t.number == number), None)
    faults = [*text_faults("remark", remark, needed=file is None), *_file_faults(file)]
    if found is None:
        faults.append(Fault("/task", "not_known", "there is no open task with this number"))
    refuse("The task is not done:", faults)
    assert found is not None
    done = replace(found, done_at=at.now, done_by=actor.person)
    state: State = "rectification" if len(at.open_tasks) > 1 else "acceptance"
    due = row.due_at if state == "rectification" else at.campaign.acceptance_due
    after = replace(row, state=state, due_at=due, hands=_with(row, actor))
    said = {"task": number, "remark": remark.strip() or None, "late": found.overdue(at.now)}
    return Step(after, "finished", said, finished=done, file=file)


def submit(row: Inspected, actor: Actor, at: Moment, reason: str = "") -> Step:
    """The provider, ready for acceptance; where nothing was to be put right, or nothing more, with the reason."""
    require("submit", row, actor, at)
    refuse("It is not ready for acceptance:", text_faults("reason", reason))
    ready = replace(row, state="acceptance", due_at=at.campaign.acceptance_due, hands=_with(row, actor))
    return Step(ready, "submitted", {"reason": reason.strip()})


def _with(row: Inspected, actor: Actor) -> tuple[tuple[str, str], ...]:
    # A key can be changed under one name, and a name under one key.
    own = ((actor.account, actor.person), (actor.id, actor.person))
    return tuple(dict.fromkeys((*row.hands, *own)))


# --- acceptance -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """What the service finds now, and how often rules fired before and after: what a decision rests on."""

    found: Found
    effects: tuple[Effect, ...] = ()


def accept(row: Inspected, actor: Actor, at: Moment, measured: Measured, remark: str = "") -> Step:
    """The provider, whose rectification is accepted."""
    require("accept", row, actor, at)
    refuse("It is not accepted:", text_faults("remark", remark, needed=False))
    return _decided(row, actor, at, "accepted", measured, {"remark": remark.strip() or None})


def return_(row: Inspected, actor: Actor, at: Moment, measured: Measured, reason: str, days: int | None = None) -> Step:
    """The provider, which has to put right what is still wrong, within so many working days."""
    require("return_", row, actor, at)
    refuse("It is not returned:", [*text_faults("reason", reason), *number_faults("days", days, 1, MOST_DAYS)])
    due = at.days.after(at.now, RETURN_DAYS if days is None else days)
    return _decided(row, actor, at, "returned", measured, {"reason": reason.strip(), "due_at": due}, due)


def refer(row: Inspected, actor: Actor, at: Moment, measured: Measured, reason: str) -> Step:
    """The provider, handed over to whoever goes on with it beyond the campaign."""
    require("refer", row, actor, at)
    refuse("It is not referred:", text_faults("reason", reason))
    return _decided(row, actor, at, "referred", measured, {"reason": reason.strip()})


def _decided(
    row: Inspected,
    actor: Actor,
    at: Moment,
    result: str,
    measured: Measured,
    said: Mapping[str, Any],
    due: datetime | None = None,
) -> Step:
    states: Mapping[str, State] = {"accepted": "accepted", "returned": "rectification", "referred": "referred"}
    decided = replace(
        row, state=states[result], due_at=due, result=result, decided_by=actor.person, decided_at=at.now,
        found_again=measured.found, effects=measured.effects,
    )  # fmt: skip
    found = measured.found
    figures = {"with_findings": found.with_findings, "amount": found.amount, "open_cases": found.open_cases}
    return Step(decided, result, {**said, "found": figures, "effects": [vars(e) for e in measured.effects]})


def _file_faults(file: File | None) -> Sequence[Fault]:
    if file is None:
        return ()
    try:
        accepted(file.name, file.media_type, file.content)
    except InputError as error:
        return [replace(f, where="/file") for f in error.faults]
    return ()
