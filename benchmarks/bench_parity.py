"""Every signal of every claim of a city, as the service computes it and as the batch frame has it: are they equal?

Simulates a city and trains the claim model. The service's way: the store's history of each claim, 64 claims at once,
and the snapshots that were taken before it. The batch way: one frame over all claims. Compared are all claim signals,
and everything that the model reads, patients, providers, physicians and the network too. Prints which signals differ,
on how many claims, writes `var/benchmarks/parity.json`, and ends with code 3 when any does.

    python benchmarks/bench_parity.py [--claims 20000]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
from bench_scoring import places, prepare
from endurance.parity import unequal
from rich.console import Console
from rich.progress import track

from fraud.claims.folder import ClaimsFolder, connect
from fraud.config import Settings
from fraud.learning import load_model
from fraud.learning.model import FittedModel
from fraud.scoring.claim_signals import ClaimSignals
from fraud.scoring.refresh import fill_store
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.shapes import ClaimBundle
from fraud.signals.assembly import claim_features
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.store import Store

TOGETHER = 64
_console = Console(stderr=True)


class _Comparison:
    """Values that differ so far, and seconds that the service's way took."""

    def __init__(self, catalogue: Catalogue, model: FittedModel, store: Store, frame: SignalFrame) -> None:
        library = {n: store.table(t) for n, t in (("items", "catalogue"), ("exclusions", "exclusions"))}
        self._online = ClaimSignals(catalogue, catalogue.of("claim"), norms=model.reference.norms, **library)
        self._scorer = ClaimScorer(catalogue, model, **library)
        self._store, self._model = store, model
        self.names = [s.id for s in self._online.signals]
        self._expected, self._read = frame.select(self.names), frame.select(model.names)
        self._place = {claim_id: row for row, claim_id in enumerate(frame.ids)}
        self.differ: Counter[str] = Counter()
        self.values, self.seconds = 0, 0.0

    def compare(self, bundles: Sequence[ClaimBundle]) -> None:
        """Compare the signals of some claims, and what the model reads of them."""
        began = time.process_time()
        histories = self._store.histories([b.claim for b in bundles], self._online.wanted, self._model.spec.name)
        computed = self._online.compute_many(list(zip(bundles, histories, strict=True)))
        self.seconds += time.process_time() - began
        own = np.array([[c.values[n] for n in self.names] for c in computed])
        vectors = [self._scorer.vector(b, h, c.values) for b, h, c in zip(bundles, histories, computed, strict=True)]
        rows = [self._place[str(b.claim["claim_id"])] for b in bundles]
        self.differ.update(unequal(self.names, own, self._expected[rows]))
        read = unequal(self._model.names, np.array(vectors), self._read[rows])
        self.differ.update({n: k for n, k in read.items() if n not in self.names})
        self.values += own.size + len(rows) * len(set(self._model.names) - set(self.names))


def main() -> int:
    arguments = _arguments()
    settings = places("parity")
    with _console.status("a city and its model"):
        bundles = prepare(settings, arguments.claims)[-arguments.claims :]
    city = ClaimsFolder(settings.var / f"city-{arguments.claims}")
    catalogue = load_catalogue(settings.features)
    model = load_model("claim_risk", "champion", settings.tracking_uri, catalogue)
    with _console.status("the batch frame"):
        frame = _frame(city, catalogue, model)
    with _filled(settings, city, catalogue, model) as store:
        comparison = _Comparison(catalogue, model, store, frame)
        parts = [bundles[n : n + TOGETHER] for n in range(0, len(bundles), TOGETHER)]
        for part in track(parts, "online", console=_console):
            comparison.compare(part)
    return _report(settings, arguments, len(bundles), model, comparison)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=20_000, help="size of the city; each claim is compared")
    return parser.parse_args()


def _frame(city: ClaimsFolder, catalogue: Catalogue, model: FittedModel) -> SignalFrame:
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue, days=model.spec.window_days, reference=model.reference)
    others = [s for s in (catalogue[i] for i in model.signal_ids) if s.entity != "claim"]
    frame = claim_features(builder, catalogue.of("claim") + others)
    connection.close()
    return frame


def _filled(settings: Settings, city: ClaimsFolder, catalogue: Catalogue, model: FittedModel) -> Store:
    """A store with the city's history and the snapshots of every month: claims of the past are compared too."""
    path = settings.var / "months.db"
    for old in settings.var.glob("months.db*"):
        old.unlink()
    store = Store(replace(settings, database_url=f"sqlite:///{path}").database_url)
    with _console.status("the history, and the snapshots of every month"):
        fill_store(store, city, catalogue, [model], days=_months(city))
    return store


def _months(city: ClaimsFolder) -> list:  # type: ignore[type-arg]
    connection: duckdb.DuckDBPyConnection = connect()
    city.attach(connection, ["claims"])
    query = "SELECT DISTINCT date_trunc('month', settled_at)::TIMESTAMP AS month FROM claims ORDER BY month"
    found = [row[0] for row in connection.execute(query).fetchall()]
    connection.close()
    return found


def _report(
    settings: Settings, arguments: argparse.Namespace, claims: int, model: FittedModel, comparison: _Comparison
) -> int:
    differ = dict(comparison.differ.most_common())
    found = {
        "arguments": vars(arguments),
        "claims": claims,
        "claim_signals": len(comparison.names),
        "read_by_the_model": len(model.names),
        "values": comparison.values,
        "online_cpu_ms_a_claim": comparison.seconds / claims * 1e3,
        "differ": differ,
    }
    print(json.dumps(found, indent=2))
    (Path(settings.var).parent / "parity.json").write_text(json.dumps(found, indent=2), "utf-8")
    return 3 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
