"""Whether anybody is flagged more than others without cause: by region, level, age, sex and so on.

The question is asked of those who were looked at and *cleared*: how often had they been flagged? A part of the
population with more fraud has more flags among its cleared, too, when a score is right on average. So a part is
called *flagged without cause* only when both hold beyond chance: its cleared are flagged more often than those of
the rest, and its probabilities are too high for what was found, by more than those of the rest. Flagged more
without that is *in line with what was found*.

Chance is judged by groups (claims of one provider stand or fall together), and over all parts of all segments at
once by Holm's method, so that looking at many parts does not find one.
Source: Holm, "A simple sequentially rejective multiple test procedure" (1979); for the linearised variance of a
share over groups: Cochran, "Sampling Techniques" (1977), chapter 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fraud.learning.metrics import wilson_of

__all__ = ["Audit", "Audited", "Part", "audit", "holm"]

# Parts with fewer cleared rows or fewer groups than these are not judged.
MIN_CLEARED = 30
MIN_GROUPS = 5
# Beyond this many values a segment is a list of names; the largest are kept.
_MOST_PARTS = 12
_LEVEL = 0.05
# Relative to the rest, a smaller excess would not be called unfair however certain it is.
_RATIO = 1.25


@dataclass(frozen=True, eq=False)
class Audited:
    """The rows of an audit: `flagged` is 0 to 1 (a place on a list may be shared), `labels` NaN where not decided."""

    flagged: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    groups: np.ndarray
    segments: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Part:
    """One part of a segment: how often it is flagged, and how right that is.

    `cleared_rate` is the share of the cleared that had been flagged (the rate of false alarms), with Wilson
    bounds, `rest_rate` that of everybody else; `precision` the share of the flagged and decided that was found at
    fault. `p` is the chance of such a difference if there were none, after Holm. `verdict` is `without_cause`,
    `in_line`, `no_sign` or `too_few`.
    """

    segment: str
    value: str
    rows: int
    flag_rate: float
    cleared: int
    groups: int
    cleared_rate: float
    cleared_low: float
    cleared_high: float
    rest_rate: float
    precision: float
    precision_low: float
    precision_high: float
    decided: int
    predicted: float
    found: float
    overestimated: bool
    p: float
    verdict: str


@dataclass(frozen=True)
class Audit:
    """Every part that was looked at, and the segments for which nothing is known."""

    parts: tuple[Part, ...]
    unknown: tuple[str, ...]

    @property
    def without_cause(self) -> tuple[Part, ...]:
        """Parts whose cleared are flagged more often than others', without cause."""
        return tuple(p for p in self.parts if p.verdict == "without_cause")

    def verdict_of(self, segment: str) -> str:
        """The gravest verdict among the parts of a segment."""
        found = {p.verdict for p in self.parts if p.segment == segment}
        return next((v for v in ("without_cause", "in_line", "no_sign", "too_few") if v in found), "too_few")

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments with parts, in order."""
        return tuple(dict.fromkeys(p.segment for p in self.parts))

    def as_dict(self) -> dict[str, Any]:
        """The audit as JSON types."""
        verdicts = {s: self.verdict_of(s) for s in self.segments}
        return {"verdicts": verdicts, "parts": [asdict(p) for p in self.parts], "unknown": list(self.unknown)}


def audit(rows: Audited, min_cleared: int = MIN_CLEARED) -> Audit:
    """The audit of all segments, with one correction for all comparisons."""
    parts, unknown = [], []
    for name, values in rows.segments.items():
        chosen = _values(values)
        if len(chosen) < 2:
            unknown.append(name)
            continue
        parts += [_part(rows, name, value, values, min_cleared) for value in chosen]
    judged = [i for i, p in enumerate(parts) if np.isfinite(p.p)]
    corrected = holm([parts[i].p for i in judged])
    for i, p in zip(judged, corrected, strict=True):
        parts[i] = replace(parts[i], p=p, verdict=_verdict(parts[i], p))
    return Audit(tuple(parts), tuple(unknown))


def holm(chances: Sequence[float]) -> list[float]:
    """Chances that hold for all comparisons together.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(chances, kind="stable")
    found, largest = [1.0] * len(chances), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[i]))
        found[i] = largest
    return found


def _values(values: np.ndarray) -> list[Any]:
    """The values of a segment, the most frequent first; rows without one take no part."""
    known = values[[v is not None for v in values]]
    found, counts = np.unique(known.astype(str), return_counts=True)
    order = np.lexsort((found, -counts))[:_MOST_PARTS]
    return [str(v) for v in found[order]]


def _part(rows: Audited, segment: str, value: str, values: np.ndarray, min_cleared: int) -> Part:
    has = np.array([v is not None for v in values])
    own = has & (values.astype(str) == value)
    cleared = rows.labels == 0
    mine, rest = own & cleared, has & ~own & cleared
    decided = own & np.isfinite(rows.labels)
    hits = rows.flagged * decided
    n_mine, groups = int(mine.sum()), len(np.unique(rows.groups[mine].astype(str)))
    enough = min(n_mine, int(rest.sum())) >= min_cleared and groups >= MIN_GROUPS
    rate, flagged = _mean(rows.flagged, mine), float(hits.sum())
    precision = float((hits * np.nan_to_num(rows.labels)).sum() / flagged) if flagged else float("nan")
    low, high = wilson_of(rate, n_mine) if n_mine else (0.0, 1.0)
    precise_low, precise_high = wilson_of(precision, flagged) if flagged else (0.0, 1.0)
    return Part(
        segment=segment,
        value=value,
        rows=int(own.sum()),
        flag_rate=_mean(rows.flagged, own),
        cleared=n_mine,
        groups=groups,
        cleared_rate=rate,
        cleared_low=low,
        cleared_high=high,
        rest_rate=_mean(rows.flagged, rest),
        precision=precision,
        precision_low=precise_low,
        precision_high=precise_high,
        decided=int(decided.sum()),
        predicted=_mean(rows.probabilities, decided),
        found=_mean(np.nan_to_num(rows.labels), decided),
        overestimated=enough and _overestimated(rows, own, has & ~own),
        p=_chance(rows.flagged, mine, rest, rows.groups) if enough else float("nan"),
        verdict="too_few",
    )


def _mean(values: np.ndarray, rows: np.ndarray) -> float:
    return float(values[rows].mean()) if rows.any() else float("nan")


def _verdict(part: Part, p: float) -> str:
    more = p < _LEVEL and part.cleared_rate > _RATIO * part.rest_rate
    return "no_sign" if not more else ("without_cause" if part.overestimated else "in_line")


def _chance(values: np.ndarray, mine: np.ndarray, rest: np.ndarray, groups: np.ndarray) -> float:
    """Chance of a mean so much higher among `mine` than among `rest`, one-sided, rows of a group being one."""
    means = _mean(values, mine), _mean(values, rest)
    influence = np.zeros(len(values))
    influence[mine] = (values[mine] - means[0]) / mine.sum()
    influence[rest] = -(values[rest] - means[1]) / rest.sum()
    smaller = min(len(np.unique(groups[part].astype(str))) for part in (mine, rest))
    return _tail(means[0] - means[1], _spread(influence, mine | rest, groups), smaller - 1)


def _overestimated(rows: Audited, own: np.ndarray, others: np.ndarray) -> bool:
    """Whether probabilities are too high for what was found, by more than those of others and beyond chance."""
    decided = np.isfinite(rows.labels)
    excess = rows.probabilities - np.nan_to_num(rows.labels)
    return _chance(excess, own & decided, others & decided, rows.groups) < _LEVEL


def _spread(influence: np.ndarray, used: np.ndarray, groups: np.ndarray) -> float:
    """Standard error of a share from what each group contributes to it."""
    _, member = np.unique(groups[used].astype(str), return_inverse=True)
    sums = np.bincount(member, influence[used])
    count = len(sums)
    return float(np.sqrt((sums**2).sum() * count / max(count - 1, 1)))


def _tail(excess: float, spread: float, freedom: int) -> float:
    """One-sided chance of an excess under Student's distribution."""
    from scipy.stats import t

    if spread == 0:
        return 1.0 if excess <= 0 else 0.0
    return float(t.sf(excess / spread, max(freedom, 1)))
