"""The relations that signals read, as Ibis expressions over the canonical tables.

The engine builds every relation, so that a signal cannot see the future: `past` holds only claims settled
before the claim it belongs to, `window` only claims settled before the snapshot. Joins are equalities plus
a range filter, which DuckDB and Spark both run without window frames.

A relation is built with just the columns that are asked for (see `fraud.signals.lookups` and `columns`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from fraud.signals.columns import case_code, stay_days
from fraud.signals.groups import ELSEWHERE, GROUPS, MEASURES, grouped, seen_elsewhere
from fraud.signals.lookups import (
    CLAIM,
    DIAGNOSES,
    LINES,
    NORM_COLUMNS,
    PAIRS,
    PAST,
    PAST_LINES,
    PROCEDURES,
    WINDOW,
    WINDOW_LINES,
    Decoration,
    base_table,
    entity_attributes,
)
from fraud.signals.network import network_scopes
from fraud.signals.scope import ENTITY_KEYS, Scope, only

__all__ = [
    "ENTITY_KEYS",
    "NORM_COLUMNS",
    "PAST_DAYS",
    "PAST_LINES_DAYS",
    "Relations",
    "Scope",
    "base_table",
    "case_code",
    "stay_days",
]

PAST_DAYS = 365
PAST_LINES_DAYS = 180


class Relations:
    """The scopes of one grain, over base tables.

    `entity` is `claim`, `patient`, `provider` or `physician`. For a claim the key is `claim_id`, for the
    others `(entity_id, snapshot)`. `days` is the length of the trailing window.
    """

    def __init__(self, entity: str, *, days: int = 365, target: ir.Table | None = None) -> None:
        self.entity = entity
        self.days = days
        self.target = base_table("target") if target is None else target
        self.key: tuple[str, ...] = ("claim_id",) if entity == "claim" else ("entity_id", "snapshot")

    @cached_property
    def scopes(self) -> dict[str, Scope]:
        """Scopes by the parameter name that asks for them."""
        made = self._claim_scopes() if self.entity == "claim" else self._entity_scopes()
        return {scope.name: scope for scope in made}

    @property
    def row(self) -> Scope:
        """The scope with one row for each row of the grain."""
        return next(scope for scope in self.scopes.values() if scope.single)

    # --- claim grain ----------------------------------------------------------------------------------

    def _claim_scopes(self) -> list[Scope]:
        return [
            self._claim(),
            self._items("lines", LINES, "the claim's lines, joined to the catalogue"),
            self._items("diagnoses", DIAGNOSES, "the claim's diagnoses"),
            self._items("procedures", PROCEDURES, "the claim's procedures"),
            self._past(),
            self._past_lines(),
        ]

    def _claim(self) -> Scope:
        return Scope(
            "claim",
            "the claim with its patient's, provider's and physician's attributes",
            ("claim_id",),
            lambda needed: only(CLAIM.apply(self.target, needed), {"claim_id", *needed}),
            tuple(CLAIM.names(self.target.columns)),
            single=True,
            types=CLAIM.types(self.target.schema()),
        )

    def _owner(self, needed: Iterable[str]) -> ir.Table:
        """Target claims with key `target_id` and the needed `claim_` columns, to be joined to items."""
        own = {n.removeprefix("claim_") for n in needed if n.startswith("claim_") and n != "claim_id"}
        claims = CLAIM.apply(self.target, own)
        kept = {f"claim_{n}": claims[n] for n in sorted(own)}
        return claims.select(target_id=claims.claim_id, _patient=claims.patient_id, **_time(claims), **kept)

    def _items(self, name: str, decoration: Decoration, doc: str) -> Scope:
        table = base_table(name)

        def build(needed: frozenset[str]) -> ir.Table:
            own = [n for n in needed if not _is_owner(n, table)]
            owner = self._owner(needed)
            joined = owner.inner_join(table, owner.target_id == table.claim_id)
            return only(decoration.apply(joined, own), {"target_id", *needed})

        columns = decoration.names(table.columns)
        needs = ((name, "claim_id"),)
        types = self._owner_types() | decoration.types(table.schema())
        return Scope(name, doc, ("target_id",), build, self._with_owner(columns), requires=needs, types=types)

    def _owner_types(self) -> dict[str, dt.DataType]:
        return {f"claim_{n}": kind for n, kind in CLAIM.types(self.target.schema()).items()}

    def _with_owner(self, columns: Iterable[str]) -> tuple[str, ...]:
        owned = (f"claim_{n}" for n in CLAIM.names(self.target.columns))
        return tuple(dict.fromkeys([*columns, *owned]))

    def _pairs(self, needed: Iterable[str], days: int) -> ir.Table:
        """Pairs of a target claim and an earlier claim of the same patient that was known before it."""
        owner = self._owner(needed)
        earlier = base_table("claims")
        known = [
            owner._patient == earlier.patient_id,
            earlier.settled_at < owner._settled,
            earlier.settled_at >= owner._settled - ibis.interval(days=days),
            earlier.claim_id != owner.target_id,
        ]
        return owner.inner_join(earlier, known)

    def _past(self) -> Scope:
        claims, decoration = base_table("claims"), PAST

        def build(needed: frozenset[str]) -> ir.Table:
            own = [n for n in needed if not _is_owner(n, claims)]
            return only(decoration.apply(self._pairs(needed, PAST_DAYS), own), {"target_id", *needed})

        columns = self._with_owner(decoration.names(claims.columns))

        doc = f"the patient's claims known before this one was settled, last {PAST_DAYS} days"
        types = self._owner_types() | decoration.types(_PAIR_TYPES | dict(claims.schema().items()))
        return Scope("past", doc, ("target_id",), build, columns, types=types)

    def _past_lines(self) -> Scope:
        lines, decoration = base_table("lines"), PAST_LINES
        pair = PAIRS
        pair_columns = (*pair.derivations, "provider_id", "visit_type")

        def build(needed: frozenset[str]) -> ir.Table:
            wanted = [n for n in pair_columns if n in needed]
            pairs = pair.apply(self._pairs(needed, PAST_LINES_DAYS), wanted)
            owned = [n for n in pairs.columns if n.startswith("claim_") and n != "claim_id"]
            pairs = pairs.select("target_id", *owned, *wanted, _earlier=pairs.claim_id)
            joined = pairs.inner_join(lines, pairs._earlier == lines.claim_id)
            own = [n for n in needed if n in decoration.names(lines.columns)]
            return only(decoration.apply(joined, own), {"target_id", *needed})

        columns = self._with_owner([*decoration.names(lines.columns), *pair_columns])
        doc = f"the lines of the patient's claims known before this one, last {PAST_LINES_DAYS} days"
        types = self._owner_types() | pair.types(_PAIR_TYPES | dict(base_table("claims").schema().items()))
        types |= decoration.types(_PAIR_TYPES | dict(lines.schema().items()))
        return Scope("past_lines", doc, ("target_id",), build, columns, requires=(("lines", "claim_id"),), types=types)

    # --- patient, provider and physician grain ---------------------------------------------------------

    def _entity_scopes(self) -> list[Scope]:
        return [
            self._entity(),
            self._window(),
            self._window_items("window_lines", "lines", WINDOW_LINES),
            self._window_items("window_diagnoses", "diagnoses", DIAGNOSES),
            self._window_items("window_procedures", "procedures", PROCEDURES),
            *(self._grouped(name) for name in GROUPS),
            self._by_service_day(),
            *network_scopes(self),
        ]

    def _entity(self) -> Scope:
        name = {"patient": "patients", "provider": "providers", "physician": "physicians"}[self.entity]
        decoration = entity_attributes(name)
        entities = base_table("entities")
        return Scope(
            self.entity,
            f"the {self.entity}'s own attributes",
            self.key,
            lambda needed: only(decoration.apply(entities, needed), {*self.key, *needed}),
            tuple(decoration.names(entities.columns)),
            single=True,
        )

    def in_window(self) -> ir.Table:
        """The entity's claims settled in the window before the snapshot, with both keys."""
        entities, claims = base_table("entities"), base_table("claims")
        return entities.inner_join(
            claims,
            [
                entities.entity_id == claims[ENTITY_KEYS[self.entity]],
                claims.settled_at < entities.snapshot,
                claims.settled_at >= entities.snapshot - ibis.interval(days=self.days),
            ],
        )

    def _window(self) -> Scope:
        decoration = WINDOW

        def build(needed: frozenset[str]) -> ir.Table:
            return only(decoration.apply(self.in_window(), needed), {*self.key, *needed})

        doc = f"the {self.entity}'s claims settled in the {self.days} days before the snapshot"
        schema = _SNAPSHOT | dict(base_table("claims").schema().items())
        return Scope("window", doc, self.key, build, tuple(decoration.names(schema)), types=decoration.types(schema))

    def _window_items(self, name: str, table_name: str, decoration: Decoration) -> Scope:
        items = base_table(table_name)
        claim_columns = ("patient_id", "provider_id", "visit_type", "admitted_at", "discharged_at", "settled_at")

        def build(needed: frozenset[str]) -> ir.Table:
            wanted = [n for n in claim_columns if n in needed]
            window = self.in_window()
            window = window.select(*self.key, *wanted, _claim=window.claim_id)
            joined = window.inner_join(items, window._claim == items.claim_id)
            own = [n for n in needed if n in decoration.names(items.columns)]
            return only(decoration.apply(joined, own), {*self.key, *needed})

        columns = dict.fromkeys([*decoration.names(items.columns), *claim_columns])
        doc = f"the {table_name} of the claims in the window"
        needs = ((table_name, "claim_id"),)
        claims = base_table("claims").schema()
        types = {n: claims[n] for n in claim_columns} | decoration.types(items.schema())
        return Scope(name, doc, self.key, build, tuple(columns), requires=needs, types=types)

    def _grouped(self, name: str) -> Scope:
        """The window added up by a column; persons come with what they had elsewhere."""
        group = GROUPS[name]
        elsewhere = ELSEWHERE if group.person and group.column != ENTITY_KEYS[self.entity] else ()

        def build(needed: frozenset[str]) -> ir.Table:
            columns = {group.column, "claim_id", *(MEASURES[n][0] for n in needed if n in MEASURES)}
            window = CLAIM.apply(self.in_window(), columns).select(*self.key, *sorted(columns))
            rows = grouped(window, self.key, group.column, needed)
            if needed & set(elsewhere):
                rows = self._with_elsewhere(rows, group.column)
            return only(rows, {*self.key, *needed})

        columns = dict.fromkeys([group.column, *MEASURES, *elsewhere])
        doc = f"the claims of the window added up, {group.doc}"
        return Scope(name, doc, self.key, build, tuple(columns))

    def _by_service_day(self) -> Scope:
        """The window's lines added up by the day of the service."""
        lines = self._window_items("window_lines", "lines", WINDOW_LINES)

        def build(needed: frozenset[str]) -> ir.Table:
            read = {"staff_minutes": "minutes", "dialysis_sessions": "dialysis"}
            rows = lines.build(frozenset({"service_day", "quantity", *(read[n] for n in needed if n in read)}))
            known = rows.filter(rows.service_day.notnull())
            dialysis = "dialysis_sessions" in needed
            if dialysis and "staff_minutes" not in needed:
                known = known.filter(known.dialysis)
            made = {
                **({"staff_minutes": (known.quantity * known.minutes).sum()} if "staff_minutes" in needed else {}),
                **({"dialysis_sessions": known.quantity.sum(where=known.dialysis)} if dialysis else {}),
            }
            groups = known.group_by([*self.key, "service_day"])
            return only(groups.aggregate(**made), {*self.key, *needed})

        doc = f"{lines.doc} added up, one row for each day of service; staff minutes as the catalogue gives them"
        columns = ("service_day", "staff_minutes", "dialysis_sessions")
        return Scope("by_service_day", doc, self.key, build, columns, requires=lines.requires)

    def _with_elsewhere(self, rows: ir.Table, column: str) -> ir.Table:
        persons = rows.select(*self.key, column)
        own = ENTITY_KEYS[self.entity]
        found = seen_elsewhere(persons, base_table("claims"), own, column, self.key, self.days)
        found = found.rename({f"_{k}": k for k in self.key})
        matches = [rows[k] == found[f"_{k}"] for k in self.key]
        joined = rows.left_join(found, [*matches, rows[column] == found.person])
        return joined.select(*rows.columns, **{n: found[n].fill_null(0) for n in ELSEWHERE})


_SNAPSHOT: dict[str, dt.DataType] = {"snapshot": dt.Timestamp(scale=6)}
# The columns of the claim at hand that come with an earlier claim of its patient.
_PAIR_TYPES: dict[str, dt.DataType] = {
    **dict.fromkeys(("_settled", "_admitted", "_discharged"), dt.Timestamp(scale=6)),
    **dict.fromkeys(("target_id", "_patient", "_provider", "_physician"), dt.string),
}


# --- small pieces ---------------------------------------------------------------------------------------


def _time(claims: ir.Table) -> dict[str, ir.Value]:
    return {
        "_settled": claims.settled_at,
        "_admitted": claims.admitted_at,
        "_discharged": claims.discharged_at,
        "_provider": claims.provider_id,
        "_physician": claims.physician_id,
    }


def _is_owner(name: str, table: ir.Table) -> bool:
    return name.startswith("claim_") and name not in table.columns
