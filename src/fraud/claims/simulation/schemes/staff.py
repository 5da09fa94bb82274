"""Schemes of staff: more work than a day has hours, work of those who may not, work that nobody did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import CHRONIC, EMERGENCY, INPATIENT, OUTPATIENT, Care, claims_of, clock, lines_of
from fraud.claims.simulation.orders import priced, without_included
from fraud.claims.simulation.providers import CLINIC, PHARMACY, PRIMARY, SECONDARY
from fraud.claims.simulation.rows import DAY, NEVER, NONE, Array, Rows, between, draw, size, stack, take
from fraud.claims.simulation.schemes.bending import lines_at, struck, with_changes
from fraud.claims.simulation.schemes.intensity import given_at, how_often, plain, written
from fraud.claims.simulation.schemes.stage import (
    PHYSICIAN,
    PROVIDER,
    Cast,
    Deeds,
    Stage,
    marks,
    nothing,
    phantoms,
    scheme,
)
from fraud.claims.simulation.schemes.timing import in_hospital, of_claims, sent_once, timed
from fraud.claims.simulation.visits import visits_care

__all__ = ["barred_physicians", "borrowed_settlement", "impossible_days", "timed_therapy", "undone_examinations"]

OPEN_DOORS = (OUTPATIENT, CHRONIC, EMERGENCY)
# Below this a physician has no practice to hide anything in.
FEWEST_CLAIMS = 20


def _practices(stage: Stage, care: Care, *tiers: int) -> Array:
    """Number of visits of each physician of the tiers; none for those of odd innocent houses."""
    city, claims = stage.city, care.claims
    seen = (claims["physician"] >= 0) & np.isin(claims["kind"], OPEN_DOORS)
    visits = np.bincount(claims["physician"][seen], minlength=len(city.physicians))
    house = city.physicians.provider
    able = np.isin(city.providers.tier[house], tiers) & ~np.isin(house, city.providers.innocents)
    return np.where(able & (visits >= FEWEST_CLAIMS), visits, 0)


def _clients(care: Care, house: int) -> Array:
    """People who have been to the house, each as often as they came."""
    here = (care.claims["provider"] == house) & np.isin(care.claims["kind"], OPEN_DOORS)
    return np.asarray(care.claims["patient"][here])


def _own_visits(care: Care, cast: Cast, i: int) -> Rows:
    """Honest visits at one physician in the time of the doings; of all times where there is none."""
    claims = care.claims
    own = take(claims, (claims["physician"] == cast.who[i]) & np.isin(claims["kind"], OPEN_DOORS))
    now = (own["admitted"] >= cast.begins[i]) & (own["admitted"] <= cast.ends[i])
    return take(own, now) if now.any() else own


def _at_work(stage: Stage, cast: Cast, i: int, n: int) -> Array:
    """`n` different days of the actor's time on which there is work to hide in, in order."""
    days = np.arange(cast.begins[i] // DAY, cast.ends[i] // DAY + 1)
    there = stage.city.physicians.works(np.full(len(days), cast.who[i]), days * DAY)
    days = days[there] if there.any() else days
    return np.sort(stage.rng.choice(days, min(n, len(days)), replace=False))


def _billed(stage: Stage, care: Care, visits: Rows, cast: Cast) -> Care:
    """Invented visits with what honest ones have: those that can be, of people who are not in hospital."""
    city, actor = stage.city, visits["actor"]
    begins, patient = visits["admitted"], visits["patient"]
    ok = city.people.alive(patient, begins) & (begins >= city.begins) & (begins < city.ends - DAY)
    ok &= city.people.fits(patient, visits["disease"], city.library, begins)
    ok &= stage.goes_on(cast, actor, begins) & ~in_hospital(care, patient, begins - DAY, begins + DAY)
    kept = take({n: c for n, c in visits.items() if n != "actor"}, ok)
    kind = np.full(size(kept), OUTPATIENT)
    return visits_care(city, claims_of(care.next_key, kind=kind, **kept), stage.rng)


def _ordered(stage: Stage, care: Care, visits: Care, cast: Cast, bundles: list[Array], usual: float) -> Rows:
    """Lines for items of each physician's bundle, each in the `usual` share of the visits, like other lines."""
    lib, rng = stage.city.library, stage.rng
    most = np.nan_to_num(lib.items["max_per_day"], nan=1).astype(np.int64)
    parts: list[Rows] = [dict.fromkeys(("at", "item"), np.zeros(0, np.int64))]
    for who, bundle in zip(cast.who, bundles, strict=True):
        own = np.flatnonzero(visits.claims["physician"] == who)
        visit, which = np.nonzero(rng.random((len(own), len(bundle))) < usual)
        parts.append({"at": own[visit], "item": bundle[which]})
    chosen = stack(parts)
    n, claim = size(chosen), visits.claims["key"][chosen["at"]]
    units = np.minimum(between(rng, stage.rates["units"], n), most[chosen["item"]])
    lines = lines_of(claim=claim, item=chosen["item"], quantity=units, at=np.zeros(n, np.int64))
    lines = timed(stage.city, care, visits.claims, lines, np.zeros(n, np.int64), rng)
    return priced(stage.city, visits.claims, lines)


def _bundle(stage: Stage, usual: Array, house: int, *categories: str) -> Array:
    """Items of some minutes each that a house may give to anybody; rather those that are given often."""
    lib, rng = stage.city.library, stage.rng
    fit = plain(lib) & lib.is_category(*categories) & (lib.items["minutes"] >= stage.rates["minutes_each"])
    fit &= given_at(stage.city, house, "outpatient") & ~lib.items["large_equipment"] & ~lib.items["dialysis"]
    fit[lib.exclusions["package"]] = False  # a part beside its package would be another scheme
    weight = fit * np.sqrt(1.0 + usual)
    n = min(between(rng, stage.rates["bundle"], 1)[0], int(fit.sum()))
    return np.asarray(rng.choice(len(fit), n, replace=False, p=weight / weight.sum()))


# --- T28 ------------------------------------------------------------------------------------------------


@scheme("T28", ease=1.1)
def impossible_days(stage: Stage, care: Care) -> Deeds:
    """A physician's name is on more visits and timed treatments than a day has hours, or on days away.

    Hides: below a day's length, and not on days in hospital or on leave.
    Leaves: some days with many times the usual work, minutes of treatment that add up to more than the day,
    visits while the physician is a patient.
    Resembles: the head of a team, in whose name all is billed; a community-health day.
    """
    practices = _practices(stage, care, CLINIC, PRIMARY, SECONDARY)
    ill = stage.city.physicians.ill.any(axis=1)
    cast = stage.cast(practices * np.where(ill, 5.0, 1.0), PHYSICIAN, stage.count())
    if len(cast) == 0:
        return nothing()
    planned = stack([_piled(stage, care, cast, i) for i in range(len(cast))])
    houses = stage.city.physicians.provider[cast.who]
    usual = how_often(stage.city, care)
    bundles = [_bundle(stage, usual, int(h), "treatment", "therapy", "examination") for h in houses]
    visits = _billed(stage, care, planned, cast)
    more = _ordered(stage, care, visits, cast, bundles, 0.8)
    lines = without_included(stage.city.library, stack([visits.lines, more]))
    return phantoms(replace(visits, lines=lines), cast)


def _piled(stage: Stage, care: Care, cast: Cast, i: int) -> Rows:
    """Visits of one physician's own clients: many on some days, and a few on days away."""
    city, rng, who = stage.city, stage.rng, cast.who[i]
    own = _own_visits(care, cast, i)
    most = max(4, round(stage.rates["visits_a_day"] * (1.4 - 0.9 * cast.stealth[i])))
    days = _at_work(stage, cast, i, max(1, round(size(own) * cast.intensity[i] / most)))
    away = _while_away(stage, cast, i)
    day = np.r_[np.repeat(days, rng.integers(max(most - 3, 2), most + 4, len(days))), away]
    n, house = len(day), int(city.physicians.provider[who])
    return {
        "actor": np.full(n, i),
        "patient": rng.choice(_clients(care, house), n),
        "provider": np.full(n, house),
        "disease": own["disease"][rng.integers(0, size(own), n)],
        "admitted": day * DAY + clock(OUTPATIENT, n, rng),
        "physician": np.full(n, who),
    }


def _while_away(stage: Stage, cast: Cast, i: int) -> Array:
    """Days in hospital or on leave on which the name is on bills all the same, one for each visit."""
    staff, rng, rates = stage.city.physicians, stage.rng, stage.rates
    days = np.arange(cast.begins[i] // DAY, cast.ends[i] // DAY + 1)
    on = days - staff.start
    careless = rates["in_hospital"] * staff.ill[cast.who[i], on] + rates["on_leave"] * staff.leave[cast.who[i], on]
    days = days[rng.random(len(days)) < careless * 2 * (1 - cast.stealth[i])]
    return np.repeat(days, between(rng, (2, 4), len(days)))


# --- T29, T30 -------------------------------------------------------------------------------------------


def _during(stage: Stage, cast: Cast, first: Array, last: Array) -> Cast:
    """The cast at work from `first` to `last` (seconds) instead, with inspections as long after it begins."""
    later = np.where(cast.opened != NEVER, first - cast.begins, 0)
    ends = np.minimum(last, stage.city.ends - 1)
    return replace(cast, begins=first, ends=ends, opened=cast.opened + later, decided=cast.decided + later)


@scheme("T29", verdict="confirmed_abuse", ease=1.2, bends=True)
def barred_physicians(stage: Stage, care: Care) -> Deeds:
    """A physician who is suspended, or whose licence has ended, goes on seeing patients under some number.

    Hides: under the number of a colleague, whose work then doubles.
    Leaves: claims that name one who may not work, a colleague with too much of it, lines by the one barred.
    Resembles: a licence that was renewed and entered late.
    """
    rng, claims = stage.rng, care.claims
    first, last = _barred(stage)
    near = _shared_rooms(stage, care, first, last)
    # The barred one would have had an equal part of the room's work.
    share = np.array([1.0 / (1 + len(np.unique(claims["physician"][near.get(w, [])]))) for w in range(len(first))])
    work = share * [len(near.get(who, ())) for who in range(len(first))]
    cast = stage.cast(work * (work >= 3), PHYSICIAN, stage.count())
    cast = _during(stage, cast, first[cast.who], last[cast.who])
    acting = np.full(size(claims), -1)
    for who in cast.who.tolist():
        acting[near[who]] = who
    actor = stage.strikes(cast, acting, claims["admitted"])
    at = np.flatnonzero((actor >= 0) & (rng.random(len(actor)) < share[acting]))
    at = at[sent_once(claims, at)]
    actor = actor[at]
    own = rng.random(len(at)) > cast.stealth[actor]
    friend = np.array([_friend(claims["physician"][near[who]]) for who in cast.who.tolist()], np.int64)
    name = np.where(own, cast.who[actor], friend[actor])
    slip = np.where(~own & stage.hits(len(at), "slips"), cast.who[actor], -1)
    lent = np.unique(actor[~own])
    helpers = cast.led(friend[lent], lent, PHYSICIAN)
    renamed = _renamed(care, at, name, slip)
    return Deeds((cast, helpers), marks(claims["key"][at]), _whole_lines(care, at), care=renamed)


def _barred(stage: Stage) -> tuple[Array, Array]:
    """From when to when each physician may not work, within the period; `NEVER` and 0 where that is not so."""
    staff, city = stage.city.physicians, stage.city
    first = np.where(staff.suspended_from != NONE, staff.suspended_from, NEVER)
    last = np.where(staff.suspended_from != NONE, staff.suspended_to, 0)
    ended = (staff.licensed_to != NONE) & (first == NEVER)
    first = np.where(ended, staff.licensed_to + DAY, first)
    last = np.where(ended, np.minimum(staff.licensed_to + 200 * DAY, city.ends), last)
    return np.where(first < city.ends - 30 * DAY, first, NEVER), last


def _shared_rooms(stage: Stage, care: Care, first: Array, last: Array) -> dict[int, Array]:
    """For each barred physician, positions of the claims of colleagues of the department meanwhile, else house."""
    staff, claims = stage.city.physicians, care.claims
    out: dict[int, Array] = {}
    for who in np.flatnonzero((first != NEVER) & ~np.isin(staff.provider, stage.city.providers.innocents)).tolist():
        here = (claims["provider"] == staff.provider[who]) & (claims["physician"] >= 0) & (claims["physician"] != who)
        here &= (claims["admitted"] >= first[who]) & (claims["admitted"] < last[who])
        at = np.flatnonzero(here)
        room = at[staff.department[claims["physician"][at]] == staff.department[who]]
        out[who] = room if len(room) >= 5 else at
    return out


def _friend(colleagues: Array) -> int:
    """The colleague who is busiest anyway."""
    return int(np.bincount(colleagues).argmax())


def _renamed(care: Care, at: Array, name: Array, slip: Array) -> Care:
    """The care with other names on the claims at those positions; `slip` (-1: none) is on the lines."""
    physician = care.claims["physician"].copy()
    physician[at] = name
    lines, of = lines_at(care, at)
    renamed = with_changes(care.with_claims(physician=physician), lines, {"physician": slip[of]})
    operated = np.flatnonzero(of_claims(care.procedures, care.claims["key"][at]))
    surgeon = care.procedures["physician"].copy()
    surgeon[operated] = physician[np.searchsorted(care.claims["key"], care.procedures["claim"][operated])]
    return replace(renamed, procedures={**care.procedures, "physician": surgeon})


def _whole_lines(care: Care, at: Array) -> Rows:
    """Marks of all lines of the claims at the positions."""
    lines = take(care.lines, lines_at(care, at)[0])
    return {"line": lines["key"], "amount": lines["price"] * lines["quantity"]}


@scheme("T30", ease=0.9, bends=True)
def borrowed_settlement(stage: Stage, care: Care) -> Deeds:
    """A clinic or pharmacy that is suspended goes on serving its people, and a neighbour bills for it.

    Hides: with the neighbour's own terminal, and for part of the people.
    Leaves: a neighbour whose volume jumps when the other is suspended, with the other's people, and now and
    then a terminal that was seen at the other house.
    Resembles: people who honestly go to the next house while theirs is shut.
    """
    claims, houses = care.claims, stage.city.providers
    first = np.where(houses.suspended_from != NONE, houses.suspended_from, NEVER)
    able = np.isin(houses.tier, (CLINIC, PHARMACY)) & (first != NEVER)
    able[list(houses.innocents)] = False
    regulars = {int(h): _regulars(care, int(h), int(first[h])) for h in np.flatnonzero(able)}
    size_of = np.array([len(regulars.get(h, ())) for h in range(len(houses))])
    shut = stage.cast(size_of * (size_of >= 4.0), PROVIDER, stage.count())
    shut = _during(stage, shut, first[shut.who], houses.suspended_to[shut.who])
    hosts = _neighbour(stage, shut)
    shut, hosts = shut.only(hosts >= 0), hosts[hosts >= 0]
    cast = replace(shut, who=hosts)
    host_of, used = _guests(stage, care, shut, hosts, regulars)
    actor = stage.strikes(cast, host_of, claims["admitted"])
    at = np.flatnonzero((actor >= 0) & (claims["manual"] == 0) & (stage.rng.random(len(actor)) < used))
    at = at[sent_once(claims, at)]
    carried = stage.rng.random(len(at)) < stage.rates["terminal"] * (1 - cast.stealth[actor[at]])
    moved = _moved(stage, care, at, cast.who[actor[at]], np.where(carried, shut.who[actor[at]], cast.who[actor[at]]))
    served = cast.led(shut.who, np.arange(len(shut)), PROVIDER)
    return Deeds((cast, served), marks(claims["key"][at]), _whole_lines(moved, at), care=moved)


def _guests(stage: Stage, care: Care, shut: Cast, hosts: Array, regulars: dict[int, Array]) -> tuple[Array, Array]:
    """For each claim, the host that may bill for a suspended house (-1: none), and how much its people used that."""
    houses, claims = stage.city.providers, care.claims
    host_of, used = np.full(size(claims), -1), np.zeros(size(claims))
    for i, house in enumerate(shut.who.tolist()):
        theirs = np.isin(claims["patient"], regulars[house]) & (houses.tier[claims["provider"]] == houses.tier[house])
        before = theirs & (claims["admitted"] < shut.begins[i])
        theirs &= houses.open_at(np.full(size(claims), hosts[i]), claims["admitted"])
        host_of[theirs] = hosts[i]
        # As much as they did there: for some it was the only house, for others one of several.
        used[theirs] = (claims["provider"][before] == house).mean()
    return host_of, used


def _regulars(care: Care, house: int, until: int) -> Array:
    """People who went to the house in the months before."""
    claims = care.claims
    before = (claims["provider"] == house) & (claims["admitted"] < until)
    return np.unique(claims["patient"][before & (claims["admitted"] > until - 300 * DAY)])


def _neighbour(stage: Stage, shut: Cast) -> Array:
    """For each suspended house, the nearest one of its kind that is open for all of the time; -1 where none is."""
    houses, out = stage.city.providers, np.full(len(shut), -1)
    for i, house in enumerate(shut.who.tolist()):
        able = (houses.tier == houses.tier[house]) & (houses.suspended_from == NONE)
        able &= houses.opened * DAY < shut.begins[i]
        able[list(houses.innocents)] = False
        able[out[out >= 0]] = False
        away = np.hypot(*(houses.place - houses.place[house]).T) + np.where(able, 0, 1e6)
        if able.any():
            out[i] = np.argmin(away)
    return out


def _moved(stage: Stage, care: Care, at: Array, house: Array, desk: Array) -> Care:
    """The claims at those positions billed by other houses, at their prices, by their staff, from a desk."""
    city, claims = stage.city, {**care.claims}
    changed = {
        "provider": house,
        "physician": city.physicians.named(
            house, city.library.department_of[claims["disease"][at]], claims["admitted"][at], stage.rng
        ),
        "terminal": city.providers.terminal(desk, stage.rng),
    }
    for name, column in changed.items():
        claims[name] = claims[name].copy()
        claims[name][at] = column
    mine, _ = lines_at(care, at)
    again = priced(city, claims, take(care.lines, mine))
    moved = with_changes(care, mine, {"price": again["price"], "physician": np.full(len(mine), -1)})
    return replace(moved, claims=claims)


# --- T31 ------------------------------------------------------------------------------------------------


@scheme("T31", ease=1.0, bends=True)
def undone_examinations(stage: Stage, care: Care) -> Deeds:
    """A house adds tests and examinations to its bills that nobody ordered, did or reported.

    Hides: by an order and an entry that it was done; a report would have to be invented as well.
    Leaves: examinations without order, execution or report, more of them for each visit than at others.
    Resembles: a report that came late or was lost.
    """
    rng, claims = stage.rng, care.claims
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, weights=stage.volume * 1.0)
    hit, actor = struck(stage, cast, claims, np.isin(claims["kind"], (*OPEN_DOORS, INPATIENT)))
    hit, actor = hit[sent_once(claims, hit)], actor[sent_once(claims, hit)]
    each = between(rng, stage.rates["tests"], len(hit))
    at, actor = np.repeat(hit, each), np.repeat(actor, each)
    item, usual = np.zeros(len(at), np.int64), how_often(stage.city, care)
    for i in range(len(cast)):
        own, habits = np.flatnonzero(actor == i), _habitual(stage, usual, int(cast.who[i]))
        item[own] = habits[draw(rng, 1.0 / (1 + np.arange(len(habits))), len(own))]
    lines = lines_of(claim=claims["key"][at], item=item, quantity=np.ones(len(at)), at=np.zeros(len(at), np.int64))
    day = np.floor(rng.random(len(at)) * claims["nights"][at]).astype(np.int64)
    return _without_traces(stage, written(stage, care, cast, lines, day), cast)


def _habitual(stage: Stage, usual: Array, house: int) -> Array:
    """The tests that one house adds, the most usual first."""
    lib = stage.city.library
    fit = plain(lib) & lib.is_category("laboratory", "examination") & given_at(stage.city, house, "outpatient")
    fit &= ~lib.items["large_equipment"]
    weight = fit * np.sqrt(1.0 + usual)
    return np.asarray(stage.rng.choice(len(fit), stage.rates["habits"], replace=False, p=weight / weight.sum()))


def _without_traces(stage: Stage, deeds: Deeds, cast: Cast) -> Deeds:
    """The same deeds without a report; those who hide little have no order and no execution either."""
    care, rng = deeds.care, stage.rng
    assert care is not None
    false = np.flatnonzero(np.isin(care.lines["key"], deeds.lines["line"]))
    lines = take(care.lines, false)
    at = np.searchsorted(care.claims["key"], lines["claim"])
    hidden = cast.stealth[cast.acting(care.claims["provider"][at], care.claims["admitted"][at])]
    share = {"reported": 1.0 + hidden, "executed": 1.0 - 0.9 * hidden, "ordered": 0.6 - 0.5 * hidden}
    blank = {n: np.where(rng.random(len(false)) < share[n], NONE, lines[n]) for n in share}
    return replace(deeds, care=with_changes(care, false, blank | {"positive": np.full(len(false), -1)}))


# --- T34 ------------------------------------------------------------------------------------------------


@scheme("T34", ease=1.0)
def timed_therapy(stage: Stage, care: Care) -> Deeds:
    """A therapist bills one bundle of treatments for every client, on the same days: more than a working day.

    Hides: with fewer clients a day, and a treatment less for some.
    Leaves: days of therapy beyond eight hours, some beyond twenty-four, the same bundle for ten people a day,
    courses in which the same people come on the same days.
    Resembles: a busy rehabilitation ward with assistants.
    """
    city, lib, claims = stage.city, stage.city.library, care.claims
    therapy = take(care.lines, lib.is_category("therapy")[care.lines["item"]])
    who = claims["physician"][np.searchsorted(claims["key"], therapy["claim"])]
    often = np.bincount(who[who >= 0], minlength=len(city.physicians)) > 4
    visits = _practices(stage, care, CLINIC, PRIMARY, SECONDARY) * often
    cast = stage.cast(visits * 1.0, PHYSICIAN, stage.count())
    if len(cast) == 0:
        return nothing()
    sore = np.unique(claims["disease"][np.searchsorted(claims["key"], therapy["claim"])])
    planned = stack([_courses(stage, care, cast, i, sore) for i in range(len(cast))])
    usual = how_often(city, care)
    bundles = [_bundle(stage, usual, int(h), "therapy") for h in city.physicians.provider[cast.who]]
    billed = _billed(stage, care, planned, cast)
    # Nothing but the fee and the bundle: nobody looked at the people.
    fee = take(billed.lines, lib.is_category("other")[billed.lines["item"]])
    lines = stack([fee, _ordered(stage, care, billed, cast, bundles, 0.97)])
    return phantoms(replace(billed, lines=lines), cast)


def _courses(stage: Stage, care: Care, cast: Cast, i: int, sore: Array) -> Rows:
    """Courses of therapy of one physician: the same clients on the same few days, nearly all of them each day."""
    city, rng, rates = stage.city, stage.rng, stage.rates
    house = int(city.physicians.provider[cast.who[i]])
    most = max(3, round(rates["clients"] * (1.4 - 0.9 * cast.stealth[i])))
    length = between(rng, rates["sessions"], 1)[0]
    wanted = size(_own_visits(care, cast, i)) * cast.intensity[i]
    first = _at_work(stage, cast, i, max(1, round(wanted / most / length)))
    fit = sore[city.library.diseases["complexity"][sore] == 1]
    of, day, patient, disease = [], [], [], []
    for begin in first:
        group = np.unique(rng.choice(_clients(care, house), most))
        there = rng.random((length, len(group))) < 0.93
        session, who = np.nonzero(there)
        of.append(session * 0 + i)
        day.append(begin + 2 * session)
        patient.append(group[who])
        disease.append(fit[rng.integers(0, len(fit), len(group))][who])
    n = sum(len(p) for p in patient)
    return {
        "actor": np.concatenate(of),
        "patient": np.concatenate(patient),
        "provider": np.full(n, house),
        "disease": np.concatenate(disease),
        "admitted": np.concatenate(day) * DAY + clock(OUTPATIENT, n, rng),
        "physician": np.full(n, cast.who[i]),
    }
