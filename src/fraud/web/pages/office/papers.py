"""Periodic papers: which there are, and each as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fraud.errors import Fault, InputError, NotKnownError
from fraud.explaining.report import FORMATS, Format, render_document
from fraud.review.periodic.ranking import LEAST
from fraud.web.bodies.messages import Reply
from fraud.web.bodies.problems import Problem
from fraud.web.calls.papers import KINDS, MOST_LEAST, SECONDS, AskedPaper, Kind, drawn_up, last_month, last_quarter
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import Moved, Page, Shown, View, Visit, who

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_READERS = ("investigator", "supervisor", "auditor")
_MONTHS, _QUARTERS = 24, 8
# As people would print, read, count with, and hand on to programs.
_FORMS: tuple[Format, ...] = ("pdf", "html", "xlsx", "json")
# Whatever a file holds, no browser runs it here.
_SAFE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"}


@dataclass(frozen=True)
class Choice:
    """A paper that the visitor may have, with the periods that it can be of; `bounded` is why it cannot be had."""

    kind: Kind
    periods: tuple[str, ...]
    bounded: bool


def papers(runtime: Runtime, visit: Visit) -> View:
    """The papers, each with what it is asked by."""
    return _page(runtime, visit)


def _page(runtime: Runtime, visit: Visit, faults: Mapping[str, Sequence[Fault]] | None = None) -> View:
    now, bounded = runtime.now(), visit.caller.scope.bounded
    choices = [Choice(kind, _periods(kind, now), bounded and kind != "scorecard") for kind in KINDS]
    values = {
        "choices": choices,
        "forms": _FORMS,
        "usual_least": LEAST,
        "most_least": MOST_LEAST,
        "faults": faults or {},
    }
    return View("papers.html.j2", values, 422 if faults else 200)


def _periods(kind: Kind, now: datetime) -> tuple[str, ...]:
    """The whole months or quarters that lie behind, and the one that is under way."""
    if kind == "quarterly":
        last = now.year * 4 + (now.month - 1) // 3
        return tuple(f"{n // 4}-Q{n % 4 + 1}" for n in range(last, last - _QUARTERS, -1))
    last = now.year * 12 + now.month - 1
    return tuple(f"{n // 12}-{n % 12 + 1:02d}" for n in range(last, last - _MONTHS, -1))


def paper(runtime: Runtime, visit: Visit) -> Shown:
    """The paper as a file, or the page with what was wrong."""
    kind, form = visit.path["kind"], visit.query.get("form", "html")
    if kind not in KINDS or form not in FORMATS:
        raise PageProblem("not-found", "There is no paper of this kind.")
    if visit.caller.scope.bounded and kind != "scorecard":
        raise Problem("not-allowed", "This paper speaks of all providers: it is for people without bounds.")
    provider_id = visit.query.get("provider", "").strip()[:256]
    if kind == "scorecard" and not provider_id:
        return Moved("/papers")
    usual = last_quarter(runtime.now()) if kind == "quarterly" else last_month(runtime.now())
    least, period = visit.query.get("least", str(LEAST)), visit.query.get("period", usual).strip().upper()[:20]
    if not (least.isascii() and least.isdigit() and len(least) < 8 and 1 <= int(least) <= MOST_LEAST):
        return _page(runtime, visit, {"least": [Fault("least", "not_a_number", "expected a whole number above 0")]})
    asked = AskedPaper(kind, period, visit.words.locale, provider_id, int(least))  # type: ignore[arg-type]
    return _file(runtime, visit, asked, form)  # type: ignore[arg-type]


def _file(runtime: Runtime, visit: Visit, asked: AskedPaper, form: Format) -> Shown:
    try:
        document = drawn_up(runtime, visit.incoming, asked)
    except NotKnownError:
        said = visit.words("papers.no_provider", period=asked.period)
        return _page(runtime, visit, {"provider": [Fault("provider", "", said)]})
    except InputError as error:
        raise PageProblem("not-found", error.message) from error
    try:
        content = render_document(document, form)
    except InputError as error:
        # No font for a PDF: the other formats are there.
        raise PageProblem("not-acceptable", error.message) from error
    media = FORMATS[form]
    headers = {"Content-Disposition": f'attachment; filename="{asked.name}.{form}"', **_SAFE}
    return Reply(content, media_type=media.media_type + ("; charset=utf-8" if media.text else ""), headers=headers)


PAGES = (
    Page("papers", "/papers", papers, who(*_READERS), menu="work", key="p"),
    # Which paper was read the ledger is told where it is drawn up.
    Page("paper", "/papers/{kind}", paper, who(*_READERS), seconds=SECONDS),
)
