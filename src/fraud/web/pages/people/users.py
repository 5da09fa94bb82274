"""Administration: people, their roles and bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fraud.errors import Fault, InputError
from fraud.store.people import PEOPLE_ROLES, Person
from fraud.web.pages.frame.shapes import Moved, Page, Shown, View, Visit, faults_by_field, who

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_ADMIN = who("admin", unbounded=True)


def users(runtime: Runtime, visit: Visit) -> View:
    """Everybody who may sign in."""
    return _list(visit)


def _list(visit: Visit, faults: Mapping[str, Sequence[Fault]] | None = None) -> View:
    values = {
        "people": visit.desk.people.all(),
        "roles": PEOPLE_ROLES,
        "opens": {role: _opened_by(role) for role in PEOPLE_ROLES},
        "faults": faults or {},
    }
    return View("users.html.j2", values, 422 if faults else 200)


def _opened_by(role: str) -> list[str]:
    """The pages of the menu that a role opens."""
    # All pages are known only once each module of them is.
    from fraud.web.pages.book import PAGES

    return [page.name for page in PAGES if page.menu and role in page.rule.roles]


def add(runtime: Runtime, visit: Visit) -> View:
    """Another person, and the password of the first sign-in, shown this once."""
    form = visit.form
    try:
        person, first = visit.desk.people.add(
            form.text("name"),
            form.text("role"),
            visit.user.who,
            display_name=form.text("display_name"),
            regions=form.words("regions"),
            providers=form.words("providers"),
            language=form.text("language", visit.words.locale),
        )
    except InputError as error:
        return _list(visit, faults_by_field(error))
    return View("user_password.html.j2", {"person": person, "first": first})


def user(runtime: Runtime, visit: Visit) -> View:
    """One person: role, bounds, sessions."""
    return _one(visit)


def _one(visit: Visit, faults: Mapping[str, Sequence[Fault]] | None = None) -> View:
    person = _person(visit)
    values = {
        "person": person,
        "roles": PEOPLE_ROLES,
        "sessions": visit.desk.sessions.of(person.user_id),
        "locked_until": visit.desk.people.locked_until(person),
        "faults": faults or {},
    }
    return View("user.html.j2", values, 422 if faults else 200)


def _person(visit: Visit) -> Person:
    return visit.desk.people.get(visit.path["user_id"])


def change(runtime: Runtime, visit: Visit) -> Shown:
    """The person with another role or other bounds; who is signed in has them from the next page on."""
    form, person = visit.form, _person(visit)
    try:
        visit.desk.people.change(
            person.user_id,
            visit.user.who,
            display_name=form.text("display_name"),
            role=form.text("role"),
            regions=form.words("regions"),
            providers=form.words("providers"),
        )
    except InputError as error:
        return _one(visit, faults_by_field(error))
    return Moved(f"/users/{person.user_id}", "user_changed")


def disable(runtime: Runtime, visit: Visit) -> Shown:
    """The person, signed out everywhere, who cannot sign in any more."""
    person = _person(visit)
    try:
        visit.desk.people.disable(person.user_id, visit.user.who, visit.form.text("reason"))
    except InputError as error:
        return _one(visit, faults_by_field(error))
    visit.desk.sessions.end(person.user_id, visit.user.who)
    return Moved(f"/users/{person.user_id}", "user_disabled")


def enable(runtime: Runtime, visit: Visit) -> Moved:
    """The person, who may sign in again."""
    visit.desk.people.enable(_person(visit).user_id, visit.user.who)
    return Moved(f"/users/{visit.path['user_id']}", "user_enabled")


def reset(runtime: Runtime, visit: Visit) -> Shown:
    """A password for a new first sign-in, shown this once; for who has none here, a second factor set up anew."""
    person = _person(visit)
    first = visit.desk.people.reset(person.user_id, visit.user.who)
    visit.desk.sessions.end(person.user_id, visit.user.who)
    if not first:
        return Moved(f"/users/{person.user_id}", "user_changed")
    return View("user_password.html.j2", {"person": person, "first": first})


def unlock(runtime: Runtime, visit: Visit) -> Moved:
    """The person, whose wrong guesses and suspension are lifted."""
    visit.desk.people.unlock(_person(visit).user_id, visit.user.who)
    return Moved(f"/users/{visit.path['user_id']}", "user_unlocked")


def end_sessions(runtime: Runtime, visit: Visit) -> Moved:
    """The person, signed out everywhere."""
    visit.desk.sessions.end(_person(visit).user_id, visit.user.who)
    return Moved(f"/users/{visit.path['user_id']}", "sessions_ended")


PAGES = (
    Page("users", "/users", users, _ADMIN, menu="admin", key="u"),
    Page("user_add", "/users", add, _ADMIN, method="POST"),
    Page("user", "/users/{user_id}", user, _ADMIN),
    Page("user_change", "/users/{user_id}/change", change, _ADMIN, method="POST"),
    Page("user_disable", "/users/{user_id}/disable", disable, _ADMIN, method="POST"),
    Page("user_enable", "/users/{user_id}/enable", enable, _ADMIN, method="POST"),
    Page("user_reset", "/users/{user_id}/reset", reset, _ADMIN, method="POST"),
    Page("user_unlock", "/users/{user_id}/unlock", unlock, _ADMIN, method="POST"),
    Page("user_sign_out", "/users/{user_id}/sign-out", end_sessions, _ADMIN, method="POST"),
)
