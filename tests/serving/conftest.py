from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.web.client import Client
from tests.web.room import write_room


@pytest.fixture(scope="session")
def two_rules(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """A catalogue of two rules, so that what a service finds is known."""
    return load_catalogue(write_room(tmp_path_factory.mktemp("two-rules")) / "features")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(f"sqlite:///{tmp_path / 'service.db'}", busy_ms=60_000) as opened:
        yield opened


@pytest.fixture
def runtime(store: Store, two_rules: Catalogue) -> Runtime:
    return Runtime(store, two_rules, ClaimScorer(two_rules, None), Models(), now=lambda: datetime(2024, 4, 1))


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    opened = Client(build_app(runtime, Door(seconds=60)))
    yield opened
    opened.close()
