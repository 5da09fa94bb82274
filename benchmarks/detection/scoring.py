"""Every signal of a simulated payer as a risk: claims once, entities at their highest over monthly snapshots."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder, connect
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.frames import FrameBuilder, SignalFrame, freeze_peers
from fraud.signals.limits import Limit
from fraud.signals.relations import ENTITY_KEYS

__all__ = ["AMONG_PEERS", "Scores", "scored"]

Progress = Callable[[str], None]
# The second reading of a signal: how far it lies from the peers.
AMONG_PEERS = ".peer_z"
# Claims whose signals are held at once.
SLICE = 300_000
# A window shorter than this says little; what it held is in the windows of the following months as well.
FIRST_SNAPSHOT_MONTHS = 6
# Entities without a claim for longer keep the scores that they had.
ACTIVE_DAYS = 190


@dataclass(frozen=True)
class Scores:
    """Risks of one kind of entity: rows × names, the higher the riskier, -inf where not known.

    `fired` tells for each row which of `rules` passed its limit, for entities on any of the snapshots.
    """

    entity: str
    ids: np.ndarray
    names: tuple[str, ...]
    risks: np.ndarray
    rules: tuple[str, ...]
    fired: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: Collection[str]) -> np.ndarray:
        """Mask of the rows of these entities."""
        return np.isin(self.ids, list(ids)) if ids else np.zeros(len(self), bool)

    def without(self, ids: Collection[str]) -> Scores:
        """The scores without the rows of these entities."""
        kept = ~self.rows(ids)
        return replace(self, ids=self.ids[kept], risks=self.risks[kept], fired=self.fired[kept])

    def risk(self, name: str) -> np.ndarray:
        """One column."""
        column: np.ndarray = self.risks[:, self.names.index(name)]
        return column

    def hits(self, rule: str) -> np.ndarray:
        """Mask of the rows on which a rule fired."""
        column: np.ndarray = self.fired[:, self.rules.index(rule)]
        return column


def scored(
    folder: ClaimsFolder,
    catalogue: Catalogue,
    progress: Progress = lambda what: None,
    *,
    entities: Sequence[str] = ENTITIES,
    months: int = 1,
) -> dict[str, Scores]:
    """Scores of all claims, patients, providers and physicians of a folder, by kind of entity.

    Entities are looked at every so many `months`, and always on the last day.
    """
    connection = connect()
    try:
        folder.attach(connection)
        builder = FrameBuilder(connection, catalogue, present=folder.present)
        progress("norms")
        builder.learn_norms()
        days = sorted(list(_snapshots(connection))[::-months])
        found = {}
        for entity in entities:
            signals = builder.usable(catalogue.of(entity))
            frames = _claims(builder, signals, progress) if entity == "claim" else _on(builder, signals, days, progress)
            found[entity] = _highest(builder, entity, signals, frames)
        return found
    finally:
        connection.close()


# --- frames -------------------------------------------------------------------------------------------------------


def _claims(builder: FrameBuilder, signals: Sequence[Signal], progress: Progress) -> Iterator[SignalFrame]:
    """Frames of all claims, some hundred thousand at a time."""
    connection = builder.connection
    ((count,),) = connection.execute("SELECT count(*) FROM claims").fetchall()
    parts = -(-count // SLICE)
    for part in range(parts):
        progress(f"claims, part {part + 1} of {parts}")
        if parts == 1:
            yield builder.claims(signals)
            return
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE "slice" AS SELECT * FROM claims WHERE hash(claim_id) % {parts} = {part}"""
        )
        yield builder.claims(signals, "slice")


def _on(
    builder: FrameBuilder, signals: Sequence[Signal], days: Sequence[datetime], progress: Progress
) -> Iterator[SignalFrame]:
    """A frame for each snapshot day, of the entities that had claims not long before it."""
    entity = signals[0].entity
    key = ENTITY_KEYS[entity]
    for day in days:
        progress(f"{entity}s on {day:%Y-%m-%d}")
        known = builder.connection.execute(
            f"""SELECT DISTINCT "{key}" FROM claims WHERE "{key}" IS NOT NULL
                AND settled_at < $1 AND settled_at >= $1 - to_days($2) ORDER BY 1""",
            [day, ACTIVE_DAYS],
        ).fetchall()
        ids = pa.array([row[0] for row in known], pa.string())
        snapshots = pa.array([day] * len(known), pa.timestamp("us"))
        yield builder.entities(signals, entity, pa.table({"entity_id": ids, "snapshot": snapshots}))


def _snapshots(connection: duckdb.DuckDBPyConnection) -> Iterator[datetime]:
    """First days of months, from the seventh of the period to the one after the last settlement.

    A handful of claims settles late, so the period begins and ends where care does.
    """
    query = f"""
        SELECT unnest(generate_series(
            date_trunc('month', min(admitted_at)) + INTERVAL {FIRST_SNAPSHOT_MONTHS} MONTH,
            date_trunc('month', max(settled_at)) + INTERVAL 1 MONTH, INTERVAL 1 MONTH))::TIMESTAMP FROM claims"""
    yield from (row[0] for row in connection.execute(query).fetchall())


# --- scores -------------------------------------------------------------------------------------------------------


def _highest(builder: FrameBuilder, entity: str, signals: Sequence[Signal], frames: Iterator[SignalFrame]) -> Scores:
    """The frames laid over one another: of each entity the highest risk, and whether a rule ever fired."""
    rules = [s for s in signals if s.limit]
    peered = [s for s in signals if s.peer and entity != "claim"]
    names = (*(s.id for s in signals), *(s.id + AMONG_PEERS for s in peered))
    ids = _ids(builder.connection, entity)
    risks = np.full((len(ids), len(names)), -np.inf, np.float32)
    fired = np.zeros((len(ids), len(rules)), bool)
    for frame in frames:
        rows = np.searchsorted(ids, np.asarray(frame.ids, dtype=ids.dtype))
        here = _risks(frame, signals, peered)
        risks[rows] = np.fmax(risks[rows], here)
        fired[rows] |= _fired(builder, frame, rules)
    return Scores(entity, ids, names, risks, tuple(r.id for r in rules), fired)


def _ids(connection: duckdb.DuckDBPyConnection, entity: str) -> np.ndarray:
    key = "claim_id" if entity == "claim" else ENTITY_KEYS[entity]
    query = f'SELECT DISTINCT "{key}" FROM claims WHERE "{key}" IS NOT NULL'
    return np.sort(np.asarray([row[0] for row in connection.execute(query).fetchall()]))


def _risks(frame: SignalFrame, signals: Sequence[Signal], peered: Sequence[Signal]) -> np.ndarray:
    columns = [_risk(s, frame.column(s.id)) for s in signals]
    if peered:
        peers = freeze_peers(frame)
        z, _ = peers.standing(frame.values, frame.attributes, frame.totals)
        columns += [_risk(s, z[:, peers.index[s.id]]) for s in peered]
    risks = np.column_stack(columns)
    return np.where(np.isnan(risks), -np.inf, risks)


def _risk(signal: Signal, values: np.ndarray) -> np.ndarray:
    """The figure the way that risk rises; where either way is odd, the distance from the median."""
    if signal.riskier == "either":
        known = values[~np.isnan(values)]
        return np.abs(values - (np.median(known) if len(known) else 0.0))
    return -values if signal.riskier == "low" else values


# --- rules --------------------------------------------------------------------------------------------------------

# The day by which a row is judged, and the regions by place.
_JUDGED_BY = {
    "claim": "SELECT claim_id, admitted_at::DATE, insured_region, care_region FROM claims",
    "patient": "SELECT patient_id, NULL::DATE, insured_region, NULL FROM patients",
    "provider": "SELECT provider_id, NULL::DATE, NULL, region FROM providers",
    "physician": """SELECT physician_id, NULL::DATE, NULL, region
                    FROM physicians LEFT JOIN providers USING (provider_id)""",
}


def _fired(builder: FrameBuilder, frame: SignalFrame, rules: Sequence[Signal]) -> np.ndarray:
    """Rows × rules: whether the limit in force on the day, in the region of the row, is passed."""
    fired = np.zeros((len(frame), len(rules)), bool)
    limits = builder.catalogue.limits
    places = _Places(builder, frame)
    for column, rule in enumerate(rules):
        beyond = places.limits(limits[str(rule.limit)])
        values = frame.column(rule.id)
        fired[:, column] = values < beyond if rule.riskier == "low" else values > beyond
    return fired


class _Places:
    """The distinct days and regions of a frame's rows, so that each limit is looked up once for each."""

    def __init__(self, builder: FrameBuilder, frame: SignalFrame) -> None:
        known = {row[0]: row[1:] for row in builder.connection.execute(_JUDGED_BY[frame.entity]).fetchall()}
        snapshot: Any = None if frame.entity == "claim" else frame.keys["snapshot"][0].as_py()
        rows = [known.get(i, (None, None, None)) for i in frame.ids]
        distinct = list(dict.fromkeys(rows))
        position = {row: i for i, row in enumerate(distinct)}
        self.of_row = np.array([position[row] for row in rows])
        self.distinct = [(day or snapshot, insured, care) for day, insured, care in distinct]

    def limits(self, limit: Limit) -> np.ndarray:
        """The limit for each row; NaN, which nothing passes, where none is in force."""
        found = (limit.on(day, insured if limit.place == "insured" else care) for day, insured, care in self.distinct)
        values = np.array([np.nan if value is None else value for value in found], np.float64)
        return np.asarray(values[self.of_row])
