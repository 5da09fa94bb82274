"""Feature frames: the values of signals, computed by one query for each grain on DuckDB.

`FrameBuilder` works on a connection with the canonical tables attached (see `ClaimsFolder.attach`) and is
used alike for training, batch scoring, snapshots of the service and a single claim in a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock
from weakref import WeakKeyDictionary

import duckdb
import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fraud.claims.schema import TABLES
from fraud.signals.catalogue import Catalogue
from fraud.signals.compiling import Compiler
from fraud.signals.definition import Signal
from fraud.signals.lineage import absent_columns
from fraud.signals.norms import focus_of, learn_norms, no_norms
from fraud.signals.peers import AGE_BANDS, Peers, learn_peers
from fraud.signals.prepared import PREPARED, Source
from fraud.signals.relations import ENTITY_KEYS

__all__ = [
    "PEER_SUFFIXES",
    "FrameBuilder",
    "Reference",
    "SignalFrame",
    "freeze_peers",
    "joined_frames",
    "months_of_claims",
    "peer_names",
]

# Names of tables of claim signals must differ, because several builders may share a connection.
_TABLES = count()
# What the engine adds to a windowed signal with `peer=True`.
PEER_SUFFIXES = (".peer_z", ".peer_percentile")


@dataclass(frozen=True)
class SignalFrame:
    """Values of signals: `keys` has the key columns, `values` is rows × names, float64, NaN = not known.

    `totals`, of the same shape, are the numbers of cases that rates rest on, NaN for signals that are no rates.
    """

    entity: str
    keys: pa.Table
    names: tuple[str, ...]
    values: np.ndarray
    attributes: tuple[tuple[str | None, ...], ...] = ()
    totals: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self.keys.num_rows)

    @property
    def ids(self) -> list[str]:
        """The claim or entity of each row."""
        return list(self.keys.column(0).to_pylist())

    @cached_property
    def position(self) -> dict[str, int]:
        """Column position of each name."""
        return {name: i for i, name in enumerate(self.names)}

    def column(self, name: str) -> np.ndarray:
        """Values of one signal."""
        return self.values[:, self.position[name]]

    def select(self, names: Sequence[str]) -> np.ndarray:
        """Rows × the named columns, in that order."""
        return self.values[:, [self.position[n] for n in names]]

    def rows(self, positions: Sequence[int]) -> SignalFrame:
        """The frame with only these rows, in that order."""
        attributes = tuple(self.attributes[i] for i in positions) if self.attributes else ()
        totals = None if self.totals is None else self.totals[positions]
        keys = self.keys.take(positions)
        return SignalFrame(self.entity, keys, self.names, self.values[positions], attributes, totals)

    def with_columns(self, names: Sequence[str], values: np.ndarray) -> SignalFrame:
        """The frame with columns added on the right; the totals of its rates are left behind."""
        both = np.hstack([self.values, values])
        return SignalFrame(self.entity, self.keys, (*self.names, *names), both, self.attributes)

    def to_arrow(self) -> pa.Table:
        """Keys and values as one Arrow table."""
        columns = {n: pa.array(self.values[:, i]) for i, n in enumerate(self.names)}
        return pa.table({**{n: self.keys[n] for n in self.keys.column_names}, **columns})


@dataclass(frozen=True)
class _Shared:
    """What builders of one catalogue and length of window have in common: it takes seconds to make."""

    compilers: dict[str, Compiler] = field(default_factory=dict)
    sql: dict[tuple[str, ...], str] = field(default_factory=dict)
    absent: dict[tuple[str, frozenset[tuple[str, str]]], tuple[str, ...]] = field(default_factory=dict)


_SHARED: WeakKeyDictionary[Catalogue, dict[int, _Shared]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Reference:
    """What scoring compares with, frozen at fitting: norms by case mix, and peers by entity."""

    norms: pa.Table = field(default_factory=no_norms)
    peers: Mapping[str, Peers] = field(default_factory=dict)

    @cached_property
    def focus(self) -> dict[str, str]:
        """The department that has most claims of a provider, by id."""
        return focus_of(self.norms)


def peer_names(signals: Iterable[Signal]) -> list[str]:
    """Names of the columns that the engine adds for signals with `peer=True`."""
    return [s.id + suffix for s in signals if s.peer and s.entity != "claim" for suffix in PEER_SUFFIXES]


class FrameBuilder:
    """Builds feature frames over the tables of a connection.

    `present` says which columns the data hold (None: all): a signal that needs another is skipped, and
    `skipped` says why. `days` is the length of the trailing window of patients, providers and physicians.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        catalogue: Catalogue,
        *,
        days: int = 365,
        present: Mapping[str, Iterable[str]] | None = None,
        reference: Reference | None = None,
    ) -> None:
        self.connection = connection
        self.catalogue = catalogue
        self.days = days
        self.present = present
        self.reference = reference or Reference()
        self.skipped: dict[str, str] = {}
        self._shared = _SHARED.setdefault(catalogue, {}).setdefault(days, _Shared())
        self._sources: dict[tuple[str, str], Source] = {}
        self._usable: dict[str, str] = {}
        self._rolled: dict[str, str] = {}
        self._tables: list[str] = []
        self._of_all: SignalFrame | None = None
        self._making = Lock()
        self.use_norms(self.reference.norms)

    def use_norms(self, norms: pa.Table) -> None:
        """Make a table of norms the one that signals read."""
        self.connection.register("_norms", norms)
        self.connection.execute("CREATE OR REPLACE TABLE norms AS SELECT * FROM _norms")
        self.connection.unregister("_norms")
        # Claim signals compare with norms, so those at hand hold no longer.
        self.forget()

    def beside(self, connection: duckdb.DuckDBPyConnection) -> FrameBuilder:
        """A builder for another thread, on a connection that shows the same tables.

        It reads what this one has computed, and what it computes of claims itself is not kept.
        """
        other = copy(self)
        other.connection = connection
        other._rolled, other._tables = dict(self._rolled), []
        return other

    def forget(self) -> None:
        """Let go of what was computed from the tables: to be called when they have changed."""
        for name in set(self._rolled.values()):
            self.connection.execute(f'DROP VIEW main."{name}"')
        for name in self._tables:
            self.connection.execute(f'DROP TABLE main."{name}"')
        self._rolled, self._tables, self._of_all = {}, [], None
        self._sources.clear()

    def learn_norms(self) -> pa.Table:
        """Learn norms from the attached claims and use them from now on."""
        norms = learn_norms(self.connection)
        self.use_norms(norms)
        return norms

    def compiler(self, entity: str) -> Compiler:
        """The compiler of an entity's signals; builders of one catalogue share it."""
        compilers = self._shared.compilers
        if entity not in compilers:
            compilers[entity] = self.catalogue.compiler(entity, self.days)
        return compilers[entity]

    def usable(self, signals: Iterable[Signal]) -> list[Signal]:
        """Signals whose columns are there; the others are added to `skipped` with the reason."""
        listed = list(signals)
        for s in listed:
            if s.id not in self._usable:
                absent = self._absent(s)
                self._usable[s.id] = f"the data lack {', '.join(absent)}" if absent else ""
        self.skipped |= {s.id: why for s in listed if (why := self._usable[s.id])}
        return [s for s in listed if not self._usable[s.id]]

    def _absent(self, signal: Signal) -> tuple[str, ...]:
        """Columns that the signal needs and the data lack; traced once for data that lack the same."""
        key = signal.id, self._lacking
        if key not in self._shared.absent:
            own = absent_columns(self.compiler(signal.entity), signal, self.present) if self.present is not None else ()
            self._shared.absent[key] = own
        return self._shared.absent[key]

    @cached_property
    def _lacking(self) -> frozenset[tuple[str, str]]:
        """The canonical (table, column) pairs that the data do not hold."""
        if self.present is None:
            return frozenset()
        held = {(t, c) for t, columns in self.present.items() for c in columns}
        return frozenset((t, c) for t, table in TABLES.items() for c in table.by_name) - held

    def sql(self, signals: Sequence[Signal]) -> str:
        """The query of one entity's signals, as DuckDB runs it."""
        key = tuple(s.id for s in signals)
        if key not in self._shared.sql:
            compiler = self.compiler(signals[0].entity)
            with compiler.reading(_claim_values):
                self._shared.sql[key] = str(ibis.to_sql(compiler.query(signals), dialect="duckdb"))
        return self._shared.sql[key]

    def _roll_up(self, entity: str, signals: Sequence[Signal]) -> None:
        """Make claim signals of every claim readable as `claim_values`: computed once for all kinds of entity."""
        self._hold_frame()
        missing = [s for s in signals if s.id not in self._rolled]
        if missing:
            self._hold(f"({self._sql_of_claims(entity, missing)})", [s.id for s in missing])
        columns = ", ".join(f'"{self._rolled[s.id]}"."{s.id}"' for s in signals)
        first, *others = dict.fromkeys(self._rolled[s.id] for s in signals)
        joins = " ".join(f'JOIN "{name}" USING (claim_id)' for name in others)
        query = f'SELECT "{first}".claim_id, {columns} FROM "{first}" {joins}'
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW {_VALUES} AS {query}")

    def _sql_of_claims(self, entity: str, signals: Sequence[Signal]) -> str:
        key = ("of claims", *(s.id for s in signals))
        if key not in self._shared.sql:
            self._shared.sql[key] = str(ibis.to_sql(self.compiler(entity).of_claims(signals), dialect="duckdb"))
        return self._shared.sql[key]

    def _hold(self, values: str, names: Sequence[str]) -> None:
        """Keep claim signals as a table; `values` is what to select them from."""
        columns = ", ".join(f'"{name}"' for name in ("claim_id", *names))
        table = f"rows_of_values_{next(_TABLES)}"
        # No temporary table: builders beside this one read it on other connections.
        self.connection.execute(f'CREATE TABLE main."{table}" AS SELECT {columns} FROM {values}')
        self._tables.append(table)
        self._name_values(f'main."{table}"', names)

    def _name_values(self, source: str, names: Sequence[str]) -> None:
        view = f"held_values_{next(_TABLES)}"
        self.connection.execute(f'CREATE VIEW main."{view}" AS SELECT * FROM {source}')
        self._rolled |= dict.fromkeys(names, view)

    def holds(self, signal: Signal) -> bool:
        """Whether the values of a claim signal are at hand for every claim, to be rolled up."""
        return signal.id in self._rolled

    def hold_files(self, files: Sequence[Path], names: Sequence[str]) -> None:
        """Roll claim signals up from parquet files, which together have every claim once with these columns."""
        paths = ", ".join("'" + str(p).replace("'", "''") + "'" for p in files)
        self._name_values(f"read_parquet([{paths}])", names)

    def rolled_by(self, signals: Iterable[Signal]) -> list[Signal]:
        """Claim signals that these signals of entities roll up, in the order of the catalogue."""
        names = {s.name: s.id for s in self.catalogue.of("claim")}
        read = (
            self.compiler(s.entity).needed(r)
            for s in signals
            if "window_signals" in s.scopes
            for r in self.compiler(s.entity).compile(s).reductions
            if r.scope.name == "window_signals"
        )
        wanted = {names[n] for columns in read for n in columns if n in names}
        return [s for s in self.catalogue.of("claim") if s.id in wanted]

    def claims(self, signals: Sequence[Signal], target: str = "claims") -> SignalFrame:
        """Claim signals for every row of the relation named `target`."""
        if target != "target":
            self.connection.execute(f'CREATE OR REPLACE TEMP VIEW "target" AS SELECT * FROM "{target}"')
        frame = self._frame("claim", signals, _CLAIM_ATTRIBUTES, ["claim_id"])
        if target == "claims":
            # Kept until an entity asks what its claims show; new norms make it void.
            self._of_all = frame
        return frame

    def claim_rows(self, target: str = "claims") -> tuple[pa.Table, tuple[tuple[str | None, ...], ...]]:
        """The ids of the claims of a relation in order, and for each what makes peers of it."""
        if target != "target":
            self.connection.execute(f'CREATE OR REPLACE TEMP VIEW "target" AS SELECT * FROM "{target}"')
        return self._rows(_CLAIM_ATTRIBUTES, ["claim_id"])

    def entities(self, signals: Sequence[Signal], entity: str, pairs: pa.Table) -> SignalFrame:
        """Windowed signals of one entity for `pairs` of (entity_id, snapshot), without peer columns."""
        self.connection.register("entities", pairs.select(["entity_id", "snapshot"]))
        try:
            self.prepare(signals, entity)
            return self._frame(entity, signals, _ATTRIBUTES[entity], ["entity_id", "snapshot"])
        finally:
            self.connection.unregister("entities")

    def prepare(self, signals: Iterable[Signal], entity: str) -> None:
        """Fill the prepared tables that the signals read, for the pairs that the relation `entities` holds."""
        compiler = self.compiler(entity)
        scopes = (r.scope for s in signals for r in compiler.compile(s).reductions)
        for name in sorted({scope.prepared for scope in scopes if scope.prepared}):
            self._prepare(name, entity)

    def _prepare(self, name: str, entity: str) -> None:
        days = self.connection.execute("SELECT DISTINCT snapshot FROM entities ORDER BY 1").fetchall()
        with self._making:
            if (entity, name) not in self._sources:
                self._sources[entity, name] = PREPARED[name].source(self.connection, entity)
            source = self._sources[entity, name]
        # One snapshot at a time, and of it only the entities asked for, so that many snapshots fit into memory.
        self.connection.execute(_empty(name))
        for (day,) in days:
            self.connection.register("_prepared", source.table(self.connection, day, self.days))
            self.connection.execute(
                f'INSERT INTO "{name}" SELECT t.* FROM _prepared t SEMI JOIN entities USING ({_KEY})'
            )
            self.connection.unregister("_prepared")

    def attributes(self, entity: str, pairs: pa.Table) -> dict[tuple[str, datetime], tuple[str | None, ...]]:
        """What makes peers of an entity, by (entity_id, snapshot), in `PEER_COLUMNS` order."""
        self.connection.register("entities", pairs.select(["entity_id", "snapshot"]))
        rows = self.connection.execute(_ATTRIBUTES[entity]).fetchall()
        self.connection.unregister("entities")
        return {(row[0], row[1]): tuple(row[2:]) for row in rows}

    def with_peers(self, frame: SignalFrame) -> SignalFrame:
        """The frame with a z-score and a percentile column for each signal with `peer=True`."""
        chosen = [n for n in frame.names if self.catalogue[n].peer]
        if not chosen or frame.entity not in self.reference.peers:
            return frame
        z, percentile = self.standing(frame)
        where = [frame.position[n] for n in chosen]
        pairs = np.stack([z[:, where], percentile[:, where]], axis=2).reshape(len(frame), 2 * len(chosen))
        return frame.with_columns(peer_names(self.catalogue[n] for n in chosen), pairs)

    def standing(self, frame: SignalFrame) -> tuple[np.ndarray, np.ndarray]:
        """z-scores and percentiles of a raw frame among the frozen peers, in the frame's column order."""
        peers = self.reference.peers[frame.entity]
        columns = [frame.position[n] for n in peers.names if n in frame.position]
        places = [peers.index[frame.names[c]] for c in columns]
        full = np.full((len(frame), len(peers.names)), np.nan)
        full[:, places] = frame.values[:, columns]
        totals = np.full_like(full, np.nan)
        if frame.totals is not None:
            totals[:, places] = frame.totals[:, columns]
        z, percentile = peers.standing(full, frame.attributes, totals)
        out = np.full((2, len(frame), len(frame.names)), np.nan)
        out[0][:, columns], out[1][:, columns] = z[:, places], percentile[:, places]
        return out[0], out[1]

    def _rows(self, attributes: str, keys: list[str]) -> tuple[pa.Table, tuple[tuple[str | None, ...], ...]]:
        """Keys in order, and what makes peers of each row."""
        who = self.connection.sql(f"SELECT * FROM ({attributes}) ORDER BY {', '.join(keys)}").to_arrow_table()
        own = tuple(zip(*(who.column(i).to_pylist() for i in range(len(keys), who.num_columns)), strict=True))
        return who.select(keys), own

    def _frame(self, entity: str, signals: Sequence[Signal], attributes: str, keys: list[str]) -> SignalFrame:
        """The frame of the rows at hand."""
        who, own = self._rows(attributes, keys)
        if not signals:
            return SignalFrame(entity, who, (), np.empty((who.num_rows, 0)), own)
        cases = {s.id: c for s in signals if s.peer and (c := s.cases)}
        if rolled := self.rolled_by([*signals, *cases.values()]):
            self._roll_up(entity, rolled)
        names = tuple(s.id for s in signals)
        query = f"{self.sql([*signals, *cases.values()])} ORDER BY {', '.join(keys)}"
        found = self._read(query, (*names, *(c.id for c in cases.values())), who.num_rows)
        values = found[:, : len(names)]
        totals = np.full_like(values, np.nan) if cases else None
        for place, signal_id in enumerate(cases, len(names)):
            totals[:, names.index(signal_id)] = found[:, place]  # type: ignore[index]
        return SignalFrame(entity, who, names, values, own, totals)

    def _read(self, query: str, names: Sequence[str], rows: int) -> np.ndarray:
        """Rows × columns of a query, batch after batch: the whole of it is held only once."""
        values, first = np.empty((rows, len(names))), 0
        for batch in self.connection.sql(query).to_arrow_reader(_BATCH):
            for column, name in enumerate(names):
                values[first : first + batch.num_rows, column] = batch[name].to_numpy(zero_copy_only=False)
            first += batch.num_rows
        return values

    def _hold_frame(self) -> None:
        """Keep, of the frame of all claims, what the catalogue's entities roll up, and let go of the frame."""
        frame, self._of_all = self._of_all, None
        if frame is None:
            return
        others = (s for entity in ENTITY_KEYS for s in self.catalogue.of(entity))
        rolled = [s.id for s in self.rolled_by(others) if s.id in frame.position and not self.holds(s)]
        if rolled:
            columns = {n: pa.array(frame.column(n), from_pandas=True) for n in rolled}
            self.connection.register("_values", pa.table({"claim_id": frame.keys.column(0), **columns}))
            self._hold("_values", rolled)
            self.connection.unregister("_values")


# The relation of claim signals that windows read, where a builder computes them.
_VALUES = "claim_values"
# Rows that are read at once.
_BATCH = 100_000
_KEY = "entity_id, snapshot"
_SQL_TYPES = {"string": "VARCHAR", "timestamp(6)": "TIMESTAMP", "int64": "BIGINT", "float64": "DOUBLE", "date": "DATE"}


def _claim_values(signals: Sequence[Signal]) -> ir.Table:
    return ibis.table({"claim_id": "string", **{s.id: "float64" for s in signals}}, name=_VALUES)


def _empty(name: str) -> str:
    columns = ", ".join(f'"{n}" {_SQL_TYPES[t]}' for n, t in PREPARED[name].types.items())
    return f'CREATE OR REPLACE TEMP TABLE "{name}" ({columns})'


def _age_band_sql() -> str:
    years = "date_diff('day', p.birth_date, e.snapshot::DATE) / 365.25"
    bands = (f"WHEN {years} < {upper} THEN '{name}'" for upper, name in AGE_BANDS if upper is not None)
    return f"CASE WHEN p.birth_date IS NULL THEN NULL {' '.join(bands)} ELSE '{AGE_BANDS[-1][1]}' END"


_CLAIM_ATTRIBUTES = 'SELECT claim_id, visit_type, substr(primary_diagnosis, 1, 3) FROM "target"'
# An entity that the attribute table does not know is still a row, with unknown attributes.
_ATTRIBUTES = {
    "provider": """
        SELECT e.entity_id, e.snapshot, p.kind, p.level, p.region, f.focus
        FROM entities e LEFT JOIN providers p ON p.provider_id = e.entity_id
        LEFT JOIN (
            SELECT regexp_extract(code, '^(.*)[|]', 1) AS provider_id, regexp_extract(code, '[^|]*$') AS focus
            FROM norms WHERE domain = 'focus'
        ) f ON f.provider_id = e.entity_id""",
    "physician": """
        SELECT e.entity_id, e.snapshot, p.specialty, h.level, h.region
        FROM entities e LEFT JOIN physicians p ON p.physician_id = e.entity_id
        LEFT JOIN providers h ON h.provider_id = p.provider_id""",
    "patient": f"""
        SELECT e.entity_id, e.snapshot, p.insurance_type, {_age_band_sql()} AS age_band, p.sex
        FROM entities e LEFT JOIN patients p ON p.patient_id = e.entity_id""",
}


def months_of_claims(connection: duckdb.DuckDBPyConnection, entity: str, target: str = "claims") -> pa.Table:
    """Pairs (entity_id, snapshot) that the claims of `target` need: the first of the month they settle in."""
    key = ENTITY_KEYS[entity]
    query = f"""
        SELECT DISTINCT "{key}" AS entity_id, date_trunc('month', settled_at)::TIMESTAMP AS snapshot
        FROM "{target}" WHERE "{key}" IS NOT NULL ORDER BY ALL"""
    return connection.sql(query).to_arrow_table()


def joined_frames(frames: Sequence[SignalFrame]) -> SignalFrame:
    """Frames of the same columns below one another, in the order of their keys."""
    if len(frames) == 1:
        return frames[0]
    first = frames[0]
    keys = pa.concat_tables([f.keys for f in frames])
    order = pc.sort_indices(keys, sort_keys=[(n, "ascending") for n in keys.column_names]).to_numpy()
    totals = None
    if first.totals is not None:
        totals = np.vstack([f.totals for f in frames if f.totals is not None])[order]
    own = [row for f in frames for row in f.attributes]
    values = np.vstack([f.values for f in frames])[order]
    return SignalFrame(first.entity, keys.take(order), first.names, values, tuple(own[i] for i in order), totals)


def freeze_peers(frame: SignalFrame) -> Peers:
    """The distributions of a raw frame, by peer group."""
    # Every claim is a row of its own; an entity has one for each snapshot.
    ids = None if frame.entity == "claim" else frame.ids
    return learn_peers(frame.entity, frame.names, frame.values, frame.attributes, frame.totals, ids)
