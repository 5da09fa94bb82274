"""Would more labels help? The figures against the share of the labels that were used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fraud.learning.validation.bootstrap import Interval

__all__ = ["SHARES", "LearningCurve", "Point", "fit_curve", "nested_rows"]

SHARES = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
# A smaller gain than this is not worth an investigation more.
WORTH = 0.01
_POWERS = np.linspace(0.1, 2.0, 39)


@dataclass(frozen=True)
class Point:
    """What a share of the labels gave; `labels` is their number."""

    share: float
    labels: float
    average_precision: Interval
    precision_at_k: float


@dataclass(frozen=True)
class LearningCurve:
    """The points, what the last doubling of labels brought, and what the next one may bring by the fitted curve.

    The curve is average precision = ceiling − loss · labels^−power.
    """

    points: tuple[Point, ...]
    last_doubling: Interval
    ceiling: float
    loss: float
    power: float

    @property
    def next_doubling(self) -> float:
        """Average precision that the fitted curve adds when the labels are doubled."""
        n = self.points[-1].labels
        return self.at(2 * n) - self.at(n)

    def at(self, labels: float) -> float:
        """The fitted average precision with so many labels."""
        return float(self.ceiling - self.loss * labels**-self.power)

    @property
    def verdict(self) -> str:
        """`helps`, `flat`, or `unsure` where the last doubling could be chance."""
        brought = self.last_doubling
        if brought.low > 0 and self.next_doubling >= WORTH:
            return "helps"
        # Bounds that exclude a gain worth having say more than that none was seen.
        return "flat" if brought.high < 2 * WORTH or brought.low > 0 else "unsure"

    def as_dict(self) -> dict[str, Any]:
        """The curve as JSON types."""
        points = [
            {
                "share": p.share,
                "labels": p.labels,
                "average_precision": p.average_precision.as_dict(),
                "precision_at_k": p.precision_at_k,
            }
            for p in self.points
        ]
        fit = {"ceiling": self.ceiling, "loss": self.loss, "power": self.power}
        doubling = {"last_doubling": self.last_doubling.as_dict(), "next_doubling": self.next_doubling}
        return {"points": points, "fit": fit, **doubling, "verdict": self.verdict}


def fit_curve(points: Sequence[Point], last_doubling: Interval) -> LearningCurve:
    """The curve of least squares through the points; one that would fall with more labels is taken as flat."""
    n = np.array([p.labels for p in points])
    found = np.array([p.average_precision.value for p in points])
    known = np.isfinite(found) & (n > 0)
    fits = [_with_power(n[known], found[known], power) for power in _POWERS] if known.sum() > 2 else []
    flat = (float("nan"), float(found[known].mean()) if known.any() else float("nan"), 0.0, 1.0)
    _, ceiling, loss, power = min((f for f in fits if f[2] > 0 and f[1] <= 1), default=flat)
    return LearningCurve(tuple(points), last_doubling, ceiling, loss, power)


def _with_power(n: np.ndarray, found: np.ndarray, power: float) -> tuple[float, float, float, float]:
    """Squared error, ceiling and loss of the best curve with this power."""
    design = np.column_stack([np.ones(len(n)), -(n**-power)])
    (ceiling, loss), *_ = np.linalg.lstsq(design, found, rcond=None)
    error = float(((design @ [ceiling, loss] - found) ** 2).sum())
    return error, float(ceiling), float(loss), float(power)


def nested_rows(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Positions of about this share of the rows, whole groups at a time; a larger share holds the smaller.

    Groups with a positive are thinned apart from the others, so that few labels keep their mix.
    """
    _, member = np.unique(groups.astype(str), return_inverse=True)
    positive = np.bincount(member, labels) > 0
    order = np.random.default_rng(seed).permutation(len(positive))
    kept = np.zeros(len(positive), dtype=bool)
    for kind in (True, False):
        of_kind = order[positive[order] == kind]
        sizes = np.bincount(member)[of_kind]
        kept[of_kind[np.cumsum(sizes) - sizes < share * sizes.sum()]] = True
    return np.flatnonzero(kept[member])
