"""Every kind of page in a real browser, in both languages, on a screen and on a phone: crawled, not listed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import Error as BrowserError

from fraud.review.cases import Actor
from fraud.web.pages.book import PAGES
from fraud.web.pages.frame.shapes import Page
from tests.pages.cases import confirmed, scored
from tests.pages.tabs import Tab
from tests.pages.visitors import Hamlet

WIDTHS = (1280, 390)
# Nobody yet, and two who between them open every page; who comes later opens what nobody opened before.
ROLES = ("", "supervisor", "admin")
# Where the crawl begins, beside the first page: a problem has a page too.
STARTS = ("/home", "/account", "/nowhere")
_LINK = re.compile(r'href="/workbench(/[^"#]*)"')
# What slips out of a program: names whose words are joined by a line underneath, and how it writes its values.
_FIELD = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b|\bNone\b(?! [a-z])|\bTrue\b|\{'")
# English where Chinese is spoken: two words in a row that are no command.
_ENGLISH = re.compile(r"\b(?!fraud )[a-z]{3,} [a-z]{3,}\b")
# What readers see of a page, without what is set as code.
_TEXT = """() => {
  const shown = document.querySelector("main").cloneNode(true);
  shown.querySelectorAll("code, pre, option, input, textarea, svg, dialog, [hidden]").forEach((e) => e.remove());
  return shown.innerText;
}"""


def kind_of(address: str) -> Page | None:
    """The page that an address leads to."""
    path = urlsplit(unescape(address)).path
    found = [p for p in PAGES if p.method == "GET" and re.fullmatch(re.sub(r"{\w+}", "[^/]+", p.path), path)]
    # `/tips/new` is more than some receipt.
    return min(found, key=lambda p: p.path.count("{"), default=None)


class Saved(Exception):
    """The address is that of a file, which a browser saves and does not show."""


def opened(tab: Tab, address: str) -> None:
    try:
        tab.open(address)
    except BrowserError as error:
        if "Download is starting" not in error.message:
            raise
        raise Saved from None


def crawled(tab: Tab, seen: set[str]) -> Iterator[str]:
    """Opens one page of each kind that was not seen before, following links from one to the next; its name."""
    waiting = deque(STARTS)
    while waiting:
        address = waiting.popleft()
        kind = kind_of(address)
        name = kind.name if kind is not None else address
        # Each role has a menu of its own on the first page.
        if (name in seen and address != STARTS[0]) or address.startswith("/static/"):
            continue
        first = name not in seen
        seen.add(name)
        try:
            opened(tab, unescape(address))
        except Saved:
            continue
        if first:
            yield name
        waiting.extend(_LINK.findall(tab.page.content()))


# The one in which a word may be forgotten comes with every run, the other with the long proofs.
@pytest.mark.parametrize("language", ["zh", pytest.param("en", marks=pytest.mark.full)])
def test_every_kind_of_page_keeps_nobody_out_and_speaks_one_language(
    browser: Browser, hamlet: Hamlet, language: str
) -> None:
    hamlet.desk._settings = replace(hamlet.desk.settings, workbench={})
    found = scored(hamlet, 3)
    confirmed(hamlet, found[2])
    # Whoever works on a case has its forms before them.
    hamlet.runtime.casework.take(found[0].case_id, Actor("user:supervisor-1", "supervisor-1", "supervisor"))
    hamlet.desk.tips.receive("user:x", entity="patient", entity_id="p-1", text="told", channel="phone")
    # The hamlet's own rules have no titles but their names, and speak English.
    own = {s.name for s in hamlet.runtime.catalogue.signals.values()} | set(hamlet.runtime.catalogue.limits)
    rules = "".join(p.read_text("utf-8").lower() for p in hamlet.runtime.catalogue.path.rglob("*.py"))
    seen: set[str] = set()
    faults: list[tuple[object, ...]] = []
    for role in ROLES:
        tab = Tab(browser, hamlet, role, language, WIDTHS[0], True)
        for name in crawled(tab, seen):
            assert tab.page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]
            text = str(tab.page.evaluate(_TEXT))
            faults += [(name, "out of the program", n) for n in _FIELD.findall(text) if n not in own]
            if language == "zh":
                faults += [(name, "English", n) for n in _ENGLISH.findall(text) if n not in rules]
            # Nothing was done yet, so that there is nothing to tell.
            faults += [(name, "told")] * tab.page.locator("p.said[role=status]").count()
            for width in WIDTHS:
                tab.page.set_viewport_size({"width": width, "height": 900})
                faults += [(name, width, barrier) for barrier in tab.barriers()]
                faults += [(name, width, "wider than the window")] * (tab.overflow() > 0)
        faults += [(role, error) for error in tab.errors if "404" not in error]
        assert tab.asked == {urlsplit(hamlet.url).netloc}
        tab.close()
    assert faults == [], "\n".join(map(str, faults))
    # Whatever stands in the menu was there.
    assert {p.name for p in PAGES if p.menu} <= seen
    assert {"case", "provider", "patient", "signal", "tip", "user", "/nowhere"} <= seen
