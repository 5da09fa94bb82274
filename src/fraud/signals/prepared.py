"""Tables that no query can make: ties between persons, and series by week, as of a snapshot.

A relation may read a prepared table like any other. The builder of frames fills it, before it runs the query, for
the snapshot days that are asked for, from all claims known on those days: never from who happens to be scored.
What a snapshot stores are the values of signals, so that scoring online needs none of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import duckdb
import pyarrow as pa

__all__ = ["PREPARED", "Prepared", "Source"]


class Source(Protocol):
    """What a prepared table is made from, read once from a connection."""

    def table(self, connection: duckdb.DuckDBPyConnection, snapshot: datetime, days: int) -> pa.Table:
        """Its rows as of a snapshot, over a trailing window of that many days.

        `connection` shows the same claims as the one it was read from, which may be busy by then.
        """


@dataclass(frozen=True)
class Prepared:
    """A prepared table: its columns beside `entity_id` and `snapshot`, what it is made of, and its reader.

    `reads` are the (table, column) pairs without which it says nothing.
    """

    columns: Mapping[str, str]
    reads: Sequence[tuple[str, str]]
    source: Callable[[duckdb.DuckDBPyConnection, str], Source]

    @property
    def types(self) -> dict[str, str]:
        """Every column with its type, the key first."""
        return {"entity_id": "string", "snapshot": "timestamp(6)", **self.columns}


def _claims(*columns: str) -> tuple[tuple[str, str], ...]:
    return tuple(("claims", c) for c in ("patient_id", "provider_id", "admitted_at", "settled_at", *columns))


def _ties(connection: duckdb.DuckDBPyConnection, entity: str) -> Source:
    from fraud.signals.graph import TieSource

    return TieSource(connection, entity)


def _joint_stays(_: duckdb.DuckDBPyConnection, entity: str) -> Source:
    from fraud.signals.graph import JointStaySource

    return JointStaySource(entity)


def _surges(connection: duckdb.DuckDBPyConnection, entity: str) -> Source:
    from fraud.signals.surges import SurgeSource

    return SurgeSource(connection, entity)


PREPARED: Mapping[str, Prepared] = {
    "ties": Prepared(
        {
            "other_id": "string",
            "joint_days": "int64",
            "joint_providers": "int64",
            "expected_days": "float64",
            "core": "int64",
            "group_size": "int64",
            "visit_days": "int64",
            "days_in_company": "int64",
        },
        _claims(),
        _ties,
    ),
    "rings": Prepared(
        {
            "ring": "int64",
            "members": "int64",
            "joint_days": "int64",
            "joint_visits": "int64",
        },
        _claims(),
        _ties,
    ),
    "joint_stays": Prepared(
        {
            "patient_id": "string",
            "other_id": "string",
            "provider_id": "string",
            "joint_stays": "int64",
            "cluster_size": "int64",
        },
        _claims("visit_type"),
        _joint_stays,
    ),
    "surges": Prepared(
        {
            "series": "string",
            "code": "string",
            "week": "date",
            "days_ago": "int64",
            "observed": "float64",
            "expected": "float64",
            "deviation": "float64",
            "cusum": "float64",
        },
        _claims("primary_diagnosis"),
        _surges,
    ),
}
