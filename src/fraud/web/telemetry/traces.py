"""OpenTelemetry traces: a span for each request, and within it one for each step of scoring.

They are off unless `OTEL_EXPORTER_OTLP_ENDPOINT` or `[service] traces` says where they go; then the usual `OTEL_*`
variables hold (`OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, ...). The exporter comes with the extra `otlp`. Requests
that are scored together share their steps: each has its own spans of the same length, and the number of claims is with
them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any, Protocol

from fraud import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

__all__ = ["Trace", "Traced", "Traces", "begin", "current", "open_traces", "tell", "tell_laps"]

log = logging.getLogger("fraud.web")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER = "fraud[otlp]"
# What steps are called in a trace, where that differs from the answer's `timing_ms`.
_NAMES = {"score": "predict"}


@dataclass(frozen=True)
class Trace:
    """The trace of one request."""

    tracer: Tracer
    span: Span
    context: Context

    def stage(self, name: str, started: int, ended: int, claims: int) -> None:
        """Add a step that has ended; times in nanoseconds since 1970."""
        told = {"fraud.claims": claims}
        span = self.tracer.start_span(_NAMES.get(name, name), self.context, attributes=told, start_time=started)
        span.end(ended)

    def end(self, status: int, model: str) -> None:
        """End the request's span."""
        from opentelemetry.trace import StatusCode

        self.span.set_attributes({"http.response.status_code": status, "fraud.model": model})
        if status >= 500:
            self.span.set_status(StatusCode.ERROR)
        self.span.end()


class Traced(Protocol):
    """Whatever belongs to a request."""

    @property
    def trace(self) -> Trace | None:
        """The trace of that request; None when there is none."""


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace | None:
    """The trace of the request that is being worked on here; None when traces are off."""
    return _current.get()


def begin(traces: Traces | None, call: str, headers: Mapping[str, str], request_id: str) -> Trace | None:
    """The trace of a request that begins now, which `current` gives from here on; None when traces are off."""
    if traces is None:
        return None
    trace = traces.request(call, headers, request_id)
    _current.set(trace)
    return trace


def tell(about: Iterable[Traced], stage: str, started: float, ended: float | None = None) -> None:
    """Add a step to the traces of these; `started` and `ended` as `perf_counter` gives them."""
    about = list(about)
    found = {id(t): t for a in about if (t := a.trace) is not None}
    if not found:
        return
    ended = perf_counter() if ended is None else ended
    for trace in found.values():
        trace.stage(stage, _moment(started), _moment(ended), len(about))


def tell_laps(about: Iterable[Traced], started: float, timing_ms: Mapping[str, float]) -> None:
    """Add steps that came one after the other, the first one then."""
    about = list(about)
    for stage, ms in timing_ms.items():
        tell(about, stage, started, started + ms / 1e3)
        started += ms / 1e3


def _moment(counted: float) -> int:
    return time_ns() - int((perf_counter() - counted) * 1e9)


# --- opening ----------------------------------------------------------------------------------------------


@dataclass
class Traces:
    """Begins traces; `processor` takes their spans away."""

    processor: SpanProcessor
    _provider: Any = field(init=False)

    def __post_init__(self) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        name = os.environ.get("OTEL_SERVICE_NAME", "fraud")
        about = Resource.create({"service.name": name, "service.version": __version__})
        self._provider = TracerProvider(resource=about)
        self._provider.add_span_processor(self.processor)
        self._tracer = self._provider.get_tracer("fraud", __version__)

    def request(self, call: str, headers: Mapping[str, str], request_id: str) -> Trace:
        """The trace of a request: its caller's where the headers name one, or a new one."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # The server around us keeps a span of its own that nobody sees: it must not become the parent.
        above = TraceContextTextMapPropagator().extract(headers, Context())
        told = {"fraud.call": call, "fraud.request_id": request_id}
        span = self._tracer.start_span(call, above, SpanKind.SERVER, attributes=told)
        return Trace(self._tracer, span, set_span_in_context(span, above))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def open_traces(endpoint: str | None = None, environ: Mapping[str, str] | None = None) -> Traces | None:
    """Traces that go to the endpoint of the environment, or else to this one; None when neither is there.

    Without the exporter they stay off, and the log says what to install: claims are scored all the same.
    """
    env = os.environ if environ is None else environ
    own = any(env.get(name) for name in ENDPOINTS)
    if not (own or endpoint):
        return None
    try:
        exporter = _exporter(None if own else f"{str(endpoint).rstrip('/')}/v1/traces")
    except ImportError as error:
        said = "There will be no traces (%s is not here): install %s, then start the service again."
        log.error(said, error.name, EXPORTER)
        return None
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return Traces(BatchSpanProcessor(exporter))


def _exporter(endpoint: str | None) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter: SpanExporter = OTLPSpanExporter(endpoint=endpoint)
    return exporter
