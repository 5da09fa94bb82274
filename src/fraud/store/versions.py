"""Versions of a claim: a later one replaces it, the others are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.claims.schema import TABLES, Table
from fraud.store.database import rows
from fraud.store.shapes import ITEMS, Added, Bundle, Row
from fraud.store.tables import CANONICAL, columns_of, versions

__all__ = ["StoredBundle", "add", "as_json", "from_json", "insert_new", "row_from_json", "stored"]

_claims = CANONICAL["claims"]
_SELECT = {
    name: sa.select(*columns_of(name)).where(CANONICAL[name].c.claim_id == sa.bindparam("id"))
    for name in ("claims", *ITEMS)
}
_CURRENT = (
    sa.select(_claims.c.uploaded_at, _claims.c.received_at)
    .where(_claims.c.claim_id == sa.bindparam("id"))
    # Of two writers of versions of one claim the second waits, and then sees what the first has made current.
    .with_for_update()
)
_INSERT = {name: sa.insert(CANONICAL[name]) for name in ("claims", *ITEMS)}
_DELETE = {
    name: sa.delete(CANONICAL[name]).where(CANONICAL[name].c.claim_id == sa.bindparam("id"))
    for name in ("claims", *ITEMS)
}


@dataclass(frozen=True)
class StoredBundle:
    """A claim with its items as the store holds them."""

    claim: Row
    lines: tuple[Row, ...] = ()
    diagnoses: tuple[Row, ...] = ()
    procedures: tuple[Row, ...] = ()


def add(connection: Connection, bundle: Bundle, received_at: datetime) -> Added:
    """Make the bundle the claim's current version, unless a later one is there.

    Versions are ordered by `uploaded_at`, and where that is absent by when they arrived; of two that were
    sent at the same moment the one that arrives last counts. Nothing is lost: what does not become or stay
    current goes to `claims_history`.
    """
    key = {"id": bundle.claim["claim_id"]}
    current = connection.execute(_CURRENT, key).first()
    if current is None:
        insert_new(connection, [bundle], received_at)
        return "added"
    was_sent, was_received = current
    sent = bundle.claim.get("uploaded_at")
    if sent == was_sent and _rows_of(bundle) == _rows_of(stored(connection, str(key["id"]))):
        return "unchanged"
    if (sent or received_at) < (was_sent or was_received):
        return _keep_older(connection, bundle, received_at)
    old = stored(connection, str(key["id"]))
    assert old is not None
    _archive(connection, old, was_received)
    for delete in _DELETE.values():
        connection.execute(delete, key)
    insert_new(connection, [bundle], received_at)
    return "replaced"


def stored(connection: Connection, claim_id: str) -> StoredBundle | None:
    """The current version of a claim."""
    found = {name: rows(connection, query, {"id": claim_id}) for name, query in _SELECT.items()}
    if not found["claims"]:
        return None
    return StoredBundle(found["claims"][0], *(found[name] for name in ITEMS))


def as_json(bundle: Bundle) -> bytes:
    """The bundle as JSON; absent values are left out."""
    return orjson.dumps({"claim": _filled(bundle.claim)} | {n: [_filled(r) for r in getattr(bundle, n)] for n in ITEMS})


def from_json(text: bytes) -> StoredBundle:
    """The bundle that `as_json` wrote."""
    read = orjson.loads(text)
    items = (tuple(_typed(TABLES[n], r) for r in read[n]) for n in ITEMS)
    return StoredBundle(_typed(TABLES["claims"], read["claim"]), *items)


def row_from_json(table: str, read: Mapping[str, Any]) -> Row:
    """A row of a canonical table that was written as JSON, with every column."""
    return _typed(TABLES[table], read)


def _filled(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _typed(table: Table, row: Mapping[str, Any]) -> Row:
    return {c.name: _value(c.kind, row.get(c.name)) for c in table.columns}


def _value(kind: str, value: Any) -> Any:
    if value is not None and kind == "ts":
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if value is not None and kind == "date" else value


def insert_new(connection: Connection, bundles: Sequence[Bundle], received_at: datetime) -> None:
    """Insert claims of which no version is there yet, each table's rows at once."""
    if not bundles:
        return
    connection.execute(_INSERT["claims"], [{**b.claim, "received_at": received_at} for b in bundles])
    for name in ITEMS:
        if items := [_whole(TABLES[name], r) for b in bundles for r in getattr(b, name)]:
            connection.execute(_INSERT[name], items)


def _whole(table: Table, row: Row) -> Row:
    """The row with every column: one statement then serves all rows."""
    return row if len(row) == len(table.columns) else {c.name: row.get(c.name) for c in table.columns}


def _keep_older(connection: Connection, bundle: Bundle, received_at: datetime) -> Added:
    """Keep a version that arrived after a later one; the same one twice changes nothing."""
    text = as_json(bundle)
    same = sa.select(versions.c.bundle).where(versions.c.claim_id == bundle.claim["claim_id"])
    if text in (kept for (kept,) in connection.execute(same)):
        return "unchanged"
    _archive(connection, bundle, received_at)
    return "older"


def _archive(connection: Connection, bundle: Bundle, received_at: datetime) -> None:
    connection.execute(
        sa.insert(versions),
        {
            "claim_id": bundle.claim["claim_id"],
            "uploaded_at": bundle.claim.get("uploaded_at"),
            "received_at": received_at,
            "bundle": as_json(bundle),
        },
    )


def _rows_of(bundle: Bundle | None) -> object:
    """What two versions are compared by: filled values only, the order of the items aside."""
    if bundle is None:
        return None
    items = [sorted(map(repr, (sorted(_filled(r).items()) for r in getattr(bundle, n)))) for n in ITEMS]
    return _filled(bundle.claim), items
