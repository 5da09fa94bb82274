"""What schemes that bend claims share: finding lines, changing them, adding to them, the limits they are held to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fraud.claims.simulation.care import INPATIENT, PHARMACY_VISIT, VISIT_TYPES, Care, City
from fraud.claims.simulation.items import Library
from fraud.claims.simulation.orders import ORDER_SECONDS, SALE_SECONDS, VISIT_SECONDS
from fraud.claims.simulation.people import FEMALE
from fraud.claims.simulation.rows import DAY, NONE, Array, Rows, occurrence, size, spread, stack, take
from fraud.claims.simulation.schemes.stage import Cast, Deeds, Stage, marks
from fraud.claims.simulation.schemes.timing import SPAN, sent_once, timed
from fraud.claims.simulation.schemes.visits import fresh

__all__ = ["bent_lines", "copied", "covered", "given", "indicated", "last_before", "lawful", "lines_at", "new_on_day"]
__all__ += ["one_each", "struck"]
__all__ += ["timed_like", "with_changes", "with_lines"]


def struck(stage: Stage, cast: Cast, claims: Rows, may: Array | None = None) -> tuple[Array, Array]:
    """Positions of the claims at which a house takes its chance, and the actors; `may` masks the occasions.

    Claims that came in twice by mistake are left alone: the other one would tell.
    """
    own = np.isin(claims["provider"], cast.who)
    at = np.flatnonzero(own if may is None else own & may)
    at = at[sent_once(claims, at)]
    actor = stage.strikes(cast, claims["provider"][at], claims["admitted"][at])
    return at[actor >= 0], actor[actor >= 0]


def lines_at(care: Care, at: Array) -> tuple[Array, Array]:
    """Positions of the lines of the claims at these positions, and for each line which of them it belongs to."""
    turn = np.full(care.next_key, -1)
    turn[care.claims["key"][at]] = np.arange(len(at))
    of = turn[care.lines["claim"]]
    lines = np.flatnonzero(of >= 0)
    return lines, of[lines]


def one_each(owner: Array, rng: np.random.Generator) -> Array:
    """Positions of one random row of each owner, in the order of owners."""
    mixed = rng.permutation(len(owner))
    return np.asarray(mixed[np.unique(owner[mixed], return_index=True)[1]])


def with_changes(care: Care, where: Array, columns: Rows) -> Care:
    """The care with other values in some columns of the lines at the positions."""
    changed = {name: care.lines[name].copy() for name in columns}
    for name, values in columns.items():
        changed[name][where] = values
    return replace(care, lines={**care.lines, **changed})


def with_lines(care: Care, extra: Rows) -> tuple[Care, Rows]:
    """The care with more lines, and those lines with the keys that they got."""
    extra = {**extra, "key": care.next_line + np.arange(size(extra))}
    return replace(care, lines=stack([care.lines, extra])), extra


def last_before(keys: Array, times: Array, wanted: Array, before: Array) -> Array:
    """For each wanted key, the position of the last equal one of an earlier time; -1 where there is none."""
    if len(keys) == 0:
        return np.full(len(wanted), -1)
    order = np.lexsort((times, keys))
    last = np.searchsorted((keys * SPAN + times)[order], wanted * SPAN + before) - 1
    found = order[last.clip(0)]
    return np.where((last >= 0) & (keys[found] == wanted), found, -1)


def bent_lines(care: Care, lines: Rows, amount: Array, *casts: Cast) -> Deeds:
    """Deeds that consist of false lines, each with the cents to be paid back; a claim's are added up."""
    claim, inverse = np.unique(lines["claim"], return_inverse=True)
    total = np.bincount(inverse, weights=amount, minlength=len(claim)).astype(np.int64)
    return Deeds(casts, marks(claim, total), {"line": lines["key"], "amount": amount}, care=care)


def copied(city: City, care: Care, keys: Array, begins: Array, rng: np.random.Generator, **changes: Array) -> Care:
    """Copies of claims at another time with a desk, an invoice and a wait of their own; keys from `next_key`."""
    own = care.claims["provider"][np.searchsorted(care.claims["key"], keys)]
    settled = begins + changes.pop("wait", rng.integers(480, 5400, len(keys)))
    new = fresh(city, changes.get("provider", own), settled, rng) | {"key": care.next_key + np.arange(len(keys))}
    # A part of the care is copied in a fraction of the time that all of it takes.
    return care.kept(keys).cloned(keys, begins, **new | changes)


def _per_day(lines: Rows, items: int) -> Array:
    """A number for each claim, day and item."""
    return np.asarray((lines["claim"] * 40_000 + lines["at"] // DAY) * items + lines["item"])


def new_on_day(care: Care, at: Array, extra: Rows) -> Array:
    """Mask of the extra lines whose item is not on the claim already that day; `at` are their claims' lines."""
    items = int(max(care.lines["item"].max(), extra["item"].max(initial=0))) + 1
    number = _per_day(extra, items)
    known = np.isin(number, _per_day(take(care.lines, at), items))
    return np.asarray(~known & (occurrence(number) == 0))


def given(city: City, care: Care, claims: Rows, lines: Rows, day: Array, rng: np.random.Generator) -> Rows:
    """The lines at times, with waits and results, as others have them on that day of a claim; see `timed`.

    Some seconds apart from those: where few are there to learn from, their seconds would come again and again.
    """
    lines = timed(city, care, claims, lines, day, rng)
    at = np.searchsorted(claims["key"], lines["claim"])
    since = lines["at"] - claims["admitted"][at]
    moved = _jitter(since, claims["kind"][at], rng)
    # An order is given within the time since the beginning, wherever that now ends.
    scale = np.minimum(since + moved, ORDER_SECONDS) / np.minimum(since, ORDER_SECONDS).clip(1)
    gap = np.where(lines["ordered"] == NONE, 0, lines["at"] - lines["ordered"]) * scale
    wait = np.where(lines["executed"] == NONE, 0, lines["executed"] - lines["at"])
    later = moved + np.maximum(rng.integers(-22, 23, len(at)), np.minimum(30 - wait, 0))
    times = {
        "at": lines["at"] + moved,
        "ordered": np.where(lines["ordered"] == NONE, NONE, lines["at"] + moved - gap.astype(np.int64)),
        "executed": np.where(lines["executed"] == NONE, NONE, lines["executed"] + later),
        "reported": np.where(lines["reported"] == NONE, NONE, lines["reported"] + later),
    }
    return {**lines, **times}


def _jitter(since: Array, kind: Array, rng: np.random.Generator) -> Array:
    """Seconds by which each line is moved; those of visits go round within the span that visits take."""
    low, end = np.where(kind[:, None] == PHARMACY_VISIT, SALE_SECONDS, VISIT_SECONDS).T
    around = low + (since - low + rng.integers(0, 46, len(since))) % (end - low) - since
    near = np.maximum(rng.integers(-22, 23, len(since)), -since)
    visit = (kind != INPATIENT) & (since >= low) & (since < end)
    return np.where(visit, around, near)


def timed_like(city: City, care: Care, extra: Rows, rng: np.random.Generator) -> Rows:
    """The extra lines of claims of the care, on the days that they have, at times of their own."""
    at = np.searchsorted(care.claims["key"], extra["claim"])
    return given(city, care, care.claims, extra, extra["at"] // DAY - care.claims["admitted"][at] // DAY, rng)


# --- limits ----------------------------------------------------------------------------------------------


def covered(lib: Library, items: Array) -> Array:
    """For each item and each code of a disease, whether the item is paid for it."""
    prefixes = [tuple(str(lib.items["indications"][i]).split()) for i in items]
    paid_for = [[not p or str(c).startswith(p) for c in lib.codes] for p in prefixes]
    return np.array(paid_for, bool).reshape(len(items), len(lib.codes))


def indicated(city: City, care: Care, at: Array, item: Array) -> Array:
    """Whether a diagnosis of the claim at each position is one that the item is paid for."""
    unique, which = np.unique(item, return_inverse=True)
    paid_for = covered(city.library, unique)
    keys = care.claims["key"][at]
    wanted = np.zeros(care.next_key, bool)
    wanted[keys] = True
    rows = take(care.diagnoses, wanted[care.diagnoses["claim"]])
    rows = take(rows, np.argsort(rows["claim"], kind="stable"))
    first = np.searchsorted(rows["claim"], keys, side="left")
    owner, row = spread(first, np.searchsorted(rows["claim"], keys, side="right") - first)
    hit = paid_for[which[owner], rows["code"][row]]
    return np.asarray(np.bincount(owner[hit], minlength=len(at)) > 0)


def lawful(city: City, claims: Rows, at: Array, item: Array) -> Array:
    """Whether the limits of sex, age, level and kind of visit let each item be given at the claim at `at`."""
    items, person = city.library.items, claims["patient"][at]
    age = np.floor(city.people.age(person, claims["admitted"][at]))
    sex = np.where(city.people.sex[person] == FEMALE, "female", "male")
    kind = np.array(VISIT_TYPES, dtype=object)[claims["kind"][at]]
    low, high = np.nan_to_num(items["age_min"], nan=0)[item], np.nan_to_num(items["age_max"], nan=200)[item]
    fits = np.asarray((items["sex_limit"][item] == "") | (items["sex_limit"][item] == sex), bool)
    fits &= (items["visit_type_limit"][item] == "") | (items["visit_type_limit"][item] == kind)
    fits &= city.providers.level[claims["provider"][at]] >= items["level"][item]
    return np.asarray(fits & (age >= low) & (age <= high))
