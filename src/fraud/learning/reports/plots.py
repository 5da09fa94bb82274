"""Figures of a training as SVG: precision and recall, reliability, gain, importance, spread over folds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fraud.learning.metrics import BASELINES
from fraud.learning.reports.documents import Words
from fraud.learning.reports.drawings import Drawing, bar_chart, line_chart, reliability_chart, strip_chart
from fraud.learning.reports.training import TrainingReport
from fraud.learning.validation.evaluation import MODEL

__all__ = ["figures"]

_POINTS = 200
_TOP = 20


def figures(report: TrainingReport, locale: str = "en") -> dict[str, str]:
    """SVG texts by file stem, with axes and captions in one language; each knows its form for narrow pages."""
    plots = _Plots(report, Words(locale))
    made = plots.all if len(report.evaluation.labels) else {"importance": plots.importance}
    caption = {name: plots.say(f"title_{name}") for name in made}
    return {name: Drawing(make(False), make(True), caption[name]) for name, make in made.items()}


class _Plots:
    def __init__(self, report: TrainingReport, words: Words) -> None:
        self._report, self._evaluation, self._words = report, report.evaluation, words

    @property
    def all(self) -> dict[str, Callable[[bool], str]]:
        """What draws each figure, wide or narrow."""
        return {
            "precision_recall": self.precision_recall,
            "reliability": self.reliability,
            "gain": self.gain,
            "importance": self.importance,
            "folds": self.folds,
        }

    def precision_recall(self, narrow: bool) -> str:
        """How many of the first are positive, as the list grows."""
        labels, _ = self._ordered()
        hits = np.cumsum(labels)
        points = [(float(hits[i] / hits[-1]), float(hits[i] / (i + 1))) for i in _thinned(len(labels))]
        across, up = self.say("recall"), self.say("precision")
        return line_chart({"": points}, across, up, share=True, narrow=narrow)

    def reliability(self, narrow: bool) -> str:
        """What was found of what was predicted."""
        points = [dict(r) for r in self._evaluation.reliability()]
        return reliability_chart(points, self.say("predicted"), self.say("found"), narrow)

    def gain(self, narrow: bool) -> str:
        """Which share the first n reviews find."""
        labels, amounts = self._ordered()
        totals = {"positives": np.cumsum(labels), "money": np.cumsum(labels * amounts)}
        lines = {
            self.say(name): [(float(i + 1), float(total[i] / (total[-1] or 1.0))) for i in _thinned(len(labels))]
            for name, total in totals.items()
        }
        return line_chart(lines, self.say("reviewed"), self.say("share"), share=False, narrow=narrow)

    def importance(self, narrow: bool) -> str:
        """The features that moved the score most."""
        unit = "score" if self._report.spec.kind == "novelty" else "log_odds"
        rows = [(self._report.title(n, self._words), v) for n, v in self._report.importance[:_TOP]]
        return bar_chart(rows, self.say(unit), narrow=narrow)

    def folds(self, narrow: bool) -> str:
        """How far the contenders spread over the folds."""
        rows = [
            (self._words.label("contenders", c), self._evaluation.values(c, "average_precision").tolist())
            for c in (MODEL, *BASELINES)
        ]
        return strip_chart(rows, self.say("average_precision"), narrow=narrow)

    def say(self, what: str) -> str:
        """A word of the figures."""
        return self._words.say(f"training_plots.{what}")

    def _ordered(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels and amounts from the highest to the lowest out-of-fold probability of the first repeat."""
        e = self._evaluation
        order = np.argsort(-e.probabilities[0], kind="stable")
        return e.labels[order], e.amounts[order]


def _thinned(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, _POINTS)).astype(int))
