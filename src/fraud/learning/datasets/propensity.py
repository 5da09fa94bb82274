"""Who was looked at, and what that says about those who were not.

Investigators look where they expect something, at dear and obvious cases first. Rows that nobody looked at are
neither negative nor lost: among them hide positives that look like those that were found.

Three treatments for the fit:

- `ignore`: rows with a label only. The model knows what tells the guilty from the innocent *among the suspected*.
- `negative`: rows that nobody looked at count as negatives. Each hidden positive teaches the opposite of the truth.
- `weighted`: they count as negatives by the probability that they are, 1 − w. With g the probability of being a
  *confirmed* positive, which can be learned from all rows, and c the share of the guilty that is found,
  w = (1 − c)/c · g/(1 − g). Source: Elkan and Noto, "Learning classifiers from only positive and unlabeled data",
  KDD 2008, section 3; c is not one number for all rows in truth (Bekker, Robberechts, Davis, "Beyond the selected
  completely at random assumption", ECML PKDD 2019), so w is a weight and no verdict. Their copies of unlabelled
  rows as positives, weighted w, are left out: measured on simulated payers they rank worse (docs/decisions/0018).

g is always that of a model that has not seen the row's group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fraud.learning.datasets.labels import MIN_OF_A_CLASS
from fraud.learning.datasets.splits import grouped_folds
from fraud.learning.spec import TREATMENTS, Parameters

if TYPE_CHECKING:
    from fraud.learning.datasets.dataset import Dataset

__all__ = ["FitRows", "Treated", "compare_treatments", "fit_rows", "hidden_share", "investigation_chance"]

# Small trees, since all that is asked for is a rough probability, and quick ones: each fold makes its own.
_LIGHT = Parameters(
    rounds=60,
    bags=1,
    learning_rate=0.12,
    num_leaves=15,
    max_depth=6,
    min_data_in_leaf=10,
    feature_fraction=0.4,
    bagging_fraction=0.8,
    lambda_l2=1.0,
)
_FOLDS = 3
# A decided row stands for at most this many others, lest a few rows decide every corrected figure.
MOST_STOOD_FOR = 50.0
# Below this the share found is noise: nearly every unlabelled row would count as guilty.
_LEAST_FOUND = 0.02


@dataclass(frozen=True, eq=False)
class FitRows:
    """Positions, labels (1 or 0) and weights of the rows that a model is fitted on."""

    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def fit_rows(dataset: Dataset, treatment: str) -> FitRows:
    """What to fit on under a treatment: the labelled rows with weight 1, and what it makes of the others.

    Where the others count, labelled rows that are too young to have been looked at are left out with them: of the
    young only the found would be left, and the model would learn that what is new is guilty.
    """
    rows, plain = dataset.labelled, dataset.plain
    if treatment == "ignore" or not len(plain):
        return FitRows(rows, dataset.labels[rows], np.ones(len(rows)))
    rows = _mature(dataset, rows)
    labels = dataset.labels[rows]
    weights = dataset.weights[plain]
    if treatment == "weighted":
        weights = weights * (1.0 - hidden_share(dataset))
    both = np.concatenate([rows, plain])
    order = np.argsort(both, kind="stable")
    return FitRows(
        both[order],
        np.concatenate([labels, np.zeros(len(plain))])[order],
        np.concatenate([np.ones(len(rows)), weights])[order],
    )


def _mature(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """The rows that are old enough to have been looked at; all of them where too few of a class would be left."""
    kept = rows[dataset.mature[rows]]
    positives = int(dataset.labels[kept].sum())
    return kept if min(positives, len(kept) - positives) >= MIN_OF_A_CLASS else rows


def hidden_share(dataset: Dataset) -> np.ndarray:
    """The probability that each row that nobody looked at (`dataset.plain`) is a positive nobody found.

    The share found is read off where it can be seen: among the rows that look most like confirmed ones, as many as
    half of the positives. Innocents among them make it too low, and the obvious ones are found more often than others,
    which makes it too high: the two work against each other, and neither changes the order of the rows.
    """
    positives = np.flatnonzero(dataset.labels == 1)
    plain = dataset.plain
    if len(positives) < _FOLDS:
        return np.zeros(len(plain))
    naive = fit_rows(dataset, "negative")
    confirmed = _out_of_group(dataset, naive.rows, naive.labels, naive.weights)
    found = _share_found(confirmed[naive.rows], naive, len(positives))
    odds = confirmed[plain] / np.maximum(1.0 - confirmed[plain], 1e-9)
    return np.asarray(np.clip((1.0 - found) / found * odds, 0.0, 1.0))


def _share_found(confirmed: np.ndarray, naive: FitRows, positives: int) -> float:
    """Share of confirmed positives among the rows that look most like them."""
    order = np.argsort(-confirmed, kind="stable")[: max(positives // 2, _FOLDS)]
    found = float(naive.labels[order].sum() / naive.weights[order].sum())
    return min(max(found, _LEAST_FOUND), 1.0)


def investigation_chance(dataset: Dataset) -> np.ndarray:
    """The probability of each row to be investigated, by a model that has not seen its group.

    At least 1/50: a decided row stands for at most so many others. It knows no more than the features: where
    investigators saw something else, a figure that is corrected by it is still too good.
    """
    rows = np.sort(np.concatenate([np.flatnonzero(dataset.investigated), dataset.plain]))
    seen = dataset.investigated[rows].astype(np.float64)
    if not len(rows) or seen.min() == seen.max():
        return np.ones(len(dataset))
    chance = _out_of_group(dataset, rows, seen, dataset.weights[rows])
    return np.asarray(np.clip(chance, 1.0 / MOST_STOOD_FOR, 1.0))


def _out_of_group(dataset: Dataset, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Probabilities of all rows, each from a fit on `rows` of other groups."""
    from fraud.learning.fitting import fit_ensemble

    number = grouped_folds((dataset.labels == 1).astype(np.float64), dataset.groups, _FOLDS, dataset.seed)
    signs = tuple(f.sign for f in dataset.features)
    found = np.empty(len(dataset))
    for k in range(_FOLDS):
        kept = number[rows] != k
        mine = {"rows": rows[kept], "weights": weights[kept]}
        fitted = fit_ensemble(dataset.values, labels[kept], dataset.names, signs, _LIGHT, dataset.seed, **mine)
        inside = number == k
        found[inside] = 1.0 / (1.0 + np.exp(-fitted.margins(dataset.values[inside])))
    return found


# --- comparing treatments --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Treated:
    """How one treatment ranks decided rows of groups that were not fitted on.

    `corrected` is the average precision with each decided row weighted by one over its chance of having been looked
    at; `fitted_on` the mean number of rows of a fit.
    """

    treatment: str
    average_precision: float
    corrected: float
    precision_at_k: float
    fitted_on: int

    def as_dict(self) -> Mapping[str, str | float]:
        """The row as plain types."""
        return {**self.__dict__}


def compare_treatments(
    dataset: Dataset, parameters: Parameters, *, k: int, folds: int = _FOLDS, treatments: Sequence[str] = TREATMENTS
) -> tuple[Treated, ...]:
    """The treatments side by side, fitted and judged on the same folds by group.

    Hidden positives cannot be judged by: what a treatment is worth for them shows in a simulated payer, whose truth
    is known, or in a random sample of reviews.
    """
    from fraud.learning.fitting import fit_ensemble

    number = grouped_folds((dataset.labels == 1).astype(np.float64), dataset.groups, folds, dataset.seed)
    chance = investigation_chance(dataset)
    signs = tuple(f.sign for f in dataset.features)
    margins = {t: np.full(len(dataset), np.nan) for t in treatments}
    sizes = dict.fromkeys(treatments, 0)
    for fold in range(folds):
        train = dataset.take(np.flatnonzero(number != fold))
        inside = np.flatnonzero((number == fold) & np.isfinite(dataset.labels))
        for t in treatments:
            chosen = fit_rows(train, t)
            values = train.values[chosen.rows]
            fitted = fit_ensemble(
                values, chosen.labels, dataset.names, signs, parameters, dataset.seed, weights=chosen.weights, bags=1
            )
            margins[t][inside] = fitted.margins(dataset.values[inside])
            sizes[t] += len(chosen.rows)
    return tuple(_judged(dataset, t, margins[t], chance, k, sizes[t] // folds) for t in treatments)


def _judged(
    dataset: Dataset, treatment: str, margins: np.ndarray, chance: np.ndarray, k: int, fitted_on: int
) -> Treated:
    from sklearn.metrics import average_precision_score

    rows = dataset.labelled
    labels, scores = dataset.labels[rows], margins[rows]
    listed = np.argsort(-scores, kind="stable")[: max(1, min(k, len(rows) // 5))]
    return Treated(
        treatment,
        float(average_precision_score(labels, scores)),
        float(average_precision_score(labels, scores, sample_weight=1.0 / chance[rows])),
        float(labels[listed].mean()),
        fitted_on,
    )
