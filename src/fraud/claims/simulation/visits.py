"""Honest visits and purchases: acute complaints, chronic refills, dialysis, and the bill for each."""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import (
    CHRONIC,
    EMERGENCY,
    OUTPATIENT,
    PHARMACY_VISIT,
    Care,
    City,
    at_large,
    claims_of,
    clock,
    with_desk,
)
from fraud.claims.simulation.courses import (
    SERIES,
    antenatal,
    around_stays,
    attended,
    caused,
    child_checks,
    chosen_tier,
    follow_ups,
    has_remedy,
    patients_for,
    radiotherapy,
)
from fraud.claims.simulation.innocents import COMPANY, company, fair_days, long_searches
from fraud.claims.simulation.orders import LONG, SHORT, visit_lines
from fraud.claims.simulation.providers import PHARMACY, PRIMARY, SECONDARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, draw, occurrence, size, spread, stack, take
from fraud.claims.simulation.seasons import after_holidays

__all__ = ["all_visits", "attended", "visits_care"]

NO_PROCEDURES: Rows = {name: np.zeros(0, np.int64) for name in ("claim", "item", "at", "physician", "position")}
# Conditions that bring nobody to fetch drugs: dialysis has its sessions, the lame their therapy.
NO_REFILLS = ("N185", "I693")
FOLLOW_UP_SHARE = 0.3  # visits that follow a first one, roughly


def acute(city: City, n: int, kind: int, stays: Rows, rng: np.random.Generator) -> Rows:
    """`n` claims of one kind for acute complaints; people buy for what a drug out of the box may help."""
    lib, rates, houses = city.library, city.rates["care"], city.providers
    rate = "emergency" if kind == EMERGENCY else "visits"
    common = lib.diseases[rate] * ~np.isin(lib.diseases["code"], SERIES)
    common = common * np.where(city.catching, city.wave.mean(), 1.0)
    disease = draw(rng, common * (has_remedy(city) if kind == PHARMACY_VISIT else 1), round(n * 1.4) + 20)
    person = patients_for(city, disease, rate, rng)
    begins = city.onsets(kind, disease, rng)
    complexity = lib.diseases["complexity"][disease].astype(np.int64)
    shares = [rates["emergency_tiers"]] * 3 if kind == EMERGENCY else list(rates["visit_tiers"].values())
    tier = chosen_tier(complexity, shares, rng) if kind != PHARMACY_VISIT else np.full(len(disease), PHARMACY)
    provider = houses.visited(person, tier, city.people, city.rates["providers"], rng, begins)
    claims = claims_of(
        0, patient=person, provider=provider, kind=np.full(len(disease), kind), disease=disease,
        admitted=begins,
    )  # fmt: skip
    fits = city.people.fits(person, disease, lib, claims["admitted"]) & (provider != houses.dialysis)
    seen = attended(city, take(claims, fits), rng, later=0 if kind == EMERGENCY else 1)
    seen = take(seen, at_large(city, seen, stays))
    return take(seen, np.arange(min(n, size(seen))))


def chronic(city: City, rng: np.random.Generator) -> Rows:
    """Refills of chronic patients at their usual hospital or pharmacy, when the supply runs out."""
    rates, folk = city.rates["care"], city.people
    carried = folk.conditions & ~np.isin(city.library.diseases["code"], NO_REFILLS)[None, :]
    person = np.flatnonzero(carried.any(axis=1))
    span = np.where(folk.taste[person] < rates["long_prescription"], LONG, SHORT)
    turns = city.days // SHORT + 2
    gap = span[:, None] + np.clip(rng.normal(2.5, 4.0, (len(person), turns)), -3, 20)
    gap[:, 0] = rng.random(len(person)) * span
    day = np.cumsum(gap, axis=1).astype(np.int64)
    here = (day < city.days) & (rng.random(day.shape) < rates["adherence"])
    at, turn = np.nonzero(here)
    shop = rng.random(len(at)) < rates["pharmacy_refills"] * 2 * folk.taste[person[at]]
    tier = np.where(shop, PHARMACY, np.where(rng.random(len(at)) < 0.62, PRIMARY, SECONDARY))
    kind = np.where(shop, PHARMACY_VISIT, CHRONIC)
    begins = after_holidays(city.start + day[at, turn], rng) * DAY
    begins = begins + np.where(shop, clock(PHARMACY_VISIT, len(at), rng), clock(CHRONIC, len(at), rng))
    disease = _lead(carried[person[at]], rng)
    provider = city.providers.visited(person[at], tier, folk, city.rates["providers"], rng, begins)
    claims = claims_of(0, patient=person[at], provider=provider, kind=kind, disease=disease, admitted=begins)
    return attended(city, claims, rng, later=3)


def _lead(carried: Array, rng: np.random.Generator) -> Array:
    """One of the conditions carried, as the reason of the visit."""
    return np.asarray(np.argmax(carried * rng.random(carried.shape), axis=1))


def dialysis(city: City, rng: np.random.Generator) -> Rows:
    """Three sessions a week for each patient in need, on fixed days at one clinic."""
    kidney = city.library.disease["N185"]
    person = np.flatnonzero(city.people.conditions[:, kidney])
    owner, day = spread(np.zeros(len(person), np.int64), np.full(len(person), city.days))
    weekday = (city.start + day + 3) % 7
    group = (city.people.taste[person] > 0.5)[owner].astype(np.int64)
    here = (weekday < 6) & (weekday % 2 == group) & (rng.random(len(owner)) < 0.985)
    owner, day = owner[here], day[here]
    shift = np.array([7, 12, 17])[(city.people.taste[person] * 30).astype(np.int64) % 3][owner]
    begins = (city.start + day) * DAY + shift * HOUR
    n = len(owner)
    claims = claims_of(
        0, patient=person[owner], provider=np.full(n, city.providers.dialysis), kind=np.full(n, CHRONIC),
        disease=np.full(n, kidney), admitted=begins + rng.integers(0, 2400, n),
    )  # fmt: skip
    return attended(city, claims, rng)


def visits_care(city: City, claims: Rows, rng: np.random.Generator) -> Care:
    """The visits with lines and diagnoses; the few for which nothing is billed drop out."""
    lib, folk = city.library, city.people
    chronic_visit = (
        np.isin(claims["kind"], (CHRONIC, PHARMACY_VISIT)) & (lib.diseases["prevalence"] > 0)[claims["disease"]]
    )
    session = claims["disease"] == lib.disease["N185"]
    others = folk.conditions[claims["patient"]] & (chronic_visit & ~session)[:, None]
    others[:, [lib.disease[code] for code in NO_REFILLS]] = False
    others[np.arange(size(claims)), claims["disease"]] = False
    more_at, more = np.nonzero(others)
    some = rng.random(len(more)) < 0.8
    at = np.concatenate([np.arange(size(claims)), more_at[some]])
    disease = np.concatenate([claims["disease"], more[some]])
    lines = visit_lines(city, claims, at, disease, rng)
    cause_at, cause = caused(city, claims, rng)
    at, code = np.concatenate([at, cause_at]), np.concatenate([disease, cause])
    order = np.argsort(at, kind="stable")
    diagnoses = {
        "claim": claims["key"][at[order]],
        "position": 1 + occurrence(at[order]),
        "code": code[order],
        "present": np.full(len(at), -1),
    }
    care = Care(with_desk(city, claims, rng), lines, diagnoses, NO_PROCEDURES)
    return care.kept(np.unique(lines["claim"]))


def all_visits(city: City, wanted: int, stays: Rows, rng: np.random.Generator) -> Rows:
    """Claims of all visits of people who are not in hospital on that day.

    Acute complaints and what follows them fill up what refills, series and visits around stays leave of the
    `wanted` number.
    """
    rates = city.rates["care"]
    fixed = [chronic(city, rng), dialysis(city, rng), antenatal(city, rng), child_checks(city, rng)]
    fixed += [radiotherapy(city, rng), long_searches(city, rng), fair_days(city, rng)]
    planned = stack(fixed)
    planned = stack([take(planned, at_large(city, planned, stays)), around_stays(city, stays, rng)])
    urgent, bought = round(wanted * rates["emergency"]), round(wanted * rates["self_bought"])
    left = max(wanted - size(planned) - urgent - bought, 100)
    first = acute(city, round(left / (1 + FOLLOW_UP_SHARE + COMPANY)), OUTPATIENT, stays, rng)
    seen = stack([acute(city, urgent, EMERGENCY, stays, rng), first])
    later = follow_ups(city, seen, rng)
    later = take(later, at_large(city, later, stays))
    claims = stack([planned, seen, later, acute(city, bought, PHARMACY_VISIT, stays, rng)])
    others = company(city, claims, rng)
    claims = stack([claims, take(others, at_large(city, others, stays))])
    return claims | {"key": np.arange(size(claims))}
