"""The ledger of reviews: for every result that was proposed, signed, sent back or appealed against, one row.

It says when, who, about which document, how much money, what was decided and why, and which model and rules had spoken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from fraud.store.casework.rows import case_of_row, event_of_row
from fraud.store.casework.shapes import Case, CaseEvent
from fraud.store.casework.tables import cases, events

if TYPE_CHECKING:
    from fraud.store import Store

__all__ = ["REVIEWS", "Review", "reviews"]

# Events in which somebody judged.
REVIEWS = (
    "proposed", "confirmed", "unfounded", "evidence_agreed", "sent_back", "appealed", "appeal_rejected",
    "appeal_upheld", "reopened", "closed",
)  # fmt: skip
_PAGE = 1_000


@dataclass(frozen=True)
class Review:
    """One row: `document` is the claim or entity, `amount` what is at stake, `confirmed_amount` what was found.

    `versions` names the model and the rules behind the decision that opened the case, each with its version.
    """

    at: datetime
    who: str
    entity: str
    document: str
    case_id: str
    amount: float | None
    confirmed_amount: float | None
    decision: str
    result: str | None
    reason: str | None
    versions: tuple[str, ...]


def reviews(store: Store, since: datetime, until: datetime) -> Iterator[Review]:
    """The reviews from one moment to before another, in order of time."""
    asked = sa.select(events).where(events.c.at >= since, events.c.at < until, events.c.what.in_(REVIEWS))
    ordered = asked.order_by(events.c.at, events.c.case_id, events.c.number)
    skipped = 0
    while True:
        with store.database.read() as connection:
            page = [event_of_row(r) for r in connection.execute(ordered.limit(_PAGE).offset(skipped)).mappings()]
            theirs = sa.select(cases).where(cases.c.case_id.in_({e.case_id for e in page}))
            known = {r["case_id"]: case_of_row(r) for r in connection.execute(theirs).mappings()}
        yield from (_review(store, e, known[e.case_id]) for e in page)
        if len(page) < _PAGE:
            return
        skipped += _PAGE


def _review(store: Store, event: CaseEvent, case: Case) -> Review:
    said = event.details
    return Review(
        at=event.at,
        who=event.who,
        entity=case.entity,
        document=case.entity_id,
        case_id=case.case_id,
        amount=case.amount,
        confirmed_amount=said.get("amount", case.confirmed_amount),
        decision=event.what,
        result=said.get("verdict") or said.get("result"),
        reason=said.get("reason") or said.get("remark"),
        versions=_versions(store, case),
    )


def _versions(store: Store, case: Case) -> tuple[str, ...]:
    decision = store.decision(case.request_id) if case.request_id else None
    if decision is None:
        return ()
    answer: dict[str, Any] = orjson.loads(decision.response)
    model = answer["model"]
    own = [f"{model['name']}@{model['version']}"] if model["name"] else []
    rules = {f"{f['rule']}@{f['version']}" for f in answer["findings"] if f["status"] == "hit"}
    return (*own, *sorted(rules))
