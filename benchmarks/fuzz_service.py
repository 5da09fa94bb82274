"""Thousands of requests that nobody foresaw to a running service: none may fail on our side or be answered wrongly.

Starts `fraud serve` on a copy of a small city's database and sends requests of four kinds: what schemathesis makes of
`/docs.json`, fitting and not; the examples of `/docs.json` with up to four things wrong; strange addresses. A half
comes without keys, as on a fresh machine; then keys of every role are made, with bounds and without, and shown in
turn. Each answer must be below 500 and as described; each 422 must name places that are in the body. In the end the
log may hold no error and no traceback: the audit interface lets care go on whatever happens, so only the log would
tell. Prints what was sent and what was found as JSON and ends with code 3 when there is anything.

    python benchmarks/fuzz_service.py [--requests 50000] [--seed 1] [--claims 3000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bench_scoring import places, prepare
from endurance.callers import made
from endurance.fuzzing import EXCLUDED, Fuzzer, log_faults
from endurance.place import own_copy
from endurance.running import Connection, Running, running
from rich.console import Console
from rich.progress import Progress

MOST_LINES = 20


def main() -> int:
    arguments = _arguments()
    settings = places("fuzz")
    with Console(stderr=True).status("a city, its model, its history"):
        prepare(settings, arguments.claims)
    with running(own_copy(settings, "fuzz"), arguments.workers, FRAUD_LOG="json") as service:
        fuzzer = _run(service, arguments)
        logged = log_faults(service.log)
    found = {
        "arguments": vars(arguments),
        "sent": dict(fuzzer.sent),
        "statuses": {str(s): n for s, n in sorted(fuzzer.statuses.items())},
        "excluded": EXCLUDED,
        "found": [f.as_dict() for f in fuzzer.found],
        "log_faults": len(logged),
        "log": logged[:MOST_LINES],
    }
    told = json.dumps(found, indent=2, ensure_ascii=False)
    print(told)
    (Path(settings.var).parent / "fuzz.json").write_text(told, "utf-8")
    return 3 if fuzzer.found or logged else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=3_000, help="size of the city")
    parser.add_argument("--requests", type=int, default=2_000, help="requests to send, about")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    parser.add_argument("--seed", type=int, default=1, help="the same seed sends the same")
    return parser.parse_args()


def _run(service: Running, arguments: argparse.Namespace) -> Fuzzer:
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("requests", total=arguments.requests)
        fuzzer = Fuzzer(service.port, asyncio.run(_document(service.port)), lambda n: bar.advance(task, n))
        fuzzer.run(arguments.requests // 2, arguments.seed)
        fuzzer.callers = made(service.settings.database_url)
        fuzzer.run(arguments.requests // 2, arguments.seed + 1)
    return fuzzer


async def _document(port: int) -> dict[str, Any]:
    async with Connection(port) as connection:
        found: dict[str, Any] = json.loads((await connection.send("GET", "/docs.json"))[1])
        return found


if __name__ == "__main__":
    sys.exit(main())
