"""What the tests of campaigns share: people, three institutions whose claims were judged, and steps by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
import sqlalchemy as sa

from fraud.review.campaigns import Announcement, Campaigns, File, Inspected, Plan, workflow
from fraud.review.cases import Actor
from fraud.store import Answer, Decision, Store
from fraud.store.tables import CANONICAL
from tests.cases.parts import ANN, SUE
from tests.store.made import bundle

MARCH = datetime(2026, 3, 1)
LEAD = Actor("lea", "lea", "supervisor")
LETTER = File("letter.txt", "text/plain", b"We found two.")
TRAINING = Plan("Nobody looks twice.", "training", "Two days for everybody.", "the head of the ward")
REGIONS = {"h-1": "330106", "h-2": "330106", "h-3": "440103"}


def hit(
    rule: str = "claim.duplicate_line", violation: str = "T07", amount: float = 40.0, **more: Any
) -> dict[str, Any]:
    """A finding as an answer says it."""
    own = {"rule": rule, "version": 1, "violation": violation, "kind": "suspicion"}
    return {**own, "amount": amount, "status": "hit"}


@dataclass(frozen=True)
class Judged:
    """A claim of a provider and what was answered."""

    claim_id: str
    provider_id: str
    findings: Sequence[Mapping[str, Any]] = ()
    settled_at: datetime = datetime(2026, 1, 10)
    scored_at: datetime = datetime(2026, 2, 1)

    def decision(self) -> Decision:
        """The answer as it is stored."""
        action = "review" if any(f["status"] == "hit" for f in self.findings) else "pass"
        told = {"claim_id": self.claim_id, "action": action, "findings": list(self.findings), "risk": None}
        answer = orjson.dumps(told | {"degraded": [], "timing_ms": {}, "model": {"name": None}})
        number, asked = f"{self.claim_id}@{self.scored_at:%Y%m%d}", {"claim": {"provider_id": self.provider_id}}
        return Decision(number, self.claim_id, self.scored_at, action, answer, orjson.dumps(asked))


def judge(store: Store, *claims: Judged) -> None:
    """Add claims to the history and store what was answered."""
    own = [(c.claim_id, {"provider_id": c.provider_id, "settled_at": c.settled_at}) for c in claims]
    store.add_claims([bundle(number, **values) for number, values in own])
    store.put_answers([Answer(c.decision()) for c in claims])


def judged(store: Store) -> None:
    """Two of ten claims of h-1 and one of five of h-2 have findings, none of h-3."""
    with store.database.write() as connection:
        houses = [{"provider_id": p, "name": f"House {p}", "region": r} for p, r in REGIONS.items()]
        connection.execute(sa.insert(CANONICAL["providers"]), houses)
    found = {"a-0": [hit(), hit("claim.overlap", "T02", 90.0)], "a-1": [hit(amount=60.0)]}
    found["b-0"] = [hit("claim.overlap", "T02", 25.0)]
    numbers = [*((f"a-{n}", "h-1") for n in range(10)), *((f"b-{n}", "h-2") for n in range(5)), ("c-0", "h-3")]
    # The last lies outside of the period that campaigns of these tests are about.
    old = Judged("a-old", "h-1", [hit()], settled_at=datetime(2025, 12, 31))
    judge(store, *(Judged(number, house, found.get(number, ())) for number, house in numbers), old)


def announced(**more: Any) -> Announcement:
    """A campaign over the first two months of 2026."""
    said: dict[str, Any] = {"period_from": date(2026, 1, 1), "period_until": date(2026, 2, 28)}
    return Announcement("Imaging", "Decree 735, article 22", **{**said, **more})


def opened(work: Campaigns, **more: Any) -> str:
    """The number of a campaign that a supervisor has opened."""
    return work.open(announced(**more), LEAD).campaign_id


def step(work: Campaigns, number: str, name: str, actor: Actor, *said: Any, of: str = "h-1", **more: Any) -> Inspected:
    """How a provider stands after a step of the workflow."""
    taken = getattr(workflow, name)
    return work.change(number, of, actor, lambda row, at: taken(row, actor, at, *said, **more))


def ready(work: Campaigns, number: str, of: str = "h-1") -> Inspected:
    """A provider that Ann has led to the door of acceptance."""
    step(work, number, "declare", ANN, 2, 150.0, of=of)
    step(work, number, "plan", ANN, TRAINING, of=of)
    return step(work, number, "finish", ANN, 1, "done", of=of)


__all__ = [
    "ANN", "LEAD", "LETTER", "MARCH", "REGIONS", "SUE", "TRAINING", "Judged", "announced", "hit", "judge",
    "judged", "opened", "ready", "step",
]  # fmt: skip
