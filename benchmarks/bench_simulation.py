"""How fast a payer is simulated, and in how much memory, at growing sizes.

Beside it, in the same run: the floor, which is reading the same tables and writing them again with Arrow and nothing
else. Each size runs in a process of its own, so that its peak of memory is its own; that of the workers is added.
Prints a table and writes `var/benchmarks/simulation.json`.

    python benchmarks/bench_simulation.py [--claims 50000 250000 1000000 4000000] [--preset city] [--seed 7]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pyarrow.parquet as pq

from fraud.claims.schema import TABLES
from fraud.claims.simulation import simulate
from fraud.commands.console import data, print_table
from fraud.config import load_settings


def main() -> None:
    arguments = _arguments()
    rows = [_alone(n, arguments.preset, arguments.seed) for n in arguments.claims]
    titles = ("claims", "lines", "seconds", "lines/s", "floor, s", "times the floor", "MB at most")
    print_table(titles, [tuple(row.values()) for row in rows])
    target = load_settings().var / "benchmarks" / "simulation.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"preset": arguments.preset, "cpus": os.cpu_count(), "rows": rows}, indent=2) + "\n")
    data(str(target))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, nargs="+", default=[50_000, 250_000, 1_000_000, 4_000_000])
    parser.add_argument("--preset", default="city")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def _alone(claims: int, preset: str, seed: int) -> dict[str, float]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, claims, preset, seed).result()


def _measured(claims: int, preset: str, seed: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        made = simulate(Path(place) / "payer", preset=preset, claims=claims, seed=seed)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        workers = min(os.cpu_count() or 1, max(1, round(claims / 250_000)))
        inside = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        floor = _rewritten(made.to)
    lines = made.counts["lines"]
    return {
        "claims": made.counts["claims"],
        "lines": lines,
        "seconds": round(made.seconds, 1),
        "lines per second": round(lines / made.seconds),
        "floor seconds": round(floor, 1),
        "times the floor": round(made.seconds / floor, 1),
        "megabytes": round(peak + (workers * inside if workers > 1 else 0)),
    }


def _rewritten(folder: Path) -> float:
    """Seconds to read every table and write it again, one part after another."""
    copy = folder.with_name("copy")
    started = time.perf_counter()
    for name in TABLES:
        (copy / name).mkdir(parents=True)
        for part in sorted((folder / name).iterdir()):
            pq.write_table(pq.read_table(part), copy / name / part.name, compression="zstd")
    seconds = time.perf_counter() - started
    shutil.rmtree(copy)
    return seconds


if __name__ == "__main__":
    main()
