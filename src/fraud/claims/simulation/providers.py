"""Institutions and physicians: where care is given, by whom and at what price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from fraud.claims.simulation.items import LEVELS, Library
from fraud.claims.simulation.people import CENTRES, People
from fraud.claims.simulation.rows import Array, draw, pick

__all__ = ["CLINIC", "PHARMACY", "PRIMARY", "SECONDARY", "TERTIARY", "TIERS", "Physicians", "Providers"]
__all__ += ["physicians", "providers", "shelf_price"]

TIERS = ("tertiary", "secondary", "primary", "clinic", "pharmacy")
TERTIARY, SECONDARY, PRIMARY, CLINIC, PHARMACY = range(5)
LEVEL_OF_TIER = np.array([LEVELS.index(x) for x in ("tertiary", "secondary", "primary", "primary", "other")])
KIND_OF_TIER = np.array(["hospital", "hospital", "hospital", "clinic", "pharmacy"], dtype=object)
TERMINALS = np.array([6, 4, 2, 1, 2])

SECONDARY_DEPARTMENTS = [
    "general",
    "emergency",
    "surgery",
    "orthopaedics",
    "gynaecology",
    "obstetrics",
    "cardiology",
    "neurology",
    "respiratory",
    "gastroenterology",
    "endocrinology",
    "rehabilitation",
    "nephrology",
    "oncology",
]
CLINIC_DEPARTMENTS = ("general", "general", "general", "rehabilitation", "stomatology", "dermatology")


@dataclass(frozen=True)
class Providers:
    """One entry for each institution; `price` is in cents, provider by item.

    `referral`, `dialysis` and `village` are positions of innocents that look odd: the centre that gets the
    hard cases, the clinic whose patients come three times a week, the only physician of a valley.
    """

    tier: Array
    region: Array
    name: Array
    place: Array
    beds: Array
    stations: Array
    opened: Array
    popularity: Array
    price: Array
    usual: Array
    referral: int
    dialysis: int
    village: int

    def __len__(self) -> int:
        """Number of institutions."""
        return len(self.tier)

    @cached_property
    def level(self) -> Array:
        """Rank of the level of each institution, see `LEVELS`."""
        return LEVEL_OF_TIER[self.tier]

    @cached_property
    def first_terminal(self) -> Array:
        """Number of the first terminal of each institution."""
        count = TERMINALS[self.tier]
        return np.asarray(np.cumsum(count) - count)

    def terminal(self, provider: Array, rng: np.random.Generator) -> Array:
        """A terminal of each provider."""
        own = np.floor(rng.random(len(provider)) * TERMINALS[self.tier[provider]])
        return np.asarray(self.first_terminal[provider] + own.astype(np.int64))

    def visited(
        self, person: Array, tier: Array, folk: People, rates: Mapping[str, Any], rng: np.random.Generator
    ) -> Array:
        """The provider of that tier to which each person goes: mostly the usual one."""
        n = len(person)
        usual = self.usual[person, tier]
        other = self._by_popularity(tier, np.where(rng.random(n) < rates["at_home"], folk.region[person], -1), rng)
        return np.where(rng.random(n) < rates["loyalty"], usual, other)

    def _by_popularity(self, tier: Array, region: Array, rng: np.random.Generator) -> Array:
        out = np.zeros(len(tier), np.int64)
        for t, r in product(range(len(TIERS)), range(-1, len(CENTRES))):
            where = np.flatnonzero((tier == t) & (region == r))
            near = (self.tier == t) & ((self.region == r) | (r < 0))
            weights = np.where(near if near.any() else self.tier == t, self.popularity, 0.0)
            out[where] = draw(rng, weights, len(where))
        return out


@dataclass(frozen=True)
class Physicians:
    """One entry for each physician; `pull` is the share of the work that comes to one of them."""

    provider: Array
    department: Array
    title: Array
    licensed: Array
    pull: Array

    def __len__(self) -> int:
        """Number of physicians."""
        return len(self.provider)

    @cached_property
    def _rota(self) -> tuple[Array, Array, Array, Array]:
        places = np.repeat(np.arange(len(self)), self.pull)
        by_room = places[np.argsort(self._room(places), kind="stable")]
        by_house = places[np.argsort(self.provider[places], kind="stable")]
        return by_room, self._room(by_room), by_house, self.provider[by_house]

    def _room(self, physician: Array) -> Array:
        return np.asarray(self.provider[physician] * 100 + self.department[physician])

    def on_duty(self, provider: Array, department: Array, rng: np.random.Generator) -> Array:
        """A physician of the department, else of the house; -1 where none works (pharmacies)."""
        by_room, rooms, by_house, houses = self._rota
        own = pick(rng, rooms, provider * 100 + department)
        any_one = pick(rng, houses, provider)
        fallback = np.where(any_one >= 0, by_house[any_one], -1)
        return np.where(own >= 0, by_room[own], fallback)


def providers(
    counts: Mapping[str, int], start: int, rates: Mapping[str, Any], folk: People, regions: list[str],
    lib: Library, rng: np.random.Generator,
) -> Providers:  # fmt: skip
    """Institutions of every tier in every region, and the usual ones of each household."""
    tier = np.repeat(np.arange(len(TIERS)), [counts[t] for t in TIERS])
    n = len(tier)
    region = _regions(tier, rng)
    place = CENTRES[region] + rng.normal(0, [0.05, 0.06], (n, 2))
    popularity = rng.gamma(2.5, 0.4, n) + 0.1
    dialysis, village = _odd_clinics(tier, region)
    popularity[dialysis] = 0.15  # nobody drops in for a cold
    popularity[village] = 2.5
    beds = np.zeros(n, np.int64)
    for t, (low, high) in rates["beds"].items():
        where = tier == TIERS.index(t)
        beds[where] = np.round(rng.uniform(low, high, where.sum()), -1 if low > 100 else 0)
    return Providers(
        tier=tier,
        region=region,
        name=_names(tier, region, dialysis, regions, rng),
        place=place,
        beds=beds,
        stations=np.where(np.arange(n) == dialysis, 16, np.where(tier == TERTIARY, 24, 0)),
        opened=start - rng.integers(120, 9000, n),
        popularity=popularity,
        price=_prices(tier, lib, rng),
        usual=_usual(tier, region, place, popularity, folk, rng),
        referral=0,
        dialysis=dialysis,
        village=village,
    )


def _regions(tier: Array, rng: np.random.Generator) -> Array:
    """Round-robin in each tier, so that every region has some; tertiary care stays in the two cities."""
    region = np.zeros(len(tier), np.int64)
    for t in range(len(TIERS)):
        where = np.flatnonzero(tier == t)
        region[where] = np.arange(len(where)) % (2 if t == TERTIARY else len(CENTRES))
        rest = where[len(CENTRES) * 2 :]
        region[rest] = draw(rng, np.array([0.42, 0.33, 0.25]), len(rest))
    return region


def _odd_clinics(tier: Array, region: Array) -> tuple[int, int]:
    """The dialysis clinic (in the first city) and the village clinic (in the county)."""
    clinics = np.flatnonzero(tier == CLINIC)
    return int(clinics[region[clinics] == 0][0]), int(clinics[region[clinics] == 2][0])


FIRST, LAST = "青白金石柳云望安平永长福兴宁和", "溪河山桥岗湖林泉庄坪塘湾岭浦"
SUFFIX = {SECONDARY: "人民医院", PRIMARY: "卫生院", CLINIC: "诊所", PHARMACY: "大药房"}


def _names(tier: Array, region: Array, dialysis: int, regions: list[str], rng: np.random.Generator) -> Array:
    """Invented names: a numbered hospital of the region, or a made-up place with the kind of house."""
    places = rng.permutation([a + b for a, b in product(FIRST, LAST)])
    names = [f"{places[i % len(places)]}{i // len(places) or ''}{SUFFIX.get(t, '')}" for i, t in enumerate(tier)]
    ordinals = "一二三四五六七八九十"
    seen = [0] * len(regions)
    for i in np.flatnonzero(tier == TERTIARY):
        r = int(region[i])
        names[i] = f"{regions[r][:2]}第{ordinals[seen[r] % 10]}医院"
        seen[r] += 1
    names[dialysis] = f"{places[dialysis % len(places)]}血液透析中心"
    return np.array(names, dtype=object)


# Steps to which houses round their prices, in cents, and how usual each is.
STEPS, STEP_SHARES = np.array([100, 50, 10, 1]), np.array([0.5, 0.05, 0.3, 0.15])


def shelf_price(price: Array, rng: np.random.Generator, up: bool = False) -> Array:
    """The price in whole cents, rounded as houses do: mostly to a yuan, or finer; cheap things finer."""
    step = STEPS[draw(rng, STEP_SHARES, price.size)].reshape(price.shape)
    step = np.where(price < 500, np.minimum(step, 10), step)
    rounded = np.ceil(price / step) if up else np.floor(price / step)
    return np.asarray(np.maximum(rounded * step, 10).astype(np.int64))


def _prices(tier: Array, lib: Library, rng: np.random.Generator) -> Array:
    """Each house's price of each item, never above the cap; tertiary houses charge nearest to it."""
    n, m = len(tier), len(lib.items["key"])
    house = np.array([0.98, 0.93, 0.88, 0.88, 0.92])[tier] * rng.uniform(0.93, 1.0, n)
    cap = np.round(lib.items["price_cap"] * 100)
    raw = cap[None, :] * np.clip(house[:, None] * rng.uniform(0.9, 1.02, (n, m)), 0.6, 1.0)
    return np.minimum(shelf_price(raw, rng), cap[None, :].astype(np.int64))


def _usual(
    tier: Array, region: Array, place: Array, popularity: Array, folk: People, rng: np.random.Generator
) -> Array:
    """For each person and tier, the household's usual provider: near, popular, mostly in the region."""
    first = np.r_[0, np.flatnonzero(np.diff(folk.household)) + 1]
    home = np.searchsorted(first, np.arange(len(folk)), side="right") - 1
    out = np.zeros((len(folk), len(TIERS)), np.int64)
    for t in range(len(TIERS)):
        some = np.flatnonzero(tier == t)
        distance = np.hypot(*np.moveaxis(folk.place[first][:, None, :] - place[some][None, :, :], 2, 0))
        taste = (
            np.log(popularity[some])[None, :]
            - distance * 22
            - 2.5 * (folk.region[first][:, None] != region[some][None, :])
        )
        out[:, t] = some[np.argmax(taste + rng.gumbel(0, 1, taste.shape), axis=1)][home]
    return out


def physicians(
    houses: Providers, start: int, rates: Mapping[str, Any], lib: Library, rng: np.random.Generator
) -> Physicians:
    """Physicians of every house but pharmacies; one surgeon of the referral centre does the work of four."""
    mean = np.array([rates["physicians"][t] for t in TIERS])[houses.tier]
    count = np.floor(mean + rng.random(len(houses))).astype(np.int64)
    count[houses.village] = 1
    provider = np.repeat(np.arange(len(houses)), count)
    department = np.array([_department(int(p), i, houses, lib, rng) for i, p in enumerate(provider)])
    pull = rng.integers(2, 6, len(provider))
    surgeons = (provider == houses.referral) & (department == lib.departments.index("surgery"))
    if surgeons.any():
        pull[np.flatnonzero(surgeons)[0]] = 16
    return Physicians(
        provider=provider,
        department=department,
        title=draw(rng, np.array([0.4, 0.35, 0.18, 0.07]), len(provider)),
        licensed=start - rng.integers(400, 12_000, len(provider)),
        pull=pull,
    )


def _department(house: int, turn: int, houses: Providers, lib: Library, rng: np.random.Generator) -> int:
    """The department of one physician: all of them in turn in big houses."""
    tier = houses.tier[house]
    if house == houses.dialysis:
        return lib.departments.index("nephrology")
    if tier == TERTIARY:
        return turn % len(lib.departments)
    if tier == SECONDARY:
        return lib.departments.index(SECONDARY_DEPARTMENTS[turn % len(SECONDARY_DEPARTMENTS)])
    choice = ("general", "general", "rehabilitation", "surgery") if tier == PRIMARY else CLINIC_DEPARTMENTS
    return lib.departments.index(choice[int(rng.integers(0, len(choice)))])
