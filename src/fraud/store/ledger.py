"""The ledger: who read or changed what, when and why; entries are only ever added, each chained to the one before.

An entry's hash is SHA-256 over the hash before it and the entry's canonical JSON. Whoever changes, removes or
reorders an entry breaks the chain, and `Ledger.verify` says where. Whoever can write to the whole table can also
make a new chain: a seal (`Ledger.seal`) that is kept elsewhere shows that too.

Records are named by a keyed hash, so that the ledger alone gives nobody's identity away, and all that was ever
done with one record can still be found by whoever knows its id.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import InputError
from fraud.store.database import Database
from fraud.store.tables import METADATA

__all__ = [
    "KINDS",
    "Break",
    "Entry",
    "Event",
    "Ledger",
    "Record",
    "Seal",
    "Verdict",
    "installation",
    "ledger",
    "moment_text",
]

# What a record can be.
KINDS = ("claim", "decision", "case", "campaign", "patient", "provider", "physician")
# What the first entry is chained to.
ORIGIN = "0" * 64
_PAGE = 5_000
_SECRET = "ledger_secret"
_SEAL = re.compile(r"(\d{1,18}):([0-9a-f]{64})")
# 96 bits: no two of a billion records share a name but by a chance below 1e-11.
_DIGITS = 24

# What belongs to one database for life; secrets that are useless outside of it.
installation = sa.Table(
    "installation",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
)

# Times are UTC as text, so that what was hashed is what is read back from any database.
ledger = sa.Table(
    "ledger",
    METADATA,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("record", sa.Text, index=True),
    sa.Column("person", sa.Text, index=True),
    sa.Column("purpose", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Record:
    """What an event is about: a claim, decision, case, campaign, patient, provider or physician, by its own id."""

    kind: str
    id: str


@dataclass(frozen=True)
class Event:
    """Something that was done. `person` is the patient whom the record speaks of; ids become keyed hashes."""

    what: str
    who: str
    record: Record | None = None
    person: str | None = None
    purpose: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """An event as it stands in the ledger; `record` and `person` are keyed hashes, `details` is JSON."""

    position: int
    at: str
    who: str
    what: str
    record: str | None
    person: str | None
    purpose: str | None
    request_id: str | None
    details: str
    previous: str
    hash: str

    def expected_hash(self) -> str:
        """What the hash must be, by what the entry says."""
        said = {k: v for k, v in asdict(self).items() if k not in ("hash", "previous")}
        return hashlib.sha256(self.previous.encode() + orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The entry for people and programs."""
        return asdict(self) | {"details": orjson.loads(self.details)}


@dataclass(frozen=True)
class Seal:
    """The end of the chain at some moment: kept elsewhere, it proves that nothing up to it was rewritten."""

    position: int
    hash: str

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"

    @classmethod
    def read(cls, text: str) -> Seal:
        """The seal that was printed; raises `InputError` for anything else."""
        found = _SEAL.fullmatch(text.strip())
        if found is None:
            raise InputError("This is no seal. A seal is POSITION:HASH, as `fraud ledger seal` prints it.")
        return cls(int(found[1]), found[2])


@dataclass(frozen=True)
class Break:
    """A place where the chain does not hold."""

    position: int
    code: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What a check of the whole chain found."""

    entries: int
    breaks: tuple[Break, ...]
    head: Seal

    @property
    def holds(self) -> bool:
        """Whether nothing was changed, removed or reordered."""
        return not self.breaks


def moment_text(moment: datetime) -> str:
    """The moment as UTC text of fixed length, which sorts as time does.

    >>> moment_text(datetime(2026, 3, 1, 9, tzinfo=UTC))
    '2026-03-01T09:00:00.000000+00:00'
    """
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """The ledger of one database; any number of processes may add to it at once."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = _now) -> None:
        self._database = database
        self._clock = clock
        self._secret = b""

    def add(self, *events: Event) -> None:
        """Add events in one transaction; they are durable when this returns."""
        if events:
            self._database.transact(lambda connection: self.add_in(connection, *events))

    def add_in(self, connection: Connection, *events: Event) -> None:
        """Add events in a transaction of the caller's: what it changes and what is said of it stand or fall together.

        Nothing else may be added by the same thread before that transaction ends.
        """
        secret = _own_secret(connection)
        _take_turn(connection)
        head = _head(connection)
        for event in events:
            entry = self._entry(event, head, secret)
            connection.execute(sa.insert(ledger), asdict(entry))
            head = Seal(entry.position, entry.hash)

    def _entry(self, event: Event, head: Seal, secret: bytes) -> Entry:
        entry = Entry(
            position=head.position + 1,
            at=moment_text(self._clock()),
            who=event.who,
            what=event.what,
            record=_name(secret, event.record) if event.record else None,
            person=_name(secret, Record("patient", event.person)) if event.person else None,
            purpose=event.purpose,
            request_id=event.request_id,
            details=orjson.dumps(dict(event.details), option=orjson.OPT_SORT_KEYS).decode(),
            previous=head.hash,
            hash="",
        )
        return Entry(**asdict(entry) | {"hash": entry.expected_hash()})

    def name(self, record: Record) -> str:
        """The record's name in the ledger: the same for life, and no way back to the id without the database."""
        if not self._secret:
            self._secret = self._database.transact(_own_secret)
        return _name(self._secret, record)

    def entries(
        self,
        record: Record | None = None,
        who: str | None = None,
        most: int = 100,
        *,
        what: str | None = None,
        before: int | None = None,
    ) -> tuple[Entry, ...]:
        """The latest entries, newest first: of one record (a patient's are all that speak of the person) or key.

        `what` is an event or, as `case.`, the beginning of several; `before` is a position.
        """
        query = sa.select(ledger).order_by(ledger.c.position.desc()).limit(most)
        if what is not None:
            query = query.where(ledger.c.what.startswith(what, autoescape=True))
        if before is not None:
            query = query.where(ledger.c.position < before)
        if record is not None:
            name = self.name(record)
            query = query.where((ledger.c.record == name) | (ledger.c.person == name))
        if who is not None:
            query = query.where(ledger.c.who == who)
        with self._database.read() as connection:
            return tuple(Entry(**row) for row in connection.execute(query).mappings())

    def seal(self) -> Seal:
        """The end of the chain as it is now."""
        with self._database.read() as connection:
            return _head(connection)

    def verify(self, seal: Seal | None = None, progress: Callable[[int], None] = lambda checked: None) -> Verdict:
        """Follow the whole chain; with a `seal`, also prove that the chain of that day is still its beginning."""
        head, breaks, checked = Seal(0, ORIGIN), list[Break](), 0
        sealed = seal is None or seal.position == 0
        for page in self._pages():
            for entry in page:
                breaks += _breaks(entry, head)
                head = Seal(entry.position, entry.hash)
                sealed = sealed or head == seal
            checked += len(page)
            progress(checked)
        if not sealed and seal is not None:
            detail = "the entry that was sealed is not there, or another one stands in its place"
            breaks.append(Break(seal.position, "sealed", detail))
        return Verdict(checked, tuple(sorted(breaks, key=lambda b: b.position)), head)

    def _pages(self) -> Iterator[list[Entry]]:
        """The entries in order; each page is a statement of its own, so that nobody waits for a check."""
        after = None
        page = sa.select(ledger).order_by(ledger.c.position).limit(_PAGE)
        while True:
            with self._database.read() as connection:
                query = page if after is None else page.where(ledger.c.position > after)
                found = [Entry(**row) for row in connection.execute(query).mappings()]
            if not found:
                return
            yield found
            after = found[-1].position


def _own_secret(connection: Connection) -> bytes:
    """The key of the hashes; made when it is first needed."""
    query = sa.select(installation.c.value).where(installation.c.name == _SECRET)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        # Two processes may be the first at once: whoever waits here finds what the other one made.
        _take_turn(connection)
        found = connection.execute(query).scalar_one_or_none()
    if found is None:
        found = secrets.token_bytes(32)
        connection.execute(sa.insert(installation), {"name": _SECRET, "value": found})
    return bytes(found)


def _take_turn(connection: Connection) -> None:
    """Wait until nobody else is adding; on SQLite whoever writes at all is alone already."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("LOCK TABLE ledger IN EXCLUSIVE MODE"))


def _head(connection: Connection) -> Seal:
    query = sa.select(ledger.c.position, ledger.c.hash).order_by(ledger.c.position.desc()).limit(1)
    found = connection.execute(query).first()
    return Seal(int(found[0]), str(found[1])) if found else Seal(0, ORIGIN)


def _name(secret: bytes, record: Record) -> str:
    told = f"{record.kind}:{record.id}".encode()
    return f"{record.kind}:{hmac.new(secret, told, hashlib.sha256).hexdigest()[:_DIGITS]}"


def _breaks(entry: Entry, before: Seal) -> Iterator[Break]:
    if entry.position != before.position + 1:
        missing = f"{before.position + 1} to {entry.position - 1}"
        yield Break(entry.position, "missing", f"entries {missing} are not there")
    elif entry.previous != before.hash:
        yield Break(entry.position, "order", "it does not follow the entry before it: one was replaced or moved")
    if entry.hash != entry.expected_hash():
        yield Break(entry.position, "changed", "what it says is not what was hashed when it was added")
