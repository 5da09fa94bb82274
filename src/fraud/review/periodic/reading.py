"""What a period holds: claims as they were judged, the cases worked on, and what the ledger tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.review.campaigns import Overview, campaigns_between
from fraud.review.periodic.period import Period
from fraud.store import Store
from fraud.store.casework.tables import cases, events
from fraud.store.ledger import Ledger, ledger, moment_text
from fraud.store.recoveries import recoveries
from fraud.store.tables import CANONICAL, decisions

__all__ = ["CaseFigures", "Hit", "Judged", "Paid", "Record", "read_record"]

_CHUNK = 2_000
# Results of cases by what they say of the suspicion.
_CONFIRMED, _UNFOUNDED = "violation", "compliant"
_COLUMNS = (
    "case_id", "entity", "entity_id", "provider_id", "violation", "amount", "hours", "state", "priority", "opened_at",
    "selected_by", "due_at", "first_action_at", "result", "verdict", "confirmed_amount", "proposer", "signer",
    "decided_at", "appealed_at", "closed_at", "satisfaction", "probability", "expected_recovery",
)  # fmt: skip
# Events of the ledger, as a paper counts them.
_OF_LEDGER = {
    "reads": (".read",),
    "refusals": (".refused",),
    "unmaskings": (".unmasked",),
    "outcomes": ("outcomes.added",),
    "keys": ("key.",),
}


@dataclass(frozen=True)
class Hit:
    """A rule that hit a claim."""

    rule: str
    version: int
    violation: str | None
    kind: str
    amount: float


@dataclass(frozen=True)
class Judged:
    """A claim by the last answer that it got in the period; money in the payer's currency, time in milliseconds."""

    claim_id: str
    scored_at: datetime
    provider_id: str
    physician_id: str | None
    action: str
    total_amount: float
    fund_amount: float
    hits: tuple[Hit, ...]
    unsure: tuple[str, ...]
    degraded: tuple[str, ...]
    band: str | None
    milliseconds: float
    model: str | None

    @property
    def flagged(self) -> bool:
        """Whether somebody was asked to look."""
        return self.action != "pass"

    @property
    def at_stake(self) -> float:
        """Money that findings point at; several rules may speak of the same lines, so the largest counts."""
        return max((h.amount for h in self.hits), default=0.0)


@dataclass(frozen=True)
class CaseFigures:
    """A case as papers count it."""

    case_id: str
    entity: str
    entity_id: str
    provider_id: str | None
    violation: str | None
    amount: float | None
    hours: float
    state: str
    priority: str
    opened_at: datetime
    selected_by: str
    due_at: datetime | None
    first_action_at: datetime | None
    result: str | None
    verdict: str | None
    confirmed_amount: float | None
    proposer: str | None
    signer: str | None
    decided_at: datetime | None
    appealed_at: datetime | None
    closed_at: datetime | None
    satisfaction: int | None
    probability: float | None = None
    expected_recovery: float | None = None

    @property
    def confirmed(self) -> bool:
        """Whether two people have signed that it is a violation."""
        return self.decided_at is not None and self.result == _CONFIRMED

    @property
    def unfounded(self) -> bool:
        """Whether two people have signed that there is nothing."""
        return self.decided_at is not None and self.result == _UNFOUNDED

    @property
    def days_to_decision(self) -> float | None:
        """Days from opening to the second signature."""
        return (self.decided_at - self.opened_at).total_seconds() / 86_400 if self.decided_at else None


@dataclass(frozen=True)
class Paid:
    """Money that came back on a case, below zero where it was taken off again; `first` is the case's first payment."""

    case_id: str
    provider_id: str | None
    amount: float
    received_on: date
    decided_at: datetime | None
    first: bool

    @property
    def days_waited(self) -> int | None:
        """Days since the decision; none where it was paid before."""
        return max((self.received_on - self.decided_at.date()).days, 0) if self.decided_at else None


@dataclass(frozen=True)
class Record:
    """All that papers of a period read.

    `opened` are the cases opened in it, `decided` those decided in it, `pending` those that were open at its end.
    `paid` is money that came back in it, `ratings` are those of reviewers, `events` counts the ledger by kind,
    `intact` is whether its chain holds; `names` are providers by id, `claims` how many settled, `campaigns` those
    that were under way.
    """

    period: Period
    judged: tuple[Judged, ...]
    opened: tuple[CaseFigures, ...] = ()
    decided: tuple[CaseFigures, ...] = ()
    pending: tuple[CaseFigures, ...] = ()
    paid: tuple[Paid, ...] = ()
    ratings: tuple[int, ...] = ()
    events: Mapping[str, int] = field(default_factory=dict)
    intact: bool = True
    sealed: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    claims: int = 0
    currency: str | None = None
    campaigns: tuple[Overview, ...] = ()


def read_record(store: Store, period: Period, progress: Callable[[int], None] = lambda read: None) -> Record:
    """What the database holds of a period, all as of one moment; `progress` gets the number of decisions read."""
    with store.database.read_all() as connection:
        judged = tuple(_judged(connection, period, progress))
        opened = _cases(connection, cases.c.opened_at >= period.start, cases.c.opened_at < period.end)
        decided = _cases(connection, cases.c.decided_at >= period.start, cases.c.decided_at < period.end)
        undecided = cases.c.decided_at.is_(None) | (cases.c.decided_at >= period.end)
        pending = _cases(connection, cases.c.opened_at < period.end, undecided)
        paid = _paid(connection, period)
        ratings, told = _ratings(connection, period), _events(connection, period)
        names, claims, currency = _providers(connection), _claims(connection, period), _currency(connection)
        campaigns = campaigns_between(connection, period.start, period.end)
    return Record(
        period,
        judged,
        opened,
        decided,
        pending,
        paid,
        ratings,
        told,
        intact=Ledger(store.database).verify().holds,
        sealed=getattr(store.database.reading.dialect, "fraud_cipher", None) is not None,
        names=names,
        claims=claims,
        currency=currency,
        campaigns=campaigns,
    )


def _judged(connection: Connection, period: Period, progress: Callable[[int], None]) -> Iterator[Judged]:
    """The last answer of each claim, oldest first."""
    query = (
        sa.select(decisions.c.scored_at, decisions.c.response, decisions.c.request)
        .where(decisions.c.scored_at >= period.start, decisions.c.scored_at < period.end)
        .order_by(decisions.c.scored_at, decisions.c.request_id)
    )
    last: dict[str, Judged] = {}
    with connection.execute(query.execution_options(yield_per=_CHUNK)) as rows:
        for read, (scored_at, response, request) in enumerate(rows, 1):
            one = _one(scored_at, orjson.loads(response), orjson.loads(request)["claim"])
            last.pop(one.claim_id, None)
            last[one.claim_id] = one
            if read % _CHUNK == 0:
                progress(read)
    yield from last.values()


def _one(scored_at: datetime, answer: Mapping[str, Any], claim: Mapping[str, Any]) -> Judged:
    findings, risk = answer["findings"], answer["risk"]
    return Judged(
        claim_id=answer["claim_id"],
        scored_at=scored_at,
        provider_id=claim["provider_id"],
        physician_id=claim.get("physician_id"),
        action=answer["action"],
        total_amount=float(claim.get("total_amount") or 0.0),
        fund_amount=float(claim.get("fund_amount") or 0.0),
        hits=tuple(_hit(f) for f in findings if f["status"] == "hit"),
        unsure=tuple(f["rule"] for f in findings if f["status"] != "hit"),
        degraded=tuple(answer["degraded"]),
        band=risk["band"] if risk else None,
        milliseconds=sum(answer["timing_ms"].values()),
        model=f"{answer['model']['name']} {answer['model']['version']}" if answer["model"]["name"] else None,
    )


def _hit(finding: Mapping[str, Any]) -> Hit:
    amount = float(finding["amount"] or 0.0)
    return Hit(finding["rule"], finding["version"], finding["violation"], finding["kind"], amount)


def _cases(connection: Connection, *conditions: sa.ColumnElement[bool]) -> tuple[CaseFigures, ...]:
    query = sa.select(*(cases.c[c] for c in _COLUMNS)).where(*conditions).order_by(cases.c.opened_at, cases.c.case_id)
    return tuple(CaseFigures(**row) for row in connection.execute(query).mappings())


def _paid(connection: Connection, period: Period) -> tuple[Paid, ...]:
    """Payments and counter-entries by their own day: what was reported of an earlier period stays true."""
    query = (
        sa.select(recoveries, cases.c.provider_id, cases.c.decided_at)
        .select_from(recoveries.join(cases, recoveries.c.case_id == cases.c.case_id))
        .where(recoveries.c.received_on >= period.start.date(), recoveries.c.received_on < period.end.date())
        .order_by(recoveries.c.received_on, recoveries.c.case_id, recoveries.c.number)
    )
    rows = connection.execute(query).all()
    earlier = _paid_before(connection, period)
    found = []
    for row in rows:
        first = row.amount > 0 and row.case_id not in earlier
        earlier |= {row.case_id} if first else set()
        found.append(Paid(row.case_id, row.provider_id, row.amount, row.received_on, row.decided_at, first))
    return tuple(found)


def _paid_before(connection: Connection, period: Period) -> set[str]:
    before = (recoveries.c.received_on < period.start.date(), recoveries.c.amount > 0)
    return set(connection.execute(sa.select(recoveries.c.case_id).where(*before).distinct()).scalars())


def _ratings(connection: Connection, period: Period) -> tuple[int, ...]:
    """What reviewers gave cases with their proposals, from 1 to 5."""
    query = sa.select(events.c.details).where(
        events.c.at >= period.start, events.c.at < period.end, events.c.what == "proposed"
    )
    told = (orjson.loads(details).get("rating") for details in connection.execute(query).scalars())
    return tuple(int(rating) for rating in told if rating is not None)


def _events(connection: Connection, period: Period) -> dict[str, int]:
    """Entries of the ledger by kind; its times are UTC."""
    start, end = (moment_text(m.astimezone()) for m in (period.start, period.end))
    query = sa.select(ledger.c.what, sa.func.count()).where(ledger.c.at >= start, ledger.c.at < end)
    found: Counter[str] = Counter()
    for what, count in connection.execute(query.group_by(ledger.c.what)):
        found["all"] += count
        found.update({kind: count for kind, marks in _OF_LEDGER.items() if any(m in what for m in marks)})
    return {kind: found[kind] for kind in ("all", *_OF_LEDGER)}


def _providers(connection: Connection) -> dict[str, str]:
    table = CANONICAL["providers"]
    rows = connection.execute(sa.select(table.c.provider_id, table.c.name))
    return {provider_id: name for provider_id, name in rows if name}


def _claims(connection: Connection, period: Period) -> int:
    """Claims that settled in the period."""
    settled = CANONICAL["claims"].c.settled_at
    query = sa.select(sa.func.count()).where(settled >= period.start, settled < period.end)
    return int(connection.execute(query).scalar_one())


def _currency(connection: Connection) -> str | None:
    column = CANONICAL["claims"].c.currency
    found = connection.execute(sa.select(column).where(column.is_not(None)).distinct().limit(2)).scalars().all()
    return str(found[0]) if len(found) == 1 else None
