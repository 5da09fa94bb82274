"""Signing in and out, and what a first sign-in asks for: a password of one's own and a second factor."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from fraud.errors import Fault, InputError
from fraud.store.guesses import RefusedError
from fraud.web.pages.frame.doors import FORM_COOKIE, SESSION_COOKIE, cookie
from fraud.web.pages.frame.rendering import inline_svg
from fraud.web.pages.frame.shapes import PREFIX, Moved, Page, Shown, View, Visit, faults_by_field, inside, who
from fraud.web.pages.people.elsewhere import end_elsewhere

if TYPE_CHECKING:
    from markupsafe import Markup

    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_ISSUER = "fraud"


def sign_in_page(runtime: Runtime, visit: Visit) -> Shown:
    """The form, or how the first person is added."""
    if visit.person is not None:
        return Moved("/home")
    return _form(visit)


def _form(visit: Visit, why: str = "", minutes: int = 0) -> View:
    # Before anybody is known, a cookie of its own proves that the form is answered where it was shown.
    fresh = "" if visit.secret else secrets.token_urlsafe(32)
    values = {
        "anybody": visit.desk.people.any(),
        "why": why,
        "minutes": minutes,
        "next": visit.form.text("next") or visit.query.get("next", ""),
        "name": visit.form.text("name"),
        "oidc": visit.desk.oidc,
    }
    set_cookie = cookie(FORM_COOKIE, fresh, visit.secure) if fresh else None
    status = {"": 200, "locked": 429}.get(why, 401)
    return View("sign_in.html.j2", values, status, set_cookie, visit.secret or fresh)


def sign_in(runtime: Runtime, visit: Visit) -> Shown:
    """A session for whoever knows name, password and code."""
    form, desk = visit.form, visit.desk
    if desk.oidc is not None and not desk.oidc.passwords:
        return _form(visit, "refused")
    try:
        person = desk.people.sign_in(form.text("name"), form.secret("password"), form.text("code"), visit.address)
    except RefusedError as error:
        return _form(visit, error.why, max(1, round(error.wait.total_seconds() / 60)))
    secret = desk.sessions.begin(person, visit.address, visit.incoming.headers.get("user-agent", ""))
    wanted = inside(PREFIX + form.text("next")) if form.text("next") else "/home"
    return Moved(wanted if person.ready else "/setup", cookie=cookie(SESSION_COOKIE, secret, visit.secure))


def sign_out(runtime: Runtime, visit: Visit) -> Shown:
    """The end of this session, also where it began."""
    gone = cookie(SESSION_COOKIE, "", visit.secure)
    if visit.session is not None:
        there = end_elsewhere(visit)
        visit.desk.sessions.end(visit.user.user_id, visit.user.who, visit.session.session_id)
        if there is not None:
            # A form may not lead to another site, so the page itself does.
            return View("onward.html.j2", {"onward": there, "title": "signing_out"}, cookie=gone)
    return Moved("/sign-in", "signed_out", gone)


# --- the first sign-in ------------------------------------------------------------------------------------


def setup_page(runtime: Runtime, visit: Visit) -> Shown:
    """The step that is next: another password, then the second factor; or the code after a sign-in elsewhere."""
    if visit.ready:
        return Moved("/home")
    return _code(visit) if visit.user.enrolled and not visit.user.must_change else _setup(visit)


def _code(visit: Visit, why: str = "", minutes: int = 0) -> View:
    then = visit.form.text("next") or visit.query.get("next", "")
    status = {"": 200, "locked": 429}.get(why, 401)
    return View("sign_in_code.html.j2", {"why": why, "minutes": minutes, "next": then}, status)


def give_code(runtime: Runtime, visit: Visit) -> Shown:
    """The session, open once the second factor was shown that the provider did not ask for."""
    try:
        visit.desk.people.prove(visit.user.user_id, visit.form.text("code"), visit.address)
    except RefusedError as error:
        return _code(visit, error.why, max(1, round(error.wait.total_seconds() / 60)))
    fresh = visit.desk.sessions.renew(visit.secret)
    wanted = inside(PREFIX + visit.form.text("next")) if visit.form.text("next") else "/home"
    return Moved(wanted, cookie=cookie(SESSION_COOKIE, fresh, visit.secure))


def _setup(visit: Visit, faults: dict[str, list[Fault]] | None = None) -> View:
    status = 422 if faults else 200
    if visit.user.must_change:
        return View("setup_password.html.j2", {"faults": faults or {}}, status)
    secret = visit.desk.people.enrolment(visit.user.user_id)
    values = {"faults": faults or {}, "key": " ".join(_fours(secret)), "picture": _picture(secret, visit.user.name)}
    return View("setup_code.html.j2", values, status)


def _fours(text: str) -> list[str]:
    return [text[i : i + 4] for i in range(0, len(text), 4)]


def _picture(secret: str, name: str) -> Markup:
    """The key as a QR code, for the camera of the phone."""
    import pyotp
    import segno

    address = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)
    svg = segno.make(address, error="m").svg_inline(scale=5, border=4, dark="#000", light="#fff", omitsize=True)
    return inline_svg(svg)


def set_password(runtime: Runtime, visit: Visit) -> Shown:
    """A password of one's own in place of the first one."""
    faults = change_password(visit)
    return _setup(visit, faults) if faults else Moved("/setup", "password_changed")


def change_password(visit: Visit) -> dict[str, list[Fault]]:
    """The faults of a form that changes a password; without any it is changed."""
    form = visit.form
    if form.secret("password") != form.secret("again"):
        return {"again": [Fault("again", "password_again", "the two are not the same")]}
    try:
        visit.desk.people.change_password(visit.user.user_id, form.secret("old"), form.secret("password"))
    except InputError as error:
        return {field: list(found) for field, found in faults_by_field(error).items()}
    return {}


def set_code(runtime: Runtime, visit: Visit) -> Shown:
    """The second factor, once a code proves it; the codes for a lost phone are shown this once."""
    try:
        codes = visit.desk.people.enrol(visit.user.user_id, visit.form.text("code"))
    except InputError as error:
        return _setup(visit, {field: list(found) for field, found in faults_by_field(error).items()})
    # From here on the cookie opens more than before: what it was opens nothing any more.
    fresh = visit.desk.sessions.renew(visit.secret)
    return View("recovery.html.j2", {"codes": codes}, cookie=cookie(SESSION_COOKIE, fresh, visit.secure), secret=fresh)


PAGES = (
    Page("sign_in", "/sign-in", sign_in_page, who(), door="none"),
    Page("signing_in", "/sign-in", sign_in, who(), method="POST", door="none"),
    Page("signing_out", "/sign-out", sign_out, who(), method="POST", door="setup"),
    Page("setup", "/setup", setup_page, who(), door="setup"),
    Page("setup_password", "/setup/password", set_password, who(), method="POST", door="setup"),
    Page("setup_code", "/setup/code", set_code, who(), method="POST", door="setup"),
    Page("sign_in_code", "/setup/second", give_code, who(), method="POST", door="setup"),
)
