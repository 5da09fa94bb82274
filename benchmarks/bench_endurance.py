"""Whether anything is lost or doubled: under load for long, and when the service is killed at random moments.

Simulates a city, trains the claim model and starts `fraud serve` on a copy of its database. Clients send claims that
are new, further versions of claims in any order, and requests that were sent before, each with an Idempotency-Key,
and try again until they are acknowledged. Two parts, each on a database of its own:

- load: so many requests from so many clients;
- kills: meanwhile SIGKILL for all processes at random moments, one in ten of them while the service starts, and a new
  start at once. The time until it answers again counts from the start of the command; imports count.

Afterwards every acknowledged answer is compared with what is stored, byte for byte. Prints a table, writes
`var/benchmarks/endurance.json`, and ends with code 3 when anything is not as it must be.

    python benchmarks/bench_endurance.py [--requests 100000] [--clients 32] [--kills 200] [--claims 30000] [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from bench_scoring import places, prepare
from endurance.kept import BAD, compared
from endurance.load import Sending, Tally, deliver, planned
from endurance.place import bodies_of, own_copy
from endurance.running import Running, running
from rich.console import Console
from rich.progress import Progress

from fraud.config import Settings, cores

BODIES = 4_000
# Seconds of load between an answer after a start and the next kill, at most; and of a start that is cut short.
LOADED, STARTING = 2.0, 3.0
KILLED_WHILE_STARTING = 0.1
ANSWERS_WITHIN = 5.0


@dataclass
class Starts:
    """Seconds until the service answered, and processor seconds that this took, of each start that was let be."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """Median and longest, and how many starts took longer than they may."""
        return {
            "starts": len(self.seconds),
            "start_p50_s": float(np.median(self.seconds)),
            "start_max_s": max(self.seconds),
            "start_cpu_s": float(np.median(self.cpu)),
            "starts_beyond_5_s": sum(s > ANSWERS_WITHIN for s in self.seconds),
        }


def main() -> int:
    arguments = _arguments()
    settings = places("endurance")
    with Console(stderr=True).status("a city, its model, its history"):
        bodies = bodies_of(prepare(settings, arguments.claims)[-BODIES:])
    found = {}
    if arguments.requests:
        found["load"] = _load(own_copy(settings, "load"), bodies, arguments)
    if arguments.kills:
        found["kills"] = _kills(own_copy(settings, "kills"), bodies, arguments)
    _report(settings, arguments, found)
    return 3 if any(part[bad] for part in found.values() for bad in BAD) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=30_000, help="size of the city")
    parser.add_argument("--requests", type=int, default=10_000, help="requests of the long load; 0: without it")
    parser.add_argument("--kills", type=int, default=10, help="times that the service is killed; 0: without it")
    parser.add_argument("--clients", type=int, default=32, help="connections that send at once")
    parser.add_argument("--workers", type=int, default=cores(), help="processes of the service")
    parser.add_argument("--seed", type=int, default=1, help="the same seed sends the same and waits as long")
    return parser.parse_args()


# --- load -------------------------------------------------------------------------------------------------


def _load(settings: Settings, bodies: list[dict[str, Any]], arguments: argparse.Namespace) -> dict[str, float]:
    tally = Tally()
    with running(settings, arguments.workers) as service, _progress("load", arguments.requests) as seen:
        cpu, began = service.cpu_seconds(), time.perf_counter()
        sendings = seen(islice(planned(bodies, arguments.seed), arguments.requests))
        asyncio.run(deliver(service.port, sendings, arguments.clients, tally))
        seconds, cpu = time.perf_counter() - began, service.cpu_seconds() - cpu
    return {
        "requests": arguments.requests,
        "answers": len(tally.seconds),
        "requests_per_second": len(tally.seconds) / seconds,
        "p50_ms": float(np.percentile(tally.seconds, 50)) * 1e3,
        "p99_ms": float(np.percentile(tally.seconds, 99)) * 1e3,
        "service_cpu_ms": cpu / len(tally.seconds) * 1e3,
        **_told(tally),
        **compared(settings, tally),
    }


# --- kills ------------------------------------------------------------------------------------------------


def _kills(settings: Settings, bodies: list[dict[str, Any]], arguments: argparse.Namespace) -> dict[str, float]:
    tally, starts = Tally(), Starts()
    with running(settings, arguments.workers) as service, _progress("kills", arguments.kills) as seen:
        kills = seen(iter(range(arguments.kills)))
        asyncio.run(_cut_short(service, kills, starts, planned(bodies, arguments.seed), tally, arguments))
    return {"kills": arguments.kills, **starts.figures(), **_told(tally), **compared(settings, tally)}


async def _cut_short(
    service: Running,
    kills: Iterator[int],
    starts: Starts,
    sendings: Iterator[Sending],
    tally: Tally,
    arguments: argparse.Namespace,
) -> None:
    """Load for as long as it is killed; whoever waits for an answer then gets it from the service that came last."""
    # A service that does not come back ends the clients too: they would ask forever.
    async with asyncio.TaskGroup() as together:
        killing = together.create_task(_kill(service, kills, starts, random.Random(arguments.seed)))
        together.create_task(deliver(service.port, _while_running(killing, sendings), arguments.clients, tally))


def _while_running(task: asyncio.Task[None], sendings: Iterator[Sending]) -> Iterator[Sending]:
    while not task.done():
        yield next(sendings)


async def _kill(service: Running, kills: Iterator[int], starts: Starts, draw: random.Random) -> None:
    is_up = True
    for _ in kills:
        # Also in the middle of a start: what a half-started service has done must be as sound.
        await asyncio.sleep(draw.uniform(0.0, LOADED if is_up else STARTING))
        service.kill()
        service.start()
        is_up = draw.random() >= KILLED_WHILE_STARTING
        if is_up:
            await _answering(service, starts)
    if not is_up:
        await _answering(service, starts)


async def _answering(service: Running, starts: Starts) -> None:
    starts.seconds.append(await service.answering())
    starts.cpu.append(service.cpu_seconds())


# --- what is told -----------------------------------------------------------------------------------------


def _told(tally: Tally) -> dict[str, int]:
    return {f"again_{why}": n for why, n in sorted(tally.tried_again.items())}


class _progress:  # noqa: N801 - used like a function
    """Counts what passes, on the standard error."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = name, total
        self._bar = Progress(console=Console(stderr=True))

    def __enter__(self) -> Any:
        self._bar.start()
        task = self._bar.add_task(self._name, total=self._total)

        def seen(items: Iterator[Any]) -> Iterator[Any]:
            for item in items:
                yield item
                self._bar.advance(task)

        return seen

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _report(settings: Settings, arguments: argparse.Namespace, found: dict[str, dict[str, float]]) -> None:
    for part, figures in found.items():
        print(part)
        for name, value in figures.items():
            mark = "  <-- must be 0" if name in BAD and value else ""
            print(f"  {name:22}" + (f"{value:14,.2f}" if isinstance(value, float) else f"{value:14,}") + mark)
    out = Path(settings.var).parent / "endurance.json"
    out.write_text(json.dumps({"arguments": vars(arguments), **found}, indent=2), "utf-8")
    print(out)


if __name__ == "__main__":
    sys.exit(main())
