"""The way in: how many requests may be inside, which threads do the work, and how long it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fraud.web import metrics
from fraud.web.problems import Problem

__all__ = ["Door"]

_T = TypeVar("_T")


class Door:
    """Lets at most `most` requests in and sheds the others at once, so that none hangs.

    `threads` do the work, so that the event loop stays free; `seconds` bound the work and the arrival of a
    body alike.
    """

    def __init__(self, most: int = 64, threads: int = 4, seconds: float = 8.0) -> None:
        self.most = most
        self.seconds = seconds
        self.inside = 0
        self._pool = ThreadPoolExecutor(threads, "fraud-call")

    async def through(self, arrive: Callable[[], Awaitable[bytes]], work: Callable[[bytes], _T]) -> _T:
        """What `work` makes of the body that `arrive` brings."""
        if self.inside >= self.most:
            raise Problem("overloaded", "More requests came than can be answered. Try again in a second.")
        self._move(+1)
        try:
            body = await asyncio.wait_for(arrive(), self.seconds)
        except TimeoutError:
            self._move(-1)
            raise Problem("slow-body", "The body did not arrive in time.", headers={"Connection": "close"}) from None
        except BaseException:
            self._move(-1)
            raise
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, body)
        # A request that is given up stays inside until its thread is done.
        future.add_done_callback(lambda _: self._move(-1))
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.seconds)
        except TimeoutError:
            raise Problem("too-slow", f"There was no answer within {self.seconds:.0f} seconds.") from None

    def _move(self, by: int) -> None:
        self.inside += by
        metrics.in_flight().inc(by)

    def close(self) -> None:
        """Wait for work that is under way."""
        self._pool.shutdown(wait=True)
