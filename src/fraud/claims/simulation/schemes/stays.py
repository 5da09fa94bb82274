"""Schemes of hospitals with stays: split, empty, or coded too high."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import (
    CHRONIC,
    INPATIENT,
    OUTPATIENT,
    PHARMACY_VISIT,
    Care,
    claims_of,
    clock,
)
from fraud.claims.simulation.providers import PRIMARY, SECONDARY
from fraud.claims.simulation.rows import DAY, Array, Rows, between, occurrence, size, stack, take
from fraud.claims.simulation.schemes.stage import WHOLE, Cast, Deeds, Stage, marks, phantoms
from fraud.claims.simulation.stays import WEIGHT_OF_SEVERITY, complications, stays_care, with_end

__all__ = ["empty_beds", "split_admissions", "upcoding"]


def _stays_at(care: Care, n: int) -> Array:
    """Number of stays of each of `n` providers."""
    return np.bincount(care.claims["provider"][care.claims["kind"] == INPATIENT], minlength=n)


def split_admissions(stage: Stage, care: Care) -> Deeds:
    """A hospital stretches stays to the day at which payment is capped, and readmits some days later."""
    city, rng, rates, claims = stage.city, stage.rng, stage.rates, care.claims
    cast = stage.providers(SECONDARY, PRIMARY, weights=_stays_at(care, len(city.providers)))
    long = (claims["kind"] == INPATIENT) & (claims["nights"] >= rates["from_nights"]) & (claims["status"] == 0)
    long &= (cast.acting(claims["provider"], claims["admitted"]) >= 0) & stage.hits(size(claims))
    stays = take(claims, long & ~np.isin(claims["key"], care.procedures["claim"]))
    n, cap = size(stays), rates["cap_days"]
    gap, more = between(rng, rates["gap_days"], n), between(rng, (4, 9), n)
    back = (stays["admitted"] // DAY + cap + gap) * DAY + clock(INPATIENT, n, rng)
    until = back + (more + 2) * DAY
    free = ~_in_hospital(care, stays, until) & (until < city.ends)
    first = with_end({**stays, "nights": np.full(n, cap)}, rng)
    rest = {"admitted": back, "nights": np.maximum(stays["nights"] - cap, more), "planned": back * 0}
    second = with_end({**stays, **rest}, rng)
    parts = stack([take(first, free), take(second, free)])
    parts |= {"key": care.next_key + np.arange(size(parts))}
    gone = np.concatenate([take(stays, free)["key"], _visits_within(care, take(stays, free), until[free])])
    billed = care.without(gone).joined(stays_care(city, parts, rng))
    amount = np.r_[np.zeros(free.sum(), np.int64), np.full(free.sum(), WHOLE)]
    return Deeds(billed, (cast,), marks(parts["key"], amount))


def _in_hospital(care: Care, stays: Rows, until: Array, before: int = 0) -> Array:
    """Whether the patient of each stay has another one that touches the time up to `until`."""
    others = take(care.claims, care.claims["kind"] == INPATIENT)
    same = stays["patient"][:, None] == others["patient"][None, :]
    near = (others["admitted"][None, :] < until[:, None] + 2 * DAY) & (
        others["discharged"][None, :] > stays["admitted"][:, None] - before
    )
    return np.asarray((same & near & (stays["key"][:, None] != others["key"][None, :])).any(axis=1))


def _visits_within(care: Care, stays: Rows, until: Array) -> Array:
    """Keys of visits that the patients cannot have made, as they lay in hospital for longer."""
    visits = take(care.claims, care.claims["kind"] != INPATIENT)
    own = visits["patient"][:, None] == stays["patient"][None, :]
    within = (visits["admitted"][:, None] >= stays["admitted"]) & (visits["admitted"][:, None] < until)
    return np.asarray(visits["key"][(own & within).any(axis=1)])


def empty_beds(stage: Stage, care: Care) -> Deeds:
    """A hospital bills beds for people who sleep at home: little is ordered, and they are seen elsewhere."""
    city, rng, rates, claims = stage.city, stage.rng, stage.rates, care.claims
    cast = stage.providers(PRIMARY, SECONDARY, weights=np.sqrt(_stays_at(care, len(city.providers))))
    acting = cast.acting(claims["provider"], claims["admitted"])
    real = np.bincount(acting[(acting >= 0) & (claims["kind"] == INPATIENT)], minlength=len(cast.who))
    wanted = np.ceil(real * rates["intensity"] + 2 * stage.scale).astype(np.int64)
    house = np.repeat(cast.who, wanted * 3)
    actor = np.repeat(np.arange(len(cast.who)), wanted * 3)
    # Somebody whose card lies at the hospital, and who will be seen elsewhere within the stay.
    visit = _seen_elsewhere(stage, care, cast, actor)
    disease = np.array([city.library.disease[c] for c in ("I10", "I679", "M544", "E119")])[
        rng.integers(0, 4, len(house))
    ]
    begins = visit["admitted"] - rng.integers(1, 4, len(house)) * DAY
    begins = begins // DAY * DAY + clock(INPATIENT, len(house), rng)
    stays = claims_of(
        0, patient=visit["patient"], provider=house, kind=np.full(len(house), INPATIENT), disease=disease,
        admitted=begins, nights=between(rng, rates["nights"], len(house)),
        physician=city.physicians.on_duty(house, city.library.department_of[disease], rng),
    )  # fmt: skip
    stays = with_end(stays, rng)
    ok = city.people.fits(stays["patient"], disease, city.library, begins) & (begins >= city.begins)
    ok &= ~_in_hospital(care, stays | {"key": stays["key"] - 10**9}, stays["discharged"], 2 * DAY)
    ok &= city.people.alive(stays["patient"], stays["discharged"]) & (stays["discharged"] < city.ends - DAY)
    _, first = np.unique(np.where(ok, stays["patient"], -1), return_index=True)
    once = ok & np.isin(np.arange(len(ok)), first)
    turn = occurrence(np.where(once, actor, -1))
    chosen = take(stays, once & (turn < wanted[actor]))
    chosen |= {"key": care.next_key + np.arange(size(chosen))}
    full = stays_care(city, chosen, rng)
    always = city.library.is_category("bed", "nursing")[full.lines["item"]]
    given = always | stage.hits(size(full.lines), "kept")
    return phantoms(care, replace(full, lines=take(full.lines, given)), (cast,))


def _seen_elsewhere(stage: Stage, care: Care, cast: Cast, actor: Array) -> Rows:
    """For each planned empty bed, a visit of a grown-up of the region in the time of the actor."""
    claims, city, rng = care.claims, stage.city, stage.rng
    grown = city.people.age(claims["patient"], claims["admitted"]) >= 42
    open_visits = take(claims, grown & np.isin(claims["kind"], (OUTPATIENT, CHRONIC, PHARMACY_VISIT)))
    chosen = np.zeros(len(actor), np.int64)
    for i in range(len(cast.who)):
        near = city.people.region[open_visits["patient"]] == city.providers.region[cast.who[i]]
        near &= (open_visits["admitted"] > cast.begins[i]) & (open_visits["admitted"] < cast.ends[i])
        near &= open_visits["provider"] != cast.who[i]
        pool = np.flatnonzero(near) if near.any() else np.arange(size(open_visits))
        here = actor == i
        chosen[here] = rng.choice(pool, here.sum())
    return take(open_visits, chosen)


def upcoding(stage: Stage, care: Care) -> Deeds:
    """A hospital writes grave complications into stays whose course shows none: a dearer group is paid."""
    city, claims = stage.city, care.claims
    cast = stage.providers(SECONDARY, weights=_stays_at(care, len(city.providers)))
    mild = (
        (claims["kind"] == INPATIENT) & (claims["severity"] < 2) & (claims["disease"] != city.library.disease["Z511"])
    )
    adult = city.people.age(claims["patient"], claims["admitted"]) >= 18
    hit = mild & adult & (cast.acting(claims["provider"], claims["admitted"]) >= 0) & stage.hits(size(claims))
    stays = take(claims, hit) | {"severity": np.full(hit.sum(), 2)}
    at, code = complications(city, stays, stage.rng, extra=1)
    grave = city.library.complications["level"][code - len(city.library.diseases["code"])] > 0
    at, code = at[grave], code[grave]
    written = stays["key"][at]
    known = care.diagnoses["claim"] * 1000 + care.diagnoses["code"]
    new = ~np.isin(written * 1000 + code, known)
    written, code = written[new], code[new]
    last = np.bincount(care.diagnoses["claim"], minlength=care.next_key)
    before = np.searchsorted(written, written, side="left")
    added = {
        "claim": written,
        "position": last[written] + 1 + np.arange(len(written)) - before,
        "code": code,
        "present": np.ones(len(code), np.int64),
    }
    billed = care.with_claims(severity=np.where(hit, 2, claims["severity"]))
    gain = WEIGHT_OF_SEVERITY[2] - WEIGHT_OF_SEVERITY[claims["severity"][hit]]
    amount = gain * city.library.diseases["weight"][stays["disease"]] * city.rates["money"]["drg_rate"] * 100
    return Deeds(
        replace(billed, diagnoses=stack([care.diagnoses, added])),
        (cast,),
        marks(stays["key"], amount.astype(np.int64)),
    )
