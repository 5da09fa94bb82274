"""A claim of a folder as the claim system would send it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import NotKnownError
from fraud.scoring.shapes import ClaimBundle, Row

__all__ = ["claim_body", "claim_bundles", "last_bodies", "recent_claims"]


def recent_claims(folder: ClaimsFolder, days: int = 30) -> frozenset[str]:
    """Ids of the claims settled in the last days that the folder knows."""
    connection = connect()
    folder.attach(connection, ["claims"])
    query = """SELECT claim_id FROM claims
               WHERE settled_at >= (SELECT max(settled_at) FROM claims) - to_days($1)"""
    found = frozenset(row[0] for row in connection.execute(query, [days]).fetchall())
    connection.close()
    return found


def claim_body(folder: ClaimsFolder, claim_id: str) -> dict[str, Any]:
    """`claim`, `lines`, `diagnoses` and `procedures` of a claim, without the columns that are null."""
    connection = connect()
    folder.attach(connection)
    claims = _rows(connection, "claims", claim_id)
    if not claims:
        raise NotKnownError(f"{folder.path}: holds no claim {claim_id!r}.")
    items = {name: _rows(connection, name, claim_id) for name in ("lines", "diagnoses", "procedures")}
    connection.close()
    return {"claim": claims[0], **items}


def claim_bundles(folder: ClaimsFolder) -> Iterator[ClaimBundle]:
    """Every claim of the folder with its items, in the order of settlement."""
    connection = connect()
    folder.attach(connection)
    items = {name: _by_claim(connection, name) for name in ("lines", "diagnoses", "procedures")}
    for claim in _dicts(connection.execute("SELECT * FROM claims ORDER BY settled_at, claim_id")):
        own = {name: tuple(rows.get(claim["claim_id"], ())) for name, rows in items.items()}
        yield ClaimBundle(claim, **own)
    connection.close()


def last_bodies(folder: ClaimsFolder, most: int) -> list[dict[str, Any]]:
    """The claims that settled last, as `claim_body` gives each."""
    bundles = list(claim_bundles(folder))[-most:]
    items = ("lines", "diagnoses", "procedures")
    return [{"claim": _known(b.claim), **{n: [_known(row) for row in getattr(b, n)] for n in items}} for b in bundles]


def _known(row: Row) -> dict[str, Any]:
    return {k: v for k, v in row.items() if v is not None}


def _by_claim(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _dicts(connection.execute(f'SELECT * FROM "{table}"')):
        found.setdefault(row["claim_id"], []).append(row)
    return found


def _dicts(found: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _rows(connection: duckdb.DuckDBPyConnection, table: str, claim_id: str) -> list[dict[str, Any]]:
    return [_known(r) for r in _dicts(connection.execute(f'SELECT * FROM "{table}" WHERE claim_id = $1', [claim_id]))]
