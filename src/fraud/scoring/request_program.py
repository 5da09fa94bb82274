"""Expressions over the scopes of a claim, computed from what requests bring."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from fraud.scoring.knowledge import Knowledge
from fraud.scoring.request_columns import Readers, RequestColumns, Source, readers_of, source_of
from fraud.scoring.rows import RequestRows
from fraud.signals.columns import PAIR
from fraud.signals.compiling import Compiler
from fraud.signals.inmemory import Column, Leaf, Program, Texts, Values
from fraud.signals.lookups import CLAIM, LINES, PAST, PAST_LINES, base_table
from fraud.signals.relations import Scope

__all__ = ["Found", "RequestProgram", "Resolver"]

# Columns of the claim that the functions of `fraud.signals.columns` for pairs take with an underscore.
_OWN = {
    "_admitted": "admitted_at",
    "_discharged": "discharged_at",
    "_provider": "provider_id",
    "_physician": "physician_id",
}
_DERIVED = {"claim": CLAIM, "past": PAST, "lines": LINES, "past_lines": PAST_LINES}


class Found:
    """Values of expressions for some requests."""

    def __init__(self, values: Values, columns: RequestColumns, scopes: Callable[[int], str | None]) -> None:
        self.values, self.columns, self._scopes = values, columns, scopes

    def of_request(self, place: int, number: int) -> Column:
        """The column at a place for one of the requests."""
        scope = self._scopes(place)
        column: Column = self.values[place]
        if scope is None:
            return column
        first, last = (number, number + 1) if scope == "claim" else self.columns.edges(scope)[number : number + 2]
        return Column(column.values[first:last], column.known[first:last])


class RequestProgram:
    """Expressions that are computed together; nothing is added once it has run."""

    def __init__(self, resolver: Callable[[ops.Relation, str], Leaf | ops.Value], knowledge: Knowledge) -> None:
        self._program = Program(resolver)
        self._knowledge = knowledge

    def add(self, expression: ops.Value) -> int:
        """The place of an expression; raises `CatalogueError` for one that cannot be computed for a single claim."""
        return self._program.add(expression)

    def make_ready(self) -> None:
        """Do now what the first request would have to wait for."""
        self._program.planned()
        _ = self._readers

    def run(self, requests: Sequence[RequestRows]) -> Found:
        """All expressions for some requests at once; safe to call from many threads."""
        texts = Texts(self._program.texts)
        columns = RequestColumns(requests, self._knowledge, self._readers, texts)
        leaves = {place: source.column(columns) for place, source in self._sources.items()}
        owners = {scope: columns.owner(scope) for scope in self._scopes}
        return Found(self._program.run(leaves, texts, owners, len(requests)), columns, self._program.scope)

    def reads(self, scope: str) -> list[str]:
        """Columns of the rows themselves that are read in a scope."""
        return [name for name, _ in self._readers.get(scope, ())]

    @cached_property
    def _sources(self) -> dict[int, Source]:
        own = self._program
        return {place: source_of(leaf, self._knowledge, own.texts) for place, leaf in own.leaves}

    @cached_property
    def _readers(self) -> Readers:
        return readers_of(self._sources.values())

    @cached_property
    def _scopes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(leaf.scope for _, leaf in self._program.leaves if leaf.scope != "claim"))


class Resolver:
    """Says for a column of a scope whether the request brings it, or which expression derives it."""

    def __init__(self, compiler: Compiler) -> None:
        self._scopes = {scope.stub.op(): scope for scope in compiler.scopes.values()}
        self._row = compiler.relations.row.stub

    def __call__(self, relation: ops.Relation, name: str) -> Leaf | ops.Value:
        """The column of a relation; without a name, the leaf that stands for the relation's rows."""
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

    def _derived(self, function: Callable[..., Any], table: ir.Table) -> ops.Value:
        names = inspect.signature(function).parameters
        arguments = [self._row[_OWN[n]] if n in _OWN else table[n] for n in names]
        value: ir.Value = function(*arguments)
        return value.op()
