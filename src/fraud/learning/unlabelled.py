"""Training and judging a model that has no labels: is its list stable, its volume sane, its reason more than one?

Where there are outcomes after all, the list is checked against them; that is a check, never a part of the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fraud.learning.calibration.calibration import UNKNOWN, rank_standing
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.metrics import NOVELTY_METRICS, average_precision, precision_at
from fraud.learning.model import FittedModel
from fraud.learning.novelty import Novelty, fit_novelty
from fraud.learning.origin import kept_of, origin_of
from fraud.learning.reports.documents import Block, Document, Figure, Points, Section, Table
from fraud.learning.reports.training import TrainingReport
from fraud.learning.spec import ModelSpec
from fraud.learning.validation.evaluation import Evaluation, HoldoutResult
from fraud.learning.validation.gates import CHAMPION

__all__ = ["NoveltyReport", "Unlabelled", "examine", "fit_unlabelled", "forest_of"]

_LISTED = 0.01
_LATER = 0.25
_FOREST_ROWS = 2048
_READ_AS = (
    "A score says how unusual a row is, not how likely it is wrong: 3 means that its most unusual signal is reached by "
    "one in a thousand of all rows. Rare is not forbidden; a score is a reason to look, never proof."
)
_CHECKS = {
    "check.decided": "rows with a verdict, all of them by now",
    "check.base": "share at fault among them",
    "check.average_precision": "average precision among them",
    "check.forest_average_precision": "that of an isolation forest over the same surprises",
    "check.precision_at_k": "share at fault among the highest of them",
}


@dataclass(frozen=True, eq=False)
class Unlabelled(Evaluation):
    """What is known of a model without labels: `figures` for the gates, and checks against outcomes."""

    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, float]:
        """Every figure that a gate may name, and the checks."""
        return dict(self.figures)


def fit_unlabelled(dataset: Dataset, spec: ModelSpec, metrics: Mapping[str, float]) -> FittedModel:
    """The model of all rows; its standing is over scores, and its probabilities are not known."""
    signs = tuple(f.sign for f in dataset.features)
    novelty = fit_novelty(dataset.values, signs, dataset.weights)
    scores = novelty.margins(dataset.values)
    standing = rank_standing(scores, dataset.weights)
    return FittedModel(
        spec=spec,
        ensemble=novelty,
        calibration=UNKNOWN,
        standing=standing,
        metrics=metrics,
        origin=origin_of(dataset, standing.percentile(scores)),
        **kept_of(dataset),
    )


# --- judging ------------------------------------------------------------------------------------------------


def examine(dataset: Dataset, spec: ModelSpec) -> Unlabelled:
    """The figures of `NOVELTY_METRICS`, and how the list fares against what outcomes there are."""
    signs = [f.sign for f in dataset.features]
    whole = fit_novelty(dataset.values, signs, dataset.weights)
    surprises = whole.surprises(dataset.values)
    scores = whole.margins(dataset.values)
    listed, forest = _highest(scores, dataset.weights), -forest_of(surprises, spec.seed).score_samples(surprises)
    beside = np.isin(listed, _highest(forest, dataset.weights))
    figures = {
        "list_stability": _stability(dataset, signs, spec.seed),
        "later_volume": _later_volume(dataset, signs),
        "one_signal_share": _one_signal(surprises[listed], dataset.weights[listed]),
        "forest_agreement": float(dataset.weights[listed[beside]].sum() / dataset.weights[listed].sum()),
    }
    return _evaluation(figures | _checked(dataset, scores, forest, spec), spec)


def forest_of(surprises: np.ndarray, seed: int) -> Any:
    """An isolation forest over the same surprises: the usual way, to be compared with.

    Source: Liu, Ting, Zhou, "Isolation forest" (2008).
    """
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, max_samples=min(_FOREST_ROWS, len(surprises)), random_state=seed)
    return forest.fit(surprises)


def _evaluation(figures: Mapping[str, float], spec: ModelSpec) -> Unlabelled:
    nothing = np.empty(0)
    return Unlabelled(
        folds=(),
        labels=nothing,
        amounts=nothing,
        margins=np.empty((0, 0)),
        probabilities=np.empty((0, 0)),
        interval=(float("nan"), float("nan")),
        single_features=(),
        holdout=HoldoutResult(reason="a model without labels has nothing to be held out from"),
        k=spec.capacity.k,
        figures=figures,
    )


def _highest(scores: np.ndarray, weights: np.ndarray, share: float = _LISTED) -> np.ndarray:
    """Positions of the rows with the highest scores that stand for a share of all; at least one."""
    order = np.argsort(-scores, kind="stable")
    count = int(np.searchsorted(np.cumsum(weights[order]), share * weights.sum(), side="right"))
    return order[: max(1, count)]


def _stability(dataset: Dataset, signs: Sequence[int], seed: int) -> float:
    """Share of the list that models of two random halves of the rows agree on."""
    half = np.random.default_rng(seed).permutation(len(dataset)) % 2
    values, weights = dataset.values, dataset.weights
    lists = [set(_highest(_fitted(dataset, signs, half == side).margins(values), weights).tolist()) for side in (0, 1)]
    return len(lists[0] & lists[1]) / max(map(len, lists))


def _later_volume(dataset: Dataset, signs: Sequence[int]) -> float:
    """Alerts among the latest quarter of the rows, by how many 1 % of them would be; NaN where all are of one day."""
    cut = np.quantile(dataset.happened_at.astype(np.int64), 1 - _LATER)
    early = dataset.happened_at.astype(np.int64) < cut
    if not early.any():
        return float("nan")
    model = _fitted(dataset, signs, early)
    scores, weights = model.margins(dataset.values), dataset.weights
    order = np.flatnonzero(early)[_highest(scores[early], weights[early])]
    alerts = ~early & (scores > scores[order].min())
    return float(weights[alerts].sum() / weights[~early].sum() / _LISTED)


def _fitted(dataset: Dataset, signs: Sequence[int], rows: np.ndarray) -> Novelty:
    return fit_novelty(dataset.values[rows], signs, dataset.weights[rows])


def _one_signal(surprises: np.ndarray, weights: np.ndarray) -> float:
    counts = np.bincount(surprises.argmax(axis=1), weights=weights)
    return float(counts.max() / weights.sum())


def _checked(dataset: Dataset, scores: np.ndarray, forest: np.ndarray, spec: ModelSpec) -> dict[str, float]:
    """Figures against the verdicts; none where no two verdicts differ."""
    rows = dataset.labelled
    labels = dataset.labels[rows]
    if not 0 < labels.sum() < len(labels):
        return {}
    found = {"decided": float(len(rows)), "base": float(labels.mean())}
    found["average_precision"] = average_precision(labels, scores[rows])
    found["forest_average_precision"] = average_precision(labels, forest[rows])
    found["precision_at_k"] = precision_at(labels, scores[rows], max(1, min(spec.capacity.k, len(rows) // 5)))
    return {f"check.{name}": value for name, value in found.items()}


# --- the report ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class NoveltyReport(TrainingReport):
    """What a model without labels was learned from, whether its list can be relied on, and what it looks at."""

    @property
    def protocol(self) -> str:
        """How the figures were measured, in two sentences."""
        return (
            "Lists are the highest 1 % of all rows; halves are drawn by chance; the later volume is that of the last "
            "quarter of the rows under thresholds of the others. No label was read for any of it."
        )

    @property
    def summary(self) -> list[str]:
        """What stands above the tables, a sentence a line."""
        c, figures = self.counts, self.evaluation.summary
        lines = [
            f"{c['rows']:,} rows of a {self.spec.entity}, none of which needed a label; {c['features']} features of "
            f"{c['signals']} signals.",
            f"Two halves of the rows agree on {figures['list_stability']:.0%} of the list.",
            f"Alias: {self.promotion.alias}.",
            *self.promotion.reasons,
        ]
        if "check.base" in figures:
            lines.append(
                f"Checked against {figures['check.decided']:,.0f} verdicts, which it has not seen: of the highest, "
                f"{figures['check.precision_at_k']:.1%} were found at fault; of all, {figures['check.base']:.1%}."
            )
        if self.dataset.skipped:
            lines.append(f"{len(self.dataset.skipped)} signals were left out: the data lack columns that they read.")
        return [*lines, self.protocol, _READ_AS]

    @property
    def sections(self) -> list[tuple[str, list[list[str]]]]:
        """Tables of the report: a heading, then rows of which the first is the head."""
        gates = [
            [g.condition, _shown(g.measured), "holds" if g.holds else "does not hold"] for g in self.promotion.gates
        ]
        weights = [[name, f"{value:.4f}"] for name, value in self.importance[:20]]
        return [
            ("What is known without labels", [["figure", "measured"], *self._figures()]),
            ("Gates", [["condition", "measured", ""], *gates]),
            *((name, [list(row) for row in rows]) for name, rows in self.tables.items()),
            ("Features by mean contribution", [["feature", "score"], *weights]),
            ("Signals left out", [["signal", "why"], *([k, v] for k, v in self.dataset.skipped.items())]),
        ]

    def _figures(self) -> list[list[str]]:
        told = NOVELTY_METRICS | _CHECKS
        return [[told[k], _shown(v)] for k, v in self.evaluation.summary.items()]

    def as_dict(self) -> dict[str, Any]:
        """The whole report as JSON types."""
        d = self.dataset
        return {
            "model": self.spec.name,
            "kind": self.spec.kind,
            "alias": self.promotion.alias,
            "reasons": list(self.promotion.reasons),
            "remarks": list(self.promotion.remarks),
            "gates": [str(g) for g in self.promotion.gates],
            "counts": self.counts,
            "as_of": d.as_of.isoformat(),
            "notes": list(d.notes),
            "skipped": dict(d.skipped),
            "protocol": self.protocol,
            "figures": {k: v if np.isfinite(v) else None for k, v in self.evaluation.summary.items()},
            "tables": {name: [list(row) for row in rows] for name, rows in self.tables.items()},
            "importance": [list(f) for f in self.importance],
            "data": d.data_digest,
            "catalogue": d.catalogue_digest,
        }

    def to_text(self) -> str:
        """The summary and the figures, for a terminal."""
        lines = "\n".join(f"  • {line}" for line in self.summary)
        figures = "\n".join(f"{value:>8}  {name}" for name, value in self._figures())
        return f"{lines}\n\n{figures}"

    def document(self, figures: Sequence[str] = ()) -> Document:  # type: ignore[override]
        """The report as a document; `figures` are SVG texts."""
        drawn: list[Block] = [Figure("", svg) for svg in figures]
        alias = self.promotion.alias
        tables = [Section(heading, [Table(rows[0], rows[1:])]) for heading, rows in self.sections if len(rows) > 1]
        return Document(
            lang="en",
            kicker="Training without labels",
            title=self.spec.title.get("en", self.spec.name),
            lead=self.summary[0],
            notice=("How to read this.", _READ_AS),
            sections=[
                Section("In short", [Points(self.summary[1:-1])]),
                *tables,
                *([Section("", drawn)] if drawn else []),
            ],
            pills=[(alias, "good" if alias == CHAMPION else "bad")],
        )


def _shown(value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"
