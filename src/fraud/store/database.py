"""Connections: engines that write durably and engines that only read, on SQLite and PostgreSQL."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fraud.errors import SpecError
from fraud.store.postgres import code_of, postgres_engines, with_driver
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
# What PostgreSQL says when two transactions stood in each other's way: serialization failure, deadlock, and a key
# that another one inserted a moment ago. The same work done again sees what the other one did.
_IN_THE_WAY = frozenset({"40001", "40P01", "23505"})
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.01
# Classes of faults of the server or the way to it, not of a statement: connection, resources, limits of time,
# operator (a server that stops or starts), system. A lock that was waited for too long, and a standby, too.
_BUSY = ("08", "53", "57", "58", "40", "55P03", "25006")
# The server is there and will not let us in.
_REFUSED = ("28", "3D", "42501")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Database:
    """The engines of one database; `patient` is for work that may take hours, such as loading and migrating."""

    writing: Engine
    reading: Engine
    patient: Engine

    def write(self) -> AbstractContextManager[Connection]:
        """A connection in one transaction, durable when the block ends."""
        return _begun(self.writing)

    def write_patiently(self) -> AbstractContextManager[Connection]:
        """The same without a limit on how long a statement takes."""
        return _begun(self.patient)

    def transact(self, work: Callable[[Connection], Result], *, patiently: bool = False) -> Result:
        """What the work returns, done in one transaction, and again when another one stood in its way.

        The work may run several times, so it must have no effect but those in the transaction.
        """
        engine = self.patient if patiently else self.writing
        for attempt in range(1, _ATTEMPTS):
            try:
                with _reached(), _conflicts(), engine.begin() as connection:
                    return work(connection)
            except _InTheWay:
                # Of two that met, one should be first the next time.
                time.sleep(_PAUSE_SECONDS * 2**attempt * random.random())
        with _begun(engine) as connection:
            return work(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads, each statement for itself."""
        with _reached(), self.reading.connect() as connection:
            yield connection

    @contextmanager
    def read_all(self) -> Iterator[Connection]:
        """A connection that reads everything as it is at one moment, for as long as it takes."""
        on_sqlite = self.reading.dialect.name == "sqlite"
        with _reached(), (self.reading if on_sqlite else self.patient).connect() as connection:
            if on_sqlite:
                connection.exec_driver_sql("BEGIN")
            else:
                connection.execution_options(isolation_level="REPEATABLE READ")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK") if on_sqlite else connection.rollback()

    def close(self) -> None:
        """Close all connections."""
        for engine in {self.reading, self.writing, self.patient}:
            engine.dispose()


class _InTheWay(Exception):
    """Another transaction stood in the way; the cause is what the driver said."""


def rows(
    connection: Connection, query: sa.Select[*tuple[Any, ...]], values: Mapping[str, object]
) -> tuple[dict[str, Any], ...]:
    """The rows of a query as plain dictionaries."""
    result = connection.execute(query, values)
    # SQLAlchemy's names are a kind of str that JSON writers refuse.
    columns = list(map(str, result.keys()))
    return tuple([dict(zip(columns, row, strict=False)) for row in result.all()])


def open_database(url: str, busy_ms: int = BUSY_MS) -> Database:
    """The database of a SQLAlchemy URL; raises `SpecError` for one that cannot be used.

    `postgresql://` without a driver means pg8000, which comes with the extra `postgres`.
    """
    parsed = with_driver(_parsed(url))
    try:
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed, busy_ms)
        return Database(*postgres_engines(parsed, busy_ms))
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise SpecError(
            f"The driver of {parsed.drivername} is not installed. For PostgreSQL: pip install 'fraud[postgres]', and "
            "write the address as postgresql+pg8000://user@host/database"
        ) from error


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise SpecError(
            "The database address is not a SQLAlchemy URL. Write one such as sqlite:////var/lib/fraud/fraud.db"
        ) from error


def _sqlite(url: URL, busy_ms: int) -> Database:
    if not url.database or url.database == ":memory:":
        raise SpecError(f"{url}: the service's database must outlive the process. Name a file: sqlite:///fraud.db")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    writing = _sqlite_writing(url, busy_ms)
    return Database(writing, _sqlite_reading(url, busy_ms), writing)


def _sqlite_writing(url: URL, busy_ms: int) -> Engine:
    # One connection: SQLite has one writer at a time, and waiting in the pool is fairer than on its lock.
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=busy_ms / 1e3, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        _run(connection, (f"PRAGMA busy_timeout={busy_ms}", *_WRITING))

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _sqlite_reading(url: URL, busy_ms: int) -> Engine:
    pool = {"pool_size": 8, "max_overflow": 8, "pool_reset_on_return": None}
    # What a statement was given names persons: no message of an error repeats it.
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True, **pool)
    statements = (f"PRAGMA busy_timeout={busy_ms}", *_READING)
    sa.event.listen(engine, "connect", lambda connection, _: _run(connection, statements))
    return engine


def _run(connection: Any, statements: tuple[str, ...]) -> None:
    cursor = connection.cursor()
    for statement in statements:
        cursor.execute(statement)
    cursor.close()


@contextmanager
def _begun(engine: Engine) -> Iterator[Connection]:
    with _reached(), engine.begin() as connection:
        yield connection


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if code_of(error) in _IN_THE_WAY:
            raise _InTheWay from error
        raise


@contextmanager
def _reached() -> Iterator[None]:
    """Turns what the driver says of an unreachable or locked database into `StoreBusyError`."""
    try:
        yield
    except DBAPIError as error:
        code = code_of(error)
        if code.startswith(_REFUSED):
            raise SpecError(
                "The database server refuses us: no such user or database, a wrong password, or too few rights. "
                "Check FRAUD_DATABASE_URL, and that its user may create tables in its schema."
            ) from error
        if not (code.startswith(_BUSY) or error.connection_invalidated or _is_unreachable(error)):
            raise
        raise StoreBusyError("The database cannot be reached or is busy. Try again in a moment.") from error
    except (PoolTimeoutError, ConnectionError, TimeoutError) as error:
        raise StoreBusyError("The database cannot be reached or is busy. Try again in a moment.") from error


def _is_unreachable(error: DBAPIError) -> bool:
    """Without a code: SQLite's locked or missing file, and a server that does not answer at all."""
    return not code_of(error) and isinstance(error, (OperationalError, InterfaceError))
