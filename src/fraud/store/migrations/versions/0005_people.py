"""Who signs in to the workbench, their sessions, and tips.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TABLES = ("tips", "session_unmaskings", "session_records", "sessions", "sign_in_failures", "people")


def upgrade() -> None:
    """Make the tables."""
    _make_people()
    _make_sessions()
    op.create_table(
        "tips",
        sa.Column("receipt", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("received_at", "due_at", "received_by", "channel")),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("violation", sa.Text),
        sa.Column("text", sa.LargeBinary, nullable=False),
        sa.Column("contact", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("case_id", sa.Text),
        sa.Column("feedback", sa.LargeBinary),
        sa.Column("closed_at", sa.Text),
        sa.PrimaryKeyConstraint("receipt"),
    )
    op.create_index("ix_tips_received_at", "tips", ["received_at"])
    op.create_index("ix_tips_entity_id", "tips", ["entity_id"])


def _make_people() -> None:
    op.create_table(
        "people",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("user_id", "name", "display_name", "role")),
        sa.Column("regions", sa.JSON, nullable=False),
        sa.Column("providers", sa.JSON, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("must_change", sa.Boolean, nullable=False),
        sa.Column("totp", sa.LargeBinary),
        sa.Column("totp_since", sa.Text),
        sa.Column("totp_step", sa.BigInteger, nullable=False),
        sa.Column("recovery", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("disabled_at", "suspended_at")),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_index("ix_people_name", "people", ["name"], unique=True)
    op.create_table(
        "sign_in_failures",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Text, nullable=False),
        sa.Column("until", sa.Text),
        sa.PrimaryKeyConstraint("subject"),
    )


def _make_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("user_id", "began_at", "seen_at")),
        sa.Column("ended_at", sa.Text),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("address", "agent")),
        sa.PrimaryKeyConstraint("session_id"),
    )
    op.create_index("ix_sessions_digest", "sessions", ["digest"], unique=True)
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_table(
        "session_records",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("session_id", "record", "at")),
        sa.PrimaryKeyConstraint("session_id", "record"),
    )
    op.create_table(
        "session_unmaskings",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("session_id", "record", "purpose", "until")),
        sa.PrimaryKeyConstraint("session_id", "record"),
    )


def downgrade() -> None:
    """Drop the tables, unless somebody was added or a tip taken."""
    for table in ("people", "tips"):
        if op.get_bind().execute(sa.text(f"SELECT 1 FROM {table} LIMIT 1")).first() is not None:
            raise NotImplementedError("people or tips would be lost.")
    for table in _TABLES:
        op.drop_table(table)
