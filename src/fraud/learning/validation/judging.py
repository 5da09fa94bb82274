"""Figures of a test period: the reviewers' lists are made of all rows, and judged by the rows that were decided.

Two readings stand side by side. *Decided rows* are what investigators looked at: they choose where they look, so
these figures flatter whoever thinks as they do. *Corrected* figures weigh each decided row by one over its chance
of having been looked at, so that the decided rows stand for all rows; they lean on few rows, and on that chance
being right: what investigators knew beyond the features (a tip) it does not know. `effective` says how many rows the
weights are worth (Kish).

A probability speaks of everybody, and how many of those that nobody looked at are at fault cannot be read off the
others. What can be tested is whether twice the odds means twice the odds. So calibration is measured after moving all
log-odds by one constant, to the share that was found; the level is reported beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fraud.learning.metrics import (
    METRICS,
    brier,
    calibration_error,
    calibration_of,
    ends_of_ties,
    ranked_precision,
    roc_auc,
    share_of_list,
)
from fraud.learning.validation.bootstrap import Interval, interval_of, paired_difference

if TYPE_CHECKING:
    from fraud.learning.validation.baselines import Scored

__all__ = ["BANDS", "Judgement", "Period", "bands", "judge", "months", "moved", "pool", "weekly_lists"]
# Lower edges of the bands of probability in a table of calibration.
BANDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
# A list that holds nearly everybody would be as precise as a blind draw.
_LONGEST_LIST = 5
# With fewer positives in a period, its average precision is noise and takes no part in the mean.
_FEWEST_POSITIVES = 2
_MOST_LOG_ODDS = 30.0


@dataclass(frozen=True, eq=False)
class Period:
    """All rows of one test period, decided or not; arrays run over the rows.

    `labels` is 1, 0 or NaN (not decided), `money` what is recovered where the label is 1, `amounts` what the fund
    paid, `chance` the estimated chance of having been investigated (None: not estimated). `known` marks rows whose
    group was fitted on.
    """

    start: datetime
    until: datetime
    ids: np.ndarray
    happened_at: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    amounts: np.ndarray
    money: np.ndarray
    known: np.ndarray
    segments: Mapping[str, np.ndarray]
    chance: np.ndarray | None = None

    @cached_property
    def decided(self) -> np.ndarray:
        """Positions of the rows with a label."""
        return np.flatnonzero(np.isfinite(self.labels))

    @property
    def weights(self) -> np.ndarray | None:
        """One over the chance of having been looked at, of the decided rows."""
        return None if self.chance is None else np.asarray(1.0 / self.chance[self.decided])

    @property
    def weeks(self) -> int:
        """Whole weeks of the period, at least one."""
        return max(1, (self.until - self.start).days // 7)

    @cached_property
    def one_day(self) -> bool:
        """Whether all rows are of the same day, as snapshots are."""
        return len(np.unique(self.happened_at.astype("datetime64[D]"))) <= 1


@dataclass(frozen=True, eq=False)
class _Ranked:
    """Rows of one period from the highest score down; `ends` are where scores change."""

    rows: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    ends: np.ndarray
    positives: float

    def precision(self, weights: np.ndarray) -> float:
        return float(ranked_precision(self.labels, weights[None, :], self.ends)[0])

    def auc(self, weights: np.ndarray) -> float:
        return roc_auc(self.labels, self.scores, weights)


@dataclass(frozen=True, eq=False)
class Judgement:
    """The decided rows of one or several periods with one contender's scores, lists and flags.

    `listed` is each row's chance of a place on a reviewers' list, `by_recovery` the same for lists ranked by
    expected recovery, `flagged` of being among the 1 % highest scores. `period` numbers the test periods.
    """

    labels: np.ndarray
    scores: np.ndarray
    probabilities: np.ndarray
    money: np.ndarray
    listed: np.ndarray
    by_recovery: np.ndarray
    flagged: np.ndarray
    groups: np.ndarray
    months: np.ndarray
    period: np.ndarray
    weights: np.ndarray

    @property
    def effective(self) -> float:
        """How many rows of equal weight the rows are worth."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum()) if len(self.weights) else 0.0

    def figures(self, drawn: np.ndarray | None = None) -> dict[str, float]:
        """Every metric of `METRICS`; `drawn` says how often each row counts."""
        return {name: self.figure(name, drawn) for name in METRICS}

    def figure(self, name: str, drawn: np.ndarray | None = None) -> float:
        """One metric, with the rows counted as often as `drawn` says."""
        w = self.weights if drawn is None else self.weights * drawn
        found = w * self.labels
        if name == "precision_at_k":
            return _ratio((self.listed * found).sum(), (self.listed * w).sum())
        if name == "money_at_k":
            return float((self.listed * found * self.money).sum())
        if name in ("money_share_at_k", "recovery_share_at_k"):
            if name == "recovery_share_at_k" and not np.isfinite(self.probabilities).all():
                return float("nan")
            listed = self.listed if name == "money_share_at_k" else self.by_recovery
            return _ratio((listed * found * self.money).sum(), (found * self.money).sum())
        if name == "recall_at_1pct":
            return _ratio((self.flagged * found).sum(), found.sum())
        if name in ("average_precision", "roc_auc"):
            return self._over_periods(name, w)
        measure = brier if name == "brier" else calibration_error
        known = w.sum() > 0 and np.isfinite(self.probabilities).all()
        return measure(self.labels, self.probabilities, w) if known else float("nan")

    def _over_periods(self, name: str, w: np.ndarray) -> float:
        """Mean over periods, which have models and so scores of their own, by the number of positives."""
        values, sizes = [], []
        for ranked in self._ranked:
            weights = w[ranked.rows]
            if ranked.positives >= _FEWEST_POSITIVES and (weights * ranked.labels).sum() > 0:
                values.append(ranked.precision(weights) if name == "average_precision" else ranked.auc(weights))
                sizes.append(ranked.positives)
        known = np.isfinite(values)
        return float(np.average(np.array(values)[known], weights=np.array(sizes)[known])) if known.any() else np.nan

    @cached_property
    def _ranked(self) -> list[_Ranked]:
        """The rows of each period from the highest score down, sorted once for all draws."""
        order = np.argsort(-self.scores, kind="stable")
        return [self._ranking(order[self.period[order] == p]) for p in np.unique(self.period)]

    def _ranking(self, rows: np.ndarray) -> _Ranked:
        labels = self.labels[rows]
        return _Ranked(rows, labels, self.scores[rows], ends_of_ties(self.scores[rows]), float(labels.sum()))

    @cached_property
    def level(self) -> float:
        """What must be added to all log-odds, so that as many are predicted as were found."""
        if not np.isfinite(self.probabilities).all() or not 0 < (self.weights * self.labels).sum() < self.weights.sum():
            return 0.0
        found, odds = float(np.average(self.labels, weights=self.weights)), _log_odds(self.probabilities)
        low, high = -_MOST_LOG_ODDS, _MOST_LOG_ODDS
        for _ in range(60):
            middle = (low + high) / 2
            predicted = np.average(_share(odds + middle), weights=self.weights)
            low, high = (middle, high) if predicted < found else (low, middle)
        return (low + high) / 2

    def moved(self, level: float) -> Judgement:
        """The same with `level` added to all log-odds."""
        return replace(self, probabilities=moved(self.probabilities, level))

    def interval(self, name: str, seed: int) -> Interval:
        """A metric with its bootstrap bounds over groups."""
        if (name, seed) not in self._intervals:
            self._intervals[name, seed] = interval_of(lambda drawn: self.figure(name, drawn), self.groups, seed)
        return self._intervals[name, seed]

    @cached_property
    def _intervals(self) -> dict[tuple[str, int], Interval]:
        """Bounds that were drawn before."""
        return {}

    def gain_over(self, other: Judgement, name: str, seed: int) -> Interval:
        """How much larger a metric is than another contender's on the same rows, with bounds."""
        return paired_difference(
            lambda drawn: self.figure(name, drawn), lambda drawn: other.figure(name, drawn), self.groups, seed
        )


def moved(probabilities: np.ndarray, level: float) -> np.ndarray:
    """Probabilities with `level` added to their log-odds."""
    return _share(_log_odds(probabilities) + level) if level else probabilities


def _share(log_odds: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)))


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    odds = np.log(np.maximum(probabilities, 1e-12)) - np.log(np.maximum(1.0 - probabilities, 1e-12))
    return np.asarray(np.clip(odds, -_MOST_LOG_ODDS, _MOST_LOG_ODDS))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def judge(period: Period, scored: Scored, per_week: int, number: int = 0, corrected: bool = False) -> Judgement:
    """One contender's figures in one period: lists and flags among all rows, judged by the decided ones."""
    at = period.decided
    listed = weekly_lists(scored.scores, period, per_week)
    by_recovery = weekly_lists(scored.probabilities * period.amounts, period, per_week)
    flagged = share_of_list(scored.scores, max(1, round(0.01 * len(scored.scores))))
    weights = period.weights if corrected else np.ones(len(at))
    if weights is None:
        raise ValueError("the chance of having been investigated was not estimated")
    return Judgement(
        labels=period.labels[at],
        scores=scored.scores[at],
        probabilities=scored.probabilities[at],
        money=period.money[at],
        listed=listed[at],
        by_recovery=by_recovery[at],
        flagged=flagged[at],
        groups=period.groups[at],
        months=period.happened_at[at].astype("datetime64[M]"),
        period=np.full(len(at), number),
        weights=weights,
    )


def pool(judgements: Sequence[Judgement]) -> Judgement:
    """The judgements of several periods as one."""
    names = Judgement.__dataclass_fields__
    return Judgement(**{name: np.concatenate([getattr(j, name) for j in judgements]) for name in names})


def weekly_lists(scores: np.ndarray, period: Period, per_week: int) -> np.ndarray:
    """Each row's chance of a place on the list of its week, which is never longer than a fifth of its rows.

    Claims come in every week, and each week has a list of its own. The rows of patients, providers and physicians
    are all of one day; they share a list as long as all weeks of the period together.
    """
    # A score that is not known is no reason to look.
    ranked = np.nan_to_num(scores, nan=-np.inf)
    if period.one_day:
        return _list(ranked, per_week * period.weeks)
    week = (period.happened_at - np.datetime64(period.start)).astype("timedelta64[D]").astype(int) // 7
    listed = np.zeros(len(ranked))
    for number in np.unique(week):
        rows = np.flatnonzero(week == number)
        listed[rows] = _list(ranked[rows], per_week)
    return listed


def _list(scores: np.ndarray, length: int) -> np.ndarray:
    return share_of_list(scores, max(1, min(length, len(scores) // _LONGEST_LIST)))


# --- calibration ---------------------------------------------------------------------------------------


def bands(found: Judgement) -> list[dict[str, float]]:
    """Predicted and found share by band of probability, with how many rows stand in each."""
    band = np.searchsorted(BANDS, found.probabilities, side="right") - 1
    edges = [*BANDS, 1.0]
    return [{"from": edges[b], "to": edges[b + 1], **_calibration(found, band == b)} for b in np.unique(band)]


def months(found: Judgement) -> list[dict[str, Any]]:
    """Predicted and found share by the month in which the rows happened."""
    return [{"month": str(m), **_calibration(found, found.months == m)} for m in np.unique(found.months)]


def _calibration(found: Judgement, rows: np.ndarray) -> Mapping[str, float]:
    return calibration_of(found.labels[rows], found.probabilities[rows], found.weights[rows])
