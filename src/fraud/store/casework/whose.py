"""Whose account stands behind a name that a case is given to, and the names of those who go by another one now."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.casework.tables import cases
from fraud.store.keys import keys
from fraud.store.people import people

__all__ = ["account_of", "renamed"]


def account_of(connection: Connection, name: str) -> tuple[str, str] | None:
    """Account and name to show of whoever goes by a name: to show, to sign in, or of a key; None for nobody known."""
    shown = sa.select(people.c.user_id, people.c.display_name)
    for own in (people.c.display_name == name, people.c.name == name.lower()):
        found = connection.execute(shown.where(own)).first()
        if found is not None:
            return f"user:{found[0]}", str(found[1])
    if connection.execute(sa.select(keys.c.key_id).where(keys.c.name == name).limit(1)).first() is not None:
        return f"key:{name}", name
    return None


def renamed(connection: Connection, user_id: str, name: str) -> None:
    """Show a person by another name in the cases that they have; what was done stays as it was written."""
    own = sa.update(cases).where(cases.c.assignee_id == f"user:{user_id}", cases.c.assignee != name)
    connection.execute(own.values(assignee=name))
