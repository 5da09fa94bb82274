"""Months, quarters and years."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from fraud.errors import InputError

__all__ = ["Period", "month_of", "quarter_of", "year_until"]

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_QUARTER = re.compile(r"(\d{4})-[Qq]([1-4])")


@dataclass(frozen=True)
class Period:
    """From a moment to before another; `name` is how people write it."""

    name: str
    start: datetime
    end: datetime


def month_of(text: str) -> Period:
    """The month that is written `2026-03`; raises `InputError` for anything else.

    >>> month_of("2026-12").end
    datetime.datetime(2027, 1, 1, 0, 0)
    """
    found = _MONTH.fullmatch(text.strip())
    if found is None:
        raise InputError(f"A month is written YYYY-MM, as 2026-03, not {text[:20]!r}.")
    return _months(text.strip(), int(found[1]), int(found[2]), 1)


def quarter_of(text: str) -> Period:
    """The quarter that is written `2026-Q1`; raises `InputError` for anything else.

    >>> quarter_of("2026-q4").start
    datetime.datetime(2026, 10, 1, 0, 0)
    """
    found = _QUARTER.fullmatch(text.strip())
    if found is None:
        raise InputError(f"A quarter is written YYYY-Qn, as 2026-Q1, not {text[:20]!r}.")
    return _months(text.strip().upper(), int(found[1]), 3 * int(found[2]) - 2, 3)


def year_until(text: str) -> Period:
    """The twelve months that end with the month that is written `2026-03`.

    >>> year_until("2026-03").start
    datetime.datetime(2025, 4, 1, 0, 0)
    """
    last = month_of(text)
    start = _months("", last.start.year - 1, last.start.month, 1).end
    return Period(f"{start:%Y-%m} – {last.name}", start, last.end)


def _months(name: str, year: int, month: int, count: int) -> Period:
    after = month - 1 + count
    return Period(name, datetime(year, month, 1), datetime(year + after // 12, after % 12 + 1, 1))
