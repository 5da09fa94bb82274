"""How well the models hold up next quarter, judged by the truth of a simulated payer.

Simulates a payer, trains `claim_risk` on the first fifteen months with the labels that were known then, and judges it
on the last six by what was really done: precision in the top 0.5 % of claims, the share of the planted money in the
top 2 %, and how far the probabilities lie from the truth. `novelty` is judged scheme by scheme: it has never seen a
label, so every scheme is one that no label has seen. Where the spec draws a sample, rows count for those they stand
for. Prints tables, writes JSON, and ends with code 3 when a bar does not hold.

    python benchmarks/bench_models.py --claims 1000000 --seed 211
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.status import Status
from rich.table import Table

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.simulation import simulate
from fraud.config import load_settings
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.datasets.timeline import Timeline, build_timeline
from fraud.learning.metrics import average_precision
from fraud.learning.model import FittedModel
from fraud.learning.spec import load_spec
from fraud.learning.training import fit_model
from fraud.signals.catalogue import load_catalogue

TRAINING_MONTHS, LAST_MONTHS = 15, 6
BANDS = 10
BARS = {"precision_at_0.5pct": 0.80, "money_at_2pct": 0.60, "calibration_error": 0.03}
LIFT = 10.0


@dataclass(frozen=True)
class Truth:
    """What was really done, along the rows of a dataset: scheme (or empty) and the money planted."""

    schemes: np.ndarray
    money: np.ndarray

    def take(self, rows: np.ndarray) -> Truth:
        """The truth about some of the rows."""
        return Truth(self.schemes[rows], self.money[rows])

    @property
    def false(self) -> np.ndarray:
        """1.0 for claims that are part of any scheme."""
        return (self.schemes != "").astype(np.float64)


def main() -> int:
    arguments = _arguments()
    laps: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="models-") as scratch, Console(stderr=True).status("") as status:
        city = arguments.city or _city(Path(scratch) / "claims", arguments, status, laps)
        found = {name: _measured(name, city, arguments.sample, status, laps) for name in arguments.models}
    result = {
        "claims": arguments.claims,
        "seed": arguments.seed,
        "sample": arguments.sample,
        "seconds": laps,
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "models": found,
    }
    arguments.to.parent.mkdir(parents=True, exist_ok=True)
    arguments.to.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return _shown(result)


def _measured(name: str, city: Path, sample: int, status: Status, laps: dict[str, float]) -> dict[str, Any]:
    """A model of claims, fitted on the first months and judged on the last."""
    settings = load_settings()
    spec = replace(load_spec(settings.models / f"{name}.toml"), sample=sample)
    first, last = _period(city)
    cut, start = _month(first, TRAINING_MONTHS), _month(last, 1 - LAST_MONTHS)

    def say(step: str, share: float) -> None:
        status.update(f"{name}: {step}")

    def described() -> Timeline:
        catalogue = load_catalogue(settings.features)
        return build_timeline(ClaimsFolder(city), spec, catalogue, cuts=(cut, start), progress=say)

    history = _timed(laps, f"{name}: features", described)
    status.update(f"{name}: fit")
    model = _timed(laps, f"{name}: fit", lambda: fit_model(history.training(cut), spec))
    test = history.test(start)
    return judged(test, read_truth(city, test), model)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--claims", type=int, default=1_000_000, help="size of the payer")
    parser.add_argument("--preset", default="city", help="name or TOML file of its rates")
    parser.add_argument("--seed", type=int, default=211, help="of the payer")
    parser.add_argument("--sample", type=int, default=0, help="unlabelled claims used; 0: all")
    parser.add_argument("--city", type=Path, help="a simulated payer that is there already")
    parser.add_argument("--models", nargs="+", default=["claim_risk", "novelty"])
    parser.add_argument("--to", type=Path, default=Path("var/benchmarks/models.json"))
    return parser.parse_args()


def _city(to: Path, arguments: argparse.Namespace, status: Status, laps: dict[str, float]) -> Path:
    status.update(f"simulating {arguments.claims:,} claims")
    _timed(
        laps, "simulate", lambda: simulate(to, preset=arguments.preset, seed=arguments.seed, claims=arguments.claims)
    )
    return to


def _timed(laps: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    done = work()
    laps[name] = round(time.perf_counter() - began, 1)
    return done


def _period(city: Path) -> tuple[datetime, datetime]:
    with connect() as connection:
        ClaimsFolder(city).attach(connection, ["claims"])
        ((first, last),) = connection.execute("SELECT min(settled_at), max(settled_at) FROM claims").fetchall()
    return first, last


def _month(day: datetime, months: int) -> datetime:
    """First of the month that lies so many months from a day's."""
    count = day.year * 12 + day.month - 1 + months
    return datetime(count // 12, count % 12 + 1, 1)


def read_truth(city: Path, dataset: Dataset) -> Truth:
    """The truth beside a simulated payer, along the rows of a dataset of claims."""
    with connect() as connection:
        rows = connection.execute(
            f"""SELECT claim_id, min(scheme), sum(amount) FROM read_parquet('{city}.truth/claims.parquet')
                GROUP BY 1"""
        ).fetchall()
    known = {claim: (scheme, float(amount)) for claim, scheme, amount in rows}
    found = [known.get(i, ("", 0.0)) for i in dataset.ids]
    return Truth(np.array([f[0] for f in found], dtype=object), np.array([f[1] for f in found]))


# --- judging ------------------------------------------------------------------------------------------------


def judged(test: Dataset, truth: Truth, model: FittedModel) -> dict[str, Any]:
    """Every figure of a model on the claims that came later; without labels there are no probabilities."""
    w, false, margins = test.weights, truth.false, model.margins(test.values)
    figures: dict[str, Any] = {
        "claims": float(w.sum()),
        "base": float((w * false).sum() / w.sum()),
        "precision_at_0.5pct": share_of(w * false, w, top(margins, w, 0.005)),
        "precision_at_1pct": share_of(w * false, w, top(margins, w, 0.01)),
        "recall_at_2pct": share_of(w * false, w * false, top(margins, w, 0.02), of_all=True),
        "money_at_2pct_by_score": share_of(w * truth.money, w * truth.money, top(margins, w, 0.02), of_all=True),
        "average_precision": average_precision(false, margins, w),
    }
    probability = model.probability(margins)
    if np.isfinite(probability).all():
        due = probability * model.at_stake(test.amounts)
        figures["money_at_2pct"] = share_of(w * truth.money, w * truth.money, top(due, w, 0.02), of_all=True)
        figures["calibration_error"] = _calibration_error(false, probability, w)
        figures["predicted"] = float((w * probability).sum() / w.sum())
    return figures | {"schemes": {s: of_scheme(s, truth, margins, w) for s in sorted(set(truth.schemes) - {""})}}


def top(scores: np.ndarray, weights: np.ndarray, share: float) -> np.ndarray:
    """Mask of the highest scores that stand for this share of all rows."""
    order = np.argsort(-scores, kind="stable")
    inside = np.cumsum(weights[order]) <= share * weights.sum()
    mask = np.zeros(len(scores), dtype=bool)
    mask[order[inside]] = True
    return mask


def share_of(part: np.ndarray, whole: np.ndarray, chosen: np.ndarray, *, of_all: bool = False) -> float:
    """The part among the chosen, of the whole among them or of the whole altogether."""
    return float(part[chosen].sum() / max(whole.sum() if of_all else whole[chosen].sum(), 1e-9))


def _calibration_error(false: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> float:
    """Mean distance of the probabilities from the true share, over ten bands with as many claims each."""
    order = np.argsort(probability, kind="stable")
    band = np.minimum((np.cumsum(weights[order]) / weights.sum() * BANDS).astype(int), BANDS - 1)
    total = 0.0
    for b in range(BANDS):
        rows = order[band == b]
        total += abs(float((weights[rows] * (probability[rows] - false[rows])).sum()))
    return total / float(weights.sum())


def of_scheme(scheme: str, truth: Truth, scores: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Average precision on the claims of one scheme among the honest, and how often it is the base rate."""
    own = truth.schemes == scheme
    rows = own | (truth.schemes == "")
    base = float(weights[own].sum() / weights[rows].sum())
    found = average_precision(own[rows].astype(np.float64), scores[rows], weights[rows])
    return {"claims": float(weights[own].sum()), "money": float((weights * truth.money)[own].sum()),
            "average_precision": found, "lift": found / base}  # fmt: skip


# --- telling ------------------------------------------------------------------------------------------------


def _shown(result: Mapping[str, Any]) -> int:
    console, failed = Console(), False
    for name, figures in result["models"].items():
        table = Table("figure", "measured", "bar", title=name)
        for key, value in figures.items():
            if isinstance(value, float):
                bar = BARS.get(key) if "predicted" in figures else None
                table.add_row(key, f"{value:,.4f}", "" if bar is None else f"{bar:g}")
                failed |= bar is not None and (value > bar if key == "calibration_error" else value < bar)
        console.print(table)
        console.print(_schemes(figures["schemes"]))
        if "predicted" not in figures:
            failed |= _lifts(console, name, figures["schemes"])
    console.print(f"seconds: {result['seconds']}; peak {result['peak_gib']} GiB")
    return 3 if failed else 0


def _lifts(console: Console, name: str, schemes: Mapping[str, Mapping[str, float]]) -> bool:
    """Say which schemes a model without labels ranks well enough; whether none is."""
    low = sorted(s for s, f in schemes.items() if f["lift"] < LIFT)
    reached = len(schemes) - len(low)
    console.print(f"{name}: {reached} of {len(schemes)} schemes at {LIFT:g} times the base rate; not: {', '.join(low)}")
    return reached == 0


def _schemes(schemes: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table("scheme", "claims", "money", "average precision", "times base")
    for name, f in sorted(schemes.items(), key=lambda item: -item[1]["money"]):
        figures = (f"{f['claims']:,.0f}", f"{f['money']:,.0f}", f"{f['average_precision']:.3f}", f"{f['lift']:.1f}")
        table.add_row(name, *figures)
    return table


if __name__ == "__main__":
    sys.exit(main())
