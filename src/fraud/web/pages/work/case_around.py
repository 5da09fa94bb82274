"""What stands around a case: the claim's own lines, the patient's course, who was seen together, other cases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fraud.explaining.explanation import Event, Explanation
from fraud.review.cases import Actor, Case, Chosen
from fraud.store.tables import CANONICAL
from fraud.store.versions import StoredBundle, from_json
from fraud.web.pages.work.case_charts import Pairing, Stay, named
from fraud.web.pages.work.case_wording import names_of_providers

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fraud.web.pages.frame.shapes import Visit
    from fraud.web.running.runtime import Runtime

__all__ = ["Around", "LineRow", "NETWORK_DAYS", "around", "claim_of", "course_of", "lines_of", "seen_together"]

NETWORK_DAYS = 90
_LINES, _CASES, _VISITS = 400, 8, 20
# People and providers of the network: thirty nodes can still be told apart.
_PEOPLE, _PLACES = 17, 12
_claims = CANONICAL["claims"]


# --- lines ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LineRow:
    """A billed item; `rules` are the titles of the findings that name it."""

    row: Mapping[str, Any]
    rules: tuple[str, ...]


def claim_of(runtime: Runtime, case: Case) -> StoredBundle | None:
    """The claim of a case as it was scored; None for a case of a person, or a claim that never came here."""
    if case.entity != "claim":
        return None
    decision = runtime.store.decision(case.request_id) if case.request_id else None
    return from_json(decision.request) if decision is not None else runtime.store.claim(case.entity_id)


def lines_of(bundle: StoredBundle | None, explanation: Explanation | None, visit: Visit) -> tuple[LineRow, ...]:
    """The claim's items, each with the findings that name it."""
    concerned: dict[int, list[str]] = defaultdict(list)
    for finding in explanation.hits if explanation else ():
        for number in finding.lines:
            concerned[number].append(visit.words.pick(finding.signal.title))
    found = sorted(bundle.lines, key=lambda line: line["line_no"]) if bundle is not None else []
    return tuple(LineRow(line, tuple(concerned.get(line["line_no"], ()))) for line in found[:_LINES])


# --- the patient's course ---------------------------------------------------------------------------------


def course_of(runtime: Runtime, explanation: Explanation | None, visit: Visit) -> tuple[Stay, ...]:
    """The claims of the patient over all providers, with the providers' names."""
    events = [e for e in explanation.timeline if isinstance(e, Event)] if explanation else []
    names = names_of_providers(runtime, (e.place for e in events))
    stays = [
        Stay(
            e.claim_id or "",
            e.day,
            max(e.until or e.day, e.day),
            e.place or "–",
            visit.words.cell("visit_type", e.kind),
            e.label.partition(" · ")[2],
            e.amount,
            e.marked,
        )
        for e in events
    ]
    return named(stays, names)


# --- who was seen together --------------------------------------------------------------------------------


def seen_together(runtime: Runtime, case: Case, visit: Visit) -> tuple[Pairing, ...]:
    """People who were at the same providers on the same days as the patient, more than once in 90 days.

    Empty when the case has no patient, or nobody was there more than once: two people who wait in one room on one
    day have nothing to do with each other.
    """
    if case.patient_id is None:
        return ()
    with runtime.store.database.read() as connection:
        own = _own_days(connection, case.patient_id, case.opened_at)
        others = _others(connection, case.patient_id, own) if own else {}
    met = {person: places for person, places in others.items() if places.total() > 1}
    leading = sorted(met, key=lambda p: (-met[p].total(), p))[:_PEOPLE]
    if not leading:
        return ()
    counted = Counter[str]()
    for person in leading:
        counted.update(met[person])
    shown = [place for place, _ in counted.most_common(_PLACES)]
    names = names_of_providers(runtime, shown)
    mine = Counter(place for place, _ in own)
    pairs = [Pairing(visit.shown("patient_id", case.patient_id), names.get(p, p), mine[p], True) for p in shown]
    pairs += [
        Pairing(visit.shown("patient_id", person), names.get(place, place), met[person][place])
        for person in leading
        for place in shown
        if met[person][place]
    ]
    return tuple(pairs)


def _own_days(connection: Connection, patient_id: str, until: datetime) -> list[tuple[str, date]]:
    """The latest days of the patient at providers."""
    latest = sa.select(sa.func.max(_claims.c.settled_at)).where(_claims.c.patient_id == patient_id)
    # A case about old claims is opened today: the days count from the last claim.
    last = connection.execute(latest).scalar_one()
    if last is None:
        return []
    end = min(last, until)
    query = (
        sa.select(_claims.c.provider_id, _claims.c.settled_at)
        .where(
            _claims.c.patient_id == patient_id,
            _claims.c.settled_at > end - timedelta(days=NETWORK_DAYS),
            _claims.c.settled_at <= end,
        )
        .order_by(_claims.c.settled_at.desc())
        .limit(_VISITS)
    )
    return list(dict.fromkeys((place, at.date()) for place, at in connection.execute(query)))


def _others(connection: Connection, patient_id: str, days: Sequence[tuple[str, date]]) -> dict[str, Counter[str]]:
    """By person and provider the days that they have in common with the patient."""
    at = _claims.c.settled_at
    there = [
        sa.and_(_claims.c.provider_id == place, at >= day, at < day + timedelta(days=1))
        for place, day in ((p, datetime(d.year, d.month, d.day)) for p, d in days)
    ]
    query = sa.select(_claims.c.patient_id, _claims.c.provider_id, at).where(
        sa.or_(*there), _claims.c.patient_id != patient_id
    )
    once = {(person, place, moment.date()) for person, place, moment in connection.execute(query.limit(5_000))}
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for person, place, _ in once:
        found[person][place] += 1
    return found


# --- other cases ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Around:
    """Other cases: of the same patient, of the same provider, and decided ones like this one."""

    patient: tuple[Case, ...]
    provider: tuple[Case, ...]
    similar: tuple[Case, ...]


def around(runtime: Runtime, case: Case, actor: Actor) -> Around:
    """Other cases within the actor's bounds, the latest first."""
    work = runtime.casework

    def of(**who: str | None) -> tuple[Case, ...]:
        if not any(who.values()):
            return ()
        found = work.search(Chosen(**who), actor.within, "-opened", _CASES + 1).cases  # type: ignore[arg-type]
        return tuple(c for c in found if c.case_id != case.case_id)[:_CASES]

    like = work.similar(case, actor.within, _CASES) if case.violation else ()
    return Around(of(patient_id=case.patient_id), of(provider_id=case.provider_id), like)
