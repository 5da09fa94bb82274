"""The way in: how many requests may be inside, which threads do the work, and how long it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from time import monotonic
from typing import TypeVar

from fraud.web.bodies.problems import Problem
from fraud.web.running.colleagues import Colleagues
from fraud.web.telemetry import metrics

__all__ = ["Door"]

_T = TypeVar("_T")
_TOLD_SECONDS = 0.1
# Whoever is shed hears of it after so many seconds: one that tries again at once, whatever `Retry-After` says, would
# take the time from those inside. So many are kept waiting at most.
_AWAY_SECONDS, _MOST_AWAY = 0.5, 1_000


class Door:
    """Lets at most `most` requests in and sheds the others within a moment, so that none hangs.

    `threads` do the work, so that the event loop stays free; `seconds` bound the work and the arrival of a
    body alike. `colleagues` are the other workers, where there are any.
    """

    def __init__(self, most: int = 64, threads: int = 4, seconds: float = 8.0) -> None:
        self.most = most
        self.seconds = seconds
        self.inside = self._turned_away = 0
        self.colleagues: Colleagues | None = None
        self._moved_at = self._told_at = monotonic()
        self.pool = ThreadPoolExecutor(threads, "fraud-call")

    def start(self, work: Callable[[], _T]) -> Future[_T]:
        """Work in one of the threads, to be handed to `through`."""
        # In the request's context: lines of the log say which request they are about.
        return self.pool.submit(copy_context().run, work)

    async def through(
        self,
        arrive: Callable[[], Awaitable[bytes]],
        begin: Callable[[bytes], Future[_T] | asyncio.Future[_T]],
        seconds: float | None = None,
    ) -> _T:
        """What comes of the work that `begin` starts on the body that `arrive` brings, within the seconds."""
        if self.inside >= self.most:
            await self._away()
            raise Problem("overloaded", "More requests came than can be answered. Try again in a second.")
        self._move(+1)
        try:
            async with asyncio.timeout(self.seconds):
                body = await arrive()
            working = begin(body)
        except TimeoutError:
            self._move(-1)
            raise Problem("slow-body", "The body did not arrive in time.", headers={"Connection": "close"}) from None
        except BaseException:
            self._move(-1)
            raise
        return await self._ended(working, seconds or self.seconds)

    async def _away(self) -> None:
        if self._turned_away < _MOST_AWAY:
            self._turned_away += 1
            try:
                await asyncio.sleep(_AWAY_SECONDS)
            finally:
                self._turned_away -= 1

    async def _ended(self, working: Future[_T] | asyncio.Future[_T], seconds: float) -> _T:
        future = asyncio.wrap_future(working)
        # A request that is given up stays inside until its thread is done.
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(future)
        except TimeoutError:
            # What has not begun by now never will.
            working.cancel()
            raise Problem("too-slow", f"There was no answer within {seconds:g} seconds.") from None

    def _leave(self, future: asyncio.Future[_T]) -> None:
        self._move(-1)
        if not future.cancelled():
            # Of a request that was given up nobody asks how it ended.
            future.exception()

    def quiet(self, seconds: float) -> bool:
        """Whether nobody is inside, or came or left in the last seconds, here or with a colleague."""
        if self.colleagues is not None:
            return self.colleagues.quiet(seconds)
        return not self.inside and monotonic() - self._moved_at >= seconds

    def sends_on(self) -> bool:
        """Whether whoever gets an answer now is to connect anew, and so to come to another worker."""
        return self.colleagues is not None and self.colleagues.sends_on()

    def _move(self, by: int) -> None:
        self.inside += by
        if self.colleagues is not None:
            self.colleagues.tell(self.inside)
        self._moved_at = monotonic()
        # Of a crowd, ten looks a second are enough: each writes to a file that is shared with whoever reads them.
        if self.inside <= 1 or self._moved_at - self._told_at >= _TOLD_SECONDS:
            self._told_at = self._moved_at
            metrics.in_flight().set(self.inside)

    def close(self) -> None:
        """Wait for work that is under way."""
        self.pool.shutdown(wait=True)
