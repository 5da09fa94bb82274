"""The store's claims as a claims folder: what snapshots, training and reports are computed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.claims.folder import ClaimsFolder, TableWriter
from fraud.claims.schema import TABLES, Column
from fraud.store.shapes import ITEMS
from fraud.store.tables import CANONICAL, columns_of

__all__ = ["export"]

Progress = Callable[[str, int, int], None]
_BATCH = 50_000
_claims = CANONICAL["claims"]


def export(connection: Connection, to: Path, since: datetime | None, progress: Progress) -> ClaimsFolder | None:
    """Every canonical table as parquet in a new folder; None when there is no claim to tell of.

    With `since` only claims that settled then or later are written, with their items; other tables as a whole.
    """
    for name in TABLES:
        query = _query(name, since)
        total = int(connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one())
        if name == "claims" and not total:
            return None
        if total:
            _write(connection, to, name, query, total, progress)
    return ClaimsFolder(to)


def _query(name: str, since: datetime | None) -> sa.Select[*tuple[Any, ...]]:
    query = sa.select(*columns_of(name))
    if since is None or name not in ("claims", *ITEMS):
        return query
    if name == "claims":
        return query.where(_claims.c.settled_at >= since)
    of_claims = sa.exists().where(_claims.c.claim_id == CANONICAL[name].c.claim_id, _claims.c.settled_at >= since)
    return query.where(of_claims)


def _write(
    connection: Connection, to: Path, name: str, query: sa.Select[*tuple[Any, ...]], total: int, progress: Progress
) -> None:
    columns = TABLES[name].columns
    with TableWriter(to, name) as writer:
        for rows in _batches(connection, query, columns):
            values = zip(columns, zip(*rows, strict=True), strict=True)
            writer.write({c.name: _array(c, v) for c, v in values})
            progress(name, writer.rows, total)


def _batches(
    connection: Connection, query: sa.Select[*tuple[Any, ...]], columns: Sequence[Column]
) -> Iterator[Sequence[Any]]:
    if connection.dialect.name == "sqlite":
        # As text, which Arrow reads many times faster than Python does.
        both = zip(query.selected_columns, columns, strict=True)
        query = query.with_only_columns(*(sa.type_coerce(c, sa.Text) if k.kind in _TEXT else c for c, k in both))
    with connection.execute(query.execution_options(yield_per=_BATCH)) as result:
        yield from result.partitions()


# Kinds of column that SQLite keeps as text.
_TEXT = ("ts", "date")


def _array(column: Column, values: Sequence[Any]) -> pa.Array:
    first = next((v for v in values if v is not None), None)
    if column.kind in _TEXT and isinstance(first, str):
        return pc.cast(pa.array(values, pa.string()), column.arrow)
    return pa.array(values, column.arrow)
