"""What each call does once its body has arrived; runs in a worker thread, away from the event loop."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel

from fraud.scoring.shapes import ClaimBundle
from fraud.web.bodies.answers import LANGUAGES, as_bytes, model_card
from fraud.web.bodies.faults import checked
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.reading import parsed
from fraud.web.bodies.shapes import ClaimBody, ClaimsBody, bundle_of
from fraud.web.calls.idempotency import once
from fraud.web.calls.scoring import check_lines, compute, record
from fraud.web.running.runtime import Runtime

__all__ = ["add_claims", "chosen_locale", "decision", "model", "score"]


def score(runtime: Runtime, incoming: Incoming) -> Reply:
    """Score one claim; the decision is durable before this returns."""
    with runtime.turn:
        judged = compute(runtime, [incoming])
    (reply,) = record(runtime, judged)
    if isinstance(reply, Exception):
        raise reply
    return reply


def add_claims(runtime: Runtime, incoming: Incoming) -> Reply:
    """Add settled claims to the history: one, or a list of them in `claims`."""
    body = parsed(incoming.body)
    check_lines(body)
    several = isinstance(body, dict) and "claims" in body
    read: BaseModel = checked(ClaimsBody if several else ClaimBody, body)
    found = read.claims if isinstance(read, ClaimsBody) else [read]
    bundles = [bundle_of(b) for b in found]  # type: ignore[arg-type]
    return once(runtime, incoming, "claims", lambda key: _add(runtime, bundles, key))


def _add(runtime: Runtime, bundles: list[ClaimBundle], key: str | None) -> Reply:
    became = runtime.store.add_claims(bundles)
    claims = [{"claim_id": str(b.claim["claim_id"]), "status": a} for b, a in zip(bundles, became, strict=True)]
    reply = Reply(as_bytes({"claims": claims, "counts": dict(Counter(became))}))
    if key is not None:
        runtime.store.finish(key, reply.status, reply.body)
    return reply


# --- reading ----------------------------------------------------------------------------------------------


def decision(runtime: Runtime, incoming: Incoming) -> Reply:
    """A stored decision, byte for byte as it was answered."""
    found = runtime.store.decision(incoming.path["request_id"])
    if found is None:
        raise Problem("not-found", "There is no decision with this request_id.")
    return Reply(found.response)


def model(runtime: Runtime, incoming: Incoming) -> Reply:
    """The models in force."""
    digest, models = runtime.catalogue.digest, runtime.models
    others = {e: model_card(m, digest) for e, m in models.loaded.items()}
    own = model_card(runtime.scorer.model, digest)
    away = {"failed": dict(models.failed), "refused": dict(runtime.refused)}
    told = {"access": runtime.guard.access, "models": others, **away}
    return Reply(as_bytes(own | told))


def chosen_locale(incoming: Incoming) -> str:
    """The `locale` of the address, English by default."""
    locale = incoming.query.get("locale", "en")
    if locale not in LANGUAGES:
        raise Problem("bad-query", f"locale is one of {', '.join(LANGUAGES)}.")
    return locale
