"""What becomes of rows that nobody looked at, judged by a truth that the fit never sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fraud.learning.datasets.dataset import Dataset, Feature
from fraud.learning.datasets.propensity import (
    MOST_STOOD_FOR,
    compare_treatments,
    fit_rows,
    hidden_share,
    investigation_chance,
)
from fraud.learning.fitting import fit_ensemble
from fraud.learning.spec import TREATMENTS, Parameters
from fraud.signals.frames import Reference

ROWS = 6000
QUICK = Parameters(rounds=60, bags=1, learning_rate=0.1, min_data_in_leaf=10)


@dataclass(frozen=True)
class World:
    """A dataset and who is guilty in truth."""

    dataset: Dataset
    guilty: np.ndarray


def world(seed: int) -> World:
    """Rows of which 6 % are guilty; the dear and the obvious are looked at, and so are some of the honest."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(ROWS, 8))
    guilty = random.random(ROWS) < 0.06
    values[guilty, :3] += random.normal(1.6, 0.6, size=(int(guilty.sum()), 3))
    amounts = np.exp(random.normal(5, 1, ROWS))
    dear = np.clip(amounts / np.median(amounts), 0.2, 5) ** 0.3
    looked_at = random.random(ROWS) < np.where(guilty, 0.3 * dear * (0.5 + (values[:, 0] > 1)), 0.03 * dear)
    labels = np.where(looked_at, guilty.astype(float), np.nan)
    nothing = np.full(ROWS, np.datetime64("NaT", "us"))
    dataset = Dataset(
        entity="claim",
        ids=tuple(f"C{i}" for i in range(ROWS)),
        happened_at=np.full(ROWS, np.datetime64("2025-01-01", "us")),
        features=tuple(Feature(f"claim.f{i}", f"claim.f{i}", 0, False) for i in range(8)),
        values=values,
        labels=labels,
        groups=np.array([f"H{i % 150}" for i in range(ROWS)], dtype=object),
        amounts=amounts,
        decided_at=nothing,
        reference=Reference(),
        skipped={},
        notes=(),
        as_of=datetime(2026, 1, 1),
        data_digest="",
        signal_digests={},
        catalogue_digest="",
        weights=np.ones(ROWS),
        investigated=looked_at,
        recovered=np.full(ROWS, np.nan),
        mature=np.ones(ROWS, dtype=bool),
        segments={},
    )
    return World(dataset, guilty)


@pytest.fixture(scope="module")
def planted() -> World:
    return world(1)


def _precision(w: World, treatment: str) -> float:
    """Average precision by truth on rows that were not fitted on."""
    other = world(1000)
    chosen = fit_rows(w.dataset, treatment)
    fitted = fit_ensemble(
        w.dataset.values[chosen.rows], chosen.labels, w.dataset.names, [0] * 8, QUICK, 1, weights=chosen.weights
    )
    return float(average_precision_score(other.guilty, fitted.margins(other.dataset.values)))


def test_labels_alone_are_fitted_on_unless_the_spec_says_more(planted: World) -> None:
    d = planted.dataset
    assert np.array_equal(d.fit_rows, d.labelled)
    assert (d.fit_weights == 1).all()
    assert np.array_equal(d.fit_labels, d.labels[d.labelled])


def test_rows_that_nobody_looked_at_are_negatives_if_one_says_so(planted: World) -> None:
    found = fit_rows(planted.dataset, "negative")
    assert len(found.rows) == ROWS
    assert found.labels.sum() == np.nansum(planted.dataset.labels)
    assert (found.weights == 1).all()


def test_the_guilty_among_those_that_nobody_looked_at_count_least_as_negatives(planted: World) -> None:
    found = fit_rows(planted.dataset, "weighted")
    plain = np.isin(found.rows, planted.dataset.plain)
    guilty = planted.guilty[found.rows]
    assert found.weights.min() >= 0
    assert found.weights[~plain].min() == found.weights.max() == 1
    assert found.weights[plain & guilty].mean() < 0.85 * found.weights[plain & ~guilty].mean()


def test_as_many_are_taken_to_be_hidden_as_there_are_within_a_factor(planted: World) -> None:
    hidden = planted.guilty[planted.dataset.plain].mean()
    assert hidden / 4 < hidden_share(planted.dataset).mean() < 4 * hidden


def test_weighting_ranks_the_truth_better_than_counting_the_hidden_as_honest() -> None:
    figures = {t: np.mean([_precision(world(s), t) for s in (1, 2, 3)]) for t in TREATMENTS}
    assert figures["weighted"] > figures["negative"]
    assert figures["weighted"] > figures["ignore"]


def test_a_row_that_stands_for_many_counts_for_many(planted: World) -> None:
    weights = np.ones(ROWS)
    weights[planted.dataset.plain] = 7.0
    found = fit_rows(replace(planted.dataset, weights=weights), "negative")
    assert set(found.weights) == {1.0, 7.0}
    assert found.weights[np.isin(found.rows, planted.dataset.labelled)].max() == 1


def test_a_part_of_the_rows_makes_its_weights_from_nothing_else(planted: World) -> None:
    """A fold must not learn from the labels that it is tested on, not even through weights."""
    half = np.flatnonzero(np.array([int(g[1:]) % 2 for g in planted.dataset.groups]))
    labels = planted.dataset.labels.copy()
    rest = np.setdiff1d(np.arange(ROWS), half)
    labels[rest] = 1 - labels[rest]
    turned = replace(planted.dataset, labels=labels, unlabelled="weighted")
    same = replace(planted.dataset, unlabelled="weighted")
    np.testing.assert_array_equal(turned.take(half).fit_weights, same.take(half).fit_weights)


def test_the_chance_of_being_looked_at_is_about_right_and_never_tiny(planted: World) -> None:
    chance = investigation_chance(planted.dataset)
    looked_at = planted.dataset.investigated
    assert chance.min() >= 1 / MOST_STOOD_FOR
    assert chance.mean() == pytest.approx(looked_at.mean(), rel=0.3)
    assert chance[looked_at].mean() > 1.5 * chance[~looked_at].mean()


def test_nobody_looked_at_leaves_nothing_to_correct(planted: World) -> None:
    everybody = planted.dataset.take(planted.dataset.labelled)
    assert (investigation_chance(everybody) == 1).all()
    assert not len(everybody.plain)
    assert np.array_equal(fit_rows(everybody, "weighted").rows, everybody.labelled)


def test_treatments_are_compared_on_the_same_folds(planted: World) -> None:
    rows = compare_treatments(planted.dataset, QUICK, k=50)
    assert [r.treatment for r in rows] == list(TREATMENTS)
    assert rows[0].fitted_on < rows[1].fitted_on == rows[2].fitted_on
    for row in rows:
        assert 0 < row.average_precision <= 1
        assert row.corrected < row.average_precision, "the honest stand for more than those who were found out"
        assert row.as_dict()["precision_at_k"] == row.precision_at_k
