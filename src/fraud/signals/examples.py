"""Tiny worlds for the examples of signals: rows in which only what matters is written.

For a claim signal the world is one claim `C` of patient `P` at provider `H` by physician `D`, admitted on
Wednesday 2024-06-12 at 09:00; `claim={…}` changes its columns, `past=[{…}]` adds earlier claims of the
patient (with `days_ago`, `stay_days`), `lines`, `diagnoses` and `procedures` are the claim's own. For the
other entities `window=[{…}]` are the entity's claims before the snapshot of 2024-07-01 (with `days_ago`).
A claim row may carry its own `lines`, `diagnoses` (codes) and `procedures` (codes). `others` are claims of
anybody else; `patients`, `providers`, `physicians`, `catalogue`, `exclusions` and `norms` are rows of those
tables. A key `times` repeats a row, with ids of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

import duckdb
import numpy as np
import pyarrow as pa

from fraud.claims.folder import connect
from fraud.claims.schema import TABLES
from fraud.errors import CatalogueError
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import Example, Signal
from fraud.signals.frames import FrameBuilder
from fraud.signals.norms import NORM_SCHEMA
from fraud.signals.relations import ENTITY_KEYS

__all__ = ["ADMITTED", "SNAPSHOT", "ExampleWorld", "example_tables", "example_value", "world"]

ADMITTED = datetime(2024, 6, 12, 9, 0)
SNAPSHOT = datetime(2024, 7, 1)
_WHO = {"patient_id": "P", "provider_id": "H", "physician_id": "D"}
_CLAIM = {"visit_type": "outpatient", "total_amount": 1000.0, "fund_amount": 700.0, "primary_diagnosis": "I10"}
_ENTITY_ID = {"patient": "P", "provider": "H", "physician": "D"}
_TABLES = ("patients", "providers", "physicians", "catalogue", "exclusions", "norms")
_KNOWN = {"claim", "lines", "diagnoses", "procedures", "past", "window", "others", *_TABLES}


def example_tables(signal: Signal, example: Example) -> dict[str, list[dict[str, Any]]]:
    """Rows of the canonical tables of an example's world; raises `CatalogueError` for a row it cannot read."""
    unknown = set(example.rows) - _KNOWN
    if unknown:
        raise CatalogueError(f"{signal.id}: an example has no part {sorted(unknown)}; there are {sorted(_KNOWN)}")
    rows = dict(example.rows)
    if signal.entity == "claim":
        own = {"lines": rows.get("lines", ()), "diagnoses": rows.get("diagnoses", ())}
        first = {**_WHO, **own, "procedures": rows.get("procedures", ()), **rows.get("claim", {}), "claim_id": "C"}
        claims = [_claim(first, ADMITTED, 0)]
        day = ADMITTED
    else:
        claims, day = [], SNAPSHOT
    before = _many(rows.get("past", ())) + _many(rows.get("window", ()))
    claims += [_claim({**_WHO, **r}, day, i) for i, r in enumerate(before, 1)]
    others = {"patient_id": "P?", "provider_id": "H?", "physician_id": "D?"}
    claims += [_claim({**others, **r}, day, i) for i, r in enumerate(_many(rows.get("others", ())), 10_001)]
    return {**_split(claims), **{t: _many(rows.get(t, ())) for t in _TABLES}}


def world(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> duckdb.DuckDBPyConnection:
    """A connection that holds these rows as canonical tables, and the table `norms`."""
    connection = connect(threads=1)
    for name, table in TABLES.items():
        _create(connection, name, tables.get(name, ()), table.arrow)
    _create(connection, "norms", tables.get("norms", ()), NORM_SCHEMA)
    return connection


def example_value(catalogue: Catalogue, signal: Signal, example: Example) -> float | None:
    """The value that the engine computes for the example; None where it is not known."""
    with ExampleWorld(catalogue) as place:
        return place.value(signal, example)


class ExampleWorld:
    """One connection in which example after example is computed; a context manager.

    Making the tables takes longer than most examples, so only their rows are changed.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._connection = world({})
        self._builder = FrameBuilder(self._connection, catalogue)
        self._filled: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._connection.close()

    def value(self, signal: Signal, example: Example) -> float | None:
        """The value of the signal in the world of an example; None where it is not known."""
        tables = example_tables(signal, example)
        self._builder.forget()
        self._fill({name: rows for name, rows in tables.items() if rows})
        return _value(self._builder, signal)

    def _fill(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        for name in sorted(self._filled):
            self._connection.execute(f'DELETE FROM "{name}"')
        self._filled = set(tables)
        for name, rows in tables.items():
            schema = NORM_SCHEMA if name == "norms" else TABLES[name].arrow
            self._connection.register("_rows", _arrow(rows, schema))
            self._connection.execute(f'INSERT INTO "{name}" BY NAME SELECT * FROM _rows')
            self._connection.unregister("_rows")


def _value(builder: FrameBuilder, signal: Signal) -> float | None:
    if signal.entity == "claim":
        frame = builder.claims([signal])
        row = frame.ids.index("C")
    else:
        pair = pa.table({"entity_id": [_ENTITY_ID[signal.entity]], "snapshot": [SNAPSHOT]})
        frame, row = builder.entities([signal], signal.entity, pair), 0
    value = float(frame.values[row, 0])
    return None if np.isnan(value) else value


def _many(rows: Any) -> list[dict[str, Any]]:
    """Rows written out, those with `times` repeated."""
    listed = [rows] if isinstance(rows, Mapping) else list(rows)
    return [_again(row, i) for row in listed for i in range(int(row.get("times", 1)))]


def _again(row: Mapping[str, Any], i: int) -> dict[str, Any]:
    """The i-th repetition: a `#` in a text value becomes its number."""
    kept = {k: v for k, v in row.items() if k != "times"}
    return {k: v.replace("#", str(i)) if isinstance(v, str) else v for k, v in kept.items()}


def _claim(row: Mapping[str, Any], day: datetime, number: int) -> dict[str, Any]:
    """A claim with everything that is required; earlier ones are 30 days old unless said."""
    given = {k: v for k, v in row.items() if k not in ("days_ago", "stay_days", "hour")}
    start = day.replace(hour=int(row.get("hour", 9)))
    days = row.get("days_ago", 0 if number == 0 else 30)
    admitted = given.get("admitted_at", start - timedelta(days=days))
    discharged = given.get("discharged_at", admitted + timedelta(days=row.get("stay_days", 0)))
    made = {"claim_id": f"C{number}", "admitted_at": admitted, "discharged_at": discharged}
    return {**_CLAIM, **made, "settled_at": discharged + timedelta(minutes=30), **given}


def _split(claims: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Claims apart from the lines, diagnoses and procedures that they carry."""
    tables: dict[str, list[dict[str, Any]]] = {n: [] for n in ("claims", "lines", "diagnoses", "procedures")}
    for claim in claims:
        tables["claims"].append({k: v for k, v in claim.items() if k not in tables})
        for name in ("lines", "diagnoses", "procedures"):
            tables[name] += [_item(name, claim, i, r) for i, r in enumerate(_listed(claim.get(name, ())), 1)]
    return tables


def _listed(items: Any) -> list[dict[str, Any]]:
    return _many([{"code": i} if isinstance(i, str) else i for i in items])


def _item(name: str, claim: Mapping[str, Any], number: int, row: Mapping[str, Any]) -> dict[str, Any]:
    if name != "lines":
        kind = {"kind": "discharge"} if name == "diagnoses" else {}
        return {"claim_id": claim["claim_id"], "position": number, **kind, **row}
    usual = {"item_code": "X", "quantity": 1.0, "unit_price": 10.0, "service_at": claim["admitted_at"]}
    line = {"claim_id": claim["claim_id"], "line_no": number, **usual, **row}
    return {"amount": line["quantity"] * line["unit_price"], **line}


def _create(
    connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Mapping[str, Any]], schema: pa.Schema
) -> None:
    connection.register("_rows", _arrow(rows, schema))
    connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM _rows')
    connection.unregister("_rows")


def _arrow(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    unknown = {k for r in rows for k in r} - set(schema.names)
    if unknown:
        raise CatalogueError(f"an example has unknown columns {sorted(unknown)}; there are {schema.names}")
    nullable = pa.schema([f.with_nullable(True) for f in schema])
    return pa.Table.from_pylist([dict(r) for r in rows], schema=nullable)


# `ENTITY_KEYS` and the ids of the example world must name the same entities.
assert set(ENTITY_KEYS) == set(_ENTITY_ID)
