"""Notices that are on their way: written with the step that calls for them, gone once they have arrived.

A row is one notice by one way, such as mail. Whoever sends takes rows for a while (`LEASE`), so that of several
processes one sends each; a process that ends meanwhile leaves them to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.database import Database
from fraud.store.ledger import Event, Ledger, Record, moment_text
from fraud.store.tables import METADATA

__all__ = ["LEASE", "WAITS", "Outbox", "OutboxState", "Waiting", "outbox"]

# Longer than any attempt takes.
LEASE = timedelta(minutes=2)
# Between attempts: a hiccup, a restart, an outage, a day off. After the last one a notice is given up.
WAITS = tuple(timedelta(seconds=s) for s in (1, 10, 60, 300, 1_800, 7_200, 21_600, 43_200))
# A notice that was given up is news for so long.
KEPT = timedelta(days=90)
_AT_ONCE = 20

outbox = sa.Table(
    "case_notices",
    METADATA,
    sa.Column("notice_id", sa.Text, primary_key=True),
    sa.Column("way", sa.Text, primary_key=True),
    sa.Column("case_id", sa.Text, nullable=False),
    sa.Column("notice", sa.JSON, nullable=False),
    sa.Column("made_at", sa.Text, nullable=False),
    sa.Column("next_at", sa.Text, nullable=False, index=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("fault", sa.Text),
    sa.Column("given_up_at", sa.Text),
)


@dataclass(frozen=True)
class Waiting:
    """A notice by one way; `fault` is what the last attempt ended in, times are UTC."""

    notice_id: str
    way: str
    case_id: str
    notice: Mapping[str, Any]
    made_at: datetime
    next_at: datetime
    tries: int
    fault: str | None = None
    given_up_at: datetime | None = None


@dataclass(frozen=True)
class OutboxState:
    """How many notices wait, since when the oldest does, and those that were given up, the latest first."""

    waiting: int
    since: datetime | None
    given_up: tuple[Waiting, ...]


def _now() -> datetime:
    return datetime.now(UTC)


class Outbox:
    """The notices of one database that are on their way; `waits` are the pauses between attempts."""

    def __init__(
        self, database: Database, clock: Callable[[], datetime] = _now, waits: Sequence[timedelta] = WAITS
    ) -> None:
        self._database, self._clock, self._waits = database, clock, tuple(waits)
        self._ledger = Ledger(database, clock)

    def put(
        self, connection: Connection, notice_id: str, case_id: str, ways: Sequence[str], notice: Mapping[str, Any]
    ) -> None:
        """Write a notice in the transaction of what calls for it; it is due at once."""
        now = moment_text(self._clock())
        row = {"notice_id": notice_id, "case_id": case_id, "notice": dict(notice), "made_at": now, "next_at": now}
        for way in ways:
            connection.execute(sa.insert(outbox), {**row, "way": way, "tries": 0})

    def take(self, most: int = _AT_ONCE) -> tuple[Waiting, ...]:
        """Notices that are due, which nobody else takes for a while."""
        now = self._clock()
        due = (outbox.c.given_up_at.is_(None), outbox.c.next_at <= moment_text(now))
        query = sa.select(outbox).where(*due).order_by(outbox.c.next_at).limit(most).with_for_update(skip_locked=True)
        # Most looks find nothing, and reading disturbs nobody.
        with self._database.read() as connection:
            if connection.execute(sa.select(outbox.c.way).where(*due).limit(1)).first() is None:
                return ()

        def work(connection: Connection) -> tuple[Waiting, ...]:
            found = tuple(map(_waiting, connection.execute(query).mappings()))
            for own in found:
                connection.execute(sa.update(outbox).where(*_is(own)).values(next_at=moment_text(now + LEASE)))
            return found

        return self._database.transact(work)

    def arrived(self, own: Waiting) -> None:
        """Forget a notice that has arrived."""
        with self._database.write() as connection:
            connection.execute(sa.delete(outbox).where(*_is(own)))

    def failed(self, own: Waiting, fault: str) -> bool:
        """Put off a notice that did not arrive; whether it is given up, which the ledger is told."""
        now, tries = self._clock(), own.tries + 1
        values: dict[str, Any] = {"tries": tries, "fault": fault}
        given_up = tries > len(self._waits)
        values |= (
            {"given_up_at": moment_text(now)} if given_up else {"next_at": moment_text(now + self._waits[tries - 1])}
        )
        told = {"notice": own.notice_id, "way": own.way, "tries": tries, "fault": fault}
        with self._database.write() as connection:
            connection.execute(sa.update(outbox).where(*_is(own)).values(values))
            connection.execute(sa.delete(outbox).where(outbox.c.given_up_at < moment_text(now - KEPT)))
            if given_up:
                entry = Event("notice.given_up", "service", Record("case", own.case_id), details=told)
                self._ledger.add_in(connection, entry)
        return given_up

    def state(self) -> OutboxState:
        """What waits, and what was given up."""
        at_work = outbox.c.given_up_at.is_(None)
        counted = sa.select(sa.func.count(), sa.func.min(outbox.c.made_at)).where(at_work)
        left = sa.select(outbox).where(~at_work).order_by(outbox.c.given_up_at.desc())
        with self._database.read() as connection:
            count, since = connection.execute(counted).one()
            given_up = tuple(map(_waiting, connection.execute(left).mappings()))
        return OutboxState(int(count), datetime.fromisoformat(since) if since else None, given_up)

    def again(self) -> int:
        """Try everything that was given up once more, from the beginning; how many there are."""
        fresh = {"given_up_at": None, "tries": 0, "next_at": moment_text(self._clock())}
        with self._database.write() as connection:
            change = sa.update(outbox).where(outbox.c.given_up_at.is_not(None)).values(fresh)
            return int(connection.execute(change).rowcount)

    def forget(self) -> int:
        """Forget everything that was given up; how many there were. The ledger keeps that they were."""
        with self._database.write() as connection:
            return int(connection.execute(sa.delete(outbox).where(outbox.c.given_up_at.is_not(None))).rowcount)


def _is(own: Waiting) -> tuple[sa.ColumnElement[bool], ...]:
    return outbox.c.notice_id == own.notice_id, outbox.c.way == own.way


def _waiting(row: sa.RowMapping) -> Waiting:
    times = {n: datetime.fromisoformat(row[n]) if row[n] else None for n in ("made_at", "next_at", "given_up_at")}
    return Waiting(**{**dict(row), **times})
