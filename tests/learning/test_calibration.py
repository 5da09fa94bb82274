"""Probabilities that mean what they say: for rows that were looked at, and for everybody."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.learning.calibration.calibration import (
    KINDS,
    Calibration,
    Decided,
    Kind,
    choose_kind,
    correct_prior,
    fit_calibration,
    fit_kind,
    population_share,
    rank_standing,
    sigmoid,
)
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.model import FittedModel
from fraud.learning.validation.calibrating import calibrate, unseen_margins, weights_by_amount
from tests.learning.town import spec

PRESENT = np.linspace(-4, 4, 60)


def payer(seed: int, rows: int, share: float = 0.05, hidden: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Margins and truth of everybody at a payer: those at fault stand 2.5 higher, but for some who look like others."""
    random = np.random.default_rng(seed)
    truth = random.random(rows) < share
    lucky = random.random(rows) < hidden
    return random.normal(0, 1, rows) + np.where(truth & ~lucky, 2.5, 0.0), truth


def looked_at(truth: np.ndarray, seed: int, guilty: float = 0.3, honest: float = 0.04) -> np.ndarray:
    """Whom reviewers look at: they have a nose, so that those at fault are looked at far more often."""
    return np.random.default_rng(seed + 1_000).random(len(truth)) < np.where(truth, guilty, honest)


def by_band(probability: np.ndarray, truth: np.ndarray, edges: tuple[float, ...]) -> list[tuple[float, float]]:
    """Mean predicted and true share in bands of rank, from the highest; edges are shares of the rows."""
    order = np.argsort(-probability, kind="stable")
    bands = [order[int(a * len(order)) : int(b * len(order))] for a, b in zip(edges, edges[1:], strict=False)]
    return [(float(probability[b].mean()), float(truth[b].mean())) for b in bands]


@pytest.mark.parametrize("hidden", [0.0, 0.2])
def test_probabilities_are_right_for_everybody_though_only_suspects_were_looked_at(hidden: float) -> None:
    margins, truth = payer(1, 400_000, hidden=hidden)
    seen = looked_at(truth, 1)
    labels = truth[seen].astype(float)
    decided = correct_prior(Decided(margins[seen], labels, None, (margins, np.ones(len(margins)))))
    naive = fit_calibration(margins[seen], labels).probability(margins)
    honest = fit_kind(choose_kind(decided), decided.rows()).probability(margins)
    assert naive.mean() > 2.4 * truth.mean(), "the labels alone would say that one in eight is at fault"
    assert honest.mean() == pytest.approx(truth.mean(), abs=0.005)
    for predicted, true in by_band(honest, truth, (0, 0.005, 0.01, 0.02, 0.05, 0.1, 1)):
        assert predicted == pytest.approx(true, abs=0.04)


def test_weights_of_a_random_sample_correct_without_any_assumption() -> None:
    margins, truth = payer(3, 60_000)
    # Of the risky half everybody is looked at, of the others one in fifty, and the chances are on record.
    chance = np.where(margins > 1, 1.0, 0.02)
    seen = np.random.default_rng(1_003).random(len(truth)) < chance
    found = fit_calibration(margins[seen], truth[seen].astype(float), 1 / chance[seen])
    plain = fit_calibration(margins[seen], truth[seen].astype(float))
    low = margins < 0
    assert found.probability(margins).mean() == pytest.approx(truth.mean(), abs=0.01)
    assert abs(found.probability(margins[low]).mean() - truth[low].mean()) < 0.01
    assert abs(plain.probability(margins).mean() - truth.mean()) < 0.05


def test_where_everybody_was_looked_at_nothing_is_corrected() -> None:
    margins, truth = payer(4, 20_000, share=0.2)
    alone = Decided(margins, truth.astype(float))
    assert correct_prior(alone) is alone
    within = correct_prior(Decided(margins, truth.astype(float), None, (margins, np.ones(len(margins)))))
    assert within.rows().share == pytest.approx(truth.mean(), rel=0.05)


def test_the_share_is_never_below_what_is_known_to_be_at_fault() -> None:
    random = np.random.default_rng(5)
    labels = np.r_[np.ones(60), np.zeros(40)]
    margins = random.normal(0, 1, 100)  # says nothing
    everybody = np.r_[margins, random.normal(-6, 0.1, 400)]
    decided = correct_prior(Decided(margins, labels, None, (everybody, np.ones(500))))
    assert decided.rows().share >= 60 / 500 - 1e-9
    assert decided.rows().total.sum() == pytest.approx(100), "weighed, not multiplied"


@pytest.mark.parametrize("truth", [0.02, 0.3, 0.9])
def test_the_share_of_the_population_is_found_again(truth: float) -> None:
    random = np.random.default_rng(6)
    rows = random.random(50_000) < truth
    log_odds = random.normal(0, 1, 50_000) * np.sqrt(2) + np.where(rows, 1.0, -1.0)  # calibrated at one half
    assert population_share(log_odds, 0.5) == pytest.approx(truth, abs=0.01)
    counts = np.where(rows, 2.0, 1.0)
    assert population_share(log_odds, 0.5, counts) == pytest.approx(2 * truth / (1 + truth), abs=0.015)


@pytest.mark.parametrize(
    ("expected", "log_odds"),
    [
        (("sigmoid", "beta", "isotonic"), lambda m: 1.5 * m - 1),
        (("beta", "isotonic"), lambda m: np.where(m > 0, 0.3 * m, 3 * m) - 0.5),
        (("isotonic",), lambda m: np.where(m > 1, 2.0, np.where(m > -1, -1.0, -4.0))),
    ],
)
def test_the_curve_is_as_free_as_the_data_ask_for(expected: tuple[Kind, ...], log_odds: object) -> None:
    random = np.random.default_rng(7)
    margins = random.normal(0, 1.5, 20_000)
    true = sigmoid(log_odds(margins))  # type: ignore[operator]
    labels = (random.random(20_000) < true).astype(float)
    decided = Decided(margins, labels)
    assert choose_kind(decided) in expected
    found = fit_calibration(margins, labels)
    assert np.abs(found.probability(margins) - true).mean() < 0.02
    worse = fit_calibration(margins, labels, kinds=("sigmoid",))
    assert found.kind == "sigmoid" or np.abs(worse.probability(margins) - true).mean() > 0.02


def test_with_few_decisions_only_a_sigmoid_is_tried() -> None:
    random = np.random.default_rng(8)
    margins = random.normal(0, 1, 300)
    labels = (margins > np.where(margins > 0, 0.1, -0.1)).astype(float)
    labels[:20] = 1 - labels[:20]
    assert Decided(margins, labels).rows().rarer < 200
    assert fit_calibration(margins[:150], labels[:150]).kind == "sigmoid"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(KINDS))
def test_a_higher_margin_never_has_a_lower_probability_and_no_two_are_tied(seed: int, kind: Kind) -> None:
    random = np.random.default_rng(seed)
    margins = random.normal(0, 2, 200)
    labels = (random.random(200) < 0.3).astype(float)
    labels[:2] = 0, 1
    found = fit_kind(kind, Decided(margins, labels).rows())
    log_odds = found.log_odds(PRESENT)
    assert (np.diff(log_odds) > 0).all()
    assert ((found.probability(PRESENT) > 0) & (found.probability(PRESENT) < 1)).all()
    read = Calibration.from_dict(json.loads(json.dumps(found.as_dict())))
    np.testing.assert_array_equal(read.log_odds(PRESENT), log_odds)


def test_the_order_of_the_rows_and_their_number_of_copies_do_not_matter() -> None:
    margins, truth = payer(9, 9_000, share=0.3)
    labels = truth.astype(float)
    order = np.random.default_rng(9).permutation(len(margins))
    plain = fit_kind("beta", Decided(margins, labels).rows())
    turned = fit_kind("beta", Decided(margins[order], labels[order]).rows())
    twice = fit_kind("beta", Decided(margins, labels, np.full(len(margins), 2.0)).rows())
    np.testing.assert_allclose(turned.probability(PRESENT), plain.probability(PRESENT), atol=1e-8)
    np.testing.assert_allclose(twice.probability(PRESENT), plain.probability(PRESENT), atol=1e-3)


def test_hundreds_of_thousands_of_decided_rows_are_calibrated_in_seconds() -> None:
    margins, truth = payer(10, 400_000, share=0.2)
    began = time.process_time()
    fit_calibration(margins, truth.astype(float))
    assert time.process_time() - began < 4


def test_a_standing_counts_rows_for_as_many_as_they_stand_for() -> None:
    standing = rank_standing(np.array([0.1, 0.9]), np.array([99.0, 1.0]))
    assert standing.percentile(np.array([0.5]))[0] == pytest.approx(99, abs=0.2)


# --- on a dataset -----------------------------------------------------------------------------------------


def test_every_row_is_scored_by_a_fit_that_has_not_seen_its_block(claims: Dataset) -> None:
    blocks = np.arange(len(claims)) % 7
    margins = unseen_margins(claims, spec(), blocks)
    assert np.isfinite(margins).all()
    turned = replace(claims, labels=np.where(blocks == 3, 1 - claims.labels, claims.labels))
    again = unseen_margins(turned, spec(), blocks)
    np.testing.assert_array_equal(again[blocks == 3], margins[blocks == 3])
    assert (again[blocks != 3] != margins[blocks != 3]).any()


def test_dear_rows_that_are_looked_at_more_often_do_not_count_more(claims: Dataset) -> None:
    random = np.random.default_rng(11)
    # One in fifty is at fault whatever the amount, and the chance to be looked at grows with the amount.
    amounts = random.lognormal(8, 1, len(claims))
    chance = np.clip(0.1 * amounts / np.median(amounts), 0.02, 0.9)
    seen = random.random(len(claims)) < chance
    truth = random.random(len(claims)) < 0.1
    dataset = replace(claims, amounts=amounts, labels=np.where(seen, truth, np.nan))
    weights = weights_by_amount(dataset)
    plain, weighted = amounts[seen].mean(), np.average(amounts[seen], weights=weights)
    assert plain > 1.4 * amounts.mean()
    assert abs(weighted - amounts.mean()) < 0.4 * (plain - amounts.mean())
    for y in (0, 1):
        own = dataset.labels[seen] == y
        assert weights[own].sum() == pytest.approx(own.sum())


def test_a_calibration_is_the_same_again_and_its_model_carries_it(
    claims: Dataset, providers: Dataset, model: FittedModel, tmp_path: Path
) -> None:
    quick = replace(spec(), parameters=replace(spec().parameters, rounds=5, bags=1))
    first, second = (calibrate(claims, quick, threads=t) for t in (1, 2))
    assert first.calibration.as_dict() == second.calibration.as_dict()
    assert first.intervals.as_dict() == second.intervals.as_dict()
    loaded = FittedModel.load(model.save(tmp_path))
    margins = model.margins(providers.values)
    np.testing.assert_array_equal(loaded.interval(margins), model.interval(margins))
    other = replace(model, calibration=replace(model.calibration, intercept=0.5))
    assert other.digest != model.digest
    assert replace(model, intervals=None).digest != model.digest
