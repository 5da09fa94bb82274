"""Filling the service's store: claims as history, and the snapshots that live claims are scored with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fraud.claims.folder import ClaimsFolder, connect
from fraud.scoring.snapshots import latest_days, snapshots_of, take_snapshots
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder
from fraud.store import Store

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["Refreshed", "fill_store", "put_snapshots"]

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Refreshed:
    """Rows in each table of the store after loading, and how many snapshots were taken."""

    rows: dict[str, int]
    snapshots: int
    days: tuple[datetime, ...]


def fill_store(
    store: Store,
    folder: ClaimsFolder,
    catalogue: Catalogue,
    models: Iterable[FittedModel],
    *,
    days: Sequence[datetime] | None = None,
    progress: Progress | None = None,
) -> Refreshed:
    """Load a claims folder into the store, and take the snapshots that the models read.

    `days` are the snapshot days; by default the first of the last month with claims, and of the next.
    """
    say = progress or (lambda name, done: None)
    loaded = store.load_folder(folder, lambda table, done, total: say(f"history: {table}", done / max(total, 1)))
    taken, used = put_snapshots(store, folder, catalogue, models, days=days, progress=say)
    return Refreshed(dict(loaded.rows), taken, used)


def put_snapshots(
    store: Store,
    folder: ClaimsFolder,
    catalogue: Catalogue,
    models: Iterable[FittedModel],
    *,
    days: Sequence[datetime] | None = None,
    progress: Progress | None = None,
) -> tuple[int, tuple[datetime, ...]]:
    """Take and store snapshots for the models; returns how many, and their days."""
    taken, used = 0, tuple(days or ())
    for model in models:
        connection = connect()
        folder.attach(connection)
        used = tuple(days) if days is not None else latest_days(connection)
        builder = FrameBuilder(
            connection, catalogue, days=model.spec.window_days, present=folder.present, reference=model.reference
        )
        signals = [catalogue[i] for i in model.signal_ids]
        for entity, day, frame in take_snapshots(builder, signals, used):
            if progress:
                progress(f"snapshots of {entity}s", 0.0)
            store.put_snapshots(entity, day, frame.ids, frame.names, frame.values, model=snapshots_of(model))
            taken += len(frame)
        connection.close()
    return taken, used
