"""The steps of a case as forms: each is taken by the workflow, which refuses what may not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from fraud.errors import Fault, InputError
from fraud.review.cases import Actor, CaseRefusedError, Proposal, money, workflow
from fraud.review.cases.casework import StepOf
from fraud.web.calls.cases import actor_of
from fraud.web.pages.frame.forms import Form
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import Moved, Page, Shown, Visit, who
from fraud.web.pages.work.case import SECONDS, WORKERS, case_page

if TYPE_CHECKING:
    from fraud.web.pages.frame.wording import Words
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_Found = TypeVar("_Found")
# A file of 10 MiB, and what a form says beside it.
_MOST_BYTES = (10 << 20) + (64 << 10)


class _Fields:
    """The fields of one step's form, whose names begin with the step; what cannot be read is collected."""

    def __init__(self, step: str, form: Form) -> None:
        self._step, self.form = step, form
        self.faults: list[Fault] = []

    def text(self, name: str) -> str:
        return self.form.text(f"{self._step}_{name}")

    def maybe(self, name: str) -> str | None:
        return self.text(name) or None

    def ticked(self, name: str) -> bool:
        return bool(self.text(name))

    def whole(self, name: str) -> int | None:
        return self._read(name, int, "not_a_number")

    def amount(self, name: str) -> float | None:
        return self._read(name, lambda given: float(given.replace(",", "")), "not_a_number")

    def day(self, name: str) -> date | None:
        return self._read(name, date.fromisoformat, "not_a_day")

    def _read(self, name: str, read: Callable[[str], _Found], code: str) -> _Found | None:
        given = self.text(name)
        try:
            return read(given) if given else None
        except ValueError:
            self.faults.append(Fault(f"/{name}", code, f"{given[:40]} cannot be read"))
            return None


# --- what each form says ----------------------------------------------------------------------------------


def _proposal(fields: _Fields) -> Proposal:
    return Proposal(
        result=fields.text("result"),
        reason=fields.text("reason"),
        verdict=fields.maybe("verdict"),
        violation=fields.maybe("violation"),
        amount=fields.amount("amount"),
        findings=fields.form.all("propose_findings"),
        disposition=fields.maybe("disposition"),
        root_cause=fields.maybe("root_cause"),
        measure=fields.maybe("measure"),
        plan=fields.maybe("plan"),
        rating=fields.whole("rating"),
    )


def _take(fields: _Fields, actor: Actor) -> StepOf:
    return lambda case, at: workflow.take(case, actor, at)


def _assign(fields: _Fields, actor: Actor) -> StepOf:
    to = fields.text("to")
    return lambda case, at: workflow.assign(case, actor, at, to)


def _hand_back(fields: _Fields, actor: Actor) -> StepOf:
    reason = fields.text("reason")
    return lambda case, at: workflow.hand_back(case, actor, at, reason)


def _prioritise(fields: _Fields, actor: Actor) -> StepOf:
    priority, reason = fields.text("priority"), fields.text("reason")
    return lambda case, at: workflow.prioritise(case, actor, at, priority, reason)


def _ask_evidence(fields: _Fields, actor: Actor) -> StepOf:
    kind, asked, of, days = fields.text("kind"), fields.text("asked"), fields.maybe("of"), fields.whole("days")
    return lambda case, at: workflow.ask_evidence(case, actor, at, kind, asked, of, days)


def _evidence_arrived(fields: _Fields, actor: Actor) -> StepOf:
    remark, missing = fields.maybe("remark"), fields.ticked("missing")
    return lambda case, at: workflow.evidence_arrived(case, actor, at, remark, missing)


def _check(fields: _Fields, actor: Actor) -> StepOf:
    key, answer, remark = fields.text("explanation"), fields.text("answer"), fields.maybe("remark")
    return lambda case, at: workflow.check(case, actor, at, key, answer, remark)


def _note(fields: _Fields, actor: Actor) -> StepOf:
    text, kind = fields.text("text"), fields.text("kind") or "note"
    return lambda case, at: workflow.note(case, actor, at, text, kind)


def _attach(fields: _Fields, actor: Actor) -> StepOf:
    file = fields.form.files.get("attach_file")
    if file is None:
        fields.faults.append(Fault("/file", "missing", "choose a file"))
        return lambda case, at: workflow.attach(case, actor, at, "", "", b"")
    return lambda case, at: workflow.attach(case, actor, at, file.name, file.media_type, file.content)


def _propose(fields: _Fields, actor: Actor) -> StepOf:
    said = _proposal(fields)
    return lambda case, at: workflow.propose(case, actor, at, said)


def _confirm(fields: _Fields, actor: Actor) -> StepOf:
    remark = fields.maybe("remark")
    return lambda case, at: workflow.confirm(case, actor, at, remark)


def _send_back(fields: _Fields, actor: Actor) -> StepOf:
    reason = fields.text("reason")
    return lambda case, at: workflow.send_back(case, actor, at, reason)


def _unfounded(fields: _Fields, actor: Actor) -> StepOf:
    reason, verdict = fields.text("reason"), fields.maybe("verdict")
    return lambda case, at: workflow.unfounded(case, actor, at, reason, verdict)


def _appeal(fields: _Fields, actor: Actor) -> StepOf:
    reason, by = fields.text("reason"), fields.maybe("by")
    return lambda case, at: workflow.appeal(case, actor, at, reason, by)


def _decide_appeal(fields: _Fields, actor: Actor) -> StepOf:
    became, reason = fields.text("became"), fields.text("reason")
    if became not in ("rejected", "upheld", "reopened"):
        fields.faults.append(Fault("/became", "not_in_set", "choose what became of it"))
    upheld, reopen = became in ("upheld", "reopened"), became == "reopened"
    return lambda case, at: workflow.decide_appeal(case, actor, at, upheld, reason, reopen)


def _close(fields: _Fields, actor: Actor) -> StepOf:
    reason, waived = fields.maybe("reason"), fields.ticked("waived")
    return lambda case, at: workflow.close(case, actor, at, reason, waived)


def _follow_up(fields: _Fields, actor: Actor) -> StepOf:
    on, satisfaction = fields.day("on"), fields.whole("satisfaction")
    remark, measure = fields.maybe("remark"), fields.maybe("measure")
    return lambda case, at: workflow.follow_up(case, actor, at, on, satisfaction, remark, measure)


def _recover(fields: _Fields, actor: Actor) -> StepOf:
    amount, on = fields.amount("amount"), fields.day("on")
    reference, reason = fields.maybe("reference"), fields.maybe("reason")
    return lambda case, at: money.recover(case, actor, at, amount, on, reference, reason)


def _reverse(fields: _Fields, actor: Actor) -> StepOf:
    corrects, amount, on = fields.whole("corrects"), fields.amount("amount"), fields.day("on")
    reason = fields.maybe("reason")
    return lambda case, at: money.reverse(case, actor, at, corrects, amount, reason, on)


_STEPS: Mapping[str, Callable[[_Fields, Actor], StepOf]] = {
    "take": _take,
    "assign": _assign,
    "hand_back": _hand_back,
    "prioritise": _prioritise,
    "ask_evidence": _ask_evidence,
    "evidence_arrived": _evidence_arrived,
    "check": _check,
    "note": _note,
    "attach": _attach,
    "propose": _propose,
    "confirm": _confirm,
    "send_back": _send_back,
    "unfounded": _unfounded,
    "appeal": _appeal,
    "decide_appeal": _decide_appeal,
    "close": _close,
    "follow_up": _follow_up,
    "recover": _recover,
    "reverse": _reverse,
}


# --- taking a step ----------------------------------------------------------------------------------------


def _taken(step: str, runtime: Runtime, visit: Visit) -> Shown:
    """The case after a step; or the case as it is, with what was wrong."""
    case_id, actor = visit.path["case_id"], actor_of(visit.incoming)
    fields = _Fields(step, visit.form)
    wanted = _STEPS[step](fields, actor)
    try:
        _raise(fields.faults, wanted, runtime, case_id)
        runtime.casework.change(case_id, actor, (wanted,), _revision(visit.form))
    except CaseRefusedError as error:
        return case_page(runtime, visit, refusal=_refusal(step, error, visit.words), status=409)
    except InputError as error:
        if not error.faults:
            # There is no such case, or none for this visitor.
            raise
        faults = [*fields.faults, *(f for f in error.faults if f not in fields.faults)]
        return case_page(runtime, visit, _by_field(step, faults, visit.words), status=422)
    return Moved(f"/cases/{case_id}?done={step}")


def _raise(faults: Sequence[Fault], wanted: StepOf, runtime: Runtime, case_id: str) -> None:
    """Raise what cannot be read together with whatever else the step would say."""
    if not faults:
        return
    more: Sequence[Fault] = ()
    try:
        wanted(runtime.casework.get(case_id), workflow.Moment(runtime.now(), runtime.case_rules))
    except CaseRefusedError:
        raise
    except InputError as error:
        more = error.faults
    named = {f.where for f in faults}
    raise InputError("The form has faults.", [*faults, *(f for f in more if f.where not in named)])


def _revision(form: Form) -> int | None:
    given = form.text("revision")
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise PageProblem("not-a-form", "The form does not say which state of the case it is about.")
    return int(given)


def _refusal(step: str, error: CaseRefusedError, words: Words) -> str:
    """Why the step was refused, in the reader's language."""
    signs = error.why == "person" and step in ("confirm", "send_back", "unfounded", "decide_appeal")
    return words.of("case_refusals", f"{error.why}_{step}" if signs else error.why)


def _by_field(step: str, faults: Sequence[Fault], words: Words) -> Mapping[str, Sequence[Fault]]:
    """Faults by the field of the page, in the reader's language."""
    found: dict[str, list[Fault]] = {}
    for fault in faults:
        name = fault.where.removeprefix("/")
        field = {"assignee": "to", "name": "file", "media_type": "file", "content": "file"}.get(name, name)
        told = words.of("case_faults", fault.code)
        said = replace(fault, code="", detail=fault.detail if told == fault.code else told)
        found.setdefault(f"{step}_{field}", []).append(said)
    return found


def _page(step: str) -> Page:
    # What changes a case tells the ledger itself, in the transaction of the change.
    rule = replace(who(*WORKERS, record="case", parameter="case_id"), event=None)
    most = _MOST_BYTES if step == "attach" else 64 << 10
    path, view = f"/cases/{{case_id}}/{step}", partial(_taken, step)
    return Page(f"case_{step}", path, view, rule, method="POST", most_bytes=most, seconds=SECONDS)


PAGES = tuple(_page(step) for step in _STEPS)
