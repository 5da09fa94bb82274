"""Hyperparameters by search under a budget, and what they are worth on rows that no search has seen.

The search runs as often as there are outer splits, each time inside the training rows of one, and a last time on
all labelled rows. What the outer splits measure is therefore the search itself: had it been run then, how much
better would its settings have ranked what came next than those that are in force?
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tomlkit

from fraud.errors import InputError, nearest
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.datasets.splits import Holdout, grouped_folds, time_holdout
from fraud.learning.metrics import METRICS, average_precision, share_of_list
from fraud.learning.spec import ModelSpec, Parameters
from fraud.learning.validation.baselines import Part, margins_of
from fraud.learning.validation.bootstrap import Interval, Statistic, paired_difference
from fraud.learning.validation.evaluation import list_length, part_of

if TYPE_CHECKING:
    import optuna

__all__ = ["OBJECTIVES", "Search", "Study", "Trial", "as_toml", "search", "write_parameters"]

Progress = Callable[[str, float], None]
# The first is the default: it sees every positive, and so moves less by chance than the top of a list.
OBJECTIVES = ("average_precision", "precision_at_k", "money_share_at_k")
TRIALS = 40
_OUTER_FOLDS = 3
_INNER_FOLDS = 3
# With fewer positives, the folds of the folds hold a handful each, and any setting wins by chance.
_FEWEST_POSITIVES = 40
# So many after a cut in time judge a search better than more that are not of another time.
_FEWEST_AFTER = 30
_FEWEST_GROUPS = 2 * _OUTER_FOLDS * _INNER_FOLDS
# Trials before the median of those before may cut one short; the first is what is in force.
_UNPRUNED = 8
_ENDLESS = 100_000
_STEPS = "search"


@dataclass(frozen=True)
class _Range:
    """Where a setting is looked for; a logarithmic one is as likely to be doubled as to be halved."""

    low: float
    high: float
    log: bool = False


# `bags` is left as it is: more of them are never worse, only slower.
_SPACE: Mapping[str, _Range] = {
    "rounds": _Range(40, 400, log=True),
    "learning_rate": _Range(0.01, 0.2, log=True),
    "num_leaves": _Range(4, 63, log=True),
    "max_depth": _Range(2, 6),
    "min_data_in_leaf": _Range(5, 200, log=True),
    "feature_fraction": _Range(0.1, 1.0),
    "bagging_fraction": _Range(0.4, 1.0),
    "lambda_l2": _Range(0.1, 100, log=True),
    "max_bin": _Range(31, 255, log=True),
}


@dataclass(frozen=True)
class Trial:
    """One try: its settings, the mean of the objective over the inner splits, and whether it was cut short."""

    number: int
    parameters: Parameters
    value: float
    pruned: bool
    seconds: float


@dataclass(frozen=True)
class Study:
    """One search; its first trial is what is in force."""

    name: str
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The first of the best among the trials that were not cut short."""
        return max((t for t in self.trials if not t.pruned), key=lambda t: (t.value, -t.number))


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of the rows to fit on and of the labelled rows to test on."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True, eq=False)
class Tested:
    """Labelled rows that a search did not see, as ranked by the settings in force and by those it found."""

    labels: np.ndarray
    amounts: np.ndarray
    groups: np.ndarray
    k: int
    now: np.ndarray
    found: np.ndarray


@dataclass(frozen=True)
class Worth:
    """A metric under the settings in force and under those of the search, and the difference with its bounds."""

    now: float
    found: float
    gain: Interval


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found; `outer` says in words which rows judged it."""

    spec: ModelSpec
    by: str
    studies: tuple[Study, ...]
    outer: str
    worth: Mapping[str, Worth]
    seconds: float

    @property
    def proposed(self) -> Parameters:
        """The settings of the search on all labelled rows."""
        return self.studies[-1].best.parameters

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `no clear difference`, by the objective on the outer rows."""
        gain = self.worth[self.by].gain
        return "better" if gain.low > 0 else "worse" if gain.high < 0 else "no clear difference"

    @cached_property
    def cost(self) -> float:
        """How many times the leaves that one score reads grow by the proposal."""
        now, new = (p.bags * p.rounds * p.num_leaves for p in (self.spec.parameters, self.proposed))
        return new / now

    def as_dict(self) -> dict[str, Any]:
        """Proposal, outer estimate and every trial as JSON types."""
        return {
            "model": self.spec.name,
            "objective": self.by,
            "verdict": self.verdict,
            "outer": self.outer,
            "worth": {m: {"now": w.now, "found": w.found, "gain": w.gain.as_dict()} for m, w in self.worth.items()},
            "in_force": asdict(self.spec.parameters),
            "proposed": asdict(self.proposed),
            "leaves_ratio": self.cost,
            "studies": [{"name": s.name, "trials": [asdict(t) for t in s.trials]} for s in self.studies],
            "seconds": self.seconds,
        }

    def as_text(self) -> str:
        """The outer estimate before and after, what follows from it, and the proposal."""
        pruned = sum(t.pruned for s in self.studies for t in s.trials)
        tried = sum(len(s.trials) for s in self.studies)
        rows = [
            f"{METRICS[m]:<58}{w.now:8.3f}{w.found:8.3f}{w.gain.value:+9.3f}  [{w.gain.low:+.3f}, {w.gain.high:+.3f}]"
            for m, w in self.worth.items()
        ]
        lines = [
            f"{self.spec.name}: {tried} trials in {len(self.studies)} searches by {METRICS[self.by]}, "
            f"{pruned} of them cut short ({self.seconds:.0f} s)",
            f"Judged on {self.outer}:",
            "",
            f"{'':<58}{'now':>8}{'found':>8}{'gain':>9}  95 % of draws of groups",
            *rows,
            "",
            self.advice,
        ]
        return "\n".join(lines)

    @property
    def advice(self) -> str:
        """What follows from the outer estimate, in a sentence or two."""
        if self.proposed == self.spec.parameters:
            return "The search on all rows found nothing better than the settings in force."
        slower = f" One score then reads {self.cost:.1f} times as many leaves." if self.cost > 1.2 else ""
        return {
            "better": "What the search finds is better than the settings in force, beyond chance." + slower,
            "worse": "What the search finds is worse than the settings in force: keep those.",
            "no clear difference": "What the search finds is no better than the settings in force, as far as these "
            "rows can tell: keep those, or search again with more labels.",
        }[self.verdict]


def search(
    dataset: Dataset,
    spec: ModelSpec,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    by: str = OBJECTIVES[0],
    threads: int = 2,
    progress: Progress | None = None,
) -> Search:
    """Search settings for a model, and measure on rows apart what that is worth.

    Each search takes `trials` (40 where `minutes` are not given, either), and all together `minutes`. The same data,
    spec and trials give the same result however many `threads`; minutes do not.

    Raises:
        InputError: no such objective, no budget, too few labels to search with, or a model without labels.
    """
    _check(dataset, spec, trials, minutes, by)
    began = time.perf_counter()
    outer, words = _outer(dataset, spec)
    everything = Split(np.append(dataset.labelled, _plain(dataset)), dataset.labelled)
    splits = [*outer, everything]
    names = [*(f"outer {i + 1}" for i in range(len(outer))), "all rows"]
    share = None if minutes is None else minutes * 60 * min(threads, len(splits)) / len(splits)
    budget = _Budget(trials or (_ENDLESS if minutes else TRIALS), share)
    meter = _Meter(budget, len(splits), progress)

    def one(numbered: tuple[int, Split]) -> tuple[Study, Tested | None]:
        i, split = numbered
        study = _study(dataset, spec, split, names[i], budget, by, spec.seed + 7919 * i, meter)
        return study, None if split is everything else _tested(dataset, spec, split, study.best.parameters)

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        done = list(pool.map(one, enumerate(splits)))
    tested = [t for _, t in done if t is not None]
    return Search(
        spec=spec,
        by=by,
        studies=tuple(s for s, _ in done),
        outer=words,
        worth={m: _worth(tested, m, spec.seed) for m in OBJECTIVES},
        seconds=time.perf_counter() - began,
    )


def _check(dataset: Dataset, spec: ModelSpec, trials: int | None, minutes: float | None, by: str) -> None:
    if spec.kind == "novelty":
        raise InputError(f"{spec.name} learns from no label; there is nothing to search settings by.")
    if by not in OBJECTIVES:
        raise InputError(f"no objective {by!r}{nearest(by, OBJECTIVES)}; there are {', '.join(OBJECTIVES)}.")
    if (trials is not None and trials < 1) or (minutes is not None and minutes <= 0):
        raise InputError(f"a search needs a budget; found {trials} trials and {minutes} minutes. Try 40 trials.")
    positives = int(np.nansum(dataset.labels))
    negatives = len(dataset.labelled) - positives
    groups = len(set(dataset.groups[dataset.labels == 1]))
    if min(positives, negatives) < _FEWEST_POSITIVES or groups < _FEWEST_GROUPS:
        raise InputError(
            f"{spec.name}: found {positives} positive and {negatives} negative labels, the positive ones of {groups} "
            f"groups ({spec.split.group}). A search within folds needs {_FEWEST_POSITIVES} of each, of "
            f"{_FEWEST_GROUPS} groups, or chance chooses. Keep the settings in force until there are more."
        )


# --- splits --------------------------------------------------------------------------------------------


def _plain(dataset: Dataset) -> np.ndarray:
    """Positions of the rows without a label that are fitted on, too."""
    return dataset.plain if dataset.unlabelled != "ignore" else np.array([], dtype=int)


def _outer(dataset: Dataset, spec: ModelSpec) -> tuple[list[Split], str]:
    """Rows apart: what happened after a cut, or where too little did, groups that were left out in turn."""
    rows = dataset.labelled
    forward = _forward(dataset, spec, rows, _plain(dataset), _FEWEST_AFTER)
    if forward is None:
        words = f"{len(rows):,} labelled rows, each by a search that did not see its group ({spec.split.group})"
        return _grouped(dataset, rows, _plain(dataset), _OUTER_FOLDS, spec.seed), words
    split, cut = forward
    positives = int(dataset.labels[split.test].sum())
    return [split], f"{len(split.test):,} labelled rows that happened from {cut} on, {positives} of them at fault"


def _inner(dataset: Dataset, spec: ModelSpec, within: Split, seed: int) -> list[Split]:
    """Splits inside some rows: groups in turn, and a cut in time where there are labels enough for one."""
    known = np.isfinite(dataset.labels[within.train])
    rows, plain = within.train[known], within.train[~known]
    forward = _forward(dataset, spec, rows, plain)
    folds = _grouped(dataset, rows, plain, _INNER_FOLDS, seed)
    return folds if forward is None else [*folds, forward[0]]


def _grouped(dataset: Dataset, rows: np.ndarray, plain: np.ndarray, folds: int, seed: int) -> list[Split]:
    groups = dataset.groups
    number = grouped_folds(dataset.labels[rows], groups[rows], folds, seed)
    return [
        Split(np.append(rows[number != k], plain[~np.isin(groups[plain], groups[test])]), test)
        for k in range(folds)
        for test in (rows[number == k],)
    ]


def _forward(
    dataset: Dataset, spec: ModelSpec, rows: np.ndarray, plain: np.ndarray, fewest: int = 0
) -> tuple[Split, str] | None:
    """What was decided before a cut, what happened from it on, and the cut; None where that leaves too little."""
    happened = dataset.happened_at
    found = time_holdout(dataset.labels[rows], happened[rows], dataset.decided_at[rows], spec.split.holdout_share)
    if not isinstance(found, Holdout) or dataset.labels[rows[found.test]].sum() < fewest:
        return None
    before = plain[happened[plain] < found.cut]
    return Split(np.append(rows[found.train], before), rows[found.test]), str(found.cut)


def _part(dataset: Dataset, spec: ModelSpec, split: Split, seed: int) -> Part:
    train = np.sort(split.train)
    none = np.zeros(len(train)), np.zeros(len(split.test))  # of the peers' baseline, which is not asked here
    return part_of(dataset.take(train), none[0], dataset.values[split.test], none[1], spec, seed)


def _length(dataset: Dataset, spec: ModelSpec, test: np.ndarray) -> int:
    """The share of the reviewers' list that falls to some labelled rows."""
    rows = len(dataset.labelled)
    return max(1, round(list_length(spec, rows) * len(test) / rows))


# --- one search ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Budget:
    """What one search may spend."""

    trials: int
    seconds: float | None


class _Meter:
    """Tells how much of the budget is spent; searches report from threads of their own."""

    def __init__(self, budget: _Budget, searches: int, progress: Progress | None) -> None:
        self.budget, self.searches, self.progress = budget, searches, progress
        self.done, self.began = 0, time.perf_counter()

    def count(self, *_: Any) -> None:
        """One more trial has ended."""
        self.done += 1
        spent = self.done / (self.budget.trials * self.searches)
        if self.budget.seconds:
            spent = max(spent, (time.perf_counter() - self.began) / self.budget.seconds)
        if self.progress:
            self.progress(_STEPS, min(spent, 1.0))


def _study(
    dataset: Dataset, spec: ModelSpec, within: Split, name: str, budget: _Budget, by: str, seed: int, meter: _Meter
) -> Study:
    """One search inside some rows."""
    import optuna

    inner = _inner(dataset, spec, within, seed)
    parts = [_part(dataset, spec, split, seed) for split in inner]
    tests = [(dataset.labels[s.test], dataset.amounts[s.test], _length(dataset, spec, s.test)) for s in inner]
    space = _space(spec.parameters)

    def objective(trial: optuna.Trial) -> float:
        asked = _asked(trial, space, spec.parameters)
        values: list[float] = []
        for step, (part, (labels, amounts, k)) in enumerate(zip(parts, tests, strict=True)):
            margins = margins_of(replace(part, spec=replace(spec, parameters=asked)), bags=1)
            values.append(_figure(by, labels, margins, amounts, k, np.ones(len(labels))))
            trial.report(_mean(values), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return _mean(values)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED),
    )
    study.enqueue_trial({n: getattr(spec.parameters, n) for n in space})
    study.optimize(objective, n_trials=budget.trials, timeout=budget.seconds, callbacks=[meter.count])
    return Study(name, tuple(_told(t, spec.parameters) for t in study.trials))


def _space(now: Parameters) -> dict[str, _Range]:
    """The ranges, wide enough for what is in force and never beyond what a spec allows."""
    bounds = {f.name: f.metadata for f in fields(Parameters)}
    return {
        name: replace(
            r,
            low=max(min(r.low, getattr(now, name)), bounds[name]["low"]),
            high=min(max(r.high, getattr(now, name)), bounds[name]["high"]),
        )
        for name, r in _SPACE.items()
    }


def _asked(trial: optuna.Trial, space: Mapping[str, _Range], now: Parameters) -> Parameters:
    """The settings of a trial; those of the first are in force."""
    for name, r in space.items():
        if isinstance(getattr(now, name), int):
            trial.suggest_int(name, int(r.low), int(r.high), log=r.log)
        else:
            trial.suggest_float(name, r.low, r.high, log=r.log and r.low > 0)
    return _settings(trial.number, trial.params, now)


def _settings(number: int, drawn: Mapping[str, Any], now: Parameters) -> Parameters:
    # Rounded before they are tried: what is proposed is then what was measured.
    rounded: dict[str, Any] = {n: v if isinstance(v, int) else float(f"{v:.3g}") for n, v in drawn.items()}
    return now if number == 0 else replace(now, **rounded)


def _told(trial: optuna.trial.FrozenTrial, now: Parameters) -> Trial:
    so_far = trial.intermediate_values
    return Trial(
        number=trial.number,
        parameters=_settings(trial.number, trial.params, now),
        value=trial.value if trial.value is not None else so_far[max(so_far)],
        pruned=trial.state.name == "PRUNED",
        seconds=trial.duration.total_seconds() if trial.duration else 0.0,
    )


# --- what it is worth ----------------------------------------------------------------------------------


def _tested(dataset: Dataset, spec: ModelSpec, split: Split, found: Parameters) -> Tested:
    """Both settings with all their bags, fitted on the split's training rows."""
    part, test = _part(dataset, spec, split, spec.seed), split.test
    now, new = (margins_of(replace(part, spec=replace(spec, parameters=p))) for p in (spec.parameters, found))
    return Tested(
        labels=dataset.labels[test],
        amounts=dataset.amounts[test],
        groups=dataset.groups[test],
        k=_length(dataset, spec, test),
        now=now,
        found=new,
    )


def _worth(tested: Sequence[Tested], by: str, seed: int) -> Worth:
    """A metric before and after: the mean over outer splits, whose scores come from different models."""
    ends = np.cumsum([0, *(len(t.labels) for t in tested)])
    parts = [(t, slice(*ends[i : i + 2])) for i, t in enumerate(tested)]

    def of(ranking: str) -> Statistic:
        def mean(w: np.ndarray) -> float:
            return _mean([_figure(by, t.labels, getattr(t, ranking), t.amounts, t.k, w[at]) for t, at in parts])

        return mean

    groups = np.concatenate([t.groups for t in tested])
    one = np.ones(len(groups))
    return Worth(of("now")(one), of("found")(one), paired_difference(of("found"), of("now"), groups, seed))


def _figure(by: str, labels: np.ndarray, scores: np.ndarray, amounts: np.ndarray, k: int, w: np.ndarray) -> float:
    """An objective of weighted rows; NaN where nothing was at fault."""
    if not (w * labels).sum():
        return float("nan")
    if by == "average_precision":
        return average_precision(labels, scores, w)
    listed = share_of_list(scores, k) * w
    whole = listed if by == "precision_at_k" else labels * amounts * w
    part = listed * labels * (1.0 if by == "precision_at_k" else amounts)
    return float(part.sum() / whole.sum()) if whole.sum() else float("nan")


def _mean(values: Sequence[float]) -> float:
    """The mean of what is known."""
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else float("nan")


# --- files ---------------------------------------------------------------------------------------------


def as_toml(parameters: Parameters) -> str:
    """The `[parameters]` table of a spec."""
    return tomlkit.dumps({"parameters": asdict(parameters)})


def write_parameters(path: Path, parameters: Parameters) -> None:
    """Put the settings into a spec's file; its comments and everything else stay as they are."""
    document = tomlkit.parse(path.read_text("utf-8"))
    table = document.setdefault("parameters", tomlkit.table())
    for name, value in asdict(parameters).items():
        if table.get(name) != value:
            table[name] = value
    path.write_text(tomlkit.dumps(document), "utf-8")
