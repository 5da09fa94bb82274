"""The queue: what an hour of review brings back, where the week's hours end, filters, views, giving out work."""

from __future__ import annotations

import re

from fraud.review.cases import Actor, CaseRules, Chosen
from fraud.store.views import MOST_VIEWS, SavedViews
from fraud.web.pages.work.queue_week import week_of
from tests.pages.cases import inside, scored, unfounded
from tests.pages.visitors import Hamlet, text_of


def shown_cases(page: str) -> list[str]:
    """The cases of a page of the queue, in their order."""
    return re.findall(r'<td class="about w"><a href="/workbench/cases/([A-Z2-7]+)"', page)


def test_the_queue_is_the_first_page_of_whoever_works_on_cases_and_ranked_by_worth(hamlet: Hamlet) -> None:
    found = scored(hamlet, 3)
    with inside(hamlet, "investigator") as visitor:
        page = visitor.open("/home")
        assert page.url.path == "/workbench/queue"
        assert shown_cases(page.text) == [c.case_id for c in sorted(found, key=lambda c: -c.worth)]
        assert "p-1" not in page.text


def test_the_line_stands_before_the_first_case_for_which_no_hours_are_left(hamlet: Hamlet) -> None:
    found = scored(hamlet, 5)
    # Half an hour each: two of five fit.
    hamlet.runtime.case_rules = CaseRules(hours_per_week=1.0)
    with inside(hamlet, "investigator") as visitor:
        page = visitor.open("/queue").text
        before, _, after = page.partition('<tr class="line">')
        assert (len(shown_cases(before)), len(shown_cases(after))) == (2, 3)
        unfounded(hamlet, found[0])
        week = week_of(hamlet.runtime)
        assert (week.done, week.left, week.beyond(found[1]), week.beyond(found[2])) == (0.5, 0.5, False, True)
        # Where it is not the ranking that is shown there is no line.
        assert '<tr class="line">' not in visitor.open("/queue?sort=due&turn=up").text


def test_filters_find_what_they_name_and_say_what_cannot_be_read(hamlet: Hamlet) -> None:
    found = scored(hamlet, 4)
    hamlet.runtime.casework.take(found[0].case_id, Actor("x", "investigator-1", "investigator"))
    with inside(hamlet, "investigator") as visitor:

        def of(query: str) -> set[str]:
            return set(shown_cases(visitor.open(f"/queue?{query}").text))

        everything = {c.case_id for c in found}
        assert of("violation=T07") == everything
        assert of("violation=T02") == set()
        assert of("provider=h-1") == {c.case_id for c in found if c.provider_id == "h-1"}
        assert of("amount=100") == {c.case_id for c in found if (c.amount or 0) >= 100}
        assert of("whose=me") == {found[0].case_id} == of("state=assigned")
        assert of("whose=nobody") == everything - {found[0].case_id}
        assert of("priority=urgent") == set() == of("overdue=true")
        assert of("text=case-2") == {c.case_id for c in found if c.entity_id == "case-2"}
        refused = visitor.open("/queue?amount=much")
        assert refused.status_code == 422
        assert "not a number" in text_of(refused)


def test_a_saved_view_is_there_again_and_belongs_to_whoever_saved_it(hamlet: Hamlet) -> None:
    scored(hamlet, 1)
    with inside(hamlet, "investigator") as visitor, inside(hamlet, "supervisor") as other:
        visitor.open("/queue?whose=me&sort=due")
        page = visitor.send("/queue/views", name="My  work", query="whose=me&sort=due&evil=1")
        assert str(page.url).endswith("/queue?whose=me&sort=due")
        assert "My work" in visitor.open("/queue").text
        assert "My work" not in other.open("/queue").text
        assert visitor.send("/queue/views", name=" ", query="").status_code == 422
        visitor.send("/queue/views/remove", name="My work")
        assert "My work" not in visitor.open("/queue").text
        views, user = SavedViews(hamlet.runtime.store.database), hamlet.members["investigator"].user_id
        for n in range(MOST_VIEWS):
            views.save(user, f"v{n}", "")
        visitor.open("/queue")
        assert visitor.send("/queue/views", name="one more", query="").status_code == 422


def test_what_is_ticked_is_given_out_and_what_cannot_be_is_counted(hamlet: Hamlet) -> None:
    found = scored(hamlet, 3)
    ids = [c.case_id for c in found]
    unfounded(hamlet, found[2])
    with inside(hamlet, "supervisor") as visitor:
        visitor.open("/queue")
        page = visitor.send("/queue", case_id=ids, assignee="investigator-1", query="priority=important")
        assert "2 assigned. 1 could not be" in text_of(page)
        assert page.url.params["priority"] == "important"
        assert {c.assignee for c in hamlet.runtime.casework.search(Chosen(states=("assigned",))).cases} == {
            "investigator-1"
        }
        assert visitor.send("/queue", assignee="investigator-1").status_code == 422
        assert visitor.send("/queue", case_id=ids, assignee="a stranger").status_code == 422


def test_whoever_only_reads_finds_nothing_to_tick_and_is_refused(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet, 1)
    with inside(hamlet, "auditor") as visitor:
        page = visitor.open("/queue")
        assert 'type="checkbox"' not in page.text
        assert visitor.send("/queue", case_id=case.case_id, assignee="investigator-1").status_code == 403
        assert hamlet.runtime.casework.get(case.case_id).state == "open"


def test_nobody_gives_out_what_lies_outside_of_their_bounds(hamlet: Hamlet) -> None:
    found = scored(hamlet, 2)
    user = hamlet.members["investigator"].user_id
    bounds = {"regions": [], "providers": ["h-1"]}
    hamlet.desk.people.change(user, "person:test", display_name="investigator-1", role="investigator", **bounds)
    with inside(hamlet, "investigator") as visitor:
        page = visitor.open("/queue")
        own = [c.case_id for c in found if c.provider_id == "h-1"]
        assert shown_cases(page.text) == own
        visitor.send("/queue", case_id=[c.case_id for c in found], assignee="investigator-1")
        given = hamlet.runtime.casework.search(Chosen(states=("assigned",))).cases
        assert [c.case_id for c in given] == own


def test_the_chinese_queue_names_types_and_clocks_in_chinese(hamlet: Hamlet) -> None:
    scored(hamlet, 1)
    with inside(hamlet, "investigator", "zh") as visitor:
        said = text_of(visitor.open("/queue"))
        assert all(word in said for word in ("案件队列", "重复收费", "剩余", "未分配", "明细数"))
