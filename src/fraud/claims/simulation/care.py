"""What is known of a city and of the care given in it, before it is written down as claims.

Inside the simulator a claim is a row with a `key`; lines, diagnoses and procedures point at it. The
identifiers that the payer sees are drawn at the very end, when nothing tells planted claims from others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fraud.claims.simulation.items import Library
from fraud.claims.simulation.people import People
from fraud.claims.simulation.providers import PHARMACY, TERTIARY, Physicians, Providers
from fraud.claims.simulation.rows import DAY, HOUR, NONE, Array, Rows, draw, size, spread, stack, stream, take

__all__ = ["CHRONIC", "EMERGENCY", "INPATIENT", "OUTPATIENT", "PHARMACY_VISIT", "VISIT_TYPES"]
__all__ += ["Care", "City", "claims_of", "days_of", "lines_of", "with_desk", "without_overlaps"]

VISIT_TYPES = ("outpatient", "inpatient", "emergency", "pharmacy", "chronic")
OUTPATIENT, INPATIENT, EMERGENCY, PHARMACY_VISIT, CHRONIC = range(5)

MONDAY = 4  # 1970-01-01 was a Thursday; day 4 was the first Monday
WEEK = {
    OUTPATIENT: [1.25, 1.1, 1.05, 1.05, 1.05, 0.8, 0.55],
    INPATIENT: [1.3, 1.15, 1.1, 1.05, 1.0, 0.65, 0.6],
    EMERGENCY: [1.0, 0.95, 0.95, 0.95, 1.0, 1.1, 1.15],
    PHARMACY_VISIT: [1.0, 0.95, 0.95, 0.95, 1.05, 1.15, 1.05],
    CHRONIC: [1.3, 1.15, 1.1, 1.05, 1.0, 0.55, 0.35],
}
# Chance of each hour of the day for the kinds of visit.
HOURS = {
    OUTPATIENT: [0] * 8 + [6, 8, 7, 4, 1, 3, 6, 5, 3, 1, 0.4, 0.3, 0.1, 0, 0, 0],
    INPATIENT: [0.2] * 8 + [5, 7, 6, 4, 2, 3, 5, 4, 3, 1.5, 1, 0.8, 0.6, 0.5, 0.4, 0.3],
    EMERGENCY: [
        1.2,
        0.9,
        0.7,
        0.6,
        0.6,
        0.8,
        1.2,
        2,
        3,
        3,
        3,
        2.5,
        2.5,
        2.5,
        3,
        3,
        3,
        3,
        3.5,
        4,
        4,
        3.5,
        2.5,
        1.8,
    ],
    PHARMACY_VISIT: [0] * 8 + [4, 6, 6, 5, 3, 3, 4, 5, 5, 5, 6, 6, 4, 1, 0, 0],
    CHRONIC: [0] * 7 + [2, 8, 8, 6, 3, 1, 3, 5, 4, 2, 0.5] + [0] * 6,
}
# Spring festival and national day, as (month, day) pairs, both included: desks are all but shut.
HOLIDAYS = (("2025-01-28", "2025-02-04"), ("2024-10-01", "2024-10-07"), ("2025-10-01", "2025-10-08"))


@dataclass(frozen=True)
class City:
    """Everything that does not change: the preset's rates, people, providers, physicians, library."""

    rates: Mapping[str, Any]
    seed: int
    start: int
    days: int
    people: People
    providers: Providers
    physicians: Physicians
    library: Library

    def stream(self, name: str) -> np.random.Generator:
        """The generator of a stage."""
        return stream(self.seed, name)

    @property
    def begins(self) -> int:
        """First second of the period."""
        return self.start * DAY

    @property
    def ends(self) -> int:
        """First second after the period."""
        return (self.start + self.days) * DAY

    def calendar(self, kind: int, season: float = 0.0) -> Array:
        """Weight of each day for a kind of visit; `season` above zero peaks in January, below in July."""
        day = self.start + np.arange(self.days)
        weight = np.array(WEEK[kind])[(day - MONDAY) % 7]
        weight = weight * (1 + season * np.cos(2 * np.pi * (day - 15) / 365.25))
        for first, last in HOLIDAYS:
            off = (day >= _day(first)) & (day <= _day(last))
            weight = np.where(off, weight * (0.85 if kind in (EMERGENCY, PHARMACY_VISIT) else 0.3), weight)
        return np.asarray(weight)

    def times(self, kind: int, n: int, rng: np.random.Generator, season: float = 0.0) -> Array:
        """`n` moments of the period at which care of the kind begins."""
        day = self.start + draw(rng, self.calendar(kind, season), n)
        return day * DAY + clock(kind, n, rng)


def _day(text: str) -> int:
    return int(np.datetime64(text, "D").astype(np.int64))


def clock(kind: int, n: int, rng: np.random.Generator) -> Array:
    """`n` times of day in seconds."""
    return np.asarray(draw(rng, np.array(HOURS[kind]), n) * HOUR + rng.integers(0, HOUR, n))


CLAIM_DEFAULTS: dict[str, int] = {
    "physician": -1, "discharged": NONE, "registered": 1, "planned": -1, "severity": 0, "nights": 0,
    "status": 0, "settled": NONE, "uploaded": NONE, "terminal": -1, "operator": 0, "identity": 0,
    "manual": 0, "invoice": 0,
}  # fmt: skip
LINE_DEFAULTS: dict[str, int] = {
    "price": 0, "ordered": NONE, "executed": NONE, "reported": NONE, "positive": -1, "supply": 0,
}  # fmt: skip


def _filled(columns: Rows, defaults: Mapping[str, int]) -> Rows:
    n = size(columns)
    missing = {k: np.full(n, v, np.int64) for k, v in defaults.items() if k not in columns}
    return {k: np.asarray(v).astype(np.int64) for k, v in sorted((columns | missing).items())}


def claims_of(first_key: int, **columns: Array) -> Rows:
    """Claims with keys from `first_key`: patient, provider, kind, disease and admitted must be given."""
    columns["key"] = first_key + np.arange(size(columns))
    return _filled(columns, CLAIM_DEFAULTS)


def lines_of(**columns: Array) -> Rows:
    """Lines of claims: claim (a key), item, quantity and at must be given; `key` comes with `Care.joined`."""
    columns["key"] = np.arange(size(columns))
    return _filled(columns, LINE_DEFAULTS)


@dataclass(frozen=True)
class Care:
    """All claims with their lines, diagnoses and procedures."""

    claims: Rows
    lines: Rows
    diagnoses: Rows
    procedures: Rows

    @property
    def next_key(self) -> int:
        """A key that no claim has yet."""
        return int(self.claims["key"].max(initial=-1)) + 1

    @property
    def next_line(self) -> int:
        """A key that no line has yet."""
        return int(self.lines["key"].max(initial=-1)) + 1

    def joined(self, *others: Care) -> Care:
        """This care and the others'; claim keys must differ, lines of the others get new keys."""
        care = self
        for other in others:
            lines = {**other.lines, "key": care.next_line + np.arange(size(other.lines))}
            care = Care(
                stack([care.claims, other.claims]),
                stack([care.lines, lines]),
                stack([care.diagnoses, other.diagnoses]),
                stack([care.procedures, other.procedures]),
            )
        return care

    def kept(self, keys: Array) -> Care:
        """Only the claims with these keys, and what belongs to them."""
        known = np.zeros(self.next_key, bool)
        known[keys] = True
        return Care(
            take(self.claims, known[self.claims["key"]]),
            take(self.lines, known[self.lines["claim"]]),
            take(self.diagnoses, known[self.diagnoses["claim"]]),
            take(self.procedures, known[self.procedures["claim"]]),
        )

    def without(self, keys: Array) -> Care:
        """All claims but those with these keys."""
        return self.kept(np.setdiff1d(self.claims["key"], keys))

    def cloned(self, keys: Array, begins: Array, **changes: Array) -> Care:
        """A copy of each claim (a key may come twice) that begins at the given time, with changed columns.

        The copies have keys from `next_key`, in the order of `keys`; every time of a claim and of its lines
        moves along.
        """
        position = np.full(self.next_key, -1)
        position[self.claims["key"]] = np.arange(size(self.claims))
        claims = take(self.claims, position[keys])
        shift = begins - claims["admitted"]
        claims = _shifted(claims, ("admitted", "discharged", "settled", "uploaded"), shift)
        claims |= {"key": self.next_key + np.arange(len(keys))} | changes
        parts = [_attached(rows, keys, claims["key"], shift) for rows in (self.lines, self.diagnoses, self.procedures)]
        return Care(claims, *parts)

    def with_claims(self, **columns: Array) -> Care:
        """The same care with some columns of the claims replaced."""
        return replace(self, claims={**self.claims, **columns})


def _shifted(rows: Rows, times: Sequence[str], shift: Array) -> Rows:
    moved = {n: np.where(rows[n] == NONE, NONE, rows[n] + shift) for n in times if n in rows}
    return {**rows, **moved}


def _attached(rows: Rows, old: Array, new: Array, shift: Array) -> Rows:
    """What belongs to the old claims, copied to the new ones."""
    order = np.argsort(rows["claim"], kind="stable")
    ranked = rows["claim"][order]
    first = np.searchsorted(ranked, old, side="left")
    owner, at = spread(first, np.searchsorted(ranked, old, side="right") - first)
    copies = {**take(rows, order[at]), "claim": new[owner]}
    return _shifted(copies, ("at", "ordered", "executed", "reported"), shift[owner])


def days_of(nights: Array) -> tuple[Array, Array]:
    """For each stay, its billable days: the stay, and the number of the day from 0."""
    owner, day = spread(np.zeros(len(nights), np.int64), nights)
    return owner, day


def without_overlaps(claims: Rows, rest_days: float = 1.0) -> Array:
    """Mask of the stays that begin after the patient's earlier kept ones have ended, with a rest between."""
    order = np.lexsort((claims["admitted"], claims["patient"]))
    kept = np.zeros(len(order), bool)
    last_patient, free_from = -1, 0.0
    # A plain loop: whether a stay is kept depends on which ones before it were; stays are few.
    for i in order.tolist():
        patient, begins = int(claims["patient"][i]), int(claims["admitted"][i])
        if patient != last_patient or begins >= free_from:
            kept[i] = True
            last_patient, free_from = patient, int(claims["discharged"][i]) + rest_days * DAY
    return kept


def with_desk(city: City, claims: Rows, rng: np.random.Generator) -> Rows:
    """The claims with what the desk adds: settlement, terminal, operator, identity check, invoice."""
    n, rates, provider = size(claims), city.rates["care"], claims["provider"]
    ward = claims["kind"] == INPATIENT
    shop = claims["kind"] == PHARMACY_VISIT
    discharged = np.where(ward, claims["discharged"], claims["admitted"])
    wait = np.where(shop, rng.integers(60, 600, n), rng.integers(480, 5400, n))
    # Stays are settled at discharge, or some days later: a long tail.
    ward_wait = np.exp(rng.normal(np.log(3 * HOUR), 1.3, n)).clip(600, 12 * DAY).astype(np.int64)
    manual = rng.random(n) < rates["manual"] * (1 + 2 * (city.providers.tier[provider] == TERTIARY))
    settled = discharged + np.where(manual, rng.integers(5 * DAY, 40 * DAY, n), np.where(ward, ward_wait, wait))
    late = rng.random(n) < rates["late_uploads"]
    roll = rng.random(n)
    absent = roll < rates["identity_absent"]
    identity = np.where(absent, 2, np.where(roll > 1 - rates["identity_fail"], 1, 0))
    unregistered = (rng.random(n) < rates["unregistered"]) & ~ward
    return claims | {
        "discharged": discharged,
        "settled": settled,
        "uploaded": settled + np.where(late, rng.integers(20 * DAY, 60 * DAY, n), rng.integers(2, 4 * HOUR, n)),
        "terminal": np.where(manual, -1, city.providers.terminal(provider, rng)),
        "operator": rng.integers(0, 4, n) + 4 * city.providers.region[provider],
        "identity": identity,
        "registered": np.where(city.providers.tier[provider] == PHARMACY, -1, np.where(unregistered, 0, 1)),
        "manual": manual.astype(np.int64),
        "invoice": rng.integers(10**11, 10**12, n),
    }
