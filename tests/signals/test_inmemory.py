"""Expressions in memory mean what they mean in SQL: unknown values, empty groups, and what is refused."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import reduce
from typing import Any

import duckdb
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.claims.folder import connect
from fraud.errors import CatalogueError
from fraud.signals.inmemory import Leaf, Program, Texts, column_of
from fraud.signals.texts import NO_TEXT

TYPES = {
    "a": "boolean",
    "b": "boolean",
    "x": "float64",
    "y": "float64",
    "s": "string",
    "d": "date",
    "t": "timestamp(6)",
}
ROWS = ibis.table(TYPES, name="rows")
EXPRESSIONS: Sequence[Callable[[ir.Table], ir.Value]] = (
    lambda r: (r.a & r.b).sum(),
    lambda r: (r.a | ~r.b).fill_null(False).mean(),
    lambda r: r.count(where=(r.x > r.y) & (r.s == "p")),
    lambda r: r.x.sum(where=r.a) / r.y.sum().nullif(0.0),
    lambda r: r.x.mean() - r.y.mean(where=r.b),
    lambda r: r.x.max(where=r.s != "p") + r.x.min(),
    lambda r: r.s.nunique(where=r.x.between(0, 5)),
    lambda r: r.x.count() - r.count(where=r.x.isnull()),
    lambda r: r.count(where=r.t.date().delta(r.d, unit="day") >= 10),
    lambda r: r.t.date().delta(r.d, unit="day").max(),
    lambda r: r.count(where=r.t.day_of_week.index() >= 5) + r.count(where=r.t.day() > 26),
    lambda r: r.s.isin(["p", "q"]).sum(),
    lambda r: ibis.cases((r.a, r.x), else_=r.y).sum(),
    lambda r: r.count(where=r.s.substr(0, 1) == "q"),
    lambda r: r.x.std(),
    lambda r: (r.x / 3).floor().sum(),
    lambda r: r.count(where=r.s < "q") + r.count(where=r.s.between("p", "q")),
    lambda r: r.count(where=r.s.fill_null("p").contains("q")),
    lambda r: (r.s + "-" + r.s.fill_null("none")).nunique(),
    lambda r: ibis.cases((r.a, r.s), else_="other").nunique(where=r.x > 0),
    lambda r: r.s.collect(where=r.b).unique().length(),
    lambda r: r.count(where=r.s.isin(["p", "unheard of"])) + r.count(where=r.x.isin([1.0, 2.0])),
    lambda r: r.a.sum() + r.b.sum() + r.count() + r.s.count() + r.count(where=r.d.isnull()),
)
numbers = st.one_of(st.none(), st.integers(-9, 9).map(float))
row = st.fixed_dictionaries(
    {
        "a": st.one_of(st.none(), st.booleans()),
        "b": st.one_of(st.none(), st.booleans()),
        "x": numbers,
        "y": numbers,
        "s": st.sampled_from([None, "p", "q", "qq"]),
        "d": st.one_of(st.none(), st.dates(date(2023, 1, 1), date(2024, 12, 31))),
        "t": st.one_of(st.none(), st.datetimes(datetime(2023, 1, 1), datetime(2024, 12, 31))),
    }
)


def _in_memory(expression: ir.Value, rows: list[dict[str, Any]]) -> float | None:
    def resolve(relation: ops.Relation, name: str) -> Leaf:
        return Leaf("rows", name, ROWS[name].type() if name else ibis.dtype("boolean"))

    program = Program(resolve)
    place = program.add(expression.op())
    texts = Texts(program.texts)
    leaves = {
        p: column_of([True] * len(rows) if not leaf.name else [r[leaf.name] for r in rows], leaf.type, texts)
        for p, leaf in program.leaves
    }
    found = program.run(leaves, texts)[place]
    return float(found.values[0]) if found.known[0] else None


# To compile an expression takes longer than to run it: all of them in one query, and that only once.
QUERY = str(
    ibis.to_sql(ROWS.aggregate(**{f"v{i}": make(ROWS) for i, make in enumerate(EXPRESSIONS)}), dialect="duckdb")
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = connect(threads=1)
    yield opened
    opened.close()


def _in_sql(connection: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> list[float | None]:
    """The value of each expression."""
    connection.register("rows", pa.Table.from_pylist(rows, schema=ROWS.schema().to_pyarrow()))
    (values,) = connection.execute(QUERY).fetchall()
    return [None if value is None else float(value) for value in values]


def _of_each(requests: list[list[dict[str, Any]]]) -> np.ndarray:
    """The values of the expressions of each request, all of them computed together; NaN where not known."""

    def resolve(relation: ops.Relation, name: str) -> Leaf:
        return Leaf("rows", name, ROWS[name].type() if name else ibis.dtype("boolean"))

    program = Program(resolve)
    places = [program.add(make(ROWS).op()) for make in EXPRESSIONS]
    texts = Texts(program.texts)
    rows = [row for own in requests for row in own]
    leaves = {
        p: column_of([True] * len(rows) if not leaf.name else [r[leaf.name] for r in rows], leaf.type, texts)
        for p, leaf in program.leaves
    }
    owner = np.repeat(np.arange(len(requests)), [len(own) for own in requests])
    found = program.run(leaves, texts, {"rows": owner}, len(requests))
    return found.numbers(places, np.full(len(places), np.nan), len(requests)).T


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(row, max_size=5), min_size=1, max_size=6))
def test_every_request_has_the_value_that_it_has_alone(requests: list[list[dict[str, Any]]]) -> None:
    alone = np.concatenate([_of_each([own]) for own in requests])
    np.testing.assert_allclose(_of_each(requests), alone, rtol=1e-12, atol=1e-12)


def test_columns_of_one_kind_are_computed_in_one_step() -> None:
    program = Program(lambda relation, name: Leaf("rows", name, ROWS[name].type()))
    for limit in range(50):
        program.add(ROWS.x.sum(where=ROWS.y > limit).op())
    # The comparisons together, and then the sums.
    assert len(program.planned().groups) == 2


def test_a_sum_of_many_counts_is_one_step_and_skips_none() -> None:
    rows = [{"x": float(i), "y": None if i == 3 else 1.0} for i in range(6)]
    counts = [ROWS.count(where=ROWS.x > limit) for limit in range(6)]
    assert _in_memory(reduce(operator.add, counts, ibis.literal(0)), rows) == 5 + 4 + 3 + 2 + 1 + 0
    unknown = ROWS.y.sum(where=ROWS.x == 3).cast("int64")
    assert _in_memory(reduce(operator.add, [*counts, unknown]), rows) is None


def test_texts_are_numbered_alike_by_all_who_share_a_base() -> None:
    base = Texts()
    known = base["known"]
    first, second = Texts(base), Texts(base)
    assert first["known"] == second["known"] == known
    assert first["new"] == first["new"] != known
    assert first.text(first["new"]) == "new"
    assert first[None] == base[None] == NO_TEXT
    assert "new" not in base


@settings(max_examples=40, deadline=None)
@given(st.lists(row, min_size=1, max_size=12))
def test_every_expression_has_the_value_that_sql_gives_it(
    connection: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]
) -> None:
    for make, theirs in zip(EXPRESSIONS, _in_sql(connection, rows), strict=True):
        expression = make(ROWS)
        mine = _in_memory(expression, rows)
        assert (mine is None) == (theirs is None), ibis.to_sql(ROWS.aggregate(v=expression))
        if mine is not None and theirs is not None:
            assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-9), ibis.to_sql(ROWS.aggregate(v=expression))


def test_no_rows_count_zero_and_have_no_sum() -> None:
    assert _in_memory(ROWS.count(), []) == 0
    assert _in_memory(ROWS.s.nunique(), []) == 0
    assert _in_memory(ROWS.x.sum(), []) is None


@pytest.mark.parametrize("expression", [ROWS.x.median(), ROWS.s.max()])
def test_an_operation_that_is_not_there_is_refused_with_what_is(expression: ir.Value) -> None:
    with pytest.raises(CatalogueError, match="count, sum, mean"):
        _in_memory(expression, [])


def test_a_shared_part_is_computed_once() -> None:
    program = Program(lambda relation, name: Leaf("rows", name, ROWS[name].type()))
    shared = ROWS.x.sum(where=ROWS.a)
    first = program.add((shared / 2).op())
    second = program.add((shared / 2).op())
    assert first == second
    given: dict[str, list[Any]] = {"a": [True], "x": [4.0]}
    leaves = {p: column_of(given[leaf.name], leaf.type, program.texts) for p, leaf in program.leaves}
    assert program.run(leaves, program.texts)[first].values[0] == 2.0
