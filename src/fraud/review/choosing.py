"""Which cases fill the hours best: a knapsack with limits, exact for a usual week and bounded for a huge one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["Choice", "Limits", "choose"]

Method = Literal["exact", "greedy"]
# Beyond this many rows that could be in the best list, or nodes of the search, the list is made greedily. Nodes, not
# seconds: a busy machine must not change the list.
_MOST_EXACT, _MOST_NODES = 12_000, 500
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Limits:
    """The most rows of each group; `most` is one number for all groups, or one for each that has a limit.

    A row whose group is None is limited by nothing.
    """

    groups: Sequence[Hashable | None]
    most: int | Mapping[Any, int]

    def of(self, group: Hashable | None) -> int | None:
        """The most rows of a group; None: no limit."""
        if group is None:
            return None
        return self.most if isinstance(self.most, int) else self.most.get(group)


@dataclass(frozen=True)
class Choice:
    """Chosen rows by value per hour, highest first, what they are worth, and the most that any choice could be."""

    rows: tuple[int, ...]
    value: float
    bound: float
    method: Method


def choose(
    values: np.ndarray, hours: np.ndarray, capacity: float, limits: tuple[Limits, Limits], most: int = _MOST_EXACT
) -> Choice:
    """The rows worth most whose hours fit into `capacity`, with at most as many of each group as two limits say.

    Rows without a value are never chosen. Equal rows are chosen in their order. With more than `most` rows that
    matter the choice is greedy; its `bound` holds all the same.
    """
    useful = np.flatnonzero((values > 0) & (hours <= capacity + _TOLERANCE))
    order = useful[np.lexsort((useful, -(values / hours)[useful]))]
    kept = _that_matter(values, hours, capacity, limits, order)
    if not kept:
        return Choice((), 0.0, 0.0, "exact")
    program = _Program.of(values, hours, capacity, limits, kept)
    if len(kept) <= most and (best := program.best()) is not None:
        worth = float(values[best].sum())
        return Choice(tuple(best), worth, worth, "exact")
    greedy = _greedy(hours, capacity, limits, kept)
    return Choice(tuple(greedy), float(values[greedy].sum()), program.bound(), "greedy")


def _that_matter(
    values: np.ndarray, hours: np.ndarray, capacity: float, limits: tuple[Limits, Limits], order: np.ndarray
) -> list[int]:
    """Rows that a best choice can need, in order of value per hour.

    Rows of one first group with equal hours differ in their value and in their second group only. A best choice takes
    at most `own` of them, and others may block at most `all_places` of them through the second limit; so none lower
    than `own + all_places` is needed, once each second group has no more of them than its limit.
    """
    if not len(order):
        return []
    all_places = int(capacity / hours[order].min() + _TOLERANCE)
    of_class, of_cell, kept = Counter[Hashable](), Counter[Hashable](), []
    for i in order.tolist():
        first, second = limits[0].groups[i], limits[1].groups[i]
        kind, cell = (first, hours[i]), (first, hours[i], second)
        own = min(int(capacity / hours[i] + _TOLERANCE), _or_all(limits[0].of(first), all_places))
        if of_cell[cell] < _or_all(limits[1].of(second), len(order)) and of_class[kind] < own + all_places:
            of_cell[cell] += second is not None
            of_class[kind] += 1
            kept.append(i)
    return kept


def _or_all(limit: int | None, everything: int) -> int:
    return everything if limit is None else limit


def _greedy(hours: np.ndarray, capacity: float, limits: tuple[Limits, Limits], kept: Sequence[int]) -> list[int]:
    """Rows by value per hour, as long as they fit."""
    counts, left, chosen = (Counter[Hashable](), Counter[Hashable]()), capacity, []
    for i in kept:
        own = [(c, limit.groups[i], limit.of(limit.groups[i])) for c, limit in zip(counts, limits, strict=True)]
        if hours[i] <= left + _TOLERANCE and all(most is None or c[g] < most for c, g, most in own):
            for count, group, _ in own:
                count[group] += 1
            left -= hours[i]
            chosen.append(i)
    return chosen


@dataclass(frozen=True, eq=False)
class _Program:
    """The choice as a linear program: a row of `matrix` for the hours, and one for each limit that can bind."""

    kept: Sequence[int]
    values: np.ndarray
    matrix: Any
    most: np.ndarray

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        hours: np.ndarray,
        capacity: float,
        limits: tuple[Limits, Limits],
        kept: Sequence[int],
    ) -> _Program:
        """The program of the rows that matter."""
        from scipy.sparse import csr_array

        places = [(np.array(p), allowed) for limit in limits for p, allowed in _binding(limit, kept)]
        indices = np.concatenate([np.arange(len(kept)), *(p for p, _ in places)])
        entries = np.concatenate([hours[kept], *(np.ones(len(p)) for p, _ in places)])
        ends = np.cumsum([0, len(kept), *(len(p) for p, _ in places)])
        matrix = csr_array((entries, indices, ends), shape=(len(places) + 1, len(kept)))
        return cls(kept, values[kept], matrix, np.array([capacity, *(allowed for _, allowed in places)]))

    def best(self) -> list[int] | None:
        """The best rows by branch and bound (HiGHS); None when the search was not finished."""
        from scipy.optimize import LinearConstraint, milp

        found = milp(
            -self.values / self.values.max(),
            integrality=np.ones(len(self.kept)),
            bounds=(0, 1),
            constraints=LinearConstraint(self.matrix, ub=self.most),
            options={"mip_rel_gap": 1e-7, "node_limit": _MOST_NODES},
        )
        return [i for i, taken in zip(self.kept, found.x, strict=True) if taken > 0.5] if found.status == 0 else None

    def bound(self) -> float:
        """The most that any choice could be worth: what it would be if rows could be taken in part."""
        from scipy.optimize import linprog

        scale = self.values.max()
        found = linprog(-self.values / scale, A_ub=self.matrix, b_ub=self.most, bounds=(0, 1), method="highs")
        return float(-found.fun * scale)


def _binding(limit: Limits, kept: Sequence[int]) -> Iterator[tuple[list[int], int]]:
    """Places of the rows of each group that has more of them than its limit, and that limit."""
    members: dict[Hashable, list[int]] = {}
    for place, i in enumerate(kept):
        members.setdefault(limit.groups[i], []).append(place)
    for group, places in members.items():
        allowed = limit.of(group)
        if allowed is not None and len(places) > allowed:
            yield places, allowed
