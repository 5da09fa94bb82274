"""One provider in a campaign: what was found, declared and put right, whether it helped, and the forms of its steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from fraud.errors import Fault, InputError
from fraud.review.campaigns import (
    ACTIONS,
    DECISIONS,
    FLAGGED,
    CampaignRefusedError,
    Dossier,
    Effect,
    File,
    Inspected,
    Plan,
    late,
    workflow,
)
from fraud.review.campaigns.workflow import StepOf
from fraud.review.cases import Actor
from fraud.review.periodic.figures import Share, share_of
from fraud.store.casework.rows import case_of
from fraud.web.bodies.messages import Reply
from fraud.web.calls.cases import actor_of, problem_from
from fraud.web.pages.frame.forms import Form
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.rendering import address_of
from fraud.web.pages.frame.shapes import PREFIX, Moved, Page, Shown, View, Visit, who
from fraud.web.pages.office.campaigns import (
    LEADS,
    READERS,
    SAFE,
    SECONDS,
    WORKERS,
    by_field,
    campaigns_of,
    note_read,
    number_in,
)
from fraud.web.pages.work.case_wording import kinds_of_violation, money_words, names_of_providers

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

# A file of 10 MiB, and what a form says beside it.
_MOST_BYTES = (10 << 20) + (64 << 10)
_PLAIN_BYTES = 64 << 10


def provider(runtime: Runtime, visit: Visit) -> View:
    """How a provider stands in a campaign."""
    return _one(runtime, visit)


def _dossier(runtime: Runtime, visit: Visit) -> Dossier:
    try:
        own = (visit.path["campaign_id"], visit.path["provider_id"])
        return campaigns_of(runtime).dossier(*own, actor_of(visit.incoming))
    except InputError as error:
        raise problem_from(error) from error


def _one(
    runtime: Runtime,
    visit: Visit,
    faults: Mapping[str, Sequence[Fault]] | None = None,
    refusal: str = "",
    status: int = 200,
) -> View:
    dossier = _dossier(runtime, visit)
    note_read(visit, dossier.campaign.campaign_id)
    row, now = dossier.row, runtime.now()
    house = names_of_providers(runtime, [row.provider_id]).get(row.provider_id, "")
    steps = set(dossier.possible)
    values = {
        "w": money_words(runtime, visit),
        "dossier": dossier,
        "campaign": dossier.campaign,
        "row": row,
        "house": house,
        "now": now,
        "late": dossier.campaign.closed_at is None and late(row, dossier.tasks, now),
        "types": kinds_of_violation(visit.words),
        "rules": _rule_names(runtime, visit, dossier),
        "cases": _states(runtime, dossier),
        "effects": [(e.what, *_shares(e)) for e in dossier.effects],
        "steps": steps,
        "decides": bool(steps & {"accept", "return_", "refer"}),
        "works": visit.user.role in WORKERS,
        "actions": ACTIONS,
        "decisions": _decisions(steps),
        "flagged": FLAGGED,
        "done": visit.query.get("done", ""),
        "refusal": refusal,
        "faults": faults or {},
    }
    return View("campaign_provider.html.j2", values, status)


def _states(runtime: Runtime, dossier: Dossier) -> dict[str, str]:
    """The state of each case that a task names."""
    named = {c for t in dossier.tasks for c in t.cases}
    with runtime.store.database.read() as connection:
        found = {number: case_of(connection, number) for number in sorted(named)}
    return {number: case.state for number, case in found.items() if case is not None}


def _decisions(steps: set[str]) -> list[str]:
    """The decisions that the visitor can take now."""
    taken_by = dict(zip(DECISIONS, ("accept", "return_", "refer"), strict=True))
    return [decision for decision in DECISIONS if taken_by[decision] in steps]


def _rule_names(runtime: Runtime, visit: Visit, dossier: Dossier) -> dict[str, str]:
    """Names of the rules that the page speaks of, of those that the catalogue knows."""
    named = {
        *dossier.row.found.by_rule,
        *(e.what for e in dossier.effects),
        *(r for t in dossier.tasks for r in t.rules),
    }
    known = runtime.catalogue.signals
    return {rule: visit.words.pick(known[rule].title) for rule in named if rule in known}


def _shares(effect: Effect) -> tuple[Share, Share]:
    before = share_of(effect.hits_before, effect.claims_before)
    return before, share_of(effect.hits_after, effect.claims_after)


def file(runtime: Runtime, visit: Visit) -> Reply:
    """A file that was handed in, to be saved and never to be shown by a browser."""
    number = visit.path["number"]
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise PageProblem("not-found", "A file is asked for by its number.")
    own = (visit.path["campaign_id"], visit.path["provider_id"], int(number))
    try:
        found, content = campaigns_of(runtime).file(*own, actor_of(visit.incoming))
    except InputError as error:
        raise problem_from(error) from error
    note_read(visit, found.campaign_id)
    headers = {"Content-Disposition": f"attachment; filename={found.digest[:16]}", **SAFE}
    return Reply(content, media_type=found.media_type, headers=headers)


# --- what each form says ----------------------------------------------------------------------------------

_Read = Callable[[Form, Actor, list[Fault]], StepOf]


def _amount(form: Form, name: str, faults: list[Fault]) -> float | None:
    given = form.text(name).replace(",", "")
    try:
        return float(given) if given else None
    except ValueError:
        faults.append(Fault(f"/{name.partition('_')[2]}", "not_a_number", "expected an amount of money"))
        return None


def _whole(form: Form, name: str, faults: list[Fault]) -> int | None:
    own: list[Fault] = []
    found = number_in(form, name, own)
    faults += [Fault(f"/{name.partition('_')[2]}", f.code, f.detail) for f in own]
    return found


def _file(form: Form, name: str) -> File | None:
    given = form.files.get(name)
    # A browser sends an empty part for a file that nobody chose.
    if given is None or not (given.name or given.content):
        return None
    return File(given.name, given.media_type, given.content)


def _tell(form: Form, actor: Actor, faults: list[Fault]) -> StepOf:
    remark = form.text("tell_remark")
    return lambda row, at: workflow.tell(row, actor, at, remark)


def _declare(form: Form, actor: Actor, faults: list[Fault]) -> StepOf:
    count, amount = _whole(form, "declare_count", faults), _amount(form, "declare_amount", faults)
    remark, handed_in = form.text("declare_remark"), _file(form, "declare_file")
    return lambda row, at: workflow.declare(row, actor, at, count, amount, remark, handed_in)


def _undeclared(form: Form, actor: Actor, faults: list[Fault]) -> StepOf:
    reason = form.text("undeclared_reason")
    return lambda row, at: workflow.undeclared(row, actor, at, reason)


def _plan(form: Form, actor: Actor, faults: list[Fault]) -> StepOf:
    said = Plan(
        form.text("plan_root_cause"), form.text("plan_action"), form.text("plan_text"), form.text("plan_responsible"),
        tuple(c.upper() for c in form.words("plan_cases")), form.words("plan_rules"), form.text("plan_model") or None,
        _whole(form, "plan_days", faults),
    )  # fmt: skip
    return lambda row, at: workflow.plan(row, actor, at, said)


def _finish(form: Form, actor: Actor, faults: list[Fault]) -> StepOf:
    number, remark = _whole(form, "finish_task", faults) or 0, form.text("finish_remark")
    handed_in = _file(form, "finish_file")
    return lambda row, at: workflow.finish(row, actor, at, number, remark, handed_in)


def _submit(form: Form, actor: Actor, faults: list[Fault]) -> StepOf:
    reason = form.text("submit_reason")
    return lambda row, at: workflow.submit(row, actor, at, reason)


_STEPS: Mapping[str, _Read] = {
    "tell": _tell,
    "declare": _declare,
    "undeclared": _undeclared,
    "plan": _plan,
    "finish": _finish,
    "submit": _submit,
}


# --- taking a step ----------------------------------------------------------------------------------------


def _taken(step: str, runtime: Runtime, visit: Visit) -> Shown:
    """The provider after a step; or as it is, with what was wrong."""

    def take(campaign_id: str, provider_id: str, actor: Actor, revision: int) -> Inspected:
        faults: list[Fault] = []
        wanted = _STEPS[step](visit.form, actor, faults)
        if faults:
            raise InputError("The form has faults.", faults)
        return campaigns_of(runtime).change(campaign_id, provider_id, actor, wanted, revision)

    return _sent(step, take, runtime, visit)


def decide(runtime: Runtime, visit: Visit) -> Shown:
    """The provider, accepted, returned or referred."""

    def take(campaign_id: str, provider_id: str, actor: Actor, revision: int) -> Inspected:
        faults: list[Fault] = []
        form, days = visit.form, _whole(visit.form, "decide_days", faults)
        if faults:
            raise InputError("The form has faults.", faults)
        said: Any = (form.text("decide_decision"), form.text("decide_reason"), days, revision)
        return campaigns_of(runtime).decide(campaign_id, provider_id, actor, *said)

    return _sent("decide", take, runtime, visit)


def _sent(step: str, take: Callable[[str, str, Actor, int], Inspected], runtime: Runtime, visit: Visit) -> Shown:
    revision = number_in(visit.form, "revision", [])
    if revision is None:
        raise PageProblem("not-a-form", "The form does not say which state of the provider it is about.")
    campaign_id, provider_id = visit.path["campaign_id"], visit.path["provider_id"]
    try:
        row = take(campaign_id, provider_id, actor_of(visit.incoming), revision)
    except CampaignRefusedError as error:
        return _one(runtime, visit, refusal=visit.words.of("campaign_refusals", error.why), status=409)
    except InputError as error:
        if not error.faults:
            # There is no such campaign, or none for this visitor.
            raise
        return _one(runtime, visit, by_field(error.faults, visit.words, f"{step}_"), status=422)
    done = row.result if step == "decide" else step
    where = address_of("campaign_provider", campaign_id=row.campaign_id, provider_id=row.provider_id)
    return Moved(f"{where.removeprefix(PREFIX)}?done={done}")


_HERE = "/campaigns/{campaign_id}/providers/{provider_id}"


def _page(step: str) -> Page:
    most = _MOST_BYTES if step in ("declare", "finish") else _PLAIN_BYTES
    view = partial(_taken, step)
    return Page(f"campaign_step_{step}", f"{_HERE}/{step}", view, who(*WORKERS), method="POST", most_bytes=most)


PAGES = (
    Page("campaign_provider", _HERE, provider, who(*READERS), seconds=SECONDS),
    Page("campaign_file", f"{_HERE}/files/{{number}}", file, who(*READERS)),
    *(_page(step) for step in _STEPS),
    Page("campaign_decide", f"{_HERE}/decide", decide, who(*LEADS), method="POST", seconds=SECONDS),
)
