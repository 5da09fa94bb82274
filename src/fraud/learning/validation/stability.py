"""How much a list changes from one month to the next, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Move", "Ranking", "compare", "spearman"]


@dataclass(frozen=True)
class Ranking:
    """Scores by id on one day, and the ids whose outcome was known by then: they are on no list."""

    day: str
    scores: Mapping[str, float]
    known: frozenset[str] = frozenset()

    def top(self, k: int) -> tuple[str, ...]:
        """The k highest scores among those whose outcome is not known; of equals the lower id."""
        open_ids = [i for i in self.scores if i not in self.known]
        return tuple(sorted(open_ids, key=lambda i: (-self.scores[i], i))[:k])


@dataclass(frozen=True)
class Move:
    """What became of the list of one day on the next.

    `spearman` is over all that are ranked on both days. Of `k` on the first list, `stayed` are on the second;
    of those that left, `decided` have an outcome by then, `gone` have no row any more, and `fell` were passed by
    others. `came` counts newcomers that had no row before, `rose` those that had.
    """

    before: str
    after: str
    ranked: int
    spearman: float
    k: int
    stayed: int
    decided: int
    gone: int
    fell: int
    came: int
    rose: int

    @property
    def overlap(self) -> float:
        """Share of the first list that is on the second, of those that could be."""
        able = self.k - self.decided - self.gone
        return self.stayed / able if able else float("nan")

    def as_dict(self) -> dict[str, Any]:
        """The move as JSON types."""
        return asdict(self) | {"overlap": self.overlap}


def compare(before: Ranking, after: Ranking, k: int) -> Move:
    """The list of one day beside that of the next."""
    both = sorted(before.scores.keys() & after.scores.keys())
    first, second = before.top(k), after.top(k)
    left, new = set(first) - set(second), set(second) - set(first)
    decided = {i for i in left if i in after.known}
    gone = {i for i in left - decided if i not in after.scores}
    came = {i for i in new if i not in before.scores}
    return Move(
        before=before.day,
        after=after.day,
        ranked=len(both),
        spearman=spearman([before.scores[i] for i in both], [after.scores[i] for i in both]),
        k=len(first),
        stayed=len(set(first) & set(second)),
        decided=len(decided),
        gone=len(gone),
        fell=len(left - decided - gone),
        came=len(came),
        rose=len(new - came),
    )


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Correlation of the ranks, ties at their mean rank; NaN where one side has a single rank.

    >>> round(spearman([1, 2, 3, 4], [1, 2, 4, 3]), 3)
    0.8
    """
    if len(first) < 2:
        return float("nan")
    a, b = _ranks(np.asarray(first, dtype=float)), _ranks(np.asarray(second, dtype=float))
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / spread) if spread else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])
