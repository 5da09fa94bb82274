"""Fixtures that several test packages share."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.learning.model import FittedModel
from fraud.signals.catalogue import Catalogue, load_catalogue

pytest_plugins = ["tests.requirements_plugin"]

ROOT = Path(__file__).resolve().parents[1]
# Nothing in a test may call home.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The signal catalogue of this checkout."""
    return load_catalogue(ROOT / "features")


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> ClaimsFolder:
    """A small simulated city with planted schemes."""
    from fraud.claims.simulation import simulate

    to = tmp_path_factory.mktemp("city") / "claims"
    simulate(to, seed=11, claims=4_000)
    return ClaimsFolder(to)


@pytest.fixture(scope="session")
def clean_city(tmp_path_factory: pytest.TempPathFactory) -> ClaimsFolder:
    """The same without any scheme: everybody is honest."""
    from fraud.claims.simulation import simulate

    to = tmp_path_factory.mktemp("clean") / "claims"
    simulate(to, seed=12, claims=4_000, schemes=False)
    return ClaimsFolder(to)


@pytest.fixture(scope="session")
def cms_raw() -> Path:
    """The public Medicare files, where they are at hand."""
    path = Path(os.environ.get("FRAUD_CMS_DATA", ROOT.parent / "shared/data/cms_provider_fraud"))
    if not path.is_dir():
        pytest.skip("the public CMS files are not here; set FRAUD_CMS_DATA to their folder")
    return path


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A real MLflow on SQLite: its address, and the folder of its artifacts."""
    folder = tmp_path_factory.mktemp("tracking")
    return f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts"


@pytest.fixture(scope="session")
def claim_model(city: ClaimsFolder, catalogue: Catalogue, tracking: tuple[str, Path]) -> FittedModel:
    """The model of claims, fitted on the small city with fewer folds."""
    from fraud.learning import load_model, load_spec, train

    spec = load_spec(ROOT / "models/claim_risk.toml")
    quick = replace(spec, split=replace(spec.split, folds=3, repeats=1))
    uri, artifacts = tracking
    result = train(quick, city, catalogue, tracking_uri=uri, artifacts=artifacts)
    return load_model("claim_risk", str(result.version), uri, catalogue)
