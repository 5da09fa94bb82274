"""Calibrating a model for everybody whom it will score: from margins of rows that it has not seen.

Cross-validation keeps a provider's claims together, so that a figure says what the model is worth on providers that
it has never met. Most claims of next month come from providers that it has met, and a calibration made on strangers
would make it far too unsure. So claims are left out by stretches of time instead, and everybody is scored under the
same conditions, whether somebody looked or not: only then can the two be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fraud.learning.calibration.calibration import Calibration, Decided, choose_kind, correct_prior, fit_kind
from fraud.learning.calibration.intervals import Intervals, fit_intervals
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.datasets.labels import MIN_OF_A_CLASS
from fraud.learning.spec import ModelSpec
from fraud.learning.validation.baselines import margins_of
from fraud.learning.validation.evaluation import part_of

__all__ = ["Calibrated", "calibrate", "unseen_margins", "weights_by_amount"]

Progress = Callable[[str, float], None]
_FOLDS = 5
# Stretches of time that claims are left out by; each fold has several, from all over the period.
_STRETCHES = 20
_AMOUNT_BANDS = 10
# No row stands for more than this many times what another does: a rare band would decide alone.
_MOST_WEIGHT = 5.0
# Margins of the redraws are brought together more coarsely: it changes the third digit, and saves most of the time.
_POINTS_OF_A_DRAW = 500


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A calibration with its intervals, and the margins of every row of the dataset that it was made from."""

    calibration: Calibration
    intervals: Intervals
    margins: np.ndarray


def calibrate(dataset: Dataset, spec: ModelSpec, *, threads: int = 2, progress: Progress | None = None) -> Calibrated:
    """The calibration of a model that is to be fitted on the whole dataset.

    Rows are weighted by how likely one of their amount is to be looked at, the kind of curve is chosen on unseen
    groups, and the share at fault is corrected for everybody.
    """
    blocks = _blocks(dataset)
    margins = unseen_margins(dataset, spec, blocks, threads=threads, progress=progress)
    scored = _comparable(dataset)
    rows = dataset.labelled[scored[dataset.labelled]]
    own = margins[rows], dataset.labels[rows], weights_by_amount(dataset)[scored[dataset.labelled]]
    everybody = margins[scored], dataset.weights[scored]
    decided = correct_prior(Decided(*own, everybody))
    calibration = fit_kind(choose_kind(decided, blocks[rows]), decided.rows())
    drawn = Decided(*own, everybody, most=_POINTS_OF_A_DRAW)
    intervals = fit_intervals(calibration, drawn, dataset.groups[rows], seed=spec.seed)
    return Calibrated(calibration, intervals, margins)


def _comparable(dataset: Dataset) -> np.ndarray:
    """Which rows are like those to come: where a row that nobody looked at is fitted on, those with time for a look.

    Of the last months such a fit knows the rows that were looked at, and takes the months themselves for a sign.
    """
    mature = dataset.mature
    labels = dataset.labels[mature]
    enough = min((labels == 1).sum(), (labels == 0).sum()) >= MIN_OF_A_CLASS
    return mature if dataset.unlabelled != "ignore" and enough else np.ones(len(dataset), dtype=bool)


def _blocks(dataset: Dataset) -> np.ndarray:
    """What is left out together: for claims a stretch of time, for the others the entity."""
    if dataset.entity != "claim":
        return np.unique(dataset.groups, return_inverse=True)[1]
    when = dataset.happened_at.astype("datetime64[us]").astype(np.int64)
    ends = np.quantile(when, np.linspace(0, 1, _STRETCHES + 1)[1:-1])
    return np.searchsorted(ends, when)


def unseen_margins(
    dataset: Dataset, spec: ModelSpec, blocks: np.ndarray, *, threads: int = 2, progress: Progress | None = None
) -> np.ndarray:
    """Margins of all rows, labelled or not, each from a fit that has not seen its block."""
    say = progress or (lambda _name, _done: None)
    count = int(blocks.max()) + 1
    fold = np.random.default_rng(spec.seed).permutation(np.arange(count) % _FOLDS)[blocks]
    margins = np.zeros(len(dataset))
    useful = np.zeros(len(dataset), dtype=bool)
    useful[dataset.fit_rows] = True

    def score(number: int) -> None:
        rows, held = np.flatnonzero(useful & (fold != number)), np.flatnonzero(fold == number)
        if len(held):
            # The baseline of peers has no part in this.
            ours, theirs = np.zeros(len(rows)), np.zeros(len(held))
            seed = spec.seed + 7919 * (number + 1)
            part = part_of(dataset.take(rows), ours, dataset.values[held], theirs, spec, seed)
            margins[held] = margins_of(part)
        say("calibration", (number + 1) / _FOLDS)

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        list(pool.map(score, range(_FOLDS)))
    return margins


def weights_by_amount(dataset: Dataset) -> np.ndarray:
    """How many rows each labelled row stands for, so that dear ones do not count more because they are looked at.

    How much likelier a dear row is to be looked at is read off those that were cleared: nearly everybody is without
    fault, so that they can be compared with everybody. Within each class the weights add up to its rows.
    """
    rows = dataset.labelled
    labels = dataset.labels[rows]
    ends = np.quantile(dataset.amounts, np.linspace(0, 1, _AMOUNT_BANDS + 1)[1:-1])
    band = np.searchsorted(ends, dataset.amounts)
    everybody = np.bincount(band, weights=dataset.weights, minlength=_AMOUNT_BANDS)
    cleared = np.bincount(band[rows], weights=labels == 0, minlength=_AMOUNT_BANDS)
    # One case more in each band, as dear as the rest: an empty band has no weight without end.
    chance = (cleared + everybody / everybody.mean()) / np.maximum(everybody, 1.0)
    weights = np.clip(chance.mean() / chance, 1 / _MOST_WEIGHT, _MOST_WEIGHT)[band[rows]]
    sums = {y: weights[labels == y].sum() / max((labels == y).sum(), 1) for y in (0.0, 1.0)}
    return np.asarray(weights / np.where(labels == 1, sums[1.0], sums[0.0]))
