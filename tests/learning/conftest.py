"""One town, its datasets and one tracking server for all tests of learning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.learning.datasets.dataset import Dataset, build_dataset
from fraud.learning.model import FittedModel
from fraud.learning.training import TrainingResult, fit_model, train
from fraud.learning.validation.evaluation import Evaluation, evaluate
from fraud.signals.catalogue import Catalogue
from tests.learning.governed import Governed, write_governed
from tests.learning.town import CLAIM_SPEC, spec, write_room, write_town


@dataclass(frozen=True)
class Server:
    """Where runs are kept in a test."""

    folder: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/tracking.db"

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return write_room(tmp_path_factory.mktemp("room") / "features")


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> ClaimsFolder:
    return write_town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return Server(tmp_path_factory.mktemp("tracking"))


@pytest.fixture(scope="session")
def providers(town: ClaimsFolder, room: Catalogue) -> Dataset:
    return build_dataset(town, spec(), room)


@pytest.fixture(scope="session")
def claims(town: ClaimsFolder, room: Catalogue) -> Dataset:
    return build_dataset(town, spec(CLAIM_SPEC), room)


@pytest.fixture(scope="session")
def evaluation(providers: Dataset) -> Evaluation:
    return evaluate(providers, spec())


@pytest.fixture(scope="session")
def model(providers: Dataset, evaluation: Evaluation) -> FittedModel:
    return fit_model(providers, spec(), evaluation)


@pytest.fixture(scope="session")
def trained(
    town: ClaimsFolder, room: Catalogue, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> TrainingResult:
    lock = tmp_path_factory.mktemp("lock") / "requirements.lock"
    lock.write_text("lightgbm==4.7.0\n", "utf-8")
    return train(spec(), town, room, tracking_uri=server.uri, artifacts=server.artifacts, lock_file=lock)


@pytest.fixture(scope="session")
def governed(room: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Governed:
    return write_governed(tmp_path_factory.mktemp("governed"), room)
