"""Times that fit: of the lines that schemes write, and of people who cannot lie in two beds."""

from __future__ import annotations

import numpy as np

from fraud.claims.simulation.care import INPATIENT, PHARMACY_VISIT, Care, City
from fraud.claims.simulation.rows import DAY, NONE, Array, Rows, pick, size, take

__all__ = ["SPAN", "in_hospital", "of_claims", "sent_once", "sent_twice", "timed", "within"]

# Where a line is written: at a counter, at a visit, on the first day of a stay, on a later one.
COUNTER, VISIT, FIRST_DAY, LATER = range(4)
# Lines to learn from; more tell nothing new.
ENOUGH = 60_000
SPAN = 1 << 36  # more seconds than any time has


def timed(city: City, care: Care, claims: Rows, lines: Rows, day: Array, rng: np.random.Generator) -> Rows:
    """The lines at times, with waits and results, that others have for the same item in the same place.

    `day` counts from the day of admission. Each line learns from another one at random, so no two courses
    are alike, and nothing but what the scheme changes afterwards tells them from honest ones.
    """
    at = np.searchsorted(claims["key"], lines["claim"])
    begins, place = claims["admitted"][at], _place(claims["kind"][at], day)
    model = _models(city, care, lines["item"], place, rng)
    rest = begins // DAY * DAY + DAY - 60 - begins
    early = np.where(model["offset"] < rest, model["offset"], rng.random(len(at)) * rest.clip(0))
    hour = np.where(place == LATER, (begins // DAY + day) * DAY + model["offset"], begins + early).astype(np.int64)
    since = hour - begins
    lead = np.where(model["lead"] <= since, model["lead"], rng.random(len(at)) * since).astype(np.int64)
    executed = hour + model["lag"]
    return lines | {
        "at": hour,
        "ordered": np.where(model["lead"] == NONE, NONE, hour - lead),
        "executed": np.where(model["lag"] == NONE, NONE, executed),
        "reported": np.where(model["wait"] == NONE, NONE, executed + model["wait"]),
        "positive": model["positive"],
    }


def _place(kind: Array, day: Array) -> Array:
    stay = np.where(day > 0, LATER, FIRST_DAY)
    return np.where(kind == INPATIENT, stay, np.where(kind == PHARMACY_VISIT, COUNTER, VISIT))


def _models(city: City, care: Care, item: Array, place: Array, rng: np.random.Generator) -> Rows:
    """For each item and place, the course of another line; of a like item, or any, where there is none."""
    kinds, kind = np.unique(city.library.items["category"].astype(str), return_inverse=True)
    known = np.flatnonzero(np.isin(kind, kind[item])[care.lines["item"]])
    some = np.arange(0, size(care.lines), 1 + size(care.lines) // 5_000)
    lines = take(care.lines, np.concatenate([known[:: 1 + len(known) // ENOUGH], some]))
    at = np.searchsorted(care.claims["key"], lines["claim"])
    admitted = care.claims["admitted"][at]
    where = _place(care.claims["kind"][at], lines["at"] // DAY - admitted // DAY)
    same = _picked(rng, lines["item"] * 4 + where, item * 4 + place)
    like = _picked(rng, kind[lines["item"]] * 4 + where, kind[item] * 4 + place)
    other = _picked(rng, where, place)
    chosen = np.where(same >= 0, same, np.where(like >= 0, like, other))
    return take(_course(lines, admitted, where), chosen)


def _picked(rng: np.random.Generator, keys: Array, wanted: Array) -> Array:
    order = np.argsort(keys, kind="stable")
    found = pick(rng, keys[order], wanted)
    return np.where(found >= 0, order[found], -1)


def _course(lines: Rows, admitted: Array, where: Array) -> Rows:
    """When lines were given, and the waits before and after; `NONE` where nothing was noted."""
    at, ordered, executed, reported = (lines[n] for n in ("at", "ordered", "executed", "reported"))
    return {
        "offset": np.where(where == LATER, at % DAY, at - admitted),
        "lead": np.where(ordered == NONE, NONE, at - ordered),
        "lag": np.where(executed == NONE, NONE, executed - at),
        "wait": np.where((reported == NONE) | (executed == NONE), NONE, reported - executed),
        "positive": lines["positive"],
    }


def in_hospital(care: Care, patient: Array, begins: Array, until: Array) -> Array:
    """Mask of the spans in which the person lies in hospital for a time."""
    stays = take(care.claims, care.claims["kind"] == INPATIENT)
    order = np.argsort(stays["patient"] * SPAN + stays["admitted"])
    began = (stays["patient"] * SPAN + stays["admitted"])[order]
    # Stays of different people do not mix: the latest end so far is that of the same person, or too early.
    ended = np.maximum.accumulate((stays["patient"] * SPAN + stays["discharged"])[order])
    last = np.searchsorted(began, patient * SPAN + until) - 1
    return np.asarray((last >= 0) & (ended[last.clip(0)] > patient * SPAN + begins))


def within(claims: Rows, stays: Rows, until: Array) -> Array:
    """Mask of the claims that begin while their patient lies in one of the stays, each of which lasts `until`."""
    if len(until) == 0:
        return np.zeros(len(claims["key"]), bool)
    order = np.argsort(stays["patient"] * SPAN + stays["admitted"])
    began = (stays["patient"] * SPAN + stays["admitted"])[order]
    last = np.searchsorted(began, claims["patient"] * SPAN + claims["admitted"], side="right") - 1
    stay = order[last.clip(0)]
    return np.asarray((last >= 0) & (stays["patient"][stay] == claims["patient"]) & (claims["admitted"] < until[stay]))


def sent_twice(claims: Rows) -> Array:
    """Mask of the claims that came in twice by mistake: what is done to one of them would contradict the other."""
    invoice, count = np.unique(claims["invoice"], return_counts=True)
    return np.asarray(count[np.searchsorted(invoice, claims["invoice"])] > 1)


def sent_once(claims: Rows, at: Array) -> Array:
    """Mask of the claims at the positions that came in once; both of a pair are of the same house."""
    house = np.flatnonzero(np.isin(claims["provider"], np.unique(claims["provider"][at])))
    twice = house[sent_twice(take(claims, house))]
    return ~np.isin(at, twice)


def of_claims(rows: Rows, keys: Array) -> Array:
    """Mask of the rows (lines, diagnoses, procedures) that belong to the claims with these keys."""
    known = np.zeros(max(int(rows["claim"].max(initial=-1)), int(keys.max(initial=-1))) + 1, bool)
    known[keys] = True
    return known[rows["claim"]]
