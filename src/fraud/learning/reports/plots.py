"""Figures of a training as SVG: precision and recall, reliability, gain, importance, spread over folds."""

from __future__ import annotations

from typing import Any

import numpy as np

from fraud.explaining.charts import to_svg
from fraud.learning.metrics import BASELINES
from fraud.learning.reports.training import TrainingReport
from fraud.learning.validation.evaluation import MODEL, Evaluation

__all__ = ["figures"]

_POINTS = 200
_SIZE = {"width": 360, "height": 240}


def figures(report: TrainingReport) -> dict[str, str]:
    """SVG texts by file stem."""
    e = report.evaluation
    if not len(e.labels):
        return {"importance": to_svg(_importance(report))}
    charts = {
        "precision_recall": _precision_recall(e),
        "reliability": _reliability(e),
        "gain": _gain(e),
        "importance": _importance(report),
        "folds": _folds(e),
    }
    return {name: to_svg(chart) for name, chart in charts.items()}


def _chart(rows: list[dict[str, Any]], title: str) -> Any:
    import altair

    return altair.Chart(altair.Data(values=rows), title=title).properties(**_SIZE)


def _ordered(e: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Labels and amounts from the highest to the lowest out-of-fold probability of the first repeat."""
    order = np.argsort(-e.probabilities[0], kind="stable")
    return e.labels[order], e.amounts[order]


def _thinned(n: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, _POINTS)).astype(int))


def _precision_recall(e: Evaluation) -> Any:
    labels, _ = _ordered(e)
    hits = np.cumsum(labels)
    rows = [{"recall": float(hits[i] / hits[-1]), "precision": float(hits[i] / (i + 1))} for i in _thinned(len(labels))]
    return _chart(rows, "Precision and recall, out of fold").mark_line().encode(x="recall:Q", y="precision:Q")


def _reliability(e: Evaluation) -> Any:
    rows = [dict(r) for r in e.reliability()]
    points = _chart(rows, "Reliability, out of fold").mark_line(point=True)
    ideal = _chart([{"predicted": v, "found": v} for v in (0, 1)], "").mark_line(strokeDash=[4, 4], color="#999")
    return points.encode(x="predicted:Q", y="found:Q") + ideal.encode(x="predicted:Q", y="found:Q")


def _gain(e: Evaluation) -> Any:
    labels, amounts = _ordered(e)
    money, hits = np.cumsum(labels * amounts), np.cumsum(labels)
    rows = [
        {"reviewed": int(i + 1), "share": float(total[i] / (total[-1] or 1.0)), "of": name}
        for i in _thinned(len(labels))
        for name, total in (("positives", hits), ("money at fault", money))
    ]
    return _chart(rows, "Found by the first n reviews").mark_line().encode(x="reviewed:Q", y="share:Q", color="of:N")


def _importance(report: TrainingReport) -> Any:
    unit = "score" if report.spec.kind == "novelty" else "log_odds"
    rows = [{"feature": n, unit: v} for n, v in report.importance[:20]]
    chart = _chart(rows, "Mean absolute contribution").mark_bar()
    return chart.encode(x=f"{unit}:Q", y={"field": "feature", "type": "nominal", "sort": None, "title": None})


def _folds(e: Evaluation) -> Any:
    rows = [
        {"average precision": float(v), "contender": contender}
        for contender in (MODEL, *BASELINES)
        for v in e.values(contender, "average_precision")
    ]
    chart = _chart(rows, "Average precision over folds").mark_point()
    return chart.encode(x="average precision:Q", y={"field": "contender", "type": "nominal", "title": None})
