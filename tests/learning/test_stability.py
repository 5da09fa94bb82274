"""How much a list changes, and why; counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from fraud.learning.validation.stability import Ranking, compare, spearman


def test_who_left_a_list_and_who_came_is_told_apart() -> None:
    before = Ranking("2024-01", {"a": 9, "b": 8, "c": 7, "d": 6, "e": 1, "f": 0})
    # a was decided, b has no claims any more, c stays, d falls; e rises, g is new.
    after = Ranking("2024-02", {"a": 9, "c": 7, "d": 0.5, "e": 6, "f": 5, "g": 8}, known=frozenset({"a"}))
    move = compare(before, after, k=4)
    assert (move.stayed, move.decided, move.gone, move.fell) == (1, 1, 1, 1)
    assert (move.came, move.rose) == (1, 2)
    assert move.stayed + move.decided + move.gone + move.fell == move.k == 4
    assert move.overlap == 0.5, "of c and d, which could have stayed, one did"
    assert move.ranked == 5


def test_who_is_known_already_is_on_no_list() -> None:
    assert Ranking("2024-01", {"a": 3, "b": 2, "c": 1}, frozenset({"a"})).top(2) == ("b", "c")


def test_equal_scores_are_listed_by_id_so_that_a_list_can_be_made_again() -> None:
    assert Ranking("2024-01", {"c": 1, "a": 1, "b": 1}).top(2) == ("a", "b")


def test_an_unchanged_ranking_is_perfectly_stable() -> None:
    scores = {f"H{i}": float(i) for i in range(20)}
    move = compare(Ranking("2024-01", scores), Ranking("2024-02", scores), k=5)
    assert (move.spearman, move.overlap) == (1.0, 1.0)


def test_rank_correlation_is_that_of_scipy_ties_included() -> None:
    random = np.random.default_rng(1)
    first, second = random.integers(0, 8, 60), random.integers(0, 8, 60)
    assert spearman(first.tolist(), second.tolist()) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
    assert np.isnan(spearman([1], [1]))
