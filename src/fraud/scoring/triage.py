"""From findings and risk to an action: what happens to a claim, what is at stake, and how urgent a look is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from fraud.scoring.shapes import Action, Band, Risk
from fraud.signals.rules import Finding

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["ReviewTime", "Triage", "amount_at_stake", "standing_of", "standings_of"]

MINUTES: Mapping[str, float] = {"claim": 30.0, "patient": 90.0, "physician": 180.0, "provider": 480.0}


@dataclass(frozen=True)
class Triage:
    """Percentiles from which on a score deserves a look; set in `fraud.toml` to fit the reviewers' week."""

    review: float = 98.0
    serious: float = 99.0
    critical: float = 99.8

    def band(self, percentile: float) -> Band:
        """How far up a score stands."""
        if percentile >= self.critical:
            return "critical"
        return "serious" if percentile >= self.serious else "general"

    def action(self, findings: Iterable[Finding], risk: Risk | None) -> Action:
        """`hold` only where the law lets the payer refuse; the model alone never goes beyond `review`."""
        hits = [f for f in findings if f.status == "hit"]
        if any(f.holds for f in hits):
            return "hold"
        grave = any(f.signal.severity != "general" for f in hits)
        return "review" if grave or (risk is not None and risk.percentile >= self.review) else "pass"


@dataclass(frozen=True)
class ReviewTime:
    """Minutes that a review takes, by entity or by type of violation; the type counts where it is named."""

    minutes: Mapping[str, float] = field(default_factory=lambda: MINUTES)

    def hours(self, entity: str, violation: str | None = None) -> float:
        """Hours of one review."""
        own = self.minutes.get(violation) if violation else None
        return (own or self.minutes.get(entity, MINUTES[entity])) / 60


def amount_at_stake(
    model: FittedModel, paid: float, findings: Iterable[Finding] = (), lines: Mapping[int, float] | None = None
) -> float:
    """Money that could come back to the fund if the suspicion holds: never more than it paid.

    Where rules hit, what they point at: the fund's part of the lines behind them (`lines` maps the claim's line
    numbers to amounts), or all that was paid where the law lets the payer refuse the claim. Otherwise the share that
    outcomes confirmed of amounts like this one.
    """
    hits = [f for f in findings if f.status == "hit"]
    if any(f.holds and not f.lines for f in hits):
        return max(paid, 0.0)
    behind = {n for f in hits for n in f.lines}
    if not behind or not lines:
        return float(model.at_stake(np.array([paid]))[0])
    billed = sum(lines.values())
    share = sum(lines.get(n, 0.0) for n in behind) / billed if billed > 0 else 1.0
    return max(paid, 0.0) * min(max(share, 0.0), 1.0)


def standing_of(model: FittedModel, margin: float, stake: float, triage: Triage, base: float = nan) -> Risk:
    """The risk of a margin with its bounds, its place and its money; without reasons."""
    return standings_of(model, np.array([margin]), [stake], triage, base)[0]


def standings_of(
    model: FittedModel, margins: np.ndarray, stakes: Sequence[float], triage: Triage, base: float = nan
) -> list[Risk]:
    """The risk of each margin, as `standing_of` gives it for one."""
    low, high = model.interval(margins)
    columns = (margins, model.probability(margins), model.place(margins), low, high)
    figures = zip(*(np.asarray(c, dtype=np.float64).tolist() for c in columns), strict=True)
    return [
        Risk(
            probability=probability,
            percentile=percentile,
            band=triage.band(percentile),
            expected_recovery=probability * stake,
            base=base,
            margin=margin,
            probability_low=least,
            probability_high=most,
        )
        for stake, (margin, probability, percentile, least, most) in zip(stakes, figures, strict=True)
    ]
