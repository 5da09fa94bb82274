"""Cases that decisions open: known before the answer is written, stored in the decision's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from fraud.store.casework.rows import digest_bytes, row_of
from fraud.store.casework.shapes import Case, Scored
from fraud.store.casework.tables import cases, events

__all__ = ["Opened", "open_in"]

# Made once: to put such a statement together takes longer than to run it.
_INSERT = {
    "sqlite": tuple(sqlite.insert(t).on_conflict_do_nothing() for t in (cases, events)),
    "postgresql": tuple(postgresql.insert(t).on_conflict_do_nothing() for t in (cases, events)),
}
# Once a result is proposed, what it rests on stays as it was.
_MAY_CHANGE = ("open", "assigned", "evidence")
_FIGURES = tuple(n for n in Scored.__dataclass_fields__ if n not in ("entity", "entity_id"))


@dataclass(frozen=True)
class Opened:
    """The case of a decision: a new one, or with `known` one that is there and gets new figures.

    `at` is when the claim was scored; `again` says that what was scored is another version than before.
    """

    case: Case
    at: datetime
    known: bool = False
    again: bool = False


def open_in(connection: Connection, opened: Sequence[Opened]) -> None:
    """Store the cases of decisions; one that somebody else has opened meanwhile stays as it is."""
    # In the order of their numbers: two writers that wait for each other's rows would wait forever.
    opened = sorted(opened, key=lambda o: o.case.case_id)
    fresh = {o.case.case_id: o.case for o in opened if not o.known}
    if fresh:
        insert_case, insert_event = _INSERT[connection.dialect.name]
        connection.execute(insert_case, [row_of(c) for c in fresh.values()])
        connection.execute(insert_event, [_event(c, "opened", 1, c.opened_at) for c in fresh.values()])
    for known in (o for o in opened if o.known):
        _score_again(connection, known)


def _score_again(connection: Connection, opened: Opened) -> None:
    """New figures of a case that nobody has decided; another version of its claim is an event, the same is none."""
    case = opened.case
    row = row_of(case)
    figures = {name: row[name] for name in _FIGURES}
    undecided = (cases.c.case_id == case.case_id, cases.c.state.in_(_MAY_CHANGE))
    # Somebody may have begun since it was read: then another clock runs, and is left alone.
    due = sa.case(
        (cases.c.clock == "first_action", sa.literal(row["due_at"], cases.c.due_at.type)), else_=cases.c.due_at
    )
    more = {"events": cases.c.events + 1, "priority": case.priority, "due_at": due}
    counted = figures | (more if opened.again else {})
    changed = sa.update(cases).where(*undecided).values(counted).returning(cases.c.events, cases.c.state)
    found = connection.execute(changed).first()
    if found is not None and opened.again:
        connection.execute(
            sa.insert(events), _event(replace(case, state=found[1]), "scored_again", int(found[0]), opened.at)
        )


def _event(case: Case, what: str, number: int, at: datetime) -> dict[str, object]:
    told = {"request_id": case.request_id, "action": case.action, "amount": case.amount, "findings": case.findings}
    told |= {"violation": case.violation, "priority": case.priority, "selected_by": case.selected_by}
    return {
        "case_id": case.case_id,
        "number": number,
        "at": at,
        "who": "",
        "what": what,
        "state_before": None if number == 1 else case.state,
        "state_after": case.state,
        "details": digest_bytes(told),
    }
