"""What is kept beyond its time, and destroying it with a record of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.campaigns.tables import campaign_events, campaign_files, campaign_tasks, campaigns, inspected
from fraud.store.casework.tables import attachments, cases
from fraud.store.casework.tables import events as case_events
from fraud.store.database import Database
from fraud.store.explanations import explanations
from fraud.store.ledger import Event, Ledger
from fraud.store.outcomes import feedback
from fraud.store.recoveries import recoveries
from fraud.store.scrubbing import scrub
from fraud.store.shapes import ITEMS
from fraud.store.tables import CANONICAL, decisions, idempotency, shadow_scores, snapshots, versions

__all__ = ["Destroyed", "Warrant", "before", "destroy", "due"]

_claims = CANONICAL["claims"]


@dataclass(frozen=True)
class Warrant:
    """Who lets something be destroyed, who watches, and why."""

    approved_by: str
    witness: str
    reason: str


@dataclass(frozen=True)
class Destroyed:
    """What was destroyed: rows by table, everything from before `cutoff`, and how."""

    cutoff: datetime
    rows: Mapping[str, int]
    method: str


def before(as_of: datetime, years: int) -> datetime:
    """The day so many years before.

    >>> before(datetime(2028, 2, 29, 12), 10)
    datetime.datetime(2018, 2, 28, 0, 0)
    """
    day = as_of.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def _conditions(cutoff: datetime) -> dict[sa.Table, sa.ColumnElement[bool]]:
    """Which rows of each table are older, items before the claims that they belong to.

    An item or an earlier version goes with its claim, and a version of a claim that is no longer there by its day of
    arrival. The ledger stays: it is the record of what was destroyed.
    """
    old = sa.select(_claims.c.claim_id).where(_claims.c.settled_at < cutoff)
    current = sa.select(_claims.c.claim_id)
    own = {CANONICAL[name]: CANONICAL[name].c.claim_id.in_(old) for name in ITEMS}
    orphaned = sa.and_(versions.c.received_at < cutoff, versions.c.claim_id.not_in(current))
    # An explanation goes with its decision, and before it.
    explained = sa.select(decisions.c.request_id).where(decisions.c.scored_at < cutoff)
    # A case that is not closed is kept, however old it is.
    ended = sa.and_(cases.c.state == "closed", cases.c.closed_at < cutoff)
    theirs = sa.select(cases.c.case_id).where(ended)
    over = campaigns.c.closed_at < cutoff
    of_campaigns = sa.select(campaigns.c.campaign_id).where(over)
    parts = (campaign_files, campaign_events, campaign_tasks, inspected)
    return {
        **own,
        case_events: case_events.c.case_id.in_(theirs),
        attachments: attachments.c.case_id.in_(theirs),
        recoveries: recoveries.c.case_id.in_(theirs),
        cases: ended,
        **{part: part.c.campaign_id.in_(of_campaigns) for part in parts},
        campaigns: over,
        explanations: explanations.c.request_id.in_(explained),
        versions: versions.c.claim_id.in_(old) | orphaned,
        _claims: _claims.c.settled_at < cutoff,
        decisions: decisions.c.scored_at < cutoff,
        shadow_scores: shadow_scores.c.scored_at < cutoff,
        feedback: feedback.c.received_at < cutoff,
        idempotency: idempotency.c.started_at < cutoff,
        CANONICAL["outcomes"]: CANONICAL["outcomes"].c.decided_at < cutoff,
        snapshots: snapshots.c.day < cutoff,
    }


def due(database: Database, cutoff: datetime) -> dict[str, int]:
    """Rows from before the cutoff, by table."""
    with database.read() as connection:
        return {
            str(table.name): connection.execute(sa.select(sa.func.count()).select_from(table).where(old)).scalar_one()
            for table, old in _conditions(cutoff).items()
        }


def destroy(database: Database, cutoff: datetime, by: str, warrant: Warrant) -> Destroyed:
    """Destroy what is from before the cutoff; rows and record stand or fall together.

    Afterwards the files are rewritten, so that nothing is left in them, and that is recorded too.
    """
    ledger = Ledger(database)
    told = {"cutoff": cutoff.isoformat(), "approved_by": warrant.approved_by, "witness": warrant.witness}
    with database.write_patiently() as connection:
        rows = {str(table.name): _delete(connection, table, old) for table, old in _conditions(cutoff).items()}
        event = Event("retention.destroyed", by, purpose=warrant.reason, details={**told, "rows": rows})
        ledger.add_in(connection, event)
    method = scrub(database, rows)
    ledger.add(Event("retention.rewritten", by, purpose=warrant.reason, details={**told, "method": method}))
    return Destroyed(cutoff, rows, method)


def _delete(connection: Connection, table: sa.Table, old: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.delete(table).where(old)).rowcount)
