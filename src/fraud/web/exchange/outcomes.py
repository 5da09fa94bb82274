"""What investigations found, told by whoever investigated: the only source of labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fraud.web.bodies.answers import as_bytes
from fraud.web.bodies.faults import checked
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.reading import parsed
from fraud.web.bodies.shapes import OutcomesBody
from fraud.web.running.runtime import Runtime

__all__ = ["OutcomeStatus", "OutcomesAnswer", "add_outcomes"]


class OutcomeStatus(BaseModel):
    """What became of one outcome.

    `different` says that its key is there with other figures, which stay: what was found is never changed, a
    correction is a new outcome with its own `decided_at`.
    """

    model_config = ConfigDict(extra="forbid")

    entity: Literal["claim", "patient", "provider", "physician"]
    entity_id: str
    status: Literal["added", "unchanged", "different"]


class OutcomesAnswer(BaseModel):
    """What became of the outcomes, in the order in which they came."""

    model_config = ConfigDict(extra="forbid")

    outcomes: list[OutcomeStatus]
    counts: dict[str, int]


def add_outcomes(runtime: Runtime, incoming: Incoming) -> Reply:
    """Add one outcome, or a list of them in `outcomes`; sent again they change nothing."""
    read = _read(parsed(incoming.body))
    rows = [vars(o) for o in read.outcomes]
    became = runtime.store.add_outcomes(rows)
    told = [
        {"entity": r["entity"], "entity_id": r["entity_id"], "status": b} for r, b in zip(rows, became, strict=True)
    ]
    return Reply(as_bytes({"outcomes": told, "counts": dict(Counter(became))}))


def _read(body: Any) -> OutcomesBody:
    """A single outcome is a list of one, and its faults are named as what it is."""
    if not isinstance(body, dict) or "outcomes" in body or not body:
        return checked(OutcomesBody, body)
    try:
        return checked(OutcomesBody, {"outcomes": [body]})
    except Problem as problem:
        faults = [replace(f, where=f.where.removeprefix("/outcomes/0")) for f in problem.faults]
        raise Problem(problem.name, problem.detail, faults) from None
