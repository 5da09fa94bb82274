"""Planted schemes: each one a small function that bends honest care the way its actors would.

A scheme gets the care so far and gives back the care as billed, with what it did. Its actors persist: they
begin, go on for months, end, and most of what they bill stays honest. Patterns that signals may find are
consequences of the behaviour; nothing is written into a claim to be found. Rates are in the preset.
"""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import Care, City
from fraud.claims.simulation.rows import stream
from fraud.claims.simulation.schemes.charges import dear_prices, duplicate_charges
from fraud.claims.simulation.schemes.stage import PATIENT, PROVIDER, WHOLE, Cast, Deeds, Scheme, Stage
from fraud.claims.simulation.schemes.stays import empty_beds, split_admissions, upcoding
from fraud.claims.simulation.schemes.visits import cash_swipes, drug_hoarding, phantom_visits, visiting_ring

__all__ = ["PATIENT", "PROVIDER", "SCHEMES", "WHOLE", "Cast", "Deeds", "Scheme", "play"]

SCHEMES: tuple[Scheme, ...] = (
    Scheme("split_admissions", "T01", split_admissions),
    Scheme("empty_beds", "T02", empty_beds),
    Scheme("phantom_visits", "T06", phantom_visits),
    Scheme("cash_swipes", "T24", cash_swipes),
    Scheme("drug_hoarding", "T23", drug_hoarding),
    Scheme("visiting_ring", "T26", visiting_ring),
    Scheme("upcoding", "T17", upcoding),
    Scheme("duplicate_charges", "T07", duplicate_charges),
    Scheme("dear_prices", "T09", dear_prices),
)


def play(city: City, care: Care, scale: float) -> tuple[Care, tuple[Deeds, ...]]:
    """The care as billed after all schemes, and the deeds in the order of `SCHEMES`."""
    busy = np.zeros(len(city.providers), bool)
    done: list[Deeds] = []
    for scheme in SCHEMES:
        rng = stream(city.seed, scheme.name)
        volume = np.bincount(care.claims["provider"], minlength=len(busy))
        deeds = scheme.play(Stage(city, city.rates["schemes"][scheme.name], rng, scale, busy, volume), care)
        care = deeds.care
        for cast in deeds.casts:
            if cast.entity == PROVIDER:
                busy = busy | np.isin(np.arange(len(busy)), cast.who)
        done.append(deeds)
    return care, tuple(done)
