"""A simulated payer on disk: canonical tables in one folder, the truth about them in another beside it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from fraud.claims.folder import MANIFEST, TableWriter
from fraud.claims.schema import TABLES
from fraud.claims.simulation.city import Made, Progress, made_city
from fraud.claims.simulation.presets import rates_of
from fraud.errors import ClaimsError

__all__ = ["SimulationResult", "simulate"]

# The same for all cities: written once.
COMMON = ("catalogue", "exclusions")


@dataclass(frozen=True)
class SimulationResult:
    """What was written: rows of each table, the two folders, and how long it took."""

    to: Path
    truth: Path
    counts: dict[str, int]
    truth_counts: dict[str, int]
    seconds: float


def simulate(
    to: str | Path,
    *,
    preset: str = "demo",
    seed: int = 7,
    schemes: bool = True,
    claims: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> SimulationResult:
    """Write a simulated payer to the folder `to`, and who did what to the folder `<to>.truth`.

    The same preset, seed and number of claims give the same bytes, whatever the number of `workers`
    (processes, by default one for each processor). `preset` is a name or a TOML file of your own; `claims` is
    about how many there will be. A payer of several cities is made city by city, so that memory does not grow
    with it. Without `schemes` everybody is honest and the truth is empty.

    Raises:
        NotKnownError: there is no such preset.
        InputError: too few claims are asked for, or the preset's file has faults.
        ClaimsError: one of the folders already holds something.
    """
    started = time.perf_counter()
    report = progress or (lambda stage, share: None)
    folder, truth = Path(to), Path(f"{to}.truth")
    rates = rates_of(preset, claims)
    _refuse_full(folder, truth)
    partial, partial_truth = _emptied(folder), _emptied(truth)
    task = _Task(rates, seed, schemes, partial, partial_truth)
    counts: Counter[str] = Counter()
    for made in _all_cities(task, workers, report):
        counts.update(made)
    tables = {n: counts[n] for n in TABLES}
    truths = {n.removeprefix("truth."): counts[n] for n in sorted(counts) if n.startswith("truth.")}
    _join(partial_truth, truths)
    manifest = {"source": "simulation", "preset": preset, "seed": seed, "rows": tables}
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    _put(partial, folder)
    _put(partial_truth, truth)
    report("done", 1.0)
    return SimulationResult(folder, truth, tables, truths, time.perf_counter() - started)


@dataclass(frozen=True)
class _Task:
    """What a worker needs to make any of the cities."""

    rates: Mapping[str, Any]
    seed: int
    schemes: bool
    folder: Path
    truth: Path


def _refuse_full(*folders: Path) -> None:
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ClaimsError(f"{folder}: already holds something. Remove it, or simulate to another folder.")


def _emptied(folder: Path) -> Path:
    """A folder beside it, to be written in: the real one appears only when it is complete."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _all_cities(task: _Task, workers: int | None, report: Progress) -> Iterator[dict[str, int]]:
    """Counts of rows of each city, as they are done."""
    cities = task.rates["cities"]
    if cities == 1:
        yield _write(task, 0, made_city(task.rates, task.seed, 0, task.schemes, report))
        return
    # Fresh processes: a forked one would inherit the threads of Arrow in a state of which nothing is known.
    with ProcessPoolExecutor(min(workers or os.cpu_count() or 1, cities), get_context("spawn")) as pool:
        report(f"simulating {cities} cities", 0.0)
        running = [pool.submit(_made_and_written, task, number) for number in range(cities)]
        for done, future in enumerate(as_completed(running), start=1):
            yield future.result()
            report(f"simulating {cities} cities", done / cities)


def _made_and_written(task: _Task, number: int) -> dict[str, int]:
    return _write(task, number, made_city(task.rates, task.seed, number, task.schemes))


def _write(task: _Task, number: int, made: Made) -> dict[str, int]:
    """Rows written of each table; those of the truth are named `truth.<table>`."""
    counts = {}
    for name, rows in made.tables.items():
        if number and name in COMMON:
            continue
        with TableWriter(task.folder, name, f"part-{number}") as writer:
            writer.write(rows)
        counts[name] = rows.num_rows
    for name, rows in made.truth.items():
        pq.write_table(rows, task.truth / f"{name}-{number:04d}.parquet", compression="zstd")
        counts[f"truth.{name}"] = rows.num_rows
    return counts


def _join(folder: Path, names: Mapping[str, int]) -> None:
    """One file for each table of the truth, from those of the cities."""
    for name in names:
        parts = sorted(folder.glob(f"{name}-*.parquet"))
        with pq.ParquetWriter(folder / f"{name}.parquet", pq.read_schema(parts[0]), compression="zstd") as writer:
            for part in parts:
                writer.write_table(pq.read_table(part))
                part.unlink()


def _put(partial: Path, folder: Path) -> None:
    if folder.exists():  # an empty one, see `_refuse_full`
        folder.rmdir()
    os.replace(partial, folder)
