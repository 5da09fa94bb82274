"""Explanations as they were when somebody was first told: kept with their decision, and sealed as it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.ciphers import SealedBytes
from fraud.store.database import Database
from fraud.store.tables import METADATA, decisions

__all__ = ["Explanations", "KeptExplanation", "explanations"]

# One for each decision that anybody asked about. Never changed: what was told is what will be told again.
explanations = sa.Table(
    "explanations",
    METADATA,
    sa.Column("request_id", sa.Text, primary_key=True),
    sa.Column("claim_id", sa.Text, nullable=False, index=True),
    sa.Column("generated_at", decisions.c.scored_at.type, nullable=False),
    sa.Column("explanation", SealedBytes, nullable=False),
)


@dataclass(frozen=True)
class KeptExplanation:
    """The explanation of one decision, as `fraud.explaining.keeping` writes it."""

    request_id: str
    claim_id: str
    generated_at: datetime
    explanation: bytes


class Explanations:
    """The explanations that a database keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, request_id: str) -> KeptExplanation | None:
        """The explanation of a decision, or None when nobody has asked for it yet."""
        with self._database.read() as connection:
            return _found(connection, request_id)

    def keep(self, new: KeptExplanation) -> KeptExplanation:
        """The explanation of this decision that is kept from now on: the first that anybody brought."""

        def work(connection: Connection) -> KeptExplanation:
            known = _found(connection, new.request_id)
            if known is not None:
                return known
            connection.execute(sa.insert(explanations), asdict(new))
            return new

        return self._database.transact(work)


def _found(connection: Connection, request_id: str) -> KeptExplanation | None:
    query = sa.select(explanations).where(explanations.c.request_id == request_id)
    row = connection.execute(query).mappings().first()
    return KeptExplanation(**row) if row is not None else None
