"""Schemes with visits and purchases that never were: cards are swiped while their owners are elsewhere.

The parts that copies of visits need are shared with other schemes: what must be fresh in a copy (`fresh`),
which copies can be (`possible`), when their lines were given (`retimed`), and of what anybody may be taken for
the patient (`anyones`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fraud.claims.simulation.care import OUTPATIENT, PHARMACY_VISIT, Care, City, clock
from fraud.claims.simulation.orders import priced
from fraud.claims.simulation.providers import CLINIC, PHARMACY
from fraud.claims.simulation.rows import DAY, HOUR, NONE, Array, Rows, between, draw, size, stack, take
from fraud.claims.simulation.schemes.stage import PATIENT, Cast, Deeds, Stage, phantoms, scheme
from fraud.claims.simulation.schemes.timing import timed

__all__ = ["anyones", "blatancy", "cash_swipes", "fresh", "phantom_visits", "possible", "retimed"]

# Seconds within which a burst is over, for the most blatant actor, and how many more the most careful one takes.
BURST_SECONDS, PATIENCE_SECONDS = 40, 440
# Sums that a card is drained by, in cents: the largest that the basket allows without an odd price.
ROUND_SUMS = (10_000, 5_000, 1_000)
ODD_PRICE = 0.4


def anyones(city: City, claims: Rows) -> Array:
    """Mask of claims whose disease any grown-up may have: fit to be copied for somebody else."""
    d = city.library.diseases
    anyone = (d["sex"] == "") & (d["age_low"] <= 20) & (d["age_high"] >= 80)
    return np.asarray(anyone[claims["disease"]])


def fresh(city: City, provider: Array, settled: Array, rng: np.random.Generator) -> Rows:
    """What no copy may share with its original: invoice, settlement and upload, who handled it and where."""
    n = len(settled)
    return {
        "invoice": rng.integers(10**11, 10**12, n),
        "settled": settled,
        "uploaded": settled + rng.integers(2, 4 * HOUR, n),
        "manual": np.zeros(n, np.int64),
        "operator": city.operators.on_duty(city.providers.region[provider], settled, rng),
        "terminal": city.providers.terminal(provider, rng),
    }


def possible(city: City, copies: Care) -> Care:
    """The copies that can be: in the period, at houses that may bill, for people alive and of a fitting age and sex.

    Their prices are those of the house at that time.
    """
    claims = copies.claims
    ok = city.people.alive(claims["patient"], claims["admitted"])
    ok &= (claims["admitted"] >= city.begins) & (claims["settled"] < city.ends)
    ok &= ~city.providers.suspended(claims["provider"], claims["settled"])
    ok &= city.people.fits(claims["patient"], claims["disease"], city.library, claims["admitted"])
    kept = copies.kept(claims["key"][ok])
    return replace(kept, lines=priced(city, kept.claims, kept.lines))


def retimed(city: City, care: Care, copies: Care, rng: np.random.Generator) -> Care:
    """The copies with a course of their own: no two visits of a house pass alike to the second."""
    claims, lines = copies.claims, copies.lines
    begins = claims["admitted"][np.searchsorted(claims["key"], lines["claim"])]
    lines = timed(city, care, claims, lines, lines["at"] // DAY - begins // DAY, rng)
    # A claim of one line would still pass like the one that its line learnt from.
    later = rng.integers(0, 45, size(lines))
    moved = {t: np.where(lines[t] == NONE, NONE, lines[t] + later) for t in ("executed", "reported")}
    return replace(copies, lines={**lines, **moved})


@dataclass(frozen=True)
class _Bursts:
    """How cards are swiped: kind of claim, seconds from care to desk, when, and which of a house's cards."""

    kind: int
    wait: tuple[int, int]
    times: Callable[[Stage, Cast, int, int], Array]
    cards: str  # rate with the number of cards that lie at the house


def _drawers(stage: Stage, claims: Rows, cast: Cast, name: str) -> list[Array]:
    """The cards that lie at each actor's house: of its clients, and no card at two houses."""
    drawers, free = [], np.ones(len(stage.city.people), bool)
    for house in cast.who:
        clients = np.unique(claims["patient"][claims["provider"] == house])
        clients = clients[free[clients]]
        count = min(len(clients), int(between(stage.rng, stage.rates[name], 1)[0]))
        drawers.append(stage.rng.choice(clients, count, replace=False))
        free[drawers[-1]] = False
    return drawers


def _swiped(stage: Stage, claims: Rows, cast: Cast, actor: int, drawer: Array, templates: Array, how: _Bursts) -> Rows:
    """Which visit is billed for whose card and when, at one actor: several distinct cards within minutes."""
    rng, house = stage.rng, cast.who[actor]
    own = (cast.acting(claims["provider"], claims["admitted"]) == actor).sum()
    wanted = int(np.ceil(own * cast.intensity[actor])) + 2
    sizes = between(rng, stage.rates["burst"], wanted)
    sizes = np.minimum(sizes[: np.searchsorted(np.cumsum(sizes), wanted) + 1], len(drawer))
    burst = np.repeat(np.arange(len(sizes)), sizes)
    begins = how.times(stage, cast, actor, len(sizes))
    terminal = stage.city.providers.terminal(np.full(len(sizes), house), rng)
    seconds = int(BURST_SECONDS + PATIENCE_SECONDS * cast.stealth[actor] ** 2)
    # Dear visits are copied rather than cheap ones, and mostly under the name of one physician.
    pull = np.sqrt(claims["worth"][templates].astype(float))
    template = rng.choice(templates, len(burst), p=pull / pull.sum())
    one = rng.random(len(burst)) < 1 - 0.5 * cast.stealth[actor]
    cards = {
        "template": claims["key"][template],
        "patient": np.concatenate([rng.choice(drawer, k, replace=False) for k in sizes]),
        "settled": begins[burst] + rng.integers(0, seconds, len(burst)),
        "terminal": terminal[burst],
        "physician": np.where(one, claims["physician"][templates[0]], claims["physician"][template]),
    }
    return take(cards, stage.goes_on(cast, np.full(len(burst), actor), cards["settled"]))


def _bursts(stage: Stage, care: Care, cast: Cast, how: _Bursts) -> Care:
    """Copies of the actors' own visits, billed for cards that lie in a drawer."""
    city, rng = stage.city, stage.rng
    worth = np.bincount(care.lines["claim"], care.lines["price"] * care.lines["quantity"], minlength=care.next_key)
    claims = {**care.claims, "worth": worth[care.claims["key"]] + 1.0}
    fit = anyones(city, claims) & (claims["kind"] == how.kind)
    templates = [np.flatnonzero(fit & (claims["provider"] == house)) for house in cast.who]
    drawers = _drawers(stage, claims, cast, how.cards)
    able = [i for i, own in enumerate(templates) if len(own) and len(drawers[i])]
    parts = [_swiped(stage, claims, cast, i, drawers[i], templates[i], how) for i in able]
    if not parts:
        return care.kept(np.zeros(0, np.int64))
    cards = stack(parts)
    begins = cards["settled"] - rng.integers(*how.wait, size(cards))
    house = claims["provider"][np.searchsorted(claims["key"], cards["template"])]
    desk = fresh(city, house, cards["settled"], rng) | {"terminal": cards["terminal"]}
    copies = care.cloned(cards["template"], begins, patient=cards["patient"], physician=cards["physician"], **desk)
    return retimed(city, care, possible(city, copies), rng)


def blatancy(cast: Cast, actor: Array, usual: float) -> Array:
    """Chance of what gives an actor away: twice the usual for one who hides nothing, none for the most careful."""
    return np.asarray((2 * usual * (1 - cast.stealth[actor])).clip(0, 0.95))


def _days_of(stage: Stage, cast: Cast, actor: int) -> Array:
    """Days of the actor's span, as positions in the period."""
    first, last = cast.begins[actor] // DAY, cast.ends[actor] // DAY
    return np.arange(first, last + 1) - stage.city.start


def _idle_hours(stage: Stage, cast: Cast, actor: int, n: int) -> Array:
    """Times of a clinic's bursts: in the night and on days off when nobody looks on, or between real visits."""
    city, rng, days = stage.city, stage.rng, _days_of(stage, cast, actor)
    weight = city.calendar(OUTPATIENT)[days]
    quiet = rng.random(n) < blatancy(cast, np.full(n, actor), stage.rates["off_hours"])
    off = rng.random(n) < 0.5  # of the quiet ones: on a day off; the others late in the evening or at night
    day = np.where(quiet & off, draw(rng, weight**-3.0, n), draw(rng, weight, n))
    dark = np.where(rng.random(n) < 0.7, rng.integers(20, 24, n), rng.integers(0, 7, n)) * HOUR
    late = quiet & ~off
    time = np.where(late, dark + rng.integers(0, HOUR, n), clock(OUTPATIENT, n, rng))
    return np.asarray((city.start + days[day]) * DAY + time)


@scheme("T06", ease=0.9)
def phantom_visits(stage: Stage, care: Care) -> Deeds:
    """A clinic swipes cards that it keeps: visits of people who were not there, often not registered.

    Hides: the visits are copies of real ones of the house. The careful take minutes for a burst, in opening
    hours, register it, and spread it over their physicians. Leaves behind: bursts of distinct cards at one
    terminal within a minute under one physician; visits at night and on days off; no registration, no order;
    the cards of a drawer again and again. Resembles: a community-health day, a family with the flu.
    """
    cast = stage.providers(CLINIC, weights=stage.volume * 1.0)
    copies = _bursts(stage, care, cast, _Bursts(OUTPATIENT, (480, 2400), _idle_hours, "drawer"))
    n, actor = size(copies.claims), np.searchsorted(cast.who, copies.claims["provider"])
    unregistered = stage.rng.random(n) < blatancy(cast, actor, stage.rates["unregistered"])
    unordered = stage.rng.random(n) < blatancy(cast, actor, stage.rates["no_order"])
    absent = stage.hits(n, "identity_absent")
    copies = copies.with_claims(
        registered=np.where(unregistered, 0, 1), identity=np.where(absent, 2, copies.claims["identity"])
    )
    blank = np.isin(copies.lines["claim"], copies.claims["key"][unordered])
    times = {t: np.where(blank, NONE, copies.lines[t]) for t in ("ordered", "executed", "reported")}
    result = np.where(blank, -1, copies.lines["positive"])
    return phantoms(replace(copies, lines={**copies.lines, **times, "positive": result}), cast)


def _month_ends(stage: Stage, cast: Cast, actor: int, n: int) -> Array:
    """Times of a pharmacy's bursts: mostly in the last days of a month, when accounts have been filled."""
    city, rng, days = stage.city, stage.rng, _days_of(stage, cast, actor)
    date = (city.start + days).astype("datetime64[D]")
    ending = (date + 3).astype("datetime64[M]") != date.astype("datetime64[M]")
    weight = city.calendar(PHARMACY_VISIT)[days]
    drained = rng.random(n) < blatancy(cast, np.full(n, actor), stage.rates["month_end"])
    late = draw(rng, weight * (ending if ending.any() else 1), n)
    day = np.where(drained, late, draw(rng, weight, n))
    return np.asarray((city.start + days[day]) * DAY + clock(PHARMACY_VISIT, n, rng))


@scheme("T24", ease=0.8)
def cash_swipes(stage: Stage, care: Care) -> Deeds:
    """A pharmacy turns card balances into cash: sales in bursts, mostly of round sums, booked as drugs.

    Hides: what is booked are baskets that the shop sells every day. Leaves behind: the cards of one circle
    again and again, minutes apart; accounts drained at the end of the month; totals of whole tens and
    hundreds, for which one price of the basket is lowered. Resembles: the rush at closing time of a pharmacy
    beside a hospital, families who fetch their drugs together.
    """
    cast = stage.providers(PHARMACY)
    copies = _bursts(stage, care, cast, _Bursts(PHARMACY_VISIT, (60, 600), _month_ends, "circle"))
    actor = np.searchsorted(cast.who, copies.claims["provider"])
    rounded = copies.claims["key"][stage.rng.random(len(actor)) < blatancy(cast, actor, stage.rates["round"])]
    holders, first = np.unique(copies.claims["patient"], return_index=True)
    circle = cast.led(holders, actor[first], PATIENT)
    return phantoms(replace(copies, lines=_to_sums(copies.lines, rounded)), cast, circle)


def _to_sums(lines: Rows, keys: Array) -> Rows:
    """The lines with one price of each of the claims lowered, so that its total is a round sum of yuan."""
    price, left = lines["price"].copy(), keys
    for unit in ROUND_SUMS:
        claim, of = np.unique(lines["claim"], return_inverse=True)
        total = np.bincount(of, weights=lines["price"] * lines["quantity"], minlength=len(claim)).astype(np.int64)
        over = (total % unit)[of]
        within = (over < ODD_PRICE * lines["price"]) | (unit == ROUND_SUMS[-1])
        fit = (lines["quantity"] == 1) & (lines["price"] > over + 100) & within
        fit &= (total >= unit)[of] & np.isin(lines["claim"], left)
        at = np.flatnonzero(fit)
        at = at[np.unique(lines["claim"][at], return_index=True)[1]]
        price[at] -= over[at]
        left = np.setdiff1d(left, lines["claim"][at])
    return {**lines, "price": price}
