"""People of the town, and visitors without a browser."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import httpx
import pyotp
from argon2 import PasswordHasher

from fraud.store.people import PEOPLE_ROLES, People
from fraud.web.pages.frame.desk import Desk, desk_of
from fraud.web.pages.frame.doors import SESSION_COOKIE
from fraud.web.running.runtime import Runtime
from tests.access.parts import Clock

PASSWORD = "a long walk by the river"
# Proves nothing less and costs less time.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass
class Member:
    """Somebody with password and second factor; `code` counts on, since each code opens once."""

    name: str
    role: str
    secret: str
    user_id: str
    used: set[str] = field(default_factory=set)

    def code(self, at: float | None = None) -> str:
        """A code that was not used yet: this step's, or one beside it."""
        totp = pyotp.TOTP(self.secret)
        now = int(at if at is not None else time.time()) // 30
        for step in (now - 1, now, now + 1):
            made = str(totp.generate_otp(step))
            if made not in self.used:
                self.used.add(made)
                return made
        raise AssertionError("all codes of this minute are used")


@dataclass
class Town:
    """A served town: its address, what it works with, and a member for each role."""

    url: str
    runtime: Runtime
    members: dict[str, Member]

    @property
    def desk(self) -> Desk:
        """What the pages work with."""
        return desk_of(self.runtime)


@dataclass
class Hamlet(Town):
    """A small town whose time stands still."""

    clock: Clock


def member(people: People, name: str, role: str, **more: Any) -> Member:
    """Somebody who has been through the first sign-in."""
    person, first = people.add(name, role, "person:test", **more)
    people.change_password(person.user_id, first, PASSWORD)
    secret = people.enrolment(person.user_id)
    # The code of the step before: this one and the next are left for signing in.
    code = str(pyotp.TOTP(secret).generate_otp(int(people._clock().timestamp()) // 30 - 1))
    people.enrol(person.user_id, code)
    return Member(name, role, secret, person.user_id, {code})


def enrolled(people: People) -> dict[str, Member]:
    """A member of the town for each role, by role."""
    names = {role: f"{role}-1" for role in PEOPLE_ROLES}
    return {role: member(people, name, role) for role, name in names.items()}


class Visitor:
    """A browser without a script: it keeps cookies, follows redirects, and sends the forms that it was shown."""

    def __init__(self, url: str, **headers: str) -> None:
        # Nothing here speaks TLS, and reading its authorities takes longer than most pages.
        self.client = httpx.Client(base_url=url, follow_redirects=True, timeout=60, headers=headers, verify=False)
        self.page: httpx.Response | None = None

    def open(self, address: str) -> httpx.Response:
        """The page at an address below the workbench."""
        self.page = self.client.get(f"/workbench{address}")
        return self.page

    def send(self, address: str, **fields: str | list[str]) -> httpx.Response:
        """What comes of a form that is sent with the token of the page that is open."""
        assert self.page is not None
        token = re.search(r'name="token" value="([0-9a-f]*)"', self.page.text)
        data = {"token": token[1] if token else "", **fields}
        self.page = self.client.post(f"/workbench{address}", data=data)
        return self.page

    def sign_in(self, town: Town, role: str, **fields: str) -> httpx.Response:
        """The page after signing in through the door."""
        who = town.members[role]
        self.open("/sign-in")
        if "code" not in fields:
            fields["code"] = who.code(town.desk.guard.clock().timestamp())
        return self.send("/sign-in", **{"name": who.name, "password": PASSWORD, **fields})

    def enter(self, town: Town, role: str) -> Visitor:
        """The visitor with a session of the town's member of a role, without the way through the door."""
        person = town.desk.people.get(town.members[role].user_id)
        secret = town.desk.sessions.begin(person, "127.0.0.1", "a test")
        self.client.cookies.set(SESSION_COOKIE, secret, path="/workbench")
        return self

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def text_of(page: httpx.Response) -> str:
    """The words of a page."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page.text, flags=re.S)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))).strip()
