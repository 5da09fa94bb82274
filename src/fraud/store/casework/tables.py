"""The tables of cases: how each stands, what was done in it, and what was handed in."""

from __future__ import annotations

import sqlalchemy as sa

from fraud.store.casework.shapes import AT_WORK
from fraud.store.ciphers import SealedBytes, SealedText
from fraud.store.tables import METADATA, decisions

__all__ = ["attachments", "cases", "events"]

_TIME = decisions.c.scored_at.type
_UNDECIDED = sa.text(f"state IN ({', '.join(repr(s) for s in AT_WORK)})")

# One row for each case: narrow, since lists read many of them. What people write stands in the events.
cases = sa.Table(
    "cases",
    METADATA,
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("entity", sa.Text, nullable=False),
    sa.Column("entity_id", SealedText, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("patient_id", SealedText, index=True),
    sa.Column("provider_id", sa.Text),
    sa.Column("region", sa.Text),
    sa.Column("insured_region", sa.Text),
    sa.Column("violation", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("action", sa.Text),
    sa.Column("severity", sa.Text),
    sa.Column("band", sa.Text),
    sa.Column("probability", sa.Double),
    sa.Column("percentile", sa.Double),
    sa.Column("amount", sa.Double),
    sa.Column("expected_recovery", sa.Double),
    sa.Column("hours", sa.Double, nullable=False),
    sa.Column("worth", sa.Double, nullable=False),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("grounds", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("priority", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("opened_at", _TIME, nullable=False, index=True),
    sa.Column("selected_by", sa.Text, nullable=False),
    sa.Column("inclusion_probability", sa.Double),
    sa.Column("assignee", sa.Text),
    sa.Column("assignee_id", sa.Text),
    sa.Column("clock", sa.Text),
    sa.Column("due_at", _TIME),
    sa.Column("remaining_seconds", sa.Double),
    sa.Column("evidence_due_at", _TIME),
    sa.Column("first_action_at", _TIME),
    sa.Column("result", sa.Text),
    sa.Column("verdict", sa.Text),
    sa.Column("disposition", sa.Text),
    sa.Column("confirmed_amount", sa.Double),
    sa.Column("recovered_amount", sa.Double),
    sa.Column("proposer", sa.Text),
    sa.Column("proposer_id", sa.Text),
    sa.Column("signer", sa.Text),
    sa.Column("signer_id", sa.Text),
    sa.Column("decided_at", _TIME, index=True),
    sa.Column("appeal_until", _TIME),
    sa.Column("appealed_at", _TIME),
    sa.Column("closed_at", _TIME),
    sa.Column("follow_up_on", sa.Date),
    sa.Column("satisfaction", sa.Integer),
    sa.Column("week", sa.Date, index=True),
    sa.Column("place", sa.Integer),
    # One case for each version of what was scored: two that open the same case at once make one.
    sa.Index("ux_cases_round", "entity", "entity_id", "round", unique=True),
    sa.Index(
        "ux_cases_at_work", "entity", "entity_id", unique=True, sqlite_where=_UNDECIDED, postgresql_where=_UNDECIDED
    ),
    # A page in each order that people look in, and all that filters and counts ask without reading the rows.
    sa.Index("ix_cases_worth", "state", "worth", "case_id"),
    sa.Index("ix_cases_due", "state", "due_at", "case_id"),
    sa.Index("ix_cases_assignee", "assignee", "state", "worth"),
    sa.Index("ix_cases_provider", "provider_id", "state"),
    sa.Index(
        "ix_cases_counts", "state", "priority", "due_at", "violation", "region", "provider_id", "assignee", "amount",
        "entity", "insured_region", "worth", "opened_at", "case_id",
    ),
)  # fmt: skip

# What was done, in order; rows are only ever added.
events = sa.Table(
    "case_events",
    METADATA,
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", _TIME, nullable=False, index=True),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("state_before", sa.Text),
    sa.Column("state_after", sa.Text, nullable=False),
    # What people write may say whom it is about.
    sa.Column("details", SealedBytes, nullable=False),
)

attachments = sa.Table(
    "case_attachments",
    METADATA,
    sa.Column("case_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", SealedText, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("added_at", _TIME, nullable=False),
    sa.Column("added_by", sa.Text, nullable=False),
    sa.Column("content", SealedBytes, nullable=False),
)
