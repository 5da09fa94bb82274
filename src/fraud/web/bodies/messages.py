"""A request and an answer, as calls see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fraud.web.access.guard import OPEN, Caller
from fraud.web.telemetry.traces import Trace, current

__all__ = ["Incoming", "Reply"]


@dataclass(frozen=True)
class Incoming:
    """A request as a call sees it; header names are in lower case."""

    request_id: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    caller: Caller = OPEN
    trace: Trace | None = field(default_factory=current)


@dataclass(frozen=True)
class Reply:
    """An answer."""

    body: bytes
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
