"""Reading what was known before claims, within a time limit: a slow database must not silence the rules."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from fraud.scoring.shapes import History, Row, Wanted
from fraud.store import Store, StoreBusyError
from fraud.web.telemetry import metrics

__all__ = ["HistoryReader"]

log = logging.getLogger("fraud.web")


class HistoryReader:
    """Reads histories in threads of its own, so that whoever waits can stop waiting.

    `seconds` is what one reading may take. While all `threads` are held up by the database nobody waits at all.
    """

    def __init__(self, seconds: float = 2.0, threads: int = 4) -> None:
        self.seconds = seconds
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "fraud-history")
        self._busy = 0
        self._lock = threading.Lock()

    def read(self, store: Store, claims: Sequence[Row], wanted: Wanted, model: str) -> list[History] | None:
        """What was known before each claim; None when it could not be had in time."""
        with self._lock:
            if self._busy >= self._threads:
                return None
            self._busy += 1
        future = self._pool.submit(_read, store, claims, wanted, model)
        future.add_done_callback(self._free)
        try:
            return future.result(self.seconds)
        except TimeoutError:
            metrics.store_errors().labels("history").inc()
            log.warning("the history of %d claims was not read within %g seconds", len(claims), self.seconds)
        except StoreBusyError as error:
            metrics.store_errors().labels("history").inc()
            log.warning("the history of %d claims cannot be read: %s", len(claims), error.message)
        return None

    def _free(self, _: Future[list[History]]) -> None:
        with self._lock:
            self._busy -= 1

    def close(self) -> None:
        """Let go of the threads; one that the database holds up is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _read(store: Store, claims: Sequence[Row], wanted: Wanted, model: str) -> list[History]:
    if len(claims) == 1:
        return [store.history(claims[0], wanted, model)]
    return store.histories(claims, wanted, model)
