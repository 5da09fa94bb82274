"""Uncertainty of figures by drawing groups: rows of one provider or patient are not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["DRAWS", "Interval", "Statistic", "group_draws", "interval_of", "paired_difference"]

DRAWS = 300
_LEVEL = 0.95

# A figure of weighted rows: the weights say how often each row was drawn.
Statistic = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Interval:
    """A figure with the 95 % bounds of its bootstrap."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the bounds: a difference beyond chance."""
        return bool(self.low > 0 or self.high < 0)

    def as_dict(self) -> dict[str, float]:
        """The figure and its bounds as JSON types."""
        return {"value": self.value, "low": self.low, "high": self.high}


def group_draws(groups: np.ndarray, seed: int, draws: int = DRAWS) -> Iterator[np.ndarray]:
    """How often each row counts, for each draw of as many groups as there are, with replacement."""
    _, member = np.unique(groups.astype(str), return_inverse=True)
    count = int(member.max()) + 1
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        yield generator.multinomial(count, np.full(count, 1 / count))[member].astype(float)


def interval_of(statistic: Statistic, groups: np.ndarray, seed: int, draws: int = DRAWS) -> Interval:
    """The statistic of all rows, with bounds from a bootstrap over groups; draws that give NaN are left out."""
    value = statistic(np.ones(len(groups)))
    found = [statistic(weights) for weights in group_draws(groups, seed, draws)]
    return _bounded(value, np.array(found))


def paired_difference(
    first: Statistic, second: Statistic, groups: np.ndarray, seed: int, draws: int = DRAWS
) -> Interval:
    """How much larger the first statistic is than the second, both on the same draws of groups."""
    return interval_of(lambda weights: first(weights) - second(weights), groups, seed, draws)


def _bounded(value: float, found: np.ndarray) -> Interval:
    known = found[np.isfinite(found)]
    if not len(known) or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
