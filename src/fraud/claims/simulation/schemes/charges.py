"""Schemes with the charges of care that was given: twice, in parts, too dear, or as something else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import INPATIENT, OUTPATIENT, VISIT_TYPES, Care, City
from fraud.claims.simulation.items import SUPPLY_DAYS, Library
from fraud.claims.simulation.orders import priced
from fraud.claims.simulation.providers import CLINIC, PHARMACY, PRIMARY, SECONDARY, TERTIARY, shelf_price
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, between, occurrence, size, spread, stack, take
from fraud.claims.simulation.schemes.bending import (
    bent_lines,
    copied,
    covered,
    given,
    indicated,
    lawful,
    lines_at,
    new_on_day,
    one_each,
    struck,
    timed_like,
    with_changes,
    with_lines,
)
from fraud.claims.simulation.schemes.stage import Cast, Deeds, Stage, nothing, phantoms, scheme
from fraud.claims.simulation.schemes.timing import sent_once

__all__ = ["analogised_items", "dear_prices", "duplicate_charges", "outside_scope", "second_bills"]
__all__ += ["second_operations", "unbundling"]

CLOSING = 18 * HOUR


@scheme("T07", verdict="improper_payment", ease=1.3, bends=True)
def duplicate_charges(stage: Stage, care: Care) -> Deeds:
    """A house enters an item twice, or bills a part beside the package that includes it.

    It hides among claims with many lines. It leaves an item twice on a day, or a pair that the list of
    exclusions forbids. It resembles a service that was honestly given in the morning and in the evening.
    """
    city, rng, lib = stage.city, stage.rng, stage.city.library
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, weights=stage.volume * 1.0)
    at, _ = struck(stage, cast, care.claims)
    where, of = lines_at(care, at)
    lines = take(care.lines, where)
    billable = lib.is_category("laboratory", "examination", "treatment", "therapy", "drug")[lines["item"]]
    twice = np.flatnonzero(billable)[one_each(of[billable], rng)]
    part = _included(lib, lines["item"], rng)
    parts = np.flatnonzero((part >= 0) & (rng.random(len(part)) < 0.4))
    parts = parts[one_each(of[parts], rng)]
    beside = priced(city, care.claims, take(lines, parts) | {"item": part[parts], "quantity": np.ones_like(parts)})
    beside = take(beside, new_on_day(care, where, beside))
    again = take(lines, twice[~np.isin(lines["claim"][twice], beside["claim"])])
    extra = stack([again, beside])
    begins = care.claims["admitted"][np.searchsorted(care.claims["key"], extra["claim"])] // DAY
    extra = given(city, care, care.claims, extra, extra["at"] // DAY - begins, rng)
    billed, extra = with_lines(care, extra)
    return bent_lines(billed, extra, extra["price"] * extra["quantity"], cast)


def _included(lib: Library, item: Array, rng: np.random.Generator) -> Array:
    """For each item that includes others, one of them at random; -1 for the others."""
    order = np.argsort(lib.exclusions["package"], kind="stable")
    package, part = lib.exclusions["package"][order], lib.exclusions["included"][order]
    first = np.searchsorted(package, item, side="left")
    count = np.searchsorted(package, item, side="right") - first
    chosen = first + np.floor(rng.random(len(item)) * count).astype(np.int64)
    return np.where(count > 0, part[np.minimum(chosen, len(part) - 1)], -1)


@scheme("T07", verdict="improper_payment", ease=1.1)
def second_bills(stage: Stage, care: Care) -> Deeds:
    """A house bills tests and treatments of a visit again, in a second claim of the same day.

    It hides in another claim: each of the two is in order on its own. It leaves the same item, price and
    quantity for one person at one house on one day. It resembles an upload that was honestly sent twice
    (which repeats the invoice as well), and a patient who comes again in the afternoon.
    """
    city, rng, lib, claims = stage.city, stage.rng, stage.city.library, care.claims
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, weights=stage.volume * 1.0)
    at, actor = struck(stage, cast, claims, claims["kind"] == OUTPATIENT)
    where, of = lines_at(care, at)
    done = lib.is_category("laboratory", "examination", "treatment", "therapy")[care.lines["item"][where]]
    begins = claims["settled"][at] + rng.integers(120, 3 * HOUR, len(at))
    may = np.isin(np.arange(len(at)), of[done]) & (begins // DAY == claims["admitted"][at] // DAY)
    may &= begins % DAY < CLOSING
    copies = copied(city, care, claims["key"][at[may]], begins[may], rng)
    lines = copies.lines
    again = lib.is_category("laboratory", "examination", "treatment", "therapy")[lines["item"]]
    # The bold bill all of it again, the careful one item.
    bold = stage.rng.random(size(lines)) > cast.stealth[actor[may]][lines["claim"] - care.next_key]
    first = np.isin(np.arange(size(lines)), np.flatnonzero(again)[one_each(lines["claim"][again], rng)])
    lines = take(lines, again & (first | bold))
    lines = given(city, care, copies.claims, lines, np.zeros(size(lines), np.int64), rng)
    return phantoms(replace(copies, lines=lines), cast)


@scheme("T09", verdict="improper_payment", ease=1.4, bends=True)
def dear_prices(stage: Stage, care: Care) -> Deeds:
    """A house charges more than the cap for part of its price list.

    It hides in the cheap items, where nobody looks. It leaves unit prices above the cap. It resembles a
    price list that is older than the catalogue.
    """
    city, rng, lib = stage.city, stage.rng, stage.city.library
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, PHARMACY, weights=stage.volume * 1.0)
    dear = rng.random((len(city.providers), len(lib.items["key"]))) < stage.rates["list_share"]
    at, actor = struck(stage, cast, care.claims)
    where, of = lines_at(care, at)
    lines = take(care.lines, where)
    hit = dear[care.claims["provider"][at[of]], lines["item"]] & (lines["price"] > 0)
    where, lines, shy = where[hit], take(lines, hit), cast.stealth[actor[of[hit]]]
    cap = np.round(lib.items["price_cap"][lines["item"]] * 100).astype(np.int64)
    low, high = stage.rates["mark_up"]
    asked = cap * rng.uniform(low, high - (high - low) * 0.5 * shy)
    price = np.maximum(shelf_price(asked, rng, up=True), cap + 10)
    return bent_lines(with_changes(care, where, {"price": price}), lines, (price - cap) * lines["quantity"], cast)


@scheme("T09", verdict="improper_payment", ease=0.9, bends=True)
def second_operations(stage: Stage, care: Care) -> Deeds:
    """A hospital charges the full price for a second operation through the same cut, of which a part is due.

    It hides in stays that are dear anyhow. It leaves two operations on one day, both at the price of the
    list, where other hospitals (and this one before) charge the second at a discount. It resembles two
    operations through two cuts.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    first = np.flatnonzero(city.library.is_category("surgery")[care.lines["item"]])
    at = np.searchsorted(claims["key"], care.lines["claim"][first])
    operated = np.bincount(claims["provider"][at], minlength=len(city.providers))
    cast = stage.providers(SECONDARY, TERTIARY, weights=operated * 1.0)
    if len(cast) == 0:
        return nothing(cast)
    acting = cast.acting(claims["provider"][at], claims["admitted"][at]) >= 0
    done = rng.random(len(first)) < np.where(acting, stage.rates["eager"], stage.rates["done"])
    done &= sent_once(claims, at)
    first, at = first[done], at[done]
    item = _second_operation(city, claims, at, care.lines["item"][first], rng)
    at, extra = at[item >= 0], take(care.lines, first[item >= 0]) | {"item": item[item >= 0]}
    extra = priced(city, claims, extra)
    extra = take(extra | {"of": at}, new_on_day(care, first, extra))
    at = extra.pop("of")
    day = extra["at"] // DAY - claims["admitted"][at] // DAY
    extra = given(city, care, claims, extra, day, rng)
    full = stage.strikes(cast, claims["provider"][at], claims["admitted"][at]) >= 0
    due = np.round(extra["price"] * stage.rates["due"]).astype(np.int64)
    billed, extra = with_lines(care, {**extra, "price": np.where(full, extra["price"], due)})
    billed = replace(billed, procedures=stack([care.procedures, _procedures(care, claims, at, extra)]))
    return bent_lines(billed, take(extra, full), (extra["price"] - due)[full], cast)


OBSTETRICS = "3314"  # chapter of item codes: nobody is delivered twice on a day


def _second_operation(city: City, claims: Rows, at: Array, item: Array, rng: np.random.Generator) -> Array:
    """A cheaper operation of the same chapter, not contained in the first; -1 where the patient can have none."""
    lib = city.library
    chapter = np.array([str(code)[:4] for code in lib.items["item_code"]])
    able = lib.is_category("surgery") & (lib.items["indications"] == "") & (chapter != OBSTETRICS)
    contained = np.zeros((len(able), len(able)), bool)
    contained[lib.exclusions["package"], lib.exclusions["included"]] = True
    out = np.full(len(item), -1)
    for first in np.unique(item).tolist():
        fits = able & (chapter == chapter[first]) & ~contained[first] & ~contained[:, first]
        pool = np.flatnonzero(fits & (lib.items["price_cap"] < lib.items["price_cap"][first]))
        own = np.flatnonzero(item == first)
        if len(pool):
            out[own] = pool[rng.integers(0, len(pool), len(own))]
    return np.where((out >= 0) & lawful(city, claims, at, out.clip(0)), out, -1)


def _procedures(care: Care, claims: Rows, at: Array, lines: Rows) -> Rows:
    """Procedures of the added operations, after those that the stay has."""
    known = np.bincount(care.procedures["claim"], minlength=care.next_key)
    rows = {"claim": lines["claim"], "item": lines["item"], "at": lines["at"], "physician": claims["physician"][at]}
    return rows | {"position": known[lines["claim"]] + 1 + occurrence(lines["claim"])}


@scheme("T08", verdict="improper_payment", ease=1.1, bends=True)
def unbundling(stage: Stage, care: Care) -> Deeds:
    """A house bills the parts of a package one by one, for more than the package costs.

    In a stay the tests of one day become single tests on two or three days. The careful leave parts out, so
    that the set is never complete. It leaves parts of one package together and hardly ever the package. It
    resembles a house that honestly needs two or three single tests.
    """
    city, rng, lib, claims = stage.city, stage.rng, stage.city.library, care.claims
    split = lib.exclusions["kind"] == "package_part"
    is_package = np.isin(np.arange(len(lib.items["key"])), lib.exclusions["package"][split])
    package = np.flatnonzero(is_package[care.lines["item"]])
    at = np.searchsorted(claims["key"], care.lines["claim"][package])
    able = np.bincount(claims["provider"][at], minlength=len(city.providers))
    cast = stage.providers(PRIMARY, SECONDARY, TERTIARY, weights=able * 1.0)
    actor = stage.strikes(cast, claims["provider"][at], claims["admitted"][at])
    hit = np.flatnonzero(actor >= 0)
    hit = hit[sent_once(claims, at[hit])]
    package, at, actor = package[hit], at[hit], actor[hit]
    owner, item = _parts_of(lib, care.lines["item"][package])
    parts = priced(city, claims, take(care.lines, package[owner]) | {"item": item})
    parts |= {"owner": owner}
    lines = lines_at(care, np.unique(at))[0]
    parts = take(parts, new_on_day(care, lines, parts))
    parts = take(parts, _not_included(lib, parts, take(care.lines, np.setdiff1d(lines, package))))
    left_in = rng.random(size(parts)) >= 0.4 * cast.stealth[actor[parts["owner"]]]
    parts = _over_days(stage, care, take(parts, left_in), package, at)
    parts = take(parts, (occurrence(parts.pop("copy")) == 0) | new_on_day(care, lines, parts))
    parts = take(parts, _not_included(lib, parts, take(care.lines, np.setdiff1d(lines, package))))
    whole = care.lines["price"][package]
    total = np.bincount(parts["owner"], parts["price"], minlength=len(package)).astype(np.int64)
    parts = take(parts, (total > whole)[parts["owner"]])
    owner = parts.pop("owner")
    gain = parts["price"] - _portions(parts["price"], owner, whole)
    parts |= given(city, care, claims, parts, parts["at"] // DAY - claims["admitted"][at[owner]] // DAY, rng)
    return _in_place(care, package[owner], parts, gain, cast)


def _over_days(stage: Stage, care: Care, parts: Rows, package: Array, at: Array) -> Rows:
    """The parts of packages on so many days of the stay that they pay; `copy` tells which came of one part."""
    claims, whole = care.claims, care.lines["price"][package]
    total = np.bincount(parts["owner"], parts["price"], minlength=len(package)).astype(np.int64)
    days = whole // np.maximum(total, 1) + 1
    day = care.lines["at"][package] // DAY - claims["admitted"][at] // DAY
    within = (claims["kind"][at] == INPATIENT) & (days <= stage.rates["days"]) & (day + days <= claims["nights"][at])
    parts = take(parts, ((total > 0) & ((days == 1) | within))[parts["owner"]])
    copy = np.repeat(np.arange(size(parts)), days[parts["owner"]])
    return take(parts, copy) | {"copy": copy, "at": parts["at"][copy] + occurrence(copy) * DAY}


def _parts_of(lib: Library, item: Array) -> tuple[Array, Array]:
    """For each package, its parts: the turn of the package, and the part."""
    split = lib.exclusions["kind"] == "package_part"
    order = np.argsort(lib.exclusions["package"][split], kind="stable")
    package, part = lib.exclusions["package"][split][order], lib.exclusions["included"][split][order]
    first = np.searchsorted(package, item, side="left")
    owner, which = spread(first, np.searchsorted(package, item, side="right") - first)
    return owner, part[which]


def _not_included(lib: Library, parts: Rows, others: Rows) -> Array:
    """Mask of the parts that no other part, nor another line of that day, includes: a panel, not its tests."""
    day, known = (rows["claim"] * 40_000 + rows["at"] // DAY for rows in (parts, others))
    keep = np.ones(size(parts), bool)
    for whole, included in zip(lib.exclusions["package"], lib.exclusions["included"], strict=True):
        mine = np.flatnonzero(parts["item"] == included)
        if len(mine):
            billed = np.concatenate([day[parts["item"] == whole], known[others["item"] == whole]])
            keep[mine] &= ~np.isin(day[mine], billed)
    return keep


def _portions(price: Array, owner: Array, whole: Array) -> Array:
    """The price of each package spread over its parts as they cost, to the cent; parts of one stand together."""
    passed = np.cumsum(price)
    before = np.concatenate([[0], passed[:-1]])
    start = before[np.searchsorted(owner, owner)]
    total = np.bincount(owner, price, minlength=len(whole)).astype(np.int64)[owner]
    return np.asarray((passed - start) * whole[owner] // total - (before - start) * whole[owner] // total)


def _in_place(care: Care, package: Array, parts: Rows, gain: Array, cast: Cast) -> Deeds:
    """The first part takes the place of its package, the others are added."""
    first = occurrence(package) == 0
    head = take(parts, first)
    own = {n: v for n, v in head.items() if n not in ("key", "claim", "quantity", "supply")}
    billed, extra = with_lines(with_changes(care, package[first], own), take(parts, ~first))
    lines = stack([head, extra])
    return bent_lines(billed, lines, np.concatenate([gain[first], gain[~first]]), cast)


@scheme("T11", verdict="confirmed_abuse", bends=True)
def analogised_items(stage: Stage, care: Care) -> Deeds:
    """A house bills cheap things of its own as a dearer item of the national list.

    The most careful give the dear item's own code to what they map to it, and map only what any patient may
    have. It leaves several local codes for one national item, much more of that item than elsewhere, and
    patients whom limits of sex, age or level rule out. It resembles a house that honestly specialises.
    """
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, weights=stage.volume * 1.0)
    at, actor = struck(stage, cast, care.claims)
    where, of = lines_at(care, at)
    item = care.lines["item"][where]
    target = np.full(len(where), -1)
    for i, house in enumerate(cast.who.tolist()):
        own = actor[of] == i
        cheap, dear = _mapping(stage, house, item[own], cast.stealth[i] > 0.5)
        target[own] = np.where(np.isin(item[own], cheap), dear, -1)
    hit = target >= 0
    where, of, lines = where[hit], of[hit], take(care.lines, where[hit])
    dear_lines = priced(stage.city, care.claims, lines | {"item": target[hit]})
    new = new_on_day(care, lines_at(care, at)[0], dear_lines) & (dear_lines["price"] > lines["price"])
    where, of, lines, dear_lines = where[new], of[new], take(lines, new), take(dear_lines, new)
    tidy = cast.stealth[actor[of]] > 0.7
    local = np.where(tidy, lines["local"], lines["item"])
    changes = {"item": dear_lines["item"], "price": dear_lines["price"], "local": local}
    billed = with_changes(care, where, changes)
    return bent_lines(billed, lines, (dear_lines["price"] - lines["price"]) * lines["quantity"], cast)


def _mapping(stage: Stage, house: int, item: Array, careful: bool) -> tuple[Array, int]:
    """The cheap items that a house bills as one dear item of the same category, and that item."""
    lib, rng, none = stage.city.library, stage.rng, (np.zeros(0, np.int64), -1)
    price, level = stage.city.providers.price[house], stage.city.providers.level[house]
    things = lib.is_category("treatment", "therapy", "examination", "laboratory") & ~lib.items["dialysis"]
    done = np.bincount(item, minlength=len(things)) * things
    if not done.any():
        return none
    lead = int(rng.choice(len(done), p=done / done.sum()))
    alike = lib.items["category"] == lib.items["category"][lead]
    low, high = stage.rates["dearer"]
    dear = things & alike & (lib.items["visit_type_limit"] == "") & (lib.items["indications"] == "")
    dear &= (price > low * price[lead]) & (price < high * price[lead])
    plain = (lib.items["sex_limit"] == "") & (lib.items["level"] <= level) & np.isnan(lib.items["age_min"])
    plain &= stage.city.providers.machines[house]
    if not (dear & (plain if careful else True)).any():
        return none
    target = int(rng.choice(np.flatnonzero(dear & (plain if careful else True))))
    others = np.flatnonzero((done > 0) & alike & (price * low < price[target]))
    count = min(int(between(rng, stage.rates["own_items"], 1)[0]), len(others))
    few = others[np.argsort(-done[others], kind="stable")][:count]
    return np.union1d(few, [lead]), target


@scheme("T19", verdict="improper_payment", bends=True)
def outside_scope(stage: Stage, care: Care) -> Deeds:
    """A house gives restricted drugs to patients for whom they are not paid, and bills them all the same.

    The careful add a diagnosis that opens the restriction and keep to level, sex and age; the others do not
    care. It leaves drugs without their indication, or a diagnosis that the patient had neither before nor
    afterwards. It resembles a diagnosis that was honestly forgotten.
    """
    city, claims = stage.city, care.claims
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, TERTIARY, weights=stage.volume * 1.0)
    at, actor = struck(stage, cast, claims)
    where, of = lines_at(care, at)
    drug = city.library.is_category("drug")[care.lines["item"][where]]
    where, of = where[drug], of[drug]
    # The drug that it comes with says on which days it is given.
    host = one_each(of, stage.rng)
    like = np.full(len(at), -1)
    like[of[host]] = care.lines["item"][where[host]]
    course = like[of] == care.lines["item"][where]
    where, of = where[course], of[course]
    item = _favourites(stage, cast, care, at, actor)
    code = _opening(stage, care, at, item)
    shy = (cast.stealth > 0.5)[actor]
    paid_for, fits = indicated(city, care, at, item.clip(0)), lawful(city, claims, at, item.clip(0))
    false = (item >= 0) & ~(paid_for & fits) & np.where(shy, fits & (code >= 0), True)
    where, of = where[false[of]], of[false[of]]
    extra = _dispensed(stage, care, take(care.lines, where) | {"item": item[of]}, claims["kind"][at[of]])
    new = new_on_day(care, lines_at(care, at)[0], extra)
    extra, of = take(extra, new), of[new]
    billed, extra = with_lines(care, timed_like(city, care, extra, stage.rng))
    written = np.unique(of[shy[of]])
    billed = replace(billed, diagnoses=stack([care.diagnoses, _added(care, claims["key"][at[written]], code[written])]))
    return bent_lines(billed, extra, extra["price"] * extra["quantity"], cast)


def _favourites(stage: Stage, cast: Cast, care: Care, at: Array, actor: Array) -> Array:
    """For each claim one of the few restricted drugs that the house likes to give; -1 where none is at hand."""
    lib, claims = stage.city.library, care.claims
    kind = np.array(VISIT_TYPES, dtype=object)
    limited = lib.is_category("drug") & ((lib.items["indications"] != "") | (lib.items["sex_limit"] != ""))
    item = np.full(len(at), -1)
    for i in range(len(cast)):
        for ward in (False, True):
            own = np.flatnonzero((actor == i) & ((claims["kind"][at] == INPATIENT) == ward))
            able = limited & (lib.is_injection == ward) & (lib.items["price_cap"] < 600)
            able &= np.isin(lib.items["visit_type_limit"], ["", kind[INPATIENT] if ward else kind[OUTPATIENT]])
            level = stage.city.providers.level[cast.who[i]]
            able &= (lib.items["level"] <= level) | (cast.stealth[i] <= 0.5)
            pool = np.flatnonzero(able)
            pool = stage.rng.permutation(pool)[: stage.rates["favourites"]]
            if len(pool):
                item[own] = pool[stage.rng.integers(0, len(pool), len(own))]
    return item


def _opening(stage: Stage, care: Care, at: Array, item: Array) -> Array:
    """For each claim a disease that the drug is paid for and the patient may have; -1 where there is none."""
    city, claims = stage.city, care.claims
    code = np.full(len(at), -1)
    for drug in np.unique(item[item >= 0]).tolist():
        if city.library.items["indications"][drug] == "":
            continue
        n_diseases = len(city.library.diseases["code"])
        pool = np.flatnonzero(covered(city.library, np.array([drug]))[0][:n_diseases])
        own = np.flatnonzero(item == drug)
        if len(pool):
            code[own] = pool[stage.rng.integers(0, len(pool), len(own))]
    fits = city.people.fits(claims["patient"][at], code.clip(0), city.library, claims["admitted"][at])
    return np.where((code >= 0) & fits, code, -1)


def _dispensed(stage: Stage, care: Care, lines: Rows, kind: Array) -> Rows:
    """The lines of drugs with as many units as are usual, at the house's price: boxes for a month, vials for a day."""
    lib, item, rng = stage.city.library, lines["item"], stage.rng
    unit = np.nan_to_num(lib.items[SUPPLY_DAYS], nan=1).clip(1)[item].astype(np.int64)
    most = np.nan_to_num(lib.items["max_days_supply"], nan=28).astype(np.int64)[item]
    boxes = np.maximum(np.minimum(28, most) // unit, 1)
    quantity = np.where(kind == INPATIENT, rng.integers(1, 3, len(item)), boxes)
    quantity = np.where(lib.is_injection[item] & (kind != INPATIENT), 1, quantity)
    return priced(stage.city, care.claims, lines | {"quantity": quantity, "supply": quantity * unit})


def _added(care: Care, keys: Array, code: Array) -> Rows:
    """Diagnoses that are written below those of each claim."""
    last = np.bincount(care.diagnoses["claim"], minlength=care.next_key)
    stay = care.claims["kind"][np.searchsorted(care.claims["key"], keys)] == INPATIENT
    return {"claim": keys, "position": last[keys] + 1, "code": code, "present": np.where(stay, 1, -1)}
