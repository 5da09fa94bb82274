"""The public Medicare labels: the figures that the project promises, and the alarm that guards them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.claims.importing import import_claims
from fraud.learning import load_spec
from fraud.learning.datasets.dataset import Dataset, Feature, build_dataset
from fraud.learning.spec import ModelSpec
from fraud.learning.validation.evaluation import MODEL, Evaluation, evaluate
from fraud.learning.validation.gates import decide
from fraud.signals.catalogue import Catalogue

pytestmark = pytest.mark.full
SPEC = Path(__file__).resolve().parents[2] / "models" / "provider_risk.toml"


@pytest.fixture(scope="module")
def medicare_spec() -> ModelSpec:
    return load_spec(SPEC)


@pytest.fixture(scope="module")
def medicare(
    cms_raw: Path, catalogue: Catalogue, medicare_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory
) -> Dataset:
    to = import_claims("cms", cms_raw, tmp_path_factory.mktemp("medicare") / "claims").to
    return build_dataset(ClaimsFolder(to), medicare_spec, catalogue)


@pytest.fixture(scope="module")
def measured(medicare: Dataset, medicare_spec: ModelSpec) -> Evaluation:
    return evaluate(medicare, medicare_spec)


def test_providers_are_ranked_at_least_as_well_as_promised(measured: Evaluation) -> None:
    """The floors are those of the public anchors for inpatient claims alone (.909 and .746)."""
    assert measured.mean(MODEL, "roc_auc") >= 0.91
    assert measured.mean(MODEL, "average_precision") >= 0.75
    assert measured.pooled()["precision_at_k"] >= 0.9


def test_the_model_beats_every_baseline(measured: Evaluation) -> None:
    for name in ("single_feature", "logistic", "scale_free", "peers"):
        assert measured.mean(MODEL, "average_precision") > measured.mean(name, "average_precision"), name


def test_more_than_the_size_of_a_provider_is_found(measured: Evaluation) -> None:
    assert measured.mean("scale_free", "average_precision") > 0.624, "the best published scale-free figure"


def test_probabilities_can_be_read_as_shares(measured: Evaluation) -> None:
    assert max(abs(p["predicted"] - p["found"]) for p in measured.reliability()) < 0.08


def test_labels_shuffled_among_providers_are_ranked_at_chance(medicare: Dataset, medicare_spec: ModelSpec) -> None:
    labels = medicare.labels.copy()
    labels[medicare.labelled] = np.random.default_rng(1).permutation(labels[medicare.labelled])
    once = replace(medicare_spec, split=replace(medicare_spec.split, repeats=1))
    found = evaluate(replace(medicare, labels=labels), once)
    assert found.mean(MODEL, "roc_auc") == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("noise", [0.25, 0.5, 1.0])
def test_a_planted_target_encoded_column_rings_the_alarm(
    medicare: Dataset, medicare_spec: ModelSpec, noise: float
) -> None:
    encoded = np.nan_to_num(medicare.labels, nan=0.2) + np.random.default_rng(6).normal(0, noise, len(medicare))
    leaking = medicare.with_feature(Feature("provider.encoded", "provider.encoded", 1, False), encoded)
    once = replace(medicare_spec, split=replace(medicare_spec.split, repeats=1))
    promotion = decide(once, evaluate(leaking, once))
    assert promotion.alias == "challenger"
    assert any(r.startswith("leak alarm") for r in promotion.reasons)
