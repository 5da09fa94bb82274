"""The risk of a provider, patient or physician, from its latest snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fraud.explaining.behind import MOST_REASONS
from fraud.explaining.reasons import reasons_of
from fraud.scoring.claim_signals import as_vector
from fraud.scoring.occasions import occasion_of_party
from fraud.scoring.parties import attributes_of_party
from fraud.scoring.shapes import Risk
from fraud.scoring.triage import amount_at_stake, standing_of
from fraud.store import Snapshot
from fraud.web.access.masking import IDENTIFYING
from fraud.web.bodies.answers import LANGUAGES, as_bytes, model_name, risk_of
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.calls.claims import chosen_locale
from fraud.web.running.runtime import Runtime

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel

__all__ = ["entity_risk"]

# Further than any snapshot: the latest one is wanted.
_LATEST = datetime.max


def entity_risk(entity: str, runtime: Runtime, incoming: Incoming) -> Reply:
    """The latest snapshot score of one entity, with reasons and peers."""
    language = LANGUAGES[chosen_locale(incoming)]
    model = runtime.models.loaded.get(entity)
    if model is None:
        raise Problem("no-model", _no_model(entity, runtime))
    entity_id = incoming.path["entity_id"]
    party = runtime.store.party(entity, entity_id)
    snapshot = runtime.store.snapshot(entity, entity_id, _LATEST, model.spec.name)
    if snapshot is None:
        known = "on file, but has no snapshot yet: snapshots are taken once a month" if party else "not known"
        raise Problem("not-found", f"This {entity} is {known}.")
    risk, missing = _risk(runtime, model, snapshot, party or {})
    return Reply(
        as_bytes(
            {
                "entity": entity,
                "entity_id": _shown(entity, runtime, incoming),
                "as_of": snapshot.day,
                "risk": risk_of(risk, language, "reasons"),
                "model": model_name(model, runtime.catalogue.digest),
                "degraded": missing,
            }
        )
    )


def _shown(entity: str, runtime: Runtime, incoming: Incoming) -> str:
    """The entity's id as this caller may see it."""
    entity_id, column = incoming.path["entity_id"], f"{entity}_id"
    hidden = column in IDENTIFYING and not incoming.caller.sees_identities
    return runtime.guard.masked(column, entity_id) if hidden else entity_id


def _no_model(entity: str, runtime: Runtime) -> str:
    if entity in runtime.models.failed:
        return f"The model of {entity}s cannot be loaded at the moment; /v1/model says why."
    here = ", ".join(f"{e}s" for e in runtime.models.loaded) or "nothing"
    return f"No model of {entity}s is in force; there are models of: {here}."


def _risk(runtime: Runtime, model: FittedModel, snapshot: Snapshot, party: Mapping[str, Any]) -> tuple[Risk, list[str]]:
    """The risk, and the signals that the model reads and the snapshot lacks."""
    missing = [n for n in model.names if n not in snapshot.values]
    row = as_vector(snapshot.values, model.names)
    margin = float(model.margins(row[None, :])[0])
    base, contributions = model.contributions(row[None, :])
    own = {snapshot.entity: attributes_of_party(snapshot.entity, party, snapshot.day, model.reference.focus)}
    occasions = {snapshot.entity: occasion_of_party(snapshot.entity, party, snapshot.day)}
    reasons = reasons_of(
        runtime.catalogue, model.names, row, contributions[0], model.reference.peers, own, MOST_REASONS, occasions
    )
    since = snapshot.day - timedelta(days=model.spec.window_days)
    paid = runtime.store.paid(snapshot.entity, snapshot.entity_id, since, snapshot.day) or 0.0
    standing = standing_of(model, margin, amount_at_stake(model, paid), runtime.triage, float(base))
    return replace(standing, reasons=reasons), missing
