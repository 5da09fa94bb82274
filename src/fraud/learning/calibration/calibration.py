"""From margins to probabilities that can be read as shares, and to a place among the others.

Three steps, none of which changes the order of the rows:

1. Investigated rows are not the population: they are weighed so that the share at fault among them is the share
   among everybody who is scored (`correct_prior`).
2. Platt's sigmoid turns a margin into log-odds.
3. Where enough rows were decided, and where it predicts rows better that it has not seen, a bend (Kull's beta
   calibration) or a stepped curve (isotonic regression) corrects the sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

__all__ = [
    "KINDS",
    "UNKNOWN",
    "Calibration",
    "Decided",
    "Kind",
    "Standing",
    "choose_kind",
    "correct_prior",
    "fit_calibration",
    "fit_kind",
    "population_share",
    "rank_standing",
    "recalibrated",
    "sigmoid",
]

Kind = Literal["sigmoid", "beta", "isotonic", "unknown"]
KINDS: tuple[Kind, ...] = ("sigmoid", "beta", "isotonic")
_STEPS = 100
# A ranking no better than chance would turn the order round; this keeps it, and says "no difference".
_MIN_SLOPE = 1e-3
_POINTS = 1001
_FOLDS = 5
# Observations of the rarer class from which on a curve with more freedom is tried at all.
_ENOUGH: Mapping[Kind, int] = {"sigmoid": 0, "beta": 100, "isotonic": 500}
# What the sigmoid counts for in a step, in rows, and within the steps: it keeps the order of rows in one step.
_PRIOR_ROWS, _TILT = 2.0, 0.02
# More margins than these are brought together by their quantiles: no curve here has a finer detail.
_MOST_POINTS = 4000
# Beyond these log-odds nothing changes, and the exponential stays finite.
_LOGIT_MOST = 30.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """Log-odds are curve(slope · margin + intercept); the probability is their sigmoid.

    `curve` is empty for a sigmoid; (low, high, offset) for a bend, which is steeper below or above even odds; and
    for steps the log-odds of the sigmoid and what they become, as 2 × knots. `share` is the share of positives
    among the rows that the curve was fitted on, each counted for what it stands for. Of the kind `unknown` are the
    margins of a model without labels: nobody can say how likely they are right, and every probability is NaN.
    """

    slope: float
    intercept: float
    kind: Kind = "sigmoid"
    curve: np.ndarray = field(default_factory=lambda: np.empty(0))
    share: float = 0.5

    def log_odds(self, margins: np.ndarray) -> np.ndarray:
        """Calibrated log-odds of margins; a higher margin never has lower ones."""
        straight = np.clip(self.slope * margins + self.intercept, -500.0, 500.0)
        return _bent(self.kind, self.curve, straight)

    def probability(self, margins: np.ndarray) -> np.ndarray:
        """Probabilities of margins."""
        return sigmoid(self.log_odds(margins))

    def as_dict(self) -> dict[str, Any]:
        """The calibration as JSON types, as `from_dict` reads it."""
        plain = {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}
        return plain | {"curve": self.curve.tolist(), "share": self.share}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Calibration:
        """The calibration that `as_dict` wrote."""
        return cls(**{**plain, "curve": np.array(plain["curve"], dtype=np.float64)})


UNKNOWN = Calibration(1.0, 0.0, "unknown")


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    """Probabilities of log-odds, without overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -500.0, 500.0))))


def _bent(kind: Kind, curve: np.ndarray, straight: np.ndarray) -> np.ndarray:
    if kind == "sigmoid":
        return straight
    if kind == "unknown":
        return np.full(len(straight), np.nan)
    if kind == "beta":
        return np.asarray(_beta_design(straight) @ curve)
    return np.asarray((1 - _TILT) * np.interp(straight, curve[0], curve[1]) + _TILT * straight)


def _beta_design(straight: np.ndarray) -> np.ndarray:
    """Log-odds split into what is below and what is above even odds, and a constant."""
    return np.column_stack([-np.logaddexp(0, -straight), np.logaddexp(0, straight), np.ones(len(straight))])


# --- fitting ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Rows:
    """Margins in ascending order, with the number of positives and of all observations at each."""

    margins: np.ndarray
    positives: np.ndarray
    total: np.ndarray

    @property
    def share(self) -> float:
        """Share of the positives."""
        return float(self.positives.sum() / self.total.sum())

    @property
    def rarer(self) -> float:
        """Observations of the rarer class."""
        positives = float(self.positives.sum())
        return min(positives, float(self.total.sum()) - positives)

    def loss(self, log_odds: np.ndarray) -> float:
        """Cross-entropy of all observations."""
        return float(np.sum(self.total * np.logaddexp(0, log_odds) - self.positives * log_odds))


class Decided:
    """Rows that were decided, with margins that the model has not seen, and the margins of everybody.

    They are brought together once, so that curves can be fitted to them under many weights. `weights` say how many
    observations each row stands for. Without `everybody` the rows are taken for the population.
    """

    def __init__(
        self,
        margins: np.ndarray,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        everybody: tuple[np.ndarray, np.ndarray] | None = None,
        most: int = _MOST_POINTS,
    ) -> None:
        self.margins, self.labels = margins, np.asarray(labels, dtype=np.float64)
        self.weights = np.ones(len(margins)) if weights is None else np.asarray(weights, dtype=np.float64)
        self._place, self._count = _places(margins, most)
        self.everybody = None if everybody is None else _gathered(*everybody, most)
        # Verdicts, not weights: each of them is one of everybody.
        self.known = 0.0 if everybody is None else float(self.labels.sum() / everybody[1].sum())

    def rows(self, weights: np.ndarray | None = None) -> _Rows:
        """The margins, each row counted as often as its weight (times another) says."""
        weights = self.weights if weights is None else self.weights * weights
        total, positives, moved = (
            np.bincount(self._place, weights=weights * c, minlength=self._count)
            for c in (1.0, self.labels, self.margins)
        )
        kept = total > 0
        return _Rows(moved[kept] / total[kept], positives[kept], total[kept])

    def reweighted(self, weights: np.ndarray) -> Decided:
        """The same rows, each counted as often as its weight times another says; nothing is gathered anew."""
        again = copy(self)
        again.weights = self.weights * weights
        return again

    def knots(self, count: int) -> np.ndarray:
        """Margins from the lowest to the highest, more of them where the rows are riskier."""
        everybody = self.margins if self.everybody is None else self.everybody[0]
        both = np.r_[np.quantile(self.margins, np.linspace(0, 1, count // 2)), everybody.min(), everybody.max()]
        return np.unique(np.r_[both, np.linspace(both.min(), both.max(), count - count // 2 - 2)])


def _places(margins: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """For each margin the number of its place in ascending order, and how many places there are."""
    order = np.argsort(margins, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(margins[order]) != 0))
    if len(starts) > most:
        # The highest stay alone: that is where the money is.
        even = np.linspace(0, len(order), most, endpoint=False).astype(np.int64)
        wanted = np.r_[even, len(order) - 1 - np.arange(min(100, most))]
        starts = starts[np.unique(np.searchsorted(starts, wanted, side="right") - 1)]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
    return place, len(starts)


def _gathered(margins: np.ndarray, counts: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Margins brought together in `most` places, and how many rows are in each."""
    place, number = _places(margins, most)
    total = np.bincount(place, weights=counts, minlength=number)
    return np.bincount(place, weights=counts * margins, minlength=number) / total, total


def fit_calibration(
    margins: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    kinds: tuple[Kind, ...] = KINDS,
) -> Calibration:
    """The calibration that fits margins of rows that the model has *not* seen.

    `weights` say how many observations each row stands for, as the inverse of its chance of having been
    investigated; `groups` what may not be in two folds when curves are compared; `kinds` which ones may be chosen.
    Platt's targets are used in place of 0 and 1, which keeps a small sample away from certainty.

    Source: Lin, Lin, Weng, "A note on Platt's probabilistic outputs for support vector machines" (2007); Kull,
    Silva Filho, Flach, "Beyond sigmoids: how to obtain well-calibrated probabilities from binary classifiers with
    beta calibration" (2017); Niculescu-Mizil, Caruana, "Predicting good probabilities with supervised learning"
    (2005), on how many rows an isotonic curve needs.
    """
    decided = Decided(margins, labels, weights)
    return fit_kind(choose_kind(decided, groups, kinds), decided.rows())


def fit_kind(kind: Kind, rows: _Rows) -> Calibration:
    """The calibration of one kind; a bend that would turn the order round is left out."""
    straight = _fit_sigmoid(rows)
    return straight if kind == "sigmoid" else _FITS[kind](straight, rows)


def choose_kind(decided: Decided, groups: np.ndarray | None = None, kinds: tuple[Kind, ...] = KINDS) -> Kind:
    """The kind that predicts unseen groups best, among those that there are enough rows for."""
    positives = decided.labels.sum()
    rarer = min(positives, len(decided.labels) - positives)
    tried: list[Kind] = [k for k in kinds if rarer >= _ENOUGH[k]] or ["sigmoid"]
    if len(tried) == 1:
        return tried[0]
    member = np.arange(len(decided.labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    losses = _unseen_losses(decided, member, tried)
    return min(tried, key=lambda kind: losses[kind])


def _unseen_losses(decided: Decided, member: np.ndarray, kinds: Sequence[Kind]) -> dict[Kind, float]:
    """Cross-entropy under each kind of the rows of every fold, fitted on the other folds of groups."""
    groups = int(member.max()) + 1
    number = np.random.default_rng(0).permutation(np.arange(groups) % _FOLDS)[member]
    losses = dict.fromkeys(kinds, 0.0)
    for fold in range(_FOLDS):
        seen, held = decided.rows(number != fold), decided.rows(number == fold)
        for kind in kinds if seen.rarer > 0 else ():
            losses[kind] += held.loss(fit_kind(kind, seen).log_odds(held.margins))
    return losses


def _fit_sigmoid(rows: _Rows) -> Calibration:
    positives = float(rows.positives.sum())
    negatives = float(rows.total.sum()) - positives
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    target = rows.positives * high + (rows.total - rows.positives) * low
    # Margins of any scale are brought to unit spread first, so that Newton's steps stay small.
    centre = float(np.average(rows.margins, weights=rows.total))
    spread = float(np.sqrt(np.average((rows.margins - centre) ** 2, weights=rows.total))) or 1.0
    design = np.column_stack([(rows.margins - centre) / spread, np.ones(len(rows.margins))])
    slope, intercept = _newton(design, target, rows.total).tolist()
    slope = max(slope / spread, _MIN_SLOPE)
    if slope == _MIN_SLOPE:
        intercept = float(np.log((positives + 1) / (negatives + 1)))
    return Calibration(slope, intercept - slope * centre, share=rows.share)


def _fit_beta(straight: Calibration, rows: _Rows) -> Calibration:
    design = _beta_design(straight.log_odds(rows.margins))
    curve = _newton(design, rows.positives, rows.total)
    return replace(straight, kind="beta", curve=curve) if curve[:2].min() > _MIN_SLOPE else straight


def _fit_isotonic(straight: Calibration, rows: _Rows) -> Calibration:
    """Steps joined at their centres, each drawn a little towards the sigmoid.

    Source: Oron, Flournoy, "Centered isotonic regression" (2017).
    """
    from scipy.optimize import isotonic_regression

    log_odds = straight.log_odds(rows.margins)
    steps = isotonic_regression(rows.positives / rows.total, weights=rows.total)
    starts = steps.blocks[:-1]
    total, found, expected, place = (
        np.add.reduceat(c, starts)
        for c in (rows.total, rows.positives, rows.total * sigmoid(log_odds), rows.total * log_odds)
    )
    share = (found + _PRIOR_ROWS * expected / total) / (total + _PRIOR_ROWS)
    share = np.maximum.accumulate(np.clip(share, 1e-9, 1 - 1e-9))
    return replace(straight, kind="isotonic", curve=np.vstack([place / total, np.log(share / (1 - share))]))


_FITS: Mapping[Kind, Callable[[Calibration, _Rows], Calibration]] = {"beta": _fit_beta, "isotonic": _fit_isotonic}


def _newton(design: np.ndarray, positives: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Coefficients of the least cross-entropy, by Newton's method with halved steps; the last one is a constant."""
    share, rows = positives.sum() / total.sum(), _Rows(design[:, 0], positives, total)
    found = np.zeros(design.shape[1])
    found[-1] = np.log(share / (1 - share))
    least = rows.loss(design @ found)
    for _ in range(_STEPS):
        p = sigmoid(design @ found)
        hessian = design.T @ (design * (total * p * (1 - p))[:, None]) + 1e-9 * np.eye(len(found))
        step = np.linalg.solve(hessian, design.T @ (total * p - positives))
        while (new := rows.loss(design @ (found - step))) > least and np.abs(step).max() > 1e-12:
            step = step / 2
        found, least = found - step, new
        if np.abs(step).max() < 1e-10:
            break
    return found


# --- the population ---------------------------------------------------------------------------------------


def correct_prior(decided: Decided) -> Decided:
    """The decided rows as they would be among everybody: rows that were looked at are riskier than the rest.

    It rests on one assumption: that those at fault whom reviews found look like the others at fault, and those
    cleared like the others without fault. Then the margins of everybody are a mixture of two known shapes, and say
    how large each part is. Those at fault who look like nobody who was found are not counted. The share is never
    less than what is known to be at fault.

    Rows of each class are weighed before a curve is fitted, not moved afterwards: among suspects, where nearly all
    are at fault, a curve can be a hair wrong that is a wide gap among everybody.

    Source: Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities"
    (2002); Alexandari, Kundaje, Shrikumar, "Maximum likelihood with bias-corrected calibration is hard-to-beat at
    label shift adaptation" (2020).
    """
    if decided.everybody is None:
        return decided
    margins, counts = decided.everybody
    # The two shapes are read off steps, whatever the kind: most of everybody has a low margin, and a sigmoid that
    # is a little wrong there is wrong about all of them.
    shapes = fit_kind("isotonic", decided.rows())
    share = max(population_share(shapes.log_odds(margins), shapes.share, counts), decided.known)
    return decided.reweighted(np.where(decided.labels == 1, share / shapes.share, (1 - share) / (1 - shapes.share)))


def recalibrated(calibration: Calibration, decided: Decided, weights: np.ndarray) -> Calibration:
    """A calibration of the same kind under other weights of the decided rows."""
    return fit_kind(calibration.kind, correct_prior(decided.reweighted(weights)).rows())


def population_share(log_odds: np.ndarray, share: float, counts: np.ndarray | None = None) -> float:
    """The share of positives under which these rows are most likely, given a calibration made at another share.

    The likelihood has one maximum, found by halving.
    """
    odds = np.clip(log_odds, -_LOGIT_MOST, _LOGIT_MOST) - _logit(share)
    ratio, counts = np.exp(odds), np.ones(len(odds)) if counts is None else counts
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        rising = np.sum(counts * (ratio - 1) / (middle * ratio + 1 - middle)) > 0
        low, high = (middle, high) if rising else (low, middle)
    # Nobody or everybody at fault is never known for sure.
    least = 0.5 / (counts.sum() + 1)
    return float(np.clip((low + high) / 2, least, 1 - least))


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


# --- standing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Standing:
    """Frozen quantiles of the probabilities of everybody who was scored at fitting."""

    quantiles: np.ndarray

    def percentile(self, probabilities: np.ndarray) -> np.ndarray:
        """Share (0 to 100) of the others below each probability, ties counted half."""
        low = np.searchsorted(self.quantiles, probabilities, side="left")
        high = np.searchsorted(self.quantiles, probabilities, side="right")
        return np.asarray(100.0 * (low + high) / 2 / len(self.quantiles))


def rank_standing(probabilities: np.ndarray, weights: np.ndarray | None = None) -> Standing:
    """The standing among these probabilities; `weights` say how many rows each stands for."""
    places = np.linspace(0, 1, _POINTS)
    if weights is None or np.ptp(weights) == 0:
        return Standing(np.quantile(probabilities, places))
    return Standing(np.quantile(probabilities, places, weights=weights, method="inverted_cdf"))
