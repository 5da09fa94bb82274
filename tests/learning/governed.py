"""A town whose claims are investigated as they settle, and a registry with a champion and two challengers."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from fraud.claims.folder import ClaimsFolder
from fraud.learning import load_model, train
from fraud.learning.governance.promotion import Request
from fraud.learning.registry import Registry
from fraud.learning.tracking import Run, record
from fraud.signals.catalogue import Catalogue
from tests.learning import town as made
from tests.learning.town import CLAIM_SPEC, PROVIDERS, START, outcome, spec, verdict_of, write_town

# The first two versions know what was decided in the first 250 days; the third says that it knows everything.
FITTED = START + timedelta(days=250)
DELAY = timedelta(days=40)
NAME = "claim_risk"
BASE: dict[str, Any] = CLAIM_SPEC | {
    "split": {"folds": 2, "repeats": 1},
    "gates": [{"metric": "roc_auc", "op": ">=", "value": 0.5}],
}
# Stays alone tell little apart; amounts and providers tell more.
WEAK, STRONG = spec(BASE, signals=["claim.stay"]), spec(BASE, signals=["claim.amount", "provider.*"])


@dataclass(frozen=True)
class Governed:
    """The claims, their outcomes, and where the three versions are registered."""

    folder: ClaimsFolder
    outcomes: Sequence[dict[str, Any]]
    settled_at: dict[str, datetime]
    database: Path
    artifacts: Path

    def copy(self, to: Path) -> Registry:
        """A registry of one's own with the same versions, to change at will."""
        shutil.copy(self.database, to / "own.db")
        return Registry(f"sqlite:///{to / 'own.db'}")


def write_governed(path: Path, room: Catalogue) -> Governed:
    """Every third claim is decided 40 days after it settled."""
    random = np.random.default_rng(7)
    claims = [c for p in range(PROVIDERS) for c in made._claims(p, random)]
    outcomes = [
        outcome("claim", c["claim_id"], verdict_of(int(c["provider_id"][1:])), c["settled_at"] + DELAY)
        for c in claims[::3]
    ]
    folder = write_town(path / "claims", outcomes=outcomes)
    database, artifacts = path / "runs.db", path / "artifacts"
    places: dict[str, Any] = {"tracking_uri": f"sqlite:///{database}", "artifacts": artifacts}
    for chosen in (WEAK, STRONG):
        found = train(chosen, folder, room, as_of=FITTED, **places)
    latest = max(o["decided_at"] for o in outcomes).isoformat()
    later = replace(load_model(NAME, 2, places["tracking_uri"]), as_of=latest)
    record(Run(later, found.report.dataset, found.report), **places)
    settled_at = {c["claim_id"]: c["settled_at"] for c in claims}
    return Governed(folder, outcomes, settled_at, database, artifacts)


def request(**changes: Any) -> Request:
    """Ann asks and Bob approves."""
    asked = {"by": "ann", "approved_by": "bob", "reason": "A quarter more outcomes."}
    return Request(**(asked | {"at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)} | changes))
