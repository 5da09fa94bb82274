"""Administration: keys of systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fraud.errors import Fault, InputError
from fraud.store.keys import DAYS, ROLES
from fraud.web.pages.frame.shapes import Moved, Page, View, Visit, faults_by_field, who

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_ADMIN = who("admin", unbounded=True)


def keys(runtime: Runtime, visit: Visit) -> View:
    """Every key that was ever made."""
    return _list(visit)


def _list(visit: Visit, faults: Mapping[str, Sequence[Fault]] | None = None) -> View:
    now = visit.desk.guard.clock()
    found = [(key, key.state(now)) for key in reversed(visit.desk.keys.all())]
    # What opens stands first.
    found.sort(key=lambda pair: pair[1] != "valid")
    return View("keys.html.j2", {"keys": found, "roles": ROLES, "days": DAYS, "faults": faults or {}},
                422 if faults else 200)  # fmt: skip


def add(runtime: Runtime, visit: Visit) -> View:
    """Another key, shown this once."""
    form = visit.form
    try:
        days = float(form.text("days") or DAYS)
    except ValueError:
        return _list(visit, {"days": [Fault("days", "not_a_number", "days are a number")]})
    name, role, regions = form.text("name"), form.text("role"), form.words("regions")
    try:
        key, secret = visit.desk.keys.add(
            name, role, visit.user.who, days=days, regions=regions, providers=form.words("providers")
        )
    except InputError as error:
        return _list(visit, faults_by_field(error))
    return View("key_secret.html.j2", {"key": key, "secret": secret})


def revoke(runtime: Runtime, visit: Visit) -> Moved:
    """The key, which opens nothing any more."""
    visit.desk.keys.revoke(visit.path["key_id"], visit.user.who, visit.form.text("reason"))
    return Moved("/keys", "key_revoked")


def resume(runtime: Runtime, visit: Visit) -> Moved:
    """The key, which opens again after somebody has looked into what was unusual."""
    visit.desk.keys.resume(visit.path["key_id"], visit.user.who, visit.form.text("reason"))
    return Moved("/keys", "key_resumed")


PAGES = (
    Page("keys", "/keys", keys, _ADMIN, menu="admin", key="k"),
    Page("key_add", "/keys", add, _ADMIN, method="POST"),
    Page("key_resume", "/keys/{key_id}/resume", resume, _ADMIN, method="POST"),
    Page("key_revoke", "/keys/{key_id}/revoke", revoke, _ADMIN, method="POST"),
)
