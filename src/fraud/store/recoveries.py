"""Money that came back: a row for each payment on a case, and one for each amount that was taken off again.

Rows are only ever added. A payment that was entered wrongly gets a counter-entry, which names it and has an amount
below zero; what a case has brought back is the sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.ciphers import SealedText
from fraud.store.tables import METADATA, decisions

__all__ = ["CENT", "Recovery", "add_recovery", "left_of", "recoveries", "recoveries_of"]

# Amounts are binary fractions: what differs by less is the same money.
CENT = 0.005
_TIME = decisions.c.scored_at.type

# What was paid and by whom may stand in the words of a transfer.
recoveries = sa.Table(
    "recoveries",
    METADATA,
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("amount", sa.Double, nullable=False),
    sa.Column("received_on", sa.Date, nullable=False, index=True),
    sa.Column("reference", SealedText),
    sa.Column("reason", SealedText),
    sa.Column("corrects", sa.Integer),
    sa.Column("recorded_at", _TIME, nullable=False),
    sa.Column("recorded_by", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class Recovery:
    """A payment, or with `corrects` the counter-entry to the payment of that number; money in the payer's currency.

    `number` is that of the event in the case's history; `reference` is how the payer's books know the payment.
    """

    case_id: str
    number: int
    amount: float
    received_on: date
    reference: str | None
    reason: str | None
    corrects: int | None
    recorded_at: datetime
    recorded_by: str


def recoveries_of(connection: Connection, case_id: str) -> tuple[Recovery, ...]:
    """What came back on a case, in the order in which it was entered."""
    own = sa.select(recoveries).where(recoveries.c.case_id == case_id).order_by(recoveries.c.number)
    return tuple(Recovery(**row) for row in connection.execute(own).mappings())


def left_of(entries: Iterable[Recovery]) -> dict[int, float]:
    """By the number of each payment what of it was not taken off again."""
    found: dict[int, float] = {}
    for entry in entries:
        number = entry.number if entry.corrects is None else entry.corrects
        found[number] = found.get(number, 0.0) + entry.amount
    return found


def add_recovery(connection: Connection, entry: Recovery) -> None:
    """Add a payment or counter-entry, in the transaction that changes its case."""
    connection.execute(sa.insert(recoveries), vars(entry))
