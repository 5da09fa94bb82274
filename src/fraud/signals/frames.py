"""Feature frames: the values of signals, computed by one query for each grain on DuckDB.

`FrameBuilder` works on a connection with the canonical tables attached (see `ClaimsFolder.attach`) and is
used alike for training, batch scoring, snapshots of the service and a single claim in a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import duckdb
import ibis
import numpy as np
import pyarrow as pa

from fraud.signals.catalogue import Catalogue
from fraud.signals.compiling import Compiler
from fraud.signals.definition import Signal
from fraud.signals.lineage import absent_columns
from fraud.signals.norms import learn_norms, no_norms
from fraud.signals.peers import AGE_BANDS, Peers, learn_peers
from fraud.signals.relations import ENTITY_KEYS

__all__ = [
    "PEER_SUFFIXES",
    "FrameBuilder",
    "Reference",
    "SignalFrame",
    "freeze_peers",
    "months_of_claims",
    "peer_names",
]

# What the engine adds to a windowed signal with `peer=True`.
PEER_SUFFIXES = (".peer_z", ".peer_percentile")


@dataclass(frozen=True)
class SignalFrame:
    """Values of signals: `keys` has the key columns, `values` is rows × names, float64, NaN = not known."""

    entity: str
    keys: pa.Table
    names: tuple[str, ...]
    values: np.ndarray
    attributes: tuple[tuple[str | None, ...], ...] = ()

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
        return SignalFrame(self.entity, self.keys.take(positions), self.names, self.values[positions], attributes)

    def with_columns(self, names: Sequence[str], values: np.ndarray) -> SignalFrame:
        """The frame with columns added on the right."""
        both = np.hstack([self.values, values])
        return SignalFrame(self.entity, self.keys, (*self.names, *names), both, self.attributes)

    def to_arrow(self) -> pa.Table:
        """Keys and values as one Arrow table."""
        columns = {n: pa.array(self.values[:, i]) for i, n in enumerate(self.names)}
        return pa.table({**{n: self.keys[n] for n in self.keys.column_names}, **columns})


@dataclass(frozen=True)
class Reference:
    """What scoring compares with, frozen at fitting: norms by case mix, and peers by entity."""

    norms: pa.Table = field(default_factory=no_norms)
    peers: Mapping[str, Peers] = field(default_factory=dict)


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
        self._compilers: dict[str, Compiler] = {}
        self._sql: dict[tuple[str, ...], str] = {}
        self.use_norms(self.reference.norms)

    def use_norms(self, norms: pa.Table) -> None:
        """Make a table of norms the one that signals read."""
        self.connection.register("_norms", norms)
        self.connection.execute("CREATE OR REPLACE TABLE norms AS SELECT * FROM _norms")
        self.connection.unregister("_norms")

    def learn_norms(self) -> pa.Table:
        """Learn norms from the attached claims and use them from now on."""
        norms = learn_norms(self.connection)
        self.use_norms(norms)
        return norms

    def compiler(self, entity: str) -> Compiler:
        """The compiler of an entity's signals."""
        if entity not in self._compilers:
            self._compilers[entity] = self.catalogue.compiler(entity, self.days)
        return self._compilers[entity]

    def usable(self, signals: Iterable[Signal]) -> list[Signal]:
        """Signals whose columns are there; the others are added to `skipped` with the reason."""
        kept = []
        for s in signals:
            absent = absent_columns(self.compiler(s.entity), s, self.present) if self.present is not None else ()
            if absent:
                self.skipped[s.id] = f"the data lack {', '.join(absent)}"
            else:
                kept.append(s)
        return kept

    def sql(self, signals: Sequence[Signal]) -> str:
        """The query of one entity's signals, as DuckDB runs it."""
        key = tuple(s.id for s in signals)
        if key not in self._sql:
            query = self.compiler(signals[0].entity).query(signals)
            self._sql[key] = str(ibis.to_sql(query, dialect="duckdb"))
        return self._sql[key]

    def claims(self, signals: Sequence[Signal], target: str = "claims") -> SignalFrame:
        """Claim signals for every row of the relation named `target`."""
        if target != "target":
            self.connection.execute(f'CREATE OR REPLACE TEMP VIEW "target" AS SELECT * FROM "{target}"')
        columns = "claim_id, visit_type, substr(primary_diagnosis, 1, 3)"
        return self._frame("claim", signals, f'SELECT {columns} FROM "target"', ["claim_id"])

    def entities(self, signals: Sequence[Signal], entity: str, pairs: pa.Table) -> SignalFrame:
        """Windowed signals of one entity for `pairs` of (entity_id, snapshot), without peer columns."""
        self.connection.register("entities", pairs.select(["entity_id", "snapshot"]))
        try:
            return self._frame(entity, signals, _ATTRIBUTES[entity], ["entity_id", "snapshot"])
        finally:
            self.connection.unregister("entities")

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
        z, percentile = peers.standing(full, frame.attributes)
        out = np.full((2, len(frame), len(frame.names)), np.nan)
        out[0][:, columns], out[1][:, columns] = z[:, places], percentile[:, places]
        return out[0], out[1]

    def _frame(self, entity: str, signals: Sequence[Signal], attributes: str, keys: list[str]) -> SignalFrame:
        order = ", ".join(keys)
        who = self.connection.sql(f"SELECT * FROM ({attributes}) ORDER BY {order}").to_arrow_table()
        own = tuple(zip(*(who.column(i).to_pylist() for i in range(len(keys), who.num_columns)), strict=True))
        if not signals:
            return SignalFrame(entity, who.select(keys), (), np.empty((who.num_rows, 0)), own)
        table = self.connection.sql(f"{self.sql(signals)} ORDER BY {order}").to_arrow_table()
        names = tuple(s.id for s in signals)
        values = np.column_stack([table[n].to_numpy() for n in names]).astype(np.float64)
        return SignalFrame(entity, who.select(keys), names, values, own)


def _age_band_sql() -> str:
    years = "date_diff('day', p.birth_date, e.snapshot::DATE) / 365.25"
    bands = (f"WHEN {years} < {upper} THEN '{name}'" for upper, name in AGE_BANDS if upper is not None)
    return f"CASE WHEN p.birth_date IS NULL THEN NULL {' '.join(bands)} ELSE '{AGE_BANDS[-1][1]}' END"


# An entity that the attribute table does not know is still a row, with unknown attributes.
_ATTRIBUTES = {
    "provider": """
        SELECT e.entity_id, e.snapshot, p.kind, p.level, p.region
        FROM entities e LEFT JOIN providers p ON p.provider_id = e.entity_id""",
    "physician": """
        SELECT e.entity_id, e.snapshot, p.specialty
        FROM entities e LEFT JOIN physicians p ON p.physician_id = e.entity_id""",
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


def freeze_peers(frame: SignalFrame) -> Peers:
    """The distributions of a raw frame, by peer group."""
    return learn_peers(frame.entity, frame.names, frame.values, frame.attributes)
