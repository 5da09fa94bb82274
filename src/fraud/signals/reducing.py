"""Reductions for many requests at once: the rows of all requests in one column, and to which request each belongs.

Columns stand in stacks: one row of an array for each column, one place in it for each row of the relation. The
rows of one request stand together, in the order of the requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "Column",
    "Reducer",
    "Segments",
    "collected",
    "distinct_counts",
    "extremes",
    "means",
    "numbers_of_rows",
    "spread_of",
    "sums",
]


class Column(NamedTuple):
    """Values and whether each is known; what has one row, or one column, is broadcast."""

    values: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class Segments:
    """The rows of a relation by the request that they belong to."""

    owner: np.ndarray
    size: int
    filled: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, owner: np.ndarray, size: int) -> Segments:
        """Segments from the request of each row; those of one request stand together."""
        if size == 1:
            # Nearly every service asks for one claim at a time.
            filled = _FIRST if len(owner) else _NONE
            return cls(owner, 1, filled, filled)
        lengths = np.bincount(owner, minlength=size)
        filled = np.flatnonzero(lengths)
        return cls(owner, size, filled, (np.cumsum(lengths) - lengths)[filled])

    def reduce(self, function: np.ufunc, rows: np.ndarray) -> np.ndarray:
        """A stack with one value for each request; 0 for a request without rows."""
        if len(self.filled) == self.size:
            whole: np.ndarray = function.reduceat(rows, self.starts, axis=1)
            return whole
        found = np.zeros((len(rows), self.size), dtype=rows.dtype)
        if len(self.filled):
            found[:, self.filled] = function.reduceat(rows, self.starts, axis=1)
        return found


_FIRST, _NONE = np.zeros(1, dtype=np.intp), np.zeros(0, dtype=np.intp)
# Reduces a stack, and the conditions on which its rows count, to one value for each request.
Reducer = Callable[[Sequence[Column], Segments], Column]


def numbers_of_rows(columns: Sequence[Column], segments: Segments) -> Column:
    """Number of rows that count."""
    number = _numbers(_counting(columns, segments), segments)
    return Column(number, np.ones(number.shape, dtype=bool))


def sums(columns: Sequence[Column], segments: Segments) -> Column:
    """Sums of what counts; of nothing it is not known."""
    counts = _counting(columns, segments)
    added = segments.reduce(np.add, np.where(counts, _plain(columns[0].values), 0.0))
    return Column(added, segments.reduce(np.logical_or, counts))


def means(columns: Sequence[Column], segments: Segments) -> Column:
    """Means of what counts."""
    counts = _counting(columns, segments)
    added = segments.reduce(np.add, np.where(counts, _plain(columns[0].values), 0.0))
    number = _numbers(counts, segments)
    return Column(added / np.maximum(number, 1.0), number > 0)


@cache
def extremes(largest: bool) -> Reducer:
    """The reduction that keeps the largest or the smallest value."""
    choose: np.ufunc = np.maximum if largest else np.minimum

    def grouped(columns: Sequence[Column], segments: Segments) -> Column:
        values, counts = columns[0].values, _counting(columns, segments)
        kind = values.dtype
        if kind.hasobject:
            return one_by_one(columns, segments, max if largest else min)
        # Times are compared as whole numbers: the value that stands for none would win every comparison.
        plain = values.view(np.int64) if kind.kind == "M" else values
        found = segments.reduce(choose, np.where(counts, plain, _loser(plain.dtype, largest)))
        return Column(found.astype(plain.dtype).view(kind), segments.reduce(np.logical_or, counts))

    return grouped


def distinct_counts(columns: Sequence[Column], segments: Segments) -> Column:
    """Number of different values among what counts."""
    found = one_by_one(columns, segments, lambda kept: float(len(set(kept))))
    return Column(np.where(found.known, found.values, 0.0), np.ones(found.known.shape, dtype=bool))


@cache
def collected(distinct: bool) -> Reducer:
    """The values that count, as a list or a set in one cell."""

    def grouped(columns: Sequence[Column], segments: Segments) -> Column:
        found = one_by_one(columns, segments, set if distinct else list)
        return Column(found.values.astype(object), found.known)

    return grouped


@cache
def spread_of(how: str, least: int) -> Reducer:
    """Variance or standard deviation (`var`, `std`) of what counts; not known of fewer than `least` values."""

    def of(kept: list[Any]) -> float | None:
        return float(getattr(np, how)(np.array(kept, dtype=np.float64), ddof=least - 1)) if len(kept) >= least else None

    return lambda columns, segments: one_by_one(columns, segments, of)


def one_by_one(columns: Sequence[Column], segments: Segments, function: Callable[[list[Any]], Any]) -> Column:
    """A reduction without a way of its own: `function` of the values of one request after another."""
    counts = _counting(columns, segments)
    values = _plain(columns[0].values)
    if values.shape != counts.shape:
        values = np.broadcast_to(values, counts.shape)
    found = np.empty((len(values), segments.size), dtype=object)
    numbers = np.arange(segments.size + 1)
    for row, (own, mask) in enumerate(zip(values, counts, strict=True)):
        kept, owner = own[mask].tolist(), segments.owner[mask]
        edges = np.searchsorted(owner, numbers).tolist()
        for number, (first, last) in enumerate(zip(edges, edges[1:], strict=False)):
            found[row, number] = function(kept[first:last]) if last > first else None
    known = np.array([v is not None for v in found.ravel()], dtype=bool).reshape(found.shape)
    if all(isinstance(v, (int, float)) for v in found[known]):
        return Column(np.where(known, found, 0.0).astype(np.float64), known)
    if isinstance(found[known][0], str):
        # Comparisons look at what is not known as well.
        found[~known] = ""
    return Column(found, known)


def _counting(columns: Sequence[Column], segments: Segments) -> np.ndarray:
    """Whether each row counts, for every column of a stack."""
    counts: np.ndarray = columns[0].known
    if len(columns) > 1:
        counts = counts & columns[1].values & columns[1].known
    width = len(segments.owner)
    return counts if counts.shape[1] == width else np.broadcast_to(counts, (len(counts), width))


def _plain(values: np.ndarray) -> np.ndarray:
    """Whole numbers as float64, all else as it is."""
    return values.astype(np.float64) if values.dtype.kind in "iu" else values


def _numbers(counts: np.ndarray, segments: Segments) -> np.ndarray:
    """How many rows count, for each request."""
    if segments.size == 1:
        # For a handful of rows, a product is the quickest way to count.
        return counts.astype(np.float64) @ np.ones((counts.shape[1], 1))
    return segments.reduce(np.add, counts.astype(np.float64))


def _loser(kind: np.dtype[Any], largest: bool) -> Any:
    """What loses against every value of a type."""
    if kind.kind == "b":
        return not largest
    if kind.kind == "f":
        return -np.inf if largest else np.inf
    return np.iinfo(kind).min if largest else np.iinfo(kind).max
