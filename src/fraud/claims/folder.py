"""A folder of canonical tables in parquet: `DIR/<table>.parquet` or `DIR/<table>/*.parquet`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.claims.raw import literal
from fraud.claims.schema import TABLES, Column, Table
from fraud.errors import ClaimsError

__all__ = ["ClaimsFolder", "TableWriter", "connect", "twin"]

MANIFEST = "manifest.json"


def connect(threads: int | None = None, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in memory that does not download extensions or draw progress bars."""
    settings: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    if threads:
        settings["threads"] = threads
    if memory_limit:
        settings["memory_limit"] = memory_limit
    connection = duckdb.connect(":memory:", config=settings)
    connection.execute("SET enable_progress_bar = false")
    return connection


def twin(connection: duckdb.DuckDBPyConnection, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """A database of one thread and its own memory, with the tables and views of another, but for temporary ones.

    What a query gives may depend in the last bit on the memory that others leave it: here there are no others.
    """
    other = connect(threads=1, memory_limit=memory_limit)
    for setting in ("temp_directory", "preserve_insertion_order"):
        ((value,),) = connection.execute(f"SELECT current_setting('{setting}')").fetchall()
        other.execute(f"SET {setting} = {literal(str(value))}")
    names = "SELECT schema_name, {0}_name{1} FROM duckdb_{0}s() WHERE NOT internal AND NOT temporary ORDER BY {0}_oid"
    for schema, name in connection.execute(names.format("table", "")).fetchall():
        other.register("_rows", connection.sql(f'SELECT * FROM {schema}."{name}"').to_arrow_table())
        other.execute(f'CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE {schema}."{name}" AS SELECT * FROM _rows')
        other.unregister("_rows")
    # Later ones may read earlier ones.
    for schema, _, made_by in connection.execute(names.format("view", ", sql")).fetchall():
        other.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        other.execute(f"USE {schema}")
        other.execute(made_by)
    other.execute("USE main")
    return other


class ClaimsFolder:
    """Canonical tables on disk; raises `ClaimsError` when the folder holds no claims."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise ClaimsError(
                f"{path}: no such folder. Make one with `fraud import` or `fraud simulate`, then pass it here."
            )
        if not self.files("claims"):
            raise ClaimsError(
                f"{path}: holds no claims (neither claims.parquet nor claims/*.parquet). "
                "Import raw files first: fraud import cms RAW --to DIR."
            )

    def files(self, name: str) -> list[Path]:
        """Parquet files of a table, in name order; empty when the source did not have it."""
        single = self.path / f"{name}.parquet"
        return [single] if single.is_file() else sorted((self.path / name).glob("*.parquet"))

    @cached_property
    def present(self) -> dict[str, frozenset[str]]:
        """Columns that each table holds with at least one value: the others count as absent."""
        return {name: self._present(TABLES[name]) for name in TABLES}

    def _present(self, table: Table) -> frozenset[str]:
        return frozenset().union(*(_filled(pq.ParquetFile(path), table) for path in self.files(table.name)))

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the import wrote about itself; empty for a folder made by other means."""
        path = self.path / MANIFEST
        return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}

    @cached_property
    def digest(self) -> str:
        """`sha256:` over names and contents of all table files: what a model was fitted on."""
        total = hashlib.sha256()
        for name in TABLES:
            for path in self.files(name):
                total.update(f"{name}/{path.name}\0".encode())
                total.update(_file_digest(path))
        return f"sha256:{total.hexdigest()}"

    def attach(self, connection: duckdb.DuckDBPyConnection, tables: Iterable[str] = TABLES) -> None:
        """Make a view for each table with every canonical column; what the files lack is null.

        Claims come with one row for each `claim_id`, the latest version.
        """
        for name in tables:
            connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS {self._select(TABLES[name])}')

    def _select(self, table: Table) -> str:
        files = self.files(table.name)
        if not files:
            nulls = ", ".join(f'CAST(NULL AS {c.sql}) AS "{c.name}"' for c in table.columns)
            return f"SELECT {nulls} WHERE false"
        held = set(_all_columns(files))
        columns = ", ".join(_cast(c, c.name in held) for c in table.columns)
        paths = ", ".join("'" + str(p).replace("'", "''") + "'" for p in files)
        return f"SELECT {columns} FROM read_parquet([{paths}], union_by_name = true)"


def _cast(column: Column, held: bool) -> str:
    source = f'"{column.name}"' if held else "NULL"
    return f'CAST({source} AS {column.sql}) AS "{column.name}"'


def _all_columns(files: Iterable[Path]) -> list[str]:
    return [name for path in files for name in pq.read_schema(path).names]


def _filled(file: pq.ParquetFile, table: Table) -> set[str]:
    """Columns with a value, by the statistics of the row groups; without statistics: assumed filled."""
    names = [n for n in file.schema_arrow.names if n in table.by_name]
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    filled = set()
    for group in groups:
        chunks = [group.column(i) for i in range(group.num_columns)]
        for chunk in chunks:
            nulls = chunk.statistics.null_count if chunk.statistics else None
            if nulls is None or nulls < group.num_rows:
                filled.add(chunk.path_in_schema.split(".")[0])
    return filled & set(names)


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


class TableWriter:
    """Streams batches of one table to `DIR/<table>/part-0.parquet`; a context manager.

    Columns that a batch lacks are written as null; the order and the types are the schema's.
    """

    def __init__(self, folder: str | Path, name: str, part: str = "part-0") -> None:
        self.table = TABLES[name]
        self.rows = 0
        target = Path(folder) / name
        target.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(target / f"{part}.parquet", self.table.arrow, compression="zstd")

    def write(self, batch: pa.Table | Mapping[str, Any]) -> None:
        """Append rows, given as an Arrow table or as columns by name."""
        rows = batch if isinstance(batch, pa.Table) else pa.table(dict(batch))
        self._writer.write_table(conform(rows, self.table))
        self.rows += rows.num_rows

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def conform(rows: pa.Table, table: Table) -> pa.Table:
    """The rows with exactly the table's columns, order and types; raises `pyarrow.ArrowInvalid`."""
    columns = [
        rows[f.name].cast(f.type) if f.name in rows.column_names else pa.nulls(rows.num_rows, f.type)
        for f in table.arrow
    ]
    return pa.Table.from_arrays(columns, schema=table.arrow)
