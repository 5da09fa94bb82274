"""Reading what was known before a claim: a few indexed look-ups."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.database import rows
from fraud.store.shapes import History, Row, Snapshot, Wanted
from fraud.store.tables import CANONICAL, columns_of, refreshes, snapshots

__all__ = [
    "ENTITIES",
    "PAST_DAYS",
    "PAST_LINES_DAYS",
    "claims_known",
    "earlier_claims",
    "latest_snapshot",
    "lines_known",
    "published",
    "read_history",
    "visible",
]

# How far signals look back (the scopes `past` and `past_lines`); a test keeps both in step.
PAST_DAYS = 365
PAST_LINES_DAYS = 180
# Table and key of everyone a claim names.
ENTITIES = {
    "patient": ("patients", "patient_id"),
    "provider": ("providers", "provider_id"),
    "physician": ("physicians", "physician_id"),
}
_Query = sa.Select[*tuple[Any, ...]]
NamesOf = Callable[[Connection, str], tuple[str, ...]]

_claims, _lines = CANONICAL["claims"], CANONICAL["lines"]
# What is read whatever is wanted: by these a claim's past is told from everything else.
_KEYS = {
    "claims": frozenset({"claim_id", "patient_id", "settled_at", "uploaded_at"}),
    "lines": frozenset({"claim_id"}),
}
_earlier = sa.and_(
    _claims.c.patient_id == sa.bindparam("patient"),
    _claims.c.settled_at < sa.bindparam("settled"),
    _claims.c.settled_at >= sa.bindparam("since"),
    _claims.c.claim_id != sa.bindparam("own"),
)
_PERSONS = {
    entity: sa.select(*columns_of(name)).where(CANONICAL[name].c[key] == sa.bindparam("id"))
    for entity, (name, key) in ENTITIES.items()
}
# Rows of a refresh that is published, as far as the reader's `published`: one set for all queries of a request.
visible = sa.and_(
    snapshots.c.refresh <= sa.bindparam("published"),
    sa.exists().where(refreshes.c.number == snapshots.c.refresh, refreshes.c.published_at.is_not(None)),
)
_PUBLISHED = sa.select(sa.func.max(refreshes.c.number)).where(refreshes.c.published_at.is_not(None))
_SNAPSHOT = (
    sa.select(snapshots.c.day, snapshots.c.names, snapshots.c.data)
    .where(
        snapshots.c.entity == sa.bindparam("entity"),
        snapshots.c.entity_id == sa.bindparam("id"),
        snapshots.c.day <= sa.bindparam("until"),
        snapshots.c.model.in_((sa.bindparam("model"), "")),
        visible,
    )
    # On the same day those of the model itself come before those of no model in particular.
    .order_by(snapshots.c.day.desc(), snapshots.c.model.desc(), snapshots.c.refresh.desc())
    .limit(1)
)


def read_history(connection: Connection, claim: Row, wanted: Wanted, model: str, names_of: NamesOf) -> History:
    """What was known before the claim settled; the claim itself never counts as its own past."""
    persons = {e: _person(connection, e, claim.get(key)) for e, (_, key) in ENTITIES.items()}
    until = published(connection)
    found = {
        e: latest_snapshot(connection, e, str(claim[key]), claim["settled_at"], model, names_of, until)
        for e, (_, key) in ENTITIES.items()
        if claim.get(key) is not None
    }
    return History(
        claims=_earlier_rows(connection, claims_known(_earlier, wanted.claims), claim, PAST_DAYS),
        lines=_earlier_lines(connection, claim, wanted),
        snapshots={e: s for e, s in found.items() if s is not None},
        **persons,
    )


def earlier_claims(connection: Connection, claim: Row, days: int) -> tuple[Row, ...]:
    """The patient's claims that settled in the days before this one."""
    return _earlier_rows(connection, claims_known(_earlier), claim, days)


@lru_cache(maxsize=64)
def claims_known(known: sa.ColumnElement[bool], wanted: frozenset[str] | None = None) -> _Query:
    """The query for earlier claims that fulfil `known`, with the wanted columns."""
    return sa.select(*_columns("claims", wanted)).where(known)


@lru_cache(maxsize=64)
def lines_known(known: sa.ColumnElement[bool], wanted: frozenset[str] | None = None) -> _Query:
    """The query for lines of earlier claims that fulfil `known`, with the wanted columns."""
    return sa.select(*_columns("lines", wanted)).join(_claims, _claims.c.claim_id == _lines.c.claim_id).where(known)


def _columns(name: str, wanted: frozenset[str] | None) -> list[sa.Column[Any]]:
    found = columns_of(name)
    return found if wanted is None else [c for c in found if c.name in wanted | _KEYS[name]]


def _earlier_lines(connection: Connection, claim: Row, wanted: Wanted) -> tuple[Row, ...]:
    if not wanted.any_lines:
        return ()
    return _earlier_rows(connection, lines_known(_earlier, wanted.lines), claim, PAST_LINES_DAYS)


def _earlier_rows(connection: Connection, query: _Query, claim: Row, days: int) -> tuple[Row, ...]:
    settled: datetime = claim["settled_at"]
    # A claim of the first year of the calendar has no year before it.
    since = settled - timedelta(days=days) if settled > datetime.min + timedelta(days=days) else datetime.min
    own = {"patient": claim["patient_id"], "own": claim["claim_id"], "settled": settled, "since": since}
    return rows(connection, query, own)


def _person(connection: Connection, entity: str, key: object) -> Row | None:
    found = rows(connection, _PERSONS[entity], {"id": key}) if key is not None else ()
    return found[0] if found else None


def published(connection: Connection) -> int:
    """The latest set of snapshots that may be read."""
    return int(connection.execute(_PUBLISHED).scalar_one() or 0)


def latest_snapshot(
    connection: Connection,
    entity: str,
    entity_id: str,
    until: datetime,
    model: str,
    names_of: NamesOf,
    refresh: int,
) -> Snapshot | None:
    """The latest snapshot taken at or before a moment, of the sets up to that of a refresh (see `published`)."""
    asked = {"entity": entity, "id": entity_id, "until": until, "model": model, "published": refresh}
    found = connection.execute(_SNAPSHOT, asked).first()
    if found is None:
        return None
    day, names, data = found
    values = np.frombuffer(data, dtype="<f8").tolist()
    return Snapshot(entity, entity_id, day, dict(zip(names_of(connection, names), values, strict=True)))
