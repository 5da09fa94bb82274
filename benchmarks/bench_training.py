"""How long fitting takes on a million rows: in this process, on Dask, and with scikit-learn on the same rows.

One and two threads, two Dask workers (started beforehand), and beside them HistGradientBoosting. Only the fit is timed.
The rows are made up: counts, amounts and shares with gaps, and a label that depends on a few of them. Every contender
has as many trees of as many leaves, and is measured on rows apart: the areas under the curve must agree. Times are of
the clock and of the processor (of all processes); the clock is noisy where others work, too. Prints a table and writes
`var/benchmarks/training.json`.

    python benchmarks/bench_training.py [--rows 1000000] [--features 200] [--rounds 150]
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psutil

from fraud.config import load_settings
from fraud.learning.fitting import fit_ensemble, fitting_on
from fraud.learning.metrics import average_precision, roc_auc
from fraud.learning.spec import Parameters

# The growth of the cost is read off these shares of the rows.
SHARES = (0.05, 0.15, 0.4, 1.0)
TEST_ROWS = 100_000
# Contenders with as many trees may differ by this much: by chance of bins and samples of rows.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Taken:
    """What one fit cost, and how well it ranks rows apart."""

    contender: str
    rows: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    roc_auc: float
    average_precision: float


@dataclass
class _Meter:
    """The clock, the processor time of this process and of its children, and the most memory of all together."""

    seconds: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)


def main() -> None:
    arguments = _arguments()
    parameters = Parameters(
        rounds=arguments.rounds, bags=1, learning_rate=0.06, num_leaves=15, max_depth=6, min_data_in_leaf=10
    )
    values, labels = make_rows(arguments.rows + TEST_ROWS, arguments.features, seed=1)
    test = values[arguments.rows :], labels[arguments.rows :]
    sizes = [round(arguments.rows * share) for share in SHARES]
    found = [
        _measure(name, fit, values[:rows], labels[:rows], test)
        for rows in sizes
        for name, fit in _contenders(parameters).items()
    ]
    with fitting_on("dask", workers=2):
        shared = _ours(parameters, threads=1)
        found += [_measure("2 Dask workers", shared, values[:rows], labels[:rows], test) for rows in sizes]
    _report(sorted(found, key=lambda taken: taken.rows), arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=150)
    return parser.parse_args()


def make_rows(rows: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features as signals have them (float32, a tenth not known) and a label of which a few percent are 1."""
    random = np.random.default_rng(seed)
    values = np.empty((rows, features), dtype=np.float32)
    for column in range(features):
        drawn = random.standard_normal(rows, dtype=np.float32)
        kind = column % 3
        values[:, column] = np.floor(np.exp(drawn)) if kind == 0 else np.exp(drawn) if kind == 1 else drawn
    told = np.clip(values[:, :9], -3, 3).sum(axis=1) + np.where(values[:, 3] > 2, 2 * (values[:, 5] > 0), 0)
    chance = 1 / (1 + np.exp(-(0.6 * told - 8.5)))
    labels = (random.random(rows) < chance).astype(np.float64)
    for column in range(features):
        values[random.random(rows, dtype=np.float32) < 0.1, column] = np.nan
    return values, labels


Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


def _contenders(parameters: Parameters) -> dict[str, Fit]:
    return {
        "here, 1 thread": _ours(parameters, threads=1),
        "here, 2 threads": _ours(parameters, threads=2),
        "HistGradientBoosting": _peer(parameters),
    }


def _ours(parameters: Parameters, threads: int) -> Fit:
    def fit(values: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        names = [f"f{i}" for i in range(values.shape[1])]
        return fit_ensemble(values, labels, names, [0] * len(names), parameters, 1, threads=threads).margins

    return fit


def _peer(parameters: Parameters) -> Fit:
    def fit(values: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(
            max_iter=parameters.rounds,
            learning_rate=parameters.learning_rate,
            max_leaf_nodes=parameters.num_leaves,
            max_depth=parameters.max_depth,
            min_samples_leaf=parameters.min_data_in_leaf,
            max_features=parameters.feature_fraction,
            l2_regularization=parameters.lambda_l2,
            max_bins=parameters.max_bin,
            early_stopping=False,
            random_state=1,
        )
        return model.fit(values, labels).decision_function

    return fit


def _measure(name: str, fit: Fit, values: np.ndarray, labels: np.ndarray, test: tuple[np.ndarray, np.ndarray]) -> Taken:
    with _metered() as meter:
        margins = fit(values, labels)
    scores = margins(test[0])
    taken = Taken(
        contender=name,
        rows=len(labels),
        seconds=meter.seconds,
        cpu_seconds=meter.cpu,
        peak_mib=meter.peak / 2**20,
        roc_auc=roc_auc(test[1], scores),
        average_precision=average_precision(test[1], scores),
    )
    print(_line(taken), file=sys.stderr, flush=True)
    return taken


@contextmanager
def _metered() -> Iterator[_Meter]:
    meter, began, before = _Meter(), time.perf_counter(), _cpu()
    watch = threading.Thread(target=_watch, args=(meter,), daemon=True)
    watch.start()
    yield meter
    meter.seconds, meter.cpu = time.perf_counter() - began, _cpu() - before
    meter.ended.set()
    watch.join()


def _cpu() -> float:
    """Processor seconds so far of this process and of those that it started."""
    this = psutil.Process()
    spent = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(times.user + times.system for times in spent)


def _watch(meter: _Meter) -> None:
    this = psutil.Process()
    while not meter.ended.wait(0.2):
        total = 0
        for process in (this, *this.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        meter.peak = max(meter.peak, total)


def _line(taken: Taken) -> str:
    return (
        f"{taken.contender:22}{taken.rows:12,}{taken.seconds:10.1f}{taken.cpu_seconds:10.1f}{taken.peak_mib:10,.0f}"
        f"{taken.roc_auc:10.4f}{taken.average_precision:10.4f}"
    )


def _report(found: Sequence[Taken], arguments: argparse.Namespace) -> None:
    print(f"\n{arguments.features} features, {arguments.rounds} trees of 15 leaves; seconds and MiB of all processes")
    print(f"{'':22}{'rows':>12}{'seconds':>10}{'CPU':>10}{'peak':>10}{'AUC':>10}{'AP':>10}")
    for taken in found:
        print(_line(taken))
    out = load_settings().var / "benchmarks"
    out.mkdir(parents=True, exist_ok=True)
    told = {"arguments": vars(arguments), "fits": [t.__dict__ for t in found]}
    (out / "training.json").write_text(json.dumps(told, indent=2), "utf-8")
    print(out / "training.json")
    apart = np.ptp([t.roc_auc for t in found if t.rows == arguments.rows])
    assert apart < TOLERANCE, f"areas under the curve differ by {apart:.4f}"


if __name__ == "__main__":
    main()
