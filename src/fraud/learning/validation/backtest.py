"""What a model would have done: fitted again and again on what was known, and judged by what came after.

At each cut the model and its rivals are fitted on what had been *decided* before it, and score what *happened*
after it, up to the next cut. Nothing of the later time takes part: neither in the fit, nor in the calibration, nor
in the choice of the best single feature.

Beside the model as it would have run stands `apart`: the same period scored by models that have never seen the
group (provider or patient) of a row. What the model gains over it, it owes to having met the group before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from fraud.learning.datasets.propensity import Treated
from fraud.learning.spec import ModelSpec
from fraud.learning.validation import fairness, gates, judging, stability
from fraud.learning.validation.ablation import ABLATIONS
from fraud.learning.validation.baselines import Scored
from fraud.learning.validation.bootstrap import Interval
from fraud.learning.validation.curve import LearningCurve, Point, fit_curve
from fraud.learning.validation.evaluation import CONTENDERS, MODEL
from fraud.learning.validation.judging import Judgement, Period

__all__ = ["APART", "OLDER", "Backtest", "Cut"]

APART, OLDER = "apart", "older"
# A provider's mean over fewer claims of a month than this is chance.
_CLAIMS_OF_A_GROUP = 5


@dataclass(frozen=True, eq=False)
class Cut:
    """One cut: what was fitted on, the period after it, and what every contender made of it.

    `scored` has the contenders, `apart`, `older` (the model of the cut before) and the ablations; `curve` the scores
    after fitting on a share of the labels, with how many those were. `decided` are the ids whose outcome was known.
    `singles` are features with their AUC alone in the period.
    """

    at: datetime
    until: datetime
    fitted: int
    labels: int
    positives: int
    period: Period
    scored: Mapping[str, Scored]
    curve: Mapping[float, tuple[int, Scored]]
    decided: frozenset[str]
    singles: Mapping[str, float]

    @property
    def known_groups(self) -> float:
        """Share of the rows whose group was fitted on, too."""
        return float(self.period.known.mean())

    def judged(self, name: str, per_week: int, number: int = 0, corrected: bool = False) -> Judgement:
        """The figures of a contender in this period."""
        return judging.judge(self.period, self.scored[name], per_week, number, corrected)


@dataclass(frozen=True, eq=False)
class Backtest:
    """All cuts of a backtest; `left_out` says which could not be judged and why, `absent` which ablations.

    `treatments` are the ways to use rows that nobody looked at, compared on what was known at the last cut; empty
    where everybody was looked at, or where it was not asked for.
    """

    spec: ModelSpec
    cuts: tuple[Cut, ...]
    left_out: tuple[str, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)
    data_digest: str = ""
    catalogue_digest: str = ""
    treatments: tuple[Treated, ...] = ()

    @property
    def per_week(self) -> int:
        """What the reviewers can look at in a week."""
        return self.spec.capacity.reviews_per_week

    @property
    def contenders(self) -> tuple[str, ...]:
        """The model and what it is compared with, in the order of a table."""
        return (*CONTENDERS, APART, *([OLDER] if self._with(OLDER) else ()))

    @property
    def ablations(self) -> tuple[str, ...]:
        """The ablations that were made, in the order of a report."""
        return tuple(a for a in ABLATIONS if all(a in c.scored for c in self.cuts))

    def _with(self, name: str) -> list[tuple[int, Cut]]:
        return [(i, c) for i, c in enumerate(self.cuts) if name in c.scored]

    def pooled(self, name: str = MODEL, corrected: bool = False) -> Judgement:
        """The figures of a contender over all cuts that have it."""
        if (name, corrected) not in self._pools:
            found = judging.pool([c.judged(name, self.per_week, i, corrected) for i, c in self._with(name)])
            self._pools[name, corrected] = found.moved(found.level)
        return self._pools[name, corrected]

    @cached_property
    def _pools(self) -> dict[tuple[str, bool], Judgement]:
        """Figures that were pooled before: a report asks for them again and again."""
        return {}

    @property
    def model(self) -> Judgement:
        """The model over all cuts, by the decided rows."""
        return self.pooled()

    @property
    def everybody(self) -> Judgement:
        """The model over all cuts, corrected for where investigators looked."""
        return self.pooled(corrected=True)

    @cached_property
    def level(self) -> dict[str, float]:
        """Share at fault: among the decided rows, corrected, and among all rows as the model takes it.

        `moved` is what was added to the model's log-odds to measure its calibration on decided rows.
        """
        judged = [c.judged(MODEL, self.per_week, i) for i, c in enumerate(self.cuts)]
        predicted = np.concatenate([c.scored[MODEL].probabilities for c in self.cuts])
        found, everybody = self.model, self.everybody
        return {
            "decided": float(found.labels.mean()),
            "corrected": float(np.average(everybody.labels, weights=everybody.weights)),
            "predicted": float(predicted.mean()),
            "moved": judging.pool(judged).level,
        }

    def judged(self, number: int) -> Judgement:
        """The model's figures after one cut, at the level of all cuts."""
        return self.cuts[number].judged(MODEL, self.per_week, number).moved(self.level["moved"])

    @cached_property
    def listed(self) -> tuple[float, float]:
        """How many rows were on the model's lists over all cuts, and how many of them were decided."""
        lists = [judging.weekly_lists(c.scored[MODEL].scores, c.period, self.per_week) for c in self.cuts]
        decided = [found[c.period.decided].sum() for found, c in zip(lists, self.cuts, strict=True)]
        return float(sum(found.sum() for found in lists)), float(sum(decided))

    def gain(self, name: str, metric: str) -> Interval:
        """How much better the model is than a contender on the cuts that both have, with paired bounds."""
        key = name, metric
        if key not in self._gains:
            own = judging.pool([c.judged(MODEL, self.per_week, i) for i, c in self._with(name)])
            self._gains[key] = own.gain_over(self.pooled(name), metric, self.spec.seed)
        return self._gains[key]

    @cached_property
    def _gains(self) -> dict[tuple[str, str], Interval]:
        """Differences that were drawn before: one costs hundreds of draws, and a report names it often."""
        return {}

    @cached_property
    def curve(self) -> LearningCurve | None:
        """Figures against the share of labels, or None when it was not asked for."""
        shares = sorted(set.intersection(*(set(c.curve) for c in self.cuts)))
        if len(shares) < 2:
            return None
        found = {s: self._at_share(s) for s in shares}
        points = [self._point(s, found[s]) for s in shares]
        half = min(shares, key=lambda s: abs(s - 0.5))
        doubling = found[shares[-1]].gain_over(found[half], "average_precision", self.spec.seed)
        return fit_curve(points, doubling)

    def _at_share(self, share: float) -> Judgement:
        parts = (judging.judge(c.period, c.curve[share][1], self.per_week, i) for i, c in enumerate(self.cuts))
        return judging.pool(list(parts))

    def _point(self, share: float, found: Judgement) -> Point:
        labels = float(np.mean([c.curve[share][0] for c in self.cuts]))
        interval = found.interval("average_precision", self.spec.seed)
        return Point(share, labels, interval, found.figure("precision_at_k"))

    @cached_property
    def audit(self) -> fairness.Audit:
        """Whether a part of the population is flagged more without cause, over all cuts."""
        periods = [c.period for c in self.cuts]
        names = [n for n in periods[0].segments if all(n in p.segments for p in periods)]
        lists = [judging.weekly_lists(c.scored[MODEL].scores, c.period, self.per_week) for c in self.cuts]
        return fairness.audit(
            fairness.Audited(
                flagged=np.concatenate(lists),
                labels=np.concatenate([p.labels for p in periods]),
                probabilities=judging.moved(
                    np.concatenate([c.scored[MODEL].probabilities for c in self.cuts]), self.level["moved"]
                ),
                groups=np.concatenate([p.groups for p in periods]),
                segments={n: np.concatenate([p.segments[n] for p in periods]) for n in names},
            )
        )

    @cached_property
    def moves(self) -> tuple[stability.Move, ...]:
        """What became of each list on the next day that has one.

        Of patients, providers and physicians these are the cuts; claims come once, so their groups are ranked by
        the mean probability of their claims of a month.
        """
        rankings = list(_monthly(self.cuts) if self.spec.entity == "claim" else _by_cut(self.cuts))
        per_list = max(1, self.per_week * (1 if self.spec.entity == "claim" else self.cuts[0].period.weeks))
        lengths = [max(1, min(per_list, len(r.scores) // 5)) for r in rankings]
        pairs = zip(rankings[:-1], rankings[1:], lengths[:-1], strict=True)
        return tuple(stability.compare(a, b, k) for a, b, k in pairs)

    @cached_property
    def measured(self) -> dict[str, float]:
        """What the alarms look at: the model's figures, and the best that any one feature does alone."""
        singles = self.singles
        return {**self.model.figures(), **({"single_feature_auc": singles[0][1]} if singles else {})}

    @cached_property
    def singles(self) -> tuple[tuple[str, float], ...]:
        """Features by their AUC alone, as a mean over the cuts by their positives, best first."""
        sizes = [float(np.nansum(c.period.labels)) for c in self.cuts]
        names = self.cuts[0].singles
        means = [(n, float(np.average([c.singles[n] for c in self.cuts], weights=sizes))) for n in names]
        return tuple(sorted(means, key=lambda f: (-f[1], f[0])))

    @property
    def alarms(self) -> tuple[gates.GateResult, ...]:
        """The leak alarms of the spec against what was measured after the cuts."""
        return gates.judge(replace(self.spec, gates=()), self.measured)

    @property
    def inside(self) -> float:
        """ROC-AUC that the model showed within its training folds, as a mean over the cuts."""
        return float(np.nanmean([c.scored[MODEL].inside for c in self.cuts]))

    def as_dict(self) -> dict[str, Any]:
        """Everything that was measured, as JSON types."""
        seed = self.spec.seed
        lost = ("average_precision", "precision_at_k")
        return {
            "model": self.spec.name,
            "per_week": self.per_week,
            "cuts": [_cut_dict(self, i, c) for i, c in enumerate(self.cuts)],
            "left_out": list(self.left_out),
            "listed": {"rows": self.listed[0], "decided": self.listed[1]},
            "table": [
                {"contender": n, "corrected": corrected, **self.pooled(n, corrected).figures()}
                for corrected in (False, True)
                for n in self.contenders
            ],
            "intervals": {m: self.model.interval(m, seed).as_dict() for m in ("precision_at_k", "average_precision")},
            "gains": {n: self.gain(n, "average_precision").as_dict() for n in self.contenders if n != MODEL},
            "calibration": {"bands": judging.bands(self.model), "months": judging.months(self.model)},
            "level": self.level,
            "fairness": self.audit.as_dict(),
            "stability": [m.as_dict() for m in self.moves],
            "ablations": {a: {m: self.gain(a, m).as_dict() for m in lost} for a in self.ablations},
            "absent": dict(self.absent),
            "treatments": [t.as_dict() for t in self.treatments],
            "learning_curve": self.curve.as_dict() if self.curve else None,
            "alarms": [{"condition": a.condition, "measured": a.measured, "holds": a.holds} for a in self.alarms],
            "inside": self.inside,
            "data": self.data_digest,
            "catalogue": self.catalogue_digest,
        }


def _cut_dict(b: Backtest, number: int, cut: Cut) -> dict[str, Any]:
    found, everybody = b.judged(number), cut.judged(MODEL, b.per_week, number, corrected=True)
    return {
        "cut": f"{cut.at:%Y-%m-%d}",
        "until": f"{cut.until:%Y-%m-%d}",
        "labels": cut.labels,
        "positives": cut.positives,
        "rows": len(cut.period.ids),
        "decided": len(cut.period.decided),
        "found": float(found.labels.sum()),
        "known_groups": cut.known_groups,
        "average_precision_interval": found.interval("average_precision", b.spec.seed).as_dict(),
        **found.figures(),
        "precision_at_k.corrected": everybody.figure("precision_at_k"),
        "average_precision.corrected": everybody.figure("average_precision"),
    }


def _by_cut(cuts: Sequence[Cut]) -> Iterator[stability.Ranking]:
    for c in cuts:
        scores = dict(zip(c.period.ids, c.scored[MODEL].probabilities.tolist(), strict=True))
        yield stability.Ranking(f"{c.at:%Y-%m-%d}", scores, c.decided)


def _monthly(cuts: Sequence[Cut]) -> Iterator[stability.Ranking]:
    for c in cuts:
        month = c.period.happened_at.astype("datetime64[M]")
        for m in np.unique(month):
            rows = month == m
            yield stability.Ranking(str(m), _means(c.period.groups[rows], c.scored[MODEL].probabilities[rows]))


def _means(groups: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Mean probability of each group with enough rows."""
    names, member, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    means = np.bincount(member, probabilities) / sizes
    return {str(n): float(v) for n, v, size in zip(names, means, sizes, strict=True) if size >= _CLAIMS_OF_A_GROUP}
