"""Claims in chunks of whole patients: cut anew on disk, or taken from files that hold whole patients already.

Within `Chunks.shown`, `claims` and its items are those of one chunk on a connection; every other table is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from fraud.claims.folder import ClaimsFolder

__all__ = ["Chunks", "PartOfFolder", "quoted", "whole_parts"]

_ITEMS = ("lines", "diagnoses", "procedures")
_CUT = ("claims", *_ITEMS)


class Chunks:
    """The claims of a connection in chunks of about `size`, whose files go to `work`.

    `folder`, if its claims are all that the connection shows, may spare the cutting.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        work: Path,
        folder: ClaimsFolder | None,
        size: int,
        say: Callable[[str, float], None],
    ) -> None:
        self._connection, self._work, self._folder, self._size, self._say = connection, work, folder, size, say
        self._done = False

    @cached_property
    def claims(self) -> int:
        """Number of claims of the connection."""
        return int(self._connection.execute("SELECT count(*) FROM claims").fetchall()[0][0])

    @property
    def one(self) -> bool:
        """Whether a single chunk holds them all."""
        return self.claims <= self._size

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Names of the folder's own files, where they are chunks already; else none."""
        return () if self._folder is None or self.one else whole_parts(self._connection, self._folder)

    @cached_property
    def count(self) -> int:
        """Number of chunks that the claims are computed in."""
        return len(self._pieces) or max(1, -(-self.claims // self._size))

    @cached_property
    def _pieces(self) -> tuple[tuple[str, int, int], ...]:
        """Of each chunk that is taken from a file: its name, which piece of it, and of how many."""
        if self._folder is None:
            return ()
        sizes = {f.name: pq.read_metadata(f).num_rows for f in self._folder.files("claims")}
        pieces = {name: max(1, round(sizes[name] / self._size)) for name in self.parts}
        return tuple((name, piece, of) for name, of in pieces.items() for piece in range(of))

    @contextmanager
    def shown(self, connection: duckdb.DuckDBPyConnection, number: int) -> Iterator[str]:
        """Within it, `claims` and its items are those of a chunk on this connection; gives the schema they are in."""
        if self.count == 1:
            yield "main"
            return
        schema = f"chunk{number}"
        self._show(connection, schema, number)
        try:
            yield schema
        finally:
            connection.execute("SET search_path = 'main'")
            connection.execute(f"DROP SCHEMA {schema} CASCADE")

    def cut(self) -> None:
        """Write claims and their items as chunks of whole patients, where there are several and no files hold them."""
        if self._done or self.count == 1 or self.parts:
            return
        self._done, connection = True, self._connection
        self._say("cutting claims into chunks", 0.0)
        by = f"hash(patient_id) % {self.count} AS chunk"
        self._partition("claims", f"SELECT *, {by} FROM claims")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE claim_chunks AS SELECT claim_id, {by} FROM claims")
        for name in _ITEMS:
            self._say("cutting claims into chunks", (1 + _ITEMS.index(name)) / (1 + len(_ITEMS)))
            self._partition(name, f'SELECT i.*, c.chunk FROM "{name}" i JOIN claim_chunks c USING (claim_id)')
        connection.execute("DROP TABLE claim_chunks")

    def _partition(self, name: str, query: str) -> None:
        place = self._work / "chunks" / name
        place.mkdir(parents=True, exist_ok=True)
        self._connection.execute(f"COPY ({query}) TO '{quoted(place)}' (FORMAT parquet, PARTITION_BY (chunk))")

    def _show(self, connection: duckdb.DuckDBPyConnection, schema: str, number: int) -> None:
        connection.execute(f"CREATE SCHEMA {schema}")
        connection.execute(f"SET search_path = '{schema},main'")
        if self._pieces and self._folder is not None:
            part, piece, of = self._pieces[number]
            PartOfFolder(self._folder, part).attach(connection, _CUT)
            if of > 1:
                _take_piece(connection, piece, of)
            return
        for name in _CUT:
            place = self._work / "chunks" / name / f"chunk={number}"
            files = quoted(place / "*.parquet")
            source = f"read_parquet('{files}', hive_partitioning = false)"
            if not any(place.glob("*.parquet")):
                source = f'main."{name}" WHERE false'
            connection.execute(f'CREATE OR REPLACE VIEW {schema}."{name}" AS SELECT * FROM {source}')


def _take_piece(connection: duckdb.DuckDBPyConnection, piece: int, of: int) -> None:
    """Let `claims` and its items of the first schema be those of one of so many groups of patients."""
    for name in _CUT:
        chosen = f"WHERE hash(patient_id) % {of} = {piece}" if name == "claims" else "SEMI JOIN claims USING (claim_id)"
        connection.execute(f'CREATE TABLE "{name}_of_piece" AS SELECT * FROM "{name}" {chosen}')
        connection.execute(f'DROP VIEW "{name}"')
        connection.execute(f'ALTER TABLE "{name}_of_piece" RENAME TO "{name}"')


class PartOfFolder(ClaimsFolder):
    """A folder with one file of claims and of each kind of their items, and all of the other tables."""

    def __init__(self, folder: ClaimsFolder, part: str) -> None:
        self._part: str | None = None
        super().__init__(folder.path)
        self._part = part

    def files(self, name: str) -> list[Path]:
        """Parquet files of a table: of claims and items only those of the part."""
        found = super().files(name)
        return [f for f in found if f.name == self._part] if self._part and name in _CUT else found


def whole_parts(connection: duckdb.DuckDBPyConnection, folder: ClaimsFolder) -> tuple[str, ...]:
    """Names of a folder's files, if each holds all claims of its patients with all their items.

    A payer's tables are often written by region or by month of birth; those of the simulator are written by city.
    """
    files = {f.name: f for f in folder.files("claims")}
    named = all(f.name in files for name in _ITEMS for f in folder.files(name))
    if len(files) < 2 or not named:
        return ()
    listed = ", ".join(f"'{quoted(f)}'" for f in files.values())
    torn = f"""SELECT 1 FROM read_parquet([{listed}], filename = true)
        GROUP BY patient_id HAVING min(filename) <> max(filename) LIMIT 1"""
    strays = (
        f"SELECT 1 FROM '{quoted(f)}' ANTI JOIN '{quoted(files[f.name])}' USING (claim_id) LIMIT 1"
        for name in _ITEMS
        for f in folder.files(name)
    )
    apart = any(connection.execute(query).fetchall() for query in (torn, *strays))
    return () if apart else tuple(files)


def quoted(path: Path) -> str:
    """A path as it stands between quotes in SQL."""
    return str(path).replace("'", "''")
