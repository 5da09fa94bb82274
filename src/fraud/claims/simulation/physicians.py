"""Physicians and carers: where they work, on which days, when they are away, and who they are as patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fraud.claims.simulation.items import Library
from fraud.claims.simulation.people import People
from fraud.claims.simulation.providers import CARE_HOME, CLINIC, PRIMARY, SECONDARY, TERTIARY, TIERS, Providers
from fraud.claims.simulation.rows import DAY, HOUR, NEVER, NONE, Array, draw, pick

__all__ = ["Physicians", "near_family", "physicians"]

EVENING, MORNING = 21 * HOUR, 7 * HOUR  # the night watch, which belongs to the day on which it begins
SECONDARY_DEPARTMENTS = [
    "general",
    "emergency",
    "surgery",
    "orthopaedics",
    "gynaecology",
    "obstetrics",
    "cardiology",
    "neurology",
    "respiratory",
    "gastroenterology",
    "endocrinology",
    "rehabilitation",
    "nephrology",
    "oncology",
]
CLINIC_DEPARTMENTS = ("general", "general", "general", "rehabilitation", "stomatology", "dermatology")
PRIMARY_DEPARTMENTS = ("general", "general", "rehabilitation", "surgery")


@dataclass(frozen=True)
class Physicians:
    """One entry for each physician; `pull` is the share of the work that comes to one of them.

    `patient` is the position of the person who is the physician (-1: not known). `licensed` is a day,
    `licensed_to`, `suspended_from` and `suspended_to` are seconds (`NONE`: never). `roster` says for each
    weekday from Monday whether one works, `watch` every how many days one has the night (0: never), `leave`
    and `ill` for each day of the period from `start` whether one is on leave, or lies in hospital or is dead.
    `relative` says for each household who treats its own family in it (-1: nobody).
    """

    provider: Array
    department: Array
    title: Array
    licensed: Array
    pull: Array
    patient: Array
    licensed_to: Array
    suspended_from: Array
    suspended_to: Array
    roster: Array
    watch: Array
    leave: Array
    ill: Array
    relative: Array
    start: int

    def __len__(self) -> int:
        """Number of physicians."""
        return len(self.provider)

    @property
    def days(self) -> int:
        """Number of days of the period."""
        return int(self.leave.shape[1])

    @cached_property
    def barred(self) -> Array:
        """For each physician and day, whether a licence lacks or is suspended."""
        day = (self.start + np.arange(self.days))[None, :]
        first, last = self.suspended_from[:, None] // DAY, self.suspended_to[:, None] // DAY
        suspended = (self.suspended_from[:, None] != NONE) & (day >= first) & (day <= last)
        ended = (self.licensed_to[:, None] != NONE) & (day > self.licensed_to[:, None] // DAY)
        return np.asarray(suspended | ended | (day < self.licensed[:, None]))

    @cached_property
    def away(self) -> Array:
        """For each physician and day, whether no honest work can be done: on leave, ill, dead, barred."""
        return np.asarray(self.leave | self.ill | self.barred)

    @cached_property
    def _day_shift(self) -> Array:
        weekday = (self.start + 3 + np.arange(self.days)) % 7
        return np.asarray(self.roster[:, weekday] & ~self.away)

    @cached_property
    def _night_shift(self) -> Array:
        turn = (np.arange(self.days)[None, :] + np.arange(len(self))[:, None]) % np.maximum(self.watch, 1)[:, None]
        morning_after = np.c_[self.away[:, 1:], self.away[:, -1:]]
        return np.asarray((turn == 0) & (self.watch > 0)[:, None] & ~self.away & ~morning_after)

    def _day(self, at: Array) -> Array:
        return np.asarray((np.asarray(at) // DAY - self.start).clip(0, self.days - 1))

    def is_away(self, who: Array, at: Array) -> Array:
        """Whether each physician does no honest work on that day."""
        return np.asarray(self.away[who, self._day(at)])

    def works(self, who: Array, at: Array) -> Array:
        """Whether each physician has the day shift of that day."""
        return np.asarray(self._day_shift[who, self._day(at)])

    @cached_property
    def _places(self) -> Array:
        return np.repeat(np.arange(len(self)), self.pull)

    def _listed(self, shifts: Array) -> dict[str, tuple[Array, Array]]:
        """Who can be met in each room and house in each slot of time: physicians, and sorted keys of both."""
        at, slot = np.nonzero(shifts[self._places])
        met = self._places[at]
        out = {}
        for name, key in {"room": self._rooms, "house": self.provider}.items():
            keys = key[met] * shifts.shape[1] + slot
            order = np.argsort(keys, kind="stable")
            out[name] = met[order], keys[order]
        return out

    @cached_property
    def _rooms(self) -> Array:
        return np.asarray(self.provider * 100 + self.department)

    @cached_property
    def _staff(self) -> dict[str, tuple[Array, Array]]:
        return self._listed(np.ones((len(self), 1), bool))

    @cached_property
    def _shifts(self) -> dict[str, tuple[Array, Array]]:
        slots = np.stack([self._day_shift, self._night_shift], axis=2)
        return self._listed(slots.reshape(len(self), -1))

    @cached_property
    def _present(self) -> dict[str, tuple[Array, Array]]:
        return self._listed(~self.away)

    def on_duty(self, provider: Array, department: Array, rng: np.random.Generator, at: Array | None = None) -> Array:
        """A physician of the department, else of the house, who works at that time; -1 where nobody does.

        Without times: anybody of the department, else of the house, whether at work or not; -1 where there is
        no physician (pharmacies).
        """
        if at is None:
            return _met(self._staff, provider * 100 + department, provider, rng)
        time = np.asarray(at) % DAY
        night = (time >= EVENING) | (time < MORNING)
        slot = 2 * self._day(at - np.where(time < MORNING, DAY, 0)) + night
        slots = 2 * self.days
        return _met(self._shifts, (provider * 100 + department) * slots + slot, provider * slots + slot, rng)

    def on_ward(self, provider: Array, department: Array, at: Array, rng: np.random.Generator) -> Array:
        """A physician of the department, else of the house, who is not away on that day; -1 where all are."""
        day, days = self._day(at), self.days
        return _met(self._present, (provider * 100 + department) * days + day, provider * days + day, rng)

    def always_staffed(self, provider: Array, begins: Array, ends: Array) -> Array:
        """Whether on every day from one time to another somebody of each house is not away."""
        there = np.zeros((int(self.provider.max(initial=-1)) + 1, self.days), bool)
        np.logical_or.at(there, self.provider, ~self.away)
        bare = np.cumsum(np.c_[np.zeros(len(there), bool), ~there], axis=1)
        return np.asarray(bare[provider, self._day(ends) + 1] == bare[provider, self._day(begins)])

    def named(self, provider: Array, department: Array, at: Array, rng: np.random.Generator) -> Array:
        """A physician who is on duty at that time, else anybody of the house: the name on a bill that needs one."""
        there = self.on_duty(provider, department, rng, at)
        return np.where(there >= 0, there, self.on_duty(provider, department, rng))

    def with_stays(self, patient: Array, begins: Array, ends: Array, died: Array) -> Physicians:
        """The same physicians, who do not work while they lie in hospital (times in seconds) nor once dead.

        `died` is the second of death of every person, `NEVER` where there is none.
        """
        ill = self.ill.copy()
        of = {int(person): i for i, person in enumerate(self.patient) if person >= 0}
        for i in np.flatnonzero(np.isin(patient, self.patient)).tolist():
            first, last = int(begins[i]) // DAY - self.start, int(ends[i]) // DAY - self.start
            ill[of[int(patient[i])], max(first, 0) : max(last + 1, 0)] = True
        known = self.patient >= 0
        end = np.where(known, died[self.patient.clip(0)], NEVER)
        ill |= (self.start + np.arange(self.days))[None, :] > (end // DAY)[:, None]
        return replace(self, ill=ill)


def _met(lists: dict[str, tuple[Array, Array]], rooms: Array, houses: Array, rng: np.random.Generator) -> Array:
    """For each wanted room and house (keys), somebody in the room, else in the house; -1 where nobody is."""
    (by_room, room), (by_house, house) = lists["room"], lists["house"]
    if len(by_house) == 0:
        return np.full(len(rooms), -1)
    own, any_one = pick(rng, room, rooms), pick(rng, house, houses)
    return np.where(own >= 0, by_room[own], np.where(any_one >= 0, by_house[any_one], -1))


def physicians(
    houses: Providers, folk: People, start: int, days: int, rates: Mapping[str, Any], lib: Library,
    rng: np.random.Generator,
) -> Physicians:  # fmt: skip
    """Physicians of every house but pharmacies; one surgeon of the referral centre does the work of four."""
    mean = np.array([rates["physicians"][t] for t in TIERS])[houses.tier]
    count = np.floor(mean + rng.random(len(houses))).astype(np.int64)
    count[houses.village] = 1
    count[houses.dialysis] = max(4, count[houses.dialysis])
    count = np.where(np.isin(houses.tier, (TERTIARY, SECONDARY, PRIMARY)), np.maximum(count, 3), count)
    count = np.where(houses.tier == CLINIC, np.maximum(count, 1), count)
    provider = np.repeat(np.arange(len(houses)), count)
    turn = np.arange(len(provider)) - (np.cumsum(count) - count)[provider]
    department = np.array([_department(int(p), int(i), houses, lib, rng) for p, i in zip(provider, turn, strict=True)])
    n = len(provider)
    tier = houses.tier[provider]
    person = _persons(houses, provider, folk, start, rng)
    return Physicians(
        provider=provider,
        department=department,
        title=draw(rng, np.array([0.4, 0.35, 0.18, 0.07]), n),
        licensed=start - rng.integers(400, 12_000, n),
        pull=_pulls(houses, provider, department, lib, rng),
        patient=person,
        **_careers(np.isin(provider, houses.innocents), start, days, rates, rng),
        roster=_rosters(houses, provider, turn, rng),
        watch=np.where(tier <= PRIMARY, np.where(tier == PRIMARY, 3, rng.integers(5, 9, n)), 0),
        leave=_leave(turn, count[provider], days, rng),
        ill=np.zeros((n, days), bool),
        relative=_relatives(person, np.isin(tier, (CLINIC, PRIMARY)) & (rng.random(n) < 0.3), folk),
        start=start,
    )


def _pulls(houses: Providers, provider: Array, department: Array, lib: Library, rng: np.random.Generator) -> Array:
    pull = rng.integers(2, 6, len(provider))
    surgeons = (provider == houses.referral) & (department == lib.departments.index("surgery"))
    if surgeons.any():
        pull[np.flatnonzero(surgeons)[0]] = 16
    return pull


def _department(house: int, turn: int, houses: Providers, lib: Library, rng: np.random.Generator) -> int:
    """The department of one physician: all of them in turn in big houses."""
    tier = houses.tier[house]
    if house == houses.dialysis:
        return lib.departments.index("nephrology")
    if tier == TERTIARY:
        more = [name for name in lib.departments if name not in SECONDARY_DEPARTMENTS]
        return lib.departments.index([*SECONDARY_DEPARTMENTS, *more][turn % len(lib.departments)])
    if tier == SECONDARY:
        return lib.departments.index(SECONDARY_DEPARTMENTS[turn % len(SECONDARY_DEPARTMENTS)])
    if tier == CARE_HOME:
        return lib.departments.index("rehabilitation")
    choice = PRIMARY_DEPARTMENTS if tier == PRIMARY else CLINIC_DEPARTMENTS
    return lib.departments.index(choice[int(rng.integers(0, len(choice)))])


def _persons(houses: Providers, provider: Array, folk: People, start: int, rng: np.random.Generator) -> Array:
    """The insured persons who are the physicians: of working age; nobody twice, and not everybody is known."""
    age = folk.age(np.arange(len(folk)), np.full(len(folk), start * DAY))
    able = rng.permutation(np.flatnonzero((age > 27) & (age < 62) & (folk.insurance != 2)))
    able = able[: int(len(able) * 0.6)]
    out = np.full(len(provider), -1)
    chosen = rng.permutation(len(provider))[: len(able)]
    out[chosen] = able[: len(chosen)]
    return np.where(rng.random(len(out)) < 0.03, -1, out)


def _relatives(person: Array, treats: Array, folk: People) -> Array:
    out = np.full(int(folk.household.max()) + 1, -1)
    some = np.flatnonzero((person >= 0) & treats)
    out[folk.household[person[some]]] = some
    return out


def near_family(houses: Providers, staff: Physicians, folk: People) -> Providers:
    """The same houses; families with a physician who treats them have that one's house as the usual one."""
    usual, relative = houses.usual.copy(), staff.relative[folk.household]
    member = np.flatnonzero(relative >= 0)
    house = staff.provider[relative[member]]
    usual[member, houses.tier[house]] = house
    return replace(houses, usual=usual)


def _careers(
    needed: Array, start: int, days: int, rates: Mapping[str, Any], rng: np.random.Generator
) -> dict[str, Array]:
    """Who retires within the period, and who is suspended for some months; at least one of each.

    Never those who are `needed`.
    """
    n, begins, span = len(needed), start * DAY, days * DAY
    retires = rng.random(n) < rates["retiring_physicians"]
    barred = rng.random(n) < rates["suspended_physicians"]
    sure = rng.permutation(np.flatnonzero(~needed))
    retires[sure[0]], barred[sure[-1]] = True, True
    until = begins + (rng.uniform(0.2, 0.9, n) * span).astype(np.int64)
    first = begins + (rng.uniform(0.1, 0.7, n) * span).astype(np.int64)
    return {
        "licensed_to": np.where(retires & ~needed, until // DAY * DAY, NONE),
        "suspended_from": np.where(barred & ~needed, first // DAY * DAY, NONE),
        "suspended_to": np.where(barred & ~needed, (first // DAY + rng.integers(60, 240, n)) * DAY, NONE),
    }


def _rosters(houses: Providers, provider: Array, turn: Array, rng: np.random.Generator) -> Array:
    """Working days: five or six a week, of those on which the house is open; the days off go round in a house."""
    n, tier = len(provider), houses.tier[provider]
    off = (turn[:, None] + rng.integers(0, 2, n)[:, None] * 3 + np.arange(2)[None, :] + 5) % 7
    few = np.bincount(provider, minlength=len(houses))[provider] <= 2
    roster = np.ones((n, 7), bool)
    everyone = np.arange(n)
    roster[everyone, off[:, 0]] = few & np.isin(tier, (CLINIC, PRIMARY))
    roster[everyone, off[:, 1]] = few | (rng.random(n) < 0.3)
    return roster & houses.week[provider]


def _leave(turn: Array, count: Array, days: int, rng: np.random.Generator) -> Array:
    """Two or three weeks off in every year, in parts; in small houses one after the other."""
    n = len(turn)
    leave = np.zeros((n, days), bool)
    day, third = np.arange(days)[None, :], 122
    share = third / np.minimum(count, 10)
    for part in range(days // third + 1):
        length = rng.integers(3, 9, n)
        own = (turn % 10) * share + rng.random(n) * np.maximum(share - length - 1, 0)
        first = (part * third + np.where(count > 10, rng.random(n) * third, own)).astype(np.int64)
        leave |= (day >= first[:, None]) & (day < (first + length)[:, None])
    return leave
