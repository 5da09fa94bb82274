"""Notices that are on their way.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "case_notices",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("notice_id", "way", "case_id")),
        sa.Column("notice", sa.JSON, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("made_at", "next_at")),
        sa.Column("tries", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("fault", "given_up_at")),
        sa.PrimaryKeyConstraint("notice_id", "way"),
    )
    op.create_index("ix_case_notices_next_at", "case_notices", ["next_at"])


def downgrade() -> None:
    """Drop the table, unless a notice is on its way."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM case_notices WHERE given_up_at IS NULL LIMIT 1")).first():
        raise NotImplementedError("notices that are on their way would be lost.")
    op.drop_index("ix_case_notices_next_at", "case_notices")
    op.drop_table("case_notices")
