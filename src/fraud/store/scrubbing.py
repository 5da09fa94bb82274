"""Making sure that what was removed or replaced is gone from the database's files too."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from fraud.store.database import Database

__all__ = ["METHODS", "scrub"]

# How it is done, in the words of a record of destruction.
METHODS = {
    "sqlite": "rows deleted, database rewritten (VACUUM), log truncated; backups are not reached",
    "postgresql": "rows deleted, tables rewritten (VACUUM FULL); archived logs and backups are not reached",
}


def scrub(database: Database, tables: Iterable[str]) -> str:
    """Rewrite what deleted rows have left in the files; how that was done. Nobody can use the tables meanwhile."""
    dialect = database.writing.dialect.name
    if dialect == "sqlite":
        _rewrite_sqlite(database)
    elif dialect == "postgresql":
        engine = database.patient.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for table in tables:
                connection.execute(sa.text(f'VACUUM FULL "{table}"'))
    return METHODS.get(dialect, "rows deleted")


def _rewrite_sqlite(database: Database) -> None:
    raw = database.writing.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("VACUUM")
        # Until then the old pages are still in the log.
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.close()
    finally:
        raw.close()
