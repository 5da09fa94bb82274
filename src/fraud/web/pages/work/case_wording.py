"""Words for cases that several pages share: whom one is about, why, and how much time is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import orjson
import sqlalchemy as sa

from fraud.claims.violations import violation_names
from fraud.review.cases import Case
from fraud.store.tables import CANONICAL, decisions
from fraud.web.pages.frame.wording import Words

if TYPE_CHECKING:
    from fraud.web.pages.frame.shapes import Visit
    from fraud.web.running.runtime import Runtime

__all__ = ["clock_of", "kinds_of_violation", "money_words", "names_of_providers", "reasons_of", "subject_of_case"]


def kinds_of_violation(words: Words) -> dict[str, str]:
    """The types of violation by code, in the reader's language."""
    return {code: words.pick(text) for code, text in violation_names().items()}


def money_words(runtime: Runtime, visit: Visit) -> Words:
    """The words with the payer's currency, where its claims name one."""
    some = sa.select(CANONICAL["claims"].c.currency).limit(50).subquery()
    with runtime.store.database.read() as connection:
        named = set(connection.execute(sa.select(some.c.currency).distinct()).scalars()) - {None}
    return Words(visit.words.locale, named.pop() if len(named) == 1 else None)


def subject_of_case(visit: Visit, case: Case) -> str:
    """Whom a case is about, as the visitor may see it."""
    return f"{visit.words.of('kinds', case.entity)} {visit.shown(f'{case.entity}_id', case.entity_id)}"


def clock_of(case: Case, now: datetime, words: Words) -> str:
    """What is left of the running clock, or how late it is; empty while none runs."""
    if case.paused:
        return words("queue.waiting")
    if case.due_at is None:
        return ""
    seconds = (case.due_at - now).total_seconds()
    span = _span(abs(seconds), words)
    return words("queue.late_by", span=span) if seconds < 0 else words("queue.left_of", span=span)


def _span(seconds: float, words: Words) -> str:
    minutes = int(seconds // 60)
    if minutes < 60:
        return words("queue.minutes", n=minutes)
    if minutes < 48 * 60:
        return words("queue.hours", n=minutes // 60, m=minutes % 60)
    return words("queue.days", n=minutes // 1440)


def names_of_providers(runtime: Runtime, ids: Iterable[str | None]) -> dict[str, str]:
    """Names of institutions on file, by id."""
    houses = CANONICAL["providers"]
    wanted = sorted({i for i in ids if i})
    if not wanted:
        return {}
    query = sa.select(houses.c.provider_id, houses.c.name).where(
        houses.c.provider_id.in_(wanted), houses.c.name.is_not(None)
    )
    with runtime.store.database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def reasons_of(runtime: Runtime, found: Sequence[Case], words: Words) -> Mapping[str, str]:
    """By case its first reason in a line: the gravest rule that hit, or else what the model leaned on most."""
    silent = [c.request_id for c in found if not c.findings and c.request_id]
    leaned = _leaned_on(runtime, silent) if silent else {}
    kinds = kinds_of_violation(words)
    reasons = {}
    for case in found:
        signal = runtime.catalogue.signals.get(case.findings[0] if case.findings else leaned.get(case.request_id, ""))
        if signal is not None:
            reasons[case.case_id] = words.pick(signal.title)
        elif case.selected_by == "random":
            reasons[case.case_id] = words("queue.drawn")
        else:
            reasons[case.case_id] = kinds.get(case.violation or "", "")
    return reasons


def _leaned_on(runtime: Runtime, request_ids: Sequence[str]) -> dict[str | None, str]:
    """By decision the signal that raised the score most."""
    query = sa.select(decisions.c.request_id, decisions.c.response).where(decisions.c.request_id.in_(request_ids))
    with runtime.store.database.read() as connection:
        rows = connection.execute(query).all()
    found: dict[str | None, str] = {}
    for request_id, response in rows:
        risk = orjson.loads(response).get("risk") or {}
        raised = [r["signal"] for r in risk.get("reasons") or () if r["contribution"] > 0]
        found[request_id] = raised[0] if raised else ""
    return found
