"""Whether a database holds what was acknowledged: each decision once, byte for byte, latest versions too."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.config import Settings
from fraud.store import Store
from fraud.store.tables import CANONICAL, decisions, versions

from .load import Tally

__all__ = ["BAD", "compared"]

# Counts that must be zero.
BAD = ("lost", "altered", "doubled", "left_over", "changed", "refused", "outdated", "versions_lost", "versions_doubled")


def compared(settings: Settings, tally: Tally) -> dict[str, int]:
    """How many decisions and versions were acknowledged, and how many of them are not as they must be.

    `lost`: not stored; `altered`: not the bytes of the answer; `doubled`: keys with more than one decision;
    `left_over`: decisions whose answer nobody got, although everybody asked until there was one; `changed`: keys that
    got two answers; `outdated`: claims whose current version is not the one that was sent last.
    """
    with Store(settings.database_url) as store, store.database.read() as connection:
        return _of_decisions(connection, tally) | _of_versions(connection, tally)


def _of_decisions(connection: Connection, tally: Tally) -> dict[str, int]:
    told = {a.request_id: a.digest for a in tally.answers.values()}
    stored: Counter[str] = Counter()
    altered = left_over = 0
    found = 0
    query = sa.select(decisions.c.request_id, decisions.c.claim_id, decisions.c.response)
    for request_id, claim_id, response in connection.execution_options(yield_per=1_000).execute(query):
        if claim_id not in tally.keys:
            continue
        stored[claim_id] += 1
        if request_id not in told:
            left_over += 1
            continue
        found += 1
        altered += hashlib.sha256(response).digest() != told[request_id]
    return {
        "acknowledged": len(tally.answers),
        "lost": len(told) - found,
        "altered": altered,
        "doubled": sum(max(0, n - len(tally.keys[claim_id])) for claim_id, n in stored.items()),
        "left_over": left_over,
        "changed": len(tally.changed),
        "refused": sum(tally.refused.values()),
    }


def _of_versions(connection: Connection, tally: Tally) -> dict[str, int]:
    current = _moments(connection, CANONICAL["claims"], tally.versions)
    older = _moments(connection, versions, tally.versions)
    every = [(claim_id, at) for claim_id, sent in tally.versions.items() for at in sent]
    held = Counter(current + older)
    latest = dict(current)
    return {
        "versions": len(every),
        "outdated": sum(latest.get(claim_id) != max(sent) for claim_id, sent in tally.versions.items()),
        "versions_lost": sum(version not in held for version in every),
        "versions_doubled": sum(n - 1 for n in held.values()),
    }


def _moments(connection: Connection, table: sa.Table, claims: Iterable[str]) -> list[tuple[str, str]]:
    """The claims of ours in a table with when each version was sent."""
    ours = frozenset(claims)
    found = connection.execute(sa.select(table.c.claim_id, table.c.uploaded_at))
    return [(claim_id, at.isoformat()) for claim_id, at in found if claim_id in ours]
