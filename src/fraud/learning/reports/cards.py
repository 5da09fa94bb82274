"""Model cards: what a registered model is for, how good it is, what it cannot see, and how to make it again.

A card is made of what a training wrote down. What was not measured is said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fraud.learning.model import FittedModel
from fraud.learning.reports.card_figures import fairness, rolling, stability
from fraud.learning.reports.conditions import gate_table, meanings, measured, metric_title
from fraud.learning.reports.documents import (
    NOT_KNOWN,
    Block,
    Document,
    Pairs,
    Points,
    Section,
    Table,
    Words,
    moment,
    quoted,
    to_html,
    to_markdown,
)
from fraud.learning.reports.features import title_of, titled
from fraud.learning.reports.numbers import count, mean_sd, of_metric, plain, share
from fraud.learning.validation.gates import judge
from fraud.signals.definition import LOCALES, Signal

__all__ = ["FOLDER", "Facts", "card", "card_files", "history"]

# Where the cards of a training are among the files of its run.
FOLDER = "card"
_ID = re.compile(r"`([\w.]+)`")
_TOP = 15
_LISTED = 8
# Below this many positives the bounds of a figure are wide enough to say so.
_FEW_POSITIVES = 300
_JUDGED = (
    "precision_at_k",
    "money_share_at_k",
    "recovery_share_at_k",
    "average_precision",
    "recall_at_1pct",
    "calibration_error",
    "brier",
    "roc_auc",
)


@dataclass(frozen=True, eq=False)
class Facts:
    """What a card is made of: the model, its training's report, its signals by id, and who promoted it.

    `environment` names the versions it was made with, and the digest of the `lock`; `backtest` is the latest one
    of the model's spec, with the id of its `run`.
    """

    model: FittedModel
    report: Mapping[str, Any]
    signals: Mapping[str, Signal]
    environment: Mapping[str, str]
    changes: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    backtest: Mapping[str, Any] | None = None


def card_files(facts: Facts) -> dict[str, str]:
    """The card in every language, as HTML and as Markdown, by file name."""
    drawn = {locale: card(facts, locale) for locale in LOCALES}
    pages = {f"{FOLDER}/card.{locale}.html": to_html(d) for locale, d in drawn.items()}
    return pages | {f"{FOLDER}/card.{locale}.md": to_markdown(d) for locale, d in drawn.items()}


def card(facts: Facts, locale: str) -> Document:
    """The card in one language."""
    return _Card(facts, Words(locale)).document


class _Card:
    """The parts of one card in one language."""

    def __init__(self, facts: Facts, words: Words) -> None:
        self.facts, self.w = facts, words
        self.model, self.spec, self.report = facts.model, facts.model.spec, facts.report
        places = ("entities", "entities_plural", "counters")
        self.places = dict(
            zip(("entity", "entities", "counter"), (words.label(p, self.spec.entity) for p in places), strict=True)
        )

    def say(self, where: str, **places: object) -> str:
        """A text with the entity's words in their places."""
        return self.w.say(where, **self.places, **places)

    @property
    def unlabelled(self) -> bool:
        """Whether the model has learned without labels."""
        return self.spec.kind == "novelty"

    @property
    def document(self) -> Document:
        """The whole card."""
        verdicts = self.w.join([self.w.label("verdicts", v) for v in self.spec.label.positive])
        parts = (
            ("use", self.w.points("use")),
            ("misuse", self.w.points("misuse")),
            ("data", self._data()),
            ("figures", self._figures()),
            ("later", [*self._later(), *self._tested(rolling)]),
            ("stability", self._tested(stability)),
            ("calibration", self._calibration()),
            ("fairness", [self.say("fairness.why"), *self._tested(fairness)]),
            ("drivers", self._drivers()),
            ("blind", self._blind_spots()),
            ("limits", self._limits()),
            ("gates", self._gates()),
            ("history", history(self.facts.changes, self.w)),
            ("made", self._made()),
        )
        return Document(
            lang=self.w.lang,
            kicker=self.w.say("card.kicker"),
            title=self.spec.title.get(self.w.locale) or self.model.name,
            pills=self._pills(),
            lead=self.say("card.lead_unlabelled" if self.unlabelled else "card.lead", verdicts=verdicts),
            notice=(self.w.say("card.notice"), self.w.say("card.notice_text")),
            sections=[Section(self.w.say(f"headings.{key}"), _blocks(found)) for key, found in parts if found],
        )

    def _pills(self) -> list[tuple[str, str]]:
        pills = [(self.model.name, "")]
        if self.model.version is not None:
            pills.append((self.w.say("card.version", version=self.model.version), ""))
        if self.model.alias:
            pills.append((self.w.label("aliases", self.model.alias), "good" if self.model.alias == "champion" else ""))
        reasons = self.report.get("reasons", ())
        return [*pills, (self.w.say("gates.fail" if reasons else "gates.hold"), "bad" if reasons else "good")]

    # --- data ---------------------------------------------------------------------------------------------

    def _data(self) -> list[Block]:
        counts, label = self.report.get("counts", {}), self.spec.label
        known = {k: count(counts.get(k)) for k in ("rows", "labelled", "positive", "features", "signals")}
        window = "claims_only" if self.spec.entity == "claim" else "window"
        rules = [
            self.say("data.counts", **known, as_of=self.model.as_of[:10]),
            self.say(f"data.{window}", days=self.spec.window_days),
        ]
        if self.unlabelled:
            return [Points([*rules, self.say("data.no_labels")]), *quoted(self.report.get("notes", ()), self.w)]
        rules += [self._verdicts("positive", label.positive), self._verdicts("negative", label.negative)]
        if (treatment := getattr(label, "unlabelled", "ignore")) and self.w.has(f"unlabelled.{treatment}"):
            rules.append(self.w.say(f"unlabelled.{treatment}"))
        if days := getattr(label, "maturity_days", 0):
            rules.append(self.say("data.maturity", days=days))
        return [Points(rules), *quoted(self.report.get("notes", ()), self.w)]

    def _verdicts(self, side: str, verdicts: Sequence[str]) -> str:
        return self.w.say(f"data.{side}", verdicts=self.w.join([self.w.label("verdicts", v) for v in verdicts]))

    # --- figures ------------------------------------------------------------------------------------------

    def _figures(self) -> list[Block]:
        table = {row["contender"]: row for row in self.report.get("table", ())}
        if self.unlabelled and (found := self.report.get("figures")):
            told = [[metric_title(k, self.w), measured(f"{k} >= 0", v, self.w)] for k, v in found.items()]
            return [Table([self.w.say("figures.metric"), self.w.say("gates.measured")], told)]
        if not table:
            return [self.w.say("page.not_measured")]
        metrics = [m for m in _JUDGED if m in table["model"]]
        head = [self.w.say("figures.metric"), *(self.w.label("contenders", c) for c in table)]
        rows = [[self.w.label("metrics", m), *(mean_sd(m, row[m]) for row in table.values())] for m in metrics]
        split = self.spec.split
        group = self.w.label("entities", split.group.removesuffix("_id"))
        said = [
            self._interval(table["model"]),
            self.say("figures.list", k=count(self.report.get("pooled", {}).get("k"))),
            self.say("figures.protocol", folds=split.folds, repeats=split.repeats, group=group),
            self.say("figures.decided"),
        ]
        beside = Table(head, rows, caption=self.w.say("figures.table_head"))
        return [beside, Points([s for s in said if s]), self.w.say("meanings.lead"), meanings(metrics, self.w)]

    def _interval(self, own: Mapping[str, Any]) -> str:
        bounds = self.report.get("average_precision_interval")
        if not bounds:
            return ""
        value = plain(own["average_precision"][0])
        return self.say("figures.interval", value=value, low=plain(bounds[0]), high=plain(bounds[1]))

    def _later(self) -> list[Block]:
        if self.unlabelled:
            return []
        held = self.report.get("holdout") or {}
        if not held.get("metrics"):
            return [self.w.say("page.not_measured"), *quoted([r] if (r := held.get("reason")) else [], self.w)]
        figures = held["metrics"]
        metrics = [m for m in _JUDGED if m in figures["model"]]
        head = [self.w.say("figures.metric"), *(self.w.label("contenders", c) for c in figures)]
        rows = [[self.w.label("metrics", m), *(of_metric(m, own[m]) for own in figures.values())] for m in metrics]
        counts = {k: count(held[k]) for k in ("train", "test", "positives")}
        return [self.say("figures.holdout", cut=held["cut"], **counts), Table(head, rows)]

    def _calibration(self) -> list[Block]:
        rows = self.report.get("reliability", ())
        if self.unlabelled:
            return [self.w.say("page.no_probability")]
        if not rows:
            return [self.w.say("page.not_measured")]
        head = [self.w.say(f"calibration.{c}") for c in ("part", "rows", "predicted", "found")]
        ends = {1: "lowest", len(rows): "highest"}
        told = [
            [self.w.say(f"calibration.{ends.get(i, 'between')}", i=i), count(r["n"]), share(r["predicted"])]
            + [share(r["found"])]
            for i, r in enumerate(rows, 1)
        ]
        counts = self.report.get("counts", {})
        at_fault = counts["positive"] / counts["labelled"] if counts.get("labelled") else None
        base = [] if at_fault is None else [self.say("calibration.share", share=share(at_fault))]
        return [self.say("calibration.lead"), Table(head, told), *base]

    def _tested(self, part: Callable[..., list[Block]]) -> list[Block]:
        """A part of the latest backtest; without one it was not measured."""
        if self.unlabelled:
            return [self.w.say("page.no_outcomes")]
        found = self.facts.backtest
        return (
            part(found, self.w, self.spec.entity) if found else [self.w.say("page.no_backtest", name=self.model.name)]
        )

    # --- signals ------------------------------------------------------------------------------------------

    @property
    def _top(self) -> list[tuple[str, float]]:
        return [(str(n), float(v)) for n, v in self.report.get("importance", ())[:_TOP] if v > 0]

    def _drivers(self) -> list[Block]:
        if not self._top:
            return [self.w.say("page.not_measured")]
        signs = dict(zip(self.model.names, self.model.monotone, strict=True))
        ways = {1: "up", -1: "down", 0: "either"}
        head = [self.w.say(f"drivers.{c}") for c in ("figure", "direction", "weight")]
        rows = [
            [titled(self._title(name), name), self.w.say(f"drivers.{ways[signs.get(name, 0)]}"), plain(weight)]
            for name, weight in self._top
        ]
        return [self.say("drivers.lead_unlabelled" if self.unlabelled else "drivers.lead"), Table(head, rows, words=2)]

    def _title(self, name: str) -> str:
        return title_of(name, self.facts.signals, self.w)

    def _blind_spots(self) -> list[Block]:
        bases = dict.fromkeys(n.removesuffix(".peer_z").removesuffix(".peer_percentile") for n, _ in self._top)
        found = [(self._title(n), self._blind_spot(n)) for n in bases]
        told = [f"{title}{self.w.colon}{text}" for title, text in found if text]
        return [self.say("blind.lead"), Points(told)] if told else [self.say("blind.none")]

    def _blind_spot(self, name: str) -> str:
        signal = self.facts.signals.get(name)
        spots = signal.blind_spots if signal else {}
        said = spots.get(self.w.locale) or spots.get("en", "")
        # Docstrings name other signals by their ids.
        return self.w.printed(_ID.sub(lambda found: self._title(found[1]), said))

    # --- limits -------------------------------------------------------------------------------------------

    def _limits(self) -> list[Block]:
        told = [self.say(f"limits.{k}") for k in (("rare", "usual") if self.unlabelled else ("biased", "late"))]
        positive = self.report.get("counts", {}).get("positive")
        if not self.unlabelled and positive is not None and positive < _FEW_POSITIVES:
            told.append(self.say("limits.few", positive=count(positive)))
        if skipped := list(self.report.get("skipped", ())):
            names = skipped[:_LISTED]
            if len(skipped) > _LISTED:
                names.append(self.w.say("limits.more", count=len(skipped) - _LISTED))
            told.append(self.say("limits.skipped", count=len(skipped), names=self.w.join(names)))
        return [Points(told), *quoted(self.report.get("remarks", ()), self.w)]

    def _gates(self) -> list[Block]:
        """Judged anew: the model carries its gates and what was measured."""
        gates = judge(self.spec, self.model.metrics)
        return [self.say("gates.lead"), gate_table(gates, self.w)] if gates else [self.w.say("page.not_measured")]

    def _made(self) -> list[Block]:
        m, made = self.model, self.facts.environment
        rows = [
            ("command", f"fraud train {m.name} --claims DIR"),
            ("seed", str(self.spec.seed)),
            ("model", m.digest),
            ("data", m.data_digest),
            ("catalogue", m.catalogue_digest),
            ("lock", made.get("lock", NOT_KNOWN)),
            ("run", m.run_id or NOT_KNOWN),
            ("environment", ", ".join(f"{k} {v}" for k, v in made.items() if k != "lock") or NOT_KNOWN),
        ]
        return [self.say("made.lead"), Pairs([(self.w.say(f"made.{k}"), v) for k, v in rows], code=True)]


def history(changes: Sequence[Mapping[str, Any]], words: Words) -> list[Block]:
    """Who made which version champion, when and why."""
    if not changes:
        return [words.say("history.none")]
    head = [words.say(f"history.{c}") for c in ("when", "what", "by", "approved_by", "reason")]
    rows = [
        [
            moment(c["at"]),
            words.say(f"history.{c['kind']}", version=c["version"], before=c["before"] or NOT_KNOWN),
            *(c[k] or NOT_KNOWN for k in ("by", "approved_by", "reason")),
        ]
        for c in changes
    ]
    return [Table(head, rows, words=5)]


def _blocks(found: Sequence[Any]) -> Sequence[Block]:
    """A section's blocks; sentences of the words file make one list."""
    all_said = len(found) > 1 and all(isinstance(f, str) for f in found)
    return [Points(list(found))] if all_said else list(found)
