"""Workers do not outlive the process that started them: it would never get its port back."""

from __future__ import annotations

import os
import signal
import threading

__all__ = ["follow"]

# Between two looks, in seconds.
_LOOK = 0.5


def follow(supervisor: int) -> threading.Event:
    """End this process, as a signal to stop would, when the one with this number is no longer its parent.

    Setting the event that is returned ends the watch.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK):
            if os.getppid() != supervisor:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=watch, name="fraud-orphan", daemon=True).start()
    return ended
