"""Schemes of too much: examinations without cause, treatment beyond the case, sessions and units beyond the day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import (
    CHRONIC,
    EMERGENCY,
    INPATIENT,
    OUTPATIENT,
    Care,
    City,
    claims_of,
    clock,
    lines_of,
)
from fraud.claims.simulation.items import Library
from fraud.claims.simulation.orders import priced, without_included
from fraud.claims.simulation.providers import PRIMARY, SECONDARY, TERTIARY
from fraud.claims.simulation.rows import DAY, Array, Rows, between, draw, size, spread, stack, take
from fraud.claims.simulation.schemes.bending import bent_lines, lines_at, struck, with_changes, with_lines
from fraud.claims.simulation.schemes.stage import Cast, Deeds, Stage, nothing, phantoms, scheme
from fraud.claims.simulation.schemes.timing import SPAN, in_hospital, of_claims, sent_once, timed
from fraud.claims.simulation.visits import visits_care

__all__ = ["excess_sessions", "excess_units", "over_examination", "over_treatment", "written"]

REPEAT_DAYS = 14
DOORS = (OUTPATIENT, EMERGENCY, INPATIENT)


def written(stage: Stage, care: Care, cast: Cast, lines: Rows, day: Array) -> Deeds:
    """Deeds that consist of more lines in claims that are there; `day` counts from admission.

    They get the times and prices of honest lines. What the claim already has that day, or has as part of
    a package, is left out: that would be another scheme.
    """
    city, lib = stage.city, stage.city.library
    new = timed(city, care, care.claims, lines, day, stage.rng)
    mine = take(care.lines, of_claims(care.lines, new["claim"]))
    base = new["claim"] * 100_000 + new["at"] // DAY
    there = mine["claim"] * 100_000 + mine["at"] // DAY
    free = np.ones(size(new), bool)
    billed = np.isin(lib.exclusions["package"], new["item"])
    for package, part in zip(lib.exclusions["package"][billed], lib.exclusions["included"][billed], strict=True):
        of_package = np.flatnonzero(new["item"] == package)
        free[of_package] &= ~np.isin(base[of_package], there[mine["item"] == part])
    new = priced(city, care.claims, take(new, free))
    both = stack([mine | {"new": np.zeros(size(mine), np.int64)}, new | {"new": np.ones(size(new), np.int64)}])
    kept = without_included(lib, both)
    joined, false = with_lines(care, take(kept, kept.pop("new") == 1))
    return bent_lines(joined, false, false["price"] * false["quantity"], cast)


def plain(lib: Library) -> Array:
    """For each item, whether it may be given to anybody: no limit of sex, age or indication."""
    items = lib.items
    limited = (items["sex_limit"] != "") | (items["indications"] != "") | ~np.isnan(items["age_min"])
    return np.asarray(~limited & np.isnan(items["age_max"]))


def how_often(city: City, care: Care) -> Array:
    """How often each item is given in the city."""
    return np.bincount(care.lines["item"], minlength=len(city.library.items["key"]))


def given_at(city: City, house: int, kind: str) -> Array:
    """For each item, whether the level of the house and the kind of visit allow it."""
    items = city.library.items
    return np.asarray((items["level"] <= city.providers.level[house]) & np.isin(items["visit_type_limit"], ("", kind)))


# --- T15 ------------------------------------------------------------------------------------------------


@scheme("T15", verdict="confirmed_abuse", ease=0.8, bends=True)
def over_examination(stage: Stage, care: Care) -> Deeds:
    """A hospital sends people through its large machines without cause, also days after another house did.

    Hides: among those whose complaint might ask for it, and by fewer repeats.
    Leaves: more examinations for each visit, few positive reports, the same examination within two weeks.
    Resembles: a referral centre, whose hard cases need the machines, and mostly show something.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    used = _machines(city, care)
    cast = stage.providers(TERTIARY, SECONDARY, weights=stage.volume * used.any(axis=1))
    at = np.flatnonzero(np.isin(claims["provider"], cast.who) & np.isin(claims["kind"], DOORS))
    at = at[city.people.age(claims["patient"][at], claims["admitted"][at]) >= 14]
    at = at[sent_once(claims, at)]
    house, begins = claims["provider"][at], claims["admitted"][at]
    acting, before = cast.acting(house, begins), _seen_before(city, care, at)
    again = (acting >= 0) & (before >= 0) & stage.hits(len(at), "repeats")
    again &= stage.goes_on(cast, acting, begins) if len(cast) else False
    item = np.where(again, before, -1)
    for h in np.unique(house):
        mine = np.flatnonzero((house == h) & (item < 0))
        item[mine] = draw(rng, used[h] + 1e-12, len(mine))
    hit = (again | (stage.strikes(cast, house, begins) >= 0)) & (used[house, item] > 0)
    at, item = at[hit], item[hit]
    lines = lines_of(claim=claims["key"][at], item=item, quantity=np.ones(len(at)), at=at * 0)
    deeds = written(stage, care, cast, lines, rng.integers(0, 2, len(at)) * (claims["nights"][at] > 1))
    return _mostly_negative(stage, deeds)


def _machines(city: City, care: Care) -> Array:
    """How usual each large examination that anybody may have is, for the houses with the machine for it."""
    lib = city.library
    large = lib.items["large_equipment"] & plain(lib) & (lib.items["visit_type_limit"] == "")
    usual = how_often(city, care) * large
    allowed = lib.items["level"][None, :] <= city.providers.level[:, None]
    return np.asarray(city.providers.machines * allowed * usual[None, :])


def _seen_before(city: City, care: Care, at: Array) -> Array:
    """The large examination that each patient had elsewhere in the two weeks before the claim at `at`; or -1."""
    lib, claims = city.library, take(care.claims, at)
    lines = take(care.lines, (lib.items["large_equipment"] & plain(lib))[care.lines["item"]])
    owner = np.searchsorted(care.claims["key"], lines["claim"])
    when = care.claims["patient"][owner] * SPAN + lines["at"]
    order = np.argsort(when, kind="stable")
    if len(order) == 0:
        return np.full(len(at), -1)
    last = np.searchsorted(when[order], claims["patient"] * SPAN + claims["admitted"]) - 1
    line = order[last.clip(0)]
    known = (last >= 0) & (care.claims["patient"][owner[line]] == claims["patient"])
    known &= claims["admitted"] - lines["at"][line] < REPEAT_DAYS * DAY
    known &= care.claims["provider"][owner[line]] != claims["provider"]
    return np.where(known, lines["item"][line], -1)


def _mostly_negative(stage: Stage, deeds: Deeds) -> Deeds:
    """The same deeds with reports that show what could be expected: mostly nothing."""
    care = deeds.care
    assert care is not None
    here = np.flatnonzero(np.isin(care.lines["key"], deeds.lines["line"]) & (care.lines["positive"] >= 0))
    positive = stage.hits(len(here), "positive").astype(np.int64)
    return replace(deeds, care=with_changes(care, here, {"positive": positive}))


# --- T16 ------------------------------------------------------------------------------------------------


@scheme("T16", verdict="confirmed_abuse", ease=0.7, bends=True)
def over_treatment(stage: Stage, care: Care) -> Deeds:
    """A house infuses what the case does not need: dear drugs, antibiotics and single-use articles, day after day.

    Hides: by one drug more instead of three, and for part of the stay.
    Leaves: the same few drugs in claims of every disease, a high share of drugs, costs above the case.
    Resembles: a ward with grave cases.
    """
    city, claims = stage.city, care.claims
    cast = stage.providers(PRIMARY, SECONDARY, weights=stage.volume * 1.0)
    at, actor = struck(stage, cast, claims, np.isin(claims["kind"], DOORS))
    grown = city.people.age(claims["patient"][at], claims["admitted"][at]) >= 18
    at, actor = at[grown & sent_once(claims, at)], actor[grown & sent_once(claims, at)]
    courses = stack([_courses(stage, care, cast, i, at[actor == i]) for i in range(len(cast))] or [_none()])
    owner, day = spread(courses["first"], courses["days"])
    lib, item = city.library, courses["item"][owner]
    lines = lines_of(
        claim=claims["key"][courses["at"][owner]], item=item, quantity=courses["units"][owner], at=day * 0,
        supply=np.where(lib.is_category("drug")[item], 1, 0),
    )  # fmt: skip
    return written(stage, care, cast, lines, day)


def _none() -> Rows:
    return {name: np.zeros(0, np.int64) for name in ("at", "item", "units", "first", "days")}


def _courses(stage: Stage, care: Care, cast: Cast, i: int, at: Array) -> Rows:
    """What one house adds to the claims at those positions: some of its favourites, over some days."""
    city, rng, lib = stage.city, stage.rng, stage.city.library
    house, n = cast.who[i], len(at)
    stays = care.claims["kind"][at] == INPATIENT
    fit = plain(lib) & (lib.is_injection | lib.is_category("consumable"))
    fit &= given_at(city, house, "outpatient") | (given_at(city, house, "inpatient") & stays.any())
    fit &= lib.items["price_cap"] < stage.rates["dearest"]
    favourites = rng.choice(np.flatnonzero(fit), stage.rates["favourites"], replace=False)
    more = 1 + (rng.random((n, len(favourites))).argsort(axis=1) < 2 - 1.4 * cast.stealth[i]).sum(axis=1)
    chosen = rng.random((n, len(favourites))).argsort(axis=1) < more[:, None]
    ward_only = lib.items["visit_type_limit"][favourites] == "inpatient"
    who, which = np.nonzero(chosen & (stays[:, None] | ~ward_only[None, :]))
    nights = np.maximum(care.claims["nights"][at[who]], 1)
    days = np.ceil(nights * rng.uniform(0.9 - 0.5 * cast.stealth[i], 1.0, len(who))).astype(np.int64)
    single = lib.is_category("consumable")[favourites[which]]
    units = np.where(single, 1, between(rng, stage.rates["units"], len(who)))
    first = np.floor(rng.random(len(who)) * (nights - days + 1)).astype(np.int64)
    return {"at": at[who], "item": favourites[which], "units": units, "first": first, "days": days}


# --- T10 ------------------------------------------------------------------------------------------------


@scheme("T10", verdict="improper_payment", ease=1.2, bends=True)
def excess_units(stage: Stage, care: Care) -> Deeds:
    """A ward books more units of nursing, oxygen and treatment than a day has hours or the item allows.

    Hides: one unit more than allowed, now and then, instead of twice as many.
    Leaves: quantities above the limit of a day, for the same few items.
    Resembles: a quantity typed wrongly.
    """
    rng, lines = stage.rng, care.lines
    cast = stage.providers(PRIMARY, SECONDARY, weights=stage.volume * 1.0)
    at, actor = struck(stage, cast, care.claims)
    at, actor = at[sent_once(care.claims, at)], actor[sent_once(care.claims, at)]
    own, of = lines_at(care, at)
    actor, most = actor[of], stage.city.library.items["max_per_day"][lines["item"][own]]
    hit = _booked_by_formula(stage, lines["item"][own], actor, len(cast)) & (most >= 1)
    hit &= rng.random(len(own)) < 1 - 0.6 * cast.stealth[actor]
    own, actor, most = own[hit], actor[hit], most[hit].astype(np.int64)
    extra = np.ceil(most * rng.uniform(0.1, 1.0, len(own)) * (1 - cast.stealth[actor])).astype(np.int64).clip(1)
    before = lines["quantity"][own]
    billed = with_changes(care, own, {"quantity": np.maximum(before, most + extra)})
    false = take(billed.lines, own)
    return bent_lines(billed, false, (false["quantity"] - before) * false["price"], cast)


def _booked_by_formula(stage: Stage, item: Array, actor: Array, actors: int) -> Array:
    """Mask of the lines for one of the few items that the actor's ward books too many of; by the hour first."""
    lib, rng = stage.city.library, stage.rng
    fit = lib.is_category("nursing", "treatment", "therapy") & (lib.items["max_per_day"] >= 1)
    habit = np.zeros((max(actors, 1), len(fit)), bool)
    for i in range(actors):
        used = np.bincount(item[actor == i], minlength=len(fit)) * fit
        weight = np.sqrt(used) * np.where(lib.items["max_per_day"] >= 12, 10.0, 1.0)
        n = min(stage.rates["items"], int((weight > 0).sum()))
        habit[i, rng.choice(len(fit), n, replace=False, p=weight / weight.sum()) if n else []] = True
    return np.asarray(habit[actor, item])


# --- T33 ------------------------------------------------------------------------------------------------


@scheme("T33", ease=1.1)
def excess_sessions(stage: Stage, care: Care) -> Deeds:
    """A hospital bills dialysis beyond what a body needs, at dear rates, to people who have theirs elsewhere.

    Hides: on days without a session at the other house, and not while the patient lies in hospital.
    Leaves: more than four sessions a week, sessions at two houses on a day or within a stay, dear sessions.
    Resembles: a patient who changes houses, or needs an extra session.
    """
    city = stage.city
    sessions = take(care.claims, care.claims["disease"] == city.library.disease["N185"])
    sessions = take(sessions, sessions["kind"] == CHRONIC)
    stations = city.providers.stations > 0
    cast = stage.providers(TERTIARY, SECONDARY, weights=stage.volume * stations)
    if len(cast) == 0 or size(sessions) == 0:
        return nothing(cast)
    planned = stack([_borrowed_days(stage, care, sessions, cast, i) for i in range(len(cast))])
    visits = claims_of(care.next_key, kind=np.full(size(planned), CHRONIC), **planned)
    full = visits_care(city, visits, stage.rng)
    return phantoms(replace(full, lines=_dear(stage, full)), cast)


def _borrowed_days(stage: Stage, care: Care, sessions: Rows, cast: Cast, i: int) -> Rows:
    """Sessions of one hospital's patients from the other house: a day or so beside their real ones."""
    city, rng, house = stage.city, stage.rng, cast.who[i]
    mine = take(sessions, (sessions["provider"] != house) & (cast.begins[i] <= sessions["admitted"]))
    mine = take(mine, mine["admitted"] < cast.last[i])
    lent = np.unique(mine["patient"])
    lent = rng.permutation(lent)[: between(rng, stage.rates["patients"], 1)[0]]
    mine = take(mine, np.isin(mine["patient"], lent))
    mine = take(mine, rng.random(size(mine)) < cast.intensity[i])
    n = size(mine)
    # Sessions are every second day: the day after is free, the same day is not.
    after = (rng.random(n) < 0.5 + 0.5 * cast.stealth[i]).astype(np.int64)
    begins = (mine["admitted"] // DAY + after) * DAY + clock(CHRONIC, n, rng)
    lies = in_hospital(care, mine["patient"], begins, begins + DAY)
    ok = stage.goes_on(cast, np.full(n, i), begins) & city.people.alive(mine["patient"], begins)
    ok &= (begins < cast.ends[i]) & (~lies | (rng.random(n) > cast.stealth[i]))
    kidney = np.full(n, city.library.department_of[city.library.disease["N185"]])
    planned = {
        "patient": mine["patient"],
        "provider": np.full(n, house),
        "disease": mine["disease"],
        "admitted": begins,
        "physician": city.physicians.named(np.full(n, house), kidney, begins, rng),
    }
    return take(planned, ok)


def _dear(stage: Stage, full: Care) -> Rows:
    """The lines with a dearer kind of session where the library has one, and the drugs that go with it."""
    city, lib, lines = stage.city, stage.city.library, full.lines
    kinds = np.flatnonzero(lib.items["dialysis"])
    dearest = kinds[np.argmax(lib.items["price_cap"][kinds])]
    session = lib.items["dialysis"][lines["item"]] & stage.hits(size(lines), "dear")
    return priced(city, full.claims, lines | {"item": np.where(session, dearest, lines["item"])})
