"""The week's list on cases, and how far the week has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fraud.review.cases.shapes import Actor, Planned, Progress
from fraud.store.casework import rows, searching
from fraud.store.casework.shapes import AT_WORK, Case, Chosen, Scored, Within
from fraud.store.casework.tables import cases
from fraud.store.ledger import Event
from fraud.store.tables import CANONICAL

if TYPE_CHECKING:
    from fraud.review.cases.casework import Casework
    from fraud.review.queue import Queue, QueuedCase

__all__ = ["planned", "progress_of"]


def planned(casework: Casework, queue: Queue, actor: Actor) -> Planned:
    """Every place of the list on a case, all in one transaction; the same list again changes nothing.

    A case that was decided since the list was made keeps its decision, and no other one is opened for it.
    """
    week = queue.as_of.date()

    def work(connection: Connection) -> Planned:
        opened, kept, decided = list[str](), list[str](), list[str]()
        # Who was on an earlier list of the same week, is not on this one and has not been begun, is on none.
        left = (cases.c.week == week, cases.c.first_action_at.is_(None), cases.c.entity.in_(_ids(queue)))
        connection.execute(sa.update(cases).where(*left).values(week=None, place=None))
        known = {e: rows.latest_rounds(connection, e, ids) for e, ids in _ids(queue).items()}
        whom = _whom(connection, queue)
        for queued in queue.cases:
            before = known[queued.candidate.entity].get(queued.candidate.entity_id)
            if before is not None and not before.at_work and before.week == week:
                decided.append(before.case_id)
                continue
            if before is not None and before.at_work:
                _place(connection, before, queued, week)
                kept.append(before.case_id)
                continue
            scored = _scored(queued, whom)
            made = casework.open_in(connection, scored, actor, queued.selected_by, _chance(queued))
            _place(connection, made, queued, week)
            opened.append(made.case_id)
        counts = {"week": week.isoformat(), "opened": len(opened), "kept": len(kept), "seed": queue.seed}
        told = Event("cases.planned", actor.id, purpose=actor.purpose, request_id=actor.request_id, details=counts)
        casework.ledger.add_in(connection, told)
        return Planned(week, tuple(opened), tuple(kept), tuple(decided))

    return casework.store.database.transact(work)


def _ids(queue: Queue) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for queued in queue.cases:
        found.setdefault(queued.candidate.entity, []).append(queued.candidate.entity_id)
    return found


def _chance(queued: QueuedCase) -> float | None:
    return queued.inclusion_probability if queued.selected_by == "random" else None


def _place(connection: Connection, case: Case, queued: QueuedCase, week: date) -> None:
    """Put a case onto the list; one that was drawn before anybody began is a random one, whoever flagged it."""
    placed = replace(case, week=week, place=queued.place, hours=queued.hours, worth=queued.recovery_per_hour)
    if queued.selected_by == "random" and case.first_action_at is None:
        placed = replace(placed, selected_by="random", inclusion_probability=queued.inclusion_probability)
    if not rows.replace_case(connection, case, placed):
        raise RuntimeError("a case changed within its own transaction")


def _scored(queued: QueuedCase, whom: dict[tuple[str, str], Scored]) -> Scored:
    candidate = queued.candidate
    known = whom.get(candidate.key) or Scored(candidate.entity, candidate.entity_id)  # type: ignore[arg-type]
    return replace(
        known,
        provider_id=candidate.provider_id or known.provider_id,
        violation=candidate.violation,
        probability=candidate.probability,
        percentile=candidate.percentile,
        amount=candidate.at_stake,
        expected_recovery=candidate.expected_recovery,
        hours=queued.hours,
        worth=queued.recovery_per_hour,
    )


def _whom(connection: Connection, queue: Queue) -> dict[tuple[str, str], Scored]:
    """Whose person and region each place of the list is, as far as the store knows."""
    found: dict[tuple[str, str], Scored] = {}
    for entity, ids in _ids(queue).items():
        for row in connection.execute(_query(entity, ids)).mappings():
            found[entity, row["id"]] = Scored(
                entity,  # type: ignore[arg-type]
                row["id"],
                patient_id=row["patient_id"],
                provider_id=row["provider_id"],
                region=row["region"],
                insured_region=row["insured_region"],
            )
    return found


def _query(entity: str, ids: Sequence[str]) -> sa.Select[*tuple[Any, ...]]:
    """Whom each of these claims, patients, providers or physicians is about, and where."""
    claims, houses, none = CANONICAL["claims"], CANONICAL["providers"], sa.null()
    patients, physicians = CANONICAL["patients"], CANONICAL["physicians"]
    placed = physicians.outerjoin(houses, physicians.c.provider_id == houses.c.provider_id)
    # By entity: its id, then patient, provider, where care is given, where the patient is insured.
    columns: dict[str, tuple[Any, ...]] = {
        "claim": tuple(claims.c[n] for n in ("claim_id", "patient_id", "provider_id", "care_region", "insured_region")),
        "patient": (patients.c.patient_id, patients.c.patient_id, none, none, patients.c.insured_region),
        "provider": (houses.c.provider_id, none, houses.c.provider_id, houses.c.region, none),
        "physician": (physicians.c.physician_id, none, physicians.c.provider_id, houses.c.region, none),
    }
    own = columns[entity]
    labels = ("id", "patient_id", "provider_id", "region", "insured_region")
    query = sa.select(*(c.label(n) for n, c in zip(labels, own, strict=True))).where(own[0].in_(ids))
    return query.select_from(placed) if entity == "physician" else query


# --- how far it is ----------------------------------------------------------------------------------------


def progress_of(casework: Casework, week: date, within: Within) -> Progress:
    """The figures of a week's list as they are now."""
    now = casework.clock()
    with casework.store.database.read() as connection:
        listed = searching.found_cases(connection, Chosen(week=week), within, now, "place", 100_000, 0)
    done = [c for c in listed if c.state not in AT_WORK]
    drawn = [c for c in listed if c.selected_by == "random"]
    return Progress(
        week=week,
        as_of=now,
        capacity_hours=casework.rules.hours_per_week,
        cases=len(listed),
        begun=sum(c.first_action_at is not None for c in listed),
        decided=len(done),
        hours=sum(c.hours for c in listed),
        hours_decided=sum(c.hours for c in done),
        random_cases=len(drawn),
        random_decided=sum(c.state not in AT_WORK for c in drawn),
        expected_recovery=sum(c.expected_recovery or 0.0 for c in listed),
        recovered=sum(c.confirmed_amount or 0.0 for c in done if c.verdict and c.result == "violation"),
    )
