"""Sets of snapshots: taken apart, then published as a whole; and whom claims have touched since the last set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import FraudError
from fraud.store.history import ENTITIES, published
from fraud.store.tables import CANONICAL, names, refreshes, snapshots
from fraud.store.tables import versions as claims_history
from fraud.store.versions import from_json

__all__ = [
    "Arrived",
    "Covered",
    "Refresh",
    "SnapshotRows",
    "Touched",
    "arrived",
    "begin",
    "last",
    "last_settlement",
    "prune",
    "publish",
    "put",
    "touched",
]

# Rows in one transaction, so that decisions never wait for long.
_BATCH = 2_000
# A reader that began before a set was published is done by then.
_IN_USE = timedelta(minutes=1)
# SQLite has one writer at a time, who is stamped when it is his turn. Elsewhere a transaction may end later than one
# that began after it, and clocks of several machines differ.
_OVERLAP = timedelta(minutes=10)
# Model, entity and day that a refresh has taken snapshots for, with the digest of the model.
Covered = Mapping[str, Mapping[str, Any]]

# By entity and id: when the earliest of the claims settled.
Touched = Mapping[str, Mapping[str, datetime]]

_claims = CANONICAL["claims"]
_DELETE = sa.delete(snapshots).where(
    snapshots.c.entity == sa.bindparam("e"),
    snapshots.c.day == sa.bindparam("d"),
    snapshots.c.model == sa.bindparam("m"),
    snapshots.c.refresh == sa.bindparam("r"),
    snapshots.c.entity_id.in_(sa.bindparam("ids", expanding=True)),
)


@dataclass(frozen=True)
class Arrived:
    """How many claims there are, and when the last one arrived or was corrected."""

    claims: int
    until: datetime | None


@dataclass(frozen=True)
class Refresh:
    """A set of snapshots that is published: which claims it knows of, and which models and days it covers."""

    number: int
    published_at: datetime
    arrived: Arrived
    covers: Covered
    snapshots: int


@dataclass(frozen=True)
class SnapshotRows:
    """Signals of many entities of one kind as of a day: `values` is ids × columns, `model` says whose peers."""

    entity: str
    day: datetime
    ids: Sequence[str]
    columns: Sequence[str]
    values: np.ndarray
    model: str = ""

    @property
    def digest(self) -> str:
        """What the columns are kept under."""
        return hashlib.sha256(orjson.dumps(list(self.columns))).hexdigest()

    def batches(self) -> Iterator[SnapshotRows]:
        """The rows in portions."""
        values = np.asarray(self.values)
        for first in range(0, len(self.ids), _BATCH):
            part = slice(first, first + _BATCH)
            yield SnapshotRows(self.entity, self.day, self.ids[part], self.columns, values[part], self.model)


def put(connection: Connection, taken: SnapshotRows, refresh: int | None) -> None:
    """Store snapshots in a set, None for the one that is read, in place of those of the same day in that set."""
    refresh = published(connection) if refresh is None else refresh
    digest = taken.digest
    if connection.execute(sa.select(names.c.digest).where(names.c.digest == digest)).first() is None:
        connection.execute(sa.insert(names), {"digest": digest, "names": list(taken.columns)})
    if not taken.ids:
        return
    same = {"entity": taken.entity, "day": taken.day, "model": taken.model, "refresh": refresh, "names": digest}
    key = {"e": taken.entity, "d": taken.day, "m": taken.model, "r": refresh, "ids": list(taken.ids)}
    connection.execute(_DELETE, key)
    found = zip(taken.ids, np.asarray(taken.values), strict=True)
    rows = [{**same, "entity_id": i, "data": row.astype("<f8").tobytes()} for i, row in found]
    connection.execute(sa.insert(snapshots), rows)


def begin(connection: Connection, now: datetime) -> int:
    """The number of a new set, which nobody reads yet."""
    number = int(connection.execute(sa.select(sa.func.max(refreshes.c.number))).scalar_one() or 0) + 1
    connection.execute(sa.insert(refreshes), {"number": number, "started_at": now, "covers": {}, "snapshots": 0})
    return number


def publish(connection: Connection, number: int, now: datetime, known: Arrived, covers: Covered) -> int:
    """Make a set the one that is read, at once for everybody; how many snapshots it has.

    Raises `FraudError` when a later set is there already: what this one holds is older.
    """
    later = sa.select(refreshes.c.number).where(refreshes.c.number > number, refreshes.c.published_at.is_not(None))
    if connection.execute(later.limit(1)).first() is not None:
        raise FraudError("Another refresh that began later has ended before this one. Its snapshots are in force.")
    taken = connection.execute(sa.select(sa.func.count()).where(snapshots.c.refresh == number)).scalar_one()
    own = {"published_at": now, "until": known.until, "claims": known.claims, "covers": covers, "snapshots": taken}
    connection.execute(sa.update(refreshes).where(refreshes.c.number == number), own)
    return int(taken)


def last(connection: Connection) -> Refresh | None:
    """The set that is read; None before the first."""
    newest = sa.select(refreshes).where(refreshes.c.published_at.is_not(None), refreshes.c.number > 0)
    row = connection.execute(newest.order_by(refreshes.c.number.desc()).limit(1)).mappings().first()
    if row is None:
        return None
    arrived_then = Arrived(row["claims"] or 0, row["until"])
    return Refresh(row["number"], row["published_at"], arrived_then, row["covers"], row["snapshots"])


def prune(connection: Connection, now: datetime) -> int:
    """Delete some snapshots that nobody can ask for any more; how many, 0 when there are none left.

    Those are the superseded, and those of sets that were given up: a later one is published.
    """
    key = (snapshots.c.entity, snapshots.c.entity_id, snapshots.c.day, snapshots.c.model, snapshots.c.refresh)
    later, of_later = snapshots.alias(), refreshes.alias()
    same = [later.c[c.name] == c for c in key[:-1]]
    settled = sa.and_(of_later.c.published_at.is_not(None), of_later.c.published_at < now - _IN_USE)
    superseded = sa.exists().where(
        *same, later.c.refresh > snapshots.c.refresh, of_later.c.number == later.c.refresh, settled
    )
    newest = sa.select(sa.func.max(of_later.c.number)).where(settled).scalar_subquery()
    unpublished = sa.exists().where(refreshes.c.number == snapshots.c.refresh, refreshes.c.published_at.is_(None))
    given_up = sa.and_(unpublished, snapshots.c.refresh < newest)
    old = connection.execute(sa.select(*key).where(sa.or_(superseded, given_up)).limit(_BATCH)).all()
    if old:
        own = sa.and_(*(c == sa.bindparam(f"own_{c.name}") for c in key))
        found = [{f"own_{name}": value for name, value in row._mapping.items()} for row in old]
        connection.execute(sa.delete(snapshots).where(own), found)
    return len(old)


def touched(connection: Connection, since: datetime | None) -> Touched:
    """By entity, everybody whom a claim that arrived after a moment names, with the earliest settlement of those.

    A claim that was corrected names those of its earlier versions too: they have lost a claim. Where many write at
    once, claims that arrived a little earlier count as well.
    """
    if since is not None and connection.dialect.name != "sqlite":
        since -= _OVERLAP
    found: dict[str, dict[str, datetime]] = {entity: {} for entity in ENTITIES}
    fresh = sa.true() if since is None else _claims.c.received_at > since
    for entity, (_, key) in ENTITIES.items():
        named = sa.select(_claims.c[key], sa.func.min(_claims.c.settled_at)).where(fresh, _claims.c[key].is_not(None))
        found[entity] = {row[0]: row[1] for row in connection.execute(named.group_by(_claims.c[key]))}
    replaced = sa.select(claims_history.c.bundle).join(_claims, _claims.c.claim_id == claims_history.c.claim_id)
    for (bundle,) in connection.execute(replaced.where(fresh)):
        claim = from_json(bundle).claim
        for entity, (_, key) in ENTITIES.items():
            if (who := claim.get(key)) is not None:
                settled = claim["settled_at"]
                found[entity][who] = min(settled, found[entity].get(who, settled))
    return found


def last_settlement(connection: Connection, until: datetime) -> datetime | None:
    """When the last claim settled that did so before a moment."""
    query = sa.select(sa.func.max(_claims.c.settled_at)).where(_claims.c.settled_at < until)
    found: datetime | None = connection.execute(query).scalar_one()
    return found


def arrived(connection: Connection) -> Arrived:
    """What there is of claims."""
    count, until = connection.execute(sa.select(sa.func.count(), sa.func.max(_claims.c.received_at))).one()
    return Arrived(int(count), until)
