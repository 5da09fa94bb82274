"""Fitting gradient-boosted trees: the only place that knows LightGBM.

Several boosters that differ in their seed are averaged on the margin (the log-odds before calibration).
Contributions average with it, so they stay exact: base + their sum is the margin.

Boosters are fitted in this process, or on the workers of a Dask cluster, which share the rows among them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from threading import Lock
from typing import Any, Protocol

# OpenMP reads this when LightGBM is imported. Threads that wait for each other by spinning take the core from the
# one they wait for: on a busy machine a fit of two seconds took 24.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm as lgb
import numpy as np

from fraud.errors import InputError, nearest
from fraud.learning.spec import Parameters

__all__ = ["ENGINES", "Engine", "Ensemble", "Shared", "Table", "fit_ensemble", "fitting_on", "rows_of"]

ENGINES = ("local", "dask")
# With fewer cells, the threads of one booster cost more than they save.
_CELLS_FOR_THREADS = 20_000_000
# With fewer, sending a table to a cluster costs more than fitting it: the folds of a thousand providers took five
# times as long.
_CELLS_FOR_CLUSTER = 2_000_000
_SECONDS_TO_CONNECT = 30
# What LightGBM has to say goes to a log, which keeps to itself that settings of a cluster replace ours: it would
# print to stdout, where only data belong.
_log = logging.getLogger("fraud.lightgbm")
_log.setLevel(logging.ERROR)
lgb.register_logger(_log)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Boosters whose margins are averaged; reads rows × features as a float64 array, NaN = not known."""

    boosters: tuple[lgb.Booster, ...]

    def margins(self, values: np.ndarray, threads: int = 1) -> np.ndarray:
        """Log-odds of each row. One thread by default: in a request, more only wait for each other."""
        total = np.zeros(len(values))
        for booster in self.boosters:
            total += booster.predict(values, raw_score=True, num_threads=threads)
        return total / len(self.boosters)

    def contributions(self, values: np.ndarray, threads: int = 1) -> np.ndarray:
        """Exact contribution of each feature to the margin, rows × (features + 1); the last column is the base."""
        total = np.zeros((len(values), self.boosters[0].num_feature() + 1))
        for booster in self.boosters:
            total += booster.predict(values, pred_contrib=True, num_threads=threads)
        return total / len(self.boosters)

    @property
    def texts(self) -> tuple[str, ...]:
        """The boosters as LightGBM writes them, without the settings they were fitted with."""
        return tuple(b.model_to_string() for b in self.boosters)

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> Ensemble:
        """The ensemble that `texts` was taken from."""
        return cls(tuple(lgb.Booster(model_str=text) for text in texts))


class Shared:
    """Rows × features of which several fits read a part; values are cut into bins once for all of them.

    Cutting takes a third of a fit. The bins are those of all rows: they know values, and no label. All fits need the
    same `max_bin`, `min_data_in_leaf` and `bin_seed`.
    """

    def __init__(self, values: np.ndarray, bin_seed: int) -> None:
        self.values = values
        self.bin_seed = bin_seed
        self._whole: lgb.Dataset | None = None
        self._cutting = Lock()

    def binned(self, rows: np.ndarray, names: Sequence[str], params: dict[str, Any]) -> lgb.Dataset:
        """Bins of the rows at those positions, which ascend."""
        with self._cutting:
            if self._whole is None:
                unknown = np.zeros(len(self.values))
                made = lgb.Dataset(self.values, unknown, feature_name=list(names), params=params, free_raw_data=True)
                self._whole = made.construct()
        return self._whole.subset(rows.tolist(), params).construct()


def rows_of(values: np.ndarray | Shared, rows: np.ndarray | None) -> np.ndarray:
    """The rows at those positions × features; all of them for None."""
    whole = values.values if isinstance(values, Shared) else values
    return whole if rows is None else whole[rows]


@dataclass(frozen=True, eq=False)
class Table:
    """What boosters are fitted on: rows × features, labels of 0 and 1, and what each row counts (None: one).

    With `rows`, only those of `source` are fitted on; labels and weights are theirs.
    """

    source: np.ndarray | Shared
    rows: np.ndarray | None
    labels: np.ndarray
    weights: np.ndarray | None
    names: tuple[str, ...]

    @property
    def cells(self) -> int:
        """How many values are fitted on."""
        return len(self.labels) * len(self.names)

    @property
    def values(self) -> np.ndarray:
        """The rows to fit on × features."""
        return rows_of(self.source, self.rows)

    def binned(self, params: dict[str, Any]) -> lgb.Dataset:
        """The rows to fit on with their labels and weights, cut into bins."""
        if isinstance(self.source, Shared):
            rows = np.arange(len(self.labels)) if self.rows is None else self.rows
            return self.source.binned(rows, self.names, params).set_label(self.labels).set_weight(self.weights)
        own = {"label": self.labels, "weight": self.weights, "feature_name": list(self.names)}
        return lgb.Dataset(self.values, params=params, free_raw_data=True, **own).construct()


class Engine(Protocol):
    """Where boosters are fitted."""

    def fit(self, table: Table, settings: Sequence[Mapping[str, Any]], rounds: int, threads: int) -> list[str]:
        """One booster for each of the settings, as LightGBM writes them."""


def fit_ensemble(
    values: np.ndarray | Shared,
    labels: np.ndarray,
    names: Sequence[str],
    signs: Sequence[int],
    parameters: Parameters,
    seed: int,
    *,
    rows: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    bags: int | None = None,
    threads: int = 1,
) -> Ensemble:
    """Boosters fitted on rows × features and labels of 0 and 1; equal input and seed give equal boosters.

    With `rows` (positions that ascend) only those of `values` are fitted on; labels and weights are theirs. Where
    several fits read parts of the same values, `Shared` spares them the cutting into bins.

    `signs` constrains each feature: with +1 the margin never falls as the feature rises. `weights` say how much
    each row counts (default: one). `bags` replaces the number of boosters in `parameters`. `values` of float32
    take half the memory. However many `threads`, the boosters are the same; those of a Dask cluster (`fitting_on`)
    differ as those of another seed do, since each worker chooses cut points from its own rows.
    """
    # LightGBM refuses names with JSON characters, and ours go into the model's own file anyway.
    table = Table(values, rows, labels, weights, tuple(_safe(n) for n in names))
    bin_seed = values.bin_seed if isinstance(values, Shared) else seed
    settings = [_settings(parameters, signs, seed + bag, bin_seed) for bag in range(bags or parameters.bags)]
    return Ensemble.from_texts(_engines[-1].fit(table, settings, parameters.rounds, threads))


def _settings(p: Parameters, signs: Sequence[int], seed: int, bin_seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "learning_rate": p.learning_rate,
        "num_leaves": p.num_leaves,
        "max_depth": p.max_depth,
        "min_data_in_leaf": p.min_data_in_leaf,
        "feature_fraction": p.feature_fraction,
        "bagging_fraction": p.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": p.lambda_l2,
        "max_bin": p.max_bin,
        "monotone_constraints": list(signs) if any(signs) else None,
        "monotone_constraints_method": "intermediate",
        "seed": seed,
        # The rows are cut into bins once for all bags.
        "data_random_seed": bin_seed % 2**15,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }


def _safe(name: str) -> str:
    return "".join("_" if c in '",:[]{} ' else c for c in name)


@dataclass(frozen=True, eq=False)
class _Local:
    """This process: bags side by side, and more threads in each where the table is large."""

    _making: Any = field(default_factory=Lock)

    def fit(self, table: Table, settings: Sequence[Mapping[str, Any]], rounds: int, threads: int) -> list[str]:
        """One booster for each of the settings."""
        side_by_side = max(1, min(threads, len(settings)))
        large = table.cells >= _CELLS_FOR_THREADS
        each = {"num_threads": max(1, threads // side_by_side) if large else 1}
        rows = table.binned({**settings[0], "num_threads": threads if large else 1})
        with ThreadPoolExecutor(max_workers=side_by_side) as pool:
            return list(pool.map(lambda s: self._grown({**s, **each}, rows, rounds), settings))

    def _grown(self, settings: dict[str, Any], rows: lgb.Dataset, rounds: int) -> str:
        # A booster writes its settings into the rows that all of them share. It is made in the thread that it
        # grows in, since LightGBM keeps its verbosity by thread.
        with self._making:
            booster = lgb.Booster(settings, rows)
        for _ in range(rounds):
            booster.update()
        return _without_settings(booster)


def _without_settings(booster: lgb.Booster) -> str:
    """The booster's trees alone: its settings would tell how many threads there were, and those change nothing."""
    trees = booster.model_to_string().split("\nparameters:\n")[0]
    text: str = lgb.Booster(model_str=trees).model_to_string()
    return text


# The last one is in force. Evaluation, back-test and search fit through many hands; an argument would go through all.
_engines: list[Engine] = [_Local()]


# --- Dask ----------------------------------------------------------------------------------------------


@contextmanager
def fitting_on(engine: str = "local", scheduler: str | None = None, workers: int = 2) -> Iterator[None]:
    """Within it, every fit of this process is done by that engine, in whatever thread it is asked for.

    With `dask` and no scheduler, a cluster of so many worker processes is started on this machine. Tables of less
    than two million cells are fitted here all the same.

    Raises:
        InputError: there is no such engine, Dask is not installed, or nothing answers at the scheduler's address.
    """
    if engine not in ENGINES:
        raise InputError(f"no engine {engine!r}{nearest(engine, ENGINES)}; there are {', '.join(ENGINES)}.")
    if engine == "local" and scheduler:
        raise InputError(f"a scheduler ({scheduler}) is of use to --engine dask only; name that, or leave it out.")
    if engine == "local":
        yield
        return
    with _client(scheduler, workers) as client:
        _engines.append(_Dask(client))
        try:
            yield
        finally:
            _engines.pop()


@contextmanager
def _client(scheduler: str | None, workers: int) -> Iterator[Any]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise InputError(
            "--engine dask needs the packages dask and distributed, which are not installed: "
            "pip install 'dask[array]' distributed. Without them, leave --engine out."
        ) from None
    if scheduler:
        with _connected(distributed.Client, scheduler) as client:
            yield client
        return
    with (
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port: two clusters would warn of each other
            silence_logs=logging.ERROR,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(_without_stdout)
        yield client


def _connected(client: Any, scheduler: str) -> Any:
    try:
        return client(scheduler, timeout=_SECONDS_TO_CONNECT)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler!r} ({type(error).__name__}). Expected an address such as "
            "tcp://10.0.0.5:8786; start one with `dask scheduler` and its workers with `dask worker ADDRESS`."
        ) from None


def _without_stdout() -> None:
    """A worker of this machine has our stdout, and LightGBM prints its ports there, whatever its verbosity."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@dataclass(frozen=True, eq=False)
class _Dask:
    """The workers of a cluster: each holds a part of the rows, and they grow every tree together."""

    client: Any
    # Two fits at a time would wait for each other's workers for ever.
    _turn: Any = field(default_factory=Lock)

    def fit(self, table: Table, settings: Sequence[Mapping[str, Any]], rounds: int, threads: int) -> list[str]:
        """One booster for each of the settings, one after another; workers use the threads they were given."""
        if table.cells < _CELLS_FOR_CLUSTER:
            return _engines[0].fit(table, settings, rounds, threads)
        with self._turn:
            parts = self._spread(table)
            return [self._one(table, parts, s, rounds) for s in settings]

    def _one(self, table: Table, parts: Mapping[str, Any], settings: Mapping[str, Any], rounds: int) -> str:
        # Across workers LightGBM knows only the basic method of keeping a direction.
        own = {**settings, "monotone_constraints_method": "basic", "tree_learner": "data"}
        model = lgb.DaskLGBMClassifier(client=self.client, n_estimators=rounds, **own)
        model.fit(**parts, feature_name=list(table.names))
        return _without_settings(model.booster_)

    def _spread(self, table: Table) -> dict[str, Any]:
        """The table as Dask arrays, of which every worker holds one part."""
        workers = sorted(self.client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            raise InputError("the Dask cluster has no workers; start some with `dask worker ADDRESS`.")
        # Rows that come together are alike (a provider's, a month's): every worker gets some of each.
        order = np.random.default_rng(0).permutation(len(table.labels))
        rows = [np.sort(p) for p in np.array_split(order, len(workers))]
        arrays = {"X": table.values, "y": table.labels, "sample_weight": table.weights}
        return {n: self._array(a, rows, workers) for n, a in arrays.items() if a is not None}

    def _array(self, array: np.ndarray, rows: Sequence[np.ndarray], workers: Sequence[str]) -> Any:
        da, delayed = import_module("dask.array"), import_module("dask").delayed

        parts = [self.client.scatter(array[r], workers=[w], hash=False) for r, w in zip(rows, workers, strict=True)]
        shapes = [(len(r), *array.shape[1:]) for r in rows]
        blocks = [da.from_delayed(delayed(p), shape=s, dtype=array.dtype) for p, s in zip(parts, shapes, strict=True)]
        return da.concatenate(blocks)
