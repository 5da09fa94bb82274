"""Campaigns: self-check, rectification and acceptance of providers.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

# What was done stays as it was written; destroying what is too old is another matter.
_ONLY_GROWS = {
    "sqlite": (
        "CREATE TRIGGER campaign_events_no_update BEFORE UPDATE OF at, who, what, state_before, state_after, number "
        "ON campaign_events BEGIN SELECT RAISE(ABORT, 'the history of a campaign is only ever added to'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION campaign_events_only_grow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the history of a campaign is only ever added to'; END $$",
        "CREATE TRIGGER campaign_events_only_grow BEFORE UPDATE OF at, who, what, state_before, state_after, number "
        "ON campaign_events FOR EACH STATEMENT EXECUTE FUNCTION campaign_events_only_grow()",
    ),
}
_TABLES = ("campaign_files", "campaign_events", "campaign_tasks", "campaign_providers", "campaigns")


def upgrade() -> None:
    """Make the tables."""
    _make_campaigns()
    _make_providers()
    _make_tasks()
    op.create_table(
        "campaign_events",
        *_of_provider(),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("state_before", sa.Text),
        sa.Column("state_after", sa.Text, nullable=False),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "provider_id", "number"),
    )
    op.create_table(
        "campaign_files",
        *_of_provider(),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("name", "media_type")),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("added_at", sa.DateTime, nullable=False),
        sa.Column("added_by", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "provider_id", "number"),
    )
    for statement in _ONLY_GROWS[op.get_bind().dialect.name]:
        op.execute(statement)


def _of_provider() -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in ("campaign_id", "provider_id")]


def _make_campaigns() -> None:
    op.create_table(
        "campaigns",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("campaign_id", "title", "legal_basis")),
        sa.Column("violations", sa.JSON, nullable=False),
        *(sa.Column(name, sa.Date, nullable=False) for name in ("period_from", "period_until")),
        sa.Column("opened_at", sa.DateTime, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("opened_by", "opened_by_id")),
        *(
            sa.Column(f"{phase}_due", sa.DateTime, nullable=False)
            for phase in ("announced", "self_check", "rectification", "acceptance")
        ),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("revision", "events")),
        sa.Column("closed_at", sa.DateTime),
        sa.Column("closed_by", sa.Text),
        sa.PrimaryKeyConstraint("campaign_id"),
    )
    op.create_index("ix_campaigns_opened_at", "campaigns", ["opened_at"])


def _make_providers() -> None:
    op.create_table(
        "campaign_providers",
        *_of_provider(),
        sa.Column("region", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("revision", "events")),
        *(sa.Column(name, sa.DateTime) for name in ("due_at", "told_at")),
        sa.Column("found", sa.JSON, nullable=False),
        sa.Column("found_again", sa.JSON),
        sa.Column("effects", sa.JSON, nullable=False),
        sa.Column("declared_count", sa.BigInteger),
        sa.Column("declared_amount", sa.Double),
        sa.Column("declared_at", sa.DateTime),
        sa.Column("declared_by", sa.Text),
        sa.Column("hands", sa.JSON, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("result", "decided_by")),
        sa.Column("decided_at", sa.DateTime),
        sa.PrimaryKeyConstraint("campaign_id", "provider_id"),
    )


def _make_tasks() -> None:
    op.create_table(
        "campaign_tasks",
        *_of_provider(),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        *(sa.Column(name, sa.DateTime, nullable=False) for name in ("due_at", "entered_at")),
        sa.Column("entered_by", sa.Text, nullable=False),
        sa.Column("done_at", sa.DateTime),
        sa.Column("done_by", sa.Text),
        sa.Column("file", sa.Integer),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "provider_id", "number"),
    )


def downgrade() -> None:
    """Drop the tables, unless there is a campaign."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM campaigns LIMIT 1")).first() is not None:
        raise NotImplementedError("campaigns would be lost.")
    for table in _TABLES:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION campaign_events_only_grow()")
