"""The report of a training: one document, as text, as Markdown and as a page, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fraud.learning.datasets.dataset import Dataset
from fraud.learning.metrics import BASELINES, METRICS, share_of_list
from fraud.learning.reports.documents import Block, Document, Figure, Points, Section, Table, to_html, to_markdown
from fraud.learning.spec import ModelSpec
from fraud.learning.validation import judging
from fraud.learning.validation.evaluation import MODEL, Evaluation
from fraud.learning.validation.fairness import Audit, Audited, audit
from fraud.learning.validation.gates import CHAMPION, Promotion

__all__ = ["TrainingReport"]

_TOP = 20
_SHORT = {
    "precision_at_k": "precision in the list",
    "money_share_at_k": "share of the money",
    "recovery_share_at_k": "  by expected recovery",
    "average_precision": "average precision",
    "recall_at_1pct": "recall at 1 % flagged",
    "brier": "Brier score",
    "roc_auc": "ROC-AUC",
}
_READ_AS = (
    "A score is a reason to look, never proof. The labels are what investigations found, and investigators "
    "choose where they look; what nobody looked at counts neither way."
)


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """What was learned from what, how well, and beside which baselines.

    `tables` are what other steps have to add: a heading, then rows of which the first is the head.
    """

    spec: ModelSpec
    dataset: Dataset
    evaluation: Evaluation
    promotion: Promotion
    importance: tuple[tuple[str, float], ...]
    tables: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    @cached_property
    def judged(self) -> judging.Judgement:
        """The labelled rows with their probabilities out of fold, as a mean over the repeats."""
        d, e = self.dataset, self.evaluation
        rows, probabilities = d.labelled, e.probabilities.mean(axis=0)
        listed = share_of_list(probabilities, e.k)
        return judging.Judgement(
            labels=e.labels,
            scores=probabilities,
            probabilities=probabilities,
            money=e.amounts,
            listed=listed,
            by_recovery=share_of_list(probabilities * e.amounts, e.k),
            flagged=share_of_list(probabilities, max(1, round(0.01 * len(rows)))),
            groups=d.groups[rows],
            months=d.happened_at[rows].astype("datetime64[M]"),
            period=np.zeros(len(rows), dtype=int),
            weights=np.ones(len(rows)),
        )

    @cached_property
    def audit(self) -> Audit:
        """Whether a part of the labelled rows is on the list more often without cause."""
        j, segments = self.judged, self.dataset.segments
        known = {name: column[self.dataset.labelled] for name, column in segments.items()}
        return audit(Audited(j.listed, j.labels, j.probabilities, j.groups, known))

    @property
    def counts(self) -> dict[str, int]:
        """Rows, labels and positives."""
        labels = self.dataset.labels
        return {
            "rows": len(self.dataset),
            "labelled": len(self.dataset.labelled),
            "positive": int(np.nansum(labels)),
            "features": len(self.dataset.features),
            "signals": len({f.signal for f in self.dataset.features}),
        }

    def as_dict(self) -> dict[str, Any]:
        """The whole report as JSON types."""
        e, d = self.evaluation, self.dataset
        return {
            "model": self.spec.name,
            "alias": self.promotion.alias,
            "reasons": list(self.promotion.reasons),
            "remarks": list(self.promotion.remarks),
            "gates": [str(g) for g in self.promotion.gates],
            "counts": self.counts,
            "as_of": d.as_of.isoformat(),
            "notes": list(d.notes),
            "skipped": dict(d.skipped),
            "protocol": self.protocol,
            "table": [{"contender": c, **{m: [e.mean(c, m), e.sd(c, m)] for m in METRICS}} for c in _contenders()],
            "average_precision_interval": list(e.interval),
            "pooled": {"k": e.k, **e.pooled()},
            "reliability": [dict(r) for r in e.reliability()],
            "calibration": {"bands": judging.bands(self.judged), "months": judging.months(self.judged)},
            "fairness": self.audit.as_dict(),
            "tables": {name: [list(row) for row in rows] for name, rows in self.tables.items()},
            "holdout": _holdout(e),
            "single_features": [list(f) for f in e.single_features[:_TOP]],
            "importance": [list(f) for f in self.importance],
            "data": d.data_digest,
            "catalogue": d.catalogue_digest,
        }

    @property
    def protocol(self) -> str:
        """How the figures were measured, in two sentences."""
        s = self.spec.split
        return (
            f"{s.folds} folds × {s.repeats} repeats, no {s.group} in two folds; calibration and every choice inside "
            f"the training fold. Mean ± SD over folds; k is {self.evaluation.k} for all labelled rows, and a fold's "
            "list is as long as its share."
        )

    @property
    def sections(self) -> list[tuple[str, list[list[str]]]]:
        """Tables of the report: a heading, then rows of which the first is the head."""
        e = self.evaluation
        gates = [[g.condition, _figure(g.measured), _verdict(g.holds, g.alarm)] for g in self.promotion.gates]
        reliable = [[f"{r['predicted']:.3f}", f"{r['found']:.3f}", f"{r['n']:,}"] for r in e.reliability()]
        tables = {name: [list(row) for row in rows] for name, rows in self.tables.items()}
        return [
            ("Cross-validation", _metric_table(e)),
            ("Later in time", _holdout_table(e)),
            ("Gates and alarms", [["condition", "measured", ""], *gates]),
            ("Calibration by band of probability", _calibration_table("probability", judging.bands(self.judged))),
            ("Calibration by month", _calibration_table("month", judging.months(self.judged))),
            ("Reliability (all repeats)", [["predicted", "found", "rows"], *reliable]),
            ("Is anybody flagged more without cause?", _audit_table(self.audit)),
            *tables.items(),
            ("Features by mean contribution", _ranked("log-odds", self.importance)),
            ("Features by their AUC alone", _ranked("AUC", e.single_features)),
            ("Signals left out", [["signal", "why"], *([k, v] for k, v in self.dataset.skipped.items())]),
        ]

    @property
    def summary(self) -> list[str]:
        """What stands above the tables, a sentence a line."""
        c, e = self.counts, self.evaluation
        pooled = e.pooled()
        lines = [
            f"{c['rows']:,} rows of a {self.spec.entity}, {c['labelled']:,} with a label, {c['positive']:,} of them "
            f"positive; {c['features']} features of {c['signals']} signals; "
            f"outcomes up to {self.dataset.as_of:%Y-%m-%d}.",
            f"In a list of {e.k} ({e.k / self.spec.capacity.reviews_per_week:.1f} weeks of reviews): "
            f"{pooled['precision_at_k']:.1%} were found at fault, with "
            f"{pooled['money_at_k']:,.0f} paid by the fund ({pooled['money_share_at_k']:.1%} of all money at fault).",
            f"Average precision {e.mean(MODEL, 'average_precision'):.3f} "
            f"(95 % interval {e.interval[0]:.3f} to {e.interval[1]:.3f}).",
            f"Alias: {self.promotion.alias}.",
        ]
        lines += [*self.promotion.reasons, *self.promotion.remarks, *(f"{n}." for n in self.dataset.notes)]
        if self.dataset.skipped:
            lines.append(f"{len(self.dataset.skipped)} signals were left out: the data lack columns that they read.")
        return [*lines, self.protocol, _READ_AS]

    def to_text(self) -> str:
        """The summary and the table of the cross-validation, for a terminal."""
        lines = "\n".join(f"  • {line}" for line in self.summary)
        return f"{lines}\n\n{_columns(self.evaluation)}"

    def document(self, figures: Iterable[str] = ()) -> Document:
        """The report as a document; `figures` are SVG texts."""
        drawn: list[Block] = [Figure("", svg) for svg in figures]
        alias = self.promotion.alias
        tables = [Section(heading, [Table(rows[0], rows[1:])]) for heading, rows in self.sections if len(rows) > 1]
        return Document(
            lang="en",
            kicker="Training",
            title=self.spec.title.get("en", self.spec.name),
            lead=self.summary[0],
            notice=("How to read this.", _READ_AS),
            sections=[
                Section("In short", [Points(self.summary[1:-1])]),
                *tables[:1],
                *([Section("Figures", drawn)] if drawn else []),
                *tables[1:],
            ],
            pills=[(alias, "good" if alias == CHAMPION else "bad")],
        )

    def to_markdown(self) -> str:
        """The report as Markdown."""
        return to_markdown(self.document())

    def to_html(self, figures: Iterable[str] = ()) -> str:
        """The report as one page; `figures` are SVG texts."""
        return to_html(self.document(figures))


def _contenders() -> tuple[str, ...]:
    return (MODEL, *BASELINES)


def _metric_table(e: Evaluation) -> list[list[str]]:
    rows = [
        [BASELINES.get(c, "the model"), *(_mean_sd(e.mean(c, m), e.sd(c, m)) for m in METRICS)] for c in _contenders()
    ]
    return [["", *METRICS.values()], *rows]


def _columns(e: Evaluation) -> str:
    """Metrics down, contenders across: it fits a terminal."""
    rows = [["", "model", *(b.replace("_", " ") for b in BASELINES)]]
    rows += [[title, *(_mean_sd(e.mean(c, m), e.sd(c, m)) for c in _contenders())] for m, title in _SHORT.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in rows)
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _holdout(e: Evaluation) -> dict[str, Any]:
    h = e.holdout
    if h.metrics is None:
        return {"reason": h.reason}
    return {
        "cut": h.cut,
        "train": h.train,
        "test": h.test,
        "positives": h.positives,
        "known_groups": h.known_groups,
        "metrics": {c: dict(m) for c, m in h.metrics.items()},
    }


def _holdout_table(e: Evaluation) -> list[list[str]]:
    h = e.holdout
    if h.metrics is None:
        return [["no hold-out in time"], [h.reason]]
    head = f"decided before {h.cut} ({h.train:,}), happened after ({h.test:,}, {h.positives:,} positive)"
    figures = h.metrics
    rows = [[BASELINES.get(c, "the model"), *(_figure(figures[c][m]) for m in METRICS)] for c in _contenders()]
    return [[head, *METRICS.values()], *rows]


def _ranked(unit: str, found: Sequence[tuple[str, float]]) -> list[list[str]]:
    return [["feature", unit], *([name, f"{value:.3f}"] for name, value in found[:_TOP])]


def _verdict(holds: bool, alarm: bool) -> str:
    return "holds" if holds else ("leak alarm" if alarm else "does not hold")


def _mean_sd(mean: float, sd: float) -> str:
    return f"{_figure(mean)} ± {_figure(sd)}"


def _figure(value: float | None) -> str:
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def _calibration_table(first: str, rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    named = [r.get("month") or f"{r['from']:.0%} – {r['to']:.0%}" for r in rows]
    cells = [
        [f"{r['n']:,}", f"{r['predicted']:.3f}", f"{r['found']:.3f}", f"{r['low']:.3f} – {r['high']:.3f}"] for r in rows
    ]
    return [
        [first, "rows", "predicted", "found", "95 % bounds"],
        *([n, *c] for n, c in zip(named, cells, strict=True)),
    ]


_VERDICTS = {
    "without_cause": "flagged more, without cause",
    "in_line": "flagged more, in line with what was found",
    "no_sign": "no sign",
    "too_few": "too few to tell",
}


def _audit_table(found: Audit) -> list[list[str]]:
    """Each part of a segment: how often its cleared were on the list, beside everybody else's."""
    head = ["part", "verdict", "cleared", "of them on the list", "of the others'", "predicted", "found"]
    rows = [
        [f"{p.segment}: {p.value}", _VERDICTS[p.verdict], f"{p.cleared:,}"]
        + [f"{v:.1%}" if np.isfinite(v) else "–" for v in (p.cleared_rate, p.rest_rate, p.predicted, p.found)]
        for p in found.parts
    ]
    return [head, *rows]
