"""Cases over HTTP: the queue, one case, changes to it, and decisions on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TypeVar, get_args

from pydantic import BaseModel
from sqlalchemy.engine import Connection

from fraud.claims.violations import violation_names
from fraud.errors import Fault, InputError, NotKnownError, nearest
from fraud.review.cases import (
    ORDERS,
    PRIORITIES,
    STATES,
    Actor,
    Case,
    CaseRefusedError,
    Chosen,
    Proposal,
    Within,
    money,
    workflow,
)
from fraud.review.cases.casework import MOST_ON_A_PAGE, StepOf
from fraud.store.casework.shapes import Entity, SelectedBy
from fraud.store.recording import finish_keys
from fraud.web.access.masking import IDENTIFYING
from fraud.web.bodies.answers import as_bytes
from fraud.web.bodies.cases import (
    DECISIONS,
    Appeal,
    CasePatch,
    Close,
    Confirm,
    DecideAppeal,
    Propose,
    SendBack,
    Unfounded,
    case_answer,
    file_answer,
    page_answer,
)
from fraud.web.bodies.faults import checked
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import FAULTS, Problem
from fraud.web.bodies.reading import MOST_BYTES, Accepted, parsed
from fraud.web.calls.idempotency import once
from fraud.web.calls.reports import claim_report
from fraud.web.running.runtime import Runtime

__all__ = ["CHANGES", "QUERY", "actor_of", "attachment", "case", "cases", "change", "decide", "pack", "problem_from"]

log = logging.getLogger("fraud.web")
# A file of 10 MiB as text, and what is said of it.
CHANGES = Accepted(most_bytes=15 * MOST_BYTES)
_Found = TypeVar("_Found")
_WHY = {"state": "case-state", "time": "case-state", "changed": "case-changed", "person": "case-person"}


def cases(runtime: Runtime, incoming: Incoming) -> Reply:
    """A page of the cases within the caller's bounds."""
    query = incoming.query
    if unknown := sorted(set(query) - set(QUERY)):
        hint = nearest(unknown[0][:40], QUERY)
        raise Problem("bad-query", f"Cases are not asked by {unknown[0][:40]}{hint}. There are: {', '.join(QUERY)}.")
    chosen, actor = _chosen(query, incoming), actor_of(incoming)
    order = _one(query, "order", ORDERS) or "-worth"
    most, skip = _whole(query, "most", 1, MOST_ON_A_PAGE, 50), _whole(query, "skip", 0, 10_000_000, 0)
    work = runtime.casework
    page = work.search(chosen, actor.within, order, most, skip)
    counts = work.counts(chosen, actor.within) if _flag(query, "counts") else None
    return Reply(as_bytes(page_answer(page, counts, runtime.now(), _shown(runtime, incoming))))


def case(runtime: Runtime, incoming: Incoming) -> Reply:
    """One case with its history, files and the steps that the caller can take."""
    file = _refusing(lambda: runtime.casework.file(incoming.path["id"], actor_of(incoming)))
    return Reply(as_bytes(file_answer(file, runtime.now(), _shown(runtime, incoming))))


def attachment(runtime: Runtime, incoming: Incoming) -> Reply:
    """A file of a case, to be saved and never to be shown by a browser."""
    number = incoming.path["number"]
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise Problem("not-found", "A file of a case is asked for by its number.")
    found, content = _refusing(lambda: runtime.casework.attachment(incoming.path["id"], int(number)))
    headers = {
        "Content-Disposition": f"attachment; filename={found.digest[:16]}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Reply(content, media_type=found.media_type, headers=headers)


def pack(runtime: Runtime, incoming: Incoming) -> Reply:
    """All that a case rests on as one archive, with the report of its claim where there is one."""
    from fraud.review.cases.referral import referral_pack

    found = _refusing(lambda: runtime.casework.get(incoming.path["id"]))
    archive = referral_pack(
        runtime.casework, found.case_id, _reports(runtime, incoming, found), _shown(runtime, incoming)
    )
    named = {"Content-Disposition": f"attachment; filename=case-{found.case_id}.zip"}
    return Reply(archive, media_type="application/zip", headers=named)


def _reports(runtime: Runtime, incoming: Incoming, case: Case) -> dict[str, bytes]:
    """The report of a case's claim as a page and to print; what cannot be made here is left out."""
    if case.entity != "claim":
        return {}
    found = {}
    for form, media_type in (("html", "text/html"), ("pdf", "application/pdf")):
        headers = {**incoming.headers, "accept": media_type}
        query = {n: v for n, v in incoming.query.items() if n == "locale"}
        try:
            asked = replace(incoming, path={"claim_id": case.entity_id}, headers=headers, query=query)
            found[f"report.{form}"] = claim_report(runtime, asked).body
        except Problem as problem:
            log.info("the archive of a case goes without its %s: %s", form, problem.name)
    return found


def change(runtime: Runtime, incoming: Incoming) -> Reply:
    """The case with what the body changes: all of it or nothing."""
    body = checked(CasePatch, parsed(incoming.body))
    steps = tuple(_steps_of(body, actor_of(incoming)))
    if not steps:
        known = ", ".join(n for n in CasePatch.model_fields if n not in ("revision", "reason"))
        raise Problem("faults", "The body changes nothing.", [Fault("", "missing", f"expected one of: {known}")])
    return _changed(runtime, incoming, "change", steps, body.revision)


def decide(runtime: Runtime, incoming: Incoming) -> Reply:
    """The case after a decision: proposed, signed, sent back, appealed, closed."""
    body = parsed(incoming.body)
    named = body.get("decision") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(named, str) or named not in DECISIONS:
        code = "not_an_object" if not isinstance(body, dict) else "missing" if named is None else "not_in_set"
        said = f"expected one of: {', '.join(DECISIONS)}" if code == "not_in_set" else FAULTS[code]
        where = "" if code == "not_an_object" else "/decision"
        raise Problem("faults", "The body names no decision.", [Fault(where, code, said)])
    read = checked(DECISIONS[named], body)
    return _changed(runtime, incoming, "decisions", (_decision_step(read, actor_of(incoming)),), read.revision)  # type: ignore[attr-defined]


def _changed(runtime: Runtime, incoming: Incoming, call: str, steps: Sequence[StepOf], revision: int | None) -> Reply:
    """The case after these steps; with an `Idempotency-Key` the answer is stored with the change itself."""
    case_id, show = incoming.path["id"], _shown(runtime, incoming)
    # The first name that is ever masked needs a transaction of its own, which cannot be within another one.
    show("patient_id", "")

    def work(key: str | None) -> Reply:
        body = b""

        def finish(connection: Connection, after: Case) -> None:
            nonlocal body
            body = as_bytes(case_answer(after, runtime.now(), show))
            if key is not None:
                finish_keys(connection, [(key, 200, body)])

        _refusing(lambda: runtime.casework.change(case_id, actor_of(incoming), steps, revision, finish))
        return Reply(body)

    return once(runtime, incoming, f"cases:{case_id}:{call}", work)


# --- who asks ---------------------------------------------------------------------------------------------


def actor_of(incoming: Incoming) -> Actor:
    """Who calls, as cases know people."""
    caller = incoming.caller
    within = Within(caller.scope.regions, caller.scope.providers)
    return Actor(caller.key_id, caller.name, caller.role, within, caller.purpose, incoming.request_id)


def _shown(runtime: Runtime, incoming: Incoming) -> Callable[[str, str | None], str | None]:
    sees = incoming.caller.sees_identities

    def show(column: str, value: str | None) -> str | None:
        hidden = value is not None and not sees and column in IDENTIFYING
        return runtime.guard.masked(column, str(value)) if hidden else value

    return show


def problem_from(error: InputError) -> Problem:
    """The problem that a refusal of a case is."""
    if isinstance(error, CaseRefusedError):
        return Problem(_WHY.get(error.why, "not-allowed"), error.message)
    if isinstance(error, NotKnownError):
        return Problem("not-found", error.message)
    return Problem("faults", error.message, error.faults)


def _refusing(work: Callable[[], _Found]) -> _Found:
    try:
        return work()
    except InputError as error:
        raise problem_from(error) from error


# --- steps ------------------------------------------------------------------------------------------------


def _steps_of(body: CasePatch, actor: Actor) -> Iterator[StepOf]:
    """The steps of a change, in the order in which people would take them."""
    if body.take:
        yield lambda case, at: workflow.take(case, actor, at)
    if body.assignee is not None:
        yield lambda case, at: workflow.assign(case, actor, at, body.assignee)
    if body.priority is not None:
        yield lambda case, at: workflow.prioritise(case, actor, at, str(body.priority), body.reason)
    if (asked := body.evidence) is not None and not (asked.arrived or asked.missing):
        yield _under("/evidence", lambda case, at: workflow.ask_evidence(
            case, actor, at, asked.kind, asked.asked, asked.of, asked.days
        ))  # fmt: skip
    if (came := body.evidence) is not None and (came.arrived or came.missing):
        yield _under("/evidence", lambda case, at: workflow.evidence_arrived(
            case, actor, at, came.remark, came.missing
        ))  # fmt: skip
    if (note := body.note) is not None:
        yield lambda case, at: workflow.note(case, actor, at, note.text, note.kind)
    if (check := body.check) is not None:
        yield _under("/check", lambda case, at: workflow.check(
            case, actor, at, check.explanation, check.answer, check.remark
        ))  # fmt: skip
    if (file := body.file) is not None:
        yield _under("/file", lambda case, at: workflow.attach(
            case, actor, at, file.name, file.media_type, file.content
        ))  # fmt: skip
    if (later := body.follow_up) is not None:
        yield lambda case, at: workflow.follow_up(
            case, actor, at, later.on, later.satisfaction, later.remark, later.measure
        )
    if (paid := body.payment) is not None and paid.corrects is None:
        yield _under("/payment", lambda case, at: money.recover(
            case, actor, at, paid.amount, paid.on, paid.reference, paid.reason
        ))  # fmt: skip
    if (less := body.payment) is not None and less.corrects is not None:
        yield _under("/payment", lambda case, at: money.reverse(
            case, actor, at, less.corrects, less.amount, less.reason, less.on, less.reference
        ))  # fmt: skip
    if body.hand_back:
        yield lambda case, at: workflow.hand_back(case, actor, at, body.reason)


def _under(where: str, step: StepOf) -> StepOf:
    """The step, whose faults are named by their place in the body."""

    def taken(case: Case, at: workflow.Moment) -> workflow.Step:
        try:
            return step(case, at)
        except InputError as error:
            if not error.faults:
                raise
            faults = [replace(f, where=f"{where}{f.where}") for f in error.faults]
            raise InputError(error.message, faults) from error

    return taken


def _decision_step(body: BaseModel, actor: Actor) -> StepOf:
    match body:
        case Propose():
            said = Proposal(**{n: getattr(body, n) for n in Proposal.__dataclass_fields__})
            return lambda case, at: workflow.propose(case, actor, at, said)
        case Confirm():
            return lambda case, at: workflow.confirm(case, actor, at, body.remark)
        case SendBack():
            return lambda case, at: workflow.send_back(case, actor, at, body.reason)
        case Unfounded():
            return lambda case, at: workflow.unfounded(case, actor, at, body.reason, body.verdict)
        case Appeal():
            return lambda case, at: workflow.appeal(case, actor, at, body.reason, body.by)
        case DecideAppeal():
            return lambda case, at: workflow.decide_appeal(case, actor, at, body.upheld, body.reason, body.reopen)
        case Close():
            return lambda case, at: workflow.close(case, actor, at, body.reason, body.waived)
    raise AssertionError(f"no step for {type(body).__name__}")


# --- what is looked for -----------------------------------------------------------------------------------

QUERY = (
    "state", "violation", "region", "provider", "priority", "entity", "amount_at_least", "assignee", "overdue",
    "amount_below", "probability_at_least", "probability_below",
    "selected_by", "week", "text", "opened_from", "opened_until", "order", "most", "skip", "counts",
)  # fmt: skip
_LONGEST = 200


def _chosen(query: Mapping[str, str], incoming: Incoming) -> Chosen:
    return Chosen(
        states=_some(query, "state", STATES),  # type: ignore[arg-type]
        violations=_some(query, "violation", tuple(violation_names())),
        regions=_some(query, "region", None),
        priorities=_some(query, "priority", PRIORITIES),  # type: ignore[arg-type]
        entities=_some(query, "entity", get_args(Entity)),  # type: ignore[arg-type]
        provider_id=_text(query, "provider"),
        amount_at_least=_amount(query, "amount_at_least"),
        amount_below=_amount(query, "amount_below"),
        probability_at_least=_amount(query, "probability_at_least", most=1.0),
        probability_below=_amount(query, "probability_below", most=1.0),
        assignee=_assignee(query, incoming),
        overdue=_flag(query, "overdue"),
        selected_by=_one(query, "selected_by", get_args(SelectedBy)),  # type: ignore[arg-type]
        week=_moment(query, "week", date),
        text=_text(query, "text"),
        opened_from=_moment(query, "opened_from", datetime),
        opened_until=_moment(query, "opened_until", datetime),
    )


def _assignee(query: Mapping[str, str], incoming: Incoming) -> str | None:
    """Whose cases: a name, `me`, or `none` for nobody's."""
    given = _text(query, "assignee")
    return {"me": actor_of(incoming).person, "none": ""}.get(given, given) if given else None


def _text(query: Mapping[str, str], name: str) -> str | None:
    found = query.get(name)
    if found is not None and not (0 < len(found) <= _LONGEST and found.isprintable()):
        raise Problem("bad-query", f"{name} is a text of 1 to {_LONGEST} characters.")
    return found


def _some(query: Mapping[str, str], name: str, known: tuple[str, ...] | None) -> tuple[str, ...]:
    """Several values between commas."""
    given = _text(query, name)
    found = tuple(dict.fromkeys(v for v in given.split(",") if v)) if given else ()
    if known is not None and not set(found) <= set(known):
        listed = f"{known[0]} to {known[-1]}" if len(known) > 12 else ", ".join(known)
        raise Problem("bad-query", f"{name} is one of {listed}, or several between commas.")
    return found


def _one(query: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    found = query.get(name)
    if found is not None and found not in known:
        raise Problem("bad-query", f"{name} is one of {', '.join(known)}.")
    return found


def _flag(query: Mapping[str, str], name: str) -> bool | None:
    found = _one(query, name, ("true", "false"))
    return None if found is None else found == "true"


def _amount(query: Mapping[str, str], name: str, most: float = 1e12) -> float | None:
    given = query.get(name)
    try:
        found = float(given) if given is not None else None
    except ValueError:
        found = -1.0
    if found is not None and not 0 <= found <= most:
        raise Problem("bad-query", f"{name} is {'an amount of money' if most > 1 else 'a number from 0 to 1'}.")
    return found


def _whole(query: Mapping[str, str], name: str, least: int, most: int, usual: int) -> int:
    given = query.get(name)
    if given is None:
        return usual
    if not (given.isascii() and given.isdigit() and len(given) < 10 and least <= int(given) <= most):
        raise Problem("bad-query", f"{name} is a whole number from {least} to {most:,}.")
    return int(given)


_Time = TypeVar("_Time", date, datetime)


def _moment(query: Mapping[str, str], name: str, kind: type[_Time]) -> _Time | None:
    given = query.get(name)
    try:
        found = kind.fromisoformat(given) if given is not None else None
    except ValueError:
        found = None
    if given is not None and (found is None or getattr(found, "tzinfo", None) is not None):
        example = "2026-03-01" if kind is date else "2026-03-01T09:30:00, without a zone"
        raise Problem("bad-query", f"{name} is a moment such as {example}.")
    return found
