"""Runs, figures and the registry: the only place that knows MLflow.

The tracking server and the folder of artifacts are always given: left to itself, MLflow writes a database
into the working folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

# MLflow reads these when it is imported. Nobody's claims are anybody's telemetry.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

import numpy as np

with warnings.catch_warnings():
    # While it is imported, MLflow warns about its own types and about SQLAlchemy's future.
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

from fraud.errors import InputError, NotKnownError, nearest
from fraud.learning.dataset import Dataset
from fraud.learning.metrics import METRICS
from fraud.learning.model import FittedModel
from fraud.learning.report import TrainingReport

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

    from fraud.signals.catalogue import Catalogue

__all__ = ["Registered", "Run", "load_model", "record", "signature_of"]

_LIBRARIES = ("fraud", "lightgbm", "numpy", "pyarrow", "duckdb", "ibis-framework", "mlflow", "scikit-learn")
_EXAMPLE_ROWS = 3
_LONGEST_TAG = 5000


@dataclass(frozen=True, eq=False)
class Run:
    """What one training has to tell; `seconds` is the time of its steps so far."""

    model: FittedModel
    dataset: Dataset
    report: TrainingReport
    lock_file: Path | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Registered:
    """Where a training can be found again."""

    run_id: str
    version: int


def record(run: Run, *, tracking_uri: str, artifacts: Path) -> Registered:
    """Log a training, register its model and set its alias."""
    name = run.model.name
    with _tracking(tracking_uri):
        client = mlflow.MlflowClient()
        experiment = _experiment(client, name, artifacts)
        # A run of its own: inside `mlflow run`, start_run() would look for that command's run on this server.
        run_id = str(client.create_run(experiment, run_name=name).info.run_id)
        with mlflow.start_run(run_id=run_id):
            _log_settings(run)
            _log_metrics(client, run_id, run)
            _log_files(run)
            version = _register(client, run_id, name, _log_model(run))
            _describe(client, run, version)
        return Registered(run_id, version)


def _hush() -> None:
    """Keep MLflow's and Alembic's notes off the terminal; they would garble the progress bars."""
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)


@contextmanager
def _tracking(uri: str) -> Iterator[None]:
    """Work with this server, and leave MLflow's global settings as they were."""
    before, registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    _hush()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with warnings.catch_warnings():
            # What MLflow does with pandas and SQLAlchemy is nothing that our callers could mend.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        mlflow.set_tracking_uri(before)
        mlflow.set_registry_uri(registry)


def _experiment(client: MlflowClient, name: str, artifacts: Path) -> str:
    """Id of the experiment of that name, made when it is new."""
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    artifacts.mkdir(parents=True, exist_ok=True)
    return str(client.create_experiment(name, artifact_location=(artifacts.resolve() / name).as_uri()))


def _log_settings(run: Run) -> None:
    spec, counts = run.model.spec, run.report.counts
    plain = spec.as_dict()
    mlflow.log_params(_flat({k: plain[k] for k in ("seed", "window_days", "parameters", "split", "capacity")}))
    mlflow.log_params({"entity": spec.entity, **{f"count.{k}": v for k, v in counts.items()}})
    mlflow.set_tags(
        {
            "model_digest": run.model.digest,
            "data_digest": run.model.data_digest,
            "catalogue_digest": run.model.catalogue_digest,
            "lock_digest": _digest(run.lock_file),
            "as_of": run.model.as_of,
            "alias": run.report.promotion.alias,
            "reasons": "; ".join(run.report.promotion.reasons)[:_LONGEST_TAG],
            "skipped": ", ".join(run.model.skipped)[:_LONGEST_TAG],
            "python": platform.python_version(),
        }
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _digest(path: Path | None) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" if path else "none"


def _log_metrics(client: MlflowClient, run_id: str, run: Run) -> None:
    """The means, and every fold as a step of `fold.<contender>.<metric>`."""
    from mlflow.entities import Metric

    means = {k: v for k, v in run.report.evaluation.summary.items() if np.isfinite(v)}
    times = {f"seconds.{k}": v for k, v in run.seconds.items()}
    steps: dict[str, int] = {}
    metrics = [Metric(k, v, 0, 0) for k, v in (means | times).items()]
    for fold in run.report.evaluation.folds:
        for metric in METRICS:
            key = f"fold.{fold['contender']}.{metric}"
            steps[key] = steps.get(key, -1) + 1
            if np.isfinite(fold[metric]):
                metrics.append(Metric(key, fold[metric], 0, steps[key]))
    for start in range(0, len(metrics), 1000):  # the most that one call takes
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


def _log_files(run: Run) -> None:
    """The report in three forms, the figures, the folds, and the environment."""
    from fraud.learning.plots import figures

    drawn = figures(run.report)
    texts = {
        "report.json": json.dumps(run.report.as_dict(), indent=1, ensure_ascii=False, default=float),
        "report.md": run.report.to_markdown(),
        "report.html": run.report.to_html(drawn.values()),
        "folds.json": json.dumps(run.report.evaluation.folds, default=float),
        "spec.json": json.dumps(run.model.spec.as_dict(), indent=1, ensure_ascii=False),
        "skipped.json": json.dumps(run.model.skipped, indent=1, ensure_ascii=False),
        "environment.json": json.dumps(_environment(), indent=1),
        **{f"figures/{n}.svg": svg for n, svg in drawn.items()},
        **({"requirements.lock": run.lock_file.read_text("utf-8")} if run.lock_file else {}),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        mlflow.log_artifacts(folder)


def _environment() -> dict[str, str]:
    return {"python": platform.python_version(), "machine": platform.machine()} | {n: version_of(n) for n in _LIBRARIES}


def _log_model(run: Run) -> Any:
    pinned = [f"{n}=={v}" for n, v in _environment().items() if n not in ("python", "machine")]
    with tempfile.TemporaryDirectory() as folder:
        return mlflow.pyfunc.log_model(
            name="model",
            loader_module="fraud.learning.pyfunc",
            data_path=str(run.model.save(Path(folder, "fitted"))),
            signature=signature_of(run.model),
            input_example=_example(run),
            pip_requirements=pinned,
        )


def _register(client: MlflowClient, run_id: str, name: str, info: Any) -> int:
    """Version number of the logged model in the registry, which has a name for each spec."""
    with suppress(MlflowException):
        client.create_registered_model(name)
    made = client.create_model_version(name, source=info.model_uri, run_id=run_id, model_id=info.model_id)
    return int(made.version)


def signature_of(model: FittedModel) -> ModelSignature:
    """Every feature in and both figures out, all as float64.

    It is written out: inferred from rows, MLflow leaves it empty without a word when a column of whole
    numbers has gaps.
    """
    inputs = Schema([ColSpec(DataType.double, n) for n in model.names])
    outputs = Schema([ColSpec(DataType.double, n) for n in ("probability", "margin")])
    return ModelSignature(inputs=inputs, outputs=outputs)


def _example(run: Run) -> pd.DataFrame:
    """A few rows of features, without any id."""
    import pandas as pd

    return pd.DataFrame(run.dataset.values[:_EXAMPLE_ROWS], columns=list(run.model.names), dtype="float64")


def _describe(client: MlflowClient, run: Run, version: int) -> None:
    """Tags of the version and its alias; a challenger never takes the champion's place."""
    name, promotion = run.model.name, run.report.promotion
    tags = {"model_digest": run.model.digest, "data_digest": run.model.data_digest}
    tags |= {"catalogue_digest": run.model.catalogue_digest, "reasons": "; ".join(promotion.reasons)[:_LONGEST_TAG]}
    for key, value in tags.items():
        client.set_model_version_tag(name, str(version), key, value)
    client.set_registered_model_alias(name, promotion.alias, str(version))


def load_model(
    name: str, alias_or_version: str | int, tracking_uri: str, catalogue: Catalogue | None = None
) -> FittedModel:
    """A registered model by alias (`champion`) or version number; with a catalogue, checked against it.

    Raises:
        NotKnownError: there is no such model, alias or version.
        CatalogueError: the model was fitted on other signals than the catalogue's.
    """
    _hush()
    client = mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    found = _version(client, name, str(alias_or_version))
    folder = _folder(client, found)
    model = FittedModel.load(folder, catalogue)
    alias = None if str(alias_or_version).isdecimal() else str(alias_or_version)
    return replace(model, version=int(found.version), alias=alias, run_id=str(found.run_id))


def _version(client: MlflowClient, name: str, wanted: str) -> Any:
    try:
        if wanted.isdecimal():
            return client.get_model_version(name, wanted)
        return client.get_model_version_by_alias(name, wanted)
    except MlflowException:
        raise NotKnownError(_not_found(client, name, wanted)) from None


def _not_found(client: MlflowClient, name: str, wanted: str) -> str:
    models = {m.name: m for m in client.search_registered_models()}
    if name not in models:
        listed = ", ".join(sorted(models)) or "none"
        return f"no registered model {name!r}{nearest(name, models)}. Registered: {listed}. See: fraud train {name}"
    aliases = ", ".join(f"{a} (version {v})" for a, v in sorted(models[name].aliases.items())) or "none"
    hint = " Its gates did not hold yet; `fraud train` says which." if wanted == "champion" else ""
    return f"{name} has no version or alias {wanted!r}. Aliases: {aliases}.{hint}"


def _folder(client: MlflowClient, found: Any) -> Path:
    """The folder of the model's own files, fetched when they are not on this machine."""
    uri = client.get_model_version_download_uri(found.name, found.version)
    local = mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/data/fitted", tracking_uri=client.tracking_uri)
    if not Path(local).is_dir():
        raise InputError(f"{found.name} version {found.version}: its files are gone from {uri}.")
    return Path(local)
