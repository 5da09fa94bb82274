"""The ASGI application: addresses, and answers for whatever goes wrong."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter
from uuid import uuid4

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from fraud.errors import FraudError
from fraud.store import StoreBusyError
from fraud.web import calls, metrics
from fraud.web.bodies import read_body
from fraud.web.calls import Incoming, Reply
from fraud.web.door import Door
from fraud.web.openapi import description
from fraud.web.problems import MEDIA_TYPE, Problem, as_json
from fraud.web.reports import claim_report
from fraud.web.risks import entity_risk
from fraud.web.runtime import ENTITIES, Runtime

__all__ = ["CALLS", "build_app"]

log = logging.getLogger("fraud.web")
Work = Callable[[Runtime, Incoming], Reply]
# What is answered here may speak of a person.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def docs(runtime: Runtime, incoming: Incoming) -> Reply:
    """The description of all calls."""
    return Reply(description())


# Address, method, name of the call, what does it.
CALLS: tuple[tuple[str, str, str, Work], ...] = (
    ("/v1/claims/score", "POST", "score", calls.score),
    ("/v1/claims", "POST", "add_claims", calls.add_claims),
    ("/v1/decisions/{request_id}", "GET", "decision", calls.decision),
    ("/v1/claims/{claim_id}/report", "GET", "claim_report", claim_report),
    *((f"/v1/{e}s/{{entity_id}}/risk", "GET", f"{e}_risk", partial(entity_risk, e)) for e in ENTITIES[1:]),
    ("/v1/model", "GET", "model", calls.model),
    ("/docs.json", "GET", "docs", docs),
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class _Elsewhere(StringConvertor):
    """Any path but those of the server's own page: they are left to it."""

    regex = r"(?!(?:static_content/|schema\.json$)).+"


register_url_convertor("elsewhere", _Elsewhere())


def build_app(runtime: Runtime | None = None, door: Door | None = None) -> Starlette:
    """The application; `app.state.runtime` must be set before the first request."""
    routes = [Route(path, _endpoint(name, work), methods=[method]) for path, method, name, work in CALLS]
    routes.append(Route("/{path:elsewhere}", _elsewhere, methods=_METHODS))
    handlers = {HTTPException: _http_problem}
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=_lifespan)  # type: ignore[arg-type]
    app.router.redirect_slashes = False
    app.state.runtime = runtime
    app.state.door = door or Door()
    return app


_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.door.close()


async def _elsewhere(request: Request) -> Response:
    """A problem for an address that is not there, or does not take the method."""
    request_id = _request_id(request)
    return _response(_as_reply(_nowhere(request), request_id), request_id)


def _nowhere(request: Request) -> Problem:
    scope = {**request.scope, "method": ""}
    here = [r for r in request.app.routes if isinstance(r, Route) and r.matches(scope)[0] is Match.PARTIAL]
    methods = {m for r in here if r.endpoint is not _elsewhere for m in r.methods or ()}
    if not methods:
        return Problem("not-found", "There is nothing at this address. /docs.json lists what there is.")
    allowed = ", ".join(sorted(methods))
    return Problem("method-not-allowed", f"This address takes {allowed}.", headers={"Allow": allowed})


def _endpoint(name: str, work: Work) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        started, request_id = perf_counter(), _request_id(request)
        reply = await _reply(request, request_id, work)
        metrics.requests().labels(name).observe(perf_counter() - started)
        metrics.answers().labels(name, str(reply.status)).inc()
        return _response(reply, request_id)

    return endpoint


def _response(reply: Reply, request_id: str) -> Response:
    headers = {**_HEADERS, **reply.headers, "X-Request-ID": request_id}
    return Response(reply.body, reply.status, headers, reply.media_type)


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


async def _reply(request: Request, request_id: str, work: Work) -> Reply:
    """The work's reply or a problem: nothing is raised beyond this, whatever happens."""
    state = request.app.state

    async def arrive() -> bytes:
        return await read_body(request) if request.method == "POST" else b""

    def run(body: bytes) -> Reply:
        headers, query = dict(request.headers), dict(request.query_params)
        return work(state.runtime, Incoming(request_id, request.path_params, query, headers, body))

    try:
        found: Reply = await state.door.through(arrive, run)
        return found
    except ClientDisconnect:
        # Nobody is there to read it.
        return Reply(b"", 400)
    except Exception as error:
        return _as_reply(error, request_id)


def _as_reply(error: Exception, request_id: str) -> Reply:
    if not isinstance(error, (Problem, StoreBusyError)):
        log.error("request %s failed", request_id, exc_info=error)
    problem = _as_problem(error, request_id)
    wait = problem.kind.retry_after
    headers = dict(problem.headers) | ({"Retry-After": str(wait)} if wait else {})
    return Reply(as_json(problem, request_id), problem.kind.status, MEDIA_TYPE, headers)


def _as_problem(error: Exception, request_id: str) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, StoreBusyError):
        return Problem("store-unavailable", error.message)
    kind = "a part of the service" if isinstance(error, FraudError) else "an unexpected error"
    return Problem("internal", f"The request met {kind}; it is logged under {request_id}.")


async def _http_problem(request: Request, error: HTTPException) -> Response:
    """What the router itself refuses, such as a method that nobody has heard of."""
    return await _elsewhere(request)
