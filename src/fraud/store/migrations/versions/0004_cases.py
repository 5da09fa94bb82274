"""Cases of investigators, and what was done in them.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_UNDECIDED = sa.text("state IN ('open', 'assigned', 'evidence', 'proposed')")
# What was done stays as it was written; destroying what is too old is another matter.
_ONLY_GROWS = {
    "sqlite": (
        "CREATE TRIGGER case_events_no_update BEFORE UPDATE OF at, who, what, state_before, state_after, number "
        "ON case_events BEGIN SELECT RAISE(ABORT, 'the history of a case is only ever added to'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION case_events_only_grow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the history of a case is only ever added to'; END $$",
        "CREATE TRIGGER case_events_only_grow BEFORE UPDATE OF at, who, what, state_before, state_after, number "
        "ON case_events FOR EACH STATEMENT EXECUTE FUNCTION case_events_only_grow()",
    ),
}


def upgrade() -> None:
    """Make the tables."""
    _make_cases()
    op.create_table(
        "case_events",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("state_before", sa.Text),
        sa.Column("state_after", sa.Text, nullable=False),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "number"),
    )
    op.create_index("ix_case_events_at", "case_events", ["at"])
    op.create_table(
        "case_attachments",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("added_at", sa.DateTime, nullable=False),
        sa.Column("added_by", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "number"),
    )
    for statement in _ONLY_GROWS[op.get_bind().dialect.name]:
        op.execute(statement)


def _make_cases() -> None:
    texts = ("patient_id", "provider_id", "region", "insured_region", "violation", "request_id", "action", "severity")
    op.create_table(
        "cases",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text) for name in (*texts, "band")),
        *(sa.Column(name, sa.Double) for name in ("probability", "percentile", "amount", "expected_recovery")),
        sa.Column("hours", sa.Double, nullable=False),
        sa.Column("worth", sa.Double, nullable=False),
        sa.Column("findings", sa.JSON, nullable=False),
        sa.Column("grounds", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.DateTime, nullable=False),
        sa.Column("selected_by", sa.Text, nullable=False),
        sa.Column("inclusion_probability", sa.Double),
        sa.Column("assignee", sa.Text),
        sa.Column("clock", sa.Text),
        sa.Column("due_at", sa.DateTime),
        sa.Column("remaining_seconds", sa.Double),
        sa.Column("evidence_due_at", sa.DateTime),
        sa.Column("first_action_at", sa.DateTime),
        *(sa.Column(name, sa.Text) for name in ("result", "verdict", "disposition")),
        sa.Column("confirmed_amount", sa.Double),
        *(sa.Column(name, sa.Text) for name in ("proposer", "proposer_id", "signer", "signer_id")),
        *(sa.Column(name, sa.DateTime) for name in ("decided_at", "appeal_until", "appealed_at", "closed_at")),
        sa.Column("follow_up_on", sa.Date),
        sa.Column("satisfaction", sa.Integer),
        sa.Column("week", sa.Date),
        sa.Column("place", sa.Integer),
        sa.PrimaryKeyConstraint("case_id"),
    )
    for column in ("patient_id", "opened_at", "decided_at", "week"):
        op.create_index(f"ix_cases_{column}", "cases", [column])
    op.create_index("ux_cases_round", "cases", ["entity", "entity_id", "round"], unique=True)
    about = ["entity", "entity_id"]
    op.create_index(
        "ux_cases_at_work", "cases", about, unique=True, sqlite_where=_UNDECIDED, postgresql_where=_UNDECIDED
    )
    op.create_index("ix_cases_worth", "cases", ["state", "worth", "case_id"])
    op.create_index("ix_cases_due", "cases", ["state", "due_at", "case_id"])
    op.create_index("ix_cases_assignee", "cases", ["assignee", "state", "worth"])
    op.create_index("ix_cases_provider", "cases", ["provider_id", "state"])
    counted = ["state", "priority", "due_at", "violation", "region", "provider_id", "assignee", "amount"]
    rest = ["entity", "insured_region", "worth", "opened_at", "case_id"]
    op.create_index("ix_cases_counts", "cases", [*counted, *rest])


def downgrade() -> None:
    """Drop the tables, unless there is a case."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM cases LIMIT 1")).first() is not None:
        raise NotImplementedError("cases would be lost.")
    for table in ("case_attachments", "case_events", "cases"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION case_events_only_grow()")
