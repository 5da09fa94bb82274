"""Feature frames as models read them: an entity's own signals with peers, or a claim with its snapshots.

A claim is described by its own signals and by the snapshots of its patient, provider and physician taken on
the first day of the month in which it settles: month equality joins on every engine, and no snapshot holds a
claim that settled after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from fraud.signals.definition import Signal
from fraud.signals.frames import (
    FrameBuilder,
    Reference,
    SignalFrame,
    freeze_peers,
    months_of_claims,
    peer_names,
)
from fraud.signals.peers import Peers
from fraud.signals.relations import ENTITY_KEYS

__all__ = [
    "by_entity",
    "claim_attributes",
    "claim_features",
    "entity_features",
    "feature_names",
    "learn_reference",
    "with_snapshots",
]

Progress = Callable[[str], None]


def by_entity(signals: Iterable[Signal]) -> dict[str, list[Signal]]:
    """Signals grouped by entity: the claim's first, then patient, provider and physician."""
    grouped: dict[str, list[Signal]] = {e: [] for e in ("claim", *ENTITY_KEYS)}
    for s in signals:
        grouped[s.entity].append(s)
    return {entity: found for entity, found in grouped.items() if found}


def feature_names(signals: Iterable[Signal]) -> tuple[str, ...]:
    """Names of the columns that a model of these signals reads, in the order of the frame."""
    grouped = by_entity(signals).values()
    return tuple(n for group in grouped for n in (*(s.id for s in group), *peer_names(group)))


def learn_reference(
    builder: FrameBuilder,
    signals: Sequence[Signal],
    pairs: dict[str, pa.Table] | None = None,
    progress: Progress | None = None,
) -> Reference:
    """Learn norms and peers from the attached claims, and use them in the builder from now on.

    `pairs` gives the snapshots to compare entities at; by default every month that has claims. Peers of
    claims are learned too: they never become features, but reports show them.
    """
    norms = builder.learn_norms()
    peers: dict[str, Peers] = {}
    for entity, own in by_entity(signals).items():
        if progress:
            progress(f"peers of {entity}s")
        frame = _raw(builder, entity, own, (pairs or {}).get(entity))
        peers[entity] = freeze_peers(frame)
    builder.reference = Reference(norms, peers)
    return builder.reference


def _raw(builder: FrameBuilder, entity: str, signals: Sequence[Signal], pairs: pa.Table | None) -> SignalFrame:
    if entity == "claim":
        return builder.claims(signals)
    return builder.entities(signals, entity, months_of_claims(builder.connection, entity) if pairs is None else pairs)


def entity_features(builder: FrameBuilder, entity: str, signals: Sequence[Signal], pairs: pa.Table) -> SignalFrame:
    """One row for each (entity_id, snapshot) of `pairs`: the entity's signals, then their peer columns."""
    return builder.with_peers(builder.entities(signals, entity, pairs))


def claim_features(
    builder: FrameBuilder, signals: Sequence[Signal], target: str = "claims", progress: Progress | None = None
) -> SignalFrame:
    """One row for each claim of `target`: its own signals, then the snapshots of those it names."""
    grouped = by_entity(signals)
    frame = builder.claims(grouped.pop("claim", []), target)
    for entity, own in grouped.items():
        if progress:
            progress(f"snapshots of {entity}s")
        pairs = months_of_claims(builder.connection, entity, target)
        snapshots = entity_features(builder, entity, own, pairs)
        frame = with_snapshots(builder, frame, snapshots, target)
    return frame


def claim_attributes(
    builder: FrameBuilder, frame: SignalFrame, target: str = "claims"
) -> list[dict[str, tuple[str | None, ...]]]:
    """For each claim of the frame: what makes peers of it and of those whom it names, by entity."""
    found: list[dict[str, tuple[str | None, ...]]] = [{"claim": own} for own in frame.attributes]
    for entity in ENTITY_KEYS:
        known = builder.attributes(entity, months_of_claims(builder.connection, entity, target))
        for row, pair in enumerate(_wanted_pairs(builder, entity, target)):
            if pair in known:
                found[row][entity] = known[pair]
    return found


def _wanted_pairs(builder: FrameBuilder, entity: str, target: str) -> list[tuple[str, datetime]]:
    """The entity and the snapshot day of each claim of `target`, in claim order."""
    key = ENTITY_KEYS[entity]
    query = f"""SELECT "{key}", date_trunc('month', settled_at)::TIMESTAMP FROM "{target}" ORDER BY claim_id"""
    return [(row[0], row[1]) for row in builder.connection.execute(query).fetchall()]


def with_snapshots(builder: FrameBuilder, claims: SignalFrame, snapshots: SignalFrame, target: str) -> SignalFrame:
    """Claims with the snapshot of one kind of entity on the right; missing where the claim names none."""
    wanted = _wanted_pairs(builder, snapshots.entity, target)
    held = {pair: i for i, pair in enumerate(zip(*(snapshots.keys.to_pydict().values()), strict=True))}
    rows = np.array([held.get(pair, -1) for pair in wanted], dtype=np.int64)
    values = np.vstack([snapshots.values, np.full(len(snapshots.names), np.nan)])
    return claims.with_columns(snapshots.names, values[rows])
