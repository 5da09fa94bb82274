"""Sessions of the workbench: who is signed in where, until when, and what was opened or unmasked in it.

A session is 256 random bits in a cookie; its SHA-256 is what is stored.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.ciphers import SealedBytes
from fraud.store.database import Database
from fraud.store.ledger import Event, Ledger, Record, moment_text
from fraud.store.people import Person
from fraud.store.tables import METADATA

__all__ = ["Session", "Sessions", "Unmasking", "sessions"]

IDLE, MOST = timedelta(minutes=30), timedelta(hours=10)
# An identity stays unmasked this long, for this session and record alone.
UNMASKED_FOR = timedelta(minutes=30)
HOUR = timedelta(hours=1)
# Uses closer together than this are noted once.
NOTED_EVERY = timedelta(minutes=1)
_KEPT = timedelta(days=90)
_LONGEST_AGENT = 200

sessions = sa.Table(
    "sessions",
    METADATA,
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, index=True, unique=True),
    sa.Column("user_id", sa.Text, nullable=False, index=True),
    sa.Column("began_at", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    # Of a session that began elsewhere: `awaited` until the second factor is shown here, `provider` where it was
    # shown there; and the token that ends it there.
    sa.Column("factor", sa.Text),
    sa.Column("id_token", SealedBytes),
)
# The records of persons that a session opened; `record` is the ledger's name of it.
opened = sa.Table(
    "session_records",
    METADATA,
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("record", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
)
unmasked = sa.Table(
    "session_unmaskings",
    METADATA,
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("record", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("until", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Session:
    """One sign-in; times are UTC."""

    session_id: str
    user_id: str
    began_at: datetime
    seen_at: datetime
    address: str
    agent: str
    factor: str | None = None


@dataclass(frozen=True)
class Unmasking:
    """Why identities of one record are shown, and until when."""

    purpose: str
    until: datetime


def _now() -> datetime:
    return datetime.now(UTC)


class Sessions:
    """The sessions of one database; `idle` and `most` end them."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = _now,
        *,
        idle: timedelta = IDLE,
        most: timedelta = MOST,
    ) -> None:
        self._database, self._clock = database, clock
        self._ledger = Ledger(database, clock)
        self._idle, self._most = idle, most

    def begin(
        self, person: Person, address: str, agent: str, *, factor: str | None = None, id_token: str | None = None
    ) -> str:
        """The secret of a new session, which only the cookie will hold."""
        secret, now = secrets.token_urlsafe(32), self._clock()
        row = {
            "session_id": secrets.token_hex(4),
            "digest": _digest(secret),
            "user_id": person.user_id,
            "began_at": moment_text(now),
            "seen_at": moment_text(now),
            "address": address,
            "agent": agent[:_LONGEST_AGENT],
            "factor": factor,
            "id_token": id_token.encode() if id_token is not None else None,
        }
        told = Event("session.begun", person.who, details={"session_id": row["session_id"], "address": address})
        with self._database.write() as connection:
            self._forget_old(connection, now)
            connection.execute(sa.insert(sessions), row)
            self._ledger.add_in(connection, told)
        return secret

    def find(self, secret: str) -> Session | None:
        """The session of a cookie, noted as seen; None when there is none, or it has ended."""
        with self._database.read() as connection:
            query = sa.select(sessions).where(sessions.c.digest == _digest(secret))
            row = connection.execute(query).mappings().first()
        if row is None or not self._holds(row):
            return None
        found, now = _session(row), self._clock()
        if now - found.seen_at >= NOTED_EVERY:
            with self._database.write() as connection:
                own = sa.update(sessions).where(sessions.c.session_id == found.session_id)
                connection.execute(own.values(seen_at=moment_text(now)))
        return found

    def renew(self, secret: str) -> str:
        """Another secret for a session whose second factor was shown: what was known before opens nothing any more."""
        fresh = secrets.token_urlsafe(32)
        with self._database.write() as connection:
            own = sa.update(sessions).where(sessions.c.digest == _digest(secret))
            connection.execute(own.values(digest=_digest(fresh), factor=None))
        return fresh

    def id_token(self, session_id: str) -> str | None:
        """The token of a session that began elsewhere, while it holds."""
        own = sa.select(sessions.c.id_token).where(sessions.c.session_id == session_id)
        with self._database.read() as connection:
            found = connection.execute(own).scalar_one_or_none()
        return bytes(found).decode() if found is not None else None

    def of(self, user_id: str) -> tuple[Session, ...]:
        """The sessions of a person that hold, the latest first."""
        query = sa.select(sessions).where(sessions.c.user_id == user_id).order_by(sessions.c.began_at.desc())
        with self._database.read() as connection:
            return tuple(_session(r) for r in connection.execute(query).mappings() if self._holds(r))

    def end(self, user_id: str, by: str, session_id: str | None = None, but: str | None = None) -> int:
        """End a person's session, or all (but one); how many ended."""
        which = [sessions.c.user_id == user_id, sessions.c.ended_at.is_(None)]
        if session_id is not None:
            which.append(sessions.c.session_id == session_id)
        if but is not None:
            which.append(sessions.c.session_id != but)
        with self._database.write() as connection:
            change = sa.update(sessions).where(*which).values(ended_at=moment_text(self._clock()), id_token=None)
            ended = int(connection.execute(change).rowcount)
            if ended:
                told = {"user_id": user_id, "sessions": ended}
                self._ledger.add_in(connection, Event("session.ended", by, details=told))
        return ended

    def _holds(self, row: sa.RowMapping) -> bool:
        now = self._clock()
        seen, began = datetime.fromisoformat(row["seen_at"]), datetime.fromisoformat(row["began_at"])
        return row["ended_at"] is None and now - seen < self._idle and now - began < self._most

    def _forget_old(self, connection: Connection, now: datetime) -> None:
        ended = sa.select(sessions.c.session_id).where(sessions.c.began_at < moment_text(now - _KEPT))
        for table in (opened, unmasked, sessions):
            connection.execute(sa.delete(table).where(table.c.session_id.in_(ended)))

    # --- what is opened in one ----------------------------------------------------------------------------

    def note_opened(self, session_id: str, record: Record) -> int:
        """Records of persons that the session opened within the last hour, this one included; each counts once."""
        now, name = self._clock(), self._ledger.name(record)
        own = opened.c.session_id == session_id
        with self._database.write() as connection:
            connection.execute(sa.delete(opened).where(own, opened.c.record == name))
            row = {"session_id": session_id, "record": name, "at": moment_text(now)}
            connection.execute(sa.insert(opened), row)
            recent = sa.select(sa.func.count()).select_from(opened).where(own, opened.c.at > moment_text(now - HOUR))
            return int(connection.execute(recent).scalar_one())

    def unmask(self, session_id: str, by: str, record: Record, purpose: str, person: str | None = None) -> Unmasking:
        """Show the identities of one record to one session, for a while and for a reason that the ledger keeps."""
        name, until = self._ledger.name(record), self._clock() + UNMASKED_FOR
        own = sa.delete(unmasked).where(unmasked.c.session_id == session_id, unmasked.c.record == name)
        row = {"session_id": session_id, "record": name, "purpose": purpose, "until": moment_text(until)}
        with self._database.write() as connection:
            connection.execute(own)
            connection.execute(sa.insert(unmasked), row)
            self._ledger.add_in(connection, Event("identity.unmasked", by, record, person, purpose))
        return Unmasking(purpose, until)

    def unmasking(self, session_id: str, record: Record) -> Unmasking | None:
        """Why and until when the session sees the identities of a record; None when it does not."""
        own = unmasked.c.session_id == session_id, unmasked.c.record == self._ledger.name(record)
        with self._database.read() as connection:
            row = connection.execute(sa.select(unmasked).where(*own)).mappings().first()
        if row is None or datetime.fromisoformat(row["until"]) <= self._clock():
            return None
        return Unmasking(row["purpose"], datetime.fromisoformat(row["until"]))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _session(row: sa.RowMapping) -> Session:
    return Session(
        row["session_id"],
        row["user_id"],
        datetime.fromisoformat(row["began_at"]),
        datetime.fromisoformat(row["seen_at"]),
        row["address"],
        row["agent"],
        row["factor"],
    )
