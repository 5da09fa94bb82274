"""Rows as a model reads them: features, times, money, groups and segments, and never a label."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError, SpecError, nearest
from fraud.learning.datasets.segments import segments_of_claims, segments_of_entities
from fraud.learning.spec import ModelSpec, matches
from fraud.signals.assembly import by_entity, feature_names
from fraud.signals.catalogue import FOLDERS, Catalogue
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.frames import FrameBuilder, Reference, SignalFrame, freeze_peers, months_of_claims
from fraud.signals.peers import Peers
from fraud.signals.relations import ENTITY_KEYS
from fraud.signals.streaming import CHUNK_OF_A_HAND, MEMORY, FrameStream

__all__ = [
    "Feature",
    "Rows",
    "amounts_at_stake",
    "attach",
    "chosen_signals",
    "describe_claims",
    "describe_entities",
    "frames_of",
    "opened",
    "usable_signals",
]

Step = Callable[[str], None]
Frames = FrameBuilder | FrameStream


@dataclass(frozen=True)
class Feature:
    """One column of a model: `sign` is the direction in which risk may only rise (0: either).

    `volume` marks figures that grow with the size of the entity.
    """

    name: str
    signal: str
    sign: int
    volume: bool

    @property
    def is_peer_column(self) -> bool:
        """Whether the column says where the entity stands among its peers."""
        return self.name != self.signal


@dataclass(frozen=True, eq=False)
class Rows:
    """Described rows; arrays run over `ids`.

    `happened_at` is when a claim settled, or the snapshot of an entity; `groups` is what may not be in two folds;
    `amounts` is the money at stake; `reference` what the features are compared with.
    """

    ids: tuple[str, ...]
    happened_at: np.ndarray
    features: tuple[Feature, ...]
    values: np.ndarray
    groups: np.ndarray
    amounts: np.ndarray
    segments: Mapping[str, np.ndarray]
    reference: Reference

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> Rows:
        """Some of the rows, in the order of their positions."""
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self
        return replace(
            self,
            ids=tuple(self.ids[i] for i in rows),
            happened_at=self.happened_at[rows],
            values=self.values[rows],
            groups=self.groups[rows],
            amounts=self.amounts[rows],
            segments={name: column[rows] for name, column in self.segments.items()},
        )


# --- which signals -------------------------------------------------------------------------------------


def usable_signals(builder: FrameBuilder, spec: ModelSpec) -> list[Signal]:
    """Signals that the spec chooses and the data can feed; the builder says what was skipped and why.

    Raises:
        SpecError: the spec names a signal that does not exist.
        InputError: none is left.
    """
    signals = builder.usable(chosen_signals(spec, builder.catalogue))
    if not signals:
        raise InputError(_no_signals(spec, builder.skipped))
    return signals


def chosen_signals(spec: ModelSpec, catalogue: Catalogue) -> list[Signal]:
    """Signals that a spec's patterns choose: any for a claim, its own kind for another entity.

    Raises:
        SpecError: a pattern can fit nothing; all such patterns are named at once.
    """
    faults = [f for p in (*spec.signals, *spec.exclude) if (f := _pattern_fault(p, spec, catalogue))]
    if faults:
        raise SpecError(f"{spec.name}: " + "; ".join(faults[:5]))
    kept = (s for s in catalogue.signals.values() if spec.entity in ("claim", s.entity))
    return [s for s in kept if spec.includes(s.id)]


def _pattern_fault(pattern: str, spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """Why a pattern cannot be meant; one with a wildcard may fit nothing yet, if its folder exists."""
    if not any(c in pattern for c in "*?["):
        known = [s.id for s in catalogue.signals.values() if spec.entity in ("claim", s.entity)]
        base = pattern.removesuffix(".peer_z").removesuffix(".peer_percentile")
        return None if base in known else f"no {spec.entity} signal {pattern!r}{nearest(pattern, known)}"
    room = pattern.split(".")[0]
    plain = not any(c in room for c in "*?[")
    rooms = dict.fromkeys((*FOLDERS, *ENTITIES))
    return f"no folder {room!r} of signals{nearest(room, rooms)}" if plain and room not in rooms else None


def _no_signals(spec: ModelSpec, skipped: Mapping[str, str]) -> str:
    reasons = "; ".join(f"{k}: {v}" for k, v in list(skipped.items())[:3])
    why = f"{len(skipped)} were skipped, among them {reasons}" if skipped else "the catalogue has none that fit"
    return f"{spec.name}: no signal can be used: {why}. Patterns: {', '.join(spec.signals)}."[:500]


def _features(signals: Sequence[Signal], spec: ModelSpec) -> tuple[Feature, ...]:
    """Every column of the frame of these signals that the spec does not exclude, in its order."""
    known = {s.id: s for group in by_entity(signals).values() for s in group}
    bases = {n: n.removesuffix(".peer_z").removesuffix(".peer_percentile") for n in feature_names(signals)}
    kept = {n: known[base] for n, base in bases.items() if not matches(n, spec.exclude)}
    return tuple(Feature(n, s.id, s.monotone, s.volume) for n, s in kept.items())


# --- what is known of the claims -----------------------------------------------------------------------


@contextmanager
def opened() -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A connection whose queries spill what does not fit into memory, and a folder for what is written on the way.

    One thread: sums of floats differ in the last bit with the order in which threads meet, and then the same data
    would no longer give the same model.
    """
    connection = connect(threads=1, memory_limit=MEMORY)
    work = Path(tempfile.mkdtemp(prefix="fraud-rows-"))
    try:
        connection.execute(f"SET temp_directory = '{str(work / 'spill').replace(chr(39), chr(39) * 2)}'")
        yield connection, work
    finally:
        connection.close()
        shutil.rmtree(work, ignore_errors=True)


def frames_of(builder: FrameBuilder, work: Path, whole: ClaimsFolder | None, chunk: int = CHUNK_OF_A_HAND) -> Frames:
    """What computes frames: the builder itself, or where there are many claims one that takes them in chunks.

    `whole` is the folder, if all its claims are attached.
    """
    ((claims,),) = builder.connection.execute("SELECT count(*) FROM claims").fetchall()
    return builder if claims <= chunk else FrameStream(builder, work, folder=whole, chunk=chunk)


def attach(connection: duckdb.DuckDBPyConnection, folder: ClaimsFolder, as_of: datetime | None) -> None:
    """Views of the tables; with `as_of`, only of the claims that settled before it."""
    if as_of is None:
        folder.attach(connection)
        return
    connection.execute("CREATE SCHEMA IF NOT EXISTS later; USE later")
    folder.attach(connection)
    connection.execute("USE main")
    known = f"SELECT * FROM later.claims WHERE settled_at < TIMESTAMP '{as_of:%Y-%m-%d %H:%M:%S.%f}'"
    connection.execute(f"CREATE OR REPLACE VIEW claims AS {known}")
    (views,) = connection.execute(
        "SELECT list(view_name) FROM duckdb_views() WHERE schema_name = 'later' AND view_name <> 'claims'"
    ).fetchall()
    for name in views[0]:
        of_claim = name in ("lines", "diagnoses", "procedures")
        kept = "WHERE claim_id IN (SELECT claim_id FROM main.claims)" if of_claim else ""
        connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS SELECT * FROM later."{name}" {kept}')


def amounts_at_stake(connection: duckdb.DuckDBPyConnection, entity: str, pairs: pa.Table, days: int) -> np.ndarray:
    """What the fund paid for each (entity_id, snapshot) in the window before the snapshot, in order."""
    key = ENTITY_KEYS[entity]
    numbered = pairs.select(["entity_id", "snapshot"]).append_column("place", pa.array(range(pairs.num_rows)))
    connection.register("stake_pairs", numbered)
    query = f"""
        SELECT coalesce(sum(c.fund_amount), 0.0) AS amount FROM stake_pairs p
        LEFT JOIN claims c ON c."{key}" = p.entity_id AND c.settled_at < p.snapshot
            AND c.settled_at >= p.snapshot - to_days(CAST($days AS INTEGER))
        GROUP BY p.place ORDER BY p.place"""
    amounts = connection.sql(query, params={"days": days}).to_arrow_table()["amount"].to_numpy()
    connection.unregister("stake_pairs")
    return np.asarray(amounts, dtype=np.float64)


# --- rows of a provider, patient or physician ----------------------------------------------------------


def describe_entities(
    frames: Frames,
    signals: Sequence[Signal],
    spec: ModelSpec,
    pairs: pa.Table,
    norms: pa.Table,
    *,
    compared: np.ndarray | None = None,
) -> Rows:
    """One row for each (entity_id, snapshot) of `pairs`, which are in order of id, then day.

    Peers are learned from these rows, with `compared` (a mask) from some of them.
    """
    builder = _builder_of(frames)
    builder.use_norms(norms)
    frame = frames.entities(signals, spec.entity, pairs)
    among = frame if compared is None else frame.rows(np.flatnonzero(compared).tolist())
    builder.reference = Reference(norms, {spec.entity: freeze_peers(among)})
    frame = builder.with_peers(frame)
    features = _features(signals, spec)
    return Rows(
        ids=tuple(frame.ids),
        happened_at=frame.keys["snapshot"].to_numpy().astype("datetime64[us]"),
        features=features,
        values=np.ascontiguousarray(frame.select([f.name for f in features])),
        groups=np.array(frame.ids, dtype=object),
        amounts=amounts_at_stake(builder.connection, spec.entity, frame.keys, spec.window_days),
        segments=segments_of_entities(builder.connection, spec.entity, frame.keys),
        reference=builder.reference,
    )


# --- rows of a claim -----------------------------------------------------------------------------------


def describe_claims(
    frames: Frames,
    signals: Sequence[Signal],
    spec: ModelSpec,
    norms: pa.Table,
    *,
    target: str = "claims",
    compared: str = "claims",
    step: Step = lambda _name: None,
) -> Rows:
    """One row for each claim of the relation `target`, in order of id.

    A claim is described by its own signals and by the snapshots of those whom it names. Peers are learned from the
    claims of `compared`, which are among those of `target`.
    """
    builder = _builder_of(frames)
    builder.use_norms(norms)
    features = _features(signals, spec)
    grouped = by_entity(signals)
    step("signals of claims")
    ids, rows, peers = _own_signals(frames, grouped, features, target, compared)
    for entity in (e for e in grouped if e != "claim"):
        step(f"snapshots of {entity}s")
        pairs = months_of_claims(builder.connection, entity, target)
        snapshots = frames.entities(grouped[entity], entity, pairs)
        peers[entity] = freeze_peers(_among(builder, snapshots, compared, target))
        builder.reference = Reference(norms, peers)
        where = _snapshot_of_claim(builder.connection, snapshots, target)
        rows.add(builder.with_peers(snapshots) if rows.wants_peers else snapshots, where)
    builder.reference = Reference(norms, peers)
    happened, groups, amounts = _own_columns(builder.connection, target, spec.split.group)
    segments = segments_of_claims(builder.connection, target)
    return Rows(ids, happened, features, rows.values, groups, amounts, segments, builder.reference)


def _own_signals(
    frames: Frames, grouped: Mapping[str, Sequence[Signal]], features: Sequence[Feature], target: str, compared: str
) -> tuple[tuple[str, ...], _Assembled, dict[str, Peers]]:
    """Ids of the claims, their rows with their own signals filled in, and what those are compared with."""
    builder, own = _builder_of(frames), grouped.get("claim", [])
    others = [s for entity, signals in grouped.items() if entity != "claim" for s in signals]
    if isinstance(frames, FrameStream):
        frame = frames.claims(own, target, rolled=builder.rolled_by(others))
    else:
        frame = frames.claims(own, target)
    rows = _Assembled(len(frame), features)
    rows.add(frame, np.arange(len(frame)))
    peers = {"claim": freeze_peers(_among(builder, frame, compared, target))} if frame.names else {}
    return tuple(frame.ids), rows, peers


def _builder_of(frames: Frames) -> FrameBuilder:
    return frames.builder if isinstance(frames, FrameStream) else frames


class _Assembled:
    """Rows × features of claims, filled from one frame after the other: nothing is held twice."""

    def __init__(self, rows: int, features: Sequence[Feature]) -> None:
        self.features = features
        self.values = np.full((rows, len(features)), np.nan)

    def add(self, frame: SignalFrame, where: np.ndarray) -> None:
        """Columns of the frame that are features; `where` is the frame's row of each claim, -1 for none."""
        for column, feature in enumerate(self.features):
            if feature.name in frame.position:
                found = frame.column(feature.name)
                self.values[:, column] = np.where(where >= 0, found[where], np.nan) if len(found) else np.nan

    @property
    def wants_peers(self) -> bool:
        """Whether any feature says where an entity stands among its peers."""
        return any(f.is_peer_column for f in self.features)


def _among(builder: FrameBuilder, frame: SignalFrame, compared: str, target: str) -> SignalFrame:
    """Rows of the frame that the claims of `compared` need."""
    if compared == target:
        return frame
    if frame.entity == "claim":
        wanted = builder.connection.sql(f'SELECT claim_id FROM "{compared}"').to_arrow_table()
        kept = np.isin(np.array(frame.ids, dtype=str), np.array(wanted["claim_id"].to_pylist(), dtype=str))
        return frame.rows(np.flatnonzero(kept).tolist())
    pairs = months_of_claims(builder.connection, frame.entity, compared)
    place = _positions(builder.connection, frame.keys, pairs)
    return frame.rows(np.sort(place[place >= 0]).tolist())


def _snapshot_of_claim(connection: duckdb.DuckDBPyConnection, snapshots: SignalFrame, target: str) -> np.ndarray:
    """Row of the snapshot of each claim of `target`, in order of id; -1 where the claim names nobody."""
    key = ENTITY_KEYS[snapshots.entity]
    wanted = connection.sql(
        f"""SELECT "{key}" AS entity_id, date_trunc('month', settled_at)::TIMESTAMP AS snapshot
            FROM "{target}" ORDER BY claim_id"""
    ).to_arrow_table()
    return _positions(connection, snapshots.keys, wanted)


def _positions(connection: duckdb.DuckDBPyConnection, keys: pa.Table, wanted: pa.Table) -> np.ndarray:
    """For each (entity_id, snapshot) that is wanted its row in `keys`, -1 where there is none."""
    connection.register("held_keys", _numbered(keys))
    connection.register("wanted_keys", _numbered(wanted))
    found = connection.sql(
        """SELECT coalesce(h.place, -1) AS place FROM wanted_keys w
           LEFT JOIN held_keys h ON h.entity_id = w.entity_id AND h.snapshot = w.snapshot ORDER BY w.place"""
    ).to_arrow_table()
    connection.unregister("held_keys")
    connection.unregister("wanted_keys")
    return np.asarray(found["place"].to_numpy(), dtype=np.int64)


def _numbered(table: pa.Table) -> pa.Table:
    return table.select(["entity_id", "snapshot"]).append_column("place", pa.array(np.arange(table.num_rows)))


def _own_columns(
    connection: duckdb.DuckDBPyConnection, target: str, group: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When each claim of `target` settled, what may not be in two folds with it, and what the fund paid."""
    own = connection.sql(
        f'SELECT coalesce("{group}", claim_id) AS who, fund_amount, settled_at FROM "{target}" ORDER BY claim_id'
    ).to_arrow_table()
    happened = own["settled_at"].to_numpy().astype("datetime64[us]")
    groups = np.array(own["who"].to_pylist(), dtype=object)
    return happened, groups, own["fund_amount"].to_numpy().astype(np.float64)
