"""The payer's own staff: who handles a claim, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fraud.claims.simulation.rows import DAY, HOUR, Array, pick

__all__ = ["Operators", "office_time", "operators"]

OPENS, CLOSES = 9 * HOUR, 17 * HOUR


@dataclass(frozen=True)
class Operators:
    """One entry for each member of the staff; `roster` says for each weekday from Monday whether one works."""

    region: Array
    roster: Array

    def __len__(self) -> int:
        """Number of members of the staff."""
        return len(self.region)

    @cached_property
    def _desks(self) -> tuple[Array, Array]:
        who, weekday = np.nonzero(self.roster)
        key = self.region[who] * 7 + weekday
        order = np.argsort(key, kind="stable")
        return who[order], key[order]

    def on_duty(self, region: Array, at: Array, rng: np.random.Generator) -> Array:
        """One of the staff of each region who works on that weekday."""
        who, keys = self._desks
        found = pick(rng, keys, region * 7 + (np.asarray(at) // DAY + 3) % 7)
        return np.where(found >= 0, who[found.clip(0)], region)


def operators(count: int, regions: int) -> Operators:
    """About `count` in all regions; each region has one for every weekday, and one at weekends."""
    each = max(2, round(count / regions))
    turn = np.tile(np.arange(each), regions)
    roster = np.ones((len(turn), 7), bool)
    roster[:, 5:] = False
    # One of each region works from Wednesday to Sunday.
    roster[turn == 0] = [False, False, True, True, True, True, True]
    return Operators(np.repeat(np.arange(regions), each), roster)


def office_time(at: Array, is_holiday: Callable[[Array], Array], rng: np.random.Generator) -> Array:
    """The same days, or the next working ones, at a time between nine and five."""
    day = np.asarray(at) // DAY
    for _ in range(12):
        shut = ((day + 3) % 7 >= 5) | is_holiday(day)
        day = np.where(shut, day + 1, day)
    return np.asarray(day * DAY + OPENS + rng.integers(0, CLOSES - OPENS, len(day)))
