"""How far a row stands out from everybody, learned without a single label.

The surprise of a feature is −log10 of the share of all rows whose value is at least as extreme in the riskier
direction: 2 means one row in a hundred, 4 one in ten thousand. The score is the norm of a row's surprises with a high
power, which is little more than the largest of them: most false claims are odd in one respect and ordinary in all
others, and any mean over signals drowns that one.

Thresholds are frozen at fitting, so that a row's score depends on no other row that is scored with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fraud.errors import InputError

__all__ = ["STEPS", "Novelty", "fit_novelty"]

# Surprise is known to an eighth of a power of ten; finer steps changed no figure.
STEPS = 8
POWER = 16.0
# What fewer rows than these have shown is no more surprising than what these have: the order of the very highest
# would be that of chance. Measured: precision of the highest half per cent .739 with it, .713 without.
LEAST_SEEN = 3


@dataclass(frozen=True, eq=False)
class Novelty:
    """Frozen thresholds of each feature; reads rows × features as a float64 array, NaN = not known.

    `thresholds` (features × levels) is where a value times its sign reaches a surprise of 1/8, 2/8, …; infinity where
    nothing does. A feature of sign 0 has no riskier direction, and surprises nobody. It has the face of an ensemble:
    `margins` are scores, which are no log-odds here.
    """

    signs: np.ndarray
    thresholds: np.ndarray
    power: float = POWER

    def surprises(self, values: np.ndarray) -> np.ndarray:
        """Surprise of each value, rows × features: 0 for an ordinary, an unknown or an undirected one."""
        found = np.zeros(values.shape)
        for j in np.flatnonzero(self.signs):
            directed = self.signs[j] * values[:, j]
            reached = np.searchsorted(self.thresholds[j], directed, side="right") / STEPS
            # What is not known would be sorted above everything.
            found[:, j] = np.where(np.isnan(directed), 0.0, reached)
        return found

    def margins(self, values: np.ndarray, threads: int = 1) -> np.ndarray:
        """Score of each row: 0 for one without any surprise."""
        return np.asarray((self.surprises(values) ** self.power).sum(axis=1) ** (1 / self.power))

    def contributions(self, values: np.ndarray, threads: int = 1) -> np.ndarray:
        """Exact share of each feature in the score, rows × (features + 1); the last column is the base, 0.

        A feature's share is that of its surprise, raised to the power, in the sum of all: where one signal stands out,
        the score is its surprise; where several stand out alike, they share it evenly.
        """
        raised = self.surprises(values) ** self.power
        total = raised.sum(axis=1, keepdims=True)
        shares = np.divide(raised, total, out=np.zeros_like(raised), where=total > 0)
        return np.column_stack([shares * total ** (1 / self.power), np.zeros(len(values))])

    @property
    def texts(self) -> tuple[str, ...]:
        """The thresholds as JSON, exactly."""
        rows = [[t if np.isfinite(t) else None for t in row] for row in self.thresholds.tolist()]
        plain: dict[str, Any] = {"signs": self.signs.tolist(), "power": self.power, "thresholds": rows}
        return (json.dumps(plain),)

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> Novelty:
        """The model that `texts` was taken from; raises `InputError` for anything else."""
        try:
            (plain,) = (json.loads(text) for text in texts)
            rows = [[np.inf if t is None else float(t) for t in row] for row in plain["thresholds"]]
            found = cls(np.array(plain["signs"], dtype=np.int64), np.array(rows, dtype=np.float64), plain["power"])
        except (ValueError, TypeError, KeyError):
            raise InputError("the thresholds of a novelty model cannot be read; load the model again.") from None
        if found.thresholds.ndim != 2 or len(found.thresholds) != len(found.signs):
            raise InputError("a novelty model needs thresholds for each feature; load the model again.")
        return found


def fit_novelty(values: np.ndarray, signs: Sequence[int], weights: np.ndarray | None = None) -> Novelty:
    """Thresholds learned from rows × features; `signs` is the riskier direction of each feature (+1, −1, 0: none).

    `weights` say how many rows each stands for. No surprise is larger than the number of rows can show: a value beyond
    all that were seen is as surprising as one that three rows reach.
    """
    counts = np.ones(len(values)) if weights is None else weights
    levels = int(STEPS * np.log10(max(counts.sum() / LEAST_SEEN, 1.0)) + 1e-9)
    shares = 10.0 ** (-np.arange(1, levels + 1) / STEPS) * counts.sum()
    nothing = np.full(levels, np.inf)
    rows = [_thresholds(sign * values[:, j], counts, shares) if sign else nothing for j, sign in enumerate(signs)]
    return Novelty(np.array(signs, dtype=np.int64), np.array(rows).reshape(len(signs), levels))


def _thresholds(values: np.ndarray, counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The lowest value that no more than each of `shares` (in rows) reach; just above all where there is none."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(shares), np.inf)
    order = np.argsort(values[known])
    seen = values[known][order]
    reached = np.cumsum(counts[known][order][::-1])[::-1]
    # Sums of weights differ in the last bits from what they should be.
    first = np.searchsorted(-reached, -shares * (1 + 1e-9), side="left")
    above = np.append(seen, np.nextafter(seen[-1], np.inf))
    # Of equal values all reach it or none.
    within = (first > 0) & (above[first] == above[first - 1])
    return np.asarray(above[np.where(within, np.searchsorted(seen, above[first], side="right"), first)])
