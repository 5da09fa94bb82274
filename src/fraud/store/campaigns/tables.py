"""The tables of campaigns."""

from __future__ import annotations

import sqlalchemy as sa

from fraud.store.ciphers import SealedBytes, SealedText
from fraud.store.tables import METADATA, decisions

__all__ = ["campaign_events", "campaign_files", "campaign_tasks", "campaigns", "inspected"]

_TIME = decisions.c.scored_at.type


def _of_provider() -> list[sa.Column[str]]:
    names = ("campaign_id", "provider_id")
    return [sa.Column(name, sa.Text, primary_key=True) for name in names]


campaigns = sa.Table(
    "campaigns",
    METADATA,
    sa.Column("campaign_id", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("legal_basis", sa.Text, nullable=False),
    sa.Column("violations", sa.JSON, nullable=False),
    sa.Column("period_from", sa.Date, nullable=False),
    sa.Column("period_until", sa.Date, nullable=False),
    sa.Column("opened_at", _TIME, nullable=False, index=True),
    sa.Column("opened_by", sa.Text, nullable=False),
    sa.Column("opened_by_id", sa.Text, nullable=False),
    sa.Column("announced_due", _TIME, nullable=False),
    sa.Column("self_check_due", _TIME, nullable=False),
    sa.Column("rectification_due", _TIME, nullable=False),
    sa.Column("acceptance_due", _TIME, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("closed_at", _TIME),
    sa.Column("closed_by", sa.Text),
)

# One row for each provider of a campaign.
inspected = sa.Table(
    "campaign_providers",
    METADATA,
    *_of_provider(),
    sa.Column("region", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("due_at", _TIME),
    sa.Column("told_at", _TIME),
    sa.Column("found", sa.JSON, nullable=False),
    sa.Column("found_again", sa.JSON(none_as_null=True)),
    sa.Column("effects", sa.JSON, nullable=False),
    sa.Column("declared_count", sa.BigInteger),
    sa.Column("declared_amount", sa.Double),
    sa.Column("declared_at", _TIME),
    sa.Column("declared_by", sa.Text),
    sa.Column("hands", sa.JSON, nullable=False),
    sa.Column("result", sa.Text),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", _TIME),
)

campaign_tasks = sa.Table(
    "campaign_tasks",
    METADATA,
    *_of_provider(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("due_at", _TIME, nullable=False),
    sa.Column("entered_at", _TIME, nullable=False),
    sa.Column("entered_by", sa.Text, nullable=False),
    sa.Column("done_at", _TIME),
    sa.Column("done_by", sa.Text),
    sa.Column("file", sa.Integer),
    # What people write may say whom it is about.
    sa.Column("details", SealedBytes, nullable=False),
)

# What was done, in order; rows are only ever added. The provider is empty for what was done to the campaign itself.
campaign_events = sa.Table(
    "campaign_events",
    METADATA,
    *_of_provider(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("state_before", sa.Text),
    sa.Column("state_after", sa.Text, nullable=False),
    sa.Column("details", SealedBytes, nullable=False),
)

campaign_files = sa.Table(
    "campaign_files",
    METADATA,
    *_of_provider(),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", SealedText, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("added_at", _TIME, nullable=False),
    sa.Column("added_by", sa.Text, nullable=False),
    sa.Column("content", SealedBytes, nullable=False),
)
