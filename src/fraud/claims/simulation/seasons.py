"""The calendar: days of the week, hours of the day, holidays, seasons and waves of influenza."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fraud.claims.simulation.rows import HOUR, Array, draw

__all__ = ["CHRONIC", "EMERGENCY", "INPATIENT", "LONG_TERM", "OUTPATIENT", "PHARMACY_VISIT", "VISIT_TYPES"]
__all__ += ["after_holidays", "calendar", "clock", "day_of", "is_holiday", "wave"]

VISIT_TYPES = ("outpatient", "inpatient", "emergency", "pharmacy", "chronic", "long_term_care")
OUTPATIENT, INPATIENT, EMERGENCY, PHARMACY_VISIT, CHRONIC, LONG_TERM = range(6)

MONDAY = 4  # 1970-01-01 was a Thursday; day 4 was the first Monday
WEEK = {
    OUTPATIENT: [1.25, 1.1, 1.05, 1.05, 1.05, 0.8, 0.55],
    INPATIENT: [1.3, 1.15, 1.1, 1.05, 1.0, 0.65, 0.6],
    EMERGENCY: [1.0, 0.95, 0.95, 0.95, 1.0, 1.1, 1.15],
    PHARMACY_VISIT: [1.0, 0.95, 0.95, 0.95, 1.05, 1.15, 1.05],
    CHRONIC: [1.3, 1.15, 1.1, 1.05, 1.0, 0.55, 0.35],
    LONG_TERM: [1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.6],
}
# Chance of each hour of the day for the kinds of visit.
NIGHT_AND_MORNING = [1.2, 0.9, 0.7, 0.6, 0.6, 0.8, 1.2, 2, 3, 3, 3, 2.5]
NOON_TO_MIDNIGHT = [2.5, 2.5, 3, 3, 3, 3, 3.5, 4, 4, 3.5, 2.5, 1.8]
HOURS = {
    OUTPATIENT: [0] * 8 + [6, 8, 7, 4, 1, 3, 6, 5, 3, 1, 0.4, 0.3, 0.1, 0, 0, 0],
    INPATIENT: [0.2] * 8 + [5, 7, 6, 4, 2, 3, 5, 4, 3, 1.5, 1, 0.8, 0.6, 0.5, 0.4, 0.3],
    EMERGENCY: NIGHT_AND_MORNING + NOON_TO_MIDNIGHT,
    PHARMACY_VISIT: [0] * 8 + [4, 6, 6, 5, 3, 3, 4, 5, 5, 5, 6, 6, 4, 1, 0, 0],
    CHRONIC: [0] * 7 + [2, 8, 8, 6, 3, 1, 3, 5, 4, 2, 0.5] + [0] * 6,
    LONG_TERM: [0] * 7 + [1, 4, 6, 5, 2, 1, 2, 5, 5, 3, 1] + [0] * 6,
}
# New year, spring festival, labour day and national day, first and last days: desks are all but shut.
HOLIDAYS = (
    ("2022-12-31", "2023-01-02"), ("2023-01-21", "2023-01-27"), ("2023-04-29", "2023-05-03"),
    ("2023-09-29", "2023-10-06"), ("2023-12-30", "2024-01-01"), ("2024-02-10", "2024-02-17"),
    ("2024-05-01", "2024-05-05"), ("2024-10-01", "2024-10-07"), ("2025-01-01", "2025-01-01"),
    ("2025-01-28", "2025-02-04"), ("2025-05-01", "2025-05-05"), ("2025-10-01", "2025-10-08"),
    ("2026-01-01", "2026-01-03"), ("2026-02-15", "2026-02-23"), ("2026-05-01", "2026-05-05"),
    ("2026-10-01", "2026-10-07"),
)  # fmt: skip
QUIET = {EMERGENCY: 0.85, PHARMACY_VISIT: 0.85, LONG_TERM: 0.8}  # what is left on a holiday; of others less


def day_of(text: str) -> int:
    """Days since 1970 of a date.

    >>> day_of("1970-01-05")
    4
    """
    return int(np.datetime64(text, "D").astype(np.int64))


_SPANS = np.array([[day_of(first), day_of(last)] for first, last in HOLIDAYS])


def is_holiday(day: Array) -> Array:
    """Whether each day (since 1970) is a public holiday."""
    turn = np.searchsorted(_SPANS[:, 0], day, side="right") - 1
    return np.asarray((turn >= 0) & (day <= _SPANS[turn.clip(0), 1]))


def after_holidays(day: Array, rng: np.random.Generator) -> Array:
    """The same days; most of those on a public holiday are put off until the day after it."""
    turn = (np.searchsorted(_SPANS[:, 0], day, side="right") - 1).clip(0)
    put_off = is_holiday(day) & (rng.random(len(day)) < 0.75)
    return np.where(put_off, _SPANS[turn, 1] + 1 + rng.integers(0, 5, len(day)), day)


def calendar(start: int, days: int, kind: int, season: float = 0.0) -> Array:
    """Weight of each day for a kind of visit; `season` above zero peaks in January, below in July."""
    day = start + np.arange(days)
    weight: Array = np.array(WEEK[kind])[(day - MONDAY) % 7]
    weight = weight * (1 + season * np.cos(2 * np.pi * (day - 15) / 365.25))
    return np.asarray(np.where(is_holiday(day), weight * QUIET.get(kind, 0.3), weight))


def wave(start: int, days: int, waves: Sequence[Mapping[str, Any]]) -> Array:
    """How many times as many catch influenza on each day: up within two weeks of the first day, then down."""
    day = start + np.arange(days)
    more: Array = np.ones(days)
    for each in waves:
        middle, width = day_of(str(each["peak"])), 7 * each["weeks"] / 4
        more = more + (each["strength"] - 1) * np.exp(-0.5 * ((day - middle) / width) ** 2)
    return more


def clock(kind: int, n: int, rng: np.random.Generator) -> Array:
    """`n` times of day in seconds."""
    return np.asarray(draw(rng, np.array(HOURS[kind]), n) * HOUR + rng.integers(0, HOUR, n))
