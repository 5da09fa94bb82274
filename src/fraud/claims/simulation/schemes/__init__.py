"""Planted schemes: each one a small function that bends honest care the way its actors would.

A scheme gets the care so far and gives back the care as billed, with what it did. Its actors persist: they
begin, go on for months, change after an inspection, end, and most of what they bill stays honest. Patterns
that signals may find are consequences of the behaviour; nothing is written into a claim to be found. The
rates of a scheme are in the TOML file beside its module; a preset may change them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import Care, City
from fraud.claims.simulation.rows import stream
from fraud.claims.simulation.schemes import (
    charges,
    drugs,
    insiders,
    intensity,
    papers,
    persons,
    rings,
    staff,
    stays,
    visits,
)
from fraud.claims.simulation.schemes.stage import PROVIDER, Deeds, Scheme, Stage, merged

__all__ = ["MODULES", "SCHEMES", "Scheme", "play"]

MODULES = (stays, visits, charges, drugs, papers, rings, persons, insiders, staff, intensity)
SCHEMES: tuple[Scheme, ...] = tuple(s for m in MODULES for s in vars(m).values() if isinstance(s, Scheme))


def play(city: City, care: Care, scale: float) -> tuple[Care, tuple[Deeds, ...]]:
    """The care as billed after all schemes, and the deeds in the order of `SCHEMES`."""
    done: dict[str, Deeds] = {}
    for scheme in (s for s in SCHEMES if not s.bends):
        done[scheme.name] = scheme.play(_stage(city, scheme, scale, done, care), care)
    care, final = merged(care, list(done.values()))
    done = dict(zip(done, final, strict=True))
    for scheme in (s for s in SCHEMES if s.bends):
        deeds = scheme.play(_stage(city, scheme, scale, done, care), care)
        care = deeds.care or care
        # The care of every scheme but the last one is let go: it is large.
        done[scheme.name] = replace(deeds, care=None)
    return care, tuple(done[s.name] for s in SCHEMES)


def _stage(city: City, scheme: Scheme, scale: float, done: Mapping[str, Deeds], care: Care) -> Stage:
    volume = np.bincount(care.claims["provider"], minlength=len(city.providers))
    who = [cast.who for deeds in done.values() for cast in deeds.casts if cast.entity == PROVIDER]
    busy = np.isin(np.arange(len(volume)), np.concatenate([np.zeros(0, np.int64), *who]))
    return Stage(city, city.rates["schemes"][scheme.name], stream(city.seed, scheme.name), scale, busy, volume)
