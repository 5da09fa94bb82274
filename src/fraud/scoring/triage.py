"""From findings and risk to an action: what happens to a claim, and how urgent a look is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fraud.scoring.shapes import Action, Band, Risk
from fraud.signals.rules import Finding

__all__ = ["Triage"]


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
