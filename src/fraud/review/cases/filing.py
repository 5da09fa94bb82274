"""What is read out of a case's history, and what may be handed in."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fraud.errors import Fault, InputError
from fraud.review.cases.calendar import WorkingDays
from fraud.review.cases.shapes import Counts
from fraud.store.casework.shapes import AT_WORK, PRIORITIES, STATES, Attachment, Case, CaseEvent

__all__ = ["MOST_BYTES", "accepted", "checks_in", "counted", "notes_on", "proposal_in"]

MOST_BYTES = 10 << 20
_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")
_LONGEST_NAME = 200


def checks_in(history: Sequence[CaseEvent]) -> dict[str, dict[str, Any]]:
    """By innocent explanation the last answer, with its remark, by whom and when."""
    checked = (e for e in history if e.what == "checked")
    return {
        e.details["explanation"]: {
            "answer": e.details["answer"],
            "remark": e.details.get("remark"),
            "who": e.who,
            "at": e.at,
        }
        for e in checked
    }


def proposal_in(history: Sequence[CaseEvent]) -> Mapping[str, Any] | None:
    """The last proposal as it was made, with who and when; None before the first, and once it was sent back."""
    for event in reversed(history):
        if event.what in ("sent_back", "evidence_agreed", "reopened"):
            return None
        if event.what == "proposed":
            return {**event.details, "who": event.who, "at": event.at}
    return None


def notes_on(case: Case, now: datetime, days: WorkingDays) -> tuple[str, ...]:
    """What is to be known of the clocks: years whose holidays no calendar here has."""
    until = max((t for t in (case.due_at, case.evidence_due_at, case.appeal_until) if t is not None), default=None)
    unknown = days.unknown(min(now, until), until) if until is not None else ()
    years = ", ".join(map(str, unknown))
    said = f"The public holidays of {years} are not known here: Monday to Friday are counted as working days."
    return (said,) if unknown else ()


def counted(found: Iterable[tuple[str, str, int, int]]) -> Counts:
    """Counts by state and by priority out of those of both."""
    states, priorities, overdue = Counter[str](), Counter[str](), 0
    for state, priority, count, late in found:
        states[state] += count
        overdue += late
        if state in AT_WORK:
            priorities[priority] += count
    return Counts(
        total=states.total(),
        undecided=sum(states[s] for s in AT_WORK),
        overdue=overdue,
        by_state={s: states[s] for s in STATES},
        by_priority={p: priorities[p] for p in PRIORITIES},
    )


def accepted(name: str, media_type: str, content: bytes) -> Attachment:
    """What is known of a file before it belongs to a case; raises `InputError` that names every fault."""
    faults = []
    plain = name.replace("\\", "/").rpartition("/")[2].strip()
    if not plain or len(plain) > _LONGEST_NAME or not plain.isprintable() or plain in (".", ".."):
        faults.append(Fault("/name", "bad_name", f"expected a file name of 1 to {_LONGEST_NAME} printable characters"))
    if not _MEDIA_TYPE.fullmatch(media_type):
        faults.append(Fault("/media_type", "bad_media_type", "expected a media type such as application/pdf"))
    if not 0 < len(content) <= MOST_BYTES:
        faults.append(Fault("/content", "bad_size", f"expected 1 byte to 10 MiB, found {len(content):,} bytes"))
    if faults:
        said = "; ".join(f"{f.where[1:]}: {f.detail}" for f in faults)
        raise InputError(f"The file is not taken: {said}.", faults)
    digest = hashlib.sha256(content).hexdigest()
    return Attachment("", 0, plain, media_type, len(content), digest, datetime.min, "")
