"""Proof that a simulated payer does not give its guilty away by what no deed explains.

Four proofs, each a list of `Leak`s, one for every comparison that was made:

1. **False claims** against honest claims of the same house, kind of care and time, given only what must not
   matter: every figure alone, and all of them in a model that is tested on other actors. False lines likewise.
2. **Honest claims of actors** against honest claims of providers (patients) who take part in nothing.
3. **Places of actors** in the tables: the order of rows and of identifiers must be chance.
4. **Two seeds** (`shared`): no actor, span or place comes back.

A comparison is a leak when its whole interval lies outside 0.5 ± 0.02 and the deed itself (`traces.csv`) does
not explain it. Intervals hold together at 99 % over all comparisons of a kind, so that a payer without any
leak rings once in a hundred times, not always.
"""

from __future__ import annotations

from pathlib import Path

from fraud.claims.simulation.describing.actors import honest_claims, places, shared
from fraud.claims.simulation.describing.deeds import false_claims, false_lines
from fraud.claims.simulation.describing.opening import opened
from fraud.claims.simulation.describing.traces import TOLERANCE, Leak

__all__ = ["TOLERANCE", "Leak", "leaks", "shared"]


def leaks(folder: str | Path, *, seed: int = 0) -> list[Leak]:
    """Every comparison of the proofs about one simulated payer; empty where nobody is guilty.

    Raises:
        ClaimsError: the folder holds no claims.
    """
    with opened(folder) as payer:
        if not payer.one("SELECT count(*) FROM true_claims"):
            return []
        return [*false_claims(payer, seed), *false_lines(payer, seed), *honest_claims(payer, seed), *places(payer)]
