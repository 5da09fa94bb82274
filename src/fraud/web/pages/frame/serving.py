"""The way to a page: who the cookie belongs to, what the form holds, the page, and a page for what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from fraud.errors import InputError, SpecError
from fraud.store.ledger import Record
from fraud.store.people import Person
from fraud.store.sessions import Session
from fraud.web.access.bounds import holds, subject_of
from fraud.web.access.guard import Caller
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.bodies.mishaps import problem_of
from fraud.web.bodies.problems import Problem
from fraud.web.bodies.reading import Accepted, read_body
from fraud.web.calls.cases import problem_from
from fraud.web.pages.book import PAGES
from fraud.web.pages.frame.desk import Desk, desk_of
from fraud.web.pages.frame.doors import FORM_COOKIE, SESSION_COOKIE, check_form, cookie, cookies_of, is_secure
from fraud.web.pages.frame.forms import read_form
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.rendering import asset_reply, reply_of_view
from fraud.web.pages.frame.shapes import PREFIX, Moved, Page, View, Visit, who
from fraud.web.pages.frame.wording import Words, language_of

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["Answer", "page_routes"]

log = logging.getLogger("fraud.web")
Answer = Callable[[Request, str], Awaitable[Reply]]
# Who has not signed in: no page that they see reads anything.
_NOBODY = Caller("nobody", "", "nobody")
# Only for an address of the workbench where nothing is: whoever is signed in gets to know that.
_NOWHERE = Page("nowhere", "", lambda runtime, visit: _raise_nowhere(), who(), door="none")


def page_routes(endpoint: Callable[[str, Answer], Callable[[Request], Awaitable[Response]]]) -> list[Route]:
    """The routes of all pages and of what they load; `endpoint` counts and logs as for calls."""
    found = [
        Route(PREFIX + page.path, endpoint(f"page_{page.name}", partial(_answer, page)), methods=[page.method])
        for page in PAGES
    ]
    found.append(Route(f"{PREFIX}/static/{{digest}}/{{name}}", endpoint("page_asset", _asset), methods=["GET"]))
    nowhere = endpoint("page_nowhere", partial(_answer, _NOWHERE))
    rest = (PREFIX, f"{PREFIX}/", f"{PREFIX}/{{path:path}}")
    return [*found, *(Route(path, nowhere, methods=["GET", "POST"]) for path in rest)]


def _raise_nowhere() -> Moved:
    raise PageProblem("not-found", "There is no page at this address.")


async def _asset(request: Request, request_id: str) -> Reply:
    packed = "gzip" in request.headers.get("accept-encoding", "")
    found = asset_reply(request.path_params["name"], request.path_params["digest"], packed)
    return found or Reply(b"", 404, "text/plain")


async def _answer(page: Page, request: Request, request_id: str) -> Reply:
    """The page or a page for what went wrong: nothing is raised beyond this, whatever happens."""
    state = request.app.state
    headers = {**request.headers, ":address": request.url.path}
    incoming = Incoming(request_id, request.path_params, dict(request.query_params), headers)
    client = request.client.host if request.client else ""
    secure = is_secure(request.headers, request.scope.get("server"), request.url.scheme)

    async def arrive() -> bytes:
        return await _read(request, page) if request.method == "POST" else b""

    def begin(body: bytes) -> Future[Reply]:
        given = replace(incoming, body=body)
        started: Future[Reply] = state.door.start(partial(_served, state.runtime, page, given, client, secure))
        return started

    try:
        found: Reply = await state.door.through(arrive, begin, page.seconds)
        return found
    except ClientDisconnect:
        return Reply(b"", 400)
    except Exception as error:
        return _mishap(_stranger(desk_of(state.runtime), incoming, client, secure), error)


async def _read(request: Request, page: Page) -> bytes:
    """The bytes of a form; what kind of form it is stands in the header."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > page.most_bytes:
            raise PageProblem("too-large", f"A form may have at most {page.most_bytes:,} bytes.")
        return await request.body()
    return await read_body(request, Accepted(("application/x-www-form-urlencoded",), page.most_bytes))


# --- in a thread ------------------------------------------------------------------------------------------


def _served(runtime: Runtime, page: Page, incoming: Incoming, client: str, secure: bool) -> Reply:
    desk = desk_of(runtime)
    visit = _stranger(desk, incoming, client, secure)
    try:
        visit = _known(visit, page)
        if (moved := _elsewhere(page, visit)) is not None:
            return reply_of_view(visit, moved)
        visit = _admitted(page, visit)
        return desk.guard.answer_by(page.rule, visit.caller, visit.incoming, partial(_show, runtime, page, visit))
    except Exception as error:
        return _mishap(visit, error)


def _show(runtime: Runtime, page: Page, visit: Visit, incoming: Incoming) -> Reply:
    visit = replace(visit, incoming=incoming)
    return reply_of_view(visit, page.view(runtime, visit))


def _stranger(desk: Desk, incoming: Incoming, client: str, secure: bool) -> Visit:
    """The visit before anybody looked at the cookie."""
    language = incoming.query.get("language") or language_of(incoming.headers.get("accept-language", ""))
    words = Words(language if language in ("en", "zh") else "en")
    secret = cookies_of(incoming.headers).get(FORM_COOKIE, "")
    return Visit(incoming, desk, words, address=client, secret=secret, secure=secure)


def _known(visit: Visit, page: Page) -> Visit:
    """The visit with the person whose session the cookie is, and with the form."""
    visit = replace(visit, page=page)
    if secret := cookies_of(visit.incoming.headers).get(SESSION_COOKIE):
        session = visit.desk.sessions.find(secret)
        person = visit.desk.people.get(session.user_id) if session is not None else None
        if person is not None and person.disabled_at is None and person.suspended_at is None:
            words = Words(person.language)
            visit = replace(visit, session=session, person=person, words=words, secret=secret)
    if page.method == "POST":
        form = read_form(visit.incoming.body, visit.incoming.headers.get("content-type", ""))
        check_form(visit.incoming.headers, form.text("token"), visit.secret)
        visit = replace(visit, form=form)
    return visit


def _elsewhere(page: Page, visit: Visit) -> Moved | None:
    """Where the visitor has to go first: to sign in, or to choose a password and set up the second factor."""
    if page is _NOWHERE and visit.incoming.headers[":address"].rstrip("/") == PREFIX:
        return Moved("/home" if visit.person is not None else "/sign-in")
    if page.door == "none":
        return None
    if visit.person is None:
        wanted = visit.incoming.headers[":address"] if page.method == "GET" else ""
        back = f"?next={quote(wanted.removeprefix(PREFIX), safe='/')}" if wanted and page.name != "home" else ""
        # A cookie that opens nothing any more is taken back.
        had = SESSION_COOKIE in cookies_of(visit.incoming.headers)
        return Moved(f"/sign-in{back}", cookie=cookie(SESSION_COOKIE, "", visit.secure) if had else None)
    return Moved("/setup") if page.door == "full" and not visit.ready else None


def _admitted(page: Page, visit: Visit) -> Visit:
    """The visit with its caller, once the role fits and nothing is unusual; raises `Problem`."""
    if visit.person is None or page.door == "none":
        return replace(visit, incoming=replace(visit.incoming, caller=_NOBODY))
    person, rule = visit.person, page.rule
    if person.role not in rule.roles:
        raise Problem("not-allowed", "Your role may not open this page.")
    path = _unsealed(visit, page.sealed)
    record = Record(rule.record, path[rule.parameter]) if rule.record is not None else None
    purpose = None
    if record is not None and visit.session is not None:
        _watch(visit, person, visit.session, record)
        seen = visit.desk.sessions.unmasking(visit.session.session_id, record)
        visit = replace(visit, unmasking=seen)
        purpose = seen.purpose if seen is not None and person.role == "supervisor" else None
    caller = Caller(
        person.who, person.display_name, person.role, person.scope, purpose, sees_identities=purpose is not None
    )
    return replace(visit, incoming=replace(visit.incoming, path=path, caller=caller))


def _unsealed(visit: Visit, sealed: tuple[str, ...]) -> Mapping[str, str]:
    found = dict(visit.incoming.path)
    for name in sealed:
        value = visit.desk.references.open(found[name])
        if value is None:
            raise PageProblem("not-found", "There is no page at this address.")
        found[name] = value
    return found


def _watch(visit: Visit, person: Person, session: Session, record: Record) -> None:
    """Count the persons whose records a session opens; beyond the usual it ends, and somebody must look into it."""
    desk = visit.desk
    subject = subject_of(desk.runtime.store, record)
    if subject.patient_id is None or not holds(desk.runtime.store, person.scope, subject):
        return
    most = int(desk.number("persons_per_hour"))
    count = desk.sessions.note_opened(session.session_id, Record("patient", subject.patient_id))
    if count <= most:
        return
    desk.people.suspend(person.user_id, {"session_id": session.session_id, "persons": count, "most": most})
    desk.sessions.end(person.user_id, "service")
    log.warning("a session was suspended: more records of persons were opened in an hour than is usual")
    raise PageProblem("suspended", "More records of persons were opened than is usual. An administrator can lift it.")


# --- what went wrong --------------------------------------------------------------------------------------


def _as_problem(error: Exception) -> Exception:
    """What the engine says of an input, as a problem; everything else as it is."""
    # What is wrong with a settings file is nothing that the visitor could mend.
    if isinstance(error, Problem) or not isinstance(error, InputError) or isinstance(error, SpecError):
        return error
    return problem_from(error)


def _mishap(visit: Visit, error: Exception) -> Reply:
    """A page for a problem, in the reader's language."""
    problem = problem_of(_as_problem(error), visit.incoming.request_id)
    words, name = visit.words, problem.name
    known = words.of("problems", name)
    values = {
        "title": known if known != name else problem.kind.title,
        "advice": words.of("advice", name) if words.of("advice", name) != name else "",
        "problem": problem,
    }
    reply = reply_of_view(visit, View("problem.html.j2", values, problem.kind.status))
    wait = {"Retry-After": str(problem.kind.retry_after)} if problem.kind.retry_after else {}
    return replace(reply, headers={**reply.headers, **wait, **problem.headers})
