"""Schemes with persons: a card in other hands, a patient with many doctors, cards that outlive their owners."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import (
    CHRONIC,
    INPATIENT,
    LONG_TERM,
    OUTPATIENT,
    PHARMACY_VISIT,
    Care,
    City,
    claims_of,
    clock,
)
from fraud.claims.simulation.homecare import HOUR_OF_CARE
from fraud.claims.simulation.orders import priced
from fraud.claims.simulation.providers import CARE_HOME, CLINIC, PHARMACY, PRIMARY, SECONDARY, TERTIARY
from fraud.claims.simulation.rows import DAY, HOUR, NEVER, Array, Rows, between, draw, size, stack, take
from fraud.claims.simulation.schemes.stage import (
    PATIENT,
    PHYSICIAN,
    Cast,
    Deeds,
    Stage,
    marks,
    nothing,
    phantoms,
    scheme,
)
from fraud.claims.simulation.schemes.timing import in_hospital, sent_twice
from fraud.claims.simulation.schemes.visits import blatancy, fresh, retimed
from fraud.claims.simulation.stays import DIED
from fraud.claims.simulation.visits import attended, visits_care

__all__ = ["care_hours", "dead_cards", "doctor_shopping", "lent_cards"]

# ATC classes that are watched because people come to depend on them: opioids, sedatives, hypnotics, stimulants.
WATCHED = ("N02A", "N05B", "N05C", "N03AE", "N06B")
GROWN_UP = (24, 74)  # ages between which people go from doctor to doctor
# Users of a card differ from its owner in sex, or in age by this much; and they do not come all the time.
YEARS_APART = 15
TOO_WELL_KNOWN = 40
# Weeks begin on the day 4 of 1970; and there are fewer of them than this.
MONDAY, WEEKS = 4, 10_000


# --- T05 ------------------------------------------------------------------------------------------------


@scheme("T05", ease=0.8, bends=True)
def lent_cards(stage: Stage, care: Care) -> Deeds:
    """A card is lent, rented out or stolen: care of people of another age or sex is billed to its owner.

    Hides: the care is real and was needed, only the name is false; the careful lend to one person only, and
    show a document. Leaves behind: diagnoses and items that the owner cannot have, conditions that come and
    go, two places within the hour, visits while the owner lies in hospital, more failed or missing checks of
    identity. Resembles: a wrong sex code at the desk, a patient with a rare disease and many hospitals. Those
    who use the card are nowhere in the data; the owner is the actor.
    """
    city, claims = stage.city, care.claims
    visits = np.bincount(claims["patient"], minlength=len(city.people))
    everyone = np.arange(len(city.people))
    age = city.people.age(everyone, np.full(len(everyone), city.begins))
    alive = city.people.alive(everyone, np.full(len(everyone), city.ends))
    cast = stage.cast((visits >= 5) * (age > 22) * (age < 88) * alive * visits, PATIENT, stage.count())
    movable = (claims["manual"] == 0) & (claims["status"] != DIED)
    owner = np.full(size(claims), -1)
    for i in range(len(cast)):
        during = movable & (claims["admitted"] >= cast.begins[i]) & (claims["admitted"] <= cast.ends[i])
        users = _users(stage, cast, i, np.bincount(claims["patient"][during], minlength=len(everyone)))
        owner[during & np.isin(claims["patient"], users) & (owner < 0)] = i
    at = np.flatnonzero(owner >= 0)
    at = at[~sent_twice(take(claims, at))]
    at = at[stage.rng.random(len(at)) < cast.intensity[owner[at]] * cast.level(owner[at], claims["admitted"][at])]
    at = at[_beds_apart(care, at, cast.who[owner[at]])]
    return _in_false_name(stage, care, cast, at, owner[at])


def _users(stage: Stage, cast: Cast, actor: int, visits: Array) -> Array:
    """Who uses a card: people of another sex or age who need much care, from around or from elsewhere."""
    folk, rng, owner = stage.city.people, stage.rng, cast.who[actor]
    other = (folk.sex != folk.sex[owner]) | (np.abs(folk.birth - folk.birth[owner]) > YEARS_APART * 365)
    near = folk.region == folk.region[owner]
    # Whoever comes every other day is known at the desk by face.
    able = other & (visits >= 3) & (visits < TOO_WELL_KNOWN)
    able &= ~near if rng.random() < stage.rates["elsewhere"] else near
    able[cast.who] = False
    low, high = stage.rates["users"]
    count = low + round((high - low) * (1 - float(cast.stealth[actor])))
    # They do not bring all their illnesses at once: those with most care are not preferred much.
    return draw(rng, np.sqrt(visits) * able, count) if able.any() else np.zeros(0, np.int64)


def _beds_apart(care: Care, at: Array, owner: Array) -> Array:
    """Mask of the claims that can be put on the card: nobody has two beds at once, not even on paper."""
    claims = take(care.claims, at) | {"patient": owner}
    stay = claims["kind"] == INPATIENT
    free = ~stay | ~in_hospital(care, owner, claims["admitted"] - DAY, claims["discharged"] + DAY)
    stays = np.flatnonzero(stay & free)
    order = stays[np.lexsort((claims["admitted"][stays], owner[stays]))]
    before, after = order[:-1], order[1:]
    clash = (owner[after] == owner[before]) & (claims["admitted"][after] < claims["discharged"][before] + DAY)
    free[after[clash]] = False
    return np.asarray(free)


def _in_false_name(stage: Stage, care: Care, cast: Cast, at: Array, owner: Array) -> Deeds:
    """The claims on the cards of the owners, some without the check of identity, or with one that failed."""
    claims, n = care.claims, len(at)
    patient, identity = claims["patient"].copy(), claims["identity"].copy()
    patient[at] = cast.who[owner]
    absent = stage.rng.random(n) < blatancy(cast, owner, stage.rates["identity_absent"])
    failed = stage.rng.random(n) < blatancy(cast, owner, stage.rates["identity_fail"])
    identity[at] = np.where(absent, 2, np.where(failed, 1, identity[at]))
    keys = claims["key"][at]
    false = take(care.lines, np.isin(care.lines["claim"], keys))
    lines = {"line": false["key"], "amount": false["price"] * false["quantity"]}
    return Deeds((cast,), marks(keys), lines, care=care.with_claims(patient=patient, identity=identity))


# --- T27 ------------------------------------------------------------------------------------------------


@scheme("T27", verdict="confirmed_abuse", ease=1.1)
def doctor_shopping(stage: Stage, care: Care) -> Deeds:
    """A patient goes from doctor to doctor and shop to shop for a drug to depend on, twice on some days.

    Hides: each prescription keeps to its limit, and no doctor sees the others' ones; the careful go to fewer
    houses. Leaves behind: many prescribers and pharmacies, two houses on one day, supply of a watched drug
    that overlaps without end. Resembles: a patient with a rare disease and many honest hospitals, chronic
    patients who refill once a month.
    """
    city = stage.city
    ills = np.flatnonzero(_treated_with(city, WATCHED))
    everyone = np.arange(len(city.people))
    since = np.full(len(everyone), city.begins)
    age = city.people.age(everyone, since)
    alive = city.people.alive(everyone, np.full(len(everyone), city.ends))
    cast = stage.cast(
        alive * (age > GROWN_UP[0]) * (age < GROWN_UP[1]) * (0.3 + city.people.frailty), PATIENT, stage.count()
    )
    if len(cast) == 0 or len(ills) == 0:
        return nothing(cast)
    disease = ills[stage.rng.integers(0, len(ills), len(cast))]
    trips = stack([_rounds(stage, cast, i, int(disease[i])) for i in range(len(cast))])
    trips = take(trips, ~in_hospital(care, trips["patient"], trips["admitted"], trips["admitted"] + HOUR))
    ok = city.people.fits(trips["patient"], trips["disease"], city.library, trips["admitted"])
    ok &= (trips["admitted"] >= city.begins) & (trips["admitted"] < city.ends - DAY)
    trips = take(trips, ok)
    visits = attended(city, claims_of(care.next_key, **trips), stage.rng, later=1)
    return phantoms(visits_care(city, visits, stage.rng), cast)


def _treated_with(city: City, classes: tuple[str, ...]) -> Array:
    """Mask of the diseases of grown-ups of either sex for which mostly a drug of these classes is prescribed."""
    lib = city.library
    watched = np.array([str(code).startswith(classes) for code in lib.items["atc"]]) & ~lib.is_injection
    usual = [any(watched[o.items].all() and o.chance >= 0.5 for o in orders) for orders in lib.visit_orders]
    d = lib.diseases
    anyone = (d["sex"] == "") & (d["age_low"] <= GROWN_UP[0]) & (d["age_high"] >= GROWN_UP[1])
    return np.asarray(np.array(usual) & anyone & (d["visits"] > 0))


def _rounds(stage: Stage, cast: Cast, actor: int, disease: int) -> Rows:
    """Where one patient goes when: every week or two a house, or two of them, and then a pharmacy."""
    rng, rates = stage.rng, stage.rates
    days = np.arange(cast.begins[actor], cast.ends[actor], int(stage.every)) // DAY
    days = days + rng.integers(-4, 5, len(days))
    days = days[rng.random(len(days)) < cast.intensity[actor] * cast.level(np.full(len(days), actor), days * DAY)]
    n = len(days)
    first = days * DAY + 8 * HOUR + rng.integers(0, 3 * HOUR, n)
    again = rng.random(n) < 2 * rates["twice"] * (1 - cast.stealth[actor])
    second = first[again] + rng.integers(HOUR, 4 * HOUR, again.sum())
    last = first + np.where(again, 4 * HOUR, HOUR) + rng.integers(0, 3 * HOUR, n)
    filled = stage.hits(n, "filled")
    seen = np.sort(np.r_[first, second])
    doctors = _circuit(stage, cast, actor, "houses", (TERTIARY, SECONDARY, PRIMARY, CLINIC), len(seen))
    shops = _circuit(stage, cast, actor, "pharmacies", (PHARMACY,), int(filled.sum()))
    total = len(seen) + len(shops)
    return {
        "patient": np.full(total, cast.who[actor]),
        "provider": np.r_[doctors, shops],
        "kind": np.r_[np.full(len(seen), OUTPATIENT), np.full(len(shops), PHARMACY_VISIT)],
        "disease": np.full(total, disease),
        "admitted": np.r_[seen, last[filled]],
    }


def _circuit(stage: Stage, cast: Cast, actor: int, name: str, tiers: tuple[int, ...], n: int) -> Array:
    """The houses that one patient goes round, in turn: more of them for those who do not hide it."""
    houses, rng = stage.city.providers, stage.rng
    low, high = stage.rates[name]
    count = low + round((high - low) * (1 - float(cast.stealth[actor])))
    near = np.isin(houses.tier, tiers) & (houses.region == stage.city.people.region[cast.who[actor]])
    near[list(houses.innocents)] = False
    weight = houses.popularity * np.where(near, 1.0, 0.25) * np.isin(houses.tier, tiers)
    weight[list(houses.innocents)] = 0
    some = rng.choice(len(weight), min(count, int((weight > 0).sum())), replace=False, p=weight / weight.sum())
    return np.asarray(some[(np.arange(n) + rng.integers(0, len(some))) % len(some)])


# --- T39 ------------------------------------------------------------------------------------------------


@scheme("T39", ease=1.3)
def dead_cards(stage: Stage, care: Care) -> Deeds:
    """A household goes on fetching drugs on the card of one who died, or a house bills visits of its dead.

    Hides: what is billed is what the person used to get. Leaves behind: care that begins after the death.
    Resembles: claims of the last days of a life, settled late.
    """
    city, claims = stage.city, care.claims
    repeated = np.isin(claims["kind"], (PHARMACY_VISIT, CHRONIC, OUTPATIENT))
    known = np.bincount(claims["patient"][repeated], minlength=len(city.people))
    mourned = (city.people.died > city.begins) & (city.people.died < city.ends - 60 * DAY) & (known >= 2)
    # A card is at home when its owner dies, or it lies at the house that saw the owner last.
    kept = stage.hits(len(mourned), "kept")
    heirs = _from(stage, stage.cast((mourned & ~kept) * 1.0, PATIENT, stage.count()), city.people.died)
    own = take(claims, repeated & mourned[claims["patient"]])
    seen = take(own, kept[own["patient"]] & (own["kind"] != PHARMACY_VISIT))
    clients = np.bincount(seen["provider"], minlength=len(city.providers))
    loss = np.full(len(city.providers), NEVER)
    np.minimum.at(loss, seen["provider"], city.people.died[seen["patient"]])
    houses = stage.providers(CLINIC, PRIMARY, weights=clients * 1.0, count=stage.count("houses"))
    houses = _from(stage, houses.only(clients[houses.who] > 0), loss)
    rounds = [_legacy(stage, heirs, i, take(own, own["patient"] == w)) for i, w in enumerate(heirs.who)]
    for i, house in enumerate(houses.who):
        there = take(seen, seen["provider"] == house)
        rounds += [_legacy(stage, houses, i, take(there, there["patient"] == w)) for w in np.unique(there["patient"])]
    trips = stack([r for r in rounds if size(r)]) if any(size(r) for r in rounds) else {}
    return phantoms(_beyond(stage, care, trips), heirs, houses) if trips else nothing(heirs, houses)


def _from(stage: Stage, cast: Cast, died: Array) -> Cast:
    """The actors, who begin some days after the first death among their own."""
    n, rng = len(cast), stage.rng
    begins = died[cast.who] + between(rng, (3, 20), n) * DAY
    low, high = stage.rates["months"]
    ends = np.minimum(begins + (rng.uniform(low, high, n) * 30 * DAY).astype(np.int64), stage.city.ends - 1)
    opened, decided = (np.where(t < NEVER, t - cast.begins + begins, NEVER) for t in (cast.opened, cast.decided))
    return replace(cast, begins=begins, ends=np.maximum(ends, begins), opened=opened, decided=decided)


def _legacy(stage: Stage, cast: Cast, actor: int, own: Rows) -> Rows:
    """Which visits of the dead person's life are repeated, and when."""
    rng, city = stage.rng, stage.city
    died = int(city.people.died[own["patient"][0]]) if size(own) else city.ends
    first = max(int(cast.begins[actor]), died + 3 * DAY)
    half = stage.every / 2
    begins = first + np.cumsum(half + rng.exponential(half, 40)).astype(np.int64)
    begins = begins[(begins <= cast.ends[actor]) & (rng.random(40) < cast.intensity[actor])]
    begins = begins[stage.goes_on(cast, np.full(len(begins), actor), begins)]
    if size(own) == 0:
        begins = begins[:0]
    which = rng.integers(0, max(size(own), 1), len(begins))
    shop = own["kind"][which] == PHARMACY_VISIT
    hour = np.where(shop, clock(PHARMACY_VISIT, len(begins), rng), clock(CHRONIC, len(begins), rng))
    return {"template": own["key"][which], "shop": shop, "admitted": begins // DAY * DAY + hour}


def _beyond(stage: Stage, care: Care, trips: Rows) -> Care:
    """Copies of what the dead once got, at the same house, in a time in which they are no more."""
    city, rng, n = stage.city, stage.rng, size(trips)
    settled = trips["admitted"] + np.where(trips["shop"], rng.integers(60, 600, n), rng.integers(480, 5400, n))
    own = take(care.claims, np.searchsorted(care.claims["key"], trips["template"]))
    department = city.library.department_of[own["disease"]]
    named = city.physicians.named(own["provider"], department, trips["admitted"], rng)
    copies = care.cloned(
        trips["template"], trips["admitted"], physician=np.where(trips["shop"], -1, named),
        **fresh(city, own["provider"], settled, rng),
    )  # fmt: skip
    claims = copies.claims
    # Nobody comes to the desk to be registered; drugs can be fetched for another person.
    came = stage.hits(n, "registered") | trips["shop"]
    copies = copies.with_claims(registered=np.where(came, claims["registered"], 0))
    within = (claims["admitted"] >= city.begins) & (claims["settled"] < city.ends)
    within &= city.providers.open_at(claims["provider"], claims["admitted"])
    kept = copies.kept(claims["key"][within])
    return retimed(city, care, replace(kept, lines=priced(city, kept.claims, kept.lines)), rng)


# --- T35 ------------------------------------------------------------------------------------------------


@scheme("T35", bends=True)
def care_hours(stage: Stage, care: Care) -> Deeds:
    """A care home bills hours at people's homes that nobody gave: at two homes at once, or to someone in hospital.

    Hides: the people do get care, and the hours are added to weeks that are billed anyway; the careful add
    few. Leaves behind: a carer at two homes at once, days with more hours than one can work, visits while the
    person lies in hospital. Resembles: the carer who stands in for the others, a person who needs two hours.
    """
    city, claims = stage.city, care.claims
    cast = stage.providers(CARE_HOME)
    weeks = np.flatnonzero(claims["kind"] == LONG_TERM)
    weeks = weeks[~sent_twice(take(claims, weeks))]
    actor = np.full(care.next_key, -1)
    actor[claims["key"][weeks]] = stage.strikes(cast, claims["provider"][weeks], claims["admitted"][weeks])
    given = np.flatnonzero(care.lines["item"] == city.library.position.get(HOUR_OF_CARE, -1))
    given = given[actor[care.lines["claim"][given]] >= 0]
    if len(given) == 0:
        return nothing(cast)
    share = 2 * (1 - cast.stealth[actor[care.lines["claim"][given]]])
    longer = given[stage.rng.random(len(given)) < share * stage.rates["longer"]]
    hours = between(stage.rng, stage.rates["hours_more"], len(longer))
    again = given[stage.rng.random(len(given)) < share * stage.rates["days_more"]]
    visits = stack([_next_day(care, again, stage), _in_a_bed(care, given, stage)])
    quantity = care.lines["quantity"].copy()
    quantity[longer] += hours
    billed = _on_their_week(city, replace(care, lines={**care.lines, "quantity": quantity}), visits, stage.rng)
    new = take(billed.lines, billed.lines["key"] >= care.next_line)
    line = np.r_[care.lines["key"][longer], new["key"]]
    amount = np.r_[care.lines["price"][longer] * hours, new["price"] * new["quantity"]]
    claim, which = np.unique(np.r_[care.lines["claim"][longer], new["claim"]], return_inverse=True)
    total = np.bincount(which, amount, minlength=len(claim)).astype(np.int64)
    carers, first = np.unique(new["physician"], return_index=True)
    house = billed.claims["provider"][np.searchsorted(billed.claims["key"], new["claim"][first])]
    staff = cast.led(carers, np.searchsorted(cast.who, house), PHYSICIAN)
    return Deeds((cast, staff), marks(claim, total), {"line": line, "amount": amount}, care=billed)


def _next_day(care: Care, again: Array, stage: Stage) -> Rows:
    """Hours on days on which nobody came, as the carer was at somebody else's home."""
    lines = take(care.lines, again)
    # A visit after Sunday would belong to the claim of the next week.
    same_week = (lines["at"] // DAY + 1 - MONDAY) % 7 != 0
    return take(_moved(lines, lines["at"] // DAY + 1, stage), same_week)


def _in_a_bed(care: Care, given: Array, stage: Stage) -> Rows:
    """Hours while the person lies in hospital: the usual days, as if nothing had happened."""
    claims, lines = care.claims, take(care.lines, given)
    person = claims["patient"][np.searchsorted(claims["key"], lines["claim"])]
    stays = take(claims, (claims["kind"] == INPATIENT) & np.isin(claims["patient"], person))
    stays = take(stays, stage.hits(size(stays), "while_away"))
    parts = [_moved(take(lines, lines["at"] < 0), np.zeros(0, np.int64), stage)]
    for who, begins, ends in zip(stays["patient"], stays["admitted"], stays["discharged"], strict=True):
        own = np.flatnonzero((person == who) & (lines["at"] < begins) & (lines["at"] > begins - 30 * DAY))
        last = take(lines, own[-1:])
        day = np.arange(begins // DAY + 1, ends // DAY)
        due = day[(day - last["at"] // DAY) % 2 == 0] if len(own) else day[:0]
        parts.append(_moved(take(last, np.zeros(len(due), np.int64)), due, stage))
    return stack(parts)


def _moved(lines: Rows, day: Array, stage: Stage) -> Rows:
    """The same hours on other days, some minutes earlier or later."""
    at = day * DAY + lines["at"] % DAY // HOUR * HOUR + stage.rng.integers(0, 2400, len(day))
    return {**lines, "at": at, "executed": at + 60}


def _on_their_week(city: City, care: Care, visits: Rows, rng: np.random.Generator) -> Care:
    """The care with the visits on the claims of their weeks; a week that was not billed at all gets a claim."""
    claims = care.claims
    source = np.searchsorted(claims["key"], visits["claim"])
    day = visits["at"] // DAY
    # In order of time, one for each person and day.
    once = np.unique(day * len(city.people) + claims["patient"][source], return_index=True)[1]
    visits, source, day = take(visits, once), source[once], day[once]
    week = claims["patient"][source] * WEEKS + (day - MONDAY) // 7
    known = np.flatnonzero(claims["kind"] == LONG_TERM)
    billed = claims["patient"][known] * WEEKS + (claims["admitted"][known] // DAY - MONDAY) // 7
    order = np.argsort(billed, kind="stable")
    found = known[order[np.searchsorted(billed[order], week).clip(0, len(known) - 1)]]
    same = claims["patient"][found] * WEEKS + (claims["admitted"][found] // DAY - MONDAY) // 7 == week
    # What would come before the first visit of a claim is not worth another one.
    fit = ~same | (visits["at"] > claims["admitted"][found])
    visits, source, found, same, week = take(visits, fit), source[fit], found[fit], same[fit], week[fit]
    _, first, of = np.unique(week[~same], return_index=True, return_inverse=True)
    origin, begins = source[~same][first], visits["at"][~same][first]
    settled = ((begins // DAY - MONDAY) // 7 * 7 + MONDAY + 7) * DAY + rng.integers(9 * HOUR, 18 * HOUR, len(begins))
    bare = replace(care, lines=take(care.lines, found[:0]))
    weeks = bare.cloned(
        claims["key"][origin], begins, discharged=begins, physician=visits["physician"][~same][first],
        **fresh(city, claims["provider"][origin], settled, rng),
    )  # fmt: skip
    claim = claims["key"][found]
    claim[~same] = care.next_key + of
    price = city.providers.price_of(claims["provider"][source], visits["item"], visits["at"])
    return care.joined(replace(weeks, lines={**visits, "claim": claim, "price": price}))
