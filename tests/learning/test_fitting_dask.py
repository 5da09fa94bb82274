"""Fitting on Dask: two worker processes find what this process finds, or a clear message says what is missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from fraud.errors import InputError
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.fitting import Ensemble, fit_ensemble, fitting_on
from fraud.learning.metrics import average_precision
from fraud.learning.validation.evaluation import evaluate
from tests.learning.town import spec

pytest.importorskip("distributed", reason="dask and distributed are an option")


def _fit(dataset: Dataset, seed: int = 1, weights: np.ndarray | None = None) -> Ensemble:
    rows, signs = dataset.labelled[::2], [f.sign for f in dataset.features]
    values, labels = dataset.values[rows], dataset.labels[rows]
    return fit_ensemble(values, labels, dataset.names, signs, spec().parameters, seed, weights=weights)


@pytest.fixture(scope="module")
def local(providers: Dataset) -> list[np.ndarray]:
    """Margins from this process, with several seeds."""
    return [_fit(providers, seed).margins(providers.values) for seed in range(1, 9)]


@pytest.fixture(scope="module")
def _cluster(local: list[np.ndarray]) -> Iterator[None]:
    """Two real worker processes, that are given small tables, too; what is compared with was fitted here before."""
    with pytest.MonkeyPatch.context() as patch, fitting_on("dask", workers=2):
        patch.setattr("fraud.learning.fitting._CELLS_FOR_CLUSTER", 0)
        yield


@pytest.fixture(scope="module")
def shared(providers: Dataset, _cluster: None) -> Ensemble:
    """The same fit, by the workers."""
    return _fit(providers)


@pytest.mark.full
def test_two_workers_rank_as_this_process_does_within_the_noise_of_seeds(
    shared: Ensemble, local: list[np.ndarray], providers: Dataset
) -> None:
    rows = providers.labelled[1::2]
    labels = providers.labels[rows]
    here = np.array([average_precision(labels, margins[rows]) for margins in local])
    there = average_precision(labels, shared.margins(providers.values)[rows])
    assert abs(there - here.mean()) < max(3 * here.std(ddof=1), 0.03)
    alike = [np.corrcoef(local[0], other)[0, 1] for other in local[1:]]
    assert np.corrcoef(local[0], shared.margins(providers.values))[0, 1] > min(alike) - 0.05


@pytest.mark.full
def test_what_the_workers_fitted_is_an_ensemble_like_any_other(shared: Ensemble, providers: Dataset) -> None:
    assert tuple(shared.boosters[0].feature_name()) == providers.names
    assert len(shared.boosters) == spec().parameters.bags
    assert Ensemble.from_texts(shared.texts).texts == shared.texts
    base_and_parts = shared.contributions(providers.values).sum(axis=1)
    np.testing.assert_allclose(base_and_parts, shared.margins(providers.values), atol=1e-9)


@pytest.mark.full
def test_directions_hold_on_workers_too(shared: Ensemble, providers: Dataset) -> None:
    column = next(i for i, f in enumerate(providers.features) if f.sign > 0)
    rows = np.repeat(providers.values[:1], 25, axis=0)
    rows[:, column] = np.nanquantile(providers.values[:, column], np.linspace(0, 1, 25))
    assert (np.diff(shared.margins(rows)) >= -1e-12).all()


@pytest.mark.full
def test_weights_reach_the_workers(shared: Ensemble, providers: Dataset) -> None:
    labels = providers.labels[providers.labelled[::2]]
    heavier = _fit(providers, weights=np.where(labels == 1, 4.0, 1.0))
    assert heavier.margins(providers.values).mean() > shared.margins(providers.values).mean() + 0.5


@pytest.mark.full
@pytest.mark.usefixtures("_cluster")
def test_nothing_but_data_goes_to_stdout(providers: Dataset, capfd: pytest.CaptureFixture[str]) -> None:
    _fit(providers)
    assert capfd.readouterr().out == ""


@pytest.mark.full
@pytest.mark.usefixtures("_cluster")
def test_a_small_table_is_not_sent_around(
    local: list[np.ndarray], providers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fraud.learning.fitting._CELLS_FOR_CLUSTER", providers.values.size + 1)
    np.testing.assert_array_equal(_fit(providers).margins(providers.values), local[0])


@pytest.mark.full
@pytest.mark.usefixtures("_cluster")
def test_the_same_training_agrees_within_the_noise_of_its_folds(
    providers: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every fold, its calibration and the baselines are fitted by the workers."""
    there = evaluate(providers, spec())
    monkeypatch.setattr("fraud.learning.fitting._CELLS_FOR_CLUSTER", providers.values.size + 1)
    here = evaluate(providers, spec())
    assert there.margins.tolist() != here.margins.tolist()
    for metric in ("average_precision", "precision_at_k", "roc_auc"):
        noise = here.sd("model", metric) / np.sqrt(len(here.values("model", metric)))
        assert abs(there.mean("model", metric) - here.mean("model", metric)) < 2 * noise, metric


def test_without_the_packages_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'dask\[array\]' distributed"), fitting_on("dask"):
        pass


@pytest.mark.parametrize(
    ("engine", "scheduler", "message"),
    [
        ("dusk", None, "no engine 'dusk'; did you mean \"dask\""),
        ("local", "tcp://127.0.0.1:8786", "of use to --engine dask only"),
        ("dask", "127.0.0.1", "no Dask scheduler answers at '127.0.0.1'"),
        ("dask", "tcp://127.0.0.1:9", "no Dask scheduler answers at 'tcp://127.0.0.1:9'"),
    ],
)
def test_an_engine_that_cannot_be_used_is_refused(
    engine: str, scheduler: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fraud.learning.fitting._SECONDS_TO_CONNECT", 0.3)
    with pytest.raises(InputError, match=message), fitting_on(engine, scheduler):
        pass
