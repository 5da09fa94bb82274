"""One case: what was found, what the model leaned on, what stands around it, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from fraud.errors import Fault, InputError
from fraud.explaining.explanation import Explanation
from fraud.explaining.renderers.html import sections_as_html
from fraud.explaining.report import document_for
from fraud.review.cases import (
    ANSWERS,
    DISPOSITIONS,
    EVIDENCE_KINDS,
    MEASURES,
    NOTE_KINDS,
    PRIORITIES,
    RESULTS,
    VERDICTS,
    Actor,
    Case,
    CaseFile,
)
from fraud.store.recoveries import CENT, left_of
from fraud.web.access.masking import masked
from fraud.web.bodies.problems import Problem
from fraud.web.calls.cases import actor_of, problem_from
from fraud.web.calls.explained import explanation_of
from fraud.web.pages.frame.rendering import address_of, inline_svg
from fraud.web.pages.frame.shapes import Page, View, Visit, who
from fraud.web.pages.frame.wording import Words
from fraud.web.pages.work.case_around import around, claim_of, course_of, lines_of, seen_together
from fraud.web.pages.work.case_charts import Pairing, Stay, network_chart, overlaps_among, timeline_chart
from fraud.web.pages.work.case_wording import (
    clock_of,
    kinds_of_violation,
    money_words,
    names_of_providers,
    subject_of_case,
)

if TYPE_CHECKING:
    from fraud.explaining.content.document import Document
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES", "READERS", "SECONDS", "WORKERS", "Excuse", "case_page", "explained"]

READERS = ("investigator", "supervisor", "auditor")
WORKERS = ("investigator", "supervisor")
# What the page shows of the report as it is; the rest has forms or charts of its own here.
_FIRST, _LAST = ("findings",), ("evidence", "unknown", "advice", "provenance")


@dataclass(frozen=True)
class Excuse:
    """An innocent explanation; `key` is the signal that it belongs to, `standing` what was answered last."""

    key: str
    title: str
    text: str
    standing: Mapping[str, Any] | None


def case(runtime: Runtime, visit: Visit) -> View:
    """The case, as the visitor may see it."""
    return case_page(runtime, visit)


def case_page(
    runtime: Runtime,
    visit: Visit,
    faults: Mapping[str, Sequence[Fault]] | None = None,
    refusal: str = "",
    status: int = 200,
) -> View:
    """The case, and what was wrong with a form that was sent."""
    actor = actor_of(visit.incoming)
    file = _file(runtime, visit, actor)
    found = file.case
    explanation = explained(runtime, visit, found)
    document = document_for(explanation, visit.words.locale) if explanation else None
    bundle = claim_of(runtime, found)
    values = {
        "w": Words(visit.words.locale, explanation.currency) if explanation else money_words(runtime, visit),
        "file": file,
        "case": found,
        "subject": subject_of_case(visit, found),
        "parties": _parties(runtime, visit, found, bundle.claim if bundle else {}),
        "types": kinds_of_violation(visit.words),
        "clock": clock_of(found, runtime.now(), visit.words),
        "late": found.overdue(runtime.now()),
        "explanation": explanation,
        "document": document,
        "excuses": tuple(_excuses(file, explanation, visit)),
        "lines": lines_of(bundle, explanation, visit),
        "around": around(runtime, found, actor),
        "steps": set(file.possible),
        "works": visit.user.role in WORKERS,
        "colleagues": _colleagues(visit),
        "choices": _CHOICES,
        "payments": _payments(file, visit.words),
        "verdicts": VERDICTS,
        "done": visit.query.get("done", ""),
        "refusal": refusal,
        "faults": faults or {},
        **_sections(document, found),
        **_course(runtime, visit, explanation),
        **_network(runtime, visit, found),
    }
    return View("case.html.j2", values, status)


_CHOICES = {
    "results": RESULTS,
    "dispositions": DISPOSITIONS,
    "measures": MEASURES,
    "answers": ANSWERS,
    "evidence": EVIDENCE_KINDS,
    "notes": NOTE_KINDS,
    "priorities": PRIORITIES,
}


def _file(runtime: Runtime, visit: Visit, actor: Actor) -> CaseFile:
    try:
        return runtime.casework.file(visit.path["case_id"], actor)
    except InputError as error:
        raise problem_from(error) from error


def explained(runtime: Runtime, visit: Visit, case: Case) -> Explanation | None:
    """Why the claim of a case stands where it stands, masked for this visitor; None for a case of a person."""
    if case.entity != "claim":
        return None
    try:
        found = explanation_of(runtime, case.entity_id, case.request_id, visit.caller)
    except Problem as problem:
        if problem.name != "not-found":
            raise
        # Opened from a list before the claim reached this service.
        return None
    return found if visit.caller.sees_identities else masked(found, runtime.guard.masked)


def _colleagues(visit: Visit) -> list[tuple[str, str]]:
    people = (p for p in visit.desk.people.all() if p.role in WORKERS and p.disabled_at is None)
    return [(p.display_name, p.display_name) for p in people]


def _payments(file: CaseFile, words: Words) -> list[tuple[str, str]]:
    """Payments of which something is left, to choose from: by number what is left of each."""
    left = left_of(file.recoveries)
    return [
        (
            str(r.number),
            words(
                "case.payment_left", number=r.number, day=r.received_on, left=words.money(left[r.number], exact=True)
            ),
        )
        for r in file.recoveries
        if r.corrects is None and left[r.number] > CENT
    ]


def _parties(runtime: Runtime, visit: Visit, case: Case, claim: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Whom the case names: kind, address, and what the visitor may know of the name."""
    houses = names_of_providers(runtime, [case.provider_id])
    ids = {
        "provider": case.provider_id,
        "physician": case.entity_id if case.entity == "physician" else claim.get("physician_id"),
        "patient": case.patient_id,
    }
    found = []
    for kind, own in ids.items():
        if own:
            at = visit.sealed(own) if kind == "patient" else own
            text = houses.get(own, visit.shown(f"{kind}_id", own))
            found.append((kind, address_of(kind, **{f"{kind}_id": at}), text))
    return found


# --- parts of the report ----------------------------------------------------------------------------------


def _sections(document: Document | None, case: Case) -> dict[str, Any]:
    """Parts of the report for the page: findings strictly apart from what the model leaned on."""
    if document is None:
        return {"found": "", "leaned": "", "rest": ""}
    return {
        "found": inline_svg(sections_as_html(document, *_FIRST)),
        "leaned": inline_svg(sections_as_html(document, "reasons", "peers")),
        "rest": inline_svg(sections_as_html(document, *_LAST)),
    }


def _excuses(file: CaseFile, explanation: Explanation | None, visit: Visit) -> Iterator[Excuse]:
    """Innocent explanations of what hit and of the leading reasons, and whatever else somebody looked into."""
    words, said = visit.words, dict[str, tuple[str, str]]()
    for finding in explanation.hits if explanation else ():
        said.setdefault(finding.signal.id, (words.pick(finding.signal.title), words.pick(finding.signal.excuses)))
    for reason in explanation.top() if explanation else ():
        said.setdefault(reason.signal, (words.pick(reason.titles), words.pick(reason.excuses)))
    for key, (title, text) in said.items():
        if text:
            yield Excuse(key, title, text, file.checks.get(key))
    for key, standing in file.checks.items():
        if key not in said:
            yield Excuse(key, key, "", standing)


# --- charts -----------------------------------------------------------------------------------------------


def _course(runtime: Runtime, visit: Visit, explanation: Explanation | None) -> dict[str, Any]:
    stays = course_of(runtime, explanation, visit)
    overlaps = overlaps_among(stays)
    within = {s.claim_id for o in overlaps for s in (o.one, o.other)}
    rest = visit.words("case.other_providers")
    drawn = [_timeline(stays, rest, narrow) for narrow in (False, True)] if stays else []
    return {"stays": stays, "overlaps": overlaps, "within": within, "timeline": drawn}


# The page is opened again after each step, and the course of a patient stays what it was.
@lru_cache(maxsize=128)
def _timeline(stays: tuple[Stay, ...], rest: str, narrow: bool) -> Markup:
    return inline_svg(timeline_chart(stays, overlaps_among(stays), rest, narrow))


def _network(runtime: Runtime, visit: Visit, case: Case) -> dict[str, Any]:
    pairings = seen_together(runtime, case, visit)
    return {"pairings": pairings, "network": _drawn_network(pairings) if pairings else ""}


@lru_cache(maxsize=128)
def _drawn_network(pairings: tuple[Pairing, ...]) -> Markup:
    return inline_svg(network_chart(pairings))


# Whoever opens the first case of a fresh service waits until its signals are compiled.
SECONDS = 25.0

PAGES = (Page("case", "/cases/{case_id}", case, who(*READERS, record="case", parameter="case_id"), seconds=SECONDS),)
