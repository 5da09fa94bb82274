"""Schemes with visits and purchases that were not needed, or never were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import CHRONIC, OUTPATIENT, PHARMACY_VISIT, Care, City, clock
from fraud.claims.simulation.items import SUPPLY_DAYS
from fraud.claims.simulation.orders import priced
from fraud.claims.simulation.providers import CLINIC, PHARMACY, PRIMARY
from fraud.claims.simulation.rows import DAY, HOUR, NONE, Array, Rows, between, pick, size, stack, take
from fraud.claims.simulation.schemes.stage import PATIENT, PROVIDER, Cast, Deeds, Stage, phantoms

__all__ = ["cash_swipes", "drug_hoarding", "phantom_visits", "visiting_ring"]

BURST_SECONDS = 260
# Conditions whose drugs find buyers.
SOUGHT = ("E119", "I251", "J449", "G20", "B181")


def _plain(city: City, claims: Rows) -> Array:
    """Mask of visits whose disease any grown-up may have: fit to be copied for somebody else."""
    d = city.library.diseases
    anyone = (d["sex"] == "") & (d["age_low"] <= 20) & (d["age_high"] >= 80)
    return np.asarray(anyone[claims["disease"]])


def _cards(stage: Stage, claims: Rows, cast: Cast, actor: int, templates: Array) -> Rows:
    """Which visit is billed for whose card and when, at one actor: several distinct cards within minutes."""
    rng, house = stage.rng, cast.who[actor]
    clients = np.unique(claims["patient"][claims["provider"] == house])
    own = (cast.acting(claims["provider"], claims["admitted"]) == actor).sum()
    wanted = int(np.ceil(own * stage.rates["intensity"])) + 2
    sizes = between(rng, stage.rates["burst"], wanted)
    sizes = np.minimum(sizes[: np.searchsorted(np.cumsum(sizes), wanted) + 1], len(clients))
    burst = np.repeat(np.arange(len(sizes)), sizes)
    begins = rng.integers(cast.begins[actor] // DAY, cast.ends[actor] // DAY + 1, len(sizes)) * DAY
    begins = begins + rng.integers(8 * HOUR, 20 * HOUR, len(sizes))
    terminal = stage.city.providers.terminal(np.full(len(sizes), house), rng)
    return {
        "template": claims["key"][rng.choice(templates, len(burst))],
        "patient": np.concatenate([rng.choice(clients, k, replace=False) for k in sizes]),
        "settled": begins[burst] + rng.integers(0, BURST_SECONDS, len(burst)),
        "terminal": terminal[burst],
        "physician": np.full(len(burst), claims["physician"][templates[0]]),
    }


def _bursts(stage: Stage, care: Care, cast: Cast, visit_type: int, wait: tuple[int, int]) -> Care:
    """Copies of the actors' own visits, billed for cards that lie in a drawer."""
    city, rng, claims = stage.city, stage.rng, care.claims
    fit = _plain(city, claims) & (claims["kind"] == visit_type)
    templates = [np.flatnonzero(fit & (claims["provider"] == house)) for house in cast.who]
    parts = [_cards(stage, claims, cast, i, own) for i, own in enumerate(templates) if len(own)]
    if not parts:
        return care.kept(np.zeros(0, np.int64))
    cards = stack(parts)
    begins = cards["settled"] - rng.integers(*wait, size(cards))
    copies = care.cloned(
        cards["template"], begins, patient=cards["patient"], settled=cards["settled"],
        terminal=cards["terminal"], physician=cards["physician"], **_fresh(cards["settled"], rng),
    )  # fmt: skip
    return _possible(city, copies)


def _fresh(settled: Array, rng: np.random.Generator) -> Rows:
    """What no copy may share with its original: the invoice, the time of upload, a late reimbursement."""
    n = len(settled)
    uploaded = settled + rng.integers(2, 4 * HOUR, n)
    return {"invoice": rng.integers(10**11, 10**12, n), "uploaded": uploaded, "manual": np.zeros(n, np.int64)}


def _possible(city: City, copies: Care) -> Care:
    """The copies that can be: within the period, for people alive and of a fitting age and sex."""
    claims = copies.claims
    ok = city.people.alive(claims["patient"], claims["admitted"])
    ok &= (claims["admitted"] >= city.begins) & (claims["settled"] < city.ends)
    ok &= city.people.fits(claims["patient"], claims["disease"], city.library, claims["admitted"])
    return copies.kept(claims["key"][ok])


def phantom_visits(stage: Stage, care: Care) -> Deeds:
    """A clinic swipes cards that it keeps: visits of people who were not there, often not registered."""
    cast = stage.providers(CLINIC, weights=stage.volume * 1.0)
    copies = _bursts(stage, care, cast, OUTPATIENT, (480, 2400))
    n = size(copies.claims)
    unregistered, unordered = stage.hits(n, "unregistered"), stage.hits(n, "no_order")
    absent = stage.rng.random(n) < 0.2
    copies = copies.with_claims(
        registered=np.where(unregistered, 0, 1), identity=np.where(absent, 2, copies.claims["identity"])
    )
    blank = np.isin(copies.lines["claim"], copies.claims["key"][unordered])
    times = {t: np.where(blank, NONE, copies.lines[t]) for t in ("ordered", "executed", "reported")}
    result = np.where(blank, -1, copies.lines["positive"])
    return phantoms(care, replace(copies, lines={**copies.lines, **times, "positive": result}), (cast,))


def cash_swipes(stage: Stage, care: Care) -> Deeds:
    """A pharmacy turns card balances into cash: sales in bursts, mostly of round sums, booked as drugs."""
    cast = stage.providers(PHARMACY)
    copies = _bursts(stage, care, cast, PHARMACY_VISIT, (60, 600))
    rounded = copies.claims["key"][stage.hits(size(copies.claims), "round")]
    return phantoms(care, replace(copies, lines=_to_tens(copies.lines, rounded)), (cast,))


def _to_tens(lines: Rows, keys: Array) -> Rows:
    """The lines with one price of each of the claims lowered, so that the claim's total is tens of yuan."""
    claim, inverse = np.unique(lines["claim"], return_inverse=True)
    amount = lines["price"] * lines["quantity"]
    over = np.bincount(inverse, weights=amount, minlength=len(claim)).astype(np.int64) % 1000
    single = (lines["quantity"] == 1) & (lines["price"] > over[inverse] + 100) & np.isin(lines["claim"], keys)
    _, first = np.unique(np.where(single, lines["claim"], -1), return_index=True)
    chosen = np.isin(np.arange(size(lines)), first) & single
    return {**lines, "price": lines["price"] - np.where(chosen, over[inverse], 0)}


def drug_hoarding(stage: Stage, care: Care) -> Deeds:
    """A chronic patient buys far more than one can take, at several pharmacies in turn, to sell it on."""
    city, claims = stage.city, care.claims
    abettors = stage.providers(PHARMACY, count=stage.count("abettors"))
    everyone = np.arange(len(city.people))
    sought = [city.library.disease[code] for code in SOUGHT]
    ill = np.asarray(city.people.conditions[:, sought].any(axis=1))
    age = city.people.age(everyone, np.full(len(everyone), city.begins))
    refill = (city.library.diseases["prevalence"] > 0)[claims["disease"]]
    refill &= np.isin(claims["kind"], (PHARMACY_VISIT, CHRONIC))
    refill &= claims["disease"] != city.library.disease["N185"]
    known = np.bincount(claims["patient"][refill], minlength=len(ill)) >= 2
    cast = stage.cast((ill & known & (age > 38) & (age < 78)) * 1.0, PATIENT, stage.count())
    if len(cast.who) == 0:
        return phantoms(care, care.kept(everyone[:0]), (cast, abettors))
    trips = [_trips(stage, take(claims, refill), cast, i, abettors) for i in range(len(cast.who))]
    return phantoms(care, _hoards(stage, care, stack(trips)), (cast, abettors))


def _trips(stage: Stage, refills: Rows, cast: Cast, actor: int, abettors: Cast) -> Rows:
    """When one patient goes shopping and where: an abettor more often than others."""
    rng, rates = stage.rng, stage.rates
    own = refills["key"][refills["patient"] == cast.who[actor]]
    half = stage.every / 2
    begins = cast.begins[actor] + np.cumsum(half + rng.exponential(half, 200)).astype(np.int64)
    begins = begins[(begins < cast.ends[actor]) & stage.hits(len(begins))]
    pharmacies = np.flatnonzero(stage.city.providers.tier == PHARMACY)
    some = rng.choice(pharmacies, between(rng, rates["pharmacies"], 1)[0], replace=False)
    shops = np.r_[rng.choice(abettors.who, 2), some]
    begins = begins // DAY * DAY + clock(PHARMACY_VISIT, len(begins), rng)
    return {
        "template": rng.choice(own, len(begins)),
        "provider": rng.choice(shops, len(begins)),
        "admitted": begins,
    }


def _hoards(stage: Stage, care: Care, trips: Rows) -> Care:
    """Purchases like the patient's own refills, but of several times as many boxes."""
    city, rng, n = stage.city, stage.rng, size(trips)
    settled = trips["admitted"] + rng.integers(60, 600, n)
    copies = care.cloned(
        trips["template"], trips["admitted"], provider=trips["provider"], kind=np.full(n, PHARMACY_VISIT),
        physician=np.full(n, -1), registered=np.full(n, -1), settled=settled,
        terminal=city.providers.terminal(trips["provider"], rng), **_fresh(settled, rng),
    )  # fmt: skip
    lib = city.library
    boxed = (lib.is_category("drug") & ~lib.is_injection & (lib.items["price_cap"] > 12))[copies.lines["item"]]
    lines = take(copies.lines, boxed)
    quantity = between(rng, stage.rates["boxes"], size(lines))
    supply = quantity * np.nan_to_num(lib.items[SUPPLY_DAYS])[lines["item"]].astype(np.int64)
    lines = _at_the_counter(copies.claims, {**lines, "quantity": quantity, "supply": supply}, rng)
    lines = priced(city, copies.claims, lines)
    return _possible(city, replace(copies, lines=lines).kept(np.unique(lines["claim"])))


def _at_the_counter(claims: Rows, lines: Rows, rng: np.random.Generator) -> Rows:
    """The lines at times of a purchase: all within the first minute, handed out at once."""
    begins = claims["admitted"][np.searchsorted(claims["key"], lines["claim"])]
    after = rng.integers(20, 59, size(lines))
    ordered = begins + (rng.random(size(lines)) * after).astype(np.int64)
    executed = begins + after + rng.integers(30, 2400, size(lines))
    return {**lines, "at": begins + after, "ordered": ordered, "executed": executed}


def visiting_ring(stage: Stage, care: Care) -> Deeds:
    """A group is led from clinic to clinic on the same days, and each visit is billed for all who came."""
    rings = stage.count()
    spans = stage.cast(np.ones(rings), PROVIDER, rings)  # of the rings: `who` is the number of one
    houses = stage.providers(CLINIC, PRIMARY, weights=stage.volume * 1.0, count=rings * stage.rates["providers"])
    led_by = stage.rng.permutation(np.arange(len(houses.who)) % rings)
    trips = stack([_outings(stage, spans, i, houses.who[led_by == i]) for i in range(rings)])
    # Who is in two rings is counted with the first one.
    members, first = np.unique(trips["patient"], return_index=True)
    ring = trips["ring"][first]
    group = Cast(members, spans.begins[ring], spans.ends[ring], PATIENT)
    served = Cast(houses.who, spans.begins[led_by], spans.ends[led_by])
    return phantoms(care, _escorted(stage, care, trips), (group, served))


def _outings(stage: Stage, spans: Cast, ring: int, houses: Array) -> Rows:
    """Who of a ring goes where and when: the houses in turn, every few weeks, most members each time."""
    city, rng, rates = stage.city, stage.rng, stage.rates
    everyone = np.arange(len(city.people))
    age = city.people.age(everyone, np.full(len(everyone), city.begins))
    near = (city.people.region == city.providers.region[houses[0]]) & (age > 30) & (age < 76)
    group = rng.choice(np.flatnonzero(near), between(rng, rates["members"], 1)[0], replace=False)
    days = np.arange(spans.begins[ring], spans.ends[ring], int(stage.every)) // DAY
    begins = (days + rng.integers(-3, 4, len(days))) * DAY + clock(OUTPATIENT, len(days), rng)
    day, who = np.nonzero(rng.random((len(days), len(group))) < rates["intensity"])
    return {
        "provider": houses[np.arange(len(days)) % len(houses)][day],
        "patient": group[who],
        "admitted": begins[day] + rng.integers(0, 5400, len(day)),
        "ring": np.full(len(day), ring),
    }


def _escorted(stage: Stage, care: Care, trips: Rows) -> Care:
    """Visits of rings, copied from what each house does for others."""
    city, rng, claims = stage.city, stage.rng, care.claims
    fit = np.flatnonzero(_plain(city, claims) & (claims["kind"] == OUTPATIENT))
    fit = fit[np.argsort(claims["provider"][fit], kind="stable")]
    own = pick(rng, claims["provider"][fit], trips["provider"])
    trips, template = take(trips, own >= 0), claims["key"][fit[own[own >= 0]]]
    n, general = size(trips), city.library.departments.index("general")
    settled = trips["admitted"] + rng.integers(480, 5400, n)
    copies = care.cloned(
        template, trips["admitted"], patient=trips["patient"], settled=settled,
        terminal=city.providers.terminal(trips["provider"], rng),
        physician=city.physicians.on_duty(trips["provider"], np.full(n, general), rng),
        **_fresh(settled, rng),
    )  # fmt: skip
    return _possible(city, copies)
