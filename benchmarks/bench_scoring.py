"""How long one claim takes over HTTP, with signals and reasons: p50 and p99 at one client, warm.

Simulates a city, trains the claim model, fills the service's history, starts the service in a process of its own
and sends claims of the last month one after another. Beside it, in the same run: the same claims scored in
process, without HTTP (the floor). Prints a table and writes `var/benchmarks/scoring.json`.

    python benchmarks/bench_scoring.py [--claims 30000] [--requests 1000]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np

from fraud.claims.folder import ClaimsFolder
from fraud.claims.simulation import simulate
from fraud.commands.demo import running_service
from fraud.commands.service import load_history
from fraud.config import Settings, load_settings
from fraud.learning import load_model, load_spec, train
from fraud.scoring.sample import claim_bundles
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle
from fraud.signals.catalogue import load_catalogue
from fraud.store import Store

PERCENTILES = (50, 90, 99)


def main() -> None:
    arguments = _arguments()
    settings = _places()
    bundles = _prepare(settings, arguments.claims)[-arguments.requests :]
    rows = {"in process": _in_process(settings, bundles), **_over_http(settings, bundles)}
    _report(settings, rows, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=30_000, help="size of the city")
    parser.add_argument("--requests", type=int, default=1_000, help="claims to score")
    return parser.parse_args()


def _places() -> Settings:
    settings = load_settings()
    var = settings.var / "benchmarks" / "scoring"
    var.mkdir(parents=True, exist_ok=True)
    urls = {n: f"sqlite:///{var / f'{n}.db'}" for n in ("fraud", "mlflow")}
    return replace(settings, var=var, database_url=urls["fraud"], tracking_uri=urls["mlflow"])


def _prepare(settings: Settings, claims: int) -> list[ClaimBundle]:
    city = settings.var / f"city-{claims}"
    if not city.is_dir():
        simulate(city, seed=7, claims=claims)
        spec = load_spec(settings.models / "claim_risk.toml")
        quick = replace(spec, split=replace(spec.split, folds=3, repeats=1))
        train(
            quick,
            ClaimsFolder(city),
            load_catalogue(settings.features),
            tracking_uri=settings.tracking_uri,
            artifacts=settings.artifacts,
        )
        load_history(settings, city, lambda name, done: None)
    return list(claim_bundles(ClaimsFolder(city)))


def _in_process(settings: Settings, bundles: list[ClaimBundle]) -> list[float]:
    catalogue = load_catalogue(settings.features)
    model = load_model("claim_risk", "champion", settings.tracking_uri, catalogue)
    taken = []
    with Store(settings.database_url) as store:
        scorer = ClaimScorer(catalogue, model, items=store.table("catalogue"), exclusions=store.table("exclusions"))
        for bundle in bundles:
            began = time.perf_counter()
            scorer.score(bundle, store.history(bundle.claim, scorer.needs_lines, model.spec.name))
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
