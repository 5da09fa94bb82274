"""Rows of cases: what an investigation stands at, all that was done in it, and what was handed in."""

from fraud.store.casework.shapes import (
    AT_WORK,
    STATES,
    Attachment,
    Case,
    CaseEvent,
    Chosen,
    Order,
    Scored,
    Within,
)

__all__ = ["AT_WORK", "STATES", "Attachment", "Case", "CaseEvent", "Chosen", "Order", "Scored", "Within"]
