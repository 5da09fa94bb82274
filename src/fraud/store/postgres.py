"""Engines for PostgreSQL, by way of any driver that SQLAlchemy knows; pg8000 unless told otherwise."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from fraud.errors import SpecError

__all__ = ["code_of", "insert_many", "postgres_engines", "with_driver"]

# How far back the causes of a fault are followed.
_DEPTH = 6
_POOL = {"pool_size": 8, "max_overflow": 8, "pool_use_lifo": True, "pool_recycle": 1_800}
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def with_driver(url: URL) -> URL:
    """The address with pg8000 as driver where it names none."""
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+pg8000")
    return url


def code_of(error: DBAPIError) -> str:
    """The five letters by which PostgreSQL names a fault; empty where there are none, as on SQLite."""
    told: BaseException | None = error.orig
    # A server that refuses hangs up, and what the driver says of that hides why: the reason is further down.
    for _ in range(_DEPTH):
        if told is None:
            break
        if found := _own_code(told):
            return found
        told = told.__cause__ or told.__context__
    return ""


def _own_code(told: Any) -> str:
    found = getattr(told, "sqlstate", None) or getattr(told, "pgcode", None)
    if found is None and told.args and isinstance(told.args[0], dict):
        found = told.args[0].get("C")
    return str(found or "")


def postgres_engines(url: URL, busy_ms: int) -> tuple[Engine, Engine, Engine]:
    """Engines that write, that read, and that may take their time.

    A statement of the first two ends after `busy_ms`, and so does waiting for a lock or for a connection.
    """
    address, arguments = _arguments(url, busy_ms)
    writing = sa.create_engine(
        # A connection is asked for a sign of life first: after a restart of the server the next request works.
        address,
        pool_pre_ping=True,
        pool_timeout=busy_ms / 1e3,
        connect_args=arguments,
        hide_parameters=True,
        **_POOL,
    )
    patient = sa.create_engine(address, poolclass=NullPool, connect_args=_untimed(arguments), hide_parameters=True)
    for engine, limit in ((writing, busy_ms), (patient, 0)):
        # Many rows in one statement: row by row, each would wait for the server.
        engine.dialect.use_insertmanyvalues_wo_returning = True
        sa.event.listen(engine, "connect", _preparing(busy_ms, limit))
    return writing, writing.execution_options(isolation_level="AUTOCOMMIT"), patient


def _preparing(lock_ms: int, statement_ms: int) -> Any:
    statements = (
        f"SET lock_timeout = {lock_ms if statement_ms else 0}",
        f"SET statement_timeout = {statement_ms}",
        # What was acknowledged outlives a power cut, whatever the server's own setting says.
        "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    )

    def prepare(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    return prepare


def _arguments(url: URL, busy_ms: int) -> tuple[URL, dict[str, Any]]:
    """The address without what pg8000 takes in another form, and that form."""
    if url.get_driver_name() != "pg8000":
        return url, {}
    known = {name: str(url.query[name]) for name in ("sslmode", "sslrootcert") if name in url.query}
    # Longer than the server's own limit, which is to be heard; this one is for a network that swallows everything.
    arguments: dict[str, Any] = {"timeout": 2 * busy_ms / 1e3 + 1, "application_name": "fraud"}
    if "sslmode" in known:
        arguments["ssl_context"] = _ssl(known["sslmode"], known.get("sslrootcert"))
    return url.difference_update_query(list(known)), arguments


def _untimed(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name != "timeout"}


def _ssl(mode: str, root: str | None) -> ssl.SSLContext | bool | None:
    """What `sslmode` means to the driver; raises `SpecError` for a word that it is not."""
    if mode not in _SSL_MODES:
        raise SpecError(f"sslmode of the database address is one of {', '.join(_SSL_MODES)}.")
    if mode == "disable":
        return False
    if mode in ("allow", "prefer"):
        # Encrypted where the server can.
        return None
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = mode == "verify-full"
    if mode == "require" and root is None:
        context.verify_mode = ssl.CERT_NONE
    return context


# --- many rows --------------------------------------------------------------------------------------------


def insert_many(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all have the same columns; raises `DBAPIError` as an insert does.

    By way of pg8000 they are copied, which takes a fifth of the time; other engines and drivers insert them.
    """
    if connection.dialect.driver != "pg8000":
        connection.execute(sa.insert(table), rows)
        return
    names = ", ".join(f'"{name}"' for name in rows[0])
    # What a type does to a value, sealing it above all, is done here too.
    prepare = [_copying(table.c[name].type, connection.dialect) for name in rows[0]]
    lines = ("\t".join([f(v) for f, v in zip(prepare, row.values(), strict=True)]) for row in rows)
    text = "".join(f"{line}\n" for line in lines)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(f'COPY "{table.name}" ({names}) FROM STDIN', stream=BytesIO(text.encode()))  # type: ignore[call-arg]
    except connection.dialect.loaded_dbapi.Error as error:  # type: ignore[attr-defined]
        raise DBAPIError(f"COPY {table.name}", None, error) from error
    finally:
        cursor.close()


def _copying(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> Callable[[Any], str]:
    """What writes a value of a type in the text format of COPY."""
    bind = kind.dialect_impl(dialect).bind_processor(dialect)
    return _copied if bind is None else lambda value: _copied(bind(value))


def _copied(value: Any) -> str:
    if value is None:
        return r"\N"
    return value.translate(_ESCAPES) if isinstance(value, str) else str(value)


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
