"""Figures for Prometheus.

`prometheus_client` is imported late: the server says in the environment of its workers where it writes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram

__all__ = ["answers", "decisions", "degraded", "in_flight", "requests", "shadow", "shadow_gap", "stages"]

_POINTS = (0.1, 0.5, 1, 2, 5, 10, 20, 50, 100)
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
    """Seconds of the steps of a scoring: read, history, signals, score, explain, record."""
    from prometheus_client import Histogram

    return Histogram("fraud_stage_seconds", "Seconds of a step of scoring a claim", ["stage"], buckets=_SECONDS)


@cache
def decisions() -> Counter:
    """Scored claims by action."""
    from prometheus_client import Counter

    return Counter("fraud_decisions", "Scored claims", ["action"])


@cache
def degraded() -> Counter:
    """Answers that had to do without something."""
    from prometheus_client import Counter

    return Counter("fraud_degraded", "Answers given without something", ["without"])


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
