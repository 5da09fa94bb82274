"""Tips: what people brought, with a receipt and a day by which they are answered. A tip is a lead, never a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fraud.claims.violations import violation_names
from fraud.errors import Fault, InputError
from fraud.review.cases import Scored
from fraud.store.ledger import Record
from fraud.store.tips import CHANNELS, STATES, SUBJECTS, Tip
from fraud.web.access.bounds import holds, subject_of
from fraud.web.calls.cases import actor_of
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import Moved, Page, Shown, View, Visit, faults_by_field, who

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_READERS = who("investigator", "supervisor")


def tips(runtime: Runtime, visit: Visit) -> View:
    """The latest tips within the visitor's bounds."""
    state = visit.query.get("state", "")
    found = visit.desk.tips.all(state if state in STATES else None)
    shown = [t for t in found if _within(runtime, visit, t)]
    values = {"tips": shown, "states": STATES, "state": state, "now": visit.desk.guard.clock()}
    return View("tips.html.j2", values)


def _within(runtime: Runtime, visit: Visit, tip: Tip) -> bool:
    """Whether somebody may see a tip: whoever has bounds sees those about records within them."""
    scope, about = visit.caller.scope, Record(tip.entity, tip.entity_id)
    return not scope.bounded or holds(runtime.store, scope, subject_of(runtime.store, about))


def new(runtime: Runtime, visit: Visit) -> View:
    """The form for a tip."""
    return _form(visit)


def _form(visit: Visit, faults: Mapping[str, Sequence[Fault]] | None = None) -> View:
    types = {name: visit.words.pick(text) for name, text in violation_names().items()}
    values = {"subjects": SUBJECTS, "channels": CHANNELS, "types": types, "faults": faults or {}}
    return View("tip_new.html.j2", values, 422 if faults else 200)


def receive(runtime: Runtime, visit: Visit) -> Shown:
    """The tip with its receipt."""
    form = visit.form
    violation = form.text("violation")
    try:
        tip = visit.desk.tips.receive(
            visit.user.who,
            entity=form.text("entity"),
            entity_id=form.text("entity_id"),
            text=form.text("text"),
            channel=form.text("channel"),
            violation=violation if violation in violation_names() else None,
            contact=form.text("contact"),
        )
    except InputError as error:
        return _form(visit, faults_by_field(error))
    if not _within(runtime, visit, tip):
        # It is taken all the same; who may look into it is somebody else.
        return Moved("/tips", "tip_received")
    return Moved(f"/tips/{tip.receipt}", "tip_received")


def tip(runtime: Runtime, visit: Visit) -> View:
    """One tip with its receipt."""
    return _one(runtime, visit)


def _one(runtime: Runtime, visit: Visit, faults: Mapping[str, Sequence[Fault]] | None = None) -> View:
    found = _tip(runtime, visit)
    visit.desk.tips.note_read(found, visit.user.who)
    people = {p.who: p.display_name for p in visit.desk.people.all()}
    types = {name: visit.words.pick(text) for name, text in violation_names().items()}
    values = {"tip": found, "people": people, "types": types, "faults": faults or {}}
    return View("tip.html.j2", values, 422 if faults else 200)


def _tip(runtime: Runtime, visit: Visit) -> Tip:
    found = visit.desk.tips.get(visit.path["receipt"])
    if not _within(runtime, visit, found):
        raise PageProblem("not-found", "There is no tip with this receipt number.")
    return found


def link(runtime: Runtime, visit: Visit) -> Shown:
    """The tip, which a case looks into."""
    receipt = _tip(runtime, visit).receipt
    try:
        visit.desk.tips.link(receipt, visit.form.text("case_id"), visit.user.who)
    except InputError as error:
        return _one(runtime, visit, faults_by_field(error))
    return Moved(f"/tips/{receipt}", "tip_linked")


def open_case(runtime: Runtime, visit: Visit) -> Shown:
    """A case about whom the tip is about: the one that is there, or a new one. Nothing is found by it yet."""
    found = _tip(runtime, visit)
    scored = _scored(runtime, found)
    if scored is None:
        return _one(runtime, visit, {"": [Fault("", "not_known", "nothing of this id is known here")]})
    case = runtime.casework.open(scored, actor_of(visit.incoming), reason=found.receipt)
    visit.desk.tips.link(found.receipt, case.case_id, visit.user.who)
    return Moved(f"/tips/{found.receipt}", "tip_opened")


def _scored(runtime: Runtime, tip: Tip) -> Scored | None:
    """Whom the tip is about, as cases know it; no figure of a model or rule comes with it."""
    about: dict[str, Any] = {"entity": tip.entity, "entity_id": tip.entity_id, "violation": tip.violation}
    if tip.entity == "claim":
        known = runtime.store.claim(tip.entity_id)
        if known is None:
            return None
        row = known.claim
        own: dict[str, Any] = {name: row.get(name) for name in ("patient_id", "provider_id", "insured_region")}
        return Scored(**about, **own, region=row.get("care_region"), amount=row.get("fund_amount"), grounds="tip")
    party = runtime.store.party(tip.entity, tip.entity_id)
    if party is None:
        return None
    if tip.entity == "patient":
        return Scored(**about, patient_id=tip.entity_id, insured_region=party.get("insured_region"), grounds="tip")
    provider_id = tip.entity_id if tip.entity == "provider" else party.get("provider_id")
    house = runtime.store.party("provider", provider_id) if provider_id else None
    return Scored(**about, provider_id=provider_id, region=(house or {}).get("region"), grounds="tip")


def close(runtime: Runtime, visit: Visit) -> Shown:
    """The tip, answered."""
    receipt = _tip(runtime, visit).receipt
    try:
        visit.desk.tips.close(receipt, visit.form.text("feedback"), visit.user.who)
    except InputError as error:
        return _one(runtime, visit, faults_by_field(error))
    return Moved(f"/tips/{receipt}", "tip_closed")


PAGES = (
    Page("tips", "/tips", tips, _READERS, menu="work", key="t"),
    Page("tip_new", "/tips/new", new, _READERS),
    Page("tip_receive", "/tips", receive, _READERS, method="POST"),
    Page("tip", "/tips/{receipt}", tip, _READERS),
    Page("tip_link", "/tips/{receipt}/link", link, _READERS, method="POST"),
    Page("tip_open", "/tips/{receipt}/case", open_case, _READERS, method="POST"),
    Page("tip_close", "/tips/{receipt}/close", close, _READERS, method="POST"),
)
