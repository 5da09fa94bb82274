"""The service as it runs: a process of its own, spoken to over HTTP."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from fraud.config import Settings, load_settings
from fraud.store import Store
from fraud.web.serving import SERVICE, environment
from tests.web.client import JSON, body, check_problem
from tests.web.room import write_room

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_SECONDS = 120


def free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home of its own, without any model."""
    return load_settings({"FRAUD_HOME": str(write_room(tmp_path_factory.mktemp("home")))})


class Server:
    """A running service; `kill` ends all its processes at once, as a power cut would."""

    def __init__(
        self, settings: Settings, workers: int = 1, port: int | None = None, client: httpx.Client | None = None
    ) -> None:
        self.port = port or free_port()
        settings.var.mkdir(exist_ok=True)
        self.log = settings.var / f"server-{self.port}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fraud.cli", "serve", "--port", str(self.port), "--workers", str(workers)],
                env={**os.environ, **environment(self.port, settings, workers), "FRAUD_VAR": str(settings.var)},
                stdout=log,
                stderr=log,
            )
        self.client = client or httpx.Client(base_url=f"http://{HOST}:{self.port}", timeout=30)
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if self.client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        self.kill()
        pytest.fail(f"the service did not start:\n{self.log.read_text()[-3000:]}")

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/v1/claims/score"

    def workers(self) -> list[psutil.Process]:
        return [p for p in psutil.Process(self.process.pid).children() if p.status() != psutil.STATUS_ZOMBIE]

    def kill(self) -> None:
        """Workers have a session of their own: ending their parent alone would leave them behind."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            for process in (parent, *parent.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait(30)
        self.client.close()


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    started = Server(settings, workers=2)
    yield started
    started.kill()


def test_health_figures_and_description_are_served(server: Server) -> None:
    assert server.client.get("/livez").status_code == 200
    document = server.client.get("/docs.json").json()
    assert document["openapi"] == "3.1.0"
    assert "/v1/claims/score" in document["paths"]
    server.client.post("/v1/claims/score", json=body("measured"))
    figures = server.client.get("/metrics").text
    assert 'fraud_answers_total{call="score",status="200"}' in figures
    assert 'fraud_stage_seconds_count{stage="signals"}' in figures


def test_claims_are_scored_and_problems_are_problems_over_http(server: Server) -> None:
    answer = server.client.post("/v1/claims/score", json=body("one"), headers={"X-Request-ID": "me-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "me-1")
    assert answer.json()["degraded"] == ["model"]
    check_problem(server.client.get("/v1/claims/score"), 405, "method-not-allowed")
    check_problem(server.client.get("/nowhere"), 404, "not-found")
    check_problem(server.client.post("/v1/claims/score", json={}), 422, "faults")
    page = server.client.get("/v1/claims/one/report", headers={"Accept": "text/html"})
    assert page.text.lower().startswith("<!doctype html>")


def test_no_identifier_is_among_the_figures(server: Server) -> None:
    server.client.post("/v1/claims/score", json=body("secret-claim"))
    server.client.get("/v1/patients/secret-person/risk")
    server.client.get("/v1/claims/secret-claim/report", headers={"Accept": "application/json"})
    figures = server.client.get("/metrics").text
    assert "fraud_request_seconds_count" in figures
    assert "secret" not in figures


def test_a_claim_with_more_lines_than_the_law_allows_is_held(server: Server) -> None:
    lines = [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 10} for n in (2, 3, 5, 7)]
    given = body("held") | {"lines": lines, "options": {"locale": "zh-CN"}}
    answer = server.client.post("/v1/claims/score", json=given).json()
    (finding,) = answer["findings"]
    assert answer["action"] == "hold"
    assert (finding["rule"], finding["lines"], finding["amount"]) == ("claim.many_lines", [2, 3, 5, 7], 40.0)
    assert finding["sentence"] == "4条明细,至多3条。"


def test_what_was_scored_before_is_the_history_of_what_comes_after(server: Server) -> None:
    answers = [
        server.client.post("/v1/claims/score", json=body(f"h{day}", patient_id="often", settled_at=f"2024-04-0{day}"))
        for day in (1, 2, 3, 4)
    ]
    found = [[(f["rule"], f["value"]) for f in a.json()["findings"]] for a in answers]
    assert found == [[], [], [], [("claim.many_past", 3.0)]]


@pytest.mark.parametrize("pieces", [1, 100])
def test_a_sender_of_10_megabytes_gets_to_see_the_answer(server: Server, pieces: int) -> None:
    parts = (b" " * (10_000_000 // pieces) for _ in range(pieces))
    content = b"".join(parts) if pieces == 1 else parts
    answer = server.client.post("/v1/claims/score", content=content, headers=JSON)
    check_problem(answer, 413, "too-large")


def test_a_body_that_says_it_is_huge_is_refused_before_it_arrives(server: Server) -> None:
    head = f"POST /v1/claims/score HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((HOST, server.port), timeout=30) as line:
        line.sendall(f"{head}Content-Length: {1 << 30}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65_536), b"")).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "urn:fraud:problem:too-large" in answer


def test_the_room_names_the_same_service_and_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    """In a process of its own: BentoML's imports warn of their own accord."""
    code = f"import service, importlib; module, name = {SERVICE!r}.split(':'); own = service.FraudService; " + (
        "assert own is getattr(importlib.import_module(module), name); print(own.config['http']['host'])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "serving", capture_output=True, text=True)
    assert (found.stdout.strip(), found.returncode) == ("127.0.0.1", 0), found.stderr


def test_two_workers_that_write_at_once_lose_no_decision_and_double_none(server: Server, settings: Settings) -> None:
    def answer(name: str) -> httpx.Response:
        # A connection for each request, so that both workers get some.
        given = {"json": body(f"{name}-both"), "headers": {"Idempotency-Key": name}}
        while (found := httpx.post(server.address, timeout=60, **given)).status_code in (409, 503):
            time.sleep(0.05)
        return found

    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(answer, (f"k{n // 2}" for n in range(80))))
    assert {a.status_code for a in answers} == {200}
    acknowledged = {a.json()["request_id"]: a.content for a in answers}
    assert len(acknowledged) == 40
    with Store(settings.database_url) as store:
        assert {i: d.response for i in acknowledged if (d := store.decision(i))} == acknowledged
        stored = store.table("claims")["claim_id"].to_pylist()
    assert sorted(i for i in stored if i.endswith("-both")) == sorted(f"k{n}-both" for n in range(40))
    assert len(server.workers()) == 2


def test_an_address_that_is_taken_is_refused_in_words(server: Server, settings: Settings) -> None:
    line = [sys.executable, "-m", "fraud.cli", "serve", "--port", str(server.port)]
    env = {**os.environ, "FRAUD_HOME": str(settings.home), "FRAUD_VAR": str(settings.var)}
    found = subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 1
    assert f"{HOST}:{server.port} cannot be listened on" in found.stderr


def test_a_worker_that_is_killed_is_replaced_and_the_other_answers_meanwhile(server: Server) -> None:
    killed, other = server.workers()
    killed.kill()
    # On connections of their own: what the dead worker had accepted is gone with it.
    answers = [httpx.post(server.address, json=body(f"on-{n}"), timeout=30) for n in range(5)]
    assert {a.status_code for a in answers} == {200}
    until = time.monotonic() + START_SECONDS
    while len(server.workers()) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    assert other in server.workers()
    assert killed not in server.workers()


def test_clients_who_keep_their_connections_go_over_to_a_worker_that_comes_later(server: Server) -> None:
    """They connect while one worker is there; nobody has to connect anew for the other to get its part."""
    enough = threading.Event()

    def keeps_asking(name: int) -> set[int]:
        found = set()
        with httpx.Client(base_url=f"http://{HOST}:{server.port}", timeout=60) as client:
            for n in itertools.takewhile(lambda _: not enough.is_set(), itertools.count()):
                # Nobody may be there yet, and who waits for the one that is killed waits in vain.
                with contextlib.suppress(httpx.TransportError):
                    found.add(client.post("/v1/claims/score", json=body(f"kept-{name}-{n}")).status_code)
        return found

    def connections() -> list[int]:
        port, found = server.port, [w.net_connections("tcp") for w in server.workers()]
        return [sum(c.laddr[1] == port and c.status == psutil.CONN_ESTABLISHED for c in own) for own in found]

    server.workers()[0].kill()
    with ThreadPoolExecutor(24) as clients:
        asked = [clients.submit(keeps_asking, name) for name in range(24)]
        until = time.monotonic() + START_SECONDS
        while (spread := connections()) and (len(spread) < 2 or min(spread) < 4) and time.monotonic() < until:
            time.sleep(0.1)
        enough.set()
    assert len(spread) == 2
    assert min(spread) >= 4
    assert {status for one in asked for status in one.result()} == {200}


def test_every_acknowledged_decision_outlives_a_kill(server: Server, settings: Settings) -> None:
    """The last test here: the server is gone afterwards."""
    answers = [server.client.post("/v1/claims/score", json=body(f"k{i}")) for i in range(5)]
    server.kill()
    assert [a.status_code for a in answers] == [200] * 5
    second = Server(settings)
    try:
        again = [second.client.get(f"/v1/decisions/{a.json()['request_id']}") for a in answers]
        assert [a.content for a in again] == [a.content for a in answers]
        # Ending only the process that watches: its workers do not stay behind, and the port is free again.
        left = second.workers()
        second.process.kill()
        assert psutil.wait_procs(left, timeout=30)[1] == []
        with socket.socket() as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind((HOST, second.port))
    finally:
        second.kill()
