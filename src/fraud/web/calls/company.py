"""Claims that come in one call: the earlier ones are history to the later ones, though none is stored yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fraud.scoring.shapes import ClaimBundle, History, Row

__all__ = ["with_company"]


def with_company(bundle: ClaimBundle, history: History, company: Sequence[ClaimBundle]) -> History:
    """The history with the patient's claims of the same call that settled before this one.

    Of a claim that is in the history too the version of the call counts, unless it was uploaded earlier.
    """
    claim = bundle.claim
    others = {str(b.claim["claim_id"]): b for b in company if _is_past_of(claim, b.claim)}
    stored = {str(c["claim_id"]): c for c in history.claims}
    later = {i: b for i, b in others.items() if i not in stored or not _is_older(b.claim, stored[i])}
    if not later:
        return history
    claims = (*(c for i, c in stored.items() if i not in later), *(b.claim for b in later.values()))
    kept = (row for row in history.lines if str(row["claim_id"]) not in later)
    lines = (*kept, *(row for b in later.values() for row in b.lines))
    return replace(history, claims=claims, lines=lines)


def _is_past_of(claim: Row, other: Row) -> bool:
    same = other["patient_id"] == claim["patient_id"] and other["claim_id"] != claim["claim_id"]
    return bool(same and other["settled_at"] < claim["settled_at"])


def _is_older(claim: Row, stored: Row) -> bool:
    sent, before = claim.get("uploaded_at"), stored.get("uploaded_at")
    return bool(sent and before and sent < before)
