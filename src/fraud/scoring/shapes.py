"""What goes into a score and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from fraud.explaining.reasons import Reason
from fraud.signals.rules import Finding
from fraud.store.shapes import History, Row, Snapshot, Wanted

__all__ = ["Action", "Band", "ClaimBundle", "Explain", "History", "Risk", "Row", "Score", "Snapshot", "Wanted"]

Action = Literal["pass", "review", "hold"]
Band = Literal["general", "serious", "critical"]
# What is explained: nothing, what is flagged, everything with its leading reasons, or with all of them.
Explain = Literal["none", "flagged", "reasons", "full"]


@dataclass(frozen=True)
class ClaimBundle:
    """One claim with its items, as canonical columns with Python values."""

    claim: Row
    lines: tuple[Row, ...] = ()
    diagnoses: tuple[Row, ...] = ()
    procedures: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Risk:
    """What the model says: never more than a reason to look.

    `percentile` is among the claims (or entities) that the model was fitted on, `expected_recovery` is the
    probability times the amount at stake, in the payer's currency; base + contributions = margin, and `base` is NaN
    where nothing was explained. Of all with such
    a margin, the share at fault lies between `probability_low` and `probability_high`, with 95 % confidence.
    """

    probability: float
    percentile: float
    band: Band
    expected_recovery: float
    base: float
    margin: float
    reasons: tuple[Reason, ...] = ()
    probability_low: float = 0.0
    probability_high: float = 1.0


@dataclass(frozen=True)
class Score:
    """The answer for one claim; `degraded` names what could not be used."""

    action: Action
    findings: tuple[Finding, ...]
    risk: Risk | None
    as_of: datetime | None
    degraded: tuple[str, ...] = ()
    timing_ms: Mapping[str, float] = field(default_factory=dict)
