"""Looking for cases: filters, pages in any order, and counts, answered from indexes wherever that can be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.casework.rows import case_of_row
from fraud.store.casework.shapes import PRIORITIES, STATES, Case, Chosen, Within
from fraud.store.casework.tables import cases
from fraud.store.tables import CANONICAL

__all__ = ["bounds_of", "counts_of", "found_cases", "hours_of_week", "how_many"]

_Condition = sa.ColumnElement[bool]
_URGENCY = sa.case({p: n for n, p in enumerate(PRIORITIES)}, value=cases.c.priority)
# What has no figure comes last in either direction.
_ORDERS: dict[str, sa.ColumnElement[Any]] = {
    "worth": cases.c.worth,
    "due": cases.c.due_at,
    "amount": cases.c.amount,
    "opened": cases.c.opened_at,
    "priority": _URGENCY,
    "probability": cases.c.probability,
    "expected_recovery": cases.c.expected_recovery,
    "place": cases.c.place,
}
_NEVER_NULL = {"worth", "opened", "priority"}


def found_cases(
    connection: Connection, chosen: Chosen, within: Within, now: datetime, order: str, most: int, skip: int
) -> tuple[Case, ...]:
    """A page of cases in an order; a `-` before it turns it round."""
    conditions = _conditions(connection, chosen, within, now)
    # The ids first, out of an index: only the rows of the page are read.
    ids = sa.select(cases.c.case_id).where(*conditions).order_by(*_order(order)).limit(most).offset(skip)
    wanted = list(connection.execute(ids).scalars())
    if not wanted:
        return ()
    rows = connection.execute(sa.select(cases).where(cases.c.case_id.in_(wanted))).mappings()
    by_id = {row["case_id"]: case_of_row(row) for row in rows}
    return tuple(by_id[i] for i in wanted if i in by_id)


def _order(order: str) -> Sequence[sa.ColumnElement[Any]]:
    name = order.removeprefix("-")
    column = _ORDERS[name]
    turned = column.desc() if order.startswith("-") else column.asc()
    tie = cases.c.case_id.desc() if order.startswith("-") else cases.c.case_id.asc()
    if name == "priority":
        return (turned, cases.c.worth.desc(), tie)
    return (turned if name in _NEVER_NULL else turned.nulls_last(), tie)


def how_many(connection: Connection, chosen: Chosen, within: Within, now: datetime) -> int:
    """How many cases there are of what is looked for."""
    query = sa.select(sa.func.count()).select_from(cases).where(*_conditions(connection, chosen, within, now))
    return int(connection.execute(query).scalar_one())


def counts_of(
    connection: Connection, chosen: Chosen, within: Within, now: datetime
) -> tuple[tuple[str, str, int, int], ...]:
    """For each state and priority how many cases there are, and how many of them are overdue."""
    late = sa.func.count(sa.case((cases.c.due_at < now, 1)))
    query = (
        sa.select(cases.c.state, cases.c.priority, sa.func.count(), late)
        .where(*_conditions(connection, chosen, within, now))
        .group_by(cases.c.state, cases.c.priority)
        .order_by(cases.c.state, cases.c.priority)
    )
    return tuple((row[0], row[1], int(row[2]), int(row[3])) for row in connection.execute(query))


def hours_of_week(connection: Connection, chosen: Chosen, within: Within, now: datetime) -> dict[str, float]:
    """Hours of review of the cases, by state."""
    query = (
        sa.select(cases.c.state, sa.func.sum(cases.c.hours))
        .where(*_conditions(connection, chosen, within, now))
        .group_by(cases.c.state)
    )
    return {row[0]: float(row[1]) for row in connection.execute(query)}


# --- conditions -------------------------------------------------------------------------------------------


def _conditions(connection: Connection, chosen: Chosen, within: Within, now: datetime) -> list[_Condition]:
    lists = (
        # Of all states named: an index that begins with the state is of use then too.
        (cases.c.state, chosen.states or STATES),
        (cases.c.violation, chosen.violations),
        (cases.c.priority, chosen.priorities),
        (cases.c.entity, chosen.entities),
    )
    found: list[_Condition] = [column.in_(values) for column, values in lists if values]
    equal = (
        (cases.c.provider_id, chosen.provider_id),
        (cases.c.patient_id, chosen.patient_id),
        (cases.c.entity_id, chosen.entity_id),
        (cases.c.selected_by, chosen.selected_by),
        (cases.c.verdict, chosen.verdict),
        (cases.c.week, chosen.week),
    )
    found += [column == value for column, value in equal if value is not None]
    if chosen.regions:
        found.append(_in_regions(cases.c.region, chosen.regions))
    if chosen.assignee is not None:
        found.append(cases.c.assignee == chosen.assignee if chosen.assignee else cases.c.assignee.is_(None))
    if chosen.text:
        found.append(sa.or_(_begins(cases.c.case_id, f"{chosen.text.upper()}*"), cases.c.entity_id == chosen.text))
    return [*found, *_ranges(chosen, now), *bounds_of(within)]


def _ranges(chosen: Chosen, now: datetime) -> list[_Condition]:
    found: list[_Condition] = []
    if chosen.amount_at_least is not None:
        found.append(cases.c.amount >= chosen.amount_at_least)
    if chosen.amount_below is not None:
        found.append(cases.c.amount < chosen.amount_below)
    if chosen.probability_at_least is not None:
        found.append(cases.c.probability >= chosen.probability_at_least)
    if chosen.probability_below is not None:
        found.append(cases.c.probability < chosen.probability_below)
    if chosen.overdue is not None:
        late = sa.and_(cases.c.due_at.is_not(None), cases.c.due_at < now)
        found.append(late if chosen.overdue else sa.not_(late))
    if chosen.opened_from is not None:
        found.append(cases.c.opened_at >= chosen.opened_from)
    if chosen.opened_until is not None:
        found.append(cases.c.opened_at < chosen.opened_until)
    return found


def bounds_of(within: Within) -> list[_Condition]:
    """What holds cases to the bounds of somebody, as `fraud.web.access.bounds` holds single records to them."""
    found: list[_Condition] = []
    if within.regions:
        houses = CANONICAL["providers"]
        there = sa.select(houses.c.provider_id).where(_in_regions(houses.c.region, within.regions))
        own = [_in_regions(c, within.regions) for c in (cases.c.region, cases.c.insured_region)]
        found.append(sa.or_(*own, cases.c.provider_id.in_(there)))
    if within.providers:
        claims = CANONICAL["claims"]
        treated = sa.select(claims.c.patient_id).where(claims.c.provider_id.in_(within.providers))
        patients = sa.and_(cases.c.provider_id.is_(None), cases.c.patient_id.in_(treated))
        found.append(sa.or_(cases.c.provider_id.in_(within.providers), patients))
    return found


def _in_regions(column: sa.ColumnElement[Any], regions: Sequence[str]) -> _Condition:
    """Whether a region is one of these, or begins as one of them that ends in `*`."""
    whole = [r for r in regions if not r.endswith("*")]
    parts = [_begins(column, r) for r in regions if r.endswith("*")]
    return sa.or_(*([column.in_(whole)] if whole else []), *parts)


def _begins(column: sa.ColumnElement[Any], value: str) -> _Condition:
    """Equal, or with a `*` at the end beginning so: compared as it is written, since patterns differ by database."""
    if not value.endswith("*"):
        return column == value
    beginning = value[:-1]
    return sa.func.substr(column, 1, len(beginning)) == beginning
