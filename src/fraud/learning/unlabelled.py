"""Training and judging a model that has no labels: is its list stable, its volume sane, its reason more than one?

Where there are outcomes after all, the list is checked against them; that is a check, never a part of the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fraud.learning.calibration.calibration import UNKNOWN, rank_standing
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.metrics import average_precision, precision_at
from fraud.learning.model import FittedModel
from fraud.learning.novelty import Novelty, fit_novelty
from fraud.learning.origin import kept_of, origin_of
from fraud.learning.spec import ModelSpec
from fraud.learning.validation.evaluation import Evaluation, HoldoutResult

__all__ = ["Unlabelled", "examine", "fit_unlabelled", "forest_of"]

_LISTED = 0.01
_LATER = 0.25
_FOREST_ROWS = 2048


@dataclass(frozen=True, eq=False)
class Unlabelled(Evaluation):
    """What is known of a model without labels: `figures` for the gates, and checks against outcomes."""

    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, float]:
        """Every figure that a gate may name, and the checks."""
        return dict(self.figures)


def fit_unlabelled(dataset: Dataset, spec: ModelSpec, metrics: Mapping[str, float]) -> FittedModel:
    """The model of all rows; its standing is over scores, and its probabilities are not known."""
    signs = tuple(f.sign for f in dataset.features)
    novelty = fit_novelty(dataset.values, signs, dataset.weights)
    scores = novelty.margins(dataset.values)
    standing = rank_standing(scores, dataset.weights)
    return FittedModel(
        spec=spec,
        ensemble=novelty,
        calibration=UNKNOWN,
        standing=standing,
        metrics=metrics,
        origin=origin_of(dataset, standing.percentile(scores)),
        **kept_of(dataset),
    )


# --- judging ------------------------------------------------------------------------------------------------


def examine(dataset: Dataset, spec: ModelSpec) -> Unlabelled:
    """The figures of `NOVELTY_METRICS`, and how the list fares against what outcomes there are."""
    signs = [f.sign for f in dataset.features]
    whole = fit_novelty(dataset.values, signs, dataset.weights)
    surprises = whole.surprises(dataset.values)
    scores = whole.margins(dataset.values)
    listed, forest = _highest(scores, dataset.weights), -forest_of(surprises, spec.seed).score_samples(surprises)
    beside = np.isin(listed, _highest(forest, dataset.weights))
    figures = {
        "list_stability": _stability(dataset, signs, spec.seed),
        "later_volume": _later_volume(dataset, signs),
        "one_signal_share": _one_signal(surprises[listed], dataset.weights[listed]),
        "forest_agreement": float(dataset.weights[listed[beside]].sum() / dataset.weights[listed].sum()),
    }
    return _evaluation(figures | _checked(dataset, scores, forest, spec), spec)


def forest_of(surprises: np.ndarray, seed: int) -> Any:
    """An isolation forest over the same surprises: the usual way, to be compared with.

    Source: Liu, Ting, Zhou, "Isolation forest" (2008).
    """
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, max_samples=min(_FOREST_ROWS, len(surprises)), random_state=seed)
    return forest.fit(surprises)


def _evaluation(figures: Mapping[str, float], spec: ModelSpec) -> Unlabelled:
    nothing = np.empty(0)
    return Unlabelled(
        folds=(),
        labels=nothing,
        amounts=nothing,
        margins=np.empty((0, 0)),
        probabilities=np.empty((0, 0)),
        interval=(float("nan"), float("nan")),
        single_features=(),
        holdout=HoldoutResult(reason="a model without labels has nothing to be held out from"),
        k=spec.capacity.k,
        figures=figures,
    )


def _highest(scores: np.ndarray, weights: np.ndarray, share: float = _LISTED) -> np.ndarray:
    """Positions of the rows with the highest scores that stand for a share of all; at least one."""
    order = np.argsort(-scores, kind="stable")
    count = int(np.searchsorted(np.cumsum(weights[order]), share * weights.sum(), side="right"))
    return order[: max(1, count)]


def _stability(dataset: Dataset, signs: Sequence[int], seed: int) -> float:
    """Share of the list that models of two random halves of the rows agree on."""
    half = np.random.default_rng(seed).permutation(len(dataset)) % 2
    values, weights = dataset.values, dataset.weights
    lists = [set(_highest(_fitted(dataset, signs, half == side).margins(values), weights).tolist()) for side in (0, 1)]
    return len(lists[0] & lists[1]) / max(map(len, lists))


def _later_volume(dataset: Dataset, signs: Sequence[int]) -> float:
    """Alerts among the latest quarter of the rows, by how many 1 % of them would be; NaN where all are of one day."""
    cut = np.quantile(dataset.happened_at.astype(np.int64), 1 - _LATER)
    early = dataset.happened_at.astype(np.int64) < cut
    if not early.any():
        return float("nan")
    model = _fitted(dataset, signs, early)
    scores, weights = model.margins(dataset.values), dataset.weights
    order = np.flatnonzero(early)[_highest(scores[early], weights[early])]
    alerts = ~early & (scores > scores[order].min())
    return float(weights[alerts].sum() / weights[~early].sum() / _LISTED)


def _fitted(dataset: Dataset, signs: Sequence[int], rows: np.ndarray) -> Novelty:
    return fit_novelty(dataset.values[rows], signs, dataset.weights[rows])


def _one_signal(surprises: np.ndarray, weights: np.ndarray) -> float:
    counts = np.bincount(surprises.argmax(axis=1), weights=weights)
    return float(counts.max() / weights.sum())


def _checked(dataset: Dataset, scores: np.ndarray, forest: np.ndarray, spec: ModelSpec) -> dict[str, float]:
    """Figures against the verdicts; none where no two verdicts differ."""
    rows = dataset.labelled
    labels = dataset.labels[rows]
    if not 0 < labels.sum() < len(labels):
        return {}
    found = {"decided": float(len(rows)), "base": float(labels.mean())}
    found["average_precision"] = average_precision(labels, scores[rows])
    found["forest_average_precision"] = average_precision(labels, forest[rows])
    found["precision_at_k"] = precision_at(labels, scores[rows], max(1, min(spec.capacity.k, len(rows) // 5)))
    return {f"check.{name}": value for name, value in found.items()}
