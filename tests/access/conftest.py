from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Keys, Store
from fraud.web.access.guard import Guard
from fraud.web.app import build_app
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.access.parts import Clock, Ticks
from tests.store.servers import Server, server_of_the_run
from tests.web.client import Client
from tests.web.room import write_room


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with its tables: copying it is faster than making them."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    Store(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The PostgreSQL of this run."""
    yield from server_of_the_run(tmp_path_factory)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, template: Path) -> Iterator[str]:
    """The address of an empty database: on SQLite, and for a test with `EVERYWHERE` on PostgreSQL too."""
    if getattr(request, "param", "sqlite") == "sqlite":
        shutil.copyfile(template, tmp_path / "service.db")
        yield f"sqlite:///{tmp_path / 'service.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    made = server.ready_database()
    yield made
    server.drop(made)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url, busy_ms=60_000) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def keys(store: Store, clock: Clock) -> Keys:
    return Keys(store.database, clock)


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalogue, ClaimScorer]:
    """Two rules, so that the service starts at once."""
    catalogue = load_catalogue(write_room(tmp_path_factory.mktemp("home")) / "features")
    return catalogue, ClaimScorer(catalogue, None)


@pytest.fixture
def runtime(store: Store, room: tuple[Catalogue, ClaimScorer], clock: Clock, ticks: Ticks) -> Iterator[Runtime]:
    made = Runtime(store, *room, Models(), now=lambda: datetime(2026, 3, 1, 9))
    made.guard.close()
    made.guard = Guard(store, clock=clock, ticks=ticks)
    yield made
    made.guard.close()


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    opened = Client(build_app(runtime, Door(seconds=60)))
    yield opened
    opened.close()
