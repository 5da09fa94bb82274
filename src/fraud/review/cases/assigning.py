"""Who has a case: the account behind the name that it was given to."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.engine import Connection

from fraud.review.cases.shapes import Actor
from fraud.store.casework.shapes import Case
from fraud.store.casework.whose import account_of

__all__ = ["in_hands"]


def in_hands(connection: Connection, case: Case, actor: Actor) -> Case:
    """The case with the account of whoever has it; as it is where nobody here goes by the name."""
    own = (actor.account, actor.person) if case.assignee == actor.person else None
    found = own or account_of(connection, str(case.assignee))
    return replace(case, assignee_id=found[0], assignee=found[1]) if found is not None else case
