"""Whether the values of one way of computing are those of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["unequal"]


def unequal(names: Sequence[str], found: np.ndarray, expected: np.ndarray) -> dict[str, int]:
    """How many claims differ, by signal, among claims × signals; not known equals not known.

    >>> unequal(["a", "b"], np.array([[1.0, np.nan], [2.0, 3.0]]), np.array([[1.0, np.nan], [2.0, 4.0]]))
    {'b': 1}
    """
    same = np.isclose(found, expected, rtol=1e-9, atol=1e-9, equal_nan=True)
    return {name: int(n) for name, n in zip(names, (~same).sum(axis=0), strict=True) if n}
