"""Bounds of probabilities: they hold the true share as often as they say, and cost nothing at scoring."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.learning.calibration.calibration import (
    Calibration,
    Decided,
    correct_prior,
    fit_calibration,
    fit_kind,
    sigmoid,
)
from fraud.learning.calibration.intervals import Intervals, fit_intervals


def drawn(seed: int, groups: int, each: int, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Margins, labels and groups; the rows of a group share a part of their margin and of their luck."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    margins = random.normal(0, 1, len(group)) + random.normal(0, 1, groups)[group]
    luck = random.normal(0, spread, groups)[group]
    return margins, (random.random(len(group)) < sigmoid(1.2 * margins - 1.5 + luck)).astype(float), group


AT = np.array([-1.5, 0.0, 1.0, 2.0])


def covered(seeds: range, groups: int, each: int, spread: float, truth: np.ndarray, apart: bool = False) -> float:
    """How often the bounds hold the true share; with `apart`, rows are taken for independent."""
    held = []
    for seed in seeds:
        margins, labels, group = drawn(seed, groups, each, spread)
        decided = Decided(margins, labels, most=200)
        calibration = fit_calibration(margins, labels, kinds=("sigmoid",))
        own = np.arange(len(group)) if apart else group
        low, high = fit_intervals(calibration, decided, own, draws=60).bounds(calibration, AT)
        held.append((low <= truth) & (truth <= high))
    return float(np.mean(held))


def test_the_bounds_hold_the_true_share_as_often_as_they_say() -> None:
    assert 0.88 <= covered(range(25), 400, 1, 0.0, sigmoid(1.2 * AT - 1.5)) <= 1


def test_rows_of_one_provider_are_no_independent_evidence() -> None:
    # The share at a margin is that over everybody's luck.
    luck = np.random.default_rng(0).normal(0, 1.0, 200_000)
    truth = np.array([sigmoid(1.2 * m - 1.5 + luck).mean() for m in AT])
    together = covered(range(12), 50, 20, 1.0, truth)
    apart = covered(range(12), 50, 20, 1.0, truth, apart=True)
    assert together >= 0.85
    assert apart < together - 0.1


def test_more_groups_make_narrower_bounds() -> None:
    widths = []
    for groups in (50, 200, 800):
        margins, labels, group = drawn(1, groups, 5, 0.5)
        calibration = fit_calibration(margins, labels, kinds=("sigmoid",))
        low, high = fit_intervals(calibration, Decided(margins, labels), group, draws=60).bounds(calibration, AT)
        widths.append(float((high - low).mean()))
    assert widths[0] > widths[1] > widths[2]


def test_the_bounds_hold_for_everybody_though_only_suspects_were_looked_at() -> None:
    held = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        truth = random.random(12_000) < 0.06
        margins = random.normal(0, 1, 12_000) + np.where(truth, 2.0, 0.0)
        seen = random.random(12_000) < np.where(truth, 0.4, 0.05)
        own, everybody = (margins[seen], truth[seen].astype(float)), (margins, np.ones(12_000))
        decided = Decided(*own, None, everybody, most=300)
        calibration = fit_kind("sigmoid", correct_prior(decided).rows())
        intervals = fit_intervals(calibration, decided, np.arange(seen.sum()), draws=60)
        low, high = intervals.bounds(calibration, AT)
        true = sigmoid(2 * AT - 2 + np.log(0.06 / 0.94))  # of two normal laws
        held.append((low <= true) & (true <= high))
    assert np.mean(held) > 0.8


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000))
def test_a_probability_lies_within_its_bounds_and_they_survive_json(seed: int) -> None:
    margins, labels, group = drawn(seed, 40, 3, 0.5)
    labels[:2] = 0, 1
    calibration = fit_calibration(margins, labels)
    intervals = fit_intervals(calibration, Decided(margins, labels), group, draws=15, seed=seed)
    wide = np.linspace(-20, 20, 101)
    low, high = intervals.bounds(calibration, wide)
    assert (low <= calibration.probability(wide)).all()
    assert (calibration.probability(wide) <= high).all()
    assert (low > 0).all()
    assert (high <= 1).all()  # of log-odds beyond 37 a double cannot tell the difference
    read = Intervals.from_dict(json.loads(json.dumps(intervals.as_dict())))
    np.testing.assert_array_equal(read.bounds(calibration, wide), (low, high))
    again = fit_intervals(calibration, Decided(margins, labels), group, draws=15, seed=seed)
    assert again.as_dict() == intervals.as_dict()


def test_bounds_cost_less_than_ten_microseconds_a_row() -> None:
    calibration = Calibration(1.0, 0.0)
    knots = np.linspace(-5, 5, 65)
    intervals = Intervals(knots, np.full(65, -0.5), np.full(65, 0.5))
    margins = np.random.default_rng(3).normal(0, 2, 100_000)
    began = time.process_time()
    low, high = intervals.bounds(calibration, margins)
    assert (time.process_time() - began) / len(margins) < 10e-6
    assert low[0] == pytest.approx(sigmoid(margins[:1] - 0.5)[0])
    assert (low < high).all()
