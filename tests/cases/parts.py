"""What the tests of cases share."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from fraud.review.cases import Actor, Case, Casework, Proposal, Scored

# What depends on the engine is proved on both.
EVERYWHERE = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
ANN, BOB, EVE = (Actor(name, name, "investigator") for name in ("ann", "bob", "eve"))
SUE = Actor("sue", "sue", "supervisor")
READER = Actor("ada", "ada", "auditor")
FOUND = Proposal("violation", "Two were billed, one was done.", violation="T07", amount=60.0)
NOTHING = Proposal("compliant", "The record has both.")


class Clock:
    """A clock that tests set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        """Let time pass."""
        self.now += timedelta(**time)


def scored(claim_id: str = "c-1", **figures: object) -> Scored:
    """What a flagged claim rests on."""
    usual = {"patient_id": "p-1", "provider_id": "h-1", "region": "330106", "violation": "T07", "amount": 400.0}
    return Scored("claim", claim_id, **{**usual, **figures})  # type: ignore[arg-type]


def taken(work: Casework, claim_id: str = "c-1", **figures: object) -> Case:
    """A case in Ann's hands."""
    return work.take(work.open(scored(claim_id, **figures), ANN).case_id, ANN)


def confirmed(work: Casework, claim_id: str = "c-1", **figures: object) -> Case:
    """A case that Ann proposed and Bob signed."""
    case = work.propose(taken(work, claim_id, **figures).case_id, ANN, FOUND)
    return work.confirm(case.case_id, BOB)
