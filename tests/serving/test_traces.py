"""Traces of requests, as the SDK's own exporter in memory gets them, and a collector over HTTP."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from fraud import __version__
from fraud.scoring.scorer import ClaimScorer
from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from fraud.web.telemetry.traces import Traces, open_traces
from tests.learning.town import write_room
from tests.web.client import Client, body
from tests.web.models import small_model

SCORE = "/v1/claims/score"
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> ClaimScorer:
    room = write_room(tmp_path_factory.mktemp("room"))
    return ClaimScorer(room, small_model(room, 3, "champion", 1))


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def client(scorer: ClaimScorer, spans: InMemorySpanExporter, tmp_path: Path) -> Iterator[Client]:
    with Store(f"sqlite:///{tmp_path / 'service.db'}", busy_ms=60_000) as store:
        runtime = Runtime(store, scorer.catalogue, scorer, Models(), now=lambda: datetime(2024, 4, 1))
        app = build_app(runtime, Door(seconds=60))
        app.state.traces = Traces(SimpleSpanProcessor(spans))
        opened = Client(app)
        yield opened
        opened.close()
        app.state.traces.close()


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_scored_claim_is_a_span_with_one_for_each_step(client: Client, spans: InMemorySpanExporter) -> None:
    asked = body() | {"options": {"explain": "reasons"}}
    assert client.post(SCORE, json=asked, headers={"X-Request-ID": "me-1"}).status_code == 200
    found = by_name(spans)
    assert set(found) == {"score", "read", "history", "signals", "predict", "explain", "record"}
    request = found["score"]
    assert request.kind is SpanKind.SERVER
    assert request.attributes is not None
    assert dict(request.attributes) == {
        "fraud.call": "score",
        "fraud.request_id": "me-1",
        "http.response.status_code": 200,
        "fraud.model": "claim_risk@3",
    }
    for name, span in found.items():
        if name != "score":
            assert span.parent is not None
            assert span.parent.span_id == request.context.span_id
            assert request.start_time <= span.start_time <= span.end_time <= request.end_time  # type: ignore[operator]


def test_steps_follow_one_another(client: Client, spans: InMemorySpanExporter) -> None:
    client.post(SCORE, json=body())
    found = by_name(spans)
    order = [found[n] for n in ("read", "history", "signals", "predict", "record")]
    begun = [span.start_time or 0 for span in order]
    assert begun == sorted(begun)


def test_the_trace_of_the_caller_goes_on(client: Client, spans: InMemorySpanExporter) -> None:
    client.post(SCORE, json=body(), headers={"traceparent": CALLER})
    found = by_name(spans)
    assert {format(s.context.trace_id, "032x") for s in found.values()} == {CALLER.split("-")[1]}
    parent = found["score"].parent
    assert parent is not None
    assert format(parent.span_id, "016x") == CALLER.split("-")[2]


def test_requests_that_are_scored_together_have_a_trace_each(client: Client, spans: InMemorySpanExporter) -> None:
    client.together(*(("POST", SCORE, {"json": body(f"c-{n}")}) for n in range(6)))
    found = spans.get_finished_spans()
    traces = {s.context.trace_id for s in found}
    assert len(traces) == 6
    for trace in traces:
        own = {s.name for s in found if s.context.trace_id == trace}
        assert {"score", "history", "signals", "record"} <= own


def test_a_batch_has_its_steps_in_one_trace(client: Client, spans: InMemorySpanExporter) -> None:
    client.post("/v1/claims/score-batch", json=[body(f"c-{n}") for n in range(3)])
    found = by_name(spans)
    assert {"score_batch", "history", "signals", "record"} <= set(found)
    assert len({s.context.trace_id for s in found.values()}) == 1
    assert found["history"].attributes == {"fraud.claims": 3}


def test_nothing_in_a_trace_names_a_person(client: Client, spans: InMemorySpanExporter) -> None:
    client.post(SCORE, json=body("claim-zhuge", patient_id="person-zhuge"))
    client.get("/v1/patients/person-zhuge/risk")
    client.get("/v1/claims/claim-zhuge/report")
    assert len(spans.get_finished_spans()) > 6
    assert not any("zhuge" in span.to_json() for span in spans.get_finished_spans())


def test_a_fault_of_ours_is_an_error_and_a_fault_of_the_caller_is_none(
    client: Client, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post(SCORE, json={})
    monkeypatch.setattr(client.app.state.runtime.store, "decision", None)
    client.get("/v1/decisions/none")
    status = {s.name: s.status.status_code for s in spans.get_finished_spans()}
    assert status == {"score": StatusCode.UNSET, "decision": StatusCode.ERROR}


def test_without_settings_there_are_no_traces_and_the_sdk_is_not_even_imported() -> None:
    assert open_traces(None, {}) is None
    code = "import sys; from fraud.web.telemetry import traces as t; "
    code += "t.open_traces(None, {}); t.begin(None, 'score', {}, '1'); "
    code += "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


class Collector(ThreadingHTTPServer):
    """Takes spans over HTTP as a collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.got: list[tuple[str, ExportTraceServiceRequest]] = []


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Encoding"] == "gzip"
        self.server.got.append((self.path, ExportTraceServiceRequest.FromString(gzip.decompress(body))))
        self.send_response(200)
        self.send_header("Content-Type", self.headers["Content-Type"])
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


def test_spans_arrive_at_a_collector_over_http(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "fraud-east")
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        traces = open_traces(f"http://127.0.0.1:{collector.server_port}/", {})
        assert traces is not None
        client.app.state.traces = traces
        assert client.post(SCORE, json=body(), headers={"traceparent": CALLER}).status_code == 200
        traces.close()
        collector.shutdown()
        thread.join()
    ((path, told),) = collector.got
    assert path == "/v1/traces"
    (resource,) = told.resource_spans
    about = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert (about["service.name"], about["service.version"]) == ("fraud-east", __version__)
    spans = {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert {"score", "history", "signals", "predict", "record"} <= set(spans)
    assert {span.trace_id.hex() for span in spans.values()} == {CALLER.split("-")[1]}
    assert spans["score"].parent_span_id.hex() == CALLER.split("-")[2]
    assert spans["predict"].parent_span_id == spans["score"].span_id
    assert spans["score"].start_time_unix_nano < spans["record"].end_time_unix_nano


@pytest.mark.parametrize(
    ("setting", "environ"), [("http://collector:4318", {}), (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"})]
)
def test_without_the_exporter_the_service_goes_on_and_says_what_to_install(
    setting: str | None, environ: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where it is not installed, whatever is here.
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with caplog.at_level(logging.ERROR, "fraud.web"):
        assert open_traces(setting, environ) is None
    assert "install fraud[otlp]" in caplog.text
