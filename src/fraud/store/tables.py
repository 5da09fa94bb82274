"""The database's tables: the canonical ones, derived from the schema, and the service's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from fraud.claims.pseudonyms import PERSONAL
from fraud.claims.schema import TABLES, Column, Kind, Table
from fraud.store.ciphers import SealedBytes, SealedText

__all__ = [
    "CANONICAL",
    "METADATA",
    "columns_of",
    "decisions",
    "idempotency",
    "names",
    "refreshes",
    "shadow_scores",
    "snapshots",
    "versions",
]

METADATA = sa.MetaData()


class _TextTime(sa.types.UserDefinedType[datetime]):
    """Times in SQLite: ISO text, which sorts as time does, read and written at the speed of C."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The column's type in DDL."""
        return "DATETIME"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[datetime | None], str | None]:
        """Time to text."""
        return lambda value: None if value is None else value.isoformat(" ")

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[str | None], datetime | None]:
        """Text to time."""
        return lambda value: None if value is None else datetime.fromisoformat(value)


_TIME = sa.DateTime().with_variant(_TextTime(), "sqlite")

# Times are civil times without a zone; money is a double, as in the Arrow tables.
_TYPES: dict[Kind, sa.types.TypeEngine[Any]] = {
    "id": sa.Text(),
    "text": sa.Text(),
    "ts": _TIME,
    "date": sa.Date(),
    "money": sa.Double(),
    "float": sa.Double(),
    "int": sa.BigInteger(),
    "bool": sa.Boolean(),
    # A list that is absent is SQL NULL, not the JSON word null.
    "ids": sa.JSON(none_as_null=True),
}


# What names a person, and is sealed where the database has a data key.
SEALED = {**PERSONAL, "outcomes": ("entity_id",)}


def _column(column: Column, key: tuple[str, ...], sealed: tuple[str, ...]) -> sa.Column[Any]:
    kind = SealedText() if column.name in sealed else _TYPES[column.kind]
    return sa.Column(column.name, kind, primary_key=column.name in key, nullable=not column.required)


def _table(table: Table) -> sa.Table:
    """A key with a column that may be null is no primary key: such rows are only indexed by claim."""
    key = table.key if set(table.key) <= set(table.required) else ()
    made = sa.Table(table.name, METADATA, *(_column(c, key, SEALED.get(table.name, ())) for c in table.columns))
    if not key and table.key[0] == "claim_id":
        sa.Index(f"ix_{table.name}_claim", made.c.claim_id)
    return made


CANONICAL: dict[str, sa.Table] = {name: _table(table) for name, table in TABLES.items()}

_claims = CANONICAL["claims"]
# When this version reached the store: what orders versions that do not say when they were sent.
_claims.append_column(sa.Column("received_at", _TIME, nullable=False))
# What histories and windows are read by.
for _key in ("patient_id", "provider_id", "physician_id"):
    sa.Index(f"ix_claims_{_key}_settled", _claims.c[_key], _claims.c.settled_at)

# Versions of claims that were replaced, or that arrived after a later one; `bundle` is JSON.
versions = sa.Table(
    "claims_history",
    METADATA,
    sa.Column("claim_id", sa.Text, nullable=False, index=True),
    sa.Column("uploaded_at", _TIME),
    sa.Column("received_at", _TIME, nullable=False),
    sa.Column("bundle", SealedBytes, nullable=False),
)

# Every answer as it was given, byte for byte, and the claim that it speaks of.
decisions = sa.Table(
    "decisions",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("claim_id", sa.Text, nullable=False),
    sa.Column("scored_at", _TIME, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("response", SealedBytes, nullable=False),
    sa.Column("request", SealedBytes, nullable=False),
    sa.Index("ix_decisions_claim", "claim_id", "scored_at"),
)

# What another version would have said of a claim; no answer ever knows of it.
shadow_scores = sa.Table(
    "shadow_scores",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("scored_at", _TIME, nullable=False),
    sa.Column("probability", sa.Double, nullable=False),
    sa.Column("percentile", sa.Double, nullable=False),
    sa.Column("margin", sa.Double, nullable=False),
)

# `status` is null while the first request with the key is being worked on.
idempotency = sa.Table(
    "idempotency",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("started_at", _TIME, nullable=False, index=True),
    sa.Column("status", sa.Integer),
    sa.Column("response", SealedBytes),
)

# One row for each entity, day, model and refresh, since peers are those of a model (empty: of none in particular);
# `names` says what the float64 values in `data` stand for. Of several the one of the latest published refresh holds.
snapshots = sa.Table(
    "snapshots",
    METADATA,
    sa.Column("entity", sa.Text, primary_key=True),
    sa.Column("entity_id", SealedText, primary_key=True),
    sa.Column("day", _TIME, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("refresh", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("names", sa.Text, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
# Sets of snapshots: nobody reads the rows of a refresh before `published_at` is set. Number 0 is always there, for
# snapshots that were put one by one. `until` is when the last claim arrived that the refresh knows of, `claims` how
# many it knows, `covers` the digest and the days by model.
refreshes = sa.Table(
    "refreshes",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("started_at", _TIME, nullable=False),
    sa.Column("published_at", _TIME),
    sa.Column("until", _TIME),
    sa.Column("claims", sa.BigInteger),
    sa.Column("covers", sa.JSON, nullable=False),
    sa.Column("snapshots", sa.BigInteger, nullable=False),
)
names = sa.Table(
    "snapshot_names",
    METADATA,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("names", sa.JSON, nullable=False),
)


def columns_of(name: str) -> list[sa.Column[Any]]:
    """The canonical columns of a table, without the store's own."""
    return [CANONICAL[name].c[c.name] for c in TABLES[name].columns]
