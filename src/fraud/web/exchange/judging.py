"""Scoring a claim that came in a neighbour's format: the same scorer, the same decision log, the same answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson

from fraud.claims.schema import TABLES
from fraud.scoring.shapes import ClaimBundle, History, Row
from fraud.store.history import PAST_DAYS, PAST_LINES_DAYS
from fraud.store.versions import as_json, from_json, row_from_json
from fraud.web.bodies.messages import Reply
from fraud.web.bodies.shapes import Options
from fraud.web.calls.idempotency import told_again
from fraud.web.calls.scoring import Asked, Judged, judge, recorded
from fraud.web.running.runtime import Runtime

__all__ = ["Beside", "judged", "party", "told_beside", "with_beside"]


@dataclass(frozen=True)
class Beside:
    """What a request says beside its claim: it counts for this request alone, and where the store knows nothing.

    `claims` are the patient's earlier ones; the parties are rows of their tables.
    """

    claims: tuple[ClaimBundle, ...] = ()
    patient: Row | None = None
    provider: Row | None = None
    physician: Row | None = None


def party(table: str, **said: Any) -> dict[str, Any]:
    """A row of a register with every column, from what is said of somebody."""
    return {**dict.fromkeys(TABLES[table].by_name), **said}


def judged(
    runtime: Runtime, bundle: ClaimBundle, beside: Beside, options: Options, key: str | None, digest: bytes | None
) -> Reply:
    """The reply to a claim as `POST /v1/claims/score` gives it; the decision is durable before this returns.

    A key that was answered before gets that answer; raises `Problem` for one that came with another body.
    """
    if key is not None and digest is not None and (seen := runtime.store.seen_keys([(key, digest)])[0]) is not None:
        return told_again(seen)
    asked = Asked(bundle, options, key, digest, partial(with_beside, bundle.claim, beside))
    with runtime.turn:
        (one,) = judge(runtime, [asked])
    if isinstance(one, Exception):
        raise one
    (reply,) = recorded(runtime, [_resting_on(one, beside)])
    if isinstance(reply, Exception):
        raise reply
    return reply


def _resting_on(judged: Judged, beside: Beside) -> Judged:
    """The same, with what was told beside the claim in the decision log: the decision rests on both."""
    answer = judged.answer
    request = _request(judged.asked.bundle, beside)
    return replace(judged, answer=replace(answer, decision=replace(answer.decision, request=request)))


def _request(bundle: ClaimBundle, beside: Beside) -> bytes:
    parties = {n: _filled(r) for n in ("patient", "provider", "physician") if (r := getattr(beside, n)) is not None}
    earlier = [orjson.loads(as_json(b)) for b in beside.claims]
    return orjson.dumps(orjson.loads(as_json(bundle)) | {"beside": parties | {"claims": earlier}})


def told_beside(request: bytes) -> Beside | None:
    """What was told beside the claim of a stored decision; None where nothing was."""
    read = orjson.loads(request).get("beside")
    if read is None:
        return None
    bundles = (from_json(orjson.dumps(c)) for c in read["claims"])
    earlier = tuple(ClaimBundle(b.claim, b.lines, b.diagnoses, b.procedures) for b in bundles)
    parties = {n: row_from_json(f"{n}s", read[n]) for n in ("patient", "provider", "physician") if n in read}
    return Beside(earlier, **parties)


def _filled(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def with_beside(claim: Row, beside: Beside, known: History) -> History:
    """The history with what the request tells; what the store knows comes first."""
    have = {c["claim_id"] for c in known.claims}
    fresh = [b for b in beside.claims if b.claim["claim_id"] not in have and _is_past(b.claim, claim)]
    near = [b for b in fresh if _days_before(b.claim, claim) <= timedelta(days=PAST_LINES_DAYS)]
    return replace(
        known,
        claims=(*known.claims, *(b.claim for b in fresh)),
        lines=(*known.lines, *_rows(near)),
        patient=_joined(beside.patient, known.patient),
        provider=_joined(beside.provider, known.provider),
        physician=_joined(beside.physician, known.physician),
    )


def _rows(bundles: Iterable[ClaimBundle]) -> Iterable[Row]:
    return (row for b in bundles for row in b.lines)


def _is_past(earlier: Row, claim: Row) -> bool:
    """Whether signals may see it: the same bounds as the store's own history has."""
    own = earlier["patient_id"] == claim["patient_id"] and earlier["claim_id"] != claim["claim_id"]
    return own and timedelta(0) < _days_before(earlier, claim) <= timedelta(days=PAST_DAYS)


def _days_before(earlier: Row, claim: Row) -> timedelta:
    settled: datetime = claim["settled_at"]
    before: timedelta = settled - earlier["settled_at"]
    return before


def _joined(told: Row | None, known: Row | None) -> Mapping[str, Any] | None:
    """What is on file, and where that says nothing what the request says."""
    if told is None or known is None:
        return known or told
    return {**told, **_filled(known)}
