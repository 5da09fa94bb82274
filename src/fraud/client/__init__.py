"""A typed client of the scoring service: `FraudClient`, and `AsyncFraudClient` for asyncio.

It needs httpx and nothing of the engine.
"""

from fraud.client.clients import AsyncFraudClient, FraudClient
from fraud.client.problems import FraudClientError, FraudProblem, FraudUnreachable
from fraud.client.retrying import Retrying

__all__ = ["AsyncFraudClient", "FraudClient", "FraudClientError", "FraudProblem", "FraudUnreachable", "Retrying"]
