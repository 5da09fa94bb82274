"""What was known before each of many claims: the look-ups of `fraud.store.history`, made for all of them at once."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.database import rows
from fraud.store.history import (
    ENTITIES,
    PAST_DAYS,
    PAST_LINES_DAYS,
    NamesOf,
    claims_known,
    lines_known,
    published,
    visible,
)
from fraud.store.shapes import History, Row, Snapshot, Wanted
from fraud.store.tables import CANONICAL, columns_of, snapshots

__all__ = ["read_histories"]

_claims = CANONICAL["claims"]
_earlier = sa.and_(
    _claims.c.patient_id.in_(sa.bindparam("patients", expanding=True)),
    _claims.c.settled_at < sa.bindparam("until"),
    _claims.c.settled_at >= sa.bindparam("since"),
)
_PARTIES = {
    entity: sa.select(*columns_of(name)).where(CANONICAL[name].c[key].in_(sa.bindparam("ids", expanding=True)))
    for entity, (name, key) in ENTITIES.items()
}
_taken = sa.and_(
    snapshots.c.entity.in_(sa.bindparam("entities", expanding=True)),
    snapshots.c.entity_id.in_(sa.bindparam("ids", expanding=True)),
    snapshots.c.model.in_((sa.bindparam("model"), "")),
    visible,
)
_who = (snapshots.c.entity, snapshots.c.entity_id)
_LATEST = (
    sa.select(*_who, sa.func.max(snapshots.c.day))
    .where(_taken, snapshots.c.day <= sa.bindparam("until"))
    .group_by(*_who)
)
_DAYS = sa.select(*_who, snapshots.c.day).where(_taken).distinct()
_VALUES = sa.select(
    *_who, snapshots.c.day, snapshots.c.model, snapshots.c.refresh, snapshots.c.names, snapshots.c.data
).where(_taken, snapshots.c.day.in_(sa.bindparam("days", expanding=True)))
# Whom a snapshot is of: entity and id.
_Who = tuple[str, str]


def read_histories(
    connection: Connection, claims: Sequence[Row], wanted: Wanted, model: str, names_of: NamesOf
) -> list[History]:
    """For each claim what `read_history` gives for it, in a fixed number of queries; rows are shared, not copied.

    No claim counts as the past of another one here unless it is in the database.
    """
    if not claims:
        return []
    past = _Past(connection, claims, wanted)
    parties = {entity: _parties(connection, entity, claims) for entity in ENTITIES}
    taken = _snapshots(connection, claims, model, names_of)
    return [
        History(
            claims=tuple(past.claims(c)),
            lines=tuple(past.lines(c)),
            snapshots=found,
            **{entity: parties[entity].get(c.get(key)) for entity, (_, key) in ENTITIES.items()},
        )
        for c, found in zip(claims, taken, strict=True)
    ]


class _Past:
    """Earlier claims of several patients with their lines, as far back as any of the claims looks."""

    def __init__(self, connection: Connection, claims: Sequence[Row], wanted: Wanted) -> None:
        settled = [c["settled_at"] for c in claims]
        patients = sorted({c["patient_id"] for c in claims})
        asked = {"patients": patients, "until": max(settled), "since": _before(min(settled), PAST_DAYS)}
        self._claims: dict[str, list[Row]] = defaultdict(list)
        for row in rows(connection, claims_known(_earlier, wanted.claims), asked):
            self._claims[row["patient_id"]].append(row)
        self._lines: dict[str, list[Row]] = defaultdict(list)
        if wanted.any_lines:
            asked["since"] = _before(min(settled), PAST_LINES_DAYS)
            for row in rows(connection, lines_known(_earlier, wanted.lines), asked):
                self._lines[row["claim_id"]].append(row)

    def claims(self, claim: Row, days: int = PAST_DAYS) -> list[Row]:
        """The patient's other claims that settled in the days before this one."""
        settled, own = claim["settled_at"], claim["claim_id"]
        since = _before(settled, days)
        known = self._claims.get(claim["patient_id"], ())
        return [c for c in known if since <= c["settled_at"] < settled and c["claim_id"] != own]

    def lines(self, claim: Row) -> list[Row]:
        """Lines of those claims."""
        earlier = self.claims(claim, PAST_LINES_DAYS) if self._lines else ()
        return [row for c in earlier for row in self._lines.get(c["claim_id"], ())]


def _before(settled: datetime, days: int) -> datetime:
    # A claim of the first year of the calendar has no year before it.
    return settled - timedelta(days=days) if settled > datetime.min + timedelta(days=days) else datetime.min


def _parties(connection: Connection, entity: str, claims: Sequence[Row]) -> Mapping[Any, Row]:
    key = ENTITIES[entity][1]
    ids = sorted({c[key] for c in claims if c.get(key) is not None})
    return {row[key]: row for row in rows(connection, _PARTIES[entity], {"ids": ids})} if ids else {}


# --- snapshots --------------------------------------------------------------------------------------------


def _snapshots(
    connection: Connection, claims: Sequence[Row], model: str, names_of: NamesOf
) -> list[dict[str, Snapshot]]:
    """The latest snapshot before each claim of everybody whom it names, by entity."""
    named = [_named(c) for c in claims]
    everybody = sorted({who for own in named for who in own})
    if not everybody:
        return [{} for _ in claims]
    settled = [c["settled_at"] for c in claims]
    entities, ids = ([*dict.fromkeys(part)] for part in zip(*everybody, strict=True))
    asked = {"entities": entities, "ids": ids, "model": model, "published": published(connection)}
    chosen = _days_before(connection, named, settled, asked)
    values = _values(connection, {day for own in chosen for day in own.values()}, asked, names_of)
    return [{who[0]: values[who, day] for who, day in own.items()} for own in chosen]


def _named(claim: Row) -> list[_Who]:
    return [(entity, str(claim[key])) for entity, (_, key) in ENTITIES.items() if claim.get(key) is not None]


def _days_before(
    connection: Connection, named: Sequence[Sequence[_Who]], settled: Sequence[datetime], asked: Mapping[str, Any]
) -> list[dict[_Who, datetime]]:
    """For each claim: whom it names and has a snapshot by then, with the day of the latest."""
    found = connection.execute(_LATEST, {**asked, "until": max(settled)})
    days = {(entity, entity_id): [day] for entity, entity_id, day in found}
    if any(days[who][0] > when for own, when in zip(named, settled, strict=True) for who in own if who in days):
        # Claims of several months: for some of them the latest snapshot of all is too late.
        days = _all_days(connection, asked)
    return [
        {who: days[who][place - 1] for who in own if (place := bisect_right(days.get(who, ()), when))}
        for own, when in zip(named, settled, strict=True)
    ]


def _all_days(connection: Connection, asked: Mapping[str, Any]) -> dict[_Who, list[datetime]]:
    days: dict[_Who, list[datetime]] = defaultdict(list)
    for entity, entity_id, day in connection.execute(_DAYS, asked):
        days[entity, entity_id].append(day)
    return {who: sorted(found) for who, found in days.items()}


def _values(
    connection: Connection, days: Set[datetime], asked: Mapping[str, Any], names_of: NamesOf
) -> dict[tuple[_Who, datetime], Snapshot]:
    """Snapshots of these days: of the model itself before those of no model, and of the latest refresh."""
    chosen: dict[tuple[_Who, datetime], tuple[tuple[str, int], str, bytes]] = {}
    if not days:
        return {}
    found = connection.execute(_VALUES, {**asked, "days": sorted(days)})
    for entity, entity_id, day, model, refresh, names, data in found:
        key = ((entity, entity_id), day)
        if key not in chosen or (model, refresh) > chosen[key][0]:
            chosen[key] = ((model, refresh), names, data)
    return {
        (who, day): Snapshot(*who, day, _read(names_of(connection, names), data))
        for (who, day), (_, names, data) in chosen.items()
    }


def _read(names: Sequence[str], data: bytes) -> dict[str, float]:
    return dict(zip(names, np.frombuffer(data, dtype="<f8").tolist(), strict=True))
