"""Requests that wait are taken together: one query, one prediction and one commit serve all of them.

A request that comes alone is worked on at once. While work is under way others gather, and when the worker is free
again it takes all that are there. Whoever was answered together with others may be back in a moment: the next batch
waits for as many as are expected, a short while. Without that every other batch would be of those few who came back
first, and the rest would wait for them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import groupby
from time import perf_counter
from typing import Any, Generic, TypeVar

from fraud.web.telemetry import metrics

__all__ = ["Batcher"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
# Share of the time that a batch took for which those who got their answers with it are waited for, and seconds at most.
_PATIENCE, _MOST_PATIENCE = 0.25, 0.02


class _Waiting(asyncio.Future[_Result], Generic[_Item, _Result]):
    """A result to come; whoever waits may give up until the item is worked on."""

    def __init__(self, item: _Item) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.item = item
        self.taken = False

    def cancel(self, msg: Any | None = None) -> bool:
        return not self.taken and super().cancel(msg)


class Batcher(Generic[_Item, _Result]):
    """Works on items in batches of at most `most`; each gets its result, or the error that is given for it.

    A batch is computed while `turn` is held, and recorded after that. `compute` makes of the items whatever `record`
    turns into one result or exception for each, in order. An item that is cancelled while it waits is left out.
    One batch at a time: two that take turns would each be half as large, and cost more than the disk makes them wait.
    """

    def __init__(
        self,
        pool: Executor,
        turn: Callable[[], Any],
        compute: Callable[[Sequence[_Item]], Any],
        record: Callable[[Any], Sequence[_Result | Exception]],
        most: int = 64,
    ) -> None:
        self._pool, self._turn, self._most = pool, turn, most
        self._compute, self._record = compute, record
        self._queue: deque[_Waiting[_Item, _Result]] = deque()
        self._lock = threading.Lock()
        self._enough = threading.Condition(self._lock)
        self._expected = 0
        self._works = False

    def submit(self, item: _Item) -> asyncio.Future[_Result]:
        """The item's result, once its batch is recorded; runs in an event loop."""
        waiting: _Waiting[_Item, _Result] = _Waiting(item)
        with self._lock:
            self._queue.append(waiting)
            metrics.waiting().set(len(self._queue))
            begins, self._works = not self._works, True
            if len(self._queue) == self._expected:
                self._enough.notify()
        if begins:
            self._pool.submit(self._work)
        return waiting

    def _work(self) -> None:
        patience, answered = 0.0, 0
        while taken := self._take(answered, patience):
            started = perf_counter()
            results = zip(taken, self._results([w.item for w in taken]), strict=True)
            # One call for the batch: each wakes the loop, which then wants the interpreter from this thread.
            for loop, own in groupby(results, lambda pair: pair[0].get_loop()):
                # In a loop that has ended nobody waits any more.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_hand_out, list(own))
            answered = len(taken)
            patience = min(_PATIENCE * (perf_counter() - started), _MOST_PATIENCE) if answered > 1 else 0.0

    def _results(self, items: Sequence[_Item]) -> Sequence[_Result | Exception]:
        try:
            with self._turn():
                made = self._compute(items)
            return self._record(made)
        except Exception as error:
            return [error] * len(items)

    def _take(self, answered: int, patience: float) -> list[_Waiting[_Item, _Result]]:
        """All that wait; when there are none, the work has ended.

        Whoever was answered a moment ago may come again: they are waited for, but no longer than `patience` seconds.
        """
        with self._lock:
            if patience:
                self._expected = min(len(self._queue) + answered, self._most)
                self._enough.wait_for(lambda: len(self._queue) >= self._expected, patience)
                self._expected = 0
            taken: list[_Waiting[_Item, _Result]] = []
            while self._queue and len(taken) < self._most:
                waiting = self._queue.popleft()
                waiting.taken = True
                # Whoever gave up meanwhile is not worked for.
                if not waiting.cancelled():
                    taken.append(waiting)
            metrics.waiting().set(len(self._queue))
            self._works = bool(taken)
            return taken


def _hand_out(results: Sequence[tuple[_Waiting[Any, _Result], _Result | Exception]]) -> None:
    """Each result to whoever waits for it; runs in the event loop."""
    for waiting, result in results:
        if waiting.done():
            # Given up in the very moment in which it was taken.
            continue
        if isinstance(result, Exception):
            waiting.set_exception(result)
        else:
            waiting.set_result(result)
