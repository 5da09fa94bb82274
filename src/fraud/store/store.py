"""The store: one object in front of the database, safe to use from many threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.claims.folder import ClaimsFolder
from fraud.claims.schema import TABLES
from fraud.store import refreshes as sets
from fraud.store import versions
from fraud.store.ciphers import cipher_from
from fraud.store.database import BUSY_MS, Database, open_database, rows
from fraud.store.exporting import export
from fraud.store.histories import read_histories
from fraud.store.history import ENTITIES, latest_snapshot, published, read_history
from fraud.store.loading import Progress, load
from fraud.store.migrating import require_head
from fraud.store.outcomes import Became, Feedback, add_feedback, add_outcomes, feedback_on, known_decisions
from fraud.store.recording import Answer, finish_keys, record, release_keys, seen_keys, take_keys
from fraud.store.refreshes import Arrived, Covered, Refresh, SnapshotRows, Touched
from fraud.store.sealing import attach
from fraud.store.shapes import (
    EVERYTHING,
    Added,
    Bundle,
    Decision,
    History,
    Loaded,
    Row,
    Seen,
    ShadowScore,
    Snapshot,
    Wanted,
)
from fraud.store.tables import CANONICAL, columns_of, decisions, names, shadow_scores

__all__ = ["Store"]


def _unseen(table: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


class Store:
    """The service's database; makes its tables in an empty one.

    `clock` tells the time that rows are stamped with; a writer waits `busy_ms` for another one. Every method
    raises `StoreBusyError` when the database cannot be reached. The data key, where there is one, is that of
    `environ`, so that nothing that opens the database can forget it.
    """

    def __init__(
        self,
        url: str,
        clock: Callable[[], datetime] = datetime.now,
        *,
        busy_ms: int = BUSY_MS,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._clock = clock
        self._database = open_database(url, busy_ms)
        self._names: dict[str, tuple[str, ...]] = {}
        try:
            require_head(self._database)
            attach(self._database, cipher_from(environ))
        except BaseException:
            self._database.close()
            raise

    @property
    def database(self) -> Database:
        """Its connections, for what else is kept beside the claims: keys, ledger."""
        return self._database

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

    def load_folder(self, folder: ClaimsFolder, progress: Progress = _unseen) -> Loaded:
        """Load a claims folder in one transaction; what is there already is left as it is."""
        with self._database.write_patiently() as connection:
            return load(connection, folder, self._clock(), progress)

    def add_claim(self, bundle: Bundle) -> Added:
        """Add one claim to the history; see `fraud.store.versions.add` for what counts as later."""
        return self.add_claims([bundle])[0]

    def add_claims(self, bundles: Sequence[Bundle]) -> list[Added]:
        """Add several claims in one transaction; what became of each, in order."""
        # In the order of their ids: two writers that wait for each other's rows would wait forever.
        turns = sorted(range(len(bundles)), key=lambda i: str(bundles[i].claim["claim_id"]))

        def work(connection: Connection) -> list[Added]:
            became = {i: versions.add(connection, bundles[i], self._clock()) for i in turns}
            return [became[i] for i in range(len(bundles))]

        return self._database.transact(work)

    def claim(self, claim_id: str) -> versions.StoredBundle | None:
        """The current version of a claim with its items, or None."""
        with self._database.read() as connection:
            return versions.stored(connection, claim_id)

    def history(self, claim: Row, wanted: Wanted = EVERYTHING, model: str = "") -> History:
        """What was known before the claim settled; `model` says whose snapshots are wanted."""
        with self._database.read() as connection:
            return read_history(connection, claim, wanted, model, self._names_of)

    def histories(self, claims: Sequence[Row], wanted: Wanted = EVERYTHING, model: str = "") -> list[History]:
        """What was known before each of many claims settled; as `history`, in a fixed number of queries."""
        with self._database.read() as connection:
            return read_histories(connection, claims, wanted, model, self._names_of)

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

    # --- what others tell afterwards ------------------------------------------------------------------------

    def add_outcomes(self, rows: Sequence[Row]) -> list[Became]:
        """Append what investigations found, in one transaction; what became of each row, in order."""
        return self._database.transact(lambda c: add_outcomes(c, rows))

    def add_feedback(self, replies: Sequence[Feedback]) -> int:
        """Append replies to warnings, in one transaction; how many were new."""
        return self._database.transact(lambda c: add_feedback(c, replies))

    def feedback_on(self, request_id: str) -> tuple[Feedback, ...]:
        """Replies to the warnings that came with a decision."""
        with self._database.read() as connection:
            return feedback_on(connection, request_id)

    def known_decisions(self, request_ids: Iterable[str]) -> frozenset[str]:
        """Those of the decisions that are stored here."""
        with self._database.read() as connection:
            return known_decisions(connection, request_ids)

    # --- snapshots ----------------------------------------------------------------------------------------

    def put_snapshots(
        self,
        entity: str,
        day: datetime,
        ids: Sequence[str],
        columns: Sequence[str],
        values: np.ndarray,
        model: str = "",
        refresh: int | None = None,
    ) -> None:
        """Store the signals of many entities as of a day, in place of the same day's.

        `values` is ids × columns; `model` names the model whose peers they were compared with. With `refresh`
        they wait in that set until it is published, without it they are read from now on.
        """
        for batch in SnapshotRows(entity, day, ids, columns, values, model).batches():
            self._database.transact(partial(sets.put, taken=batch, refresh=refresh))

    def begin_refresh(self) -> int:
        """The number of a new set of snapshots, which nobody reads before it is published."""
        return self._database.transact(lambda c: sets.begin(c, self._clock()))

    def publish_refresh(self, number: int, known: Arrived, covers: Covered) -> int:
        """Make a set the one that is read, at once for everybody; how many snapshots it has."""
        return self._database.transact(lambda c: sets.publish(c, number, self._clock(), known, covers), patiently=True)

    def last_refresh(self) -> Refresh | None:
        """The set of snapshots that is read; None before the first."""
        with self._database.read() as connection:
            return sets.last(connection)

    def prune_snapshots(self) -> int:
        """Delete snapshots that nobody can ask for any more; how many."""
        deleted = 0
        while count := self._database.transact(lambda c: sets.prune(c, self._clock()), patiently=True):
            deleted += count
        return deleted

    def arrived(self) -> Arrived:
        """How many claims there are, and when the last one arrived."""
        with self._database.read_all() as connection:
            return sets.arrived(connection)

    def last_settlement(self, until: datetime) -> datetime | None:
        """When the last claim settled that did so before a moment."""
        with self._database.read_all() as connection:
            return sets.last_settlement(connection, until)

    def touched(self, since: datetime | None) -> Touched:
        """By entity, everybody whom a claim that arrived after a moment names, with the earliest settlement."""
        with self._database.read_all() as connection:
            return sets.touched(connection, since)

    def export(self, to: Path, since: datetime | None = None, progress: Progress = _unseen) -> ClaimsFolder | None:
        """The canonical tables as a new folder, of claims those that settled since; None when there are none."""
        with self._database.read_all() as connection:
            return export(connection, to, since, progress)

    def snapshot(self, entity: str, entity_id: str, until: datetime, model: str = "") -> Snapshot | None:
        """The latest snapshot of an entity taken at or before a moment."""
        with self._database.read() as connection:
            refresh = published(connection)
            return latest_snapshot(connection, entity, entity_id, until, model, self._names_of, refresh)

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
        self.put_answers([Answer(decision, bundle, key)])

    def put_answers(self, answers: Sequence[Answer], finished: tuple[str, bytes] | None = None) -> list[Seen | None]:
        """Store many answers before they are given, all in one transaction; see `fraud.store.recording.record`.

        `finished` is the key of a call that asked for all of them, with what it gets again.
        """

        def work(connection: Connection) -> list[Seen | None]:
            seen = record(connection, answers, self._clock)
            if finished is not None:
                finish_keys(connection, [(finished[0], 200, finished[1])])
            return seen

        return self._database.transact(work)

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

        Whoever gets None must end with `put_decision`, `put_answers`, `finish` or `release`.
        """
        return self.take_keys([(key, digest)])[0]

    def take_keys(self, keys: Sequence[tuple[str, bytes]]) -> list[Seen | None]:
        """As `idempotent`, for many different keys in one transaction."""
        return self._database.transact(lambda c: take_keys(c, keys, self._clock()))

    def seen_keys(self, keys: Sequence[tuple[str, bytes]]) -> list[Seen | None]:
        """What each key with this body got before; None for one that is free. Nothing is taken."""
        with self._database.read() as connection:
            return seen_keys(connection, keys, self._clock())

    def finish(self, key: str, status: int, response: bytes) -> None:
        """Store the answer of a key."""
        with self._database.write() as connection:
            finish_keys(connection, [(key, status, response)])

    def release(self, *keys: str) -> None:
        """Free keys whose requests came to nothing."""
        with self._database.write() as connection:
            release_keys(connection, keys)
