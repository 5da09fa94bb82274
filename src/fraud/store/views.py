"""Views of lists that somebody has saved: a name, and what was asked."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.errors import Fault, InputError
from fraud.store.database import Database
from fraud.store.tables import METADATA

__all__ = ["MOST_VIEWS", "SavedView", "SavedViews", "saved_views"]

MOST_VIEWS = 20
_LONGEST = 40

saved_views = sa.Table(
    "saved_views",
    METADATA,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
)


@dataclass(frozen=True)
class SavedView:
    """A name, and the query behind the question mark of the list's address."""

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
            _remove(connection, user_id, plain)
            if len(_read(connection, user_id)) >= MOST_VIEWS:
                fault = Fault("name", "too_many_views", f"there are {MOST_VIEWS} views at most")
                raise InputError(f"There are {MOST_VIEWS} views already: remove one of them first.", [fault])
            connection.execute(sa.insert(saved_views), {"user_id": user_id, "name": plain, "query": query})

        self._database.transact(work)

    def remove(self, user_id: str, name: str) -> None:
        """Forget a view."""
        self._database.transact(lambda connection: _remove(connection, user_id, name))


def _read(connection: Connection, user_id: str) -> tuple[SavedView, ...]:
    query = sa.select(saved_views.c.name, saved_views.c.query).where(saved_views.c.user_id == user_id)
    # Databases sort text by rules of their own.
    return tuple(sorted((SavedView(*row) for row in connection.execute(query)), key=lambda view: view.name))


def _remove(connection: Connection, user_id: str, name: str) -> None:
    own = sa.and_(saved_views.c.user_id == user_id, saved_views.c.name == name)
    connection.execute(sa.delete(saved_views).where(own))
