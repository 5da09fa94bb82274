"""What is usual: expectations by case mix and frequency of codes, learned once and frozen with a model.

A norm is learned from all claims known at fitting, labelled or not, and never from a label. Scoring reads the
frozen table, so that a claim has the same value alone, in a batch and next month.
"""

from __future__ import annotations

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from fraud.signals.casemix import admission_code, mix_code
from fraud.signals.lookups import billed_services, item_pairs
from fraud.signals.relations import NORM_COLUMNS, base_table, case_code, stay_days

__all__ = ["MIXED", "NORM_SCHEMA", "SHRINK", "focus_of", "learn_norms", "no_norms"]

# A rare case leans on the mean of its kind of care: as if this many usual cases had been seen as well.
SHRINK = 20
# Services that were billed together less often than this have no share worth keeping.
RARE_PAIR = 5
# The focus of a house where no department has more than half of its claims; with few claims it has none.
MIXED = "mixed"
FEWEST_CLAIMS = 10
NORM_SCHEMA = pa.schema(
    [
        ("domain", pa.string()),
        ("code", pa.string()),
        ("n", pa.int64()),
        ("share", pa.float64()),
        ("amount", pa.float64()),
        ("days", pa.float64()),
    ]
)


def no_norms() -> pa.Table:
    """A table of norms without rows: nothing is expected of anything."""
    return NORM_SCHEMA.empty_table()


def learn_norms(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Norms of the claims attached to the connection, one row for each (domain, code).

    `case` is kind of care and ICD category with the mean total amount (payer's currency) and stay (days),
    shrunk towards the kind of care; `diagnosis`, `procedure` and `item` are codes with the share of claims
    that have them, and for items the mean unit price. `mix` is the case by the patient's age and registered
    conditions, shrunk towards the case; `weight` the DRG weight of a stay by the same, as its amount; `admission`
    the share of the visits with a diagnosis that are stays; `pair` the share of the claims with the first of two
    services that have the second as well. `focus` is the provider with the department that has more than half of its
    claims, `mixed` where none has, and the share that it has of them.
    """
    cases = (_cases(), _mixes(), _weights(), _admissions())
    codes = (_codes("diagnoses", "diagnosis", "code"), _codes("procedures", "procedure", "code"))
    found = ibis.union(*cases, *codes, _items(), _pairs(), _focuses()).order_by(["domain", "code"])
    return connection.sql(ibis.to_sql(found, dialect="duckdb")).to_arrow_table().cast(NORM_SCHEMA)


def _cases() -> ir.Table:
    claims = base_table("claims")
    days = stay_days(claims.discharged_at, claims.admitted_at).fill_null(0)
    code = case_code(claims.visit_type, claims.primary_diagnosis)
    rows = claims.select(claims.visit_type, claims.total_amount, code=code, days=days)
    kinds = rows.group_by("visit_type").aggregate(usual=rows.total_amount.mean(), usual_days=rows.days.mean())
    cases = rows.group_by(["visit_type", "code"]).aggregate(
        n=rows.count(), amounts=rows.total_amount.sum(), all_days=rows.days.sum()
    )
    both = cases.inner_join(kinds, "visit_type")
    return _norm(
        both,
        "case",
        share=both.n / claims.count().as_scalar(),
        amount=(both.amounts + SHRINK * both.usual) / (both.n + SHRINK),
        days=(both.all_days + SHRINK * both.usual_days) / (both.n + SHRINK),
    )


def _seen() -> ir.Table:
    """Claims with what makes their case mix."""
    claims, patients = base_table("claims"), base_table("patients")
    both = claims.left_join(patients, claims.patient_id == patients.patient_id)
    person = (claims.admitted_at, patients.birth_date, patients.chronic_conditions)
    return both.select(
        claims.visit_type,
        claims.total_amount,
        claims.drg_weight,
        days=stay_days(claims.discharged_at, claims.admitted_at).fill_null(0),
        parent=case_code(claims.visit_type, claims.primary_diagnosis),
        code=mix_code(claims.visit_type, claims.primary_diagnosis, *person),
        admission=admission_code(claims.primary_diagnosis, *person),
    )


def _shrunk(rows: ir.Table, **values: ir.NumericValue) -> ir.Table:
    """Means by `code`, shrunk towards those by `parent`, with the number of rows as `n`."""
    parents = rows.group_by("parent").aggregate(**{f"usual_{n}": v.mean() for n, v in values.items()})
    found = rows.group_by(["parent", "code"]).aggregate(n=rows.count(), **{n: v.sum() for n, v in values.items()})
    both = found.inner_join(parents, "parent")
    means = {n: (both[n] + SHRINK * both[f"usual_{n}"]) / (both.n + SHRINK) for n in values}
    return both.select("code", "n", **means)


def _mixes() -> ir.Table:
    rows = _seen()
    found = _shrunk(rows, amount=rows.total_amount, days=rows.days)
    return _norm(found, "mix", amount=found.amount, days=found.days)


def _weights() -> ir.Table:
    rows = _seen()
    rows = rows.filter(rows.drg_weight.notnull())
    found = _shrunk(rows, amount=rows.drg_weight)
    return _norm(found, "weight", amount=found.amount)


def _admissions() -> ir.Table:
    """How often a patient with a diagnosis is admitted; purchases at a pharmacy are no occasion to admit anybody."""
    rows = _seen()
    rows = rows.filter(rows.visit_type != "pharmacy")
    rows = rows.mutate(code=rows.admission, parent=rows.parent.split("|")[1])
    found = _shrunk(rows, share=(rows.visit_type == "inpatient").cast("float64"))
    return _norm(found, "admission", share=found.share)


def _pairs() -> ir.Table:
    services = billed_services(base_table("lines"), ["claim_id"])
    single = services.group_by("item_code").aggregate(claims=services.count())
    both = item_pairs(services, ["claim_id"])
    both = both.group_by(["item_code", "other_code"]).aggregate(n=both.count())
    both = both.filter(both.n >= RARE_PAIR).inner_join(single, "item_code")
    code = both.item_code + "|" + both.other_code
    return _norm(both.mutate(code=code), "pair", share=both.n / both.claims)


def _focuses() -> ir.Table:
    claims = base_table("claims")
    told = claims.filter(claims.department.notnull(), claims.provider_id.notnull())
    parts = told.group_by(["provider_id", "department"]).aggregate(n=told.count())
    houses = parts.group_by("provider_id").aggregate(total=parts.n.sum())
    houses = houses.filter(houses.total >= FEWEST_CLAIMS)
    both = parts.inner_join(houses, "provider_id")
    main = both.filter(2 * both.n > both.total)
    # What stands behind the last stroke of a code is the department.
    name = main.department.replace("|", "/")
    main = main.select("provider_id", "total", code=main.provider_id + "|" + name, share=main.n / main.total)
    rest = houses.anti_join(main, "provider_id")
    rest = rest.select("provider_id", "total", code=rest.provider_id + f"|{MIXED}", share=ibis.null("float64"))
    found = main.union(rest)
    return _norm(found.select("code", "share", n=found.total), "focus", share=found.share)


def focus_of(norms: pa.Table) -> dict[str, str]:
    """The focus of each provider that has one, by id."""
    codes = norms.filter(pc.equal(norms["domain"], "focus"))["code"].to_pylist()
    parts = (str(code).rpartition("|") for code in codes)
    return {provider_id: department for provider_id, _, department in parts}


def _codes(table: str, domain: str, column: str) -> ir.Table:
    items = base_table(table)
    found = items.group_by(code=items[column]).aggregate(n=items.claim_id.nunique())
    return _norm(found, domain, share=found.n / base_table("claims").count().as_scalar())


def _items() -> ir.Table:
    lines = base_table("lines")
    found = lines.group_by(code=lines.item_code).aggregate(n=lines.claim_id.nunique(), price=lines.unit_price.mean())
    return _norm(found, "item", share=found.n / base_table("claims").count().as_scalar(), amount=found.price)


def _norm(found: ir.Table, domain: str, **columns: ir.Value) -> ir.Table:
    values = {n: columns.get(n, ibis.null()).cast("float64") for n in ("share", "amount", "days")}
    kept = found.mutate(domain=ibis.literal(domain), **values)
    return kept.mutate(n=kept.n.cast("int64")).select(*NORM_COLUMNS)
