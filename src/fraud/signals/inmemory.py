"""Signals over a handful of rows in memory, from the same expressions as in batch.

For one claim in a request, planning a query costs many times the work. The expressions that signals consist of
use few operations, so they are turned into a list of steps over small arrays once, and each request runs the
steps. What a value means is said by the definition alone; that both ways agree is tested over every signal.

A column is a pair of arrays: values, and whether each is known. Logic is three-valued as in SQL.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import numpy as np

from fraud.errors import CatalogueError
from fraud.signals.reducing import Column, Grouped, distinct_counts, extremes, means, one_by_one, rows_of, sums

__all__ = ["Column", "Leaf", "Program", "column_of"]


@dataclass(frozen=True)
class Leaf:
    """A column that a request brings: the scope it belongs to, its name and its type.

    Without a name it is only the rows themselves, for counting them.
    """

    scope: str
    name: str
    type: dt.DataType


Step = Callable[..., Column]
_Made = tuple[int, Step, tuple[int, ...], Grouped | None]
# For a relation and a column of it: what the request brings, or the expression that derives it. Without a column
# name: the leaf that stands for the relation's rows.
Resolve = Callable[[ops.Relation, str], "Leaf | ops.Value"]


class Program:
    """Expressions as steps; each distinct sub-expression is computed once.

    `resolve` says for a column of a scope whether the request brings it or which expression derives it. `single` is
    the scope with one row for each request.
    """

    def __init__(self, resolve: Resolve, single: str = "claim") -> None:
        self.leaves: list[tuple[int, Leaf]] = []
        self._resolve = resolve
        self._single = single
        self._places: dict[Any, int] = {}
        self._steps: list[_Made] = []
        self._scopes: list[str | None] = []

    def add(self, expression: ops.Value) -> int:
        """The place of an expression's value; raises `CatalogueError` for an operation that is not there."""
        if expression not in self._places:
            place = self._add(expression)
            self._places[expression] = place
        return self._places[expression]

    def scope(self, place: int) -> str | None:
        """The scope whose rows the column at a place runs over; None for a constant."""
        return self._scopes[place]

    def run(self, leaves: Mapping[int, Column]) -> list[Column]:
        """Values of all places for one request, given those of the leaves by their place."""
        values = self._start(leaves)
        with np.errstate(all="ignore"):
            for place, step, arguments, _ in self._steps:
                values[place] = step(*(values[i] for i in arguments))
        return values

    def run_many(self, leaves: Mapping[int, Column], owners: Mapping[str, np.ndarray], size: int) -> list[Column]:
        """Values of all places for `size` requests at once.

        The rows of each scope are those of the requests one after another; `owners` says to which request each
        belongs, for every scope but the single one. Sums are added up in another order than by `run`.
        """
        values = self._start(leaves)
        with np.errstate(all="ignore"):
            for place, step, arguments, grouped in self._steps:
                scope = self._scope_of(arguments)
                own = [self._spread_out(values[i], self._scopes[i], scope, owners) for i in arguments]
                owner = owners.get(scope) if grouped and scope else None
                values[place] = step(*own) if grouped is None or owner is None else grouped(own, owner, size)
        return values

    def _start(self, leaves: Mapping[int, Column]) -> list[Any]:
        values: list[Any] = [None] * self._next
        for place, column in leaves.items():
            values[place] = column
        return values

    def _spread_out(
        self, column: Column, own: str | None, scope: str | None, owners: Mapping[str, np.ndarray]
    ) -> Column:
        """A column of one row for each request, repeated for every row of the scope that it meets."""
        if own != self._single or scope is None or scope not in owners:
            return column
        return Column(column.values[owners[scope]], column.known[owners[scope]])

    def _add(self, node: ops.Value) -> int:
        if isinstance(node, ops.Field):
            return self._found(self._resolve(node.rel, node.name))
        if isinstance(node, ops.CountStar):
            rows = self._found(self._resolve(node.arg, ""))
            return self._append(_count_rows, (rows,) if node.where is None else (rows, self.add(node.where)), rows_of)
        step, arguments = _step(node)
        places = tuple(self.add(a) for a in arguments)
        return self._append(step, places, _by_owner(node) if isinstance(node, ops.Reduction) else None)

    def _found(self, found: Leaf | ops.Value) -> int:
        return self._leaf(found) if isinstance(found, Leaf) else self.add(found)

    def _leaf(self, leaf: Leaf) -> int:
        if leaf not in self._places:
            self._places[leaf] = self._next
            self.leaves.append((self._next, leaf))
            self._scopes.append(leaf.scope)
        return self._places[leaf]

    def _append(self, step: Step, places: tuple[int, ...], grouped: Grouped | None) -> int:
        place = self._next
        self._steps.append((place, step, places, grouped))
        self._scopes.append(self._single if grouped else self._scope_of(places))
        return place

    def _scope_of(self, places: Sequence[int]) -> str | None:
        """The scope with many rows among those of some places, else the single one, else none."""
        found = {self._scopes[i] for i in places} - {None}
        return next((s for s in found if s != self._single), next(iter(found), None))

    @property
    def _next(self) -> int:
        return len(self._scopes)


def column_of(values: Sequence[Any], kind: dt.DataType) -> Column:
    """Python values as a column of that type; None is not known."""
    known = np.array([v is not None for v in values], dtype=bool)
    if kind.is_numeric() or kind.is_boolean():
        filled = [0 if v is None else v for v in values]
        return Column(np.array(filled, dtype=bool if kind.is_boolean() else np.float64), known)
    if kind.is_timestamp() or kind.is_date():
        unit = "datetime64[us]" if kind.is_timestamp() else "datetime64[D]"
        return Column(np.array(values, dtype=unit), known)
    filled_objects = np.empty(len(values), dtype=object)
    filled_objects[:] = ["" if v is None and kind.is_string() else v for v in values]
    return Column(filled_objects, known)


# --- steps ---------------------------------------------------------------------------------------------------


def _step(node: ops.Value) -> tuple[Step, tuple[ops.Value, ...]]:
    """The step that computes a node, and the nodes that it takes."""
    if isinstance(node, ops.Literal):
        column = column_of([node.value], node.dtype)
        return (lambda: column), ()
    for kind, make in _MAKERS.items():
        if isinstance(node, kind):
            return make(node)
    raise CatalogueError(
        f"{type(node).__name__} cannot be computed for a single claim. Write the signal with comparisons, arithmetic, "
        "dates and count, sum, mean, min, max or nunique."
    )


def _both(function: Callable[[Any, Any], Any]) -> Callable[[Any], tuple[Step, tuple[ops.Value, ...]]]:
    """A maker for an operation of two columns that is known where both are."""

    def step(left: Column, right: Column) -> Column:
        return Column(function(left.values, right.values), left.known & right.known)

    return lambda node: (step, (node.args[0], node.args[1]))


def _one(function: Callable[[Any], Any]) -> Callable[[Any], tuple[Step, tuple[ops.Value, ...]]]:
    """A maker for an operation of one column that is known where that is."""

    def step(column: Column) -> Column:
        return Column(function(column.values), column.known)

    return lambda node: (step, (node.args[0],))


def _and(left: Column, right: Column) -> Column:
    value = left.values & right.values
    known = (left.known & right.known) | (left.known & ~left.values) | (right.known & ~right.values)
    return Column(value & left.known & right.known, known)


def _or(left: Column, right: Column) -> Column:
    true = (left.values & left.known) | (right.values & right.known)
    return Column(true, true | (left.known & right.known))


def _null_if(column: Column, other: Column) -> Column:
    same = (column.values == other.values) & other.known
    return Column(column.values, column.known & ~same)


def _coalesce(*columns: Column) -> Column:
    value, known = columns[-1].values, columns[-1].known
    for column in reversed(columns[:-1]):
        value = np.where(column.known, column.values, value)
        known = column.known | known
    return Column(value, known)


def _if_else(condition: Column, yes: Column, no: Column) -> Column:
    true = condition.values & condition.known
    chosen, other = _alike(yes.values, no.values), _alike(no.values, yes.values)
    return Column(np.where(true, chosen, other), np.where(true, yes.known, no.known))


def _alike(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Values beside others of a type: a null has none of its own, and takes theirs."""
    typeless = values.dtype == object and other.dtype != object
    return np.zeros(values.shape, other.dtype) if typeless else values


def _cases(node: ops.SearchedCase) -> tuple[Step, tuple[ops.Value, ...]]:
    """The result of the first condition that holds; limits with several dated values are such cases."""
    count = len(node.cases)

    def step(*columns: Column) -> Column:
        found = columns[-1]
        for condition, result in reversed(list(zip(columns[:count], columns[count:-1], strict=True))):
            found = _if_else(condition, result, found)
        return found

    return step, (*node.cases, *node.results, node.default)


def _between(column: Column, low: Column, high: Column) -> Column:
    above = Column(column.values >= low.values, column.known & low.known)
    return _and(above, Column(column.values <= high.values, column.known & high.known))


def _is_null(column: Column) -> Column:
    return Column(~column.known, np.ones(len(column.known), dtype=bool))


def _not_null(column: Column) -> Column:
    return Column(column.known, np.ones(len(column.known), dtype=bool))


def _lengths(column: Column) -> Column:
    sizes = [len(v) if k else 0 for v, k in zip(column.values, column.known, strict=True)]
    return Column(np.array(sizes, dtype=np.float64), column.known)


def _distinct(column: Column) -> Column:
    values = np.empty(len(column.values), dtype=object)
    values[:] = [set(v) if k else () for v, k in zip(column.values, column.known, strict=True)]
    return Column(values, column.known)


def _in_values(node: ops.InValues) -> tuple[Step, tuple[ops.Value, ...]]:
    options = frozenset(o.value for o in node.options)

    def step(column: Column) -> Column:
        return Column(np.array([v in options for v in column.values], dtype=bool), column.known)

    return step, (node.value,)


def _cast(node: ops.Cast) -> tuple[Step, tuple[ops.Value, ...]]:
    to = node.to
    if to.is_integer() and node.arg.dtype.is_floating():
        return _one(np.rint)(node)
    if to.is_numeric():
        return _one(lambda v: v.astype(np.float64))(node)
    if to.is_date():
        return _one(lambda v: v.astype("datetime64[D]"))(node)
    if to.is_string() and node.arg.dtype.is_integer():
        return _one(lambda v: np.array([str(int(x)) for x in v], dtype=object))(node)
    if to == node.arg.dtype or (to.is_string() and node.arg.dtype.is_string()):
        return _one(lambda v: v)(node)
    raise CatalogueError(f"a cast from {node.arg.dtype} to {to} cannot be computed for a single claim.")


def _days(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    days: np.ndarray = (left.astype("datetime64[D]") - right.astype("datetime64[D]")).astype(np.float64)
    return days


def _date_delta(node: Any) -> tuple[Step, tuple[ops.Value, ...]]:
    if node.part.value != "day":
        raise CatalogueError(f"a difference in {node.part.value}s cannot be computed for a single claim; use days.")

    def step(left: Column, right: Column) -> Column:
        return Column(_days(left.values, right.values), left.known & right.known)

    return step, (node.left, node.right)


def _substring(node: ops.Substring) -> tuple[Step, tuple[ops.Value, ...]]:
    start, length = node.start.value, node.length.value if node.length is not None else None
    stop = None if length is None else start + length
    return _one(lambda v: np.array([s[start:stop] for s in v], dtype=object))(node)


def _day_of_month(values: np.ndarray) -> np.ndarray:
    days = values.astype("datetime64[D]")
    first = days.astype("datetime64[M]").astype("datetime64[D]")
    return _days(days, first) + 1.0


def _weekday(values: np.ndarray) -> np.ndarray:
    # The first of January 1970 was a Thursday; Monday is 0.
    weekday: np.ndarray = (values.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return weekday


def _contains(haystack: np.ndarray, needle: np.ndarray) -> np.ndarray:
    pairs = zip(*np.broadcast_arrays(haystack, needle), strict=True)
    return np.array([part in whole for whole, part in pairs], dtype=bool)


def _concat(node: ops.StringConcat) -> tuple[Step, tuple[ops.Value, ...]]:
    def step(*columns: Column) -> Column:
        size = max(len(c.values) for c in columns)
        wide = [np.broadcast_to(c.values, size) for c in columns]
        known = np.logical_and.reduce([np.broadcast_to(c.known, size) for c in columns])
        return Column(np.array(["".join(parts) for parts in zip(*wide, strict=True)], dtype=object), known)

    return step, tuple(node.arg)


# --- reductions: many rows to one ----------------------------------------------------------------------------


def _scalar(value: Any, known: bool) -> Column:
    return Column(np.array([value]), np.array([known]))


def _kept(column: Column, where: Column | None) -> np.ndarray:
    """Known values of the rows that count."""
    mask = column.known if where is None else column.known & where.values & where.known
    kept: np.ndarray = np.broadcast_to(column.values, len(mask))[mask]
    return kept


def _reducer(function: Callable[[np.ndarray], Any], zero: bool = False) -> Callable[[Any], Any]:
    """A maker for a reduction; of no rows it is 0 if `zero`, else not known."""

    def step(column: Column, where: Column | None = None) -> Column:
        kept = _kept(column, where)
        if not len(kept):
            return _scalar(0.0, zero)
        return _scalar(function(kept), True)

    def make(node: Any) -> tuple[Step, tuple[ops.Value, ...]]:
        return step, (node.arg,) if node.where is None else (node.arg, node.where)

    return make


def _spread(how: str) -> Callable[[Any], Any]:
    """A maker for variance or standard deviation, of a sample as SQL has it."""

    def make(node: Any) -> tuple[Step, tuple[ops.Value, ...]]:
        least = 2 if node.how == "sample" else 1

        def step(column: Column, where: Column | None = None) -> Column:
            kept = _kept(column, where)
            if len(kept) < least:
                return _scalar(0.0, False)
            return _scalar(getattr(np, how)(kept.astype(np.float64), ddof=least - 1), True)

        return step, (node.arg,) if node.where is None else (node.arg, node.where)

    return make


def _count_rows(rows: Column, where: Column | None = None) -> Column:
    """Number of rows, or of those on which `where` holds."""
    if where is None:
        return _scalar(float(len(rows.known)), True)
    holds = np.broadcast_to(where.values & where.known, len(rows.known))
    return _scalar(float(np.count_nonzero(holds)), True)


def _collected(node: ops.ArrayCollect) -> tuple[Step, tuple[ops.Value, ...]]:
    def step(column: Column, where: Column | None = None) -> Column:
        kept = _kept(column, where)
        cell = np.empty(1, dtype=object)
        cell[0] = set(kept.tolist()) if node.distinct else kept.tolist()
        return Column(cell, np.array([bool(len(kept))]))

    return step, (node.arg,) if node.where is None else (node.arg, node.where)


# --- the same reductions for many requests ------------------------------------------------------------------


def _by_owner(node: ops.Reduction) -> Grouped:
    """How a reduction is computed for each request; what has no way of its own takes one request after another."""
    for kind, grouped in _GROUPED.items():
        if isinstance(node, kind):
            return grouped
    step, _ = _step(node)
    return lambda columns, owner, size: one_by_one(step, columns, owner, size)


_GROUPED: Mapping[type, Grouped] = {
    ops.Sum: sums,
    ops.Mean: means,
    ops.Max: extremes(np.maximum),
    ops.Min: extremes(np.minimum),
    ops.Count: rows_of,
    ops.CountDistinct: distinct_counts,
}
_MAKERS: Mapping[type, Callable[[Any], tuple[Step, tuple[ops.Value, ...]]]] = {
    ops.Equals: _both(operator.eq),
    ops.NotEquals: _both(operator.ne),
    ops.LessEqual: _both(operator.le),
    ops.GreaterEqual: _both(operator.ge),
    ops.Less: _both(operator.lt),
    ops.Greater: _both(operator.gt),
    ops.Add: _both(operator.add),
    ops.Subtract: _both(operator.sub),
    ops.Multiply: _both(operator.mul),
    ops.Divide: _both(lambda a, b: a / np.where(b == 0, np.nan, b)),
    ops.FloorDivide: _both(operator.floordiv),
    ops.Modulus: _both(np.fmod),
    ops.And: lambda node: (_and, (node.left, node.right)),
    ops.Or: lambda node: (_or, (node.left, node.right)),
    ops.Not: _one(operator.invert),
    ops.Negate: _one(operator.neg),
    ops.Floor: _one(np.floor),
    ops.Ceil: _one(np.ceil),
    ops.Abs: _one(np.abs),
    ops.Ln: _one(np.log),
    ops.Sqrt: _one(np.sqrt),
    ops.Date: _one(lambda v: v.astype("datetime64[D]")),
    ops.ExtractDay: _one(_day_of_month),
    ops.ExtractHour: _one(lambda v: (v - v.astype("datetime64[D]")) // np.timedelta64(1, "h") * 1.0),
    ops.ExtractYear: _one(lambda v: v.astype("datetime64[Y]").astype(np.float64) + 1970.0),
    ops.DayOfWeekIndex: _one(_weekday),
    ops.StringContains: _both(_contains),
    ops.DateDelta: _date_delta,
    ops.NullIf: lambda node: (_null_if, (node.arg, node.null_if_expr)),
    ops.Coalesce: lambda node: (_coalesce, tuple(node.arg)),
    ops.IfElse: lambda node: (_if_else, (node.bool_expr, node.true_expr, node.false_null_expr)),
    ops.SearchedCase: _cases,
    ops.Between: lambda node: (_between, (node.arg, node.lower_bound, node.upper_bound)),
    ops.IsNull: lambda node: (_is_null, (node.arg,)),
    ops.NotNull: lambda node: (_not_null, (node.arg,)),
    ops.InValues: _in_values,
    ops.Cast: _cast,
    ops.Substring: _substring,
    ops.StringConcat: _concat,
    ops.ArrayLength: lambda node: (_lengths, (node.arg,)),
    ops.ArrayDistinct: lambda node: (_distinct, (node.arg,)),
    ops.ArrayCollect: _collected,
    ops.Sum: _reducer(lambda v: v.astype(np.float64).sum()),
    ops.Mean: _reducer(lambda v: v.astype(np.float64).mean()),
    ops.Max: _reducer(np.max),
    ops.Min: _reducer(np.min),
    ops.Count: _reducer(len, zero=True),
    ops.CountDistinct: _reducer(lambda v: len(set(v.tolist())), zero=True),
    ops.StandardDev: _spread("std"),
    ops.Variance: _spread("var"),
}
