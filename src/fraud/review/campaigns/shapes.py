"""What is said of a campaign when it is opened, declared, put right and decided, and what reading it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from fraud.claims.violations import violation_names
from fraud.errors import Fault, InputError
from fraud.store.campaigns.shapes import (
    FINISHED,
    PHASES,
    STATES,
    Campaign,
    CampaignEvent,
    CampaignFile,
    Effect,
    Inspected,
    Phase,
    State,
    Task,
)

__all__ = [
    "ACTIONS",
    "DAYS",
    "DECISIONS",
    "MOST_PROVIDERS",
    "Announcement",
    "Dossier",
    "Overview",
    "Plan",
    "Standing",
    "standing_of",
]

# What can be done about a root cause; the first three are the plans that the rules of supervision ask for.
ACTIONS = (
    "rectification_plan", "sanction_plan", "contingency_plan", "training", "rule_change", "model_change",
)  # fmt: skip
DECISIONS = ("accepted", "returned", "referred")
# Working days of each phase; each begins when the one before is due.
DAYS: Mapping[Phase, int] = {"announced": 3, "self_check": 10, "rectification": 20, "acceptance": 5}
# Working days to put right what was returned.
RETURN_DAYS = 5
MOST_PROVIDERS = 1_000
MOST_DAYS = 365
MOST_TEXT = 4_000
_MOST_TITLE = 200
_MOST_MONEY = 1e12
MOST_COUNT = 1_000_000_000


def refuse(what: str, faults: Sequence[Fault]) -> None:
    """Raise `InputError` that names every fault, where there is one."""
    if faults:
        said = "; ".join(f"{f.where[1:]}: {f.detail}" for f in faults[:5])
        raise InputError(f"{what} {said}."[:500], faults)


def text_faults(name: str, value: str, most: int = MOST_TEXT, *, needed: bool = True) -> list[Fault]:
    """What is wrong with a text."""
    if needed and not value.strip():
        return [Fault(f"/{name}", "missing", "a required value is absent")]
    if len(value) > most:
        return [Fault(f"/{name}", "too_long", f"the text has more than {most:,} characters")]
    return []


def number_faults(name: str, value: float | None, least: float, most: float) -> list[Fault]:
    """What is wrong with a figure; none is none."""
    if value is None or least <= value <= most:
        return []
    return [Fault(f"/{name}", "out_of_range", f"expected a number from {least:,.0f} to {most:,.0f}")]


@dataclass(frozen=True)
class Announcement:
    """What is to be inspected, and on which ground.

    Without `violations` all types count. Without `providers` those are inspected at which such findings were made in
    the period, in `regions` where some are named. `days` are the working days of the phases.
    """

    title: str
    legal_basis: str
    period_from: date
    period_until: date
    violations: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    days: Mapping[Phase, int] = field(default_factory=lambda: DAYS)

    def checked(self) -> Announcement:
        """The same without space around its texts; raises `InputError` that names every fault at once."""
        refuse("The campaign is not opened:", [*self._texts(), *self._sets()])
        return replace(self, title=self.title.strip(), legal_basis=self.legal_basis.strip())

    def _texts(self) -> list[Fault]:
        found = text_faults("title", self.title, _MOST_TITLE)
        found += text_faults("legal_basis", self.legal_basis)
        if self.period_until < self.period_from:
            found.append(Fault("/period_until", "before", "the period ends before it begins"))
        return found

    def _sets(self) -> list[Fault]:
        known = tuple(violation_names())
        found = [
            Fault("/violations", "not_in_set", f"there is no type {v[:20]}; expected {known[0]} to {known[-1]}")
            for v in self.violations
            if v not in known
        ][:5]
        if len(self.providers) > MOST_PROVIDERS:
            found.append(Fault("/providers", "too_many", f"a campaign has at most {MOST_PROVIDERS:,} providers"))
        for phase in PHASES:
            found += number_faults(f"{phase}_days", self.days.get(phase, DAYS[phase]), 1, MOST_DAYS)
        return found


@dataclass(frozen=True)
class Plan:
    """What is to be put right: why it came about, what is done, and who answers for it.

    It names the cases that it follows from, and the rules or the version of a model that it changes. `days` are
    working days; without them it is due with the phase.
    """

    root_cause: str
    action: str
    text: str
    responsible: str
    cases: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    model: str | None = None
    days: int | None = None

    def checked(self) -> Plan:
        """The same; raises `InputError` that names every fault at once."""
        found = text_faults("root_cause", self.root_cause) + text_faults("text", self.text)
        found += text_faults("responsible", self.responsible, _MOST_TITLE)
        found += text_faults("model", self.model or "", _MOST_TITLE, needed=self.action == "model_change")
        if self.action not in ACTIONS:
            found.append(Fault("/action", "not_in_set", f"expected one of: {', '.join(ACTIONS)}"))
        if self.action == "rule_change" and not self.rules:
            found.append(Fault("/rules", "missing", "name the rule that is changed"))
        for name, values in (("cases", self.cases), ("rules", self.rules)):
            if len(values) > 50 or any(len(v) > 100 or not v.isprintable() for v in values):
                found.append(Fault(f"/{name}", "too_long", "at most 50 ids of at most 100 characters"))
        refuse("The task is not taken:", [*found, *number_faults("days", self.days, 1, MOST_DAYS)])
        return self


def declaration_faults(count: int | None, amount: float | None) -> list[Fault]:
    """What is wrong with the figures of a declaration."""
    known = (("count", count, MOST_COUNT), ("amount", amount, _MOST_MONEY))
    missing = [Fault(f"/{name}", "missing", "a required value is absent") for name, value, _ in known if value is None]
    return [*missing, *(f for name, value, most in known for f in number_faults(name, value, 0, most))]


# --- what reading gives -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """How far a campaign has come, over the providers that somebody may see.

    `phase` is the earliest in which one of them still is, or closed. Money is what findings pointed at when it was
    opened, and what was declared.
    """

    phase: str
    providers: int
    by_state: Mapping[State, int]
    overdue: int
    less: int
    found: int
    found_amount: float
    declared: int
    declared_count: int
    declared_amount: float
    tasks: int = 0
    tasks_done: int = 0
    tasks_overdue: int = 0

    @property
    def finished(self) -> int:
        """Providers with which nothing more is to be done."""
        return sum(self.by_state[s] for s in FINISHED)


@dataclass(frozen=True)
class Overview:
    """A campaign with the providers and tasks that somebody may see; `history` is of the campaign itself.

    `possible` are the steps that its reader can take with the whole; `unknown_years` are those whose public holidays
    no calendar here has.
    """

    campaign: Campaign
    rows: tuple[Inspected, ...]
    tasks: tuple[Task, ...]
    standing: Standing
    history: tuple[CampaignEvent, ...] = ()
    possible: tuple[str, ...] = ()
    unknown_years: tuple[int, ...] = ()


@dataclass(frozen=True)
class Dossier:
    """One provider in a campaign: tasks, history, files, and the steps that its reader can take now.

    `effects` say how often rules fired before and after: as of the last decision, or while one is awaited as of now.
    """

    campaign: Campaign
    row: Inspected
    tasks: tuple[Task, ...]
    history: tuple[CampaignEvent, ...]
    files: tuple[CampaignFile, ...]
    possible: tuple[str, ...]
    effects: tuple[Effect, ...]


def standing_of(campaign: Campaign, rows: Sequence[Inspected], tasks: Sequence[Task], now: datetime) -> Standing:
    """How far a campaign has come, of these providers and their tasks."""
    by_state = {s: sum(r.state == s for r in rows) for s in STATES}
    current = next((p for p in PHASES if by_state[p]), "acceptance")
    declared = [r for r in rows if r.declared_count is not None]
    return Standing(
        phase="closed" if campaign.closed_at is not None else current,
        providers=len(rows),
        by_state=by_state,
        overdue=0 if campaign.closed_at else sum(late(r, tasks, now) for r in rows),
        less=sum(r.declared_less for r in rows),
        found=sum(r.found.with_findings for r in rows),
        found_amount=sum(r.found.amount for r in rows),
        declared=len(declared),
        declared_count=sum(r.declared_count or 0 for r in declared),
        declared_amount=sum(r.declared_amount or 0.0 for r in declared),
        tasks=len(tasks),
        tasks_done=sum(t.done for t in tasks),
        tasks_overdue=0 if campaign.closed_at else sum(t.overdue(now) for t in tasks),
    )


def late(row: Inspected, tasks: Sequence[Task], now: datetime) -> bool:
    """Whether a provider's next step or one of its tasks is overdue."""
    return row.overdue(now) or (
        not row.finished and any(t.overdue(now) for t in tasks if t.provider_id == row.provider_id)
    )
