"""Small expressions that many signals need, safe on every engine."""

from __future__ import annotations

import ibis.expr.types as ir

__all__ = ["days_between", "ratio", "share"]


def ratio(part: ir.NumericValue, whole: ir.NumericValue) -> ir.NumericValue:
    """Part / whole; null, and so the signal's default, where the whole is 0.

    Engines disagree on a division by zero (infinity, null or an error), so signals never divide by hand.
    """
    return part.cast("float64") / whole.cast("float64").nullif(0.0)


def share(condition: ir.BooleanValue) -> ir.NumericValue:
    """Share of the rows on which a condition holds; rows on which it is not known count as not."""
    return condition.fill_null(False).mean()


def days_between(later: ir.Value, earlier: ir.Value) -> ir.IntegerValue:
    """Whole days from one time or date to another."""
    return _day(later).delta(_day(earlier), unit="day")


def _day(value: ir.Value) -> ir.DateValue:
    return value.date() if value.type().is_timestamp() else value
