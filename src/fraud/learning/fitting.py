"""Fitting gradient-boosted trees: the only place that knows LightGBM.

Several boosters that differ in their seed are averaged on the margin (the log-odds before calibration).
Contributions average with it, so they stay exact: base + their sum is the margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

from fraud.learning.spec import Parameters

__all__ = ["Ensemble", "fit_ensemble"]


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


def fit_ensemble(
    values: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    signs: Sequence[int],
    parameters: Parameters,
    seed: int,
    *,
    bags: int | None = None,
    threads: int = 1,
) -> Ensemble:
    """Boosters fitted on rows × features and labels of 0 and 1; equal input and seed give equal boosters.

    `signs` constrains each feature: with +1 the margin never falls as the feature rises. `bags` replaces the
    number of boosters in `parameters`; `threads` of them are fitted at a time.
    """

    def one(bag: int) -> lgb.Booster:
        return _fit(values, labels, names, _settings(parameters, signs, seed + bag), parameters.rounds)

    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        return Ensemble(tuple(pool.map(one, range(bags or parameters.bags))))


def _fit(
    values: np.ndarray, labels: np.ndarray, names: Sequence[str], settings: dict[str, object], rounds: int
) -> lgb.Booster:
    # LightGBM refuses names with JSON characters, and ours go into the model's own file anyway.
    data = lgb.Dataset(values, labels, feature_name=[_safe(n) for n in names], free_raw_data=True)
    booster = lgb.train(settings, data, num_boost_round=rounds)
    # Without its training data a booster is small, and what is saved is what was used.
    return lgb.Booster(model_str=booster.model_to_string())


def _settings(p: Parameters, signs: Sequence[int], seed: int) -> dict[str, object]:
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
        "deterministic": True,
        "force_col_wise": True,
        # Boosters run side by side instead: on a busy machine the threads of one wait for each other, and a
        # fit of a second took 47.
        "num_threads": 1,
        "verbosity": -1,
    }


def _safe(name: str) -> str:
    return "".join("_" if c in '",:[]{} ' else c for c in name)
