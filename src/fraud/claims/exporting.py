"""Writes what an import made of its rows as parquet: tables, history, quarantine and unreadable cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.claims.checking import Feed
from fraud.claims.merging import names
from fraud.claims.raw import RawFile, literal
from fraud.claims.schema import TABLES

if TYPE_CHECKING:
    from fraud.claims.swapping import Target

__all__ = ["export"]

ROW_GROUP = 122_880
WITHHELD = "withheld: the line could not be split into columns, so persons in it cannot be hidden"


def export(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[RawFile],
    feeds: Sequence[Feed],
    target: Target,
    keyed: bool,
) -> Path:
    """The new folder inside the work folder, sorted by key so that the same rows give the same bytes."""
    (database,) = {path for _, name, path in _databases(connection) if name == "import"}
    folder = Path(database).parent / "claims"
    folder.mkdir()
    for name in _relevant(feeds, target):
        table = TABLES[name]
        key = ", ".join(f'"{part}"' for part in table.key)
        query = f"SELECT {names(table)} FROM final_{name} ORDER BY {key}"
        # Claims are written even when none stands: an empty table is an answer, a missing one is not.
        _write(connection, query, folder / name, table.arrow, always=name == "claims")
        _write(connection, _history(name, target), folder / "history" / name)
        _write(connection, _quarantine(name, files, feeds, target, keyed), folder / "quarantine" / name)
    _write(connection, _faults(feeds, target), folder / "faults")
    return folder


def _databases(connection: duckdb.DuckDBPyConnection) -> Sequence[tuple[int, str, str]]:
    query = "SELECT database_oid, database_name, path FROM duckdb_databases()"
    return list(connection.execute(query).fetchall())


def _relevant(feeds: Sequence[Feed], target: Target) -> list[str]:
    """Tables that this import brings, and those of which the target holds anything."""
    given = {feed.table for feed in feeds} | {"claims"}
    return [name for name in TABLES if name in given or target.holds(name)]


def _write(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    folder: Path,
    schema: pa.Schema | None = None,
    always: bool = False,
) -> None:
    """Write the rows as one file; none, and so no folder, when there are none.

    Arrow writes it: the engine's own writer leaves out what its statistics can prove about nulls, so
    that equal rows would not always give equal bytes.
    """
    batches = connection.sql(query).to_arrow_reader(ROW_GROUP)
    first = next(batches, None)
    if first is None and not always:
        return
    folder.mkdir(parents=True)
    with pq.ParquetWriter(folder / "part-0.parquet", schema or batches.schema, compression="zstd") as writer:
        for batch in chain([] if first is None else [first], batches):
            rows = pa.Table.from_batches([batch])
            writer.write_table(rows.cast(schema) if schema else rows)


def _earlier(target: Target, folder: str) -> str | None:
    """SQL that reads what an earlier import wrote there, if anything."""
    files = sorted((target.path / folder).glob("*.parquet"))
    listed = ", ".join(literal(str(path)) for path in files)
    return f"read_parquet([{listed}], union_by_name = true)" if files else None


def _history(name: str, target: Target) -> str:
    earlier = _earlier(target, f"history/{name}")
    union = f" UNION SELECT * FROM {earlier}" if earlier else ""
    return f"SELECT DISTINCT * FROM (SELECT * FROM history_{name}{union}) ORDER BY ALL"


def _with_earlier(query: str, target: Target, folder: str) -> str:
    """The rows, beside those of files that this import did not read again."""
    earlier = _earlier(target, folder)
    if earlier:
        query += f" UNION ALL SELECT * FROM {earlier} WHERE sha256 NOT IN (SELECT sha256 FROM files)"
    return f"SELECT * FROM ({query}) ORDER BY ALL"


def _quarantine(name: str, files: Sequence[RawFile], feeds: Sequence[Feed], target: Target, keyed: bool) -> str:
    parts = []
    for feed in (feed for feed in feeds if feed.table == name and feed.file):
        file = files[[f.index for f in files].index(feed.index)]
        parts.append(f"""SELECT _file, f._row, reasons, {_json(file, feeds, keyed)} AS raw
            FROM fates AS f JOIN {file.relation} AS r ON r._row = f._row
            WHERE f."table" = '{name}' AND f._file = {file.index} AND fate = 'quarantined'""")
        if feed.rows is None:
            raw = literal(WITHHELD) if keyed else "mask(text)"
            parts.append(f"""SELECT _file, _row, [reason], CAST(to_json({raw}) AS VARCHAR) FROM rejects
                WHERE _file = {file.index}""")
    rows = " UNION ALL ".join(parts) or "SELECT 0 AS _file, 0 AS _row, [''] AS reasons, '' AS raw WHERE false"
    query = f"""SELECT f.name AS file, f.sha256, CAST(q._row AS BIGINT) AS "row", q.reasons, q.raw
        FROM ({rows}) AS q JOIN files AS f ON f._file = q._file"""
    return _with_earlier(query, target, f"quarantine/{name}")


def _json(file: RawFile, feeds: Sequence[Feed], keyed: bool) -> str:
    """SQL for a raw row as JSON. With a key, only what the tables get, and hidden as it is there."""
    mine = [feed for feed in feeds if feed.index == file.index]
    read = frozenset[str]().union(*(feed.cells for feed in mine))
    hidden = frozenset[str]().union(*(feed.cells_of(feed.personal) for feed in mine))
    cells = []
    for (cell, text), column in zip(file.texts().items(), file.columns, strict=True):
        if keyed and cell not in read:
            continue
        value = f"mask({text})"
        if keyed:
            value = (
                f"pseudonym({text})"
                if cell in hidden
                else f"CASE WHEN looks_personal({text}) THEN pseudonym({text}) ELSE {value} END"
            )
        cells.append(f"{literal(column)}, {value}")
    return f"CAST(json_object({', '.join(cells)}) AS VARCHAR)"


def _faults(feeds: Sequence[Feed], target: Target) -> str:
    parts = [
        f"""SELECT '{name}' AS "table", _file, _row, f."column", f.code, f.value FROM (
            SELECT _file, _row, unnest(_faults) AS f FROM checked_{name}
            WHERE len(_reasons) = 0 AND len(_faults) > 0)"""
        for name in sorted({feed.table for feed in feeds})
    ]
    query = f"""SELECT u."table", f.name AS file, f.sha256, u._row AS "row", u."column", u.code, u.value
        FROM ({" UNION ALL ".join(parts)}) AS u JOIN files AS f ON f._file = u._file"""
    return _with_earlier(query, target, "faults")
