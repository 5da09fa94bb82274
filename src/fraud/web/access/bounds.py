"""Bounds of data: whose record it is that a call asks for or brings, and whether a key may have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from fraud.errors import Fault
from fraud.store.casework.rows import case_of
from fraud.store.keys import Scope
from fraud.store.ledger import KINDS, Record
from fraud.store.tables import CANONICAL
from fraud.store.versions import from_json
from fraud.web.bodies.problems import Problem

if TYPE_CHECKING:
    from fraud.store import Store

__all__ = ["Subject", "holds", "strangers", "strangers_named", "subject_of"]

_CLAIMS = CANONICAL["claims"]
# Beyond this depth no claim has anything; whoever nests deeper is refused when the body is read.
_MOST_DEPTH = 16


@dataclass(frozen=True)
class Subject:
    """Whom a record speaks of; `found` is false for a record that nobody ever heard of."""

    found: bool = False
    provider_id: str | None = None
    patient_id: str | None = None
    regions: tuple[str, ...] = field(default_factory=tuple)


def subject_of(store: Store, record: Record) -> Subject:
    """Whom the record speaks of."""
    if record.kind in ("claim", "decision"):
        return _of_claim(_claim(store, record))
    if record.kind == "case":
        return _of_case(store, record.id)
    if record.kind == "campaign":
        # It speaks of several providers: `Campaigns` itself shows each visitor those within their bounds.
        return Subject()
    party = store.party(record.kind, record.id)
    if record.kind == "patient":
        return Subject(party is not None, None, record.id, _regions(party, "insured_region"))
    provider_id = record.id if record.kind == "provider" else (party or {}).get("provider_id")
    house = store.party("provider", provider_id) if provider_id else None
    return Subject(party is not None, provider_id, None, _regions(house, "region"))


def _claim(store: Store, record: Record) -> Mapping[str, Any] | None:
    """The claim as it is in the history, or as it was sent to be scored."""
    if record.kind == "claim" and (known := store.claim(record.id)) is not None:
        return known.claim
    decision = store.latest_decision(record.id) if record.kind == "claim" else store.decision(record.id)
    return from_json(decision.request).claim if decision is not None else None


def _of_claim(claim: Mapping[str, Any] | None) -> Subject:
    if claim is None:
        return Subject()
    return Subject(True, claim["provider_id"], claim["patient_id"], _regions(claim, "care_region", "insured_region"))


def _of_case(store: Store, case_id: str) -> Subject:
    with store.database.read() as connection:
        case = case_of(connection, case_id.upper())
    if case is None:
        return Subject()
    return Subject(True, case.provider_id, case.person, _regions(vars(case), "region", "insured_region"))


def _regions(row: Mapping[str, Any] | None, *names: str) -> tuple[str, ...]:
    return tuple(str(row[n]) for n in names if row.get(n)) if row else ()


def holds(store: Store, scope: Scope, subject: Subject) -> bool:
    """Whether the record lies within the bounds; what is not found lies outside of any."""
    if not scope.bounded:
        return True
    if not subject.found:
        return False
    return _holds_region(store, scope, subject) and _holds_provider(store, scope, subject)


def _holds_region(store: Store, scope: Scope, subject: Subject) -> bool:
    """A region holds what is cared for there and who is insured there."""
    if scope.holds_region(*subject.regions):
        return True
    house = store.party("provider", subject.provider_id) if subject.provider_id else None
    return scope.holds_region(*_regions(house, "region"))


def _holds_provider(store: Store, scope: Scope, subject: Subject) -> bool:
    """A provider holds its own claims and whoever it treated."""
    if subject.provider_id is not None or not scope.providers:
        return scope.holds_provider(subject.provider_id)
    query = (
        sa.select(_CLAIMS.c.claim_id)
        .where(_CLAIMS.c.patient_id == subject.patient_id, _CLAIMS.c.provider_id.in_(scope.providers))
        .limit(1)
    )
    with store.database.read() as connection:
        return connection.execute(query).first() is not None


# --- what is sent -----------------------------------------------------------------------------------------


def strangers(store: Store, scope: Scope, names: frozenset[str], body: bytes) -> list[Fault]:
    """A fault for each place of a body that names a provider outside of the bounds, or for naming none."""
    allowed: dict[str, bool] = {}
    faults, named = [], False
    for pointer, provider_id in _named(_values(body), names):
        named = True
        if provider_id not in allowed:
            house = Subject(True, provider_id)
            allowed[provider_id] = holds(store, scope, house)
        if not allowed[provider_id]:
            faults.append(Fault(pointer, "out_of_bounds", "this key may not send claims of this provider"))
    if not named:
        faults.append(Fault("", "out_of_bounds", "a key with bounds can send only what names its provider"))
    return faults


def strangers_named(store: Store, scope: Scope, names: frozenset[str], body: bytes) -> list[Fault]:
    """A fault for each outcome of a body that is about somebody outside of the bounds."""
    value = _values(body)
    listed = value.get("outcomes") if isinstance(value, dict) else None
    rows = [(f"/outcomes/{i}", row) for i, row in enumerate(listed)] if isinstance(listed, list) else [("", value)]
    return [
        Fault(f"{pointer}/entity_id", "out_of_bounds", "this key may not judge whoever lies outside of its bounds")
        for pointer, row in rows
        if isinstance(row, dict) and not _holds_named(store, scope, row.get("entity"), row.get("entity_id"))
    ]


def _holds_named(store: Store, scope: Scope, kind: object, entity_id: object) -> bool:
    if kind not in KINDS or not isinstance(entity_id, str):
        # Refused with its fault when the body is read.
        return True
    return holds(store, scope, subject_of(store, Record(str(kind), entity_id)))


def _values(body: bytes) -> Any:
    """The JSON value, or the list of values of a body with one on each line."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return [orjson.loads(line) for line in body.splitlines() if line.strip()]
    except orjson.JSONDecodeError:
        raise Problem("not-json", "The body is neither JSON nor one JSON value on each line.") from None


def _named(value: Any, names: frozenset[str], pointer: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in names and isinstance(inner, (str, int)):
                yield f"{pointer}/{name}", str(inner)
            else:
                yield from _named(inner, names, f"{pointer}/{name[:40]}", depth + 1)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _named(inner, names, f"{pointer}/{i}", depth + 1)
