"""Folds that keep a group together, and a hold-out that lies later in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Fold", "Holdout", "grouped_folds", "repeated_folds", "time_holdout"]

# Fewer positives than these on a side of the cut, and the figure would be noise.
MIN_TRAIN_POSITIVES = 20
MIN_TEST_POSITIVES = 10


@dataclass(frozen=True, eq=False)
class Fold:
    """One split of the labelled rows: positions of the rows to fit on and of those to test on."""

    repeat: int
    number: int
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, eq=False)
class Holdout:
    """A split in time: what was decided before `cut`, and what happened from then on."""

    cut: np.datetime64
    train: np.ndarray
    test: np.ndarray


def grouped_folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold number of each row; a group is in one fold, and positives are spread evenly.

    Groups are taken in a random order, those with most positives first, and each goes where positives (then
    rows) are fewest.
    """
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    positives = np.bincount(member, weights=labels).astype(int)
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    order = shuffled[np.lexsort((-sizes[shuffled], -positives[shuffled]))]
    held = np.zeros((folds, 2))
    number = np.empty(len(sizes), dtype=int)
    for group in order:
        # Groups without a positive only even out the number of rows.
        first = held[:, 0] if positives[group] else held[:, 1]
        chosen = int(np.lexsort((held[:, 1], first))[0])
        held[chosen] += positives[group], sizes[group]
        number[group] = chosen
    return np.asarray(number[member])


def repeated_folds(labels: np.ndarray, groups: np.ndarray, folds: int, repeats: int, seed: int) -> tuple[Fold, ...]:
    """`folds` × `repeats` splits; every repeat shuffles with a seed of its own."""
    return tuple(
        Fold(repeat, k, np.flatnonzero(number != k), np.flatnonzero(number == k))
        for repeat in range(repeats)
        for number in (grouped_folds(labels, groups, folds, seed + repeat),)
        for k in range(folds)
    )


def time_holdout(labels: np.ndarray, happened_at: np.ndarray, decided_at: np.ndarray, share: float) -> Holdout | str:
    """The latest cut by month that leaves about `share` of the positives after it, or why there is none.

    Rows are fitted on when they were *decided* before the cut, and tested on when they *happened* on or
    after it (a claim: settled; an entity: its snapshot), so the delay of labels is respected. Rows that
    happened before the cut and were decided after it are in neither part.
    """
    months = np.unique(happened_at.astype("datetime64[M]"))
    usable = []
    for month in months[1:]:
        train = decided_at < month
        test = (happened_at >= month) & ~train
        enough = labels[train].sum() >= MIN_TRAIN_POSITIVES and labels[test].sum() >= MIN_TEST_POSITIVES
        if enough and (labels[train] == 0).any() and (labels[test] == 0).any():
            usable.append((abs(labels[test].sum() / labels.sum() - share), month, train, test))
    if not usable:
        return (
            f"no month leaves {MIN_TRAIN_POSITIVES} positives decided before it and {MIN_TEST_POSITIVES} that "
            "happened after it"
        )
    _, cut, train, test = min(usable, key=lambda found: (found[0], found[1]))
    return Holdout(cut, np.flatnonzero(train), np.flatnonzero(test))
