"""What every scheme is played with: actors with their spans and habits, rates, chance; and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from fraud.claims.simulation.care import Care, City
from fraud.claims.simulation.rows import DAY, NEVER, Array, Rows, between, size

__all__ = ["CLAIM", "ENTITIES", "OPERATOR", "PATIENT", "PHYSICIAN", "PROVIDER", "WHOLE"]
__all__ += ["Cast", "Deeds", "Scheme", "Stage", "marks", "merged", "nothing", "phantoms", "scheme", "with_line_keys"]

ENTITIES = ("provider", "patient", "physician", "operator", "claim")
PROVIDER, PATIENT, PHYSICIAN, OPERATOR, CLAIM = range(len(ENTITIES))
WHOLE = -1  # amount of a claim that should not have been billed at all: its total
MONTH = 30.4 * DAY

# What an actor does once an inspection has been at the door.
STOPS, LIES_LOW, TAKES_CARE = range(3)
REACTION_SHARES = (0.4, 0.3, 0.3)
QUIET = 120 * DAY  # for how long one who lies low does nothing; later there is half as much of it
CAREFUL = 0.35  # how much is left of the doings of one who takes care


@dataclass(frozen=True)
class Cast:
    """Actors of one scheme; all arrays run over actors.

    `who` is a position among the entities, `begins` and `ends` the first and last second of the doings,
    `intensity` the share of occasions that are taken, `stealth` (0 to 1) how well they are hidden, `opened`
    and `decided` the seconds at which an inspection came and ended (`NEVER`: none did), `reaction` to it.
    """

    who: Array
    begins: Array
    ends: Array
    entity: int
    intensity: Array
    stealth: Array
    opened: Array
    decided: Array
    reaction: Array

    def __len__(self) -> int:
        """Number of actors."""
        return len(self.who)

    def acting(self, who: Array, at: Array) -> Array:
        """For each entity and moment, the position of the actor who is at it; -1 where none is."""
        if len(self) == 0:
            return np.full(len(who), -1)
        order = np.argsort(self.who)
        found = np.minimum(np.searchsorted(self.who[order], who), len(order) - 1)
        actor = order[found]
        return np.where((self.who[actor] == who) & (at >= self.begins[actor]) & (at <= self.ends[actor]), actor, -1)

    def level(self, actor: Array, at: Array) -> Array:
        """How much of the doings is left at that time, from 0 to 1: less once an inspection came."""
        since = np.asarray(at) - self.opened[actor]
        low = np.where(since < QUIET, 0.0, 0.5)
        left = np.select([self.reaction[actor] == STOPS, self.reaction[actor] == LIES_LOW], [0.0, low], CAREFUL)
        within = (at >= self.begins[actor]) & (at <= self.ends[actor])
        return np.where(within, np.where(since >= 0, left, 1.0), 0.0)

    def led(self, who: Array, leader: Array, entity: int) -> Cast:
        """Others who take part in what the actors at `leader` do, over the same time; nobody inspects them."""
        n = len(who)
        mine = {f.name: getattr(self, f.name)[leader] for f in fields(self) if f.name not in ("who", "entity")}
        return Cast(**mine | {"who": np.asarray(who), "entity": entity, "decided": np.full(n, NEVER)})

    def only(self, where: Array) -> Cast:
        """Some of the actors."""
        mine = {f.name: getattr(self, f.name)[where] for f in fields(self) if f.name != "entity"}
        return Cast(**mine, entity=self.entity)

    @property
    def last(self) -> Array:
        """Last second of the doings, for those who stop at an inspection that of its beginning."""
        return np.where(self.reaction == STOPS, np.minimum(self.ends, self.opened), self.ends)


@dataclass(frozen=True)
class Stage:
    """What a scheme is played with: the city, its own rates, randomness, and whom others have cast."""

    city: City
    rates: Mapping[str, Any]
    rng: np.random.Generator
    scale: float
    busy: Array
    volume: Array  # claims of each provider

    def count(self, name: str = "actors", least: int = 0) -> int:
        """Number of actors, grown or shrunk with the city; parts of one are left to chance."""
        usual = float(self.rates[name]) * self.city.rates["actors"]["share"]
        return max(least, int(usual * self.scale + self.rng.random()))

    def providers(self, *tiers: int, weights: Array | None = None, count: int | None = None) -> Cast:
        """Providers of the tiers, by weight; not the odd innocents, and mostly those that no other scheme has.

        Houses with less work than most are left out, so that what actors do stays the smaller part of it.
        """
        houses = self.city.providers
        able = np.isin(houses.tier, tiers)
        for tier in tiers:
            able &= (houses.tier != tier) | (self.volume >= np.median(self.volume[houses.tier == tier]))
        able[list(houses.innocents)] = False
        weight = np.sqrt(houses.popularity) if weights is None else weights
        # One scheme seldom comes alone: a house that bends one rule may bend the next.
        weight = (weight + 1e-6) * np.where(self.busy, self.city.rates["actors"]["several"], 1.0)
        return self.cast(weight * able, PROVIDER, self.count() if count is None else count)

    def cast(self, weight: Array, entity: int, count: int) -> Cast:
        """Actors by weight, with a span each; spans are spread so that no season has more than another."""
        able = np.flatnonzero(weight > 0)
        n = min(count, len(able))
        who = np.sort(self.rng.choice(able, n, replace=False, p=weight[able] / weight[able].sum())) if n else able[:0]
        low, high = self.rates["months"]
        span = self.rng.uniform(low, high, n) * MONTH
        # Spaced over the period in random order: the share of guilt stays much the same throughout.
        turn = (self.rng.permutation(n) + self.rng.random(n)) / max(n, 1)
        first = self.city.begins - 0.75 * span + turn * (self.city.ends - self.city.begins + 0.5 * span)
        begins = np.maximum(first, self.city.begins).astype(np.int64)
        ends = np.minimum(first + span, self.city.ends - 1).astype(np.int64)
        return Cast(who, begins, ends, entity, **self._habits(n), **self._inspections(begins, entity))

    def _habits(self, n: int) -> dict[str, Array]:
        """Some do more than others, and some hide it better."""
        usual = float(self.rates.get("intensity", 1.0))
        return {
            "intensity": (usual * np.exp(self.rng.normal(0, 0.3, n))).clip(0, 0.95 if usual < 1 else None),
            "stealth": self.rng.beta(2, 2, n),
        }

    def _inspections(self, begins: Array, entity: int) -> dict[str, Array]:
        """Some actors are inspected, months after they began; a decision takes weeks more."""
        rates, n = self.city.rates["outcomes"], len(begins)
        share = float(rates.get(f"guilty_{ENTITIES[entity]}s", 0.0))
        seen = self.rng.random(n) < share
        opened = begins + (self.rng.uniform(45, 330, n) * DAY).astype(np.int64)
        decided = opened + between(self.rng, rates["inspection_days"], n) * DAY
        return {
            "opened": np.where(seen, opened, NEVER),
            "decided": np.where(seen, decided, NEVER),
            "reaction": self.rng.choice(3, n, p=REACTION_SHARES),
        }

    @property
    def every(self) -> float:
        """Seconds between two outings; in a small city actors do less, or all of it would be false."""
        return float(self.rates["every_days"]) * DAY / min(self.scale, 1.0)

    def hits(self, n: int, name: str) -> Array:
        """For each of `n` chances, whether it is taken: with the chance that the rate of that name says."""
        return np.asarray(self.rng.random(n) < self.rates[name])

    def strikes(self, cast: Cast, who: Array, at: Array) -> Array:
        """For each entity and moment, the position of the actor who takes the chance; -1 where nobody does.

        How often depends on the actor's intensity, and on whether an inspection has been there.
        """
        actor = cast.acting(who, at)
        safe = actor.clip(0)
        chance = cast.intensity[safe] * cast.level(safe, at) if len(cast) else np.zeros(len(who))
        return np.where((actor >= 0) & (self.rng.random(len(who)) < chance), actor, -1)

    def goes_on(self, cast: Cast, actor: Array, at: Array) -> Array:
        """Mask of the occasions that actors take, who after an inspection leave some or all of them."""
        return np.asarray(self.rng.random(len(at)) < cast.level(actor, at))


def _none() -> Array:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Deeds:
    """What actors did: who they are, what is false in it with the cents at stake, and how care is billed for it.

    Schemes that make claims up give them as `added` (keys from `care.next_key` on; lines with keys from 0),
    and the keys of the honest claims whose place they take as `removed`. Schemes that bend claims give the
    whole `care` as billed; they are played after the others, and see what those added.
    """

    casts: tuple[Cast, ...]
    claims: Rows
    lines: Rows = field(default_factory=lambda: {"line": _none(), "amount": _none()})
    added: Care | None = None
    removed: Array = field(default_factory=_none)
    care: Care | None = None


@dataclass(frozen=True)
class Scheme:
    """A planted scheme: its type of violation, what an investigation calls it, and the function that plays it.

    `ease` says how easily reviewers come upon a claim of it; 1 is usual. A scheme that `bends` changes claims
    of others, the other ones make claims of their own.
    """

    name: str
    violation: str
    verdict: str
    ease: float
    bends: bool
    play: Callable[[Stage, Care], Deeds]

    @property
    def says(self) -> str:
        """What the scheme does, in a sentence."""
        return (self.play.__doc__ or "").split("\n")[0]


def scheme(
    violation: str, *, verdict: str = "confirmed_fraud", ease: float = 1.0, bends: bool = False
) -> Callable[[Callable[[Stage, Care], Deeds]], Scheme]:
    """Make a scheme of the function that plays it; its rates are in the TOML file beside the module."""

    def made(play: Callable[[Stage, Care], Deeds]) -> Scheme:
        return Scheme(play.__name__, violation, verdict, ease, bends, play)

    return made


def marks(keys: Array, amount: Array | int = WHOLE) -> Rows:
    """False claims with the cents at stake."""
    return {"claim": keys, "amount": np.broadcast_to(np.asarray(amount, np.int64), keys.shape).copy()}


def phantoms(phantom: Care, *casts: Cast) -> Deeds:
    """Deeds that consist of whole claims for nothing: every line of them is false."""
    added = with_line_keys(phantom)
    amount = added.lines["price"] * added.lines["quantity"]
    return Deeds(casts, marks(added.claims["key"]), {"line": added.lines["key"], "amount": amount}, added=added)


def with_line_keys(care: Care) -> Care:
    """The same claims with lines numbered from 0."""
    return replace(care, lines={**care.lines, "key": np.arange(size(care.lines))})


def nothing(*casts: Cast) -> Deeds:
    """Deeds of actors who found no occasion."""
    return Deeds(casts, marks(_none()))


def merged(care: Care, done: list[Deeds]) -> tuple[Care, list[Deeds]]:
    """The care with all that was added to it and without what was removed, and the deeds with final keys."""
    parts, final = [care.without(np.concatenate([_none(), *(d.removed for d in done)]))], []
    # All schemes number their claims from the same first key.
    claim, line = care.next_key, parts[0].next_line
    for deeds in done:
        if deeds.added is None:
            final.append(deeds)
            continue
        moved = claim - care.next_key
        parts.append(_renumbered(deeds.added, moved))
        marked = {**deeds.claims, "claim": deeds.claims["claim"] + moved}
        final.append(replace(deeds, claims=marked, lines={**deeds.lines, "line": deeds.lines["line"] + line}))
        claim, line = max(claim, parts[-1].next_key), line + size(deeds.added.lines)
    return parts[0].joined(*parts[1:]), final


def _renumbered(care: Care, by: int) -> Care:
    parts = ({**rows, "claim": rows["claim"] + by} for rows in (care.lines, care.diagnoses, care.procedures))
    return Care({**care.claims, "key": care.claims["key"] + by}, *parts)
