"""Figures: what is counted, by which labels, and that no request can add one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue
from fraud.store import Store
from fraud.web.app import CALLS, build_app
from fraud.web.bodies.problems import PROBLEMS
from fraud.web.running.batching import Batcher
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from fraud.web.telemetry import exposition as module
from fraud.web.telemetry.exposition import exposition
from tests.web.client import JSON, Client, body

SCORE = "/v1/claims/score"
_NO_STORE = "store-unavailable"


def figures() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What every series of ours says now."""
    samples = (s for m in REGISTRY.collect() for s in m.samples if "fraud" in m.name)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}


def series() -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Every series of ours: its name and labels."""
    return set(figures())


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def call_everything(client: Client, mark: str) -> None:
    """Requests of every kind, good and bad, whose every free part holds the mark."""
    headers = {"X-Request-ID": mark, "Idempotency-Key": mark, "X-Purpose": mark, "User-Agent": mark}
    names = {f"{n}_id": f"{mark}-{n}" for n in ("patient", "provider", "physician")}
    lines = [{"line_no": n, "item_code": f"{mark}-item", "quantity": 1, "amount": 10} for n in range(1, 7)]
    given = body(f"{mark}-claim", **names) | {"lines": lines}
    for _ in range(2):
        client.post(SCORE, json=given, headers=headers)
    client.post(SCORE, json=given | {mark: 1}, headers=headers)
    client.post(SCORE, content=mark, headers=JSON)
    client.post("/v1/claims/score-batch", json=[given, {mark: mark}])
    client.post("/v1/claims", json=given)
    for path in (
        f"decisions/{mark}",
        f"claims/{mark}-claim/report",
        f"providers/{mark}/risk",
        f"{mark}/{mark}",
        "model",
    ):
        client.get(f"/v1/{path}?locale={mark}", headers=headers)
    client.send("PATCH", f"/v1/patients/{mark}/risk")
    client.post("/v1/outcomes", json={mark: mark})


def test_no_request_can_add_a_series_because_no_label_comes_from_one(client: Client) -> None:
    for mark in ("first-zhuge", "first-0815"):
        call_everything(client, mark)
    before = series()
    for mark in ("second-zhuge", "second-0815"):
        call_everything(client, mark)
    assert series() == before
    assert not any("zhuge" in value for _, labels in before for _, value in labels)


def test_labels_are_those_of_calls_problems_rules_and_stages(client: Client, two_rules: Catalogue) -> None:
    before = figures()
    call_everything(client, "again")
    # Whatever other tests have counted in this process is theirs.
    moved = {one for one, figure in figures().items() if before.get(one) != figure}
    known = {
        "call": {name for _, _, name, _ in CALLS},
        "problem": set(PROBLEMS),
        "status": {str(k.status) for k in PROBLEMS.values()} | {"200", "hit", "error", "skipped"},
        "stage": {"read", "history", "signals", "score", "explain", "record"},
        "action": {"pass", "review", "hold"},
        "entity": {"claim", "provider", "patient", "physician"},
        "during": {"history", "record", "readiness"},
        "became": {"scored", "left out", "failed"},
        "outcome": {"clear", "warned", "refused", "open"},
    }
    found = {(label, text) for _, labels in moved for label, text in labels}
    assert {label for label, _ in found} >= {"call", "problem", "status", "stage", "action"}
    for label, allowed in known.items():
        assert {text for name, text in found if name == label} <= allowed


def test_findings_are_counted_by_rule_and_claims_by_action_and_model(client: Client) -> None:
    def counts() -> list[float]:
        return [
            value("fraud_findings_total", rule="claim.many_lines", status="hit"),
            value("fraud_decisions_total", action="hold"),
            value("fraud_scored_claims_total", model="none", version="none"),
            value("fraud_degraded_total", part="model"),
        ]

    before = counts()
    lines = [{"line_no": n, "item_code": "X", "quantity": 1, "amount": 10} for n in range(1, 6)]
    client.post(SCORE, json=body("many") | {"lines": lines})
    assert [after - b for after, b in zip(counts(), before, strict=True)] == [1, 1, 1, 1]


def test_answers_given_again_and_problems_are_counted(client: Client) -> None:
    before = value("fraud_replays_total"), value("fraud_problems_total", problem="key-reused")
    for claim_id in ("one", "one", "two"):
        client.post(SCORE, json=body(claim_id), headers={"Idempotency-Key": "counted"})
    assert value("fraud_replays_total") - before[0] == 1
    assert value("fraud_problems_total", problem="key-reused") - before[1] == 1


def test_a_database_that_is_held_up_is_counted_by_what_it_was_needed_for(two_rules: Catalogue, tmp_path: Path) -> None:
    before = value("fraud_store_errors_total", during="record"), value("fraud_problems_total", problem=_NO_STORE)
    path = tmp_path / "held.db"
    with Store(f"sqlite:///{path}", busy_ms=20) as store:
        client = Client(build_app(Runtime(store, two_rules, ClaimScorer(two_rules, None), Models())))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin immediate")
            assert client.post(SCORE, json=body()).status_code == 503
        client.close()
    after = value("fraud_store_errors_total", during="record"), value("fraud_problems_total", problem=_NO_STORE)
    assert [a - b for a, b in zip(after, before, strict=True)] == [1, 1]


def test_requests_that_wait_to_be_scored_are_counted_until_their_turn_comes() -> None:
    turn = threading.Lock()

    async def four(batcher: Batcher[int, int]) -> list[int]:
        with turn:
            # The first is taken at once, and waits for its turn with nobody else in the queue.
            results = [batcher.submit(0)]
            while value("fraud_waiting"):
                pass
            results += [batcher.submit(n) for n in (1, 2, 3)]
            assert value("fraud_waiting") == 3
        return await asyncio.wait_for(asyncio.gather(*results), 30)

    with ThreadPoolExecutor(1) as pool:
        found = asyncio.run(four(Batcher(pool, lambda: turn, lambda items: items, lambda made: made)))
    assert found == [0, 1, 2, 3]
    assert value("fraud_waiting") == 0


def test_of_a_crowd_inside_some_are_told_and_when_all_have_left_none() -> None:
    door, go = Door(), threading.Event()

    async def crowd() -> float:
        async def body() -> bytes:
            return b""

        inside = [asyncio.create_task(door.through(body, lambda _: door.start(go.wait))) for _ in range(8)]
        while door.inside < 8:
            await asyncio.sleep(0.01)
        told = value("fraud_in_flight")
        go.set()
        await asyncio.wait_for(asyncio.gather(*inside), 30)
        return told

    told = asyncio.run(crowd())
    door.close()
    assert 1 <= told <= 8
    assert value("fraud_in_flight") == 0


def test_the_version_in_force_is_told_and_no_model_is_version_nought(runtime: Runtime) -> None:
    runtime.models = Models(failed={"claim": "OSError"})
    runtime.warm()
    assert value("fraud_model_version", entity="claim") == 0
    assert value("fraud_models_failed") == 1


# --- /metrics ---------------------------------------------------------------------------------------------


def families(text: bytes) -> dict[str, float]:
    found = text_string_to_metric_families(text.decode())
    return {s.name: s.value for m in found for s in m.samples if not s.labels}


@pytest.mark.requirement("001-70")
def test_processor_memory_disk_and_network_of_the_service_are_among_the_figures(tmp_path: Path) -> None:
    told = families(exposition(tmp_path))
    assert told["fraud_workers"] == 1
    assert told["fraud_cpu_seconds_total"] > 0
    assert told["fraud_memory_bytes"] > 10_000_000
    assert 0 < told["fraud_disk_free_bytes"] <= told["fraud_disk_bytes"]
    assert {"fraud_network_received_bytes_total", "fraud_network_sent_bytes_total"} <= set(told)


def test_where_the_system_tells_nothing_the_rest_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PROC", tmp_path / "nowhere")
    told = families(exposition(tmp_path / "not-yet"))
    assert told["fraud_workers"] == 0
    assert "fraud_network_sent_bytes_total" not in told


_WORKER = """
import os, sys
from pathlib import Path
from fraud.web.telemetry import metrics
metrics.in_flight().inc(3)
metrics.replays().inc(2)
metrics.requests().labels("score").observe(0.01)
from fraud.web.telemetry.exposition import exposition
sys.stdout.buffer.write(exposition(Path(sys.argv[1])))
"""


def _work(folder: Path) -> dict[str, float]:
    """What a process of its own, as a worker of the server, tells after it counted."""
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", _WORKER, str(folder)], env=environ, capture_output=True, check=True)
    _check_order(done.stdout.decode().splitlines())
    return families(done.stdout)


def _check_order(lines: Iterable[str]) -> None:
    """Buckets stand before the sum, as the text format has it."""
    own = [line for line in lines if line.startswith("fraud_request_seconds")]
    kinds = [line.partition("{")[0].rpartition("_")[2] for line in own]
    assert kinds[: kinds.count("bucket")] == ["bucket"] * (len(kinds) - 2)
    assert set(kinds[-2:]) == {"sum", "count"}


def test_what_a_killed_worker_had_in_hand_is_forgotten_but_not_what_it_counted(tmp_path: Path) -> None:
    assert _work(tmp_path)["fraud_in_flight"] == 3
    second = _work(tmp_path)
    assert (second["fraud_in_flight"], second["fraud_replays_total"], second["fraud_workers"]) == (3, 4, 1)
