"""Connections: one engine that writes durably, one that reads without waiting for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fraud.errors import SpecError
from fraud.store.shapes import StoreBusyError

__all__ = ["BUSY_MS", "Database", "open_database", "rows"]

# How long a writer waits for another one.
BUSY_MS = 5_000
_MMAP_BYTES = 1 << 30
# WAL lets readers go on while one writes; FULL syncs the log at each commit, so that what was acknowledged
# outlives a power cut.
_WRITING = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA mmap_size={_MMAP_BYTES}",
)
_READING = (f"PRAGMA mmap_size={_MMAP_BYTES}", "PRAGMA query_only=ON")


@dataclass(frozen=True)
class Database:
    """The two engines of one database."""

    writing: Engine
    reading: Engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in one transaction, durable when the block ends."""
        with _reached(), self.writing.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads, each statement for itself."""
        with _reached(), self.reading.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.reading.dispose()
        self.writing.dispose()


def rows(
    connection: Connection, query: sa.Select[*tuple[Any, ...]], values: Mapping[str, object]
) -> tuple[dict[str, Any], ...]:
    """The rows of a query as plain dictionaries."""
    result = connection.execute(query, values)
    # SQLAlchemy's names are a kind of str that JSON writers refuse.
    columns = list(map(str, result.keys()))
    return tuple([dict(zip(columns, row, strict=False)) for row in result.all()])


def open_database(url: str, busy_ms: int = BUSY_MS) -> Database:
    """The database of a SQLAlchemy URL; raises `SpecError` for one that cannot be used."""
    parsed = _parsed(url)
    if parsed.get_backend_name() != "sqlite":
        writing = sa.create_engine(parsed, pool_pre_ping=True)
        return Database(writing, writing.execution_options(isolation_level="AUTOCOMMIT"))
    if not parsed.database or parsed.database == ":memory:":
        raise SpecError(f"{url}: the service's database must outlive the process. Name a file: sqlite:///fraud.db")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return Database(_sqlite_writing(parsed, busy_ms), _sqlite_reading(parsed, busy_ms))


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise SpecError(
            "The database address is not a SQLAlchemy URL. Write one such as sqlite:////var/lib/fraud/fraud.db"
        ) from error


def _sqlite_writing(url: URL, busy_ms: int) -> Engine:
    # One connection: SQLite has one writer at a time, and waiting in the pool is fairer than on its lock.
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=busy_ms / 1e3)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        _run(connection, (f"PRAGMA busy_timeout={busy_ms}", *_WRITING))

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _sqlite_reading(url: URL, busy_ms: int) -> Engine:
    engine = sa.create_engine(url, pool_size=8, max_overflow=8, pool_reset_on_return=None, isolation_level="AUTOCOMMIT")
    statements = (f"PRAGMA busy_timeout={busy_ms}", *_READING)
    sa.event.listen(engine, "connect", lambda connection, _: _run(connection, statements))
    return engine


def _run(connection: Any, statements: tuple[str, ...]) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


@contextmanager
def _reached() -> Iterator[None]:
    """Turns what the driver says of an unreachable or locked database into `StoreBusyError`."""
    try:
        yield
    except (OperationalError, PoolTimeoutError) as error:
        raise StoreBusyError("The database cannot be reached or is busy. Try again in a moment.") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise StoreBusyError("The connection to the database was lost. Try again in a moment.") from error
