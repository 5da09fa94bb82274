from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue
from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.running.door import Door
from fraud.web.running.runtime import Runtime
from tests.exchange.rooms import runtime_on, small_catalogue
from tests.web.client import Client


@pytest.fixture(scope="session")
def two_rules(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return small_catalogue(tmp_path_factory.mktemp("room"))


@pytest.fixture(scope="session")
def scorer(two_rules: Catalogue) -> ClaimScorer:
    return ClaimScorer(two_rules, None)


@pytest.fixture(scope="session")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows, to be copied: making its tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("blank") / "service.db"
    Store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def store(blank: Path, tmp_path: Path) -> Iterator[Store]:
    path = shutil.copy(blank, tmp_path / "service.db")
    with Store(f"sqlite:///{path}", busy_ms=60_000) as opened:
        yield opened


@pytest.fixture
def runtime(store: Store, two_rules: Catalogue, scorer: ClaimScorer) -> Iterator[Runtime]:
    made = runtime_on(store, two_rules, scorer)
    yield made
    made.guard.close()
    made.histories.close()


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    opened = Client(build_app(runtime, Door(seconds=60)))
    yield opened
    opened.close()
