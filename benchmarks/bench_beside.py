"""The service beside what a payer would use instead: same model, same claims, same history, one run.

- `in process`: history, features, rules, score and reasons by the service's own scorer, without HTTP and without
  storing anything: the floor.
- `fraud serve`: the service. It looks up the history, computes all signals, applies the rules, scores, explains what is
  flagged, and makes the decision durable before it answers.
- `mlflow, features given`: `mlflow models serve` of the registered model, sent rows of features that were computed
  before and cost nothing here. It only scores: no history, signals, rules, reasons or decision.
- `mlflow, features made`: the same, and the caller computes the features of each claim from the history with this
  package before it sends them, as a payer would have to; still without rules, reasons or decision.
- `handwritten`: `benchmarks/beside/handwritten.py`: FastAPI, nineteen of the signals with pandas from the same history,
  the same booster; no rules, reasons or decision. Its values are compared with the service's signals.

Each is warmed up, and each server has as many worker processes. Clients and servers share the cores, so processor time
is told beside: that of the server, and that of the caller where it computes features. Prints a table and writes
`var/benchmarks/beside.json`.

    python benchmarks/bench_beside.py [--claims 30000] [--requests 1000] [--clients 32] [--workers 2]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import orjson
from bench_scoring import places, prepare
from endurance.place import bodies_of, own_copy
from endurance.running import Connection, cpu_seconds, free_port, kill, running
from rich.console import Console

from fraud.config import Settings, cores
from fraud.learning import load_model
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle
from fraud.signals.catalogue import load_catalogue
from fraud.store import Store

WARM = 100
START_SECONDS = 180
HERE = Path(__file__).resolve().parent
# Makes the path and body of a request for a claim.
Ask = Callable[[int], tuple[str, bytes]]
_console = Console(stderr=True)


@dataclass(frozen=True)
class Figures:
    """What one way of scoring took; milliseconds of processor time for each claim, of the server and of the caller."""

    name: str
    clients: int
    claims: int
    p50_ms: float
    p99_ms: float
    claims_per_second: float
    server_cpu_ms: float
    caller_cpu_ms: float


def main() -> None:
    arguments = _arguments()
    settings = places("beside")
    with _console.status("a city, its model, its history"):
        bundles = prepare(settings, arguments.claims)[-arguments.requests :]
    settings = own_copy(settings, "run")
    floor = _Floor(settings)
    found = [_timed("in process", bundles, floor.score)]
    rows = [floor.features(b) for b in bundles]
    found += _service(settings, bundles, arguments)
    found += _mlflow(settings, bundles, rows, floor, arguments)
    by_hand, differ = _handwritten(settings, bundles, floor, arguments)
    found += by_hand
    floor.close()
    _report(settings, arguments, found, differ)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=30_000, help="size of the city")
    parser.add_argument("--requests", type=int, default=1_000, help="claims to score each way")
    parser.add_argument("--clients", type=int, default=32, help="connections that send at once, beside one alone")
    parser.add_argument("--workers", type=int, default=cores(), help="processes of each server")
    return parser.parse_args()


# --- the floor --------------------------------------------------------------------------------------------


class _Floor:
    """The service's scorer in this process, and the features that it computes."""

    def __init__(self, settings: Settings) -> None:
        catalogue = load_catalogue(settings.features)
        self.model = load_model("claim_risk", "champion", settings.tracking_uri, catalogue)
        self._store = Store(settings.database_url)
        library = {n: self._store.table(t) for n, t in (("items", "catalogue"), ("exclusions", "exclusions"))}
        self._scorer = ClaimScorer(catalogue, self.model, **library)

    def score(self, bundle: ClaimBundle) -> object:
        """The score with findings and reasons."""
        return self._scorer.score(bundle, self._history(bundle))

    def features(self, bundle: ClaimBundle) -> np.ndarray:
        """The claim as the model reads it."""
        history = self._history(bundle)
        return self._scorer.vector(bundle, history, self._scorer.values(bundle, history))

    def values(self, bundle: ClaimBundle) -> Mapping[str, float]:
        """The claim's own signals."""
        return self._scorer.values(bundle, self._history(bundle))

    def _history(self, bundle: ClaimBundle) -> Any:
        return self._store.history(bundle.claim, self._scorer.wanted, self.model.spec.name)

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def _timed(name: str, bundles: Sequence[ClaimBundle], work: Callable[[ClaimBundle], object]) -> Figures:
    for bundle in bundles[:WARM]:
        work(bundle)
    taken, cpu = [], time.process_time()
    for bundle in bundles:
        began = time.perf_counter()
        work(bundle)
        taken.append(time.perf_counter() - began)
    return _figures(name, 1, taken, sum(taken), 0.0, time.process_time() - cpu)


# --- servers ----------------------------------------------------------------------------------------------


def _service(settings: Settings, bundles: Sequence[ClaimBundle], arguments: argparse.Namespace) -> list[Figures]:
    bodies = bodies_of(bundles)

    def ask(n: int) -> tuple[str, bytes]:
        # Each claim once: what was scored before would be one more claim of its patient's history.
        body = bodies[n % len(bodies)]
        return "/v1/claims/score", orjson.dumps({**body, "claim": {**body["claim"], "claim_id": uuid4().hex}})

    with _console.status("fraud serve"), running(settings, arguments.workers) as service:
        return _rounds("fraud serve", service.port, service.cpu_seconds, ask, arguments)


def _mlflow(
    settings: Settings,
    bundles: Sequence[ClaimBundle],
    rows: Sequence[np.ndarray],
    floor: _Floor,
    arguments: argparse.Namespace,
) -> list[Figures]:
    columns = list(floor.model.names)

    def body(row: np.ndarray) -> bytes:
        # What is not known is null: JSON has no NaN.
        return orjson.dumps({"dataframe_split": {"columns": columns, "data": [row]}}, option=orjson.OPT_SERIALIZE_NUMPY)

    def given(n: int) -> tuple[str, bytes]:
        return "/invocations", body(rows[n % len(rows)])

    def made(n: int) -> tuple[str, bytes]:
        return "/invocations", body(floor.features(bundles[n % len(bundles)]))

    line = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "models:/claim_risk@champion"]
    line += ["--env-manager", "local", "--workers", str(arguments.workers), "--port"]
    with _server(settings, line, "/ping", MLFLOW_TRACKING_URI=settings.tracking_uri) as (port, cpu):
        _check_mlflow(floor, rows[0], asyncio.run(_answers(port, [given(0)]))[0])
        found = _rounds("mlflow, features given", port, cpu, given, arguments)
        return [*found, *_rounds("mlflow, features made", port, cpu, made, arguments)]


def _check_mlflow(floor: _Floor, row: np.ndarray, answer: bytes) -> None:
    """Raises when it does not say what the model says."""
    said = orjson.loads(answer)["predictions"][0]["probability"]
    np.testing.assert_allclose(said, floor.model.probability(floor.model.margins(row[None]))[0], rtol=1e-9)


def _handwritten(
    settings: Settings, bundles: Sequence[ClaimBundle], floor: _Floor, arguments: argparse.Namespace
) -> tuple[list[Figures], dict[str, int]]:
    bodies = bodies_of(bundles)
    for body, bundle in zip(bodies, bundles, strict=True):
        body["claim"]["claim_id"] = bundle.claim["claim_id"]

    def ask(n: int) -> tuple[str, bytes]:
        return "/score", orjson.dumps(bodies[n % len(bodies)])

    folder = floor.model.save(Path(settings.var) / "fitted")
    line = [sys.executable, "-m", "uvicorn", "beside.handwritten:app", "--app-dir", str(HERE), "--log-level", "warning"]
    line += ["--no-access-log", "--workers", str(arguments.workers), "--port"]
    database = settings.database_url.removeprefix("sqlite:///")
    with _server(settings, line, "/docs", BESIDE_DATABASE=database, BESIDE_MODEL=str(folder)) as (port, cpu):
        found = _rounds("handwritten", port, cpu, ask, arguments)
        answers = asyncio.run(_answers(port, [ask(n) for n in range(len(bodies))]))
    return found, _differing(bundles, answers, floor)


def _differing(bundles: Sequence[ClaimBundle], answers: Sequence[bytes], floor: _Floor) -> dict[str, int]:
    """Claims on which a signal by hand is not the service's, by signal."""
    differ: dict[str, int] = {}
    for bundle, answer in zip(bundles, answers, strict=True):
        own = floor.values(bundle)
        for name, value in orjson.loads(answer)["features"].items():
            same = np.isclose(own[f"claim.{name}"], np.nan if value is None else value, rtol=1e-9, equal_nan=True)
            differ[name] = differ.get(name, 0) + int(not same)
    return differ


@contextmanager
def _server(
    settings: Settings, line: Sequence[str], alive: str, **environ: str
) -> Iterator[tuple[int, Callable[[], float]]]:
    """Port and processor seconds of another server, gone in the end with all its workers."""
    port = free_port()
    # Some start programs of this environment by their names.
    own = {"PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "FRAUD_HOME": str(settings.home), **own, **environ}
    with _console.status(" ".join(line[2:6])), (Path(settings.var) / f"{line[2]}.log").open("wb") as log:
        started = subprocess.Popen([*line, str(port)], env=env, stdout=log, stderr=log)
        try:
            asyncio.run(_alive(port, alive, started))
            yield port, lambda: cpu_seconds(started.pid)
        finally:
            kill(started)


async def _alive(port: int, path: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async with Connection(port) as connection:
                if (await connection.send("GET", path))[0] == 200:
                    return
        await asyncio.sleep(0.2)
    raise SystemExit("a server did not start; its log is beside the database")


# --- rounds -----------------------------------------------------------------------------------------------


def _rounds(name: str, port: int, cpu: Callable[[], float], ask: Ask, arguments: argparse.Namespace) -> list[Figures]:
    asyncio.run(_round(port, 8, range(WARM), ask))
    found = []
    for clients in (1, arguments.clients):
        before, own, began = cpu(), time.process_time(), time.perf_counter()
        taken = asyncio.run(_round(port, clients, range(arguments.requests), ask))
        seconds = time.perf_counter() - began
        found.append(_figures(name, clients, taken, seconds, cpu() - before, time.process_time() - own))
        _console.print(f"{found[-1].name}, {clients} clients: {found[-1].claims_per_second:,.0f} claims/s")
    return found


async def _round(port: int, clients: int, numbers: Sequence[int], ask: Ask) -> list[float]:
    """Seconds of each claim, from when the caller has it until it has the answer."""
    waiting, taken = iter(numbers), list[float]()

    async def client() -> None:
        async with Connection(port) as connection:
            for n in waiting:
                began = time.perf_counter()
                path, body = ask(n)
                status, answer = await connection.send("POST", path, body)
                taken.append(time.perf_counter() - began)
                if status != 200:
                    raise SystemExit(f"{path} answered {status}: {answer[:300].decode('utf-8', 'replace')}")

    await asyncio.gather(*(client() for _ in range(clients)))
    return taken


async def _answers(port: int, asked: Sequence[tuple[str, bytes]]) -> list[bytes]:
    async with Connection(port) as connection:
        return [(await connection.send("POST", path, body))[1] for path, body in asked]


def _figures(
    name: str, clients: int, taken: Sequence[float], seconds: float, server_cpu: float, caller_cpu: float
) -> Figures:
    p50, p99 = (float(np.percentile(taken, p)) * 1e3 for p in (50, 99))
    per_claim = 1e3 / len(taken)
    rate = len(taken) / seconds
    return Figures(name, clients, len(taken), p50, p99, rate, server_cpu * per_claim, caller_cpu * per_claim)


def _report(
    settings: Settings, arguments: argparse.Namespace, found: Sequence[Figures], differ: Mapping[str, int]
) -> None:
    names = list(asdict(found[0]))
    print(f"city of {arguments.claims:,} claims, {arguments.workers} workers")
    print(f"{names[0]:24}" + "".join(f"{n:>19}" for n in names[1:]))
    for figures in found:
        name, *values = asdict(figures).values()
        print(f"{name:24}" + "".join(f"{v:19,.1f}" if isinstance(v, float) else f"{v:19,}" for v in values))
    wrong = {n: k for n, k in differ.items() if k}
    print(f"signals by hand that differ, in claims: {wrong or 'none'}")
    out = Path(settings.var).parent / "beside.json"
    told = {"arguments": vars(arguments), "figures": [asdict(f) for f in found], "differ": differ}
    out.write_text(json.dumps(told, indent=2), "utf-8")
    print(out)


if __name__ == "__main__":
    main()
