"""Money that came back on cases, and its sum in the row of each case.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

# What was entered stays as it was written, but for how it is sealed; destroying what is too old is another matter.
_WRITTEN = "case_id, number, amount, received_on, corrects, recorded_at, recorded_by"
_ONLY_GROWS = {
    "sqlite": (
        f"CREATE TRIGGER recoveries_no_update BEFORE UPDATE OF {_WRITTEN} ON recoveries "
        "BEGIN SELECT RAISE(ABORT, 'money that came back is only ever added to'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION recoveries_only_grow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'money that came back is only ever added to'; END $$",
        f"CREATE TRIGGER recoveries_only_grow BEFORE UPDATE OF {_WRITTEN} "
        "ON recoveries FOR EACH STATEMENT EXECUTE FUNCTION recoveries_only_grow()",
    ),
}


def upgrade() -> None:
    """Make the table, and the column of sums: nothing was entered before, which is not zero."""
    op.create_table(
        "recoveries",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("amount", sa.Double, nullable=False),
        sa.Column("received_on", sa.Date, nullable=False),
        sa.Column("reference", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("corrects", sa.Integer),
        sa.Column("recorded_at", sa.DateTime, nullable=False),
        sa.Column("recorded_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "number"),
    )
    op.create_index("ix_recoveries_received_on", "recoveries", ["received_on"])
    op.add_column("cases", sa.Column("recovered_amount", sa.Double))
    for statement in _ONLY_GROWS[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Drop both, unless money was entered."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM recoveries LIMIT 1")).first() is not None:
        raise NotImplementedError("money that was entered as paid back would be lost.")
    op.drop_column("cases", "recovered_amount")
    op.drop_index("ix_recoveries_received_on", "recoveries")
    op.drop_table("recoveries")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION recoveries_only_grow()")
