"""Papers of a case: its report as a file, for us and for the provider, the referral pack, and what was handed in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fraud.errors import InputError
from fraud.explaining.content.document import Audience
from fraud.explaining.report import FORMATS, Format, render
from fraud.review.cases import Case
from fraud.review.cases.referral import referral_pack
from fraud.web.bodies.messages import Reply
from fraud.web.calls.cases import attachment, problem_from
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import Page, Visit, who
from fraud.web.pages.work.case import READERS, SECONDS, WORKERS, explained

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

# Whatever a file holds, no browser runs it here.
_SAFE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"}


def _case(runtime: Runtime, visit: Visit) -> Case:
    try:
        return runtime.casework.get(visit.path["case_id"])
    except InputError as error:
        raise problem_from(error) from error


def report(runtime: Runtime, visit: Visit) -> Reply:
    """The report on the claim of a case in a format, for us or (`audience=provider`) for the provider concerned."""
    form, audience = visit.path["form"], visit.query.get("audience", "internal")
    if form not in FORMATS or audience not in ("internal", "provider"):
        raise PageProblem("not-found", "There is no report of this kind.")
    case = _case(runtime, visit)
    content = _rendered(runtime, visit, case, form, audience)  # type: ignore[arg-type]
    if content is None:
        raise PageProblem("not-found", "This case is about no claim that was scored here: it has no report.")
    kind = FORMATS[form]  # type: ignore[index]
    name = f"case-{case.case_id}{'-provider' if audience == 'provider' else ''}.{form}"
    return _file(name, content, kind.media_type + ("; charset=utf-8" if kind.text else ""))


def _rendered(runtime: Runtime, visit: Visit, case: Case, form: Format, audience: Audience) -> bytes | None:
    explanation = explained(runtime, visit, case)
    if explanation is None:
        return None
    try:
        return render(explanation, visit.words.locale, form, audience)
    except InputError as error:
        # No font for a PDF: the other formats are there.
        raise PageProblem("not-acceptable", error.message) from error


def pack(runtime: Runtime, visit: Visit) -> Reply:
    """The archive that is handed over with a case."""
    case = _case(runtime, visit)
    reports = {f"report.{form}": _rendered(runtime, visit, case, form, "internal") for form in ("html", "xlsx", "json")}

    def show(column: str, value: str | None) -> str | None:
        return visit.named(column, value) if value is not None else None

    made = {name: content for name, content in reports.items() if content is not None}
    content = referral_pack(runtime.casework, case.case_id, made, show)
    return _file(f"case-{case.case_id}.zip", content, "application/zip")


def file(runtime: Runtime, visit: Visit) -> Reply:
    """A file that was handed in, to be saved and never to be shown by a browser."""
    path = {"id": visit.path["case_id"], "number": visit.path["number"]}
    return attachment(runtime, replace(visit.incoming, path=path))


def _file(name: str, content: bytes, media_type: str) -> Reply:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_SAFE}
    return Reply(content, media_type=media_type, headers=headers)


_READ = who(*READERS, record="case", parameter="case_id")

PAGES = (
    Page("case_report", "/cases/{case_id}/report/{form}", report, _READ, seconds=SECONDS),
    Page("case_pack", "/cases/{case_id}/pack", pack, who(*WORKERS, record="case", parameter="case_id"),
         seconds=SECONDS),
    Page("case_file", "/cases/{case_id}/files/{number}", file, _READ),
)  # fmt: skip
