"""Filling the service's store: claims as history, and the snapshots that live claims are scored with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fraud.claims.folder import ClaimsFolder, connect
from fraud.scoring.snapshots import days_around, latest_days, snapshots_of, take_snapshots
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder
from fraud.signals.relations import PAST_DAYS
from fraud.store import Arrived, Covered, Refresh, Store, Touched

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["Refreshed", "Taken", "fill_store", "has_snapshots", "refresh_store"]

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Refreshed:
    """Rows in each table of the store after loading, and how many snapshots were taken."""

    rows: dict[str, int]
    snapshots: int
    days: tuple[datetime, ...]


@dataclass(frozen=True)
class Taken:
    """What a refresh did: snapshots by entity, whether all were taken anew, and the days; no number: nothing to do."""

    number: int | None
    snapshots: Mapping[str, int] = field(default_factory=dict)
    days: tuple[datetime, ...] = ()
    full: bool = False

    @property
    def total(self) -> int:
        """All snapshots that were taken."""
        return sum(self.snapshots.values())


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

    `days` are the snapshot days; by default the first of the last month with claims, and of the next. Claims that
    the store has from elsewhere count too: `refresh_store` is what they are taken with then.
    """
    say = progress or _silent
    before = store.arrived().claims
    loaded = store.load_folder(folder, lambda table, done, total: say(f"history: {table}", done / max(total, 1)))
    used, listed = _days(folder, days), list(models)
    if before and days is None and used:
        done = refresh_store(store, catalogue, listed, used[-1], progress=say)
        return Refreshed(dict(loaded.rows), done.total, done.days)
    plan = _Plan.of(listed, catalogue, used, None, {})
    done = _Set(store, plan, store.arrived(), say).take(folder, catalogue)
    return Refreshed(dict(loaded.rows), done.total, used)


def refresh_store(
    store: Store,
    catalogue: Catalogue,
    models: Iterable[FittedModel],
    as_of: datetime,
    *,
    full: bool = False,
    room: Path | None = None,
    progress: Progress | None = None,
) -> Taken:
    """Take the snapshots that claims of this month and the next are scored with, and publish them as one set.

    Readers see the set before or this one, never a mixture; when the refresh is given up half-way, the one before
    stays. `as_of` bounds what counts as the last settlement, so that a claim from the future moves no month.
    `room` is where claims lie meanwhile.

    Without `full` only those are taken again whom a claim names that arrived or was corrected since the last set;
    whoever lost a claim by a correction is among them. Their snapshots are exactly those of a full refresh. On a day
    that no set has covered yet, and for a model that has changed, everybody's are taken, for windows move with the
    day. What others' claims move of somebody who has none of his own, the comparison with a region or a network,
    is as of the last full set: run it once in a while, as each first of a month does by itself.
    """
    say = progress or _silent
    known = store.arrived()
    settled = store.last_settlement(as_of)
    if settled is None:
        return Taken(None)
    last = None if full else store.last_refresh()
    days = days_around(settled)
    unchanged = last is not None and last.arrived == known
    touched = {} if last is None or unchanged else store.touched(last.arrived.until)
    plan = _Plan.of(list(models), catalogue, days, last, touched)
    if plan.is_empty:
        return Taken(None, days=days)
    store.prune_snapshots()
    with TemporaryDirectory(prefix="refresh-", dir=room) as folder:
        say("claims", 0.0)
        claims = store.export(Path(folder), plan.since, lambda n, done, total: say(f"claims: {n}", done / total))
        return Taken(None, days=days) if claims is None else _Set(store, plan, known, say).take(claims, catalogue)


def _silent(name: str, done: float) -> None:
    """Progress that nobody watches."""


def _days(folder: ClaimsFolder, days: Sequence[datetime] | None) -> tuple[datetime, ...]:
    if days is not None:
        return tuple(days)
    with connect() as connection:
        folder.attach(connection, ["claims"])
        return latest_days(connection)


@dataclass(frozen=True)
class _Wanted:
    """What a refresh takes for one model: everybody on some days, only some ids on others."""

    model: FittedModel
    digest: str
    whole: tuple[datetime, ...]
    some: Mapping[datetime, Mapping[str, frozenset[str]]]

    @property
    def name(self) -> str:
        return snapshots_of(self.model)

    @property
    def is_empty(self) -> bool:
        return not self.whole and not any(ids for of_day in self.some.values() for ids in of_day.values())

    def chosen(self, entity: str) -> dict[datetime, frozenset[str] | None]:
        """By day the ids of an entity, None for everybody's; days without anybody are left out."""
        some = {day: found for day, of_day in self.some.items() if (found := of_day.get(entity))}
        return {**dict.fromkeys(self.whole, None), **some}


@dataclass(frozen=True)
class _Plan:
    """What a refresh takes, for all models."""

    days: tuple[datetime, ...]
    wanted: tuple[_Wanted, ...]

    @classmethod
    def of(
        cls,
        models: Sequence[FittedModel],
        catalogue: Catalogue,
        days: tuple[datetime, ...],
        last: Refresh | None,
        touched: Touched,
    ) -> _Plan:
        """Days that the last set covers for the same model need only whom claims have touched since."""
        return cls(days, tuple(_wanted(m, catalogue, days, last, touched) for m in models))

    @property
    def is_empty(self) -> bool:
        return all(w.is_empty for w in self.wanted)

    @property
    def full(self) -> bool:
        return any(w.whole for w in self.wanted)

    @property
    def since(self) -> datetime:
        """How far back the earliest claim lies that is read: the past of the first claim of the longest window."""
        window = max(w.model.spec.window_days for w in self.wanted)
        return min(self.days) - timedelta(days=window + PAST_DAYS)


def _wanted(
    model: FittedModel, catalogue: Catalogue, days: tuple[datetime, ...], last: Refresh | None, touched: Touched
) -> _Wanted:
    digest = _digest(model, catalogue)
    before = last.covers.get(snapshots_of(model), {}) if last is not None else {}
    covered = set(before["days"]) if before.get("digest") == digest else set()
    whole = tuple(d for d in days if d.isoformat() not in covered)
    # A snapshot knows what settled before its day: later claims change nothing about it.
    some = {
        day: {e: frozenset(i for i, settled in found.items() if settled < day) for e, found in touched.items()}
        for day in days
        if day not in whole
    }
    return _Wanted(model, digest, whole, some)


def _digest(model: FittedModel, catalogue: Catalogue) -> str:
    """What decides the snapshots of a model."""
    return f"{model.digest} {catalogue.digest}"


def has_snapshots(last: Refresh | None, model: FittedModel, catalogue: Catalogue) -> bool:
    """Whether the snapshots in force were taken for this very model."""
    return last is not None and last.covers.get(snapshots_of(model), {}).get("digest") == _digest(model, catalogue)


@dataclass(frozen=True)
class _Set:
    """One set of snapshots in the making."""

    store: Store
    plan: _Plan
    known: Arrived
    say: Progress

    def take(self, folder: ClaimsFolder, catalogue: Catalogue) -> Taken:
        """Take the snapshots from a folder of claims, and publish them."""
        number = self.store.begin_refresh()
        counts: dict[str, int] = {}
        for wanted in self.plan.wanted:
            for entity, taken in self._snapshots(folder, catalogue, wanted, number):
                counts[entity] = counts.get(entity, 0) + taken
        self.store.publish_refresh(number, self.known, self._covered())
        return Taken(number, counts, self.plan.days, self.plan.full)

    def _snapshots(
        self, folder: ClaimsFolder, catalogue: Catalogue, wanted: _Wanted, number: int
    ) -> Iterator[tuple[str, int]]:
        model = wanted.model
        if wanted.is_empty:
            return
        with connect() as connection:
            folder.attach(connection)
            builder = FrameBuilder(
                connection, catalogue, days=model.spec.window_days, present=folder.present, reference=model.reference
            )
            signals = [catalogue[i] for i in model.signal_ids]
            for entity, day, frame in take_snapshots(builder, signals, wanted.chosen):
                self.say(f"snapshots of {entity}s", 0.0)
                self.store.put_snapshots(
                    entity, day, frame.ids, frame.names, frame.values, model=wanted.name, refresh=number
                )
                yield entity, len(frame)

    def _covered(self) -> Covered:
        """By model its digest and the days: what the next refresh need not take for everybody."""
        days = [d.isoformat() for d in self.plan.days]
        return {w.name: {"digest": w.digest, "days": days} for w in self.plan.wanted}
