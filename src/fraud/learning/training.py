"""From claims to a registered model: dataset, evaluation, fit, tracking, promotion."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fraud.claims.folder import ClaimsFolder
from fraud.learning.calibration import fit_calibration, rank_standing
from fraud.learning.dataset import Dataset, build_dataset
from fraud.learning.evaluation import Evaluation, evaluate
from fraud.learning.fitting import fit_ensemble
from fraud.learning.model import FittedModel
from fraud.learning.promotion import GateResult, Promotion, decide
from fraud.learning.report import TrainingReport
from fraud.learning.spec import ModelSpec
from fraud.signals.catalogue import Catalogue

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
        return f"{head}\n\n{self.report.to_text()}"


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
    """Fit, measure, log and register a model; the alias is `champion` only when every gate holds.

    `tracking_uri` is MLflow's (`sqlite:///…`), `artifacts` the folder where its files go, `lock_file` the
    pinned environment. The same data, spec, seed and lock give the same `model_digest`.

    Raises:
        InputError: the folder has no labels for this model, or too few.
        SpecError: the spec names signals that do not exist.
    """
    from fraud.learning.tracking import Run, record

    say, clock = progress or (lambda _name, _done: None), _Clock()
    dataset = build_dataset(folder, spec, catalogue, as_of=as_of, progress=say)
    clock.lap("features")
    evaluation = evaluate(dataset, spec, threads=threads, progress=say)
    clock.lap("evaluation")
    say("final fit", 0.0)
    promotion = decide(spec, evaluation)
    model = fit_model(dataset, spec, evaluation, threads=threads)
    report = TrainingReport(spec, dataset, evaluation, promotion, importance(model, dataset))
    clock.lap("fit")
    say("tracking", 0.0)
    run = record(
        Run(model, dataset, report, lock_file=Path(lock_file) if lock_file else None, seconds=clock.laps),
        tracking_uri=tracking_uri,
        artifacts=Path(artifacts),
    )
    clock.lap("tracking")
    return _result(run.run_id, run.version, model, report, promotion, clock.laps)


def _result(
    run_id: str,
    version: int,
    model: FittedModel,
    report: TrainingReport,
    promotion: Promotion,
    seconds: Mapping[str, float],
) -> TrainingResult:
    return TrainingResult(
        run_id=run_id,
        name=model.name,
        version=version,
        alias=promotion.alias,
        report=report,
        gates=promotion.gates,
        skipped=report.dataset.skipped,
        seconds=dict(seconds),
        model_digest=model.digest,
    )


def fit_model(dataset: Dataset, spec: ModelSpec, evaluation: Evaluation, *, threads: int = 2) -> FittedModel:
    """The model fitted on all labelled rows, calibrated on margins that the evaluation made out of fold.

    Percentiles compare with everybody: those with a label by their out-of-fold margin, since a model is too
    sure about rows that it was fitted on.
    """
    rows = dataset.labelled
    signs = tuple(f.sign for f in dataset.features)
    ensemble = fit_ensemble(
        dataset.values[rows], dataset.labels[rows], dataset.names, signs, spec.parameters, spec.seed, threads=threads
    )
    repeats = len(evaluation.margins)
    calibration = fit_calibration(evaluation.margins.ravel(), np.tile(evaluation.labels, repeats))
    margins = ensemble.margins(dataset.values)
    margins[rows] = evaluation.margins.mean(axis=0)
    return FittedModel(
        spec=spec,
        names=dataset.names,
        signal_ids=tuple(sorted({f.signal for f in dataset.features})),
        monotone=signs,
        ensemble=ensemble,
        calibration=calibration,
        standing=rank_standing(calibration.probability(margins)),
        reference=dataset.reference,
        as_of=dataset.as_of.isoformat(),
        data_digest=dataset.data_digest,
        catalogue_digest=dataset.catalogue_digest,
        signal_digests=dataset.signal_digests,
        skipped=dataset.skipped,
        metrics=evaluation.summary,
    )


# Contributions of more rows cost time and change no place in the list.
_ROWS_FOR_IMPORTANCE = 2000


def importance(model: FittedModel, dataset: Dataset) -> tuple[tuple[str, float], ...]:
    """Features by their mean absolute contribution to the margin, largest first."""
    rows = dataset.labelled
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
