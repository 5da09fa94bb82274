"""Fitting: equal input gives equal trees, constraints hold, and contributions add up."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fraud.learning import fitting
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.fitting import Ensemble, Shared, fit_ensemble
from fraud.learning.metrics import roc_auc
from fraud.learning.model import FittedModel
from tests.learning.town import spec


def _fit(dataset: Dataset, seed: int = 1, threads: int = 1) -> Ensemble:
    rows = dataset.labelled
    signs = [f.sign for f in dataset.features]
    parameters = spec().parameters
    return fit_ensemble(
        dataset.values[rows], dataset.labels[rows], dataset.names, signs, parameters, seed, threads=threads
    )


def test_the_same_rows_and_seed_give_the_same_trees_however_many_threads(providers: Dataset) -> None:
    assert _fit(providers).texts == _fit(providers, threads=2).texts
    assert _fit(providers).texts != _fit(providers, seed=2).texts


def test_threads_within_a_booster_give_the_same_trees(providers: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are used for large tables, and here for this one."""
    alone = _fit(providers).texts
    monkeypatch.setattr(fitting, "_CELLS_FOR_THREADS", 0)
    assert _fit(providers, threads=4).texts == alone


def test_weights_of_one_change_nothing(providers: Dataset) -> None:
    assert _weighted(providers, np.ones(len(providers.labelled))).texts == _fit(providers).texts


def test_a_row_without_weight_teaches_nothing(providers: Dataset) -> None:
    """Labels turned round where the weight is (nearly) nothing do not reach the margins."""
    rows = providers.labelled
    ignored = np.arange(len(rows)) % 2 == 0
    weights = np.where(ignored, 1e-9, 1.0)
    turned = np.where(ignored, 1 - providers.labels[rows], providers.labels[rows])
    given, wrong, counted = (
        _weighted(providers, *case).margins(providers.values)
        for case in ((weights, providers.labels[rows]), (weights, turned), (np.ones(len(rows)), turned))
    )
    assert np.abs(given - wrong).mean() < 0.05
    assert np.abs(given - counted).mean() > 0.5


def test_more_weight_on_what_was_found_at_fault_raises_the_margins(providers: Dataset) -> None:
    labels = providers.labels[providers.labelled]
    heavier = _weighted(providers, np.where(labels == 1, 4.0, 1.0)).margins(providers.values)
    assert heavier.mean() > _fit(providers).margins(providers.values).mean() + 0.5


def _weighted(dataset: Dataset, weights: np.ndarray, labels: np.ndarray | None = None) -> Ensemble:
    rows, signs = dataset.labelled, [f.sign for f in dataset.features]
    labels = dataset.labels[rows] if labels is None else labels
    return fit_ensemble(dataset.values[rows], labels, dataset.names, signs, spec().parameters, 1, weights=weights)


def test_boosters_do_not_tell_with_how_many_threads_they_were_fitted(providers: Dataset) -> None:
    """Settings are in the spec; beside the trees they would make equal models look different."""
    for text in _fit(providers).texts:
        assert "num_threads" not in text
        assert Ensemble.from_texts([text]).texts == (text,)


def test_fitting_prints_nothing(providers: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    _fit(providers, threads=2)
    assert capfd.readouterr() == ("", "")


def test_the_margin_never_moves_against_the_direction_of_risk(model: FittedModel, providers: Dataset) -> None:
    random = np.random.default_rng(0)
    rows = providers.values[random.integers(0, len(providers), size=200)]
    for i, sign in enumerate(model.monotone):
        if sign:
            grid = np.nanquantile(providers.values[:, i], np.linspace(0, 1, 25))
            moved = np.stack([model.margins(_with(rows, i, value)) for value in grid])
            assert (sign * np.diff(moved, axis=0) >= -1e-12).all(), model.names[i]


def _with(rows: np.ndarray, column: int, value: float) -> np.ndarray:
    changed = rows.copy()
    changed[:, column] = value
    return changed


def test_an_unconstrained_model_would_move_against_it(providers: Dataset) -> None:
    """Otherwise the test above could not fail."""
    rows = providers.labelled
    free = fit_ensemble(
        providers.values[rows], providers.labels[rows], providers.names, [0] * len(providers.names),
        replace(spec().parameters, min_data_in_leaf=2), 1,
    )  # fmt: skip
    column = providers.names.index("provider.mean_stay")
    grid = np.nanquantile(providers.values[:, column], np.linspace(0, 1, 25))
    moved = np.stack([free.margins(_with(providers.values[:200], column, value)) for value in grid])
    assert (np.diff(moved, axis=0) < -1e-6).any()


def test_base_and_contributions_add_up_to_the_margin(model: FittedModel, providers: Dataset) -> None:
    base, found = model.contributions(providers.values)
    assert found.shape == providers.values.shape
    assert np.abs(base + found.sum(axis=1) - model.margins(providers.values)).max() < 1e-9


def test_contributions_add_up_where_values_are_missing(model: FittedModel, providers: Dataset) -> None:
    holes = providers.values.copy()
    holes[np.random.default_rng(3).random(holes.shape) < 0.4] = np.nan
    base, found = model.contributions(holes)
    assert np.abs(base + found.sum(axis=1) - model.margins(holes)).max() < 1e-9


@pytest.fixture(scope="session")
def tree_explainer() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of matplotlib, which shap's plots import
        from shap import TreeExplainer
    return TreeExplainer


def test_contributions_are_those_of_shap(model: FittedModel, providers: Dataset, tree_explainer: Any) -> None:
    rows = providers.values[:20]
    parts = []
    for booster in model.ensemble.boosters:
        booster.params["objective"] = "binary"  # shap reads it from the training settings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shap tells of a format it changed
            values = tree_explainer(booster).shap_values(rows)
        parts.append(values[-1] if isinstance(values, list) else values)
    np.testing.assert_allclose(model.contributions(rows)[1], np.mean(parts, axis=0), atol=1e-9)


def test_one_row_scores_as_it_does_in_a_crowd(model: FittedModel, providers: Dataset) -> None:
    together = model.margins(providers.values)
    alone = [model.margins(providers.values[i : i + 1])[0] for i in range(0, len(providers), 29)]
    np.testing.assert_array_equal(together[::29], alone)


def test_bags_are_averaged_on_the_margin(providers: Dataset) -> None:
    ensemble = _fit(providers)
    single = [Ensemble((b,)).margins(providers.values) for b in ensemble.boosters]
    assert len(single) == 2
    np.testing.assert_allclose(ensemble.margins(providers.values), np.mean(single, axis=0), rtol=0, atol=1e-14)


def test_feature_names_reach_the_booster(providers: Dataset) -> None:
    assert tuple(_fit(providers).boosters[0].feature_name()) == providers.names


def test_a_spec_without_a_direction_fits(providers: Dataset) -> None:
    rows = providers.labelled
    names = ["a b", 'c"d']
    made = fit_ensemble(providers.values[rows][:, :2], providers.labels[rows], names, [0, 0], spec().parameters, 1)
    assert made.margins(providers.values[:3, :2]).shape == (3,)
    assert made.boosters[0].num_feature() == pytest.approx(2)


# --- bins that several fits share ----------------------------------------------------------------------


def test_a_fit_on_all_rows_is_the_same_whether_bins_are_shared_or_not(providers: Dataset) -> None:
    rows, signs = providers.labelled, [f.sign for f in providers.features]
    given = providers.labels[rows], providers.names, signs, spec().parameters, 1
    alone = fit_ensemble(providers.values[rows], *given)
    assert fit_ensemble(Shared(providers.values[rows], bin_seed=1), *given).texts == alone.texts


def test_a_fit_on_some_rows_with_shared_bins_sees_no_label_of_the_others(providers: Dataset) -> None:
    rows, signs = providers.labelled, [f.sign for f in providers.features]
    some = np.arange(0, len(rows), 2)
    values, labels = providers.values[rows], providers.labels[rows]
    shared = Shared(values, bin_seed=1)
    fit_ensemble(shared, 1 - labels, providers.names, signs, spec().parameters, 1)
    own = {"rows": some, "weights": np.linspace(0.5, 1.5, len(some))}
    after = fit_ensemble(shared, labels[some], providers.names, signs, spec().parameters, 2, **own)
    first = fit_ensemble(Shared(values, bin_seed=1), labels[some], providers.names, signs, spec().parameters, 2, **own)
    assert after.texts == first.texts
    assert roc_auc(labels[some], after.margins(values[some])) > 0.8


def test_rows_of_an_array_are_fitted_on_as_if_they_were_all(providers: Dataset) -> None:
    rows, signs = providers.labelled, [f.sign for f in providers.features]
    given = providers.labels[rows], providers.names, signs, spec().parameters, 1
    assert fit_ensemble(providers.values, *given, rows=rows).texts == fit_ensemble(providers.values[rows], *given).texts
