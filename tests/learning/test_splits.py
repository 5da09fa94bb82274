"""Splits: groups stay together, and nothing is tested on its own past."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.learning.datasets.dataset import Dataset
from fraud.learning.datasets.splits import Holdout, grouped_folds, repeated_folds, time_holdout


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_a_group_is_in_one_fold_and_every_fold_has_positives(seed: int, folds: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 40, size=200).astype(str)
    labels = (random.random(200) < 0.2).astype(float)
    number = grouped_folds(labels, groups, folds, seed)
    assert all(len(set(number[groups == g])) == 1 for g in set(groups))
    positive = [labels[number == k].sum() for k in range(folds)]
    assert min(positive) > 0
    assert max(positive) - min(positive) <= max(labels[groups == g].sum() for g in set(groups))


def test_no_provider_is_in_two_folds_of_the_claims(claims: Dataset) -> None:
    rows = claims.labelled
    groups = claims.groups[rows]
    for fold in repeated_folds(claims.labels[rows], groups, 5, 3, seed=1):
        assert not set(groups[fold.train]) & set(groups[fold.test])
        assert len(fold.train) + len(fold.test) == len(rows)


def test_repeats_shuffle_differently_and_the_seed_decides() -> None:
    labels, groups = np.tile([0.0, 0.0, 1.0], 40), np.arange(120)
    first, second = grouped_folds(labels, groups, 5, 1), grouped_folds(labels, groups, 5, 2)
    assert (first != second).any()
    assert (first == grouped_folds(labels, groups, 5, 1)).all()


def _dated(months: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    happened = np.repeat(np.datetime64("2024-01-05T00:00:00", "us") + np.arange(months) * np.timedelta64(31, "D"), 40)
    decided = happened + np.timedelta64(45, "D")
    labels = np.tile([1.0, 0.0, 0.0, 0.0], 10 * months)
    return labels, happened, decided


def test_the_hold_out_fits_on_what_was_decided_before_the_cut_and_tests_on_what_happened_after() -> None:
    labels, happened, decided = _dated(12)
    found = time_holdout(labels, happened, decided, 0.3)
    assert isinstance(found, Holdout)
    assert (decided[found.train] < found.cut).all()
    assert (happened[found.test] >= found.cut).all()
    assert not set(found.train) & set(found.test)
    assert labels[found.test].sum() / labels.sum() == pytest.approx(0.3, abs=0.1)
    assert len(found.train) + len(found.test) < len(labels), "what was still being decided is in neither part"


def test_outcomes_of_one_day_leave_no_hold_out() -> None:
    labels, happened, _ = _dated(1)
    found = time_holdout(labels, happened, happened, 0.3)
    assert isinstance(found, str)
    assert "decided before" in found
