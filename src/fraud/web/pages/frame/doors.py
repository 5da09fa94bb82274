"""Cookies, tokens of forms, and where a form came from."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from fraud.web.access.guard import is_local
from fraud.web.pages.frame.problems import PageProblem

__all__ = [
    "FORM_COOKIE", "PASSING_COOKIE", "SESSION_COOKIE", "check_form", "cookie", "cookies_of", "is_secure",
    "passing_cookie", "token_of",
]  # fmt: skip

SESSION_COOKIE, FORM_COOKIE, PASSING_COOKIE = "fraud_session", "fraud_form", "fraud_elsewhere"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def cookies_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The cookies of a request by name."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def passing_cookie(value: str, secure: bool, seconds: int) -> str:
    """A header that sets the cookie of a sign-in elsewhere: it comes along when the browser is sent back from there."""
    kept = f"{PASSING_COOKIE}={value}; Path=/workbench/sign-in; HttpOnly; SameSite=Lax; Max-Age={seconds}"
    return f"{kept}; Secure" if secure else kept


def cookie(name: str, value: str, secure: bool) -> str:
    """A header that sets a cookie which no script reads and no other site sends; an empty value ends it."""
    ends = "; Max-Age=0" if not value else ""
    return f"{name}={value}; Path=/workbench; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}{ends}"


def is_secure(headers: Mapping[str, str], server: object, scheme: str) -> bool:
    """Whether cookies may travel over HTTPS alone: always, but on the machine itself without it."""
    if scheme == "https" or headers.get("x-forwarded-proto") == "https":
        return True
    # A proxy in front passes on the name that the browser asked for.
    host = urlsplit(f"//{headers.get('host', '')}").hostname
    return not (is_local(server) and host in _LOOPBACK)


def token_of(secret: str) -> str:
    """What each form of a session holds; without the cookie nobody can tell it."""
    return hmac.digest(secret.encode(), b"form", "sha256").hex() if secret else ""


def check_form(headers: Mapping[str, str], token: str, secret: str) -> None:
    """Return for a form that this service gave to this browser; raises `PageProblem` for any other."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    if foreign or site not in ("same-origin", "none"):
        raise PageProblem("stale-form", "The form came from another site.")
    if not secret or not hmac.compare_digest(token.encode(), token_of(secret).encode()):
        raise PageProblem("stale-form", "The form is not of this session. Open the page again.")
