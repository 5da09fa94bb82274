"""Periodic papers as files, on the page and over HTTP: the same content, told to the ledger, within bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest

from fraud.web.calls import papers
from fraud.web.calls.papers import KINDS, AskedPaper, last_month, last_quarter
from fraud.web.pages.office.papers import _periods
from tests.pages.cases import confirmed, inside, scored
from tests.pages.visitors import Hamlet, text_of
from tests.web.client import check_problem


def asked(hamlet: Hamlet, role: str, paper: str, accept: str = "application/json", **query: Any) -> httpx.Response:
    """What a key of a role gets."""
    within, count = query.pop("within", ()), len(hamlet.desk.keys.all())
    _, secret = hamlet.desk.keys.add(f"key {count}", role, "person:test", providers=within)
    headers = {"Authorization": f"Bearer {secret}", "Accept": accept}
    return httpx.get(f"{hamlet.url}/v1/papers/{paper}", params=query, headers=headers, timeout=60)


def this_month(hamlet: Hamlet) -> str:
    return f"{hamlet.runtime.now():%Y-%m}"


@pytest.mark.requirement("001-49")
def test_every_paper_comes_over_http_in_the_format_that_is_liked_best(hamlet: Hamlet) -> None:
    confirmed(hamlet, scored(hamlet, 2)[0], 40.0)
    month = this_month(hamlet)
    monthly = asked(hamlet, "auditor", "monthly", period=month)
    assert monthly.headers["content-disposition"] == f'inline; filename="monthly-{month}.json"'
    tiles = {t["label"]: t["figure"] for t in monthly.json()["content"]["tiles"]}
    assert tiles["claims judged"] == "2"
    now = hamlet.runtime.now()
    quarter = f"{now.year}-q{(now.month + 2) // 3}"
    found = asked(hamlet, "supervisor", "quarterly", "text/html;q=0.9, */*;q=0.1", period=quarter, locale="zh-CN")
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert all(part in found.text for part in ("政策执行", "操作规范", "数据安全", "欺诈防控"))
    assert asked(hamlet, "investigator", "ranking", period=month, least=1).json()["content"]["name"].endswith(month)
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    card = asked(hamlet, "investigator", "scorecard", sheet, period=month, provider="h-1")
    assert card.headers["content-disposition"] == f'inline; filename="scorecard-h-1-{month}.xlsx"'
    assert card.content.startswith(b"PK")
    told = [e for e in hamlet.desk.guard.ledger.entries(most=50) if e.what == "paper.read"]
    assert sorted(orjson.loads(e.details)["paper"] for e in told) == sorted(KINDS)
    assert [e.record is not None for e in told if "scorecard" in e.details] == [True]


def test_papers_refuse_what_they_are_not_asked_by_and_whoever_may_not_have_them(hamlet: Hamlet) -> None:
    wrong: tuple[tuple[str, dict[str, str], int, str], ...] = (
        ("monthly", {"period": "2026-13"}, 400, "bad-query"),
        ("monthly", {"month": "2026-03"}, 400, "bad-query"),
        ("ranking", {"least": "0"}, 400, "bad-query"),
        ("scorecard", {}, 400, "bad-query"),
        ("scorecard", {"provider": "nobody"}, 404, "not-found"),
        ("monthly", {"accept": "image/png"}, 406, "not-acceptable"),
    )
    for paper, query, status, name in wrong:
        check_problem(asked(hamlet, "auditor", paper, **query), status, name)
    for role in ("claims-system", "data-scientist", "admin"):
        check_problem(asked(hamlet, role, "monthly"), 403, "not-allowed")


def test_a_key_with_bounds_gets_scorecards_of_what_lies_within(hamlet: Hamlet) -> None:
    scored(hamlet, 2)
    within, month = ("h-1",), this_month(hamlet)
    check_problem(asked(hamlet, "auditor", "monthly", within=within, period=month), 403, "not-allowed")
    assert asked(hamlet, "auditor", "scorecard", within=within, period=month, provider="h-1").status_code == 200
    there = asked(hamlet, "auditor", "scorecard", within=within, period=month, provider="h-2")
    nowhere = asked(hamlet, "auditor", "scorecard", within=within, period=month, provider="nobody")
    for answer in (there, nowhere):
        check_problem(answer, 404, "not-found")
    assert there.json()["detail"] == nowhere.json()["detail"]


def test_papers_are_drawn_up_one_at_a_time(hamlet: Hamlet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "_WAIT_SECONDS", 0.01)
    with papers._ONE_AT_A_TIME:
        answer = asked(hamlet, "auditor", "monthly")
    check_problem(answer, 503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert asked(hamlet, "auditor", "monthly").status_code == 200


def test_papers_are_chosen_on_a_page_and_come_as_files(hamlet: Hamlet) -> None:
    scored(hamlet, 2)
    month = this_month(hamlet)
    with inside(hamlet, "investigator", "zh") as visitor:
        said = text_of(visitor.open("/papers"))
        assert all(name in said for name in ("月度自查自纠报告", "季度监督检查报告", "医师排名", "机构评分卡"))
        file = visitor.open(f"/papers/monthly?period={month}&form=json")
        assert file.headers["content-disposition"] == f'attachment; filename="monthly-{month}.json"'
        assert file.json()["content"]["name"].endswith(month)
        assert visitor.open(f"/papers/scorecard?period={month}&provider=h-2&form=html").status_code == 200
        missing = visitor.open(f"/papers/scorecard?period={month}&provider=nobody")
        assert (missing.status_code, 'id="e-provider"' in missing.text) == (422, True)
        assert 'value="nobody"' in missing.text
        few = visitor.open(f"/papers/ranking?period={month}&least=many")
        assert (few.status_code, 'id="e-least"' in few.text) == (422, True)
        assert visitor.open("/papers/scorecard").url.path == "/workbench/papers"
        assert visitor.open("/papers/yearly").status_code == 404
        assert visitor.open("/papers/monthly?period=soon").status_code == 404
    with inside(hamlet, "data-scientist") as visitor:
        assert visitor.open("/papers").status_code == 403


def test_whoever_has_bounds_is_offered_scorecards_alone(hamlet: Hamlet) -> None:
    scored(hamlet, 2)
    own = hamlet.members["supervisor"].user_id
    told: Any = {"display_name": "", "role": "supervisor", "regions": ()}
    hamlet.desk.people.change(own, "person:test", providers=("h-1",), **told)
    with inside(hamlet, "supervisor") as visitor:
        page = visitor.open("/papers")
        assert text_of(page).count("somebody without bounds can get it") == 3
        assert visitor.open("/papers/monthly").status_code == 403
        assert visitor.open(f"/papers/scorecard?period={this_month(hamlet)}&provider=h-1").status_code == 200
        assert visitor.open(f"/papers/scorecard?period={this_month(hamlet)}&provider=h-2").status_code == 422


def test_periods_are_offered_from_the_one_under_way_backwards(hamlet: Hamlet) -> None:
    now = hamlet.runtime.now().replace(year=2026, month=1, day=5)
    assert (last_month(now), last_quarter(now)) == ("2025-12", "2025-Q4")
    assert (last_month(now.replace(month=4)), last_quarter(now.replace(month=4))) == ("2026-03", "2026-Q1")
    assert _periods("monthly", now)[:3] == ("2026-01", "2025-12", "2025-11")
    assert _periods("quarterly", now)[:2] == ("2026-Q1", "2025-Q4")
    strange = AskedPaper("scorecard", "2026-03", "en", 'a"b/../c\r\nd')
    assert strange.name == "scorecard-a_b_.._c_d-2026-03"
    assert replace(strange, kind="ranking").name == "ranking-2026-03"
