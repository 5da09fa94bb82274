"""Cases of the hamlet, opened as they are in earnest: by scoring claims."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx

from fraud.review.cases import Actor, Case, Chosen, Proposal
from tests.pages.visitors import Hamlet, Visitor
from tests.web.client import body

LINES = [{"line_no": n, "item_code": f"X{n}", "quantity": 1, "amount": 20.0 * n} for n in range(1, 6)]


def claim(claim_id: str, **row: Any) -> dict[str, Any]:
    """A claim with more lines than the hamlet's rule lets pass."""
    made = body(claim_id, **{"total_amount": 300.0, "fund_amount": 280.0, **row})
    return {**made, "lines": LINES}


def scored(hamlet: Hamlet, count: int = 1, **row: Any) -> list[Case]:
    """The cases of so many claims, the most worthwhile first."""
    _, secret = hamlet.desk.keys.add(f"claims {uuid4().hex}", "claims-system", "person:test")
    key = {"Authorization": f"Bearer {secret}"}
    for n in range(1, count + 1):
        given = {"patient_id": f"p-{n}", "provider_id": f"h-{n % 2 + 1}", "fund_amount": 40.0 * n, **row}
        answer = httpx.post(f"{hamlet.url}/v1/claims/score", json=claim(f"case-{n}", **given), headers=key)
        assert answer.status_code == 200, answer.text
    return list(hamlet.runtime.casework.search(Chosen(), most=500).cases)


@contextmanager
def inside(hamlet: Hamlet, role: str, language: str = "en") -> Iterator[Visitor]:
    """A visitor with a session of the hamlet's member of a role, who reads a language."""
    hamlet.desk.people.speak(hamlet.members[role].user_id, language)
    visitor = Visitor(hamlet.url).enter(hamlet, role)
    try:
        yield visitor
    finally:
        visitor.close()


def unfounded(hamlet: Hamlet, case: Case) -> Case:
    """The case, which somebody has looked into and found nothing in."""
    somebody = Actor("user:a", "somebody", "investigator")
    hamlet.runtime.casework.take(case.case_id, somebody)
    return hamlet.runtime.casework.unfounded(case.case_id, somebody, "The record of the ward has it.")


def confirmed(hamlet: Hamlet, case: Case, amount: float = 100.0) -> Case:
    """The case, in which two people have confirmed a violation."""
    work, one, other = hamlet.runtime.casework, *(Actor(f"user:{n}", n, "investigator") for n in ("one", "other"))
    work.take(case.case_id, one)
    work.propose(case.case_id, one, Proposal("violation", "Billed twice.", violation="T07", amount=amount))
    return work.confirm(case.case_id, other)
