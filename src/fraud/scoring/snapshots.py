"""Snapshots of patients, providers and physicians: what claims of the coming month are scored with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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

__all__ = ["known_entities", "latest_days", "pairs_on", "snapshots_of", "take_snapshots"]

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
    query = """SELECT date_trunc('month', max(settled_at))::TIMESTAMP,
                      (date_trunc('month', max(settled_at)) + INTERVAL 1 MONTH)::TIMESTAMP FROM claims"""
    rows = connection.execute(query).fetchall()
    return tuple(day for day in rows[0] if day is not None)


def take_snapshots(
    builder: FrameBuilder, signals: Iterable[Signal], days: Sequence[datetime]
) -> Iterator[tuple[str, datetime, SignalFrame]]:
    """For each entity that the signals describe and each day: a frame of every known entity of the kind."""
    for entity, own in by_entity(signals).items():
        if entity == "claim":
            continue
        frame = entity_features(builder, entity, own, pairs_on(known_entities(builder.connection, entity), *days))
        taken = frame.keys["snapshot"].to_pylist()
        for day in days:
            yield entity, day, frame.rows([i for i, other in enumerate(taken) if other == day])
