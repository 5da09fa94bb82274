"""One's own account: language, password, sessions, recovery codes; and lifting the mask from one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fraud.errors import Fault
from fraud.store.ledger import KINDS, Record
from fraud.web.access.bounds import holds, subject_of
from fraud.web.bodies.problems import Problem
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import Moved, Page, Shown, View, Visit, inside, who
from fraud.web.pages.people.sign_in import change_password

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_PURPOSE = (5, 200)


def account(runtime: Runtime, visit: Visit) -> View:
    """What is on file about oneself, and where one is signed in."""
    return _page(visit)


def _page(visit: Visit, faults: Mapping[str, Sequence[Fault]] | None = None) -> View:
    values = {"sessions": visit.desk.sessions.of(visit.user.user_id), "faults": faults or {}}
    return View("account.html.j2", values, 422 if faults else 200)


def language(runtime: Runtime, visit: Visit) -> Moved:
    """The pages in another language, from now on."""
    visit.desk.people.speak(visit.user.user_id, visit.form.text("language"))
    return Moved(inside(visit.form.text("back")))


def password(runtime: Runtime, visit: Visit) -> Shown:
    """Another password; whoever is signed in elsewhere has to sign in anew."""
    if faults := change_password(visit):
        return _page(visit, faults)
    _end_others(visit)
    return Moved("/account", "password_changed")


def sessions(runtime: Runtime, visit: Visit) -> Moved:
    """The end of another session, or of all others."""
    if chosen := visit.form.text("session"):
        visit.desk.sessions.end(visit.user.user_id, visit.user.who, chosen)
    else:
        _end_others(visit)
    return Moved("/account", "sessions_ended")


def _end_others(visit: Visit) -> None:
    assert visit.session is not None
    visit.desk.sessions.end(visit.user.user_id, visit.user.who, but=visit.session.session_id)


def recovery(runtime: Runtime, visit: Visit) -> View:
    """New recovery codes, shown this once."""
    return View("recovery.html.j2", {"codes": visit.desk.people.recover(visit.user.user_id)})


# --- identities -------------------------------------------------------------------------------------------


def unmask(runtime: Runtime, visit: Visit) -> Moved:
    """The identities of one record, shown to this session for a while, for a purpose that the ledger keeps."""
    form = visit.form
    own = visit.desk.references.open(form.text("record"))
    kind, purpose = form.text("kind"), form.text("purpose")
    if own is None or kind not in KINDS:
        raise PageProblem("not-found", "There is no such record.")
    if not (_PURPOSE[0] <= len(purpose) <= _PURPOSE[1] and purpose.isprintable()):
        detail = f"say why, in {_PURPOSE[0]} to {_PURPOSE[1]} characters"
        raise Problem("faults", "No purpose was stated.", [Fault("purpose", "purpose", detail)])
    record = Record(kind, own)
    subject = subject_of(runtime.store, record)
    if not holds(runtime.store, visit.user.scope, subject):
        raise PageProblem("not-found", "There is no such record.")
    assert visit.session is not None
    visit.desk.sessions.unmask(visit.session.session_id, visit.user.who, record, purpose, subject.patient_id)
    return Moved(inside(form.text("back")))


PAGES = (
    Page("account", "/account", account, who()),
    Page("account_language", "/account/language", language, who(), method="POST", door="setup"),
    Page("account_password", "/account/password", password, who(), method="POST"),
    Page("account_sessions", "/account/sessions", sessions, who(), method="POST"),
    Page("account_recovery", "/account/recovery", recovery, who(), method="POST"),
    Page("unmask", "/unmask", unmask, who("supervisor"), method="POST"),
)
