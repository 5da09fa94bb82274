"""The calls of the neighbours' formats, with what they accept and how they tell a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.reading import MOST_BYTES, Accepted
from fraud.web.exchange import audit, fhir
from fraud.web.exchange.audit import AuditInterface
from fraud.web.exchange.audit_settings import AuditSettings
from fraud.web.exchange.fhir import FhirInterface
from fraud.web.running.runtime import Runtime

__all__ = ["ACCEPTED", "REFUSED", "SECONDS", "Call", "neighbours"]

Call = tuple[str, str, str, Callable[[Runtime, Incoming], Reply]]
_AUDITS = ("audit_before", "audit_during", "audit_feedback")
# Their names are long, and a long stay has thousands of orders.
_MOST_BYTES = 4 * MOST_BYTES
# Hospital systems are not strict about what they call JSON.
_LOOSE = Accepted(("application/json", "text/json", "text/plain"), _MOST_BYTES)
ACCEPTED: Mapping[str, Accepted] = {
    "fhir_score": Accepted(("application/fhir+json", "application/json"), _MOST_BYTES),
    **dict.fromkeys(_AUDITS, _LOOSE),
}
# A person waits, and gives up after ten.
SECONDS: Mapping[str, float] = dict.fromkeys(_AUDITS, 5.0)
REFUSED: Mapping[str, Callable[[Problem, str], Reply]] = {
    "fhir_score": fhir.refused,
    **dict.fromkeys(_AUDITS, audit.refused),
}


def neighbours(settings: AuditSettings) -> tuple[Call, ...]:
    """The calls, at the addresses of these settings."""
    interface, paths = AuditInterface(settings), settings.paths
    return (
        ("/fhir/Claim/$score", "POST", "fhir_score", FhirInterface(settings.key).score),
        (paths["before"], "POST", "audit_before", interface.before),
        (paths["course"], "POST", "audit_during", interface.course),
        (paths["feedback"], "POST", "audit_feedback", interface.feedback),
    )
