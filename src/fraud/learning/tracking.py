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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

# MLflow reads these when it is imported. Nobody's claims are anybody's telemetry.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# A bar for each small file would garble our own.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import numpy as np

with warnings.catch_warnings():
    # While it is imported, MLflow warns about its own types and about SQLAlchemy's future.
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.pyfunc
    import mlflow.store.tracking.sqlalchemy_store
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from fraud.errors import InputError, NotKnownError, nearest
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.metrics import METRICS
from fraud.learning.model import FittedModel
from fraud.learning.pyfunc import PARAMETERS
from fraud.learning.reports.cards import Facts, card_files
from fraud.learning.reports.training import TrainingReport
from fraud.learning.validation.gates import CHALLENGER, CHAMPION

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

    from fraud.signals.catalogue import Catalogue

__all__ = [
    "Child",
    "Registered",
    "Run",
    "client_of",
    "keep_texts",
    "latest_backtest",
    "load_model",
    "record",
    "record_backtest",
    "record_children",
    "signature_of",
    "text_of",
]

_LIBRARIES = ("fraud", "lightgbm", "numpy", "pyarrow", "duckdb", "ibis-framework", "mlflow", "scikit-learn")
_EXAMPLE_ROWS = 3
_LONGEST_TAG = 5000
# The most that MLflow takes in one call, and of a data set's digest.
_METRICS_AT_ONCE = 1000
_LONGEST_DIGEST = 36
_BACKTEST = "backtest"
# Where MLflow keeps the registry that was set, for itself and processes that it starts.
_REGISTRY = "MLFLOW_REGISTRY_URI"


@dataclass(frozen=True)
class Child:
    """A run inside a run: a fold of the cross-validation, or one trial of a search."""

    name: str
    metrics: Mapping[str, float]
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Run:
    """What one training has to tell; `seconds` is the time of its steps so far.

    With the `catalogue` that it was fitted on and the latest `backtest`, the model's card says more. `children` are
    runs of its own, such as the trials of a search, beside the folds.
    """

    model: FittedModel
    dataset: Dataset
    report: TrainingReport
    lock_file: Path | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    catalogue: Catalogue | None = None
    children: Sequence[Child] = ()
    backtest: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Registered:
    """Where a training can be found again, and under which alias."""

    run_id: str
    version: int
    alias: str


def record(run: Run, *, tracking_uri: str, artifacts: Path) -> Registered:
    """Log a training with its folds as nested runs, register its model and set its alias."""
    name = run.model.name
    with _tracking(tracking_uri):
        client = mlflow.MlflowClient()
        experiment = _experiment(client, name, artifacts)
        # A run of its own: inside `mlflow run`, start_run() would look for that command's run on this server.
        run_id = str(client.create_run(experiment, run_name=name).info.run_id)
        with mlflow.start_run(run_id=run_id):
            _log_settings(run)
            _log_data(client, run_id, run)
            _log_metrics(client, run_id, run)
            version = _register(client, run_id, name, _log_model(run))
            _log_files(run, version, run_id)
            _log_children(client, experiment, run_id, [*_folds(run), *run.children])
            alias = _describe(client, run, version)
        return Registered(run_id, version, alias)


def record_children(
    experiment: str,
    name: str,
    children: Sequence[Child],
    *,
    tracking_uri: str,
    artifacts: Path,
    summary: Child | None = None,
    texts: Mapping[str, str] | None = None,
) -> str:
    """Id of a run that has only nested runs, such as a search before the training: `summary` is its own part."""
    with _tracking(tracking_uri):
        client = client_of(tracking_uri)
        place = _experiment(client, experiment, artifacts)
        tags = dict(summary.tags) if summary else None
        run_id = str(client.create_run(place, run_name=name, tags=tags).info.run_id)
        if summary is not None:
            _fill(client, run_id, summary)
            for key, value in summary.tags.items():
                client.set_tag(run_id, key, value)
        _log_children(client, place, run_id, children)
        client.set_terminated(run_id)
    keep_texts(tracking_uri, run_id, texts or {})
    return run_id


def record_backtest(name: str, found: Mapping[str, Any], page: str, *, tracking_uri: str, artifacts: Path) -> str:
    """Id of the run of a backtest, with a nested run for each cut; the model's card reads it from there."""
    pooled = {row["contender"]: row for row in found["table"] if not row["corrected"]}
    own = {m: pooled["model"][m] for m in METRICS if m in pooled["model"]}
    against = {f"baseline.{c}.{m}": row[m] for c, row in pooled.items() if c != "model" for m in METRICS if m in row}
    tags = {"kind": _BACKTEST, "data_digest": found["data"], "catalogue_digest": found["catalogue"]}
    cuts = [
        Child(f"cut {c['cut']}", {k: v for k, v in c.items() if isinstance(v, (int, float))}, {"until": c["until"]})
        for c in found["cuts"]
    ]
    return record_children(
        name,
        f"{name} backtest",
        cuts,
        tracking_uri=tracking_uri,
        artifacts=artifacts,
        summary=Child("backtest", own | against, tags=tags),
        texts={"backtest.json": json.dumps(found, indent=1, default=float), "backtest.html": page},
    )


def latest_backtest(tracking_uri: str, name: str) -> dict[str, Any] | None:
    """What the latest backtest of a model found, with the id of its `run`; None when there was none."""
    client = client_of(tracking_uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return None
    wanted = f"tags.kind = '{_BACKTEST}'"
    runs = client.search_runs([experiment.experiment_id], wanted, order_by=["start_time DESC"], max_results=1)
    text = text_of(tracking_uri, runs[0].info.run_id, "backtest.json") if runs else None
    return {**json.loads(text), "run": runs[0].info.run_id} if text else None


def client_of(tracking_uri: str) -> MlflowClient:
    """MLflow's client for a server that keeps runs and registry alike."""
    _hush()
    return mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def keep_texts(tracking_uri: str, run_id: str, texts: Mapping[str, str]) -> None:
    """Add text files to a run, by their path in it."""
    client = client_of(tracking_uri)
    for path, text in texts.items():
        client.log_text(run_id, text, path)


def text_of(tracking_uri: str, run_id: str, path: str) -> str | None:
    """A text file of a run, or None when the run has none of that path."""
    with tempfile.TemporaryDirectory() as folder, suppress(MlflowException, OSError):
        return Path(client_of(tracking_uri).download_artifacts(run_id, path, folder)).read_text("utf-8")
    return None


def _hush() -> None:
    """Keep MLflow's and Alembic's notes off the terminal; they would garble the progress bars."""
    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)


@contextmanager
def _tracking(uri: str) -> Iterator[None]:
    """Work with this server, and leave MLflow's global settings as they were."""
    # What nobody has set is to follow the other, or the working directory, as it did: not to be pinned to that of now.
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    registry = os.environ.get(_REGISTRY)
    _hush()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with warnings.catch_warnings():
            # What MLflow does with pandas and SQLAlchemy is nothing that our callers could mend.
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]
        mlflow.set_registry_uri(registry)  # type: ignore[arg-type]
        if registry is None:
            os.environ.pop(_REGISTRY, None)


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
    for start in range(0, len(metrics), _METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_AT_ONCE])


def _log_data(client: MlflowClient, run_id: str, run: Run) -> None:
    """The claims as MLflow's input of the run: digest, columns and counts, never a row."""
    from mlflow.entities import Dataset as Input
    from mlflow.entities import DatasetInput, InputTag

    digests = {"data_digest": run.model.data_digest, "catalogue_digest": run.model.catalogue_digest}
    claims = Input(
        name=f"{run.model.name}: claims up to {run.model.as_of[:10]}",
        digest=run.model.data_digest[:_LONGEST_DIGEST],
        # What MLflow reads back without fetching anything: where the claims lie is the payer's business.
        source_type="code",
        source=json.dumps({"tags": digests}),
        schema=json.dumps({"mlflow_colspec": signature_of(run.model).inputs.to_dict()}),
        profile=json.dumps(run.report.counts),
    )
    client.log_inputs(run_id, datasets=[DatasetInput(claims, [InputTag("mlflow.data.context", "training")])])


def _folds(run: Run) -> list[Child]:
    """Each fold of the cross-validation with the figures of every contender."""
    folds: dict[str, dict[str, float]] = {}
    for row in run.report.evaluation.folds:
        figures = folds.setdefault(f"repeat {row['repeat'] + 1}, fold {row['fold'] + 1}", {})
        own = "" if row["contender"] == "model" else f"baseline.{row['contender']}."
        figures |= {f"{own}{m}": row[m] for m in METRICS}
    return [Child(name, figures, tags={"kind": "fold"}) for name, figures in folds.items()]


def _log_children(client: MlflowClient, experiment: str, parent: str, children: Sequence[Child]) -> None:
    for child in children:
        tags = {"mlflow.parentRunId": parent, **child.tags}
        run_id = str(client.create_run(experiment, run_name=child.name, tags=tags).info.run_id)
        _fill(client, run_id, child)
        client.set_terminated(run_id)


def _fill(client: MlflowClient, run_id: str, child: Child) -> None:
    from mlflow.entities import Metric, Param

    metrics = [Metric(k, float(v), 0, 0) for k, v in child.metrics.items() if np.isfinite(v)]
    client.log_batch(run_id, metrics=metrics, params=[Param(k, str(v)) for k, v in _flat(child.params).items()])


def _log_files(run: Run, version: int, run_id: str) -> None:
    """The report in three forms and, like the card, two languages; the figures, the folds, and the environment."""
    from fraud.learning.reports.plots import figures

    drawn, drawn_zh = figures(run.report), figures(run.report, "zh")
    texts = {
        "report.json": json.dumps(run.report.as_dict(), indent=1, ensure_ascii=False, default=float),
        "report.md": run.report.to_markdown(),
        "report.html": run.report.to_html(drawn.values()),
        "report.zh.md": run.report.to_markdown("zh"),
        "report.zh.html": run.report.to_html(drawn_zh.values(), "zh"),
        "folds.json": json.dumps(run.report.evaluation.folds, default=float),
        "spec.json": json.dumps(run.model.spec.as_dict(), indent=1, ensure_ascii=False),
        "skipped.json": json.dumps(run.model.skipped, indent=1, ensure_ascii=False),
        "environment.json": json.dumps(_environment(), indent=1),
        **card_files(_facts(run, version, run_id)),
        **{f"figures/{n}.svg": svg for n, svg in drawn.items()},
        **{f"figures/{n}.zh.svg": svg for n, svg in drawn_zh.items()},
        **({"requirements.lock": run.lock_file.read_text("utf-8")} if run.lock_file else {}),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        mlflow.log_artifacts(folder)


def _facts(run: Run, version: int, run_id: str) -> Facts:
    """What the model's card is made of."""
    return Facts(
        model=replace(run.model, version=version, run_id=run_id),
        report=run.report.as_dict(),
        signals=run.catalogue.signals if run.catalogue else {},
        environment=_environment() | {"lock": _digest(run.lock_file)},
        backtest=run.backtest,
    )


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
    """Every feature in and both figures out, all as float64, and what may be asked for besides.

    It is written out: inferred from rows, MLflow leaves it empty without a word when a column of whole
    numbers has gaps.
    """
    inputs = Schema([ColSpec(DataType.double, n) for n in model.names])
    outputs = Schema([ColSpec(DataType.double, n) for n in ("probability", "margin")])
    kinds = {str: DataType.string, int: DataType.long}
    asked = ParamSchema([ParamSpec(n, kinds[type(default)], default) for n, default in PARAMETERS.items()])
    return ModelSignature(inputs=inputs, outputs=outputs, params=asked)


def _example(run: Run) -> pd.DataFrame:
    """A few rows of features, without any id."""
    import pandas as pd

    return pd.DataFrame(run.dataset.values[:_EXAMPLE_ROWS], columns=list(run.model.names), dtype="float64")


def _describe(client: MlflowClient, run: Run, version: int) -> str:
    """Describe and tag the version, and give it its alias: champion only where there is none."""
    name, number, promotion = run.model.name, str(version), run.report.promotion
    figures = {m: v for m, v in run.report.evaluation.summary.items() if "baseline." not in m and np.isfinite(v)}
    tags = {
        "model_digest": run.model.digest,
        "data_digest": run.model.data_digest,
        "catalogue_digest": run.model.catalogue_digest,
        "lock_digest": _digest(run.lock_file),
        "as_of": run.model.as_of,
        "reasons": "; ".join(promotion.reasons)[:_LONGEST_TAG],
        "gates": "hold" if promotion.holds else "do not hold",
        "figures": json.dumps(figures),
    }
    for key, value in tags.items():
        client.set_model_version_tag(name, number, key, value)
    client.update_model_version(name, number, description=run.report.description)
    client.update_registered_model(name, description=run.model.spec.title.get("en") or name)
    client.set_registered_model_tag(name, "entity", run.model.spec.entity)
    # Somebody else's training may have become champion since this one asked: the first to come stays.
    taken = CHAMPION in client.get_registered_model(name).aliases
    alias = CHALLENGER if taken else promotion.alias
    client.set_registered_model_alias(name, alias, number)
    mlflow.set_tag("alias", alias)
    return alias


def load_model(
    name: str, alias_or_version: str | int, tracking_uri: str, catalogue: Catalogue | None = None
) -> FittedModel:
    """A registered model by alias (`champion`) or version number; with a catalogue, checked against it.

    Raises:
        NotKnownError: there is no such model, alias or version.
        CatalogueError: the model was fitted on other signals than the catalogue's.
    """
    client = client_of(tracking_uri)
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
