"""The relations that signals read, as Ibis expressions over the canonical tables.

The engine builds every relation, so that a signal cannot see the future: `past` holds only claims settled
before the claim it belongs to, `window` only claims settled before the snapshot. Joins are equalities plus
a range filter, which DuckDB and Spark both run without window frames.

A relation is built with just the columns that are asked for (see `fraud.signals.lookups` and `columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
ENTITY_KEYS = {"patient": "patient_id", "provider": "provider_id", "physician": "physician_id"}


@dataclass(frozen=True, eq=False)
class Scope:
    """A relation as a signal sees it.

    `stub` is an unbound table with every column there could be: signal functions are called with it, and
    the columns that they touch are then asked of `build`. `key` are the columns of the built relation that
    tell which row of the grain its rows belong to. `single` is true where there is one row for each key.
    `requires` are (table, column) pairs without which the relation says nothing.
    """

    name: str
    doc: str
    key: tuple[str, ...]
    build: Callable[[frozenset[str]], ir.Table]
    columns: tuple[str, ...]
    single: bool = False
    requires: tuple[tuple[str, str], ...] = ()
    types: Mapping[str, dt.DataType] = field(default_factory=dict)

    @cached_property
    def stub(self) -> ir.Table:
        """What a signal function is called with."""
        types = dict(self.types) or _types(self)
        return ibis.table({n: types[n] for n in self.columns}, name=f"scope_{self.name}")


# Types of the columns of scopes: building a relation with every column is slow, and its types never change.
_TYPES: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Mapping[str, dt.DataType]] = {}


def _types(scope: Scope) -> Mapping[str, dt.DataType]:
    known = (scope.name, scope.key, scope.columns)
    if known not in _TYPES:
        _TYPES[known] = dict(scope.build(frozenset(scope.columns)).schema().items())
    return _TYPES[known]


class Relations:
    """The scopes of one grain, over base tables.

    `entity` is `claim`, `patient`, `provider` or `physician`. For a claim the key is `claim_id`, for the
    others `(entity_id, snapshot)`. `days` is the length of the trailing window.
    """

    def __init__(self, entity: str, *, days: int = 365, target: ir.Table | None = None) -> None:
        self.entity = entity
        self.days = days
        self.target = base_table("target") if target is None else target
        self.key = ("claim_id",) if entity == "claim" else ("entity_id", "snapshot")

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
            lambda needed: _only(CLAIM.apply(self.target, needed), {"claim_id", *needed}),
            tuple(CLAIM.names(self.target.columns)),
            single=True,
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
            return _only(decoration.apply(joined, own), {"target_id", *needed})

        columns = decoration.names(table.columns)
        needs = ((name, "claim_id"),)
        return Scope(name, doc, ("target_id",), build, self._with_owner(columns), requires=needs)

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
            return _only(decoration.apply(self._pairs(needed, PAST_DAYS), own), {"target_id", *needed})

        columns = self._with_owner(decoration.names(claims.columns))

        doc = f"the patient's claims known before this one was settled, last {PAST_DAYS} days"
        return Scope("past", doc, ("target_id",), build, columns)

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
            return _only(decoration.apply(joined, own), {"target_id", *needed})

        columns = self._with_owner([*decoration.names(lines.columns), *pair_columns])
        doc = f"the lines of the patient's claims known before this one, last {PAST_LINES_DAYS} days"
        return Scope("past_lines", doc, ("target_id",), build, columns, requires=(("lines", "claim_id"),))

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
            self._companions() if self.entity == "patient" else self._network(),
        ]

    def _entity(self) -> Scope:
        name = {"patient": "patients", "provider": "providers", "physician": "physicians"}[self.entity]
        decoration = entity_attributes(name)
        entities = base_table("entities")
        return Scope(
            self.entity,
            f"the {self.entity}'s own attributes",
            self.key,
            lambda needed: _only(decoration.apply(entities, needed), {*self.key, *needed}),
            tuple(decoration.names(entities.columns)),
            single=True,
        )

    def _in_window(self) -> ir.Table:
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
            return _only(decoration.apply(self._in_window(), needed), {*self.key, *needed})

        doc = f"the {self.entity}'s claims settled in the {self.days} days before the snapshot"
        columns = decoration.names(["snapshot", *base_table("claims").columns])
        return Scope("window", doc, self.key, build, tuple(columns))

    def _window_items(self, name: str, table_name: str, decoration: Decoration) -> Scope:
        items = base_table(table_name)
        claim_columns = ("patient_id", "provider_id", "visit_type", "admitted_at", "discharged_at", "settled_at")

        def build(needed: frozenset[str]) -> ir.Table:
            wanted = [n for n in claim_columns if n in needed]
            window = self._in_window()
            window = window.select(*self.key, *wanted, _claim=window.claim_id)
            joined = window.inner_join(items, window._claim == items.claim_id)
            own = [n for n in needed if n in decoration.names(items.columns)]
            return _only(decoration.apply(joined, own), {*self.key, *needed})

        columns = dict.fromkeys([*decoration.names(items.columns), *claim_columns])
        doc = f"the {table_name} of the claims in the window"
        needs = ((table_name, "claim_id"),)
        return Scope(name, doc, self.key, build, tuple(columns), requires=needs)

    def _grouped(self, name: str) -> Scope:
        """The window added up by a column; persons come with what they had elsewhere."""
        group = GROUPS[name]
        elsewhere = ELSEWHERE if group.person and group.column != ENTITY_KEYS[self.entity] else ()

        def build(needed: frozenset[str]) -> ir.Table:
            columns = {group.column, "claim_id", *(MEASURES[n][0] for n in needed if n in MEASURES)}
            window = CLAIM.apply(self._in_window(), columns).select(*self.key, *sorted(columns))
            rows = grouped(window, self.key, group.column, needed)
            if needed & set(elsewhere):
                rows = self._with_elsewhere(rows, group.column)
            return _only(rows, {*self.key, *needed})

        columns = dict.fromkeys([group.column, *MEASURES, *elsewhere])
        doc = f"the claims of the window added up, {group.doc}"
        return Scope(name, doc, self.key, build, tuple(columns))

    def _by_service_day(self) -> Scope:
        """The window's lines added up by the day of the service."""
        lines = self._window_items("window_lines", "lines", WINDOW_LINES)

        def build(needed: frozenset[str]) -> ir.Table:
            rows = lines.build(frozenset({"service_day", "quantity", "minutes"}))
            known = rows.filter(rows.service_day.notnull())
            groups = known.group_by([*self.key, "service_day"])
            return _only(groups.aggregate(staff_minutes=(known.quantity * known.minutes).sum()), {*self.key, *needed})

        doc = f"{lines.doc} added up, one row for each day of service; staff minutes as the catalogue gives them"
        return Scope("by_service_day", doc, self.key, build, ("service_day", "staff_minutes"), requires=lines.requires)

    def _with_elsewhere(self, rows: ir.Table, column: str) -> ir.Table:
        persons = rows.select(*self.key, column)
        own = ENTITY_KEYS[self.entity]
        found = seen_elsewhere(persons, base_table("claims"), own, column, self.key, self.days)
        found = found.rename({f"_{k}": k for k in self.key})
        matches = [rows[k] == found[f"_{k}"] for k in self.key]
        joined = rows.left_join(found, [*matches, rows[column] == found.person])
        return joined.select(*rows.columns, **{n: found[n].fill_null(0) for n in ELSEWHERE})

    def _network(self) -> Scope:
        """Other entities of the same kind that share patients with this one, as of the snapshot."""

        def build(needed: frozenset[str]) -> ir.Table:
            seen = self._in_window().select(*self.key, "patient_id").distinct()
            claims, own = base_table("claims").view(), ENTITY_KEYS[self.entity]
            elsewhere = [
                seen.patient_id == claims.patient_id,
                seen.entity_id != claims[own],
                claims.settled_at < seen.snapshot,
                claims.settled_at >= seen.snapshot - ibis.interval(days=self.days),
            ]
            shared = seen.inner_join(claims, elsewhere)
            kept = (seen[n] for n in (*self.key, "patient_id"))
            shared = shared.select(*kept, other_id=claims[own]).distinct()
            pairs = shared.group_by([*self.key, "other_id"]).aggregate(shared_patients=shared.count())
            return _only(pairs, {*self.key, *needed})

        return Scope(
            "network",
            f"other {self.entity}s with patients in common, in the window before the snapshot",
            self.key,
            build,
            ("other_id", "shared_patients"),
        )

    def _companions(self) -> Scope:
        """Other patients who were at the same provider on the same days as this one, in the window."""

        def build(needed: frozenset[str]) -> ir.Table:
            window = CLAIM.apply(self._in_window(), ["admission_day"])
            visits = window.select(*self.key, "provider_id", "admission_day").distinct()
            claims = CLAIM.apply(base_table("claims"), ["admission_day"])
            claims = claims.select("patient_id", "provider_id", "admission_day", "settled_at")
            own = visits.semi_join(_quiet_days(visits, claims), _PROVIDER_DAY)
            same = [own[n] == claims[n] for n in _PROVIDER_DAY if n != "snapshot"]
            met = own.inner_join(claims, [*same, own.entity_id != claims.patient_id, claims.settled_at < own.snapshot])
            kept = (own[n] for n in ("entity_id", *_PROVIDER_DAY))
            met = met.select(*kept, other_id=claims.patient_id)
            joint = met.group_by([*self.key, "other_id"]).aggregate(
                joint_days=met.admission_day.nunique(), joint_providers=met.provider_id.nunique()
            )
            return _only(joint, {*self.key, *needed})

        doc = "other patients who began care at the same provider on the same days, in the window before the snapshot"
        return Scope("network", doc, self.key, build, ("other_id", "joint_days", "joint_providers"))


_PROVIDER_DAY = ("snapshot", "provider_id", "admission_day")
# On a day with more patients than this, two of them meet by chance; it also bounds the number of pairs.
_CROWD = 200


def _quiet_days(visits: ir.Table, claims: ir.Table) -> ir.Table:
    """Days of a provider, among those of the visits, that no crowd of patients filled, as known at the snapshot."""
    days = visits.select(*_PROVIDER_DAY).distinct()
    same = [days[n] == claims[n] for n in _PROVIDER_DAY if n != "snapshot"]
    there = days.inner_join(claims, [*same, claims.settled_at < days.snapshot])
    there = there.select(*(days[n] for n in _PROVIDER_DAY), claims.patient_id)
    counted = there.group_by(list(_PROVIDER_DAY)).aggregate(people=there.patient_id.nunique())
    return counted.filter(counted.people <= _CROWD)


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


def _only(table: ir.Table, names: Iterable[str]) -> ir.Table:
    return table.select(*sorted(set(names)))
