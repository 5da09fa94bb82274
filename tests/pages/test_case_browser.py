"""Queue, case, entities and overview in a real browser: keys, no scripts, phones, the dark, nobody kept out."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.pages.cases import confirmed, scored
from tests.pages.tabs import Tab
from tests.pages.visitors import Hamlet


def test_in_the_dark_no_page_of_cases_keeps_anybody_out_sticks_out_or_complains(
    browser: Browser, hamlet: Hamlet
) -> None:
    found = scored(hamlet, 3)
    confirmed(hamlet, found[2])
    patient = hamlet.desk.references.seal(str(found[0].patient_id))
    tab = Tab(browser, hamlet, "investigator", "en", 1280, True)
    tab.page.emulate_media(color_scheme="dark")
    tab.open(f"/cases/{found[0].case_id}").locator("form[action$='/take'] button").click()
    assert tab.page.get_by_role("status").is_visible()
    # The reason is a field that no width may hide.
    assert tab.page.locator("textarea[name=propose_reason]").is_visible()
    tab.check()
    for address in ("/queue?whose=me", "/queue", "/providers/h-2", f"/patients/{patient}", "/overview"):
        tab.open(address)
        tab.check()
    tab.close()


def test_keys_lead_through_the_queue_and_into_a_case(browser: Browser, hamlet: Hamlet) -> None:
    found = scored(hamlet, 3)
    tab = Tab(browser, hamlet, "investigator", "en", 1280, True)
    page = tab.open("/tips")
    page.keyboard.press("g")
    page.keyboard.press("q")
    page.wait_for_url("**/queue")
    for key in ("j", "j", "k", "j", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**/cases/*")
    assert tab.path == f"/cases/{found[1].case_id}"
    assert tab.errors == []
    tab.close()


def test_a_case_is_taken_proposed_and_signed_without_scripts_on_a_tablet(browser: Browser, hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    one = Tab(browser, hamlet, "investigator", "zh", 820, False)
    page = one.open("/queue")
    page.locator("td.about a").click()
    page.get_by_role("button", name="领取案件").click()
    work = page.locator("form[action$='/propose']")
    work.get_by_label("理由").fill("同一项目重复收费。")
    work.get_by_label("认定金额").fill("40")
    work.get_by_role("button", name="提出结论").click()
    assert "等待他人签字" in page.get_by_role("status").inner_text()
    other = Tab(browser, hamlet, "supervisor", "zh", 820, False)
    other.open(f"/cases/{case.case_id}").get_by_role("button", name="复核签字").click()
    assert "已签字" in other.page.get_by_role("status").inner_text()
    for tab in (one, other):
        assert tab.overflow() <= 0
        tab.close()
    after = hamlet.runtime.casework.get(case.case_id)
    assert (after.state, after.violation, after.confirmed_amount) == ("confirmed", "T07", 40.0)
