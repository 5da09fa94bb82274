"""What is told of whatever goes wrong: a problem, and for what nobody foresaw a line in the log."""

from __future__ import annotations

import logging

from fraud.errors import FraudError
from fraud.store import StoreBusyError
from fraud.web.bodies.messages import Reply
from fraud.web.bodies.problems import MEDIA_TYPE, Problem, as_json
from fraud.web.telemetry import metrics

__all__ = ["problem_of", "reply_of"]

log = logging.getLogger("fraud.web")


def reply_of(error: Exception, request_id: str) -> Reply:
    """The reply to a request that came to this, with a time to wait where trying again can help."""
    problem = problem_of(error, request_id)
    wait = problem.kind.retry_after
    headers = ({"Retry-After": str(wait)} if wait else {}) | problem.headers
    return Reply(as_json(problem, request_id), problem.kind.status, MEDIA_TYPE, headers)


def problem_of(error: Exception, request_id: str) -> Problem:
    """The problem that an error is; one that is nobody's fault but ours is logged under the request's id."""
    problem = _problem_of(error, request_id)
    metrics.problems().labels(problem.name).inc()
    return problem


def _problem_of(error: Exception, request_id: str) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreBusyError):
        return Problem("store-unavailable", error.message)
    log.error("request %s failed", request_id, exc_info=error)
    kind = "a part of the service" if isinstance(error, FraudError) else "an unexpected error"
    return Problem("internal", f"The request met {kind}; it is logged under {request_id}.")
