"""The running service as an operator sees it: its log and its figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fraud.config import load_settings
from tests.web.client import body
from tests.web.room import write_room
from tests.web.test_served import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a line for every request."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRAUD_LOG_REQUESTS", "1")
        started = Server(load_settings({"FRAUD_HOME": str(write_room(tmp_path_factory.mktemp("watched")))}))
    yield started
    started.kill()


def series(server: Server) -> set[str]:
    families = text_string_to_metric_families(server.client.get("/metrics").text)
    return {f"{s.name} {sorted(s.labels.items())}" for family in families for s in family.samples}


def sizes(folder: Path) -> dict[str, int]:
    """Bytes that each worker's figures take on the disk: what a label adds stays there for good."""
    return {path.name: len(path.read_bytes().rstrip(b"\0")) for path in folder.rglob("*.db")}


def test_a_thousand_addresses_leave_the_figures_as_they_were(server: Server) -> None:
    folder = server.log.parent / "bentoml"

    def ask(first: int, last: int) -> None:
        for n in range(first, last):
            server.client.get(f"/v1/decisions/decision-{n}")
            server.client.get(f"/nowhere/{n}")

    ask(0, 2)
    before, files = series(server), sizes(folder)
    assert files
    ask(2, 502)
    assert series(server) == before
    # Only digits of counts have changed.
    assert sizes(folder).keys() == files.keys()
    assert all(abs(size - files[name]) < 16 for name, size in sizes(folder).items())
    assert "endpoint=" not in server.client.get("/metrics").text


def test_every_line_of_the_log_is_json_and_names_nobody(server: Server) -> None:
    server.client.post("/v1/claims/score", json=body("claim-zhuge"), headers={"X-Request-ID": "me-1"})
    server.client.get("/v1/claims/claim-zhuge/report?locale=zh-CN")
    server.client.get("/v1/patients/person-zhuge/risk")
    lines: list[dict[str, Any]] = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    assert ("me-1", "score", 200) in [(n.get("request_id"), n.get("call"), n.get("status")) for n in lines]
    assert {n["call"] for n in lines if "call" in n} >= {"score", "claim_report", "patient_risk", "decision"}
    assert "zhuge" not in server.log.read_text()
