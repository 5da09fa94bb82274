"""Figures of a test period: lists of all rows by week, judged by the decided ones."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from fraud.learning.validation import judging
from fraud.learning.validation.baselines import Scored
from fraud.learning.validation.bootstrap import Interval, interval_of, paired_difference
from fraud.learning.validation.judging import Judgement, Period, judge, pool, weekly_lists

MONDAY = datetime(2024, 1, 1)


def _period(
    days: list[int], labels: list[float], chance: list[float] | None = None, weeks: int = 2, groups: str = ""
) -> Period:
    n = len(days)
    return Period(
        start=MONDAY,
        until=MONDAY + timedelta(weeks=weeks),
        ids=np.array([f"C{i}" for i in range(n)], dtype=object),
        happened_at=np.array([np.datetime64(MONDAY + timedelta(days=d), "us") for d in days]),
        groups=np.array(list(groups) or [f"H{i}" for i in range(n)], dtype=object),
        labels=np.array(labels),
        amounts=np.full(n, 100.0),
        money=np.arange(n, dtype=float) * 10,
        known=np.ones(n, dtype=bool),
        segments={},
        chance=None if chance is None else np.array(chance),
    )


def _scored(scores: list[float]) -> Scored:
    return Scored(np.array(scores), np.array(scores))


# Ten claims in each of two weeks: the list of a week holds the two highest of the week.
_DAYS = [0] * 10 + [8] * 10
_SCORES = [0.9, 0.8, *[0.1] * 8, 0.5, 0.4, *[0.05] * 8]


def test_each_week_has_a_list_of_its_own() -> None:
    listed = weekly_lists(np.array(_SCORES), _period(_DAYS, [np.nan] * 20), per_week=2)
    assert np.flatnonzero(listed).tolist() == [0, 1, 10, 11], "one list for both weeks would hold 0, 1 and 10"


def test_a_list_holds_at_most_a_fifth_of_its_week() -> None:
    listed = weekly_lists(np.array(_SCORES), _period(_DAYS, [np.nan] * 20), per_week=500)
    assert listed.sum() == 4


def test_snapshots_of_one_day_share_the_weeks_of_the_period() -> None:
    listed = weekly_lists(np.arange(40.0), _period([0] * 40, [np.nan] * 40, weeks=3), per_week=2)
    assert np.flatnonzero(listed).tolist() == [34, 35, 36, 37, 38, 39]


def test_precision_and_money_are_of_the_decided_rows_on_the_lists() -> None:
    labels = [1.0, np.nan, *[0.0] * 8, 0.0, 1.0, *[np.nan] * 7, 1.0]
    found = judge(_period(_DAYS, labels), _scored(_SCORES), per_week=2)
    figures = found.figures()
    assert figures["precision_at_k"] == pytest.approx(2 / 3), "rows 0, 10 and 11 are listed and decided"
    assert figures["money_at_k"] == 0 * 10 + 11 * 10
    assert figures["money_share_at_k"] == pytest.approx(110 / (0 + 110 + 190))
    assert figures["recall_at_1pct"] == pytest.approx(1 / 3), "one of twenty rows is flagged: row 0"


def test_rows_that_nobody_looked_at_are_on_lists_but_in_no_figure() -> None:
    labels = [1.0, np.nan, *[0.0] * 8, 0.0, 1.0, *[np.nan] * 7, 1.0]
    period = _period(_DAYS, labels)
    found = judge(period, _scored(_SCORES), per_week=2)
    assert weekly_lists(np.array(_SCORES), period, 2)[1] == 1.0
    assert len(found.labels) == len(period.decided) == 12
    as_negative = judge(_period(_DAYS, np.nan_to_num(labels).tolist()), _scored(_SCORES), per_week=2)
    assert as_negative.figure("precision_at_k") == 0.5, "counted as negatives they would pull it down"


def test_corrected_figures_count_a_row_for_those_that_were_not_looked_at() -> None:
    # The listed positive was sure to be looked at, the listed negative stands for four.
    chance = [1.0, 1.0, *[0.5] * 8, 0.25, 1.0, *[0.5] * 8]
    labels = [1.0, np.nan, *[0.0] * 8, 0.0, np.nan, *[0.0] * 8]
    period = _period(_DAYS, labels, chance)
    plain = judge(period, _scored(_SCORES), per_week=2)
    corrected = judge(period, _scored(_SCORES), per_week=2, corrected=True)
    assert plain.figure("precision_at_k") == 0.5
    assert corrected.figure("precision_at_k") == pytest.approx(1 / 5)
    assert corrected.effective == pytest.approx((1 + 4 + 32) ** 2 / (1 + 16 + 64))


def test_corrected_figures_recover_the_truth_when_investigators_prefer_what_is_dear() -> None:
    random = np.random.default_rng(3)
    n = 40_000
    dear = random.random(n) < 0.3
    truth = (random.random(n) < np.where(dear, 0.5, 0.1)).astype(float)
    chance = np.where(dear, 0.6, 0.05)
    labels = np.where(random.random(n) < chance, truth, np.nan)
    scores = random.random(n)
    period = _period(random.integers(0, 14, n).tolist(), labels.tolist(), chance.tolist())
    readings = {c: judge(period, Scored(scores, scores), 500, corrected=c).figure("precision_at_k") for c in (0, 1)}
    assert readings[0] > 0.35, "of the decided rows"
    assert readings[1] == pytest.approx(truth.mean(), abs=0.05), "of all rows"


def test_corrected_figures_need_the_chance_of_having_been_looked_at() -> None:
    with pytest.raises(ValueError, match="not estimated"):
        judge(_period(_DAYS, [1.0] * 20), _scored(_SCORES), 2, corrected=True)


def test_periods_are_ranked_apart_and_pooled_by_their_positives() -> None:
    labels = [1.0, 1.0, 0.0, 0.0, 0.0]
    right = judge(_period([0] * 5, labels), _scored([5, 4, 3, 2, 1]), 1, number=0)
    wrong = judge(_period([0] * 5, labels), _scored([10, 20, 30, 40, 50]), 1, number=1)
    both = pool([right, wrong])
    assert right.figure("average_precision") == 1.0
    last = (1 / 4 + 2 / 5) / 2
    assert wrong.figure("average_precision") == pytest.approx(last)
    assert both.figure("average_precision") == pytest.approx((1 + last) / 2), "scores of two models are not mixed"


def test_bands_and_months_of_calibration_are_what_one_counts() -> None:
    period = _period([0, 0, 0, 40, 40], [1.0, 0.0, 0.0, 1.0, 1.0], weeks=8)
    found = judge(period, _scored([0.15, 0.15, 0.01, 0.9, 0.7]), 1)
    bands = {b["from"]: b for b in judging.bands(found)}
    assert bands[0.1]["n"] == 2
    assert (bands[0.1]["predicted"], bands[0.1]["found"]) == pytest.approx((0.15, 0.5))
    assert bands[0.1]["low"] < 0.5 < bands[0.1]["high"]
    assert [(m["month"], m["n"], m["found"]) for m in judging.months(found)] == [
        ("2024-01", 3, pytest.approx(1 / 3)),
        ("2024-02", 2, 1.0),
    ]


def test_moving_to_the_level_that_was_found_keeps_the_order_and_the_odds_ratio() -> None:
    random = np.random.default_rng(7)
    truth = random.uniform(0.05, 0.6, 5_000)
    labels = (random.random(5_000) < truth).astype(float)
    too_low = 1 / (1 + np.exp(-(np.log(truth / (1 - truth)) - 2.0)))
    found = judge(_period([0] * 5_000, labels.tolist()), Scored(too_low, too_low), 1)
    assert found.level == pytest.approx(2.0, abs=0.15)
    assert found.figure("calibration_error") > 0.15
    at_level = found.moved(found.level)
    assert at_level.figure("calibration_error") < 0.03
    assert at_level.figure("average_precision") == found.figure("average_precision")


def _judgement(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> Judgement:
    n = len(labels)
    period = _period([0] * n, labels.tolist(), weeks=1)
    found = judge(period, Scored(scores, scores), per_week=n)
    return Judgement(**{**{f: getattr(found, f) for f in Judgement.__dataclass_fields__}, "groups": groups})


def test_bounds_are_over_groups_not_rows() -> None:
    random = np.random.default_rng(4)
    labels = (random.random(60) < 0.4).astype(float)
    scores = labels + random.normal(size=60)
    copies = [np.repeat(a, 5) for a in (labels, scores, np.arange(60))]
    alone = _judgement(labels, scores, np.arange(60)).interval("average_precision", 1)
    copied = _judgement(*copies).interval("average_precision", 1)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high)), "copies are no more evidence"


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    random = np.random.default_rng(5)
    labels = (random.random(400) < 0.3).astype(float)
    worse = labels + random.normal(size=400)
    better = worse + 0.25 * labels
    first, second = (_judgement(labels, s, np.arange(400)) for s in (better, worse))
    gain = first.gain_over(second, "average_precision", 2)
    assert gain.low > 0
    assert gain.excludes_zero
    assert first.interval("average_precision", 2).low < second.interval("average_precision", 2).high, "they overlap"
    itself = first.gain_over(first, "average_precision", 2)
    assert (itself.value, itself.low, itself.high) == (0, 0, 0)


def test_an_interval_of_a_mean_is_about_what_theory_says() -> None:
    values = np.random.default_rng(6).normal(size=500)

    def mean(weights: np.ndarray) -> float:
        return float(np.average(values, weights=weights))

    found = interval_of(mean, np.arange(500), seed=3, draws=400)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(500), rel=0.15)
    assert paired_difference(mean, mean, np.arange(500), seed=3) == Interval(0, 0, 0)


def test_draws_without_a_figure_are_left_out() -> None:
    found = interval_of(lambda w: float("nan") if w[0] else 1.0, np.arange(3), seed=1)
    assert np.isnan(found.value)
    assert np.isnan(found.low)
