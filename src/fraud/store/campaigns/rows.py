"""Reading and writing the rows of campaigns, in a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.store.campaigns.shapes import (
    Campaign,
    CampaignEvent,
    CampaignFile,
    Effect,
    Found,
    Inspected,
    OfType,
    Task,
)
from fraud.store.campaigns.tables import campaign_events, campaign_files, campaign_tasks, campaigns, inspected

__all__ = [
    "add_event",
    "add_file",
    "add_task",
    "campaign_of",
    "campaigns_in",
    "details_bytes",
    "events_of",
    "file_content",
    "files_of",
    "finish_task",
    "insert_campaign",
    "inspected_in",
    "inspected_of",
    "replace_campaign",
    "replace_inspected",
    "tasks_of",
]

_LISTED = [c for c in campaign_files.c if c.name != "content"]
# Of a task, what people write stands in one sealed column.
_SAID = ("root_cause", "text", "responsible", "cases", "rules", "model")


def details_bytes(details: Mapping[str, Any]) -> bytes:
    """Details as the bytes that are stored and hashed."""
    return orjson.dumps(dict(details), option=orjson.OPT_SORT_KEYS)


# --- the campaign itself ----------------------------------------------------------------------------------


def insert_campaign(connection: Connection, campaign: Campaign, rows: Sequence[Inspected]) -> None:
    """Add a campaign with the providers that it inspects."""
    connection.execute(sa.insert(campaigns), vars(campaign) | {"violations": list(campaign.violations)})
    connection.execute(sa.insert(inspected), [_row_of(r) for r in rows])


def campaign_of(
    connection: Connection, campaign_id: str, *, to_change: bool = False, within: bool = False
) -> Campaign | None:
    """One campaign, or None; `to_change` makes others wait who would change it, `within` whoever would end it."""
    query = sa.select(campaigns).where(campaigns.c.campaign_id == campaign_id)
    if to_change or within:
        query = query.with_for_update(read=not to_change)
    found = connection.execute(query).mappings().first()
    return _campaign(found) if found is not None else None


def campaigns_in(connection: Connection) -> tuple[Campaign, ...]:
    """All campaigns, the newest first."""
    query = sa.select(campaigns).order_by(campaigns.c.opened_at.desc(), campaigns.c.campaign_id)
    return tuple(_campaign(row) for row in connection.execute(query).mappings())


def _campaign(row: sa.RowMapping) -> Campaign:
    return Campaign(**{**dict(row), "violations": tuple(row["violations"])})


def replace_campaign(connection: Connection, before: Campaign, after: Campaign) -> bool:
    """Write what a campaign has become; False when somebody else has changed it since it was read."""
    unchanged = (campaigns.c.campaign_id == before.campaign_id, campaigns.c.revision == before.revision)
    values = {
        "revision": after.revision,
        "events": after.events,
        "closed_at": after.closed_at,
        "closed_by": after.closed_by,
    }
    return connection.execute(sa.update(campaigns).where(*unchanged).values(values)).rowcount == 1


# --- its providers ----------------------------------------------------------------------------------------


def inspected_of(
    connection: Connection, campaign_id: str, provider_id: str, *, to_change: bool = False
) -> Inspected | None:
    """How a provider stands in a campaign, or None; `to_change` makes others wait who would change it too."""
    own = (inspected.c.campaign_id == campaign_id, inspected.c.provider_id == provider_id)
    query = sa.select(inspected).where(*own)
    found = connection.execute(query.with_for_update() if to_change else query).mappings().first()
    return _inspected(found) if found is not None else None


def inspected_in(
    connection: Connection, campaign_id: str | None = None, *, to_change: bool = False
) -> tuple[Inspected, ...]:
    """The providers of a campaign, or of all of them; `to_change` makes others wait who would change one."""
    query = sa.select(inspected).order_by(inspected.c.campaign_id, inspected.c.provider_id)
    if campaign_id is not None:
        query = query.where(inspected.c.campaign_id == campaign_id)
    if to_change:
        query = query.with_for_update()
    return tuple(_inspected(row) for row in connection.execute(query).mappings())


def replace_inspected(connection: Connection, before: Inspected, after: Inspected) -> bool:
    """Write how a provider stands then; False when somebody else has changed it since it was read."""
    unchanged = (
        inspected.c.campaign_id == before.campaign_id,
        inspected.c.provider_id == before.provider_id,
        inspected.c.revision == before.revision,
    )
    old, new = _row_of(before), _row_of(after)
    changed = {name: value for name, value in new.items() if value != old[name]}
    return connection.execute(sa.update(inspected).where(*unchanged).values(changed)).rowcount == 1


def _row_of(row: Inspected) -> dict[str, Any]:
    again = _found_json(row.found_again) if row.found_again is not None else None
    effects = [asdict(e) | {"since": _text(e.since), "until": _text(e.until)} for e in row.effects]
    own = {
        "found": _found_json(row.found),
        "found_again": again,
        "effects": effects,
        "hands": [list(h) for h in row.hands],
    }
    return vars(row) | own


def _inspected(row: sa.RowMapping) -> Inspected:
    again = _found(row["found_again"]) if row["found_again"] is not None else None
    effects = tuple(_effect(e) for e in row["effects"])
    hands = tuple((account, name) for account, name in row["hands"])
    own = {"found": _found(row["found"]), "found_again": again, "effects": effects, "hands": hands}
    return Inspected(**{**dict(row), **own})


def _text(moment: datetime) -> str:
    return moment.isoformat()


def _found_json(found: Found) -> dict[str, Any]:
    return asdict(found) | {"as_of": _text(found.as_of)}


def _found(said: Mapping[str, Any]) -> Found:
    by_type = {name: OfType(**figures) for name, figures in said["by_type"].items()}
    return Found(**{**said, "as_of": datetime.fromisoformat(said["as_of"]), "by_type": by_type})


def _effect(said: Mapping[str, Any]) -> Effect:
    return Effect(**{**said, **{n: datetime.fromisoformat(said[n]) for n in ("since", "until")}})


# --- tasks ------------------------------------------------------------------------------------------------


def add_task(connection: Connection, task: Task) -> None:
    """Add something to put right."""
    row = {name: value for name, value in vars(task).items() if name not in _SAID}
    said = {name: getattr(task, name) for name in _SAID}
    connection.execute(sa.insert(campaign_tasks), row | {"details": details_bytes(said)})


def finish_task(connection: Connection, task: Task) -> None:
    """Write that a task is done, by whom, and where its evidence is."""
    own = _of(campaign_tasks, task.campaign_id, task.provider_id)
    values = {"done_at": task.done_at, "done_by": task.done_by, "file": task.file}
    connection.execute(sa.update(campaign_tasks).where(*own, campaign_tasks.c.number == task.number).values(values))


def tasks_of(connection: Connection, campaign_id: str, provider_id: str | None = None) -> tuple[Task, ...]:
    """The tasks of a provider, or of a whole campaign, in the order in which they were entered."""
    query = sa.select(campaign_tasks).where(*_of(campaign_tasks, campaign_id, provider_id))
    ordered = query.order_by(campaign_tasks.c.provider_id, campaign_tasks.c.number)
    return tuple(_task(row) for row in connection.execute(ordered).mappings())


def _task(row: sa.RowMapping) -> Task:
    own = {name: value for name, value in row.items() if name != "details"}
    said = orjson.loads(row["details"])
    return Task(**{**own, **said, "cases": tuple(said["cases"]), "rules": tuple(said["rules"])})


def _of(table: sa.Table, campaign_id: str, provider_id: str | None) -> list[sa.ColumnElement[bool]]:
    own = [table.c.campaign_id == campaign_id]
    return own if provider_id is None else [*own, table.c.provider_id == provider_id]


# --- history and files ------------------------------------------------------------------------------------


def add_event(connection: Connection, event: CampaignEvent) -> None:
    """Add to the history."""
    connection.execute(sa.insert(campaign_events), vars(event) | {"details": details_bytes(event.details)})


def events_of(connection: Connection, campaign_id: str, provider_id: str) -> tuple[CampaignEvent, ...]:
    """What was done with a provider, or with the empty id to the campaign itself, from the beginning."""
    query = sa.select(campaign_events).where(*_of(campaign_events, campaign_id, provider_id))
    found = connection.execute(query.order_by(campaign_events.c.number)).mappings()
    return tuple(CampaignEvent(**{**dict(row), "details": orjson.loads(row["details"])}) for row in found)


def add_file(connection: Connection, file: CampaignFile, content: bytes) -> None:
    """Add a file."""
    connection.execute(sa.insert(campaign_files), vars(file) | {"content": content})


def files_of(connection: Connection, campaign_id: str, provider_id: str) -> tuple[CampaignFile, ...]:
    """The files of a provider, in the order in which they came."""
    query = sa.select(*_LISTED).where(*_of(campaign_files, campaign_id, provider_id))
    found = connection.execute(query.order_by(campaign_files.c.number)).mappings()
    return tuple(CampaignFile(**row) for row in found)


def file_content(connection: Connection, file: CampaignFile) -> bytes:
    """The content of a file."""
    own = [*_of(campaign_files, file.campaign_id, file.provider_id), campaign_files.c.number == file.number]
    return bytes(connection.execute(sa.select(campaign_files.c.content).where(*own)).scalar_one())
