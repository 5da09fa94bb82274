"""Honest people and houses that look guilty: what a detector must learn to leave alone."""

from __future__ import annotations

from dataclasses import dataclass

from fraud.claims.simulation.describing.opening import Payer

__all__ = ["Innocent", "innocents"]


@dataclass(frozen=True)
class Innocent:
    """One kind of honest oddity: whom it looks like, how many there are, and how many false claims are alike."""

    what: str
    looks_like: str
    entities: int
    unit: str
    claims: int
    false_claims: int


# What it is, the type of violation it looks like, whose it is, and a query for `entity` and `claim_id`.
_ODD: tuple[tuple[str, str, str, str], ...] = (
    (
        "Dialysis three times a week", "T27", "patients",
        """SELECT patient_id AS entity, claim_id FROM claims
        SEMI JOIN (SELECT claim_id FROM lines JOIN catalogue USING (item_code) WHERE dialysis) USING (claim_id)""",
    ),
    (
        "Planned cycles of chemotherapy, home for two or three weeks between them", "T01", "patients",
        """SELECT patient_id AS entity, claim_id FROM claims WHERE visit_type = 'inpatient'
        AND starts_with(primary_diagnosis, 'Z51') AND planned""",
    ),
    (
        "Back in the same hospital with the same disease within fifteen days, unplanned", "T01", "patients",
        """SELECT patient_id AS entity, claim_id FROM (SELECT *, lag(discharged_at) OVER
            (PARTITION BY patient_id, provider_id, primary_diagnosis ORDER BY admitted_at) AS before
            FROM claims WHERE visit_type = 'inpatient' AND NOT starts_with(coalesce(primary_diagnosis, ''), 'Z51'))
        WHERE date_diff('day', before, admitted_at) BETWEEN 0 AND 15 AND NOT coalesce(planned, false)""",
    ),
    (
        "The same invoice sent twice by mistake", "T21", "invoices",
        """SELECT invoice_no AS entity, claim_id FROM claims WHERE invoice_no IS NOT NULL
        QUALIFY count(*) OVER (PARTITION BY invoice_no) > 1""",
    ),
    (
        "Children of one birth seen together", "T26", "patients",
        """SELECT patient_id AS entity, claim_id FROM (SELECT c.claim_id, c.patient_id, count(DISTINCT c.patient_id)
            OVER (PARTITION BY c.provider_id, c.admitted_at::DATE, p.birth_date, p.insured_region) AS together
            FROM claims c JOIN patients p USING (patient_id)
            WHERE date_diff('year', birth_date, admitted_at::DATE) < 16 AND visit_type = 'outpatient')
        WHERE together > 1""",
    ),
    (
        "Houses with one physician and at most three days of business a week", "T28", "houses",
        """SELECT provider_id AS entity, claim_id FROM claims SEMI JOIN (SELECT provider_id FROM claims
            WHERE physician_id IS NOT NULL GROUP BY 1 HAVING count(*) > 100 AND count(DISTINCT physician_id) = 1
            AND count(DISTINCT isodow(admitted_at)) <= 3) USING (provider_id)""",
    ),
    (
        "Physicians with five times the stays of the median of their level", "T28", "physicians",
        """SELECT physician_id AS entity, claim_id FROM claims SEMI JOIN (
            SELECT physician_id FROM (SELECT physician_id, any_value(level) AS level, count(*) AS n
                FROM claims JOIN providers USING (provider_id)
                WHERE visit_type = 'inpatient' AND physician_id IS NOT NULL GROUP BY 1)
            QUALIFY n > 5 * median(n) OVER (PARTITION BY level)) USING (physician_id) WHERE visit_type = 'inpatient'""",
    ),
    (
        "Prescriptions for twelve weeks and more", "T13", "patients",
        """SELECT patient_id AS entity, claim_id FROM claims
        SEMI JOIN (SELECT claim_id FROM lines WHERE days_supply >= 80) USING (claim_id)""",
    ),
    (
        "Two houses on one day", "T27", "patients",
        """SELECT patient_id AS entity, claim_id FROM (SELECT patient_id, claim_id, count(DISTINCT provider_id)
            OVER (PARTITION BY patient_id, admitted_at::DATE) AS houses FROM claims) WHERE houses > 1""",
    ),
    (
        "Purchases that come to a multiple of ten yuan", "T24", "claims",
        """SELECT claim_id AS entity, claim_id FROM claims
        WHERE visit_type = 'pharmacy' AND round(total_amount * 100)::BIGINT % 1000 = 0""",
    ),
    (
        "Visits that were not registered at the desk", "T06", "claims",
        "SELECT claim_id AS entity, claim_id FROM claims WHERE NOT registered",
    ),
    (
        "Stays ten times as dear as the median of their level", "T16", "claims",
        """SELECT claim_id AS entity, claim_id FROM claims JOIN providers USING (provider_id)
        WHERE visit_type = 'inpatient' QUALIFY total_amount > 10 * median(total_amount) OVER (PARTITION BY level)""",
    ),
    (
        "Emergencies and referrals outside the own region", "T22", "claims",
        """SELECT claim_id AS entity, claim_id FROM claims WHERE out_of_area IN ('emergency', 'referral')""",
    ),
    (
        "Claims paid by hand weeks later", "T22", "claims",
        "SELECT claim_id AS entity, claim_id FROM claims WHERE settlement_channel = 'manual'",
    ),
)  # fmt: skip


def innocents(payer: Payer) -> list[Innocent]:
    """Each kind of oddity with at least one honest claim; without a truth every claim counts as honest."""
    found = (_counted(payer, *odd) for odd in _ODD)
    return [innocent for innocent in found if innocent.claims]


def _counted(payer: Payer, what: str, looks_like: str, unit: str, query: str) -> Innocent:
    row = payer.rows(f"""
        WITH odd AS ({query}), marked AS (SELECT entity, claim_id IN (SELECT claim_id FROM true_claims) AS false_
            FROM odd)
        SELECT count(DISTINCT entity) FILTER (NOT false_) AS entities, count(*) FILTER (NOT false_) AS claims,
            count(*) FILTER (false_) AS false_claims FROM marked""")[0]
    return Innocent(what, looks_like, row["entities"], unit, row["claims"], row["false_claims"])
