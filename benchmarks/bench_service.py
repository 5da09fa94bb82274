"""Claims a second and milliseconds a claim of a running service, and whether any decision was lost or doubled.

Simulates a city, trains the claim model, fills the service's history and starts `fraud serve` in processes of its own.
Clients on the same machine each keep one connection and send a claim as soon as the last one was answered, every one
with a key of its own. Afterwards the stored decisions are compared with those that were acknowledged. Prints a table
and writes `var/benchmarks/service.json`; client and service share the cores, so processor time is told beside.

    python benchmarks/bench_service.py [--claims 30000] [--requests 4000] [--clients 1 32] [--workers N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import orjson
import sqlalchemy as sa
from bench_scoring import places, prepare
from endurance.running import Connection, Running, running

from fraud.config import Settings, cores
from fraud.scoring.shapes import ClaimBundle

SCORE, BATCH = "/v1/claims/score", "/v1/claims/score-batch"
WARM = 200


@dataclass(frozen=True)
class Acknowledged:
    """An answer: what was asked, which decision it is, and the seconds that it took."""

    claim_id: str
    request_id: str
    seconds: float


@dataclass(frozen=True)
class Round:
    """What one number of clients got."""

    clients: int
    answers: list[Acknowledged]
    refused: int
    seconds: float
    service_cpu: float
    client_cpu: float

    def figures(self) -> dict[str, float]:
        """The round as a row of the table."""
        took = np.array([a.seconds for a in self.answers]) * 1e3
        return {
            "clients": self.clients,
            "claims": len(self.answers),
            "claims_per_second": len(self.answers) / self.seconds,
            "p50_ms": float(np.percentile(took, 50)),
            "p99_ms": float(np.percentile(took, 99)),
            "service_cpu_ms": self.service_cpu / len(self.answers) * 1e3,
            "client_cpu_ms": self.client_cpu / len(self.answers) * 1e3,
            "refused": self.refused,
        }


def main() -> None:
    arguments = _arguments()
    settings = places("service")
    bundles = prepare(settings, arguments.claims)
    bodies = _bodies(bundles[-arguments.requests :])
    with running(settings, arguments.workers) as service:
        asyncio.run(_warm(service.port, bodies))
        rounds = [asyncio.run(_round(service, c, bodies, arguments.requests)) for c in arguments.clients]
        batch = asyncio.run(_batch(service, bodies[:1_000]))
    found = [r.figures() for r in (*rounds, batch)]
    kept = _compared(settings, [a for r in (*rounds, batch) for a in r.answers])
    _report(settings, arguments, found, kept)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=30_000, help="size of the city")
    parser.add_argument("--requests", type=int, default=4_000, help="claims to score in each round")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32], help="clients of each round")
    parser.add_argument("--workers", type=int, default=cores(), help="processes of the service")
    return parser.parse_args()


def _bodies(bundles: list[ClaimBundle]) -> list[dict[str, object]]:
    def row(values):  # type: ignore[no-untyped-def]
        return {k: v for k, v in values.items() if v is not None and k != "claim_id"}

    items = ("lines", "diagnoses", "procedures")
    return [{"claim": row(b.claim), **{n: [row(r) for r in getattr(b, n)] for n in items}} for b in bundles]


# --- clients ----------------------------------------------------------------------------------------------


def _new(body: dict[str, object], claim_id: str) -> dict[str, object]:
    """The body as a claim that nobody has seen yet."""
    return {**body, "claim": {**body["claim"], "claim_id": claim_id}}  # type: ignore[dict-item]


async def _warm(port: int, bodies: list[dict[str, object]]) -> None:
    clients = [Connection(port) for _ in range(8)]
    for n, body in enumerate(bodies[:WARM]):
        await clients[n % 8].send("POST", SCORE, orjson.dumps({**_new(body, f"warm-{n}"), "options": {"store": False}}))
    for client in clients:
        client.close()


async def _round(service: Running, clients: int, bodies: list[dict[str, object]], requests: int) -> Round:
    waiting = iter(range(requests))
    answers: list[Acknowledged] = []
    refused = 0

    async def one() -> None:
        nonlocal refused
        client = Connection(service.port)
        for n in waiting:
            claim_id = uuid4().hex
            body = orjson.dumps(_new(bodies[n % len(bodies)], claim_id))
            began = time.perf_counter()
            status, answer = await client.send("POST", SCORE, body, {"Idempotency-Key": claim_id})
            taken = time.perf_counter() - began
            if status == 200:
                answers.append(Acknowledged(claim_id, orjson.loads(answer)["request_id"], taken))
            else:
                refused += 1
        client.close()

    cpu, own, began = service.cpu_seconds(), time.process_time(), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    seconds = time.perf_counter() - began
    return Round(clients, answers, refused, seconds, service.cpu_seconds() - cpu, time.process_time() - own)


async def _batch(service: Running, bodies: list[dict[str, object]]) -> Round:
    """All claims in one call; each is said to have taken as long as the whole."""
    ids = [uuid4().hex for _ in bodies]
    body = orjson.dumps([_new(b, i) for b, i in zip(bodies, ids, strict=True)])
    client = Connection(service.port)
    cpu, own, began = service.cpu_seconds(), time.process_time(), time.perf_counter()
    status, answer = await client.send("POST", BATCH, body, {"Idempotency-Key": uuid4().hex})
    seconds = time.perf_counter() - began
    spent = service.cpu_seconds() - cpu, time.process_time() - own
    client.close()
    scores = orjson.loads(answer) if status == 200 else []
    good = [Acknowledged(s["claim_id"], s["request_id"], seconds) for s in scores if "request_id" in s]
    return Round(0, good, len(bodies) - len(good), seconds, *spent)


# --- what was kept ----------------------------------------------------------------------------------------


def _compared(settings: Settings, answers: list[Acknowledged]) -> dict[str, int]:
    """Acknowledged decisions that are not stored as they were told, and claims that were decided more than once."""
    engine = sa.create_engine(settings.database_url)
    with engine.connect() as connection:
        stored = dict(connection.execute(sa.text("SELECT request_id, claim_id FROM decisions")).all())  # type: ignore[arg-type]
    engine.dispose()
    own = {a.claim_id for a in answers}
    times = [claim_id for claim_id in stored.values() if claim_id in own]
    return {
        "acknowledged": len(answers),
        "lost": sum(stored.get(a.request_id) != a.claim_id for a in answers),
        "doubled": len(times) - len(set(times)),
    }


def _report(
    settings: Settings, arguments: argparse.Namespace, rounds: list[dict[str, float]], kept: dict[str, int]
) -> None:
    names = list(rounds[0])
    print(f"city of {arguments.claims:,} claims, {arguments.workers} workers; 0 clients: one call of score-batch")
    print("".join(f"{n:>19}" for n in names))
    for found in rounds:
        print("".join(f"{found[n]:19,.1f}" if isinstance(found[n], float) else f"{found[n]:19,}" for n in names))
    print(", ".join(f"{count:,} {what}" for what, count in kept.items()))
    out = Path(settings.var).parent / "service.json"
    out.write_text(json.dumps({"arguments": vars(arguments), "rounds": rounds, "decisions": kept}, indent=2), "utf-8")
    print(out)


if __name__ == "__main__":
    main()
