"""Saved views: a table of their own, into which those of earlier versions are moved."""

from __future__ import annotations

from contextlib import closing

import sqlalchemy as sa

from fraud.store.database import open_database
from fraud.store.ledger import installation
from fraud.store.migrating import downgrade, upgrade
from fraud.store.views import SavedView, SavedViews


def test_views_of_an_earlier_version_are_moved_and_go_back_as_they_were(empty: str) -> None:
    views = (SavedView("Due first", "sort=due"), SavedView("涉及金额", "amount=5000"))
    with closing(open_database(empty)) as database:
        upgrade(database)
        own = SavedViews(database)
        for view in views:
            own.save("u-1", view.name, view.query)
        own.save("u-2", "Due first", "state=open")
        # What stands beside them stays.
        with database.write() as connection:
            connection.execute(sa.insert(installation), {"name": "queueXviews", "value": b"\x00"})
        downgrade(database, "0011")
        with database.read() as connection:
            names = set(connection.execute(sa.select(installation.c.name)).scalars())
        assert names == {"queue_views:u-1", "queue_views:u-2", "queueXviews"}
        upgrade(database)
        assert (own.of("u-1"), own.of("u-2")) == (views, (SavedView("Due first", "state=open"),))
        with database.read() as connection:
            assert list(connection.execute(sa.select(installation.c.name)).scalars()) == ["queueXviews"]
