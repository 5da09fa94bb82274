"""Schemes with drugs: another one than billed, too much, twice over, for people who are not ill, sold on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import CHRONIC, PHARMACY_VISIT, Care, City, clock
from fraud.claims.simulation.items import SUPPLY_DAYS, Library
from fraud.claims.simulation.orders import priced
from fraud.claims.simulation.providers import CLINIC, PHARMACY, PRIMARY, SECONDARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, between, occurrence, pick, size, spread, stack, take
from fraud.claims.simulation.schemes.bending import (
    bent_lines,
    copied,
    given,
    indicated,
    last_before,
    lawful,
    lines_at,
    new_on_day,
    one_each,
    struck,
    timed_like,
    with_changes,
)
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
    with_line_keys,
)
from fraud.claims.simulation.schemes.timing import in_hospital, sent_once
from fraud.claims.simulation.schemes.visits import possible

__all__ = ["chronic_entitlement", "drug_hoarding", "duplicate_therapy", "early_refills", "over_quantity"]
__all__ += ["resold_boxes", "substitution"]

LASTING = 14  # days of supply from which a drug is one for a chronic condition
BOXES = 10**14  # numbers of boxes lie below


# --- what the schemes share ------------------------------------------------------------------------------


def _boxed(lib: Library) -> Array:
    """For each item, whether it is a drug that is handed out in boxes."""
    return np.asarray(lib.is_category("drug") & ~lib.is_injection)


def _units(lib: Library, item: Array) -> Array:
    """Days that one unit of each item lasts."""
    return np.asarray(np.nan_to_num(lib.items[SUPPLY_DAYS], nan=1).clip(1)[item].astype(np.int64))


def _refills(city: City, care: Care) -> tuple[Array, Array]:
    """Positions of the lines of drugs for chronic conditions that people fetched, and of their claims."""
    lines, claims = care.lines, care.claims
    place = np.full(care.next_key, -1)
    place[claims["key"]] = np.arange(size(claims))
    where = np.flatnonzero(_boxed(city.library)[lines["item"]] & (lines["supply"] >= LASTING))
    at = place[lines["claim"][where]]
    fetched = np.isin(claims["kind"][at], (CHRONIC, PHARMACY_VISIT))
    return where[fetched], at[fetched]


def _refilled(city: City, care: Care) -> Array:
    """Lines of drugs for chronic conditions that each house handed out."""
    return np.bincount(care.claims["provider"][_refills(city, care)[1]], minlength=len(city.providers)) * 1.0


def _fetched(city: City, care: Care, trips: Rows, rng: np.random.Generator) -> Care:
    """Purchases of the boxed drugs of a claim (`template`) by its patient, at a pharmacy (`provider`)."""
    n = size(trips)
    counter = {"kind": np.full(n, PHARMACY_VISIT), "physician": np.full(n, -1), "registered": np.full(n, -1)}
    counter |= {"provider": trips["provider"], "wait": rng.integers(60, 600, n)}
    copies = copied(city, care, trips["template"], trips["admitted"], rng, **counter)
    return replace(copies, lines=take(copies.lines, _boxed(city.library)[copies.lines["item"]]))


def _sold(city: City, care: Care, copies: Care, rng: np.random.Generator) -> Care:
    """Purchases with prices and times of their own; those of nothing, or that cannot be, drop out."""
    lines = given(city, care, copies.claims, copies.lines, np.zeros(size(copies.lines), np.int64), rng)
    copies = possible(city, replace(copies, lines=lines))
    claims = take(copies.claims, np.isin(copies.claims["key"], copies.lines["claim"]))
    may = city.providers.open_at(claims["provider"], claims["admitted"])
    may &= ~in_hospital(care, claims["patient"], claims["admitted"], claims["settled"])
    return copies.kept(claims["key"][may])


# --- another drug than billed ----------------------------------------------------------------------------


@scheme("T12", ease=0.8, bends=True)
def substitution(stage: Stage, care: Care) -> Deeds:
    """A pharmacy or clinic hands out something cheap and bills a dearer drug, which the fund pays.

    The careful book the dear drug as handed out, and scan the code of a box that was sold before. It leaves
    a drug dispensed that is not the one billed, or one box that was sold twice. It resembles a drug that
    honestly changed its code.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    cast = stage.providers(PHARMACY, CLINIC, weights=stage.volume * 1.0)
    at, actor = struck(stage, cast, claims)
    where, of = lines_at(care, at)
    boxed = _boxed(city.library)[care.lines["item"][where]]
    where, of = where[boxed], of[boxed]
    one = one_each(of, rng)
    where, of = where[one], of[one]
    lines, item = take(care.lines, where), _shelved(stage, cast, actor[of])
    one_box = {"item": item, "quantity": np.ones_like(item), "supply": _units(city.library, item)}
    billed = priced(city, claims, lines | one_box)
    gain = billed["price"] - lines["price"] * lines["quantity"]
    may = (gain > 0) & lawful(city, claims, at[of], item) & new_on_day(care, lines_at(care, at)[0], billed)
    where, of, billed, given = where[may], of[may], take(billed, may), lines["item"][may]
    hidden = rng.random(len(of)) < cast.stealth[actor[of]]
    care, box = _worn_boxes(stage, care, cast, take(billed, hidden), claims["provider"][at[of[hidden]]])
    trace = billed["trace"].copy()
    trace[hidden] = box
    billed |= {"trace": trace, "dispensed": np.where(hidden, -1, given)}
    columns = {n: billed[n] for n in ("item", "quantity", "supply", "price", "dispensed", "trace")}
    return bent_lines(with_changes(care, where, columns), billed, gain[may], cast)


def _shelved(stage: Stage, cast: Cast, actor: Array) -> Array:
    """For each sale one of the few dear drugs that the actor bills: such as anybody may have."""
    items, rng = stage.city.library.items, stage.rng
    free = _boxed(stage.city.library) & (items["indications"] == "") & (items["class"] != "C")
    free &= (items["sex_limit"] == "") & (items["level"] <= 1)
    free &= items["price_cap"] <= stage.rates["dearest"]
    free &= items["price_cap"] >= np.quantile(items["price_cap"][free], 0.8)
    width = int(between(rng, stage.rates["shelf"], 1)[0])
    shelves = rng.choice(np.flatnonzero(free), (len(cast), width))
    return np.asarray(shelves[actor, rng.integers(0, width, len(actor))])


def _worn_boxes(stage: Stage, care: Care, cast: Cast, sales: Rows, house: Array) -> tuple[Care, Array]:
    """The care with the codes of boxes honestly sold, and for each false sale the code of the box scanned again."""
    rng, items = stage.rng, len(stage.city.library.items["key"])
    key = house * items + sales["item"]
    order = np.lexsort((sales["at"], key))
    turn = np.empty(len(order), np.int64)
    turn[order] = occurrence(key[order]) // between(rng, stage.rates["uses"], 1)[0]
    _, first, box = np.unique(key * 10_000 + turn, return_index=True, return_inverse=True)
    at = np.flatnonzero(np.isin(care.claims["provider"], cast.who))
    own, of = lines_at(care, at)
    sold = care.claims["provider"][at[of]] * items + care.lines["item"][own]
    # The box of the last honest sale was left at the counter.
    left = last_before(sold, care.lines["at"][own], key[first], sales["at"][first])
    return _scanned(care, own[left.clip(0)] if len(own) else left, left >= 0, box, rng)


def _scanned(care: Care, sale: Array, known: Array, box: Array, rng: np.random.Generator) -> tuple[Care, Array]:
    """The care with a code on the earlier sale of each box, where one is known, and the code for each later sale."""
    number = rng.integers(0, BOXES, len(sale))
    had = care.lines["trace"][sale[known]]
    number[known] = np.where(had >= 0, had, number[known])
    # Two boxes may come from one sale: the code that is written last is the code of both.
    care = with_changes(care, sale[known], {"trace": number[known]})
    number[known] = care.lines["trace"][sale[known]]
    return care, number[box]


# --- too much --------------------------------------------------------------------------------------------


@scheme("T13", verdict="confirmed_abuse", ease=1.2, bends=True)
def over_quantity(stage: Stage, care: Care) -> Deeds:
    """A house hands out more weeks of a drug than the policy allows, or the most of it at every visit.

    The careful never pass the limit of one prescription: they give the longest one to people who come every
    four weeks. It leaves days of supply above the limit, or far more days than have gone by. It resembles an
    honest long prescription before a journey.
    """
    city, rng, lib = stage.city, stage.rng, stage.city.library
    cast = stage.providers(PRIMARY, SECONDARY, PHARMACY, weights=_refilled(city, care))
    at, actor = struck(stage, cast, care.claims, np.isin(care.claims["kind"], (CHRONIC, PHARMACY_VISIT)))
    where, of = lines_at(care, at)
    lasting = _boxed(lib)[care.lines["item"][where]] & (care.lines["supply"][where] >= LASTING)
    where, of = where[lasting], of[lasting]
    lines, unit = take(care.lines, where), _units(lib, care.lines["item"][where])
    most = np.nan_to_num(lib.items["max_days_supply"], nan=84)[lines["item"]]
    least, top = stage.rates["beyond"]
    beyond = np.ceil(most * rng.uniform(least, top, len(of)) / unit)
    careful = cast.stealth[actor[of]] > 0.5
    quantity = np.where(careful, most // unit, beyond).astype(np.int64)
    more = quantity > lines["quantity"]
    gain = ((quantity - lines["quantity"]) * lines["price"])[more]
    changes = {"quantity": quantity[more], "supply": (quantity * unit)[more]}
    return bent_lines(with_changes(care, where[more], changes), take(lines, more), gain, cast)


@scheme("T13", verdict="confirmed_abuse", ease=0.9)
def early_refills(stage: Stage, care: Care) -> Deeds:
    """A chronic patient fetches the next supply long before the last one is used, again and again.

    Every purchase is within the limits of a prescription. It leaves supplies that overlap for months. It
    resembles an honest early refill before a holiday, which comes once.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    where, at = _refills(city, care)
    refill, turn = np.unique(at, return_inverse=True)
    lasts = np.zeros(len(refill), np.int64)
    np.maximum.at(lasts, turn, care.lines["supply"][where])
    known = np.bincount(claims["patient"][refill], minlength=len(city.people))
    cast = stage.cast((known >= 4) * 1.0, PATIENT, stage.count())
    actor = stage.strikes(cast, claims["patient"][refill], claims["admitted"][refill])
    refill, lasts, actor = refill[actor >= 0], lasts[actor >= 0], actor[actor >= 0]
    least, most = stage.rates["used"]
    used = np.ceil(lasts * rng.uniform(least, most, len(refill))).astype(np.int64)
    shop, n = claims["kind"][refill] == PHARMACY_VISIT, len(refill)
    begins = (claims["admitted"][refill] // DAY + used) * DAY
    begins = begins + np.where(shop, clock(PHARMACY_VISIT, n, rng), clock(CHRONIC, n, rng))
    wait = np.where(shop, rng.integers(60, 600, n), rng.integers(480, 5400, n))
    may = cast.level(actor, begins) > 0 if n else np.zeros(0, bool)
    refill, begins = refill[may], begins[may]
    staffed = claims["physician"][refill] >= 0
    department = city.library.department_of[claims["disease"][refill]]
    on_duty = city.physicians.named(claims["provider"][refill], department, begins, rng)
    physician = np.where(staffed, on_duty, -1)
    copies = copied(city, care, claims["key"][refill], begins, rng, wait=wait[may], physician=physician)
    tested = city.library.is_category("laboratory", "examination")[copies.lines["item"]]
    copies = _sold(city, care, replace(copies, lines=take(copies.lines, ~tested)), rng)
    return _only_drugs(city, with_line_keys(copies), cast)


def _only_drugs(city: City, added: Care, *casts: Cast) -> Deeds:
    """Deeds of claims of which the drugs are at stake: the patient did come."""
    lines = take(added.lines, city.library.is_category("drug")[added.lines["item"]])
    return replace(bent_lines(added, lines, lines["price"] * lines["quantity"], *casts), care=None, added=added)


# --- twice over ------------------------------------------------------------------------------------------


@scheme("T14", verdict="confirmed_abuse", bends=True)
def duplicate_therapy(stage: Stage, care: Care) -> Deeds:
    """A house prescribes a second drug of the same kind beside the first, often to be fetched at a partner's.

    The more careful, the more of it is fetched at the pharmacy that shares in it. It leaves two or three
    products of one group (ATC-4) in the hands of one person for the same weeks. It resembles an honest
    change from one drug to the other.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    cast = stage.providers(CLINIC, PRIMARY, SECONDARY, weights=_refilled(city, care))
    partners = stage.providers(PHARMACY, count=len(cast)).who
    where, at = _refills(city, care)
    actor = stage.strikes(cast, claims["provider"][at], claims["admitted"][at])
    struck_at = (actor >= 0) & (claims["kind"][at] == CHRONIC)
    struck_at[struck_at] = sent_once(claims, at[struck_at])
    where, at, actor = where[struck_at], at[struck_at], actor[struck_at]
    owner = np.repeat(np.arange(len(where)), 1 + stage.hits(len(where), "third"))
    item = _alike(stage, care.lines["item"][where[owner]])
    may = (item >= 0) & lawful(city, claims, at[owner], item.clip(0)) & indicated(city, care, at[owner], item.clip(0))
    owner, item, unit = owner[may], item[may], _units(city.library, item[may])
    boxes = np.maximum(care.lines["supply"][where[owner]] // unit, 1)
    extra = take(care.lines, where[owner]) | {"item": item, "quantity": boxes, "supply": boxes * unit}
    new = new_on_day(care, lines_at(care, np.unique(at))[0], extra)
    extra, owner = take(extra, new), owner[new]
    shy = stage.rates["elsewhere"] * 2 * cast.stealth[actor[owner]]
    away = (rng.random(len(owner)) < shy) & (len(partners) > 0)
    here = timed_like(city, care, priced(city, claims, take(extra, ~away)), rng)
    shop = partners[actor[owner[away]] % len(partners)] if len(partners) else owner[away]
    bought = _at_partner(stage, care, take(extra, away), shop)
    led = cast.led(partners, np.arange(len(partners)), PROVIDER)
    billed = care.joined(replace(bought, lines=stack([here, bought.lines])))
    false = take(billed.lines, billed.lines["key"] >= care.next_line)
    return bent_lines(billed, false, false["price"] * false["quantity"], cast, led)


def _alike(stage: Stage, item: Array) -> Array:
    """For each item a random other boxed drug of its group (ATC-4); -1 where there is none."""
    lib, rng = stage.city.library, stage.rng
    group = np.where(_boxed(lib), lib.items["atc"], "")
    group = np.array([str(code)[:5] if len(str(code)) >= 5 else "" for code in group])
    out = np.full(len(item), -1)
    for known in np.unique(item).tolist():
        others = np.flatnonzero((group == group[known]) & (group != "") & (np.arange(len(group)) != known))
        own = np.flatnonzero(item == known)
        if len(others):
            out[own] = others[rng.integers(0, len(others), len(own))]
    return out


def _at_partner(stage: Stage, care: Care, extra: Rows, shop: Array) -> Care:
    """Purchases of the second products at pharmacies, some days after the visit."""
    city, rng = stage.city, stage.rng
    key, first, turn = np.unique(extra["claim"], return_index=True, return_inverse=True)
    later = between(rng, stage.rates["days_later"], len(key))
    visit = care.claims["admitted"][np.searchsorted(care.claims["key"], key)]
    # On the day itself, after the visit.
    begins = np.where(later == 0, visit + rng.integers(HOUR, 3 * HOUR, len(key)), 0)
    begins = np.where(later > 0, (visit // DAY + later) * DAY + clock(PHARMACY_VISIT, len(key), rng), begins)
    copies = _fetched(city, care, {"template": key, "provider": shop[first], "admitted": begins}, rng)
    lines = extra | {"claim": copies.claims["key"][turn]}
    return _sold(city, care, replace(copies, lines=lines), rng)


# --- for people who are not ill --------------------------------------------------------------------------


@scheme("T37", ease=0.8)
def chronic_entitlement(stage: Stage, care: Care) -> Deeds:
    """A physician certifies a chronic illness to a broker's clients, who fetch its drug and are never tested.

    The clients are registered as other patients are, and buy what those buy: the blatant all at the broker's
    pharmacy. It leaves people whose first visit for the illness is the one that certifies it, many of them
    by one physician, with drugs month after month but no test. It resembles a patient who is tested elsewhere.
    """
    city, claims = stage.city, care.claims
    staffed = np.isin(city.providers.tier[city.physicians.provider], (PRIMARY, SECONDARY))
    seen = claims["physician"][(claims["kind"] == CHRONIC) & (claims["physician"] >= 0)]
    cast = stage.cast(np.bincount(seen, minlength=len(staffed)) * staffed * 1.0, PHYSICIAN, stage.count())
    refill = np.isin(claims["kind"], (CHRONIC, PHARMACY_VISIT))
    clients, leader = _clients(stage, take(claims, ~refill), take(claims, claims["kind"] == CHRONIC), cast)
    entitled = np.zeros(len(city.people), bool)
    entitled[clients] = True
    # They are not ill: what the city took for their honest care did not happen.
    own = refill & entitled[claims["patient"]]
    own[own] = city.people.conditions[claims["patient"][own], claims["disease"][own]]
    trips = _certified(stage, cast, clients, leader, take(claims, own & (claims["kind"] == CHRONIC)))
    seen_by = take(claims, cast.acting(claims["physician"], claims["admitted"]) >= 0)
    trips["admitted"] = _in_surgery(stage, seen_by, trips)
    copies = _sold(city, care, _drugs_of(city, care, trips, stage.rng), stage.rng)
    return replace(phantoms(copies, cast, cast.led(clients, leader, PATIENT)), removed=claims["key"][own])


def _clients(stage: Stage, others: Rows, visits: Rows, cast: Cast) -> tuple[Array, Array]:
    """People with one entitlement and no care for it but refills, and the physician who certified it to them."""
    city, rng, carried = stage.city, stage.rng, stage.city.people.conditions
    sought = np.array([city.library.disease[code] for code in stage.rates["conditions"]])
    alone = (carried.sum(axis=1) == 1) & carried[:, sought].any(axis=1)
    alone[others["patient"][carried[others["patient"], others["disease"]]]] = False
    alone &= np.bincount(visits["patient"], minlength=len(alone)) > 0
    free = rng.permutation(np.flatnonzero(alone))
    chosen, leaders = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, house in enumerate(city.physicians.provider[cast.who].tolist()):
        near = free[city.people.region[free] == city.providers.region[house]]
        chosen.append(near[: between(rng, stage.rates["clients"], 1)[0]])
        leaders.append(np.full(len(chosen[-1]), i))
        free = np.setdiff1d(free, chosen[-1])
    return np.concatenate(chosen), np.concatenate(leaders)


def _certified(stage: Stage, cast: Cast, clients: Array, leader: Array, visits: Rows) -> Rows:
    """The visit that certifies each client's illness, then the fetching of its drug every few weeks."""
    rng, houses = stage.rng, stage.city.providers
    span = (cast.ends - cast.begins)[leader]
    first = cast.begins[leader] + (rng.random(len(clients)) * 0.6 * span).astype(np.int64)
    every = stage.rates["every_days"] * DAY
    owner, turn = spread(np.zeros(len(clients), np.int64), 1 + (cast.ends[leader] - first) // every)
    n, visit = len(owner), turn == 0
    begins = (first[owner] + turn * every) // DAY + np.where(visit, 0, rng.integers(-3, 4, n))
    begins = begins * DAY + np.where(visit, clock(CHRONIC, n, rng), clock(PHARMACY_VISIT, n, rng))
    shops = rng.choice(np.flatnonzero(houses.tier == PHARMACY), len(cast))
    shop = np.where(
        rng.random(n) < cast.stealth[leader[owner]], houses.usual[clients[owner], PHARMACY], shops[leader[owner]]
    )
    physician = cast.who[leader[owner]]
    order = np.argsort(visits["patient"], kind="stable")
    own = pick(rng, visits["patient"][order], clients[owner])
    trips = {
        "template": visits["key"][order[own.clip(0)]], "admitted": begins, "visit": visit.astype(np.int64),
        "provider": np.where(visit, stage.city.physicians.provider[physician], shop),
        "physician": np.where(visit, physician, -1), "wait": np.where(visit, rng.integers(480, 5400, n), 0),
    }  # fmt: skip
    return take(trips, (own >= 0) & stage.goes_on(cast, leader[owner], begins))


def _in_surgery(stage: Stage, seen: Rows, trips: Rows) -> Array:
    """When the trips begin: the visits to the physician just after another patient's."""
    physician, at = trips["physician"], trips["admitted"]
    last = last_before(seen["physician"], seen["admitted"], physician, at)
    after = seen["admitted"][last.clip(0)] + stage.rng.integers(300, 1500, len(at)) if size(seen) else at
    return np.where((physician >= 0) & (last >= 0), after, at)


def _drugs_of(city: City, care: Care, trips: Rows, rng: np.random.Generator) -> Care:
    """The visits and purchases of the trips: a visit with its fee, all of them with drugs, none with a test."""
    visit = trips["visit"] == 1
    copies = copied(
        city, care, trips["template"], trips["admitted"], rng, provider=trips["provider"], physician=trips["physician"],
        kind=np.where(visit, CHRONIC, PHARMACY_VISIT), registered=np.where(visit, 1, -1),
        wait=np.where(visit, trips["wait"], rng.integers(60, 600, len(visit))),
    )  # fmt: skip
    item, seen = copies.lines["item"], visit[copies.lines["claim"] - care.next_key]
    return replace(
        copies, lines=take(copies.lines, _boxed(city.library)[item] | (seen & city.library.is_category("other")[item]))
    )


# --- sold on ---------------------------------------------------------------------------------------------


@scheme("T23", ease=1.1)
def drug_hoarding(stage: Stage, care: Care) -> Deeds:
    """A chronic patient buys far more than one can take, at several pharmacies in turn, to sell it on.

    It hides by going from house to house: none sees all of it. It leaves supplies for years within months,
    and more pharmacies than anybody needs. It resembles an honest patient with two homes.
    """
    city, claims = stage.city, care.claims
    abettors = stage.providers(PHARMACY, count=stage.count("abettors"))
    everyone = np.arange(len(city.people))
    sought = [city.library.disease[code] for code in stage.rates["conditions"]]
    ill = np.asarray(city.people.conditions[:, sought].any(axis=1))
    age = city.people.age(everyone, np.full(len(everyone), city.begins))
    refill = np.unique(_refills(city, care)[1])
    known = np.bincount(claims["patient"][refill], minlength=len(ill)) >= 2
    cast = stage.cast((ill & known & (age > 38) & (age < 78)) * 1.0, PATIENT, stage.count())
    if len(cast) == 0 or len(abettors) == 0:
        return nothing()
    mine = take(claims, refill[np.isin(claims["patient"][refill], cast.who)])
    trips = stack([_trips(stage, mine, cast, i, abettors) for i in range(len(cast))])
    copies = _fetched(city, care, trips, stage.rng)
    lines = take(copies.lines, (city.library.items["price_cap"] > 12)[copies.lines["item"]])
    quantity = between(stage.rng, stage.rates["boxes"], size(lines))
    lines |= {"quantity": quantity, "supply": quantity * _units(city.library, lines["item"])}
    return phantoms(_sold(city, care, replace(copies, lines=lines), stage.rng), cast, abettors)


def _trips(stage: Stage, refills: Rows, cast: Cast, actor: int, abettors: Cast) -> Rows:
    """When one patient goes shopping and where: an abettor more often than others."""
    rng, rates = stage.rng, stage.rates
    own = refills["key"][refills["patient"] == cast.who[actor]]
    half = stage.every / 2
    begins = cast.begins[actor] + np.cumsum(half + rng.exponential(half, 200)).astype(np.int64)
    begins = begins[rng.random(len(begins)) < cast.intensity[actor] * cast.level(np.full(len(begins), actor), begins)]
    pharmacies = np.flatnonzero(stage.city.providers.tier == PHARMACY)
    some = rng.choice(pharmacies, between(rng, rates["pharmacies"], 1)[0], replace=False)
    shops = np.r_[rng.choice(abettors.who, 2), some]
    begins = begins // DAY * DAY + clock(PHARMACY_VISIT, len(begins), rng)
    return {
        "template": rng.choice(own, len(begins)),
        "provider": rng.choice(shops, len(begins)),
        "admitted": begins,
    }


@scheme("T23", ease=0.6, bends=True)
def resold_boxes(stage: Stage, care: Care) -> Deeds:
    """A pharmacy buys boxes back from patients who fetch more than they take, and sells them once more.

    It hides among sales that are real: customers get and pay for what is billed. It leaves the code of a box
    that was settled before, elsewhere and for somebody else. It resembles a scan that honestly went wrong.
    """
    city, claims, lines = stage.city, care.claims, care.lines
    cast = stage.providers(PHARMACY, weights=_refilled(city, care))
    where, at = _refills(city, care)
    boxes = np.bincount(claims["patient"][at], lines["quantity"][where], minlength=len(city.people))
    sellers, leader = _sellers(stage, cast, boxes)
    supplies = np.full(len(city.people), -1)
    supplies[sellers] = leader
    scanned = lines["at"][where] >= int(np.datetime64(stage.rates["since"], "s").astype(np.int64))
    sales = take(lines, where[scanned]) | {"where": where[scanned]}
    patient, house = claims["patient"][at[scanned]], claims["provider"][at[scanned]]
    offered = {**sales, "actor": supplies[patient]}
    in_span = cast.acting(np.append(cast.who, -1)[offered["actor"]], sales["at"]) >= 0
    away = in_span & ~np.isin(house, cast.who)
    taken = {**sales, "actor": stage.strikes(cast, house, sales["at"])}
    bought, sold = _passed_on(stage, take(offered, away), take(taken, taken["actor"] >= 0))
    care, number = _scanned(care, bought["where"], np.ones(size(bought), bool), np.arange(size(bought)), stage.rng)
    care = with_changes(care, sold["where"], {"trace": number})
    false = stack([bought, sold])
    led = cast.led(sellers, leader, PATIENT)
    return bent_lines(care, false, false["price"] * false["quantity"], cast, led)


def _sellers(stage: Stage, cast: Cast, boxes: Array) -> tuple[Array, Array]:
    """Who sells boxes to which pharmacy: neighbours, rather those who fetch many."""
    people, rng, weight = stage.city.people, stage.rng, boxes.astype(float) ** 2
    chosen, leaders = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, region in enumerate(stage.city.providers.region[cast.who].tolist()):
        able = weight * (people.region == region)
        few = min(int(between(rng, stage.rates["sellers"], 1)[0]), int((able > 0).sum()))
        chosen.append(rng.choice(len(able), few, replace=False, p=able / max(able.sum(), 1)) if few else chosen[0])
        leaders.append(np.full(few, i))
        weight[chosen[-1]] = 0
    return np.concatenate(chosen), np.concatenate(leaders)


def _passed_on(stage: Stage, offered: Rows, sales: Rows) -> tuple[Rows, Rows]:
    """Boxes that the sellers fetched, and the sale of the same drug by which each is passed on some weeks later."""
    items = len(stage.city.library.items["key"])
    least, most = (days * DAY for days in stage.rates["days_later"])
    sales = take(sales, np.argsort(sales["at"], kind="stable"))
    keys, wanted = (rows["actor"] * items + rows["item"] for rows in (offered, sales))
    box = last_before(keys, offered["at"], wanted, sales["at"] - least)
    fresh = np.flatnonzero(box >= 0)
    fresh = fresh[sales["at"][fresh] - offered["at"][box[fresh]] <= most]
    once, first = np.unique(box[fresh], return_index=True)  # a box is there to be sold but once
    return take(offered, once), take(sales, fresh[first])
