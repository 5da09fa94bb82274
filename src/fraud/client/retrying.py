"""When a request is sent again, and how long to wait before that."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import TYPE_CHECKING

from fraud.client.problems import FraudUnreachable, problem_of

if TYPE_CHECKING:
    import httpx

__all__ = ["Retrying", "Trial"]

# Busy, not there yet, or a gateway in between that says so. Of conflicts only the one that passes is tried again.
_PASSING = frozenset({429, 502, 503, 504})
_STILL_RUNNING = "still-running"


@dataclass(frozen=True)
class Retrying:
    """How patient a client is: `deadline` seconds for a call with all its trials, waits from `first` to `longest`.

    Each wait is drawn between nothing and twice the one before, so that many clients do not come back at once; where
    the service says `Retry-After`, that is the least.
    """

    deadline: float = 30.0
    first: float = 0.1
    longest: float = 5.0
    draw: Callable[[], float] = field(default=random.random, repr=False)

    def wait(self, trial: int, asked: float | None) -> float:
        """Seconds to wait after that many trials."""
        most = min(self.longest, self.first * 2.0 ** min(trial - 1, 30))
        return (asked or 0.0) + most * (0.5 + 0.5 * self.draw())


@dataclass
class Trial:
    """One call from its first sending to its answer."""

    retrying: Retrying
    clock: Callable[[], float] = monotonic
    count: int = 0
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = self.clock() + self.retrying.deadline

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return max(self._until - self.clock(), 0.0)

    def after_error(self, error: httpx.TransportError) -> float:
        """Seconds to wait after nobody answered; raises `FraudUnreachable` when there is no time for that."""
        wait = self._wait(None)
        if wait is None:
            trials = "one trial" if self.count == 1 else f"{self.count} trials"
            kind = type(error).__name__
            seconds = f"{self.retrying.deadline:g}"
            raise FraudUnreachable(f"No answer within {seconds} seconds and {trials}: {kind}.") from error
        return wait

    def after_answer(self, response: httpx.Response) -> float | None:
        """Seconds to wait before it is sent again; None when this is the answer."""
        if not _passes(response):
            return None
        return self._wait(_retry_after(response))

    def _wait(self, asked: float | None) -> float | None:
        self.count += 1
        wait = self.retrying.wait(self.count, asked)
        return wait if wait < self.left else None


def _passes(response: httpx.Response) -> bool:
    if response.status_code in _PASSING:
        return True
    return response.status_code == 409 and problem_of(response).code == _STILL_RUNNING


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the service asks for, given as a number or as a moment."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
