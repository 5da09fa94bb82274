"""Courses of illness and of life: what follows a visit or a stay, pregnancies, children, series of therapy."""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import (
    BY_REFERRAL,
    EMERGENCY,
    INPATIENT,
    OUTPATIENT,
    PHARMACY_VISIT,
    City,
    at_large,
    claims_of,
    clock,
)
from fraud.claims.simulation.people import FEMALE
from fraud.claims.simulation.providers import SECONDARY, TERTIARY
from fraud.claims.simulation.rows import DAY, HOUR, Array, Rows, draw, occurrence, size, spread, stack, take
from fraud.claims.simulation.seasons import after_holidays, is_holiday

__all__ = [
    "SERIES",
    "TUMOURS",
    "antenatal",
    "around_stays",
    "attended",
    "births",
    "caused",
    "child_checks",
    "chosen_tier",
]
__all__ += ["deliveries", "follow_ups", "has_remedy", "patients_for", "radiotherapy", "with_end"]

# Reasons for care that come in series of their own, never by chance.
SERIES = ("O800", "O820", "R54", "Z001", "Z349", "Z509", "Z510", "Z511", "Z515")
# Who is more likely to be admitted for a disease: those who live with one of these.
RISKS = {
    "I219": ("I251", "I10", "E119"),
    "I500": ("I251", "I10", "J449"),
    "I639": ("I10", "E119", "I251", "I693"),
    "I200": ("I251", "I10"),
    "J189": ("J449", "I693", "G309"),
    "E117": ("E119",),
    "N185": ("N183", "E119"),
    "S720": ("G20", "G309"),
}
TUMOURS = ("C349", "C189", "C169", "C509")
AGAIN = (0.2, 0.42, 0.55)  # chance of another visit by the complexity of the disease
REFERRED = 0.12  # of the visits that follow: to a higher level
CHECK_DAYS = (30, 91, 183, 243, 365, 548, 730, 913, 1095)  # ages at which children are seen


def patients_for(city: City, disease: Array, rate: str, rng: np.random.Generator) -> Array:
    """For each case of a disease, a person who may have it: the frail, and the old for what kills the old."""
    folk, lib, n_people = city.people, city.library, len(city.people)
    everyone = np.arange(n_people)
    # Those born within the period are judged as the infants they will be.
    midway = np.maximum(city.begins + city.days * DAY // 2, (folk.birth + 100) * DAY)
    age = folk.age(everyone, midway)
    onset = np.exp(np.clip(age - 50, 0, 35) / 22) if rate == "stays" else 1 + np.clip(age - 60, 0, 30) / 60
    frail = folk.frailty * onset
    out = np.zeros(len(disease), np.int64)
    order = np.argsort(disease, kind="stable")
    found, first = np.unique(disease[order], return_index=True)
    for d, where in zip(found.tolist(), np.split(order, first[1:]), strict=True):
        may = folk.fits(everyone, np.full(n_people, d), lib, midway)
        weight = frail * np.where((age < 8) & (lib.diseases["season"][d] != 0), 2.2, 1.0)
        if lib.diseases["prevalence"][d] > 0:
            weight = weight * (1 + 9.0 * folk.conditions[:, d])
        risks = [lib.disease[c] for c in RISKS.get(lib.diseases["code"][d], ()) if c in lib.disease]
        if risks:
            weight = weight * (1 + 2.5 * folk.conditions[:, risks].any(axis=1))
        out[where] = draw(rng, np.where(may, weight, 0) + 1e-12 * may, len(where))
    return out


def chosen_tier(complexity: Array, shares: list[list[float]], rng: np.random.Generator) -> Array:
    """For each case, a tier of providers by the complexity of the disease."""
    out = np.zeros(len(complexity), np.int64)
    for level, share in enumerate(shares, start=1):
        where = np.flatnonzero(complexity == level)
        out[where] = draw(rng, np.array(share), len(where))
    return out


def _market_days(city: City, claims: Rows) -> Array:
    """When visits begin: at the village clinic on market days, Wednesday and Saturday, when all come together."""
    begins = claims["admitted"]
    weekday = (begins // DAY + 3) % 7
    ahead = np.where(weekday <= 2, 2 - weekday, np.where(weekday <= 5, 5 - weekday, 3))
    moved = begins + ahead * DAY
    return np.where(claims["provider"] == city.providers.village, moved, begins)


def has_remedy(city: City) -> Array:
    """For each disease, whether a drug out of a box is usual: people may buy it themselves."""
    lib = city.library
    boxed = lib.is_category("drug") & ~lib.is_injection
    return np.array([any(boxed[o.items].all() for o in orders) for orders in lib.visit_orders])


def attended(city: City, claims: Rows, rng: np.random.Generator, later: int = 0) -> Rows:
    """The visits with a physician on duty at a house that is open; those that find none drop out.

    Up to `later` days people try again. Pharmacies need no physician. Who has a physician in the family goes
    to that one.
    """
    claims = {**claims, "physician": np.full(size(claims), -1), "admitted": _market_days(city, claims)}
    shop = claims["kind"] == PHARMACY_VISIT
    waiting = np.flatnonzero(~shop)
    for day in range(later + 1):
        claims["admitted"][waiting] += DAY * (day > 0)
        claims["physician"][waiting] = _on_duty(city, take(claims, waiting), rng)
        waiting = waiting[claims["physician"][waiting] < 0]
    served = city.providers.open_at(claims["provider"], claims["admitted"])
    served &= ((claims["physician"] >= 0) | shop) & (claims["admitted"] < city.ends)
    return take(claims, served)


def _on_duty(city: City, visits: Rows, rng: np.random.Generator) -> Array:
    """Who sees each visit: a relative, the one who saw the patient before, or somebody on duty; -1: nobody."""
    staff, house, at = city.physicians, visits["provider"], visits["admitted"]
    someone = staff.on_duty(house, city.library.department_of[visits["disease"]], rng, at)
    relative = staff.relative[city.people.household[visits["patient"]]]
    own = (relative >= 0) & (staff.provider[relative.clip(0)] == house) & staff.works(relative.clip(0), at)
    someone = np.where(own & (someone >= 0), relative, someone)
    return np.where(city.providers.open_at(house, at), someone, -1)


def caused(city: City, claims: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
    """Positions of the claims for injuries, and what caused them: it is written down nearly always."""
    ats, codes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for disease, causes in enumerate(city.library.causes_of):
        if len(causes):
            where = np.flatnonzero((claims["disease"] == disease) & (rng.random(size(claims)) < 0.93))
            ats.append(where)
            codes.append(rng.choice(causes, len(where)))
    return np.concatenate(ats), np.concatenate(codes)


def follow_ups(city: City, visits: Rows, rng: np.random.Generator) -> Rows:
    """What follows first visits: the same house and mostly the same physician again, or one of a higher level."""
    complexity = city.library.diseases["complexity"].astype(np.int64)
    parts = [take(visits, np.zeros(0, np.int64))]
    current = visits
    for turn in (1, 2, 3):
        current = take(current, rng.random(size(current)) < np.array(AGAIN)[complexity[current["disease"]] - 1])
        current = _next_visit(city, current, turn, rng)
        parts.append(current)
    return stack(parts)


def _next_visit(city: City, visits: Rows, turn: int, rng: np.random.Generator) -> Rows:
    n, houses = size(visits), city.providers
    gap = np.exp(rng.normal(np.log(7), 0.5, n)).clip(2, 40).astype(np.int64)
    begins = after_holidays(visits["admitted"] // DAY + gap, rng) * DAY + clock(OUTPATIENT, n, rng)
    tier = houses.tier[visits["provider"]]
    hard = city.library.diseases["complexity"][visits["disease"]] >= 2
    up = (tier > TERTIARY) & (rng.random(n) < np.where(hard, 2 * REFERRED, REFERRED / 2))
    higher = np.where(tier > SECONDARY, SECONDARY, TERTIARY)
    sent_to = houses.visited(visits["patient"], higher, city.people, city.rates["providers"], rng, begins)
    again = {
        **visits,
        "admitted": begins,
        "kind": np.full(n, OUTPATIENT),
        "provider": np.where(up, sent_to, visits["provider"]),
        "sent": np.where(up, BY_REFERRAL, visits["sent"]),
        "turn": np.full(n, turn),
    }
    fits = city.people.fits(again["patient"], again["disease"], city.library, begins)
    known = np.where(up, -1, visits["physician"])
    return _seen_by(city, attended(city, take(again | {"known": known}, fits), rng, later=2), rng)


def _seen_by(city: City, visits: Rows, rng: np.random.Generator) -> Rows:
    """The visits with the physician who knows the patient, where that one is at work."""
    known = visits["known"]
    visits = {name: column for name, column in visits.items() if name != "known"}
    same = (known >= 0) & city.physicians.works(known.clip(0), visits["admitted"]) & (rng.random(len(known)) < 0.75)
    return visits | {"physician": np.where(same, known, visits["physician"])}


def around_stays(city: City, stays: Rows, rng: np.random.Generator) -> Rows:
    """Visits that belong to stays: at the emergency desk hours before, at the clinic before, and for a check after."""
    series = np.isin(city.library.diseases["code"], SERIES)[stays["disease"]]
    surgical = city.library.is_surgical[stays["disease"]]
    common = take(stays, ~series)
    n, operated = size(common), surgical[~series]
    sudden = take(common, (common["planned"] != 1) & (rng.random(n) < 0.42))
    hours = sudden["admitted"] - rng.integers(100 * 60, 6 * HOUR, size(sudden))
    before = take(common, (common["planned"] == 1) & (rng.random(n) < 0.6))
    days = (before["admitted"] // DAY - rng.integers(2, 15, size(before))) * DAY + clock(OUTPATIENT, size(before), rng)
    home = (common["status"] == 0) & (rng.random(n) < np.where(operated, 0.7, 0.45))
    after = take(common, home)
    weeks = after_holidays(after["discharged"] // DAY + rng.integers(6, 36, size(after)), rng) * DAY
    weeks = weeks + clock(OUTPATIENT, size(after), rng)
    urgent = attended(city, _as_visits(sudden, EMERGENCY, hours, 0), rng)
    calm = stack([_as_visits(before, OUTPATIENT, days, 0), _as_visits(after, OUTPATIENT, weeks, 1)])
    calm = attended(city, calm, rng, later=2)
    calm = take(calm, at_large(city, calm, stays))
    both = stack([urgent, calm])
    fits = city.people.fits(both["patient"], both["disease"], city.library, both["admitted"])
    return take(both, fits & (both["admitted"] >= city.begins))


def _as_visits(stays: Rows, kind: int, begins: Array, turn: int) -> Rows:
    n = size(stays)
    return claims_of(
        0, patient=stays["patient"], provider=stays["provider"], kind=np.full(n, kind), disease=stays["disease"],
        admitted=begins, turn=np.full(n, turn),
    )  # fmt: skip


def births(city: City) -> Rows:
    """Births: mother, child (-1 for those after the period), second. Always the same ones for a city."""
    rng, folk = city.stream("births"), city.people
    born = np.flatnonzero((folk.birth > city.start + 3) & (folk.birth < city.start + city.days))
    born = born[folk.twin[born] < 0]
    expected = round(len(born) * 250 / city.days)
    child = np.r_[born, np.full(expected, -1)]
    day = np.r_[folk.birth[born], city.start + city.days + rng.integers(0, 250, expected)]
    age = folk.age(np.arange(len(folk)), np.full(len(folk), city.begins + city.days * DAY // 2))
    able = (folk.sex == FEMALE) & (age > 20.5) & (age < 40) & ~folk.conditions.any(axis=1)
    women = rng.permutation(np.flatnonzero(able))[: len(child)]
    child, day = child[: len(women)], day[: len(women)]
    return {"patient": women, "child": child, "at": day * DAY + rng.integers(0, DAY, len(women))}


def antenatal(city: City, rng: np.random.Generator) -> Rows:
    """Visits of pregnant women: every four weeks from the twelfth week, every week at the end."""
    born = births(city)
    weeks = np.array([12, 16, 20, 24, 28, 30, 32, 34, 36, 37, 38, 39])
    owner, turn = np.divmod(np.arange(size(born) * len(weeks)), len(weeks))
    day = born["at"][owner] // DAY - (40 - weeks[turn]) * 7 + rng.integers(-3, 4, len(owner))
    day = np.minimum(day, born["at"][owner] // DAY - 1)
    kept = (rng.random(len(owner)) < 0.85) & (day >= city.start) & (day < city.start + city.days)
    owner, day = owner[kept], day[kept]
    return _series_visits(city, "Z349", born["patient"], owner, day, np.array([0.3, 0.55, 0.15]), rng)


def child_checks(city: City, rng: np.random.Generator) -> Rows:
    """Check-ups of small children at the health centre, at the ages at which they are due."""
    folk = city.people
    child = np.flatnonzero((folk.birth > city.start - CHECK_DAYS[-1]) & (folk.birth < city.start + city.days))
    owner, turn = np.divmod(np.arange(len(child) * len(CHECK_DAYS)), len(CHECK_DAYS))
    day = folk.birth[child[owner]] + np.array(CHECK_DAYS)[turn] + rng.integers(0, 21, len(owner))
    kept = (rng.random(len(owner)) < 0.8) & (day >= city.start) & (day < city.start + city.days)
    return _series_visits(city, "Z001", child, owner[kept], day[kept], np.array([0.05, 0.2, 0.75]), rng)


def _series_visits(
    city: City, code: str, people: Array, owner: Array, day: Array, tiers: Array, rng: np.random.Generator
) -> Rows:
    """Visits on given days, all of a person at one house of a tier; none where the library lacks the reason."""
    n = len(owner) * (code in city.library.disease)
    owner, day = owner[:n], _workday(after_holidays(day[:n], rng))
    tier = draw(rng, tiers, len(people))
    at = day * DAY + clock(OUTPATIENT, n, rng)
    claims = claims_of(
        0, patient=people[owner], provider=city.providers.usual[people, tier][owner], kind=np.full(n, OUTPATIENT),
        disease=np.full(n, city.library.disease.get(code, 0)), admitted=at,
    )  # fmt: skip
    fits = city.people.fits(claims["patient"], claims["disease"], city.library, at)
    # Two that fall on one day are one.
    first = np.unique(claims["patient"] * 100_000 + day, return_index=True)[1]
    fits &= np.isin(np.arange(n), first)
    return attended(city, take(claims, fits), rng, later=2)


def _workday(day: Array) -> Array:
    """The same days, or the Monday after for those on a weekend."""
    return np.asarray(day + np.array([0, 0, 0, 0, 0, 2, 1])[(day + 3) % 7])


def radiotherapy(city: City, rng: np.random.Generator) -> Rows:
    """Series of sessions on every weekday for five weeks, at one hospital and nearly the same hour."""
    lib, folk = city.library, city.people
    ill = np.flatnonzero(folk.conditions[:, [lib.disease[c] for c in TUMOURS]].any(axis=1))
    person = ill[rng.random(len(ill)) < 0.15 * ("Z510" in lib.disease)]
    first = city.start + rng.integers(-20, city.days, len(person))
    owner, turn = spread(np.zeros(len(person), np.int64), np.full(len(person), 35))
    day = first[owner] + turn
    due = ((day + 3) % 7 < 5) & ~is_holiday(day) & (day >= city.start) & (day < city.start + city.days)
    owner, day = owner[due], day[due]
    n, hour = len(owner), rng.integers(8, 17, len(person))
    claims = claims_of(
        0, patient=person[owner], provider=city.providers.usual[person, TERTIARY][owner], kind=np.full(n, OUTPATIENT),
        disease=np.full(n, lib.disease.get("Z510", 0)),
        admitted=day * DAY + hour[owner] * HOUR + rng.integers(0, 1500, n),
        turn=occurrence(owner),
    )  # fmt: skip
    return attended(city, claims, rng)


def deliveries(city: City, rng: np.random.Generator) -> Rows:
    """Stays for the births of the period: a caesarean is planned and longer."""
    lib, born = city.library, births(city)
    born = take(born, (born["child"] >= 0) & (rng.random(size(born)) < 0.985))
    n = size(born)
    caesarean = rng.random(n) < city.rates["care"]["caesarean"]
    tier = draw(rng, np.array([0.4, 0.6]), n)
    disease = np.where(caesarean, lib.disease["O820"], lib.disease["O800"])
    usual = lib.diseases["los"][disease]
    claims = claims_of(
        0, patient=born["patient"], provider=city.providers.usual[born["patient"], tier],
        kind=np.full(n, INPATIENT), disease=disease, planned=caesarean.astype(np.int64),
        admitted=born["at"] - rng.integers(2 * HOUR, 20 * HOUR, n), severity=(rng.random(n) < 0.12).astype(np.int64),
        nights=np.round(usual + rng.normal(0.3, 0.8, n)).astype(np.int64).clip(2),
    )  # fmt: skip
    return with_end(take(claims, city.people.fits(claims["patient"], disease, lib, claims["admitted"])), rng)


def with_end(claims: Rows, rng: np.random.Generator) -> Rows:
    """The stays with a discharge in working hours, after their nights."""
    n = size(claims)
    end = (claims["admitted"] // DAY + claims["nights"]) * DAY + 9 * HOUR + rng.integers(0, 7 * HOUR, n)
    return claims | {"discharged": end}
