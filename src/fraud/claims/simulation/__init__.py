"""A simulated payer: an honest city, schemes planted in it, and the truth kept apart."""

from fraud.claims.simulation.city import PRESETS, SimulationResult, simulate
from fraud.claims.simulation.schemes import SCHEMES, Scheme

__all__ = ["PRESETS", "SCHEMES", "Scheme", "SimulationResult", "simulate"]
