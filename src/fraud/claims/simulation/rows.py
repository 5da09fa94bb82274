"""Columns of equal length: the simulator's frames, kept as plain arrays so that a city is made in seconds."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DAY",
    "HOUR",
    "NEVER",
    "NONE",
    "Array",
    "Rows",
    "between",
    "draw",
    "occurrence",
    "pick",
    "size",
    "spread",
    "stack",
    "stream",
    "take",
]

Array = NDArray[Any]
Rows = dict[str, Array]

DAY = 86_400
HOUR = 3_600
NONE = np.iinfo(np.int64).min  # a time that is not known
NEVER = np.iinfo(np.int64).max  # a time that does not come


def stream(seed: Sequence[int], name: str) -> np.random.Generator:
    """A generator of its own for each stage, so that a change of one stage leaves the others alone."""
    return np.random.default_rng([*seed, zlib.crc32(name.encode())])


def size(rows: Rows) -> int:
    """Number of rows."""
    return len(next(iter(rows.values())))


def take(rows: Rows, where: Array) -> Rows:
    """The rows at the positions, or where the mask holds."""
    return {name: column[where] for name, column in rows.items()}


def stack(parts: Sequence[Rows]) -> Rows:
    """All rows of all parts, in order."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def spread(starts: Array, lengths: Array) -> tuple[Array, Array]:
    """For ragged runs: the run that each element belongs to, and its position.

    >>> owner, at = spread(np.array([5, 9]), np.array([2, 1]))
    >>> owner.tolist(), at.tolist()
    ([0, 0, 1], [5, 6, 9])
    """
    owner = np.repeat(np.arange(len(lengths)), lengths)
    first = np.cumsum(lengths) - lengths
    return owner, np.asarray(starts[owner] + np.arange(len(owner)) - first[owner])


def draw(rng: np.random.Generator, weights: Array, n: int) -> Array:
    """`n` positions with the given weights, with replacement."""
    total = np.cumsum(weights, dtype=float)
    found = np.searchsorted(total, rng.random(n) * total[-1], side="right")
    return np.asarray(np.minimum(found, len(weights) - 1))


def pick(rng: np.random.Generator, keys: Array, wanted: Array) -> Array:
    """For each wanted key, the position of a random equal one in the sorted `keys`; -1 where none is."""
    first = np.searchsorted(keys, wanted, side="left")
    last = np.searchsorted(keys, wanted, side="right")
    found = first + np.floor(rng.random(len(wanted)) * (last - first)).astype(np.int64)
    return np.where(last > first, found, -1)


def occurrence(keys: Array) -> Array:
    """How many equal keys come before each one.

    >>> occurrence(np.array([7, 3, 7, 7])).tolist()
    [0, 0, 1, 2]
    """
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    run = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(keys) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[run, len(keys)])
    out = np.empty(len(keys), np.int64)
    out[order] = np.arange(len(keys)) - np.repeat(run, lengths)
    return out


def between(rng: np.random.Generator, span: Sequence[int], n: int) -> Array:
    """`n` whole numbers of a span, both ends included."""
    return rng.integers(span[0], span[1] + 1, n)
