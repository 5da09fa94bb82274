"""Tiers of institutions, and those innocent houses of a city that look guilty."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from fraud.claims.simulation.items import LEVELS
from fraud.claims.simulation.rows import Array

__all__ = ["CARE_HOME", "CLINIC", "KIND_OF_TIER", "LEVEL_OF_TIER", "PHARMACY", "PRIMARY", "SECONDARY", "TERMINALS"]
__all__ += ["TERTIARY", "TIERS", "OddHouses", "odd_houses"]

TIERS = ("tertiary", "secondary", "primary", "clinic", "pharmacy", "care_home")
TERTIARY, SECONDARY, PRIMARY, CLINIC, PHARMACY, CARE_HOME = range(6)
LEVEL_OF_TIER = np.array([LEVELS.index(x) for x in ("tertiary", "secondary", "primary", "primary", "other", "other")])
KIND_OF_TIER = np.array(["hospital", "hospital", "hospital", "clinic", "pharmacy", "long_term_care"], dtype=object)
TERMINALS = np.array([6, 4, 2, 1, 2, 1])


@dataclass(frozen=True)
class OddHouses:
    """Positions of the houses that look odd and are not; -1 where the city is too small for one.

    `referral` gets the hard cases, `dialysis` sees its patients three times a week, `village` has the only
    physician of a valley, `hospice` has many deaths after short stays, `rehab` long stays with much therapy,
    `fresh` opens within the period, `moved` changes its address, `beside` is the pharmacy at a hospital's
    gate, `fair` holds days of free check-ups.
    """

    referral: int
    dialysis: int
    village: int
    hospice: int
    rehab: int
    fresh: int
    moved: int
    beside: int
    fair: int

    @property
    def all(self) -> tuple[int, ...]:
        """Positions of those that are there."""
        return tuple(house for house in astuple(self) if house >= 0)


def odd_houses(tier: Array, region: Array) -> OddHouses:
    """Which house is which: the dialysis clinic in the first city, the village clinic in the county."""

    def nth(wanted: int, last: int, least: int, where: int = -1) -> int:
        able = np.flatnonzero((tier == wanted) & ((region == where) | (where < 0)))
        return int(able[-last]) if (tier == wanted).sum() >= least and len(able) >= last else -1

    clinics = np.flatnonzero(tier == CLINIC)
    return OddHouses(
        referral=0,
        dialysis=int(clinics[region[clinics] == 0][0]),
        village=int(clinics[region[clinics] == 2][0]),
        hospice=nth(PRIMARY, 1, 8),
        rehab=nth(SECONDARY, 1, 6),
        fresh=nth(SECONDARY, 2, 7),
        moved=nth(CLINIC, 1, 20, 1),
        beside=nth(PHARMACY, 1, 8, 0),
        fair=nth(PRIMARY, 2, 8),
    )
