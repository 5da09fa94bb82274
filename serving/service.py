"""What `bentoml serve` and `bentoml build` find here: the scoring service of this installation."""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("fraud") is None:
    # Within a Bento the engine lies beside this folder, and nobody installed it.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from fraud.web.service import FraudService  # noqa: E402

__all__ = ["FraudService"]
