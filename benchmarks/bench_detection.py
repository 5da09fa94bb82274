"""What every signal finds on a simulated payer, measured against the truth, and how often it bothers the honest.

Simulates a payer with schemes and one without, computes every signal of every claim, and of every patient, provider
and physician on the first of each month, and writes a page with two tables and the bars, and the same as JSON. Peak
memory grows with the number of claims: 2.3 GB for 250,000. Notes of a reader beside the figures come from
`benchmarks/detection/notes.md`. Ends with code 3 when a bar does not hold.

    python benchmarks/bench_detection.py --seed 103 --claims 250000 --to docs/detection.md
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from detection.measuring import Detection, measured
from detection.report import write
from detection.scoring import Scores, scored
from detection.truth import mistakes, read_truth
from rich.console import Console
from rich.status import Status

from fraud.claims.folder import ClaimsFolder
from fraud.claims.simulation import simulate
from fraud.config import load_settings
from fraud.signals.catalogue import Catalogue, load_catalogue

NOTES = Path(__file__).parent / "detection" / "notes.md"


def main() -> int:
    arguments = _arguments()
    catalogue = load_catalogue(load_settings().features)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="detection-") as folder, Console(stderr=True).status("") as status:
        planted = _city(Path(folder) / "planted", arguments.seed, arguments.claims, arguments, status)
        scores = _scores(planted, catalogue, status)
        clean_city = _city(Path(folder) / "clean", arguments.clean_seed, arguments.clean_claims, arguments, status)
        clean = _scores(clean_city, catalogue, status)
        wrong = mistakes(clean_city)
        every = _law_alarms(catalogue, clean["claim"])
        clean["claim"] = clean["claim"].without(wrong)
        status.update("measuring")
        detection = measured(catalogue, scores, clean, read_truth(planted))
    settings = {
        "preset": arguments.preset,
        "seed": arguments.seed,
        "claims": arguments.claims,
        "clean_seed": arguments.clean_seed,
        "clean_claims": arguments.clean_claims,
        "catalogue": catalogue.digest,
        "mistakes": len(wrong),
        "law_alarms_per_10000": round(_law_alarms(catalogue, clean["claim"]) * 1e4, 2),
        "law_alarms_per_10000_with_mistakes": round(every * 1e4, 2),
    }
    notes = re.sub(r"<!--.*?-->", "", NOTES.read_text("utf-8"), flags=re.S) if NOTES.is_file() else ""
    write(replace(detection, settings=settings), notes, arguments.to)
    return _summary(detection, arguments.to, time.perf_counter() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=103, help="of the payer with schemes")
    parser.add_argument("--clean-seed", type=int, default=104, help="of the payer without")
    parser.add_argument("--claims", type=int, default=250_000, help="of the payer with schemes")
    parser.add_argument("--clean-claims", type=int, default=250_000, help="of the payer without")
    parser.add_argument("--preset", default="demo", help="name or TOML file: rates of both")
    parser.add_argument("--to", type=Path, default=Path("docs/detection.md"), help="page to write, with .json beside")
    return parser.parse_args()


def _city(to: Path, seed: int, claims: int, arguments: argparse.Namespace, status: Status) -> Path:
    schemes = to.name == "planted"
    status.update(f"{to.name}: simulating {claims:,} claims")
    simulate(to, preset=arguments.preset, seed=seed, claims=claims, schemes=schemes)
    return to


def _scores(city: Path, catalogue: Catalogue, status: Status) -> dict[str, Scores]:
    return scored(ClaimsFolder(city), catalogue, lambda what: status.update(f"{city.name}: {what}"))


def _law_alarms(catalogue: Catalogue, clean: Scores) -> float:
    """Share of honest claims on which any rule of law fires."""
    law = [r for r in clean.rules if catalogue[r].kind == "violation"]
    return float(np.any([clean.hits(r) for r in law], axis=0).mean())


def _summary(detection: Detection, to: Path, seconds: float) -> int:
    types = detection.best_of_type
    print(f"{len(types) - len(detection.missed)} of {len(types)} types reached; not: {detection.missed or 'none'}")
    print(f"rules of law at or above 1 in 10,000: {[s.signal for s in detection.law_alarms] or 'none'}")
    print(f"signals that separate nothing: {len(detection.idle)}")
    print(f"{to} and {to.with_suffix('.json')}, {seconds:.0f} s")
    return 3 if detection.missed or detection.law_alarms else 0


if __name__ == "__main__":
    sys.exit(main())
