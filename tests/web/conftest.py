from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue
from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.web.client import Client


@pytest.fixture(scope="session")
def rules_only(catalogue: Catalogue) -> ClaimScorer:
    """The scorer of a service without any model."""
    return ClaimScorer(catalogue, None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    # A busy machine may sync its disk for seconds; a test that wants a short wait opens a store of its own.
    with Store(f"sqlite:///{tmp_path / 'service.db'}", busy_ms=60_000) as opened:
        yield opened


@pytest.fixture
def runtime(store: Store, catalogue: Catalogue, rules_only: ClaimScorer) -> Runtime:
    return Runtime(store, catalogue, rules_only, Models(), now=lambda: datetime(2024, 4, 1, 12, 0, 0, 123456))


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    # The first claim waits for its signals to be compiled: on a busy machine longer than a caller would.
    opened = Client(build_app(runtime, Door(seconds=60)))
    yield opened
    opened.close()
