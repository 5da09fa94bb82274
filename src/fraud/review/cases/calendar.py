"""Working days: weekends, public holidays, and the weekends that are worked in their place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files

__all__ = ["WorkingDays", "working_days"]

_SATURDAY = 5


@dataclass(frozen=True)
class WorkingDays:
    """Which days are worked. `years` are those whose holidays are known; in others Monday to Friday count."""

    off: frozenset[date] = frozenset()
    work: frozenset[date] = frozenset()
    years: frozenset[int] = field(default_factory=frozenset)

    def worked(self, day: date) -> bool:
        """Whether people work on that day."""
        return day in self.work or (day.weekday() < _SATURDAY and day not in self.off)

    def after(self, moment: datetime, days: int) -> datetime:
        """The same time of day, so many working days later.

        >>> working_days().after(datetime(2026, 9, 30, 15), 1)
        datetime.datetime(2026, 10, 8, 15, 0)
        """
        found, left = moment, days
        while left > 0:
            found += timedelta(days=1)
            left -= self.worked(found.date())
        return found

    def unknown(self, since: datetime, until: datetime) -> tuple[int, ...]:
        """The years from one moment to another whose holidays are not known here."""
        return tuple(y for y in range(since.year, until.year + 1) if y not in self.years)


@cache
def working_days() -> WorkingDays:
    """The working days of mainland China, of the years that `holidays.toml` knows."""
    text = files("fraud.review.cases").joinpath("holidays.toml").read_text("utf-8")
    years = tomllib.loads(text)
    return WorkingDays(
        _all(y["off"] for y in years.values()), _all(y["work"] for y in years.values()), frozenset(map(int, years))
    )


def _all(days: Iterable[Iterable[date]]) -> frozenset[date]:
    return frozenset(d for year in days for d in year)
