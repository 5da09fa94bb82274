"""Reading and writing the rows of single cases, in a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.casework.shapes import AT_WORK, Attachment, Case, CaseEvent
from fraud.store.casework.tables import attachments, cases, events
from fraud.store.tables import CANONICAL

__all__ = [
    "add_attachment",
    "add_event",
    "attachment_content",
    "attachments_of",
    "case_of",
    "case_of_row",
    "cases_about",
    "digest_bytes",
    "event_of_row",
    "events_of",
    "insert_case",
    "latest_rounds",
    "region_of_provider",
    "replace_case",
    "row_of",
    "undecided_about",
]

NAMES = tuple(f.name for f in fields(Case))
_COLUMNS = tuple(c.name for c in cases.c)
assert sorted(NAMES) == sorted(_COLUMNS)
_CASE = sa.select(cases).where(cases.c.case_id == sa.bindparam("id"))
_LOCKED = _CASE.with_for_update()
_THESE = (
    cases.c.entity == sa.bindparam("entity"),
    cases.c.entity_id.in_(sa.bindparam("ids", expanding=True)),
)
_ANY_ABOUT = sa.select(cases.c.round).where(*_THESE).limit(1)
_ABOUT = sa.select(cases).where(*_THESE).order_by(cases.c.round)
_LISTED = [c for c in attachments.c if c.name != "content"]


def case_of_row(row: sa.RowMapping) -> Case:
    """The case that a row holds."""
    return Case(**{**dict(row), "findings": tuple(row["findings"])})


def row_of(case: Case) -> dict[str, Any]:
    """The row that holds a case."""
    return {**vars(case), "findings": list(case.findings)}


def case_of(connection: Connection, case_id: str, *, to_change: bool = False) -> Case | None:
    """One case, or None; `to_change` makes others wait who would change it too."""
    if not (case_id.isascii() and case_id.isalnum()):
        # Not even asked for: a database may refuse characters that no number has.
        return None
    found = connection.execute(_LOCKED if to_change else _CASE, {"id": case_id}).mappings().first()
    return case_of_row(found) if found is not None else None


def cases_about(connection: Connection, entity: str, entity_id: str) -> tuple[Case, ...]:
    """All cases about a claim or person, the latest first."""
    own = (cases.c.entity == entity, cases.c.entity_id == entity_id)
    found = connection.execute(sa.select(cases).where(*own).order_by(cases.c.round.desc())).mappings()
    return tuple(map(case_of_row, found))


def latest_rounds(connection: Connection, entity: str, entity_ids: Sequence[str]) -> dict[str, Case]:
    """The latest case of each claim or person that has one."""
    asked = {"entity": entity, "ids": entity_ids}
    # Most have none, which an index alone can tell.
    if connection.execute(_ANY_ABOUT, asked).first() is None:
        return {}
    found = connection.execute(_ABOUT, asked).mappings()
    return {row["entity_id"]: case_of_row(row) for row in found}


def undecided_about(connection: Connection, entity: str, entity_id: str) -> Case | None:
    """The case about a claim or person in which nothing was decided yet."""
    own = (cases.c.entity == entity, cases.c.entity_id == entity_id, cases.c.state.in_(AT_WORK))
    found = connection.execute(sa.select(cases).where(*own)).mappings().first()
    return case_of_row(found) if found is not None else None


def insert_case(connection: Connection, case: Case) -> None:
    """Add a case."""
    connection.execute(sa.insert(cases), row_of(case))


def replace_case(connection: Connection, before: Case, after: Case) -> bool:
    """Write what a case has become; False when somebody else has changed it since it was read."""
    unchanged = (
        cases.c.case_id == before.case_id,
        cases.c.revision == before.revision,
        cases.c.events == before.events,
    )
    changed = {name: value for name, value in row_of(after).items() if value != row_of(before)[name]}
    if not changed:
        return True
    return connection.execute(sa.update(cases).where(*unchanged).values(changed)).rowcount == 1


# --- what was done ----------------------------------------------------------------------------------------


def add_event(connection: Connection, event: CaseEvent) -> None:
    """Add to the history of a case."""
    connection.execute(sa.insert(events), {**vars(event), "details": digest_bytes(event.details)})


def digest_bytes(details: Mapping[str, Any]) -> bytes:
    """Details as the bytes that are stored and hashed."""
    return orjson.dumps(dict(details), option=orjson.OPT_SORT_KEYS)


def events_of(connection: Connection, case_id: str) -> tuple[CaseEvent, ...]:
    """The history of a case, from its beginning."""
    own = sa.select(events).where(events.c.case_id == case_id).order_by(events.c.number)
    return tuple(event_of_row(row) for row in connection.execute(own).mappings())


def event_of_row(row: sa.RowMapping) -> CaseEvent:
    """The event that a row holds."""
    return CaseEvent(**{**dict(row), "details": orjson.loads(row["details"])})


# --- what was handed in -----------------------------------------------------------------------------------


def add_attachment(connection: Connection, attachment: Attachment, content: bytes) -> None:
    """Add a file to a case."""
    connection.execute(sa.insert(attachments), {**vars(attachment), "content": content})


def attachments_of(connection: Connection, case_id: str) -> tuple[Attachment, ...]:
    """The files of a case, in the order in which they came."""
    own = sa.select(*_LISTED).where(attachments.c.case_id == case_id).order_by(attachments.c.number)
    return tuple(Attachment(**row) for row in connection.execute(own).mappings())


def attachment_content(connection: Connection, case_id: str, number: int) -> bytes | None:
    """The content of a file, or None."""
    own = (attachments.c.case_id == case_id, attachments.c.number == number)
    found = connection.execute(sa.select(attachments.c.content).where(*own)).scalar_one_or_none()
    return bytes(found) if found is not None else None


# --- around -----------------------------------------------------------------------------------------------


def region_of_provider(connection: Connection, provider_ids: Iterable[str]) -> dict[str, str]:
    """Where institutions are, of those on file that say so."""
    houses = CANONICAL["providers"]
    named = (houses.c.provider_id.in_(sorted(set(provider_ids))), houses.c.region.is_not(None))
    query = sa.select(houses.c.provider_id, houses.c.region).where(*named)
    return {row[0]: row[1] for row in connection.execute(query)}
