"""What callers reply to warnings.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of replies, and an index that outcomes are looked up by."""
    op.create_table(
        "warning_feedback",
        sa.Column("warning_id", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("warning_id", "message_id"),
    )
    op.create_index("ix_warning_feedback_request_id", "warning_feedback", ["request_id"])
    op.create_index("ix_outcomes_entity", "outcomes", ["entity", "entity_id"])


def downgrade() -> None:
    """Drop the table, unless somebody has replied."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM warning_feedback LIMIT 1")).first() is not None:
        raise NotImplementedError("replies to warnings would be lost.")
    op.drop_index("ix_outcomes_entity", "outcomes")
    op.drop_table("warning_feedback")
