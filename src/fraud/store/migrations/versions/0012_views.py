"""Saved views in a table of their own: they stood among the properties of the installation.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_PREFIX = "queue_views:"
_installation = sa.table("installation", sa.column("name", sa.Text), sa.column("value", sa.LargeBinary))
_views = sa.table("saved_views", *(sa.column(name, sa.Text) for name in ("user_id", "name", "query")))


def upgrade() -> None:
    """Make the table, and move the views of everybody into it."""
    op.create_table(
        "saved_views",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("user_id", "name", "query")),
        sa.PrimaryKeyConstraint("user_id", "name"),
    )
    connection, theirs = op.get_bind(), _installation.c.name.startswith(_PREFIX, autoescape=True)
    for name, value in connection.execute(sa.select(_installation).where(theirs)).all():
        user_id = name.removeprefix(_PREFIX)
        rows = [{"user_id": user_id, "name": v["name"], "query": v["query"]} for v in json.loads(value)]
        connection.execute(sa.insert(_views), rows)
    connection.execute(sa.delete(_installation).where(theirs))


def downgrade() -> None:
    """Move the views back, and drop the table."""
    connection = op.get_bind()
    by_user: dict[str, list[dict[str, str]]] = {}
    for user_id, name, query in connection.execute(sa.select(_views).order_by(_views.c.name)).all():
        by_user.setdefault(user_id, []).append({"name": name, "query": query})
    for user_id, views in by_user.items():
        value = json.dumps(views).encode()
        connection.execute(sa.insert(_installation), {"name": f"{_PREFIX}{user_id}", "value": value})
    op.drop_table("saved_views")
