"""Counts and faults of an import, taken from what happened to its rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from fraud.claims.checking import CODES, Feed
from fraud.claims.raw import RawFile
from fraud.claims.schema import TABLES
from fraud.errors import Fault

if TYPE_CHECKING:
    from fraud.claims.swapping import Target

__all__ = ["TableCount", "count_tables", "find_faults"]

EXAMPLES = 5
DERIVED = "derived from claims"


@dataclass(frozen=True)
class TableCount:
    """Rows of one import into one table: `rows_in = loaded + quarantined + superseded + duplicates`.

    `superseded` rows are older versions, kept as history; `duplicates` repeat another row of the import.
    `replaced` counts rows of an earlier import that this one sent to history; `rows` all that the table
    holds now.
    """

    rows_in: int = 0
    loaded: int = 0
    quarantined: int = 0
    superseded: int = 0
    duplicates: int = 0
    replaced: int = 0
    rows: int = 0


def count_tables(
    connection: duckdb.DuckDBPyConnection, files: Sequence[RawFile], feeds: Sequence[Feed], target: Target
) -> dict[str, TableCount]:
    """Counts of the claims, and of every other table that the import had rows for or that holds rows."""
    given = {feed.table for feed in feeds} | {"claims"}
    relevant = [name for name in TABLES if name in given or target.holds(name)]
    counts = {name: _count(connection, name, files, feeds) for name in relevant}
    return {name: count for name, count in counts.items() if count.rows_in or count.rows or name == "claims"}


def _count(
    connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[RawFile], feeds: Sequence[Feed]
) -> TableCount:
    # Rows in are counted on the raw side, fates on the checked side: only so does the sum prove anything.
    whole = [feed.file for feed in feeds if feed.table == name and feed.file and feed.rows is None]
    made = [feed.index for feed in feeds if feed.table == name and feed.rows is not None]
    derived = f"_file IN ({', '.join(map(str, made))})" if made else "false"
    read = [file.rows for file in files if file in whole]
    rejected = f"_file IN ({', '.join(str(f.index) for f in whole)})" if whole else "false"
    query = f"""SELECT
        (SELECT count(*) FROM checked_{name} WHERE {derived}),
        (SELECT count(*) FROM accepted_{name}),
        (SELECT count(*) FROM rejects WHERE {rejected}),
        (SELECT count(*) FROM final_{name})"""
    made_rows, accepted, rejects, rows = connection.execute(query).fetchall()[0]
    fates = _fates(connection, name)
    late = _late(connection, name)
    return TableCount(
        rows_in=sum(read) + made_rows,
        loaded=accepted - late,
        quarantined=fates.get("quarantined", 0) + rejects,
        superseded=fates.get("superseded", 0),
        duplicates=fates.get("duplicate", 0),
        replaced=_replaced(connection, name),
        rows=rows,
    )


def _fates(connection: duckdb.DuckDBPyConnection, name: str) -> Mapping[str, int]:
    query = f"SELECT fate, count(*) FROM fates WHERE \"table\" = '{name}' GROUP BY fate"
    return dict(connection.execute(query).fetchall())


def _late(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """Accepted rows that did not stand beside those of an earlier import."""
    query = f"""SELECT count(*) FROM accepted_{name} AS a SEMI JOIN fates AS f
        ON f."table" = '{name}' AND f._file = a._file AND f._row = a._row AND f._seq = a._seq"""
    return int(connection.execute(query).fetchall()[0][0])


def _replaced(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    query = f"""SELECT (SELECT count(*) FROM history_{name}) - count(*) FROM fates
        WHERE "table" = '{name}' AND fate = 'superseded'"""
    return int(connection.execute(query).fetchall()[0][0])


def find_faults(
    connection: duckdb.DuckDBPyConnection, files: Sequence[RawFile], feeds: Sequence[Feed]
) -> tuple[Fault, ...]:
    """Every fault in the rows, one for each file, column and code, with at most 5 examples."""
    names = {file.index: file.name for file in files}
    faults = [_fault(names, *row) for row in connection.execute(_query({feed.table for feed in feeds})).fetchall()]
    empty = [Fault(file.name, "no_rows", "a header and no rows") for file in files if file.rows == 0]
    return (*empty, *faults)


def _query(given: Iterable[str]) -> str:
    parts = ["SELECT _file, _row, '' AS \"column\", code, reason AS value FROM rejects"]
    for name in sorted(given):
        for found, rows in (("_reasons", "true"), ("_faults", "len(_reasons) = 0")):
            parts.append(f"""SELECT _file, _row, f."column", f.code, f.value FROM (SELECT _file, _row,
                unnest({found}) AS f FROM checked_{name} WHERE len({found}) > 0 AND {rows})""")
    # Fates with a reason of a cell are told above, by column.
    parts.append("""SELECT _file, _row, "table",
            CASE fate WHEN 'duplicate' THEN fate ELSE 'conflict' END, NULL
        FROM fates WHERE fate = 'duplicate' OR (fate = 'quarantined' AND NOT contains(reasons[1], ': '))""")
    return f"""SELECT _file, "column", code, count(*), list(_row ORDER BY _row, value)[:{EXAMPLES}],
            list(left(value, 40) ORDER BY _row, value)[:{EXAMPLES}]
        FROM ({" UNION ALL ".join(parts)}) GROUP BY ALL ORDER BY _file, "column", code"""


def _fault(
    names: Mapping[int, str],
    index: int,
    column: str,
    code: str,
    count: int,
    rows: Sequence[int],
    values: Sequence[str | None],
) -> Fault:
    file = names.get(index, DERIVED)
    examples = tuple(
        f"row {row}" + (f": {value}" if value is not None else "") for row, value in zip(rows, values, strict=True)
    )
    return Fault(f"{file}:{column}" if column else file, code, CODES.get(code, code.replace("_", " ")), count, examples)
