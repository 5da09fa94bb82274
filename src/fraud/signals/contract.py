"""The contract that every signal keeps, checked for a whole catalogue.

Static checks need no data: documentation, sentences, citations, examples, default, lock. Checks on data take
a connection with canonical tables (a simulated city, or a payer's own claims): a signal is blind to the
future, indifferent to the order of rows, the same alone as in a crowd, finite and in its range.
"""

from __future__ import annotations

import math
import os
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.schema import TABLES
from fraud.errors import CatalogueError
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.definition import LOCALES, Example, Signal
from fraud.signals.examples import ADMITTED, SNAPSHOT, ExampleWorld
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.inmemory import Leaf, Program, column_of
from fraud.signals.limits import Limit, Place
from fraud.signals.relations import ENTITY_KEYS
from fraud.signals.rules import passes
from fraud.signals.sentences import sentence
from fraud.signals.texts import Texts

__all__ = ["Breach", "check_catalogue", "check_on_claims", "check_signal", "tables_of"]

# Examples of each kind that a rule, a signal with a limit, needs.
FEWEST_CASES = 3
# Sums of the same numbers in another order differ in the last digits.
TOLERANCE = 1e-9
# Fewer signals than this are not worth a process of their own.
_SIGNALS_OF_A_WORKER = 64
_REGION_COLUMNS = {
    ("claim", "insured"): "insured_region",
    ("claim", "care"): "care_region",
    ("patient", "insured"): "insured_region",
    ("provider", "care"): "region",
}
_FIGURES = {"value", "limit", "peer_median", "peer_percentile"}


@dataclass(frozen=True)
class Breach:
    """One point of the contract that a signal does not keep."""

    signal: str
    point: str
    detail: str

    def __str__(self) -> str:
        return f"{self.signal}: {self.point}: {self.detail}"


def check_catalogue(catalogue: Catalogue, on: date, *, workers: int | None = None) -> list[Breach]:
    """Every breach that needs no data, over all signals; citations must be in force on the day `on`.

    A large catalogue is checked by as many processes as there are processors, or as `workers` says.
    """
    size = workers or min(os.cpu_count() or 1, -(-len(catalogue.signals) // _SIGNALS_OF_A_WORKER))
    found = _check_in_parts(catalogue, on, size) if size > 1 else _check_some(catalogue, list(catalogue.signals), on)
    parted = (fault.split(": ", 1) for fault in catalogue.lock_faults())
    found += _limit_breaches(catalogue)
    return found + [Breach(signal, "lock", why) for signal, why in parted]


def _check_in_parts(catalogue: Catalogue, on: date, size: int) -> list[Breach]:
    """Breaches in the order of the signals; every worker takes each `size`-th of them."""
    ids = list(catalogue.signals)
    with ProcessPoolExecutor(size, get_context("spawn")) as pool:
        parts = [pool.submit(_check_part, catalogue.path, ids[i::size], on) for i in range(size)]
        found = [b for part in parts for b in part.result()]
    place = {signal: number for number, signal in enumerate(ids)}
    return sorted(found, key=lambda b: place[b.signal])


def _check_part(room: Path, ids: Sequence[str], on: date) -> list[Breach]:
    return _check_some(load_catalogue(room), ids, on)


def _check_some(catalogue: Catalogue, ids: Iterable[str], on: date) -> list[Breach]:
    with ExampleWorld(catalogue) as place:
        return [b for i in ids for b in check_signal(catalogue, catalogue[i], on, place)]


def check_signal(catalogue: Catalogue, signal: Signal, on: date, place: ExampleWorld | None = None) -> list[Breach]:
    """Every breach of one signal that needs no data; `place` is where its examples are computed."""
    if place is None:
        with ExampleWorld(catalogue) as own:
            return check_signal(catalogue, signal, on, own)
    points: Sequence[tuple[str, Callable[[], Iterator[str]]]] = (
        ("documentation", lambda: _documentation(signal)),
        ("sentences", lambda: _sentences(signal)),
        ("citations", lambda: _citations(catalogue, signal, on)),
        ("rule", lambda: _rule(signal)),
        ("cases", lambda: _cases(signal)),
        ("default", lambda: _default(place, signal)),
        ("examples", lambda: _examples(catalogue, place, signal)),
    )
    return [Breach(signal.id, point, detail) for point, check in points for detail in _guarded(check)]


def _guarded(check: Callable[[], Iterator[str]]) -> list[str]:
    try:
        return list(check())
    except CatalogueError as error:
        return [error.message]


def _documentation(signal: Signal) -> Iterator[str]:
    if not signal.summary:
        yield "the docstring must say in its first line what the figure is"
    if not signal.blind_spot:
        yield 'the docstring must have a "Blind spot:"'
    for locale in LOCALES:
        if not signal.excuses.get(locale):
            yield f"no innocent explanation in {locale!r}"


def _sentences(signal: Signal) -> Iterator[str]:
    for locale in LOCALES:
        names = {name for _, name, _, _ in string.Formatter().parse(signal.says[locale]) if name}
        if "value" not in names:
            yield f"{locale}: the sentence does not give the value"
        if names - _FIGURES:
            yield f"{locale}: the sentence asks for {sorted(names - _FIGURES)}; there are {sorted(_FIGURES)}"
            continue
        for figures in ({}, {"limit": 2.0, "peer_median": 1.5, "peer_percentile": 99.0}):
            text = sentence(signal, locale, 3.25, **figures)
            if "{" in text or re.search(r"\bnan\b", text):
                yield f"{locale}: does not render: {text}"


def _citations(catalogue: Catalogue, signal: Signal, on: date) -> Iterator[str]:
    if not signal.cites:
        yield "cites nothing; name a law, a rule or a paper of sources.toml"
    for name in signal.cites:
        source = catalogue.sources[name]
        if source.to is not None and source.to < on:
            yield f"{name} has not been in force since {source.to}"


def _rule(signal: Signal) -> Iterator[str]:
    if signal.limit and signal.riskier == "either":
        yield "a signal with a limit must say which side of it is risky"
    if signal.kind == "violation" and not signal.limit:
        yield "only a signal with a limit can be a violation"
    if signal.limit and not signal.violation:
        yield "a rule names its type of violation (T01…T40)"


def _cases(signal: Signal) -> Iterator[str]:
    """A rule is right on several cases of both kinds, none written twice."""
    if not signal.limit:
        return
    fires = sum(e.fires for e in signal.examples)
    if min(fires, len(signal.examples) - fires) < FEWEST_CASES:
        yield f"a rule needs {FEWEST_CASES} examples that fire and as many that stay quiet"
    if len({repr((e.fires, sorted(e.rows.items()))) for e in signal.examples}) < len(signal.examples):
        yield "an example is written twice"


def _default(place: ExampleWorld, signal: Signal) -> Iterator[str]:
    """Without history: no other claim, no line, no code, no registered person or provider."""
    if signal.scopes and set(signal.scopes) <= {"claim", "limits"}:
        return
    value = place.value(signal, Example(None, False, {}))
    if not _same(value, signal.default):
        yield f"without history the value is {value}, not the default {signal.default}"


def _examples(catalogue: Catalogue, place: ExampleWorld, signal: Signal) -> Iterator[str]:
    values = {fires: [] for fires in (True, False)}  # type: dict[bool, list[float | None]]
    for number, example in enumerate(signal.examples, 1):
        value = place.value(signal, example)
        values[example.fires].append(value)
        if not _same(value, example.value):
            yield f"example {number} gives {value}, not {example.value}"
        if signal.limit and _passes(catalogue, signal, example, value) != example.fires:
            yield f"example {number} {'stays quiet' if example.fires else 'fires'} at {value}"
    if not values[True] or not values[False]:
        yield "needs at least one example that fires and one that stays quiet"
    elif signal.limit:
        return  # each example was judged by the limit of its own day and region, which says more than their order
    elif signal.riskier == "either":
        if set(values[True]) & {None, *values[False]}:
            yield f"the example that fires ({values[True]}) cannot be told from the quiet one ({values[False]})"
    elif not _riskier(signal, values[True], values[False]):
        yield f"the example that fires ({values[True]}) is not riskier than the quiet one ({values[False]})"


def _passes(catalogue: Catalogue, signal: Signal, example: Example, value: float | None) -> bool:
    """Whether the limit of the example's day and region is passed."""
    limit = catalogue.limits[str(signal.limit)]
    day = example.rows.get("claim", {}).get("admitted_at", ADMITTED) if signal.entity == "claim" else SNAPSHOT
    set_ = limit.on(day, _region(signal.entity, limit.place, example))
    return value is not None and set_ is not None and passes(signal, value, set_)


def _region(entity: str, place: Place, example: Example) -> str | None:
    """The region by which an example is judged: of the claim, or of the entity's own row."""
    column = _REGION_COLUMNS.get((entity, place))
    rows = example.rows.get("claim" if entity == "claim" else f"{entity}s", {})
    row = rows if isinstance(rows, Mapping) else next(iter(rows), {})
    return row.get(column) if column else None


def _limit_breaches(catalogue: Catalogue) -> Iterator[Breach]:
    """Limits that say something else in a batch, in a request or as a rule, on some day in some region."""
    for limit in catalogue.limits.values():
        if limit.is_local or len(limit.values) > 1 or limit.values[0].to:
            yield from (Breach(limit.name, "limit", why) for why in _limit_faults(limit))


def _limit_faults(limit: Limit) -> Iterator[str]:
    rows: list[dict[str, Any]] = [
        {"day": day, "region": region} for day in _days_around(limit) for region in _regions_around(limit)
    ]
    expression = limit.expression(_WHEN.day, _WHEN.region)
    batch, alone = _in_batch(expression, rows), _in_memory(expression, rows)
    for row, one, other in zip(rows, batch, alone, strict=True):
        ruled = limit.on(row["day"], row["region"])
        if not one == other == ruled:
            yield f"on {row['day']:%Y-%m-%d} in {row['region']}: {one} in a batch, {other} alone, {ruled} as a rule"


def _days_around(limit: Limit) -> list[datetime]:
    edges = [d for v in limit.values for d in (v.start, v.to) if d]
    return [datetime.combine(d, time(9)) + timedelta(days=k) for d in edges for k in (-1, 0, 1)]


def _regions_around(limit: Limit) -> list[str | None]:
    named = [name for v in limit.values for name in v.regions]
    return [None, "elsewhere", *named, *(name + "01" for name in named), *(name[:-1] for name in named)]


_WHEN = ibis.table({"day": "timestamp(6)", "region": "string"}, name="days")


def _in_batch(expression: ir.Value, rows: list[dict[str, Any]]) -> list[float | None]:
    connection = connect(threads=1)
    connection.register("days", pa.Table.from_pylist(rows, schema=_WHEN.schema().to_pyarrow()))
    query = ibis.to_sql(_WHEN.select(value=expression), dialect="duckdb")
    found = [row[0] for row in connection.execute(str(query)).fetchall()]
    connection.close()
    return found


def _in_memory(expression: ir.Value, rows: list[dict[str, Any]]) -> list[float | None]:
    program = Program(lambda relation, name: Leaf("days", name, _WHEN[name].type()))
    place = program.add(expression.op())
    texts = Texts(program.texts)
    leaves = {p: column_of([row[leaf.name] for row in rows], leaf.type, texts) for p, leaf in program.leaves}
    found = program.run(leaves, texts)[place]
    return [float(v) if k else None for v, k in zip(found.values, found.known, strict=True)]


def _riskier(signal: Signal, fires: Iterable[float | None], quiet: Iterable[float | None]) -> bool:
    known = [v * signal.monotone for v in fires if v is not None]
    calm = [v * signal.monotone for v in quiet if v is not None]
    return bool(known) and (not calm or min(known) > max(calm))


def _same(value: float | None, expected: float | None) -> bool:
    if value is None or expected is None:
        return value is None and expected is None
    return math.isclose(value, float(expected), rel_tol=1e-9, abs_tol=1e-12)


# --- on data -----------------------------------------------------------------------------------------------


def check_on_claims(
    catalogue: Catalogue, attach: Callable[[], duckdb.DuckDBPyConnection], cut: datetime, most: int = 500
) -> list[Breach]:
    """Breaches that show on real tables: future, order, alone, range.

    `attach` gives a new connection with the canonical tables as *tables* (they are changed here); `cut` is a
    moment with claims before and after it; at most `most` claims and entities of each kind are compared.
    """
    usual = _values(catalogue, attach(), cut, most)
    blind = _values(catalogue, attach(), cut, most, _forget_the_future)
    mixed = _values(catalogue, attach(), cut, most, _shuffle)
    few = _values(catalogue, attach(), cut, max(1, most // 100))
    found = [b for frame in usual.values() for b in _range_breaches(catalogue, frame)]
    found += _differences(usual, blind, "blind to the future", "a claim settled later changes the value")
    found += _differences(usual, mixed, "order of rows", "another order of rows changes the value")
    return found + _differences(few, usual, "alone as in the crowd", "the value depends on who else is scored")


def _values(
    catalogue: Catalogue,
    connection: duckdb.DuckDBPyConnection,
    cut: datetime,
    most: int,
    change: Callable[[duckdb.DuckDBPyConnection, datetime], None] | None = None,
) -> dict[str, SignalFrame]:
    """Frames of claims settled just before the cut, and of entities on it, with norms of the whole."""
    builder = FrameBuilder(connection, catalogue)
    builder.learn_norms()
    order = "settled_at DESC, claim_id"
    connection.execute(
        f"""CREATE OR REPLACE TABLE "target" AS
            SELECT * FROM claims WHERE settled_at < $1 ORDER BY {order} LIMIT {most}""",
        [cut],
    )
    pairs = {e: _pairs(connection, e, cut, most) for e in ENTITY_KEYS}
    if change is not None:
        change(connection, cut)
    frames = {"claim": builder.claims(catalogue.of("claim"), "target")}
    frames |= {e: builder.entities(catalogue.of(e), e, pairs[e]) for e in ENTITY_KEYS if catalogue.of(e)}
    connection.close()
    return frames


def _pairs(connection: duckdb.DuckDBPyConnection, entity: str, cut: datetime, most: int) -> pa.Table:
    key = ENTITY_KEYS[entity]
    query = f"""SELECT DISTINCT "{key}" AS entity_id FROM claims
                WHERE settled_at < $1 AND "{key}" IS NOT NULL ORDER BY 1 LIMIT {most}"""
    ids = [row[0] for row in connection.execute(query, [cut]).fetchall()]
    days = pa.array([cut] * len(ids), pa.timestamp("us"))
    return pa.table({"entity_id": pa.array(ids, pa.string()), "snapshot": days})


def _forget_the_future(connection: duckdb.DuckDBPyConnection, cut: datetime) -> None:
    for table in ("lines", "diagnoses", "procedures"):
        later = "SELECT claim_id FROM claims WHERE settled_at >= $1"
        connection.execute(f"DELETE FROM {table} WHERE claim_id IN ({later})", [cut])
    connection.execute("DELETE FROM claims WHERE settled_at >= $1", [cut])


def _shuffle(connection: duckdb.DuckDBPyConnection, cut: datetime) -> None:
    for table in ("claims", "lines", "diagnoses", "procedures", "patients"):
        connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {table} ORDER BY hash({table}::VARCHAR)")


def _range_breaches(catalogue: Catalogue, frame: SignalFrame) -> Iterator[Breach]:
    for name in frame.names:
        values, signal = frame.column(name), catalogue[name]
        known = values[~np.isnan(values)]
        if not np.isfinite(known).all():
            yield Breach(name, "finite", "is infinite somewhere; divide with fraud.signals.ratio")
        elif len(known) and (known.min() < signal.low or known.max() > signal.high):
            span = f"{known.min():g} to {known.max():g}"
            yield Breach(name, "range", f"goes from {span}, outside {signal.low:g} to {signal.high:g}")
        if signal.default is not None and len(known) < len(values):
            yield Breach(name, "default", f"is missing in {len(values) - len(known)} rows in spite of a default")


def _differences(some: dict[str, SignalFrame], others: dict[str, SignalFrame], point: str, why: str) -> list[Breach]:
    return [b for e in some for b in _frame_differences(some[e], others[e], point, why)]


def _frame_differences(one: SignalFrame, other: SignalFrame, point: str, why: str) -> Iterator[Breach]:
    place = {key: row for row, key in enumerate(other.ids)}
    shared = [(row, place[key]) for row, key in enumerate(one.ids) if key in place]
    mine = one.values[[a for a, _ in shared]]
    theirs = other.values[[b for _, b in shared]]
    close = np.isclose(mine, theirs, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    for column in np.flatnonzero(~close.all(axis=0)):
        rows = np.flatnonzero(~close[:, column])
        shown = f"{mine[rows[0], column]:g} and {theirs[rows[0], column]:g}"
        yield Breach(one.names[column], point, f"{why} ({len(rows)} of {len(shared)} rows, first {shown})")


def tables_of(folder: ClaimsFolder) -> duckdb.DuckDBPyConnection:
    """A connection with copies of a folder's tables, which the checks may change."""
    connection = connect()
    folder.attach(connection)
    for name in TABLES:
        connection.execute(f'CREATE TABLE "copy_{name}" AS SELECT * FROM "{name}"')
        connection.execute(f'DROP VIEW "{name}"')
        connection.execute(f'ALTER TABLE "copy_{name}" RENAME TO "{name}"')
    return connection
