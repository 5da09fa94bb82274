"""Signing in at the provider of the payer: there, back, and what stands in the way."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fraud.store.guesses import RefusedError
from fraud.store.ledger import Event
from fraud.web.access.claimed import NoEntryError, shows_second_factor, stated
from fraud.web.access.oidc import LASTS, Attempt, NotProvenError, Proven, Provider, ProviderAwayError
from fraud.web.bodies.messages import Reply
from fraud.web.pages.frame.doors import PASSING_COOKIE, SESSION_COOKIE, cookie, cookies_of, passing_cookie
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.rendering import HEADERS
from fraud.web.pages.frame.shapes import PREFIX, Page, Shown, View, Visit, inside, who

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES", "end_elsewhere"]

log = logging.getLogger("fraud.web")
# The provider is asked two or three times, and each answer may take a while.
_SECONDS = 15.0
_STATUS = {"proof": 401, "denied": 401}


def there(runtime: Runtime, visit: Visit) -> Reply:
    """The way to the provider, with a cookie that proves later that the same browser came back."""
    try:
        address, attempt = _provider(visit).begin(visit.query.get("next", ""))
    except ProviderAwayError as error:
        raise _away(error) from error
    kept = visit.desk.references.seal(attempt.as_text())
    headers = {"Location": address, "Set-Cookie": passing_cookie(kept, visit.secure, int(LASTS.total_seconds()))}
    return Reply(b"", 303, "text/html; charset=utf-8", {**HEADERS, **headers})


def back(runtime: Runtime, visit: Visit) -> Shown:
    """A session for whom the provider vouches, or what stands in the way."""
    provider, desk = _provider(visit), visit.desk
    attempt = Attempt.of_text(desk.references.open(cookies_of(visit.incoming.headers).get(PASSING_COOKIE, "")))
    try:
        proven = _proven(visit, provider, attempt)
        known = stated(provider.settings, proven.claims, visit.words.locale)
        person = desk.identities.admit(known)
    except ProviderAwayError as error:
        raise _away(error) from error
    except NotProvenError as error:
        return _refused(visit, "denied" if error.why == "denied" else "proof", error.why)
    except NoEntryError as error:
        _end_known(visit, provider, proven)
        return _refused(visit, error.why)
    except RefusedError as error:
        return _refused(visit, error.why)
    factor = "provider" if shows_second_factor(provider.settings, proven.claims) else "awaited"
    agent = visit.incoming.headers.get("user-agent", "")
    secret = desk.sessions.begin(person, visit.address, agent, factor=factor, id_token=proven.token)
    then = inside(PREFIX + attempt.then) if attempt is not None and attempt.then else "/home"
    # The cookie of a session does not come along when another site leads here: our own page leads on.
    values = {"onward": PREFIX + then, "title": "signing_in"}
    return View("onward.html.j2", values, cookie=cookie(SESSION_COOKIE, secret, visit.secure))


def _proven(visit: Visit, provider: Provider, attempt: Attempt | None) -> Proven:
    if attempt is None:
        raise NotProvenError("cookie")
    # Before it is used up: who only sends a browser here, with an answer of their own making, spends nobody's attempt.
    code = provider.answered(attempt, visit.query)
    if not visit.desk.identities.spend(attempt.state, datetime.fromtimestamp(attempt.until, UTC)):
        raise NotProvenError("used")
    return provider.finish(attempt, code)


def _end_known(visit: Visit, provider: Provider, proven: Proven) -> None:
    """End the sessions of somebody whom the provider gives no role any more."""
    person = visit.desk.identities.find(provider.settings.issuer, proven.claims["sub"])
    if person is not None:
        visit.desk.sessions.end(person.user_id, "service")


def _provider(visit: Visit) -> Provider:
    if visit.desk.provider is None:
        raise PageProblem("not-found", "Nobody signs in elsewhere here.")
    return visit.desk.provider


def _refused(visit: Visit, why: str, told: str = "") -> View:
    """A page that says what stands in the way; the ledger and the log have the reason, and nobody's name."""
    log.warning("a sign-in elsewhere came to nothing: %s", told or why)
    details = {"address": visit.address, "why": told or why, "issuer": _provider(visit).settings.issuer}
    visit.desk.guard.ledger.add(Event("session.refused", "nobody", details=details))
    values = {"why": why, "label": _provider(visit).settings.label}
    return View("no_entry.html.j2", values, _STATUS.get(why, 403))


def _away(error: ProviderAwayError) -> PageProblem:
    log.warning("the provider of sign-ins cannot be used: %s", error.why)
    return PageProblem("provider-away", error.message)


def end_elsewhere(visit: Visit) -> str | None:
    """Where a session that began elsewhere is ended too; None for one that did not, or where nobody says."""
    provider, session = visit.desk.provider, visit.session
    token = visit.desk.sessions.id_token(session.session_id) if session is not None else None
    if provider is None or token is None:
        return None
    try:
        return provider.end(token, f"{provider.settings.address}{PREFIX}/sign-in")
    except ProviderAwayError:
        # Here the session ends all the same.
        return None


PAGES = (
    Page("elsewhere", "/sign-in/elsewhere", there, who(), door="none", seconds=_SECONDS),
    Page("elsewhere_back", "/sign-in/elsewhere/back", back, who(), door="none", seconds=_SECONDS),
)
