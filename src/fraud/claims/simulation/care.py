"""What is known of a city and of the care given in it, before it is written down as claims.

Inside the simulator a claim is a row with a `key`; lines, diagnoses and procedures point at it. The
identifiers that the payer sees are drawn at the very end, when nothing tells planted claims from others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fraud.claims.simulation.items import Library
from fraud.claims.simulation.operators import Operators, office_time
from fraud.claims.simulation.people import People
from fraud.claims.simulation.physicians import Physicians
from fraud.claims.simulation.providers import CARE_HOME, PHARMACY, TERTIARY, Providers
from fraud.claims.simulation.rows import DAY, HOUR, NONE, Array, Rows, draw, size, spread, stack, stream, take
from fraud.claims.simulation.seasons import (
    CHRONIC,
    EMERGENCY,
    INPATIENT,
    LONG_TERM,
    OUTPATIENT,
    PHARMACY_VISIT,
    VISIT_TYPES,
    calendar,
    clock,
    is_holiday,
    wave,
)

__all__ = ["CHRONIC", "EMERGENCY", "INPATIENT", "LONG_TERM", "OUTPATIENT", "PHARMACY_VISIT", "VISIT_TYPES"]
__all__ += [
    "BY_AMBULANCE",
    "BY_REFERRAL",
    "Care",
    "City",
    "at_large",
    "claims_of",
    "clock",
    "days_of",
    "lines_of",
    "with_desk",
    "without_overlaps",
]

# Acute infections of the airways, and fever: what people catch from one another.
CATCHING = ("J00", "J02", "J03", "J06", "J10", "J11", "J15", "J18", "J20", "B34", "R05", "R50")


@dataclass(frozen=True)
class City:
    """Everything that does not change: the preset's rates, people, houses, who works there, the library."""

    rates: Mapping[str, Any]
    seed: tuple[int, ...]  # of the payer, then the number of the city
    start: int
    days: int
    people: People
    providers: Providers
    physicians: Physicians
    operators: Operators
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
        return calendar(self.start, self.days, kind, season)

    @cached_property
    def wave(self) -> Array:
        """How many times as many catch influenza on each day of the period."""
        return wave(self.start, self.days, self.rates["events"]["influenza"])

    @cached_property
    def catching(self) -> Array:
        """For each disease, whether it comes in waves."""
        return np.array([code.startswith(CATCHING) for code in self.library.diseases["code"]])

    def times(self, kind: int, n: int, rng: np.random.Generator, season: float = 0.0, wave: bool = False) -> Array:
        """`n` moments of the period at which care of the kind begins; with `wave` as influenza goes round."""
        weight = self.calendar(kind, season) * (self.wave if wave else 1)
        day = self.start + draw(rng, weight, n)
        return day * DAY + clock(kind, n, rng)

    def onsets(self, kind: int, disease: Array, rng: np.random.Generator) -> Array:
        """For each case of a disease, when care of the kind begins: in its season, or as it goes round."""
        begins = np.zeros(len(disease), np.int64)
        # One group for each season and way of spreading.
        group = self.library.diseases["season"][disease] * 10 + self.catching[disease] * 1000
        for each in np.unique(group):
            where = np.flatnonzero(group == each)
            season = float(self.library.diseases["season"][disease[where[0]]])
            begins[where] = self.times(kind, len(where), rng, season, bool(self.catching[disease[where[0]]]))
        return begins


BY_REFERRAL, BY_AMBULANCE = 1, 2
# `turn` counts the visits of one course of illness from 0; `sent` says how somebody came from afar (0: of
# oneself); `assisted` is 1 or 0 where the bill says so, whatever the register of assistance says (-1).
CLAIM_DEFAULTS: dict[str, int] = {
    "physician": -1, "discharged": NONE, "registered": 1, "planned": -1, "severity": 0, "nights": 0,
    "status": 0, "settled": NONE, "uploaded": NONE, "terminal": -1, "operator": 0, "identity": 0,
    "manual": 0, "invoice": 0, "account": -1, "turn": 0, "sent": 0, "assisted": -1,
}  # fmt: skip
LINE_DEFAULTS: dict[str, int] = {
    "price": 0, "ordered": NONE, "executed": NONE, "reported": NONE, "positive": -1, "supply": 0,
    "physician": -1, "dispensed": -1, "local": -1, "trace": -1,
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
        first = self.next_line + np.cumsum([0, *(size(other.lines) for other in others)])
        lines = [{**o.lines, "key": start + np.arange(size(o.lines))} for o, start in zip(others, first, strict=False)]
        return Care(
            stack([self.claims, *(other.claims for other in others)]),
            stack([self.lines, *lines]),
            stack([self.diagnoses, *(other.diagnoses for other in others)]),
            stack([self.procedures, *(other.procedures for other in others)]),
        )

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


def at_large(city: City, visits: Rows, stays: Rows) -> Array:
    """Mask of the visits of people who live and are not in hospital that day."""
    order = np.lexsort((stays["admitted"], stays["patient"]))
    # One number for patient and time; stays of a patient do not overlap: only the last one before counts.
    span = 1 << 36
    began = (stays["patient"] * span + stays["admitted"] // DAY * DAY)[order]
    last = np.searchsorted(began, visits["patient"] * span + visits["admitted"], side="right") - 1
    stay = order[last.clip(0)]
    inside = (last >= 0) & (stays["patient"][stay] == visits["patient"])
    inside &= visits["admitted"] < (stays["discharged"][stay] // DAY + 1) * DAY
    return np.asarray(~inside & city.people.alive(visits["patient"], visits["admitted"]))


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
    settled = discharged + np.where(ward, ward_wait, wait)
    # Papers come in some weeks later, and are handled in office hours.
    handed_in = office_time(discharged + rng.integers(5 * DAY, 40 * DAY, n), is_holiday, rng)
    # Care at home is settled by the week, on the Monday after it.
    weekly = claims["kind"] == LONG_TERM
    monday = (discharged // DAY - 4) // 7 * 7 + 11
    settled = np.where(weekly, monday * DAY + rng.integers(9 * HOUR, 18 * HOUR, n), settled)
    manual &= ~weekly
    settled = np.where(manual, handed_in, settled)
    desk = np.where(manual, city.people.insured_region[claims["patient"]], city.providers.region[provider])
    late = rng.random(n) < rates["late_uploads"]
    corrected = rng.random(n) < rates["corrected_uploads"]
    after = np.where(corrected, rng.integers(2 * DAY, 20 * DAY, n), rng.integers(2, 4 * HOUR, n))
    roll = rng.random(n)
    absent = roll < rates["identity_absent"]
    identity = np.where(absent, 2, np.where(roll > 1 - rates["identity_fail"], 1, 0))
    unregistered = (rng.random(n) < rates["unregistered"]) & ~ward
    return claims | {
        "discharged": discharged,
        "settled": settled,
        "uploaded": settled + np.where(late, rng.integers(20 * DAY, 60 * DAY, n), after),
        "terminal": np.where(manual, -1, city.providers.terminal(provider, rng)),
        "operator": city.operators.on_duty(desk, settled, rng),
        "identity": identity,
        "registered": np.where(
            np.isin(city.providers.tier[provider], (PHARMACY, CARE_HOME)), -1, np.where(unregistered, 0, 1)
        ),
        "manual": manual.astype(np.int64),
        "invoice": rng.integers(10**11, 10**12, n),
    }
