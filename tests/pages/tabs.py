"""Tabs of a real browser, and what must hold on every page that they show."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request

from fraud.web.pages.frame.doors import SESSION_COOKIE
from tests.pages.visitors import Town

QUIETLY = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
_LOCALES = {"en": "en-GB", "zh": "zh-CN"}
# What WCAG 2.2 asks for at AA.
_RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}


class Tab:
    """One tab with a session of its own; it remembers what went wrong and whom it asked."""

    def __init__(self, browser: Browser, town: Town, role: str, language: str, width: int, scripts: bool) -> None:
        self.town, self.errors, self.asked = town, list[str](), set[str]()
        size: Any = {"width": width, "height": 900}
        self.context = browser.new_context(viewport=size, locale=_LOCALES[language], java_script_enabled=scripts)
        if role:
            member = town.members[role]
            town.desk.people.speak(member.user_id, language)
            person = town.desk.people.get(member.user_id)
            secret = town.desk.sessions.begin(person, "127.0.0.1", "a test")
            cookie: Any = {"name": SESSION_COOKIE, "value": secret, "domain": "127.0.0.1", "path": "/workbench"}
            self.context.add_cookies([cookie])
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Request) -> None:
        self.asked.add(urlsplit(request.url).netloc)

    def open(self, address: str) -> Page:
        """The page at an address below the workbench."""
        self.page.goto(f"{self.town.url}/workbench{address}")
        return self.page

    @property
    def path(self) -> str:
        """Where the tab is, below the workbench."""
        return urlsplit(self.page.url).path.removeprefix("/workbench")

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(wide))

    def barriers(self) -> list[str]:
        """What keeps people out, by axe: each rule with the first place."""
        if self.page.evaluate("typeof axe === 'object'"):
            # The page is looked at again, in another width: axe is there already.
            found = self.page.evaluate("options => axe.run(document, options)", _RULES)["violations"]
        else:
            found = Axe().run(self.page, options=_RULES).response["violations"]
        return [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found]

    def check(self, barriers: bool = True) -> None:
        """Fail unless nothing went wrong, nobody else was asked, nobody is kept out and nothing sticks out."""
        kept_out = self.barriers() if barriers else []
        assert not kept_out, (self.path, kept_out)
        assert self.overflow() <= 0, (self.path, "the page is wider than its window")
        assert not self.errors, (self.path, self.errors)
        assert self.asked == {urlsplit(self.town.url).netloc}, (self.path, self.asked)

    def close(self) -> None:
        """Close the tab."""
        self.context.close()
