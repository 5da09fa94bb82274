"""Institutions: where care is given, when they are open, and at what price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from fraud.claims.simulation.items import Library
from fraud.claims.simulation.people import CENTRES, People
from fraud.claims.simulation.rows import DAY, NEVER, NONE, Array, draw
from fraud.claims.simulation.seasons import is_holiday
from fraud.claims.simulation.tiers import (
    CARE_HOME,
    CLINIC,
    KIND_OF_TIER,
    LEVEL_OF_TIER,
    PHARMACY,
    PRIMARY,
    SECONDARY,
    TERMINALS,
    TERTIARY,
    TIERS,
    OddHouses,
    odd_houses,
)

__all__ = ["CARE_HOME", "CLINIC", "FIRST", "KIND_OF_TIER", "LAST", "PHARMACY", "PRIMARY", "SECONDARY", "TERTIARY"]
__all__ += ["TIERS", "Providers", "providers", "shelf_price"]

REROUTED = 4  # how often somebody who finds a door shut tries another one


@dataclass(frozen=True)
class Providers:
    """One entry for each institution; `price` is in cents, provider by item.

    `opened` is a day, `suspended_from` and `suspended_to` are seconds (`NONE`: never), `week` says for each
    weekday from Monday whether the house is open, `rests` whether it shuts on public holidays. From the second
    `raised` on, prices are `raised_price`. `machines` says, house by item, whether there is the equipment for
    it. The regulars of the house that moved (at the second `moved_at`) went elsewhere or came from elsewhere
    before: `usual_before`, for clinics only.
    """

    tier: Array
    region: Array
    name: Array
    place: Array
    beds: Array
    stations: Array
    opened: Array
    suspended_from: Array
    suspended_to: Array
    week: Array
    rests: Array
    popularity: Array
    price: Array
    raised: Array
    raised_price: Array
    machines: Array
    usual: Array
    usual_before: Array
    moved_at: int
    odd: OddHouses

    def __len__(self) -> int:
        """Number of institutions."""
        return len(self.tier)

    @property
    def referral(self) -> int:
        """The centre that gets the hard cases."""
        return self.odd.referral

    @property
    def dialysis(self) -> int:
        """The clinic whose patients come three times a week."""
        return self.odd.dialysis

    @property
    def village(self) -> int:
        """The clinic with the only physician of a valley."""
        return self.odd.village

    @property
    def innocents(self) -> tuple[int, ...]:
        """Positions of the houses that look odd and are not."""
        return self.odd.all

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

    def price_of(self, provider: Array, item: Array, at: Array) -> Array:
        """Cents that each house asks for an item at a time: lists change now and then, caps do not."""
        return np.where(at >= self.raised[provider], self.raised_price[provider, item], self.price[provider, item])

    def suspended(self, provider: Array, at: Array) -> Array:
        """Whether each house may not bill at that time."""
        first, last = self.suspended_from[provider], self.suspended_to[provider]
        return np.asarray((first != NONE) & (at >= first) & (at < last + DAY))

    def open_at(self, provider: Array, at: Array) -> Array:
        """Whether each house does business on that day: opened already, not suspended, no day of rest."""
        day = np.asarray(at) // DAY
        working = self.week[provider, (day + 3) % 7] & ~(self.rests[provider] & is_holiday(day))
        return np.asarray((day >= self.opened[provider]) & working & ~self.suspended(provider, at))

    def visited(
        self, person: Array, tier: Array, folk: People, rates: Mapping[str, Any], rng: np.random.Generator,
        at: Array | None = None,
    ) -> Array:  # fmt: skip
        """The provider of that tier to which each person goes: mostly the usual one, if it is open at that time."""
        n = len(person)
        usual = self.usual[person, tier]
        if at is not None:
            usual = np.where((tier == CLINIC) & (at < self.moved_at), self.usual_before[person], usual)
        region = np.where(rng.random(n) < rates["at_home"], folk.region[person], -1)
        chosen = np.where(rng.random(n) < rates["loyalty"], usual, self._by_popularity(tier, region, rng))
        if at is None:
            return chosen
        for _ in range(REROUTED):
            # Villagers wait for the market day.
            shut = np.flatnonzero(~self.open_at(chosen, at) & (chosen != self.village))
            chosen[shut] = self._by_popularity(tier[shut], region[shut], rng)
        return chosen

    def _by_popularity(self, tier: Array, region: Array, rng: np.random.Generator) -> Array:
        out = np.zeros(len(tier), np.int64)
        for t, r in product(range(len(TIERS)), range(-1, len(CENTRES))):
            where = np.flatnonzero((tier == t) & (region == r))
            near = (self.tier == t) & ((self.region == r) | (r < 0))
            weights = np.where(near if near.any() else self.tier == t, self.popularity, 0.0)
            if self.odd.moved >= 0:
                weights[self.odd.moved] *= 0.1  # known to its regulars, wherever it is
            out[where] = draw(rng, weights, len(where))
        return out


def providers(
    counts: Mapping[str, int], start: int, days: int, rates: Mapping[str, Any], folk: People, regions: list[str],
    lib: Library, rng: np.random.Generator,
) -> Providers:  # fmt: skip
    """Institutions of every tier in every region, and the usual ones of each household."""
    tier = np.repeat(np.arange(len(TIERS)), [counts[t] for t in TIERS])
    n = len(tier)
    region = _regions(tier, rng)
    odd = odd_houses(tier, region)
    place = CENTRES[region] + rng.normal(0, [0.05, 0.06], (n, 2))
    if odd.beside >= 0:
        place[odd.beside] = place[odd.referral] + [0.0006, -0.0004]  # across the street
    popularity = rng.gamma(2.5, 0.4, n) + 0.1
    popularity[odd.dialysis] = 0.15  # nobody drops in for a cold
    popularity[odd.village] = 7.0
    # What is to be seen of the others needs patients.
    for house in (odd.moved, odd.fresh, odd.beside, odd.fair):
        popularity[house] = max(popularity[house], 1.2) if house >= 0 else popularity[house]
    if odd.moved >= 0:
        place[odd.moved] = CENTRES[region[odd.moved]] + rng.normal(0, 0.015, 2)
        popularity[odd.moved] = 3.0
    opened = start - rng.integers(120, 9000, n)
    if odd.fresh >= 0:
        opened[odd.fresh] = start + int(days * rng.uniform(0.3, 0.5))
    price, raised_price = _prices(tier, lib, rng)
    usual, before, moved_at = _usual(tier, region, place, popularity, folk, odd, start, days, rng)
    return Providers(
        tier=tier,
        region=region,
        name=_names(tier, region, odd, regions, rng),
        place=place,
        beds=_beds(tier, rates, rng),
        stations=np.where(np.arange(n) == odd.dialysis, 16, np.where(tier == TERTIARY, 24, 0)),
        opened=opened,
        **_suspensions(tier, odd, start, days, rates, rng),
        week=_weeks(tier, odd, rng),
        rests=(tier == CLINIC) & (rng.random(n) < 0.7) & (np.arange(n) != odd.dialysis),
        popularity=popularity,
        price=price,
        raised=np.where(rng.random(n) < rates["raising"], (start + rng.integers(60, days - 30, n)) * DAY, NEVER),
        raised_price=raised_price,
        machines=_machines(tier, lib, rng),
        usual=usual,
        usual_before=before,
        moved_at=moved_at,
        odd=odd,
    )


def _beds(tier: Array, rates: Mapping[str, Any], rng: np.random.Generator) -> Array:
    beds = np.zeros(len(tier), np.int64)
    for t, (low, high) in rates["beds"].items():
        where = tier == TIERS.index(t)
        beds[where] = np.round(rng.uniform(low, high, where.sum()), -1 if low > 100 else 0)
    return beds


def _regions(tier: Array, rng: np.random.Generator) -> Array:
    """Round-robin in each tier, so that every region has some; tertiary care stays in the two cities."""
    region = np.zeros(len(tier), np.int64)
    for t in range(len(TIERS)):
        where = np.flatnonzero(tier == t)
        region[where] = np.arange(len(where)) % (2 if t == TERTIARY else len(CENTRES))
        rest = where[len(CENTRES) * 2 :]
        region[rest] = draw(rng, np.array([0.42, 0.33, 0.25]), len(rest))
    return region


def _suspensions(
    tier: Array, odd: OddHouses, start: int, days: int, rates: Mapping[str, Any], rng: np.random.Generator
) -> dict[str, Array]:
    """A clinic, a pharmacy and a few more that may not bill for some months."""
    n = len(tier)
    able = np.isin(tier, (CLINIC, PHARMACY)) & ~np.isin(np.arange(n), odd.all)
    hit = able & (rng.random(n) < rates["suspended"])
    for t in (CLINIC, PHARMACY):
        hit[rng.choice(np.flatnonzero(able & (tier == t)))] = True
    first = start + (rng.uniform(0.2, 0.6, n) * days).astype(np.int64)
    last = first + rng.integers(90, 240, n)
    return {"suspended_from": np.where(hit, first * DAY, NONE), "suspended_to": np.where(hit, last * DAY, NONE)}


def _weeks(tier: Array, odd: OddHouses, rng: np.random.Generator) -> Array:
    """Days of the week on which houses are open: most clinics rest on one day, mostly on Sunday."""
    week = np.ones((len(tier), 7), bool)
    rest = np.where(rng.random(len(tier)) < 0.65, 6, rng.integers(0, 7, len(tier)))
    resting = np.flatnonzero((tier == CLINIC) & (rng.random(len(tier)) < 0.75))
    week[resting, rest[resting]] = False
    week[odd.dialysis] = [True] * 6 + [False]
    week[odd.village] = [False, False, True, False, False, True, False]  # market days
    return week


FIRST, LAST = "青白金石柳云望安平永长福兴宁和", "溪河山桥岗湖林泉庄坪塘湾岭浦"
SUFFIX = {SECONDARY: "人民医院", PRIMARY: "卫生院", CLINIC: "诊所", PHARMACY: "大药房", CARE_HOME: "护理服务中心"}


def _names(tier: Array, region: Array, odd: OddHouses, regions: list[str], rng: np.random.Generator) -> Array:
    """Invented names: a numbered hospital of the region, or a made-up place with the kind of house."""
    places = rng.permutation([a + b for a, b in product(FIRST, LAST)])
    names = [f"{places[i % len(places)]}{i // len(places) or ''}{SUFFIX.get(t, '')}" for i, t in enumerate(tier)]
    ordinals = "一二三四五六七八九十"
    seen = [0] * len(regions)
    for i in np.flatnonzero(tier == TERTIARY):
        r = int(region[i])
        names[i] = f"{regions[r][:2]}第{ordinals[seen[r] % 10]}医院"
        seen[r] += 1
    for house, suffix in ((odd.dialysis, "血液透析中心"), (odd.rehab, "康复医院"), (odd.hospice, "安宁疗护院")):
        if house >= 0:
            names[house] = f"{places[house % len(places)]}{suffix}"
    return np.array(names, dtype=object)


# Steps to which houses round their prices, in cents, and how usual each is.
STEPS, STEP_SHARES = np.array([100, 50, 10, 1]), np.array([0.5, 0.05, 0.3, 0.15])


def shelf_price(price: Array, rng: np.random.Generator, up: bool = False) -> Array:
    """The price in whole cents, rounded as houses do: mostly to a yuan, or finer; cheap things finer."""
    step = STEPS[draw(rng, STEP_SHARES, price.size)].reshape(price.shape)
    step = np.where(price < 500, np.minimum(step, 10), step)
    rounded = np.ceil(price / step) if up else np.floor(price / step)
    return np.asarray(np.maximum(rounded * step, 10).astype(np.int64))


def _prices(tier: Array, lib: Library, rng: np.random.Generator) -> tuple[Array, Array]:
    """Each house's price of each item before and after it raised its list, never above the cap.

    Tertiary houses charge nearest to it.
    """
    n, m = len(tier), len(lib.items["key"])
    house = np.array([0.98, 0.93, 0.88, 0.88, 0.92, 0.9])[tier] * rng.uniform(0.93, 1.0, n)
    cap = np.round(lib.items["price_cap"] * 100)
    raw = cap[None, :] * np.clip(house[:, None] * rng.uniform(0.9, 1.02, (n, m)), 0.6, 1.0)
    price = np.minimum(shelf_price(raw, rng), cap[None, :].astype(np.int64))
    dearer = np.where(rng.random((n, m)) < 0.6, shelf_price(raw * rng.uniform(1.03, 1.12, (n, 1)), rng), price)
    return price, np.minimum(np.maximum(dearer, price), cap[None, :].astype(np.int64))


# Shares of secondary hospitals, primary ones and clinics that have a machine, by the first word of the item.
MACHINES = {"ct": (1.0, 0.35, 0.0), "mri": (0.75, 0.0, 0.0), "pet": (0.0, 0.0, 0.0)}


def _machines(tier: Array, lib: Library, rng: np.random.Generator) -> Array:
    """Which house has the large equipment for which item: one machine serves all items of its kind."""
    able = np.ones((len(tier), len(lib.items["key"])), bool)
    kind = np.array([key.split("_")[0] for key in lib.items["key"]])
    for name in sorted(set(kind[lib.items["large_equipment"]])):
        share = np.array([1.0, *MACHINES.get(name, (0.6, 0.0, 0.0)), 0.0, 0.0])
        has = rng.random(len(tier)) < share[tier]
        able[:, (kind == name) & lib.items["large_equipment"]] = has[:, None]
    return able


def _usual(
    tier: Array, region: Array, place: Array, popularity: Array, folk: People, odd: OddHouses, start: int, days: int,
    rng: np.random.Generator,
) -> tuple[Array, Array, int]:  # fmt: skip
    """For each person and tier, the household's usual provider: near, popular, mostly in the region.

    Then the clinics as they were before the one that moved did so, and the second at which it moved.
    """
    first = np.r_[0, np.flatnonzero(np.diff(folk.household)) + 1]
    home = np.searchsorted(first, np.arange(len(folk)), side="right") - 1
    out = np.zeros((len(folk), len(TIERS)), np.int64)
    before = np.zeros(0, np.int64)
    moved_at = (start + int(days * rng.uniform(0.35, 0.6))) * DAY if odd.moved >= 0 else 0
    old_place, old_region = place.copy(), region.copy()
    if odd.moved >= 0:
        old_region[odd.moved] = 0
        old_place[odd.moved] = CENTRES[0] + rng.normal(0, 0.03, 2)
    for t in range(len(TIERS)):
        some = np.flatnonzero(tier == t)
        chance = rng.gumbel(0, 1, (len(first), len(some)))
        taste = np.log(popularity[some])[None, :] + chance
        out[:, t] = some[np.argmax(taste - _far(folk, first, place[some], region[some]), axis=1)][home]
        if t == CLINIC and odd.moved >= 0:
            far = _far(folk, first, old_place[some], old_region[some])
            before = some[np.argmax(taste - far, axis=1)][home]
    known = np.flatnonzero(folk.namesake >= 0)
    out[known] = out[folk.namesake[known]]
    return out, before if len(before) else out[:, CLINIC].copy(), moved_at


def _far(folk: People, first: Array, place: Array, region: Array) -> Array:
    """How little households like each place for its distance."""
    distance = np.hypot(*np.moveaxis(folk.place[first][:, None, :] - place[None, :, :], 2, 0))
    return np.asarray(distance * 22 + 3.5 * (folk.region[first][:, None] != region[None, :]))
