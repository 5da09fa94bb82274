"""Innocents that look guilty: twins, families with flu, days of check-ups, a pharmacy at the gate, long searches.

Others are in the places where their care is made: referral centre, dialysis, village, hospice, rehabilitation,
the surgeon who does the work of four, the house that moved, namesakes, planned readmissions.
"""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import OUTPATIENT, PHARMACY_VISIT, City, claims_of
from fraud.claims.simulation.courses import attended, has_remedy
from fraud.claims.simulation.providers import PRIMARY, SECONDARY, TERTIARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, size, spread, stack, take
from fraud.claims.simulation.seasons import is_holiday

__all__ = ["COMPANY", "company", "fair_days", "long_searches"]

COMPANY = 0.05  # visits and purchases that come with another one, roughly, as a share of first visits
RARE = ("M329", "E230", "K519", "G122", "N049", "M069")  # what takes many hospitals to find
CHECK_UP = ("Z099", "R42")  # what a day of check-ups is booked as, the first that the library knows
CLOSING = 17 * HOUR + 1800  # the hospital's desks close, and the pharmacy across the street fills


def company(city: City, claims: Rows, rng: np.random.Generator) -> Rows:
    """Visits and purchases that come with others: second twins, families with flu, errands across the street."""
    return stack([_twins(city, claims, rng), _families(city, claims, rng), _errands(city, claims, rng)])


def _twins(city: City, claims: Rows, rng: np.random.Generator) -> Rows:
    """Visits of the second twin, minutes after the first one's: the same house, the same day."""
    second = np.flatnonzero(city.people.twin >= 0)
    of_first = np.full(len(city.people), -1)
    of_first[city.people.twin[second]] = second
    both = (of_first[claims["patient"]] >= 0) & (claims["kind"] == OUTPATIENT) & (rng.random(size(claims)) < 0.7)
    visits = take(claims, both)
    return _just_after(visits, of_first[visits["patient"]], rng)


def _just_after(visits: Rows, who: Array, rng: np.random.Generator) -> Rows:
    """The same visits some minutes later, for somebody else."""
    return visits | {"patient": who, "admitted": visits["admitted"] + rng.integers(300, 1500, size(visits))}


def _families(city: City, claims: Rows, rng: np.random.Generator) -> Rows:
    """Another member of the household with the same infection at the same visit, more often while flu is about."""
    folk = city.people
    ill = (claims["kind"] == OUTPATIENT) & city.catching[claims["disease"]] & (claims["turn"] == 0)
    day = (claims["admitted"] // DAY - city.start).clip(0, city.days - 1)
    brought = ill & (rng.random(size(claims)) < 0.05 * np.sqrt(city.wave[day]))
    visits = take(claims, brought)
    home = folk.household[visits["patient"]]
    first, last = np.searchsorted(folk.household, home, "left"), np.searchsorted(folk.household, home, "right")
    who = first + np.floor(rng.random(size(visits)) * (last - first)).astype(np.int64)
    others = _just_after(visits, who, rng)
    fits = folk.fits(who, visits["disease"], city.library, visits["admitted"])
    return take(others, fits & (who != visits["patient"]) & (folk.twin[who] < 0))


def _errands(city: City, claims: Rows, rng: np.random.Generator) -> Rows:
    """Purchases at the pharmacy at the hospital's gate after visits there, many of them when its desks close."""
    odd = city.providers.odd
    left = (claims["kind"] == OUTPATIENT) & (claims["provider"] == odd.referral) & (rng.random(size(claims)) < 0.35)
    visits = take(claims, left & (odd.beside >= 0) & has_remedy(city)[claims["disease"]])
    n = size(visits)
    closing = visits["admitted"] // DAY * DAY + CLOSING + rng.exponential(400, n).astype(np.int64).clip(0, 2400)
    soon = visits["admitted"] + rng.integers(30 * 60, 80 * 60, n)
    late = (soon < closing) & (visits["admitted"] % DAY > 13 * HOUR) & (rng.random(n) < 0.95)
    bought = claims_of(
        0, patient=visits["patient"], provider=np.full(n, odd.beside), kind=np.full(n, PHARMACY_VISIT),
        disease=visits["disease"], admitted=np.where(late, closing, soon),
    )  # fmt: skip
    return attended(city, bought, rng)


def fair_days(city: City, rng: np.random.Generator) -> Rows:
    """Announced days of check-ups at one health centre: dozens of visits on the morning of a Saturday."""
    houses, folk = city.providers, city.people
    code = next(c for c in CHECK_UP if c in city.library.disease)
    age = folk.age(np.arange(len(folk)), np.full(len(folk), city.begins))
    near = np.flatnonzero((houses.usual[:, PRIMARY] == houses.odd.fair) & (age > 40) & (age < 85))
    days = city.start + np.arange(60, city.days - 20, 150) if len(near) else np.zeros(0, np.int64)
    days = days + (5 - (days + 3) % 7) % 7
    days = days[~is_holiday(days)]
    asked = min(len(near), 30)
    came = rng.random((len(days), len(near))) < asked / max(len(near), 1)
    day, who = np.nonzero(came)
    n = len(who)
    return attended(
        city,
        claims_of(
            0, patient=near[who], provider=np.full(n, houses.odd.fair), kind=np.full(n, OUTPATIENT),
            disease=np.full(n, city.library.disease[code]),
            admitted=days[day] * DAY + rng.integers(9 * HOUR, 13 * HOUR, n),
        ),
        rng,
    )  # fmt: skip


def long_searches(city: City, rng: np.random.Generator) -> Rows:
    """Visits of a few people with a rare disease, from hospital to hospital until somebody finds it."""
    folk, houses, lib = city.people, city.providers, city.library
    codes = np.array([lib.disease[c] for c in RARE if c in lib.disease])
    everyone = np.arange(len(folk))
    age = folk.age(everyone, np.full(len(folk), city.begins))
    person = rng.permutation(np.flatnonzero((age > 26) & (age < 56)))[: max(1, len(folk) // 1500)]
    count = rng.integers(8, 15, len(person))
    owner, turn = spread(np.zeros(len(person), np.int64), count)
    first = city.start + rng.integers(0, max(city.days - 250, 1), len(person))
    at = (first[owner] + turn * rng.integers(14, 24, len(person))[owner] + rng.integers(0, 6, len(owner))) * DAY
    at = at + rng.integers(8 * HOUR, 11 * HOUR, len(owner))
    hospitals = np.flatnonzero(np.isin(houses.tier, (TERTIARY, SECONDARY)) & (houses.opened < city.start))
    claims = claims_of(
        0, patient=person[owner], provider=rng.choice(hospitals, len(owner)), kind=np.full(len(owner), OUTPATIENT),
        disease=rng.choice(codes, len(person))[owner], admitted=at, turn=(turn > 3).astype(np.int64),
    )  # fmt: skip
    fits = folk.fits(claims["patient"], claims["disease"], lib, at)
    return attended(city, take(claims, fits), rng, later=2)
