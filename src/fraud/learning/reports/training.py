"""The report of a training: a document in English or Chinese, as text, as Markdown and as a page, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fraud.learning.datasets.dataset import Dataset
from fraud.learning.metrics import BASELINES, METRICS, share_of_list
from fraud.learning.reports.documents import (
    NOT_KNOWN,
    Block,
    Document,
    Figure,
    Points,
    Section,
    Table,
    Words,
    to_html,
    to_markdown,
)
from fraud.learning.spec import ModelSpec
from fraud.learning.validation import judging
from fraud.learning.validation.evaluation import MODEL, Evaluation
from fraud.learning.validation.fairness import Audit, Audited, Part, audit
from fraud.learning.validation.gates import CHAMPION, Promotion

__all__ = ["Titled", "TrainingReport", "columns", "heading", "ranked", "shown"]

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
# A heading, then rows of which the first is the head.
Titled = tuple[str, list[list[str]]]


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

    @property
    def common(self) -> dict[str, Any]:
        """What every training tells, as JSON types."""
        d = self.dataset
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
            "tables": {name: [list(row) for row in rows] for name, rows in self.tables.items()},
            "importance": [list(f) for f in self.importance],
            "data": d.data_digest,
            "catalogue": d.catalogue_digest,
        }

    def as_dict(self) -> dict[str, Any]:
        """The whole report as JSON types."""
        e = self.evaluation
        return self.common | {
            "table": [{"contender": c, **{m: [e.mean(c, m), e.sd(c, m)] for m in METRICS}} for c in _contenders()],
            "average_precision_interval": list(e.interval),
            "pooled": {"k": e.k, **e.pooled()},
            "reliability": [dict(r) for r in e.reliability()],
            "calibration": {"bands": judging.bands(self.judged), "months": judging.months(self.judged)},
            "fairness": self.audit.as_dict(),
            "holdout": _holdout(e),
            "single_features": [list(f) for f in e.single_features[:_TOP]],
        }

    # --- in words -----------------------------------------------------------------------------------------

    @property
    def section(self) -> str:
        """Where the words of this kind of report are."""
        return "training"

    @property
    def protocol(self) -> str:
        """How the figures were measured, in two sentences."""
        return self.protocol_in(Words("en"))

    def protocol_in(self, w: Words) -> str:
        """How the figures were measured, in one language."""
        s = self.spec.split
        places = {"folds": s.folds, "repeats": s.repeats, "group": s.group, "k": self.evaluation.k}
        return w.say(f"{self.section}.protocol", **places)

    def places(self, w: Words) -> dict[str, object]:
        """Counts and names for the sentences."""
        entity = self.spec.entity
        counts = {name: f"{count:,}" for name, count in self.counts.items()}
        return {**counts, "entity": w.label("entities", entity), "counter": w.label("counters", entity)}

    def summary(self, w: Words) -> list[str]:
        """What stands above the tables, a sentence a line."""
        e, pooled = self.evaluation, self.evaluation.pooled()
        listed = {
            "k": f"{e.k:,}",
            "weeks": f"{e.k / self.spec.capacity.reviews_per_week:.1f}",
            "precision": f"{pooled['precision_at_k']:.1%}",
            "money": f"{pooled['money_at_k']:,.0f}",
            "share": f"{pooled['money_share_at_k']:.1%}",
        }
        low, high = (f"{v:.3f}" for v in e.interval)
        return [
            w.say("training.rows", **self.places(w), as_of=f"{self.dataset.as_of:%Y-%m-%d}"),
            w.say("training.list", **{**self.places(w), **listed}),
            w.say("training.precision", value=f"{e.mean(MODEL, 'average_precision'):.3f}", low=low, high=high),
            w.say("training.alias", alias=w.label("aliases", self.promotion.alias)),
            *self.left_out(w),
        ]

    @property
    def description(self) -> str:
        """The first sentences of the summary in English, for a registered version."""
        return " ".join(self.summary(Words("en"))[:3])

    def left_out(self, w: Words) -> list[str]:
        """How many signals the data could not feed; empty where there are none."""
        count = len(self.dataset.skipped)
        return [w.say("training.left_out", count=count)] if count else []

    @property
    def originals(self) -> list[str]:
        """What gates, reviewers of alarms and the labels said, in their own words."""
        return [*self.promotion.reasons, *self.promotion.remarks, *(f"{n}." for n in self.dataset.notes)]

    def sections(self, w: Words) -> list[Titled]:
        """Tables of the report."""
        e, j = self.evaluation, self.judged
        reliable = [[f"{r['predicted']:.3f}", f"{r['found']:.3f}", f"{r['n']:,}"] for r in e.reliability()]
        return [
            (heading(w, "cross"), _metric_table(e, w)),
            (heading(w, "later"), _holdout_table(e, w)),
            self.gate_table(w),
            (heading(w, "bands"), _calibration_table("probability", judging.bands(j), w)),
            (heading(w, "months"), _calibration_table("month", judging.months(j), w)),
            (heading(w, "reliability"), [columns(w, "predicted", "found", "rows"), *reliable]),
            (heading(w, "fairness"), _audit_table(self.audit, w)),
            *self.added,
            (heading(w, "importance"), ranked("log_odds", self.importance, w)),
            (heading(w, "singles"), ranked("auc", e.single_features, w)),
            self.skipped_table(w),
        ]

    @property
    def added(self) -> list[Titled]:
        """The tables of other steps."""
        return [(name, [list(row) for row in rows]) for name, rows in self.tables.items()]

    def gate_table(self, w: Words) -> Titled:
        """Every gate and alarm with what was measured."""
        rows = [[g.condition, shown(g.measured, w), _verdict(g.holds, g.alarm, w)] for g in self.promotion.gates]
        return heading(w, "gates"), [[*columns(w, "condition", "measured"), ""], *rows]

    def skipped_table(self, w: Words) -> Titled:
        """Signals that the data could not feed."""
        rows = [[signal, why] for signal, why in self.dataset.skipped.items()]
        return heading(w, "skipped"), [columns(w, "signal", "why"), *rows]

    def to_text(self) -> str:
        """The summary and the table of the cross-validation, for a terminal."""
        return f"{self.bullets}\n\n{_across(self.evaluation)}"

    @property
    def bullets(self) -> str:
        """The summary in English, a line each."""
        w = Words("en")
        said = [*self.summary(w), *self.originals, self.protocol, w.say(f"{self.section}.read_as")]
        return "\n".join(f"  • {line}" for line in said)

    def document(self, figures: Iterable[str] = (), locale: str = "en") -> Document:
        """The report as a document in one language; `figures` are SVG texts."""
        w, alias = Words(locale), self.promotion.alias
        drawn: list[Block] = [Figure("", svg) for svg in figures]
        said = self.summary(w)
        tables = [Section(title, [Table(rows[0], rows[1:])]) for title, rows in self.sections(w) if len(rows) > 1]
        return Document(
            lang=w.lang,
            kicker=w.say(f"{self.section}.kicker"),
            title=self.spec.title.get(w.locale) or self.spec.name,
            lead=said[0],
            notice=(w.say("training.notice"), w.say(f"{self.section}.read_as")),
            sections=[
                Section(heading(w, "short"), [Points([*said[1:], self.protocol_in(w)]), *self._quoted(w)]),
                *tables[:1],
                *([Section(heading(w, "figures"), drawn)] if drawn else []),
                *tables[1:],
            ],
            pills=[(w.label("aliases", alias), "good" if alias == CHAMPION else "bad")],
        )

    def _quoted(self, w: Words) -> list[Block]:
        """What has no words of its own, marked as English on a page in another language."""
        said, foreign = self.originals, w.locale != "en"
        if not said:
            return []
        return [*([w.say("page.original")] if foreign else []), Points(said, original=foreign)]

    def to_markdown(self, locale: str = "en") -> str:
        """The report as Markdown."""
        return to_markdown(self.document(locale=locale))

    def to_html(self, figures: Iterable[str] = (), locale: str = "en") -> str:
        """The report as one page; `figures` are SVG texts."""
        return to_html(self.document(figures, locale))


def heading(w: Words, name: str) -> str:
    """The heading of a part of the report."""
    return w.say(f"training_headings.{name}")


def columns(w: Words, *names: str) -> list[str]:
    """Heads of columns."""
    return [w.say(f"training_columns.{name}") for name in names]


def shown(value: float | None, w: Words) -> str:
    """A figure as the reports write it."""
    return w.say("training.not_measured") if value is None or not np.isfinite(value) else _figure(value)


def ranked(unit: str, found: Sequence[tuple[str, float]], w: Words) -> list[list[str]]:
    """The first features of a ranking; `unit` is the name of its column."""
    return [columns(w, "feature", unit), *([name, f"{value:.3f}"] for name, value in found[:_TOP])]


def _contenders() -> tuple[str, ...]:
    return (MODEL, *BASELINES)


def _metric_table(e: Evaluation, w: Words) -> list[list[str]]:
    rows = [[w.label("contenders", c), *(_mean_sd(e.mean(c, m), e.sd(c, m)) for m in METRICS)] for c in _contenders()]
    return _turned([["", *(w.label("metrics", m) for m in METRICS)], *rows])


def _turned(table: Sequence[Sequence[str]]) -> list[list[str]]:
    """Metrics down, contenders across: there are fewer of these, and a page is only so wide."""
    return [list(row) for row in zip(*table, strict=True)]


def _across(e: Evaluation) -> str:
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


def _holdout_table(e: Evaluation, w: Words) -> list[list[str]]:
    h = e.holdout
    if h.metrics is None:
        return [[w.say("training.no_holdout")], [h.reason]]
    counts = {"train": f"{h.train:,}", "test": f"{h.test:,}", "positives": f"{h.positives:,}"}
    head = w.say("training.decided_before", cut=h.cut, **counts)
    figures = h.metrics
    rows = [[w.label("contenders", c), *(_figure(figures[c][m]) for m in METRICS)] for c in _contenders()]
    return _turned([[head, *(w.label("metrics", m) for m in METRICS)], *rows])


def _verdict(holds: bool, alarm: bool, w: Words) -> str:
    return w.say(f"training_gates.{'holds' if holds else ('alarm' if alarm else 'fails')}")


def _mean_sd(mean: float, sd: float) -> str:
    return f"{_figure(mean)} ± {_figure(sd)}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def _calibration_table(first: str, rows: Sequence[Mapping[str, Any]], w: Words) -> list[list[str]]:
    named = [r.get("month") or f"{r['from']:.0%} – {r['to']:.0%}" for r in rows]
    cells = [
        [f"{r['n']:,}", f"{r['predicted']:.3f}", f"{r['found']:.3f}", f"{r['low']:.3f} – {r['high']:.3f}"] for r in rows
    ]
    head = columns(w, first, "rows", "predicted", "found", "bounds")
    return [head, *([n, *c] for n, c in zip(named, cells, strict=True))]


def _audit_table(found: Audit, w: Words) -> list[list[str]]:
    """Each part of a segment: how often its cleared were on the list, beside everybody else's."""
    rows = [
        [_part(p, w), w.say(f"backtest_verdicts.{p.verdict}"), f"{p.cleared:,}"]
        + [f"{v:.1%}" if np.isfinite(v) else NOT_KNOWN for v in (p.cleared_rate, p.rest_rate, p.predicted, p.found)]
        for p in found.parts
    ]
    return [columns(w, "part", "verdict", "cleared", "cleared_rate", "rest_rate", "predicted", "found"), *rows]


def _part(p: Part, w: Words) -> str:
    value = w.label("values", p.value) if w.has(f"values.{p.value}") else p.value
    return f"{w.label('backtest_segments', p.segment)}{w.colon}{value}"
