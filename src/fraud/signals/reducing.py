"""Reductions for many requests at once: the rows of all requests in one column, and to which request each belongs.

The rows of one request stand together, in the order of the requests. What a reduction means is that of
`fraud.signals.inmemory` for one request; that both agree is tested over every signal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Column", "Grouped", "distinct_counts", "extremes", "means", "one_by_one", "rows_of", "sums"]


class Column(NamedTuple):
    """Values and whether each is known; a column of one row is broadcast."""

    values: np.ndarray
    known: np.ndarray


# A reduction's columns, the request of each row, and the number of requests.
Grouped = Callable[[Sequence[Column], np.ndarray, int], Column]


def one_by_one(step: Callable[..., Column], columns: Sequence[Column], owner: np.ndarray, size: int) -> Column:
    """A reduction without a way of its own: `step` for the rows of one request after another."""
    wide = [Column(np.broadcast_to(c.values, len(owner)), np.broadcast_to(c.known, len(owner))) for c in columns]
    edges = np.searchsorted(owner, np.arange(size + 1))
    parts = [slice(edges[i], edges[i + 1]) for i in range(size)]
    found = [step(*(Column(c.values[p], c.known[p]) for c in wide)) for p in parts]
    values = np.empty(size, dtype=object)
    values[:] = [f.values[0] for f in found]
    kind = next((f.values.dtype for f in found if f.known[0]), np.dtype(np.float64))
    known = np.array([f.known[0] for f in found], dtype=bool)
    return Column(values if kind.hasobject else np.where(known, values, 0).astype(kind), known)


def _counted(columns: Sequence[Column], owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of the rows that count, and the request of each."""
    column, where = columns[0], columns[1] if len(columns) > 1 else None
    mask = column.known if where is None else column.known & where.values & where.known
    mask = np.broadcast_to(mask, len(owner))
    return np.broadcast_to(column.values, len(owner))[mask], owner[mask]


def rows_of(columns: Sequence[Column], owner: np.ndarray, size: int) -> Column:
    """Number of rows that count."""
    _, rows = _counted(columns, owner)
    return Column(np.bincount(rows, minlength=size).astype(np.float64), np.ones(size, dtype=bool))


def sums(columns: Sequence[Column], owner: np.ndarray, size: int) -> Column:
    """Sums of what counts; of nothing it is not known."""
    values, rows = _counted(columns, owner)
    added = np.bincount(rows, weights=values.astype(np.float64), minlength=size)
    return Column(added, np.bincount(rows, minlength=size) > 0)


def means(columns: Sequence[Column], owner: np.ndarray, size: int) -> Column:
    """Means of what counts."""
    added, known = sums(columns, owner, size)
    _, rows = _counted(columns, owner)
    return Column(added / np.maximum(np.bincount(rows, minlength=size), 1), known)


def extremes(choose: np.ufunc) -> Grouped:
    """The reduction that keeps the largest or the smallest value."""

    def grouped(columns: Sequence[Column], owner: np.ndarray, size: int) -> Column:
        values, rows = _counted(columns, owner)
        known = np.bincount(rows, minlength=size) > 0
        found = np.zeros(size, dtype=values.dtype)
        if len(rows):
            # The rows of one request stand together, so each begins where the owner changes.
            first = np.flatnonzero(np.diff(rows, prepend=-1))
            found[rows[first]] = choose.reduceat(values, first)
        return Column(found, known)

    return grouped


def distinct_counts(columns: Sequence[Column], owner: np.ndarray, size: int) -> Column:
    """Number of different values among what counts."""
    values, rows = _counted(columns, owner)
    pairs = set(zip(rows.tolist(), values.tolist(), strict=True))
    owners = np.array([row for row, _ in pairs], dtype=np.int64)
    return Column(np.bincount(owners, minlength=size).astype(np.float64), np.ones(size, dtype=bool))
