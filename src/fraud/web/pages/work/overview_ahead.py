"""What lies ahead: undecided cases by probability and money, and what the week's plan may bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa

from fraud.review.cases import AT_WORK, Within
from fraud.review.outlook import (
    Matrix,
    Outlook,
    Stakes,
    Together,
    bounds_by_probability,
    outlook_of,
    risk_matrix,
    together_by_provider,
)
from fraud.store.casework import searching
from fraud.store.casework.tables import cases
from fraud.web.pages.work.queue_week import AHEAD, Week, week_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fraud.web.running.runtime import Runtime

__all__ = ["Ahead", "ahead_of"]

_YEAR = timedelta(days=365)
_COLUMNS = ("case_id", "entity", "state", "probability", "amount", "expected_recovery", "provider_id", "worth", "week")
_Row = sa.Row[Any]


@dataclass(frozen=True)
class Ahead:
    """`matrix` has all undecided cases, `plan` what those may bring that the week has hours for.

    `listed` is whether a list was made for this week; without one the plan is the beginning of the ranking.
    """

    matrix: Matrix
    plan: Outlook
    listed: bool


def ahead_of(runtime: Runtime, within: Within) -> Ahead:
    """The figures as of now, of the cases within somebody's bounds."""
    week = week_of(runtime)
    with runtime.store.database.read() as connection:
        rows = _undecided(connection, within)
        together = _together(connection, runtime.now() - _YEAR)
    stakes = _stakes(runtime, rows)
    planned = np.array([_is_planned(row, week) for row in rows], dtype=bool)
    return Ahead(
        risk_matrix(stakes),
        # The same week has the same draws: a figure changes when the cases do, and not by looking again.
        outlook_of(stakes.chosen(planned), together, int(f"{week.begins:%Y%m%d}")),
        week.progress is not None,
    )


def _undecided(connection: Connection, within: Within) -> Sequence[_Row]:
    query = sa.select(*(cases.c[n] for n in _COLUMNS)).where(cases.c.state.in_(AT_WORK), *searching.bounds_of(within))
    return connection.execute(query.order_by(cases.c.case_id)).all()


def _together(connection: Connection, since: datetime) -> Together:
    query = sa.select(cases.c.probability, cases.c.result, cases.c.provider_id).where(
        cases.c.decided_at >= since, cases.c.result.in_(("violation", "compliant")), cases.c.probability.is_not(None)
    )
    return together_by_provider((p, result == "violation", house) for p, result, house in connection.execute(query))


def _is_planned(row: _Row, week: Week) -> bool:
    if row.state not in AHEAD:
        return False
    if week.progress is not None:
        return bool(row.week == week.progress.week)
    return week.ends_at is None or (row.worth, row.case_id) > week.ends_at


def _stakes(runtime: Runtime, rows: Sequence[_Row]) -> Stakes:
    probability = np.array([np.nan if r.probability is None else r.probability for r in rows], dtype=np.float64)
    low, high = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    # A case of a provider got its probability from the model of providers.
    entities = np.array([r.entity for r in rows], dtype=object)
    for entity, model in runtime.models.loaded.items():
        own = entities == entity
        low[own], high[own] = bounds_by_probability(model, probability[own])
    return Stakes.of(
        [r.probability for r in rows],
        [r.amount for r in rows],
        [r.expected_recovery for r in rows],
        [r.provider_id for r in rows],
        (low, high),
    )
