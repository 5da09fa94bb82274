"""The frame, the door, administration, handbook and tips in a real browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.pages.tabs import Tab
from tests.pages.visitors import PASSWORD, Town

Open = Callable[..., Tab]


@pytest.mark.parametrize(("scripts", "role"), [(True, "supervisor"), (False, "auditor")])
def test_signing_in_and_out_with_and_without_scripts(tab: Open, town: Town, scripts: bool, role: str) -> None:
    own, who = tab(scripts=scripts), town.members[role]
    town.desk.people.speak(who.user_id, "en")
    page = own.open("/handbook")
    page.get_by_label("Name").fill(who.name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    assert "do not fit together" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code").fill(who.code())
    page.get_by_role("button", name="Sign in").click()
    assert own.path == "/handbook"
    page.get_by_role("button", name="Sign out").click()
    assert own.path == "/sign-in"
    assert "You are signed out" in page.get_by_role("status").inner_text()


def test_a_first_sign_in_shows_a_picture_for_the_phone_and_ends_with_codes_to_keep(tab: Open, town: Town) -> None:
    person, first = town.desk.people.add("first-timer", "investigator", "person:test", language="zh")
    own = tab(language="zh", width=390)
    page = own.open("/sign-in")
    page.get_by_label("登录名").fill("first-timer")
    page.get_by_label("密码").fill(first)
    page.get_by_role("button", name="登录").click()
    assert own.path == "/setup"
    own.check()
    page.get_by_label("当前密码").fill(first)
    page.get_by_label("新密码", exact=True).fill(PASSWORD)
    page.get_by_label("再次输入新密码").fill(PASSWORD)
    page.get_by_role("button", name="下一步").click()
    assert page.locator(".qr svg").bounding_box()["width"] > 150  # type: ignore[index]
    own.check()


def test_the_language_changes_on_the_page_that_is_open(tab: Open) -> None:
    own = tab("auditor")
    page = own.open("/handbook?q=drug")
    page.get_by_role("button", name="中文").click()
    assert page.get_by_role("heading", level=1).inner_text() == "规则手册"
    assert page.locator("input[name=q]").input_value() == "drug"


def test_keys_lead_through_pages_and_lists(tab: Open) -> None:
    own = tab("auditor")
    page = own.open("/handbook")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("g l ? j")
    assert own.path == "/handbook"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("dialog#keys").is_visible()
    own.check()
    page.keyboard.press("Escape")
    own.open("/handbook")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    chosen = page.evaluate("document.activeElement.getAttribute('href')")
    assert chosen == page.locator("[data-row] a").first.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{chosen}")
    page.keyboard.press("g")
    page.keyboard.press("l")
    page.wait_for_url("**/workbench/ledger")


def test_a_search_shows_what_it_finds_without_loading_the_page_anew(tab: Open) -> None:
    own = tab("auditor")
    page = own.open("/handbook")
    page.evaluate("window.same = true")
    before = page.locator("[data-row]").count()
    page.get_by_label("Search").fill("duplicate")
    page.wait_for_url("**q=duplicate**")
    assert 0 < page.locator("[data-row]").count() < before
    assert page.evaluate("window.same")
    assert own.errors == []


@pytest.mark.parametrize("scripts", [True, False])
def test_a_tip_is_taken_with_all_its_faults_shown_at_once(tab: Open, scripts: bool) -> None:
    own = tab("investigator", scripts=scripts)
    page = own.open("/tips/new")
    page.locator("form.card").evaluate("form => form.noValidate = true") if scripts else None
    page.get_by_label("Id of whom").fill("h-1")
    page.get_by_label("What was told").fill(" ")
    page.get_by_role("button", name="Take it").click()
    assert "empty or too long" in page.get_by_role("alert").inner_text()
    page.get_by_label("What was told").fill("Prescriptions are signed in blank.")
    page.get_by_role("button", name="Take it").click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("TIP-")


def test_in_the_dark_words_stay_readable(tab: Open) -> None:
    own = tab("auditor")
    own.page.emulate_media(color_scheme="dark")
    for address in ("/ledger", "/handbook/claim.amount_against_expected"):
        own.open(address)
        own.check()
