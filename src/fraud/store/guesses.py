"""Wrong guesses at the door: how many there were by name and by address, and how long the next one has to wait."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import InputError
from fraud.store.database import Database
from fraud.store.ledger import moment_text
from fraud.store.tables import METADATA

__all__ = ["FREE_BY_ADDRESS", "FREE_BY_NAME", "Guesses", "RefusedError", "failures"]

# Wrong guesses that cost nothing: by name, and by address, behind which a whole office may sit.
FREE_BY_NAME, FREE_BY_ADDRESS = 5, 30
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(hours=1)
# So long after the last wrong guess all are forgotten.
FORGOTTEN_AFTER = timedelta(hours=24)

# `subject` is a hash: what is typed into a name's field may be a password.
failures = sa.Table(
    "sign_in_failures",
    METADATA,
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at", sa.Text, nullable=False),
    sa.Column("until", sa.Text),
)


class RefusedError(InputError):
    """A sign-in that came to nothing; `wait` is how long the next one is refused, `why` a code for the page."""

    def __init__(self, why: str, wait: timedelta = timedelta()) -> None:
        super().__init__("Name, password or code do not fit together, or too many were tried.")
        self.why, self.wait = why, wait


class Guesses:
    """The guesses of one database. Each is counted before it is looked at: many at once are no way around."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    def count(self, name: str, address: str) -> None:
        """Count a guess for the name and the address; raises `RefusedError` while either has to wait."""
        now = self._clock()
        free = {_by_name(name): FREE_BY_NAME, _by_address(address): FREE_BY_ADDRESS}

        def work(connection: Connection) -> timedelta:
            known = {subject: self._known(connection, subject) for subject in free}
            if waits := [until - now for _, until in known.values() if until is not None and until > now]:
                return max(waits)
            for subject, (count, _) in known.items():
                self._put(connection, subject, count + 1, now, free[subject])
            return timedelta()

        if wait := self._database.transact(work):
            raise RefusedError("locked", wait)

    def locked_until(self, name: str) -> datetime | None:
        """Until when nobody can sign in with the name; None when nothing is in the way."""
        with self._database.read() as connection:
            _, until = self._known(connection, _by_name(name))
        return until if until is not None and until > self._clock() else None

    def forget(self, connection: Connection, name: str, address: str | None = None) -> None:
        """Forget all guesses at a name, and the last one of an address.

        An office shares its address: one right sign-in takes back its own count and no other.
        """
        connection.execute(sa.delete(failures).where(failures.c.subject == _by_name(name)))
        if address is not None:
            own = failures.c.subject == _by_address(address), failures.c.failures > 0
            connection.execute(sa.update(failures).where(*own).values(failures=failures.c.failures - 1))

    def _known(self, connection: Connection, subject: str) -> tuple[int, datetime | None]:
        row = connection.execute(sa.select(failures).where(failures.c.subject == subject)).mappings().first()
        if row is None or datetime.fromisoformat(row["last_at"]) < self._clock() - FORGOTTEN_AFTER:
            return 0, None
        return int(row["failures"]), datetime.fromisoformat(row["until"]) if row["until"] else None

    def _put(self, connection: Connection, subject: str, count: int, now: datetime, free: int) -> None:
        connection.execute(sa.delete(failures).where(failures.c.subject == subject))
        # Never a wait that no calendar holds, however many guesses there were.
        wait = min(FIRST_WAIT * 2 ** min(count - free, 16), LONGEST_WAIT) if count >= free else None
        row = {"subject": subject, "failures": count, "last_at": moment_text(now)}
        connection.execute(sa.insert(failures), row | {"until": moment_text(now + wait) if wait else None})


def _by_name(name: str) -> str:
    return _hashed(f"name:{name}")


def _by_address(address: str) -> str:
    return _hashed(f"address:{address}")


def _hashed(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:32]
