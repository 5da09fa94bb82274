"""Snapshots come in sets that are published as a whole.

Revision ID: 0001
Revises: 0000
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = "0000"

_COLUMNS = ("entity", "entity_id", "day", "model", "refresh", "names", "data")


def upgrade() -> None:
    """Give every snapshot the number of its refresh; those that are there belong to number 0, which is published."""
    refreshes = op.create_table(
        "refreshes",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("published_at", sa.DateTime),
        sa.Column("until", sa.DateTime),
        sa.Column("claims", sa.BigInteger),
        sa.Column("covers", sa.JSON, nullable=False),
        sa.Column("snapshots", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    beginning = sa.text("'1970-01-01 00:00:00'")
    op.execute(
        sa.insert(refreshes).values(number=0, started_at=beginning, published_at=beginning, covers={}, snapshots=0)
    )
    _rebuild("0 AS refresh", ("entity", "entity_id", "day", "model", "refresh"), refresh=True)


def downgrade() -> None:
    """Keep of each snapshot what readers see: snapshots can be taken again at any time."""
    op.execute(
        """DELETE FROM snapshots WHERE refresh NOT IN (SELECT number FROM refreshes WHERE published_at IS NOT NULL)
           OR EXISTS (SELECT 1 FROM snapshots later JOIN refreshes r ON r.number = later.refresh
                      WHERE later.entity = snapshots.entity AND later.entity_id = snapshots.entity_id
                      AND later.day = snapshots.day AND later.model = snapshots.model
                      AND later.refresh > snapshots.refresh AND r.published_at IS NOT NULL)"""
    )
    _rebuild("refresh", ("entity", "entity_id", "day", "model"), refresh=False)
    op.drop_table("refreshes")


def _rebuild(source: str, key: tuple[str, ...], *, refresh: bool) -> None:
    """The table with another key: SQLite knows no other way, and PostgreSQL would write every row anew as well."""
    own = (sa.Column("refresh", sa.BigInteger, nullable=False),) if refresh else ()
    op.create_table(
        "snapshots_new",
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("day", sa.DateTime, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        *own,
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint(*key, name="snapshots_by_refresh_pkey" if refresh else "snapshots_pkey"),
        sqlite_with_rowid=False,
    )
    names = [c for c in _COLUMNS if refresh or c != "refresh"]
    values = [source if c == "refresh" else c for c in names]
    op.execute(f"INSERT INTO snapshots_new ({', '.join(names)}) SELECT {', '.join(values)} FROM snapshots")
    op.drop_table("snapshots")
    op.rename_table("snapshots_new", "snapshots")
