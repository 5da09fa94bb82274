"""What makes peers of a claim and of those whom it names, from their rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fraud.scoring.shapes import ClaimBundle, History, Row
from fraud.signals.peers import FOCUS, PEER_COLUMNS, age_band

__all__ = ["Attributes", "attributes_of_claim", "attributes_of_party"]

Attributes = tuple[str | None, ...]


def attributes_of_party(entity: str, party: Row, day: datetime | None, focus: Mapping[str, str]) -> Attributes:
    """Attributes of a patient, provider or physician on a snapshot's day, in `PEER_COLUMNS` order.

    `focus` is that of each provider, as it was frozen with the model (see `Reference.focus`).
    """
    born = party.get("birth_date")
    years = (day.date() - born).days / 365.25 if day and born else None
    more = {"patient": {"age_band": age_band(years)}, "provider": {FOCUS: focus.get(str(party.get("provider_id")))}}
    own = {**party, **more.get(entity, {})}
    return tuple(own.get(c) for c in PEER_COLUMNS[entity])


def attributes_of_claim(bundle: ClaimBundle, history: History, focus: Mapping[str, str]) -> dict[str, Attributes]:
    """Attributes of the claim, its patient, provider and physician, by entity."""
    claim = bundle.claim
    diagnosis = (claim.get("primary_diagnosis") or "")[:3] or None
    own = {"visit_type": claim.get("visit_type"), "diagnosis_group": diagnosis}
    physician = _at_home(history.physician, history.provider)
    parties = {"patient": history.patient, "provider": history.provider, "physician": physician}
    days = {entity: s.day for entity, s in history.snapshots.items()}
    settled = claim.get("settled_at")
    found = {e: attributes_of_party(e, row or {}, days.get(e, settled), focus) for e, row in parties.items()}
    return {"claim": tuple(own.get(c) for c in PEER_COLUMNS["claim"]), **found}


def _at_home(physician: Row | None, provider: Row | None) -> Row | None:
    """A physician with the level and the region of the house, where the house of the claim is the physician's own."""
    if not physician or not provider or physician.get("provider_id") != provider.get("provider_id"):
        return physician
    return {**{c: provider.get(c) for c in ("level", "region")}, **physician}
