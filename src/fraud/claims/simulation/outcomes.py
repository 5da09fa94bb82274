"""What investigations found: late, incomplete and now and then wrong, as at a real payer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fraud.claims.simulation.care import City
from fraud.claims.simulation.rows import DAY, HOUR, NEVER, Array, Rows, size, stack, take
from fraud.claims.simulation.schemes import SCHEMES
from fraud.claims.simulation.schemes.stage import CLAIM, ENTITIES, PATIENT, PHYSICIAN, PROVIDER, Cast

__all__ = ["INVESTIGATORS", "SOURCES", "VERDICTS", "Known", "outcomes", "stakes"]

VERDICTS = (
    "confirmed_fraud", "confirmed_abuse", "improper_payment", "waste", "false_positive",
    "insufficient_evidence", "appeal_upheld", "data_error", "pending",
)  # fmt: skip
FRAUD, ABUSE, IMPROPER, WASTE, CLEARED, INSUFFICIENT, UPHELD, DATA_ERROR, PENDING = range(len(VERDICTS))
SOURCES = ("desk_review", "inspection", "complaint", "random_check", "data_check")

INVESTIGATORS = 24
REVIEWED = (PROVIDER, PATIENT, PHYSICIAN)


@dataclass(frozen=True)
class Known:
    """What reviews start from: the billed claims (`total` in cents) and the truth that they may find."""

    claims: Rows
    false_claims: Rows  # claim, scheme, amount in cents
    casts: Sequence[tuple[int, Cast]]  # scheme and actors
    mistakes: Array  # keys of claims sent twice

    @cached_property
    def actors(self) -> Rows:
        """One row for each part in a scheme: entity, who, scheme, begins, ends, decided."""
        none = np.zeros(0, np.int64)
        parts: list[Rows] = [dict.fromkeys(("entity", "who", "scheme", "begins", "ends", "decided"), none)]
        for scheme, cast in self.casts:
            sides = {"who": cast.who, "begins": cast.begins, "ends": cast.last, "decided": cast.decided}
            n = len(cast)
            parts.append(sides | {"entity": np.full(n, cast.entity), "scheme": np.full(n, scheme)})
        return stack(parts)


def outcomes(city: City, known: Known, rng: np.random.Generator) -> Rows:
    """Outcomes of claims, providers and patients known by the end of the period, in order of decision.

    Columns: entity, id (a key or position), verdict, scheme (-1: none), begins, ends, decided (seconds),
    amount (cents), source and two investigators.
    """
    reviews = stack([_claim_reviews(city, known, rng), *(_actor_reviews(city, known, e, rng) for e in REVIEWED)])
    rows = stack([_verdicts(city, reviews, rng), _data_errors(city, known, rng)])
    rows = stack([rows, _appeals(city, rows, rng)])
    rows = take(rows, rows["decided"] < city.ends)
    rows = take(rows, np.lexsort((rows["id"], rows["entity"], rows["decided"])))
    lead = rng.integers(0, INVESTIGATORS, size(rows))
    return rows | {
        "lead": lead,
        "second": (lead + rng.integers(1, INVESTIGATORS, size(rows))) % INVESTIGATORS,
    }


def _review(entity: int, ids: Array, scheme: Array, begins: Array, ends: Array, decided: Array, amount: Array) -> Rows:
    """Columns of reviews before a verdict."""
    columns = {"id": ids, "scheme": scheme, "begins": begins, "ends": ends, "decided": decided}
    columns |= {"amount": amount, "entity": np.full(len(ids), entity)}
    return {name: np.asarray(column).astype(np.int64) for name, column in columns.items()}


def _claim_reviews(city: City, known: Known, rng: np.random.Generator) -> Rows:
    """About a third of the false claims, the dear and the obvious first, and three times as many others."""
    rates, claims = city.rates["outcomes"], known.claims
    false = known.false_claims
    false = take(false, np.unique(false["claim"], return_index=True)[1])  # one review for each claim
    at = np.searchsorted(claims["key"], false["claim"])
    ease = np.array([s.ease for s in SCHEMES])[false["scheme"]]
    dear = (claims["total"][at] / np.median(claims["total"])).clip(0.2, 20) ** 0.25
    pull = ease * dear * len(at) / max(np.sum(ease * dear), 1e-9)  # one on average
    found = rng.random(len(at)) < (rates["guilty_reviewed"] * pull).clip(0, 0.9)
    honest = np.flatnonzero(~np.isin(claims["key"], np.concatenate([false["claim"], known.mistakes])))
    weight = claims["total"][honest].astype(float) ** 0.5
    # A payer where nobody is guilty reviews some claims all the same.
    least = round(len(honest) * rates["least_reviewed"])
    count = min(max(round(found.sum() * rates["innocent_per_guilty"]), least), len(honest) // 2)
    reviewed = rng.choice(honest, count, replace=False, p=weight / weight.sum())
    row = np.concatenate([at[found], reviewed])
    scheme = np.concatenate([false["scheme"][found], np.full(count, -1)])
    amount = np.concatenate([false["amount"][found], np.zeros(count, np.int64)])
    settled = claims["settled"][row]
    decided = _office_hours(settled + _days(rng, rates["delay_days"], len(row)), rng)
    begins, ends = claims["admitted"][row], claims["discharged"][row]
    return _review(CLAIM, claims["key"][row], scheme, begins, ends, decided, amount)


def _days(rng: np.random.Generator, span: Sequence[int], n: int) -> Array:
    return np.asarray(rng.integers(span[0], span[1] + 1, n) * DAY)


def _office_hours(at: Array, rng: np.random.Generator) -> Array:
    """The same days, at a time between nine and six."""
    return np.asarray(at // DAY * DAY + 9 * HOUR + rng.integers(0, 9 * HOUR, len(at)))


def _actor_reviews(city: City, known: Known, entity: int, rng: np.random.Generator) -> Rows:
    """The inspections that actors met, and those of a good many others, who are cleared."""
    guilty = take(known.actors, known.actors["entity"] == entity)
    found = take(guilty, guilty["decided"] < NEVER)
    cleared = _cleared(city, known, entity, guilty["who"], rng)
    n = len(cleared)
    late = city.begins + 60 * DAY + (rng.random(n) * (city.ends - city.begins - 60 * DAY)).astype(np.int64)
    decided = _office_hours(np.r_[found["decided"], late], rng)
    ends = np.minimum(np.r_[found["ends"], np.full(n, city.ends)], decided - 10 * DAY)
    begins = np.r_[found["begins"], np.maximum(decided[size(found) :] - 200 * DAY, city.begins)]
    amount = np.r_[stakes(known, found), np.zeros(n, np.int64)]
    scheme = np.r_[found["scheme"], np.full(n, -1)]
    return _review(entity, np.r_[found["who"], cleared], scheme, begins, ends, decided, amount)


def _cleared(city: City, known: Known, entity: int, guilty: Array, rng: np.random.Generator) -> Array:
    """Some of those with no part in any scheme, who are inspected all the same: rather the dear ones."""
    who = known.claims[ENTITIES[entity]]
    paid = np.bincount(who[who >= 0], known.claims["total"][who >= 0])
    honest = np.setdiff1d(np.flatnonzero(paid > 0), guilty)
    count = round(len(honest) * city.rates["outcomes"][f"cleared_{ENTITIES[entity]}s"])
    weight = np.sqrt(paid[honest])
    return np.asarray(rng.choice(honest, count, replace=False, p=weight / weight.sum()))


def stakes(known: Known, actors: Rows) -> Array:
    """Cents at stake for each actor in a scheme."""
    false, claims = known.false_claims, known.claims
    at = np.searchsorted(claims["key"], false["claim"])
    out = np.zeros(size(actors), np.int64)
    for i, (entity, who, scheme) in enumerate(zip(actors["entity"], actors["who"], actors["scheme"], strict=True)):
        own = (claims[ENTITIES[entity]][at] == who) & (false["scheme"] == scheme)
        out[i] = false["amount"][own].sum()
    return out


def _verdicts(city: City, reviews: Rows, rng: np.random.Generator) -> Rows:
    """Verdicts of the reviews: mostly right; what is not decided by the end may show as pending."""
    rates, n = city.rates["outcomes"], size(reviews)
    usual = np.array([VERDICTS.index(s.verdict) for s in SCHEMES])
    guilty = reviews["scheme"] >= 0
    scheme = reviews["scheme"].copy()
    verdict = np.where(guilty, usual[scheme], CLEARED)
    verdict = np.where((verdict == IMPROPER) & (rng.random(n) < 0.1), WASTE, verdict)
    wrong = (rng.random(n) < rates["wrong"]) & guilty.any()  # where all are honest, nobody is accused
    accused = wrong & ~guilty
    scheme[accused] = rng.integers(0, len(SCHEMES), accused.sum())
    verdict = np.where(wrong & guilty, CLEARED, np.where(accused, ABUSE, verdict))
    verdict = np.where(~wrong & (rng.random(n) < rates["insufficient"]), INSUFFICIENT, verdict)
    settled_for = np.isin(verdict, (FRAUD, ABUSE, IMPROPER, WASTE))
    open_case = (reviews["decided"] >= city.ends) & (rng.random(n) < 0.3)
    opened = city.ends - rng.integers(1, 25, n) * DAY
    decided = np.where(open_case, _office_hours(opened, rng), reviews["decided"])
    started = reviews["begins"] < decided
    source = rng.choice(4, n, p=[0.55, 0.25, 0.12, 0.08])
    known_scheme = np.where(settled_for & ~open_case, scheme, -1)
    return reviews | {
        "scheme": known_scheme,
        "decided": np.where(started, decided, city.ends),
        "verdict": np.where(open_case, PENDING, verdict),
        "amount": np.where(known_scheme >= 0, reviews["amount"], 0),
        "source": source,
    }


def _data_errors(city: City, known: Known, rng: np.random.Generator) -> Rows:
    """Claims sent twice by mistake, found by a check of the data."""
    at = np.searchsorted(known.claims["key"], known.mistakes)
    seen = at[rng.random(len(at)) < 0.8]
    claims = take(known.claims, seen)
    decided = _office_hours(claims["settled"] + _days(rng, (5, 40), len(seen)), rng)
    none = np.full(len(seen), -1)
    rows = _review(CLAIM, claims["key"], none, claims["admitted"], claims["discharged"], decided, claims["total"])
    return rows | {"verdict": none * 0 + DATA_ERROR, "source": none * 0 + SOURCES.index("data_check")}


def _appeals(city: City, rows: Rows, rng: np.random.Generator) -> Rows:
    """Second outcomes of cases in which an appeal was upheld."""
    against = np.isin(rows["verdict"], (FRAUD, ABUSE, IMPROPER, WASTE)) & (rows["decided"] < city.ends)
    upheld = take(rows, against & (rng.random(size(rows)) < city.rates["outcomes"]["appealed"]))
    decided = _office_hours(upheld["decided"] + _days(rng, (15, 60), size(upheld)), rng)
    return upheld | {"decided": decided, "verdict": np.full(size(upheld), UPHELD), "amount": decided * 0}
