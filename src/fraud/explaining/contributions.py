"""Exact additive contributions of a model's features; the only module that knows shap.

The figures come from the model itself (exact TreeSHAP of its booster), so that a request never waits for
shap to load; shap's own classes are for notebooks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fraud.errors import FraudError

if TYPE_CHECKING:
    import shap

__all__ = ["TOLERANCE", "Contributions", "Explainable", "contributions_of", "shap_explanation"]

# Sums of a few hundred floats of size 1 differ by about 1e-14; a gap beyond this is another model.
TOLERANCE = 1e-9


class Explainable(Protocol):
    """What is asked of a fitted model."""

    @property
    def names(self) -> tuple[str, ...]:
        """Feature columns, in the order of the model."""

    def margins(self, values: np.ndarray, /) -> np.ndarray:
        """Raw scores (log-odds) of rows × names."""

    def contributions(self, values: np.ndarray, /) -> tuple[float, np.ndarray]:
        """The base, and rows × names of what each feature adds to it."""


@dataclass(frozen=True)
class Contributions:
    """`base + values.sum(axis=1) == margins` to `TOLERANCE`; `values` is rows × the model's names."""

    base: float
    values: np.ndarray
    margins: np.ndarray


def contributions_of(model: Explainable, features: np.ndarray) -> Contributions:
    """Exact contributions of rows × names, in log-odds.

    Raises:
        FraudError: base and contributions do not add up to the margin, so they explain another model.
    """
    rows = np.atleast_2d(features)
    base, values = model.contributions(rows)
    margins = np.asarray(model.margins(rows), dtype=np.float64)
    gap = float(np.max(np.abs(base + values.sum(axis=1) - margins), initial=0.0))
    if not gap <= TOLERANCE:
        raise FraudError(
            f"Contributions do not add up to the margin: found a gap of {gap:.3g}, expected {TOLERANCE:g}. "
            "They were computed from another model than the one that scored; load both from the same version."
        )
    return Contributions(float(base), values, margins)


def shap_explanation(model: Explainable, features: np.ndarray) -> shap.Explanation:
    """The contributions as a `shap.Explanation`, for shap's plots in a notebook."""
    import shap

    found = contributions_of(model, features)
    return shap.Explanation(
        values=found.values,
        base_values=np.full(len(found.margins), found.base),
        data=np.atleast_2d(features),
        feature_names=list(model.names),
    )
