"""Figures for Prometheus.

`prometheus_client` is imported late: the server says in the environment of its workers where it writes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

__all__ = [
    "answers",
    "audit_messages",
    "decisions",
    "degraded",
    "findings",
    "in_flight",
    "model_failures",
    "model_versions",
    "problems",
    "replays",
    "requests",
    "scored",
    "shadow",
    "shadow_gap",
    "stages",
    "store_errors",
    "suspended_keys",
    "together",
    "waiting",
]

_POINTS = (0.1, 0.5, 1, 2, 5, 10, 20, 50, 100)
_COUNTS = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@cache
def requests() -> Histogram:
    """Seconds of whole requests by call, as this application sees them."""
    from prometheus_client import Histogram

    return Histogram("fraud_request_seconds", "Seconds of a request", ["call"], buckets=_SECONDS)


@cache
def answers() -> Counter:
    """Answers by call and status."""
    from prometheus_client import Counter

    return Counter("fraud_answers", "Answers given", ["call", "status"])


@cache
def stages() -> Histogram:
    """Seconds of the steps of a scoring (read, history, signals, score, explain, record), of all claims together."""
    from prometheus_client import Histogram

    return Histogram("fraud_stage_seconds", "Seconds of a step, of claims taken together", ["stage"], buckets=_SECONDS)


@cache
def together() -> Histogram:
    """Claims that were worked on at once."""
    from prometheus_client import Histogram

    return Histogram("fraud_claims_together", "Claims that were worked on at once", buckets=_COUNTS)


@cache
def decisions() -> Counter:
    """Scored claims by action."""
    from prometheus_client import Counter

    return Counter("fraud_decisions", "Scored claims", ["action"])


@cache
def degraded() -> Counter:
    """Answers that had to do without a part: model, history or a signal."""
    from prometheus_client import Counter

    return Counter("fraud_degraded", "Answers given without something", ["part"])


@cache
def audit_messages() -> Counter:
    """Messages of the audit interface by number and outcome: clear, warned, refused or open (let through)."""
    from prometheus_client import Counter

    return Counter("fraud_audit_messages", "Messages of the audit interface", ["infno", "outcome"])


@cache
def shadow() -> Counter:
    """Answered claims that were offered to the shadow, by what became of them: scored, left out or failed."""
    from prometheus_client import Counter

    return Counter("fraud_shadow", "Claims offered to the shadow", ["became"])


@cache
def shadow_gap() -> Histogram:
    """Points of percentile between champion and shadow, whichever is higher."""
    from prometheus_client import Histogram

    return Histogram("fraud_shadow_gap", "Points of percentile between champion and shadow", buckets=_POINTS)


@cache
def in_flight() -> Gauge:
    """Requests being worked on."""
    from prometheus_client import Gauge

    return Gauge("fraud_in_flight", "Requests being worked on", multiprocess_mode="livesum")


@cache
def waiting() -> Gauge:
    """Admitted requests that wait for their turn to be scored."""
    from prometheus_client import Gauge

    return Gauge("fraud_waiting", "Requests that wait to be scored", multiprocess_mode="livesum")


@cache
def findings() -> Counter:
    """What rules said of scored claims, by rule and status: hit, error, skipped."""
    from prometheus_client import Counter

    return Counter("fraud_findings", "Findings of rules", ["rule", "status"])


@cache
def scored() -> Counter:
    """Scored claims by the model's name and version; without a model both say "none"."""
    from prometheus_client import Counter

    return Counter("fraud_scored_claims", "Scored claims by model", ["model", "version"])


@cache
def model_versions() -> Gauge:
    """The version in force for each entity, the lowest of all workers; 0 where there is none."""
    from prometheus_client import Gauge

    return Gauge("fraud_model_version", "Version of the model in force", ["entity"], multiprocess_mode="livemin")


@cache
def model_failures() -> Gauge:
    """Models that are registered but could not be loaded, the most of any worker."""
    from prometheus_client import Gauge

    return Gauge("fraud_models_failed", "Registered models that cannot be loaded", multiprocess_mode="livemax")


@cache
def problems() -> Counter:
    """Answers that are problems, by the last part of their type."""
    from prometheus_client import Counter

    return Counter("fraud_problems", "Problems told to callers", ["problem"])


@cache
def replays() -> Counter:
    """Answers given again because their Idempotency-Key was answered before."""
    from prometheus_client import Counter

    return Counter("fraud_replays", "First answers of a key given again")


@cache
def store_errors() -> Counter:
    """Times that the database did not do its part in time, by what it was needed for."""
    from prometheus_client import Counter

    return Counter("fraud_store_errors", "Times that the database was not there", ["during"])


@cache
def suspended_keys() -> Counter:
    """Keys that were suspended after unusual use, by what there was too much of: persons or addresses."""
    from prometheus_client import Counter

    return Counter("fraud_keys_suspended", "Keys suspended after unusual use", ["because"])
