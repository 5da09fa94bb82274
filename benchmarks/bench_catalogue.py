"""How long the whole signal catalogue takes over a payer, and in how much memory, at growing sizes.

Four jobs at each size, each in a process of its own: every signal of every kind (`write_frames`), 22 of the signals
alone, the same 22 in pandas, and the floor: reading every column of every table once with DuckDB. The answers of pandas
are compared with ours. Prints tables and writes `var/benchmarks/catalogue.json`.

    python benchmarks/bench_catalogue.py [--sizes 25000 50000 100000 200000] [--preset city] [--memory 3GB]
    python benchmarks/bench_catalogue.py --sizes 250000 1000000 2000000 4000000 --pandas-most 250000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.schema import TABLES
from fraud.claims.simulation import simulate
from fraud.commands.console import data, note, print_table
from fraud.config import load_settings
from fraud.signals.catalogue import load_catalogue

sys.path.insert(0, str(Path(__file__).parent))
from catalogue.twin import SIGNALS, frames_in_pandas  # noqa: E402

# Sums of the same figures in another order differ in the last digits.
TOLERANCE = 1e-9
Job = Callable[[Path, Path, str], dict[str, Any]]


def main() -> None:
    arguments = _arguments()
    rows = [row for size in arguments.sizes for row in _at_size(size, arguments)]
    titles = ("claims", "lines", "what", "CPU s", "wall s", "MB at most", "differing")
    print_table(titles, [tuple(row.get(t, "") for t in titles) for row in rows])
    growth = {w: _exponent([r for r in rows if r["what"] == w]) for w in dict.fromkeys(r["what"] for r in rows)}
    for what, exponent in growth.items():
        note(f"{what}: CPU grows like n^{exponent:.2f}")
    target = load_settings().var / "benchmarks" / "catalogue.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    facts = {"preset": arguments.preset, "cpus": os.cpu_count(), "memory": arguments.memory, "growth": growth}
    target.write_text(json.dumps({**facts, "rows": rows}, indent=2) + "\n", "utf-8")
    data(str(target))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[25_000, 50_000, 100_000, 200_000], help="claims")
    parser.add_argument("--preset", default="city")
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--memory", default="3GB", help="what DuckDB may hold before it spills")
    parser.add_argument("--pandas-most", type=int, default=250_000, help="sizes beyond this are not tried in pandas")
    return parser.parse_args()


def _at_size(size: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    folder = load_settings().var / "benchmarks" / f"payer-{arguments.preset}-{size}-{arguments.seed}"
    if not folder.is_dir():
        note(f"simulating {size:,} claims")
        simulate(folder, preset=arguments.preset, claims=size, seed=arguments.seed)
    jobs: dict[str, Job] = {"whole catalogue": _whole, "22 signals": _some, "22 in pandas": _in_pandas}
    if size > arguments.pandas_most:
        del jobs["22 in pandas"]
    with tempfile.TemporaryDirectory() as place:
        facts = _counts(folder)
        rows = [
            facts | {"what": what, "load": os.getloadavg()[0]} | _alone(job, folder, Path(place), arguments.memory)
            for what, job in {**jobs, "floor": _floor}.items()
        ]
        _compare(rows, Path(place))
    return rows


def _counts(folder: Path) -> dict[str, Any]:
    connection = connect()
    ClaimsFolder(folder).attach(connection)
    found = {n: connection.execute(f"SELECT count(*) FROM {n}").fetchall()[0][0] for n in ("claims", "lines")}
    connection.close()
    return found


def _alone(job: Job, folder: Path, place: Path, memory: str) -> dict[str, Any]:
    """Seconds and memory of a job in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_measured, job, folder, place, memory).result()


def _measured(job: Job, folder: Path, place: Path, memory: str) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = job(folder, place, memory)
    return {
        "CPU s": round(time.process_time() - cpu, 1),
        "wall s": round(time.perf_counter() - wall, 1),
        "MB at most": round(_peak_kilobytes() / 1024),
        **found,
    }


def _peak_kilobytes() -> float:
    """The most memory that this process held; elsewhere than on Linux, that of its parent at its start is in it."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(float(line.split()[1]) for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM"))


# --- jobs ---------------------------------------------------------------------------------------------------


def _whole(folder: Path, place: Path, memory: str) -> dict[str, Any]:
    from fraud.signals.streaming import write_frames

    catalogue = load_catalogue(load_settings().features)
    made = write_frames(ClaimsFolder(folder), catalogue, place / "whole", memory=memory)
    shutil.rmtree(place / "whole")
    return {"signals": len(catalogue.signals) - len(made.skipped), "rows of frames": dict(made.rows)}


def _some(folder: Path, place: Path, memory: str) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from fraud.signals.streaming import FrameStream, bounded_builder, day_after_last_claim, known_on

    catalogue = load_catalogue(load_settings().features)
    claims = ClaimsFolder(folder)
    with bounded_builder(claims, catalogue, memory=memory) as (builder, work):
        stream = FrameStream(builder, work, folder=claims)
        day = day_after_last_claim(builder)
        for entity, names in SIGNALS.items():
            signals = [catalogue[n] for n in names]
            to = place / "ours" / entity
            if entity == "claim":
                stream.write_claims(signals, to)
                continue
            frame = stream.entities(signals, entity, known_on(builder, entity, day))
            to.mkdir(parents=True)
            pq.write_table(frame.to_arrow(), to / "part-0000.parquet")
        (place / "day").write_text(day.isoformat(), "utf-8")
    return {}


def _in_pandas(folder: Path, place: Path, memory: str) -> dict[str, Any]:
    import pandas as pd

    frames = frames_in_pandas(folder, pd.Timestamp((place / "day").read_text("utf-8")))
    (place / "theirs").mkdir()
    for entity, frame in frames.items():
        frame.to_parquet(place / "theirs" / f"{entity}.parquet")
    return {}


def _floor(folder: Path, place: Path, memory: str) -> dict[str, Any]:
    connection = connect(memory_limit=memory)
    ClaimsFolder(folder).attach(connection)
    for name in TABLES:
        # A hash needs the value of every cell, so that nothing is answered from statistics.
        connection.execute(f'SELECT bit_xor(hash(COLUMNS(*))) FROM "{name}"').fetchall()
    connection.close()
    return {}


# --- comparing ----------------------------------------------------------------------------------------------


def _compare(rows: list[dict[str, Any]], place: Path) -> None:
    """Add to the row of pandas in how many cells its answers differ from ours."""
    import pandas as pd

    for row in (r for r in rows if r["what"] == "22 in pandas"):
        differing = 0
        for entity, names in SIGNALS.items():
            ours = pd.read_parquet(place / "ours" / entity).set_index("claim_id" if entity == "claim" else "entity_id")
            theirs = pd.read_parquet(place / "theirs" / f"{entity}.parquet")
            # Who has no claim in the window has no row in pandas.
            both = (f.reindex(theirs.index)[list(names)].to_numpy(dtype=float) for f in (ours, theirs))
            differing += int((~np.isclose(*both, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)).sum())
        row["differing"] = differing


def _exponent(rows: list[dict[str, Any]]) -> float:
    """The slope of CPU seconds over claims, both as logarithms; NaN for a single size."""
    if len(rows) < 2:
        return float("nan")
    claims, cpu = (np.log([max(float(r[n]), 0.05) for r in rows]) for n in ("claims", "CPU s"))
    return float(np.polyfit(claims, cpu, 1)[0])


if __name__ == "__main__":
    main()
