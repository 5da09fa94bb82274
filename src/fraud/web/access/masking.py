"""Explanations without identities: a person's identifiers become names that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa

from fraud.claims.pseudonyms import PERSONAL
from fraud.explaining.explanation import Explanation, Fact
from fraud.signals.evidence import Evidence

__all__ = ["IDENTIFYING", "Mask", "masked"]

# Whoever's role does not show identities gets these columns masked. Institutions and the professional ids of
# physicians are no secret: reviewers write to them.
IDENTIFYING = frozenset(column for columns in PERSONAL.values() for column in columns)
# Days that tell one person from another are cut to the year.
_DAYS = frozenset({"birth_date", "died_on"})
# Column and value to what stands in its place; the same value always gives the same name.
Mask = Callable[[str, str], str]


def masked(explanation: Explanation, mask: Mask) -> Explanation:
    """The explanation for somebody who may not see who it is about."""
    entity = explanation.entity
    of_person = f"{entity}_id" in IDENTIFYING
    # Of a patient's network, the others are patients too.
    columns = IDENTIFYING | ({"other_id"} if entity == "patient" else frozenset())
    return replace(
        explanation,
        entity_id=mask(f"{entity}_id", explanation.entity_id) if of_person else explanation.entity_id,
        facts=tuple(_fact(f, mask) for f in explanation.facts),
        evidence={i: [_evidence(e, columns, mask) for e in parts] for i, parts in explanation.evidence.items()},
        provenance=replace(explanation.provenance, command="") if of_person else explanation.provenance,
    )


def _fact(fact: Fact, mask: Mask) -> Fact:
    if fact.label in IDENTIFYING:
        return replace(fact, value=mask(fact.label, str(fact.value)))
    if fact.label in _DAYS and isinstance(fact.value, date):
        return replace(fact, value=str(fact.value.year))
    return fact


def _evidence(evidence: Evidence, columns: frozenset[str], mask: Mask) -> Evidence:
    rows = evidence.rows
    for i, name in enumerate(rows.column_names):
        if name in columns:
            rows = rows.set_column(i, name, _column(name, rows[name].to_pylist(), mask))
        elif name in _DAYS:
            years = [str(v.year) if v is not None else None for v in rows[name].to_pylist()]
            rows = rows.set_column(i, name, pa.array(years, pa.string()))
    return replace(evidence, rows=rows)


def _column(name: str, values: Sequence[object], mask: Mask) -> pa.Array:
    return pa.array([None if v is None else mask(name, str(v)) for v in values], pa.string())
