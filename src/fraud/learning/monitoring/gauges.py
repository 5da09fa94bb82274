"""What monitoring measured, as gauges for Prometheus: a text file for its node exporter, or the service's /metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from math import isfinite

from fraud.learning.monitoring.drift import Monitoring

__all__ = ["Gauge", "gauges_of", "to_prometheus"]

_HELP: Mapping[str, str] = {
    "attention": "1 when a check of monitoring needs attention",
    "check": "What a check of monitoring measured",
    "score_psi": "Population stability index of the scores against the fitting period",
    "feature_psi": "Population stability index of a feature against the fitting period",
    "feature_missing": "Share of rows without a feature",
    "drifted_weight": "Share of the scores that changed features carry",
    "alerts": "Rows above the score that filled the list at fitting",
    "alerts_expected": "Rows that the list has room for, at most as many as there were at fitting",
    "hit_rate": "Share of decided rows at fault",
    "hit_rate_expected": "Share at fault that scores like these led to before the fit",
    "label_delay_days": "Days from a row to its decision",
    "monitored_timestamp_seconds": "End of the period that was monitored",
}


@dataclass(frozen=True)
class Gauge:
    """One figure with its labels."""

    name: str
    labels: Mapping[str, str]
    value: float


def gauges_of(found: Monitoring) -> list[Gauge]:
    """Every figure that is known; only features that carry scores or need attention, so that there are not too many."""
    who = {"model": found.model.name, "version": str(found.model.version)}
    return [Gauge(n, who | labels, v) for n, labels, v in _figures(found) if isfinite(v)]


def to_prometheus(found: Monitoring) -> str:
    """The gauges in Prometheus' text format; put the file where a node exporter's textfile collector looks."""
    gauges = gauges_of(found)
    lines = []
    for name, said in _HELP.items():
        own = [g for g in gauges if g.name == name]
        if own:
            lines += [f"# HELP fraud_model_{name} {said}", f"# TYPE fraud_model_{name} gauge"]
            lines += [f"fraud_model_{name}{{{_labels(g.labels)}}} {g.value!r}" for g in own]
    return "\n".join(lines) + "\n"


def _figures(found: Monitoring) -> Iterator[tuple[str, dict[str, str], float]]:
    for check in found.checks:
        yield "attention", {"check": check.name}, float(check.loud)
        yield "check", {"check": check.name}, check.measured
    yield "score_psi", {}, found.score_index
    for shift in found.shifts:
        if shift.changed or shift.gone or shift.weight >= 0.01:
            yield "feature_psi", {"feature": shift.feature}, shift.index
            yield "feature_missing", {"feature": shift.feature}, shift.missing_now
    yield "drifted_weight", {}, found.drifted_weight
    yield "alerts", {}, found.alerts
    yield "alerts_expected", {}, found.alerts_expected
    yield "hit_rate", {}, found.hits.found
    yield "hit_rate_expected", {}, found.hits.expected
    for quantile, days in zip(("0.5", "0.9"), found.delay, strict=True):
        yield "label_delay_days", {"quantile": quantile}, days
    yield "monitored_timestamp_seconds", {}, found.period.until.replace(tzinfo=UTC).timestamp()


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {k: v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for k, v in labels.items()}
    return ",".join(f'{k}="{v}"' for k, v in escaped.items())
