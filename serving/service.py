"""What `bentoml serve` and `bentoml build` find here: the scoring service of this installation."""

from fraud.web.service import FraudService

__all__ = ["FraudService"]
