"""Tips: complaints and reports that somebody brought; each is a lead to be looked into and says nothing of guilt."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from fraud.errors import Fault, InputError, NotKnownError
from fraud.store.ciphers import SealedBytes, SealedText
from fraud.store.database import Database
from fraud.store.ledger import Event, Ledger, Record, moment_text
from fraud.store.tables import METADATA

__all__ = ["CHANNELS", "STATES", "SUBJECTS", "Tip", "Tips", "tips"]

SUBJECTS = ("provider", "physician", "patient", "claim")
CHANNELS = ("phone", "letter", "visit", "online", "other_office")
STATES = ("received", "linked", "closed")
DAYS = 60
MOST_TEXT = 4_000

tips = sa.Table(
    "tips",
    METADATA,
    sa.Column("receipt", sa.Text, primary_key=True),
    sa.Column("received_at", sa.Text, nullable=False, index=True),
    sa.Column("due_at", sa.Text, nullable=False),
    sa.Column("received_by", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("entity_id", SealedText, nullable=False, index=True),
    sa.Column("violation", sa.Text),
    sa.Column("text", SealedBytes, nullable=False),
    sa.Column("contact", SealedBytes),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("case_id", sa.Text),
    sa.Column("feedback", SealedBytes),
    sa.Column("closed_at", sa.Text),
)


@dataclass(frozen=True)
class Tip:
    """One complaint with its receipt; times are UTC. `contact` is how feedback reaches whoever brought it."""

    receipt: str
    received_at: datetime
    due_at: datetime
    received_by: str
    channel: str
    entity: str
    entity_id: str
    text: str
    state: str = "received"
    violation: str | None = None
    contact: str = ""
    case_id: str | None = None
    feedback: str = ""
    closed_at: datetime | None = None


def _now() -> datetime:
    return datetime.now(UTC)


class Tips:
    """The tips of one database; `days` until somebody must have answered. Each change is told to the ledger."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = _now, days: int = DAYS) -> None:
        self._database, self._clock, self._days = database, clock, days
        self._ledger = Ledger(database, clock)

    def receive(
        self,
        by: str,
        *,
        entity: str,
        entity_id: str,
        text: str,
        channel: str,
        violation: str | None = None,
        contact: str = "",
    ) -> Tip:
        """The tip with its receipt; raises `InputError` with all that is missing."""
        if faults := _faults(entity, entity_id, text, channel, contact):
            raise InputError("The tip was not taken: " + "; ".join(f.detail for f in faults) + ".", faults)
        now = self._clock()
        receipt = f"TIP-{now:%Y%m%d}-{secrets.token_hex(3).upper()}"
        row = {
            "receipt": receipt,
            "received_at": moment_text(now),
            "due_at": moment_text(now + timedelta(days=self._days)),
            "received_by": by,
            "channel": channel,
            "entity": entity,
            "entity_id": entity_id.strip(),
            "violation": violation or None,
            "text": text.strip().encode(),
            "contact": contact.strip().encode() if contact.strip() else None,
            "state": "received",
        }
        with self._database.write() as connection:
            connection.execute(sa.insert(tips), row)
            self._ledger.add_in(connection, _event("tip.received", by, receipt, entity, str(row["entity_id"])))
        return self.get(receipt)

    def get(self, receipt: str) -> Tip:
        """One tip; raises `NotKnownError`."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(tips).where(tips.c.receipt == receipt)).mappings().first()
        if row is None:
            raise NotKnownError("There is no tip with this receipt number.")
        return _tip(row)

    def all(self, state: str | None = None, most: int = 1_000) -> tuple[Tip, ...]:
        """The latest tips, the newest first."""
        query = sa.select(tips).order_by(tips.c.received_at.desc(), tips.c.receipt).limit(most)
        if state is not None:
            query = query.where(tips.c.state == state)
        with self._database.read() as connection:
            return tuple(_tip(row) for row in connection.execute(query).mappings())

    def about(self, entity: str, entity_id: str) -> tuple[Tip, ...]:
        """The tips about somebody or about a claim, the newest first."""
        own = tips.c.entity == entity, tips.c.entity_id == entity_id
        query = sa.select(tips).where(*own).order_by(tips.c.received_at.desc())
        with self._database.read() as connection:
            return tuple(_tip(row) for row in connection.execute(query).mappings())

    def link(self, receipt: str, case_id: str, by: str) -> Tip:
        """The tip, which a case looks into."""
        if not (0 < len(case_id.strip()) <= 64 and case_id.isprintable()):
            raise InputError("The tip was not linked.", [Fault("case_id", "missing", "name the case")])
        return self._change(receipt, "tip.linked", by, state="linked", case_id=case_id.strip())

    def close(self, receipt: str, feedback: str, by: str) -> Tip:
        """The tip, answered with what whoever brought it is told."""
        if not 0 < len(feedback.strip()) <= MOST_TEXT:
            raise InputError("The tip was not closed.", [Fault("feedback", "missing", "say what is answered")])
        told = {"feedback": feedback.strip().encode(), "closed_at": moment_text(self._clock())}
        return self._change(receipt, "tip.closed", by, state="closed", **told)

    def _change(self, receipt: str, what: str, by: str, **values: Any) -> Tip:
        known = self.get(receipt)
        if known.state == "closed":
            raise InputError("The tip is closed.", [Fault("", "tip_closed", "the tip is closed already")])
        with self._database.write() as connection:
            connection.execute(sa.update(tips).where(tips.c.receipt == receipt).values(**values))
            self._ledger.add_in(connection, _event(what, by, receipt, known.entity, known.entity_id))
        return self.get(receipt)

    def note_read(self, tip: Tip, by: str) -> None:
        """Tell the ledger that somebody read a tip."""
        self._ledger.add(_event("tip.read", by, tip.receipt, tip.entity, tip.entity_id))


def _faults(entity: str, entity_id: str, text: str, channel: str, contact: str) -> list[Fault]:
    found = []
    if entity not in SUBJECTS:
        found.append(Fault("entity", "missing", "say whom it is about"))
    if not 0 < len(entity_id.strip()) <= 256 or not entity_id.isprintable():
        found.append(Fault("entity_id", "missing", "name the id of whom it is about"))
    if not 0 < len(text.strip()) <= MOST_TEXT:
        found.append(Fault("text", "text_length", f"say what was told, in at most {MOST_TEXT:,} characters"))
    if channel not in CHANNELS:
        found.append(Fault("channel", "missing", "say how it came"))
    if len(contact) > 256:
        found.append(Fault("contact", "text_length", "a contact has at most 256 characters"))
    return found


def _event(what: str, by: str, receipt: str, entity: str, entity_id: str) -> Event:
    person = entity_id if entity == "patient" else None
    return Event(what, by, Record(entity, entity_id), person, details={"tip": receipt})


def _tip(row: sa.RowMapping) -> Tip:
    return Tip(
        receipt=row["receipt"],
        received_at=datetime.fromisoformat(row["received_at"]),
        due_at=datetime.fromisoformat(row["due_at"]),
        received_by=row["received_by"],
        channel=row["channel"],
        entity=row["entity"],
        entity_id=row["entity_id"],
        text=bytes(row["text"]).decode(),
        state=row["state"],
        violation=row["violation"],
        contact=bytes(row["contact"]).decode() if row["contact"] is not None else "",
        case_id=row["case_id"],
        feedback=bytes(row["feedback"]).decode() if row["feedback"] is not None else "",
        closed_at=datetime.fromisoformat(row["closed_at"]) if row["closed_at"] else None,
    )
