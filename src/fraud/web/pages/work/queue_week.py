"""The week of a team: hours done, hours planned, hours left, and where in the ranking they end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from fraud.store.casework.tables import cases

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fraud.review.cases import Case, Progress
    from fraud.web.running.runtime import Runtime

__all__ = ["AHEAD", "Week", "week_of"]

# Work that is still to be done: a case that waits for its second signature costs no more hours of review.
AHEAD = ("open", "assigned", "evidence")
# Cases of the ranking that are looked at for its end; a week of a minute each has no more.
_MOST = 2_500


@dataclass(frozen=True)
class Week:
    """How far a team's week has come, in hours of review; `planned` is what is left of the week's list.

    `ends_at` is the first case of the ranking for which no hours are left, by its worth and number: it and those
    after it lie beyond this week. None while all of the work fits. `progress` is that of the week's list, if any.
    """

    begins: date
    capacity: float
    done: float
    planned: float
    left: float
    ends_at: tuple[float, str] | None
    progress: Progress | None

    def beyond(self, case: Case) -> bool:
        """Whether a case lies beyond what the week has hours for."""
        ahead = case.state in AHEAD
        return ahead and self.ends_at is not None and (case.worth, case.case_id) <= self.ends_at

    @property
    def share(self) -> float:
        """Hours done among those there are, from 0 to 1."""
        return min(self.done / self.capacity, 1.0) if self.capacity else 1.0


def week_of(runtime: Runtime) -> Week:
    """The week of the whole team, as of now; hours are those of everybody, whatever somebody may see."""
    monday = _monday(runtime.now())
    capacity = runtime.case_rules.hours_per_week
    with runtime.store.database.read() as connection:
        done = _hours_done(connection, monday)
        listed = connection.execute(sa.select(sa.func.max(cases.c.week))).scalar_one()
        left = max(capacity - done, 0.0)
        ends = _ends_at(connection, left)
    # A list of an earlier week is no plan for this one.
    progress = runtime.casework.progress(listed) if listed is not None and listed >= monday.date() else None
    planned = max(progress.hours - progress.hours_decided, 0.0) if progress is not None else 0.0
    return Week(monday.date(), capacity, done, planned, left, ends, progress)


def _monday(now: datetime) -> datetime:
    return datetime.combine(now.date() - timedelta(days=now.weekday()), time())


def _hours_done(connection: Connection, since: datetime) -> float:
    query = sa.select(sa.func.sum(cases.c.hours)).where(cases.c.decided_at >= since)
    return float(connection.execute(query).scalar_one() or 0.0)


def _ends_at(connection: Connection, left: float) -> tuple[float, str] | None:
    """The first case for which no hours are left; None when there are hours for all of them."""
    ranking = (
        sa.select(cases.c.worth, cases.c.case_id, cases.c.hours)
        .where(cases.c.state.in_(AHEAD))
        .order_by(cases.c.worth.desc(), cases.c.case_id.desc())
        .limit(_MOST)
    )
    used = 0.0
    for worth, case_id, hours in connection.execute(ranking):
        used += hours
        # A rounding error is no case that does not fit.
        if used > left + 1e-9:
            return float(worth), str(case_id)
    return None
