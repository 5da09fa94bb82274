"""What others tell the service afterwards: outcomes of investigations, and replies to its warnings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.claims.schema import TABLES
from fraud.store.ciphers import SealedText
from fraud.store.database import rows
from fraud.store.tables import CANONICAL, METADATA, decisions

__all__ = ["Became", "Feedback", "add_feedback", "add_outcomes", "feedback_on", "known_decisions", "outcomes_about"]

# What became of an outcome: `different` is one whose key is there with other figures, which stay as they are.
Became = Literal["added", "unchanged", "different"]

_outcomes = CANONICAL["outcomes"]
_KEY = TABLES["outcomes"].key
_COLUMNS = tuple(c.name for c in TABLES["outcomes"].columns)
# Of a hundred thousand outcomes the few about one claim or person are looked at.
sa.Index("ix_outcomes_entity", _outcomes.c.entity, _outcomes.c.entity_id)

# What whoever was warned says of a warning; append-only. A message that is sent again changes nothing.
feedback = sa.Table(
    "warning_feedback",
    METADATA,
    sa.Column("warning_id", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, nullable=False, index=True),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("response", sa.Text, nullable=False),
    # Free text of people in a hurry: it may say whom it is about.
    sa.Column("reason", SealedText),
    sa.Column("received_at", decisions.c.scored_at.type, nullable=False),
)


@dataclass(frozen=True)
class Feedback:
    """One reply to one warning: `stage` is before or during, `response` is go_on or change.

    `request_id` is the decision that the warning came with, `message_id` what the sender calls the message.
    """

    warning_id: str
    message_id: str
    request_id: str
    stage: str
    response: str
    reason: str | None
    received_at: datetime


def add_outcomes(connection: Connection, found: Sequence[Mapping[str, Any]]) -> list[Became]:
    """Append outcomes whose key is not there yet; what became of each, in order."""
    if connection.dialect.name == "postgresql":
        # Two senders of the same outcome wait for each other; SQLite has one writer anyway.
        connection.execute(sa.text("LOCK TABLE outcomes IN SHARE ROW EXCLUSIVE MODE"))
    return [_add_outcome(connection, {c: row.get(c) for c in _COLUMNS}) for row in found]


def _add_outcome(connection: Connection, row: Mapping[str, Any]) -> Became:
    same = [_outcomes.c[c].is_(None) if row[c] is None else _outcomes.c[c] == row[c] for c in _KEY]
    query = sa.select(*(_outcomes.c[c] for c in _COLUMNS)).where(*same).limit(1)
    found = connection.execute(query).mappings().first()
    if found is None:
        connection.execute(sa.insert(_outcomes), row)
        return "added"
    return "unchanged" if dict(found) == dict(row) else "different"


def outcomes_about(connection: Connection, entity: str, entity_id: str) -> tuple[dict[str, Any], ...]:
    """The outcomes of a claim, patient, provider or physician, the earliest first."""
    own = (_outcomes.c.entity == entity, _outcomes.c.entity_id == entity_id)
    query = sa.select(*(_outcomes.c[c] for c in _COLUMNS)).where(*own)
    return rows(connection, query.order_by(_outcomes.c.decided_at, _outcomes.c.verdict), {})


def known_decisions(connection: Connection, request_ids: Iterable[str]) -> frozenset[str]:
    """Those of the decisions that the store holds."""
    query = sa.select(decisions.c.request_id).where(decisions.c.request_id.in_(set(request_ids)))
    return frozenset(connection.execute(query).scalars())


def add_feedback(connection: Connection, replies: Sequence[Feedback]) -> int:
    """Append replies; how many were new."""
    once = {(r.warning_id, r.message_id): r for r in replies}
    fresh = [r for r in once.values() if not _is_known(connection, r)]
    if fresh:
        connection.execute(sa.insert(feedback), [asdict(r) for r in fresh])
    return len(fresh)


def _is_known(connection: Connection, reply: Feedback) -> bool:
    same = (feedback.c.warning_id == reply.warning_id, feedback.c.message_id == reply.message_id)
    return connection.execute(sa.select(feedback.c.warning_id).where(*same)).first() is not None


def feedback_on(connection: Connection, request_id: str) -> tuple[Feedback, ...]:
    """Replies to the warnings of one decision, in the order in which they came."""
    own = sa.select(feedback).where(feedback.c.request_id == request_id)
    ordered = own.order_by(feedback.c.received_at, feedback.c.message_id, feedback.c.warning_id)
    return tuple(Feedback(**row) for row in connection.execute(ordered).mappings())
