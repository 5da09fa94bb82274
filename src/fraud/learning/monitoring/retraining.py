"""Whether to train a model again: the recipe's reasons against what was measured, and what stands in the way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from fraud.learning.monitoring.drift import Monitoring
from fraud.learning.monitoring.recipe import Recipe, Threshold

__all__ = ["Ground", "Verdict", "weigh"]


@dataclass(frozen=True)
class Ground:
    """One entry of the recipe with what was measured; `holds` says that it speaks for a training or is met."""

    name: str
    measured: float | None
    threshold: Threshold
    holds: bool

    def as_dict(self) -> dict[str, Any]:
        """The ground as JSON types."""
        return {**asdict(self), "threshold": self.threshold.as_dict()}


@dataclass(frozen=True)
class Verdict:
    """Whether a model is to be trained again: one reason is enough, and every need must be met.

    `waiting` is the challenger that was fitted on these very data already: another training would give it again.
    """

    name: str
    version: int | None
    reasons: tuple[Ground, ...]
    needs: tuple[Ground, ...]
    waiting: int | None = None

    @property
    def train(self) -> bool:
        """Whether it is."""
        return self.waiting is None and any(r.holds for r in self.reasons) and all(n.holds for n in self.needs)

    def as_dict(self) -> dict[str, Any]:
        """The verdict with all its grounds, as JSON types."""
        grounds = {k: [g.as_dict() for g in getattr(self, k)] for k in ("reasons", "needs")}
        return {"model": self.name, "version": self.version, "train": self.train, "waiting": self.waiting, **grounds}


def weigh(found: Monitoring, recipe: Recipe, now: datetime) -> Verdict:
    """The verdict on the model of a monitoring, on a day."""
    as_of = datetime.fromisoformat(found.model.as_of)
    before = sum(n for n, _ in found.origin.bands)
    new = found.hits.decided
    measured = {
        "hits": float(found.check("hits_gap").loud) if found.check("hits_gap").known else None,
        "scores": float(found.check("score_psi").loud) if found.check("score_psi").known else None,
        "drifted_weight": found.drifted_weight if found.period.rows else None,
        "age_days": float((now - as_of).days),
        "new_labels_share": new / before if before else None,
    }
    reasons = tuple(
        Ground(n, measured[n], t, (v := measured[n]) is not None and v >= t.value) for n, t in recipe.reasons.items()
    )
    gone = sum(s.gone for s in found.shifts)
    needs = (
        Ground("new_labels", float(new), recipe.needs["new_labels"], new >= recipe.needs["new_labels"].value),
        Ground(
            "missing_features",
            float(gone),
            recipe.needs["missing_features"],
            gone <= recipe.needs["missing_features"].value,
        ),
    )
    return Verdict(found.model.name, found.model.version, reasons, needs)
