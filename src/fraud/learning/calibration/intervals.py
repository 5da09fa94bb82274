"""How sure a probability is: bounds from calibrating again and again on other draws of the same groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fraud.learning.calibration.calibration import Calibration, Decided, recalibrated, sigmoid

__all__ = ["LEVEL", "Intervals", "fit_intervals"]

LEVEL = 0.95
DRAWS = 200
_KNOTS = 65


@dataclass(frozen=True, eq=False)
class Intervals:
    """Bounds of the share at fault among rows with a margin, as distances from the calibrated log-odds.

    `low` (never above zero) and `high` (never below) belong to `margins` in ascending order; in between they are
    joined by straight lines, beyond the ends they stay. So the probability always lies within its own bounds.
    """

    margins: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float = LEVEL

    def bounds(self, calibration: Calibration, margins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper probabilities of margins."""
        log_odds = calibration.log_odds(margins)
        low, high = (np.interp(margins, self.margins, side) for side in (self.low, self.high))
        return sigmoid(log_odds + low), sigmoid(log_odds + high)

    def as_dict(self) -> dict[str, Any]:
        """The intervals as JSON types, as `from_dict` reads them."""
        columns = {"margins": self.margins, "low": self.low, "high": self.high}
        return {"level": self.level} | {name: column.tolist() for name, column in columns.items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Intervals:
        """The intervals that `as_dict` wrote."""
        margins, low, high = (np.array(plain[c], dtype=np.float64) for c in ("margins", "low", "high"))
        return cls(margins, low, high, float(plain["level"]))


def fit_intervals(
    calibration: Calibration,
    decided: Decided,
    groups: np.ndarray,
    *,
    seed: int = 0,
    draws: int = DRAWS,
    level: float = LEVEL,
) -> Intervals:
    """Bounds of a calibration's probabilities, from `draws` calibrations of the same kind on other weights of groups.

    `groups` belong to the rows of `decided`: rows of one group are drawn together, since they are not independent.
    The bounds are those of the share at fault among all rows of that margin, not of what becomes of a single row.

    Source: Rubin, "The Bayesian bootstrap" (1981): weights from an exponential law never lose a class.
    """
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    knots = decided.knots(_KNOTS)
    generator = np.random.default_rng(seed)
    drawn = np.empty((draws, len(knots)))
    for i in range(draws):
        weights = generator.exponential(size=count)[member]
        drawn[i] = recalibrated(calibration, decided, weights).log_odds(knots)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0) - calibration.log_odds(knots)
    return Intervals(knots, np.minimum(low, 0.0), np.maximum(high, 0.0), level)
