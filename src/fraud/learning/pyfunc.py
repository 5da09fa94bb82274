"""The registered model as MLflow and Spark call it: a DataFrame of features in, probabilities out.

MLflow loads this module by its name and hands it the model's folder, so nothing is pickled. The service does
not come this way: checking a schema costs it more than scoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fraud.errors import InputError, nearest
from fraud.learning.model import FittedModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EXPLAIN", "PARAMETERS", "ScoringFunction"]

EXPLAIN = ("none", "reasons", "full")
# What a caller may ask for beside the rows, with what holds when it is not said.
PARAMETERS: Mapping[str, str | int] = {"explain": "none", "reasons": 4}
_MAX_EXAMPLES = 5


class ScoringFunction:
    """Scores rows of the model's features."""

    def __init__(self, model: FittedModel) -> None:
        self.model = model

    def predict(self, features: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """`probability` and `margin` of each row, under the frame's own index.

        Columns are taken by name, in any order; others are left alone. With `explain` = `reasons` come
        `percentile`, the bounds `low` and `high` of the probability, and the features that raise the margin most
        as `reason_1`, `contribution_1`, … as many as `reasons` says (None and 0 where fewer raise it). With
        `full` comes `base` and `contribution.FEATURE` of every feature besides: together they are the margin.

        Raises:
            InputError: features are missing or no numbers, or there is no such way to explain.
        """
        import pandas as pd

        asked = {**PARAMETERS, **(params or {})}
        _check(asked)
        values = self._values(features)
        margins = self.model.margins(values)
        scored = {"probability": self.model.probability(margins), "margin": margins}
        if asked["explain"] != "none":
            scored |= self._explained(values, margins, asked)
        # Left to itself pandas makes texts of the reasons and NaN of what is none, which is no JSON.
        columns = {n: pd.Series(v, index=features.index, dtype=v.dtype) for n, v in scored.items()}
        return pd.DataFrame(columns, index=features.index)

    def _values(self, features: pd.DataFrame) -> np.ndarray:
        names = self.model.names
        missing = [n for n in names if n not in features.columns]
        if missing:
            hint = nearest(missing[0], map(str, features.columns))
            raise InputError(
                f"{self.model.name} reads {len(names)} features; {len(missing)} are missing: {_shown(missing)}{hint}. "
                "Make them with fraud build; write an unknown value as NaN."
            )
        try:
            return features[list(names)].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            texts = [n for n in names if not _is_number(features[n])]
            raise InputError(
                f"{self.model.name} reads numbers, found something else in {len(texts)} columns: {_shown(texts)}. "
                "Write an unknown value as NaN."
            ) from None

    def _explained(self, values: np.ndarray, margins: np.ndarray, asked: Mapping[str, Any]) -> dict[str, np.ndarray]:
        names = np.array(self.model.names, dtype=object)
        base, parts = self.model.contributions(values)
        low, high = self.model.interval(margins)
        found: dict[str, np.ndarray] = {"percentile": self.model.place(margins), "low": low, "high": high}
        order = np.argsort(-parts, axis=1, kind="stable")[:, : asked["reasons"]]
        for rank, column in enumerate(order.T, start=1):
            raised = parts[np.arange(len(parts)), column]
            found[f"reason_{rank}"] = np.asarray(np.where(raised > 0, names[column], None))
            found[f"contribution_{rank}"] = np.maximum(raised, 0.0)
        if asked["explain"] == "full":
            found["base"] = np.full(len(values), base)
            found |= {f"contribution.{n}": parts[:, i] for i, n in enumerate(names)}
        return found


def _check(asked: Mapping[str, Any]) -> None:
    unknown = [n for n in asked if n not in PARAMETERS]
    if unknown:
        raise InputError(f"no parameter {unknown[0]!r}{nearest(unknown[0], PARAMETERS)}; there are explain, reasons.")
    if asked["explain"] not in EXPLAIN:
        raise InputError(f"explain = {asked['explain']!r}; expected one of {', '.join(EXPLAIN)}.")
    if not asked["reasons"] >= 1:
        raise InputError(f"reasons = {asked['reasons']}; expected a whole number from 1.")


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_EXAMPLES} more" if len(names) > _MAX_EXAMPLES else ""
    return f"{', '.join(names[:_MAX_EXAMPLES])}{more}"


def _is_number(column: pd.Series[Any]) -> bool:
    try:
        column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return False
    return True


def _load_pyfunc(path: str) -> ScoringFunction:
    """The scoring function of a model's folder; the name is MLflow's."""
    return ScoringFunction(FittedModel.load(path))
