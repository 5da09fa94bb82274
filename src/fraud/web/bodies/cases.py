"""Bodies of the calls about cases: what may be sent, and how a case is told to somebody."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from fraud.review.cases import Attachment, Case, CaseEvent, CaseFile, Counts, Page
from fraud.web.bodies.problems import FAULTS

__all__ = [
    "DECISIONS",
    "CaseStanding",
    "CaseFileAnswer",
    "CasePatch",
    "CasesAnswer",
    "Decision",
    "case_answer",
    "counts_answer",
    "file_answer",
    "page_answer",
]

LONGEST_PROSE, LONGEST_NAME = 10_000, 200
MOST_MONEY, MOST_WHOLE, MOST_FINDINGS = 1e12, 2**31, 100
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# The masked or plain name of somebody, by column and value.
Show = Callable[[str, str | None], str | None]


# --- values -----------------------------------------------------------------------------------------------


def _fault(code: str) -> PydanticCustomError:
    return PydanticCustomError(code, FAULTS[code])  # type: ignore[arg-type]


def _text(longest: int) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise _fault("not_text")
        if not value.strip():
            raise _fault("empty")
        if len(value) > longest:
            raise _fault("too_long")
        if _CONTROL.search(value):
            raise _fault("control_character")
        return value

    return read


def _whole(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _fault("not_a_whole_number" if isinstance(value, float) else "not_a_number")
        if not least <= value <= most:
            raise _fault("out_of_range")
        return value

    return read


def _money(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _fault("not_a_number")
    if value < 0:
        raise _fault("negative")
    if not value <= MOST_MONEY:
        raise _fault("out_of_range")
    return float(value)


def _day(value: object) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise _fault("not_a_date")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _fault("not_a_date") from None


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _fault("not_a_list")
    if len(value) > MOST_FINDINGS:
        raise _fault("too_many")
    return tuple(_text(LONGEST_NAME)(v) for v in value)


def _bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise _fault("not_text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _fault("not_base64") from None


def _perhaps(read: Callable[[object], Any]) -> PlainValidator:
    return PlainValidator(lambda value: None if value is None else read(value))


def _schema(**said: Any) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [said, {"type": "null"}]})


_PROSE_SCHEMA = {"type": "string", "minLength": 1, "maxLength": LONGEST_PROSE}
Prose = Annotated[Any, PlainValidator(_text(LONGEST_PROSE)), WithJsonSchema(_PROSE_SCHEMA)]
MaybeProse = Annotated[Any, _perhaps(_text(LONGEST_PROSE)), _schema(**_PROSE_SCHEMA)]
_NAME_SCHEMA = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
Name = Annotated[Any, PlainValidator(_text(LONGEST_NAME)), WithJsonSchema(_NAME_SCHEMA)]
MaybeName = Annotated[Any, _perhaps(_text(LONGEST_NAME)), _schema(**_NAME_SCHEMA)]
Revision = Annotated[Any, _perhaps(_whole(1, MOST_WHOLE)), _schema(type="integer", minimum=1, maximum=MOST_WHOLE)]
Grade = Annotated[Any, _perhaps(_whole(1, 5)), _schema(type="integer", minimum=1, maximum=5)]
Days = Annotated[Any, _perhaps(_whole(1, 365)), _schema(type="integer", minimum=1, maximum=365)]
Money = Annotated[Any, _perhaps(_money), _schema(type="number", minimum=0, maximum=MOST_MONEY)]
Day = Annotated[Any, _perhaps(_day), _schema(type="string", format="date")]
Names = Annotated[Any, PlainValidator(_names), WithJsonSchema(
    {"type": "array", "maxItems": MOST_FINDINGS, "items": _NAME_SCHEMA}
)]  # fmt: skip
Content = Annotated[Any, PlainValidator(_bytes), WithJsonSchema({"type": "string", "contentEncoding": "base64"})]


# --- what is sent -----------------------------------------------------------------------------------------


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Evidence(_Body):
    """Evidence that is asked for, or with `arrived` that is there; with `missing` it is known not to exist.

    Files are due in 2 working days and inquiries in 5 unless `days` are given; meanwhile the clock stands still.
    """

    kind: Literal["file", "inquiry"] = "file"
    asked: MaybeProse = None
    of: MaybeName = Field(default=None, description="who is to send it")
    days: Days = None
    arrived: bool = False
    missing: bool = False
    remark: MaybeProse = None


class Note(_Body):
    """Something written down: a note, a root cause, or the rule or model that was changed because of the case."""

    text: Prose
    kind: Literal["note", "cause", "change"] = "note"


class Check(_Body):
    """An innocent explanation that was looked into; one that is refuted needs a remark."""

    explanation: Name
    answer: Literal["refuted", "holds", "open"]
    remark: MaybeProse = None


class File(_Body):
    """A file of at most 10 MiB."""

    name: Name
    media_type: Name
    content: Content


class FollowUp(_Body):
    """The follow-up after the decision: its day, how satisfied whoever was concerned is, what was done."""

    on: Day = None
    satisfaction: Grade = None
    remark: MaybeProse = None
    measure: Literal["rectification", "sanction", "emergency", "none"] | None = None


class Payment(_Body):
    """Money that came back; with `corrects`, the number of a payment, so much is taken off it again, for a reason."""

    amount: Money
    on: Day = Field(default=None, description="the day on which it arrived; of a correction today by default")
    reference: MaybeName = Field(default=None, description="how the payer's books know it; a payment needs it")
    reason: MaybeProse = Field(default=None, description="needed by a correction, and by more than was confirmed")
    corrects: Revision = None


class CasePatch(_Body):
    """What changes in a case, all of it or nothing. With `revision`, that which was read, nobody is overwritten."""

    revision: Revision = None
    take: bool = Field(default=False, description="into the caller's own hands")
    assignee: MaybeName = Field(default=None, description="into the hands of this person")
    hand_back: bool = Field(default=False, description="into nobody's hands; needs a reason")
    priority: Literal["urgent", "important", "normal"] | None = Field(
        default=None, description="a lower one needs a reason"
    )
    reason: MaybeProse = None
    evidence: Evidence | None = None
    note: Note | None = None
    check: Check | None = None
    file: File | None = None
    follow_up: FollowUp | None = None
    payment: Payment | None = None


class Propose(_Body):
    """A result that waits for the signature of another person."""

    decision: Literal["propose"]
    revision: Revision = None
    result: Literal["compliant", "violation", "needs_more_evidence"]
    reason: Prose
    verdict: MaybeName = Field(
        default=None, description="what the outcome will say; without it the usual of the result"
    )
    violation: MaybeName = Field(default=None, description="type of violation, T01 to T40")
    amount: Money = Field(default=None, description="confirmed money")
    findings: Names = Field(default=(), description="ids of the rules that it rests on")
    disposition: Literal["block", "review", "refer", "accept"] | None = None
    root_cause: MaybeProse = None
    measure: Literal["rectification", "sanction", "emergency", "none"] | None = None
    plan: MaybeProse = None
    rating: Grade = Field(default=None, description="how well the case was founded, 1 to 5")


class Confirm(_Body):
    """The second signature under what was proposed."""

    decision: Literal["confirm"]
    revision: Revision = None
    remark: MaybeProse = None


class SendBack(_Body):
    """No second signature: whoever proposed looks again."""

    decision: Literal["send_back"]
    revision: Revision = None
    reason: Prose


class Unfounded(_Body):
    """Nothing was found: signed by two, or where little is at stake by whoever works on it."""

    decision: Literal["unfounded"]
    revision: Revision = None
    reason: Prose
    verdict: MaybeName = None


class Appeal(_Body):
    """An objection, within 10 working days of the decision."""

    decision: Literal["appeal"]
    revision: Revision = None
    reason: Prose
    by: MaybeName = Field(default=None, description="whose objection it is")


class DecideAppeal(_Body):
    """What became of the appeal, decided by somebody who neither proposed nor signed."""

    decision: Literal["decide_appeal"]
    revision: Revision = None
    upheld: bool
    reason: Prose
    reopen: bool = Field(default=False, description="look at it anew")


class Close(_Body):
    """The end, once nobody can appeal any more; with `waived` before that."""

    decision: Literal["close"]
    revision: Revision = None
    reason: MaybeProse = None
    waived: bool = False


Decision = Propose | Confirm | SendBack | Unfounded | Appeal | DecideAppeal | Close
DECISIONS: Mapping[str, type[BaseModel]] = {
    "propose": Propose,
    "confirm": Confirm,
    "send_back": SendBack,
    "unfounded": Unfounded,
    "appeal": Appeal,
    "decide_appeal": DecideAppeal,
    "close": Close,
}


# --- what is answered -------------------------------------------------------------------------------------


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CaseStanding(_Answer):
    """A case. Who may not see identities gets a patient's id masked.

    `due_at` is when the running clock ends (null while none runs or evidence is awaited), `overdue` whether it has;
    `recovery_per_hour` is what the queue is ranked by. `revision` grows with each change by people.
    """

    id: str
    entity: Literal["claim", "patient", "provider", "physician"]
    entity_id: str
    patient_id: str | None
    provider_id: str | None
    region: str | None
    state: Literal["open", "assigned", "evidence", "proposed", "confirmed", "unfounded", "appealed", "closed"]
    priority: Literal["urgent", "important", "normal"]
    revision: int
    violation: str | None
    findings: list[str]
    action: str | None
    severity: str | None
    band: str | None
    probability: float | None
    percentile: float | None
    amount: float | None
    expected_recovery: float | None
    recovery_per_hour: float
    hours: float
    request_id: str | None
    selected_by: Literal["decision", "expected_recovery", "random", "investigator"]
    inclusion_probability: float | None
    opened_at: datetime
    assignee: str | None
    clock: str | None
    due_at: datetime | None
    overdue: bool
    paused: bool
    seconds_left: float | None
    evidence_due_at: datetime | None
    first_action_at: datetime | None
    result: str | None
    verdict: str | None
    disposition: str | None
    confirmed_amount: float | None
    recovered_amount: float | None
    proposer: str | None
    signer: str | None
    decided_at: datetime | None
    appeal_until: datetime | None
    appealed_at: datetime | None
    closed_at: datetime | None
    follow_up_on: date | None
    satisfaction: int | None
    week: date | None
    place: int | None


class CaseEventAnswer(_Answer):
    """Something that was done in a case; `who` is empty for the service itself."""

    number: int
    at: datetime
    who: str
    what: str
    state_before: str | None
    state_after: str
    details: dict[str, Any]


class AttachmentAnswer(_Answer):
    """A file of a case; its content has an address of its own."""

    number: int
    name: str
    media_type: str
    size: int
    digest: str
    added_at: datetime
    added_by: str


class CheckAnswer(_Answer):
    """Where an innocent explanation stands."""

    answer: Literal["refuted", "holds", "open"]
    remark: str | None
    who: str
    at: datetime


class PaymentAnswer(_Answer):
    """Money that came back; below zero where it was taken off the payment whose number is `corrects`."""

    number: int
    amount: float
    received_on: date
    reference: str | None
    reason: str | None
    corrects: int | None
    recorded_at: datetime
    recorded_by: str


class CaseFileAnswer(CaseStanding):
    """A case with all that was done in it; `possible` are the steps that the caller can take now."""

    history: list[CaseEventAnswer]
    attachments: list[AttachmentAnswer]
    checks: dict[str, CheckAnswer]
    proposal: dict[str, Any] | None
    possible: list[str]
    notes: list[str]
    payments: list[PaymentAnswer]


class CountsAnswer(_Answer):
    """How many of the cases that were looked for there are; `by_priority` counts those that are undecided."""

    total: int
    undecided: int
    overdue: int
    by_state: dict[str, int]
    by_priority: dict[str, int]


class CasesAnswer(_Answer):
    """A page of cases, how many there are in all, how many came before, and with `counts=true` how they stand."""

    cases: list[CaseStanding]
    total: int
    skipped: int
    counts: CountsAnswer | None


_SAME = tuple(
    n
    for n in CaseStanding.model_fields
    if n not in ("id", "entity_id", "patient_id", "recovery_per_hour", "overdue", "seconds_left")
)


def case_answer(case: Case, now: datetime, show: Show) -> dict[str, Any]:
    """The case as it is told; `show` masks whom it is about where that is needed."""
    told = {name: getattr(case, name) for name in _SAME}
    own = {
        "id": case.case_id,
        "entity_id": show(f"{case.entity}_id", case.entity_id),
        "patient_id": show("patient_id", case.patient_id),
        "recovery_per_hour": case.worth,
        "overdue": case.overdue(now),
        "seconds_left": case.seconds_left(now),
    }
    return {name: own[name] if name in own else told[name] for name in CaseStanding.model_fields}


def file_answer(file: CaseFile, now: datetime, show: Show) -> dict[str, Any]:
    """The case with its history as it is told."""
    return {
        **case_answer(file.case, now, show),
        "history": [_event(e) for e in file.history],
        "attachments": [_attachment(a) for a in file.attachments],
        "checks": file.checks,
        "proposal": file.proposal,
        "possible": file.possible,
        "notes": file.notes,
        "payments": [{n: getattr(p, n) for n in PaymentAnswer.model_fields} for p in file.recoveries],
    }


def _event(event: CaseEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in CaseEventAnswer.model_fields}


def _attachment(attachment: Attachment) -> dict[str, Any]:
    return {name: getattr(attachment, name) for name in AttachmentAnswer.model_fields}


def page_answer(page: Page, counts: Counts | None, now: datetime, show: Show) -> dict[str, Any]:
    """A page of cases as it is told."""
    return {
        "cases": [case_answer(c, now, show) for c in page.cases],
        "total": page.total,
        "skipped": page.skipped,
        "counts": counts_answer(counts) if counts is not None else None,
    }


def counts_answer(counts: Counts) -> dict[str, Any]:
    """Counts as they are told."""
    return {name: dict(v) if isinstance(v, Mapping) else v for name, v in asdict(counts).items()}
