"""Providers, physicians and patients: months, cases, money, the place of a month, the grade."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from fraud.errors import SpecError
from fraud.signals.backtest import wilson
from fraud.store.ledger import Record
from fraud.web.bodies.faults import checked
from fraud.web.bodies.shapes import ScoreBody, bundle_of
from fraud.web.pages.work.entities_figures import (
    GradeRules,
    grade_of,
    grade_rules,
    money_of,
    schemes_of,
    standing_of,
    trend_of,
    upheld_appeals,
)
from tests.pages.cases import confirmed, inside, scored, unfounded
from tests.pages.visitors import Hamlet, text_of
from tests.web.client import body

NOW = datetime(2026, 11, 1)


def billed(hamlet: Hamlet, count: int, month: int = 3, **row: str) -> None:
    """Claims of h-1 and d-1 that nothing is said against, in a month of 2024."""
    for n in range(count):
        at = datetime(2024, month, 2) + timedelta(hours=n)
        given = {"provider_id": "h-1", "settled_at": at.isoformat(), "admitted_at": at.isoformat(), **row}
        read = checked(ScoreBody, body(f"plain-{month}-{n}", discharged_at=at.isoformat(), **given))
        hamlet.runtime.store.add_claim(bundle_of(read))


def test_a_page_of_each_kind_shows_cases_months_and_what_the_law_allows(hamlet: Hamlet) -> None:
    first, *_ = scored(hamlet, 2)
    confirmed(hamlet, first, 40.0)
    patient = hamlet.desk.references.seal(first.patient_id or "")
    with inside(hamlet, "investigator") as visitor:
        pages = {
            a: visitor.open(a) for a in (f"/providers/{first.provider_id}", "/physicians/d-1", f"/patients/{patient}")
        }
        assert visitor.open("/providers/nobody").status_code == 404
        assert visitor.open("/patients/p-1").status_code == 404
    assert {p.status_code for p in pages.values()} == {200}
    for address, page in pages.items():
        assert f"/cases/{first.case_id}" in page.text, address
        assert str(first.patient_id) not in page.text, address
    said = [text_of(p) for p in pages.values()]
    assert "Grade, as a proposal" in said[0]
    assert "Art. 38" not in said[0], "the hamlet has no such source on file"
    # What patients need is care: nobody ranks or grades them.
    assert "Grade, as a proposal" not in said[2]
    told = hamlet.desk.guard.ledger.entries(Record("patient", str(first.patient_id)), most=50)
    assert "patient.read" in {e.what for e in told}


def test_the_chinese_page_of_a_provider_speaks_chinese(hamlet: Hamlet) -> None:
    scored(hamlet, 1)
    with inside(hamlet, "supervisor", "zh") as visitor:
        said = text_of(visitor.open("/providers/h-2"))
    assert all(word in said for word in ("合理性分级（建议）", "处理阶梯（建议）", "没有生效的相应模型", "重复收费"))


def test_months_without_claims_are_among_the_months(hamlet: Hamlet) -> None:
    billed(hamlet, 3, month=3)
    billed(hamlet, 2, month=1)
    months = trend_of(hamlet.runtime.store, "provider", "h-1", NOW)
    assert [(m.day, m.claims) for m in months[-3:]][0] == (date(2024, 1, 1), 2)
    assert [m.claims for m in months[-3:-1]] == [2, 0]
    assert months[-1].claims >= 3
    assert len(months) == 13
    assert trend_of(hamlet.runtime.store, "provider", "nobody", NOW) == ()


def test_money_of_an_upheld_appeal_is_confirmed_no_more(hamlet: Hamlet) -> None:
    first, second, third = scored(hamlet, 3)
    confirmed(hamlet, first, 50.0)
    confirmed(hamlet, second, 30.0)
    unfounded(hamlet, third)
    work = hamlet.runtime.casework
    from fraud.review.cases import Actor, Chosen

    judge = Actor("user:judge", "judge", "supervisor")
    work.appeal(second.case_id, judge, "Two wards.")
    work.decide_appeal(second.case_id, judge, True, "Two wards indeed.")
    work.close(first.case_id, judge, "nobody wants to appeal", waived=True)
    found, upheld = work.search(Chosen(), most=10).cases, upheld_appeals(hamlet.runtime.store)
    money = money_of(found, upheld)
    assert (money.flagged, money.confirmed, money.final) == (0.0, 50.0, 50.0)
    (scheme,) = schemes_of(found, upheld, hamlet.runtime.now())
    assert (scheme.violation, scheme.cases, scheme.confirmed) == ("T07", 2, 1)


@pytest.mark.requirement("003-09", "003-10")
def test_few_claims_have_no_place_and_no_grade_and_many_are_held_to_the_lower_end(hamlet: Hamlet) -> None:
    found = scored(hamlet, 4, provider_id="h-1")
    unfounded(hamlet, found[0])
    store, rules = hamlet.runtime.store, GradeRules()
    few = grade_of(store, "provider", "h-1", rules, NOW)
    assert few is not None
    assert (few.name, few.flagged) == (None, 3)
    billed(hamlet, 40)
    for entity, own in (("provider", "h-1"), ("physician", "d-1")):
        standing = standing_of(store, entity, own, rules, NOW)
        grade = grade_of(store, entity, own, rules, NOW)
        assert standing is not None
        assert grade is not None
        low, high = wilson(3, grade.claims)
        assert (grade.flagged, grade.low, grade.high) == (3, low, high)
        assert (standing.place, standing.flagged, standing.month) == (1, 3, date(2024, 3, 1))
        assert grade.name == ("basically_reasonable" if low < rules.unreasonable else "unreasonable")
    strict = replace(rules, unreasonable=0.01, basically=0.005)
    assert (grade_of(store, "provider", "h-1", strict, NOW) or few).name == "unreasonable"
    lax = replace(rules, unreasonable=0.9, basically=0.8)
    assert (grade_of(store, "provider", "h-1", lax, NOW) or few).name == "reasonable"
    nobody = standing_of(store, "provider", "h-1", replace(rules, fewest_claims=1_000), NOW)
    assert nobody is not None
    assert nobody.place is None


def test_every_wrong_setting_of_the_grades_is_named() -> None:
    assert grade_rules({"unreasonable": 0.2}) == GradeRules(unreasonable=0.2)
    with pytest.raises(SpecError) as caught:
        grade_rules({"unresonable": 0.2, "basically": 3, "fewest_claims": True})
    assert [f.where for f in caught.value.faults] == [
        "/grades/unresonable",
        "/grades/basically",
        "/grades/fewest_claims",
    ]
