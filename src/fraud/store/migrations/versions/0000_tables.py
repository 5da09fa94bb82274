"""The tables as they were before there were migrations.

A database that was made then has them already: it is taken over as being of this revision.

Revision ID: 0000
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0000"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "catalogue",
        sa.Column("item_code", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("class", sa.Text),
        sa.Column("price_cap", sa.Double),
        sa.Column("sex_limit", sa.Text),
        sa.Column("age_min", sa.BigInteger),
        sa.Column("age_max", sa.BigInteger),
        sa.Column("indications", sa.JSON),
        sa.Column("level_limit", sa.Text),
        sa.Column("visit_type_limit", sa.Text),
        sa.Column("max_per_day", sa.Double),
        sa.Column("max_days_supply", sa.Double),
        sa.Column("minutes", sa.Double),
        sa.Column("atc", sa.Text),
        sa.Column("large_equipment", sa.Boolean),
        sa.Column("dialysis", sa.Boolean),
        sa.PrimaryKeyConstraint("item_code"),
        if_not_exists=True,
    )
    op.create_table(
        "claims",
        sa.Column("claim_id", sa.Text, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("physician_id", sa.Text),
        sa.Column("department", sa.Text),
        sa.Column("visit_type", sa.Text, nullable=False),
        sa.Column("registered", sa.Boolean),
        sa.Column("admitted_at", sa.DateTime, nullable=False),
        sa.Column("discharged_at", sa.DateTime),
        sa.Column("settled_at", sa.DateTime, nullable=False),
        sa.Column("uploaded_at", sa.DateTime),
        sa.Column("primary_diagnosis", sa.Text),
        sa.Column("drg", sa.Text),
        sa.Column("drg_weight", sa.Double),
        sa.Column("discharge_status", sa.Text),
        sa.Column("planned", sa.Boolean),
        sa.Column("insured_region", sa.Text),
        sa.Column("care_region", sa.Text),
        sa.Column("out_of_area", sa.Text),
        sa.Column("settlement_channel", sa.Text),
        sa.Column("identity_check", sa.Text),
        sa.Column("total_amount", sa.Double, nullable=False),
        sa.Column("fund_amount", sa.Double, nullable=False),
        sa.Column("self_amount", sa.Double),
        sa.Column("deductible", sa.Double),
        sa.Column("currency", sa.Text),
        sa.Column("invoice_no", sa.Text),
        sa.Column("payee_account", sa.Text),
        sa.Column("terminal_id", sa.Text),
        sa.Column("operator_id", sa.Text),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("claim_id"),
        if_not_exists=True,
    )
    op.create_index("ix_claims_patient_id_settled", "claims", ["patient_id", "settled_at"], if_not_exists=True)
    op.create_index("ix_claims_physician_id_settled", "claims", ["physician_id", "settled_at"], if_not_exists=True)
    op.create_index("ix_claims_provider_id_settled", "claims", ["provider_id", "settled_at"], if_not_exists=True)
    op.create_table(
        "claims_history",
        sa.Column("claim_id", sa.Text, nullable=False),
        sa.Column("uploaded_at", sa.DateTime),
        sa.Column("received_at", sa.DateTime, nullable=False),
        sa.Column("bundle", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_claims_history_claim_id", "claims_history", ["claim_id"], if_not_exists=True)
    op.create_table(
        "decisions",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("claim_id", sa.Text, nullable=False),
        sa.Column("scored_at", sa.DateTime, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
        if_not_exists=True,
    )
    op.create_index("ix_decisions_claim", "decisions", ["claim_id", "scored_at"], if_not_exists=True)
    op.create_table(
        "diagnoses",
        sa.Column("claim_id", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("present_on_admission", sa.Boolean),
        if_not_exists=True,
    )
    op.create_index("ix_diagnoses_claim", "diagnoses", ["claim_id"], if_not_exists=True)
    op.create_table(
        "exclusions",
        sa.Column("item_code", sa.Text, nullable=False),
        sa.Column("included_item_code", sa.Text, nullable=False),
        sa.Column("kind", sa.Text),
        sa.Column("valid_from", sa.Date),
        sa.Column("valid_to", sa.Date),
        if_not_exists=True,
    )
    op.create_table(
        "idempotency",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("response", sa.LargeBinary),
        sa.PrimaryKeyConstraint("key"),
        if_not_exists=True,
    )
    op.create_index("ix_idempotency_started_at", "idempotency", ["started_at"], if_not_exists=True)
    op.create_table(
        "lines",
        sa.Column("claim_id", sa.Text, nullable=False),
        sa.Column("line_no", sa.BigInteger, nullable=False),
        sa.Column("item_code", sa.Text, nullable=False),
        sa.Column("local_item_code", sa.Text),
        sa.Column("item_name", sa.Text),
        sa.Column("quantity", sa.Double, nullable=False),
        sa.Column("unit_price", sa.Double),
        sa.Column("amount", sa.Double, nullable=False),
        sa.Column("service_at", sa.DateTime),
        sa.Column("ordered_at", sa.DateTime),
        sa.Column("executed_at", sa.DateTime),
        sa.Column("reported_at", sa.DateTime),
        sa.Column("report_positive", sa.Boolean),
        sa.Column("days_supply", sa.Double),
        sa.Column("physician_id", sa.Text),
        sa.Column("trace_code", sa.Text),
        sa.Column("dispensed_item_code", sa.Text),
        sa.PrimaryKeyConstraint("claim_id", "line_no"),
        if_not_exists=True,
    )
    op.create_table(
        "outcomes",
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("violation", sa.Text),
        sa.Column("period_from", sa.Date),
        sa.Column("period_to", sa.Date),
        sa.Column("decided_at", sa.DateTime, nullable=False),
        sa.Column("amount", sa.Double),
        sa.Column("investigators", sa.JSON),
        sa.Column("source", sa.Text),
        if_not_exists=True,
    )
    op.create_table(
        "patients",
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("birth_date", sa.Date),
        sa.Column("sex", sa.Text),
        sa.Column("insurance_type", sa.Text),
        sa.Column("insured_region", sa.Text),
        sa.Column("died_on", sa.Date),
        sa.Column("assistance", sa.Text),
        sa.Column("assistance_from", sa.Date),
        sa.Column("assistance_to", sa.Date),
        sa.Column("chronic_conditions", sa.JSON),
        sa.PrimaryKeyConstraint("patient_id"),
        if_not_exists=True,
    )
    op.create_table(
        "physicians",
        sa.Column("physician_id", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text),
        sa.Column("patient_id", sa.Text),
        sa.Column("specialty", sa.Text),
        sa.Column("title", sa.Text),
        sa.Column("licensed_from", sa.Date),
        sa.Column("licensed_to", sa.Date),
        sa.Column("suspended_from", sa.Date),
        sa.Column("suspended_to", sa.Date),
        sa.PrimaryKeyConstraint("physician_id"),
        if_not_exists=True,
    )
    op.create_table(
        "procedures",
        sa.Column("claim_id", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("performed_at", sa.DateTime),
        sa.Column("physician_id", sa.Text),
        sa.PrimaryKeyConstraint("claim_id", "position"),
        if_not_exists=True,
    )
    op.create_table(
        "providers",
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("kind", sa.Text),
        sa.Column("level", sa.Text),
        sa.Column("region", sa.Text),
        sa.Column("licensed_beds", sa.BigInteger),
        sa.Column("stations", sa.BigInteger),
        sa.Column("latitude", sa.Double),
        sa.Column("longitude", sa.Double),
        sa.Column("opened_on", sa.Date),
        sa.Column("suspended_from", sa.Date),
        sa.Column("suspended_to", sa.Date),
        sa.PrimaryKeyConstraint("provider_id"),
        if_not_exists=True,
    )
    op.create_table(
        "shadow_scores",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("scored_at", sa.DateTime, nullable=False),
        sa.Column("probability", sa.Double, nullable=False),
        sa.Column("percentile", sa.Double, nullable=False),
        sa.Column("margin", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
        if_not_exists=True,
    )
    op.create_table(
        "snapshot_names",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("names", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        if_not_exists=True,
    )
    op.create_table(
        "snapshots",
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Text, nullable=False),
        sa.Column("day", sa.DateTime, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("names", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("entity", "entity_id", "day", "model"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )


def downgrade() -> None:
    """Refuse: dropping every table is no way back."""
    raise NotImplementedError("There is no revision before the first.")
