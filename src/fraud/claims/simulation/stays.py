"""Honest stays: admissions by disease, severity, length, operations, and cycles of chemotherapy."""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import INPATIENT, Care, City, claims_of, clock, with_desk
from fraud.claims.simulation.orders import ward_lines
from fraud.claims.simulation.providers import PRIMARY, SECONDARY, TERTIARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, draw, occurrence, size, spread, stack, take
from fraud.claims.simulation.visits import chosen_tier, patients_for

__all__ = [
    "DIED",
    "WEIGHT_OF_SEVERITY",
    "admissions",
    "chemotherapy",
    "complications",
    "returns",
    "stacked",
    "stays_care",
    "with_end",
]

DIED, TRANSFERRED = 2, 1
CYCLE_DAYS = (14, 21)
# Relative weight of a group without, with, and with major complications.
WEIGHT_OF_SEVERITY = np.array([0.88, 1.12, 1.5])
LONGER = np.array([1.0, 1.25, 1.6])  # length of stay by severity


def admissions(city: City, n: int, rng: np.random.Generator) -> Rows:
    """About `n` stays; those who could not have the disease drop out."""
    lib, folk, houses = city.library, city.people, city.providers
    disease = draw(rng, lib.diseases["stays"], n)
    person = patients_for(city, disease, "stays", rng)
    begins = np.zeros(n, np.int64)
    for season in np.unique(lib.diseases["season"][disease]):
        where = np.flatnonzero(lib.diseases["season"][disease] == season)
        begins[where] = city.times(INPATIENT, len(where), rng, season)
    complexity = lib.diseases["complexity"][disease].astype(np.int64)
    tier = chosen_tier(complexity, list(city.rates["care"]["stay_tiers"].values()), rng)
    tier = np.where(lib.needs_hospital[disease] & (tier == PRIMARY), SECONDARY, tier)
    provider = houses.visited(person, tier, folk, city.rates["providers"], rng)
    referred = (tier == TERTIARY) & (complexity == 3) & (rng.random(n) < 0.55)
    provider = np.where(referred, houses.referral, provider)
    severity = _severity(folk.age(person, begins), complexity, provider == houses.referral, rng)
    usual = lib.diseases["los"][disease] * LONGER[severity] * np.array([1.05, 1.0, 0.9, 1, 1])[tier]
    nights = np.round(np.exp(rng.normal(np.log(usual), 0.33))).astype(np.int64).clip(1, 60)
    planned = (complexity < 3) & (rng.random(n) < city.rates["care"]["planned"])
    claims = claims_of(
        0, patient=person, provider=provider, kind=np.full(n, INPATIENT), disease=disease,
        physician=city.physicians.on_duty(provider, lib.department_of[disease], rng), severity=severity,
        admitted=begins, nights=nights, planned=planned.astype(np.int64),
    )  # fmt: skip
    claims = with_end(claims, rng)
    return take(claims, folk.fits(person, disease, lib, begins))


def returns(city: City, stays: Rows, rng: np.random.Generator) -> Rows:
    """Stays of people who come back with the same disease before long: bad luck, not a split stay."""
    medical = ~city.library.is_surgical[stays["disease"]]
    back = medical & (stays["planned"] == 0) & (rng.random(size(stays)) < city.rates["care"]["return"])
    again = take(stays, back)
    day = again["discharged"] // DAY + rng.integers(2, 28, size(again))
    nights = np.maximum(again["nights"] + rng.integers(-4, 5, size(again)), 2)
    begins = day * DAY + clock(INPATIENT, size(again), rng)
    return with_end(again | {"admitted": begins, "nights": nights}, rng)


def with_end(claims: Rows, rng: np.random.Generator) -> Rows:
    """The stays with a discharge in working hours, after their nights."""
    n = size(claims)
    end = (claims["admitted"] // DAY + claims["nights"]) * DAY + 9 * HOUR + rng.integers(0, 7 * HOUR, n)
    return claims | {"discharged": end}


def _severity(age: Array, complexity: Array, referral: Array, rng: np.random.Generator) -> Array:
    """0 without, 1 with a complication, 2 with a major one: more for the old and for the referral centre."""
    odds = (0.5 + np.clip(age, 0, 90) / 90) * (0.6 + 0.25 * complexity) * np.where(referral, 1.7, 1.0)
    roll = rng.random(len(age))
    return np.where(roll < 0.07 * odds, 2, np.where(roll < 0.3 * odds, 1, 0))


def chemotherapy(city: City, rng: np.random.Generator) -> Rows:
    """Planned short readmissions every two or three weeks: they look like split stays, and are not."""
    lib, folk = city.library, city.people
    tumours = np.array([lib.disease[c] for c in ("C349", "C189", "C169", "C509")])
    ill = np.flatnonzero(folk.conditions[:, tumours].any(axis=1))
    person = ill[rng.random(len(ill)) < 0.75]
    cycles = rng.integers(4, 9, len(person))
    first = city.start + rng.integers(0, city.days - 60, len(person))
    owner, cycle = spread(np.zeros(len(person), np.int64), cycles)
    every = rng.choice(CYCLE_DAYS, len(person))
    day = first[owner] + cycle * every[owner] + rng.integers(0, 3, len(owner))
    here = day < city.start + city.days - 5
    owner, day = owner[here], day[here]
    n, disease = len(owner), lib.disease["Z511"]
    tier = np.where(rng.random(len(person)) < 0.7, TERTIARY, SECONDARY)
    provider = city.providers.usual[person, tier][owner]
    oncology = np.full(n, lib.departments.index("oncology"))
    claims = claims_of(
        0, patient=person[owner], provider=provider, kind=np.full(n, INPATIENT),
        disease=np.full(n, disease), admitted=day * DAY + clock(INPATIENT, n, rng),
        planned=np.ones(n, np.int64), nights=rng.integers(1, 4, n),
        physician=city.physicians.on_duty(provider, oncology, rng),
    )  # fmt: skip
    return with_end(claims, rng)


def stays_care(city: City, claims: Rows, rng: np.random.Generator) -> Care:
    """The stays with lines, diagnoses, procedures, and how they ended."""
    claims = claims | {"status": _status(city, claims, rng)}
    lines = ward_lines(city, claims, rng)
    operated = city.library.is_category("surgery")[lines["item"]]
    at = np.searchsorted(claims["key"], lines["claim"][operated])
    procedures = {
        "claim": lines["claim"][operated],
        "item": lines["item"][operated],
        "at": lines["at"][operated],
        "physician": claims["physician"][at],
        "position": 1 + occurrence(lines["claim"][operated]),
    }
    return Care(with_desk(city, claims, rng), lines, _diagnoses(city, claims, rng), procedures)


def _status(city: City, claims: Rows, rng: np.random.Generator) -> Array:
    n = size(claims)
    risk = city.rates["care"]["death"] * np.array([0.3, 1.5, 10.0])[claims["severity"]]
    old = city.people.age(claims["patient"], claims["admitted"]) > 45
    roll = rng.random(n)
    return np.where(old & (roll < risk), DIED, np.where(roll > 0.985, TRANSFERRED, 0))


def _diagnoses(city: City, claims: Rows, rng: np.random.Generator) -> Rows:
    """The primary diagnosis, conditions the patient lives with, and complications as grave as the stay."""
    n = size(claims)
    carried = city.people.conditions[claims["patient"]].copy()
    carried[np.arange(n), claims["disease"]] = False
    cycle = (claims["disease"] == city.library.disease["Z511"])[:, None]  # its tumour is always named
    known_at, known = np.nonzero(carried & (cycle | (rng.random(carried.shape) < 0.9)))
    more_at, more = complications(city, claims, rng)
    at = np.concatenate([np.arange(n), known_at, more_at])
    rank = np.concatenate([np.zeros(n), rng.random(len(known)) + 1, rng.random(len(more)) + 1])
    code = np.concatenate([claims["disease"], known, more])
    order = np.lexsort((rank, at))
    at, code = at[order], code[order]
    arrived = np.where(code < len(city.library.diseases["code"]), 1, rng.integers(0, 2, len(at)))
    return {"claim": claims["key"][at], "position": 1 + occurrence(at), "code": code, "present": arrived}


def complications(city: City, claims: Rows, rng: np.random.Generator, extra: int = 0) -> tuple[Array, Array]:
    """Complications that match the severity, and some that matter to no group; `extra` adds grave ones."""
    lib, n = city.library, size(claims)
    level = lib.complications["level"].astype(np.int64)
    adult = city.people.age(claims["patient"], claims["admitted"]) >= 18
    offset = len(lib.diseases["code"])
    ats, codes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    counts = {
        0: rng.poisson(0.7, n) * adult,
        1: np.where(claims["severity"] >= 1, 1 + (rng.random(n) < 0.3) + extra * rng.integers(0, 2, n), 0),
        2: np.where(claims["severity"] >= 2, 1 + (rng.random(n) < 0.2) + extra * rng.integers(0, 2, n), 0),
    }
    for grade, count in counts.items():
        owner = np.repeat(np.arange(n), count)
        for grown in (False, True):
            where = owner[adult[owner] == grown]
            pool = np.flatnonzero((level == grade) & (grown | (lib.complications["adult"] == 0)))
            if len(pool) == 0:
                continue
            ats.append(where)
            codes.append(offset + pool[rng.integers(0, len(pool), len(where))])
    at, code = np.concatenate(ats), np.concatenate(codes)
    pairs = np.unique(at * 1000 + code)
    return pairs // 1000, pairs % 1000


def stacked(parts: list[Rows]) -> Rows:
    """Stays of all kinds with keys in order."""
    claims = stack(parts)
    return claims | {"key": np.arange(size(claims))}
