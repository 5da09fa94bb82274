"""Campaigns in the workbench: the whole way in a browser, roles and bounds, identities, what is said wrongly."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Browser

from fraud.review.campaigns import Announcement, Campaigns
from fraud.review.cases import Actor
from fraud.store.people import PEOPLE_ROLES
from tests.campaigns.parts import LETTER, TRAINING, step
from tests.pages.cases import inside, scored
from tests.pages.conftest import browser, empty, founded, hamlet, two_rules
from tests.pages.tabs import Tab
from tests.pages.visitors import Hamlet, member, text_of

__all__ = ["browser", "empty", "founded", "hamlet", "two_rules"]

PERSON = "somebody-4711"
HERE = re.compile(r"/workbench(/campaigns/CMP-[0-9A-F-]+)")
SAID = {
    "title": "Imaging", "legal_basis": "Decree 735", "period_from": "2024-01-01", "period_until": "2024-12-31",
}  # fmt: skip
OPENER = Actor("user:o", "opener", "supervisor")


@pytest.fixture
def work(hamlet: Hamlet) -> Campaigns:
    """Campaigns of the hamlet, in which four claims of two institutions were flagged."""
    hamlet.desk._settings = replace(hamlet.desk.settings, workbench={})
    scored(hamlet, 4, patient_id=PERSON)
    return Campaigns(hamlet.runtime.store, hamlet.runtime.now)


def opened(work: Campaigns, **more: Any) -> str:
    said: dict[str, Any] = {"period_from": date(2024, 1, 1), "period_until": date(2024, 12, 31)}
    return work.open(Announcement("Imaging", "Decree 735", **{**said, **more}), OPENER).campaign_id


@pytest.mark.requirement("003-19", "000-35")
def test_a_campaign_goes_its_whole_way_without_scripts_in_both_languages(
    browser: Browser, hamlet: Hamlet, work: Campaigns
) -> None:
    lead = Tab(browser, hamlet, "supervisor", "en", 1280, False)
    page = lead.open("/campaigns")
    assert "four phases" in page.locator("main").inner_text()
    page.get_by_role("link", name="Open a campaign").click()
    page.get_by_label("Name").fill("Imaging")
    page.get_by_label("Legal basis").fill("Decree 735, article 22")
    page.get_by_label("settled from").fill("2024-01-01")
    page.get_by_label("settled until").fill("2024-12-31")
    page.get_by_role("button", name="Open it").click()
    assert "what was found at each provider is kept" in page.get_by_role("status").inner_text()
    page.get_by_role("button", name="Note that all 2 were told").click()
    page.get_by_role("link", name="h-1").click()
    here = lead.path

    worker = Tab(browser, hamlet, "investigator", "zh", 820, False)
    page = worker.open(here)
    form = page.locator("form[action$='/declare']")
    form.get_by_label("自查发现的结算单数").fill("1")
    form.get_by_label("涉及金额").fill("10")
    letter = {"name": LETTER.name, "mimeType": LETTER.media_type, "buffer": LETTER.content}
    form.get_by_label("文件").set_input_files(letter)  # type: ignore[arg-type]
    form.locator("button").click()
    assert "申报已登记" in page.get_by_role("status").inner_text()
    assert "申报少于发现，值得核查" in page.locator("main").inner_text()
    form = page.locator("form[action$='/plan']")
    form.get_by_label("问题原因").fill("没有复核")
    form.get_by_label("整改内容").fill("每周抽查")
    form.get_by_label("责任人").fill("医保办")
    form.get_by_label("所修改的规则").fill("claim.many_lines")
    case = next(c for c in hamlet.runtime.casework.search().cases if c.provider_id == "h-1")
    form.get_by_label("相关案件").fill(case.case_id.lower())
    form.locator("button").click()
    form = page.locator("form[action$='/finish']")
    form.get_by_label("证明材料").set_input_files(letter)  # type: ignore[arg-type]
    form.locator("button").click()
    assert "待验收" in page.locator(".pills").inner_text()
    assert page.get_by_role("link", name=case.case_id).is_visible()
    assert page.locator("form[action$='/decide']").count() == 0

    page = lead.open(here)
    assert "How often rules fired" in page.locator("main").inner_text()
    page.locator("form[action$='/decide']").locator("button").click()
    assert "rectification is accepted" in page.get_by_role("status").inner_text()
    for tab in (lead, worker):
        assert tab.overflow() <= 0
        tab.close()
    (seen,) = work.all()
    row = work.dossier(seen.campaign.campaign_id, "h-1", OPENER).row
    assert (row.state, row.declared_count, row.decided_by) == ("accepted", 1, "supervisor-1")
    assert [e.what for e in row.effects] == ["claim.many_lines", "flagged"]


@pytest.mark.parametrize(("language", "width", "scheme"), [("en", 1280, "dark"), ("zh", 390, "light")])
def test_no_page_of_campaigns_keeps_anybody_out_sticks_out_or_complains(
    browser: Browser, hamlet: Hamlet, work: Campaigns, language: str, width: int, scheme: str
) -> None:
    tab = Tab(browser, hamlet, "supervisor", language, width, True)
    tab.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    tab.open("/campaigns")
    tab.check(barriers=width > 900)
    number = opened(work)
    step(work, number, "declare", OPENER, 1, 10.0, file=LETTER)
    step(work, number, "plan", OPENER, TRAINING)
    step(work, number, "declare", OPENER, 1, 10.0, of="h-2")
    step(work, number, "submit", OPENER, "a mistaken rule", of="h-2")
    work.decide(number, "h-2", Actor("user:x", "x", "supervisor"), "returned", "no list")
    step(work, number, "submit", OPENER, "the list is there", of="h-2")
    for address in ("", "/new", f"/{number}", f"/{number}/providers/h-1", f"/{number}/providers/h-2"):
        tab.open(f"/campaigns{address}")
        # What keeps people out does so in every language.
        tab.check(barriers=width > 900)
    tab.close()


def test_whoever_may_read_a_campaign_sees_no_patient_in_it_and_nobody_else_opens_it(
    hamlet: Hamlet, work: Campaigns
) -> None:
    number = opened(work)
    step(work, number, "declare", OPENER, 1, 10.0, file=LETTER)
    parts = ("", f"/{number}", f"/{number}/providers/h-1", *(f"/{number}/paper/{f}" for f in ("html", "json", "xlsx")))
    for role in PEOPLE_ROLES:
        with inside(hamlet, role) as visitor:
            shown = [visitor.open(f"/campaigns{part}") for part in parts]
            reads = role in ("investigator", "supervisor", "auditor")
            assert {page.status_code for page in shown} == ({200} if reads else {403})
            assert [page.url for page in shown if PERSON in page.text] == []


def test_an_auditor_reads_and_takes_no_step(hamlet: Hamlet, work: Campaigns) -> None:
    number = opened(work)
    step(work, number, "declare", OPENER, 1, 10.0, file=LETTER)
    with inside(hamlet, "auditor") as visitor:
        page = visitor.open(f"/campaigns/{number}/providers/h-1")
        assert 'action="/workbench/campaigns/' not in page.text
        for address in ("", f"/{number}/tell", f"/{number}/close", f"/{number}/providers/h-1/declare"):
            visitor.open("/account")
            assert visitor.send(f"/campaigns{address}", revision="1").status_code == 403
        file = visitor.open(f"/campaigns/{number}/providers/h-1/files/2")
        assert (file.content, file.headers["content-disposition"].split(";")[0]) == (LETTER.content, "attachment")
        assert "sandbox" in file.headers["content-security-policy"]
        for nothing in ("providers/h-1/files/9", "providers/h-1/files/x", "paper/doc", "providers/h-9"):
            assert visitor.open(f"/campaigns/{number}/{nothing}").status_code == 404
    auditor = hamlet.desk.people.get(hamlet.members["auditor"].user_id)
    told = {e.what for e in hamlet.desk.guard.ledger.entries(who=auditor.who)}
    assert {"campaign.read"} <= told


def test_whoever_has_bounds_sees_the_providers_within_them_alone(hamlet: Hamlet, work: Campaigns) -> None:
    both, other = opened(work), opened(work, providers=("h-1",))
    hamlet.members["bounded"] = member(hamlet.desk.people, "bounded", "supervisor", providers=("h-2",))
    with inside(hamlet, "bounded") as visitor:
        listed = visitor.open("/campaigns").text
        assert both in listed
        assert other not in listed
        assert "h-1" not in visitor.open(f"/campaigns/{both}").text
        for address in (
            f"/{other}",
            f"/{both}/providers/h-1",
            f"/{other}/paper/html",
            f"/{both}/providers/h-1/files/2",
        ):
            assert visitor.open(f"/campaigns{address}").status_code == 404
        assert "h-1" not in visitor.open(f"/campaigns/{both}/paper/html").text
        visitor.open(f"/campaigns/{both}/providers/h-2")
        refused = visitor.send(f"/campaigns/{both}/providers/h-1/tell", revision="1")
        assert refused.status_code == 404
    assert work.dossier(both, "h-1", OPENER).row.state == "announced"


def test_what_is_wrong_with_a_form_is_said_in_the_readers_language_and_kept_in_it(
    hamlet: Hamlet, work: Campaigns
) -> None:
    with inside(hamlet, "supervisor", "zh") as visitor:
        visitor.open("/campaigns/new")
        wrong = {**SAID, "title": " ", "period_from": "soon", "announced_days": "x", "providers": "h-1 h-77"}
        page = visitor.send("/campaigns", **wrong)
        assert page.status_code == 422
        for told in ("此项必填", "请填写日期", "请填写数字", 'value="2024-12-31"', "h-1 h-77"):
            assert told in page.text
        page = visitor.send("/campaigns", **{**wrong, "title": "甲", "period_from": "2024-01-01", "announced_days": ""})
        assert "系统中没有该编号" in page.text
        visitor.send("/campaigns", **SAID)
        assert visitor.page is not None
        here = HERE.search(visitor.page.text)
        assert here is not None
        for said, status, told in (
            ({"revision": "1", "declare_count": "two", "declare_amount": "-5"}, 422, "请填写数字"),
            ({"revision": "9", "declare_count": "2", "declare_amount": "5"}, 409, "已被他人修改"),
            ({"declare_count": "2", "declare_amount": "5"}, 400, ""),
            ({"revision": "1", "declare_count": "2", "declare_amount": "5"}, 200, "申报已登记"),
        ):
            visitor.open(f"{here[1]}/providers/h-1")
            page = visitor.send(f"{here[1]}/providers/h-1/declare", **said)
            assert (page.status_code, told in text_of(page)) == (status, True)
        page = visitor.send(f"{here[1]}/close", revision="1")
        assert (page.status_code, "此项必填" in page.text) == (422, True)
