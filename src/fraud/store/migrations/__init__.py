"""Revisions of the database's schema, in the order of their numbers; `HEAD` is the one that this program needs.

A revision is written by hand, for SQLite and PostgreSQL alike, and never changed once it is released. `downgrade`
goes back where nothing is lost by it, and otherwise raises `NotImplementedError` with the reason.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import sqlalchemy as sa

__all__ = ["HEAD", "REVISIONS", "metadata"]

# By the names of the files: asking Alembic would cost every start of the service its import.
REVISIONS = tuple(sorted(path.name[:4] for path in (Path(__file__).parent / "versions").glob("[0-9]*_*.py")))
HEAD = REVISIONS[-1]
# Where tables are defined.
_MODULES = (
    "tables", "keys", "ledger", "outcomes", "casework.tables", "guesses", "people", "identities", "outbox",
    "sessions", "tips", "explanations", "recoveries", "campaigns.tables", "views",
)  # fmt: skip


def metadata() -> sa.MetaData:
    """The tables of the whole store: what the revisions together must give."""
    for name in _MODULES:
        import_module(f"fraud.store.{name}")
    found: sa.MetaData = import_module("fraud.store.tables").METADATA
    return found
