"""Honest mistakes in the data: a digit typed twice, a discharge a day too early, a wrong letter for the sex."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import INPATIENT, Care, City
from fraud.claims.simulation.rows import DAY, Array, take

__all__ = ["with_mistakes", "with_register"]

TYPED_TWICE = 11  # 2 becomes 22


def with_mistakes(city: City, care: Care) -> tuple[Array, Care]:
    """Keys of the claims with a mistake in the data, and the care with these mistakes."""
    rng, scale = city.stream("typing"), city.rates["wanted"] / city.rates["claims"]
    quantities = _count(city.rates["care"]["mistyped_quantities"], scale, rng)
    discharges = _count(city.rates["care"]["mistyped_discharges"], scale, rng)
    care, typed = _typed_twice(city, care, quantities, rng)
    care, early = _discharged_early(city, care, discharges, rng)
    return np.concatenate([typed, early]), care


def _count(usual: float, scale: float, rng: np.random.Generator) -> int:
    return int(usual * scale + rng.random())


def _typed_twice(city: City, care: Care, count: int, rng: np.random.Generator) -> tuple[Care, Array]:
    """The care with the quantity of a few boxes of drugs typed twice; the days that they last are right."""
    items, lines = city.library.items, care.lines
    boxed = city.library.is_category("drug") & ~city.library.is_injection & np.isnan(items["max_per_day"])
    able = np.flatnonzero(boxed[lines["item"]] & (lines["quantity"] < 6))
    chosen = rng.choice(able, min(count, len(able)), replace=False)
    quantity = lines["quantity"].copy()
    quantity[chosen] *= TYPED_TWICE
    return replace(care, lines={**lines, "quantity": quantity}), np.unique(lines["claim"][chosen])


def _discharged_early(city: City, care: Care, count: int, rng: np.random.Generator) -> tuple[Care, Array]:
    """The care with a few stays discharged on paper a day before they ended: a bed is billed after it."""
    claims = care.claims
    able = np.flatnonzero((claims["kind"] == INPATIENT) & (claims["nights"] > 3) & (claims["status"] == 0))
    chosen = rng.choice(able, min(count, len(able)), replace=False)
    discharged = claims["discharged"].copy()
    discharged[chosen] -= DAY
    return care.with_claims(discharged=discharged), claims["key"][chosen]


def with_register(city: City, care: Care) -> City:
    """The city with the wrong sex in the register for a few, who had no care that depends on it."""
    folk, lib, rng = city.people, city.library, city.stream("register")
    bound = np.isin(care.claims["disease"], np.flatnonzero(lib.diseases["sex"] != ""))
    limited = lib.items["sex_limit"][care.lines["item"]] != ""
    claim = np.searchsorted(care.claims["key"], care.lines["claim"][limited])
    told = np.zeros(len(folk), bool)
    told[take(care.claims, bound)["patient"]] = True
    told[care.claims["patient"][claim]] = True
    seen = np.zeros(len(folk), bool)
    seen[care.claims["patient"]] = True
    count = _count(city.rates["people"]["mistyped_sex"] * len(folk), 1 / 4000, rng)
    wrong = rng.permutation(np.flatnonzero(seen & ~told))[:count]
    written = folk.sex.copy()
    written[wrong] = 1 - written[wrong]
    return replace(city, people=replace(folk, sex_written=written))
