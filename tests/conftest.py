"""Fixtures that several test packages share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from fraud.claims.folder import ClaimsFolder
from fraud.learning.model import FittedModel
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.examples import ExampleWorld
from tests.once import once
from tests.store.servers import Server, own_server, server_of_the_run

pytest_plugins = ["tests.requirements_plugin"]

ROOM = Path(__file__).resolve().parent
ROOT = ROOM.parent
# Nothing in a test may call home.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# Files with most work go first, so that the worker that ends last has little left: measured, in this order.
LONGEST = (
    "signals/test_spark.py",
    "signals/test_contract.py",
    "scoring/test_parity.py",
    "web/test_explained.py",
    "features/test_detection.py",
    "signals/test_evidence.py",
    "claims/test_simulation_leaks.py",
    "notebooks/test_notebooks.py",
    "claims/test_importing.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders files by how much work they are; within a file tests stay as they are written."""
    turn = {ROOM / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: turn.get(item.path, len(turn)))


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """The signal catalogue of this checkout."""
    return load_catalogue(ROOT / "features")


@pytest.fixture(scope="session")
def example_world(catalogue: Catalogue) -> Iterator[ExampleWorld]:
    """Where the examples of signals are computed."""
    with ExampleWorld(catalogue) as place:
        yield place


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> ClaimsFolder:
    """A small simulated city with planted schemes."""
    from fraud.claims.simulation import simulate

    made = once(tmp_path_factory, "city", lambda to: simulate(to / "claims", seed=11, claims=4_000))
    return ClaimsFolder(made / "claims")


@pytest.fixture(scope="session")
def clean_city(tmp_path_factory: pytest.TempPathFactory) -> ClaimsFolder:
    """The same without any scheme: everybody is honest."""
    from fraud.claims.simulation import simulate

    made = once(tmp_path_factory, "clean", lambda to: simulate(to / "claims", seed=12, claims=4_000, schemes=False))
    return ClaimsFolder(made / "claims")


@pytest.fixture(scope="session")
def cms_raw() -> Path:
    """The public Medicare files, where they are at hand."""
    path = Path(os.environ.get("FRAUD_CMS_DATA", ROOT.parent / "shared/data/cms_provider_fraud"))
    if not path.is_dir():
        pytest.skip("the public CMS files are not here; set FRAUD_CMS_DATA to their folder")
    return path


@pytest.fixture(scope="session")
def tracking(tmp_path_factory: pytest.TempPathFactory, city: ClaimsFolder, catalogue: Catalogue) -> tuple[str, Path]:
    """A real MLflow on SQLite, where version 1 of the model of claims is registered: its address and artifacts."""

    def fitted(to: Path) -> None:
        from fraud.learning import load_spec, train

        # Fewer folds and rows than in earnest: most tests ask what a model says, not how good it is.
        spec = load_spec(ROOT / "models/claim_risk.toml")
        quick = replace(spec, split=replace(spec.split, folds=2, repeats=1), sample=1_000)
        train(quick, city, catalogue, tracking_uri=_address(to), artifacts=to / "artifacts")

    folder = once(tmp_path_factory, "tracking", fitted)
    return _address(folder), folder / "artifacts"


def _address(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


@pytest.fixture(scope="session")
def claim_model(catalogue: Catalogue, tracking: tuple[str, Path]) -> FittedModel:
    """The model of claims, fitted on the small city."""
    from fraud.learning import load_model

    return load_model("claim_risk", "1", tracking[0], catalogue)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The PostgreSQL of this run."""
    yield from server_of_the_run(tmp_path_factory)


@pytest.fixture
def stoppable() -> Iterator[Server]:
    """A PostgreSQL that the test may stop."""
    yield from own_server()
