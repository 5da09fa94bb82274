"""Every page that a role can reach, looked through: nothing breaks, and nobody's identity stands anywhere."""

from __future__ import annotations

import re
from collections import deque
from contextlib import closing
from dataclasses import replace
from html import unescape
from urllib.parse import urlsplit

import pytest

from fraud.store.people import PEOPLE_ROLES
from tests.pages.cases import scored
from tests.pages.visitors import Hamlet, Visitor

# Far more than there are, so that links without end are noticed.
MOST = 150
PERSON = "somebody-4711"
_LINK = re.compile(r'(?:href|action|hx-get)="/workbench(/[^"]*)"')
_FORM = re.compile(r'<form[^>]*method="post".*?</form>', re.S)


def without_order(address: str) -> str:
    """The address of a page, however its list is sorted and turned."""
    parts = urlsplit(unescape(address))
    kept = [q for q in parts.query.split("&") if q and not q.startswith(("sort=", "turn=", "said=", "page="))]
    return parts.path + (f"?{'&'.join(kept)}" if kept else "")


def crawl(visitor: Visitor) -> dict[str, str]:
    """The pages that can be reached from the first one, by address; fails at one that does not open."""
    waiting, seen = deque([("/home", "")]), dict[str, str]()
    while waiting and len(seen) < MOST:
        address, linked_from = waiting.popleft()
        if address in seen or address.startswith("/static/"):
            continue
        shown = visitor.open(address)
        assert shown.status_code == 200, f"{address}, linked from {linked_from}"
        if not shown.headers["content-type"].startswith("text/html"):
            seen[address] = ""
            continue
        seen[address] = shown.text
        # Forms that change something are not sent.
        waiting.extend((without_order(link), address) for link in _LINK.findall(_FORM.sub("", shown.text)))
    assert len(seen) < MOST
    return seen


@pytest.mark.parametrize("role", PEOPLE_ROLES)
def test_no_role_finds_an_identity_on_any_page_or_in_any_address(hamlet: Hamlet, role: str) -> None:
    hamlet.desk._settings = replace(hamlet.desk.settings, workbench={})
    scored(hamlet, 2, patient_id=PERSON)
    hamlet.desk.tips.receive("user:x", entity="patient", entity_id=PERSON, text="told", channel="phone")
    with closing(Visitor(hamlet.url).enter(hamlet, role)) as visitor:
        seen = crawl(visitor)
    assert len(seen) > 3
    assert [address for address, page in seen.items() if PERSON in address or PERSON in page] == []
