"""Bringing a database to the revision that the program needs, and refusing one that it cannot work with."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import InputError
from fraud.store.migrations import HEAD, REVISIONS
from fraud.store.shapes import StoreRevisionError

if TYPE_CHECKING:
    from alembic.config import Config

    from fraud.store.database import Database

__all__ = ["downgrade", "require_head", "revision", "revisions", "upgrade"]

log = logging.getLogger("fraud.store")
_VERSIONS = sa.table("alembic_version", sa.column("version_num", sa.Text))
# Any number that no other program on the same PostgreSQL database would choose.
_LOCK = 0x66726175_64000001
# Tables that only this program has, with a column of each: from before there were revisions.
_OURS = {"decisions": "request_id", "claims_history": "bundle", "snapshot_names": "digest"}
_BEFORE = REVISIONS[0]
Result = TypeVar("Result")
_FOLDER = Path(__file__).parent / "migrations"


def require_head(database: Database) -> None:
    """Return when the database is at the needed revision; an empty one is brought there.

    Raises `StoreRevisionError` for one of an earlier or a later revision. Tables from before there were revisions
    are taken over as being of the first one.
    """
    with database.read() as connection:
        found = revision(connection)
    if found is None:
        found = _first_time(database)
    if found != HEAD:
        raise _refusal(found)


def revision(connection: Connection) -> str | None:
    """The revision of the database; None for one that has none yet."""
    if not sa.inspect(connection).has_table(_VERSIONS.name):
        return None
    return connection.execute(sa.select(_VERSIONS.c.version_num)).scalar_one_or_none()


def revisions() -> list[tuple[str, str]]:
    """Every revision with what it changes, the oldest first."""
    from alembic.script import ScriptDirectory

    found = ScriptDirectory(str(_FOLDER)).walk_revisions()
    return [(script.revision, script.doc) for script in reversed(list(found))]


def upgrade(database: Database, to: str = HEAD) -> tuple[str | None, str]:
    """Bring the database to a later revision, the newest unless told; the revisions before and after."""

    def work(connection: Connection, found: str | None) -> tuple[str | None, str]:
        if found is not None and found not in REVISIONS:
            raise _refusal(found)
        if found is None and _has_tables(connection):
            _run(connection, "upgrade", _BEFORE)
            log.info("the tables from before there were revisions are now of revision %s", _BEFORE)
        _run(connection, "upgrade", to)
        return found, to

    return _alone(database, work)


def downgrade(database: Database, to: str) -> tuple[str | None, str]:
    """Go back to an earlier revision; raises `InputError` where that would lose something."""
    if to not in REVISIONS:
        raise InputError(f"{to[:20]!r} is no revision; there are {', '.join(REVISIONS)}.")

    def work(connection: Connection, found: str | None) -> tuple[str | None, str]:
        if found is None or found not in REVISIONS:
            raise _refusal(found or "none")
        if to > found:
            raise InputError(f"The database is at revision {found}, before {to}. Go forward with `fraud db upgrade`.")
        _run(connection, "downgrade", to)
        return found, to

    try:
        return _alone(database, work)
    except NotImplementedError as error:
        raise InputError(f"There is no lossless way back to revision {to}: {error} Nothing was changed.") from error


def _first_time(database: Database) -> str:
    """Make the tables in an empty database, or take over those from before there were revisions."""

    def work(connection: Connection, found: str | None) -> str:
        if found is not None:
            # Somebody else was first.
            return found
        to = _BEFORE if _has_tables(connection) else HEAD
        _run(connection, "upgrade", to)
        return to

    return _alone(database, work)


def _alone(database: Database, work: Callable[[Connection, str | None], Result]) -> Result:
    """What the work returns, given the revision; nobody else changes the schema meanwhile.

    On SQLite the transaction itself is the lock.
    """
    with database.write_patiently() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        return work(connection, revision(connection))


def _has_tables(connection: Connection) -> bool:
    """Whether tables of ours are there; raises `StoreRevisionError` for others of the same names."""
    inspector = sa.inspect(connection)
    there = [name for name in _OURS if inspector.has_table(name)]
    strange = [n for n in there if _OURS[n] not in {c["name"] for c in inspector.get_columns(n)}]
    if strange:
        raise StoreRevisionError(
            f"The database has tables of other programs under our names: {', '.join(strange)}. "
            "Give the service a database, or a schema, of its own; nothing was changed."
        )
    return bool(there)


def _refusal(found: str) -> StoreRevisionError:
    if found in REVISIONS:
        return StoreRevisionError(
            f"The database is at revision {found}, and this version of the program needs {HEAD}. "
            "Back it up, then run `fraud db upgrade`. Nothing was changed."
        )
    return StoreRevisionError(
        f"The database is at revision {found[:20]}, which this version of the program does not know "
        f"(its newest is {HEAD}): a later version made it. Run that version; nothing was changed."
    )


def _run(connection: Connection, direction: str, to: str) -> None:
    # Alembic takes a third of a second to import, and is needed once in the life of a database.
    from alembic import command

    getattr(command, direction)(_config(connection), to)


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
