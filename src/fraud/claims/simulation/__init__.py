"""A simulated payer: an honest city, schemes planted in it, and the truth kept apart."""

from fraud.claims.simulation.payer import SimulationResult, simulate
from fraud.claims.simulation.presets import PRESETS, rates_text
from fraud.claims.simulation.schemes import SCHEMES, Scheme

__all__ = ["PRESETS", "SCHEMES", "Scheme", "SimulationResult", "rates_text", "simulate"]
