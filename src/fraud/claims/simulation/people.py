"""The insured: who they are, where they live, what they live with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fraud.claims.simulation.items import Library
from fraud.claims.simulation.rows import DAY, NEVER, NONE, Array, draw

__all__ = ["FEMALE", "MALE", "People", "people"]

MALE, FEMALE = 0, 1
YEAR_DAYS = 365.25


@dataclass(frozen=True)
class People:
    """One entry for each person; `birth` in days, `died` in seconds since 1970, `place` in degrees.

    `assistance` is 0 for none; `assistance_from` and `assistance_to` are its first and last day (`NONE`: never).
    `unsettled` are those who live elsewhere than insured and have not told the payer. `twin` is the position
    of the other twin, `namesake` that of a stranger of the same sex and birthday with the same doctors (-1:
    none). `sex_written` is what the register says: now and then somebody mistyped it.
    """

    birth: Array
    sex: Array
    region: Array
    insured_region: Array
    insurance: Array
    assistance: Array
    assistance_from: Array
    assistance_to: Array
    household: Array
    place: Array
    frailty: Array
    taste: Array
    conditions: Array
    twin: Array
    namesake: Array
    unsettled: Array
    sex_written: Array
    died: Array

    def __len__(self) -> int:
        """Number of persons."""
        return len(self.birth)

    def age(self, person: Array, at: Array) -> Array:
        """Age in years at a time given in seconds."""
        return (np.asarray(at) / DAY - self.birth[person]) / YEAR_DAYS

    def alive(self, person: Array, at: Array) -> Array:
        """Whether the person lives at that time: born, and not dead."""
        return np.asarray((self.died[person] > at) & (self.birth[person] * DAY <= at))

    def assisted(self, person: Array, at: Array) -> Array:
        """Whether the person has medical assistance at that time."""
        day = np.asarray(at) // DAY
        within = (day >= self.assistance_from[person]) & (day <= self.assistance_to[person])
        return np.asarray((self.assistance[person] > 0) & within)

    def fits(self, person: Array, disease: Array, library: Library, at: Array) -> Array:
        """Whether sex and age allow the disease."""
        d, age = library.diseases, self.age(person, at)
        sex = np.array([{"male": MALE, "female": FEMALE}.get(s, -1) for s in d["sex"]])[disease]
        fits_age = (age >= d["age_low"][disease]) & (age < d["age_high"][disease] + 1)
        return np.asarray(fits_age & ((sex < 0) | (sex == self.sex[person])))

    def with_deaths(self, person: Array, at: Array) -> People:
        """The same people, some of whom have died."""
        died = self.died.copy()
        np.minimum.at(died, person, at)
        return replace(self, died=died)


# Centres of the regions, in degrees north and east: an invented place.
CENTRES = np.array([[30.31, 120.22], [30.27, 120.05], [29.98, 120.14]])


def people(n: int, start: int, days: int, rates: Mapping[str, Any], lib: Library, rng: np.random.Generator) -> People:
    """`n` persons in households, with ages as of the middle of the period; some are born within it."""
    at_day = start + days // 2
    household = np.sort(rng.integers(0, max(1, int(n / 2.7)), n))
    homes = household[-1] + 1
    home_region = draw(rng, np.array(rates["region_shares"]), homes)
    spot = CENTRES[home_region] + rng.normal(0, [0.05, 0.06], (homes, 2))
    region = home_region[household]
    age = _ages(n, rates["ages"], days / 2 / YEAR_DAYS, rng)
    born = (at_day - age * YEAR_DAYS).astype(np.int64)
    moved = rng.random(n) < rates["moved"]
    folk = People(
        birth=born,
        sex=rng.integers(0, 2, n),
        region=region,
        insured_region=np.where(moved, (region + 1) % len(CENTRES), region),
        insurance=_insurance(age, rates, rng),
        **_assistance(n, at_day, rates, rng),
        household=household,
        place=spot[household],
        frailty=rng.gamma(1.6, 1 / 1.6, n),
        taste=rng.random(n),
        conditions=np.zeros((n, len(lib.diseases["code"])), bool),
        twin=np.full(n, -1),
        namesake=np.full(n, -1),
        unsettled=moved & (rng.random(n) < 0.35),
        sex_written=np.zeros(n, np.int64),
        died=np.full(n, NEVER),
    )
    folk = _twins(folk, max(2, round(rates["twin_pairs"] * n / 4000)), at_day, rng)
    folk = _namesakes(folk, max(1, round(rates["namesakes"] * n / 4000)), at_day, rng)
    folk = replace(folk, sex_written=folk.sex.copy())
    return replace(folk, conditions=_conditions(folk, at_day, lib, rng))


def _ages(n: int, bands: list[list[float]], unborn: float, rng: np.random.Generator) -> Array:
    """Ages in the middle of the period; the youngest are born up to `unborn` years later."""
    low, high, share = np.array(bands).T
    low = np.where(low == 0, -unborn, low)
    band = draw(rng, share, n)
    return np.asarray(low[band] + rng.random(n) * (high[band] + 1 - low[band]))


def _insurance(age: Array, rates: Mapping[str, Any], rng: np.random.Generator) -> Array:
    """0 employee, 1 resident, 2 other; children are insured as residents."""
    roll = rng.random(len(age))
    employee = (roll < rates["employee"] / 0.8) & (age >= 19)
    return np.where(roll > 1 - rates["other_scheme"], 2, np.where(employee, 0, 1))


def _assistance(n: int, at_day: int, rates: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Array]:
    """Medical assistance of the poor, for a year or more; for some it lapses, or begins, within the period."""
    helped = rng.random(n) < rates["assisted"]
    first = at_day - rng.integers(-250, 900, n)
    return {
        "assistance": np.where(helped, rng.integers(1, 4, n), 0),
        "assistance_from": np.where(helped, first, NONE),
        "assistance_to": np.where(helped, first + rng.integers(1, 4, n) * 365 + rng.integers(0, 60, n), NONE),
    }


def _twins(folk: People, pairs: int, at_day: int, rng: np.random.Generator) -> People:
    """Neighbours in the list become children of one birth, sex and home, who go everywhere together."""
    one = rng.choice(len(folk) // 2 - 1, pairs, replace=False) * 2
    two = one + 1
    birth = folk.birth.copy()
    birth[one] = at_day - rng.integers(2 * 365, 12 * 365, pairs)
    twin = folk.twin.copy()
    twin[two] = one
    same = {n: getattr(folk, n).copy() for n in ("sex", "region", "insured_region", "household", "place")}
    insurance = folk.insurance.copy()
    insurance[one] = 1
    for column in (birth, insurance, *same.values()):
        column[two] = column[one]
    frailty = folk.frailty.copy()
    frailty[one], frailty[two] = 3.0, 0.2  # the one drags the other along
    return replace(folk, birth=birth, insurance=insurance, twin=twin, frailty=frailty, **same)


def _namesakes(folk: People, pairs: int, at_day: int, rng: np.random.Generator) -> People:
    """Strangers of one region who happen to share sex and birthday, and will have the same doctors."""
    age = folk.age(np.arange(len(folk)), np.full(len(folk), at_day * DAY))
    grown = rng.permutation(np.flatnonzero((age > 30) & (age < 80) & (folk.twin < 0)))
    grown = grown[np.argsort(folk.region[grown], kind="stable")]
    one, two = grown[0 : 2 * pairs : 2], grown[1 : 2 * pairs : 2]
    one = one[: len(two)]
    birth, sex, namesake = folk.birth.copy(), folk.sex.copy(), folk.namesake.copy()
    birth[two], sex[two] = birth[one], sex[one]
    namesake[two] = one
    return replace(folk, birth=birth, sex=sex, namesake=namesake)


def _conditions(folk: People, at_day: int, lib: Library, rng: np.random.Generator) -> Array:
    """Chronic conditions; the chance grows with the years since the usual onset."""
    d = lib.diseases
    everyone = np.arange(len(folk))
    age = folk.age(everyone, np.full(len(folk), at_day * DAY))
    out = np.zeros((len(folk), len(d["code"])), bool)
    for i in np.flatnonzero(d["prevalence"] > 0):
        grown = np.clip((age - d["onset"][i]) / 25, 0, 1.6) + 0.35
        may = folk.fits(everyone, np.full(len(folk), i), lib, np.full(len(folk), at_day * DAY))
        out[:, i] = may & (age >= d["onset"][i]) & (rng.random(len(folk)) < d["prevalence"][i] * grown)
    # However small the city, its dialysis clinic has patients.
    kidney = lib.disease["N185"]
    short = len(folk) // 900 + 1 - int(out[:, kidney].sum())
    old = rng.permutation(np.flatnonzero((age > 50) & (age < 80) & ~out[:, kidney]))
    out[old[: max(short, 0)], kidney] = True
    return out
