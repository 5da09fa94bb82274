"""Signing in with a provider that somebody else wrote, in a real browser and from another site."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser

from tests.pages.tabs import Tab
from tests.pages.visitors import Hamlet

# In a process of its own: it uses what its own packages call outdated.
_HOUSE = """
import json, sys, time
from oidc_provider_mock import User, run_server_in_thread
users = [User(sub=sub, claims=claims) for sub, claims in json.loads(sys.argv[1]).items()]
with run_server_in_thread(user_claims=users) as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
"""
_USERS = {
    "s-1": {
        "groups": ["reviewers"],
        "amr": ["pwd", "mfa"],
        "preferred_username": "reviewer-9",
        "name": "Reviewer Nine",
    },
    "s-2": {"groups": ["strangers"], "amr": ["mfa"]},
}


@pytest.fixture
def issuer() -> Iterator[str]:
    line = [sys.executable, "-W", "ignore", "-c", _HOUSE, json.dumps(_USERS)]
    with subprocess.Popen(line, stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdin
        assert running.stdout
        # Another name than that of the service: another site, to a browser.
        yield f"http://localhost:{int(running.stdout.readline())}"
        running.stdin.close()


@pytest.mark.requirement("001-64")
def test_from_the_button_to_the_provider_into_the_workbench_and_out(
    hamlet: Hamlet, browser: Browser, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_OIDC_SECRET", "any")
    hamlet.clock.now = datetime.now(UTC)
    own = {"issuer": issuer, "client_id": "fraud", "address": hamlet.url, "name": "Payer ID"}
    assert hamlet.desk._settings is not None
    hamlet.desk._settings = replace(hamlet.desk._settings, oidc={**own, "roles": {"investigator": ["reviewers"]}})
    with closing(Tab(browser, hamlet, "", "en", 1280, True)) as tab:
        # The provider's pages ask for letters and styles that nobody needs here.
        tab.context.route(re.compile(r"^https:"), lambda route: route.abort())
        page = tab.open("/tips/new")
        assert tab.barriers() == []
        page.get_by_role("link", name="Sign in with Payer ID").click()
        page.get_by_role("button", name="s-1").click()
        page.wait_for_url(f"{hamlet.url}/workbench/tips/new")
        assert "Reviewer Nine" in page.locator("header").inner_text()
        tab.open("/account")
        assert issuer in page.locator("main").inner_text()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{issuer}/oauth2/end_session?**")
        assert tab.open("/account").get_by_role("heading", level=1).inner_text() == "Sign in"
        # Nobody whom the provider knows is let in for that alone.
        page.get_by_role("link", name="Sign in with Payer ID").click()
        page.get_by_role("button", name="s-2").click()
        assert "none of your groups has a role here" in page.get_by_role("alert").inner_text()
