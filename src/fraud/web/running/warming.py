"""The first use of everything, before anybody waits for it: a made-up claim is scored, and forgotten."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fraud.scoring.scorer import ClaimScorer
from fraud.store import Store
from fraud.store.versions import as_json
from fraud.web.bodies.answers import as_bytes, claim_score, model_name
from fraud.web.bodies.faults import checked
from fraud.web.bodies.shapes import ScoreBody, bundle_of
from fraud.web.running.deadlines import HistoryReader

__all__ = ["warm_up"]

_DAY = "2000-01-03T09:00:00"
_NOBODY = dict.fromkeys(("claim_id", "patient_id", "provider_id", "physician_id"), "warm-up")
_MADE_UP: dict[str, Any] = {
    "claim": {
        **_NOBODY,
        "visit_type": "outpatient",
        "admitted_at": _DAY,
        "discharged_at": _DAY,
        "settled_at": _DAY,
        "primary_diagnosis": "I10",
        "total_amount": 2.0,
        "fund_amount": 1.0,
    },
    "lines": [{"line_no": n, "item_code": "warm-up", "quantity": 1, "amount": 1, "service_at": _DAY} for n in (1, 2)],
    "diagnoses": [{"position": 1, "code": "I10"}],
    "options": {"explain": "full"},
}


def warm_up(store: Store, histories: HistoryReader, scorer: ClaimScorer) -> None:
    """Score made-up claims, alone and together, the way that requests go; nothing of them is stored or counted."""
    read = checked(ScoreBody, _MADE_UP)
    bundle, model = bundle_of(read), scorer.model
    name = model.spec.name if model else ""
    for bundles in ([bundle], [bundle, bundle]):
        known = histories.read(store, [b.claim for b in bundles], scorer.wanted, name)
        scorer.score_many(bundles, known or [None] * len(bundles), explain="full")
    score = scorer.score(bundle, None, explain="full")
    as_bytes(claim_score("", "", datetime.min, score, model_name(model, scorer.catalogue.digest), 0.0, "full", "en"))
    as_json(bundle)
    # Told to forget what it never had, the store opens its way to write.
    store.release("warm-up")
