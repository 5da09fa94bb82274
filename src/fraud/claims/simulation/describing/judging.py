"""Verdicts on two sides of like claims: each figure alone, and all of them in a model tested on other actors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fraud.claims.simulation.describing.comparing import (
    FOLDS,
    Apart,
    Array,
    confidence,
    grouped_scores,
    one_of_each,
    told_apart,
    without_gaps,
)
from fraud.claims.simulation.describing.stamps import Stamps
from fraud.claims.simulation.describing.traces import TOGETHER, Leak, Verdict, rings, trace

__all__ = ["Told", "by_model", "judged"]


@dataclass(frozen=True)
class Told:
    """What a model is given: named figures of rows, which of them are `odd`, their strata and their actors."""

    names: tuple[str, ...]
    values: Array
    odd: Array
    strata: Array
    actor: Array

    def having(self, kept: Array) -> Told:
        """The same rows with some of the figures."""
        names = tuple(name for name, keep in zip(self.names, kept, strict=True) if keep)
        return replace(self, names=names, values=self.values[:, kept])

    def only(self, family: str) -> Told:
        """The same rows with the figures of one family."""
        return self.having(np.array([name.split(".")[0] == family for name in self.names]))


def judged(proof: str, scheme: str, stamps: Stamps, rows: dict[str, Array], schemes: int, seed: int) -> Iterator[Leak]:
    """Each figure alone where it tells something, then the model given all that no deed explains."""
    odd = np.asarray(rows["odd"], bool)
    values = without_gaps(stamps.of(rows.get("key", rows["claim_id"])), rows["stratum"], seed)
    varies = values.std(axis=0) > 0
    known = np.array([trace(scheme, name) is not None for name in stamps.names])
    apart = _each_alone(values, odd, stamps, rows, confidence(int(varies.sum()) * schemes), seed)
    actor = rows["group"]
    sizes = (len(np.unique(actor[odd])), int(odd.sum()))
    for i in np.flatnonzero(varies):
        yield from _told(proof, scheme, stamps.names[i], apart, int(i), sizes)
    # Digits of somebody with many claims are weighed above, once for each: a model would learn people by heart.
    # So is what is comparable only within finer strata.
    own = np.array(
        [stamps.owners[n] == "claim_id" and (rows[_within(n)] == rows["stratum"]).all() for n in stamps.names]
    )
    base = Leak(proof, scheme, TOGETHER, "too few", actors=sizes[0], claims=sizes[1])
    told = Told(stamps.names, values, odd, rows["stratum"], actor).having(varies & own & ~known)
    yield by_model(base, told, schemes, seed)


def _each_alone(values: Array, odd: Array, stamps: Stamps, rows: dict[str, Array], width: float, seed: int) -> Apart:
    """Every figure by itself; a figure of somebody with many claims counts once for each of them."""
    parts = [np.full(values.shape[1], np.nan) for _ in range(3)]
    alike = [(stamps.owners[name], _within(name)) for name in stamps.names]
    for owner, within in sorted(set(alike)):
        at = np.flatnonzero([pair == (owner, within) for pair in alike])
        once = one_of_each(rows[owner], odd, rows[within], seed)
        found = told_apart(values[once][:, at], odd[once], rows[within][once], None, width)
        for part, column in zip(parts, (found.auc, found.low, found.high), strict=True):
            part[at] = column
    return Apart(parts[0], parts[1], parts[2], compared=int(odd.sum()))


def _within(name: str) -> str:
    """The strata within which a figure is compared.

    The first of many lines comes earlier than the first of two, and a short course is more easily the same as
    another: both are compared among claims with as many lines.
    """
    if name.startswith("cents."):
        return "content"
    return "sized" if name.startswith("clock.course.") or name.endswith("_first_line") else "stratum"


def _told(proof: str, scheme: str, name: str, apart: Apart, i: int, sizes: tuple[int, int]) -> Iterator[Leak]:
    """The leak or the trace that a figure shows by itself; nothing for the many that show none."""
    low, high = float(apart.low[i]), float(apart.high[i])
    if rings(low, high):
        why = trace(scheme, name)
        verdict: Verdict = "leak" if why is None else "trace"
        auc, (actors, claims) = float(apart.auc[i]), sizes
        yield Leak(proof, scheme, name, verdict, auc, low, high, actors=actors, claims=claims, note=why or "")


def by_model(base: Leak, told: Told, checks: int, seed: int) -> Leak:
    """All figures together, fitted on some actors and tested on others; where it rings, which family does it."""
    if len(np.unique(told.actor[told.odd])) < 2 or not told.values.shape[1]:
        return replace(base, note="one actor: nobody to test on")
    found = _verdict(base, _out_of_fold(told, checks, seed))
    families = sorted({name.split(".")[0] for name in told.names})
    if found.verdict != "leak" or len(families) < 2:
        return found
    alone = {family: float(_out_of_fold(told.only(family), checks, seed).auc[0]) for family in families}
    best = max(alone, key=lambda family: abs(alone[family] - 0.5))
    return replace(found, note=f"most of it by {best} ({alone[best]:.2f})")


def _out_of_fold(told: Told, checks: int, seed: int) -> Apart:
    folds = _folds(told.actor, told.odd, seed)
    scores = grouped_scores(told.values, told.odd, folds, seed)
    known = ~np.isnan(scores)
    if not known.any():  # no fold has both false and honest claims
        none = np.full(1, np.nan)
        return Apart(none, none, none, compared=0)
    within = np.char.add(told.strata, folds.astype(str))[known]
    return told_apart(scores[known], told.odd[known], within, told.actor[known], confidence(checks), seed)


def _verdict(base: Leak, apart: Apart) -> Leak:
    """The comparison with its figures; a leak when the whole interval lies outside the tolerance."""
    auc, low, high = float(apart.auc[0]), float(apart.low[0]), float(apart.high[0])
    if np.isnan(auc) or low == high:
        return replace(base, note="too few for a model")
    verdict: Verdict = "leak" if rings(low, high) else "none"
    return replace(base, auc=auc, low=low, high=high, claims=apart.compared, verdict=verdict)


def _folds(actor: Array, odd: Array, seed: int) -> Array:
    """A fold for each row: actors are spread evenly, with all that is theirs; the others by chance."""
    guilty = np.unique(actor[odd])
    k = min(FOLDS, len(guilty))
    rng = np.random.default_rng(seed)
    fold_of = dict(zip(rng.permutation(guilty).tolist(), (np.arange(len(guilty)) % k).tolist(), strict=True))
    others = np.unique(actor[~np.isin(actor, guilty)])
    fold_of |= dict(zip(others.tolist(), rng.integers(0, k, len(others)).tolist(), strict=True))
    return np.array([fold_of[a] for a in actor.tolist()])
