"""Fitted models as files: what is loaded is what was saved, or it is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fraud.errors import CatalogueError, InputError
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.model import FittedModel
from fraud.learning.training import fit_model
from fraud.learning.validation.evaluation import Evaluation
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.peers import learn_peers
from tests.learning.town import spec, write_room


def test_a_loaded_model_scores_exactly_as_the_saved_one(
    model: FittedModel, providers: Dataset, room: Catalogue, tmp_path: Path
) -> None:
    loaded = FittedModel.load(model.save(tmp_path), room)
    assert loaded.digest == model.digest
    assert loaded.spec == model.spec
    np.testing.assert_array_equal(loaded.margins(providers.values), model.margins(providers.values))
    probabilities = model.probability(model.margins(providers.values))
    np.testing.assert_array_equal(loaded.percentile(probabilities), model.percentile(probabilities))


def test_norms_and_peers_come_back_as_they_were(model: FittedModel, tmp_path: Path) -> None:
    loaded = FittedModel.load(model.save(tmp_path)).reference
    assert loaded.norms.equals(model.reference.norms)
    first, second = model.reference.peers["provider"], loaded.peers["provider"]
    assert first.names == second.names
    assert list(first.groups) == list(second.groups)
    for key, group in first.groups.items():
        np.testing.assert_array_equal(group.quantiles, second.groups[key].quantiles)
        np.testing.assert_array_equal(group.median, second.groups[key].median)
        assert group.n == second.groups[key].n


def test_a_loaded_model_compares_rates_as_the_saved_one_did(model: FittedModel, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    shares, totals = random.uniform(0, 0.4, (60, 1)), random.integers(1, 30, (60, 1)).astype(float)
    peers = learn_peers("provider", ["provider.share"], shares, [("hospital", "tertiary", "N")] * 60, totals)
    rated = replace(model, reference=replace(model.reference, peers={"provider": peers}))
    loaded = FittedModel.load(rated.save(tmp_path))
    assert loaded.digest == rated.digest
    saved_z, loaded_z = (m.reference.peers["provider"].groups[()].z(shares, totals) for m in (rated, loaded))
    np.testing.assert_array_equal(loaded_z, saved_z)
    assert loaded.save(tmp_path / "again").is_dir()


def test_a_model_is_plain_files_without_a_pickle(model: FittedModel, tmp_path: Path) -> None:
    names = {p.name for p in model.save(tmp_path).iterdir()}
    assert names == {"model.json", "booster-0.txt", "booster-1.txt", "norms.parquet", "origin.parquet", "peers.parquet"}


def test_no_identifier_of_a_provider_is_in_the_files(model: FittedModel, providers: Dataset, tmp_path: Path) -> None:
    text = b"".join(p.read_bytes() for p in model.save(tmp_path).iterdir())
    assert not [i for i in providers.ids if i.encode() in text]


def test_the_same_data_spec_and_seed_give_the_same_digest(
    providers: Dataset, evaluation: Evaluation, model: FittedModel
) -> None:
    assert fit_model(providers, spec(), evaluation).digest == model.digest
    assert fit_model(providers, replace(spec(), seed=12), evaluation).digest != model.digest


def test_probabilities_follow_the_margin_and_percentiles_the_probability(
    model: FittedModel, providers: Dataset
) -> None:
    margins = np.sort(model.margins(providers.values))
    probabilities = model.probability(margins)
    assert (np.diff(probabilities) >= 0).all()
    assert (np.diff(model.percentile(probabilities)) >= 0).all()
    assert probabilities[0] > 0
    assert probabilities[-1] < 1


def test_a_model_of_another_catalogue_is_refused_and_the_signals_are_named(model: FittedModel, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    room = tmp_path / "features"
    write_room(room)
    size = room / "provider" / "size.py"
    size.write_text(size.read_text("utf-8").replace("window.stay_days.mean()", "window.stay_days.max()"), "utf-8")
    with pytest.raises(CatalogueError, match=r"provider\.mean_stay has changed\. Train it again"):
        FittedModel.load(folder, load_catalogue(room))
    size.write_text(size.read_text("utf-8").replace("def mean_weekday", "def another_name"), "utf-8")
    with pytest.raises(CatalogueError, match=r"provider\.mean_weekday is gone; provider\.mean_stay has changed"):
        FittedModel.load(folder, load_catalogue(room))


def test_signals_that_the_model_does_not_read_may_change(model: FittedModel, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    room = tmp_path / "features"
    write_room(room)
    amounts = room / "claim" / "amounts.py"
    amounts.write_text(amounts.read_text("utf-8").replace("claim.stay_days", "claim.stay_days + 1"), "utf-8")
    assert FittedModel.load(folder, load_catalogue(room)).name == "provider_risk"


def test_files_that_were_changed_are_refused(model: FittedModel, tmp_path: Path) -> None:
    folder = model.save(tmp_path)
    head = json.loads((folder / "model.json").read_text("utf-8"))
    head["calibration"]["intercept"] += 1
    (folder / "model.json").write_text(json.dumps(head), "utf-8")
    with pytest.raises(InputError, match="not those that were written"):
        FittedModel.load(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no fitted model"):
        FittedModel.load(tmp_path)


def test_rows_of_another_width_are_refused(model: FittedModel) -> None:
    with pytest.raises(InputError, match=f"rows of {len(model.names)} features"):
        model.margins(np.zeros((1, 2)))
