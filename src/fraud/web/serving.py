"""Starting the service as `fraud serve` does: BentoML's workers, watched by a process that does nothing else.

`bentoml serve` loads the whole application to learn how many workers to start, and looks every ten seconds whether
they live. Here the same workers are started at once, and one that ends is replaced within a second.
"""

from __future__ import annotations

import json
import logging.config
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud.config import Settings, cores
from fraud.web.running.port import is_served, reserved

if TYPE_CHECKING:
    from circus.arbiter import Arbiter
__all__ = ["COLLEAGUES", "LISTENS_ON", "SUPERVISOR", "WORKERS", "environment", "run"]

# Says in the environment how many worker processes the server starts.
WORKERS = "FRAUD_WORKERS"
# Says in which file they tell each other how much they have to do.
COLLEAGUES = "FRAUD_COLLEAGUES"
# Says on which address: whoever is reached over a network asks everybody for a key.
LISTENS_ON = "FRAUD_LISTENS_ON"
# Says which process started the workers: they end when it is gone.
SUPERVISOR = "FRAUD_SUPERVISOR"
SERVICE = "fraud.web.service:FraudService"
_WORKER = "fraud.web.running.worker"
# Connections that wait to be accepted, as BentoML has it.
_BACKLOG = 2048
# Seconds between two looks whether all workers live.
_LOOK = 0.5
# Seconds that the first worker gets to be ready: the machine is its own until then. Between two looks whether it is.
_HEAD_START, _GLANCE = 15.0, 0.1
# Seconds that requests which have begun get when the service is stopped: beyond every limit of the calls.
_GRACE = 35.0
# Workers that end by themselves so many times in a row, each within `_SOON` seconds, will not live on the next try.
_MOST_FAILURES, _SOON = 6, 60.0


def run(
    host: str,
    port: int,
    settings: Settings,
    workers: int | None = None,
    begun: Callable[[], None] | None = None,
    arguments: Mapping[str, str] | None = None,
) -> int:
    """Serve until a signal ends it; the exit code. `begun` is called while the workers start.

    `arguments` are further ones of BentoML's worker.

    Raises:
        InputError: the address cannot be listened on.
    """
    from circus.arbiter import Arbiter

    from fraud.web.telemetry.logs import line_settings

    logging.config.dictConfig(line_settings())
    settings.var.mkdir(parents=True, exist_ok=True)
    workers = workers or cores()
    env = {**environment(port, settings, workers), LISTENS_ON: host, SUPERVISOR: str(os.getpid())}
    failures = _Failures()
    # How the arbiter is spoken to: by whoever may read this folder, not by whoever reaches a port.
    with reserved(host, port), tempfile.TemporaryDirectory(prefix="fraud-serve-") as folder:
        _emptied(Path(env["PROMETHEUS_MULTIPROC_DIR"]))
        # Numbers of processes that are gone may be those of others by now.
        Path(env[COLLEAGUES]).unlink(missing_ok=True)
        ends = {"endpoint": f"ipc://{folder}/control", "pubsub_endpoint": f"ipc://{folder}/events"}
        own = {"--worker-id": "$(CIRCUS.WID)", "--backlog": str(_BACKLOG), **(arguments or {})}
        watcher = _watcher([host, str(port), SERVICE, *chain.from_iterable(own.items())], env, failures)
        arbiter = Arbiter([watcher], check_delay=_LOOK, **ends)
        failures.arbiter = arbiter

        until = time.monotonic() + _HEAD_START

        def others() -> None:
            if is_served(host, port) or time.monotonic() > until:
                watcher.set_numprocesses(workers)
            else:
                arbiter.loop.call_later(_GLANCE, others)

        def started(_: object) -> None:
            others()
            if begun is not None:
                threading.Thread(target=begun, daemon=True).start()

        arbiter.start(started)
    return 1 if failures.too_many else 0


def environment(port: int, settings: Settings, workers: int = 1) -> Mapping[str, str]:
    """What the server's workers must know: the settings in force, and where files of the server go."""
    # By port: servers would empty each other's folder of metrics.
    home = settings.var / "bentoml" / str(port)
    return {
        WORKERS: str(workers),
        "FRAUD_HOME": str(settings.home),
        "FRAUD_DATABASE_URL": settings.database_url,
        "FRAUD_TRACKING_URI": settings.tracking_uri,
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PROMETHEUS_MULTIPROC_DIR": str(home / "metrics"),
        COLLEAGUES: str(home / "colleagues"),
    }


class _Failures:
    """Counts workers that end by themselves as soon as they start, and stops the service that cannot live."""

    def __init__(self) -> None:
        self.arbiter: Arbiter | None = None
        self._times: list[float] = []

    @property
    def too_many(self) -> bool:
        """Whether no further try is worth it."""
        return len(self._times) >= _MOST_FAILURES

    def seen(self, exit_code: int) -> bool:
        """Count a worker that ended; a signal from outside is nobody's fault."""
        if exit_code > 0:
            now = time.monotonic()
            self._times = [t for t in self._times if now - t < _SOON] + [now]
            if len(self._times) == _MOST_FAILURES and self.arbiter is not None:
                self._stop(self.arbiter)
        return True

    def _stop(self, arbiter: Arbiter) -> None:
        from circus.exc import ConflictError

        try:
            arbiter.stop()
        except ConflictError:
            # It is at work on what we were called for; nothing may come between.
            arbiter.loop.call_later(_LOOK, self._stop, arbiter)


def _watcher(arguments: Sequence[str], env: Mapping[str, str], failures: _Failures) -> Any:
    from circus.watcher import Watcher

    def after_reap(watcher: object, arbiter: object, hook_name: str, **found: Any) -> bool:
        return failures.seen(found.get("exit_code") or 0)

    return Watcher(
        name="workers",
        cmd=sys.executable,
        args=["-m", _WORKER, *arguments],
        numprocesses=1,
        copy_env=True,
        env={"BENTOML_RUNNER_MAP": json.dumps({}), **env},
        stop_children=True,
        graceful_timeout=_GRACE,
        hooks={"after_reap": (after_reap, True)},
    )


def _emptied(folder: Path) -> None:
    """Figures of workers that are gone would be counted on."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
