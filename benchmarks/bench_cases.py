"""Milliseconds of what a page of the workbench asks of the cases, with four numbers of them, on both databases.

Rows are written straight into the tables: a hundred thousand cases, a tenth undecided, every twentieth with a history.
What is timed is what a reader waits for: a page of the queue in several orders, with filters, its total and counts,
one case with its history, and a step. The median of several runs is told, first runs left out. Each page is compared
with the same search done over all rows in memory. Prints a table and writes `var/benchmarks/cases.json`.

    python benchmarks/bench_cases.py [--cases 1000 10000 100000] [--runs 15] [--only sqlite]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa

from fraud.config import load_settings
from fraud.review.cases import PRIORITIES, STATES, Actor, Case, Casework, Chosen, Within
from fraud.store import Store
from fraud.store.casework.rows import digest_bytes, row_of
from fraud.store.casework.tables import cases, events

NOW = datetime(2026, 3, 2, 9)
ANN = Actor("ann", "ann", "investigator")
# One in ten is undecided: a payer's cases of some years.
WEIGHTS = (50, 20, 20, 10, 30, 30, 10, 830)
EVENTS = 6
# Histories are written for those that are read: to write all takes longer than everything else.
READ_EVERY = 20
# Searches by name: what a page of the queue asks.
SEARCHES: dict[str, tuple[Chosen, str]] = {
    "all, by worth": (Chosen(), "-worth"),
    "undecided, by worth": (Chosen(states=("open", "assigned", "evidence", "proposed")), "-worth"),
    "undecided, by clock": (Chosen(states=("open", "assigned", "evidence", "proposed")), "due"),
    "overdue": (Chosen(overdue=True), "due"),
    "mine": (Chosen(assignee="person 3"), "-worth"),
    "T07 in a region, from 5,000": (Chosen(violations=("T07",), regions=("3301*",), amount_at_least=5e3), "-amount"),
    "closed, newest": (Chosen(states=("closed",)), "-opened"),
    "one provider": (Chosen(provider_id="h17"), "-opened"),
    "urgent and open": (Chosen(states=("open",), priorities=("urgent",)), "-worth"),
}


def made_up(count: int, seed: int = 5) -> Iterator[Case]:
    """Cases of some years."""
    draw = random.Random(seed)
    for n in range(count):
        state = draw.choices(STATES, WEIGHTS)[0]
        undecided = state in STATES[:4]
        opened = NOW - timedelta(hours=draw.uniform(0, 200 if undecided else 20_000))
        amount = round(draw.lognormvariate(7.5, 1.3), 2)
        yield Case(
            "claim",
            f"claim-{n}",
            case_id=f"C{n:015d}",
            patient_id=f"p{n % 40_000}",
            provider_id=f"h{draw.randrange(400)}",
            region=f"33{draw.randrange(1, 12):02d}",
            violation=f"T{draw.randrange(1, 41):02d}",
            request_id=f"r{n}",
            action="review",
            probability=draw.random(),
            amount=amount,
            expected_recovery=amount * draw.random(),
            worth=amount * draw.random() * 2,
            findings=("claim.duplicate_line",),
            state=state,
            priority=draw.choices(PRIORITIES, (5, 25, 70))[0],
            opened_at=opened,
            events=EVENTS,
            assignee=None if state == "open" else f"person {draw.randrange(24)}",
            due_at=opened + timedelta(hours=48) if undecided else None,
        )


def fill(store: Store, count: int) -> list[Case]:
    """The cases, written with their histories."""
    found = list(made_up(count))
    told = digest_bytes({"text": "Asked for the record of the ward; it has one examination on the day."})
    with store.database.write_patiently() as connection:
        for first in range(0, count, 5_000):
            some = found[first : first + 5_000]
            connection.execute(sa.insert(cases), [row_of(c) for c in some])
            read = some[::READ_EVERY]
            connection.execute(sa.insert(events), [_event(c, k, told) for c in read for k in range(1, EVENTS + 1)])
    with store.database.patient.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
    return found


def _event(case: Case, number: int, told: bytes) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "number": number,
        "at": case.opened_at,
        "who": "person 1",
        "what": "noted",
        "state_before": case.state,
        "state_after": case.state,
        "details": told,
    }


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """The median of several runs."""
    work()
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - started))
    return median(taken)


def in_memory(found: list[Case], chosen: Chosen) -> int:
    """How many of the cases are looked for, by looking at each."""
    regions = tuple(r.rstrip("*") for r in chosen.regions)
    return sum(
        (not chosen.states or c.state in chosen.states)
        and (not chosen.violations or c.violation in chosen.violations)
        and (not chosen.priorities or c.priority in chosen.priorities)
        and (not regions or str(c.region).startswith(regions))
        and (chosen.amount_at_least is None or (c.amount or 0) >= chosen.amount_at_least)
        and (chosen.assignee is None or c.assignee == chosen.assignee)
        and (chosen.provider_id is None or c.provider_id == chosen.provider_id)
        and (chosen.overdue is None or c.overdue(NOW) == chosen.overdue)
        for c in found
    )


def measured(address: str, count: int, runs: int) -> dict[str, float]:
    """Milliseconds by what is asked."""
    with Store(address) as store:
        found, work = fill(store, count), Casework(store, clock=lambda: NOW)
        times: dict[str, float] = {}
        for name, (chosen, order) in SEARCHES.items():
            assert work.search(chosen, order=order, most=50).total == in_memory(found, chosen), name
            times[name] = milliseconds(lambda c=chosen, o=order: work.search(c, order=o, most=50), runs)
        times["page 200 of all"] = milliseconds(
            lambda: work.search(Chosen(), most=50, skip=min(10_000, count // 2)), runs
        )
        within = Within(regions=("3301", "3302"))
        times["within two regions"] = milliseconds(lambda: work.search(Chosen(), within, most=50), runs)
        times["counts of all"] = milliseconds(work.counts, runs)
        some = random.Random(1).sample(found[::READ_EVERY], min(runs + 1, len(found) // READ_EVERY))
        turn = iter(some * (runs + 1))
        times["one case, its file"] = milliseconds(lambda: work.file(next(turn).case_id, ANN), runs)
        free = iter([c for c in found if c.state == "open"])
        times["a step, durable"] = milliseconds(lambda: work.take(next(free).case_id, ANN), min(runs, count // 60))
        return times


@contextmanager
def databases(only: str | None) -> Iterator[dict[str, Callable[[], str]]]:
    """What makes an empty database, by engine; PostgreSQL where the wheel of one is installed."""
    folder = Path(tempfile.mkdtemp(prefix="fraud-bench-cases-"))
    made: dict[str, Callable[[], str]] = {"sqlite": lambda: f"sqlite:///{folder / str(time.time_ns())}.db"}
    server = None
    try:
        if only != "sqlite":
            sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
            from tests.store.servers import Server

            server = Server(folder / "postgres")
            made["postgresql"] = server.new_database
        yield {n: m for n, m in made.items() if only in (None, n)}
    finally:
        if server is not None:
            server.end()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000, 10_000, 50_000, 100_000])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    given = parser.parse_args()
    told: dict[str, dict[str, dict[str, float]]] = {}
    with databases(given.only) as engines:
        for name, make in engines.items():
            for count in given.cases:
                sys.stderr.write(f"{name}, {count:,} cases\n")
                told.setdefault(name, {})[str(count)] = measured(make(), count, given.runs)
    for name, by_count in told.items():
        print(f"\n{name:32}" + "".join(f"{int(c):>12,}" for c in by_count))
        for what in next(iter(by_count.values())):
            print(f"{what:32}" + "".join(f"{times[what]:>9.1f} ms" for times in by_count.values()))
    target = load_settings().var / "benchmarks" / "cases.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(told, indent=1), "utf-8")
    print(f"\n{target}")


if __name__ == "__main__":
    main()
