"""Which columns of which canonical tables a signal reads, traced through its query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

import ibis.expr.operations as ops

from fraud.signals.compiling import Compiler, Reduction
from fraud.signals.definition import Signal
from fraud.signals.prepared import PREPARED

__all__ = ["absent_columns", "columns_read"]

# Tracing a signal takes some tenths of a second, and gives the same every time.
_TRACED: WeakKeyDictionary[Compiler, dict[str, frozenset[tuple[str, str]]]] = WeakKeyDictionary()
_NOT_CANONICAL = {"entities", "norms", *PREPARED}


def columns_read(compiler: Compiler, signal: Signal) -> frozenset[tuple[str, str]]:
    """Pairs (table, column) that decide the signal's value, joins to looked-up tables included."""
    traced = _TRACED.setdefault(compiler, {})
    if signal.id not in traced:
        traced[signal.id] = _traced(compiler, signal)
    return traced[signal.id]


def _traced(compiler: Compiler, signal: Signal) -> frozenset[tuple[str, str]]:
    part = compiler.compile(signal)
    row = compiler.relations.row.build(part.row_columns).op()
    found = {pair for name in part.row_columns for pair in _trace(row, name)}
    for reduction in part.reductions:
        found |= _read_by(compiler, reduction)
    return frozenset(("claims" if table == "target" else table, c) for table, c in found)


def absent_columns(compiler: Compiler, signal: Signal, present: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Columns `table.column` that the signal needs and the data lack, in name order.

    Regions are no need: where they are not known, the limits of the country hold. Nor is anything to a signal
    that counts rules: it counts those that can be evaluated.
    """
    if "rules" in signal.scopes:
        return ()
    missing = _missing(compiler, signal, present)
    if missing and any(compiler.limits[name].is_local for name in compiler.limits):
        missing = _missing(compiler.nationwide, signal, present)
    return tuple(sorted(f"{t}.{c}" for t, c in missing))


def _missing(compiler: Compiler, signal: Signal, present: Mapping[str, Iterable[str]]) -> set[tuple[str, str]]:
    read = {(t, c) for t, c in columns_read(compiler, signal) if t not in _NOT_CANONICAL}
    return {(t, c) for t, c in read if c not in set(present.get(t, ()))}


def _read_by(compiler: Compiler, reduction: Reduction) -> set[tuple[str, str]]:
    needed = frozenset(compiler.needed(reduction))
    relation = compiler.relation(reduction.scope, needed).op()
    tables = {(t, c) for t, c in reduction.scope.requires}
    return tables.union(*(_trace(relation, name) for name in needed))


def _trace(relation: ops.Relation, name: str) -> set[tuple[str, str]]:
    """Base columns behind a column of a relation."""
    if isinstance(relation, ops.UnboundTable):
        return {(relation.name, name)}
    values = getattr(relation, "values", {})
    if name in values and not isinstance(relation, (ops.Filter, ops.Distinct, ops.JoinReference)):
        fields = _fields(values[name])
        return set().union(*(_trace(f.rel, f.name) | _joined_by(relation, f) for f in fields))
    return _trace(relation.parent, name)


def _joined_by(relation: ops.Relation, field: ops.Field) -> set[tuple[str, str]]:
    """Base columns that the join to a field's table compares."""
    links = [link for link in getattr(relation, "rest", ()) if link.table == field.rel]
    compared = [f for link in links for p in link.predicates for f in _fields(p)]
    return set().union(*(_trace(f.rel, f.name) for f in compared))


def _fields(value: ops.Node) -> list[ops.Field]:
    """Columns that an expression reads directly; what lies inside the tables it counts is not its own."""
    if isinstance(value, ops.Field):
        return [value]
    children = (child for child in value.__children__ if not isinstance(child, ops.Relation))
    return [f for child in children for f in _fields(child)]
