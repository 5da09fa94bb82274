"""From claims to a registered model: dataset, evaluation, fit, tracking, promotion."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fraud.claims.folder import ClaimsFolder
from fraud.learning.blending import fit_scoring
from fraud.learning.calibration.calibration import rank_standing
from fraud.learning.datasets.dataset import Dataset, build_dataset
from fraud.learning.model import FittedModel
from fraud.learning.origin import kept_of, origin_of
from fraud.learning.reports.training import TrainingReport
from fraud.learning.reports.unlabelled import NoveltyReport
from fraud.learning.spec import ModelSpec
from fraud.learning.unlabelled import examine, fit_unlabelled
from fraud.learning.validation.calibrating import calibrate
from fraud.learning.validation.evaluation import Evaluation, evaluate
from fraud.learning.validation.gates import GateResult, Promotion, decide
from fraud.signals.catalogue import Catalogue

if TYPE_CHECKING:
    from fraud.learning.tracking import Registered

__all__ = ["TrainingResult", "fit_model", "train"]

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training left behind: the run, the registered version, and why it got its alias.

    `seconds` is the time of each step.
    """

    run_id: str
    name: str
    version: int
    alias: str
    report: TrainingReport
    gates: tuple[GateResult, ...]
    skipped: Mapping[str, str]
    seconds: Mapping[str, float]
    model_digest: str

    def as_dict(self) -> dict[str, Any]:
        """Where the model is, the whole report, and the time it took, as JSON types."""
        own = {"run_id": self.run_id, "name": self.name, "version": self.version, "digest": self.model_digest}
        return {**own, "seconds": dict(self.seconds), **self.report.as_dict()}

    def as_text(self) -> str:
        """The version with its alias, the summary, and the table of the cross-validation."""
        head = f"{self.name} version {self.version} is {self.alias} (run {self.run_id})"
        then = self.report.promotion.next_step
        return "\n\n".join(text for text in (head, then, self.report.to_text()) if text)


def train(
    spec: ModelSpec,
    folder: ClaimsFolder,
    catalogue: Catalogue,
    *,
    tracking_uri: str,
    artifacts: str | Path,
    lock_file: str | Path | None = None,
    as_of: datetime | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> TrainingResult:
    """Fit, measure, log and register a model.

    Its alias is `champion` only when every gate holds and nobody is champion yet: otherwise `challenger`.

    `tracking_uri` is MLflow's (`sqlite:///…`), `artifacts` the folder where its files go, `lock_file` the
    pinned environment. The same data, spec, seed and lock give the same `model_digest`.

    Raises:
        InputError: the folder has no labels for this model, or too few.
        SpecError: the spec names signals that do not exist.
    """
    from fraud.learning.registry import Registry
    from fraud.learning.tracking import Run, latest_backtest, record

    say, clock = progress or (lambda _name, _done: None), _Clock()
    dataset = build_dataset(folder, spec, catalogue, as_of=as_of, progress=say)
    clock.lap("features")
    unlabelled = spec.kind == "novelty"
    evaluation = examine(dataset, spec) if unlabelled else evaluate(dataset, spec, threads=threads, progress=say)
    clock.lap("evaluation")
    say("final fit", 0.0)
    promotion = decide(spec, evaluation, Registry(tracking_uri).champion(spec.name))
    model = fit_model(dataset, spec, evaluation, threads=threads, progress=say)
    report = (NoveltyReport if unlabelled else TrainingReport)(
        spec, dataset, evaluation, promotion, importance(model, dataset), signals=catalogue.signals
    )
    clock.lap("fit")
    say("tracking", 0.0)
    lock = Path(lock_file) if lock_file else None
    tested = latest_backtest(tracking_uri, spec.name)
    run = record(
        Run(model, dataset, report, lock, clock.laps, catalogue, backtest=tested),
        tracking_uri=tracking_uri,
        artifacts=Path(artifacts),
    )
    clock.lap("tracking")
    return _result(run, model, report, promotion, clock.laps)


def _result(
    run: Registered,
    model: FittedModel,
    report: TrainingReport,
    promotion: Promotion,
    seconds: Mapping[str, float],
) -> TrainingResult:
    return TrainingResult(
        run_id=run.run_id,
        name=model.name,
        version=run.version,
        alias=run.alias,
        report=report,
        gates=promotion.gates,
        skipped=report.dataset.skipped,
        seconds=dict(seconds),
        model_digest=model.digest,
    )


def fit_model(
    dataset: Dataset,
    spec: ModelSpec,
    evaluation: Evaluation | None = None,
    *,
    threads: int = 2,
    progress: Progress | None = None,
) -> FittedModel:
    """The model fitted on all rows that the spec fits on, calibrated on margins of rows that it has not seen.

    Without an `evaluation` it can score, but knows no metrics of its own.

    Percentiles compare with everybody, by the same margins: a model is too sure about rows that it was fitted on.
    """
    metrics = evaluation.summary if evaluation else {}
    if spec.kind == "novelty":
        return fit_unlabelled(dataset, spec, metrics)
    rows, weights = dataset.fit_rows, dataset.fit_weights
    signs = tuple(f.sign for f in dataset.features)
    ensemble = fit_scoring(
        dataset.values[rows],
        dataset.fit_labels,
        dataset.names,
        signs,
        spec,
        spec.seed,
        weights=None if (weights == 1).all() else weights,
        threads=threads,
    )
    calibrated = calibrate(dataset, spec, threads=threads, progress=progress)
    everybody = calibrated.calibration.probability(calibrated.margins)
    standing = rank_standing(everybody, dataset.weights)
    return FittedModel(
        spec=spec,
        ensemble=ensemble,
        calibration=calibrated.calibration,
        standing=standing,
        metrics=metrics,
        intervals=calibrated.intervals,
        origin=origin_of(dataset, standing.percentile(everybody)),
        **kept_of(dataset),
    )


# Contributions of more rows cost time and change no place in the list.
_ROWS_FOR_IMPORTANCE = 2000


def importance(model: FittedModel, dataset: Dataset) -> tuple[tuple[str, float], ...]:
    """Features by their mean absolute contribution to the margin, largest first."""
    rows = np.arange(len(dataset)) if model.spec.kind == "novelty" else dataset.labelled
    step = max(1, len(rows) // _ROWS_FOR_IMPORTANCE)
    _, contributions = model.contributions(dataset.values[rows[::step]])
    means = np.abs(contributions).mean(axis=0)
    pairs = zip(model.names, means.tolist(), strict=True)
    return tuple(sorted(pairs, key=lambda p: (-p[1], p[0])))


class _Clock:
    """Seconds of each step since the one before."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._since
        self._since = now
