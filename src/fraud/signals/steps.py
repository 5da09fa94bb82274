"""What each operation of an expression means, over small arrays with three-valued logic.

A step takes and gives stacks of columns (see `fraud.signals.reducing`): it works value by value, so that it does
not matter how many columns it is given at once. Steps of one kind are one and the same object.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import numpy as np
import pyarrow as pa

from fraud.errors import CatalogueError
from fraud.signals.reducing import (
    Column,
    Reducer,
    collected,
    distinct_counts,
    extremes,
    means,
    numbers_of_rows,
    spread_of,
    sums,
)
from fraud.signals.texts import NO_TEXT, Texts

__all__ = ["Operation", "Step", "column_of", "reducer_of", "step_of", "terms_of", "total"]

Step = Callable[..., Column]


class Operation(NamedTuple):
    """A step, and the nodes that it takes; one that `reads` texts takes them first, as `Texts`."""

    step: Step
    arguments: tuple[ops.Value, ...]
    reads: bool = False


# Below this many values the way through Arrow costs more than it saves.
_FEW_TIMES = 4


def step_of(node: ops.Value, texts: Texts) -> Operation:
    """The step that computes a node, and the nodes that it takes; `texts` are those that every request knows.

    Raises:
        CatalogueError: the operation cannot be computed for a single claim.
    """
    if isinstance(node, ops.InValues):
        return _in_values(node, texts)
    makers = _OF_TEXTS if any(a.dtype.is_string() for a in _values(node)) else _MAKERS
    for kind, make in (*makers.items(), *_MAKERS.items()):
        if isinstance(node, kind):
            return make(node)
    raise _refused(node)


def _values(node: ops.Value) -> list[ops.Value]:
    return [a for a in node.__args__ if isinstance(a, ops.Value)]


def terms_of(node: ops.Value) -> Iterator[ops.Value]:
    """The terms of a sum of whole numbers, whose order does not matter, apart from a zero; of all else nothing."""
    if isinstance(node, ops.Add) and node.dtype.is_integer():
        for term in (node.left, node.right):
            if not isinstance(term, ops.Literal) or term.value != 0:
                yield from tuple(terms_of(term)) or (term,)


def reducer_of(node: Any) -> tuple[Reducer, tuple[ops.Value, ...]]:
    """The reduction that a node is, and the nodes that it takes: what is reduced, and which rows count."""
    # Texts have numbers, but these say nothing of their order.
    ordered = isinstance(node, (ops.Max, ops.Min)) and node.arg.dtype.is_string()
    make = next((m for kind, m in _REDUCERS.items() if isinstance(node, kind) and not ordered), None)
    if make is None:
        raise _refused(node)
    return make(node), (node.arg,) if node.where is None else (node.arg, node.where)


def _refused(node: ops.Value) -> CatalogueError:
    return CatalogueError(
        f"{type(node).__name__} cannot be computed for a single claim. Write the signal with comparisons, arithmetic, "
        "dates and count, sum, mean, min, max or nunique."
    )


# --- columns -------------------------------------------------------------------------------------------------


def column_of(values: Sequence[Any], kind: dt.DataType, texts: Texts) -> Column:
    """Python values as a column of that type, texts by their number; None is not known."""
    return _columns_of(kind)(values, texts)


@cache
def _columns_of(kind: dt.DataType) -> Callable[[Sequence[Any], Texts], Column]:
    if kind.is_boolean():
        return _booleans
    if kind.is_numeric():
        return _numbers
    if kind.is_timestamp():
        return lambda values, texts: _times(values, "datetime64[us]", pa.timestamp("us"))
    if kind.is_date():
        return lambda values, texts: _times(values, "datetime64[D]", pa.date32())
    return _texts if kind.is_string() else _objects


def _numbers(values: Sequence[Any], texts: Texts) -> Column:
    numbers = np.array(values, dtype=np.float64)
    known = ~np.isnan(numbers)
    if not known.all():
        # A number that is not a number is known all the same.
        known = _not_none(values)
        numbers[~known] = 0.0
    return Column(numbers, known)


def _booleans(values: Sequence[Any], texts: Texts) -> Column:
    return Column(np.array(values, dtype=bool), _not_none(values))


def _times(values: Sequence[Any], unit: str, kind: pa.DataType) -> Column:
    times = np.array(values, dtype=unit) if len(values) < _FEW_TIMES else _through_arrow(values, unit, kind)
    return Column(times, ~np.isnat(times))


def _through_arrow(values: Sequence[Any], unit: str, kind: pa.DataType) -> np.ndarray:
    """Times by the way that is quickest for many of them."""
    try:
        times: np.ndarray = pa.array(values, kind).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        times = np.array(values, dtype=unit)
    return times.astype(unit, copy=False)


def _texts(values: Sequence[Any], texts: Texts) -> Column:
    numbers = texts.numbers(values)
    return Column(numbers, numbers != NO_TEXT)


def _objects(values: Sequence[Any], texts: Texts) -> Column:
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return Column(objects, _not_none(values))


def _not_none(values: Sequence[Any]) -> np.ndarray:
    return np.array([v is not None for v in values], dtype=bool)


# --- steps ---------------------------------------------------------------------------------------------------


def _both(function: Callable[[Any, Any], Any]) -> Callable[[Any], Operation]:
    """A maker for an operation of two columns that is known where both are."""

    def step(left: Column, right: Column) -> Column:
        return Column(function(left.values, right.values), left.known & right.known)

    return lambda node: Operation(step, (node.args[0], node.args[1]))


def _one(function: Callable[[Any], Any]) -> Callable[[Any], Operation]:
    """A maker for an operation of one column that is known where that is."""

    def step(column: Column) -> Column:
        return Column(function(column.values), column.known)

    return lambda node: Operation(step, (node.args[0],))


def _read(step: Callable[..., Column]) -> Callable[[Any], Operation]:
    """A maker for an operation that reads texts; `step` takes them first."""
    return lambda node: Operation(step, tuple(_values(node)), reads=True)


def total(columns: Column) -> Column:
    """The sum of all columns of a stack, known where all of them are."""
    known: np.ndarray = np.logical_and.reduce(columns.known, axis=0, keepdims=True)
    return Column(columns.values.sum(axis=0, keepdims=True), known)


def _and(left: Column, right: Column) -> Column:
    known_left, known_right = left.known, right.known
    true = left.values & right.values & known_left & known_right
    false = (known_left & ~left.values) | (known_right & ~right.values)
    return Column(true, true | false)


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


def _cases(node: ops.SearchedCase) -> Operation:
    return Operation(_cases_of(len(node.cases)), (*node.cases, *node.results, node.default))


@cache
def _cases_of(count: int) -> Step:
    """The result of the first condition that holds; limits with several dated values are such cases."""

    def step(*columns: Column) -> Column:
        found = columns[-1]
        for condition, result in reversed(list(zip(columns[:count], columns[count:-1], strict=True))):
            found = _if_else(condition, result, found)
        return found

    return step


def _between(column: Column, low: Column, high: Column) -> Column:
    above = Column(column.values >= low.values, column.known & low.known)
    return _and(above, Column(column.values <= high.values, column.known & high.known))


def _is_null(column: Column) -> Column:
    return Column(~column.known, np.ones(column.known.shape, dtype=bool))


def _not_null(column: Column) -> Column:
    return Column(column.known, np.ones(column.known.shape, dtype=bool))


def _lengths(column: Column) -> Column:
    sizes = np.zeros(column.values.shape)
    sizes[column.known] = list(map(len, column.values[column.known]))
    return Column(sizes, column.known)


def _distinct(column: Column) -> Column:
    sets = np.empty(column.values.shape, dtype=object)
    sets[column.known] = list(map(set, column.values[column.known]))
    return Column(sets, column.known)


def _in_values(node: ops.InValues, texts: Texts) -> Operation:
    options = column_of([o.value for o in node.options], node.value.dtype, texts)
    return Operation(_is_option(tuple(options.values[options.known])), (node.value,))


@cache
def _is_option(options: tuple[Any, ...]) -> Step:
    wanted = np.array(options)

    def step(column: Column) -> Column:
        found: np.ndarray = np.any(column.values[..., None] == wanted, axis=-1)
        return Column(found, column.known)

    return step


def _cast(node: ops.Cast) -> Operation:
    to, own = node.to, node.arg.dtype
    if to.is_integer() and own.is_floating():
        return _ROUNDED(node)
    if to.is_numeric():
        return _AS_NUMBER(node)
    if to.is_date():
        return _AS_DATE(node)
    if to.is_string() and own.is_integer():
        return Operation(_as_text, (node.arg,), reads=True)
    if to == own or (to.is_string() and own.is_string()):
        return _AS_IT_IS(node)
    raise CatalogueError(f"a cast from {own} to {to} cannot be computed for a single claim.")


_ROUNDED, _AS_NUMBER = _one(np.rint), _one(lambda v: v.astype(np.float64))
_AS_DATE, _AS_IT_IS = _one(lambda v: v.astype("datetime64[D]")), _one(lambda v: v)


def _as_text(texts: Texts, column: Column) -> Column:
    numbers = texts.numbers(str(int(number)) for number in column.values.ravel().tolist())
    return Column(numbers.reshape(column.values.shape), column.known)


def _days(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    days: np.ndarray = (left.astype("datetime64[D]") - right.astype("datetime64[D]")).astype(np.float64)
    return days


def _days_between(left: Column, right: Column) -> Column:
    return Column(_days(left.values, right.values), left.known & right.known)


def _date_delta(node: Any) -> Operation:
    if node.part.value != "day":
        raise CatalogueError(f"a difference in {node.part.value}s cannot be computed for a single claim; use days.")
    return Operation(_days_between, (node.left, node.right))


def _substring(node: ops.Substring) -> Operation:
    start, length = node.start.value, node.length.value if node.length is not None else None
    return Operation(_part(start, None if length is None else start + length), (node.arg,), reads=True)


@cache
def _part(start: int, stop: int | None) -> Step:
    cut = operator.itemgetter(slice(start, stop))
    return lambda texts, column: Column(texts.mapped(cut, column.values), column.known)


def _day_of_month(values: np.ndarray) -> np.ndarray:
    days = values.astype("datetime64[D]")
    first = days.astype("datetime64[M]").astype("datetime64[D]")
    return _days(days, first) + 1.0


def _hour(values: np.ndarray) -> np.ndarray:
    hours: np.ndarray = (values - values.astype("datetime64[D]")) // np.timedelta64(1, "h") * 1.0
    return hours


def _weekday(values: np.ndarray) -> np.ndarray:
    # The first of January 1970 was a Thursday; Monday is 0.
    weekday: np.ndarray = (values.astype("datetime64[D]").astype(np.int64) + 3.0) % 7.0
    return weekday


def _concat(node: ops.StringConcat) -> Operation:
    return Operation(_joined, tuple(node.arg), reads=True)


def _joined(texts: Texts, *columns: Column) -> Column:
    wide = np.broadcast_arrays(*(c.values for c in columns))
    parts = zip(*(texts.objects(values).ravel() for values in wide), strict=True)
    known = columns[0].known
    for column in columns[1:]:
        known = known & column.known
    return Column(texts.numbers(map("".join, parts)).reshape(wide[0].shape), known)


def _spelled(function: Callable[[Any, Any], Any]) -> Callable[[Any], Operation]:
    """A maker for an operation of two columns whose texts themselves are looked at."""

    def step(texts: Texts, left: Column, right: Column) -> Column:
        found = function(texts.objects(left.values), texts.objects(right.values))
        return Column(found.astype(bool), left.known & right.known)

    return _read(step)


def _spelled_between(texts: Texts, *columns: Column) -> Column:
    return _between(*(Column(texts.objects(c.values), c.known) for c in columns))


_MAKERS: Mapping[type, Callable[[Any], Operation]] = {
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
    ops.And: lambda node: Operation(_and, (node.left, node.right)),
    ops.Or: lambda node: Operation(_or, (node.left, node.right)),
    ops.Not: _one(operator.invert),
    ops.Negate: _one(operator.neg),
    ops.Floor: _one(np.floor),
    ops.Ceil: _one(np.ceil),
    ops.Abs: _one(np.abs),
    ops.Ln: _one(np.log),
    ops.Sqrt: _one(np.sqrt),
    ops.Date: _AS_DATE,
    ops.ExtractDay: _one(_day_of_month),
    ops.ExtractHour: _one(_hour),
    ops.ExtractYear: _one(lambda v: v.astype("datetime64[Y]").astype(np.float64) + 1970.0),
    ops.DayOfWeekIndex: _one(_weekday),
    ops.StringContains: _spelled(np.frompyfunc(operator.contains, 2, 1)),
    ops.DateDelta: _date_delta,
    ops.NullIf: lambda node: Operation(_null_if, (node.arg, node.null_if_expr)),
    ops.Coalesce: lambda node: Operation(_coalesce, tuple(node.arg)),
    ops.IfElse: lambda node: Operation(_if_else, (node.bool_expr, node.true_expr, node.false_null_expr)),
    ops.SearchedCase: _cases,
    ops.Between: lambda node: Operation(_between, (node.arg, node.lower_bound, node.upper_bound)),
    ops.IsNull: lambda node: Operation(_is_null, (node.arg,)),
    ops.NotNull: lambda node: Operation(_not_null, (node.arg,)),
    ops.Cast: _cast,
    ops.Substring: _substring,
    ops.StringConcat: _concat,
    ops.ArrayLength: lambda node: Operation(_lengths, (node.arg,)),
    ops.ArrayDistinct: lambda node: Operation(_distinct, (node.arg,)),
}
# What the numbers of texts do not say.
_OF_TEXTS: Mapping[type, Callable[[Any], Operation]] = {
    ops.Less: _spelled(operator.lt),
    ops.LessEqual: _spelled(operator.le),
    ops.Greater: _spelled(operator.gt),
    ops.GreaterEqual: _spelled(operator.ge),
    ops.Between: _read(_spelled_between),
}
_REDUCERS: Mapping[type, Callable[[Any], Reducer]] = {
    ops.Sum: lambda node: sums,
    ops.Mean: lambda node: means,
    ops.Max: lambda node: extremes(largest=True),
    ops.Min: lambda node: extremes(largest=False),
    ops.Count: lambda node: numbers_of_rows,
    ops.CountDistinct: lambda node: distinct_counts,
    ops.StandardDev: lambda node: spread_of("std", 2 if node.how == "sample" else 1),
    ops.Variance: lambda node: spread_of("var", 2 if node.how == "sample" else 1),
    ops.ArrayCollect: lambda node: collected(node.distinct),
}
