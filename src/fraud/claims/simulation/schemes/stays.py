"""Schemes of hospitals with stays: split, empty, invented, needless, coded too high, or emptied of their costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import (
    CHRONIC,
    INPATIENT,
    OUTPATIENT,
    PHARMACY_VISIT,
    Care,
    City,
    claims_of,
    clock,
    lines_of,
    with_desk,
    without_overlaps,
)
from fraud.claims.simulation.orders import priced, without_included
from fraud.claims.simulation.providers import PRIMARY, SECONDARY
from fraud.claims.simulation.rows import DAY, NONE, Array, Rows, between, draw, occurrence, size, stack, take
from fraud.claims.simulation.schemes.bending import struck
from fraud.claims.simulation.schemes.intensity import given_at, how_often, plain
from fraud.claims.simulation.schemes.stage import (
    PATIENT,
    WHOLE,
    Cast,
    Deeds,
    Stage,
    marks,
    nothing,
    phantoms,
    scheme,
    with_line_keys,
)
from fraud.claims.simulation.schemes.timing import in_hospital, of_claims, sent_once, timed, within
from fraud.claims.simulation.stays import WEIGHT_OF_SEVERITY, ward_care, with_end
from fraud.claims.simulation.visits import visits_care

__all__ = ["cost_shifting", "empty_beds", "phantom_stays", "split_admissions", "unneeded_admissions", "upcoding"]

# Old people's complaints for which a bed is filled without a question, and which either sex may have.
MILD = ("I10", "I679", "M544", "E119", "M542", "R42")


def _stays_at(care: Care, n: int) -> Array:
    """Number of stays of each of `n` providers."""
    return np.bincount(care.claims["provider"][care.claims["kind"] == INPATIENT], minlength=n)


def _in_charge(city: City, house: Array, disease: Array, at: Array, rng: np.random.Generator) -> Array:
    """A physician of each house who treats the disease at that time."""
    return city.physicians.named(house, city.library.department_of[disease], at, rng)


def _announced(stage: Stage, n: int) -> Array:
    """Which of `n` invented stays are said to have been planned: as many as of others."""
    return np.asarray(stage.rng.random(n) < stage.city.rates["care"]["planned"]).astype(np.int64)


def _possible(city: City, care: Care, stays: Rows) -> Array:
    """Mask of invented stays that can be: within the period, for people who live, fit, and lie nowhere else."""
    patient, begins, ends = stays["patient"], stays["admitted"], stays["discharged"]
    ok = (begins >= city.begins) & (ends < city.ends - DAY) & city.people.alive(patient, ends)
    ok &= city.people.fits(patient, stays["disease"], city.library, begins)
    return np.asarray(ok & ~in_hospital(care, patient, begins - 2 * DAY, ends + 2 * DAY))


@scheme("T01", verdict="confirmed_abuse", ease=1.3)
def split_admissions(stage: Stage, care: Care) -> Deeds:
    """A hospital stretches stays to the day at which payment is capped, and readmits some days later.

    Hides: by a longer gap, and by an end a day or two before the cap.
    Leaves: stays that end at the cap, and another one soon for the same disease, neither planned nor urgent.
    Resembles: people who are honestly soon back, and planned cycles of treatment.
    """
    city, rng, rates, claims = stage.city, stage.rng, stage.rates, care.claims
    cast = stage.providers(SECONDARY, PRIMARY, weights=_stays_at(care, len(city.providers)) ** 2.0)
    long = (claims["kind"] == INPATIENT) & (claims["nights"] >= rates["from_nights"]) & (claims["status"] == 0)
    at, actor = struck(stage, cast, claims, long)
    medical = sent_once(claims, at) & ~np.isin(claims["key"][at], care.procedures["claim"])
    stays, hidden = take(claims, at[medical]), cast.stealth[actor[medical]]
    n = size(stays)
    # Who hides it well ends before the cap now and then, and waits for longer.
    cap = rates["cap_days"] - np.where(rng.random(n) < hidden - 0.4, between(rng, (1, 2), n), 0)
    gap = between(rng, rates["gap_days"], n) + np.floor(rng.random(n) * hidden**2 * rates["patience_days"])
    back = (stays["admitted"] // DAY + cap + gap.astype(np.int64)) * DAY + clock(INPATIENT, n, rng)
    more = np.maximum(stays["nights"] - cap, between(rng, (4, 9), n))
    until = back + (more + 2) * DAY
    free = ~in_hospital(care, stays["patient"], stays["discharged"], until + DAY) & (until < city.ends)
    free &= city.people.alive(stays["patient"], until)
    first = with_end({**stays, "nights": cap}, rng)
    again = {"admitted": back, "nights": more, "planned": back * 0}
    again |= {"physician": _in_charge(city, stays["provider"], stays["disease"], back, rng)}
    second = with_end(stays | again, rng)
    parts = stack([take(first, free), take(second, free)])
    parts |= {"key": care.next_key + np.arange(size(parts))}
    visits = (claims["kind"] != INPATIENT) & within(claims, take(stays, free), until[free])
    gone = np.concatenate([stays["key"][free], claims["key"][visits]])
    added = with_line_keys(ward_care(city, parts, rng))
    # The first part would have been paid for anyway.
    amount = np.repeat([0, WHOLE], free.sum())
    false = take(added.lines, added.lines["claim"] >= care.next_key + free.sum())
    marked = {"line": false["key"], "amount": false["price"] * false["quantity"]}
    return Deeds((cast,), marks(parts["key"], amount), marked, added=added, removed=gone)


@scheme("T02", ease=0.9)
def empty_beds(stage: Stage, care: Care) -> Deeds:
    """A hospital bills beds for people who sleep at home: little is ordered, and they are seen elsewhere.

    Hides: more is ordered for those beds, and for people who see nobody else meanwhile. The boldest fills
    the house beyond its licence for a while.
    Leaves: days without an order, visits elsewhere within the stay, more people than beds.
    Resembles: a light case at the end of a stay.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    # Small houses rather than big ones, where somebody would notice.
    weights = np.sqrt(_stays_at(care, len(city.providers)) / (city.providers.beds + 10))
    cast = stage.providers(PRIMARY, SECONDARY, weights=weights)
    acting = cast.acting(claims["provider"], claims["admitted"])
    real = np.bincount(acting[(acting >= 0) & (claims["kind"] == INPATIENT)], minlength=len(cast))
    wanted = np.ceil(real * cast.intensity + 2 * stage.scale).astype(np.int64)
    actor = np.repeat(np.arange(len(cast)), wanted * 3)
    stays = _invented(stage, stack([_full_house(stage, cast), _in_drawers(stage, care, cast, actor)]))
    ok = _possible(city, care, stays)
    _, first = np.unique(np.where(ok, stays["patient"], -1), return_index=True)
    once = ok & np.isin(np.arange(len(ok)), first)
    turn = occurrence(np.where(once & (stays["campaign"] == 0), stays["actor"], -1))
    once &= (turn < wanted[stays["actor"]]) | (stays["campaign"] == 1)
    chosen = take(stays, once & stage.goes_on(cast, stays["actor"], stays["admitted"]))
    hidden = cast.stealth[chosen.pop("actor")]
    chosen.pop("campaign")
    full = ward_care(city, chosen | {"key": care.next_key + np.arange(size(chosen))}, rng)
    always = city.library.is_category("bed", "nursing")[full.lines["item"]]
    kept = stage.rates["kept"] * (0.5 + hidden[full.lines["claim"] - care.next_key])
    return phantoms(replace(full, lines=take(full.lines, always | (rng.random(len(kept)) < kept))), cast)


def _invented(stage: Stage, planned: Rows) -> Rows:
    """Stays for mild complaints, from patient, provider, admitted and nights; other columns stay."""
    city, rng, n = stage.city, stage.rng, size(planned)
    disease = np.array([city.library.disease[c] for c in MILD])[rng.integers(0, len(MILD), n)]
    extra = {name: planned[name] for name in ("actor", "campaign")}
    stays = claims_of(
        0, kind=np.full(n, INPATIENT), disease=disease, planned=_announced(stage, n),
        physician=_in_charge(city, planned["provider"], disease, planned["admitted"], rng),
        **{name: column for name, column in planned.items() if name not in extra},
    )  # fmt: skip
    return with_end(stays, rng) | extra


def _in_drawers(stage: Stage, care: Care, cast: Cast, actor: Array) -> Rows:
    """For each bed, somebody whose card lies at the hospital; most will be seen elsewhere within the stay."""
    city, rng, claims, n = stage.city, stage.rng, care.claims, len(actor)
    grown = city.people.age(claims["patient"], claims["admitted"]) >= 42
    open_visits = take(claims, grown & np.isin(claims["kind"], (OUTPATIENT, CHRONIC, PHARMACY_VISIT)))
    chosen = np.zeros(n, np.int64)
    for i in range(len(cast)):
        near = city.people.region[open_visits["patient"]] == city.providers.region[cast.who[i]]
        near &= (open_visits["admitted"] > cast.begins[i]) & (open_visits["admitted"] < cast.ends[i])
        near &= open_visits["provider"] != cast.who[i]
        pool = np.flatnonzero(near) if near.any() else np.arange(size(open_visits))
        here = actor == i
        chosen[here] = rng.choice(pool, here.sum())
    # Who hides it well waits until the person has nothing to do elsewhere.
    patient = rng.random(n) < 0.3 * cast.stealth[actor]
    ahead = np.where(patient, rng.integers(-30, -10, n), rng.integers(1, 4, n))
    return {
        "actor": actor,
        "campaign": actor * 0,
        "patient": open_visits["patient"][chosen],
        "provider": cast.who[actor],
        "admitted": (open_visits["admitted"][chosen] // DAY - ahead) * DAY + clock(INPATIENT, n, rng),
        "nights": between(rng, stage.rates["nights"], n),
    }


def _full_house(stage: Stage, cast: Cast) -> Rows:
    """For the boldest actor with a small house: some days in which more people are billed than there are beds."""
    city, rng, rates = stage.city, stage.rng, stage.rates
    none = {n: np.zeros(0, np.int64) for n in ("actor", "campaign", "patient", "provider", "admitted", "nights")}
    small = np.flatnonzero(city.providers.beds[cast.who] <= rates["small_house"])
    if len(small) == 0:
        return none
    bold = small[np.argmin(cast.stealth[small])]
    house, until = cast.who[bold], min(cast.ends[bold], cast.opened[bold]) - 6 * DAY  # before anybody inspects it
    day = int(cast.begins[bold] + rng.uniform(0.1, 0.9) * max(until - cast.begins[bold], 0)) // DAY
    everyone = np.arange(len(city.people))
    age = city.people.age(everyone, np.full(len(everyone), day * DAY))
    near = np.flatnonzero((city.people.region == city.providers.region[house]) & (age > 56) & (age < 88))
    n = min(int(city.providers.beds[house] * rng.uniform(1.3, 1.6)) + 3, len(near))
    return {
        "actor": np.full(n, bold),
        "campaign": np.ones(n, np.int64),
        "patient": rng.choice(near, n, replace=False),
        "provider": np.full(n, house),
        "admitted": (day + rng.integers(0, 3, n)) * DAY + clock(INPATIENT, n, rng),
        "nights": between(rng, rates["nights"], n),
    }


@scheme("T03", ease=0.8)
def phantom_stays(stage: Stage, care: Care) -> Deeds:
    """A hospital borrows the cards of a group and invents stays: one course, copied into all the records.

    Hides: part of the copied entries is changed, and somebody signs that they were carried out.
    Leaves: the same people admitted within two days of each other, again and again, with courses all but
    the same, and little that was carried out or reported.
    Resembles: an outbreak in a village, a screening, or relatives who fall ill together.
    """
    weights = np.sqrt(_stays_at(care, len(stage.city.providers)))
    cast = stage.providers(PRIMARY, SECONDARY, weights=weights)
    if len(cast) == 0:
        return nothing()
    planned = stack([_borrowed(stage, cast, i) for i in range(len(cast))])
    actor, session = planned.pop("actor"), planned.pop("session")
    stays = with_end(claims_of(0, kind=np.full(len(actor), INPATIENT), **planned), stage.rng)
    # Some belong to two groups: they lie in one bed at a time all the same.
    ok = _possible(stage.city, care, stays) & without_overlaps(stays)
    ok &= stage.goes_on(cast, actor, stays["admitted"])
    if not ok.any():
        return nothing(cast)
    stays, actor = take(stays, ok), actor[ok]
    copies = _copied(stage, care, stays | {"key": care.next_key + np.arange(size(stays))}, session[ok])
    hidden = cast.stealth[actor][copies.lines["claim"] - care.next_key]
    copies = replace(copies, lines=_hardly_done(stage, copies.lines, hidden))
    members, first = np.unique(stays["patient"], return_index=True)
    return phantoms(copies, cast, cast.led(members, actor[first], PATIENT))


def _borrowed(stage: Stage, cast: Cast, i: int) -> Rows:
    """Who of one hospital's group is admitted when: most of them, some times, each time for one disease."""
    city, rng, rates, house = stage.city, stage.rng, stage.rates, cast.who[i]
    group = _neighbours(stage, house, between(rng, rates["members"], 1)[0])
    days = np.arange(cast.begins[i] + 5 * DAY, cast.ends[i], int(stage.every)) // DAY
    days = days + rng.integers(-12, 13, len(days))
    disease = np.array([city.library.disease[c] for c in MILD])[rng.integers(0, len(MILD), len(days))]
    nights = between(rng, rates["nights"], len(days))
    session, who = np.nonzero(rng.random((len(days), len(group))) < cast.intensity[i])
    n = len(session)
    doctor = _in_charge(city, np.full(len(days), house), disease, days * DAY + DAY // 2, rng)
    return {
        "actor": np.full(n, i),
        "session": session + 1000 * i,
        "patient": group[who],
        "provider": np.full(n, house),
        "disease": disease[session],
        "physician": doctor[session],
        "admitted": (days[session] + rng.integers(0, 3, n)) * DAY + clock(INPATIENT, n, rng),
        "nights": nights[session],
        "planned": _announced(stage, len(days))[session],
    }


def _neighbours(stage: Stage, house: int, n: int) -> Array:
    """Elderly people who live around one of them, in the region of the house."""
    folk, rng = stage.city.people, stage.rng
    everyone = np.arange(len(folk))
    age = folk.age(everyone, np.full(len(everyone), stage.city.begins))
    old = np.flatnonzero((folk.region == stage.city.providers.region[house]) & (age > 45) & (age < 82))
    away = np.hypot(*(folk.place[old] - folk.place[rng.choice(old)]).T)
    return rng.permutation(old[np.argsort(away, kind="stable")[: 2 * n]])[:n]


def _copied(stage: Stage, care: Care, stays: Rows, session: Array) -> Care:
    """One stay of each session with its lines, written into the records of all who were in it."""
    city, rng = stage.city, stage.rng
    _, first, of = np.unique(session, return_index=True, return_inverse=True)
    # Numbered just below the next key, so that the copies begin with it.
    model = ward_care(city, take(stays, first) | {"key": care.next_key - len(first) + np.arange(len(first))}, rng)
    begun = take(model.claims, model.lines["claim"] - model.claims["key"][0])["admitted"]
    day = model.lines["at"] // DAY - begun // DAY
    model = replace(model, lines=model.lines | {"day": day})
    copies = model.cloned(model.claims["key"][of], stays["admitted"], patient=stays["patient"])
    claims = with_desk(city, with_end(copies.claims, rng), rng)
    day = copies.lines["day"]
    lines = timed(city, care, claims, {n: c for n, c in copies.lines.items() if n != "day"}, day, rng)
    return replace(copies, claims=claims, lines=lines, diagnoses=_fitting(city, claims, copies.diagnoses))


def _fitting(city: City, claims: Rows, diagnoses: Rows) -> Rows:
    """The diagnoses that the person can have; complications anybody can."""
    at = np.searchsorted(claims["key"], diagnoses["claim"])
    disease = np.minimum(diagnoses["code"], len(city.library.diseases["code"]) - 1)
    ok = city.people.fits(claims["patient"][at], disease, city.library, claims["admitted"][at])
    return take(diagnoses, ok | (diagnoses["code"] > disease))


def _hardly_done(stage: Stage, lines: Rows, hidden: Array) -> Rows:
    """The lines as copied: a few left out, few of them signed as carried out or reported."""
    rng, n = stage.rng, size(lines)
    always = stage.city.library.is_category("bed", "nursing")[lines["item"]]
    blank = rng.random(n) < stage.rates["unsigned"] * (1.3 - hidden)
    times = {t: np.where(blank, NONE, lines[t]) for t in ("executed", "reported")}
    signed = {**lines, **times, "positive": np.where(blank, -1, lines["positive"])}
    return take(signed, always | (rng.random(n) > stage.rates["changed"] * (0.3 + hidden)))


@scheme("T04", verdict="confirmed_abuse", ease=0.8)
def unneeded_admissions(stage: Stage, care: Care) -> Deeds:
    """A hospital admits people whose complaint needs a visit: two or three days of check-up, no treatment.

    Hides: among people with conditions of their own, and by a night more.
    Leaves: short stays for mild complaints, mostly examinations, without operation or infusion; fewer visits.
    Resembles: a short stay to rule something out.
    """
    city, rng, rates, claims = stage.city, stage.rng, stage.rates, care.claims
    cast = stage.providers(SECONDARY, PRIMARY, weights=stage.volume * 1.0)
    at, actor = struck(stage, cast, claims, np.isin(claims["kind"], (OUTPATIENT, CHRONIC)))
    fit = _could_be_admitted(city)[claims["disease"][at]] & sent_once(claims, at)
    fit &= city.people.age(claims["patient"][at], claims["admitted"][at]) >= 18
    visits, actor = take(claims, at[fit]), actor[fit]
    n = size(visits)
    nights = between(rng, rates["nights"], n) + (rng.random(n) < cast.stealth[actor] - 0.4)
    stays = claims_of(0, **{c: visits[c] for c in ("patient", "provider", "disease", "admitted", "physician")},
                      nights=nights, planned=_announced(stage, n), kind=np.full(n, INPATIENT))  # fmt: skip
    stays = with_end(stays, rng)
    _, first = np.unique(stays["patient"], return_index=True)
    ok = _possible(city, care, stays) & np.isin(np.arange(n), first)
    stays, actor, replaced = take(stays, ok), actor[ok], visits["key"][ok]
    stays |= {"key": care.next_key + np.arange(size(stays))}
    full = ward_care(city, stays, rng)
    spared = city.library.is_injection | city.library.is_category("treatment", "consumable", "surgery")
    package = _check_up(stage, care, cast, full.claims, actor)
    lines = stack([take(full.lines, ~spared[full.lines["item"]]), package])
    full = replace(full, lines=without_included(city.library, lines))
    amount = _totals(full.lines, stays["key"]) - _totals(care.lines, replaced)
    worth = amount > 0
    stays, amount = take(stays, worth), amount[worth]
    others = (claims["kind"] != INPATIENT) & within(claims, stays, stays["discharged"])
    added = with_line_keys(full.kept(stays["key"]))
    return Deeds((cast,), marks(stays["key"], amount), added=added, removed=claims["key"][others])


def _could_be_admitted(city: City) -> Array:
    """For each disease, whether it is mild and some are in hospital for it, though without an operation."""
    d, lib = city.library.diseases, city.library
    return np.asarray((d["complexity"] == 1) & (d["stays"] > 0) & ~lib.is_surgical)


def _check_up(stage: Stage, care: Care, cast: Cast, claims: Rows, actor: Array) -> Rows:
    """Lines of each actor's own package of examinations, most of it for everybody."""
    city, rng, lib = stage.city, stage.rng, stage.city.library
    usual = how_often(city, care) * (lib.is_category("examination", "laboratory") & plain(lib))
    parts: list[Rows] = [dict.fromkeys(("at", "item"), np.zeros(0, np.int64))]
    for i in range(len(cast)):
        own = usual * given_at(city, int(cast.who[i]), "outpatient") * lib.items["price_cap"]
        n = min(between(rng, stage.rates["package"], 1)[0], int((own > 0).sum()))
        package = rng.choice(len(own), n, replace=False, p=np.sqrt(own) / np.sqrt(own).sum())
        at, which = np.nonzero((rng.random((size(claims), n)) < 0.85) & (actor == i)[:, None])
        parts.append({"at": at, "item": package[which]})
    chosen = stack(parts)
    n = size(chosen)
    lines = lines_of(claim=claims["key"][chosen["at"]], item=chosen["item"], quantity=np.ones(n), at=chosen["at"] * 0)
    day = np.minimum(rng.integers(0, 2, n), claims["nights"][chosen["at"]] - 1)
    return priced(city, claims, timed(city, care, claims, lines, day, rng))


def _totals(lines: Rows, keys: Array) -> Array:
    """Cents of each of the claims."""
    order = np.argsort(keys)
    mine = take(lines, of_claims(lines, keys))
    at = order[np.searchsorted(keys[order], mine["claim"])]
    return np.bincount(at, mine["price"] * mine["quantity"], minlength=len(keys)).astype(np.int64)


@scheme("T17", verdict="confirmed_abuse", ease=0.9, bends=True)
def upcoding(stage: Stage, care: Care) -> Deeds:
    """A hospital writes complications into stays whose course shows none: a dearer group is paid.

    Hides: by complications of the lighter kind, and by going up slowly.
    Leaves: more and more stays with complications, mostly the same few codes, without what they would cost.
    Resembles: a referral centre, or coders who have learnt to write down what is there.
    """
    city, claims, rng = stage.city, care.claims, stage.rng
    cast = stage.providers(SECONDARY, PRIMARY, weights=_stays_at(care, len(city.providers)) ** 2.0)
    mild = (claims["kind"] == INPATIENT) & (claims["severity"] < 2)
    at, actor = struck(stage, cast, claims, mild & (claims["disease"] != city.library.disease["Z511"]))
    hit = rng.random(len(at)) < _risen(cast, actor, claims["admitted"][at])
    hit &= city.people.age(claims["patient"][at], claims["admitted"][at]) >= 18
    at, actor = at[hit], actor[hit]
    stays = take(claims, at)
    light = (stays["severity"] == 0) & (rng.random(len(actor)) < cast.stealth[actor])
    grade = np.where(light, 1, 2)
    of, code = _favourites(stage, cast, actor, grade)
    there = take(care.diagnoses, of_claims(care.diagnoses, stays["key"]))
    new = ~np.isin(stays["key"][of] * 10_000 + code, there["claim"] * 10_000 + there["code"])
    written, code = stays["key"][of[new]], code[new]
    last = np.bincount(there["claim"], minlength=care.next_key)
    added = {
        "claim": written,
        "position": last[written] + 1 + occurrence(written),
        "code": code,
        "present": rng.integers(0, 2, len(code)),
    }
    severity = claims["severity"].copy()
    severity[at] = grade
    gain = WEIGHT_OF_SEVERITY[grade] - WEIGHT_OF_SEVERITY[stays["severity"]]
    amount = gain * city.library.diseases["weight"][stays["disease"]] * city.rates["money"]["drg_rate"] * 100
    coded = replace(care.with_claims(severity=severity), diagnoses=stack([care.diagnoses, added]))
    return Deeds((cast,), marks(stays["key"], amount.astype(np.int64)), care=coded)


def _risen(cast: Cast, actor: Array, at: Array) -> Array:
    """How far an actor has gone by then: from a quarter of the usual at first to all of it at the end."""
    if len(cast) == 0:
        return np.zeros(len(at))
    share = (at - cast.begins[actor]) / np.maximum(cast.ends[actor] - cast.begins[actor], DAY)
    return np.asarray(0.25 + 0.75 * np.clip(share, 0, 1))


def _favourites(stage: Stage, cast: Cast, actor: Array, grade: Array) -> tuple[Array, Array]:
    """Complications of the grade for each stay, of the few that the actor's coders know by heart."""
    lib, rng = stage.city.library, stage.rng
    level, offset = lib.complications["level"].astype(np.int64), len(lib.diseases["code"])
    at, code = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, g in ((i, g) for i in range(len(cast)) for g in (1, 2)):
        pool = rng.choice(np.flatnonzero(level == g), stage.rates["favourites"], replace=False)
        mine = np.flatnonzero((actor == i) & (grade == g))
        at.append(mine)
        # The first of them comes to mind more often than the others.
        code.append(offset + pool[draw(rng, 1.0 / (1 + np.arange(len(pool))), len(mine))])
    return np.concatenate(at), np.concatenate(code)


@scheme("T18", verdict="confirmed_abuse", ease=0.8, bends=True)
def cost_shifting(stage: Stage, care: Care) -> Deeds:
    """A hospital bills tests and drugs of a stay, for which a group is paid, as visits just before or during it.

    Hides: on the days before the admission rather than during the stay, and less of it.
    Leaves: visits at the same house within three days of a stay or in it, for what the stay then lacks.
    Resembles: a work-up that ends in an admission.
    """
    city, rng, claims = stage.city, stage.rng, care.claims
    cast = stage.providers(SECONDARY, PRIMARY, weights=_stays_at(care, len(city.providers)) ** 2.0)
    at, actor = struck(stage, cast, claims, (claims["kind"] == INPATIENT) & (claims["nights"] >= 2))
    once = sent_once(claims, at)
    stays, hidden = take(claims, at[once]), cast.stealth[actor[once]]
    moved = _movable(stage, care, stays)
    stays, hidden = _with_some(stays, hidden, care.lines["claim"][moved])
    visits = _beside(stage, care, stays, hidden)
    of_stay = np.zeros(care.next_key, np.int64)
    of_stay[stays["key"]] = visits.claims["key"]
    lines = take(care.lines, moved)
    lines |= {"claim": of_stay[lines["claim"]]}
    lines = timed(city, care, visits.claims, lines, np.zeros(size(lines), np.int64), rng)
    fee = city.library.is_category("other")[visits.lines["item"]]
    visits = replace(visits, lines=stack([take(visits.lines, fee), priced(city, visits.claims, lines)]))
    left = np.ones(size(care.lines), bool)
    left[moved] = False
    joined = replace(care, lines=take(care.lines, left)).joined(visits)
    false = take(joined.lines, joined.lines["claim"] >= care.next_key)
    marked = {"line": false["key"], "amount": false["price"] * false["quantity"]}
    # The stay is part of it, though the group that is paid for it stays the same.
    claims_of_it = np.concatenate([visits.claims["key"], stays["key"]])
    amount = np.repeat([WHOLE, 0], size(stays))
    return Deeds((cast,), marks(claims_of_it, amount), marked, care=joined)


def _movable(stage: Stage, care: Care, stays: Rows) -> Array:
    """Positions of the lines that go elsewhere: one of an item, of what can be billed at a visit as well."""
    lib = stage.city.library
    fit = lib.is_category("laboratory", "examination") | (lib.is_category("drug") & ~lib.is_injection)
    fit &= lib.items["visit_type_limit"] == ""
    own = np.flatnonzero(of_claims(care.lines, stays["key"]) & fit[care.lines["item"]])
    _, first = np.unique(care.lines["claim"][own] * 10_000 + care.lines["item"][own], return_index=True)
    return np.sort(own[first][stage.hits(len(first), "moved")]) if len(own) else own


def _with_some(stays: Rows, hidden: Array, keys: Array) -> tuple[Rows, Array]:
    """Those of the stays that have something to move."""
    some = np.isin(stays["key"], keys)
    return take(stays, some), hidden[some]


def _beside(stage: Stage, care: Care, stays: Rows, hidden: Array) -> Care:
    """A visit for each stay, one to three days before it, or within it where little is hidden."""
    city, rng, n = stage.city, stage.rng, size(stays)
    inside = rng.random(n) > 0.35 + 0.6 * hidden
    ahead = np.where(inside, -1 - np.floor(rng.random(n) * (stays["nights"] - 1)), between(rng, (1, 3), n))
    begins = (stays["admitted"] // DAY - ahead.astype(np.int64)) * DAY + clock(OUTPATIENT, n, rng)
    begins = np.where(begins < city.begins, stays["admitted"] + 3600, begins)
    visits = claims_of(
        care.next_key, patient=stays["patient"], provider=stays["provider"], disease=stays["disease"],
        kind=np.full(n, OUTPATIENT), admitted=begins,
        physician=_in_charge(city, stays["provider"], stays["disease"], begins, rng),
    )  # fmt: skip
    return visits_care(city, visits, rng)
