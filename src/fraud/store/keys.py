"""Keys of the service: who calls, in which role, for whose records, and until when.

A key is 256 random bits, so its SHA-256 cannot be guessed back: the slow hashes that passwords need would only
make each request slower. The key itself is shown once and stored nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from fraud.errors import InputError, NotKnownError, nearest
from fraud.store.database import Database
from fraud.store.ledger import Event, Ledger, moment_text
from fraud.store.tables import METADATA

__all__ = ["DAYS", "OVERLAP_HOURS", "ROLES", "Key", "Keys", "Scope", "key_id_of", "keys", "suspensions"]

ROLES = ("claims-system", "investigator", "supervisor", "data-scientist", "auditor", "admin")
# A year: long enough to be planned, short enough that a forgotten key dies.
DAYS = 365
OVERLAP_HOURS = 24
# Uses closer together than this are noted once: noting each would make every request a write.
NOTED_EVERY = timedelta(minutes=1)
# A key's use is told to the ledger once in this time.
TOLD_EVERY = timedelta(hours=24)
_FORM = re.compile(r"fraud_([0-9a-f]{8})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")

keys = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("name", sa.Text, nullable=False, index=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("regions", sa.JSON, nullable=False),
    sa.Column("providers", sa.JSON, nullable=False),
    sa.Column("per_second", sa.Double),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Text, nullable=False),
    sa.Column("last_used_at", sa.Text),
    sa.Column("told_at", sa.Text),
    sa.Column("revoked_at", sa.Text),
)

# Keys that open nothing until somebody has looked into how they were used.
suspensions = sa.Table(
    "key_suspensions",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("suspended_at", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)
_SELECT = sa.select(keys, suspensions.c.suspended_at, suspensions.c.why).join_from(
    keys, suspensions, keys.c.key_id == suspensions.c.key_id, isouter=True
)


@dataclass(frozen=True)
class Scope:
    """Whose records a key may see; an empty list sets no bound, and of two lists both must hold.

    A region that ends in `*` stands for all that begin with what precedes it: `33*` for a whole province.
    """

    regions: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    @property
    def bounded(self) -> bool:
        """Whether there is anything that the key may not see."""
        return bool(self.regions or self.providers)

    def holds_region(self, *found: str | None) -> bool:
        """Whether one of these regions is within the bounds."""
        return not self.regions or any(_within(f, r) for f in found if f for r in self.regions)

    def holds_provider(self, provider_id: str | None) -> bool:
        """Whether the provider is within the bounds."""
        return not self.providers or provider_id in self.providers


def _within(found: str, region: str) -> bool:
    return found.startswith(region[:-1]) if region.endswith("*") else found == region


@dataclass(frozen=True)
class Key:
    """What is on file about a key; times are UTC. `per_second` None: the service's own rate limit."""

    key_id: str
    name: str
    role: str
    created_at: datetime
    expires_at: datetime
    scope: Scope = field(default_factory=Scope)
    per_second: float | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    suspended_at: datetime | None = None
    suspended_for: str | None = None

    def state(self, now: datetime) -> str:
        """`valid`, `expired`, `revoked` or `suspended`."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        if self.expires_at <= now:
            return "expired"
        return "valid" if self.suspended_at is None else "suspended"

    def as_dict(self) -> dict[str, Any]:
        """The key for people and programs; nothing that opens a door."""
        return {
            "key_id": self.key_id,
            "name": self.name,
            "role": self.role,
            "regions": list(self.scope.regions),
            "providers": list(self.scope.providers),
            "per_second": self.per_second,
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "last_used_at": self.last_used_at,
            "revoked_at": self.revoked_at,
            "suspended_at": self.suspended_at,
            "suspended_for": self.suspended_for,
        }


def key_id_of(secret: str) -> str | None:
    """The id within a key, or None for what has not the form of one."""
    found = _FORM.fullmatch(secret)
    return found[1] if found else None


def _now() -> datetime:
    return datetime.now(UTC)


class Keys:
    """The keys of one database. Each change is an entry of the ledger, in the same transaction; `by` says whose."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._clock = clock
        self._ledger = Ledger(database, clock)

    def add(
        self,
        name: str,
        role: str,
        by: str,
        *,
        days: float = DAYS,
        regions: Sequence[str] = (),
        providers: Sequence[str] = (),
        per_second: float | None = None,
    ) -> tuple[Key, str]:
        """A new key, and the secret that is shown this once; raises `InputError` for what cannot be."""
        _check(name, role, days, per_second)
        if any(k.name == name and k.state(self._clock()) == "valid" for k in self.all()):
            raise InputError(f'A valid key is named "{name}". Rotate it, revoke it, or choose another name.')
        made = self._new(name, role, days, Scope(tuple(regions), tuple(providers)), per_second)
        return self._store(*made, Event("key.added", by, details=_told(made[0])))

    def rotate(
        self, key_id: str, by: str, *, days: float = DAYS, overlap_hours: float = OVERLAP_HOURS
    ) -> tuple[Key, str]:
        """A key in place of another one, which stays valid for the overlap so that callers can change over."""
        old = self.get(key_id)
        if (state := old.state(self._clock())) != "valid":
            raise InputError(f"Key {key_id} is {state}. Make a new one with `fraud keys add`.")
        if overlap_hours < 0 or days <= 0:
            raise InputError("The overlap cannot be below zero, and a key lives longer than that: check the figures.")
        ends = min(old.expires_at, self._clock() + timedelta(hours=overlap_hours))
        made = self._new(old.name, old.role, days, old.scope, old.per_second)
        change = sa.update(keys).where(keys.c.key_id == key_id).values(expires_at=moment_text(ends))
        details = _told(made[0]) | {"replaces": key_id, "overlap_hours": overlap_hours}
        return self._store(*made, Event("key.rotated", by, details=details), change)

    def revoke(self, key_id: str, by: str, reason: str = "") -> Key:
        """The key, which opens nothing any more within seconds; twice changes nothing."""
        found = self.get(key_id)
        if found.revoked_at is not None:
            return found
        change = sa.update(keys).where(keys.c.key_id == key_id).values(revoked_at=moment_text(self._clock()))
        with self._database.write() as connection:
            connection.execute(change)
            told = Event("key.revoked", by, purpose=reason or None, details={"key_id": key_id, "name": found.name})
            self._ledger.add_in(connection, told)
        return self.get(key_id)

    def suspend(self, key_id: str, why: str) -> bool:
        """Let the key open nothing until it is resumed; whether it was not suspended before."""
        row = {"key_id": key_id, "suspended_at": moment_text(self._clock()), "why": why}
        of_key = suspensions.c.key_id == key_id

        def work(connection: sa.Connection) -> bool:
            if connection.execute(sa.select(suspensions).where(of_key)).first() is not None:
                return False
            connection.execute(sa.insert(suspensions), row)
            self._ledger.add_in(connection, Event("key.suspended", key_id, details={"why": why}))
            return True

        return self._database.transact(work)

    def resume(self, key_id: str, by: str, reason: str = "") -> Key:
        """The key, which opens again what it did; raises `InputError` when it was not suspended."""
        found = self.get(key_id)
        if found.suspended_at is None:
            raise InputError(f"Key {key_id} is not suspended: it is {found.state(self._clock())}.")
        with self._database.write() as connection:
            connection.execute(sa.delete(suspensions).where(suspensions.c.key_id == key_id))
            details = {"key_id": key_id, "name": found.name, "suspended_for": found.suspended_for}
            self._ledger.add_in(connection, Event("key.resumed", by, purpose=reason or None, details=details))
        return self.get(key_id)

    def all(self) -> tuple[Key, ...]:
        """Every key that was ever made, the oldest first."""
        with self._database.read() as connection:
            found = connection.execute(_SELECT.order_by(keys.c.created_at, keys.c.key_id)).mappings()
            return tuple(_key(row) for row in found)

    def any(self) -> bool:
        """Whether a key was ever made."""
        with self._database.read() as connection:
            return connection.execute(sa.select(keys.c.key_id).limit(1)).first() is not None

    def get(self, key_id: str) -> Key:
        """One key; raises `NotKnownError`."""
        with self._database.read() as connection:
            row = connection.execute(_SELECT.where(keys.c.key_id == key_id)).mappings().first()
        if row is None:
            raise NotKnownError(f"There is no key {key_id[:16]}. `fraud keys list` shows all.")
        return _key(row)

    def find(self, secret: str) -> Key | None:
        """The key that this secret opens, whatever its state; None when there is none."""
        with self._database.read() as connection:
            query = _SELECT.where(keys.c.key_id == (key_id_of(secret) or ""))
            row = connection.execute(query).mappings().first()
        kept = bytes(row["digest"]) if row is not None else bytes(32)
        # In constant time, and for an id that is not there too.
        same = hmac.compare_digest(kept, _digest(secret))
        return _key(row) if row is not None and same else None

    def note_use(self, key_id: str) -> None:
        """Note that the key is in use: to the minute, and once a day in the ledger."""
        now = self._clock()
        before = sa.or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < moment_text(now - NOTED_EVERY))
        untold = sa.or_(keys.c.told_at.is_(None), keys.c.told_at < moment_text(now - TOLD_EVERY))
        own, text = keys.c.key_id == key_id, moment_text(now)
        with self._database.write() as connection:
            connection.execute(sa.update(keys).where(own, before).values(last_used_at=text))
            if connection.execute(sa.update(keys).where(own, untold).values(told_at=text)).rowcount:
                self._ledger.add_in(connection, Event("key.used", key_id))

    def _new(self, name: str, role: str, days: float, scope: Scope, per_second: float | None) -> tuple[Key, str]:
        key_id = secrets.token_hex(4)
        now = self._clock()
        made = Key(key_id, name, role, now, now + timedelta(days=days), scope, per_second)
        return made, f"fraud_{key_id}_{secrets.token_urlsafe(32)}"

    def _store(self, key: Key, secret: str, event: Event, *changes: sa.Update) -> tuple[Key, str]:
        row = {
            "key_id": key.key_id,
            "digest": _digest(secret),
            "name": key.name,
            "role": key.role,
            "regions": list(key.scope.regions),
            "providers": list(key.scope.providers),
            "per_second": key.per_second,
            "created_at": moment_text(key.created_at),
            "expires_at": moment_text(key.expires_at),
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(keys), row)
            for change in changes:
                connection.execute(change)
            self._ledger.add_in(connection, event)
        return key, secret


def _check(name: str, role: str, days: float, per_second: float | None) -> None:
    """Raises `InputError` that names everything that is wrong at once."""
    faults = []
    if role not in ROLES:
        faults.append(f"{role!r} is no role{nearest(role, ROLES)} (there are: {', '.join(ROLES)})")
    if not _NAME.fullmatch(name):
        faults.append("a name has 1 to 64 letters, digits, spaces or . _ -, and begins with a letter or digit")
    if not 0 < days <= 3660:
        faults.append(f"a key lives for more than 0 and at most 3,660 days, not {days:g}")
    if per_second is not None and per_second <= 0:
        faults.append(f"the rate is above zero requests a second, not {per_second:g}")
    if faults:
        raise InputError("The key was not made: " + "; ".join(faults) + ".")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _told(key: Key) -> dict[str, Any]:
    told = {"key_id": key.key_id, "name": key.name, "role": key.role, "expires_at": moment_text(key.expires_at)}
    return told | {"regions": list(key.scope.regions), "providers": list(key.scope.providers)}


def _key(row: sa.RowMapping) -> Key:
    return Key(
        key_id=row["key_id"],
        name=row["name"],
        role=row["role"],
        created_at=datetime.fromisoformat(row["created_at"]),
        expires_at=datetime.fromisoformat(row["expires_at"]),
        scope=Scope(tuple(row["regions"]), tuple(row["providers"])),
        per_second=row["per_second"],
        last_used_at=_moment(row["last_used_at"]),
        revoked_at=_moment(row["revoked_at"]),
        suspended_at=_moment(row["suspended_at"]),
        suspended_for=row["why"],
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
