"""The report of a training, as JSON, Markdown and one page of HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from fraud.learning.dataset import Dataset
from fraud.learning.evaluation import MODEL, Evaluation
from fraud.learning.metrics import BASELINES, METRICS
from fraud.learning.promotion import Promotion
from fraud.learning.spec import ModelSpec

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
    """What was learned from what, how well, and beside which baselines."""

    spec: ModelSpec
    dataset: Dataset
    evaluation: Evaluation
    promotion: Promotion
    importance: tuple[tuple[str, float], ...]

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
        return [
            ("Cross-validation", _metric_table(e)),
            ("Later in time", _holdout_table(e)),
            ("Gates and alarms", [["condition", "measured", ""], *gates]),
            ("Reliability (all repeats)", [["predicted", "found", "rows"], *reliable]),
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

    def to_markdown(self) -> str:
        """The report as Markdown."""
        parts = [f"# {self.spec.name}", "\n".join(f"- {line}" for line in self.summary)]
        for heading, rows in self.sections:
            if len(rows) > 1:
                parts.append(f"## {heading}\n\n{_markdown(rows)}")
        return "\n\n".join(parts) + "\n"

    def to_html(self, figures: Iterable[str] = ()) -> str:
        """The report as one page; `figures` are SVG texts."""
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.summary)
        tables = "".join(f"<h2>{escape(h)}</h2>{_html(rows)}" for h, rows in self.sections if len(rows) > 1)
        drawn = "".join(f"<figure>{svg}</figure>" for svg in figures)
        name = escape(self.spec.name)
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style>'
            f"<h1>{name}</h1><ul>{lines}</ul>{drawn}{tables}</html>\n"
        )


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c2733}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{padding:.25rem .7rem;text-align:right;"
    "border-bottom:1px solid #d9e0e6}td:first-child,th:first-child{text-align:left}figure{margin:1rem 0}"
    "svg{max-width:100%;height:auto}"
)


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


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _html(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    cells = "".join(f"<th>{escape(c)}</th>" for c in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in body)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"
