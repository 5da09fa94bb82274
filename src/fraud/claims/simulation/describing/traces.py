"""One comparison of a search for leaks, and what a deed itself leaves behind, which is no leak."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

__all__ = ["TOGETHER", "TOLERANCE", "Leak", "Verdict", "rings", "trace"]

# A ROC-AUC within this of one half is as good as chance.
TOLERANCE = 0.02
TOGETHER = "everything that must not matter"

Verdict = Literal["none", "leak", "trace", "too few"]


@dataclass(frozen=True)
class Leak:
    """One comparison: what was compared, given what, and how well it tells the guilty apart.

    `verdict` is `leak`, `trace` (the deed itself shows there, see `traces.csv`), `none`, or `too few` to say.
    `p` is the chance of a place as odd as this one, for proofs about places.
    """

    proof: str
    scheme: str
    given: str
    verdict: Verdict
    auc: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")
    actors: int = 0
    claims: int = 0
    note: str = ""


@cache
def _traces() -> tuple[tuple[str, str, str], ...]:
    """Scheme, beginning of a figure's name, and why the deed itself shows there: from `traces.csv`."""
    text = files("fraud.claims.simulation.describing").joinpath("traces.csv").read_text("utf-8")
    return tuple((row["scheme"], row["begins"], row["why"]) for row in csv.DictReader(text.splitlines()))


def trace(scheme: str, name: str) -> str | None:
    """Why the deed itself shows in a figure; `None` where it should not."""
    return next((why for of, begins, why in _traces() if of == scheme and name.startswith(begins)), None)


def rings(low: float, high: float) -> bool:
    """Whether a whole interval lies outside the tolerance."""
    return low > 0.5 + TOLERANCE or high < 0.5 - TOLERANCE
