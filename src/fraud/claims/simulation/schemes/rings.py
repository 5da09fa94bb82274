"""Schemes of many hands: rings of patients, houses and physicians, recruiters, and drives for patients."""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import INPATIENT, OUTPATIENT, Care, City, claims_of, clock, without_overlaps
from fraud.claims.simulation.operators import office_time
from fraud.claims.simulation.providers import CLINIC, PRIMARY, SECONDARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, between, draw, occurrence, pick, size, stack, take
from fraud.claims.simulation.schemes.stage import (
    PATIENT,
    PHYSICIAN,
    PROVIDER,
    Cast,
    Deeds,
    Stage,
    nothing,
    phantoms,
    scheme,
)
from fraud.claims.simulation.schemes.timing import in_hospital
from fraud.claims.simulation.schemes.visits import anyones, fresh, possible, retimed
from fraud.claims.simulation.seasons import is_holiday
from fraud.claims.simulation.stays import stays_care, with_end
from fraud.claims.simulation.visits import attended, visits_care

__all__ = ["patient_drives", "recruited_patients", "visiting_ring"]

# What people are admitted with who could as well have stayed at home.
MILD = ("I10", "I679", "M544", "K297", "R42")
# What a drive finds in everybody who gets off the bus.
SOUGHT_AFTER = ("M544", "M542", "K297", "R42", "I679", "M179")


def _stays_at(care: Care, n: int) -> Array:
    """Number of stays of each of `n` providers."""
    return np.bincount(care.claims["provider"][care.claims["kind"] == INPATIENT], minlength=n)


def _grown_up(city: City, low: int, high: int) -> Array:
    """Mask of the people between two ages who live to the end of the period."""
    everyone = np.arange(len(city.people))
    age = city.people.age(everyone, np.full(len(everyone), city.begins))
    return np.asarray((age > low) & (age < high) & city.people.alive(everyone, np.full(len(everyone), city.ends)))


def _accomplices(city: City, care: Care, houses: Array) -> Array:
    """The physician of each house who sees most of its patients; -1 where none works."""
    claims = care.claims
    seen = claims["physician"] >= 0
    work = np.bincount(claims["physician"][seen], minlength=len(city.physicians))
    best = [np.argmax(np.where(city.physicians.provider == h, work, -1)) for h in houses]
    busy = [work[b] > 0 and city.physicians.provider[b] == h for b, h in zip(best, houses, strict=True)]
    return np.where(busy, np.array(best, np.int64), -1)


def _first_of(who: Array, leader: Array) -> tuple[Array, Array]:
    """Everybody once, with the leader that comes first: a house or physician of two rings is counted with one."""
    once, first = np.unique(who, return_index=True)
    return once, leader[first]


# --- T26 ------------------------------------------------------------------------------------------------


@scheme("T26", ease=0.6)
def visiting_ring(stage: Stage, care: Care) -> Deeds:
    """A group is led from house to house on the same days, and every visit or stay is billed for all who came.

    Hides: each claim alone looks like any other of its house, and the houses are used in turn; the careful
    lead fewer people at a time. Leaves behind: the same persons, days and houses again and again, mostly with
    the same physician; joint admissions at one ward. Resembles: families who fall ill together, twins, the
    patients of a dialysis shift.
    """
    wanted, volume = stage.count(), stage.volume * 1.0
    houses = stage.providers(CLINIC, PRIMARY, weights=volume, count=wanted * stage.rates["providers"])
    rings = min(wanted, len(houses))
    if rings == 0:
        return nothing()
    # The first house of each ring is at its head, the others and the members follow it.
    led_by = stage.rng.permutation(np.arange(len(houses)) % rings)
    head = np.array([np.flatnonzero(led_by == i)[0] for i in range(rings)])
    wards = _wards(stage, care, houses, head)
    groups = _groups(stage, houses.who[head])
    trips = stack([
        _outings(stage, houses, head[i], houses.who[led_by == i], int(wards[i]), groups[i]) for i in range(rings)
    ])  # fmt: skip
    visits = _escorted(stage, care, take(trips, trips["ward"] == 0))
    # Keys of stays come after those that the visits may have.
    stays = _admitted(stage, care, take(trips, trips["ward"] == 1), care.next_key + size(trips))
    followers = _followers(stage, care, houses, head, led_by, wards, trips)
    return phantoms(visits.joined(stays), houses.only(head), *followers)


def _wards(stage: Stage, care: Care, houses: Cast, head: Array) -> Array:
    """A hospital for each ring that admits its members now and then: one of the region of its head."""
    city, stays = stage.city, _stays_at(care, len(stage.city.providers))
    able = np.isin(city.providers.tier, (PRIMARY, SECONDARY)) & (city.providers.beds > 0) & (stays > 0)
    able[[*city.providers.innocents, *houses.who]] = False
    region, chosen = city.providers.region, []
    for house in houses.who[head]:
        near = able & (region == region[house])
        chosen.append(draw(stage.rng, np.sqrt(stays) * (near if near.any() else able), 1)[0])
        able[chosen[-1]] = able.sum() == 1  # no two rings share one, as long as there are others
    return np.array(chosen)


def _followers(
    stage: Stage, care: Care, houses: Cast, head: Array, led_by: Array, wards: Array, trips: Rows
) -> tuple[Cast, ...]:
    """Members, the other houses, and the physicians who are in it."""
    members = houses.led(*_first_of(trips["patient"], trips["head"]), PATIENT)
    used = np.isin(head, trips["head"][trips["ward"] == 1])
    served, first = _first_of(np.r_[houses.who, wards[used]], np.r_[head[led_by], head[used]])
    others = ~np.isin(served, houses.who[head])
    staff = _accomplices(stage.city, care, houses.who)
    known = staff >= 0
    return (
        members,
        houses.led(served[others], first[others], PROVIDER),
        houses.led(*_first_of(staff[known], head[led_by][known]), PHYSICIAN),
    )


def _groups(stage: Stage, houses: Array) -> list[Array]:
    """The members of each ring: grown-ups of the region, none of them in two rings."""
    city, rng, groups = stage.city, stage.rng, []
    able = _grown_up(city, 30, 76)
    for house in houses:
        near = np.flatnonzero(able & (city.people.region == city.providers.region[house]))
        count = min(int(between(rng, stage.rates["members"], 1)[0]), len(near))
        groups.append(rng.choice(near, count, replace=False))
        able[groups[-1]] = False
    return groups


def _outings(stage: Stage, rings: Cast, head: int, houses: Array, ward: int, group: Array) -> Rows:
    """Who of a ring goes where and when: the houses in turn, every few weeks, most members each time."""
    rng, rates = stage.rng, stage.rates
    days = np.arange(rings.begins[head], rings.ends[head], int(stage.every)) // DAY
    begins = (days + rng.integers(-3, 4, len(days))) * DAY + clock(OUTPATIENT, len(days), rng)
    begins = begins[stage.goes_on(rings, np.full(len(begins), head), begins)]
    n = len(begins)
    lain = rng.random(n) < rates["admissions"]
    place = np.where(lain, ward, houses[np.arange(n) % len(houses)])
    come = rings.intensity[head] * (1.15 - 0.4 * rings.stealth[head])
    day, who = np.nonzero(rng.random((n, len(group))) < come)
    return {
        "provider": place[day],
        "patient": group[who],
        "admitted": begins[day] + rng.integers(0, 5400, len(day)),
        "nights": between(rng, rates["nights"], n)[day],
        "ward": lain[day].astype(np.int64),
        "head": np.full(len(day), head),
    }


def _escorted(stage: Stage, care: Care, trips: Rows) -> Care:
    """Visits of rings, copied from what each house does for others."""
    city, rng, claims = stage.city, stage.rng, care.claims
    fit = np.flatnonzero(anyones(city, claims) & (claims["kind"] == OUTPATIENT))
    fit = fit[np.argsort(claims["provider"][fit], kind="stable")]
    own = pick(rng, claims["provider"][fit], trips["provider"])
    trips, template = take(trips, own >= 0), fit[own[own >= 0]]
    n = size(trips)
    houses, at = np.unique(trips["provider"], return_inverse=True)
    staff = _accomplices(city, care, houses)[at]
    there = stage.hits(n, "accomplice") & (staff >= 0) & city.physicians.works(staff, trips["admitted"])
    department = city.library.department_of[claims["disease"][template]]
    other = city.physicians.on_duty(trips["provider"], department, rng, trips["admitted"])
    settled = trips["admitted"] + rng.integers(480, 5400, n)
    copies = care.cloned(
        claims["key"][template], trips["admitted"], patient=trips["patient"],
        physician=np.where(there, staff, other), **fresh(city, trips["provider"], settled, rng),
    )  # fmt: skip
    rows = copies.claims
    seen = (rows["physician"] >= 0) & city.providers.open_at(rows["provider"], rows["admitted"])
    return retimed(city, care, possible(city, copies.kept(rows["key"][seen])), rng)


def _admitted(stage: Stage, care: Care, trips: Rows, first_key: int) -> Care:
    """Stays for those who came along, all with one of a few mild diseases and over on the same day."""
    city, rng, n = stage.city, stage.rng, size(trips)
    diseases = np.array([city.library.disease[c] for c in MILD])
    disease = diseases[rng.integers(0, len(diseases), n)]
    stays = claims_of(
        0, patient=trips["patient"], provider=trips["provider"], kind=np.full(n, INPATIENT), disease=disease,
        admitted=trips["admitted"], nights=trips["nights"], planned=np.zeros(n, np.int64),
        physician=city.physicians.on_ward(
            trips["provider"], city.library.department_of[disease], trips["admitted"], rng
        ),
    )  # fmt: skip
    stays = with_end(stays, rng)
    ok = city.people.fits(stays["patient"], disease, city.library, stays["admitted"])
    ok &= city.people.alive(stays["patient"], stays["discharged"]) & (stays["physician"] >= 0)
    ok &= city.providers.open_at(stays["provider"], stays["admitted"])
    ok &= (stays["admitted"] >= city.begins) & (stays["discharged"] < city.ends - DAY)
    ok &= ~in_hospital(care, stays["patient"], stays["admitted"] - DAY, stays["discharged"] + DAY)
    chosen = take(stays, ok)
    chosen = take(chosen, without_overlaps(chosen, rest_days=2))
    return stays_care(city, chosen | {"key": first_key + np.arange(size(chosen))}, rng)


# --- T25 ------------------------------------------------------------------------------------------------


@scheme("T25", ease=0.7)
def recruited_patients(stage: Stage, care: Care) -> Deeds:
    """A recruiter brings groups from afar to a hospital for stays that they do not need, for a share of the pay.

    Hides: the care is given, and each of the people comes seldom; the careful have less of it paid out by
    hand. Leaves behind: groups from one place admitted within hours of each other, far from home, with mild
    diseases; the day before, a visit at one of two clinics that send nobody elsewhere; reimbursements of
    unrelated people on the recruiter's account. Resembles: the catchment of a referral centre, a household
    that shares an account.
    """
    city, claims = stage.city, care.claims
    stays = _stays_at(care, len(city.providers))
    hospitals = stage.providers(SECONDARY, PRIMARY, weights=np.sqrt(stays) * (city.providers.beds > 0))
    n = len(hospitals)
    if n == 0:
        return nothing()
    clinics = stage.providers(CLINIC, count=n * stage.rates["clinics"])
    sends_to = stage.rng.permutation(np.arange(len(clinics)) % n)
    acting = hospitals.acting(claims["provider"], claims["admitted"])
    own = np.bincount(acting[(acting >= 0) & (claims["kind"] == INPATIENT)], minlength=n)
    teams = _teams(stage, hospitals)
    trips = stack([_busload(stage, hospitals, i, team, int(own[i])) for i, team in enumerate(teams)])
    # Keys of the stays come after those that the visits before them may have.
    wards = _admitted(stage, care, trips, care.next_key + size(trips))
    leader = np.searchsorted(hospitals.who, wards.claims["provider"])
    recruiter = np.array([team[0] for team in teams])
    wards = _paid_by_hand(stage, hospitals, wards, leader, recruiter)
    false = _referred(stage, care, wards, clinics, sends_to, leader).joined(wards)
    people = np.r_[recruiter, wards.claims["patient"]]
    return phantoms(
        false, hospitals, hospitals.led(*_first_of(people, np.r_[np.arange(n), leader]), PATIENT),
        hospitals.led(clinics.who, sends_to, PROVIDER),
    )  # fmt: skip


def _teams(stage: Stage, hospitals: Cast) -> list[Array]:
    """For each hospital its recruiter, then the recruits: neighbours from a place that is not near it."""
    city, rng, teams = stage.city, stage.rng, []
    free = _grown_up(city, 40, 82)
    for house in hospitals.who:
        able = np.flatnonzero(free)
        place = city.people.place[able]
        far = np.hypot(*(place - city.providers.place[house]).T)
        village = place[draw(rng, far**2, 1)[0]]
        near = able[np.argsort(np.hypot(*(place - village).T), kind="stable")]
        # One of a household: people who have nothing to do with each other but the recruiter.
        near = near[occurrence(city.people.household[near]) == 0]
        count = int(between(rng, stage.rates["recruits"], 1)[0]) + 1
        teams.append(rng.permutation(near[: 2 * count])[:count])
        free[teams[-1]] = False
    return teams


def _busload(stage: Stage, hospitals: Cast, actor: int, team: Array, own: int) -> Rows:
    """Who is brought when: a few at a time, the group in turn, as many as the hospital's beds can explain."""
    rng, rates, recruits = stage.rng, stage.rates, team[1:]
    low, high = rates["at_once"]
    wanted = own * hospitals.intensity[actor] + (low + high) / 2
    trips = max(4, round(wanted / ((low + high) / 2)))
    day = np.sort(rng.integers(hospitals.begins[actor] // DAY, hospitals.ends[actor] // DAY + 1, trips))
    sizes = np.minimum(between(rng, (low, high), trips), len(recruits))
    trip = np.repeat(np.arange(trips), sizes)
    arrival = day * DAY + 9 * HOUR + rng.integers(0, 5 * HOUR, trips)
    # The careful let them come in one by one.
    spread_out = HOUR + int(10 * HOUR * hospitals.stealth[actor])
    begins = np.minimum(arrival[trip] + rng.integers(0, spread_out, len(trip)), (day[trip] + 1) * DAY - HOUR)
    rows = {
        "provider": np.full(len(trip), hospitals.who[actor]),
        "patient": recruits[np.arange(len(trip)) % len(recruits)],
        "admitted": begins,
        "nights": between(rng, rates["nights"], trips)[trip],
    }
    return take(rows, stage.goes_on(hospitals, np.full(len(trip), actor), begins))


def _paid_by_hand(stage: Stage, hospitals: Cast, wards: Care, leader: Array, recruiter: Array) -> Care:
    """The stays, part of which the recruiter hands in on paper, to be paid to the own account."""
    city, rng, claims = stage.city, stage.rng, wards.claims
    n = size(claims)
    hand = rng.random(n) < 2 * stage.rates["by_hand"] * (1 - hospitals.stealth[leader])
    account = len(city.providers) + city.people.household[recruiter[leader]]
    paper = office_time(claims["discharged"] + between(rng, (5, 30), n) * DAY, is_holiday, rng)
    settled = np.where(hand, paper, claims["settled"])
    desk = np.where(hand, city.people.insured_region[claims["patient"]], city.providers.region[claims["provider"]])
    fresh_desk = fresh(city, claims["provider"], settled, rng)
    return wards.with_claims(**fresh_desk | {
        "manual": hand.astype(np.int64), "terminal": np.where(hand, -1, fresh_desk["terminal"]),
        "account": np.where(hand, account, -1), "operator": city.operators.on_duty(desk, settled, rng),
    })  # fmt: skip


def _referred(stage: Stage, care: Care, wards: Care, clinics: Cast, sends_to: Array, leader: Array) -> Care:
    """Visits at the clinics that send the recruits on, a day or so before they are admitted."""
    rng, stays = stage.rng, wards.claims
    sent = np.flatnonzero(stage.hits(size(stays), "referred") & np.isin(leader, sends_to))
    if len(sent) == 0 or len(clinics) == 0:
        return care.kept(np.zeros(0, np.int64))
    order = np.argsort(sends_to, kind="stable")
    clinic = clinics.who[order[pick(rng, sends_to[order], leader[sent])]]
    day = stays["admitted"][sent] // DAY - between(rng, (1, 2), len(sent))
    # The group that goes in together was seen together, as far as the clinic could.
    trips = {
        "provider": clinic,
        "patient": stays["patient"][sent],
        "admitted": day * DAY + clock(OUTPATIENT, len(sent), rng),
    }
    return _escorted(stage, care, trips)


# --- T40 ------------------------------------------------------------------------------------------------


@scheme("T40", verdict="confirmed_abuse", ease=1.1)
def patient_drives(stage: Stage, care: Care) -> Deeds:
    """A house runs drives: for some weeks busloads of people from elsewhere are treated for one and the same thing.

    Hides: everybody was there, and what was ordered is usual for the disease; the careful drive longer and
    name two diseases. Leaves behind: the weekly count of one disease at one house far above that of other
    weeks while the region's stays flat; patients from other districts, who never come back. Resembles: an
    epidemic (which is everywhere at once), a community-health day (one day, announced, the neighbours).
    """
    city, claims = stage.city, care.claims
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, weights=stage.volume * 1.0)
    acting = cast.acting(claims["provider"], claims["admitted"])
    seen = np.bincount(acting[(acting >= 0) & (claims["kind"] == OUTPATIENT)], minlength=len(cast))
    daily = seen / np.maximum((cast.ends - cast.begins) / DAY, 1)
    drives = [d for i in range(len(cast)) for d in _drives(stage, cast, i, float(daily[i]))]
    if not drives:
        return nothing(cast)
    came = stack(drives)
    n = size(came)
    visits = attended(city, claims_of(care.next_key, **came, kind=np.full(n, OUTPATIENT)), stage.rng, later=1)
    disease = visits["disease"]
    ok = city.people.fits(visits["patient"], disease, city.library, visits["admitted"])
    ok &= (visits["admitted"] >= city.begins) & (visits["admitted"] < city.ends - DAY)
    ok &= ~in_hospital(care, visits["patient"], visits["admitted"], visits["admitted"] + HOUR)
    return phantoms(visits_care(city, take(visits, ok), stage.rng), cast)


def _drives(stage: Stage, cast: Cast, actor: int, daily: float) -> list[Rows]:
    """The drives of one house: when, who comes, and with what."""
    rng, rates = stage.rng, stage.rates
    count = int(between(rng, rates["drives"], 1)[0])
    length = (between(rng, rates["weeks"], count) * 7 * (0.7 + 0.6 * cast.stealth[actor])).astype(np.int64)
    # One after the other: each in its own part of the time.
    begins, part = cast.begins[actor] // DAY, (cast.ends[actor] - cast.begins[actor]) // DAY // count
    first = begins + np.arange(count) * part + rng.integers(0, np.maximum(part - length, 0) + 1)
    per_day = max(daily * rates["surge"] * float(cast.intensity[actor]), 0.5)
    rows = [_drive(stage, cast, actor, int(d), int(k), per_day) for d, k in zip(first, length, strict=True)]
    return [take(r, stage.goes_on(cast, np.full(size(r), actor), r["admitted"])) for r in rows]


def _drive(stage: Stage, cast: Cast, actor: int, first: int, days: int, per_day: float) -> Rows:
    """One drive: on workdays a bus arrives, mostly from another region, and all get the same diagnosis."""
    city, rng, house = stage.city, stage.rng, cast.who[actor]
    span = np.arange(first, first + days)
    staff = np.flatnonzero(city.physicians.provider == house)
    works = np.any([city.physicians.works(np.full(days, who), span * DAY) for who in staff], axis=0)
    workdays = span[works & city.providers.open_at(np.full(days, house), span * DAY) & ((span + 3) % 7 < 6)]
    # A bus does not come for one passenger.
    per_bus = np.maximum(rng.poisson(per_day * 2, len(workdays)), 2) * (rng.random(len(workdays)) < 0.5)
    day = np.repeat(workdays, per_bus)
    n = len(day)
    grown = _grown_up(city, 40, 85)
    region = city.people.region == city.providers.region[house]
    pools = [np.flatnonzero(grown & (region == near)) for near in (False, True)]
    pools = [pool if len(pool) else np.flatnonzero(grown) for pool in pools]
    from_afar = rng.random(n) < stage.rates["afar"]
    patient = np.where(from_afar, rng.choice(pools[0], n), rng.choice(pools[1], n))
    codes = 1 if cast.stealth[actor] < 0.6 else 2
    named = rng.choice([city.library.disease[c] for c in SOUGHT_AFTER], codes, replace=False)
    arrival = rng.integers(8 * HOUR, 10 * HOUR, days)[day - first]
    return {
        "patient": patient,
        "provider": np.full(n, house),
        "disease": named[rng.integers(0, codes, n)],
        "admitted": day * DAY + arrival + (rng.gamma(2.0, 0.7, n) * HOUR).astype(np.int64).clip(0, 9 * HOUR),
    }
