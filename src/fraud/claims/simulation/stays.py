"""Honest stays: admissions by disease, severity, length, operations, and cycles of chemotherapy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import (
    BY_AMBULANCE,
    BY_REFERRAL,
    INPATIENT,
    Care,
    City,
    claims_of,
    clock,
    with_desk,
    without_overlaps,
)
from fraud.claims.simulation.courses import SERIES, TUMOURS, caused, chosen_tier, deliveries, patients_for, with_end
from fraud.claims.simulation.orders import ward_lines
from fraud.claims.simulation.providers import PRIMARY, SECONDARY, TERTIARY
from fraud.claims.simulation.rows import DAY, Array, Rows, draw, occurrence, size, spread, stack, take

__all__ = [
    "DIED",
    "WEIGHT_OF_SEVERITY",
    "all_stays",
    "complications",
    "stays_care",
    "ward_care",
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
    common = lib.diseases["stays"] * ~np.isin(lib.diseases["code"], SERIES)
    disease = draw(rng, common * np.where(city.catching, city.wave.mean(), 1.0), n)
    person = patients_for(city, disease, "stays", rng)
    begins = city.onsets(INPATIENT, disease, rng)
    complexity = lib.diseases["complexity"][disease].astype(np.int64)
    tier = chosen_tier(complexity, list(city.rates["care"]["stay_tiers"].values()), rng)
    tier = np.where(lib.needs_hospital[disease] & (tier == PRIMARY), SECONDARY, tier)
    provider = houses.visited(person, tier, folk, city.rates["providers"], rng, begins)
    referred = (tier == TERTIARY) & (complexity == 3) & (rng.random(n) < 0.42)
    provider = np.where(referred, houses.referral, provider)
    severity = _severity(folk.age(person, begins), complexity, provider == houses.referral, rng)
    usual = lib.diseases["los"][disease] * LONGER[severity] * np.array([1.05, 1.0, 0.9, 1, 1, 1])[tier]
    nights = np.round(np.exp(rng.normal(np.log(usual), 0.33))).astype(np.int64).clip(1, 60)
    planned = (complexity < 3) & (rng.random(n) < city.rates["care"]["planned"])
    claims = claims_of(
        0, patient=person, provider=provider, kind=np.full(n, INPATIENT), disease=disease,
        severity=severity, admitted=begins, nights=nights, planned=planned.astype(np.int64),
        sent=_sent(planned, referred, rng),
    )  # fmt: skip
    claims = with_end(claims, rng)
    return take(claims, folk.fits(person, disease, lib, begins))


def _sent(planned: Array, referred: Array, rng: np.random.Generator) -> Array:
    """How somebody who is treated away from home came there: sent by a colleague, in an ambulance, or of oneself."""
    roll = rng.random(len(planned))
    by = np.where(referred | (roll < 0.3), BY_REFERRAL, 0)
    return np.where(~planned & ~referred & (roll > 0.7), BY_AMBULANCE, by)


def returns(city: City, stays: Rows, rng: np.random.Generator) -> Rows:
    """Stays of people who come back with the same disease before long: bad luck, not a split stay."""
    medical = ~city.library.is_surgical[stays["disease"]]
    back = medical & (stays["planned"] == 0) & (rng.random(size(stays)) < city.rates["care"]["return"])
    again = take(stays, back)
    day = again["discharged"] // DAY + rng.integers(2, 28, size(again))
    nights = np.maximum(again["nights"] + rng.integers(-4, 5, size(again)), 2)
    begins = day * DAY + clock(INPATIENT, size(again), rng)
    return with_end(again | {"admitted": begins, "nights": nights}, rng)


def _severity(age: Array, complexity: Array, referral: Array, rng: np.random.Generator) -> Array:
    """0 without, 1 with a complication, 2 with a major one: more for the old and for the referral centre."""
    odds = (0.5 + np.clip(age, 0, 90) / 90) * (0.6 + 0.25 * complexity) * np.where(referral, 1.7, 1.0)
    roll = rng.random(len(age))
    return np.where(roll < 0.07 * odds, 2, np.where(roll < 0.3 * odds, 1, 0))


def chemotherapy(city: City, rng: np.random.Generator) -> Rows:
    """Planned short readmissions every two or three weeks: they look like split stays, and are not."""
    lib, folk = city.library, city.people
    tumours = np.array([lib.disease[c] for c in TUMOURS])
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
    claims = claims_of(
        0, patient=person[owner], provider=provider, kind=np.full(n, INPATIENT),
        disease=np.full(n, disease), admitted=day * DAY + clock(INPATIENT, n, rng),
        planned=np.ones(n, np.int64), nights=rng.integers(1, 4, n),
    )  # fmt: skip
    return with_end(claims, rng)


def hospice(city: City, rng: np.random.Generator) -> Rows:
    """Last weeks of people with a tumour or of great age at the hospice: most of its stays end with a death."""
    lib, folk = city.library, city.people
    house = city.providers.odd.hospice
    age = folk.age(np.arange(len(folk)), np.full(len(folk), city.begins))
    ill = folk.conditions[:, [lib.disease[c] for c in TUMOURS]].any(axis=1)
    able = np.flatnonzero((age > 46) & (ill | (age > 82)))
    known = ("Z515" in lib.disease) & (house >= 0)
    count = min(len(able) // 3, round(len(folk) * city.rates["care"]["hospice"])) * known
    person = rng.choice(able, count, replace=False)
    n, begins = count, city.times(INPATIENT, count, rng)
    claims = claims_of(
        0, patient=person, provider=np.full(n, house), kind=np.full(n, INPATIENT), planned=np.ones(n, np.int64),
        disease=np.full(n, lib.disease.get("Z515", 0)), admitted=begins, nights=rng.integers(2, 25, n),
        status=np.where(rng.random(n) < 0.85, DIED, 0),
    )  # fmt: skip
    return with_end(claims, rng)


AFTER_WHICH = ("I639", "S720", "S721", "M480", "I619", "G839", "S062", "I619")


def rehabilitation(city: City, stays: Rows, rng: np.random.Generator) -> Rows:
    """Weeks at the rehabilitation hospital after a stroke or a broken hip: long stays with much therapy."""
    lib, house = city.library, city.providers.odd.rehab
    after = [lib.disease[code] for code in AFTER_WHICH if code in lib.disease]
    code = lib.disease["Z509" if "Z509" in lib.disease else "I693"]
    chosen = np.isin(stays["disease"], after) & (rng.random(size(stays)) < 0.45) & (house >= 0)
    again = take(stays, chosen & (city.people.age(stays["patient"], stays["admitted"]) >= 50))
    n = size(again)
    day = again["discharged"] // DAY + rng.integers(2, 6, n)
    longer = {
        "admitted": day * DAY + clock(INPATIENT, n, rng),
        "nights": rng.integers(17, 43, n),
        "provider": np.full(n, house),
        "disease": np.full(n, code),
        "severity": np.zeros(n, np.int64),
        "planned": np.ones(n, np.int64),
    }
    return with_end(again | longer, rng)


def all_stays(city: City, wanted: int, rng: np.random.Generator) -> tuple[City, Rows]:
    """About `wanted` stays of all kinds, none of which overlap, and the city with its dead and its ill physicians.

    Nobody is treated after a death, and no physician works while in hospital.
    """
    series = [chemotherapy(city, rng), deliveries(city, rng), hospice(city, rng)]
    expected = sum(size(part) for part in series)
    others = admissions(city, max(round((wanted - expected) / 1.05), 30), rng)
    stays = stacked([*series, others, returns(city, others, rng), rehabilitation(city, others, rng)])
    stays = take(stays, without_overlaps(stays) & city.providers.open_at(stays["provider"], stays["admitted"]))
    stays |= {"status": np.where(stays["status"] > 0, stays["status"], _status(city, stays, rng))}
    dead = stays["status"] == DIED
    folk = city.people.with_deaths(stays["patient"][dead], stays["discharged"][dead])
    stays = take(stays, folk.alive(stays["patient"], stays["admitted"]))
    staff = city.physicians.with_stays(stays["patient"], stays["admitted"], stays["discharged"], folk.died)
    department = city.library.department_of[stays["disease"]]
    stays |= {"physician": staff.on_ward(stays["provider"], department, stays["admitted"], rng)}
    # A ward that would be without a physician takes nobody.
    staffed = staff.always_staffed(stays["provider"], stays["admitted"], stays["discharged"])
    stays = take(stays, staffed & (stays["physician"] >= 0))
    return replace(city, people=folk, physicians=staff), stays | {"key": np.arange(size(stays))}


def stays_care(city: City, claims: Rows, rng: np.random.Generator) -> Care:
    """The stays with lines, diagnoses, procedures, and how they ended."""
    return ward_care(city, claims | {"status": _status(city, claims, rng)}, rng)


def ward_care(city: City, claims: Rows, rng: np.random.Generator) -> Care:
    """The stays with lines, diagnoses and procedures; how they ended is known."""
    lines = ward_lines(city, claims, rng)
    operated = city.library.is_category("surgery")[lines["item"]]
    procedures = {
        "claim": lines["claim"][operated],
        "item": lines["item"][operated],
        "at": lines["at"][operated],
        "physician": lines["physician"][operated],
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
    cause_at, cause = caused(city, claims, rng)
    at = np.concatenate([np.arange(n), known_at, more_at, cause_at])
    rank = np.concatenate([np.zeros(n), rng.random(len(known)) + 1, rng.random(len(more)) + 1, np.full(len(cause), 3)])
    code = np.concatenate([claims["disease"], known, more, cause])
    order = np.lexsort((rank, at))
    at, code = at[order], code[order]
    first, last = (
        len(city.library.diseases["code"]),
        len(city.library.diseases["code"]) + len(city.library.complications["code"]),
    )
    arrived = np.where((code >= first) & (code < last), rng.integers(0, 2, len(at)), 1)
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
