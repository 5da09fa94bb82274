"""A smaller query with the same answer: only the columns that it needs, for people to read."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import sqlglot
from sqlglot.optimizer.merge_subqueries import merge_subqueries
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify

from fraud.claims.schema import TABLES
from fraud.signals.lookups import base_table

__all__ = ["pruned_sql"]

_BASE = (*TABLES, "target", "entities", "norms")


def pruned_sql(query: ir.Table) -> str:
    """The query as DuckDB text, without columns that nothing reads."""
    schema: dict[str, object] = {n: dict.fromkeys(base_table(n).columns, "VARCHAR") for n in _BASE}
    tree = sqlglot.parse_one(str(ibis.to_sql(query, dialect="duckdb")), dialect="duckdb")
    tree = qualify(tree, schema=schema, dialect="duckdb", quote_identifiers=True)
    tree = merge_subqueries(pushdown_projections(tree), leave_tables_isolated=True)
    return str(tree.sql("duckdb", pretty=True))
