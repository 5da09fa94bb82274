"""Schemes with papers: a bill paid twice, forged bills, a payer who is kept out of sight, help for those not poor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import EMERGENCY, INPATIENT, OUTPATIENT, Care, City, clock, without_overlaps
from fraud.claims.simulation.operators import office_time
from fraud.claims.simulation.people import MALE
from fraud.claims.simulation.providers import PRIMARY, SECONDARY, TERTIARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, between, draw, occurrence, pick, size, stack, take
from fraud.claims.simulation.schemes.bending import bent_lines, copied, given
from fraud.claims.simulation.schemes.stage import PATIENT, Cast, Deeds, Stage, marks, nothing, phantoms, scheme
from fraud.claims.simulation.schemes.timing import in_hospital, sent_once, sent_twice
from fraud.claims.simulation.schemes.visits import possible
from fraud.claims.simulation.seasons import is_holiday
from fraud.claims.simulation.stays import with_end

__all__ = ["assistance_misuse", "duplicate_benefits", "forged_papers", "hidden_third_party"]

YUAN = 100


def _by_hand(city: City, begins: Array, at: Array, region: Array, rng: np.random.Generator) -> Rows:
    """What a claim has that is handed in at an office of the region some day, and paid by hand."""
    settled = office_time(at, is_holiday, rng)
    return {
        "wait": settled - begins,
        "manual": np.ones(len(at), np.int64),
        "terminal": np.full(len(at), -1),
        "operator": city.operators.on_duty(region, settled, rng),
    }


# --- the same bill twice ---------------------------------------------------------------------------------


@scheme("T21", ease=1.2, bends=True)
def duplicate_benefits(stage: Stage, care: Care) -> Deeds:
    """A patient has a bill settled at the desk, and hands the same bill in again to be paid by hand.

    Some go to the office of another region with it; the careful have the invoice of a visit written anew.
    It leaves one invoice, or one stay, in both channels. It resembles a claim that a house sent twice by
    mistake, which comes through the same channel within days.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    total = np.bincount(care.lines["claim"], care.lines["price"] * care.lines["quantity"], minlength=care.next_key)
    dear = (total[claims["key"]] >= stage.rates["from_yuan"] * YUAN) & (claims["manual"] == 0)
    dear &= np.isin(claims["kind"], (OUTPATIENT, EMERGENCY, INPATIENT)) & ~sent_twice(claims)
    bills = take(claims, dear)
    known = np.bincount(bills["patient"], minlength=len(city.people))
    cast = stage.cast(np.where(known >= 2, known, 0.0), PATIENT, stage.count())
    actor = stage.strikes(cast, bills["patient"], bills["admitted"])
    bills, actor = take(bills, actor >= 0), actor[actor >= 0]
    n, house = size(bills), city.providers.region[bills["provider"]]
    other = (house + rng.integers(1, 3, n)) % len(city.rates["people"]["regions"])
    office = np.where(stage.hits(n, "other_office"), other, house)
    later = bills["settled"] + between(rng, stage.rates["days_later"], n) * DAY
    anew = (cast.stealth[actor] > 0.6) & (bills["kind"] != INPATIENT)
    invoice = np.where(anew, rng.integers(10**11, 10**12, n), bills["invoice"])
    paper = _by_hand(city, bills["admitted"], later, office, rng)
    copies = copied(city, care, bills["key"], bills["admitted"], rng, invoice=invoice, **paper)
    # As it was billed, whatever else is false in it: that is why this comes after other schemes.
    billed = care.joined(copies.kept(copies.claims["key"][copies.claims["settled"] < city.ends]))
    again = take(billed.lines, billed.lines["key"] >= care.next_line)
    return bent_lines(billed, again, again["price"] * again["quantity"], cast)


# --- bills of care that never was ------------------------------------------------------------------------


@scheme("T22", ease=0.9)
def forged_papers(stage: Stage, care: Care) -> Deeds:
    """A helper forges bills of a far hospital, with a digit added to prices, and has families hand them in.

    The papers are copies of real bills of that hospital. The blatant add the digit to the dearest items, and
    have all money paid to one account. It leaves dear claims by hand from another region, prices ten times
    the usual, and a few households with the same hospital. It resembles a family with an honest far illness.
    """
    city, claims = stage.city, care.claims
    stays = take(claims, (claims["kind"] == INPATIENT) & (claims["status"] == 0) & ~sent_twice(claims))
    everyone = np.arange(len(city.people))
    age = city.people.age(everyone, np.full(len(everyone), city.begins))
    cast = stage.cast(((age > 25) & (age < 65)) * 1.0, PATIENT, stage.count())
    trips = [_handed_in(stage, stays, cast, i) for i in range(len(cast))]
    if not trips or size(stack(trips)) == 0:
        return nothing(cast)
    bills = _written(stage, care, stack(trips), cast)
    members = np.setdiff1d(bills.claims["patient"], cast.who)
    first = {int(p): int(a) for p, a in zip(stack(trips)["patient"][::-1], stack(trips)["actor"][::-1], strict=True)}
    leader = np.array([first[int(p)] for p in members], np.int64)
    return phantoms(bills, cast, cast.led(members, leader, PATIENT))


def _handed_in(stage: Stage, stays: Rows, cast: Cast, actor: int) -> Rows:
    """For one helper: which stays of the far hospital are copied, for which member of the families, and when."""
    city, rng, rates = stage.city, stage.rng, stage.rates
    people, helper = city.people, int(cast.who[actor])
    far = (city.providers.region != people.insured_region[helper]) & (city.providers.tier <= SECONDARY)
    far &= np.bincount(stays["provider"], minlength=len(far)) > 10
    near = np.flatnonzero(people.insured_region == people.insured_region[helper])
    homes = rng.choice(np.unique(people.household[near]), between(rng, rates["households"], 1)[0], replace=False)
    members = np.append(near[np.isin(people.household[near], homes)], helper)
    n = int((cast.ends[actor] - cast.begins[actor]) / stage.every)
    begins = cast.begins[actor] + ((np.arange(n) + rng.random(n)) * stage.every).astype(np.int64)
    chance = cast.intensity[actor] * cast.level(np.full(n, actor), begins)
    begins = begins[(rng.random(n) < chance) & far.any()]
    house = rng.choice(np.flatnonzero(far)) if far.any() else -1
    own = np.flatnonzero(stays["provider"] == house)
    # A stay for each time, and the first of some members whom it fits.
    template = own[rng.integers(0, max(len(own), 1), len(begins))] if len(own) else own
    who = members[rng.integers(0, len(members), (12, len(template)))]
    disease = np.broadcast_to(stays["disease"][template], who.shape)
    fits = people.fits(who.ravel(), disease.ravel(), city.library, np.tile(begins, 12)).reshape(who.shape)
    chosen = who[np.argmax(fits, axis=0), np.arange(len(template))]
    found = fits.any(axis=0)
    return {
        "template": stays["key"][template][found], "patient": chosen[found], "day": begins[found] // DAY,
        "actor": np.full(found.sum(), actor),
    }  # fmt: skip


def _written(stage: Stage, care: Care, trips: Rows, cast: Cast) -> Care:
    """The forged bills."""
    city, rng, actor, n = stage.city, stage.rng, trips["actor"], size(trips)
    begins = trips["day"] * DAY + clock(INPATIENT, n, rng)
    nights = care.claims["nights"][np.searchsorted(care.claims["key"], trips["template"])]
    later = begins + (nights + between(rng, stage.rates["days_later"], n)) * DAY
    paper = _by_hand(city, begins, later, city.people.insured_region[trips["patient"]], rng)
    purse = len(city.providers) + city.people.household[cast.who[actor]]
    account = np.where(rng.random(n) > cast.stealth[actor], purse, -1)
    copies = _as_if(city, care, trips | {"admitted": begins}, rng, account=account, **paper)
    bills = _believable(city, care, copies.kept(copies.claims["key"][without_overlaps(copies.claims)]))
    shy = cast.stealth[actor[bills.lines["claim"] - care.next_key]]
    return replace(bills, lines=_with_digits(stage, bills.lines, shy))


def _with_digits(stage: Stage, lines: Rows, shy: Array) -> Rows:
    """The lines with a digit before the price of some of each bill: of the dearest, or of what is not so dear."""
    rng = stage.rng
    low, high = stage.rates["from_to_yuan"]
    may = (lines["quantity"] == 1) & (lines["price"] >= low * YUAN) & (lines["price"] < high * YUAN)
    rank = np.where(may, lines["price"] * (1 - 0.9 * shy * rng.random(len(shy))), -1.0)
    order = np.lexsort((-rank, lines["claim"]))
    place = np.empty(len(order), np.int64)
    place[order] = occurrence(lines["claim"][order])
    count = between(rng, stage.rates["lines"], int(lines["claim"].max(initial=0)) + 1)[lines["claim"]]
    digits = np.floor(np.log10(np.maximum(lines["price"] // YUAN, 1))).astype(np.int64) + 1
    more = rng.integers(1, 7, len(rank)) * 10**digits * YUAN
    return {**lines, "price": lines["price"] + np.where(may & (place < count), more, 0)}


# --- copies for others -----------------------------------------------------------------------------------


def _as_if(city: City, care: Care, trips: Rows, rng: np.random.Generator, **changes: Array) -> Care:
    """Copies of claims (`template`) for other people (`patient`) at another time, all their times drawn anew."""
    claims, begins = take(care.claims, np.searchsorted(care.claims["key"], trips["template"])), trips["admitted"]
    stay = claims["kind"] == INPATIENT
    end = with_end({"admitted": begins, "nights": claims["nights"]}, rng)["discharged"]
    end = np.where(stay, end, begins)
    usual = np.maximum(claims["settled"] - claims["discharged"] + rng.integers(-200, 200, len(end)), 480)
    settled = {"wait": end - begins + np.where(claims["manual"] == 1, rng.integers(600, 5400, len(end)), usual)}
    copies = copied(city, care, trips["template"], begins, rng, **settled | changes, patient=trips["patient"])
    # On which day of the stay each line lies, whatever the time of day at which this one begins.
    turn = copies.lines["claim"] - care.next_key
    was = copies.lines["at"] - begins[turn] + claims["admitted"][turn]
    lines = given(city, care, copies.claims, copies.lines, was // DAY - claims["admitted"][turn] // DAY, rng)
    return Care({**copies.claims, "discharged": end}, lines, copies.diagnoses, _operated(copies.procedures, lines))


def _operated(procedures: Rows, lines: Rows) -> Rows:
    """The procedures at the times of their lines."""
    number = lines["claim"] * 100_000 + lines["item"]
    order = np.argsort(number, kind="stable")
    wanted = procedures["claim"] * 100_000 + procedures["item"]
    at = np.searchsorted(number[order], wanted)
    return {**procedures, "at": lines["at"][order][np.minimum(at, max(len(order) - 1, 0))]}


def _believable(city: City, care: Care, copies: Care) -> Care:
    """The copies that can be, of people who do not lie in another bed at the time."""
    copies = possible(city, copies)
    claims = copies.claims
    until = np.maximum(claims["discharged"], claims["admitted"] + HOUR)
    lies = in_hospital(care, claims["patient"], claims["admitted"] - DAY, until + DAY)
    served = (claims["kind"] == INPATIENT) | city.providers.open_at(claims["provider"], claims["admitted"])
    return copies.kept(claims["key"][served & ~lies])


# --- somebody else should pay ----------------------------------------------------------------------------


@scheme("T20", ease=0.8)
def hidden_third_party(stage: Stage, care: Care) -> Deeds:
    """A hospital bills the fund for injuries of traffic and work, for which somebody else has to pay.

    The cause of the injury is left out; the careful write an illness of the bones instead of an injury. It
    leaves plaster, sutures and fixations without an external cause, for people of working age, at working
    and rush hours. It resembles an honest fall whose cause nobody wrote down.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    chapter = np.array([str(c)[0] for c in city.library.diseases["code"]])
    kinds = np.isin(claims["kind"], (OUTPATIENT, EMERGENCY, INPATIENT)) & ~sent_twice(claims)
    injured = np.flatnonzero(np.isin(chapter, ("S", "T"))[claims["disease"]] & kinds)
    seen = np.bincount(claims["provider"][injured], minlength=len(city.providers))
    cast = stage.providers(PRIMARY, SECONDARY, TERTIARY, weights=seen * 1.0)
    actor = cast.acting(claims["provider"][injured], claims["admitted"][injured])
    wanted = np.ceil(np.bincount(actor[actor >= 0], minlength=len(cast)) * cast.intensity + 2 * stage.scale)
    who = np.repeat(np.arange(len(cast)), wanted.astype(np.int64) * 2)
    trips = _accidents(stage, take(claims, injured), cast, who)
    at = np.searchsorted(claims["key"], trips["template"])
    house, department = claims["provider"][at], city.library.department_of[claims["disease"][at]]
    physician = city.physicians.named(house, department, trips["admitted"], rng)
    copies = _as_if(city, care, trips, rng, physician=physician)
    hidden = rng.random(size(trips)) < cast.stealth[trips["actor"]]
    copies = _as_illness(stage, copies, hidden)
    return phantoms(_believable(city, care, copies.kept(copies.claims["key"][without_overlaps(copies.claims)])), cast)


def _accidents(stage: Stage, injuries: Rows, cast: Cast, actor: Array) -> Rows:
    """Who is hurt on the road or at work, when, and which injury of the house it is like."""
    city, rng, n = stage.city, stage.rng, len(actor)
    order = np.argsort(injuries["provider"], kind="stable")
    own = order[pick(rng, injuries["provider"][order], cast.who[actor])]
    day = (cast.begins[actor] + (rng.random(n) * (cast.ends - cast.begins)[actor]).astype(np.int64)) // DAY
    work, morning = stage.hits(n, "at_work"), rng.random(n) < 0.5
    day = np.where(work & ((day + 3) % 7 >= 5), day - 2, day)  # people work on weekdays
    rush = np.where(morning, rng.uniform(7.5, 10, n), rng.uniform(17, 21.5, n))
    hour = (np.where(work, rng.uniform(9, 19, n), rush) * HOUR).astype(np.int64)
    kind = injuries["kind"][own]
    for planned in (OUTPATIENT, INPATIENT):
        hour = np.where(kind == planned, clock(planned, n, rng), hour)
    begins = day * DAY + hour
    trips = {"template": injuries["key"][own], "admitted": begins, "actor": actor}
    trips["patient"] = _at_work(stage, city.providers.region[cast.who[actor]])
    fits = city.people.fits(trips["patient"], injuries["disease"][own], city.library, begins)
    return take(trips, fits & stage.goes_on(cast, actor, begins))


def _at_work(stage: Stage, region: Array) -> Array:
    """Somebody of working age of each region, rather a man."""
    people, out = stage.city.people, np.zeros(len(region), np.int64)
    everyone = np.arange(len(people))
    age = people.age(everyone, np.full(len(everyone), stage.city.begins))
    able = ((age >= 19) & (age < 58)) * np.where(people.sex == MALE, 3.0, 1.0)
    for r in np.unique(region).tolist():
        own = region == r
        out[own] = draw(stage.rng, able * (people.region == r), int(own.sum()))
    return out


def _as_illness(stage: Stage, copies: Care, hidden: Array) -> Care:
    """The claims without what caused the injury, and where it is hidden with an illness of the bones in its place."""
    lib, claims = stage.city.library, copies.claims
    illness = np.flatnonzero([str(c).startswith("M") for c in lib.diseases["code"]])
    other = illness[stage.rng.integers(0, len(illness), size(claims))]
    fits = stage.city.people.fits(claims["patient"], other, lib, claims["admitted"])
    disease = np.where(hidden & fits, other, claims["disease"])
    written = take(
        copies.diagnoses, copies.diagnoses["code"] < len(lib.diseases["code"]) + len(lib.complications["code"])
    )
    turn = written["claim"] - claims["key"][0] if size(claims) else written["claim"]
    code = np.where(written["position"] == 1, disease[turn], written["code"])
    return replace(copies, claims={**claims, "disease": disease}, diagnoses={**written, "code": code})


# --- help for those who are not poor ---------------------------------------------------------------------


@scheme("T36", ease=0.8, bends=True)
def assistance_misuse(stage: Stage, care: Care) -> Deeds:
    """A person uses medical assistance that has run out, or gets it on another's papers without being poor.

    It hides in the payer's own rates: the bill itself is right. It leaves bills without a deductible, and with
    a higher share of the fund, on days for which the register knows of no assistance. It resembles a register
    that honestly lags behind.
    """
    from fraud.claims.simulation.tables import billed  # here, for that module knows of all schemes

    city, claims = stage.city, care.claims
    outside = ~city.people.assisted(claims["patient"], claims["admitted"]) & (claims["assisted"] < 0)
    able = np.bincount(claims["patient"][outside], minlength=len(city.people)) >= 3
    had = city.people.assistance > 0
    lapsed, others = able & had, able & ~had
    share = stage.rates["lapsed"]
    weight = share * lapsed / max(lapsed.sum(), 1) + (1 - share) * others / max(others.sum(), 1)
    cast = stage.cast(weight, PATIENT, stage.count())
    at = np.flatnonzero(outside & np.isin(claims["patient"], cast.who))
    at = at[sent_once(claims, at)]
    at = at[stage.strikes(cast, claims["patient"][at], claims["admitted"][at]) >= 0]
    assisted = claims["assisted"].copy()
    assisted[at] = 1
    bent = care.with_claims(assisted=assisted)
    keys = claims["key"][at]
    more = billed(city, bent.kept(keys))["fund"] - billed(city, care.kept(keys))["fund"]
    return Deeds((cast,), marks(keys[more > 0], more[more > 0]), care=bent)
