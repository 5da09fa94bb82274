"""Rows of a feed checked against the schema: each cell is read, refused or missing, and says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from fraud.claims.pseudonyms import MACHINE_NUMBERS, PERSONAL
from fraud.claims.raw import RawFile, RawSpec, literal
from fraud.claims.schema import TABLES, Column, Table
from fraud.errors import Fault

__all__ = ["CODES", "Feed", "Plan", "check", "prepare"]

YEARS = (1900, 2100)
FAULT = 'STRUCT("column" VARCHAR, code VARCHAR, value VARCHAR)'
# ICD and procedure codes are kept without the dot, so that I10.9 and I109 are one code.
DOTLESS = frozenset({("claims", "primary_diagnosis"), ("diagnoses", "code"), ("procedures", "code")})
LIST_SEPARATORS = r"\s*[|;]\s*"

# What each code means, for people.
CODES = {
    "missing": "is missing",
    "not_a_number": "is not a number",
    "not_a_whole_number": "is not a whole number",
    "negative": "is negative",
    "not_a_date": "is not a date",
    "year_out_of_range": f"lies outside the years {YEARS[0]} to {YEARS[1]}",
    "not_a_boolean": "is neither true nor false",
    "not_a_list": "is not a list",
    "not_in_set": "is not one of the permitted values",
}


@dataclass(frozen=True)
class Feed:
    """How rows of one canonical table come out of a staged file.

    `columns` gives SQL for the text of each canonical column. `rows` is the relation they are read
    from when it is not the file itself; it must have `_row` and `_seq`. `parent` names the table
    whose accepted rows of the same file these rows belong to. `pseudonymise` adds personal columns.
    """

    table: str
    file: RawFile | None
    columns: Mapping[str, str]
    rows: str | None = None
    parent: str | None = None
    dates: tuple[str, ...] = ()
    pseudonymise: tuple[str, ...] = ()

    @property
    def index(self) -> int:
        """Index of the file, -1 for rows derived from other tables."""
        return self.file.index if self.file else -1

    @property
    def cells(self) -> frozenset[str]:
        """Staged columns that the feed reads."""
        return _cells((*self.columns.values(), self.rows or ""))

    def cells_of(self, columns: Iterable[str]) -> frozenset[str]:
        """Staged columns that the given canonical columns are made of."""
        return _cells(self.columns.get(name, "") for name in columns)

    @property
    def personal(self) -> frozenset[str]:
        """Canonical columns that name a person."""
        return frozenset((*PERSONAL.get(self.table, ()), *self.pseudonymise))


def _cells(expressions: Iterable[str]) -> frozenset[str]:
    return frozenset(re.findall(r'"(c\d+)"', " ".join(expressions)))


@dataclass(frozen=True)
class Plan:
    """What an importer wants: which raw files, and the feeds once they are staged."""

    files: tuple[RawSpec, ...]
    feeds: Callable[[Sequence[RawFile]], Sequence[Feed]]
    # Columns counted as left out although a feed reads them: name of the column, SQL for its filled rows.
    left_out: Callable[[Sequence[RawFile]], Mapping[str, str]] = lambda files: {}
    # What the importer finds wrong in the files as a whole, beyond their rows.
    faults: Callable[[Sequence[RawFile]], Sequence[Fault]] = lambda files: ()
    uses_mapping: bool = False


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the empty tables that checked rows go to."""
    for table in TABLES.values():
        columns = ", ".join(f'"{c.name}" {c.sql}' for c in table.columns)
        connection.execute(f"""CREATE TABLE checked_{table.name} ({columns}, _file INT, _row BIGINT,
            _seq INT, _reasons {FAULT}[], _faults {FAULT}[])""")


def check(connection: duckdb.DuckDBPyConnection, feed: Feed, keyed: bool) -> None:
    """Append the feed's rows to `checked_TABLE`, each cell read or refused."""
    connection.execute(f"INSERT INTO checked_{feed.table} {_query(feed, keyed)}")


def _query(feed: Feed, keyed: bool) -> str:
    table = TABLES[feed.table]
    given = [column for column in table.columns if column.name in feed.columns]
    texts = ", ".join(f'{feed.columns[c.name]} AS "t_{c.name}"' for c in given)
    values = ", ".join(f'{_value(table, c, feed, keyed)} AS "v_{c.name}"' for c in given)
    codes = ", ".join(f'{_code(c)} AS "f_{c.name}"' for c in given)
    final = ", ".join(_final(c, c in given) for c in table.columns)
    place = "_row, _seq" if feed.rows else "_row, 0 AS _seq"
    return f"""SELECT {final}, {feed.index}, _row, _seq, {_reasons(table, given)}, {_faults(given)}
        FROM (SELECT *, {codes} FROM (SELECT *, {values} FROM (
            SELECT {place}, {texts} FROM {_source(feed)})))"""


def _source(feed: Feed) -> str:
    relation = f"({feed.rows})" if feed.rows else (feed.file.relation if feed.file else "")
    if not feed.parent:
        return relation
    kept = f"SELECT _row FROM accepted_{feed.parent} WHERE _file = {feed.index}"
    return f"(SELECT * FROM {relation} WHERE _row IN ({kept}))"


def _value(table: Table, column: Column, feed: Feed, keyed: bool) -> str:
    text = f'"t_{column.name}"'
    if column.kind in ("id", "text"):
        plain = f"replace({text}, '.', '')" if (table.name, column.name) in DOTLESS else text
        return _hidden(plain, column, feed) if keyed else plain
    return _READERS[column.kind](text, feed.dates)


def _hidden(text: str, column: Column, feed: Feed) -> str:
    if column.name in feed.personal:
        return f"pseudonym({text})"
    if column.values:
        return text
    patient = """t_entity = 'patient' OR """ if (feed.table, column.name) == ("outcomes", "entity_id") else ""
    return f"CASE WHEN {patient}{suspect(column.name, text)} THEN pseudonym({text}) ELSE {text} END"


def suspect(column: str, text: str) -> str:
    """SQL for whether the text of a column has the form of a person's number."""
    return f"looks_like_card({text})" if column in MACHINE_NUMBERS else f"looks_personal({text})"


def _number(text: str, _: Sequence[str]) -> str:
    number = f"TRY_CAST({text} AS DOUBLE)"
    # The engine reads 1_000 and inf as numbers; a claim that says so is cut or mistyped.
    return f"CASE WHEN isfinite({number}) AND NOT contains({text}, '_') THEN {number} + 0.0 END"


def _whole(text: str, dates: Sequence[str]) -> str:
    number = _number(text, dates)
    return f"TRY_CAST(CASE WHEN ({number}) = trunc({number}) THEN {number} END AS BIGINT)"


def _time(text: str, dates: Sequence[str]) -> str:
    if dates:
        return f"try_strptime({text}, [{', '.join(literal(date) for date in dates)}])"
    # An offset is dropped on purpose: civil time as written is what the tables hold.
    iso = f"coalesce(TRY_CAST({text} AS TIMESTAMP), try_strptime({text}, '%Y%m%d'))"
    return f"CASE WHEN ascii({text}) BETWEEN 48 AND 57 THEN {iso} END"


def _date(text: str, dates: Sequence[str]) -> str:
    return f"CAST({_time(text, dates)} AS DATE)"


def _truth(text: str, _: Sequence[str]) -> str:
    return f"""CASE WHEN lower({text}) IN ('true', 't', 'yes', 'y', '1') THEN true
        WHEN lower({text}) IN ('false', 'f', 'no', 'n', '0') THEN false END"""


def _names(text: str, _: Sequence[str]) -> str:
    listed = f"CASE WHEN json_valid({text}) THEN TRY_CAST(CAST({text} AS JSON) AS VARCHAR[]) END"
    return f"""CASE WHEN {text}[1] = '[' THEN {listed}
        ELSE string_split_regex({text}, {literal(LIST_SEPARATORS)}) END"""


_READERS: dict[str, Callable[[str, Sequence[str]], str]] = {
    "money": _number,
    "float": _number,
    "int": _whole,
    "ts": _time,
    "date": _date,
    "bool": _truth,
    "ids": _names,
}
_UNREAD = {
    "money": "not_a_number",
    "float": "not_a_number",
    "int": "not_a_whole_number",
    "ts": "not_a_date",
    "date": "not_a_date",
    "bool": "not_a_boolean",
    "ids": "not_a_list",
}


def _code(column: Column) -> str:
    text, value = f'"t_{column.name}"', f'"v_{column.name}"'
    cases = []
    if column.kind in _UNREAD:
        cases.append(f"WHEN {value} IS NULL THEN '{_UNREAD[column.kind]}'")
    if column.is_number and not column.signed:
        cases.append(f"WHEN {value} < 0 THEN 'negative'")
    if column.kind in ("ts", "date"):
        cases.append(f"WHEN year({value}) NOT BETWEEN {YEARS[0]} AND {YEARS[1]} THEN 'year_out_of_range'")
    if column.values:
        allowed = ", ".join(literal(name) for name in column.values)
        cases.append(f"WHEN {value} NOT IN ({allowed}) THEN 'not_in_set'")
    if not cases:
        return "CAST(NULL AS VARCHAR)"
    return f"CASE WHEN {text} IS NULL THEN NULL {' '.join(cases)} END"


def _final(column: Column, given: bool) -> str:
    name, sql = column.name, column.sql
    if not given:
        return f'CAST(NULL AS {sql}) AS "{name}"'
    return f'CASE WHEN "f_{name}" IS NULL THEN CAST("v_{name}" AS {sql}) END AS "{name}"'


def _reasons(table: Table, given: Sequence[Column]) -> str:
    """SQL for what is wrong with the required cells: any entry keeps the row out."""
    cells = {column.name for column in given}
    each = [
        _found(
            column.name,
            f"""coalesce("f_{column.name}", CASE WHEN "t_{column.name}" IS NULL
            THEN 'missing' END)""",
        )
        if column.name in cells
        else _absent(column.name)
        for column in table.columns
        if column.required
    ]
    return f"list_filter([{', '.join(each)}], lambda reason: reason IS NOT NULL)"


def _absent(name: str) -> str:
    return f"{{'column': '{name}', 'code': 'missing', 'value': CAST(NULL AS VARCHAR)}}"


def _faults(given: Sequence[Column]) -> str:
    """SQL for the optional cells that cannot be read: they become null, and their text is kept aside."""
    each = [
        _found(column.name, f'"f_{column.name}"')
        for column in given
        if not column.required and (column.kind in _UNREAD or column.values)
    ]
    return f"list_filter([{', '.join(each)}], lambda fault: fault IS NOT NULL)" if each else "[]"


def _found(name: str, code: str) -> str:
    value = f'mask("t_{name}")'
    return f"""CASE WHEN {code} IS NOT NULL THEN {{'column': '{name}', 'code': {code}, 'value': {value}}} END"""
