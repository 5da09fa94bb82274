"""How well figures tell two groups of claims apart, compared only within strata of like claims.

A ROC-AUC here is the chance that a claim of the one group ranks above a *comparable* claim of the other:
same stratum, and scored by the same model. It is averaged over the claims of the first group.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FOLDS", "Apart", "Array", "confidence", "grouped_scores", "one_of_each", "told_apart", "without_gaps"]

Array = NDArray[Any]
DRAWS = 400
FOLDS = 5


@dataclass(frozen=True)
class Apart:
    """A ROC-AUC with its interval, for each of several figures or scores."""

    auc: Array
    low: Array
    high: Array
    compared: int


def confidence(checks: int, level: float = 0.99) -> float:
    """Half-width of an interval in standard errors, so that `checks` intervals hold together at the level."""
    return NormalDist().inv_cdf(1 - (1 - level) / (2 * max(checks, 1)))


def told_apart(values: Array, odd: Array, strata: Array, clusters: Array | None, width: float, seed: int = 0) -> Apart:
    """How well each column of `values` tells the `odd` rows from the others of their stratum.

    `clusters` are actors: their claims are drawn together when the interval is found by bootstrap, and it is
    never narrower than it would be for independent claims. Without clusters, rows count as independent.
    """
    values = values.reshape(len(odd), -1)
    placed, used = np.full(values.shape, np.nan), np.zeros(len(odd), bool)
    spread: list[tuple[int, Array]] = []
    for rows in _strata(strata):
        mine, others = rows[odd[rows]], rows[~odd[rows]]
        if len(mine) and len(others):
            up, down, variance = _placements(values[mine], values[others])
            placed[mine], placed[others] = up, down * len(mine) / len(others)
            used[rows] = True
            spread.append((len(mine), variance))
    m = int((used & odd).sum())
    if not m:
        none = np.full(values.shape[1], np.nan)
        return Apart(none, none, none, 0)
    auc = placed[used & odd].mean(axis=0)
    error = np.sqrt(sum((n / m) ** 2 * variance for n, variance in spread))
    if clusters is not None:
        error = np.maximum(error, _by_actor(placed, odd & used, strata, clusters, used, seed))
    return Apart(auc, (auc - width * error).clip(0, 1), (auc + width * error).clip(0, 1), m)


def without_gaps(values: Array, strata: Array, seed: int) -> Array:
    """The values with each empty cell drawn from the known ones of its stratum: gaps tell nothing any more.

    A column without any known value in a stratum is 0 there.
    """
    rng, filled = np.random.default_rng(seed), values.copy()
    empty = np.isnan(values)
    for rows in _strata(strata):
        for column in np.flatnonzero(empty[rows].any(axis=0)):
            gaps, known = rows[empty[rows, column]], rows[~empty[rows, column]]
            filled[gaps, column] = values[rng.choice(known, len(gaps)), column] if len(known) else 0.0
    return np.asarray(filled)


def _strata(strata: Array) -> list[Array]:
    order = np.argsort(strata, kind="stable")
    cuts = np.flatnonzero(strata[order][1:] != strata[order][:-1]) + 1
    return np.split(order, cuts)


def _placements(mine: Array, others: Array) -> tuple[Array, Array, Array]:
    """For each row, the share of the other side that it beats; and the variance of the AUC under chance."""
    from scipy.stats import rankdata

    m, n = len(mine), len(others)
    both = rankdata(np.concatenate([mine, others]), axis=0)
    up = (both[:m] - rankdata(mine, axis=0)) / n
    down = 1 - (both[m:] - rankdata(others, axis=0)) / m
    # Ranks vary less where values are tied: their variance as found counts.
    variance = both.var(axis=0) / ((m + n - 1) * m * n)
    return up, down, variance


def _by_actor(placed: Array, odd: Array, strata: Array, clusters: Array, used: Array, seed: int) -> Array:
    """Standard error of the AUC when whole actors are drawn again, on both sides."""
    centred = placed - placed[odd].mean(axis=0)
    for rows in _strata(strata):
        others = rows[used[rows] & ~odd[rows]]
        if len(others):
            centred[others] = placed[others] - placed[others].mean(axis=0)
    rng = np.random.default_rng(seed)
    drawn = np.zeros((DRAWS, placed.shape[1]))
    for side in (odd, used & ~odd):
        _, owner = np.unique(clusters[side], return_inverse=True)
        sums = np.zeros((owner.max() + 1, placed.shape[1]))
        np.add.at(sums, owner, centred[side] / odd.sum())
        n = len(sums)
        times = rng.multinomial(n, np.full(n, 1 / n), DRAWS) - 1
        drawn += times @ sums * np.sqrt(n / max(n - 1, 1))
    return np.asarray(drawn.std(axis=0))


def one_of_each(owners: Array, odd: Array, strata: Array, seed: int) -> Array:
    """Mask with one odd row for each owner, and one other row for each owner in a stratum."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(owners))
    side = np.where(odd, "", strata.astype(str))
    keys = np.char.add(np.char.add(owners.astype(str), "|"), side)
    keys = np.char.add(keys, np.where(odd, "!", ""))
    _, first = np.unique(keys[order], return_index=True)
    mask = np.zeros(len(owners), bool)
    mask[order[first]] = True
    return mask


def grouped_scores(values: Array, odd: Array, folds: Array, seed: int) -> Array:
    """A model's score for each row, fitted without the rows of its fold; NaN where nothing could be fitted."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    scores = np.full(len(odd), np.nan)
    with threadpool_limits(1):  # small trees: threads would only wait for each other
        for fold in np.unique(folds):
            test = folds == fold
            if 0 < odd[~test].sum() < (~test).sum():
                model = HistGradientBoostingClassifier(
                    max_iter=30, max_leaf_nodes=12, min_samples_leaf=8, max_bins=64, random_state=seed
                )
                model.fit(values[~test], odd[~test])
                scores[test] = model.decision_function(values[test])
    return scores
