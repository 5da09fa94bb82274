"""Answers to what went wrong: RFC 9457 problems with stable codes, all faults of a body at once.

Nothing in a problem names a person: identifiers and free text are described by type and length, never
repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from fraud.errors import Fault, FraudError

__all__ = ["FAULTS", "MEDIA_TYPE", "PROBLEMS", "Kind", "Problem", "as_json"]

MEDIA_TYPE = "application/problem+json"
# Beyond this many faults a list helps nobody; `errors_total` says how many there are.
MOST_ERRORS = 1_000


@dataclass(frozen=True)
class Kind:
    """One kind of problem; `retry_after` are seconds to wait where trying again can help."""

    status: int
    title: str
    retry_after: int | None = None


# The last part of `type`, a stable name for programs, and what it means.
PROBLEMS: dict[str, Kind] = {
    "not-json": Kind(400, "The body is not JSON"),
    "too-deep": Kind(400, "The body is nested too deeply"),
    "bad-header": Kind(400, "A header cannot be read"),
    "bad-query": Kind(400, "The address has a query that is not known"),
    "no-key": Kind(401, "A key is needed"),
    "bad-key": Kind(401, "The key does not open this"),
    "not-allowed": Kind(403, "This key may not do that"),
    "not-found": Kind(404, "Not found"),
    "no-model": Kind(404, "There is no model of this kind"),
    "method-not-allowed": Kind(405, "This address does not take this method"),
    "not-acceptable": Kind(406, "Not available in this format"),
    "slow-body": Kind(408, "The body did not arrive in time"),
    "still-running": Kind(409, "The first request with this key is still being worked on"),
    "case-state": Kind(409, "The case does not allow this step now"),
    "case-changed": Kind(409, "Somebody has changed the case meanwhile"),
    "case-person": Kind(403, "Another person must do that"),
    "too-large": Kind(413, "The body is too large"),
    "too-many-lines": Kind(413, "The claim has too many lines"),
    "media-type": Kind(415, "The body must be plain application/json"),
    "faults": Kind(422, "The body has faults"),
    "key-reused": Kind(422, "The key came with another body before"),
    "rate-limited": Kind(429, "Too many requests with this key"),
    "internal": Kind(500, "Something went wrong on our side"),
    "overloaded": Kind(503, "Too many requests at once", retry_after=1),
    "store-unavailable": Kind(503, "The database cannot be reached", retry_after=2),
    "too-slow": Kind(503, "The answer took too long", retry_after=2),
}

# The code of each entry of `errors`, and what it means.
FAULTS: dict[str, str] = {
    "missing": "a required value is absent or null",
    "unknown_field": "no field of this name; the nearest known one is named",
    "not_an_object": "a JSON object is expected",
    "not_a_list": "a JSON list is expected",
    "not_text": "a JSON string is expected",
    "not_a_number": "a JSON number is expected",
    "not_a_whole_number": "a JSON number without a fraction is expected",
    "not_a_boolean": "true or false is expected",
    "not_a_time": "a time such as 2024-03-01T09:30:00, or a day such as 2024-03-01, is expected",
    "not_a_date": "a day such as 2024-03-01 is expected",
    "zone": "times are the payer's civil time and carry no zone, not even Z",
    "out_of_range": "the value cannot be: a year outside 1900 to 2100, or a number too large",
    "negative": "the value must not be below zero",
    "not_in_set": "the value is not one of those that are allowed",
    "empty": "the text is empty: leave the field out instead",
    "too_long": "the text has more than 256 characters",
    "control_character": "the text holds control characters",
    "dotted": "codes are written without the dot: I109, not I10.9",
    "discharged_before_admitted": "discharged_at lies before admitted_at",
    "settled_before_admitted": "settled_at lies before admitted_at",
    "duplicate": "the number appears twice within the claim",
    "other_claim": "the item names another claim than the one it came with",
    "too_many": "more entries than one list may have",
    "out_of_bounds": "the key may not send claims of this provider or region",
    "personal": "the number names a person, and no key for pseudonyms is set here: send a pseudonym",
    "period_reversed": "period_to lies before period_from",
    "not_base64": "bytes in base64 are expected",
    "bad_name": "a file name of 1 to 200 printable characters is expected",
    "bad_media_type": "a media type such as application/pdf is expected",
    "bad_size": "a file has 1 byte to 10 MiB",
    "ahead": "the day lies ahead: only money that has arrived is entered",
    "more_than_confirmed": "more than was confirmed would have come back: say why in reason",
    "more_than_left": "more than is left of the payment that is corrected",
    "no_such_payment": "the case has no payment of this number",
}


class Problem(FraudError):
    """An answer that is a problem; raise it anywhere in a request. `name` is a key of `PROBLEMS`."""

    def __init__(
        self, name: str, detail: str, errors: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail, errors)
        self.name = name
        self.detail = detail
        self.headers = dict(headers or {})

    @property
    def kind(self) -> Kind:
        """Status and title."""
        return PROBLEMS[self.name]


def as_json(problem: Problem, request_id: str, **more: Any) -> bytes:
    """The problem's body, with whatever more is to be said."""
    body: dict[str, Any] = {
        "type": f"urn:fraud:problem:{problem.name}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": f"urn:fraud:request:{request_id}",
    }
    if problem.faults:
        body["errors"] = list(_entries(problem.faults[:MOST_ERRORS]))
        body["errors_total"] = len(problem.faults)
    return orjson.dumps(body | more)


def _entries(errors: Iterable[Fault]) -> Iterable[dict[str, str]]:
    for e in errors:
        found = {"found": e.examples[0]} if e.examples else {}
        yield {"pointer": e.where, "code": e.code, "detail": e.detail} | found
