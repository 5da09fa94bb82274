"""What each call does once its body has arrived; runs in a worker thread, away from the event loop."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from fraud.scoring.shapes import ClaimBundle, Score
from fraud.store import Decision
from fraud.store.versions import as_json
from fraud.web import metrics
from fraud.web.answers import LANGUAGES, as_bytes, claim_score, model_card, model_name
from fraud.web.bodies import MOST_LINES, parsed
from fraud.web.faults import checked
from fraud.web.problems import Problem
from fraud.web.runtime import Runtime
from fraud.web.shapes import ClaimBody, ClaimsBody, ScoreBody

__all__ = ["Incoming", "Reply", "add_claims", "chosen_locale", "decision", "model", "score"]

_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True)
class Incoming:
    """A request as a call sees it; header names are in lower case."""

    request_id: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """An answer."""

    body: bytes
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


# --- claims -----------------------------------------------------------------------------------------------


def score(runtime: Runtime, incoming: Incoming) -> Reply:
    """Score one claim; the decision is durable before this returns."""
    started = perf_counter()
    body = parsed(incoming.body)
    _check_lines(body)
    read = checked(ScoreBody, body)
    _observe("read", started)
    return _once(runtime, incoming, "score", lambda key: _score(runtime, incoming, read, key))


def _score(runtime: Runtime, incoming: Incoming, read: ScoreBody, key: str | None) -> Reply:
    bundle, options, scorer = bundle_of(read), read.options, runtime.scorer
    started = perf_counter()
    known = runtime.store.history(bundle.claim, scorer.needs_lines, runtime.claim_model)
    history_ms = _observe("history", started)
    result = scorer.score(bundle, known, explain=options.explain)
    request_id, scored_at = uuid4().hex, _moment(runtime.now())
    claim_id = str(bundle.claim["claim_id"])
    answer = as_bytes(
        claim_score(
            request_id,
            claim_id,
            scored_at,
            result,
            model_name(scorer.model, runtime.catalogue.digest),
            history_ms,
            options.explain,
            options.locale,
        )
    )
    started = perf_counter()
    decision = Decision(request_id, claim_id, scored_at, result.action, answer, as_json(bundle))
    runtime.store.put_decision(decision, bundle if options.store else None, key)
    _observe("record", started)
    if runtime.shadow is not None:
        runtime.shadow.offer(request_id, bundle, result.risk.percentile if result.risk else None)
    _count(result)
    return Reply(answer)


def bundle_of(read: ClaimBody) -> ClaimBundle:
    """The claim and its items with every canonical column; items are told which claim they belong to."""
    claim = vars(read.claim)
    own = {"claim_id": claim["claim_id"]}

    def rows(items: list[Any]) -> tuple[dict[str, Any], ...]:
        return tuple(vars(i) | own for i in items)

    return ClaimBundle(claim, rows(read.lines), rows(read.diagnoses), rows(read.procedures))


def add_claims(runtime: Runtime, incoming: Incoming) -> Reply:
    """Add settled claims to the history: one, or a list of them in `claims`."""
    body = parsed(incoming.body)
    _check_lines(body)
    several = isinstance(body, dict) and "claims" in body
    read: BaseModel = checked(ClaimsBody if several else ClaimBody, body)
    found = read.claims if isinstance(read, ClaimsBody) else [read]
    bundles = [bundle_of(b) for b in found]  # type: ignore[arg-type]
    return _once(runtime, incoming, "claims", lambda key: _add(runtime, bundles, key))


def _add(runtime: Runtime, bundles: list[ClaimBundle], key: str | None) -> Reply:
    became = runtime.store.add_claims(bundles)
    claims = [{"claim_id": str(b.claim["claim_id"]), "status": a} for b, a in zip(bundles, became, strict=True)]
    reply = Reply(as_bytes({"claims": claims, "counts": dict(Counter(became))}))
    if key is not None:
        runtime.store.finish(key, reply.status, reply.body)
    return reply


def _check_lines(body: Any) -> None:
    """Refuse what has too many lines before looking at any of them."""
    claims = body.get("claims") if isinstance(body, dict) else None
    found = [body, *claims] if isinstance(claims, list) else [body]
    counts = (len(lines) for b in found if isinstance(b, dict) and isinstance(lines := b.get("lines"), list))
    if (most := max(counts, default=0)) > MOST_LINES:
        raise Problem("too-many-lines", f"The claim has {most:,} lines; a claim may have {MOST_LINES:,}.")


# --- the same request twice -------------------------------------------------------------------------------


def _once(runtime: Runtime, incoming: Incoming, call: str, work: Any) -> Reply:
    """The work's reply, or with an `Idempotency-Key` that was seen before, its first reply."""
    key = incoming.headers.get("idempotency-key")
    if key is None:
        reply: Reply = work(None)
        return reply
    if not _KEY.fullmatch(key):
        raise Problem("bad-header", "Idempotency-Key is 1 to 200 visible ASCII characters, such as a UUID.")
    key = f"{call}:{key}"
    seen = runtime.store.idempotent(key, hashlib.sha256(incoming.body).digest())
    if seen is None:
        return _first(runtime, key, work)
    if seen.conflict:
        raise Problem("key-reused", "This Idempotency-Key came with another body before. Use a new key for it.")
    if seen.running:
        raise Problem("still-running", "The first request with this key has not ended. Ask again in a second.")
    return Reply(seen.response, seen.status, headers={"Idempotent-Replayed": "true"})


def _first(runtime: Runtime, key: str, work: Any) -> Reply:
    try:
        reply: Reply = work(key)
    except BaseException:
        # What came to nothing may be tried again with the same key.
        runtime.store.release(key)
        raise
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
    return Reply(as_bytes(own | {"models": others, "failed": dict(models.failed)}))


def chosen_locale(incoming: Incoming) -> str:
    """The `locale` of the address, English by default."""
    locale = incoming.query.get("locale", "en")
    if locale not in LANGUAGES:
        raise Problem("bad-query", f"locale is one of {', '.join(LANGUAGES)}.")
    return locale


# --- figures ----------------------------------------------------------------------------------------------


def _observe(stage: str, started: float) -> float:
    """Milliseconds since then, also told to Prometheus."""
    seconds = perf_counter() - started
    metrics.stages().labels(stage).observe(seconds)
    return round(seconds * 1e3, 3)


def _count(result: Score) -> None:
    metrics.decisions().labels(result.action).inc()
    for stage, ms in result.timing_ms.items():
        metrics.stages().labels(stage).observe(ms / 1e3)
    for what in result.degraded:
        metrics.degraded().labels(what).inc()


def _moment(now: datetime) -> datetime:
    """The clock to the millisecond."""
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
