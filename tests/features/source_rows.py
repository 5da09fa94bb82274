"""Which rows of the source documents a signal answers, all that the row asks for: its examples then prove the row.

A row of which a part is still open (a field that claims lack, a benefit to be recomputed) is not listed.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ROWS_OF_SIGNAL"]

_SIGNALS_OF_ROW: Mapping[str, tuple[str, ...]] = {
    "000-02": ("claim.upload_delay",),
    "000-11": ("claim.checkup_share", "provider.admissions_against_expected"),
    "000-12": ("claim.split_stay_gap", "provider.split_stay_share"),
    "000-13": ("claim.idle_days_share", "claim.visits_during_stay"),
    "000-14": ("network.admission_cluster", "provider.admissions_against_expected"),
    "000-16": ("claim.unreported_exams", "claim.diagnosis_faults", "claim.births_without_pregnancy"),
    "000-18": ("claim.settlement_list_faults", "claim.line_faults"),
    "000-19": ("claim.failed_identity_check",),
    "000-23": ("claim.unreported_exams",),
    "001-16": ("claim.price_over_cap",),
    "001-25": ("physician.entitlement_without_course_share", "physician.entitled_patients"),
    "001-41": ("network.admission_cluster", "claim.unregistered_without_order"),
    "001-44": ("claim.repeated_invoices", "provider.terminal_burst_share", "provider.round_amount_share"),
    "001-45": ("claim.same_operator_claims", "claim.after_hours"),
    "001-48": ("claim.unregistered_without_order",),
    "001-51": ("claim.failed_identity_check", "claim.unproved_identity"),
    "001-56": ("claim.repeated_invoices", "claim.unregistered_without_order"),
    "002-08": ("claim.unreported_exams", "claim.procedures_outside_stay"),
    "002-09": ("claim.price_on_paper", "claim.lines_against_total"),
    "002-10": ("claim.failed_identity_check", "claim.diagnosis_sex_conflicts"),
    "002-47": ("claim.repeated_exams", "claim.amount_against_expected"),
    "002-48": ("claim.times_billed", "claim.price_over_cap", "claim.paid_outside_scope"),
    "002-49": ("network.admission_cluster", "claim.unregistered_without_order"),
    "002-63": ("provider.out_of_area_surge",),
    "002-64": ("provider.disease_surge",),
    "003-01": ("claim.repeated_exams", "claim.drugs_of_one_class", "claim.amount_against_expected"),
    "003-02": ("claim.checkup_share", "claim.amount_against_expected"),
    "003-03": ("provider.admissions_against_expected",),
    "003-05": ("provider.positive_rate",),
    "003-06": ("claim.repeated_exams",),
    "003-14": ("claim.times_billed", "claim.package_share", "claim.mapping_conflicts"),
    "003-17": ("claim.unregistered_without_order", "claim.idle_days_share"),
    "003-27": ("claim.days_before_assistance",),
}
ROWS_OF_SIGNAL: Mapping[str, tuple[str, ...]] = {
    signal: tuple(row for row, found in _SIGNALS_OF_ROW.items() if signal in found)
    for signal in sorted({s for found in _SIGNALS_OF_ROW.values() for s in found})
}
