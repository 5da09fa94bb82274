"""Schemes inside the payer: whoever settles claims may settle some of them for friends."""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import INPATIENT, OUTPATIENT, Care, without_overlaps
from fraud.claims.simulation.providers import SECONDARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, between, pick, size, stack, take
from fraud.claims.simulation.schemes.stage import OPERATOR, PATIENT, Cast, Deeds, Stage, nothing, phantoms, scheme
from fraud.claims.simulation.schemes.timing import in_hospital
from fraud.claims.simulation.schemes.visits import anyones, blatancy, fresh, possible, retimed
from fraud.claims.simulation.seasons import is_holiday

__all__ = ["own_settlements"]


@scheme("T38", ease=0.5)
def own_settlements(stage: Stage, care: Care) -> Deeds:
    """An operator of the payer settles invented paper claims of friends, paid to one or two accounts.

    Hides: the claims are copies of real ones of big hospitals, spread over several names; the careful work in
    office hours and use more accounts. Leaves behind: manual claims at night and at weekends, seconds apart,
    all by one operator; accounts that belong to none of the patients. Resembles: the last day before a
    holiday, when a desk clears what has piled up; a household that shares an account.
    """
    claims = care.claims
    work = np.bincount(claims["operator"][claims["manual"] == 1], minlength=len(stage.city.operators))
    cast = stage.cast(work * 1.0, OPERATOR, stage.count())
    circles = [_circle(stage, cast, i) for i in range(len(cast))]
    batches = [_batches(stage, cast, i, circle) for i, circle in enumerate(circles)]
    if not batches:
        return nothing(cast)
    settled = stack(batches)
    false = _invented(stage, care, cast, settled)
    friends, first = np.unique(false.claims["patient"], return_index=True)
    leader = np.searchsorted(cast.who, false.claims["operator"])[first]
    return phantoms(false, cast, cast.led(friends, leader, PATIENT))


def _circle(stage: Stage, cast: Cast, actor: int) -> Array:
    """Friends of an operator: grown-ups who are insured where that desk settles paper claims."""
    city, rng = stage.city, stage.rng
    everyone = np.arange(len(city.people))
    age = city.people.age(everyone, np.full(len(everyone), city.begins))
    grown = (age > 28) & (age < 74) & city.people.alive(everyone, np.full(len(everyone), city.ends))
    able = np.flatnonzero(grown & (city.people.insured_region == city.operators.region[cast.who[actor]]))
    count = min(int(between(rng, stage.rates["friends"], 1)[0]), len(able))
    return np.asarray(rng.choice(able, count, replace=False))


def _batches(stage: Stage, cast: Cast, actor: int, circle: Array) -> Rows:
    """Who is paid when and on which account: a few claims at one go, seconds apart, after hours or not."""
    city, rng, rates = stage.city, stage.rng, stage.rates
    days = np.arange(cast.begins[actor], cast.ends[actor], int(stage.every)) // DAY
    days = days + rng.integers(-6, 7, len(days))
    n, actors = len(days), np.full(len(days), actor)
    late = rng.random(n) < blatancy(cast, actors, rates["after_hours"])
    # In office hours only on days on which one works.
    works = city.operators.roster[cast.who[actor], (days + 3) % 7] & ~is_holiday(days)
    late |= ~works
    hour = np.where(late, rng.integers(19, 23, n), rng.integers(9, 17, n)) * HOUR + rng.integers(0, 3000, n)
    batch = np.repeat(np.arange(n), between(rng, rates["batch"], n))
    gap = rng.integers(20, 30 + int(400 * cast.stealth[actor] ** 2), len(batch))
    first = np.r_[True, batch[1:] != batch[:-1]] if len(batch) else np.zeros(0, bool)
    waited = np.cumsum(gap) - (np.cumsum(gap)[first])[batch] if len(batch) else gap
    # One account for the blatant; the careful use those of several friends.
    accounts = circle[: 1 + round(2 * float(cast.stealth[actor]))]
    rows = {
        "patient": rng.choice(circle, len(batch)),
        "account": len(city.providers) + city.people.household[rng.choice(accounts, len(batch))],
        "settled": (days * DAY + hour)[batch] + waited,
        "operator": np.full(len(batch), cast.who[actor]),
    }
    taken = stage.goes_on(cast, actors[batch], rows["settled"]) & (rng.random(len(batch)) < cast.intensity[actor])
    return take(rows, taken)


def _invented(stage: Stage, care: Care, cast: Cast, wanted: Rows) -> Care:
    """Paper claims like those of others at big houses, weeks before they were settled."""
    city, rng, claims, n = stage.city, stage.rng, care.claims, size(wanted)
    stay = claims["kind"] == INPATIENT
    big = (city.providers.tier[claims["provider"]] <= SECONDARY) & (stay | (claims["kind"] == OUTPATIENT))
    fit = np.flatnonzero(big & anyones(city, claims) & (claims["status"] == 0))
    # A stay as often as a visit: what is invented is worth the trouble.
    fit = fit[np.argsort(stay[fit], kind="stable")]
    template = fit[pick(rng, stay[fit].astype(np.int64), rng.integers(0, 2, n))]
    length = claims["discharged"][template] - claims["admitted"][template]
    begins = wanted["settled"] // DAY * DAY - between(rng, (6, 40), n) * DAY - length
    begins = begins // DAY * DAY + claims["admitted"][template] % DAY
    copies = care.cloned(
        claims["key"][template], begins, patient=wanted["patient"],
        **fresh(city, claims["provider"][template], wanted["settled"], rng) | {
            "manual": np.ones(n, np.int64), "terminal": np.full(n, -1),
            "operator": wanted["operator"], "account": wanted["account"],
        },
    )  # fmt: skip
    rows = copies.claims
    free = ~in_hospital(care, rows["patient"], rows["admitted"] - DAY, rows["discharged"] + DAY)
    copies = copies.kept(rows["key"][free & without_overlaps(rows)])
    return retimed(city, care, possible(city, copies), rng)
