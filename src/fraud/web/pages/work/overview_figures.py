"""Figures of all cases within somebody's bounds: money, precision, how decisions stood, time, hot spots."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fraud.review.cases import AT_WORK, Within
from fraud.signals.backtest import wilson
from fraud.store.casework import searching
from fraud.store.casework.tables import cases
from fraud.store.recoveries import recoveries
from fraud.web.pages.work.entities_figures import upheld_appeals

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fraud.store import Store

__all__ = ["Overview", "Precision", "Spot", "Tempo", "overview_of"]

_DECIDED = ("confirmed", "unfounded", "appealed", "closed")
_MONTHS, _TIMED, _SPOTS = 12, 5_000, 10
_Row = sa.Row[Any]


@dataclass(frozen=True)
class Precision:
    """Of decided cases those in which a violation was found, with the 95 % interval; `key` is a type or a month."""

    key: str
    decided: int
    confirmed: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share, from 0 to 1."""
        return self.confirmed / self.decided


@dataclass(frozen=True)
class Tempo:
    """How long decided cases took from opening to decision, by priority; times in hours."""

    priority: str
    cases: int
    hours: float


@dataclass(frozen=True)
class Spot:
    """A region or provider with the money of its cases of a year: undecided and confirmed."""

    name: str
    cases: int
    flagged: float
    confirmed: float

    @property
    def total(self) -> float:
        """All of its money."""
        return self.flagged + self.confirmed


@dataclass(frozen=True)
class Overview:
    """How it goes on the whole.

    `projected` is the expected recovery of undecided cases; `stood` how many of `confirmed_cases` no appeal withdrew.
    `recovered` is money that was entered as paid back, `owed` the part of it on decisions that an appeal withdrew,
    which is to be given back; `days_to_money` the median of the days from the decision to
    the first payment, over the `paid_cases` of a year.
    """

    flagged: float
    projected: float
    confirmed: float
    final: float
    recovered: float
    owed: float
    paid_cases: int
    days_to_money: float | None
    cases: int
    confirmed_cases: int
    stood: int
    accuracy: tuple[float, float] | None
    appeals: int
    appealed: int
    by_type: tuple[Precision, ...]
    by_month: tuple[Precision, ...]
    chosen: Precision | None
    drawn: Precision | None
    tempo: tuple[Tempo, ...]
    regions: tuple[Spot, ...]
    providers: tuple[Spot, ...]


def overview_of(store: Store, within: Within, now: datetime) -> Overview:
    """The figures as of now; precision, hot spots and times are those of a year."""
    since = now - timedelta(days=365)
    # The bounds of lists of cases, so that sums tell nobody what lies outside of theirs.
    bounds = searching.bounds_of(within)
    upheld = upheld_appeals(store)
    with store.database.read() as connection:
        flagged, projected, count = _open_money(connection, bounds)
        confirmed, final, back, cases_confirmed = _confirmed_money(connection, bounds)
        withdrawn = _withdrawn(connection, bounds, upheld)
        recovered, waited = _recovered(connection, bounds), _waited(connection, bounds, since)
        decided = _decided(connection, bounds, since)
        tempo = _tempo(connection, bounds, since)
        regions, providers = (_spots(connection, bounds, c, since) for c in (cases.c.region, cases.c.provider_id))
        appeals, appealed = _appeals(connection, bounds, since)
    stood = cases_confirmed - len(withdrawn)
    lost, withdrawn_back = (sum(pair[n] for pair in withdrawn) for n in (0, 1))
    return Overview(
        flagged=flagged,
        projected=projected,
        confirmed=confirmed - lost,
        final=final - lost,
        recovered=recovered,
        # What came back on cases that are looked at anew has no decision to rest on either.
        owed=max(round(recovered - back + withdrawn_back, 2), 0.0),
        paid_cases=len(waited),
        days_to_money=median(waited) if waited else None,
        cases=count,
        confirmed_cases=cases_confirmed,
        stood=stood,
        accuracy=wilson(stood, cases_confirmed) if cases_confirmed else None,
        appeals=appeals,
        appealed=appealed,
        by_type=_precision(decided, lambda row: row.violation or ""),
        by_month=_precision(decided, lambda row: f"{int(row.year)}-{int(row.month):02d}", by_key=True)[-_MONTHS:],
        chosen=_one(decided, random=False),
        drawn=_one(decided, random=True),
        tempo=tempo,
        regions=regions,
        providers=providers,
    )


# --- money ------------------------------------------------------------------------------------------------


def _open_money(connection: Connection, bounds: Sequence[Any]) -> tuple[float, float, int]:
    query = sa.select(sa.func.sum(cases.c.amount), sa.func.sum(cases.c.expected_recovery), sa.func.count())
    row = connection.execute(query.where(cases.c.state.in_(AT_WORK), *bounds)).one()
    return float(row[0] or 0.0), float(row[1] or 0.0), int(row[2])


_CONFIRMED = (cases.c.result == "violation", cases.c.state.in_(("confirmed", "appealed", "closed")))


def _confirmed_money(connection: Connection, bounds: Sequence[Any]) -> tuple[float, float, float, int]:
    """Money of confirmed cases, of those that are closed, what came back on them, and how many there are."""
    closed = sa.func.sum(sa.case((cases.c.state == "closed", cases.c.confirmed_amount), else_=0.0))
    sums = (sa.func.sum(cases.c.confirmed_amount), closed, sa.func.sum(cases.c.recovered_amount))
    row = connection.execute(sa.select(*sums, sa.func.count()).where(*_CONFIRMED, *bounds)).one()
    return float(row[0] or 0.0), float(row[1] or 0.0), float(row[2] or 0.0), int(row[3])


def _withdrawn(
    connection: Connection, bounds: Sequence[Any], upheld: frozenset[tuple[str, str]]
) -> list[tuple[float, float]]:
    """Of closed cases whose confirmation an appeal has withdrawn the amount, and what had come back."""
    columns = (cases.c.entity, cases.c.entity_id, cases.c.confirmed_amount, cases.c.recovered_amount)
    query = sa.select(*columns).where(*_CONFIRMED, cases.c.state == "closed", cases.c.appealed_at.is_not(None), *bounds)
    found = connection.execute(query)
    return [
        (float(amount or 0.0), float(back or 0.0)) for entity, own, amount, back in found if (entity, own) in upheld
    ]


def _recovered(connection: Connection, bounds: Sequence[Any]) -> float:
    """Money that came back; the table of payments is short, whatever there is of cases."""
    joined = recoveries.join(cases, recoveries.c.case_id == cases.c.case_id)
    query = sa.select(sa.func.sum(recoveries.c.amount)).select_from(joined).where(*bounds)
    return float(connection.execute(query).scalar_one() or 0.0)


def _waited(connection: Connection, bounds: Sequence[Any], since: datetime) -> list[float]:
    """Days from each decision of a year to the first payment; none where it was paid before."""
    first = sa.func.min(recoveries.c.received_on)
    joined = recoveries.join(cases, recoveries.c.case_id == cases.c.case_id)
    query = (
        sa.select(cases.c.decided_at, first)
        .select_from(joined)
        .where(recoveries.c.amount > 0, cases.c.decided_at >= since, *bounds)
        .group_by(cases.c.case_id, cases.c.decided_at)
    )
    return [float(max((paid - decided.date()).days, 0)) for decided, paid in connection.execute(query)]


# --- decided cases ----------------------------------------------------------------------------------------


def _decided(connection: Connection, bounds: Sequence[Any], since: datetime) -> Sequence[_Row]:
    """Decided cases of a year, counted by type, month, and why they were looked at."""
    at = cases.c.decided_at
    by = cases.c.selected_by
    year, month = sa.extract("year", at).label("year"), sa.extract("month", at).label("month")
    hit = sa.func.sum(sa.case((cases.c.result == "violation", 1), else_=0)).label("hit")
    query = (
        sa.select(cases.c.violation, year, month, by, sa.func.count().label("n"), hit)
        .where(at >= since, cases.c.state.in_(_DECIDED), cases.c.result.is_not(None), *bounds)
        .group_by(cases.c.violation, year, month, by)
    )
    return connection.execute(query).all()


def _precision(rows: Sequence[_Row], key: Any, by_key: bool = False) -> tuple[Precision, ...]:
    """Precision by key of what was chosen; what was drawn at random says something else."""
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row.selected_by != "random":
            found[key(row)][0] += int(row.n)
            found[key(row)][1] += int(row.hit)
    made = [Precision(k, n, hit, *wilson(hit, n)) for k, (n, hit) in found.items()]
    return tuple(sorted(made, key=(lambda p: p.key) if by_key else (lambda p: (-p.decided, p.key))))


def _one(rows: Sequence[_Row], random: bool) -> Precision | None:
    own = [row for row in rows if (row.selected_by == "random") == random]
    decided, hit = sum(int(r.n) for r in own), sum(int(r.hit) for r in own)
    return Precision("", decided, hit, *wilson(hit, decided)) if decided else None


def _tempo(connection: Connection, bounds: Sequence[Any], since: datetime) -> tuple[Tempo, ...]:
    query = (
        sa.select(cases.c.priority, cases.c.opened_at, cases.c.decided_at)
        .where(cases.c.decided_at >= since, *bounds)
        .order_by(cases.c.decided_at.desc())
        .limit(_TIMED)
    )
    taken: dict[str, list[float]] = defaultdict(list)
    for priority, opened, decided in connection.execute(query):
        taken[priority].append((decided - opened).total_seconds() / 3600)
    order = ("urgent", "important", "normal")
    return tuple(Tempo(p, len(taken[p]), median(taken[p])) for p in order if taken[p])


def _appeals(connection: Connection, bounds: Sequence[Any], since: datetime) -> tuple[int, int]:
    """Cases of a year that were appealed against, and how many of them wait for the decision."""
    waits = sa.func.sum(sa.case((cases.c.state == "appealed", 1), else_=0))
    query = sa.select(sa.func.count(), waits).where(cases.c.appealed_at >= since, *bounds)
    row = connection.execute(query).one()
    return int(row[0]), int(row[1] or 0)


# --- hot spots --------------------------------------------------------------------------------------------


def _spots(
    connection: Connection, bounds: Sequence[Any], column: sa.ColumnElement[Any], since: datetime
) -> tuple[Spot, ...]:
    """Where most money is, undecided and confirmed."""
    flagged = sa.func.sum(sa.case((cases.c.state.in_(AT_WORK), cases.c.amount), else_=0.0))
    confirmed = sa.func.sum(sa.case((sa.and_(*_CONFIRMED), cases.c.confirmed_amount), else_=0.0))
    query = (
        sa.select(column, sa.func.count(), flagged, confirmed)
        .where(column.is_not(None), cases.c.opened_at >= since, *bounds)
        .group_by(column)
    )
    found = [Spot(r[0], int(r[1]), float(r[2] or 0.0), float(r[3] or 0.0)) for r in connection.execute(query)]
    return tuple(sorted(found, key=lambda s: (-s.total, s.name))[:_SPOTS])
