"""Figures of a claim or a line that must not tell a false one from a true one.

A generator betrays itself in what no deed explains: digits of identifiers, places in the files, seconds,
cents, lengths of lists, empty cells. Each figure is named `family.what`; families are in `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraud.claims.schema import TABLES
from fraud.claims.simulation.describing.opening import Payer

__all__ = ["FAMILIES", "Stamps", "claim_stamps", "line_stamps"]

FAMILIES = {
    "identifiers": "digits and lengths of identifiers",
    "positions": "places of rows in the files",
    "clock": "seconds of the times, and courses that repeat to the second",
    "cents": "cents of the amounts",
    "lengths": "how many lines, diagnoses and procedures a claim has",
    "nulls": "cells that are empty",
}
# Identifiers of a claim, and who owns each: a patient with forty claims is one throw of the dice, not forty.
IDS = ("claim_id", "invoice_no", "patient_id", "physician_id", "terminal_id", "payee_account", "operator_id")
OWN_IDS = ("claim_id", "invoice_no")
TIMES = ("admitted_at", "discharged_at", "settled_at", "uploaded_at")
WAITS = ("ordered_at", "service_at", "executed_at", "reported_at")
LINE_TIMES = ("service_at", "ordered_at", "executed_at", "reported_at")
# Small ones: claims of one hour lie beside each other, and share larger remainders without any stamp.
MODULI = (2, 3, 5, 7)


@dataclass(frozen=True)
class Stamps:
    """Figures by row: `names` of the columns of `values`; `owners[name]` says whose figure it is.

    A figure that is not known is NaN.
    """

    keys: NDArray[np.str_]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    owners: Mapping[str, str]

    def of(self, keys: NDArray[np.str_]) -> NDArray[np.float64]:
        """The values of the rows with these keys, in their order."""
        return np.asarray(self.values[np.searchsorted(self.keys, keys)])


def _id(column: str) -> Iterator[tuple[str, str]]:
    digits = f"regexp_replace({column}, '[^0-9]', '', 'g')"
    yield f"identifiers.{column}.last", f"ascii(right({column}, 1))"
    yield f"identifiers.{column}.tail", f"TRY_CAST(right({digits}, 3) AS DOUBLE)"
    yield f"identifiers.{column}.head", f"TRY_CAST(left({digits}, 3) AS DOUBLE)"
    yield f"identifiers.{column}.digit_sum", f"list_sum(list_transform(string_split({digits}, ''), lambda d: ascii(d)))"
    yield f"identifiers.{column}.length", f"length({column})"


def _place(column: str, name: str) -> Iterator[tuple[str, str]]:
    for modulus in MODULI:
        yield f"positions.{name}.mod_{modulus}", f"{column} % {modulus}"


def _time(column: str) -> Iterator[tuple[str, str]]:
    yield f"clock.{column}.second", f"second({column})"
    yield f"clock.{column}.even", f"second({column}) % 2"
    yield f"clock.{column}.minute_of_five", f"minute({column}) % 5"
    yield f"clock.{column}.fraction", f"microsecond({column}) % 1000000"


def _waits(alias: str, times: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Seconds, beyond whole minutes, from each time to the next: a wait of exactly so long is a stamp."""
    for before, after in pairwise(times):
        wait = f"(epoch({alias}.{after}) - epoch({alias}.{before}))::BIGINT"
        yield f"clock.{alias}.{before}_to_{after}", f"{wait} % 60"


def _cents(column: str) -> Iterator[tuple[str, str]]:
    # Nothing paid has no cents: that is an amount, and amounts may matter.
    cents = f"nullif(round({column} * 100), 0)::BIGINT"
    yield f"cents.{column}", f"{cents} % 100"
    yield f"cents.{column}.last", f"{cents} % 10"
    yield f"cents.{column}.even", f"{cents} % 2"


def _nulls(table: str, alias: str) -> Iterator[tuple[str, str]]:
    for column in TABLES[table].columns:
        if not column.required:
            yield f"nulls.{table}.{column.name}", f"({alias}.{column.name} IS NULL)::INT"


def _files(paths: list[Path]) -> str:
    quoted = ", ".join("'" + str(p).replace("'", "''") + "'" for p in paths)
    return f"read_parquet([{quoted}], union_by_name = true, filename = true, file_row_number = true)"


def _placed(payer: Payer, table: str) -> str:
    """Rows of a table with the number of their file and of their row in it."""
    return f"(SELECT *, dense_rank() OVER (ORDER BY filename) AS file FROM {_files(payer.folder.files(table))})"


# The course of a claim to the second: when each line was given, counted from admission, and carried out after.
COURSE = """
    CREATE OR REPLACE TEMP TABLE courses AS
    SELECT claim_id, hash(list((epoch(service_at) - epoch(admitted_at), epoch(executed_at) - epoch(service_at))
        ORDER BY service_at, executed_at)) AS course
    FROM lines JOIN claims USING (claim_id) GROUP BY claim_id HAVING count(executed_at) > 0"""


def _claim_figures() -> list[tuple[str, str]]:
    figures = [f for column in IDS for f in _id(f"c.{column}")]
    figures += [*_place("c.file_row_number", "claim"), *_place("l.first_row", "lines")]
    figures += [
        ("positions.claim.out_of_order", "r.displaced"),
        ("positions.claim.file", "c.file"),
        ("positions.lines.out_of_order", "l.displaced - r.place"),
        ("positions.lines.first_number", "l.first_no"),
        ("positions.lines.gaps", "l.gaps"),
        ("positions.diagnoses.gaps", "d.gaps"),
    ]
    figures += [f for column in TIMES for f in _time(f"c.{column}")]
    figures += [f for column in LINE_TIMES for f in _time(f"l.{column}")]
    figures += [*_waits("c", ("admitted_at", "settled_at", "uploaded_at")), *_waits("l", WAITS)]
    figures += [
        ("clock.admitted_at_to_first_line", "(epoch(l.service_at) - epoch(c.admitted_at))::BIGINT % 60"),
        ("clock.course.shared", "s.shared"),
    ]
    figures += [f for column in ("c.total_amount", "c.fund_amount", "l.amount", "l.unit_price") for f in _cents(column)]
    figures += [
        ("lengths.lines", "l.n"),
        ("lengths.diagnoses", "d.n"),
        ("lengths.procedures", "p.n"),
    ]
    figures += [*_nulls("claims", "c"), *((f"nulls.lines.{n}", f"l.no_{n}") for n in _line_nulls())]
    return [(_plain(name), sql) for name, sql in figures]


def _plain(name: str) -> str:
    """The name of a figure without the alias of its table: a line's own columns are called `line`."""
    family, rest = name.split(".", 1)
    for alias, said in (("c.", ""), ("l.", "first_line."), ("placed.", "")):
        if rest.startswith(alias):
            return f"{family}.{said}{rest.removeprefix(alias)}"
    return name


def _line_nulls() -> list[str]:
    return [c.name for c in TABLES["lines"].columns if not c.required]


def claim_stamps(payer: Payer, wanted: str) -> Stamps:
    """Figures of the claims that the query `wanted` (one column `claim_id`) names, in the order of their ids."""
    payer.connection.execute(COURSE)
    line_nulls = ", ".join(f"avg(({n} IS NULL)::INT) AS no_{n}" for n in _line_nulls())
    first = ", ".join(f"arg_min({n}, line_no) AS {n}" for n in (*LINE_TIMES, "amount", "unit_price"))
    figures = _claim_figures()
    columns = ", ".join(f'CAST({sql} AS DOUBLE) AS "{name}"' for name, sql in figures)
    query = f"""
        WITH wanted AS ({wanted}),
        placed AS (SELECT claim_id, row_number() OVER (ORDER BY file, file_row_number) AS place, settled_at
            FROM {_placed(payer, "claims")}),
        ranked AS (SELECT claim_id, place, place - rank() OVER (ORDER BY settled_at) AS displaced FROM placed),
        line_rows AS (FROM {_placed(payer, "lines")}),
        line_order AS (SELECT claim_id, row_number() OVER (ORDER BY min(file * 10e12 + file_row_number)) AS displaced,
            min(file_row_number) AS first_row FROM line_rows GROUP BY claim_id),
        itemised AS (SELECT claim_id, count(*) AS n, min(line_no) AS first_no,
            max(line_no) - min(line_no) + 1 - count(*) AS gaps, {first}, {line_nulls}
            FROM lines SEMI JOIN wanted USING (claim_id) GROUP BY claim_id),
        diagnosed AS (SELECT claim_id, count(*) AS n, max(position) - count(DISTINCT position) AS gaps
            FROM diagnoses SEMI JOIN wanted USING (claim_id) GROUP BY claim_id),
        operated AS (SELECT claim_id, count(*) AS n
            FROM procedures SEMI JOIN wanted USING (claim_id) GROUP BY claim_id),
        alike AS (SELECT claim_id, count(*) OVER (PARTITION BY course) - 1 AS shared FROM courses)
        SELECT c.claim_id, {columns}
        FROM {_placed(payer, "claims")} c SEMI JOIN wanted ON wanted.claim_id = c.claim_id
        LEFT JOIN ranked r ON r.claim_id = c.claim_id
        LEFT JOIN (itemised JOIN line_order USING (claim_id)) l ON l.claim_id = c.claim_id
        LEFT JOIN diagnosed d ON d.claim_id = c.claim_id LEFT JOIN operated p ON p.claim_id = c.claim_id
        LEFT JOIN alike s ON s.claim_id = c.claim_id
        ORDER BY c.claim_id"""
    owners = {name: _owner(name) for name, _ in figures}
    return _fetched(payer, query, "claim_id", owners)


def _owner(name: str) -> str:
    """Whose figure it is: the claim's, or that of somebody who has many claims."""
    owned = [i for i in IDS if i not in OWN_IDS and name.startswith(f"identifiers.{i}.")]
    return owned[0] if owned else "claim_id"


def line_stamps(payer: Payer, wanted: str) -> Stamps:
    """Figures of the lines that the query `wanted` (columns `claim_id`, `line_no`) names; keys are `claim|line`."""
    figures = [*_place("file_row_number", "line")]
    figures += [("positions.line.among_ties", "place::DOUBLE / ties")]
    figures += [f for column in LINE_TIMES for f in _time(column)]
    figures += [(_plain(name), sql) for name, sql in _waits("placed", WAITS)]
    figures += [f for column in ("amount", "unit_price") for f in _cents(column)]
    figures += [*_id("trace_code"), *_nulls("lines", "placed")]
    columns = ", ".join(f'CAST({sql} AS DOUBLE) AS "{name}"' for name, sql in figures)
    query = f"""
        WITH wanted AS ({wanted}),
        placed AS (SELECT *, row_number() OVER (PARTITION BY claim_id, service_at ORDER BY file, file_row_number)
            AS place, count(*) OVER (PARTITION BY claim_id, service_at) AS ties
            FROM {_placed(payer, "lines")} SEMI JOIN wanted USING (claim_id))
        SELECT claim_id || '|' || line_no AS line, {columns} FROM placed SEMI JOIN wanted USING (claim_id, line_no)
        ORDER BY line"""
    return _fetched(payer, query, "line", {name: "claim_id" for name, _ in figures})


def _fetched(payer: Payer, query: str, key: str, owners: Mapping[str, str]) -> Stamps:
    found = payer.connection.execute(query).fetchnumpy()
    keys = np.asarray(found.pop(key), dtype=str)
    values: NDArray[np.float64] = np.column_stack(
        [np.ma.filled(np.ma.asarray(v, dtype=float), np.nan) for v in found.values()]
    )
    return Stamps(keys, tuple(found), values, owners)
