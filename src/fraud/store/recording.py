"""Decisions of many claims in one transaction: one wait for the disk, however many answers depend on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.casework.opening import Opened, open_in
from fraud.store.shapes import Bundle, Decision, Seen
from fraud.store.tables import CANONICAL, decisions, idempotency
from fraud.store.versions import add, insert_new

__all__ = ["Answer", "finish_keys", "record", "release_keys", "seen_keys", "take_keys"]

# A request that has not ended after this long has died with its process: its key is free again.
_ABANDONED = timedelta(seconds=60)
# How long a key is remembered.
_REMEMBERED = timedelta(days=7)

_claims = CANONICAL["claims"]
_KNOWN = sa.select(_claims.c.claim_id).where(_claims.c.claim_id.in_(sa.bindparam("ids", expanding=True)))
_SEEN = sa.select(idempotency).where(idempotency.c.key.in_(sa.bindparam("keys", expanding=True)))
_FORGET = sa.delete(idempotency).where(idempotency.c.started_at < sa.bindparam("forgotten"))
_FINISH = (
    sa.update(idempotency)
    .where(idempotency.c.key == sa.bindparam("k"))
    .values(status=sa.bindparam("s"), response=sa.bindparam("r"))
)
_RELEASE = sa.delete(idempotency).where(idempotency.c.key == sa.bindparam("k"), idempotency.c.status.is_(None))
# A key with the digest of its request's body.
_Key = tuple[str, bytes]
_INSERT_DECISION, _INSERT_KEY = sa.insert(decisions), sa.insert(idempotency)


@dataclass(frozen=True)
class Answer:
    """An answer to be recorded; with `bundle` the claim becomes history.

    `key` gets the answer again. With `digest`, that of the request's body, the key was not taken before.
    `opened` is the case that the answer names.
    """

    decision: Decision
    bundle: Bundle | None = None
    key: str | None = None
    digest: bytes | None = None
    opened: Opened | None = None


def record(connection: Connection, answers: Sequence[Answer], now: Callable[[], datetime]) -> list[Seen | None]:
    """Store answers, the claims that become history, and what their keys get again.

    An answer whose key has got another one meanwhile is not stored: for it comes back what the key got.
    """
    seen = _seen_before(connection, answers, now())
    fresh = [a for a, s in zip(answers, seen, strict=True) if s is None]
    if fresh:
        connection.execute(_INSERT_DECISION, [vars(a.decision) for a in fresh])
        _remember(connection, [a.bundle for a in fresh if a.bundle is not None], now)
        open_in(connection, [a.opened for a in fresh if a.opened is not None])
    given = [(a, a.key, a.decision.response) for a in fresh if a.key is not None]
    finish_keys(connection, [(key, 200, response) for a, key, response in given if a.digest is None])
    new = [{"key": k, "digest": a.digest, "status": 200, "response": r} for a, k, r in given if a.digest is not None]
    if new:
        connection.execute(_INSERT_KEY, [row | {"started_at": now()} for row in new])
    return seen


def _seen_before(connection: Connection, answers: Sequence[Answer], now: datetime) -> list[Seen | None]:
    keys = [(a.key, a.digest) for a in answers if a.key is not None and a.digest is not None]
    if not keys:
        return [None] * len(answers)
    known = _rows_of(connection, keys, now)
    _forget(connection, known, now)
    found = iter(_answers_of(known, keys, now))
    return [next(found) if a.key is not None and a.digest is not None else None for a in answers]


def _remember(connection: Connection, bundles: Sequence[Bundle], now: Callable[[], datetime]) -> None:
    """Add claims to the history: all that are new at once, further versions of a claim in their order."""
    if not bundles:
        return
    known = set(connection.execute(_KNOWN, {"ids": [b.claim["claim_id"] for b in bundles]}).scalars())
    fresh: list[Bundle] = []
    later: list[Bundle] = []
    for bundle in bundles:
        claim_id = bundle.claim["claim_id"]
        (later if claim_id in known else fresh).append(bundle)
        known.add(claim_id)
    # In the order of their ids: two writers that wait for each other's rows would wait forever.
    insert_new(connection, sorted(fresh, key=lambda b: str(b.claim["claim_id"])), now())
    for bundle in later:
        add(connection, bundle, now())


# --- keys -------------------------------------------------------------------------------------------------


def seen_keys(connection: Connection, keys: Sequence[_Key], now: datetime) -> list[Seen | None]:
    """For each key with its body's digest what it got before; None for one that is free."""
    return _answers_of(_rows_of(connection, keys, now), keys, now)


def take_keys(connection: Connection, keys: Sequence[_Key], now: datetime) -> list[Seen | None]:
    """As `seen_keys`; those that are free are from now on taken, and run until they are finished or released."""
    known = _rows_of(connection, keys, now)
    found = _answers_of(known, keys, now)
    free = [key for key, seen in zip(keys, found, strict=True) if seen is None]
    _forget(connection, known, now)
    if free:
        taken = [{"key": k, "digest": d, "started_at": now, "status": None, "response": None} for k, d in free]
        connection.execute(_INSERT_KEY, taken)
    return found


def _rows_of(connection: Connection, keys: Sequence[_Key], now: datetime) -> dict[str, Mapping[str, Any]]:
    found = connection.execute(_SEEN, {"keys": [k for k, _ in keys]}).mappings().all()
    return {row["key"]: dict(row) for row in found if row["started_at"] >= now - _REMEMBERED}


def _answers_of(known: Mapping[str, Mapping[str, Any]], keys: Sequence[_Key], now: datetime) -> list[Seen | None]:
    return [None if (row := known.get(k)) is None or _is_dead(row, now) else _seen(row, d) for k, d in keys]


def _forget(connection: Connection, known: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
    """Free the keys of requests that have died, and those that are no longer remembered."""
    connection.execute(_FORGET, {"forgotten": now - _REMEMBERED})
    release_keys(connection, [key for key, row in known.items() if _is_dead(row, now)])


def _is_dead(row: Mapping[str, Any], now: datetime) -> bool:
    return row["status"] is None and bool(row["started_at"] < now - _ABANDONED)


def finish_keys(connection: Connection, keys: Sequence[tuple[str, int, bytes]]) -> None:
    """Store the answers of keys: status and body."""
    if keys:
        connection.execute(_FINISH, [{"k": k, "s": status, "r": response} for k, status, response in keys])


def release_keys(connection: Connection, keys: Iterable[str]) -> None:
    """Free keys whose requests came to nothing."""
    if named := [{"k": k} for k in keys]:
        connection.execute(_RELEASE, named)


def _seen(row: Mapping[str, Any], digest: bytes) -> Seen:
    if row["digest"] != digest:
        return Seen(conflict=True)
    if row["status"] is None:
        return Seen(running=True)
    return Seen(status=row["status"], response=row["response"])
