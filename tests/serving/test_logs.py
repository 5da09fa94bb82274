"""What the log says of requests and errors, and what it never says."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from fraud.errors import SpecError
from fraud.store import Store, StoreBusyError
from fraud.web.telemetry import logs
from fraud.web.telemetry.logs import JsonLines, TextLines, clean, line_settings
from tests.web.client import Client, body

SCORE = "/v1/claims/score"


class Log:
    """The lines that were written, through a handler as the service sets it up."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def lines(self) -> list[dict[str, Any]]:
        """Lines of JSON so far."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def use(self, **environ: str) -> None:
        """Write as these variables say."""
        chosen = line_settings(environ, is_terminal=False)
        logging.config.dictConfig(chosen)
        (handler,) = logging.getLogger().handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(self.stream)


@pytest.fixture
def log() -> Iterator[Log]:
    root, named = logging.getLogger(), {n: logging.getLogger(n) for n in ("fraud", "fraud.requests")}
    before = root.handlers[:], root.level, {n: logger.level for n, logger in named.items()}
    made = Log()
    made.use(FRAUD_LOG_REQUESTS="1")
    yield made
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    for name, level in before[2].items():
        named[name].setLevel(level)


def test_a_request_is_one_line_with_what_tells_it_from_others(log: Log, client: Client) -> None:
    client.post(SCORE, json=body("c-7"), headers={"X-Request-ID": "me-1"})
    (line,) = log.lines()
    assert (line["logger"], line["level"], line["message"]) == ("fraud.requests", "INFO", "request")
    assert (line["request_id"], line["call"], line["status"], line["model"]) == ("me-1", "score", 200, "none")
    assert line["ms"] > 0
    assert line["time"].endswith("+00:00")


def test_requests_have_no_line_unless_asked_for_but_a_fault_of_ours_always_has(
    log: Log, client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.use()
    client.post(SCORE, json=body())
    client.post(SCORE, json={})
    assert log.lines() == []

    def broken(*_: object) -> None:
        raise OperationalError("select ?", ("patient-zhuge",), Exception("patient-zhuge is locked"))

    monkeypatch.setattr(store, "decision", broken)
    client.get("/v1/decisions/decision-zhuge", headers={"X-Request-ID": "me-2"})
    error, request = log.lines()
    assert (error["level"], error["request_id"], error["call"]) == ("ERROR", "me-2", "decision")
    assert (request["level"], request["status"]) == ("ERROR", 500)
    assert "zhuge" not in log.stream.getvalue()


def test_an_error_is_told_by_its_type_and_place_because_its_text_may_quote_a_claim(log: Log) -> None:
    try:
        raise OperationalError("select ?", ("patient-zhuge",), ValueError("patient-zhuge"))
    except OperationalError:
        logging.getLogger("fraud.web").exception("a step failed")
    (line,) = log.lines()
    assert line["error"]["type"] == "OperationalError"
    assert line["error"]["at"][-1].startswith("tests/serving/test_logs.py:")
    assert "zhuge" not in log.stream.getvalue()


def test_our_own_errors_and_those_of_the_system_say_what_they_are_about(log: Log) -> None:
    for error in (StoreBusyError("The database was busy."), FileNotFoundError(2, "No such file or directory", "x")):
        logging.getLogger("fraud.web").error("failed", exc_info=error)
    assert [line["error"]["says"] for line in log.lines()] == ["The database was busy.", "No such file or directory"]


def test_with_details_the_text_of_any_error_is_told(log: Log) -> None:
    log.use(FRAUD_DEBUG="1")
    logging.getLogger("fraud.web").error("failed", exc_info=KeyError("missing column"))
    assert log.lines()[0]["error"]["says"] == "'missing column'"


def test_lines_carry_only_the_fields_that_are_known(log: Log) -> None:
    logging.getLogger("fraud.web").warning("seen", extra={"patient_id": "p-zhuge", "status": 503})
    (line,) = log.lines()
    assert line["status"] == 503
    assert "zhuge" not in log.stream.getvalue()


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Exception on /v1/patients/p-zhuge/risk [GET]", "Exception on /v1/patients/*/risk [GET]"),
        ("POST /v1/claims/score-batch", "POST /v1/claims/score-batch"),
        ("Authorization: Bearer abcdef", "Authorization: Bearer *"),
        ("key fraud_0a1b2c3d_" + "x" * 43, "key fraud_0a1b2c3d_*"),
        ("postgresql+pg8000://fraud:geheim@db:5432/fraud", "postgresql+pg8000://fraud:*@db:5432/fraud"),
    ],
)
def test_keys_passwords_and_ids_in_addresses_are_taken_out_of_whatever_others_log(said: str, kept: str) -> None:
    assert clean(said) == kept


def test_a_line_break_in_a_message_begins_no_new_line(log: Log) -> None:
    logging.getLogger("fraud.web").warning("first\n{}")
    assert [line["message"] for line in log.lines()] == ["first\n{}"]
    record = logging.LogRecord("fraud.web", logging.WARNING, "x.py", 1, "first\nsecond", (), None)
    assert "\n" not in TextLines().format(record)


def test_shedding_thousands_of_requests_is_said_once_a_second(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_sparse", logs._Sparse())
    clock = iter([0.0, *[0.5] * 10, 1.6])
    monkeypatch.setattr(logs, "monotonic", lambda: next(clock))
    for _ in range(12):
        logs.end(503, 0.001, "none")
    assert [(line["status"], line.get("left_out")) for line in log.lines()] == [(503, None), (503, 10)]


def test_a_terminal_gets_text_and_everything_else_json_unless_told() -> None:
    def form(environ: dict[str, str], is_terminal: bool) -> type:
        made: type = line_settings(environ, is_terminal)["formatters"]["lines"]["()"]
        return made

    assert (form({}, True), form({}, False)) == (TextLines, JsonLines)
    assert (form({"FRAUD_LOG": "json"}, True), form({"FRAUD_LOG": "text"}, False)) == (JsonLines, TextLines)
    with pytest.raises(SpecError, match="FRAUD_LOG is one of json, text"):
        line_settings({"FRAUD_LOG": "xml"})


def test_text_says_the_same_as_json_for_people() -> None:
    record = logging.LogRecord("fraud.web", logging.ERROR, "x.py", 1, "failed", (), None)
    record.exc_info = (StoreBusyError, StoreBusyError("The database was busy."), None)
    first, second = TextLines().format(record).splitlines()
    assert first.endswith("ERROR   fraud.web: failed")
    assert second.strip() == "StoreBusyError: The database was busy."
