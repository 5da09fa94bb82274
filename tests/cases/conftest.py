from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from fraud.review.cases import Casework
from fraud.store import Store
from tests.cases.parts import Clock
from tests.once import once
from tests.store.servers import Server


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without rows: on SQLite, and for a test with `EVERYWHERE` on PostgreSQL too."""
    if getattr(request, "param", "sqlite") == "sqlite":
        folders: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        template = once(folders, "empty-store", lambda to: Store(f"sqlite:///{to / 'empty.db'}").close())
        shutil.copyfile(template / "empty.db", tmp_path / "cases.db")
        yield f"sqlite:///{tmp_path / 'cases.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    made = server.ready_database()
    yield made
    server.drop(made)


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    with Store(address, busy_ms=60_000) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 2, 9))


@pytest.fixture
def work(store: Store, clock: Clock) -> Casework:
    return Casework(store, clock=clock)
