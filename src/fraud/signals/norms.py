"""What is usual: expectations by case mix and frequency of codes, learned once and frozen with a model.

A norm is learned from all claims known at fitting, labelled or not, and never from a label. Scoring reads the
frozen table, so that a claim has the same value alone, in a batch and next month.
"""

from __future__ import annotations

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from fraud.signals.relations import NORM_COLUMNS, base_table, case_code, stay_days

__all__ = ["NORM_SCHEMA", "SHRINK", "learn_norms", "no_norms"]

# A rare case leans on the mean of its kind of care: as if this many usual cases had been seen as well.
SHRINK = 20
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
    that have them, and for items the mean unit price.
    """
    found = ibis.union(_cases(), _codes("diagnoses", "diagnosis", "code"), _codes("procedures", "procedure", "code"))
    found = ibis.union(found, _items()).order_by(["domain", "code"])
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
