"""What a model's latest backtest adds to its card: later months, fairness, stability, and what more labels would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fraud.learning.reports.documents import NOT_KNOWN, Block, Points, Table, Words
from fraud.learning.reports.features import part_name, value_name
from fraud.learning.reports.numbers import count, of_metric, plain, share

__all__ = ["fairness", "rolling", "stability"]

Found = Mapping[str, Any]
_PARTS_SHOWN = 12


def rolling(found: Found, w: Words, entity: str) -> list[Block]:
    """The cuts of the backtest, one row each."""
    places = {"entities": w.label("entities_plural", entity), "counter": w.label("counters", entity)}
    head = [w.say(f"rolling.{k}") for k in ("cut", "decided", "positive", "precision", "ap", "interval", "calibration")]
    rows = []
    for cut in found["cuts"]:
        bounds = cut["average_precision_interval"]
        figures = [of_metric(m, cut[m]) for m in ("precision_at_k", "average_precision")]
        interval = w.say("backtest.to", low=plain(bounds["low"]), high=plain(bounds["high"]))
        counts = [count(cut["decided"]), count(cut["found"])]
        rows.append([cut["cut"], *counts, *figures, interval, plain(cut.get("calibration_error"))])
    lead = w.say("rolling.lead", **places, per_week=found["per_week"], run=found.get("run", NOT_KNOWN))
    return [lead, Table(head, rows)]


def fairness(found: Found, w: Words, entity: str) -> list[Block]:
    """Segment by segment, whether anybody is flagged more without cause, and the parts behind it."""
    audit = found["fairness"]
    if not audit["parts"]:
        return [w.say("backtest_fairness.none")]
    told = [_verdict(audit, segment, verdict, w) for segment, verdict in audit["verdicts"].items()]
    if audit["unknown"]:
        names = w.join([w.label("backtest_segments", s) for s in audit["unknown"]])
        told.append(w.say("backtest_fairness.unknown", names=names))
    judged = [p for p in audit["parts"] if p["verdict"] != "too_few"]
    # The gravest first, when there are more parts than a card can show.
    judged.sort(key=lambda p: (p["verdict"] != "without_cause", p["verdict"] != "in_line"))
    counts = {"shown": _PARTS_SHOWN, "count": len(judged)}
    more = [w.say("rolling.more", **counts)] if len(judged) > _PARTS_SHOWN else []
    return [Points(told), *([_parts(judged[:_PARTS_SHOWN], w)] if judged else []), *more]


def _verdict(audit: Found, segment: str, verdict: str, w: Words) -> str:
    parts = [value_name(p["value"], w) for p in audit["parts"] if p["segment"] == segment and p["verdict"] == verdict]
    name = w.label("backtest_segments", segment)
    return w.say(f"backtest_fairness.{verdict}", segment=name, parts=w.join(parts))


def _parts(parts: Sequence[Found], w: Words) -> Table:
    head = [w.say(f"rolling.{k}") for k in ("part", "verdict", "flagged", "cleared", "rest")]
    rows = [
        [
            part_name(p["segment"], p["value"], w),
            w.say(f"backtest_verdicts.{p['verdict']}"),
            *(share(p[k]) for k in ("flag_rate", "cleared_rate", "rest_rate")),
        ]
        for p in parts
    ]
    return Table(head, rows, words=2)


def stability(found: Found, w: Words, entity: str) -> list[Block]:
    """How much the lists of neighbouring days have in common."""
    moves = found["stability"]
    if not moves:
        return [w.say("backtest_stability.none")]
    head = [w.say(f"rolling.{k}") for k in ("before", "after", "spearman", "overlap")]
    rows = [[m["before"], m["after"], plain(m["spearman"]), share(m["overlap"])] for m in moves]
    kind = "claims" if entity == "claim" else "entities"
    lead = w.say(f"backtest_stability.{kind}", entities=w.label("entities_plural", entity))
    return [lead, w.say("rolling.stability"), Table(head, rows, words=2)]
