"""The registered model as MLflow and Spark call it: a DataFrame of features in, probabilities out.

MLflow loads this module by its name and hands it the model's folder, so nothing is pickled. The service does
not come this way: checking a schema costs it more than scoring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fraud.learning.model import FittedModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ScoringFunction"]


class ScoringFunction:
    """Scores rows of the model's features."""

    def __init__(self, model: FittedModel) -> None:
        self.model = model

    def predict(self, features: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """`probability` and `margin` of each row; columns are taken by name, in any order."""
        import pandas as pd

        values = features[list(self.model.names)].to_numpy(dtype=np.float64)
        margins = self.model.margins(values)
        scored = {"probability": self.model.probability(margins), "margin": margins}
        return pd.DataFrame(scored, index=features.index)


def _load_pyfunc(path: str) -> ScoringFunction:
    """The scoring function of a model's folder; the name is MLflow's."""
    return ScoringFunction(FittedModel.load(path))
