"""Cases that decisions and week's lists open: who they are about, what they rest on, and how soon somebody looks."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fraud.review.cases.rules import GRADES, CaseRules, priority_of
from fraud.scoring.shapes import Row, Score
from fraud.store import StoreBusyError
from fraud.store.casework.opening import Opened
from fraud.store.casework.rows import latest_rounds
from fraud.store.casework.shapes import PRIORITIES, Case, Scored, SelectedBy

if TYPE_CHECKING:
    from fraud.signals.rules import Finding
    from fraud.store import Store

__all__ = ["Flagged", "case_number", "new_case", "opened_for", "scored_claim"]

# 80 bits: among a billion cases the chance of one collision is below 1e-6.
_LETTERS = 16


@dataclass(frozen=True)
class Flagged:
    """A claim that was not let pass: its row, its score, the decision's id and time, and what was scored."""

    claim: Row
    score: Score
    request_id: str
    scored_at: datetime
    request: bytes


def opened_for(store: Store, rules: CaseRules, flagged: Sequence[Flagged]) -> list[Opened | None]:
    """For each claim its case: a new one, or the one that is there; None where that version was decided before.

    One look into the database, for all of them. Nothing is stored yet: that is done with the decision.
    """
    if not flagged:
        return []
    known = _before(store, [str(f.claim["claim_id"]) for f in flagged])
    return [_opened(f, known.get(str(f.claim["claim_id"])), rules) for f in flagged]


def _before(store: Store, claim_ids: Sequence[str]) -> dict[str, Case]:
    try:
        with store.database.read() as connection:
            return latest_rounds(connection, "claim", claim_ids)
    except StoreBusyError:
        # Either nothing can be recorded, or what is there already is not opened twice.
        return {}


def _opened(flagged: Flagged, before: Case | None, rules: CaseRules) -> Opened | None:
    scored = scored_claim(flagged, rules)
    if before is None:
        return Opened(new_case(scored, flagged.scored_at, rules), flagged.scored_at)
    again = before.grounds != scored.grounds
    if before.at_work:
        case = replace(before, **vars(scored))
        return Opened(_hurried(case, flagged.scored_at, rules) if again else case, flagged.scored_at, True, again)
    if not again:
        # What was decided is not opened again by sending the same once more.
        return Opened(before, flagged.scored_at, known=True) if before.state != "closed" else None
    return Opened(new_case(scored, flagged.scored_at, rules, turn=before.round + 1), flagged.scored_at)


def _hurried(case: Case, now: datetime, rules: CaseRules) -> Case:
    """The case with the priority of its new figures where that is higher; a first action is then due sooner."""
    priority = priority_of(case, rules)
    if PRIORITIES.index(priority) >= PRIORITIES.index(case.priority):
        return case
    sooner = now + timedelta(hours=rules.hours[priority])
    waits = case.clock == "first_action" and case.due_at is not None
    return replace(case, priority=priority, due_at=min(case.due_at or sooner, sooner) if waits else case.due_at)


def new_case(
    scored: Scored,
    at: datetime,
    rules: CaseRules,
    *,
    turn: int = 0,
    selected_by: SelectedBy = "decision",
    chance: float | None = None,
) -> Case:
    """A case that nobody has looked at; `turn` counts the cases about the same claim or person."""
    priority = priority_of(scored, rules)
    return Case(
        **vars(scored),
        case_id=case_number(scored.entity, scored.entity_id, turn),
        round=turn,
        priority=priority,
        opened_at=at,
        due_at=at + timedelta(hours=rules.hours[priority]),
        selected_by=selected_by,
        inclusion_probability=chance,
    )


def case_number(entity: str, entity_id: str, turn: int) -> str:
    """The number of a case: of a claim always the same, so that two who open it at once open one.

    >>> case_number("claim", "c-1", 0)
    'YYU3T4TGU3O6GM5F'
    """
    if entity != "claim":
        # Made from a person's id, a number would let everybody look up who it is about.
        return base64.b32encode(secrets.token_bytes(10)).decode()
    told = hashlib.sha256(f"case of claim {turn}:{entity_id}".encode()).digest()
    return base64.b32encode(told).decode()[:_LETTERS]


# --- what a decision says ---------------------------------------------------------------------------------


def scored_claim(flagged: Flagged, rules: CaseRules) -> Scored:
    """What a case shows of a scored claim."""
    claim, risk = flagged.claim, flagged.score.risk
    hits = sorted((f for f in flagged.score.findings if f.status == "hit"), key=_gravity)
    violation = next((f.signal.violation for f in hits if f.signal.violation), None)
    amount = _at_stake(claim, flagged.score, hits)
    expected = _number(risk.expected_recovery) if risk is not None else None
    hours = rules.time.hours("claim", violation)
    return Scored(
        entity="claim",
        entity_id=str(claim["claim_id"]),
        patient_id=claim.get("patient_id"),
        provider_id=claim.get("provider_id"),
        region=claim.get("care_region"),
        insured_region=claim.get("insured_region"),
        violation=violation,
        request_id=flagged.request_id,
        action=flagged.score.action,
        severity=max((f.signal.severity for f in hits), key=GRADES.index, default=None),
        band=risk.band if risk is not None else None,
        probability=_number(risk.probability) if risk is not None else None,
        percentile=_number(risk.percentile) if risk is not None else None,
        amount=amount,
        expected_recovery=expected,
        hours=hours,
        # Without a model nobody knows the odds: then it is all the money that the findings are about.
        worth=(amount or 0.0 if expected is None else expected) / hours,
        findings=tuple(dict.fromkeys(f.signal.id for f in hits)),
        grounds=hashlib.sha256(flagged.request).hexdigest()[:32],
    )


def _gravity(finding: Finding) -> tuple[bool, int, str]:
    signal = finding.signal
    return signal.kind != "violation", -GRADES.index(signal.severity), signal.id


def _at_stake(claim: Mapping[str, Any], score: Score, hits: Sequence[Finding]) -> float | None:
    """Money at stake: what model and findings name, never more than the fund paid."""
    paid = claim.get("fund_amount")
    most = float(claim["total_amount"] if paid is None else paid)
    named = sum(f.amount for f in hits if f.amount is not None)
    if named > 0:
        return min(named, most)
    risk = score.risk
    if risk is None or not risk.probability or risk.probability != risk.probability:
        return most
    return min(risk.expected_recovery / risk.probability, most)


def _number(value: float | None) -> float | None:
    """The figure, or None for one that is not known."""
    return None if value is None or value != value else float(value)
