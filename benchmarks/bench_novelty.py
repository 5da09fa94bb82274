"""Which schemes a model without labels finds, judged by the truth of a simulated payer.

Simulates a payer (or takes one that is there), learns `novelty` from the claims before the last six months and ranks
the claims of those by it: average precision of each scheme's claims among the honest, as a multiple of their share.
No label is read, so every scheme is one that no label has seen. Beside it stand what else was tried: the largest
surprise alone, other powers, all rows counted only where a signal is known, and an isolation forest over the same
surprises. Prints a table, writes JSON, and ends with code 3 when no scheme reaches ten times the base rate.

    python benchmarks/bench_novelty.py --claims 150000 --seed 43
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from bench_models import Truth, of_scheme, read_truth, share_of, top
from rich.console import Console
from rich.table import Table

from fraud.claims.folder import ClaimsFolder
from fraud.claims.simulation import simulate
from fraud.config import load_settings
from fraud.learning.datasets.dataset import Dataset, build_dataset
from fraud.learning.metrics import average_precision
from fraud.learning.novelty import Novelty, fit_novelty
from fraud.learning.spec import load_spec
from fraud.learning.unlabelled import forest_of
from fraud.signals.catalogue import load_catalogue

LAST_DAYS, BAR = 183, 10.0
# A scheme of fewer claims has no figure worth telling.
FEWEST = 3


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="novelty-") as scratch, Console(stderr=True).status("") as status:
        city = arguments.city or Path(scratch) / "claims"
        if arguments.city is None:
            status.update(f"simulating {arguments.claims:,} claims")
            simulate(city, preset=arguments.preset, seed=arguments.seed, claims=arguments.claims)
        status.update("features")
        settings = load_settings()
        spec = replace(load_spec(settings.models / "novelty.toml"), sample=arguments.sample)
        dataset = build_dataset(ClaimsFolder(city), spec, load_catalogue(settings.features))
        truth = read_truth(city, dataset)
    status.update("ranking")
    cut = dataset.happened_at.max() - np.timedelta64(timedelta(days=LAST_DAYS))
    early = np.flatnonzero(dataset.happened_at < cut)
    late = np.flatnonzero(dataset.happened_at >= cut)
    scores = contenders(dataset.take(early), dataset.take(late))
    found = {name: _judged(s, truth.take(late), dataset.weights[late]) for name, s in scores.items()}
    arguments.to.parent.mkdir(parents=True, exist_ok=True)
    facts = {"claims": len(dataset), "seed": arguments.seed, "judged": len(late), "contenders": found}
    arguments.to.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    return _shown(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--claims", type=int, default=150_000, help="size of the payer")
    parser.add_argument("--preset", default="city", help="name or TOML file of its rates")
    parser.add_argument("--seed", type=int, default=43, help="of the payer")
    parser.add_argument("--sample", type=int, default=0, help="unlabelled claims used; 0: all")
    parser.add_argument("--city", type=Path, help="a simulated payer that is there already")
    parser.add_argument("--to", type=Path, default=Path("var/benchmarks/novelty.json"))
    return parser.parse_args()


def contenders(early: Dataset, late: Dataset) -> dict[str, np.ndarray]:
    """Scores of the later claims by everything that was tried, learned from the earlier."""
    signs = [f.sign for f in early.features]
    model = fit_novelty(early.values, signs, early.weights)
    surprises = model.surprises(late.values)
    forest = forest_of(model.surprises(early.values), 1)
    return {
        "novelty": model.margins(late.values),
        "largest surprise alone": surprises.max(axis=1),
        "power 8": replace(model, power=8.0).margins(late.values),
        "power 2": replace(model, power=2.0).margins(late.values),
        "among known values": _among_known(early, late, signs),
        "isolation forest": -forest.score_samples(surprises),
    }


def _among_known(early: Dataset, late: Dataset, signs: list[int]) -> np.ndarray:
    """The same with shares of those rows alone that a signal is known of."""
    found = np.zeros(late.values.shape)
    for j, sign in enumerate(signs):
        known = np.isfinite(early.values[:, j])
        if known.any():
            own: Novelty = fit_novelty(early.values[known][:, [j]], [sign], early.weights[known])
            found[:, [j]] = own.surprises(late.values[:, [j]])
    return np.asarray((found**16).sum(axis=1) ** (1 / 16))


def _judged(scores: np.ndarray, truth: Truth, weights: np.ndarray) -> dict[str, Any]:
    false, schemes = truth.false, sorted(set(truth.schemes) - {""})
    lifts = {s: of_scheme(s, truth, scores, weights)["lift"] for s in schemes if (truth.schemes == s).sum() >= FEWEST}
    precision = {at: share_of(weights * false, weights, top(scores, weights, at)) for at in (0.005, 0.01)}
    return {
        "base": float(np.average(false, weights=weights)),
        "average_precision": average_precision(false, scores, weights),
        "precision_at_0.5pct": precision[0.005],
        "precision_at_1pct": precision[0.01],
        "mean_lift": float(np.exp(np.mean(np.log(list(lifts.values()))))),
        "lifts": lifts,
    }


def _shown(found: Mapping[str, Mapping[str, Any]]) -> int:
    console = Console()
    table = Table("contender", "AP", "top 0.5 %", "top 1 %", f"schemes at {BAR:g} × base", "mean lift")
    for name, f in found.items():
        reached = sum(lift >= BAR for lift in f["lifts"].values())
        figures = (f["average_precision"], f["precision_at_0.5pct"], f["precision_at_1pct"])
        row = [f"{v:.3f}" for v in figures]
        table.add_row(name, *row, f"{reached} of {len(f['lifts'])}", f"{f['mean_lift']:.1f}")
    console.print(table)
    own, forest = (found[n]["lifts"] for n in ("novelty", "isolation forest"))
    schemes = Table("scheme", "novelty, × base", "isolation forest, × base")
    for scheme, lift in sorted(own.items(), key=lambda item: -item[1]):
        schemes.add_row(scheme, f"{lift:.1f}", f"{forest[scheme]:.1f}")
    console.print(schemes)
    console.print(f"base rate {found['novelty']['base']:.4f}")
    return 0 if max(own.values()) >= BAR else 3


if __name__ == "__main__":
    sys.exit(main())
