"""The queue: cases by what an hour of review is expected to bring back, with the line where the week's hours end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from fraud.errors import Fault, InputError
from fraud.review.cases import AT_WORK, PRIORITIES, STATES, Case, Chosen
from fraud.store.ledger import Record
from fraud.store.views import SavedViews
from fraud.web.access.bounds import holds, subject_of
from fraud.web.calls.cases import actor_of
from fraud.web.pages.frame.shapes import Moved, Page, Shown, View, Visit, faults_by_field, who
from fraud.web.pages.work.case_wording import (
    clock_of,
    kinds_of_violation,
    money_words,
    names_of_providers,
    reasons_of,
    subject_of_case,
)
from fraud.web.pages.work.queue_week import Week, week_of

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_READERS = ("investigator", "supervisor", "auditor")
_WORKERS = ("investigator", "supervisor")
_ON_A_PAGE = 50
_SORTS = ("worth", "due", "amount", "priority", "probability", "expected_recovery", "opened")
_FIGURES = ("amount", "amount_below", "probability", "probability_below")
_FILTERS = ("state", "violation", "region", "provider", *_FIGURES, "priority", "overdue", "whose", "text")
_KEPT = (*_FILTERS, "sort", "turn")
_MOST_MONEY = 1e12
_LONGEST = 200


@dataclass(frozen=True)
class Line:
    """A case as a row of the queue; `beyond` says that the week has no hours for it."""

    case: Case
    place: int
    subject: str
    provider: str
    kind: str
    reason: str
    clock: str
    late: bool
    beyond: bool


def queue(runtime: Runtime, visit: Visit) -> View:
    """A page of the cases within the visitor's bounds."""
    return _page(runtime, visit)


def _page(runtime: Runtime, visit: Visit, refused: Mapping[str, Sequence[Fault]] | None = None) -> View:
    asked, faults = _asked(visit.query)
    chosen, actor, work = _chosen(visit, asked), actor_of(visit.incoming), runtime.casework
    sort = asked["sort"] or "worth"
    turn = visit.query.get("turn", "down")
    number = _number(visit.query.get("page", ""))
    order = sort if turn == "up" else f"-{sort}"
    found = work.search(chosen, actor.within, order, _ON_A_PAGE, (number - 1) * _ON_A_PAGE)
    week, counts = week_of(runtime), work.counts(Chosen(), actor.within)
    lines = _lines(runtime, visit, found.cases, (number - 1) * _ON_A_PAGE, week)
    values = {
        "w": money_words(runtime, visit),
        "lines": lines,
        # The line where the hours end is drawn where the ranking itself is shown.
        "ranked": sort == "worth" and turn == "down" and asked["state"] in ("", "open", "assigned", "evidence"),
        "first_beyond": next((line.case.case_id for line in lines if line.beyond), ""),
        "total": found.total,
        "number": number,
        "pages": -(-found.total // _ON_A_PAGE),
        "asked": asked,
        "week": week,
        "counts": counts,
        "states": STATES,
        "priorities": PRIORITIES,
        "types": kinds_of_violation(visit.words),
        "views": SavedViews(runtime.store.database).of(visit.user.user_id),
        "query_kept": urlencode({k: v for k, v in visit.query.items() if k in _KEPT and v}),
        "colleagues": _colleagues(visit),
        "works": visit.user.role in _WORKERS,
        "assigned": _number(visit.query.get("assigned", ""), 0),
        "refused": _number(visit.query.get("refused", ""), 0),
        "faults": {**faults, **(refused or {})},
    }
    return View("queue.html.j2", values, 422 if values["faults"] else 200)


def _lines(runtime: Runtime, visit: Visit, found: Sequence[Case], skipped: int, week: Week) -> list[Line]:
    words, now = visit.words, runtime.now()
    kinds, reasons = kinds_of_violation(words), reasons_of(runtime, found, words)
    houses = names_of_providers(runtime, (c.provider_id for c in found))
    return [
        Line(
            case,
            place,
            subject_of_case(visit, case),
            houses.get(case.provider_id or "", case.provider_id or ""),
            kinds.get(case.violation or "", ""),
            reasons[case.case_id],
            clock_of(case, now, words),
            case.overdue(now),
            week.beyond(case),
        )
        for place, case in enumerate(found, skipped + 1)
    ]


def _colleagues(visit: Visit) -> list[tuple[str, str]]:
    """People who may be given a case; who is disabled is given none."""
    people = (p for p in visit.desk.people.all() if p.role in _WORKERS and p.disabled_at is None)
    return [(p.display_name, p.display_name) for p in people]


# --- what is asked ----------------------------------------------------------------------------------------


def _asked(query: Mapping[str, str]) -> tuple[dict[str, str], dict[str, list[Fault]]]:
    """What is looked for, by field; what cannot be is left out and said."""
    given = {name: query.get(name, "").strip()[:_LONGEST] for name in (*_FILTERS, "sort")}
    known = {
        "state": (*STATES, "all"),
        "priority": PRIORITIES,
        "sort": _SORTS,
        "overdue": ("true",),
    }
    asked = {name: "" if name in known and value not in known[name] else value for name, value in given.items()}
    faults: dict[str, list[Fault]] = {}
    for name in _FIGURES:
        if asked[name] and _figure(asked, name) is None:
            faults[name] = [Fault(name, "not_a_number", "expected an amount of money, or a probability up to 1")]
    return asked, faults


def _chosen(visit: Visit, asked: Mapping[str, str]) -> Chosen:
    states = {"": AT_WORK, "all": ()}.get(asked["state"], (asked["state"],))
    whose = {"": None, "me": actor_of(visit.incoming).person, "nobody": ""}.get(asked["whose"], asked["whose"])
    return Chosen(
        states=states,  # type: ignore[arg-type]
        violations=(asked["violation"],) if asked["violation"] else (),
        regions=tuple(r for r in asked["region"].replace(",", " ").split() if r),
        priorities=(asked["priority"],) if asked["priority"] else (),  # type: ignore[arg-type]
        provider_id=asked["provider"] or None,
        amount_at_least=_figure(asked, "amount"),
        amount_below=_figure(asked, "amount_below"),
        probability_at_least=_figure(asked, "probability"),
        probability_below=_figure(asked, "probability_below"),
        assignee=whose,
        overdue=True if asked["overdue"] else None,
        text=asked["text"] or None,
    )


def _figure(asked: Mapping[str, str], name: str) -> float | None:
    """An amount of money, or a probability as 0.3 or 30%."""
    given = asked[name].replace(",", "")
    try:
        found = float(given.removesuffix("%")) / (100 if given.endswith("%") else 1)
    except ValueError:
        return None
    return found if 0 <= found <= (1 if name.startswith("probability") else _MOST_MONEY) else None


def _number(given: str, least: int = 1) -> int:
    return max(int(given), least) if given.isascii() and given.isdigit() and len(given) < 7 else least


# --- giving out work --------------------------------------------------------------------------------------


def assign(runtime: Runtime, visit: Visit) -> Shown:
    """The queue, with what was ticked in somebody's hands; what lies outside of the visitor's bounds is refused."""
    chosen, to = visit.form.all("case_id"), visit.form.text("assignee")
    if not chosen:
        return _page(runtime, visit, {"case_id": [Fault("case_id", "nothing_ticked", "tick at least one case")]})
    if to not in dict(_colleagues(visit)):
        return _page(runtime, visit, {"assignee": [Fault("assignee", "missing", "choose a person")]})
    own = [i for i in chosen if _within(runtime, visit, i)]
    done, refused = runtime.casework.assign_many(own, actor_of(visit.incoming), to)
    outside = len(set(chosen)) - len(set(own))
    kept = dict(parse_qsl(visit.form.text("query")))
    told = {**_only_kept(kept), "assigned": len(done), "refused": len(refused) + outside}
    return Moved(f"/queue?{urlencode({k: v for k, v in told.items() if v})}")


def _within(runtime: Runtime, visit: Visit, case_id: str) -> bool:
    scope = visit.caller.scope
    return not scope.bounded or holds(runtime.store, scope, subject_of(runtime.store, Record("case", case_id)))


def _only_kept(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if name in _KEPT}


# --- saved views ------------------------------------------------------------------------------------------


def save_view(runtime: Runtime, visit: Visit) -> Shown:
    """The queue as it was asked, which has a name from now on."""
    query = urlencode(_only_kept(dict(parse_qsl(visit.form.text("query")[:2_000]))))
    try:
        SavedViews(runtime.store.database).save(visit.user.user_id, visit.form.text("name"), query)
    except InputError as error:
        return _page(runtime, visit, faults_by_field(error))
    return Moved(f"/queue?{query}")


def remove_view(runtime: Runtime, visit: Visit) -> Moved:
    """The queue; the view is forgotten."""
    SavedViews(runtime.store.database).remove(visit.user.user_id, visit.form.text("name"))
    return Moved("/queue")


_LISTED = who(*_READERS, event="cases.listed")

PAGES = (
    Page("queue", "/queue", queue, _LISTED, menu="work", key="q"),
    Page("queue_assign", "/queue", assign, who(*_WORKERS), method="POST"),
    Page("queue_view", "/queue/views", save_view, who(*_READERS), method="POST"),
    Page("queue_view_removed", "/queue/views/remove", remove_view, who(*_READERS), method="POST"),
)
