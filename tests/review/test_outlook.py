"""The matrix of risks, and the range of what cases may bring: against sums that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fraud.learning.model import FittedModel
from fraud.review import outlook
from fraud.review.outlook import (
    LEAST_PAIRS,
    Outlook,
    Stakes,
    Together,
    amount_steps,
    bounds_by_probability,
    outlook_of,
    risk_matrix,
    together_by_provider,
)

ALONE = Together(0.0, 0, 0)
# In eight of ten futures a normal sum lies so many standard deviations around its mean.
EIGHT_OF_TEN = 1.2816


def stakes(count: int, seed: int = 1, providers: int = 20, width: float = 0.0) -> Stakes:
    """Cases as a week may have them."""
    draw = np.random.default_rng(seed)
    p, amount = draw.beta(1, 4, count).clip(0.02, 0.95), draw.lognormal(7.5, 1.0, count)
    bounds = (np.maximum(p - width, 0.001), np.minimum(p + width, 0.999)) if width else None
    houses = [f"h{n}" for n in draw.integers(0, providers, count)]
    return Stakes.of(list(p), list(amount), list(p * amount), houses, bounds)


def width_of(found: Outlook) -> float:
    return found.high - found.low


# --- the matrix -------------------------------------------------------------------------------------------


@pytest.mark.requirement("001-19")
def test_every_case_stands_in_the_field_of_its_probability_and_money() -> None:
    found = risk_matrix(Stakes.of([0.05, 0.1, 0.29, 0.6, 1.0, None], [10, 99, 100, 500, 99, 7]), (100.0, 500.0))
    assert [[c.cases for c in row] for row in found.rows] == [[1, 0, 1], [0, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]]
    assert [row[0].probability_from for row in found.rows] == [0.6, 0.3, 0.1, None, None]
    assert [(c.amount_from, c.amount_to) for c in found.rows[0]] == [(None, 100.0), (100.0, 500.0), (500.0, None)]
    assert [row[0].known for row in found.rows] == [True] * 4 + [False]
    assert (found.cases, found.amount, found.most) == (6, 815.0, 500.0)


@settings(max_examples=30, deadline=None)
@given(arrays(float, st.integers(0, 60), elements=st.floats(0, 1e6)), st.integers(0, 2**32 - 1))
def test_the_fields_hold_all_cases_and_all_money(amounts: np.ndarray, seed: int) -> None:
    draw = np.random.default_rng(seed)
    known = [None if draw.random() < 0.2 else float(p) for p in draw.random(len(amounts))]
    found = risk_matrix(Stakes.of(known, list(amounts)))
    fields = [c for row in found.rows for c in row]
    assert sum(c.cases for c in fields) == found.cases == len(amounts)
    assert sum(c.amount for c in fields) == pytest.approx(found.amount) == pytest.approx(amounts.sum())
    steps = amount_steps(amounts)
    assert list(steps) == sorted(set(steps))
    assert all(len(row) == len(steps) + 1 for row in found.rows)


# --- the range --------------------------------------------------------------------------------------------


@pytest.mark.requirement("001-19")
def test_the_range_of_independent_cases_is_that_of_their_sum() -> None:
    cases = stakes(400)
    found = outlook_of(cases, ALONE, seed=7)
    deviation = float(np.sqrt((cases.probability * (1 - cases.probability) * cases.impact**2).sum()))
    assert found.expected == pytest.approx(float((cases.probability * cases.amount).sum()))
    for side, sign in ((found.low, -1), (found.high, 1)):
        assert side == pytest.approx(found.expected + sign * EIGHT_OF_TEN * deviation, abs=0.12 * deviation)
    first, again, other = (outlook_of(cases, ALONE, seed, 1_000) for seed in (7, 7, 8))
    assert first == again != other


def test_eight_of_ten_futures_lie_within() -> None:
    cases, found = stakes(60), outlook_of(stakes(60), ALONE, seed=1)
    draw = np.random.default_rng(99)
    sums = (draw.random((20_000, 60)) < cases.probability) @ cases.impact
    assert float(((sums >= found.low) & (sums <= found.high)).mean()) == pytest.approx(0.8, abs=0.02)


def test_a_certain_case_brings_its_money_and_an_impossible_one_nothing() -> None:
    found = outlook_of(Stakes.of([1.0, 0.0], [70.0, 1e6]), ALONE, seed=1)
    assert (found.expected, found.low, found.high, found.at_stake) == (70.0, 70.0, 70.0, 1e6 + 70)
    nothing = outlook_of(Stakes.of([], []), ALONE, seed=1)
    assert (nothing.expected, nothing.low, nothing.high, nothing.cases) == (0.0, 0.0, 0.0, 0)


def test_what_nobody_knows_the_probability_of_is_told_apart() -> None:
    found = outlook_of(Stakes.of([None, 1.0, None], [10.0, 20.0, 30.0]), ALONE, seed=1)
    assert (found.cases, found.left_out, found.left_out_amount, found.expected) == (1, 2, 40.0, 20.0)


def test_the_expected_recovery_of_the_model_is_what_the_range_lies_around() -> None:
    # Findings name 400 of a bill, of which the model expects 100 with a chance of one half: the case brings 200.
    found = outlook_of(Stakes.of([0.5], [400.0], [100.0]), ALONE, seed=1)
    assert (found.expected, found.low, found.high, found.at_stake) == (100.0, 0.0, 200.0, 400.0)


def test_common_errors_and_common_providers_widen_the_range_and_leave_what_is_expected() -> None:
    alone = outlook_of(stakes(400), ALONE, 1, 4_000)
    off = outlook_of(stakes(400, width=0.1), ALONE, 1, 4_000)
    together = outlook_of(stakes(400), Together(0.4, 1_000, 20), 1, 4_000)
    both = outlook_of(stakes(400, width=0.1), Together(0.4, 1_000, 20), 1, 4_000)
    assert (alone.bounded, off.bounded) == (0, 400)
    assert width_of(alone) * 1.15 < min(width_of(off), width_of(together)) < width_of(both)
    for found in (off, together, both):
        assert found.expected == pytest.approx(alone.expected)
        assert (found.low + found.high) / 2 == pytest.approx(alone.expected, rel=0.06)


def test_too_few_pairs_of_decided_cases_are_not_believed() -> None:
    few = Together(0.9, LEAST_PAIRS - 1, 50)
    assert not few.known
    assert width_of(outlook_of(stakes(100), few, seed=1)) == width_of(outlook_of(stakes(100), ALONE, seed=1))


def test_a_long_list_is_drawn_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlook, "_MOST_NUMBERS", 1_200_000)
    found = outlook_of(stakes(1_000), ALONE, seed=1)
    assert found.draws == 1_200
    assert found.low < found.expected < found.high


# --- providers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_how_far_providers_go_together_is_found_again(share: float) -> None:
    draw = np.random.default_rng(3)
    rows = []
    for house in range(400):
        shared = draw.random()
        for _ in range(10):
            p = float(draw.uniform(0.1, 0.6))
            own = shared if draw.random() < np.sqrt(share) else draw.random()
            rows.append((p, bool(own < p), f"h{house}"))
    found = together_by_provider(rows)
    assert (found.pairs, found.providers, found.known) == (400 * 45, 400, True)
    assert found.share == pytest.approx(share, abs=0.06)


def test_a_model_that_is_too_low_for_everybody_is_no_sign_of_providers() -> None:
    draw = np.random.default_rng(4)
    rows = [(0.1, bool(draw.random() < 0.5), f"h{n % 40}") for n in range(2_000)]
    assert together_by_provider(rows).share < 0.05
    assert together_by_provider([(None, True, "h"), (0.5, True, None)]) == ALONE


# --- bounds -----------------------------------------------------------------------------------------------


def test_the_bounds_of_a_probability_are_those_that_its_model_gives(claim_model: FittedModel) -> None:
    assert claim_model.intervals is not None
    margins = np.quantile(claim_model.intervals.margins, [0.2, 0.5, 0.8])
    low, high = bounds_by_probability(claim_model, claim_model.probability(margins))
    expected = claim_model.interval(margins)
    assert low == pytest.approx(expected[0], abs=0.02)
    assert high == pytest.approx(expected[1], abs=0.02)
    assert np.isnan(bounds_by_probability(None, np.array([0.5]))[0]).all()
