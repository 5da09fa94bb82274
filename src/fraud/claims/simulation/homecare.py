"""Honest long-term care: hours of help at home, several days a week, by a carer whom one knows."""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import LONG_TERM, Care, City, at_large, claims_of, lines_of, with_desk
from fraud.claims.simulation.orders import priced
from fraud.claims.simulation.providers import CARE_HOME
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, size, spread, stack, take

__all__ = ["home_care", "recipients"]

MONDAY = 4  # see `seasons`
SLOTS = (8 * HOUR, 10 * HOUR + 1800, 13 * HOUR + 1800, 16 * HOUR)  # a visit ends before the next one begins
# What people who need care at home live with, if the library knows it; the first one will do for anybody.
FRAIL = ("R54", "I693", "G20", "G309", "F03")
HOUR_OF_CARE = "ltc_care_hour"
# Help beside the hours, with how often it is given at a visit.
HELP = {"ltc_bathing": 0.2, "ltc_feeding": 0.35, "ltc_turning": 0.3, "ltc_dressing": 0.3, "ltc_pressure_sore": 0.12}


def recipients(city: City, rng: np.random.Generator) -> Rows:
    """Who gets care at home: person, disease, house, carer, slot, group of weekdays, hours, first and last day."""
    folk, houses, staff = city.people, city.providers, city.physicians
    everyone = np.arange(len(folk))
    age = folk.age(everyone, np.full(len(folk), city.begins))
    ill = folk.conditions[:, [city.library.disease[c] for c in FRAIL if c in city.library.disease]].any(axis=1)
    able = (age >= 76) | (ill & (age >= 60))
    weight = np.where(able, folk.frailty * np.exp((age - 60) / 12) * np.where(ill, 12.0, 1.0), 0.0)
    known = HOUR_OF_CARE in city.library.position
    count = known * min(int(len(folk) * city.rates["care"]["home_care"] + rng.random()), int((weight > 0).sum()))
    person = np.sort(rng.choice(everyone, count, replace=False, p=weight / weight.sum())) if count else everyone[:0]
    house = houses.usual[person, CARE_HOME]
    out = {n: np.zeros(count, np.int64) for n in ("carer", "slot", "group")}
    out["carer"][:] = -1
    for home in np.unique(house):
        carers = np.flatnonzero(staff.provider == home)[:-1]  # the last one stands in for the others
        here = np.flatnonzero(house == home)[: len(carers) * 2 * len(SLOTS)]
        turn = np.arange(len(here))
        out["group"][here], out["slot"][here] = turn % 2, turn // 2 % len(SLOTS)
        out["carer"][here] = carers[turn // (2 * len(SLOTS))]
    first = city.start + rng.integers(-300, int(city.days * 0.9), count)
    plan = {"person": person, "house": house, "hours": 1 + (rng.random(count) < 0.5), "first": first}
    plan |= {"disease": _reasons(city, person), "last": first + rng.integers(120, 900, count)}
    return take(out | plan, out["carer"] >= 0)


def _reasons(city: City, person: Array) -> Array:
    lib = city.library
    codes = [lib.disease[c] for c in FRAIL if c in lib.disease]
    carried = city.people.conditions[person][:, codes]
    return np.where(carried.any(axis=1), np.array(codes)[np.argmax(carried, axis=1)], codes[0])


def home_care(city: City, stays: Rows, first_key: int, rng: np.random.Generator) -> Care:
    """A claim for each week of a person at home, with a line for each hour or help given; none during stays."""
    people = recipients(city, rng)
    visits = _visits(city, people, stays, rng)
    week = (visits["at"] // DAY - MONDAY) // 7
    key = visits["of"] * 10_000 + week
    weeks, first, of = np.unique(key, return_index=True, return_inverse=True)
    n = len(weeks)
    who = visits["of"][first]
    claims = claims_of(
        first_key, patient=people["person"][who], provider=people["house"][who], kind=np.full(n, LONG_TERM),
        disease=people["disease"][who], admitted=visits["at"][first], physician=visits["carer"][first],
    )  # fmt: skip
    claims = with_desk(city, claims, rng)
    diagnoses = {
        "claim": claims["key"],
        "position": np.ones(n, np.int64),
        "code": claims["disease"],
        "present": np.full(n, -1),
    }
    lines = _lines(city, claims["key"][of], visits, people["hours"][visits["of"]], rng)
    none = {name: np.zeros(0, np.int64) for name in ("claim", "item", "at", "physician", "position")}
    return Care(claims, priced(city, claims, lines), diagnoses, none)


def _visits(city: City, people: Rows, stays: Rows, rng: np.random.Generator) -> Rows:
    """Visits in order of person and time: on the person's days, by the own carer or the one who stands in."""
    staff = city.physicians
    of, day = spread(np.full(size(people), city.start), np.full(size(people), city.days))
    weekday = (day - MONDAY) % 7
    due = (weekday % 2 == people["group"][of]) & ((weekday < 6) | (people["hours"][of] > 1))
    due &= (day >= people["first"][of]) & (day <= people["last"][of]) & (rng.random(len(of)) < 0.96)
    of, day = of[due], day[due]
    late = rng.integers(0, 1200, len(of))
    at = day * DAY + np.array(SLOTS)[people["slot"][of]] + late
    stand_in = np.searchsorted(staff.provider, people["house"][of], side="right") - 1
    carer = people["carer"][of]
    carer = np.where(staff.works(carer, at), carer, np.where(staff.works(stand_in, at), stand_in, -1))
    # Nobody is at two places at once: the second to ask for the one who stands in goes without.
    asked = (carer * 10 + people["slot"][of]) * 100_000 + day
    once = np.zeros(len(of), bool)
    once[np.unique(asked, return_index=True)[1]] = True
    visits = {"of": of, "at": at, "carer": carer, "patient": people["person"][of], "admitted": at}
    visits = take(visits, once & (carer >= 0))
    return take(visits, at_large(city, visits, stays))


def _lines(city: City, claim: Array, visits: Rows, hours: Array, rng: np.random.Generator) -> Rows:
    """The hours of each visit, and what else was done within them."""
    lib = city.library
    parts = [(np.arange(len(claim)), lib.position.get(HOUR_OF_CARE, 0), hours)]
    for name, chance in HELP.items():
        if name in lib.position:
            where = np.flatnonzero(rng.random(len(claim)) < chance)
            parts.append((where, lib.position[name], np.ones(len(where), np.int64)))
    rows = []
    for turn, (where, item, quantity) in enumerate(parts):
        at = visits["at"][where] + turn * 240 * (turn > 0)
        rows.append(
            lines_of(
                claim=claim[where], item=np.full(len(where), item), quantity=quantity, at=at, executed=at + 60,
                physician=visits["carer"][where],
            )
        )  # fmt: skip
    return stack(rows)
