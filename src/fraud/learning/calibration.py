"""From margins to probabilities that can be read as shares, and to a place among the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Calibration", "Standing", "fit_calibration", "rank_standing"]

_STEPS = 100
# A ranking no better than chance would turn the order round; this keeps it, and says "no difference".
_MIN_SLOPE = 1e-3
_POINTS = 1001


@dataclass(frozen=True)
class Calibration:
    """Platt's sigmoid: probability = 1 / (1 + exp(−(slope · margin + intercept)))."""

    slope: float
    intercept: float

    def probability(self, margins: np.ndarray) -> np.ndarray:
        """Probabilities of margins."""
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(self.slope * margins + self.intercept, -500, 500))))


def fit_calibration(margins: np.ndarray, labels: np.ndarray) -> Calibration:
    """The sigmoid that fits margins of rows the model has *not* seen.

    Platt's targets are used in place of 0 and 1, which keeps a small sample away from certainty.
    Source: Lin, Lin, Weng, "A note on Platt's probabilistic outputs for support vector machines" (2007).
    """
    positives = float(labels.sum())
    negatives = len(labels) - positives
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    # Margins of any scale are brought to unit spread first, so that Newton's steps stay small.
    centre, spread = float(margins.mean()), float(margins.std()) or 1.0
    slope, intercept = _newton((margins - centre) / spread, target)
    slope = max(slope / spread, _MIN_SLOPE)
    if slope == _MIN_SLOPE:
        return Calibration(slope, float(np.log((positives + 1) / (negatives + 1))) - slope * centre)
    return Calibration(slope, intercept - slope * centre)


def _newton(x: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the least cross-entropy, by Newton's method with halved steps."""
    design = np.column_stack([x, np.ones(len(x))])
    found = np.array([0.0, float(np.log(target.mean() / (1 - target.mean())))])
    loss = _loss(design @ found, target)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-design @ found))
        gradient = design.T @ (p - target)
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        while (new := _loss(design @ (found - step), target)) > loss and np.abs(step).max() > 1e-12:
            step = step / 2
        found = found - step
        if np.abs(step).max() < 1e-10:
            break
        loss = new
    return float(found[0]), float(found[1])


def _loss(z: np.ndarray, target: np.ndarray) -> float:
    return float(np.sum(np.logaddexp(0, z) - target * z))


@dataclass(frozen=True, eq=False)
class Standing:
    """Frozen quantiles of the probabilities of everybody who was scored at fitting."""

    quantiles: np.ndarray

    def percentile(self, probabilities: np.ndarray) -> np.ndarray:
        """Share (0 to 100) of the others below each probability, ties counted half."""
        low = np.searchsorted(self.quantiles, probabilities, side="left")
        high = np.searchsorted(self.quantiles, probabilities, side="right")
        return np.asarray(100.0 * (low + high) / 2 / len(self.quantiles))


def rank_standing(probabilities: np.ndarray) -> Standing:
    """The standing among these probabilities."""
    return Standing(np.quantile(probabilities, np.linspace(0, 1, _POINTS)))
