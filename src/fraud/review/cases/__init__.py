"""Cases: from a flagged claim or a place on the week's list to a decision that two people signed.

`Casework` is the one way to read and change them; `CaseRules` say what is urgent and how long each step may take.
How they are stored is `fraud.store.casework`; `workflow` holds the steps as plain functions.
"""

from fraud.review.cases.casework import Casework
from fraud.review.cases.refusals import CaseRefusedError
from fraud.review.cases.rules import CaseRules, Threshold, case_rules, priority_of
from fraud.review.cases.shapes import (
    ANSWERS,
    DISPOSITIONS,
    EVIDENCE_KINDS,
    MEASURES,
    NOTE_KINDS,
    RESULTS,
    VERDICTS,
    Actor,
    CaseFile,
    Counts,
    Page,
    Planned,
    Progress,
    Proposal,
)
from fraud.store.casework.shapes import (
    AT_WORK,
    ORDERS,
    PRIORITIES,
    STATES,
    Attachment,
    Case,
    CaseEvent,
    Chosen,
    Scored,
    Within,
)

__all__ = [
    "ANSWERS",
    "AT_WORK",
    "DISPOSITIONS",
    "EVIDENCE_KINDS",
    "MEASURES",
    "NOTE_KINDS",
    "ORDERS",
    "PRIORITIES",
    "RESULTS",
    "STATES",
    "VERDICTS",
    "Actor",
    "Attachment",
    "Case",
    "CaseEvent",
    "CaseFile",
    "CaseRefusedError",
    "CaseRules",
    "Casework",
    "Chosen",
    "Counts",
    "Page",
    "Planned",
    "Progress",
    "Proposal",
    "Scored",
    "Threshold",
    "Within",
    "case_rules",
    "priority_of",
]
