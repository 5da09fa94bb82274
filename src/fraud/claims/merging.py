"""Which checked rows stand: duplicates, conflicts and versions within an import, and beside an earlier one.

Every checked row gets exactly one fate: loaded, duplicate, superseded (an older version, kept as
history) or quarantined. Counts of the fates add up to the rows read.
"""

from __future__ import annotations

import duckdb

from fraud.claims.raw import literal
from fraud.claims.schema import TABLES, Table

__all__ = ["CHILDREN", "REGISTERS", "accept", "merge", "names", "prepare_fates"]

# Rows that belong to one version of a claim and go with it.
CHILDREN = ("diagnoses", "procedures", "lines")
# Registers: the later import is the newer version; what it leaves empty stays as it was.
REGISTERS = ("patients", "providers", "physicians", "catalogue", "exclusions")
SAME_KEY = "a row with the same key and other content came first"
SAME_CLAIM = "the claim came first with other content, and uploaded_at is not later"
OTHER_VERSION = "its claim differs from the one loaded before, and uploaded_at is not later"


def names(table: Table, alias: str = "") -> str:
    """The table's columns for a SELECT, each under the alias if one is given."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f'{prefix}"{column.name}"' for column in table.columns)


def _packed(table: Table, alias: str) -> str:
    parts = ", ".join(f'"{c.name}" := {alias}."{c.name}"' for c in table.columns)
    return f"struct_pack({parts})"


def _key(table: Table, alias: str) -> str:
    return ", ".join(f'{alias}."{part}"' for part in table.key)


def _same_key(table: Table, one: str, other: str) -> str:
    """SQL for equal keys; a null in an optional part of the key equals a null."""
    return " AND ".join(f'{one}."{part}" IS NOT DISTINCT FROM {other}."{part}"' for part in table.key)


def _older(one: str, other: str) -> str:
    """SQL for an earlier version; a version without a date is older than one with a date."""
    return f"coalesce({one} < {other}, {one} IS NULL AND {other} IS NOT NULL)"


def prepare_fates(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of accepted rows, of the fates of all others, and of older versions, all empty."""
    connection.execute("""CREATE TABLE fates ("table" VARCHAR, _file INT, _row BIGINT, _seq INT,
        fate VARCHAR, reasons VARCHAR[])""")
    for table in TABLES.values():
        version = ", NULL::TIMESTAMP AS uploaded_at" if table.name in CHILDREN else ""
        connection.execute(f"""CREATE TABLE history_{table.name} AS
            SELECT {names(table)}{version} FROM checked_{table.name} WHERE false""")
        connection.execute(f"""CREATE TABLE accepted_{table.name} AS
            SELECT {names(table)}, _file, _row, _seq FROM checked_{table.name} WHERE false""")


def accept(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Fill `accepted_TABLE` with the row that stands of each key; the fates of the others are noted."""
    table = TABLES[name]
    told = "lambda r: concat(r.column, ': ', r.code, ' (' || left(r.value, 40) || ')')"
    connection.execute(f"""INSERT INTO fates SELECT '{name}', _file, _row, _seq, 'quarantined',
        list_transform(_reasons, {told}) FROM checked_{name} WHERE len(_reasons) > 0""")
    connection.execute(f"INSERT INTO fates {_rivals(table)}")
    if name == "claims":
        connection.execute(f"""INSERT INTO history_claims SELECT {names(table, "c")} FROM checked_claims AS c
            JOIN fates AS f ON {_same_row("f", "c")} WHERE f."table" = 'claims' AND fate = 'superseded'""")
    connection.execute(f"""INSERT INTO accepted_{name} SELECT {names(table)}, _file, _row, _seq
        FROM checked_{name} AS c WHERE NOT EXISTS (
            SELECT 1 FROM fates AS f WHERE f."table" = '{name}' AND {_same_row("f", "c")})""")


def _same_row(one: str, other: str) -> str:
    return " AND ".join(f"{one}.{part} = {other}.{part}" for part in ("_file", "_row", "_seq"))


def _rivals(table: Table) -> str:
    """Rows beside a better one of the same key; the window runs only over keys that come twice."""
    version = '"uploaded_at"' if table.name == "claims" else "CAST(NULL AS TIMESTAMP)"
    reason = SAME_CLAIM if table.name == "claims" else SAME_KEY
    key = _key(table, "r")
    return f"""
        WITH good AS (SELECT * FROM checked_{table.name} WHERE len(_reasons) = 0),
        twice AS (SELECT {_key(table, "good")} FROM good GROUP BY ALL HAVING count(*) > 1),
        rivals AS (SELECT g.*, {_packed(table, "g")} AS content, {version} AS version
            FROM good AS g JOIN twice AS t ON {_same_key(table, "g", "t")}),
        ranked AS (SELECT *, row_number() OVER best AS place, first_value(version) OVER best AS newest,
                row_number() OVER (PARTITION BY {key}, content ORDER BY _file, _row, _seq) AS copy
            FROM rivals AS r
            WINDOW best AS (PARTITION BY {key} ORDER BY version DESC NULLS LAST, _file, _row, _seq))
        SELECT '{table.name}', _file, _row, _seq, CASE WHEN copy > 1 THEN 'duplicate'
            WHEN {_older("version", "newest")} THEN 'superseded' ELSE 'quarantined' END, [{literal(reason)}]
        FROM ranked WHERE place > 1"""


def merge(connection: duckdb.DuckDBPyConnection, name: str, held: bool, given: bool) -> None:
    """Make `final_TABLE` of the accepted rows and those of an earlier import (`held` says there are any).

    Rows of the earlier import are read from the view `existing.TABLE`. Claims go first.
    """
    table = TABLES[name]
    if not held or not given:
        rows = f"existing.{name}" if held else f"accepted_{name}"
        connection.execute(f"CREATE VIEW final_{name} AS SELECT {names(table)} FROM {rows}")
        if name == "claims":
            connection.execute("CREATE TABLE versus_claims (claim_id VARCHAR, version TIMESTAMP, state VARCHAR)")
        return
    connection.execute(f"CREATE TABLE earlier_{name} AS SELECT {names(table)} FROM existing.{name}")
    if name in REGISTERS:
        _merge_register(connection, table)
    elif name == "claims":
        _merge_claims(connection)
    else:
        _merge_rows(connection, table)


def _merge_claims(connection: duckdb.DuckDBPyConnection) -> None:
    table = TABLES["claims"]
    connection.execute(f"""CREATE TABLE versus_claims AS SELECT n.claim_id, n._file, n._row, n._seq,
            CASE WHEN {_older("n.uploaded_at", "e.uploaded_at")} THEN n.uploaded_at ELSE e.uploaded_at END
                AS version,
            CASE WHEN {_packed(table, "n")} IS NOT DISTINCT FROM {_packed(table, "e")} THEN 'same'
                WHEN {_older("e.uploaded_at", "n.uploaded_at")} THEN 'newer'
                WHEN {_older("n.uploaded_at", "e.uploaded_at")} THEN 'older' ELSE 'conflict' END AS state
        FROM accepted_claims AS n JOIN earlier_claims AS e ON n.claim_id = e.claim_id""")
    connection.execute(f"""INSERT INTO fates SELECT 'claims', _file, _row, _seq,
            CASE state WHEN 'older' THEN 'superseded' ELSE 'quarantined' END, [{literal(SAME_CLAIM)}]
        FROM versus_claims WHERE state IN ('older', 'conflict')""")
    for rows, state in (("earlier", "newer"), ("accepted", "older")):
        connection.execute(f"""INSERT INTO history_claims SELECT {names(table)} FROM {rows}_claims
            WHERE claim_id IN {_claims(state)}""")
    connection.execute(f"""CREATE VIEW final_claims AS
        SELECT {names(table)} FROM accepted_claims WHERE claim_id NOT IN {_claims("older", "conflict")}
        UNION ALL
        SELECT {names(table)} FROM earlier_claims WHERE claim_id NOT IN {_claims("same", "newer")}""")


def _claims(*states: str) -> str:
    listed = ", ".join(literal(state) for state in states)
    return f"(SELECT claim_id FROM versus_claims WHERE state IN ({listed}))"


def _merge_rows(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Rows of claims go with their version; every other key keeps the row that came first."""
    name, child = table.name, table.name in CHILDREN
    if child:
        _follow_claims(connection, table)
    standing = f"""SELECT n.* FROM accepted_{name} AS n WHERE NOT EXISTS (
        SELECT 1 FROM fates AS f WHERE f."table" = '{name}' AND {_same_row("f", "n")})"""
    connection.execute(f"""INSERT INTO fates SELECT '{name}', n._file, n._row, n._seq, 'quarantined',
            [{literal(SAME_KEY)}]
        FROM ({standing}) AS n JOIN earlier_{name} AS e ON {_same_key(table, "n", "e")}
        WHERE {_packed(table, "n")} IS DISTINCT FROM {_packed(table, "e")}""")
    connection.execute(f"""CREATE VIEW final_{name} AS SELECT {names(table, "n")} FROM ({standing}) AS n
        UNION ALL SELECT {names(table, "e")} FROM earlier_{name} AS e WHERE NOT EXISTS (
            SELECT 1 FROM ({standing}) AS n WHERE {_same_key(table, "n", "e")})""")


def _follow_claims(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    name = table.name
    for rows, state in (("earlier", "newer"), ("accepted", "older")):
        connection.execute(f"""INSERT INTO history_{name} SELECT {names(table, "c")}, v.version
            FROM {rows}_{name} AS c JOIN versus_claims AS v ON c.claim_id = v.claim_id
            WHERE v.state = '{state}'""")
    connection.execute(f"DELETE FROM earlier_{name} WHERE claim_id IN {_claims('newer')}")
    connection.execute(f"""INSERT INTO fates SELECT '{name}', n._file, n._row, n._seq,
            CASE v.state WHEN 'older' THEN 'superseded' ELSE 'quarantined' END, [{literal(OTHER_VERSION)}]
        FROM accepted_{name} AS n JOIN versus_claims AS v ON n.claim_id = v.claim_id
        WHERE v.state IN ('older', 'conflict')""")


def _merge_register(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    name = table.name
    filled = ", ".join(f'coalesce(n."{c.name}", e."{c.name}") AS "{c.name}"' for c in table.columns)
    same = _same_key(table, "n", "e")
    connection.execute(f"""CREATE TABLE final_{name} AS SELECT {filled}
        FROM accepted_{name} AS n FULL JOIN earlier_{name} AS e ON {same}""")
    connection.execute(f"""INSERT INTO history_{name} SELECT {names(table, "e")}
        FROM earlier_{name} AS e JOIN final_{name} AS n ON {same}
        WHERE {_packed(table, "n")} IS DISTINCT FROM {_packed(table, "e")}""")
