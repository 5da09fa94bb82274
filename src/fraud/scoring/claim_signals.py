"""Claim signals of one claim in memory, from the same definitions as in batch."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from fraud.errors import CatalogueError
from fraud.scoring.rows import Getter, Knowledge, RequestRows, getter_of
from fraud.scoring.shapes import ClaimBundle, History
from fraud.signals.catalogue import Catalogue
from fraud.signals.columns import PAIR
from fraud.signals.compiling import Compiler
from fraud.signals.definition import Signal
from fraud.signals.inmemory import Column, Leaf, Program, column_of
from fraud.signals.lookups import CLAIM, LINES, PAST, PAST_LINES, base_table
from fraud.signals.relations import Scope

__all__ = ["ClaimSignals", "Computed", "as_vector"]

# Columns of the claim that the functions of `fraud.signals.columns` for pairs take with an underscore.
_OWN = {
    "_admitted": "admitted_at",
    "_discharged": "discharged_at",
    "_provider": "provider_id",
    "_physician": "physician_id",
}
_DERIVED = {"claim": CLAIM, "past": PAST, "lines": LINES, "past_lines": PAST_LINES}


@dataclass(frozen=True)
class Computed:
    """Values of all signals by id (NaN where not known), and what is needed to say which lines are behind them."""

    values: dict[str, float]
    rows: RequestRows
    columns: Sequence[Column]


class ClaimSignals:
    """Computes claim signals online; safe to call from many threads.

    `items` and `exclusions` are the payer's knowledge library, `norms` those of the model.

    Raises:
        CatalogueError: a signal uses an operation that cannot be computed for a single claim.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        signals: Sequence[Signal],
        *,
        norms: pa.Table,
        items: pa.Table | None = None,
        exclusions: pa.Table | None = None,
    ) -> None:
        self.signals = tuple(signals)
        self._knowledge = Knowledge.of(norms, items, exclusions)
        self._compiler = catalogue.compiler("claim")
        self._program = Program(_Resolver(self._compiler))
        self._places = {s.id: self._place(s) for s in self.signals}
        self._behind = {s.id: masks for s in self.signals if s.limit and (masks := self._masks(s))}
        self._getters = [(p, leaf, _getter(leaf)) for p, leaf in self._program.leaves]

    @property
    def needs_history_lines(self) -> bool:
        """Whether any signal reads lines of earlier claims."""
        return any("past_lines" in s.scopes for s in self.signals)

    def compute(self, bundle: ClaimBundle, history: History) -> Computed:
        """Values of all signals for the claim."""
        rows = RequestRows(bundle, history, self._knowledge)
        leaves = {place: _column(rows, leaf, get) for place, leaf, get in self._getters}
        columns = self._program.run(leaves)
        return Computed({s.id: _value(s, columns[self._places[s.id]]) for s in self.signals}, rows, columns)

    def compute_many(self, requests: Sequence[tuple[ClaimBundle, History]]) -> list[Computed]:
        """Values of all signals for each of many claims, faster than one after another.

        Each claim sees its own history only: none of the other claims is known to it. Sums may differ from those of
        `compute` in the last digit.
        """
        if not requests:
            return []
        all_rows = [RequestRows(bundle, history, self._knowledge) for bundle, history in requests]
        edges = {scope: _edges(all_rows, scope) for scope in {leaf.scope for _, leaf in self._program.leaves}}
        numbers = np.arange(len(all_rows))
        owners = {s: np.repeat(numbers, np.diff(own)) for s, own in edges.items() if s != "claim"}
        leaves = {place: _columns(all_rows, leaf, get) for place, leaf, get in self._getters}
        columns = self._program.run_many(leaves, owners, len(all_rows))
        values = np.array([_all_values(s, columns[self._places[s.id]], len(all_rows)) for s in self.signals]).tolist()
        ids = [s.id for s in self.signals]
        return [
            Computed(dict(zip(ids, own, strict=True)), rows, _OwnColumns(self._program, columns, edges, number))
            for number, (rows, own) in enumerate(zip(all_rows, zip(*values, strict=True), strict=True))
        ]

    def lines_behind(self, computed: Computed, ids: Iterable[str]) -> dict[str, tuple[tuple[int, ...], float]]:
        """Line numbers and money behind those of the rules that count the claim's own lines."""
        return {i: self._lines(computed, self._behind[i]) for i in ids if i in self._behind}

    def _place(self, signal: Signal) -> int:
        try:
            return self._program.add(self._compiler.compile(signal).value)
        except CatalogueError as error:
            raise CatalogueError(f"{signal.id}: {error.message}") from error

    def _masks(self, signal: Signal) -> list[int | None]:
        """Places of the conditions on the claim's own lines; None stands for all lines."""
        own = [r for r in self._compiler.compile(signal).reductions if r.scope.name == "lines"]
        conditions = [self._compiler.counts(signal, r) for r in own]
        return [None if c is None else self._program.add(c) for c in conditions]

    def _lines(self, computed: Computed, masks: Sequence[int | None]) -> tuple[tuple[int, ...], float]:
        lines = computed.rows.bundle.lines
        counts = np.zeros(len(lines), dtype=bool)
        for place in masks:
            counts |= True if place is None else computed.columns[place].values & computed.columns[place].known
        chosen = [row for row, counted in zip(lines, counts, strict=True) if counted]
        return tuple(sorted({int(r["line_no"]) for r in chosen})), float(sum(r["amount"] for r in chosen))


class _OwnColumns(Sequence[Column]):
    """The columns of one request among those of many."""

    def __init__(
        self, program: Program, columns: Sequence[Column], edges: Mapping[str, np.ndarray], number: int
    ) -> None:
        self._program, self._columns, self._edges, self._number = program, columns, edges, number

    def __len__(self) -> int:
        return len(self._columns)

    def __getitem__(self, place: Any) -> Any:
        scope, column, number = self._program.scope(place), self._columns[place], self._number
        if scope is None:
            return column
        first, last = (number, number + 1) if scope == "claim" else self._edges[scope][number : number + 2]
        return Column(column.values[first:last], column.known[first:last])


class _Resolver:
    """Says for a column of a scope whether the request brings it, or which expression derives it."""

    def __init__(self, compiler: Compiler) -> None:
        self._scopes = {scope.stub.op(): scope for scope in compiler.scopes.values()}
        self._row = compiler.relations.row.stub

    def __call__(self, relation: ops.Relation, name: str) -> Leaf | ops.Value:
        if relation == self._parents.op():
            return Leaf("past_lines", f"parent.{name}", self._parents[name].type())
        scope = self._scopes[relation]
        if not name:
            return Leaf(scope.name, "", ibis.dtype("boolean"))
        if name.startswith("claim_") and name != "claim_id":
            return self._row[name.removeprefix("claim_")].op()
        return self._column(scope, name)

    @cached_property
    def _parents(self) -> ir.Table:
        """The claims that lines of `past_lines` belong to."""
        return ibis.table(base_table("claims").schema(), name="scope_past_lines_parents")

    def _column(self, scope: Scope, name: str) -> Leaf | ops.Value:
        if scope.name == "past_lines":
            pair = {f.__name__: f for f in PAIR}
            if name in pair:
                return self._derived(pair[name], self._parents)
            if name in ("provider_id", "visit_type"):
                return self._parents[name].op()
        derivations = _DERIVED[scope.name].derivations if scope.name in _DERIVED else {}
        if name in derivations:
            return self._derived(derivations[name], scope.stub)
        return Leaf(scope.name, name, scope.stub[name].type())

    def _derived(self, function, table: ir.Table) -> ops.Value:  # type: ignore[no-untyped-def]
        names = inspect.signature(function).parameters
        arguments = [self._row[_OWN[n]] if n in _OWN else table[n] for n in names]
        value: ir.Value = function(*arguments)
        return value.op()


def as_vector(values: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """The named values as one float64 row; what is not there is not known."""
    return np.array([values.get(n, np.nan) for n in names], dtype=np.float64)


def _getter(leaf: Leaf) -> Getter:
    return getter_of(leaf.scope, leaf.name) if leaf.name else (lambda rows, row: True)


def _column(rows: RequestRows, leaf: Leaf, get: Getter) -> Column:
    return column_of([get(rows, row) for row in rows.rows(leaf.scope)], leaf.type)


def _edges(all_rows: Sequence[RequestRows], scope: str) -> np.ndarray:
    """Where the rows of each request begin in a scope, and where the last of them ends."""
    return np.cumsum([0, *(len(rows.rows(scope)) for rows in all_rows)])


def _columns(all_rows: Sequence[RequestRows], leaf: Leaf, get: Getter) -> Column:
    return column_of([get(rows, row) for rows in all_rows for row in rows.rows(leaf.scope)], leaf.type)


def _all_values(signal: Signal, column: Column, size: int) -> np.ndarray:
    """The signal's value for each request, its default where not known."""
    default = np.nan if signal.default is None else float(signal.default)
    values = np.where(column.known, column.values.astype(np.float64), default)
    return np.broadcast_to(values, size)


def _value(signal: Signal, column: Column) -> float:
    if column.known[0]:
        return float(column.values[0])
    return float("nan") if signal.default is None else float(signal.default)
