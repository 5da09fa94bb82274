"""The same request twice: the same key and body get the first answer again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from fraud.store import Seen
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.running.runtime import Runtime
from fraud.web.telemetry import metrics

__all__ = ["digest_of", "key_of", "once", "still_running", "told_again"]

_KEY = re.compile(r"[\x21-\x7e]{1,200}")


def key_of(incoming: Incoming, call: str) -> str | None:
    """The request's key within its call and for its caller; None without one, raises `Problem` for an odd one."""
    key = incoming.headers.get("idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Problem("bad-header", "Idempotency-Key is 1 to 200 visible ASCII characters, such as a UUID.")
    # By the caller's name, which outlives a change of keys: nobody gets the answer to somebody else's request.
    return ":".join((call, *filter(None, (incoming.caller.name,)), key))


def digest_of(incoming: Incoming) -> bytes:
    """What tells one body from another."""
    return hashlib.sha256(incoming.body).digest()


def told_again(seen: Seen) -> Reply:
    """The first answer of a key; raises `Problem` for another body, or while there is no answer yet."""
    if seen.conflict:
        raise Problem("key-reused", "This Idempotency-Key came with another body before. Use a new key for it.")
    if seen.running:
        raise still_running()
    metrics.replays().inc()
    return Reply(seen.response, seen.status, headers={"Idempotent-Replayed": "true"})


def still_running() -> Problem:
    """What a request hears whose first one has not ended."""
    return Problem("still-running", "The first request with this key has not ended. Ask again in a second.")


def once(runtime: Runtime, incoming: Incoming, call: str, work: Callable[[str | None], Reply]) -> Reply:
    """The work's reply, or with an `Idempotency-Key` that was seen before, its first reply.

    The work is given the key, and stores its answer under it.
    """
    key = key_of(incoming, call)
    if key is None:
        return work(None)
    seen = runtime.store.idempotent(key, digest_of(incoming))
    return _first(runtime, key, work) if seen is None else told_again(seen)


def _first(runtime: Runtime, key: str, work: Callable[[str | None], Reply]) -> Reply:
    try:
        return work(key)
    except BaseException:
        # What came to nothing may be tried again with the same key.
        runtime.store.release(key)
        raise
