"""Starting the service as `fraud serve` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from fraud.config import Settings

__all__ = ["LISTENS_ON", "WORKERS", "command", "cores", "environment", "run"]

# Says in the environment how many worker processes the server starts.
WORKERS = "FRAUD_WORKERS"
# Says on which address: whoever is reached over a network asks everybody for a key.
LISTENS_ON = "FRAUD_LISTENS_ON"
SERVICE = "fraud.web.service:FraudService"


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(host: str, port: int, settings: Settings, workers: int | None = None) -> int:
    """Become the server: this process is replaced, so that signals reach it."""
    settings.var.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    line = command(host, port)
    os.execve(line[0], line, {**os.environ, **environment(port, settings, workers or cores()), LISTENS_ON: host})


def command(host: str, port: int) -> list[str]:
    """The command line of the server."""
    return [sys.executable, "-m", "bentoml", "serve", SERVICE, "--host", host, "--port", str(port)]


def environment(port: int, settings: Settings, workers: int = 1) -> Mapping[str, str]:
    """What the server's workers must know: the settings in force, and where files of the server go."""
    return {
        WORKERS: str(workers),
        "FRAUD_HOME": str(settings.home),
        "FRAUD_DATABASE_URL": settings.database_url,
        "FRAUD_TRACKING_URI": settings.tracking_uri,
        # By port: servers would empty each other's folder of metrics.
        "BENTOML_HOME": str(settings.var / "bentoml" / str(port)),
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
