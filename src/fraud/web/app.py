"""The ASGI application: addresses, and answers for whatever goes wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter
from uuid import uuid4

from starlette.applications import Starlette
from starlette.convertors import PathConvertor, StringConvertor, register_url_convertor
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.mishaps import problem_of, reply_of
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.reading import Accepted, read_body
from fraud.web.calls import accounts, cases, claims, papers, scoring
from fraud.web.calls.idempotency import key_of, still_running
from fraud.web.calls.reports import claim_report
from fraud.web.calls.risks import entity_risk
from fraud.web.calls.score_batch import BATCH, score_batch
from fraud.web.exchange import neighbours as exchange
from fraud.web.exchange.audit_settings import AuditSettings, load_audit_settings
from fraud.web.exchange.neighbours import neighbours
from fraud.web.exchange.outcomes import add_outcomes
from fraud.web.openapi import description
from fraud.web.pages.frame.serving import Answer, page_routes
from fraud.web.running.batching import Batcher
from fraud.web.running.door import Door
from fraud.web.running.runtime import ENTITIES, Runtime
from fraud.web.telemetry import logs, metrics, traces

__all__ = ["CALLS", "build_app"]

Work = Callable[[Runtime, Incoming], Reply]
# What is answered here may speak of a person.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_LAST = {"Connection": "close"}


def docs(runtime: Runtime, incoming: Incoming) -> Reply:
    """The description of all calls."""
    return Reply(description())


# Address, method, name of the call, what does it.
OWN_CALLS: tuple[tuple[str, str, str, Work], ...] = (
    ("/v1/claims/score", "POST", "score", claims.score),
    ("/v1/claims/score-batch", "POST", "score_batch", score_batch),
    ("/v1/claims", "POST", "add_claims", claims.add_claims),
    ("/v1/decisions/{request_id}", "GET", "decision", claims.decision),
    ("/v1/claims/{claim_id}/report", "GET", "claim_report", claim_report),
    *((f"/v1/{e}s/{{entity_id}}/risk", "GET", f"{e}_risk", partial(entity_risk, e)) for e in ENTITIES[1:]),
    ("/v1/outcomes", "POST", "outcomes", add_outcomes),
    ("/v1/cases", "GET", "cases", cases.cases),
    ("/v1/cases/{id}", "GET", "case", cases.case),
    ("/v1/cases/{id}", "PATCH", "case_change", cases.change),
    ("/v1/cases/{id}/decisions", "POST", "case_decide", cases.decide),
    ("/v1/cases/{id}/pack", "GET", "case_pack", cases.pack),
    ("/v1/cases/{id}/files/{number}", "GET", "case_file", cases.attachment),
    *((f"/v1/papers/{kind}", "GET", f"paper_{kind}", partial(papers.paper, kind)) for kind in papers.KINDS),
    ("/v1/model", "GET", "model", claims.model),
    ("/v1/ledger", "GET", "ledger", accounts.entries),
    ("/docs.json", "GET", "docs", docs),
)
CALLS = (*OWN_CALLS, *neighbours(load_audit_settings()))
# Bodies that differ from plain JSON of the usual size, by the name of the call.
ACCEPTED: Mapping[str, Accepted] = {"score_batch": BATCH, "case_change": cases.CHANGES, **exchange.ACCEPTED}
# Seconds for calls that may take longer than the door gives others.
SECONDS: Mapping[str, float] = {
    "score_batch": 25.0,
    **{f"paper_{kind}": papers.SECONDS for kind in papers.KINDS},
    **exchange.SECONDS,
}
# Calls whose requests are worked on together when they come at the same time. A caller with bounds goes alone:
# what it sends has to be checked first.
TOGETHER = frozenset({"score"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")


class _Elsewhere(StringConvertor):
    """Any path but those of the server's own page: they are left to it."""

    regex = r"(?!(?:static_content/|schema\.json\Z))(?s:.+)"


class _AnyPath(PathConvertor):
    """Any path, with what comes after a line break (`%0A`)."""

    # The mount around us takes what Starlette calls a path, which ends there: the server's own page would answer.
    regex = "(?s:.*)"


register_url_convertor("elsewhere", _Elsewhere())
register_url_convertor("path", _AnyPath())


def build_app(
    runtime: Runtime | None = None, door: Door | None = None, audit: AuditSettings | None = None
) -> Starlette:
    """The application; `app.state.runtime` must be set before the first request.

    `audit` says where the audit interface is, and what a province's codes mean.
    """
    table = CALLS if audit is None else (*OWN_CALLS, *neighbours(audit))
    routes = [Route(p, _endpoint(name, partial(_reply, name, work)), methods=[m]) for p, m, name, work in table]
    routes += page_routes(_endpoint)
    routes.append(Route("/{path:elsewhere}", _elsewhere, methods=_METHODS))
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _http_problem},  # type: ignore[dict-item]
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.runtime = runtime
    app.state.door = door or Door()
    app.state.batcher = Batcher(
        app.state.door.pool,
        lambda: app.state.runtime.turn,
        lambda incoming: scoring.compute(app.state.runtime, incoming),
        lambda judged: scoring.record(app.state.runtime, judged),
    )
    app.state.running = set()
    app.state.traces = None
    return app


_JSON = Accepted()
_BREAK = "\n"
_NOTHING = "There is nothing at this address. /docs.json lists what there is."
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.door.close()


async def _elsewhere(request: Request) -> Response:
    """A problem for an address that is not there, or does not take the method."""
    request_id = _request_id(request)
    return _response(reply_of(_nowhere(request), request_id), request_id)


def _nowhere(request: Request) -> Problem:
    if request.scope["path"].endswith(_BREAK):
        return Problem("not-found", _NOTHING)
    scope = {**request.scope, "method": ""}
    here = [r for r in request.app.routes if isinstance(r, Route) and r.matches(scope)[0] is Match.PARTIAL]
    methods = {m for r in here if r.endpoint is not _elsewhere for m in r.methods or ()}
    if not methods:
        return Problem("not-found", _NOTHING)
    allowed = ", ".join(sorted(methods))
    return Problem("method-not-allowed", f"This address takes {allowed}.", headers={"Allow": allowed})


def _endpoint(name: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if request.scope["path"].endswith(_BREAK):
            # The end of a pattern also fits before a last line break: it would pass for an address of ours.
            return await _elsewhere(request)
        started, request_id = perf_counter(), _request_id(request)
        state = request.app.state
        logs.begin(request_id, name)
        trace = traces.begin(state.traces, name, request.headers, request_id)
        reply = await answer(request, request_id)
        seconds, model = perf_counter() - started, state.runtime.model_label
        metrics.requests().labels(name).observe(seconds)
        metrics.answers().labels(name, str(reply.status)).inc()
        logs.end(reply.status, seconds, model)
        if trace is not None:
            trace.end(reply.status, model)
        return _response(reply, request_id, state.door.sends_on())

    return endpoint


def _response(reply: Reply, request_id: str, last: bool = False) -> Response:
    """The reply as ASGI sends it; with `last`, the connection ends after it, which clients of HTTP know to do."""
    headers = {**_HEADERS, **reply.headers, "X-Request-ID": request_id, **(_LAST if last else {})}
    return Response(reply.body, reply.status, headers, reply.media_type)


def _request_id(request: Request) -> str:
    given = request.headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


async def _reply(name: str, work: Work, request: Request, request_id: str) -> Reply:
    """The work's reply or a problem: nothing is raised beyond this, whatever happens."""
    state = request.app.state

    async def arrive() -> bytes:
        return await read_body(request, ACCEPTED.get(name, _JSON)) if request.method in ("POST", "PATCH") else b""

    def begin(body: bytes) -> Future[Reply] | asyncio.Future[Reply]:
        query = dict(request.query_params) if request.scope["query_string"] else {}
        headers = dict(request.headers)
        incoming = Incoming(request_id, request.path_params, query, headers, body, caller)
        if name in TOGETHER and not caller.scope.bounded:
            return together(state, name, incoming)
        answer = partial(guard.answer, name, caller, incoming, partial(work, state.runtime))
        started: Future[Reply] = state.door.start(answer)
        return started

    try:
        guard = state.runtime.guard
        caller = await guard.admit(name, request.headers, request.scope.get("server"), request.scope.get("client"))
        found: Reply = await state.door.through(arrive, begin, SECONDS.get(name))
        return found
    except ClientDisconnect:
        # Nobody is there to read it.
        return Reply(b"", 400)
    except Exception as error:
        refused = exchange.REFUSED.get(name)
        return refused(problem_of(error, request_id), request_id) if refused else reply_of(error, request_id)


def together(state: State, name: str, incoming: Incoming) -> asyncio.Future[Reply]:
    """The reply to a request that is worked on with those that came meanwhile; runs in the event loop."""
    key, running = key_of(incoming, name), state.running
    if key in running:
        raise still_running()
    future: asyncio.Future[Reply] = state.batcher.submit(incoming)
    if key is not None:
        running.add(key)
        future.add_done_callback(lambda _: running.discard(key))
    return future


async def _http_problem(request: Request, error: HTTPException) -> Response:
    """What the router itself refuses, such as a method that nobody has heard of."""
    return await _elsewhere(request)
