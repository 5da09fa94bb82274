"""The BentoML service: workers, health and metrics around the application."""

from __future__ import annotations

import logging.config
import os
from pathlib import Path

# Read when BentoML and MLflow are imported. Nobody's claims are anybody's telemetry.
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import bentoml
from bentoml._internal.log import SERVER_LOGGING_CONFIG

from fraud.config import cores, load_settings
from fraud.web.running.lean import without

# LightGBM and PyArrow import them where they find them, for what scoring does not use: a second of every start.
with without("sklearn", "pandas", "dask", "matplotlib"):
    import pyarrow

    import fraud.learning.fitting  # noqa: F401

    # It looks once whether there is Pandas; whoever asks it for a data frame later still gets one.
    pyarrow.array([])

from fraud.web.app import build_app
from fraud.web.exchange.audit_settings import load_audit_settings
from fraud.web.running import orphans
from fraud.web.running.colleagues import Colleagues
from fraud.web.running.keeping import Keeper
from fraud.web.running.runtime import open_runtime
from fraud.web.serving import COLLEAGUES, SUPERVISOR, WORKERS
from fraud.web.telemetry.exposition import build_exposition
from fraud.web.telemetry.logs import line_settings
from fraud.web.telemetry.traces import open_traces

__all__ = ["FraudService"]

# The server sets its lines up anew when it starts its workers: from the same settings as ours.
SERVER_LOGGING_CONFIG.clear()
SERVER_LOGGING_CONFIG.update(line_settings())
logging.config.dictConfig(SERVER_LOGGING_CONFIG)

# Without a request for so long, there is time for what nobody waits for.
QUIET_SECONDS = 2.0

_settings = load_settings()
app = build_app(audit=load_audit_settings(_settings.serving, _settings.pseudonym_key))


@bentoml.service(
    name="fraud",
    workers=int(os.environ.get(WORKERS) or cores()),
    # Beyond every limit of our own, so that a client gets our answer, and BentoML's only when all else fails.
    traffic={"timeout": 30},
    http={"host": "127.0.0.1", "port": 3000},
    # The addresses hold identifiers, which a log must not; counts and times are in the metrics.
    logging={"access": {"enabled": False}},
    # Counted by address too, for as long as the process lives; ours are counted by call.
    metrics={"enabled": False},
    # Its spans are on whether somebody collects them or not, and cost as much as a prediction; ours are `traces`.
    tracing={"excluded_urls": ".*"},
)
@bentoml.asgi_app(app, path="/")
# Nearest to the class, so that it is asked first.
@bentoml.asgi_app(build_exposition(_settings.var), path="/")
class FraudService:
    """Scores claims; the settings are those of `fraud.toml`."""

    def __init__(self) -> None:
        if supervisor := os.environ.get(SUPERVISOR):
            orphans.follow(int(supervisor))
        settings = load_settings()
        app.state.traces = open_traces(settings.service.get("traces"))
        self.runtime = app.state.runtime = open_runtime(settings)
        app.state.door.colleagues = Colleagues(Path(table)) if (table := os.environ.get(COLLEAGUES)) else None
        self._keeper = Keeper(self.runtime, lambda: app.state.door.quiet(QUIET_SECONDS))

    def __is_ready__(self) -> bool:
        return self.runtime.ready()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """End what works by itself, close the store, and send what is left of traces."""
        self._keeper.close()
        if app.state.door.colleagues is not None:
            app.state.door.colleagues.leave()
        self.runtime.close()
        if app.state.traces is not None:
            app.state.traces.close()
