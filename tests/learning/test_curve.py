"""Would more labels help? Curves that rise and curves that do not."""

from __future__ import annotations

import numpy as np
import pytest

from fraud.learning.validation.bootstrap import Interval
from fraud.learning.validation.curve import SHARES, LearningCurve, Point, fit_curve, nested_rows


def _curve(values: list[float], doubling: Interval) -> LearningCurve:
    points = [Point(s, 1000 * s, Interval(v, v, v), v) for s, v in zip(SHARES, values, strict=True)]
    return fit_curve(points, doubling)


def test_the_fitted_curve_is_the_one_that_made_the_points() -> None:
    values = [0.8 - 2.0 * (1000 * s) ** -0.5 for s in SHARES]
    found = _curve(values, Interval(0.02, 0.01, 0.03))
    assert (found.ceiling, found.loss, found.power) == pytest.approx((0.8, 2.0, 0.5), abs=1e-6)
    assert found.next_doubling == pytest.approx(2.0 * (1000**-0.5 - 2000**-0.5))


def test_a_curve_that_still_rises_asks_for_more_labels() -> None:
    rising = [0.9 - 3.0 * (1000 * s) ** -0.35 for s in SHARES]
    assert _curve(rising, Interval(0.06, 0.03, 0.09)).verdict == "helps"


def test_a_flat_curve_does_not() -> None:
    flat = _curve([0.70, 0.701, 0.699, 0.70, 0.701, 0.70], Interval(0.0, -0.008, 0.009))
    assert flat.verdict == "flat"
    assert abs(flat.next_doubling) < 0.005


def test_wide_bounds_are_called_unsure_and_not_flat() -> None:
    noisy = _curve([0.3, 0.4, 0.35, 0.42, 0.4, 0.43], Interval(0.01, -0.06, 0.08))
    assert noisy.verdict == "unsure"


def test_a_curve_that_falls_is_taken_as_flat_and_promises_nothing() -> None:
    found = _curve([0.8, 0.78, 0.77, 0.76, 0.75, 0.74], Interval(-0.02, -0.05, 0.01))
    assert found.next_doubling == 0


def test_a_larger_share_of_labels_holds_the_smaller_and_groups_stay_whole() -> None:
    random = np.random.default_rng(2)
    groups = np.array([f"H{i}" for i in random.integers(0, 80, 600)], dtype=object)
    labels = (random.random(600) < 0.2).astype(float)
    parts = [nested_rows(labels, groups, s, seed=3) for s in SHARES]
    for smaller, larger in zip(parts[:-1], parts[1:], strict=True):
        assert set(smaller) <= set(larger)
    assert len(parts[-1]) == 600
    for share, rows in zip(SHARES, parts, strict=True):
        assert set(groups[rows]).isdisjoint(np.delete(groups, rows)), "no group is cut in two"
        assert len(rows) == pytest.approx(600 * share, abs=25)
        assert labels[rows].mean() == pytest.approx(0.2, abs=0.08)
