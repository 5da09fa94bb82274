"""What a model must beat, measured on the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fraud.learning.blending import Scoring, fit_scoring
from fraud.learning.calibration.calibration import fit_calibration
from fraud.learning.datasets.splits import grouped_folds
from fraud.learning.metrics import roc_auc

if TYPE_CHECKING:
    from fraud.learning.datasets.dataset import Feature
    from fraud.learning.fitting import Shared
    from fraud.learning.spec import ModelSpec

__all__ = [
    "Part",
    "Scored",
    "boosted",
    "logistic",
    "margins_of",
    "peer_scores",
    "peers",
    "scale_free",
    "single_feature",
]

# Calibration inside a training fold: margins of rows that the inner boosters have not seen.
INNER_FOLDS = 3
# Beyond this a robust z-score only says "far out"; being odd in many ways must count for more.
_MAX_Z = 3.0


@dataclass(frozen=True, eq=False)
class Part:
    """The rows to fit on and those to score in one fold; `peer_scores` needs no label and covers both.

    `weights` is what each row counts in the fit, `decided` marks rows whose label was found out: rows that
    nobody looked at may be fitted on, but nothing is chosen or calibrated on them. None: all alike, all decided.
    """

    spec: ModelSpec
    features: Sequence[Feature]
    train: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    test: np.ndarray
    train_peers: np.ndarray
    test_peers: np.ndarray
    seed: int
    weights: np.ndarray | None = None
    decided: np.ndarray | None = None

    @property
    def known(self) -> np.ndarray:
        """Positions of the training rows whose label was found out."""
        return np.arange(len(self.labels)) if self.decided is None else np.flatnonzero(self.decided)

    def keeping(self, columns: Sequence[int]) -> Part:
        """The part with some of the columns."""
        kept = [self.features[i] for i in columns]
        return replace(self, features=kept, train=self.train[:, columns], test=self.test[:, columns])

    def decided_only(self) -> Part:
        """The part without the training rows that nobody looked at."""
        return self if self.decided is None else self.fitted_on(self.known)

    def fitted_on(self, rows: np.ndarray) -> Part:
        """The part with some of the training rows."""
        return replace(
            self,
            train=self.train[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            train_peers=self.train_peers[rows],
            weights=None if self.weights is None else self.weights[rows],
            decided=None if self.decided is None else self.decided[rows],
        )


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores and probabilities of the test rows of a part; `inside` is the AUC within the training folds."""

    scores: np.ndarray
    probabilities: np.ndarray
    inside: float = float("nan")


def boosted(part: Part, bags: int | None = None, inner: int = INNER_FOLDS) -> Scored:
    """The model itself: fitted and calibrated on the training rows alone.

    `inner` is how many of the inner folds are scored for the calibration.
    """
    from fraud.learning.fitting import Shared

    values = Shared(part.train, part.seed)
    margins = _fit(part, values, None, part.seed, bags).margins(part.test)
    seen = np.full(len(part.labels), np.nan)
    known, number = part.known, np.full(len(part.labels), -1)
    number[known] = grouped_folds(part.labels[known], part.groups[known], INNER_FOLDS, part.seed)
    for k in range(inner):
        # Rows without a decision are never tested, but those of a tested group must not be fitted on either.
        kept = number != k if part.decided is None else ~np.isin(part.groups, part.groups[number == k])
        fold = _fit(part, values, np.flatnonzero(kept), part.seed + k, 1)
        seen[number == k] = fold.margins(part.train[number == k])
    scored = np.isfinite(seen)
    calibration = fit_calibration(seen[scored], part.labels[scored])
    return Scored(margins, calibration.probability(margins), roc_auc(part.labels[scored], seen[scored]))


def margins_of(part: Part, bags: int | None = None) -> np.ndarray:
    """Margins of the test rows from a fit on the training rows, without any calibration."""
    margins: np.ndarray = _fit(part, part.train, None, part.seed, bags).margins(part.test)
    return margins


def _fit(part: Part, values: np.ndarray | Shared, rows: np.ndarray | None, seed: int, bags: int | None) -> Scoring:
    names, signs = [f.name for f in part.features], [f.sign for f in part.features]
    labels = part.labels if rows is None else part.labels[rows]
    weights = part.weights if part.weights is None or rows is None else part.weights[rows]
    return fit_scoring(values, labels, names, signs, part.spec, seed, rows=rows, weights=weights, bags=bags)


def scale_free(part: Part) -> Scored:
    """The same model without any feature that grows with the size of the entity; one booster."""
    kept = [i for i, f in enumerate(part.features) if not f.volume]
    if not kept:
        return _constant(part)
    return boosted(part.keeping(kept), bags=1, inner=1)


def single_feature(part: Part) -> Scored:
    """The one feature that ranks the training rows best, in the direction in which it does."""
    part = part.decided_only()
    best = max(range(len(part.features)), key=lambda i: _ranking(part, i)[0])
    direction = _ranking(part, best)[1]
    missing = float(np.nanmin(direction * part.train[:, best], initial=0.0)) - 1.0
    train, test = (np.nan_to_num(direction * v[:, best], nan=missing) for v in (part.train, part.test))
    return Scored(test, fit_calibration(train, part.labels).probability(test))


def _ranking(part: Part, column: int) -> tuple[float, float]:
    """AUC of a feature on the training rows (missing lowest), and its direction: +1 or -1."""
    values, sign = part.train[:, column], float(part.features[column].sign)
    ranked = {d: ranking_of(part.labels, d * values) for d in ([sign] if sign else [1.0, -1.0])}
    direction = max(ranked, key=lambda d: ranked[d])
    return ranked[direction], direction


def ranking_of(labels: np.ndarray, values: np.ndarray) -> float:
    """AUC of values with what is missing ranked lowest; 0.5 where nothing is known."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.5
    return roc_auc(labels, np.nan_to_num(values, nan=float(known.min()) - 1.0))


def logistic(part: Part) -> Scored:
    """Logistic regression on log-scaled, standardised features, missing values at the median."""
    from sklearn.linear_model import LogisticRegression

    train, test = _standardised(part.train, part.test)
    model = LogisticRegression(C=0.05, max_iter=200)
    model.fit(train, part.labels, sample_weight=part.weights)
    probabilities = model.predict_proba(test)[:, 1]
    return Scored(probabilities, probabilities)


def _standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts with the medians, means and spreads of the training rows."""
    # Counts and amounts have long tails, on which a linear model would lean.
    train, test = (np.sign(v) * np.log1p(np.abs(v)) for v in (train, test))
    known = np.isfinite(train).any(axis=0)
    middle = np.zeros(train.shape[1])
    middle[known] = np.nanmedian(train[:, known], axis=0)
    train, test = (np.where(np.isfinite(v), v, middle) for v in (train, test))
    spread = train.std(axis=0)
    spread[spread == 0] = 1.0
    return (train - train.mean(axis=0)) / spread, (test - train.mean(axis=0)) / spread


def peers(part: Part) -> Scored:
    """Distance from peers, without labels; only the probability is calibrated on the training rows."""
    part = part.decided_only()
    return Scored(part.test_peers, fit_calibration(part.train_peers, part.labels).probability(part.test_peers))


def peer_scores(values: np.ndarray, features: Sequence[Feature]) -> np.ndarray:
    """Mean robust z-score of each row over all features, in the risky direction, against all rows.

    Missing values count as usual ones. No label is used.
    """
    raw = [i for i, f in enumerate(features) if not f.is_peer_column]
    signs = np.array([features[i].sign for i in raw])
    z = _robust_z(values[:, raw])
    return np.asarray(np.where(signs == 0, np.abs(z), z * signs).mean(axis=1))


def _robust_z(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values).any(axis=0)
    z = np.zeros_like(values)
    columns = values[:, known]
    apart = columns - np.nanmedian(columns, axis=0)
    spread = 1.4826 * np.nanmedian(np.abs(apart), axis=0)
    # Most rows share one value of a rare-event count; the mean distance still tells the others apart.
    spread = np.where(spread > 0, spread, 1.2533 * np.nanmean(np.abs(apart), axis=0))
    z[:, known] = np.clip(apart / np.where(spread > 0, spread, 1.0), -_MAX_Z, _MAX_Z)
    return np.asarray(np.nan_to_num(z, nan=0.0))


def _constant(part: Part) -> Scored:
    share = float(part.labels[part.known].mean())
    return Scored(np.zeros(len(part.test)), np.full(len(part.test), share))
