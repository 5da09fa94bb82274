"""A campaign, a provider that is inspected in it, what is to be put right there, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

__all__ = [
    "FINISHED",
    "PHASES",
    "STATES",
    "Campaign",
    "CampaignEvent",
    "CampaignFile",
    "Effect",
    "Found",
    "Inspected",
    "OfType",
    "Phase",
    "State",
    "Task",
]

Phase = Literal["announced", "self_check", "rectification", "acceptance"]
PHASES: tuple[Phase, ...] = ("announced", "self_check", "rectification", "acceptance")
State = Literal["announced", "self_check", "rectification", "acceptance", "accepted", "referred"]
STATES: tuple[State, ...] = (*PHASES, "accepted", "referred")
FINISHED: tuple[State, ...] = ("accepted", "referred")


@dataclass(frozen=True)
class OfType:
    """Claims with a finding of one type of violation, and the money that these findings point at."""

    claims: int
    amount: float


@dataclass(frozen=True)
class Found:
    """What the service had found at a provider in the campaign's period, as of a moment.

    `claims` were judged, `flagged` are those that somebody was asked to look at (with a finding in the campaign's
    scope, where it names types), `with_findings` those with such a finding, `amount` the money at which these point;
    of several findings about one claim the largest counts. `open_cases` are the provider's, whatever their day.
    """

    as_of: datetime
    claims: int = 0
    flagged: int = 0
    with_findings: int = 0
    amount: float = 0.0
    open_cases: int = 0
    by_type: Mapping[str, OfType] = field(default_factory=dict)
    by_rule: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """How often a rule fired at a provider before and after something was put right: hits and claims it judged.

    `what` is the rule's id, or `flagged` for claims that somebody was asked to look at. Before are the claims of the
    campaign's period, after are those settled from `since` to `until`.
    """

    what: str
    hits_before: int
    claims_before: int
    hits_after: int
    claims_after: int
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Campaign:
    """What is inspected, on which ground, and by when each phase is due. Times are civil times without a zone.

    Empty `violations` are all types. `period_until` is the last day. `revision` grows with each change of the
    campaign itself, `events` counts what was done to it; its providers have their own.
    """

    campaign_id: str
    title: str
    legal_basis: str
    violations: tuple[str, ...]
    period_from: date
    period_until: date
    opened_at: datetime
    opened_by: str
    opened_by_id: str
    announced_due: datetime
    self_check_due: datetime
    rectification_due: datetime
    acceptance_due: datetime
    revision: int = 1
    events: int = 1
    closed_at: datetime | None = None
    closed_by: str | None = None

    @property
    def due(self) -> dict[Phase, datetime]:
        """When each phase is due."""
        dues = (self.announced_due, self.self_check_due, self.rectification_due, self.acceptance_due)
        return dict(zip(PHASES, dues, strict=True))


@dataclass(frozen=True)
class Inspected:
    """How a provider stands in a campaign.

    `hands` are accounts, with names, of whoever entered anything of its rectification. `found_again` and `effects` are
    of the last decision on acceptance.
    """

    campaign_id: str
    provider_id: str
    region: str | None
    found: Found
    state: State = "announced"
    revision: int = 1
    events: int = 1
    due_at: datetime | None = None
    told_at: datetime | None = None
    declared_count: int | None = None
    declared_amount: float | None = None
    declared_at: datetime | None = None
    declared_by: str | None = None
    hands: tuple[tuple[str, str], ...] = ()
    found_again: Found | None = None
    effects: tuple[Effect, ...] = ()
    result: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be done in the campaign."""
        return self.state in FINISHED

    @property
    def declared_less(self) -> bool:
        """Whether less was declared than was found, in claims or in money: a reason to look, never guilt."""
        if self.declared_count is None:
            return False
        return self.declared_count < self.found.with_findings or (self.declared_amount or 0.0) < self.found.amount

    def overdue(self, now: datetime) -> bool:
        """Whether the time of what is next has ended."""
        return not self.finished and self.due_at is not None and self.due_at < now


@dataclass(frozen=True)
class Task:
    """Something to put right: why it came about, what is done, who answers for it and by when.

    It may name `cases`, `rules` and the version of a `model` that it changes. `file` is the number of its evidence.
    """

    campaign_id: str
    provider_id: str
    number: int
    action: str
    due_at: datetime
    entered_at: datetime
    entered_by: str
    root_cause: str
    text: str
    responsible: str
    cases: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    model: str | None = None
    done_at: datetime | None = None
    done_by: str | None = None
    file: int | None = None

    @property
    def done(self) -> bool:
        """Whether it is done."""
        return self.done_at is not None

    def overdue(self, now: datetime) -> bool:
        """Whether it should be done and is not."""
        return not self.done and self.due_at < now


@dataclass(frozen=True)
class CampaignEvent:
    """Something that was done: number `number` of its history. `provider_id` is empty for the campaign itself."""

    campaign_id: str
    provider_id: str
    number: int
    at: datetime
    who: str
    what: str
    state_before: str | None
    state_after: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CampaignFile:
    """A declaration or a piece of evidence, without its content; `digest` is its SHA-256 in hexadecimal."""

    campaign_id: str
    provider_id: str
    number: int
    name: str
    media_type: str
    size: int
    digest: str
    added_at: datetime
    added_by: str
