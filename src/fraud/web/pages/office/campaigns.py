"""Campaigns: the list, opening one, one campaign with its providers, and its paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from fraud.claims.violations import violation_names
from fraud.errors import Fault, InputError
from fraud.explaining.report import FORMATS, render_document
from fraud.review.campaigns import DAYS, PHASES, Announcement, CampaignRefusedError, Campaigns, late
from fraud.store.ledger import Event, Record
from fraud.web.bodies.messages import Reply
from fraud.web.calls.cases import actor_of, problem_from
from fraud.web.pages.frame.forms import Form
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import Moved, Page, Shown, View, Visit, who
from fraud.web.pages.work.case_wording import kinds_of_violation, money_words, names_of_providers

if TYPE_CHECKING:
    from fraud.review.campaigns import Overview
    from fraud.web.pages.frame.wording import Words
    from fraud.web.running.runtime import Runtime

__all__ = [
    "LEADS",
    "PAGES",
    "READERS",
    "SAFE",
    "SECONDS",
    "WORKERS",
    "by_field",
    "campaigns_of",
    "note_read",
    "number_in",
]

READERS = ("investigator", "supervisor", "auditor")
WORKERS = ("investigator", "supervisor")
LEADS = ("supervisor",)
# Opening counts what was found at every provider.
SECONDS = 25.0
SAFE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"}
_ON_A_PAGE = 50
# As people would print, read, count with, and hand on to programs.
_FORMS = ("pdf", "html", "xlsx", "json")


def campaigns_of(runtime: Runtime) -> Campaigns:
    """The campaigns of the service, by its clock."""
    return Campaigns(runtime.store, runtime.now, ledger=runtime.guard.ledger, rules=runtime.catalogue.signals)


def note_read(visit: Visit, campaign_id: str, what: str = "campaign.read") -> None:
    """Tell the ledger that somebody looked at a campaign."""
    entry = Event(what, visit.user.who, Record("campaign", campaign_id), request_id=visit.incoming.request_id)
    visit.desk.guard.ledger.add(entry)


def by_field(faults: Iterable[Fault], words: Words, prefix: str = "") -> dict[str, Sequence[Fault]]:
    """Faults by the field of a form, in the reader's language; every type of a scope is one field."""
    found: dict[str, list[Fault]] = {}
    for fault in faults:
        name = fault.where.removeprefix("/").split("/")[0]
        told = words.of("campaign_faults", fault.code)
        said = Fault(fault.where, "", fault.detail if told == fault.code else told)
        found.setdefault(f"{prefix}{name}", []).append(said)
    return {name: own[:1] for name, own in found.items()}


# --- the list ---------------------------------------------------------------------------------------------


def campaigns(runtime: Runtime, visit: Visit) -> View:
    """Every campaign that has a provider within the visitor's bounds."""
    found = campaigns_of(runtime).all(actor_of(visit.incoming).within)
    values = {"w": money_words(runtime, visit), "campaigns": found, "types": kinds_of_violation(visit.words)}
    return View("campaigns.html.j2", values)


# --- opening ----------------------------------------------------------------------------------------------


def new(runtime: Runtime, visit: Visit) -> View:
    """The form for a campaign."""
    return _form(visit)


def _form(visit: Visit, faults: Mapping[str, Sequence[Fault]] | None = None) -> View:
    values = {"types": kinds_of_violation(visit.words), "phases": PHASES, "days": DAYS, "faults": faults or {}}
    return View("campaign_new.html.j2", values, 422 if faults else 200)


def open_(runtime: Runtime, visit: Visit) -> Shown:
    """The campaign with what was found at each of its providers."""
    faults: list[Fault] = []
    said = _announcement(visit.form, faults)
    try:
        if faults:
            said.checked()
            raise InputError("The form has faults.", faults)
        opened = campaigns_of(runtime).open(said, actor_of(visit.incoming))
    except InputError as error:
        named = {f.where for f in faults}
        both = [*faults, *(f for f in error.faults if f.where not in named)]
        return _form(visit, by_field(both, visit.words))
    return Moved(f"/campaigns/{opened.campaign_id}?done=opened")


def _announcement(form: Form, faults: list[Fault]) -> Announcement:
    first, last = (_day(form, name, faults) for name in ("period_from", "period_until"))
    types = tuple(v for v in form.all("violations") if v in violation_names())
    days = {phase: number_in(form, f"{phase}_days", faults) or DAYS[phase] for phase in PHASES}
    return Announcement(
        form.text("title"), form.text("legal_basis"), first or date.min, last or date.max, types,
        form.words("providers"), form.words("regions"), days,
    )  # fmt: skip


def _day(form: Form, name: str, faults: list[Fault]) -> date | None:
    given = form.text(name)
    try:
        return date.fromisoformat(given)
    except ValueError:
        faults.append(Fault(f"/{name}", "not_a_day" if given else "missing", "expected a day as 2026-01-31"))
        return None


def number_in(form: Form, name: str, faults: list[Fault]) -> int | None:
    """A whole number of a form; what cannot be read is added to the faults."""
    given = form.text(name).replace(",", "")
    if given and not (given.isascii() and given.isdigit() and len(given) < 12):
        faults.append(Fault(f"/{name}", "not_a_number", "expected a whole number"))
        return None
    return int(given) if given else None


# --- one campaign -----------------------------------------------------------------------------------------


def campaign(runtime: Runtime, visit: Visit) -> View:
    """One campaign: phases, what is overdue, its providers."""
    return _one(runtime, visit)


def _seen(runtime: Runtime, visit: Visit) -> Overview:
    try:
        return campaigns_of(runtime).get(visit.path["campaign_id"], actor_of(visit.incoming))
    except InputError as error:
        raise problem_from(error) from error


def _one(
    runtime: Runtime,
    visit: Visit,
    faults: Mapping[str, Sequence[Fault]] | None = None,
    refusal: str = "",
    status: int = 200,
) -> View:
    seen, now = _seen(runtime, visit), runtime.now()
    note_read(visit, seen.campaign.campaign_id)
    closed = seen.campaign.closed_at is not None
    overdue = set() if closed else {r.provider_id for r in seen.rows if late(r, seen.tasks, now)}
    shown, number, pages = _page_of(_chosen(seen, visit, overdue), visit)
    tasks: dict[str, list[Any]] = {}
    for task in seen.tasks:
        tasks.setdefault(task.provider_id, []).append(task)
    values = {
        "w": money_words(runtime, visit),
        "seen": seen,
        "campaign": seen.campaign,
        "standing": seen.standing,
        "rows": shown,
        "overdue": overdue,
        "tasks": tasks,
        "now": now,
        "number": number,
        "pages": pages,
        "total": len(_chosen(seen, visit, overdue)),
        "state": visit.query.get("state", ""),
        "houses": names_of_providers(runtime, (r.provider_id for r in shown)),
        "types": kinds_of_violation(visit.words),
        "phases": PHASES,
        "formats": _FORMS,
        "done": visit.query.get("done", ""),
        "refusal": refusal,
        "faults": faults or {},
    }
    return View("campaign.html.j2", values, status)


def _chosen(seen: Overview, visit: Visit, overdue: set[str]) -> list[Any]:
    """The providers in the state that is asked for."""
    state = visit.query.get("state", "")
    if state == "overdue":
        return [r for r in seen.rows if r.provider_id in overdue]
    if state == "less":
        return [r for r in seen.rows if r.declared_less]
    return [r for r in seen.rows if state in ("", r.state)]


def _page_of(rows: list[Any], visit: Visit) -> tuple[list[Any], int, int]:
    pages = max(1, -(-len(rows) // _ON_A_PAGE))
    given = visit.query.get("page", "")
    number = min(int(given), pages) if given.isascii() and given.isdigit() and 0 < len(given) < 7 else 1
    number = max(number, 1)
    return rows[(number - 1) * _ON_A_PAGE : number * _ON_A_PAGE], number, pages


def tell_all(runtime: Runtime, visit: Visit) -> Shown:
    """The campaign, whose providers were all told."""
    campaign_id = _seen(runtime, visit).campaign.campaign_id
    campaigns_of(runtime).tell_all(campaign_id, actor_of(visit.incoming))
    return Moved(f"/campaigns/{campaign_id}?done=tell_all")


def close(runtime: Runtime, visit: Visit) -> Shown:
    """The campaign, closed."""
    campaign_id = _seen(runtime, visit).campaign.campaign_id
    revision = number_in(visit.form, "revision", [])
    try:
        campaigns_of(runtime).close(campaign_id, actor_of(visit.incoming), visit.form.text("close_reason"), revision)
    except CampaignRefusedError as error:
        return _one(runtime, visit, refusal=visit.words.of("campaign_refusals", error.why), status=409)
    except InputError as error:
        return _one(runtime, visit, by_field(error.faults, visit.words, "close_"), status=422)
    return Moved(f"/campaigns/{campaign_id}?done=close")


def paper(runtime: Runtime, visit: Visit) -> Reply:
    """The paper of a campaign in a format."""
    form, campaign_id = visit.path["form"], _seen(runtime, visit).campaign.campaign_id
    if form not in FORMATS:
        raise PageProblem("not-found", "There is no paper of this kind.")
    actor = actor_of(visit.incoming)
    document = campaigns_of(runtime).paper(campaign_id, actor, runtime.catalogue, visit.words.locale)
    try:
        content = render_document(document, form)  # type: ignore[arg-type]
    except InputError as error:
        # No font for a PDF: the other formats are there.
        raise PageProblem("not-acceptable", error.message) from error
    note_read(visit, campaign_id, "campaign.exported")
    kind = FORMATS[form]  # type: ignore[index]
    headers = {"Content-Disposition": f'attachment; filename="{campaign_id}.{form}"', **SAFE}
    return Reply(content, media_type=kind.media_type + ("; charset=utf-8" if kind.text else ""), headers=headers)


# What shows or changes a campaign tells the ledger itself.
_READ, _WORK, _LEAD = who(*READERS), who(*WORKERS), who(*LEADS)

PAGES = (
    Page("campaigns", "/campaigns", campaigns, who(*READERS, event="campaigns.listed"), menu="work", key="c"),
    Page("campaign_new", "/campaigns/new", new, _LEAD),
    Page("campaign_open", "/campaigns", open_, _LEAD, method="POST", seconds=SECONDS),
    Page("campaign", "/campaigns/{campaign_id}", campaign, _READ),
    Page("campaign_tell", "/campaigns/{campaign_id}/tell", tell_all, _WORK, method="POST", seconds=SECONDS),
    Page("campaign_close", "/campaigns/{campaign_id}/close", close, _LEAD, method="POST"),
    Page("campaign_paper", "/campaigns/{campaign_id}/paper/{form}", paper, _READ, seconds=SECONDS),
)
