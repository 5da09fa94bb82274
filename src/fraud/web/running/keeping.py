"""Drawing up the explanations of new cases while nobody waits for an answer.

An explanation is kept as of its decision, so that a report is the same years later. Drawing one up takes a quarter of
a second of a core, which no request is to wait for: it is done when none came for a while, one at a time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from fraud.web.calls.explained import keep_missing
from fraud.web.running.runtime import Runtime

__all__ = ["Keeper"]

log = logging.getLogger("fraud.web")
# Between two looks while there is nothing to do, and after a failure.
_SECONDS, _AFTER_FAILURE = 5.0, 300.0


class Keeper:
    """Keeps what is missing in a thread of its own; `quiet` says whether nobody waits."""

    def __init__(self, runtime: Runtime, quiet: Callable[[], bool], seconds: float = _SECONDS) -> None:
        self._runtime, self._quiet, self._seconds = runtime, quiet, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="fraud-keep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join(timeout=30)

    def _work(self) -> None:
        pause = self._seconds
        while not self._ended.wait(pause):
            try:
                kept = self._quiet() and keep_missing(self._runtime, most=1)
                pause = 0.0 if kept else self._seconds
            except Exception as error:
                # A report that is asked for draws its explanation up itself, or says why it cannot.
                log.warning("an explanation could not be kept: %s", type(error).__name__)
                pause = _AFTER_FAILURE
