"""Figures of one provider, physician or patient: months, cases by type, money, the monthly place, the grade."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from fraud.errors import Fault, SpecError, nearest
from fraud.review.cases import Case, Within
from fraud.review.cases.opening import case_number
from fraud.signals.backtest import wilson
from fraud.store.casework import searching
from fraud.store.casework.rows import case_of_row
from fraud.store.casework.tables import cases
from fraud.store.tables import CANONICAL, decisions

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fraud.store import Store

__all__ = [
    "Grade",
    "GradeRules",
    "Money",
    "MonthFigure",
    "Scheme",
    "Standing",
    "cases_of_physician",
    "decided_as_violation",
    "grade_of",
    "grade_rules",
    "money_of",
    "schemes_of",
    "standing_of",
    "trend_of",
    "upheld_appeals",
]

_claims, _outcomes = CANONICAL["claims"], CANONICAL["outcomes"]
_MONTHS, _YEAR = 13, timedelta(days=365)
# Seconds for which the ranking of a month is not worked out again.
_FRESH = 600.0
# Claims of a physician that are looked through, and how often the same one may have become a case.
_MOST_CLAIMS, _TURNS = 3_000, 3


# --- settings ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GradeRules:
    """`[grades]` of `fraud.toml`: shares of flagged claims, and the fewest claims that a grade or a place needs."""

    basically: float = 0.01
    unreasonable: float = 0.05
    fewest_claims: int = 30


def grade_rules(settings: Mapping[str, Any]) -> GradeRules:
    """The rules of `[grades]`; raises `SpecError` that names every fault at once."""
    known = GradeRules.__dataclass_fields__
    faults = [Fault(f"/grades/{n}", "unknown", f"not known{nearest(n, known)}") for n in settings if n not in known]
    for name, value in settings.items():
        most = 1_000_000.0 if name == "fewest_claims" else 1.0
        figure = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name in known and not (figure and 0 < value <= most):
            faults.append(Fault(f"/grades/{name}", "value", f"expected a number above 0, to {most:g}"))
    if faults:
        said = "; ".join(f"{f.where}: {f.detail}" for f in faults[:5])
        raise SpecError(f"fraud.toml has {len(faults)} faults in [grades]: {said}", faults)
    return GradeRules(**settings)


# --- months -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MonthFigure:
    """Claims and charges of a month; `day` is its first day."""

    day: date
    claims: int
    amount: float


def trend_of(store: Store, entity: str, entity_id: str, now: datetime) -> tuple[MonthFigure, ...]:
    """The months up to the last claim, those without claims among them included."""
    last = last_claim(store, entity, entity_id, now)
    if last is None:
        return ()
    months = _months_before(last.date())
    at, own = _claims.c.settled_at, _claims.c[f"{entity}_id"] == entity_id
    year, month = sa.extract("year", at), sa.extract("month", at)
    query = (
        sa.select(year, month, sa.func.count(), sa.func.sum(_claims.c.total_amount))
        .where(own, at >= datetime(months[0].year, months[0].month, 1), at <= last)
        .group_by(year, month)
    )
    with store.database.read() as connection:
        found = {(int(y), int(m)): (int(n), float(total or 0.0)) for y, m, n, total in connection.execute(query)}
    return tuple(MonthFigure(day, *found.get((day.year, day.month), (0, 0.0))) for day in months)


def last_claim(store: Store, entity: str, entity_id: str, now: datetime) -> datetime | None:
    """When the entity's last claim settled."""
    at = _claims.c.settled_at
    query = sa.select(sa.func.max(at)).where(_claims.c[f"{entity}_id"] == entity_id, at <= now)
    with store.database.read() as connection:
        found: datetime | None = connection.execute(query).scalar_one()
    return found


def _months_before(day: date) -> list[date]:
    back = [(day.year * 12 + day.month - 1) - n for n in range(_MONTHS)]
    return [date(n // 12, n % 12 + 1, 1) for n in reversed(back)]


# --- cases ------------------------------------------------------------------------------------------------


def cases_of_physician(store: Store, within: Within, physician_id: str) -> tuple[Case, ...]:
    """Cases of the physician's latest claims within somebody's bounds, the latest first.

    A case does not say whose claim it is about, but its number follows from that of the claim.
    """
    query = sa.select(_claims.c.claim_id).where(_claims.c.physician_id == physician_id)
    found: list[Case] = []
    with store.database.read() as connection:
        claims = list(connection.execute(query.order_by(_claims.c.settled_at.desc()).limit(_MOST_CLAIMS)).scalars())
        numbers = [case_number("claim", claim, turn) for claim in claims for turn in range(_TURNS)]
        for first in range(0, len(numbers), 500):
            own = sa.select(cases).where(
                cases.c.case_id.in_(numbers[first : first + 500]), *searching.bounds_of(within)
            )
            found += map(case_of_row, connection.execute(own).mappings())
    return tuple(sorted(found, key=lambda c: c.opened_at, reverse=True))


@dataclass(frozen=True)
class Scheme:
    """Cases of one type of violation within a year; `confirmed` were signed by two."""

    violation: str
    cases: int
    confirmed: int
    amount: float


@dataclass(frozen=True)
class Money:
    """Money of cases: at stake while undecided, confirmed, and final, which nobody can appeal against any more."""

    flagged: float
    confirmed: float
    final: float


def upheld_appeals(store: Store) -> frozenset[tuple[str, str]]:
    """Whom confirmed decisions were about that an appeal has withdrawn."""
    query = sa.select(_outcomes.c.entity, _outcomes.c.entity_id).where(_outcomes.c.verdict == "appeal_upheld")
    with store.database.read() as connection:
        return frozenset((row[0], row[1]) for row in connection.execute(query))


def decided_as_violation(case: Case, upheld: frozenset[tuple[str, str]]) -> bool:
    """Whether a violation was confirmed, and stands."""
    withdrawn = case.state == "closed" and case.appealed_at is not None and (case.entity, case.entity_id) in upheld
    return case.result == "violation" and case.state in ("confirmed", "appealed", "closed") and not withdrawn


def money_of(found: Sequence[Case], upheld: frozenset[tuple[str, str]]) -> Money:
    """The money of these cases."""
    stands = [c for c in found if decided_as_violation(c, upheld)]
    return Money(
        flagged=sum(c.amount or 0.0 for c in found if c.at_work),
        confirmed=sum(c.confirmed_amount or 0.0 for c in stands),
        final=sum(c.confirmed_amount or 0.0 for c in stands if c.state == "closed"),
    )


def schemes_of(found: Sequence[Case], upheld: frozenset[tuple[str, str]], now: datetime) -> tuple[Scheme, ...]:
    """What was suspected within a year, by type, most cases first; what was found unfounded is left out."""
    kinds: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        if case.violation and case.opened_at >= now - _YEAR and case.result != "compliant":
            kinds[case.violation].append(case)
    return tuple(
        Scheme(
            kind,
            len(own),
            sum(decided_as_violation(c, upheld) for c in own),
            sum((c.confirmed_amount if decided_as_violation(c, upheld) else c.amount) or 0.0 for c in own),
        )
        for kind, own in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    )


# --- the place of a month ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Claims with a case among those of a month, with its 95 % interval, and the place among all with enough claims.

    Places are by the lower end of the interval, so that few claims put nobody in front. `place` is None where there
    are too few claims, or none of them is flagged; `among` counts those with enough claims and a flagged one.
    """

    month: date
    claims: int
    flagged: int
    low: float
    high: float
    place: int | None
    among: int


def standing_of(store: Store, entity: str, entity_id: str, rules: GradeRules, now: datetime) -> Standing | None:
    """The entity's place in the month of its last claim; None without claims."""
    last = last_claim(store, entity, entity_id, now)
    if last is None:
        return None
    month = date(last.year, last.month, 1)
    ranking = _ranking(store, entity, month)
    claims, flagged = ranking.get(entity_id) or (_claims_in(store, entity, entity_id, *_span(month)), 0)
    low, high = wilson(flagged, claims)
    places = sorted((wilson(f, n)[0] for n, f in ranking.values() if n >= rules.fewest_claims), reverse=True)
    place = 1 + sum(p > low for p in places) if claims >= rules.fewest_claims and flagged else None
    return Standing(month, claims, flagged, low, high, place, len(places))


_rankings: WeakKeyDictionary[Store, dict[tuple[str, date], tuple[float, dict[str, tuple[int, int]]]]]
_rankings = WeakKeyDictionary()


def _ranking(store: Store, entity: str, month: date) -> dict[str, tuple[int, int]]:
    """Claims and flagged ones of a month, by everybody who has a flagged one."""
    kept = _rankings.setdefault(store, {})
    at, found = kept.get((entity, month), (0.0, {}))
    if at and monotonic() - at < _FRESH:
        return found
    with store.database.read() as connection:
        flagged = _flagged(connection, entity, *_span(month))
        found = {i: (n, flagged[i]) for i, n in _volumes(connection, entity, list(flagged), *_span(month))}
    kept[entity, month] = (monotonic(), found)
    return found


def _flagged(
    connection: Connection, entity: str, since: datetime, until: datetime, entity_id: str | None = None
) -> Counter[str]:
    """Claims with a case that was not found unfounded nor drawn at random, by entity."""
    # The numbers of claims are sealed with the cases, and stand open with the decisions.
    joined = cases.join(decisions, cases.c.request_id == decisions.c.request_id)
    joined = joined.join(_claims, decisions.c.claim_id == _claims.c.claim_id)
    own = _claims.c[f"{entity}_id"]
    query = (
        sa.select(own, sa.func.count(sa.distinct(_claims.c.claim_id)))
        .select_from(joined)
        .where(
            cases.c.entity == "claim",
            cases.c.selected_by != "random",
            cases.c.result.is_distinct_from("compliant"),
            _claims.c.settled_at >= since,
            _claims.c.settled_at < until,
            own.is_not(None) if entity_id is None else own == entity_id,
        )
        .group_by(own)
    )
    return Counter({row[0]: int(row[1]) for row in connection.execute(query)})


def _volumes(
    connection: Connection, entity: str, ids: Sequence[str], since: datetime, until: datetime
) -> list[tuple[str, int]]:
    own = _claims.c[f"{entity}_id"]
    found: list[tuple[str, int]] = []
    for first in range(0, len(ids), 500):
        query = (
            sa.select(own, sa.func.count())
            .where(
                own.in_(ids[first : first + 500]),
                _claims.c.settled_at >= since,
                _claims.c.settled_at < until,
            )
            .group_by(own)
        )
        found += [(row[0], int(row[1])) for row in connection.execute(query)]
    return found


def _claims_in(store: Store, entity: str, entity_id: str, since: datetime, until: datetime) -> int:
    with store.database.read() as connection:
        return next((n for _, n in _volumes(connection, entity, [entity_id], since, until)), 0)


@lru_cache(maxsize=64)
def _span(month: date) -> tuple[datetime, datetime]:
    after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    return datetime(month.year, month.month, 1), datetime(after.year, after.month, 1)


# --- the grade --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grade:
    """How the billing of a year is graded, as a proposal; `name` is None where there are too few claims."""

    name: Literal["reasonable", "basically_reasonable", "unreasonable"] | None
    claims: int
    flagged: int
    low: float
    high: float


def grade_of(store: Store, entity: str, entity_id: str, rules: GradeRules, now: datetime) -> Grade | None:
    """The grade of the year up to the last claim; None without claims.

    What counts is the lower end of the interval of the share of claims with a case: a share that may be chance
    grades nobody down. Cases that were found unfounded do not count.
    """
    last = last_claim(store, entity, entity_id, now)
    if last is None:
        return None
    since, until = last - _YEAR, last + timedelta(microseconds=1)
    claims = _claims_in(store, entity, entity_id, since, until)
    with store.database.read() as connection:
        flagged = _flagged(connection, entity, since, until, entity_id)[entity_id]
    low, high = wilson(flagged, claims)
    return Grade(_name(low, rules) if claims >= rules.fewest_claims else None, claims, flagged, low, high)


def _name(low: float, rules: GradeRules) -> Literal["reasonable", "basically_reasonable", "unreasonable"]:
    if low >= rules.unreasonable:
        return "unreasonable"
    return "basically_reasonable" if low >= rules.basically else "reasonable"
