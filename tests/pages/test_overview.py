"""The overview: projected apart from actual, precision, decisions that stood, hot spots, and what to do at first."""

from __future__ import annotations

import pytest

from fraud.review.cases import Actor, Within
from fraud.signals.backtest import wilson
from fraud.web.pages.work.overview_figures import overview_of
from tests.pages.cases import confirmed, inside, scored, unfounded
from tests.pages.visitors import Hamlet, text_of

JUDGE = Actor("user:judge", "judge", "supervisor")


def test_an_empty_overview_says_what_to_do(hamlet: Hamlet) -> None:
    with inside(hamlet, "admin") as visitor:
        page = visitor.open("/overview")
    said = text_of(page)
    assert page.status_code == 200
    assert "Nothing was decided yet" in said
    assert "There is no case yet. Score claims" in said
    assert "none in force: rules alone judge" in said


@pytest.mark.requirement("002-29", "002-61")
def test_money_precision_and_decisions_that_stood_are_those_of_the_cases(hamlet: Hamlet) -> None:
    found = scored(hamlet, 6)
    for case, amount in zip(found, (10.0, 20.0, 40.0), strict=False):
        confirmed(hamlet, case, amount)
    unfounded(hamlet, found[3])
    work = hamlet.runtime.casework
    work.appeal(found[1].case_id, JUDGE, "Two wards.")
    work.decide_appeal(found[1].case_id, JUDGE, True, "Two wards indeed.")
    work.close(found[2].case_id, JUDGE, "nobody wants to appeal", waived=True)
    told = overview_of(hamlet.runtime.store, Within(), hamlet.runtime.now())
    assert (told.confirmed, told.final, told.cases) == (50.0, 40.0, 2)
    assert told.flagged == sum(c.amount or 0 for c in found[4:])
    assert (told.confirmed_cases, told.stood, told.accuracy) == (3, 2, wilson(2, 3))
    assert told.chosen is not None
    assert (told.chosen.decided, told.chosen.confirmed, told.drawn) == (4, 3, None)
    assert [(p.key, p.decided, p.confirmed) for p in told.by_type] == [("T07", 4, 3)]
    assert [(p.key, p.decided) for p in told.by_month] == [(f"{hamlet.runtime.now():%Y-%m}", 4)]
    assert {s.name: s.cases for s in told.providers} == {"h-1": 3, "h-2": 3}
    assert (told.appeals, told.appealed) == (1, 0)
    with inside(hamlet, "supervisor", "zh") as visitor:
        page = visitor.open("/overview")
    assert all(word in text_of(page) for word in ("实际", "预计", "Wilson", "重复收费"))


def test_whoever_has_bounds_sees_sums_of_what_lies_within(hamlet: Hamlet) -> None:
    found = scored(hamlet, 4)
    told = overview_of(hamlet.runtime.store, Within(providers=("h-1",)), hamlet.runtime.now())
    own = [c for c in found if c.provider_id == "h-1"]
    assert (told.cases, told.flagged) == (len(own), sum(c.amount or 0 for c in own))
    assert {s.name for s in told.providers} == {"h-1"}
