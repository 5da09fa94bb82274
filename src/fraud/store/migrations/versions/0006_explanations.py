"""Explanations as they were when somebody was told.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "explanations",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("claim_id", sa.Text, nullable=False),
        sa.Column("generated_at", sa.DateTime, nullable=False),
        sa.Column("explanation", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index("ix_explanations_claim_id", "explanations", ["claim_id"])


def downgrade() -> None:
    """Drop the table, unless somebody was told something."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM explanations LIMIT 1")).first() is not None:
        raise NotImplementedError("explanations that somebody was given would be lost.")
    op.drop_index("ix_explanations_claim_id", "explanations")
    op.drop_table("explanations")
