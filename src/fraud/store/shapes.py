"""What goes into the store and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from fraud.errors import FraudError

__all__ = [
    "EVERYTHING",
    "ITEMS",
    "NO_LINES",
    "Added",
    "Bundle",
    "Decision",
    "History",
    "Loaded",
    "Row",
    "Seen",
    "ShadowScore",
    "Snapshot",
    "StoreBusyError",
    "StoreRevisionError",
    "Wanted",
]

Row = Mapping[str, Any]
# What became of a claim that was added.
Added = Literal["added", "replaced", "unchanged", "older"]
# The tables whose rows belong to a claim, as a bundle names them.
ITEMS = ("lines", "diagnoses", "procedures")


class StoreBusyError(FraudError):
    """The database cannot be reached, or is locked for too long: worth trying again."""


class StoreRevisionError(FraudError):
    """The database's schema is not that of this program: it is to be upgraded, or a later program to be run."""


class Bundle(Protocol):
    """One claim with its items: canonical columns with Python values."""

    @property
    def claim(self) -> Row:
        """The row of `claims`."""

    @property
    def lines(self) -> tuple[Row, ...]:
        """Its rows of `lines`."""

    @property
    def diagnoses(self) -> tuple[Row, ...]:
        """Its rows of `diagnoses`."""

    @property
    def procedures(self) -> tuple[Row, ...]:
        """Its rows of `procedures`."""


@dataclass(frozen=True)
class Snapshot:
    """Signals of a patient, provider or physician as of a day, peer columns included."""

    entity: str
    entity_id: str
    day: datetime
    values: Mapping[str, float]


@dataclass(frozen=True)
class History:
    """What was known before a claim settled: the history that a claim is scored with."""

    claims: tuple[Row, ...] = ()
    lines: tuple[Row, ...] = ()
    patient: Row | None = None
    provider: Row | None = None
    physician: Row | None = None
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Which columns of earlier claims and of their lines are to be read besides their keys; None stands for all.

    Reading what nobody asks for costs more than everything else: a patient has hundreds of earlier lines. Without
    `lines` no line is read.
    """

    claims: frozenset[str] | None = None
    lines: frozenset[str] | None = None

    @property
    def any_lines(self) -> bool:
        """Whether lines are to be read."""
        return self.lines is None or bool(self.lines)


# All that there is.
EVERYTHING = Wanted()
NO_LINES = Wanted(lines=frozenset())


@dataclass(frozen=True)
class Decision:
    """An answer as it was given: `response` holds its very bytes, `request` the claim that was scored."""

    request_id: str
    claim_id: str
    scored_at: datetime
    action: str
    response: bytes
    request: bytes


@dataclass(frozen=True)
class ShadowScore:
    """What a version that nobody is answered from says of the claim of a decision."""

    request_id: str
    model: str
    version: int
    scored_at: datetime
    probability: float
    percentile: float
    margin: float


@dataclass(frozen=True)
class Seen:
    """What is known of an idempotency key: its first answer, or that it is still being worked on.

    `conflict` says that the key came with another body.
    """

    running: bool = False
    conflict: bool = False
    status: int = 0
    response: bytes = b""


@dataclass(frozen=True)
class Loaded:
    """Rows written by table, and what became of the folder's claims."""

    rows: Mapping[str, int]
    claims: Mapping[Added, int]
