"""Keys that open nothing until somebody has looked into how they were used.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "key_suspensions",
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("suspended_at", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
    )


def downgrade() -> None:
    """Drop the table, unless a key is suspended: an earlier program would let it in."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM key_suspensions LIMIT 1")).first() is not None:
        raise NotImplementedError("suspended keys would open again; resume or revoke them first.")
    op.drop_table("key_suspensions")
