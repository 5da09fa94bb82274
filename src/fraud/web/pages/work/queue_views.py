"""Views of the queue that somebody has saved: a name, and what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import Fault, InputError
from fraud.store.database import Database
from fraud.store.ledger import installation

__all__ = ["MOST_VIEWS", "SavedView", "SavedViews"]

MOST_VIEWS = 20
_LONGEST = 40


@dataclass(frozen=True)
class SavedView:
    """A name, and the query behind the question mark of the queue's address."""

    name: str
    query: str


class SavedViews:
    """The views of each person; nobody sees those of others."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, user_id: str) -> tuple[SavedView, ...]:
        """Somebody's views, in the order of their names."""
        with self._database.read() as connection:
            return _read(connection, user_id)

    def save(self, user_id: str, name: str, query: str) -> None:
        """Keep a view, in place of the one with the same name; raises `InputError` for a name that cannot be."""
        plain = " ".join(name.split())
        if not plain or len(plain) > _LONGEST or not plain.isprintable():
            fault = Fault("name", "view_name", f"a name has 1 to {_LONGEST} characters")
            raise InputError(f"The view has no usable name: 1 to {_LONGEST} characters.", [fault])

        def work(connection: Connection) -> None:
            others = [v for v in _read(connection, user_id) if v.name != plain]
            if len(others) >= MOST_VIEWS:
                fault = Fault("name", "too_many_views", f"there are {MOST_VIEWS} views at most")
                raise InputError(f"There are {MOST_VIEWS} views already: remove one of them first.", [fault])
            _write(connection, user_id, [*others, SavedView(plain, query)])

        self._database.transact(work)

    def remove(self, user_id: str, name: str) -> None:
        """Forget a view."""

        def work(connection: Connection) -> None:
            _write(connection, user_id, [v for v in _read(connection, user_id) if v.name != name])

        self._database.transact(work)


def _name(user_id: str) -> str:
    return f"queue_views:{user_id}"


def _read(connection: Connection, user_id: str) -> tuple[SavedView, ...]:
    query = sa.select(installation.c.value).where(installation.c.name == _name(user_id))
    found = connection.execute(query).scalar_one_or_none()
    return tuple(SavedView(**v) for v in orjson.loads(found)) if found else ()


def _write(connection: Connection, user_id: str, views: Sequence[SavedView]) -> None:
    connection.execute(sa.delete(installation).where(installation.c.name == _name(user_id)))
    if views:
        value = orjson.dumps([vars(v) for v in sorted(views, key=lambda v: v.name)])
        connection.execute(sa.insert(installation), {"name": _name(user_id), "value": value})
