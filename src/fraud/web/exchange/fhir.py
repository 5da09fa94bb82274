"""FHIR R4: a Claim in, a ClaimResponse out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import orjson

from fraud.web.bodies.answers import as_bytes
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.reading import MOST_LINES, parsed
from fraud.web.bodies.shapes import Options
from fraud.web.calls.claims import chosen_locale
from fraud.web.calls.idempotency import digest_of, key_of
from fraud.web.exchange.fhir_answer import MEDIA_TYPE, claim_response, operation_outcome
from fraud.web.exchange.fhir_claim import read_claim
from fraud.web.exchange.judging import judged
from fraud.web.running.runtime import Runtime

__all__ = ["FhirInterface", "refused"]


@dataclass(frozen=True)
class FhirInterface:
    """`POST /fhir/Claim/$score`; `key` turns a person's number into a pseudonym."""

    key: bytes | None = None

    def score(self, runtime: Runtime, incoming: Incoming) -> Reply:
        """Score a Claim; one that is no claim for money, or not active, is scored and not kept as history."""
        locale = chosen_locale(incoming)
        resource = parsed(incoming.body)
        items = resource.get("item") if isinstance(resource, dict) else None
        if isinstance(items, list) and len(items) > MOST_LINES:
            raise Problem("too-many-lines", f"The claim has {len(items):,} items; a claim may have {MOST_LINES:,}.")
        submitted = read_claim(resource, self.key)
        options = Options(locale=locale, store=submitted.keeps)  # type: ignore[arg-type]
        key = key_of(incoming, "fhir")
        digest = digest_of(incoming) if key else None
        reply = judged(runtime, submitted.bundle, submitted.beside, options, key, digest)
        # The decision log holds the plain answer; its resource is made anew, the same each time.
        made = claim_response(orjson.loads(reply.body), submitted.resource, submitted.bundle, locale)
        return replace(reply, body=as_bytes(made), media_type=MEDIA_TYPE)


def refused(problem: Problem, request_id: str) -> Reply:
    """A problem as FHIR tells it."""
    wait = problem.kind.retry_after
    headers = dict(problem.headers) | ({"Retry-After": str(wait)} if wait else {})
    return Reply(operation_outcome(problem), problem.kind.status, MEDIA_TYPE, headers)
