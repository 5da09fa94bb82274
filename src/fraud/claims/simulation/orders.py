"""What is ordered at a visit or on a ward, for the diseases that are treated: honest lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fraud.claims.simulation.care import (
    CHRONIC,
    EMERGENCY,
    OUTPATIENT,
    PHARMACY_VISIT,
    VISIT_TYPES,
    City,
    days_of,
    lines_of,
)
from fraud.claims.simulation.items import SUPPLY_DAYS, Library, Order
from fraud.claims.simulation.people import FEMALE
from fraud.claims.simulation.providers import PRIMARY, SECONDARY
from fraud.claims.simulation.rows import DAY, HOUR, NONE, Array, Rows, size, spread, stack, take

__all__ = ["ORDER_SECONDS", "SALE_SECONDS", "VISIT_SECONDS", "priced", "visit_lines", "ward_lines"]

LATER = 0.75  # how much of the usual is ordered when somebody comes again
SESSIONS = ("N185", "Z510")  # a session is the same every time
# Seconds after the beginning in which something is handed over or done at a purchase and at a visit, and the
# most by which an order comes before it.
SALE_SECONDS, VISIT_SECONDS, ORDER_SECONDS = (20, 59), (120, 475), 1500
LONG, SHORT = 84, 28  # days that a prescription for a chronic condition lasts
WARD_DAILY = ("nebuliser", "oxygen", "monitoring", "ventilator", "enteral")


def drawn(
    orders: Sequence[tuple[Order, ...]], disease: Array, taste: Array, fixed: Array, scale: Array,
    rng: np.random.Generator,
) -> tuple[Array, Array]:  # fmt: skip
    """Positions of `disease` and the items ordered; where `fixed`, a person's taste picks among equals.

    `scale` says how many of the usual orders are given.
    """
    owners, items = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for d in np.unique(disease):
        rows = np.flatnonzero(disease == d)
        for turn, order in enumerate(orders[d]):
            hit = rows[rng.random(len(rows)) < order.chance * scale[rows]]
            habit = (taste[hit] * 7.31 + turn * 0.618) % 1.0
            which = np.where(fixed[hit], habit, rng.random(len(hit))) * len(order.items)
            owners.append(hit)
            items.append(order.items[which.astype(np.int64)])
    return np.concatenate(owners), np.concatenate(items)


def _allowed(city: City, claims: Rows, at: Array, item: Array) -> Array:
    """Whether limits of sex, age, level and kind of visit let the item be given at the claim."""
    items = city.library.items
    person = claims["patient"][at]
    age = np.floor(city.people.age(person, claims["admitted"][at]))
    sex = np.where(city.people.sex[person] == FEMALE, "female", "male")
    low, high = np.nan_to_num(items["age_min"], nan=0)[item], np.nan_to_num(items["age_max"], nan=200)[item]
    kind = np.array(VISIT_TYPES, dtype=object)[claims["kind"][at]]
    fits_sex = (items["sex_limit"][item] == "") | (items["sex_limit"][item] == sex)
    fits_kind = (items["visit_type_limit"][item] == "") | (items["visit_type_limit"][item] == kind)
    level = city.providers.level[claims["provider"][at]] >= items["level"][item]
    shop = (claims["kind"][at] != PHARMACY_VISIT) | (
        city.library.is_category("drug")[item] & ~city.library.is_injection[item]
    )
    machine = city.providers.machines[claims["provider"][at], item]
    return np.asarray(fits_sex & fits_kind & level & shop & machine & (age >= low) & (age <= high))


def without_included(lib: Library, lines: Rows) -> Rows:
    """The lines without repeats of an item on a day, and without what a package of that day includes."""
    base = (lines["claim"] * 100_000 + lines["at"] // DAY) * len(lib.items["key"])
    _, first = np.unique(base + lines["item"], return_index=True)
    keep = np.zeros(size(lines), bool)
    keep[first] = True
    for package, included in zip(lib.exclusions["package"], lib.exclusions["included"], strict=True):
        part = np.flatnonzero(lines["item"] == included)
        keep[part] &= ~np.isin(base[part], base[lines["item"] == package])
    kept = take(lines, keep)
    return kept | {"key": np.arange(size(kept))}


def priced(city: City, claims: Rows, lines: Rows) -> Rows:
    """The lines at the prices of the claims' providers."""
    at = np.searchsorted(claims["key"], lines["claim"])
    return lines | {"price": city.providers.price_of(claims["provider"][at], lines["item"], lines["at"])}


def _reported(city: City, claims: Rows, lines: Rows, slow: float, rng: np.random.Generator) -> Rows:
    """Orders are carried out some minutes after they were given; examinations and tests get a report."""
    n, lib = size(lines), city.library
    since = lines["at"] - claims["admitted"][np.searchsorted(claims["key"], lines["claim"])]
    tested = lib.is_category("laboratory", "examination")[lines["item"]]
    automatic = lib.is_category("bed", "nursing", "other")[lines["item"]]
    ordered = lines["at"] - (rng.random(n) * np.minimum(since, ORDER_SECONDS)).astype(np.int64)
    executed = lines["at"] + rng.integers(30, 2400, n)
    reported = executed + (rng.gamma(2.0, slow / 2, n) * HOUR).astype(np.int64) + 300
    positive = (rng.random(n) < np.nan_to_num(lib.items["positive_rate"], nan=0.4)[lines["item"]]).astype(np.int64)
    return lines | {
        "ordered": np.where(automatic, NONE, ordered),
        "executed": np.where(automatic, NONE, executed),
        "reported": np.where(tested, reported, NONE),
        "positive": np.where(tested, positive, -1),
    }


def visit_lines(city: City, claims: Rows, at: Array, disease: Array, rng: np.random.Generator) -> Rows:
    """Lines of visits and purchases; `at` (positions of claims) and `disease` say what is treated where."""
    lib = city.library
    long_term = (lib.diseases["prevalence"] > 0)[disease]
    taste = city.people.taste[claims["patient"][at]]
    session = np.isin(lib.diseases["code"], SESSIONS)[disease]
    scale = np.where((claims["turn"][at] > 0) & ~session, LATER, 1.0)
    pair, item = drawn(lib.visit_orders, disease, taste, long_term, scale, rng)
    fee_at, fee = _fees(city, claims, rng)
    where = np.concatenate([at[pair], fee_at])
    item = np.concatenate([item, fee])
    lasting = np.concatenate([long_term[pair], np.zeros(len(fee), bool)])
    allowed = _allowed(city, claims, where, item)
    where, item, lasting = where[allowed], item[allowed], lasting[allowed]
    bare, staple = _staples(city, claims, where)
    where, item = np.concatenate([where, bare]), np.concatenate([item, staple])
    lasting = np.concatenate([lasting, (lib.diseases["prevalence"] > 0)[claims["disease"][bare]]])
    long = city.people.taste[claims["patient"][where]] < city.rates["care"]["long_prescription"]
    # A prescription for a chronic condition lasts four or twelve weeks, others about a week.
    target = np.where(lasting, np.where(long, LONG, SHORT), rng.integers(4, 9, len(where)))
    quantity, supply = _boxes(lib, item, target)
    # Before the shortest waits for the settlement are over, see `with_desk`.
    n, shop = len(where), claims["kind"] == PHARMACY_VISIT
    lines = lines_of(
        claim=claims["key"][where],
        item=item,
        quantity=quantity,
        at=claims["admitted"][where]
        + np.where(shop[where], rng.integers(*SALE_SECONDS, n), rng.integers(*VISIT_SECONDS, n)),
        supply=supply,
    )
    return priced(city, claims, _reported(city, claims, without_included(lib, lines), 0.8, rng))


def _staples(city: City, claims: Rows, where: Array) -> tuple[Array, Array]:
    """The usual drug for each purchase that has no line yet: nobody leaves a pharmacy with nothing."""
    lib = city.library
    boxed = lib.is_category("drug") & ~lib.is_injection
    usual = [next((o.items[0] for o in orders if boxed[o.items[0]]), -1) for orders in lib.visit_orders]
    empty = (claims["kind"] == PHARMACY_VISIT) & ~np.isin(np.arange(size(claims)), where)
    bare = np.flatnonzero(empty)
    item = np.array(usual)[claims["disease"][bare]]
    allowed = (item >= 0) & _allowed(city, claims, bare, item)
    return bare[allowed], item[allowed]


def _boxes(lib: Library, item: Array, target: Array) -> tuple[Array, Array]:
    """Units handed out to last about `target` days, within the longest supply, and the days they last."""
    unit = np.nan_to_num(lib.items[SUPPLY_DAYS], nan=0)[item]
    most = np.nan_to_num(lib.items["max_days_supply"], nan=0)[item]
    drug = lib.is_category("drug")[item]
    boxed = drug & ~lib.is_injection[item]
    units = np.where(boxed, np.floor(np.minimum(target, most) / np.maximum(unit, 1) + 0.35), 1).clip(1)
    units = np.where(boxed & (units * unit > most), np.maximum(units - 1, 1), units)
    return units.astype(np.int64), np.where(drug, units * unit, 0).astype(np.int64)


def _fees(city: City, claims: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
    """The consultation fee of each visit that has one."""
    plain, expert, urgent = city.library.keys("consult", "consult_expert", "consult_emergency")
    seen = np.flatnonzero(np.isin(claims["kind"], (OUTPATIENT, EMERGENCY, CHRONIC)))
    big = city.providers.tier[claims["provider"][seen]] <= SECONDARY
    senior = big & (rng.random(len(seen)) < 0.35)
    fee = np.where(claims["kind"][seen] == EMERGENCY, urgent, np.where(senior, expert, plain))
    return seen, fee


def ward_lines(city: City, stays: Rows, rng: np.random.Generator) -> Rows:
    """Lines of stays, day by day: bed, nursing, what the disease asks for and what complications add."""
    lib, n = city.library, size(stays)
    taste = city.people.taste[stays["patient"]]
    at, item = drawn(lib.ward_orders, stays["disease"], taste, np.zeros(n, bool), np.ones(n), rng)
    common_at, common = _common(city, stays, rng)
    at, item = np.concatenate([at, common_at]), np.concatenate([item, common])
    item = _for_tumour(city, stays, at, item)
    allowed = _allowed(city, stays, at, item)
    at, item = at[allowed], item[allowed]
    lying = lib.is_category("bed")[item]
    own_bed = np.full(n, -1)
    own_bed[at[lying]] = item[lying]
    parts = [
        _ordered_days(city, stays, at[~lying], item[~lying], rng),
        _bed_days(city, stays, own_bed, rng),
    ]
    lines = _in_charge(city, stays, without_included(lib, stack(parts)), rng)
    return priced(city, stays, _reported(city, stays, lines, 5.0, rng))


def _in_charge(city: City, stays: Rows, lines: Rows, rng: np.random.Generator) -> Rows:
    """The lines with who ordered them: the physician of the stay, or who stands in while that one is away."""
    at = np.searchsorted(stays["key"], lines["claim"])
    who = stays["physician"][at]
    away = np.flatnonzero((who >= 0) & city.physicians.is_away(who, lines["at"]))
    house, department = stays["provider"][at[away]], city.library.department_of[stays["disease"][at[away]]]
    other = city.physicians.on_ward(house, department, lines["at"][away], rng)
    who[away] = np.where(other >= 0, other, who[away])
    return lines | {"physician": who}


TUMOUR_DRUGS = {
    "C349": ("pemetrexed", "paclitaxel"),
    "C189": ("oxaliplatin",),
    "C169": ("oxaliplatin", "paclitaxel"),
}


def _for_tumour(city: City, stays: Rows, at: Array, item: Array) -> Array:
    """The ordered items, with the drug of a chemotherapy replaced by one that is paid for the tumour."""
    lib = city.library
    chosen = np.full(size(stays), lib.position["paclitaxel"])
    carried = city.people.conditions[stays["patient"]]
    for code, names in TUMOUR_DRUGS.items():
        ill = carried[:, lib.disease[code]]
        habit = (city.people.taste[stays["patient"]] * len(names)).astype(np.int64)
        chosen = np.where(ill, lib.keys(*names)[habit], chosen)
    drug = np.isin(item, lib.keys("pemetrexed", "paclitaxel", "oxaliplatin"))
    return np.where(drug, chosen[at], item)


def _common(city: City, stays: Rows, rng: np.random.Generator) -> tuple[Array, Array]:
    """What every ward orders, what operations need, and what complications add."""
    lib, n = city.library, size(stays)
    everything, grave = np.arange(n), stays["severity"]
    parts: list[tuple[Array, str]] = [
        (everything, "consult_ward"),
        (rng.random(n) < 0.95, "blood_count"),
        (rng.random(n) < 0.8, "biochem_panel"),
        (rng.random(n) < 0.55, "coagulation"),
        (rng.random(n) < 0.7, "ecg"),
        (rng.random(n) < 0.5, "urinalysis"),
        (rng.random(n) < 0.35, "xray_chest"),
        (rng.random(n) < 0.3, "saline"),
        (rng.random(n) < 0.75, "infusion"),
        ((rng.random(n) < 0.45) & (grave >= 1), "electrolytes"),
        ((rng.random(n) < 0.3) & (grave >= 1), "oxygen"),
        ((rng.random(n) < 0.8) & (grave >= 2), "monitoring"),
        ((rng.random(n) < 0.5) & (grave >= 2), "meropenem"),
        ((rng.random(n) < 0.45) & (grave >= 2), "albumin"),
        ((rng.random(n) < 0.6) & (grave >= 2), "blood_gas"),
        ((rng.random(n) < 0.5) & (grave >= 2), "procalcitonin"),
        ((rng.random(n) < 0.25) & (grave >= 2), "ventilator"),
    ]
    ats = [np.flatnonzero(mask) if mask.dtype == bool else mask for mask, _ in parts]
    keys = [np.full(len(a), lib.position[name]) for a, (_, name) in zip(ats, parts, strict=True)]
    return np.concatenate(ats), np.concatenate(keys)


def _ordered_days(city: City, stays: Rows, at: Array, item: Array, rng: np.random.Generator) -> Rows:
    """One line for each day on which the item is given; operations bring anaesthesia along."""
    lib, nights = city.library, stays["nights"][at]
    n = len(item)
    surgery = lib.is_category("surgery")[item]
    implant = lib.is_category("consumable")[item]
    daily = _given_daily(lib)[item]
    repeated = lib.is_category("laboratory")[item] & (rng.random(n) < 0.45)
    course = np.ceil(nights * rng.uniform(0.45, 0.95, n)).astype(np.int64)
    once_only = np.isin(item, lib.keys("alteplase", "oxytocin", "paclitaxel", "oxaliplatin", "pemetrexed"))
    count = np.where(daily & ~once_only, course, np.where(repeated, np.ceil(nights / 5), 1)).astype(np.int64).clip(1)
    step = np.where(repeated & ~daily, 5, 1)
    operation_day = np.minimum(1, nights - 1)
    # Courses begin on the first day, or end on the last one: no day goes by without an order for long.
    late = daily & ~once_only & (rng.random(n) < 0.5)
    first = np.where(surgery | implant, operation_day, np.where(late, nights - course, 0))
    dressing = item == lib.position["wound_dressing"]
    count = np.where(dressing, np.ceil(nights / 2.5), count).astype(np.int64).clip(1)
    step, first = (
        np.where(dressing, 2, step),
        np.where(dressing, np.minimum(operation_day + 1, nights - 1), first),
    )
    owner, turn = spread(np.zeros(n, np.int64), count)
    day = first[owner] + turn * step[owner]
    inside = day < nights[owner]
    owner, day = owner[inside], day[inside]
    quantity, supply = _boxes(lib, item, nights)
    # Vials or hours of a day: the same for a patient throughout the stay.
    given = np.where(lib.is_injection[item] & ~once_only, rng.integers(2, 6, n), quantity)
    given = np.where(_by_the_hour(lib)[item], rng.integers(6, 21, n), given)
    given = np.minimum(given, np.nan_to_num(lib.items["max_per_day"], nan=99)[item].astype(np.int64))
    lines = _at_day(stays, at[owner], item[owner], day, given[owner], supply[owner], rng)
    asleep = np.array([lib.position.get(key, -1) for key in lib.items["anaesthesia"]])[item]
    under = surgery & (asleep >= 0)
    extra = asleep[under]
    ones = np.ones(len(extra), np.int64)
    narcosis = _at_day(stays, at[under], extra, operation_day[under], ones, ones * 0, rng)
    return stack([lines, narcosis])


def _by_the_hour(lib: Library) -> Array:
    """For each item, whether its units are hours of a day."""
    return np.array([str(key).endswith("_hour") for key in lib.items["key"]])


def _given_daily(lib: Library) -> Array:
    """For each item, whether it is given day after day on a ward: infusions, therapy, nursing, oxygen."""
    by_day = np.array([str(name).endswith("(日)") for name in lib.items["name"]])
    named = np.isin(lib.items["key"], [*WARD_DAILY, "infusion"])
    return np.asarray(lib.is_injection | lib.is_category("therapy", "nursing") | named | by_day | _by_the_hour(lib))


def _bed_days(city: City, stays: Rows, own_bed: Array, rng: np.random.Generator) -> Rows:
    """A bed and a grade of nursing for every day of every stay; `own_bed` where the disease needs another one."""
    lib, which = city.library, np.arange(size(stays))
    owner, day = days_of(stays["nights"])
    tier = city.providers.tier[stays["provider"]][owner]
    grave = stays["severity"][owner]
    two_beds = ((city.people.taste[stays["patient"]] * 5.3) % 1.0 < 0.4)[owner] & (tier <= SECONDARY)
    intensive = (grave >= 2) & (tier <= SECONDARY) & (day < 3)
    bed = np.select([intensive, two_beds], list(lib.keys("bed_icu", "bed_two")), lib.position["bed"])
    bed = np.where(own_bed[owner] >= 0, own_bed[owner], bed)
    close = (grave >= 1) & (day < 3)
    light = (tier == PRIMARY) | (day >= 6)
    grades = lib.keys("nursing_icu", "nursing_i", "nursing_iii")
    nursing = np.select([intensive, close, light], list(grades), lib.position["nursing_ii"])
    ones = np.ones(len(owner), np.int64)
    parts = [_at_day(stays, which[owner], item, day, ones, ones * 0, rng) for item in (bed, nursing)]
    return stack(parts)


def _at_day(
    stays: Rows, at: Array, item: Array, day: Array, quantity: Array, supply: Array, rng: np.random.Generator
) -> Rows:
    """Lines on the given days of stays: after the admission on the first day, in working hours on others."""
    begins = stays["admitted"][at]
    midnight = begins // DAY * DAY
    rest = midnight + DAY - 60 - begins
    first = begins + (rng.random(len(at)) * np.clip(rest, 20, 8 * HOUR)).astype(np.int64)
    later = midnight + day * DAY + rng.integers(7 * HOUR, 18 * HOUR, len(at))
    at_second = np.where(day == 0, first, later)
    return lines_of(claim=stays["key"][at], item=item, quantity=quantity, at=at_second, supply=supply)
