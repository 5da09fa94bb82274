"""A service of two rules: in the test's own process, or listening on a port of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Store
from fraud.web.running.runtime import Models, Runtime
from tests.web.room import write_room

HOST = "127.0.0.1"
NOW = datetime(2024, 4, 1, 12, 0, 0, 123456)


def small_catalogue(folder: Path) -> Catalogue:
    """More than three lines, and more than two earlier claims, are findings."""
    return load_catalogue(write_room(folder) / "features")


def runtime_on(store: Store, catalogue: Catalogue, scorer: ClaimScorer) -> Runtime:
    """A runtime without a model, whose clock stands still."""
    return Runtime(store, catalogue, scorer, Models(), now=lambda: NOW)


@contextmanager
def listening(app: Starlette) -> Iterator[str]:
    """The address of the application while it is served over HTTP."""
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 60
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        assert server.started
        yield f"http://{HOST}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
