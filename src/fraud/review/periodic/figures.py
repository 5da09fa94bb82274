"""The key figures of a period (precision, time to close, errors, speed, satisfaction), and shares with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from fraud.review.periodic.reading import CaseFigures, Judged, Record
from fraud.signals.backtest import wilson

__all__ = ["KeyFigures", "Share", "flagged_share", "key_figures", "precision_of", "share_of"]

_SECONDS_TO_ACT = {"urgent": 3_600, "important": 86_400, "normal": 172_800}


@dataclass(frozen=True)
class Share:
    """`hits` of `n`, with the 95 % Wilson interval; nothing is known where n is 0."""

    hits: int
    n: int
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float | None:
        """The share itself."""
        return self.hits / self.n if self.n else None


def share_of(hits: int, n: int) -> Share:
    """A share with its interval.

    >>> share_of(0, 0).value is None
    True
    """
    return Share(hits, n, *wilson(hits, n)) if n else Share(hits, n)


def precision_of(decided: Iterable[CaseFigures]) -> Share:
    """Of the cases that somebody flagged and two people decided, the share that is a violation.

    Random cases are no alerts; what needs more evidence is not decided.
    """
    flagged = [c for c in decided if c.selected_by != "random" and (c.confirmed or c.unfounded)]
    return share_of(sum(c.confirmed for c in flagged), len(flagged))


@dataclass(frozen=True)
class KeyFigures:
    """The figures by which the work is judged; None where nothing is known. Times: days, and milliseconds."""

    precision: Share
    days_to_decision: float | None
    acted_in_time: Share
    errors: Share
    milliseconds: float | None
    slowest_hundredth: float | None
    satisfaction: float | None
    rating: float | None
    appealed: Share


def key_figures(record: Record) -> KeyFigures:
    """The key figures of a period."""
    days = [d for c in record.decided if (d := c.days_to_decision) is not None]
    satisfied = [c.satisfaction for c in record.decided if c.satisfaction is not None]
    times = [j.milliseconds for j in record.judged]
    appealed = sum(c.appealed_at is not None for c in record.decided)
    return KeyFigures(
        precision=precision_of(record.decided),
        days_to_decision=median(days) if days else None,
        acted_in_time=_acted_in_time(record.opened),
        errors=share_of(sum(bool(j.degraded) for j in record.judged), len(record.judged)),
        milliseconds=median(times) if times else None,
        slowest_hundredth=_slowest(times),
        satisfaction=sum(satisfied) / len(satisfied) if satisfied else None,
        rating=sum(record.ratings) / len(record.ratings) if record.ratings else None,
        appealed=share_of(appealed, len(record.decided)),
    )


def _slowest(times: Sequence[float]) -> float | None:
    """The 99th percentile; the largest of fewer than a hundred."""
    if len(times) < 100:
        return max(times, default=None)
    return quantiles(times, n=100)[98]


def _acted_in_time(opened: Iterable[CaseFigures]) -> Share:
    """Cases on which somebody acted within the time of their priority, of those on which somebody did."""
    acted = [c for c in opened if c.first_action_at is not None]
    in_time = sum(_seconds(c) <= _SECONDS_TO_ACT.get(c.priority, 0) for c in acted)
    return share_of(in_time, len(acted))


def _seconds(case: CaseFigures) -> float:
    assert case.first_action_at is not None
    return (case.first_action_at - case.opened_at).total_seconds()


def flagged_share(judged: Sequence[Judged]) -> Share:
    """The share of claims that somebody was asked to look at."""
    return share_of(sum(j.flagged for j in judged), len(judged))
