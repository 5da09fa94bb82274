"""Learning: from labelled claims to a registered model.

`train` and `load_model` are loaded on first use: MLflow and LightGBM take seconds to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fraud.learning.spec import ModelSpec, load_spec

if TYPE_CHECKING:
    from fraud.learning.datasets.dataset import build_dataset
    from fraud.learning.model import FittedModel
    from fraud.learning.tracking import load_model
    from fraud.learning.training import train

__all__ = ["FittedModel", "ModelSpec", "build_dataset", "load_model", "load_spec", "train"]

_LATER = {
    "FittedModel": "fraud.learning.model",
    "build_dataset": "fraud.learning.datasets.dataset",
    "load_model": "fraud.learning.tracking",
    "train": "fraud.learning.training",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
