"""The store: one object in front of the database, safe to use from many threads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.claims.folder import ClaimsFolder
from fraud.claims.schema import TABLES
from fraud.store import versions
from fraud.store.database import BUSY_MS, open_database, rows
from fraud.store.history import ENTITIES, latest_snapshot, read_history
from fraud.store.loading import Progress, load
from fraud.store.shapes import Added, Bundle, Decision, History, Loaded, Row, Seen, ShadowScore, Snapshot
from fraud.store.tables import CANONICAL, METADATA, columns_of, decisions, idempotency, names, shadow_scores, snapshots

__all__ = ["Store"]

# A request that has not ended after this long has died with its process: its key is free again.
_ABANDONED = timedelta(seconds=60)
# How long a key is remembered.
_REMEMBERED = timedelta(days=7)


class Store:
    """The service's database; makes its tables when they are not there.

    `clock` tells the time that rows are stamped with; a writer waits `busy_ms` for another one. Every method
    raises `StoreBusyError` when the database cannot be reached.
    """

    def __init__(self, url: str, clock: Callable[[], datetime] = datetime.now, *, busy_ms: int = BUSY_MS) -> None:
        self._clock = clock
        self._database = open_database(url, busy_ms)
        self._names: dict[str, tuple[str, ...]] = {}
        with self._database.write() as connection:
            METADATA.create_all(connection)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ping(self) -> None:
        """Return when the database answers."""
        with self._database.read() as connection:
            connection.execute(sa.select(1))

    # --- claims -------------------------------------------------------------------------------------------

    def load_folder(self, folder: ClaimsFolder, progress: Progress = lambda table, done, total: None) -> Loaded:
        """Load a claims folder in one transaction; what is there already is left as it is."""
        with self._database.write() as connection:
            return load(connection, folder, self._clock(), progress)

    def add_claim(self, bundle: Bundle) -> Added:
        """Add one claim to the history; see `fraud.store.versions.add` for what counts as later."""
        return self.add_claims([bundle])[0]

    def add_claims(self, bundles: Sequence[Bundle]) -> list[Added]:
        """Add several claims in one transaction; what became of each, in order."""
        with self._database.write() as connection:
            return [versions.add(connection, bundle, self._clock()) for bundle in bundles]

    def claim(self, claim_id: str) -> versions.StoredBundle | None:
        """The current version of a claim with its items, or None."""
        with self._database.read() as connection:
            return versions.stored(connection, claim_id)

    def history(self, claim: Row, needs_lines: bool = True, model: str = "") -> History:
        """What was known before the claim settled; `model` says whose snapshots are wanted."""
        with self._database.read() as connection:
            return read_history(connection, claim, needs_lines, model, self._names_of)

    def party(self, entity: str, entity_id: str) -> Row | None:
        """What is on file about a patient, provider or physician."""
        name, key = ENTITIES[entity]
        query = sa.select(*columns_of(name)).where(CANONICAL[name].c[key] == entity_id)
        with self._database.read() as connection:
            return next(iter(rows(connection, query, {})), None)

    def paid(self, entity: str, entity_id: str, since: datetime, until: datetime) -> float | None:
        """Money paid by the fund on claims settled from `since` to before `until`; None without claims."""
        claims = CANONICAL["claims"]
        own = claims.c[ENTITIES[entity][1]] == entity_id
        query = sa.select(sa.func.sum(claims.c.fund_amount)).where(
            own, claims.c.settled_at >= since, claims.c.settled_at < until
        )
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one()
            return None if found is None else float(found)

    def table(self, name: str) -> pa.Table:
        """All rows of a small canonical table, such as the payer's `catalogue`, as Arrow."""
        with self._database.read() as connection:
            found = rows(connection, sa.select(*columns_of(name)), {})
        return pa.Table.from_pylist(list(found), schema=TABLES[name].arrow)

    # --- snapshots ----------------------------------------------------------------------------------------

    def put_snapshots(
        self,
        entity: str,
        day: datetime,
        ids: Sequence[str],
        columns: Sequence[str],
        values: np.ndarray,
        model: str = "",
    ) -> None:
        """Store the signals of many entities as of a day, in place of the same day's.

        `values` is ids × columns; `model` names the model whose peers they were compared with.
        """
        text = orjson.dumps(list(columns))
        digest = hashlib.sha256(text).hexdigest()
        same = {"entity": entity, "day": day, "model": model}
        taken = [
            {**same, "entity_id": entity_id, "names": digest, "data": row.astype("<f8").tobytes()}
            for entity_id, row in zip(ids, np.asarray(values), strict=True)
        ]
        with self._database.write() as connection:
            if connection.execute(sa.select(names.c.digest).where(names.c.digest == digest)).first() is None:
                connection.execute(sa.insert(names), {"digest": digest, "names": list(columns)})
            if not taken:
                return
            connection.execute(_DELETE_SNAPSHOT, [{"e": entity, "i": i, "d": day, "m": model} for i in ids])
            connection.execute(sa.insert(snapshots), taken)

    def snapshot(self, entity: str, entity_id: str, until: datetime, model: str = "") -> Snapshot | None:
        """The latest snapshot of an entity taken at or before a moment."""
        with self._database.read() as connection:
            return latest_snapshot(connection, entity, entity_id, until, model, self._names_of)

    def _names_of(self, connection: Connection, digest: str) -> tuple[str, ...]:
        if digest not in self._names:
            found = connection.execute(sa.select(names.c.names).where(names.c.digest == digest)).scalar_one()
            self._names[digest] = tuple(found)
        return self._names[digest]

    # --- decisions and answers already given ----------------------------------------------------------------

    def put_decision(self, decision: Decision, bundle: Bundle | None = None, key: str | None = None) -> None:
        """Store an answer before it is given, in one transaction.

        With `bundle` the claim becomes history too; with `key` the answer is what that key gets again.
        """
        with self._database.write() as connection:
            connection.execute(sa.insert(decisions), vars(decision))
            if bundle is not None:
                versions.add(connection, bundle, self._clock())
            if key is not None:
                _finish(connection, key, 200, decision.response)

    def put_shadow_scores(self, scores: Sequence[ShadowScore]) -> None:
        """Store what another version says of claims that were answered, in one transaction."""
        if scores:
            with self._database.write() as connection:
                connection.execute(sa.insert(shadow_scores), [vars(s) for s in scores])

    def shadow_score(self, request_id: str) -> ShadowScore | None:
        """What another version said of the claim of a decision, or None."""
        query = sa.select(shadow_scores).where(shadow_scores.c.request_id == request_id)
        with self._database.read() as connection:
            found = connection.execute(query).mappings().first()
            return ShadowScore(**found) if found is not None else None

    def decision(self, request_id: str) -> Decision | None:
        """A stored decision, or None."""
        return self._decision(sa.select(decisions).where(decisions.c.request_id == request_id))

    def latest_decision(self, claim_id: str) -> Decision | None:
        """The last decision on a claim, or None when it was never scored."""
        own = sa.select(decisions).where(decisions.c.claim_id == claim_id)
        return self._decision(own.order_by(decisions.c.scored_at.desc()).limit(1))

    def _decision(self, query: sa.Select[*tuple[Any, ...]]) -> Decision | None:
        with self._database.read() as connection:
            found = connection.execute(query).mappings().first()
            return Decision(**found) if found is not None else None

    def idempotent(self, key: str, digest: bytes) -> Seen | None:
        """What the key got before; None when it is new, and from now on taken by the caller.

        Whoever gets None must end with `put_decision`, `finish` or `release`.
        """
        with self._database.write() as connection:
            found = connection.execute(sa.select(idempotency).where(idempotency.c.key == key)).mappings().first()
            if found is not None and not self._abandoned(found):
                return _seen(found, digest)
            forgotten = idempotency.c.started_at < self._clock() - _REMEMBERED
            connection.execute(sa.delete(idempotency).where((idempotency.c.key == key) | forgotten))
            connection.execute(sa.insert(idempotency), {"key": key, "digest": digest, "started_at": self._clock()})
            return None

    def _abandoned(self, row: sa.RowMapping) -> bool:
        return row["status"] is None and bool(row["started_at"] < self._clock() - _ABANDONED)

    def finish(self, key: str, status: int, response: bytes) -> None:
        """Store the answer of a key."""
        with self._database.write() as connection:
            _finish(connection, key, status, response)

    def release(self, key: str) -> None:
        """Free a key whose request came to nothing."""
        with self._database.write() as connection:
            connection.execute(sa.delete(idempotency).where(idempotency.c.key == key, idempotency.c.status.is_(None)))


_DELETE_SNAPSHOT = sa.delete(snapshots).where(
    snapshots.c.entity == sa.bindparam("e"),
    snapshots.c.entity_id == sa.bindparam("i"),
    snapshots.c.day == sa.bindparam("d"),
    snapshots.c.model == sa.bindparam("m"),
)


def _finish(connection: Connection, key: str, status: int, response: bytes) -> None:
    connection.execute(sa.update(idempotency).where(idempotency.c.key == key), {"status": status, "response": response})


def _seen(row: sa.RowMapping, digest: bytes) -> Seen:
    if row["digest"] != digest:
        return Seen(conflict=True)
    if row["status"] is None:
        return Seen(running=True)
    return Seen(status=row["status"], response=row["response"])
