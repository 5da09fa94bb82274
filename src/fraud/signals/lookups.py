"""Tables, and the columns that are joined to them on demand.

A `Decoration` gives a table more columns: each lookup is joined, and each derived column computed, only when it
is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from fraud.claims.schema import TABLES
from fraud.signals.casemix import MIX
from fraud.signals.columns import DERIVED, PAIR, atc_group, days_before_snapshot, diagnosis_group, service_day
from fraud.signals.prepared import PREPARED

__all__ = [
    "CLAIM",
    "DIAGNOSES",
    "LINES",
    "NORM_COLUMNS",
    "PAIRS",
    "PAST",
    "PAST_LINES",
    "PROCEDURES",
    "WINDOW",
    "WINDOW_LINES",
    "Decoration",
    "Lookup",
    "base_table",
    "billed_services",
    "entity_attributes",
    "item_pairs",
    "plain_lookups",
]

_IBIS_TYPES = {
    "id": "string",
    "text": "string",
    "ts": "timestamp(6)",
    "date": "date",
    "money": "float64",
    "float": "float64",
    "int": "int64",
    "bool": "boolean",
    "ids": "array<string>",
}
NORM_COLUMNS = {
    "domain": "string",
    "code": "string",
    "n": "int64",
    "share": "float64",
    "amount": "float64",
    "days": "float64",
}
_ENTITY_COLUMNS = {"entity_id": "string", "snapshot": "timestamp(6)"}


def base_table(name: str) -> ir.Table:
    """The unbound table of that name: a canonical one, `target`, `entities`, `norms` or a prepared one.

    `target` has the columns of `claims` and holds the claims to compute for; `entities` the pairs of
    entity and snapshot; `norms` the frozen expectations (see `fraud.signals.norms`).
    """
    if name == "norms":
        return ibis.table(NORM_COLUMNS, name=name)
    if name == "entities":
        return ibis.table(_ENTITY_COLUMNS, name=name)
    if name in PREPARED:
        return ibis.table(PREPARED[name].types, name=name)
    columns = TABLES["claims" if name == "target" else name].columns
    return ibis.table({c.name: _IBIS_TYPES[c.kind] for c in columns}, name=name)


@dataclass(frozen=True)
class Lookup:
    """A table whose columns are joined, one row at most for each row of the relation.

    `columns` maps the name in the relation to the name in the table; `on` maps columns of the relation to
    keys of the table. `source` is (table, domain) where the columns are simply those of a row of a stored
    table (the domain is that of `norms`, else empty): whoever has the row at hand may fill them in.
    """

    table: ir.Table
    on: Mapping[str, str]
    columns: Mapping[str, str]
    source: tuple[str, str] | None = None


def _lookup(name: str, on: str, prefix: str, renamed: Mapping[str, str] | None = None) -> Lookup:
    table = base_table(name)
    names = {(renamed or {}).get(c, prefix + c): c for c in table.columns if c != TABLES[name].key[0]}
    return Lookup(table, {on: TABLES[name].key[0]}, names, (name, ""))


def _norm(domain: str, on: str, columns: Mapping[str, str]) -> Lookup:
    norms = base_table("norms")
    return Lookup(norms.filter(norms.domain == domain), {on: "code"}, columns, ("norms", domain))


@dataclass(frozen=True)
class Decoration:
    """Lookups and derived columns that a table can be given on demand."""

    lookups: tuple[Lookup, ...] = ()
    derived: tuple[Callable[..., ir.Value], ...] = ()

    @cached_property
    def derivations(self) -> dict[str, Callable[..., ir.Value]]:
        """Derived columns by name."""
        return {f.__name__: f for f in self.derived}

    def apply(self, table: ir.Table, needed: Iterable[str]) -> ir.Table:
        """The table with the needed columns added, each lookup joined only when it is wanted."""
        missing = [n for n in dict.fromkeys(needed) if n not in table.columns]
        for name in missing:
            table = self._add(table, name)
        return table

    def _add(self, table: ir.Table, name: str) -> ir.Table:
        if name in table.columns:
            return table
        if name in self.derivations:
            function = self.derivations[name]
            parameters = list(inspect.signature(function).parameters)
            table = self.apply(table, parameters)
            return table.mutate(**{name: function(*(table[p] for p in parameters))})
        return self._join(table, next(lookup for lookup in self.lookups if name in lookup.columns))

    def _join(self, table: ir.Table, lookup: Lookup) -> ir.Table:
        table = self.apply(table, lookup.on)
        wanted = {new: old for new, old in lookup.columns.items() if new not in table.columns}
        keys = {f"_key_{key}": key for key in lookup.on.values()}
        found = lookup.table.select(**{n: lookup.table[old] for n, old in (keys | wanted).items()})
        matches = [table[left] == found[f"_key_{right}"] for left, right in lookup.on.items()]
        joined = table.left_join(found, matches)
        return joined.select(*table.columns, *wanted)

    def names(self, columns: Iterable[str]) -> list[str]:
        """Every column that the decorated table can have."""
        extra = [n for lookup in self.lookups for n in lookup.columns]
        return list(dict.fromkeys([*columns, *extra, *self.derivations]))

    def types(self, columns: Mapping[str, dt.DataType]) -> dict[str, dt.DataType]:
        """Types of these columns of a table, and of all that it can be given, found without building a join."""
        known = dict(columns)
        for lookup in self.lookups:
            schema = lookup.table.schema()
            known = {new: schema[old] for new, old in lookup.columns.items()} | known
        for name, function in self.derivations.items():
            if name not in known:
                known[name] = self._type_of(function, known)
        return known

    def _type_of(self, function: Callable[..., ir.Value], known: Mapping[str, dt.DataType]) -> dt.DataType:
        own = {
            n: known.get(n) or self._type_of(self.derivations[n], known) for n in inspect.signature(function).parameters
        }
        row = ibis.table(own, name="types")
        return function(*(row[n] for n in own)).type()


_CLAIM_LOOKUPS = (
    _lookup("patients", "patient_id", "patient_"),
    _lookup("providers", "provider_id", "provider_"),
    _lookup("physicians", "physician_id", "physician_"),
    _norm(
        "case",
        "case_code",
        {"expected_amount": "amount", "expected_days": "days", "case_share": "share", "case_count": "n"},
    ),
)
_LINE_LOOKUPS = (
    _lookup("catalogue", "item_code", "", {"name": "catalogue_name", "class": "item_class"}),
    _norm("item", "item_code", {"item_share": "share", "item_price": "amount", "item_count": "n"}),
)


# --- lookups of lines --------------------------------------------------------------------------------------


def _same_item() -> Lookup:
    """Lines of the claim with the same item, day and price: two or more may be one charge billed twice."""
    lines = base_table("lines").mutate(service_day=service_day(base_table("lines").service_at))
    keys = ["claim_id", "item_code", "service_day", "unit_price"]
    counted = lines.group_by(keys).aggregate(same_item_lines=lines.count(), first_line_no=lines.line_no.min())
    columns = {"same_item_lines": "same_item_lines", "first_line_no": "first_line_no"}
    return Lookup(counted, {k: k for k in keys}, columns)


def _item_day() -> Lookup:
    """Units of an item billed on one day of the claim, over all its lines, and the first of these lines."""
    lines = base_table("lines").mutate(service_day=service_day(base_table("lines").service_at))
    keys = ["claim_id", "item_code", "service_day"]
    added = lines.group_by(keys).aggregate(day_quantity=lines.quantity.sum(), day_first_line_no=lines.line_no.min())
    return Lookup(added, {k: k for k in keys}, {n: n for n in ("day_quantity", "day_first_line_no")})


def _included() -> Lookup:
    """For an item that another item of the same claim and day already includes: the code of that other item."""
    lines, pairs = base_table("lines"), base_table("exclusions")
    both = lines.inner_join(pairs, lines.item_code == pairs.item_code)
    both = both.select(
        claim_id=lines.claim_id,
        service_day=service_day(lines.service_at),
        item_code=pairs.included_item_code,
        by=pairs.item_code,
        valid_from=pairs.valid_from,
        valid_to=pairs.valid_to,
    )
    day = both.service_day
    in_force = (both.valid_from.fill_null(day) <= day) & (both.valid_to.fill_null(day) >= day)
    both = both.filter(in_force, both.item_code != both.by)
    keys = ["claim_id", "item_code", "service_day"]
    found = both.group_by(keys).aggregate(included_by=both.by.min())
    return Lookup(found, {k: k for k in keys}, {"included_by": "included_by"})


def _billed_again() -> Lookup:
    """For a line of an earlier claim: units of the same item that the claim at hand bills."""
    lines = base_table("lines")
    own = lines.group_by(["claim_id", "item_code"]).aggregate(now_quantity=lines.quantity.sum())
    return Lookup(own, {"target_id": "claim_id", "item_code": "item_code"}, {"now_quantity": "now_quantity"})


def _indicated() -> Lookup:
    """Whether any diagnosis of the claim is one that the item is paid for; null for an item without such a limit."""
    lines, diagnoses, items = base_table("lines"), base_table("diagnoses"), base_table("catalogue")
    limited = items.filter(items.indications.length() > 0)
    both = lines.inner_join(limited, lines.item_code == limited.item_code)
    both = both.select(lines.claim_id, lines.item_code, paid_for=limited.indications).distinct()
    coded = both.inner_join(diagnoses, both.claim_id == diagnoses.claim_id)
    coded = coded.select(both.claim_id, both.item_code, both.paid_for, diagnoses.code)
    fits = coded.paid_for.filter(lambda prefix: coded.code.startswith(prefix)).length() > 0
    keys = ["claim_id", "item_code"]
    found = coded.mutate(fits=fits.cast("int64")).group_by(keys).aggregate(best=lambda t: t.fits.max())
    return Lookup(found.mutate(indicated=found.best > 0), {k: k for k in keys}, {"indicated": "indicated"})


def _package() -> Lookup:
    """For a part of a package that is not billed itself: the share of its parts that the claim bills that day."""
    parts = base_table("exclusions")
    parts = parts.filter(parts.kind == "package_part", parts.item_code != parts.included_item_code)
    sizes = parts.group_by("item_code").aggregate(parts_in_all=parts.included_item_code.nunique())
    lines = base_table("lines").mutate(service_day=service_day(base_table("lines").service_at))
    both = lines.inner_join(parts, lines.item_code == parts.included_item_code)
    day = both.service_day
    in_force = (both.valid_from.fill_null(day) <= day) & (both.valid_to.fill_null(day) >= day)
    both = both.filter(in_force)
    both = both.select("claim_id", "service_day", part=both.included_item_code, package=both.item_code_right)
    whole = lines.select("claim_id", "service_day", package="item_code").distinct()
    both = both.anti_join(whole, ["claim_id", "service_day", "package"])
    days = both.group_by(["claim_id", "service_day", "package"]).aggregate(billed=both.part.nunique())
    days = days.inner_join(sizes, days.package == sizes.item_code)
    days = days.mutate(part_share=days.billed / days.parts_in_all).drop("item_code")
    found = both.inner_join(days, ["claim_id", "service_day", "package"])
    keys = {"claim_id": "claim_id", "service_day": "service_day", "item_code": "part"}
    best = found.group_by(["claim_id", "service_day", "part"]).aggregate(package_share=found.part_share.max())
    return Lookup(best, keys, {"package_share": "package_share"})


def _drugs_by_class() -> ir.Table:
    """Drugs of a claim by chemical subgroup: how many different ones, and the first by code."""
    lines, items = base_table("lines"), base_table("catalogue")
    drugs = lines.inner_join(items, lines.item_code == items.item_code)
    drugs = drugs.select(lines.claim_id, lines.item_code, atc_group=atc_group(items.atc))
    drugs = drugs.filter(drugs.atc_group.notnull())
    return drugs.group_by(["claim_id", "atc_group"]).aggregate(
        class_items=drugs.item_code.nunique(), class_item=drugs.item_code.min()
    )


def _same_class() -> Lookup:
    """How many different drugs of a line's chemical subgroup the claim bills."""
    on = {"claim_id": "claim_id", "atc_group": "atc_group"}
    return Lookup(_drugs_by_class(), on, {"class_items": "class_items"})


def _class_again() -> Lookup:
    """For a line of an earlier claim: the drugs of its chemical subgroup that the claim at hand bills."""
    columns = {"now_class_items": "class_items", "now_class_item": "class_item"}
    return Lookup(_drugs_by_class(), {"target_id": "claim_id", "atc_group": "atc_group"}, columns)


# --- lookups of windows ------------------------------------------------------------------------------------

# What is billed as a service of its own: drugs are prescribed together for good reasons.
_SERVICES = ("examination", "laboratory", "treatment", "surgery", "therapy", "consumable")
_CASE_MIX = (
    _norm("mix", "mix_code", {"mix_amount": "amount", "mix_days": "days", "mix_count": "n"}),
    _norm("weight", "mix_code", {"usual_weight": "amount"}),
    _norm("admission", "admission_code", {"admission_share": "share"}),
)


def _first_of_disease() -> Lookup:
    """When the payer first saw a patient with the ICD category of a claim."""
    claims = base_table("claims")
    claims = claims.select("patient_id", "settled_at", diagnosis_group=diagnosis_group(claims.primary_diagnosis))
    keys = ["patient_id", "diagnosis_group"]
    first = claims.group_by(keys).aggregate(disease_first_at=claims.settled_at.min())
    return Lookup(first, {k: k for k in keys}, {"disease_first_at": "disease_first_at"})


def _first_of_patient() -> Lookup:
    """When the payer first saw the patient of a claim."""
    claims = base_table("claims")
    first = claims.group_by("patient_id").aggregate(patient_first_at=claims.settled_at.min())
    return Lookup(first, {"patient_id": "patient_id"}, {"patient_first_at": "patient_first_at"})


def _first_of_trace_code() -> Lookup:
    """When the trace code of a line was first settled, for codes that were settled more than once."""
    claims, lines = base_table("claims"), base_table("lines")
    traced = lines.filter(lines.trace_code.notnull()).select("trace_code", "claim_id")
    repeated = traced.group_by("trace_code").aggregate(times=traced.count())
    repeated = repeated.filter(repeated.times > 1)
    traced = traced.semi_join(repeated, "trace_code")
    settled = traced.inner_join(claims.select("claim_id", "settled_at"), "claim_id")
    first = settled.group_by("trace_code").aggregate(code_first_at=settled.settled_at.min())
    return Lookup(first, {"trace_code": "trace_code"}, {"code_first_at": "code_first_at"})


def billed_services(lines: ir.Table, key: Iterable[str]) -> ir.Table:
    """Each service once for each key: the items of the lines that are no drugs, beds or fees."""
    items = base_table("catalogue")
    services = items.filter(items.category.isin(_SERVICES)).select("item_code")
    return lines.semi_join(services, "item_code").select(*key, "item_code").distinct()


def item_pairs(services: ir.Table, key: Iterable[str]) -> ir.Table:
    """Pairs of services of one key, the first code before the second."""
    other = services.view()
    same = [services[k] == other[k] for k in key]
    both = services.inner_join(other, [*same, services.item_code < other.item_code])
    return both.select(*(services[k] for k in key), item_code=services.item_code, other_code=other.item_code)


# --- what each relation can be given ----------------------------------------------------------------------

CLAIM = Decoration(_CLAIM_LOOKUPS, DERIVED)
PAST = Decoration(_CLAIM_LOOKUPS, (*DERIVED, *PAIR))
PAIRS = Decoration(derived=PAIR)
WINDOW = Decoration(
    (*_CLAIM_LOOKUPS, *_CASE_MIX, _first_of_disease(), _first_of_patient()),
    (*DERIVED, *MIX, days_before_snapshot()),
)
LINES = Decoration(
    (*_LINE_LOOKUPS, _same_item(), _item_day(), _included(), _indicated(), _package(), _same_class()),
    (service_day, atc_group),
)
PAST_LINES = Decoration((*_LINE_LOOKUPS, _billed_again(), _class_again()), (atc_group,))
WINDOW_LINES = Decoration((*_LINE_LOOKUPS, _first_of_trace_code()), (service_day,))
DIAGNOSES = Decoration((_norm("diagnosis", "code", {"code_share": "share", "code_count": "n"}),))
PROCEDURES = Decoration((_norm("procedure", "code", {"code_share": "share", "code_count": "n"}),))


_OF_TABLE: Mapping[str, Decoration] = {
    "target": CLAIM,
    "claims": PAST,
    "lines": LINES,
    "diagnoses": DIAGNOSES,
    "procedures": PROCEDURES,
}


def plain_lookups(table: str) -> tuple[Lookup, ...]:
    """Lookups of a table whose columns are simply those of one row of a stored table."""
    return tuple(look for look in _OF_TABLE[table].lookups if look.source is not None)


def entity_attributes(table: str) -> Decoration:
    """The attributes of an entity that has its own table, joined by `entity_id`."""
    return Decoration((_lookup(table, "entity_id", ""),))
