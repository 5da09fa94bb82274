"""How long a claim takes: its signals alone, its score in process, and over HTTP with reasons, warm.

Simulates a city, trains the claim model, fills the service's history, starts the service in a process of its own
and sends claims of the last month one after another. Beside it, in the same run: the same claims scored in
process, without HTTP (the floor), and all claim signals of one claim and of 64 in one go, with 32 and with 200
earlier claims each, half of them and their lines within the last 180 days. Prints tables and writes
`var/benchmarks/scoring.json`.

    python benchmarks/bench_scoring.py [--claims 30000] [--requests 1000]
    python benchmarks/bench_scoring.py --signals     # the signals alone: no model, no service
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.simulation import simulate
from fraud.commands.demo import running_service
from fraud.commands.service import load_history
from fraud.config import Settings, load_settings
from fraud.learning import load_model, load_spec, train
from fraud.scoring.claim_signals import ClaimSignals
from fraud.scoring.sample import claim_bundles
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle, History, Row
from fraud.signals.catalogue import load_catalogue
from fraud.signals.norms import learn_norms
from fraud.signals.relations import PAST_DAYS, PAST_LINES_DAYS
from fraud.store import Store
from fraud.store.migrations import HEAD

PERCENTILES = (50, 90, 99)
PARTIES = ("patient", "provider", "physician")
Parties = dict[str, dict[str, Row]]
# Claims in one go, and earlier claims of each.
BATCHES = ((1, 32), (1, 200), (64, 32), (64, 200))
ROUNDS = 15


def main() -> None:
    arguments = _arguments()
    settings = places("scoring")
    if arguments.signals:
        _report_signals(settings, _signals(settings, arguments.claims), arguments)
        return
    bundles = prepare(settings, arguments.claims)[-arguments.requests :]
    rows = {"in process": _in_process(settings, bundles), **_over_http(settings, bundles)}
    _report(settings, rows, arguments)
    _report_signals(settings, _signals(settings, arguments.claims), arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=30_000, help="size of the city")
    parser.add_argument("--requests", type=int, default=1_000, help="claims to score")
    parser.add_argument("--signals", action="store_true", help="time the signals alone")
    return parser.parse_args()


def places(name: str) -> Settings:
    """The settings with a folder, a database and a registry of a benchmark's own."""
    settings = load_settings()
    var = settings.var / "benchmarks" / name
    var.mkdir(parents=True, exist_ok=True)
    urls = {n: f"sqlite:///{var / f'{n}.db'}" for n in ("fraud", "mlflow")}
    return replace(settings, var=var, database_url=urls["fraud"], tracking_uri=urls["mlflow"])


def prepare(settings: Settings, claims: int) -> list[ClaimBundle]:
    """The claims of a city, with a trained model and the service's history: made once, and the same every time."""
    city = settings.var / f"city-{claims}"
    if not _as_loaded(settings, claims).is_file():
        if not city.is_dir():
            simulate(city, seed=7, claims=claims)
        spec = load_spec(settings.models / "claim_risk.toml")
        # Without gates: what is timed is a champion, however well it does on a small city.
        quick = replace(spec, split=replace(spec.split, folds=3, repeats=1), gates=())
        train(
            quick,
            ClaimsFolder(city),
            load_catalogue(settings.features),
            tracking_uri=settings.tracking_uri,
            artifacts=settings.artifacts,
        )
        load_history(settings, city, lambda name, done: None)
        shutil.copy(_database(settings), _as_loaded(settings, claims))
    # Claims that were scored before are history now: every measurement begins with what was loaded.
    for path in settings.var.glob("fraud.db*"):
        path.unlink()
    shutil.copy(_as_loaded(settings, claims), _database(settings))
    return list(claim_bundles(ClaimsFolder(city)))


def _database(settings: Settings) -> Path:
    return settings.var / "fraud.db"


def _as_loaded(settings: Settings, claims: int) -> Path:
    return settings.var / f"loaded-{claims}-{HEAD}.db"


def _in_process(settings: Settings, bundles: list[ClaimBundle]) -> list[float]:
    catalogue = load_catalogue(settings.features)
    model = load_model("claim_risk", "champion", settings.tracking_uri, catalogue)
    taken = []
    with Store(settings.database_url) as store:
        scorer = ClaimScorer(catalogue, model, items=store.table("catalogue"), exclusions=store.table("exclusions"))
        for bundle in bundles:
            began = time.perf_counter()
            scorer.score(bundle, store.history(bundle.claim, scorer.wanted, model.spec.name))
            taken.append((time.perf_counter() - began) * 1e3)
    return taken[len(taken) // 10 :]


def _over_http(settings: Settings, bundles: list[ClaimBundle]) -> dict[str, list[float]]:
    """Milliseconds of each request, and of the stages that the service reports."""
    times: dict[str, list[float]] = {"HTTP, one client": []}
    with running_service(settings) as address, httpx.Client(base_url=address) as client:
        for number, bundle in enumerate(bundles):
            body = json.dumps(_body(bundle), default=lambda v: v.isoformat())
            began = time.perf_counter()
            answer = client.post("/v1/claims/score", content=body, headers={"Content-Type": "application/json"})
            taken = (time.perf_counter() - began) * 1e3
            answer.raise_for_status()
            if number >= len(bundles) // 10:
                times["HTTP, one client"].append(taken)
                for stage, spent in answer.json()["timing_ms"].items():
                    times.setdefault(f"  of it {stage}", []).append(spent)
    return times


# --- signals alone -------------------------------------------------------------------------------------------


def _signals(settings: Settings, claims: int) -> dict[str, list[float]]:
    """Milliseconds of processor time for all claim signals, the cases in turn in every round."""
    city = settings.var / f"city-{claims}"
    if not city.is_dir():
        simulate(city, seed=7, claims=claims)
    online, parties = _online(settings, city)
    bundles = list(claim_bundles(ClaimsFolder(city)))[-8_000:]
    draw = random.Random(5)
    cases = {f"{n} with {past} past": _requests(draw, bundles, parties, n, past) for n, past in BATCHES}
    _check(online, cases["64 with 32 past"])
    gc.collect()
    gc.freeze()  # as the service does once it is warm
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, requests in cases.items():
            began = time.process_time()
            online.compute_many(requests)
            times[name].append((time.process_time() - began) * 1e3)
    return times


def _online(settings: Settings, city: Path) -> tuple[ClaimSignals, Parties]:
    catalogue = load_catalogue(settings.features)
    connection = connect()
    ClaimsFolder(city).attach(connection)
    tables = {n: connection.sql(f'SELECT * FROM "{n}"').to_arrow_table() for n in ("catalogue", "exclusions")}
    online = ClaimSignals(
        catalogue,
        catalogue.of("claim"),
        norms=learn_norms(connection),
        items=tables["catalogue"],
        exclusions=tables["exclusions"],
    )
    people = {n: connection.sql(f"SELECT * FROM {n}s").to_arrow_table().to_pylist() for n in PARTIES}
    connection.close()
    return online, {n: {row[f"{n}_id"]: row for row in rows} for n, rows in people.items()}


def _requests(
    draw: random.Random, bundles: list[ClaimBundle], parties: Parties, count: int, past: int
) -> list[tuple[ClaimBundle, History]]:
    """Claims with as many earlier ones each: claims of the city, moved into the year before."""
    return [(b, _history(draw, b, draw.sample(bundles, past), parties)) for b in draw.sample(bundles, count)]


def _history(draw: random.Random, own: ClaimBundle, others: list[ClaimBundle], parties: Parties) -> History:
    claims: list[Row] = []
    lines: list[Row] = []
    for place, other in enumerate(others):
        days = PAST_DAYS * (place + 0.5) / len(others)
        shift = own.claim["settled_at"] - timedelta(days=days) - other.claim["settled_at"]
        here = {"provider_id": own.claim["provider_id"]} if draw.random() < 0.5 else {}
        claims.append({**_moved(other.claim, shift), "patient_id": own.claim["patient_id"], **here})
        lines.extend(_moved(line, shift) for line in other.lines if days < PAST_LINES_DAYS)
    patient, provider, physician = (parties[n].get(own.claim[f"{n}_id"]) for n in PARTIES)
    return History(tuple(claims), tuple(lines), patient, provider, physician)


def _moved(row: Row, shift: timedelta) -> dict[str, Any]:
    return {name: value + shift if isinstance(value, datetime) else value for name, value in row.items()}


def _check(online: ClaimSignals, requests: list[tuple[ClaimBundle, History]]) -> None:
    """Raises when a claim has other signals among others than alone."""
    for request, together in zip(requests, online.compute_many(requests), strict=True):
        alone = online.compute(*request).values
        np.testing.assert_allclose(list(together.values.values()), list(alone.values()), rtol=1e-9, atol=1e-9)


def _report_signals(settings: Settings, times: dict[str, list[float]], arguments: argparse.Namespace) -> None:
    print(f"all claim signals, {ROUNDS} rounds; milliseconds of processor time")
    print(f"{'':24}{'min':>9}{'median':>9}")
    figures = {n: {"min": min(v), "median": float(np.median(v))} for n, v in times.items()}
    for name, found in figures.items():
        print(f"{name:24}" + "".join(f"{value:9.1f}" for value in found.values()))
    facts = {"claims": arguments.claims, "rounds": ROUNDS, "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    out = Path(settings.var).parent / "scoring_signals.json"
    out.write_text(json.dumps({"arguments": facts, "milliseconds": figures}, indent=2), "utf-8")
    print(out)


def _body(bundle: ClaimBundle) -> dict[str, object]:
    def row(values):  # type: ignore[no-untyped-def]
        return {k: v for k, v in values.items() if v is not None}

    items = {n: [row(r) for r in getattr(bundle, n)] for n in ("lines", "diagnoses", "procedures")}
    return {"claim": row(bundle.claim), **items, "options": {"explain": "reasons", "locale": "en", "store": True}}


def _report(settings: Settings, rows: dict[str, list[float]], arguments: argparse.Namespace) -> None:
    print(f"{arguments.requests} claims, city of {arguments.claims:,}; milliseconds")
    print(f"{'':24}" + "".join(f"{f'p{p}':>9}" for p in PERCENTILES))
    figures = {name: {f"p{p}": float(np.percentile(v, p)) for p in PERCENTILES} for name, v in rows.items()}
    for name, found in figures.items():
        print(f"{name:24}" + "".join(f"{value:9.1f}" for value in found.values()))
    out = Path(settings.var).parent / "scoring.json"
    out.write_text(json.dumps({"arguments": vars(arguments), "milliseconds": figures}, indent=2), "utf-8")
    print(out)


if __name__ == "__main__":
    main()
