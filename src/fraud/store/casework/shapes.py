"""A case, what was done in it, what was handed in, and how cases are looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

__all__ = [
    "AT_WORK",
    "ORDERS",
    "PRIORITIES",
    "STATES",
    "Attachment",
    "Case",
    "CaseEvent",
    "Chosen",
    "Entity",
    "Order",
    "Priority",
    "Scored",
    "SelectedBy",
    "State",
    "Within",
]

State = Literal["open", "assigned", "evidence", "proposed", "confirmed", "unfounded", "appealed", "closed"]
STATES: tuple[State, ...] = (
    "open", "assigned", "evidence", "proposed", "confirmed", "unfounded", "appealed", "closed",
)  # fmt: skip
# Nothing was decided yet: of these there is at most one for a claim or person.
AT_WORK: tuple[State, ...] = ("open", "assigned", "evidence", "proposed")
Priority = Literal["urgent", "important", "normal"]
PRIORITIES: tuple[Priority, ...] = ("urgent", "important", "normal")
Entity = Literal["claim", "patient", "provider", "physician"]
# Why it is looked at: a decision said so, the week's list chose it, or it was drawn at random.
SelectedBy = Literal["decision", "expected_recovery", "random", "investigator"]


@dataclass(frozen=True)
class Scored:
    """Whom a case is about, and what rules and model say: all that scoring it again may change.

    `amount` is the money at stake, `worth` the expected recovery of an hour of review, `findings` the rules that
    hit, gravest first; `grounds` tells one version of what was scored from another.
    """

    entity: Entity
    entity_id: str
    patient_id: str | None = None
    provider_id: str | None = None
    region: str | None = None
    insured_region: str | None = None
    violation: str | None = None
    request_id: str | None = None
    action: str | None = None
    severity: str | None = None
    band: str | None = None
    probability: float | None = None
    percentile: float | None = None
    amount: float | None = None
    expected_recovery: float | None = None
    hours: float = 0.5
    worth: float = 0.0
    findings: tuple[str, ...] = ()
    grounds: str = ""


@dataclass(frozen=True)
class Case(Scored):
    """One case. Times are the payer's civil time without a zone; money in its currency.

    `revision` grows with whatever people change, `events` counts what was done, by people or by the service.
    `due_at` is when the running clock (`clock`) ends; while evidence is awaited it stands still, `due_at` is None and
    `remaining_seconds` is what was left of it. `evidence_due_at` is when the evidence is due.
    `assignee`, `proposer` and `signer` are names to show. Who they are say `assignee_id` (`user:…` for whoever signs
    in, `key:NAME` for a key, None where nobody here goes by the name), `proposer_id` and `signer_id` (`user:…` or the
    id of the key).
    `inclusion_probability` is the chance that a random case had of being drawn. `recovered_amount` is the money that
    has come back, the sum of its rows of `recoveries`; None while none was entered.
    """

    case_id: str = ""
    round: int = 0
    state: State = "open"
    priority: Priority = "normal"
    revision: int = 1
    events: int = 1
    opened_at: datetime = datetime.min
    selected_by: SelectedBy = "decision"
    inclusion_probability: float | None = None
    assignee: str | None = None
    assignee_id: str | None = None
    clock: str | None = "first_action"
    due_at: datetime | None = None
    remaining_seconds: float | None = None
    evidence_due_at: datetime | None = None
    first_action_at: datetime | None = None
    result: str | None = None
    verdict: str | None = None
    disposition: str | None = None
    confirmed_amount: float | None = None
    recovered_amount: float | None = None
    proposer: str | None = None
    proposer_id: str | None = None
    signer: str | None = None
    signer_id: str | None = None
    decided_at: datetime | None = None
    appeal_until: datetime | None = None
    appealed_at: datetime | None = None
    closed_at: datetime | None = None
    follow_up_on: date | None = None
    satisfaction: int | None = None
    week: date | None = None
    place: int | None = None

    @property
    def person(self) -> str | None:
        """The patient whom it speaks of, where there is one."""
        return self.patient_id or (self.entity_id if self.entity == "patient" else None)

    @property
    def at_work(self) -> bool:
        """Whether nothing was decided yet."""
        return self.state in AT_WORK

    @property
    def paused(self) -> bool:
        """Whether the clock stands still, because evidence is awaited."""
        return self.remaining_seconds is not None

    def overdue(self, now: datetime) -> bool:
        """Whether the running clock has ended; never while it stands still."""
        return self.due_at is not None and self.due_at < now

    def seconds_left(self, now: datetime) -> float | None:
        """What is left of the running clock, never below zero; None when none runs."""
        if self.remaining_seconds is not None:
            return max(self.remaining_seconds, 0.0)
        return max((self.due_at - now).total_seconds(), 0.0) if self.due_at is not None else None


@dataclass(frozen=True)
class CaseEvent:
    """Something that was done in a case: number `number` of its history, which only grows.

    `who` is the person's name, or empty for the service itself; `details` say the rest, such as a note's text.
    """

    case_id: str
    number: int
    at: datetime
    who: str
    what: str
    state_before: State | None
    state_after: State
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Attachment:
    """A file of a case, without its content; `digest` is its SHA-256 in hexadecimal."""

    case_id: str
    number: int
    name: str
    media_type: str
    size: int
    digest: str
    added_at: datetime
    added_by: str


@dataclass(frozen=True)
class Within:
    """Whose cases may be seen; an empty list sets no bound. A region that ends in `*` stands for what begins so."""

    regions: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()


Order = Literal[
    "worth", "due", "amount", "opened", "priority", "probability", "expected_recovery", "place", "-worth", "-due",
    "-amount", "-opened", "-priority", "-probability", "-expected_recovery", "-place",
]  # fmt: skip
ORDERS: tuple[str, ...] = tuple(Order.__args__)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Chosen:
    """Which cases are looked for; what is None or empty chooses all.

    `overdue` cases are those whose clock has ended before `now`; `assignee` "" means nobody's; `text` is the
    beginning of a case's number, or exactly the id of whom it is about.
    """

    states: tuple[State, ...] = ()
    violations: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()
    entities: tuple[Entity, ...] = ()
    provider_id: str | None = None
    patient_id: str | None = None
    entity_id: str | None = None
    amount_at_least: float | None = None
    amount_below: float | None = None
    probability_at_least: float | None = None
    probability_below: float | None = None
    assignee: str | None = None
    selected_by: SelectedBy | None = None
    verdict: str | None = None
    week: date | None = None
    overdue: bool | None = None
    opened_from: datetime | None = None
    opened_until: datetime | None = None
    text: str | None = None
