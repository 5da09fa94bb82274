"""The report of a backtest: one document in English or Chinese, as a page and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fraud.learning.metrics import METRICS, reliability
from fraud.learning.reports.conditions import condition, gate_table, meanings, measured
from fraud.learning.reports.documents import (
    NOT_KNOWN,
    Block,
    Document,
    Figure,
    Pairs,
    Points,
    Section,
    Table,
    Words,
    quoted,
)
from fraud.learning.reports.drawings import Bounded, curve_chart, interval_chart, reliability_chart
from fraud.learning.reports.features import part_name, value_name
from fraud.learning.reports.numbers import count, of_metric, plain, share, signed, signed_metric
from fraud.learning.validation import judging
from fraud.learning.validation.backtest import APART, OLDER, Backtest, Cut
from fraud.learning.validation.bootstrap import Interval
from fraud.learning.validation.evaluation import CONTENDERS, MODEL
from fraud.learning.validation.fairness import Part

__all__ = ["backtest_document", "backtest_summary", "backtest_table"]

# A fall of the area under the curve from within the folds to after the cut that asks for a reason.
_FALL = 0.1


def backtest_document(backtest: Backtest, locale: str, command: str = "") -> Document:
    """The report in one language; `command` is what made it."""
    return _Report(backtest, Words(locale), command).document


def backtest_table(backtest: Backtest, locale: str) -> tuple[list[str], list[list[str]]]:
    """Contenders across and metrics down, which fits a terminal: the head and the rows."""
    return _across(backtest, Words(locale), corrected=False)


def backtest_summary(backtest: Backtest, locale: str) -> list[str]:
    """What stands above the tables, a sentence each."""
    return _Report(backtest, Words(locale), "").summary


def _across(backtest: Backtest, w: Words, corrected: bool) -> tuple[list[str], list[list[str]]]:
    # The model of the cut before is not there at the first cut: its sums are of fewer rows.
    names = [n for n in backtest.contenders if n != OLDER]
    figures = {n: backtest.pooled(n, corrected).figures() for n in names}
    rows = [
        [w.say(f"backtest_columns.{m}"), *(of_metric(m, figures[n][m]) for n in names)]
        for m in METRICS
        # What was not reviewed was not recovered, and calibration is measured at the level of the decided rows.
        if not (corrected and m in ("money_at_k", "calibration_error", "brier"))
    ]
    return [w.say("figures.metric"), *(w.label("contenders_short", n) for n in names)], rows


class _Report:
    """The parts of one report in one language."""

    def __init__(self, backtest: Backtest, words: Words, command: str) -> None:
        self.b, self.w, self.command = backtest, words, command
        self.seed = backtest.spec.seed
        entity = backtest.spec.entity
        self.names = {
            "entities": words.label("entities_plural", entity),
            "counter": words.label("counters", entity),
        }

    def say(self, where: str, **places: object) -> str:
        """A text of the backtest with its places filled."""
        return self.w.say(f"backtest{where}", **self.names, **places)

    @property
    def document(self) -> Document:
        cuts = self.b.cuts
        days = {"first": f"{cuts[0].at:%Y-%m-%d}", "last": f"{cuts[-1].at:%Y-%m-%d}"}
        lead = self.say(
            ".lead" if len(cuts) > 1 else ".lead_once", cuts=len(cuts), until=f"{cuts[-1].until:%Y-%m-%d}", **days
        )
        title = self.w.printed(self.b.spec.title.get(self.w.locale) or self.b.spec.name)
        return Document(
            lang=self.w.lang,
            kicker=self.say(".kicker"),
            title=title,
            lead=lead,
            notice=(self.say(".notice"), self.say(".notice_text")),
            sections=self._sections(),
            pills=self._pills(),
        )

    def _sections(self) -> list[Section]:
        parts: dict[str, Sequence[Block]] = {
            "short": [Points(self.summary)],
            "figures": self._figures(),
            "cuts": self._cuts(),
            "calibration": self._calibration(),
            "fairness": self._fairness(),
            "stability": self._stability(),
            "ablations": self._ablations(),
            "curve": self._curve(),
            "treatments": self._treatments(),
            "alarms": self._alarms(),
            "protocol": [Points(self._protocol())],
            "made": [Pairs(self._made(), code=True)],
        }
        return [Section(self.say(f"_headings.{name}"), blocks) for name, blocks in parts.items()]

    def _pills(self) -> list[tuple[str, str]]:
        rings = not all(a.holds for a in self.b.alarms)
        pills = [(self.say(".alarm"), "bad") if rings else (self.say(".quiet"), "good")]
        better = all(self._gain(n).low > 0 for n in CONTENDERS if n != MODEL)
        pills.append((self.say(".better"), "good") if better else (self.say(".not_better"), "bad"))
        return [*pills, *([(self.say(".unfair"), "bad")] if self.b.audit.without_cause else [])]

    def _gain(self, name: str) -> Interval:
        return self.b.gain(name, "average_precision")

    # --- in short -----------------------------------------------------------------------------------------

    @property
    def summary(self) -> list[str]:
        b, figures = self.b, self.b.model.figures()
        listed, decided = b.listed
        precision = b.model.interval("precision_at_k", self.seed)
        counts = {"listed": f"{listed:,.0f}", "decided": f"{decided:,.0f}", "per_week": f"{b.per_week:,}"}
        return [
            self.say("_short.lists", precision=share(precision.value), bounds=self._shares(precision), **counts),
            self.say("_short.money", weeks=sum(c.period.weeks for c in b.cuts), **self._money(figures)),
            self.say("_short.coverage", **counts),
            self._against(),
            self._corrected(),
            self._apart(),
            *self._older(),
            *self._calibrated(),
            self._inside(),
            self._fair(),
            *([self._more_labels()] if b.curve else []),
            *self._rang(),
        ]

    def _money(self, figures: Mapping[str, float]) -> dict[str, str]:
        shares = {"share": "money_share_at_k", "recovery": "recovery_share_at_k"}
        return {"money": f"{figures['money_at_k']:,.0f}", **{k: share(figures[m]) for k, m in shares.items()}}

    def _against(self) -> str:
        """Which baselines the model beats, by the average precision."""
        found = self.b.model.interval("average_precision", self.seed)
        gains = {n: self._gain(n) for n in CONTENDERS if n != MODEL}
        kinds = {
            "better": [n for n, g in gains.items() if g.low > 0],
            "same": [n for n, g in gains.items() if not g.excludes_zero],
            "worse": [n for n, g in gains.items() if g.high < 0],
        }
        named = {
            k: self.w.join([self.say(f"_contenders.{n}") for n in v]) or self.say(".none") for k, v in kinds.items()
        }
        return self.say("_short.beats", ap=plain(found.value), bounds=self._bounds(found), **named)

    def _named(self, names: Sequence[str]) -> str:
        return self.w.join(names) or self.say(".none")

    def _corrected(self) -> str:
        found = self.b.everybody
        return self.say(
            "_short.corrected",
            precision=share(found.figure("precision_at_k")),
            ap=plain(found.figure("average_precision")),
            effective=f"{found.effective:,.0f}",
        )

    def _apart(self) -> str:
        gain, found = self._gain(APART), self.b.pooled(APART).figure("average_precision")
        known = float(
            np.average([c.known_groups for c in self.b.cuts], weights=[len(c.period.ids) for c in self.b.cuts])
        )
        places = {"ap": plain(found), "gain": signed(gain.value), "bounds": self._bounds(gain, signed)}
        return self.say("_short.apart", known=share(known), **places)

    def _older(self) -> list[str]:
        if OLDER not in self.b.contenders:
            return []
        gain = self._gain(OLDER)
        return [self.say("_short.older", gain=signed(gain.value), bounds=self._bounds(gain, signed))]

    def _calibrated(self) -> list[str]:
        level = {k: share(v) for k, v in self.b.level.items() if k != "moved"}
        error = plain(self.b.model.figure("calibration_error"))
        return [self.say("_short.calibration", error=error), self.say("_short.level", **level)]

    def _inside(self) -> str:
        after = self.b.model.figure("roc_auc")
        fell = self.b.inside - after > _FALL
        return self.say("_short.dropped" if fell else "_short.inside", inside=plain(self.b.inside), after=plain(after))

    def _fair(self) -> str:
        audit = self.b.audit
        if not audit.parts:
            return self.say("_fairness.none")
        if audit.without_cause:
            names = self.w.join([part_name(p.segment, p.value, self.w) for p in audit.without_cause])
            return self.say("_fairness.sum_some", names=names)
        judged = sum(p.verdict != "too_few" for p in audit.parts)
        return self.say("_fairness.sum_none", judged=judged, count=len(audit.parts))

    def _rang(self) -> list[str]:
        rang = [
            f"{condition(a.condition, self.w)} ({measured(a.condition, a.measured, self.w)})"
            for a in self.b.alarms
            if not a.holds
        ]
        return [self.say("_short.rang", conditions=self.w.join(rang))] if rang else []

    # --- figures ------------------------------------------------------------------------------------------

    def _figures(self) -> list[Block]:
        blocks: list[Block] = []
        for reading, corrected in (("decided", False), ("corrected", True)):
            head, rows = _across(self.b, self.w, corrected)
            blocks += [self.say(f".reading_{reading}"), Table(head, rows)]
        gains = {n: self._gain(n) for n in self.b.contenders if n != MODEL}
        dots = [Bounded(self.say(f"_contenders.{n}"), g.value, g.low, g.high) for n, g in gains.items()]
        read: list[Block] = [self.w.say("meanings.lead"), meanings([m for m in METRICS if m != "money_at_k"], self.w)]
        return [*blocks, self._drawn(".gains", dots, "gain", zero=True), *read]

    def _column(self, name: str) -> str:
        return self.say(f"_columns.{name}")

    # --- cuts ---------------------------------------------------------------------------------------------

    def _cuts(self) -> list[Block]:
        names: tuple[str, ...] = ("cut", "fitted", "rows", "decided", "known")
        names += ("precision_at_k", "precision_corrected", "weekly")
        head = [self._column(n) for n in (*names, "average_precision", "calibration_error", "roc_auc")]
        found = [self.b.judged(i) for i in range(len(self.b.cuts))]
        everybody = [c.judged(MODEL, self.b.per_week, i, corrected=True) for i, c in enumerate(self.b.cuts)]
        bounds = [f.interval("average_precision", self.seed) for f in found]
        rows = [self._cut(*row) for row in zip(self.b.cuts, found, everybody, bounds, strict=True)]
        dots = [Bounded(f"{c.at:%Y-%m-%d}", i.value, i.low, i.high) for c, i in zip(self.b.cuts, bounds, strict=True)]
        blocks: list[Block] = [Table(head, rows), self._drawn("_cuts.chart", dots, "average_precision")]
        if self.b.left_out:
            blocks += [self.say("_cuts.left_out"), *quoted(self.b.left_out, self.w)]
        return blocks

    def _cut(self, cut: Cut, found: judging.Judgement, everybody: judging.Judgement, bounds: Interval) -> list[str]:
        f = found.figures()
        return [
            f"{cut.at:%Y-%m-%d}",
            self._of_which(cut.labels, cut.positives),
            count(len(cut.period.ids)),
            self._of_which(len(cut.period.decided), found.labels.sum()),
            share(cut.known_groups),
            share(f["precision_at_k"]),
            share(everybody.figure("precision_at_k")),
            count(f["money_at_k"] / cut.period.weeks),
            f"{plain(bounds.value)}\n{self._bounds(bounds)}",
            plain(f["calibration_error"]),
            plain(f["roc_auc"]),
        ]

    def _of_which(self, rows: float, at_fault: float) -> str:
        return f"{count(rows)}\n{self.say('_columns.at_fault', count=count(at_fault))}"

    def _drawn(self, caption: str, rows: Sequence[Bounded], axis: str, **how: bool) -> Figure:
        title = self._column(axis)
        wide, narrow = (interval_chart(rows, title, narrow=n, **how) for n in (False, True))
        return Figure(self.say(caption), wide, narrow)

    # --- calibration --------------------------------------------------------------------------------------

    def _calibration(self) -> list[Block]:
        found = self.b.model
        points = [dict(p) for p in reliability(found.labels, found.probabilities)]
        across, up = self._column("predicted"), self._column("found")
        wide, narrow = (reliability_chart(points, across, up, narrow=n) for n in (False, True))
        bands = [[f"{p['from']:.0%} – {p['to']:.0%}", *self._calibration_row(p)] for p in judging.bands(found)]
        months = [[m["month"], *self._calibration_row(m)] for m in judging.months(found)]
        names = ("n", "predicted", "found", "bounds")
        heads = {first: [self._column(n) for n in (first, *names)] for first in ("band", "month")}
        blocks: list[Block] = [self.say("_calibration.lead"), Points(self._calibrated())]
        blocks.append(Figure(self.say("_calibration.chart"), wide, narrow))
        parts = {"band": bands, "month": months}
        return [*blocks, *(Table(heads[n], rows, caption=self.say(f"_calibration.{n}")) for n, rows in parts.items())]

    def _calibration_row(self, p: Mapping[str, Any]) -> list[str]:
        bounds = self.say(".to", low=share(p["low"]), high=share(p["high"]))
        return [count(p["n"]), share(p["predicted"]), share(p["found"]), bounds]

    # --- fairness -----------------------------------------------------------------------------------------

    def _fairness(self) -> list[Block]:
        audit = self.b.audit
        if not audit.parts:
            return [self.say("_fairness.none")]
        judged = [p for p in audit.parts if p.verdict != "too_few"]
        blocks: list[Block] = [self.say("_fairness.lead", count=len(judged)), Points(self._verdicts())]
        if judged:
            dots = [self._part_dot(p) for p in judged]
            blocks.append(self._drawn("_fairness.chart", dots, "cleared_rate", percent=True))
        names = ("part", "verdict", "flag_rate", "cleared", "cleared_rate", "rest_rate", "precision", "both", "p")
        head = [self._column(n) for n in names]
        return [*blocks, Table(head, [self._part(p) for p in audit.parts], words=2)]

    def _verdicts(self) -> list[str]:
        audit = self.b.audit
        lines = []
        for name in audit.segments:
            verdict = audit.verdict_of(name)
            parts = [value_name(p.value, self.w) for p in audit.parts if p.segment == name and p.verdict == verdict]
            segment = self.say(f"_segments.{name}")
            lines.append(self.say(f"_fairness.{verdict}", segment=segment, parts=self.w.join(parts)))
        unknown = [self.say(f"_segments.{n}") for n in audit.unknown]
        return [*lines, *([self.say("_fairness.unknown", names=self.w.join(unknown))] if unknown else [])]

    def _part_dot(self, p: Part) -> Bounded:
        label = part_name(p.segment, p.value, self.w)
        loud = p.verdict == "without_cause"
        return Bounded(label, p.cleared_rate, p.cleared_low, p.cleared_high, p.rest_rate, loud)

    def _part(self, p: Part) -> list[str]:
        bounds = self.say(".to", low=share(p.cleared_low), high=share(p.cleared_high))
        return [
            part_name(p.segment, p.value, self.w),
            self.say(f"_verdicts.{p.verdict}"),
            share(p.flag_rate),
            count(p.cleared),
            f"{share(p.cleared_rate)}\n{bounds}" if p.cleared else NOT_KNOWN,
            share(p.rest_rate),
            share(p.precision),
            f"{share(p.predicted)} / {share(p.found)}",
            plain(p.p),
        ]

    # --- stability, ablations, labels, alarms -------------------------------------------------------------

    def _stability(self) -> list[Block]:
        moves = self.b.moves
        if not moves:
            return [self.say("_stability.none")]
        kind = "claims" if self.b.spec.entity == "claim" else "entities"
        means = [float(np.nanmean(v)) if np.isfinite(v).any() else float("nan") for v in (
            np.array([m.spearman for m in moves]), np.array([m.overlap for m in moves])
        )]  # fmt: skip
        said = self.say("_stability.summary", spearman=plain(means[0]), overlap=share(means[1]))
        names = ("days", "spearman", "list", "stayed", "left_decided", "left_gone", "left_fell", "new_came", "new_rose")
        rows = [
            [f"{m.before} → {m.after}", plain(m.spearman)]
            + [f"{n:,}" for n in (m.k, m.stayed, m.decided, m.gone, m.fell, m.came, m.rose)]
            for m in moves
        ]
        return [self.say(f"_stability.{kind}"), said, Table([self._column(n) for n in names], rows)]

    def _ablations(self) -> list[Block]:
        absent = [self.say(f"_absent.{a}") for a in self.b.absent]
        blocks: list[Block] = [self.say("_ablation.lead")] if self.b.ablations else []
        if self.b.ablations:
            metrics = ("average_precision", "precision_at_k")
            lost = {a: {m: self.b.gain(a, m) for m in metrics} for a in self.b.ablations}
            rows = [
                [
                    self.say(f"_ablations.{a}"),
                    *(self._change(m, g) for m, g in found.items()),
                ]
                for a, found in lost.items()
            ]
            dots = [self._lost_dot(a, found["average_precision"]) for a, found in lost.items()]
            blocks.append(self._drawn("_ablation.chart", dots, "loss", zero=True))
            blocks.append(Table([self._column(n) for n in ("without", "loss", "loss_precision")], rows))
        if absent:
            blocks.append(self.say("_ablation.absent", why=self.w.join(absent)))
        return blocks or [self.say("_ablation.none")]

    def _lost_dot(self, name: str, lost: Interval) -> Bounded:
        return Bounded(self.say(f"_ablations.{name}"), lost.value, lost.low, lost.high)

    def _more_labels(self) -> str:
        curve = self.b.curve
        assert curve is not None
        last = curve.last_doubling
        return self.say(
            f"_curve.{curve.verdict}",
            last=signed(last.value),
            bounds=self._bounds(last, signed),
            next=signed(curve.next_doubling),
            twice=f"{2 * curve.points[-1].labels:,.0f}",
        )

    def _curve(self) -> list[Block]:
        curve = self.b.curve
        if curve is None:
            return [self.say("_curve.none")]
        points = [
            Bounded("", p.average_precision.value, p.average_precision.low, p.average_precision.high)
            for p in curve.points
        ]
        sizes = [p.labels for p in curve.points]
        fitted = [(float(n), curve.at(float(n))) for n in np.linspace(sizes[0], 2 * sizes[-1], 60)]
        across, up = self._column("labels"), self._column("average_precision")
        wide, narrow = (curve_chart(points, sizes, fitted, across, up, narrow=n) for n in (False, True))
        rows = [
            [f"{p.labels:,.0f}", plain(p.average_precision.value), self._bounds(p.average_precision),
             share(p.precision_at_k)]
            for p in curve.points
        ]  # fmt: skip
        head = [self._column(n) for n in ("labels", "average_precision", "bounds", "precision_at_k")]
        return [self._more_labels(), Figure(self.say("_curve.chart"), wide, narrow), Table(head, rows)]

    def _treatments(self) -> list[Block]:
        if not self.b.treatments:
            return [self.say("_treatments.none")]
        used = self.b.spec.label.unlabelled
        rows = [
            [self.w.say(f"treatments.{t.treatment}") + (self.say("_treatments.used") if t.treatment == used else ""),
             f"{t.fitted_on:,}", plain(t.average_precision), plain(t.corrected), share(t.precision_at_k)]
            for t in self.b.treatments
        ]  # fmt: skip
        head = [self._column(n) for n in ("treatment", "fitted_on", "average_precision", "corrected", "best_of_k")]
        return [self.say("_treatments.lead"), Table(head, rows)]

    def _alarms(self) -> list[Block]:
        if not self.b.alarms:
            return [self.say("_alarms.none")]
        remarks = [a.remark for a in self.b.alarms if a.remark]
        return [self.say("_alarms.lead"), gate_table(self.b.alarms, self.w), *quoted(remarks, self.w)]

    def _protocol(self) -> list[str]:
        claims = self.b.spec.entity == "claim"
        group = self.w.label("entities", self.b.spec.split.group.removesuffix("_id"))
        return [
            self._capital(self.say("_protocol.cut")),
            self.say("_protocol.lists" if claims else "_protocol.lists_entities", per_week=f"{self.b.per_week:,}"),
            self.say("_protocol.money"),
            self.say("_protocol.bounds", group=group),
            self.say("_protocol.groups"),
        ]

    def _capital(self, text: str) -> str:
        return ". ".join(t[:1].upper() + t[1:] for t in text.split(". "))

    def _made(self) -> list[tuple[str, str]]:
        facts = {"model": self.b.spec.name, "data": self.b.data_digest, "catalogue": self.b.catalogue_digest}
        facts |= {"seed": str(self.seed), "command": self.command}
        return [(self.say(f"_made.{k}"), v) for k, v in facts.items() if v]

    def _change(self, metric: str, gain: Interval) -> str:
        def form(value: float) -> str:
            return signed_metric(metric, value)

        return f"{form(gain.value)}\n{self._bounds(gain, form)}"

    def _shares(self, found: Interval) -> str:
        return self._bounds(found, share)

    def _bounds(self, found: Interval, form: Callable[[float], str] | None = None) -> str:
        form = form or plain
        return self.say(".to", low=form(found.low), high=form(found.high))
