"""Fraud, waste and abuse in health-insurance claims: signals, models, explanations, a scoring service."""

__version__ = "0.1.0"
