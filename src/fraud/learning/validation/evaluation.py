"""How good a model is: repeated grouped cross-validation beside its baselines, and a hold-out in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fraud.learning.datasets.dataset import Dataset
from fraud.learning.datasets.splits import Fold, Holdout, repeated_folds, time_holdout
from fraud.learning.metrics import BASELINES, METRICS, average_precision_interval, measure, reliability
from fraud.learning.spec import ModelSpec
from fraud.learning.validation import baselines
from fraud.learning.validation.baselines import Part, Scored

__all__ = ["CONTENDERS", "MODEL", "Evaluation", "HoldoutResult", "evaluate", "part_of", "single_feature_ranking"]

MODEL = "model"
Progress = Callable[[str, float], None]
CONTENDERS: Mapping[str, Callable[[Part], Scored]] = {
    MODEL: baselines.boosted,
    "single_feature": baselines.single_feature,
    "logistic": baselines.logistic,
    "scale_free": baselines.scale_free,
    "peers": baselines.peers,
}
assert set(CONTENDERS) == {MODEL, *BASELINES}


@dataclass(frozen=True, eq=False)
class HoldoutResult:
    """Figures of a split in time, or in `reason` why there is none.

    `known_groups` is the share of test rows whose group was fitted on, too.
    """

    reason: str = ""
    cut: str = ""
    train: int = 0
    test: int = 0
    positives: int = 0
    known_groups: float = 0.0
    metrics: Mapping[str, Mapping[str, float]] | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What cross-validation measured.

    `folds` has one entry for each fold and contender: repeat, number, contender and every metric.
    `margins` and `probabilities` are the model's out-of-fold figures, repeats × labelled rows. `interval`
    bounds the average precision of the first repeat by a bootstrap over groups.
    """

    folds: tuple[Mapping[str, Any], ...]
    labels: np.ndarray
    amounts: np.ndarray
    margins: np.ndarray
    probabilities: np.ndarray
    interval: tuple[float, float]
    single_features: tuple[tuple[str, float], ...]
    holdout: HoldoutResult
    k: int

    def values(self, contender: str, metric: str) -> np.ndarray:
        """A metric over the folds."""
        return np.array([f[metric] for f in self.folds if f["contender"] == contender])

    def mean(self, contender: str, metric: str) -> float:
        """Mean over the folds."""
        return float(np.nanmean(self.values(contender, metric)))

    def sd(self, contender: str, metric: str) -> float:
        """Standard deviation over the folds."""
        values = self.values(contender, metric)
        return float(np.nanstd(values, ddof=1)) if len(values) > 1 else 0.0

    @property
    def summary(self) -> dict[str, float]:
        """Every metric that a gate may name."""
        found = {m: self.mean(MODEL, m) for m in METRICS}
        found |= {f"{m}.sd": self.sd(MODEL, m) for m in METRICS}
        found |= {"average_precision.low": self.interval[0], "average_precision.high": self.interval[1]}
        found |= {f"baseline.{b}.{m}": self.mean(b, m) for b in BASELINES for m in METRICS}
        if self.holdout.metrics:
            found |= {f"holdout.{m}": v for m, v in self.holdout.metrics[MODEL].items()}
        if self.single_features:
            found["single_feature_auc"] = self.single_features[0][1]
        return found

    def reliability(self) -> list[Mapping[str, float]]:
        """The reliability curve over all repeats."""
        labels = np.tile(self.labels, len(self.probabilities))
        return reliability(labels, self.probabilities.ravel())

    def pooled(self) -> dict[str, float]:
        """Every metric on all labelled rows at once with the whole capacity, averaged over repeats."""
        rows = [measure(self.labels, p, p, self.amounts, self.k) for p in self.probabilities]
        return {m: float(np.mean([r[m] for r in rows])) for m in METRICS}


def evaluate(dataset: Dataset, spec: ModelSpec, *, threads: int = 2, progress: Progress | None = None) -> Evaluation:
    """Cross-validate the model and its baselines on the labelled rows, on the same folds.

    Everything that looks at a label happens inside the training fold: fitting, calibration, the choice of
    the best single feature. The reviewers' list of a fold is as long as the fold's share of the capacity.
    """
    # Names are compared one by one and under the interpreter's lock, numbers are not; the order is the same.
    dataset = replace(dataset, groups=np.unique(dataset.groups, return_inverse=True)[1])
    rows = dataset.labelled
    labels, groups = dataset.labels[rows], dataset.groups[rows]
    folds = repeated_folds(labels, groups, spec.split.folds, spec.split.repeats, spec.seed)
    context = _Context(dataset, spec, peer_baseline(dataset), progress)
    # One fold more than threads: each needs the interpreter, which serves one at a time, for a quarter of its time.
    with ThreadPoolExecutor(max_workers=threads + 1 if threads > 1 else 1) as pool:
        later = pool.submit(_holdout, context)
        measured = list(pool.map(context.run, enumerate(folds)))
    margins, probabilities = _out_of_fold(folds, [m[0] for m in measured], len(rows))
    interval = average_precision_interval(labels, probabilities[0], groups, spec.seed)
    return Evaluation(
        folds=tuple(row for _, rows_of_fold in measured for row in rows_of_fold),
        labels=labels,
        amounts=dataset.amounts[rows],
        margins=margins,
        probabilities=probabilities,
        interval=interval,
        single_features=single_feature_ranking(dataset),
        holdout=later.result(),
        k=list_length(spec, len(rows)),
    )


def list_length(spec: ModelSpec, labelled: int) -> int:
    """Length of the reviewers' list: the capacity, but at most a fifth of the labelled rows.

    A list that holds nearly everybody would be as precise as a blind draw.
    """
    return max(1, min(spec.capacity.k, labelled // 5))


@dataclass(frozen=True, eq=False)
class _Context:
    """What all folds share."""

    dataset: Dataset
    spec: ModelSpec
    peers: np.ndarray
    progress: Progress | None

    def run(self, numbered: tuple[int, Fold]) -> tuple[Scored, list[Mapping[str, Any]]]:
        """The model's scores on the fold's test rows, and the figures of every contender."""
        number, fold = numbered
        plain, groups = self.unlabelled, self.dataset.groups
        others = plain[~np.isin(groups[plain], groups[self.dataset.labelled[fold.test]])]
        named = {"repeat": fold.repeat, "fold": fold.number}
        found = self.contest(fold.train, fold.test, others, number, named)
        if self.progress:
            # Folds end in any order, and a bar may lag by one; each call moves it on.
            self.progress("cross-validation", (number + 1) / (self.spec.split.folds * self.spec.split.repeats))
        return found

    @property
    def unlabelled(self) -> np.ndarray:
        """Positions of the rows without a label that are fitted on, too, as the spec says."""
        return self.dataset.plain if self.dataset.unlabelled != "ignore" else np.array([], dtype=int)

    def contest(
        self, train: np.ndarray, test: np.ndarray, others: np.ndarray, number: int, named: Mapping[str, Any]
    ) -> tuple[Scored, list[Mapping[str, Any]]]:
        """All contenders fitted on some labelled rows and on `others`, and measured on other labelled rows."""
        rows = self.dataset.labelled
        part = self._part(np.sort(np.append(rows[train], others)), rows[test], self.spec.seed + 1000 * (number + 1))
        labels, amounts = self.dataset.labels[rows[test]], self.dataset.amounts[rows[test]]
        k = max(1, round(list_length(self.spec, len(rows)) * len(test) / len(rows)))
        scored = {name: contender(part) for name, contender in CONTENDERS.items()}
        figures: list[Mapping[str, Any]] = [
            {**named, "contender": n, **measure(labels, s.scores, s.probabilities, amounts, k)}
            for n, s in scored.items()
        ]
        return scored[MODEL], figures

    def _part(self, train: np.ndarray, test: np.ndarray, seed: int) -> Part:
        d = self.dataset
        return part_of(d.take(train), self.peers[train], d.values[test], self.peers[test], self.spec, seed)


def part_of(
    training: Dataset, train_peers: np.ndarray, test: np.ndarray, test_peers: np.ndarray, spec: ModelSpec, seed: int
) -> Part:
    """A part that fits on the training rows as they are to be fitted on, and scores others."""
    rows, decided = training.fit_rows, np.isfinite(training.labels[training.fit_rows])
    plain = len(rows) == len(training) and bool((rows == np.arange(len(rows))).all())
    alike = bool((training.fit_weights == 1).all())
    return Part(
        spec=spec,
        features=training.features,
        # A copy of all rows would double the memory of a fold.
        train=training.values if plain else training.values[rows],
        labels=training.fit_labels,
        groups=training.groups[rows],
        test=test,
        train_peers=train_peers[rows],
        test_peers=test_peers,
        seed=seed,
        weights=None if alike else training.fit_weights,
        decided=None if decided.all() else decided,
    )


def peer_baseline(dataset: Dataset) -> np.ndarray:
    """The label-free peer score of every row."""
    return baselines.peer_scores(dataset.values, dataset.features)


def _out_of_fold(folds: Sequence[Fold], scored: Sequence[Scored], rows: int) -> tuple[np.ndarray, np.ndarray]:
    repeats = 1 + max(f.repeat for f in folds)
    margins, probabilities = np.empty((repeats, rows)), np.empty((repeats, rows))
    for fold, found in zip(folds, scored, strict=True):
        margins[fold.repeat, fold.test] = found.scores
        probabilities[fold.repeat, fold.test] = found.probabilities
    return margins, probabilities


def _holdout(context: _Context) -> HoldoutResult:
    d, rows = context.dataset, context.dataset.labelled
    split = time_holdout(d.labels[rows], d.happened_at[rows], d.decided_at[rows], context.spec.split.holdout_share)
    if not isinstance(split, Holdout):
        return HoldoutResult(reason=split)
    others = context.unlabelled[d.happened_at[context.unlabelled] < split.cut]
    _, figures = context.contest(split.train, split.test, others, len(rows), {})
    fitted = set(d.groups[rows[split.train]])
    return HoldoutResult(
        cut=str(split.cut),
        train=len(split.train),
        test=len(split.test),
        positives=int(d.labels[rows[split.test]].sum()),
        known_groups=float(np.mean([g in fitted for g in d.groups[rows[split.test]]])),
        metrics={str(f["contender"]): {m: f[m] for m in METRICS} for f in figures},
    )


def single_feature_ranking(dataset: Dataset) -> tuple[tuple[str, float], ...]:
    """Features by how well each alone ranks the labels, best first: AUC in the better direction.

    It looks at every label, so it is an alarm and no result. Where a value is missing may tell the label as
    well, so what is missing is ranked lowest and highest.
    """
    rows = dataset.labelled
    labels, values = dataset.labels[rows], dataset.values[rows]
    found = []
    for i, feature in enumerate(dataset.features):
        lowest, highest = (baselines.ranking_of(labels, d * values[:, i]) for d in (1.0, -1.0))
        found.append((feature.name, max(lowest, 1 - lowest, highest, 1 - highest)))
    return tuple(sorted(found, key=lambda f: (-f[1], f[0])))
