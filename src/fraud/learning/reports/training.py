"""The report of a training: a document in English or Chinese, as text, as Markdown and as a page, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from fraud.learning.datasets.dataset import Dataset
from fraud.learning.metrics import BASELINES, METRICS, share_of_list
from fraud.learning.reports.conditions import failed, gate_table, meanings
from fraud.learning.reports.documents import (
    Block,
    Document,
    Figure,
    Points,
    Section,
    Table,
    Words,
    quoted,
    to_html,
    to_markdown,
)
from fraud.learning.reports.drawings import Drawing
from fraud.learning.reports.features import part_name, title_of, titled
from fraud.learning.reports.numbers import count, mean_sd, of_metric, plain, share
from fraud.learning.spec import ModelSpec
from fraud.learning.validation import judging
from fraud.learning.validation.evaluation import MODEL, Evaluation
from fraud.learning.validation.fairness import Audit, Audited, audit
from fraud.learning.validation.gates import CHAMPION, Promotion
from fraud.signals.definition import Signal

__all__ = ["TrainingReport", "columns", "heading"]

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


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """What was learned from what, how well, and beside which baselines.

    `tables` are what other steps have to add: a heading, then rows of which the first is the head. `signals` give
    the features their titles; one that is not among them is named by its id.
    """

    spec: ModelSpec
    dataset: Dataset
    evaluation: Evaluation
    promotion: Promotion
    importance: tuple[tuple[str, float], ...]
    tables: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    signals: Mapping[str, Signal] = field(default_factory=dict)

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
            "holdout": _holdout_dict(e),
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
        group = w.label("entities", s.group.removesuffix("_id"))
        places = {"folds": s.folds, "repeats": s.repeats, "group": group, "k": f"{self.evaluation.k:,}"}
        return w.say(f"{self.section}.protocol", **places)

    def places(self, w: Words) -> dict[str, object]:
        """Counts and names for the sentences."""
        entity = self.spec.entity
        counts = {name: f"{count:,}" for name, count in self.counts.items()}
        names = {"entities": w.label("entities_plural", entity), "counter": w.label("counters", entity)}
        return {**counts, **names, "entity": w.label("entities", entity)}

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
            *self.standing(w),
            *self.left_out(w),
        ]

    def standing(self, w: Words) -> list[str]:
        """The alias that it got, every gate that does not hold, and what to do next."""
        p = self.promotion
        told = [
            w.say("training.alias", alias=w.label("aliases", p.alias)),
            *(failed(g, w) for g in p.gates if not g.holds),
        ]
        if p.champion is not None:
            told.append(w.say("training.next", champion=p.champion, name=self.spec.name))
        return told

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
        """What reviewers of alarms and the labels said, in their own words."""
        return [*self.promotion.remarks, *(f"{n}." for n in self.dataset.notes)]

    def sections(self, w: Words) -> list[Section]:
        """The parts of the report after its summary; the first stands above the drawings."""
        singles = self._ranked("auc", self.evaluation.single_features, w)
        return [
            Section(heading(w, "cross"), [w.say("training_leads.cross"), _metric_table(self.evaluation, w)]),
            Section(heading(w, "meanings"), [meanings(tuple(METRICS), w)]),
            Section(heading(w, "later"), _holdout_blocks(self.evaluation, w)),
            self.gates_in(w),
            Section(heading(w, "calibration"), self._calibration(w)),
            Section(heading(w, "fairness"), [w.say("training_leads.fairness"), _audit_table(self.audit, w)]),
            *self.added,
            self.importance_in("log_odds", w),
            Section(heading(w, "singles"), [w.say("training_leads.singles"), singles]),
            *self.skipped_in(w),
        ]

    @property
    def added(self) -> list[Section]:
        """The tables of other steps."""
        return [Section(name, [Table(rows[0], rows[1:])]) for name, rows in self.tables.items() if len(rows) > 1]

    def gates_in(self, w: Words) -> Section:
        """Every gate and alarm with what was measured."""
        gates = self.promotion.gates
        found: list[Block] = [w.say("gates.lead"), gate_table(gates, w)] if gates else [w.say("training.no_gates")]
        return Section(heading(w, "gates"), found)

    def importance_in(self, unit: str, w: Words) -> Section:
        """The features that moved the score most; `unit` is the name of the column."""
        return Section(
            heading(w, "importance"), [w.say(f"training_leads.{unit}"), self._ranked(unit, self.importance, w)]
        )

    def skipped_in(self, w: Words) -> list[Section]:
        """Signals that the data could not feed; empty where there are none."""
        rows = [[titled(self.title(i, w), i), w.told(why) or why] for i, why in self.dataset.skipped.items()]
        table = Table(columns(w, "signal", "why"), rows, words=2)
        return [Section(heading(w, "skipped"), [w.say("training_leads.skipped"), table])] if rows else []

    def title(self, feature: str, w: Words) -> str:
        """The title of a feature, or its id."""
        return title_of(feature, self.signals, w)

    def _ranked(self, unit: str, found: Sequence[tuple[str, float]], w: Words) -> Table:
        rows = [[titled(self.title(name, w), name), plain(value)] for name, value in found[:_TOP]]
        return Table(columns(w, "feature", unit), rows)

    def _calibration(self, w: Words) -> list[Block]:
        bands, months = judging.bands(self.judged), judging.months(self.judged)
        return [
            w.say("training_leads.calibration"),
            _calibration_table("bands", "probability", bands, w),
            _calibration_table("months", "month", months, w),
        ]

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
        drawn: list[Block] = [_drawn(svg) for svg in figures]
        said, sections = self.summary(w), self.sections(w)
        holds = self.promotion.holds
        return Document(
            lang=w.lang,
            kicker=w.say(f"{self.section}.kicker"),
            title=w.printed(self.spec.title.get(w.locale) or self.spec.name),
            lead=said[0],
            notice=(w.say("training.notice"), w.say(f"{self.section}.read_as")),
            sections=[
                Section(heading(w, "short"), [Points([*said[1:], self.protocol_in(w)]), *quoted(self.originals, w)]),
                *sections[:1],
                *([Section(heading(w, "figures"), drawn)] if drawn else []),
                *sections[1:],
            ],
            pills=[
                (w.label("aliases", alias), "good" if alias == CHAMPION else ""),
                (w.say(f"gates.{'hold' if holds else 'fail'}"), "good" if holds else "bad"),
            ],
        )

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


def _drawn(svg: str) -> Figure:
    return Figure(svg.caption, svg, svg.narrow) if isinstance(svg, Drawing) else Figure("", svg)


def _contenders() -> tuple[str, ...]:
    return (MODEL, *BASELINES)


def _metric_table(e: Evaluation, w: Words) -> Table:
    """Metrics down, contenders across: there are fewer of these, and a page is only so wide."""
    rows = [[w.label("metrics", m), *(mean_sd(m, (e.mean(c, m), e.sd(c, m))) for c in _contenders())] for m in METRICS]
    return Table(_contender_head(w), rows, caption=w.say("figures.table_head"))


def _contender_head(w: Words) -> list[str]:
    return [w.say("figures.metric"), *(w.label("contenders", c) for c in _contenders())]


def _across(e: Evaluation) -> str:
    """Metrics down, contenders across: it fits a terminal."""
    rows = [["", "model", *(b.replace("_", " ") for b in BASELINES)]]
    rows += [[title, *(_mean_sd(m, e.mean(c, m), e.sd(c, m)) for c in _contenders())] for m, title in _SHORT.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in rows)
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _holdout_dict(e: Evaluation) -> dict[str, Any]:
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


def _holdout_blocks(e: Evaluation, w: Words) -> list[Block]:
    h = e.holdout
    if h.metrics is None:
        return [w.say("training.no_holdout"), *quoted([h.reason] if h.reason else [], w)]
    counts = {"train": count(h.train), "test": count(h.test), "positives": count(h.positives)}
    figures = h.metrics
    rows = [[w.label("metrics", m), *(of_metric(m, figures[c][m]) for c in _contenders())] for m in METRICS]
    return [w.say("training.decided_before", cut=h.cut, **counts), Table(_contender_head(w), rows)]


def _mean_sd(metric: str, mean: float, sd: float) -> str:
    return mean_sd(metric, (mean, sd)).replace("\n", " ")


def _calibration_table(caption: str, first: str, rows: Sequence[Mapping[str, Any]], w: Words) -> Table:
    named = [r.get("month") or f"{r['from']:.0%} – {r['to']:.0%}" for r in rows]
    cells = [
        [count(r["n"]), share(r["predicted"]), share(r["found"])]
        + [w.say("backtest.to", low=share(r["low"]), high=share(r["high"]))]
        for r in rows
    ]
    head = columns(w, first, "rows", "predicted", "found", "bounds")
    return Table(head, [[n, *c] for n, c in zip(named, cells, strict=True)], caption=heading(w, caption))


def _audit_table(found: Audit, w: Words) -> Table:
    """Each part of a segment: how often its cleared were on the list, beside everybody else's."""
    rows = [
        [part_name(p.segment, p.value, w), w.say(f"backtest_verdicts.{p.verdict}"), count(p.cleared)]
        + [share(v) for v in (p.cleared_rate, p.rest_rate, p.predicted, p.found)]
        for p in found.parts
    ]
    return Table(
        columns(w, "part", "verdict", "cleared", "cleared_rate", "rest_rate", "predicted", "found"), rows, words=2
    )
