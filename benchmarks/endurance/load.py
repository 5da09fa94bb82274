"""Claims on their way to a service: new ones, further versions in any order, and the same request again."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import UUID

import orjson

from .running import Connection

__all__ = ["Acknowledged", "Sending", "Tally", "deliver", "planned"]

SCORE = "/v1/claims/score"
# Shares of requests: a further version of a claim that was sent before, and the same request again.
VERSIONS, AGAIN = 0.1, 0.1
# Of the requests that are sent again half are among the last: those may still be worked on.
_RECENT = 64
_SENT_FROM = datetime(2026, 1, 1)
# What a caller is told to try again after a while.
_LATER = frozenset({409, 429, 503})
# The first pause; each is twice as long, up to the longest: a crowd that asks all the time would slow a start down.
_PAUSE_SECONDS, _LONGEST_PAUSE = 0.05, 0.8


@dataclass(frozen=True)
class Sending:
    """One request. Whoever has to try again sends the same bytes with the same key."""

    key: str
    claim_id: str
    uploaded_at: str
    body: bytes


@dataclass(frozen=True)
class Acknowledged:
    """What an answer was: the decision's id and the SHA-256 of its bytes."""

    request_id: str
    digest: bytes


@dataclass
class Tally:
    """What was sent and what was acknowledged, by key and by claim."""

    answers: dict[str, Acknowledged] = field(default_factory=dict)
    keys: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    versions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    # Requests whose key got another answer than before: must stay empty.
    changed: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    tried_again: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def acknowledge(self, sending: Sending, answer: bytes, seconds: float) -> None:
        """Note an answer."""
        got = Acknowledged(orjson.loads(answer)["request_id"], hashlib.sha256(answer).digest())
        if self.answers.setdefault(sending.key, got) != got:
            self.changed.append(sending.key)
        self.seconds.append(seconds)


def planned(bodies: Sequence[dict[str, Any]], seed: int) -> Iterator[Sending]:
    """Requests without end, the same for the same seed."""
    draw = random.Random(seed)
    sent: deque[Sending] = deque(maxlen=10_000)
    versions: Counter[str] = Counter()
    while True:
        kind = draw.random() if sent else 1.0
        if kind < AGAIN:
            recent = draw.random() < 0.5
            yield sent[-1 - draw.randrange(min(_RECENT, len(sent)))] if recent else draw.choice(sent)
            continue
        claim_id = draw.choice(sent).claim_id if kind < AGAIN + VERSIONS else _id(draw)
        versions[claim_id] += 1
        sending = _sending(draw, draw.choice(bodies), claim_id, versions[claim_id])
        sent.append(sending)
        yield sending


def _sending(draw: random.Random, body: dict[str, Any], claim_id: str, version: int) -> Sending:
    """A version of a claim, sent at some moment: the later of two may well be the earlier version."""
    # The number keeps two versions of a claim from saying the same moment.
    at = _SENT_FROM + timedelta(seconds=draw.randrange(10**6), microseconds=version)
    claim = {**body["claim"], "claim_id": claim_id, "uploaded_at": at.isoformat()}
    return Sending(_id(draw), claim_id, at.isoformat(), orjson.dumps({**body, "claim": claim}))


def _id(draw: random.Random) -> str:
    return UUID(int=draw.getrandbits(128), version=4).hex


async def deliver(port: int, sendings: Iterable[Sending], clients: int, tally: Tally) -> None:
    """Send all of it over as many connections, each until it is acknowledged: nobody gives up on a claim."""
    waiting = iter(sendings)
    await asyncio.gather(*(_client(port, waiting, tally) for _ in range(clients)))


async def _client(port: int, waiting: Iterator[Sending], tally: Tally) -> None:
    async with Connection(port) as connection:
        for sending in waiting:
            tally.keys[sending.claim_id].add(sending.key)
            tally.versions[sending.claim_id].add(sending.uploaded_at)
            await _until_acknowledged(connection, sending, tally)


async def _until_acknowledged(connection: Connection, sending: Sending, tally: Tally) -> None:
    pause = _PAUSE_SECONDS
    while True:
        began = perf_counter()
        try:
            status, answer = await connection.send("POST", SCORE, sending.body, {"Idempotency-Key": sending.key})
        except (OSError, asyncio.IncompleteReadError):
            connection.close()
            tally.tried_again["connection"] += 1
        else:
            if status == 200:
                tally.acknowledge(sending, answer, perf_counter() - began)
                return
            if status not in _LATER:
                tally.refused[status] += 1
                return
            tally.tried_again[str(status)] += 1
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
