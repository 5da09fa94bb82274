"""The ledger over HTTP, for auditors: what was read and changed, and the seal of the chain."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from fraud.store.ledger import KINDS, Record
from fraud.web.bodies.answers import as_bytes
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.running.runtime import Runtime

__all__ = ["MOST", "LedgerAnswer", "LedgerEntry", "entries"]

MOST, USUAL = 1_000, 100
_KNOWN = ("record", "who", "most")


class LedgerEntry(BaseModel):
    """One thing that was done; `record` and `person` are names that lead nowhere, the same in every report."""

    model_config = ConfigDict(extra="forbid")

    position: int
    at: str
    who: str
    what: str
    record: str | None
    person: str | None
    purpose: str | None
    request_id: str | None
    details: dict[str, Any]
    previous: str
    hash: str


class LedgerAnswer(BaseModel):
    """The latest entries, the newest first, and the end of the chain, to be kept elsewhere."""

    model_config = ConfigDict(extra="forbid")

    entries: list[LedgerEntry]
    seal: str


def entries(runtime: Runtime, incoming: Incoming) -> Reply:
    """The latest entries: all, or those of one record (KIND:ID) or of one key."""
    query = incoming.query
    if unknown := sorted(set(query) - set(_KNOWN)):
        raise Problem("bad-query", f"The ledger is asked by {', '.join(_KNOWN)}; there is no {unknown[0][:40]}.")
    ledger = runtime.guard.ledger
    found = ledger.entries(_record(query.get("record")), query.get("who"), _most(query.get("most")))
    return Reply(as_bytes({"entries": [e.as_dict() for e in found], "seal": str(ledger.seal())}))


def _record(given: str | None) -> Record | None:
    if given is None:
        return None
    kind, _, own = given.partition(":")
    if kind not in KINDS or not own:
        raise Problem("bad-query", f"record is KIND:ID, where KIND is one of {', '.join(KINDS)}.")
    return Record(kind, own)


def _most(given: str | None) -> int:
    if given is None:
        return USUAL
    if not (given.isascii() and given.isdigit() and len(given) < 6 and 1 <= int(given) <= MOST):
        raise Problem("bad-query", f"most is a whole number from 1 to {MOST:,}.")
    return int(given)
