"""Figures of a training as SVG: precision and recall, reliability, gain, importance, spread over folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fraud.explaining.charts import to_svg
from fraud.learning.metrics import BASELINES
from fraud.learning.reports.documents import Words
from fraud.learning.reports.training import TrainingReport
from fraud.learning.validation.evaluation import MODEL

__all__ = ["figures"]

_POINTS = 200
_SIZE = {"width": 520, "height": 260}
# Pixels of a bar with its name, and of the longest name.
_STEP, _NAME = 19, 280


def figures(report: TrainingReport, locale: str = "en") -> dict[str, str]:
    """SVG texts by file stem, with axes and titles in one language."""
    plots = _Plots(report, Words(locale))
    made = plots.all if len(report.evaluation.labels) else {"importance": plots.importance}
    return {name: to_svg(make()) for name, make in made.items()}


class _Plots:
    def __init__(self, report: TrainingReport, words: Words) -> None:
        self._report, self._evaluation, self._words = report, report.evaluation, words

    @property
    def all(self) -> dict[str, Callable[[], Any]]:
        """What draws each figure."""
        return {
            "precision_recall": self.precision_recall,
            "reliability": self.reliability,
            "gain": self.gain,
            "importance": self.importance,
            "folds": self.folds,
        }

    def precision_recall(self) -> Any:
        """How many of the first are positive, as the list grows."""
        labels, _ = self._ordered()
        hits = np.cumsum(labels)
        rows = [{"x": float(hits[i] / hits[-1]), "y": float(hits[i] / (i + 1))} for i in _thinned(len(labels))]
        chart = self._chart(rows, "precision_recall").mark_line()
        return chart.encode(x=self._axis("x", "recall"), y=self._axis("y", "precision"))

    def reliability(self) -> Any:
        """What was found of what was predicted."""
        points = self._chart([dict(r) for r in self._evaluation.reliability()], "reliability").mark_line(point=True)
        ideal = self._chart([{"predicted": v, "found": v} for v in (0, 1)]).mark_line(strokeDash=[4, 4], color="#999")
        axes = {"x": self._axis("predicted", "predicted"), "y": self._axis("found", "found")}
        return points.encode(**axes) + ideal.encode(**axes)

    def gain(self) -> Any:
        """Which share the first n reviews find."""
        labels, amounts = self._ordered()
        money, hits = np.cumsum(labels * amounts), np.cumsum(labels)
        rows = [
            {"reviewed": int(i + 1), "share": float(total[i] / (total[-1] or 1.0)), "of": self._say(name)}
            for i in _thinned(len(labels))
            for name, total in (("positives", hits), ("money", money))
        ]
        chart = self._chart(rows, "gain").mark_line()
        return chart.encode(
            x=self._axis("reviewed", "reviewed"),
            y=self._axis("share", "share"),
            color={"field": "of", "type": "nominal", "title": None},
        )

    def importance(self) -> Any:
        """The features that moved the score most."""
        unit = "score" if self._report.spec.kind == "novelty" else "log_odds"
        rows = [{"feature": n, "moved": v} for n, v in self._report.importance[:20]]
        chart = self._chart(rows, "importance").mark_bar().properties(height={"step": _STEP})
        return chart.encode(x=self._axis("moved", unit), y=_names("feature"))

    def folds(self) -> Any:
        """How far the contenders spread over the folds."""
        rows = [
            {"value": float(v), "contender": self._words.label("contenders", contender)}
            for contender in (MODEL, *BASELINES)
            for v in self._evaluation.values(contender, "average_precision")
        ]
        chart = self._chart(rows, "folds").mark_point()
        return chart.encode(x=self._axis("value", "average_precision"), y=_names("contender"))

    def _say(self, what: str) -> str:
        return self._words.say(f"training_plots.{what}")

    def _chart(self, rows: list[dict[str, Any]], title: str = "") -> Any:
        import altair

        named = f"title_{title}"
        return altair.Chart(altair.Data(values=rows), title=self._say(named) if title else "").properties(**_SIZE)

    def _axis(self, field: str, title: str) -> dict[str, Any]:
        return {"field": field, "type": "quantitative", "title": self._say(title)}

    def _ordered(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels and amounts from the highest to the lowest out-of-fold probability of the first repeat."""
        e = self._evaluation
        order = np.argsort(-e.probabilities[0], kind="stable")
        return e.labels[order], e.amounts[order]


def _thinned(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, _POINTS)).astype(int))


def _names(field: str) -> dict[str, Any]:
    return {"field": field, "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": _NAME}}
