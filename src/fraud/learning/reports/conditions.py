"""Gates and alarms in the reader's words: `precision_at_k >= 0.5` is for programs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fraud.learning.metrics import METRICS
from fraud.learning.reports.documents import Points, Table, Words
from fraud.learning.reports.numbers import of_metric, share
from fraud.learning.reports.numbers import plain as figure
from fraud.learning.validation.gates import GateResult

__all__ = ["condition", "failed", "gate_table", "meanings", "measured", "metric_title", "verdict"]

_CONDITION = re.compile(r"(?P<metric>\S+) (?P<op>>=|<=|>|<) (?P<wanted>\S+)(?: \((?P<more>.*)\))?")
_SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<"}
_CLEARED = "cleared up to "
_BASELINE, _LATER = "baseline.", "holdout."


def gate_table(gates: Sequence[GateResult], w: Words) -> Table:
    """Every gate and alarm with its verdict and what was measured."""
    head = [w.say(f"gates.{k}") for k in ("condition", "verdict", "measured")]
    rows = [[condition(g.condition, w), verdict(g, w), measured(g.condition, g.measured, w)] for g in gates]
    return Table(head, rows, words=2)


def verdict(gate: GateResult, w: Words) -> str:
    """What became of a gate or an alarm."""
    if gate.alarm:
        return w.say("gates.quiet" if gate.holds else "gates.rings")
    return w.say("gates.yes" if gate.holds else "gates.no")


def failed(gate: GateResult, w: Words) -> str:
    """A gate that does not hold, or an alarm that rings, as a sentence."""
    found = measured(gate.condition, gate.measured, w)
    return w.say(f"gates.{'alarm' if gate.alarm else 'gate'}_said", condition=condition(gate.condition, w), found=found)


def meanings(metrics: Sequence[str], w: Words) -> Points:
    """What each metric means, and how to read it."""
    told = [m for m in metrics if w.has(f"meanings.{m}")]
    return Points([f"{w.label('metrics', m)}{w.colon}{w.say(f'meanings.{m}')}" for m in told])


def condition(text: str, w: Words) -> str:
    """A condition of a gate or an alarm in words; one that cannot be read stays as it is."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        return text
    metric, wanted, more = found["metric"], found["wanted"], found["more"] or ""
    limit = _value(metric, wanted)
    if limit is None:
        limit = _contender(wanted, metric, w)
        limit = w.say("conditions.valued", limit=limit, value=_value(metric, more) or more) if more else limit
    elif more.startswith(_CLEARED):
        upto = more.removeprefix(_CLEARED)
        limit = w.say("conditions.cleared", limit=limit, value=_value(metric, upto) or upto)
    return w.say("conditions.form", metric=metric_title(metric, w), sign=_SIGNS[found["op"]], limit=limit)


def measured(text: str, value: float | None, w: Words) -> str:
    """What was measured for a condition, as its limit is written."""
    if value is None or value != value:
        return w.say("training.not_measured")
    found = _CONDITION.fullmatch(text)
    return _shown(found["metric"], value) if found else figure(value)


def metric_title(name: str, w: Words) -> str:
    """The title of a metric that a gate may name, as `baseline.peers.roc_auc`."""
    if name.startswith(_BASELINE):
        contender, _, metric = name.removeprefix(_BASELINE).partition(".")
        return w.say("conditions.baseline", metric=metric_title(metric, w), contender=w.label("contenders", contender))
    if name.startswith(_LATER):
        return w.say("conditions.holdout", metric=metric_title(name.removeprefix(_LATER), w))
    metric, _, part = name.partition(".")
    if metric in METRICS and w.has(f"conditions.{part}"):
        return w.say(f"conditions.{part}", metric=w.label("metrics", metric))
    return w.label("metrics", name.replace(".", "_"))


def _contender(wanted: str, metric: str, w: Words) -> str:
    """The metric of a baseline; where it is the metric it is compared with, the baseline's name is enough."""
    contender, _, own = wanted.removeprefix(_BASELINE).partition(".")
    if wanted.startswith(_BASELINE) and own == metric.partition(".")[0]:
        return w.say("conditions.that_of", contender=w.label("backtest_contenders", contender))
    return metric_title(wanted, w)


def _value(metric: str, text: str) -> str | None:
    """A number as the metric is written; None for what is none."""
    try:
        return _shown(metric, float(text))
    except ValueError:
        return None


def _shown(metric: str, value: float) -> str:
    base = next((m for m in METRICS if m in metric.split(".")), metric)
    # A model without labels is judged by shares, but for its volume.
    return share(value) if base.endswith(("_share", "_stability", "_agreement", ".base")) else of_metric(base, value)
