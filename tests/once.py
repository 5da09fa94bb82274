"""What all workers of a test run share: made by the first that asks, while the others wait."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def once(folders: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` that `make` fills, once in a run; tests read it and leave it as it is.

    If making fails, the next that asks starts anew.
    """
    home = _of_the_run(folders) / "once" / name
    home.mkdir(parents=True, exist_ok=True)
    made = home / "made"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            attempt = home / f"attempt-{len(list(home.iterdir()))}"
            attempt.mkdir()
            make(attempt)
            made.symlink_to(attempt.name)
    return made.resolve()


def _of_the_run(folders: pytest.TempPathFactory) -> Path:
    """The folder of this run: each worker of pytest-xdist has one of its own within it."""
    own = folders.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
