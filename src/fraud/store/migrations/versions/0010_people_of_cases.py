"""People who sign in elsewhere, and the account of whoever works on a case.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_ELSEWHERE = (("people", "issuer", sa.Text), ("people", "subject", sa.Text), ("sessions", "factor", sa.Text))
# Names to show are of one person each. A case in the hands of somebody whose name is another one by now keeps the name.
_WHOSE = (
    "UPDATE cases SET assignee_id = 'user:' || (SELECT user_id FROM people WHERE display_name = cases.assignee) "
    "WHERE assignee IN (SELECT display_name FROM people)"
)


def upgrade() -> None:
    """Add the columns, and fill in whose account stands behind a name."""
    for table, column, kind in _ELSEWHERE:
        op.add_column(table, sa.Column(column, kind))
    op.create_index("ux_people_subject", "people", ["issuer", "subject"], unique=True)
    op.add_column("sessions", sa.Column("id_token", sa.LargeBinary))
    op.create_table(
        "spent_sign_ins",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("until", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.add_column("cases", sa.Column("assignee_id", sa.Text))
    op.execute(_WHOSE)


def downgrade() -> None:
    """Drop the columns, unless somebody signs in elsewhere: an earlier program would not let them in."""
    if op.get_bind().execute(sa.text("SELECT 1 FROM people WHERE issuer IS NOT NULL LIMIT 1")).first() is not None:
        raise NotImplementedError("people who sign in elsewhere could not sign in any more.")
    op.drop_column("cases", "assignee_id")
    op.drop_table("spent_sign_ins")
    op.drop_column("sessions", "id_token")
    op.drop_index("ux_people_subject", "people")
    for table, column, _ in reversed(_ELSEWHERE):
        op.drop_column(table, column)
