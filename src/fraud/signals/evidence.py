"""The rows behind a signal's value, taken from its own definition.

Every reduction of a signal says which rows count: those on which its `where`, or the flag that it adds up,
holds. These are the evidence, so that evidence and value cannot disagree. A reduction of all rows is shown
only when the signal has no narrower one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import ibis
import pyarrow as pa

from fraud.signals.compiling import Compiler, Reduction
from fraud.signals.definition import Signal
from fraud.signals.frames import FrameBuilder
from fraud.signals.relations import Scope

__all__ = ["Evidence", "evidence", "shown_columns"]

# What a reader of evidence wants to see first; columns that the relation lacks are left out.
_SHOWN = {
    "lines": ("line_no", "item_code", "item_name", "service_at", "quantity", "unit_price", "amount"),
    "past_lines": ("claim_id", "line_no", "item_code", "item_name", "service_at", "quantity", "amount", "days_supply"),
    "window_lines": ("claim_id", "line_no", "item_code", "item_name", "service_at", "quantity", "amount"),
    "diagnoses": ("position", "code", "kind"),
    "procedures": ("position", "code", "performed_at"),
    "window_diagnoses": ("claim_id", "position", "code", "kind"),
    "window_procedures": ("claim_id", "position", "code", "performed_at"),
    "network": ("other_id", "shared_patients"),
}
_CLAIM_COLUMNS = (
    "claim_id",
    "patient_id",
    "provider_id",
    "physician_id",
    "visit_type",
    "admitted_at",
    "discharged_at",
    "primary_diagnosis",
    "total_amount",
    "fund_amount",
)


# The rows that have most of these come first.
_NOTABLE = ("admitted_at", "shared_patients", "amount", "claims")


@dataclass(frozen=True)
class Evidence:
    """Rows of one relation that a signal counts for one claim or entity.

    `rows` holds at most the number asked for, `total` how many there are and `amount` what they add up to
    (None where the rows carry no money).
    """

    signal: Signal
    scope: str
    rows: pa.Table
    total: int
    amount: float | None

    @property
    def lines(self) -> tuple[int, ...]:
        """Line numbers of the claim itself, for signals over its own lines."""
        own = self.scope == "lines" and "line_no" in self.rows.column_names
        return tuple(sorted(set(self.rows["line_no"].to_pylist()))) if own else ()


def evidence(builder: FrameBuilder, signal: Signal, key: Mapping[str, Any], most: int = 50) -> list[Evidence]:
    """Evidence of a signal for one row of its grain, one entry for each relation it reads.

    `key` is `{"claim_id": …}` (the relation `target` must hold the claim) or `{"entity_id": …,
    "snapshot": …}` (the relation `entities` must hold the pair).
    """
    compiler = builder.compiler(signal.entity)
    if signal.entity != "claim":
        builder.prepare([signal], signal.entity)
    reductions = compiler.compile(signal).reductions
    narrow = [r for r in reductions if compiler.counts(signal, r) is not None] or list(reductions)
    by_scope = {r.scope.name: [q for q in narrow if q.scope.name == r.scope.name] for r in narrow}
    return [
        Evidence(signal, scope, rows, int(total["total"]), total.get("amount"))
        for scope, query in _queries(compiler, signal, by_scope, key, most).items()
        for rows, (total,) in [(query.rows(builder, key), query.total(builder, key).to_pylist())]
    ]


@dataclass(frozen=True)
class _Query:
    """SQL that gives the rows and what they come to; with `asks` the key is a parameter, else it is in the text."""

    of_rows: str
    of_total: str
    asks: bool

    def rows(self, builder: FrameBuilder, key: Mapping[str, Any]) -> pa.Table:
        """The first rows."""
        return self._run(builder, self.of_rows, key)

    def total(self, builder: FrameBuilder, key: Mapping[str, Any]) -> pa.Table:
        """How many there are, and the money in them."""
        return self._run(builder, self.of_total, key)

    def _run(self, builder: FrameBuilder, query: str, key: Mapping[str, Any]) -> pa.Table:
        given = list(key.values()) if self.asks else None
        return builder.connection.sql(query, params=given).to_arrow_table()


# Writing the SQL of a claim signal takes tenths of a second, and gives the same for every claim. Entities have prepared
# tables, which change.
_WRITTEN: WeakKeyDictionary[Compiler, dict[tuple[str, int], dict[str, _Query]]] = WeakKeyDictionary()
# Stands in the SQL where the claim's id is to be.
_ASKED = "the claim that is asked for"


def _queries(
    compiler: Compiler,
    signal: Signal,
    by_scope: Mapping[str, list[Reduction]],
    key: Mapping[str, Any],
    most: int,
) -> dict[str, _Query]:
    """Queries by scope."""
    if signal.entity != "claim":
        return {n: _query(compiler, signal, group, key, most) for n, group in by_scope.items()}
    written = _WRITTEN.setdefault(compiler, {})
    if (signal.id, most) not in written:
        asked = dict.fromkeys(key, _ASKED)
        written[signal.id, most] = {n: _query(compiler, signal, group, asked, most) for n, group in by_scope.items()}
    return written[signal.id, most]


def _query(
    compiler: Compiler, signal: Signal, reductions: list[Reduction], key: Mapping[str, Any], most: int
) -> _Query:
    scope = reductions[0].scope
    shown = shown_columns(scope)
    relation = compiler.rows_behind(signal, reductions, shown)
    own = [relation[c] == ibis.literal(v) for c, v in zip(scope.key, key.values(), strict=True)]
    rows = relation.filter(own).select(*shown).distinct()
    money = next((c for c in ("amount", "total_amount") if c in shown), None)
    totals = rows.aggregate(total=rows.count(), **({"amount": rows[money].sum()} if money else {}))
    notable = [c for c in _NOTABLE if c in shown][:1]
    order = [*(ibis.desc(c) for c in notable), *(ibis.asc(c) for c in shown if c not in notable)]
    texts = [str(ibis.to_sql(e, dialect="duckdb")) for e in (rows.order_by(order).limit(most), totals)]
    asks = _ASKED in key.values()
    of_rows, of_total = (text.replace(f"'{_ASKED}'", "$1") for text in texts)
    return _Query(of_rows, of_total, asks)


def shown_columns(scope: Scope) -> list[str]:
    """Columns of a scope that are worth showing: those of claims and items, or all of a table of sums."""
    claims = [c for c in _SHOWN.get(scope.name, _CLAIM_COLUMNS) if c in scope.columns]
    return claims if "claim_id" in claims or scope.name in _SHOWN else list(scope.columns)
