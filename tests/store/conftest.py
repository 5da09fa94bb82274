"""The store on every engine that it is promised for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fraud.store import Store
from tests.store.servers import Server


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without rows, once on each engine."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'store.db'}"
        Store(made).close()
        yield made
        return
    server: Server = request.getfixturevalue("postgres")
    made = server.ready_database()
    yield made
    server.drop(made)


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without tables, once on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Server = request.getfixturevalue("postgres")
    made = server.new_database()
    yield made
    server.drop(made)
