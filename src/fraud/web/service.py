"""The BentoML service: workers, health and metrics around the application."""

from __future__ import annotations

import os

# Read when BentoML and MLflow are imported. Nobody's claims are anybody's telemetry.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import bentoml

from fraud.config import load_settings
from fraud.web.app import build_app
from fraud.web.runtime import open_runtime

__all__ = ["FraudService"]

app = build_app()


@bentoml.service(
    name="fraud",
    workers=1,
    # Beyond every limit of our own, so that a client gets our answer, and BentoML's only when all else fails.
    traffic={"timeout": 30},
    http={"host": "127.0.0.1", "port": 3000},
    # The addresses hold identifiers, which a log must not; counts and times are in the metrics.
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(app, path="/")
class FraudService:
    """Scores claims; the settings are those of `fraud.toml`."""

    def __init__(self) -> None:
        self.runtime = app.state.runtime = open_runtime(load_settings())

    def __is_ready__(self) -> bool:
        return self.runtime.ready()

    def __metrics__(self, figures: str) -> str:
        """The figures for Prometheus without the addresses that name somebody; ours count by call instead."""
        named = 'endpoint="/v1/'
        return "".join(line for line in figures.splitlines(keepends=True) if named not in line)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Close the store."""
        self.runtime.close()
