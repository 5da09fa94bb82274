"""Columns derived from others: the parameter names of a function are the columns that it needs."""

from __future__ import annotations

from collections.abc import Callable

import ibis
import ibis.expr.types as ir

__all__ = ["DERIVED", "PAIR", "atc_group", "case_code", "days_before_snapshot", "service_day", "stay_days"]


def stay_days(discharged_at: ir.TimestampValue, admitted_at: ir.TimestampValue) -> ir.IntegerValue:
    """Nights between admission and discharge; 0 for a visit."""
    return discharged_at.date().delta(admitted_at.date(), unit="day")


def age_years(admitted_at: ir.TimestampValue, patient_birth_date: ir.DateValue) -> ir.NumericValue:
    """Age of the patient on admission, in years."""
    return admitted_at.date().delta(patient_birth_date, unit="day") / 365.25


def weekday(admitted_at: ir.TimestampValue) -> ir.IntegerValue:
    """Day of the week of the admission; Monday is 0."""
    return admitted_at.day_of_week.index()


def admission_day(admitted_at: ir.TimestampValue) -> ir.DateValue:
    """Day on which the claim begins."""
    return admitted_at.date()


def admission_month(admitted_at: ir.TimestampValue) -> ir.TimestampValue:
    """First day of the month in which the claim begins."""
    return admitted_at.truncate("M")


def _slot(who: ir.StringValue, settled_at: ir.TimestampValue) -> ir.StringValue:
    """Who settled in which five minutes; null at exact midnight, which means that no time of day is known."""
    seconds = settled_at.epoch_seconds()
    slot = who + "|" + (seconds // _SLOT_SECONDS).cast("string")
    return (seconds % _DAY_SECONDS == 0).ifelse(ibis.null("string"), slot)


_SLOT_SECONDS, _DAY_SECONDS = 300, 86_400


def terminal_slot(terminal_id: ir.StringValue, settled_at: ir.TimestampValue) -> ir.StringValue:
    """The terminal and the five minutes in which the claim settled."""
    return _slot(terminal_id, settled_at)


def physician_slot(physician_id: ir.StringValue, settled_at: ir.TimestampValue) -> ir.StringValue:
    """The physician and the five minutes in which the claim settled."""
    return _slot(physician_id, settled_at)


def chronic_count(patient_chronic_conditions: ir.ArrayValue) -> ir.IntegerValue:
    """Number of registered chronic conditions of the patient; 0 when none is registered."""
    return patient_chronic_conditions.length().fill_null(0)


def diagnosis_group(primary_diagnosis: ir.StringValue) -> ir.StringValue:
    """First three characters of the primary diagnosis: the ICD category."""
    return primary_diagnosis.substr(0, 3)


def case_code(visit_type: ir.StringValue, primary_diagnosis: ir.StringValue) -> ir.StringValue:
    """What makes two claims comparable: kind of care and ICD category."""
    return visit_type + "|" + diagnosis_group(primary_diagnosis).fill_null("?")


DERIVED: tuple[Callable[..., ir.Value], ...] = (
    stay_days,
    age_years,
    weekday,
    admission_day,
    admission_month,
    terminal_slot,
    physician_slot,
    chronic_count,
    diagnosis_group,
    case_code,
)


def service_day(service_at: ir.TimestampValue) -> ir.DateValue:
    """Day on which the service was given."""
    return service_at.date()


def atc_group(atc: ir.StringValue) -> ir.StringValue:
    """The chemical subgroup of a drug, ATC level 4: five characters; null for a class that is not that fine."""
    return (atc.substr(4, 1) == "").ifelse(ibis.null("string"), atc.substr(0, 5))


def days_before_snapshot() -> Callable[..., ir.Value]:
    """The function that derives `days_ago` in a window, whose other end is the snapshot."""

    def days_ago(snapshot: ir.TimestampValue, admitted_at: ir.TimestampValue) -> ir.IntegerValue:
        """Days from the start of the claim to the snapshot."""
        return snapshot.date().delta(admitted_at.date(), unit="day")

    return days_ago


# --- pairs of a claim and an earlier one, whose columns come with an underscore -------------------------------


def days_ago(_admitted: ir.TimestampValue, admitted_at: ir.TimestampValue) -> ir.IntegerValue:
    """Days from the start of the earlier claim to the start of this one."""
    return _admitted.date().delta(admitted_at.date(), unit="day")


def gap_days(_admitted: ir.TimestampValue, discharged_at: ir.TimestampValue) -> ir.IntegerValue:
    """Days from the end of the earlier claim to the start of this one; negative when they overlap."""
    return _admitted.date().delta(discharged_at.date(), unit="day")


def overlaps(
    _admitted: ir.TimestampValue,
    _discharged: ir.TimestampValue,
    admitted_at: ir.TimestampValue,
    discharged_at: ir.TimestampValue,
) -> ir.BooleanValue:
    """Whether the earlier claim's stay and this one's have time in common."""
    return (admitted_at < _discharged) & (_admitted < discharged_at)


def same_provider(_provider: ir.StringValue, provider_id: ir.StringValue) -> ir.BooleanValue:
    """Whether the same provider billed both."""
    return _provider == provider_id


def same_physician(_physician: ir.StringValue, physician_id: ir.StringValue) -> ir.BooleanValue:
    """Whether the same physician was in charge of both; false when one is not known."""
    return (_physician == physician_id).fill_null(False)


PAIR = (days_ago, gap_days, overlaps, same_provider, same_physician)
