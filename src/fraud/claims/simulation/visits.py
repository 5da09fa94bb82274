"""Honest visits and purchases: acute complaints, chronic refills, dialysis, twins, an odd village."""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import (
    CHRONIC,
    EMERGENCY,
    OUTPATIENT,
    PHARMACY_VISIT,
    Care,
    City,
    claims_of,
    clock,
    with_desk,
)
from fraud.claims.simulation.orders import LONG, SHORT, visit_lines
from fraud.claims.simulation.providers import PHARMACY, PRIMARY, SECONDARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, draw, occurrence, size, spread, stack, take

__all__ = ["all_visits", "chosen_tier", "patients_for", "visits_care"]

NO_PROCEDURES: Rows = {name: np.zeros(0, np.int64) for name in ("claim", "item", "at", "physician", "position")}


def patients_for(city: City, disease: Array, rate: str, rng: np.random.Generator) -> Array:
    """For each case of a disease, a person who may have it: the frail, and the old for what kills the old."""
    folk, lib, n_people = city.people, city.library, len(city.people)
    everyone = np.arange(n_people)
    midway = np.full(n_people, city.begins + city.days * DAY // 2)
    age = folk.age(everyone, midway)
    out = np.zeros(len(disease), np.int64)
    for d in np.unique(disease):
        may = folk.fits(everyone, np.full(n_people, d), lib, midway)
        onset = np.exp(np.clip(age - 50, 0, 35) / 22) if rate == "stays" else 1 + np.clip(age - 60, 0, 30) / 60
        young = np.where((age < 8) & (lib.diseases["season"][d] != 0), 2.2, 1.0)
        known = 1 + 9.0 * folk.conditions[:, d] if lib.diseases["prevalence"][d] > 0 else 1.0
        where = np.flatnonzero(disease == d)
        out[where] = draw(rng, np.where(may, folk.frailty * onset * young * known, 0) + 1e-12 * may, len(where))
    return out


def acute(city: City, n: int, kind: int, rng: np.random.Generator) -> Rows:
    """`n` claims of one kind for acute complaints; people buy for what a drug out of the box may help."""
    lib, rates = city.library, city.rates["care"]
    rate = "emergency" if kind == EMERGENCY else "visits"
    rate_of = lib.diseases[rate] * (_helped_by_drug(city) if kind == PHARMACY_VISIT else 1)
    disease = draw(rng, rate_of, round(n * 1.3))
    person = patients_for(city, disease, rate, rng)
    begins = np.zeros(len(disease), np.int64)
    for season in np.unique(lib.diseases["season"][disease]):
        where = np.flatnonzero(lib.diseases["season"][disease] == season)
        begins[where] = city.times(kind, len(where), rng, season)
    complexity = lib.diseases["complexity"][disease].astype(np.int64)
    shares = [rates["emergency_tiers"]] * 3 if kind == EMERGENCY else list(rates["visit_tiers"].values())
    tier = chosen_tier(complexity, shares, rng) if kind != PHARMACY_VISIT else np.full(len(disease), PHARMACY)
    provider = city.providers.visited(person, tier, city.people, city.rates["providers"], rng)
    department = lib.department_of[disease]
    claims = claims_of(
        0, patient=person, provider=provider, kind=np.full(len(disease), kind), disease=disease,
        admitted=_village_days(city, provider, begins),
        physician=city.physicians.on_duty(provider, department, rng),
    )  # fmt: skip
    fits = city.people.fits(person, disease, lib, claims["admitted"])
    return take(claims, np.flatnonzero(fits & (claims["provider"] != city.providers.dialysis))[:n])


def _helped_by_drug(city: City) -> Array:
    lib = city.library
    boxed = lib.is_category("drug") & ~lib.is_injection
    return np.array([any(boxed[o.items].all() for o in orders) for orders in lib.visit_orders])


def chosen_tier(complexity: Array, shares: list[list[float]], rng: np.random.Generator) -> Array:
    """For each case, a tier of providers by the complexity of the disease."""
    out = np.zeros(len(complexity), np.int64)
    for level, share in enumerate(shares, start=1):
        where = np.flatnonzero(complexity == level)
        out[where] = draw(rng, np.array(share), len(where))
    return out


def _village_days(city: City, provider: Array, begins: Array) -> Array:
    """The village clinic opens on market days, Wednesday and Saturday: its patients all come together."""
    weekday = (begins // DAY + 3) % 7
    ahead = np.where(weekday <= 2, 2 - weekday, np.where(weekday <= 5, 5 - weekday, 3))
    moved = begins + ahead * DAY
    return np.where((provider == city.providers.village) & (moved < city.ends), moved, begins)


def chronic(city: City, rng: np.random.Generator) -> Rows:
    """Refills of chronic patients at their usual hospital or pharmacy, when the supply runs out."""
    rates, folk = city.rates["care"], city.people
    carried = folk.conditions & ~np.isin(city.library.diseases["code"], ("N185", "I693"))[None, :]
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
    begins = (city.start + day[at, turn]) * DAY
    time = np.where(shop, clock(PHARMACY_VISIT, len(at), rng), clock(CHRONIC, len(at), rng))
    disease = _lead(carried[person[at]], rng)
    provider = city.providers.visited(person[at], tier, folk, city.rates["providers"], rng)
    physician = city.physicians.on_duty(provider, city.library.department_of[disease], rng)
    return claims_of(
        0, patient=person[at], provider=provider, kind=kind, disease=disease,
        admitted=begins + time, physician=physician,
    )  # fmt: skip


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
    provider = np.full(len(owner), city.providers.dialysis)
    shift = np.array([7, 12, 17])[(city.people.taste[person] * 30).astype(np.int64) % 3][owner]
    begins = (city.start + day) * DAY + shift * HOUR
    nephrology = np.full(len(owner), city.library.departments.index("nephrology"))
    return claims_of(
        0, patient=person[owner], provider=provider, kind=np.full(len(owner), CHRONIC),
        disease=np.full(len(owner), kidney), admitted=begins + rng.integers(0, 2400, len(owner)),
        physician=city.physicians.on_duty(provider, nephrology, rng),
    )  # fmt: skip


def twin_visits(city: City, claims: Rows, first_key: int, rng: np.random.Generator) -> Rows:
    """Visits of the second twin, minutes after the first one's: the same house, the same day."""
    second = np.flatnonzero(city.people.twin >= 0)
    of_first = np.full(len(city.people), -1)
    of_first[city.people.twin[second]] = second
    both = (of_first[claims["patient"]] >= 0) & (claims["kind"] == OUTPATIENT) & (rng.random(size(claims)) < 0.7)
    visits = take(claims, both)
    n = size(visits)
    moved = {
        "patient": of_first[visits["patient"]],
        "admitted": visits["admitted"] + rng.integers(300, 1500, n),
    }
    return visits | moved | {"key": first_key + np.arange(n)}


def visits_care(city: City, claims: Rows, rng: np.random.Generator) -> Care:
    """The visits with lines and diagnoses; the few for which nothing is billed drop out."""
    lib, folk = city.library, city.people
    chronic_visit = (
        np.isin(claims["kind"], (CHRONIC, PHARMACY_VISIT)) & (lib.diseases["prevalence"] > 0)[claims["disease"]]
    )
    session = claims["disease"] == lib.disease["N185"]
    others = folk.conditions[claims["patient"]] & (chronic_visit & ~session)[:, None]
    others[:, [lib.disease["N185"], lib.disease["I693"]]] = False
    others[np.arange(size(claims)), claims["disease"]] = False
    more_at, more = np.nonzero(others)
    some = rng.random(len(more)) < 0.8
    at = np.concatenate([np.arange(size(claims)), more_at[some]])
    disease = np.concatenate([claims["disease"], more[some]])
    lines = visit_lines(city, claims, at, disease, rng)
    diagnoses = {
        "claim": claims["key"][at],
        "position": np.r_[np.ones(size(claims), np.int64), 2 + occurrence(more_at[some])],
        "code": disease,
        "present": np.full(len(at), -1),
    }
    care = Care(with_desk(city, claims, rng), lines, diagnoses, NO_PROCEDURES)
    return care.kept(np.unique(lines["claim"]))


def all_visits(city: City, wanted: int, rng: np.random.Generator) -> Rows:
    """Claims of all visits; acute ones fill up what refills and dialysis leave of the `wanted` number."""
    rates = city.rates["care"]
    refills = chronic(city, rng)
    sessions = dialysis(city, rng)
    urgent, bought = round(wanted * rates["emergency"]), round(wanted * rates["self_bought"])
    left = wanted - size(refills) - size(sessions) - urgent - bought
    parts = [
        acute(city, urgent, EMERGENCY, rng),
        acute(city, bought, PHARMACY_VISIT, rng),
        acute(city, max(left, 100), OUTPATIENT, rng),
    ]
    claims = stack([refills, sessions, *parts])
    claims["key"] = np.arange(size(claims))
    twins = twin_visits(city, claims, size(claims), rng)
    return stack([claims, twins])
