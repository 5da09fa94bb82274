"""Pages, visits to them, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from fraud.errors import Fault, InputError
from fraud.store.people import PEOPLE_ROLES, Person
from fraud.store.sessions import Session, Unmasking
from fraud.web.access.guard import Caller, Rule
from fraud.web.access.masking import IDENTIFYING
from fraud.web.bodies.messages import Incoming, Reply
from fraud.web.pages.frame.forms import Form

if TYPE_CHECKING:
    from fraud.web.pages.frame.desk import Desk
    from fraud.web.pages.frame.wording import Words
    from fraud.web.running.runtime import Runtime

__all__ = ["PREFIX", "Moved", "Page", "Shown", "View", "Visit", "faults_by_field", "inside", "who"]

PREFIX = "/workbench"
# Letters of a masked name that tell one person from another on a page.
_MASKED = 12


def who(
    *roles: str, record: str | None = None, parameter: str = "", event: str | None = None, unbounded: bool = False
) -> Rule:
    """Who may open a page: these roles, or everybody who signs in; see `Rule` for the rest.

    What tells the ledger itself has the event `""`; without one a page of a record is a reading of it.
    """
    told = event if event is not None else f"{record}.read" if record else None
    allowed = frozenset(roles or PEOPLE_ROLES)
    return Rule(allowed, record=record, parameter=parameter, event=told or None, unbounded=unbounded)


@dataclass(frozen=True)
class View:
    """A template with its values; `secret` is whose token its forms hold, where that is not the session's."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    cookie: str | None = None
    secret: str | None = None


@dataclass(frozen=True)
class Moved:
    """Another page to go on with, below `/workbench`; `said` is the key of a line in the section `said`."""

    to: str
    said: str = ""
    cookie: str | None = None


Shown = View | Moved | Reply


@dataclass(frozen=True)
class Visit:
    """A request for a page: who asks, in which language, with which form."""

    incoming: Incoming
    desk: Desk
    words: Words
    form: Form = field(default_factory=Form)
    person: Person | None = None
    session: Session | None = None
    unmasking: Unmasking | None = None
    address: str = ""
    secret: str = ""
    secure: bool = True
    page: Page | None = None

    @property
    def caller(self) -> Caller:
        """Who asks, as calls know it."""
        return self.incoming.caller

    @property
    def user(self) -> Person:
        """The person who is signed in."""
        assert self.person is not None
        return self.person

    @property
    def ready(self) -> bool:
        """Whether whoever is signed in has shown all that the door asks for, here or where they signed in."""
        factor = self.session.factor if self.session is not None else None
        return self.person is not None and (factor == "provider" or (factor is None and self.person.ready))

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters of the address."""
        return self.incoming.path

    @property
    def query(self) -> Mapping[str, str]:
        """What stands behind the question mark."""
        return self.incoming.query

    @property
    def here(self) -> str:
        """The address of the page, without the query."""
        return self.incoming.headers.get(":address", PREFIX)

    @property
    def back(self) -> str:
        """Where a form that stands on every page returns to: here, unless a form led here."""
        from fraud.web.pages.frame.rendering import with_query

        if self.page is None or self.page.method == "POST":
            return f"{PREFIX}/home"
        return with_query(self.here, self.query, said=None)

    def may(self, page: Page) -> bool:
        """Whether the visitor's role opens a page."""
        return page.rule.public or (self.person is not None and self.person.role in page.rule.roles)

    def shown(self, column: str, value: str | None) -> str:
        """An identifier as it is read: a person's as the beginning of its masked name, unless unmasked."""
        named = self.named(column, value)
        return named if value in (None, named) else f"#{named.partition(':')[2][:_MASKED]}"

    def named(self, column: str, value: str | None) -> str:
        """An identifier as files and the ledger have it: a person's as a name that leads nowhere, unless unmasked."""
        if value is None:
            return ""
        hidden = column in IDENTIFYING and not self.caller.sees_identities
        return self.desk.guard.masked(column, value) if hidden else value

    def sealed(self, value: str) -> str:
        """An identifier of a person as it may stand in an address; a page with `sealed` gets it back."""
        return self.desk.references.seal(value)


@dataclass(frozen=True)
class Page:
    """A page: its name, its address below `/workbench`, what shows it and who may open it.

    `door` says how far the visitor must be: `full` (signed in), `setup` (signed in for the first time), `none`.
    `sealed` are parameters that come as references; `menu` is the part of the menu, `key` the letter after `g`.
    """

    name: str
    path: str
    view: Callable[[Runtime, Visit], Shown]
    rule: Rule
    method: Literal["GET", "POST"] = "GET"
    menu: str = ""
    key: str = ""
    door: Literal["full", "setup", "none"] = "full"
    sealed: tuple[str, ...] = ()
    most_bytes: int = 64 << 10
    seconds: float | None = None

    @property
    def address(self) -> str:
        """Where it is; for a page without parameters."""
        return PREFIX + self.path


def inside(address: str) -> str:
    """The part below `/workbench` of an address that a form named; the first page for one that lies elsewhere."""
    path = address.removeprefix(PREFIX) if address.startswith(f"{PREFIX}/") else ""
    plain = path.isprintable() and "//" not in path and "\\" not in path and ".." not in path
    return path if path.startswith("/") and plain else "/home"


def faults_by_field(error: InputError) -> dict[str, Sequence[Fault]]:
    """The faults of an input by the field that they are about; what is about none stands under the empty name."""
    found: dict[str, list[Fault]] = {}
    for fault in error.faults or (Fault("", "refused", error.message),):
        found.setdefault(fault.where, []).append(fault)
    return dict(found)
