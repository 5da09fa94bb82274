"""Scoring: one claim in a request, a whole folder in a batch, and the explanation of either."""
