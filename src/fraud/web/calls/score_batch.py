"""Many claims in one call: each answers for itself, and one that is faulty harms no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from time import sleep
from typing import Any

import orjson

from fraud.errors import Fault
from fraud.scoring.shapes import ClaimBundle
from fraud.store import StoreBusyError
from fraud.web.bodies.faults import checked
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.mishaps import problem_of
from fraud.web.bodies.problems import FAULTS, Problem, as_json
from fraud.web.bodies.reading import MOST_BYTES, Accepted, parsed
from fraud.web.bodies.shapes import MOST_CLAIMS, ScoreBody, bundle_of
from fraud.web.calls.idempotency import once
from fraud.web.calls.scoring import Asked, Judged, check_lines, judge, recorded
from fraud.web.running.runtime import Runtime

__all__ = ["BATCH", "NDJSON", "score_batch"]

JSON, NDJSON = "application/json", "application/x-ndjson"
BATCH = Accepted((JSON, NDJSON), 16 * MOST_BYTES)
# So many are computed at a stretch; then others have their turn.
_AT_ONCE = 32


def score_batch(runtime: Runtime, incoming: Incoming) -> Reply:
    """Score up to 1,000 claims; all decisions are durable, in one commit, before this returns."""
    items = _items(incoming)
    reply = once(runtime, incoming, "score-batch", lambda key: _scored(runtime, incoming, items, key))
    return _as_lines(reply) if NDJSON in incoming.headers.get("accept", "").lower() else reply


def _as_lines(reply: Reply) -> Reply:
    lines = b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in orjson.loads(reply.body))
    return replace(reply, body=lines, media_type=NDJSON)


# --- reading ----------------------------------------------------------------------------------------------


def _items(incoming: Incoming) -> list[Any]:
    """What came as one claim each; in place of what cannot be read a `Problem`."""
    media_type = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    items = _lines(incoming.body) if media_type == NDJSON else parsed(incoming.body)
    if not isinstance(items, list):
        raise _refused("not_a_list", "Send a JSON list of claims, or one claim on each line as application/x-ndjson.")
    if not items:
        raise _refused("missing", "There is no claim in the list.")
    if len(items) > MOST_CLAIMS:
        raise _refused("too_many", f"The list has {len(items):,} claims; it may have {MOST_CLAIMS:,}.")
    return items


def _lines(body: bytes) -> list[Any]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    # Whoever sends too many is told so before any of them is read.
    return lines if len(lines) > MOST_CLAIMS else [_parsed(line) for line in lines]


def _parsed(line: bytes) -> Any:
    try:
        return parsed(line)
    except Problem as problem:
        return problem


def _refused(code: str, detail: str) -> Problem:
    return Problem("faults", detail, [Fault("", code, FAULTS[code])])


def _asked(item: Any) -> Asked | Exception:
    try:
        if isinstance(item, Problem):
            raise item
        check_lines(item)
        read = checked(ScoreBody, item)
    except Exception as error:
        return error
    return Asked(bundle_of(read), read.options)


# --- scoring ----------------------------------------------------------------------------------------------


def _scored(runtime: Runtime, incoming: Incoming, items: Sequence[Any], key: str | None) -> Reply:
    read = [_asked(item) for item in items]
    judged = iter(_judged(runtime, [a for a in read if isinstance(a, Asked)]))
    slots: list[Any] = [next(judged) if isinstance(a, Asked) else a for a in read]
    body = _body(slots, incoming)
    replies = recorded(runtime, [s for s in slots if isinstance(s, Judged)], (key, body) if key else None)
    if any(isinstance(r, StoreBusyError) for r in replies):
        raise next(r for r in replies if isinstance(r, StoreBusyError))
    told = iter(replies)
    final = _body([next(told) if isinstance(s, Judged) else s for s in slots], incoming)
    if key and (final != body or not replies):
        runtime.store.finish(key, 200, final)
    return Reply(final)


def _body(slots: Sequence[Judged | Reply | Exception], incoming: Incoming) -> bytes:
    said = (_problem(s, n, incoming) if isinstance(s, Exception) else s.body for n, s in enumerate(slots))
    return b"[" + b",".join(said) + b"]"


def _problem(error: Exception, index: int, incoming: Incoming) -> bytes:
    """The problem of one claim, with its place in the list; pointers begin at the list."""
    problem = problem_of(error, incoming.request_id)
    faults = [replace(f, where=f"/{index}{f.where}") for f in problem.faults]
    return as_json(Problem(problem.name, problem.detail, faults), incoming.request_id, index=index)


def _judged(runtime: Runtime, asked: Sequence[Asked]) -> list[Judged | Exception]:
    found: list[Judged | Exception] = []
    kept: dict[str, list[ClaimBundle]] = defaultdict(list)
    for a in asked:
        if a.options.store:
            kept[a.bundle.claim["patient_id"]].append(a.bundle)
    for first in range(0, len(asked), _AT_ONCE):
        with runtime.turn:
            some = asked[first : first + _AT_ONCE]
            patients = {a.bundle.claim["patient_id"] for a in some}
            found += judge(runtime, some, [b for p in patients for b in kept[p] if len(kept[p]) > 1])
        # A lock that is taken again at once is never given to those who wait for it.
        sleep(0.001)
    return found
