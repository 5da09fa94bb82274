"""Metrics agree with scikit-learn, and with what a reviewer would count by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from fraud.learning import metrics
from fraud.learning.calibration.calibration import fit_calibration, rank_standing

_ROWS = st.integers(4, 60).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=st.sampled_from([0.0, 1.0])),
        arrays(np.float64, n, elements=st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9])),
    )
)


@given(_ROWS)
def test_the_areas_are_those_of_scikit_learn_ties_included(rows: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = rows
    if 0 < labels.sum() < len(labels):
        assert metrics.roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
        assert metrics.average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


@given(_ROWS, st.integers(1, 60), st.randoms())
def test_the_order_of_the_rows_changes_no_figure(
    rows: tuple[np.ndarray, np.ndarray], k: int, random: np.random.Generator
) -> None:
    labels, scores = rows
    amounts = np.arange(len(labels), dtype=float)
    order = np.array(sorted(range(len(labels)), key=lambda _: random.random()))
    first = metrics.measure(labels, scores, scores, amounts, k)
    second = metrics.measure(labels[order], scores[order], scores[order], amounts[order], k)
    assert first == pytest.approx(second, nan_ok=True)


def test_precision_and_money_are_what_a_reviewer_counts() -> None:
    labels = np.array([1.0, 0, 1, 1, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.2, 0.1])
    amounts = np.array([100.0, 50, 10, 1000, 5])
    found = metrics.measure(labels, scores, scores, amounts, 3)
    assert found["precision_at_k"] == pytest.approx(2 / 3)
    assert found["money_at_k"] == 110
    assert found["money_share_at_k"] == pytest.approx(110 / 1110)
    assert found["recovery_share_at_k"] == pytest.approx(1100 / 1110), "ranked by probability × amount"
    assert found["recall_at_1pct"] == pytest.approx(1 / 3)


def test_a_list_longer_than_the_rows_holds_all_of_them() -> None:
    labels = np.array([1.0, 0.0])
    assert metrics.precision_at(labels, np.array([0.2, 0.1]), 50) == 0.5


def test_the_interval_of_the_average_precision_covers_it_and_narrows_with_more_groups() -> None:
    random = np.random.default_rng(1)

    def interval(n: int) -> tuple[float, float, float]:
        labels = (random.random(n) < 0.3).astype(float)
        scores = labels + random.normal(size=n)
        low, high = metrics.average_precision_interval(labels, scores, np.arange(n), seed=2)
        return low, metrics.average_precision(labels, scores), high

    few, many = interval(150), interval(3000)
    assert few[0] < few[1] < few[2]
    assert many[0] < many[1] < many[2]
    assert many[2] - many[0] < few[2] - few[0]


def test_rows_of_one_group_do_not_narrow_the_interval() -> None:
    random = np.random.default_rng(3)
    labels = (random.random(100) < 0.3).astype(float)
    scores = labels + random.normal(size=100)
    alone = metrics.average_precision_interval(labels, scores, np.arange(100), seed=4)
    copied = metrics.average_precision_interval(
        np.repeat(labels, 10), np.repeat(scores, 10), np.repeat(np.arange(100), 10), seed=4
    )
    assert copied == pytest.approx(alone), "ten copies of each row are no more evidence"


def test_calibration_finds_the_sigmoid_that_made_the_labels() -> None:
    random = np.random.default_rng(5)
    margins = random.normal(0, 2, size=20_000)
    labels = (random.random(20_000) < 1 / (1 + np.exp(-(0.7 * margins - 1.5)))).astype(float)
    found = fit_calibration(margins, labels)
    assert (found.slope, found.intercept) == pytest.approx((0.7, -1.5), abs=0.06)
    curve = metrics.reliability(labels, found.probability(margins))
    assert max(abs(point["predicted"] - point["found"]) for point in curve) < 0.03


@given(arrays(np.float64, 40, elements=st.floats(-1e3, 1e3)), st.integers(1, 39))
def test_calibration_keeps_the_order_and_stays_inside_0_and_1(margins: np.ndarray, positives: int) -> None:
    labels = np.zeros(40)
    labels[:positives] = 1
    order = np.sort(margins)
    found = fit_calibration(margins, labels).probability(order)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_perfectly_separated_margins_are_not_turned_into_certainty() -> None:
    labels = np.array([0.0] * 30 + [1.0] * 10)
    found = fit_calibration(labels * 8 - 4, labels)
    assert 0.85 < found.probability(np.array([4.0]))[0] < 0.95
    assert 0.02 < found.probability(np.array([-4.0]))[0] < 0.05


def test_the_percentile_is_the_share_of_the_others_below() -> None:
    standing = rank_standing(np.linspace(0, 1, 5001))
    assert standing.percentile(np.array([-1.0, 0.25, 0.999, 2.0])) == pytest.approx([0, 25, 99.9, 100], abs=0.11)


def test_most_of_the_others_equal_gives_the_middle() -> None:
    assert rank_standing(np.full(100, 0.3)).percentile(np.array([0.3])) == pytest.approx([50])
