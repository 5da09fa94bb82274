"""Periodic papers over HTTP: the same content as that of `fraud papers`, in the format that the caller likes best."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Literal, get_args

from fraud.errors import InputError, NotKnownError, nearest
from fraud.explaining.report import FORMATS, render_document
from fraud.review.periodic import (
    Period,
    month_of,
    monthly_paper,
    quarter_of,
    quarterly_paper,
    ranking_paper,
    read_record,
    scorecard_paper,
    year_until,
)
from fraud.review.periodic import Record as PaperRecord
from fraud.review.periodic.ranking import LEAST
from fraud.store.ledger import Event, Record
from fraud.web.access.bounds import Subject, holds
from fraud.web.bodies.answers import LANGUAGES
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.calls.claims import chosen_locale
from fraud.web.calls.reports import POLICY, accepted_form
from fraud.web.running.runtime import Runtime

if TYPE_CHECKING:
    from fraud.explaining.content.document import Document

__all__ = ["KINDS", "MOST_LEAST", "SECONDS", "AskedPaper", "Kind", "drawn_up", "last_month", "last_quarter", "paper"]

Kind = Literal["monthly", "quarterly", "ranking", "scorecard"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# A year of decisions is read, one by one; what takes longer is written by the command.
SECONDS = 25.0
MOST_LEAST = 1_000_000
# In each worker: a paper reads for seconds, and claims are answered meanwhile.
_ONE_AT_A_TIME, _WAIT_SECONDS = Lock(), 2.0
_PERIODS: Mapping[Kind, Callable[[str], Period]] = {
    "monthly": month_of, "quarterly": quarter_of, "ranking": year_until, "scorecard": year_until,
}  # fmt: skip
_QUERY: Mapping[Kind, tuple[str, ...]] = {
    "monthly": ("period", "locale"),
    "quarterly": ("period", "locale"),
    "ranking": ("period", "least", "locale"),
    "scorecard": ("period", "provider", "locale"),
}
_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class AskedPaper:
    """Which paper, of which period (a month, or `2026-Q1`), of which provider, in which language (`en`, `zh`)."""

    kind: Kind
    period: str
    locale: str
    provider_id: str = ""
    least: int = LEAST

    @property
    def name(self) -> str:
        """What its file is called, without the ending."""
        parts = (self.kind, self.provider_id if self.kind == "scorecard" else "", self.period)
        return "-".join(_STRANGE.sub("_", p) for p in parts if p)


def paper(kind: Kind, runtime: Runtime, incoming: Incoming) -> Reply:
    """The paper, in the format that the caller likes best."""
    form, asked = accepted_form(incoming.headers.get("accept", "*/*")), _asked(kind, runtime, incoming)
    try:
        document = drawn_up(runtime, incoming, asked)
    except NotKnownError:
        # Of whoever lies outside of the caller's bounds no more is said than of somebody who is not there.
        raise Problem("not-found", "Nothing of this provider is known in the period.") from None
    try:
        body = render_document(document, form)
    except InputError as error:
        # No font for a PDF: the other formats are there.
        raise Problem("not-acceptable", error.message) from error
    media = FORMATS[form]
    headers = {"Vary": "Accept", "Content-Disposition": f'inline; filename="{asked.name}.{form}"'}
    safe = POLICY if form == "html" else {}
    return Reply(body, media_type=media.media_type + ("; charset=utf-8" if media.text else ""), headers=headers | safe)


def drawn_up(runtime: Runtime, incoming: Incoming, asked: AskedPaper) -> Document:
    """The paper as a document, told to the ledger.

    Raises:
        InputError: the period is none, or too few claims are asked for.
        NotKnownError: of the provider nothing is known in the period, or it lies outside of the caller's bounds.
        Problem: another paper is being drawn up.
    """
    period = _PERIODS[asked.kind](asked.period)
    if asked.kind == "scorecard":
        _check_bounds(runtime, incoming, asked.provider_id)
    if not _ONE_AT_A_TIME.acquire(timeout=_WAIT_SECONDS):
        raise Problem("overloaded", "Another paper is being drawn up. Try again in a moment.")
    try:
        document = _document(read_record(runtime.store, period), runtime, asked)
    finally:
        _ONE_AT_A_TIME.release()
    runtime.guard.ledger.add(_event(incoming, asked))
    return document


def _document(record: PaperRecord, runtime: Runtime, asked: AskedPaper) -> Document:
    rooms, now = runtime.catalogue, runtime.now()
    if asked.kind == "monthly":
        return monthly_paper(record, rooms, asked.locale, now)
    if asked.kind == "quarterly":
        return quarterly_paper(record, rooms, asked.locale, now)
    if asked.kind == "ranking":
        return ranking_paper(record, asked.locale, now, asked.least)
    return scorecard_paper(record, rooms, asked.provider_id, asked.locale, now)


def _check_bounds(runtime: Runtime, incoming: Incoming, provider_id: str) -> None:
    if not holds(runtime.store, incoming.caller.scope, Subject(True, provider_id)):
        raise NotKnownError("Nothing of this provider is known here.")


def _event(incoming: Incoming, asked: AskedPaper) -> Event:
    caller = incoming.caller
    about = Record("provider", asked.provider_id) if asked.kind == "scorecard" else None
    told = {"role": caller.role, "paper": asked.kind, "period": asked.period}
    return Event(
        "paper.read", caller.key_id, about, purpose=caller.purpose, request_id=incoming.request_id, details=told
    )


# --- what is asked ----------------------------------------------------------------------------------------


def _asked(kind: Kind, runtime: Runtime, incoming: Incoming) -> AskedPaper:
    query, known = incoming.query, _QUERY[kind]
    if unknown := sorted(set(query) - set(known)):
        hint = nearest(unknown[0][:40], known)
        raise Problem(
            "bad-query", f"This paper is not asked by {unknown[0][:40]}{hint}. There are: {', '.join(known)}."
        )
    usual = last_quarter(runtime.now()) if kind == "quarterly" else last_month(runtime.now())
    period, provider_id = query.get("period", usual), query.get("provider", "")
    try:
        _PERIODS[kind](period)
    except InputError as error:
        raise Problem("bad-query", f"period: {error.message}") from error
    if kind == "scorecard" and not (0 < len(provider_id) <= 256 and provider_id.isprintable()):
        raise Problem("bad-query", "provider is the id of the provider whose scorecard it is.")
    locale = LANGUAGES[chosen_locale(incoming)]
    return AskedPaper(kind, period.strip().upper(), locale, provider_id, _least(query.get("least")))


def _least(given: str | None) -> int:
    if given is None:
        return LEAST
    if not (given.isascii() and given.isdigit() and len(given) < 8 and 1 <= int(given) <= MOST_LEAST):
        raise Problem("bad-query", f"least is a whole number from 1 to {MOST_LEAST:,}.")
    return int(given)


def last_month(now: datetime) -> str:
    """The last whole month, as `2026-03`."""
    before = now.year * 12 + now.month - 2
    return f"{before // 12}-{before % 12 + 1:02d}"


def last_quarter(now: datetime) -> str:
    """The last whole quarter, as `2026-Q1`."""
    before = now.year * 4 + (now.month - 1) // 3 - 1
    return f"{before // 4}-Q{before % 4 + 1}"
