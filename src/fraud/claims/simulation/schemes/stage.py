"""What every scheme is played with: actors and their spans, rates, chance; and what a scheme gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fraud.claims.simulation.care import Care, City
from fraud.claims.simulation.rows import DAY, Array, Rows

__all__ = ["PATIENT", "PROVIDER", "WHOLE", "Cast", "Deeds", "Scheme", "Stage", "marks", "phantoms"]

PROVIDER, PATIENT = 0, 1
WHOLE = -1  # amount of a claim that should not have been billed at all: its total
MONTH = 30.4 * DAY


@dataclass(frozen=True)
class Cast:
    """Actors of one scheme with the first and last second of their doings."""

    who: Array
    begins: Array
    ends: Array
    entity: int = PROVIDER

    def acting(self, who: Array, at: Array) -> Array:
        """For each entity and moment, the position of the actor who is at it; -1 where none is."""
        if len(self.who) == 0:
            return np.full(len(who), -1)
        order = np.argsort(self.who)
        found = np.minimum(np.searchsorted(self.who[order], who), len(order) - 1)
        actor = order[found]
        return np.where((self.who[actor] == who) & (at >= self.begins[actor]) & (at <= self.ends[actor]), actor, -1)


@dataclass(frozen=True)
class Stage:
    """What a scheme is played with: the city, its own rates, randomness, and whom others have cast."""

    city: City
    rates: Mapping[str, Any]
    rng: np.random.Generator
    scale: float
    busy: Array
    volume: Array  # claims of each provider

    def count(self, name: str = "actors") -> int:
        """Number of actors, grown or shrunk with the city."""
        return max(1, round(float(self.rates[name]) * self.scale))

    def providers(self, *tiers: int, weights: Array | None = None, count: int | None = None) -> Cast:
        """Providers of the tiers, by weight; not the odd innocents, and busy ones only if need be.

        Houses with less work than most are left out, so that what actors do stays the smaller part of it.
        """
        houses = self.city.providers
        able = np.isin(houses.tier, tiers)
        for tier in tiers:
            able &= (houses.tier != tier) | (self.volume >= np.median(self.volume[houses.tier == tier]))
        able[[houses.referral, houses.dialysis, houses.village]] = False
        wanted = count or self.count()
        idle = able & ~self.busy
        weight = (np.sqrt(houses.popularity) if weights is None else weights) + 1e-6
        return self.cast(weight * (idle if idle.sum() >= wanted else able), PROVIDER, wanted)

    def cast(self, weight: Array, entity: int, count: int) -> Cast:
        """Actors by weight, with a span each; spans are spread so that no season has more than another."""
        able = np.flatnonzero(weight > 0)
        n = min(count, len(able))
        who = np.sort(self.rng.choice(able, n, replace=False, p=weight[able] / weight[able].sum()))
        low, high = self.rates["months"]
        span = self.rng.uniform(low, high, n) * MONTH
        # Spaced over the period in random order: the share of guilt stays much the same throughout.
        turn = (self.rng.permutation(n) + self.rng.random(n)) / max(n, 1)
        first = self.city.begins - 0.75 * span + turn * (self.city.ends - self.city.begins + 0.5 * span)
        begins = np.maximum(first, self.city.begins).astype(np.int64)
        return Cast(who, begins, np.minimum(first + span, self.city.ends - 1).astype(np.int64), entity)

    @property
    def every(self) -> float:
        """Seconds between two outings; in a small city actors do less, or all of it would be false."""
        return float(self.rates["every_days"]) * DAY / min(self.scale, 1.0)

    def hits(self, n: int, name: str = "intensity") -> Array:
        """For each of `n` chances, whether it is taken."""
        return np.asarray(self.rng.random(n) < self.rates[name])


@dataclass(frozen=True)
class Deeds:
    """Care as billed, and what is false in it: claims and lines with the cents at stake, and who did it."""

    care: Care
    casts: tuple[Cast, ...]
    claims: Rows
    lines: Rows = field(default_factory=lambda: {n: np.zeros(0, np.int64) for n in ("line", "amount")})


@dataclass(frozen=True)
class Scheme:
    """A planted scheme: its type of violation and the function that plays it."""

    name: str
    violation: str
    play: Callable[[Stage, Care], Deeds]

    @property
    def says(self) -> str:
        """What the scheme does, in a sentence."""
        return (self.play.__doc__ or "").split("\n")[0]


def marks(keys: Array, amount: Array | int = WHOLE) -> Rows:
    """False claims with the cents at stake."""
    return {"claim": keys, "amount": np.broadcast_to(np.asarray(amount, np.int64), keys.shape).copy()}


def phantoms(care: Care, phantom: Care, casts: tuple[Cast, ...]) -> Deeds:
    """Deeds that consist of whole claims for nothing: every line of them is false."""
    keys = phantom.claims["key"]
    joined = care.joined(phantom)
    false = np.isin(joined.lines["claim"], keys)
    amount = joined.lines["price"] * joined.lines["quantity"]
    return Deeds(joined, casts, marks(keys), {"line": joined.lines["key"][false], "amount": amount[false]})
