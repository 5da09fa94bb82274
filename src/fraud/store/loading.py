"""A claims folder into the store: streamed, in one transaction, and harmless when done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.schema import TABLES
from fraud.errors import ClaimsError
from fraud.store.postgres import code_of, insert_many
from fraud.store.shapes import ITEMS, Added, Loaded
from fraud.store.tables import CANONICAL, columns_of
from fraud.store.versions import StoredBundle, add

__all__ = ["Progress", "load"]

# Table, rows written so far, rows in the folder.
Progress = Callable[[str, int, int], None]

_BATCH = 10_000
# Few rows each, replaced as a whole or by key.
_PARTIES = ("patients", "providers", "physicians", "catalogue")
_claims = CANONICAL["claims"]


def load(connection: Connection, folder: ClaimsFolder, received_at: datetime, progress: Progress) -> Loaded:
    """Load every table of a folder; raises `ClaimsError` when rows contradict each other."""
    with connect() as source:
        folder.attach(source)
        source.execute("CREATE TABLE fresh (claim_id VARCHAR)")
        return _Loading(connection, source, received_at, progress).run()


class _Loading:
    """One run of `load`: where rows come from, where they go, and what became of them."""

    def __init__(
        self, target: Connection, source: duckdb.DuckDBPyConnection, received_at: datetime, progress: Progress
    ) -> None:
        self.target = target
        self.source = source
        self.received_at = received_at
        self.progress = progress
        self.rows: Counter[str] = Counter()
        self.became: Counter[Added] = Counter()

    def run(self) -> Loaded:
        self._load_claims()
        for name in ITEMS:
            self._insert_all(name, f"SELECT t.* FROM {name} t SEMI JOIN fresh USING (claim_id)")
        for name in _PARTIES:
            self._replace(name)
        self._replace_all("exclusions")
        self._append_new("outcomes")
        return Loaded(dict(self.rows), dict(self.became))

    def _load_claims(self) -> None:
        total, seen = self._count("claims"), 0
        for batch in self._batches("SELECT * FROM claims"):
            stamps = self._stamps([row["claim_id"] for row in batch])
            fresh = [row for row in batch if row["claim_id"] not in stamps]
            self._insert("claims", [{**row, "received_at": self.received_at} for row in fresh])
            self._remember(fresh)
            self.became["added"] += len(fresh)
            self._merge([row for row in batch if row["claim_id"] in stamps], stamps)
            seen += len(batch)
            self.progress("claims", seen, total)

    def _stamps(self, ids: Sequence[str]) -> dict[str, datetime | None]:
        """`uploaded_at` of those claims that the store holds."""
        found = self.target.execute(
            sa.select(_claims.c.claim_id, _claims.c.uploaded_at).where(_claims.c.claim_id.in_(ids))
        )
        return {claim_id: sent for claim_id, sent in found}  # noqa: C416 - a row is no pair to mypy

    def _remember(self, fresh: Sequence[Mapping[str, Any]]) -> None:
        """Note whose items are to be loaded."""
        self.source.register("_fresh", pa.table({"claim_id": pa.array([r["claim_id"] for r in fresh], pa.string())}))
        self.source.execute("INSERT INTO fresh SELECT claim_id FROM _fresh")
        self.source.unregister("_fresh")

    def _merge(self, rows: Iterable[Mapping[str, Any]], stamps: Mapping[str, datetime | None]) -> None:
        """Versions of claims that are there already; the same `uploaded_at` is the same version."""
        for row in rows:
            if row["uploaded_at"] == stamps[row["claim_id"]]:
                self.became["unchanged"] += 1
                continue
            items = (self._items(name, row["claim_id"]) for name in ITEMS)
            self.became[add(self.target, StoredBundle(row, *items), self.received_at)] += 1
            self.rows["claims"] += 1

    def _items(self, name: str, claim_id: str) -> tuple[Mapping[str, Any], ...]:
        query = f"SELECT * FROM {name} WHERE claim_id = ?"
        return tuple(r for batch in self._batches(query, [claim_id]) for r in batch)

    def _insert_all(self, name: str, query: str) -> None:
        total = self._count(name)
        for batch in self._batches(query):
            self._insert(name, batch)
            self.progress(name, self.rows[name], total)

    def _replace(self, name: str) -> None:
        """Rows by key: what the folder says of a patient or an item takes the place of what was known."""
        table, key = CANONICAL[name], TABLES[name].key[0]
        delete = sa.delete(table).where(table.c[key] == sa.bindparam("id"))
        total = self._count(name)
        for batch in self._batches(f"SELECT * FROM {name}"):
            self.target.execute(delete, [{"id": row[key]} for row in batch])
            self._insert(name, batch)
            self.progress(name, self.rows[name], total)

    def _replace_all(self, name: str) -> None:
        if self._count(name):
            self.target.execute(sa.delete(CANONICAL[name]))
            self._insert_all(name, f"SELECT * FROM {name}")

    def _append_new(self, name: str) -> None:
        """Rows whose key is not there yet: what an investigation found is never changed."""
        key = [CANONICAL[name].c[c] for c in TABLES[name].key]
        known = {tuple(row) for row in self.target.execute(sa.select(*key))}
        for batch in self._batches(f"SELECT * FROM {name}"):
            self._insert(name, [r for r in batch if tuple(r[c.name] for c in key) not in known])

    def _insert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        try:
            insert_many(self.target, CANONICAL[name], rows)
        except DBAPIError as error:
            # On PostgreSQL the class of such faults is 23, whatever the driver makes of it.
            if not (isinstance(error, IntegrityError) or code_of(error).startswith("23")):
                raise
            key = ", ".join(TABLES[name].key)
            raise ClaimsError(
                f"table {name}: two rows have the same {key}, or one lacks a required value. "
                "Nothing was loaded. Run `fraud import canonical` on the folder: it names the rows."
            ) from error
        self.rows[name] += len(rows)

    def _count(self, name: str) -> int:
        (row,) = self.source.execute(f"SELECT count(*) FROM {name}").fetchall()
        return int(row[0])

    def _batches(self, query: str, values: Sequence[object] = ()) -> Iterator[list[dict[str, Any]]]:
        cursor = self.source.cursor()
        cursor.execute(query, values)
        names = [d[0] for d in cursor.description or ()]
        while rows := cursor.fetchmany(_BATCH):
            yield [dict(zip(names, row, strict=True)) for row in rows]


assert all(len(columns_of(name)) == len(TABLES[name].columns) for name in TABLES)
