"""Probabilities that mean what they say, and how sure they are."""
