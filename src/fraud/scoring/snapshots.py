"""Snapshots of patients, providers and physicians: what claims of the coming month are scored with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from fraud.signals.assembly import by_entity, entity_features
from fraud.signals.definition import Signal
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.relations import ENTITY_KEYS

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["Chosen", "days_around", "known_entities", "latest_days", "pairs_on", "snapshots_of", "take_snapshots"]

# For an entity, by day whose snapshots are wanted; None for everybody's.
Chosen = Callable[[str], Mapping[datetime, Collection[str] | None]]
_TABLES = {"patient": "patients", "provider": "providers", "physician": "physicians"}


def known_entities(connection: duckdb.DuckDBPyConnection, entity: str) -> list[str]:
    """Ids of every patient, provider or physician, registered or only named by a claim, in order."""
    key, table = ENTITY_KEYS[entity], _TABLES[entity]
    query = f"""SELECT "{key}" FROM claims WHERE "{key}" IS NOT NULL
                UNION SELECT "{key}" FROM "{table}" ORDER BY 1"""
    return [row[0] for row in connection.execute(query).fetchall()]


def pairs_on(ids: Sequence[str], *days: datetime) -> pa.Table:
    """The pairs (entity_id, snapshot) of these entities on each of the days."""
    snapshots = pa.array([day for day in days for _ in ids], pa.timestamp("us"))
    return pa.table({"entity_id": pa.array(list(ids) * len(days), pa.string()), "snapshot": snapshots})


def snapshots_of(model: FittedModel) -> str:
    """The name that a model's snapshots are stored under; a shadow may read other signals than the champion."""
    return f"{model.spec.name}@shadow" if model.alias == "shadow" else model.spec.name


def latest_days(connection: duckdb.DuckDBPyConnection) -> tuple[datetime, ...]:
    """First days of the month of the last settlement and of the month after it: what live claims need."""
    rows = connection.execute("SELECT max(settled_at) FROM claims").fetchall()
    return days_around(rows[0][0]) if rows[0][0] is not None else ()


def days_around(settled: datetime) -> tuple[datetime, datetime]:
    """The first days of a moment's month and of the next."""
    first = datetime(settled.year, settled.month, 1)
    return first, datetime(first.year + first.month // 12, first.month % 12 + 1, 1)


def take_snapshots(
    builder: FrameBuilder, signals: Iterable[Signal], chosen: Chosen
) -> Iterator[tuple[str, datetime, SignalFrame]]:
    """For each entity that the signals describe and each day: a frame of those who are known and chosen."""
    for entity, own in by_entity(signals).items():
        wanted = chosen(entity) if entity != "claim" else {}
        if not wanted:
            continue
        known = known_entities(builder.connection, entity)
        pairs = [pairs_on([i for i in known if ids is None or i in ids], day) for day, ids in wanted.items()]
        frame = entity_features(builder, entity, own, pa.concat_tables(pairs))
        taken = frame.keys["snapshot"].to_pylist()
        for day in wanted:
            yield entity, day, frame.rows([i for i, other in enumerate(taken) if other == day])
