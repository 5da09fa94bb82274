"""The window's claims added up: by patient, physician, day, kind of case, and so on.

A distribution within an entity (how claims spread over its physicians, how full its busiest day is) needs rows
that are sums themselves. Each group is a relation with one row for each value of one column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

__all__ = ["ELSEWHERE", "GROUPS", "MEASURES", "Group", "grouped", "seen_elsewhere"]


@dataclass(frozen=True)
class Group:
    """One way to add up a window: `column` of the claims, and what one row then is."""

    column: str
    doc: str
    person: bool = False


GROUPS: Mapping[str, Group] = {
    "by_patient": Group("patient_id", "one row for each patient", person=True),
    "by_physician": Group("physician_id", "one row for each physician", person=True),
    "by_provider": Group("provider_id", "one row for each provider"),
    "by_day": Group("admission_day", "one row for each day on which a claim begins"),
    "by_month": Group("admission_month", "one row for each month in which a claim begins"),
    "by_terminal_slot": Group("terminal_slot", "one row for each terminal and five minutes with a settlement"),
    "by_physician_slot": Group("physician_slot", "one row for each physician and five minutes with a settlement"),
    "by_stay": Group("stay_days", "one row for each length of stay, in days"),
    "by_case": Group("case_code", "one row for each kind of care and ICD category"),
    "by_region": Group("patient_insured_region", "one row for each region that insures the patients"),
}
# What a row adds up, and the column of the claims that it needs.
MEASURES: Mapping[str, tuple[str, Callable[[ir.Column], ir.Value]]] = {
    "claims": ("claim_id", lambda c: c.count()),
    "amount": ("total_amount", lambda c: c.sum()),
    "patients": ("patient_id", lambda c: c.nunique()),
}
ELSEWHERE = ("claims_elsewhere", "places_elsewhere")


def grouped(window: ir.Table, key: Iterable[str], column: str, needed: Iterable[str]) -> ir.Table:
    """The window added up by key and column; claims that do not tell the column are left out."""
    known = window.filter(window[column].notnull())
    wanted = [n for n in MEASURES if n in needed and n != column]
    measures = {n: MEASURES[n][1](known[MEASURES[n][0]]) for n in wanted}
    return known.group_by([*key, column]).aggregate(**measures)


def seen_elsewhere(
    persons: ir.Table, claims: ir.Table, entity: str, column: str, key: Iterable[str], days: int
) -> ir.Table:
    """For each person of an entity: claims at other entities of that kind in the window, and how many those are.

    `persons` has the key and the person's `column`; `entity` is the column of the claims that names the entity.
    """
    other = claims.view()
    matches = [
        persons[column] == other[column],
        persons.entity_id != other[entity],
        other.settled_at < persons.snapshot,
        other.settled_at >= persons.snapshot - ibis.interval(days=days),
    ]
    found = persons.inner_join(other, matches)
    found = found.select(*(persons[k] for k in key), person=persons[column], place=other[entity])
    return found.group_by([*key, "person"]).aggregate(
        claims_elsewhere=found.count(), places_elsewhere=found.place.nunique()
    )
