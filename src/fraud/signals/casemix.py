"""What makes two claims alike beside the diagnosis: the patient's age and registered chronic conditions.

Severity is taken from what the payer has registered about the patient, never from what the provider codes on the
claim: an expectation that followed the coded severity would excuse whoever codes it too high.
"""

from __future__ import annotations

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

from fraud.signals.columns import age_years, case_code, chronic_count, diagnosis_group

__all__ = ["ADULT_BANDS", "MIX", "admission_code", "mix_code"]

# Lower ages of the bands; narrower where care changes quickly with age.
ADULT_BANDS = (0, 15, 45, 65, 80)
# Registered chronic conditions: none, one or two, more.
_SOME, _MANY = 1, 3


def _person(age: ir.NumericValue, conditions: ir.IntegerValue) -> ir.StringValue:
    """The patient's band of age and of chronic conditions, as part of a code."""
    band = ibis.literal(0)
    for lower in ADULT_BANDS[1:]:
        band = band + (age >= lower).cast("int64")
    ill = (conditions >= _SOME).cast("int64") + (conditions >= _MANY).cast("int64")
    return "|" + band.cast("string").fill_null("?") + "|" + ill.cast("string").fill_null("?")


def mix_code(
    visit_type: ir.StringValue,
    primary_diagnosis: ir.StringValue,
    admitted_at: ir.TimestampValue,
    patient_birth_date: ir.DateValue,
    patient_chronic_conditions: ir.ArrayValue,
) -> ir.StringValue:
    """Kind of care, ICD category, age band and chronic conditions of a claim."""
    person = _person(age_years(admitted_at, patient_birth_date), chronic_count(patient_chronic_conditions))
    return case_code(visit_type, primary_diagnosis) + person


def admission_code(
    primary_diagnosis: ir.StringValue,
    admitted_at: ir.TimestampValue,
    patient_birth_date: ir.DateValue,
    patient_chronic_conditions: ir.ArrayValue,
) -> ir.StringValue:
    """ICD category, age band and chronic conditions: what decides how often a patient is admitted."""
    person = _person(age_years(admitted_at, patient_birth_date), chronic_count(patient_chronic_conditions))
    return diagnosis_group(primary_diagnosis).fill_null("?") + person


def usual_amount(mix_amount: ir.FloatingValue, expected_amount: ir.FloatingValue) -> ir.FloatingValue:
    """What a claim of this case mix usually costs; that of its diagnosis alone where the mix was never seen."""
    return mix_amount.fill_null(expected_amount)


def usual_days(mix_days: ir.FloatingValue, expected_days: ir.FloatingValue) -> ir.FloatingValue:
    """How many nights a claim of this case mix usually takes."""
    return mix_days.fill_null(expected_days)


MIX: tuple[Callable[..., ir.Value], ...] = (mix_code, admission_code, usual_amount, usual_days)
