"""The overview: projected apart from actual, precision, decisions that stood, hot spots, and what to do at first."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import numpy as np
import orjson
import pytest
import sqlalchemy as sa

from fraud.learning.model import FittedModel
from fraud.review.cases import Actor, Within, money
from fraud.review.cases.casework import StepOf
from fraud.signals.backtest import wilson
from fraud.store.casework.tables import cases
from fraud.store.tables import decisions
from fraud.web.pages.work.overview_ahead import ahead_of
from fraud.web.pages.work.overview_background import Picture, Pictures, picture_of, pictures_of
from fraud.web.pages.work.overview_figures import overview_of
from fraud.web.pages.work.overview_regions import Region, Regions, region_chart, regions_of
from fraud.web.pages.work.overview_watch import watch_of
from fraud.web.running.runtime import Models
from tests.pages.cases import claim, confirmed, inside, scored, unfounded
from tests.pages.visitors import Hamlet, text_of
from tests.web.client import body

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


# --- money that came back ---------------------------------------------------------------------------------


def payment(amount: float) -> StepOf:
    return lambda case, at: money.recover(case, JUDGE, at, amount, at.now.date(), "transfer 7")


def test_money_that_came_back_is_told_apart_from_what_was_confirmed(hamlet: Hamlet) -> None:
    found, work, store = scored(hamlet, 3), hamlet.runtime.casework, hamlet.runtime.store
    for case, amount, back in zip(found, (100.0, 50.0, 10.0), (60.0, 0.0, 10.0), strict=True):
        own = confirmed(hamlet, case, amount)
        if back:
            work.change(own.case_id, JUDGE, (payment(back),))
    told = overview_of(store, Within(), hamlet.runtime.now())
    assert (told.confirmed, told.recovered, told.paid_cases, told.days_to_money) == (160.0, 70.0, 2, 0.0)
    house = found[0].provider_id
    within = overview_of(store, Within(providers=(str(house),)), hamlet.runtime.now())
    assert within.recovered == 60.0 + (10.0 if found[2].provider_id == house else 0.0)
    assert told.owed == 0.0
    work.appeal(found[0].case_id, JUDGE, "Two wards.")
    work.decide_appeal(found[0].case_id, JUDGE, True, "Two wards indeed.")
    told = overview_of(store, Within(), hamlet.runtime.now())
    assert (told.confirmed, told.recovered, told.owed) == (60.0, 70.0, 60.0)
    with inside(hamlet, "supervisor") as visitor:
        said = text_of(visitor.open("/overview"))
    assert "16.7% of what was confirmed" in said
    assert "60 of it to be given back" in said


# --- what lies ahead --------------------------------------------------------------------------------------


def judged(hamlet: Hamlet, **figures: list[float | None]) -> None:
    """The hamlet's cases with these figures, in the order of their numbers: no model is in force there."""
    with hamlet.runtime.store.database.write() as connection:
        ids = list(connection.execute(sa.select(cases.c.case_id).order_by(cases.c.case_id)).scalars())
        for n, case_id in enumerate(ids):
            own = {name: values[n] for name, values in figures.items()}
            connection.execute(sa.update(cases).where(cases.c.case_id == case_id).values(own))


@pytest.mark.requirement("001-19")
def test_undecided_cases_stand_in_a_matrix_whose_fields_lead_to_them(hamlet: Hamlet) -> None:
    scored(hamlet, 4)
    judged(hamlet, probability=[0.7, 0.8, 0.2, None], amount=[10.0, 20.0, 900.0, 5.0])
    found = ahead_of(hamlet.runtime, Within())
    assert sum(c.cases for row in found.matrix.rows for c in row) == 4
    assert (found.plan.cases, found.plan.left_out, found.listed) == (3, 1, False)
    assert found.plan.expected == pytest.approx(0.7 * 10 + 0.8 * 20 + 0.2 * 900)
    with inside(hamlet, "investigator") as visitor:
        page = visitor.open("/overview")
        links = [a for a in _links(page.text) if "probability=" in a]
        listed = [visitor.open(a).text.count('class="about w"') for a in links]
    assert listed == [c.cases for row in found.matrix.rows for c in row if c.cases and c.known]
    with inside(hamlet, "supervisor", "zh") as visitor:
        said = text_of(visitor.open("/overview"))
    assert all(word in said for word in ("未决案件：概率与涉及金额", "十次模拟中有八次", "假设案件相互独立"))


def _links(page: str) -> list[str]:
    return [unescape(a) for a in re.findall(r'href="/workbench(/queue[^"]*)"', page)]


def test_the_plan_is_the_weeks_list_where_there_is_one_and_else_what_its_hours_hold(hamlet: Hamlet) -> None:
    scored(hamlet, 4)
    judged(hamlet, probability=[0.5] * 4, hours=[20.0, 20.0, 20.0, 20.0], worth=[4.0, 3.0, 2.0, 1.0])
    assert ahead_of(hamlet.runtime, Within()).plan.cases == 2
    today = hamlet.runtime.now().date()
    judged(hamlet, week=[None, None, None, today])  # type: ignore[list-item]
    found = ahead_of(hamlet.runtime, Within())
    assert (found.plan.cases, found.listed) == (1, True)


def test_bounds_hold_for_what_lies_ahead(hamlet: Hamlet) -> None:
    scored(hamlet, 4)
    judged(hamlet, probability=[0.5] * 4)
    assert ahead_of(hamlet.runtime, Within(providers=("h-1",))).matrix.cases == 2
    assert ahead_of(hamlet.runtime, Within(providers=("nobody",))).plan.cases == 0
    assert picture_of(hamlet.runtime, Within(providers=("h-1",))).regions is None


# --- how the model does -----------------------------------------------------------------------------------


def answered(hamlet: Hamlet, places: np.ndarray, model: FittedModel) -> None:
    """So many answers of today by this model, with these places."""
    told = {"name": model.name, "version": model.version}
    rows = [
        {
            "request_id": f"q-{n}",
            "claim_id": f"q-{n}",
            "scored_at": hamlet.runtime.now(),
            "action": "pass",
            "response": orjson.dumps(
                {"model": told, "risk": {"percentile": float(p)}, "degraded": ["history"] if n % 10 == 0 else []}
            ),
            "request": b"{}",
        }
        for n, p in enumerate(places)
    ]
    with hamlet.runtime.store.database.write() as connection:
        connection.execute(sa.delete(decisions).where(decisions.c.request_id.like("q-%")))
        connection.execute(sa.insert(decisions), rows)


def test_scores_that_moved_are_loud_and_those_that_did_not_are_not(
    hamlet: Hamlet, claim_model: FittedModel, tmp_path: Path
) -> None:
    runtime, draw = hamlet.runtime, np.random.default_rng(1)
    runtime.models = Models({"claim": claim_model})
    fitted = claim_model.percentile(claim_model.standing.quantiles)
    answered(hamlet, draw.choice(fitted, 400), claim_model)
    same = watch_of(runtime, Within(), tmp_path, tmp_path)
    assert same.scores is not None
    assert (same.scores.scores, same.scores.loud, same.scores.limit) == (400, False, 0.2)
    assert same.missing is not None
    assert (same.missing.answers, same.missing.without, same.missing.parts) == (400, 40, (("history", 40),))
    answered(hamlet, np.minimum(draw.choice(fitted, 400) + 40, 100), claim_model)
    moved = watch_of(runtime, Within(), tmp_path, tmp_path)
    assert moved.scores is not None
    assert moved.scores.loud
    with inside(hamlet, "supervisor") as visitor:
        said = text_of(visitor.open("/overview"))
    assert "40 of 400 looked at" in said
    assert said.count("look into it") == 2


def test_more_work_than_hours_and_more_hits_than_expected_stand_out(hamlet: Hamlet, tmp_path: Path) -> None:
    for case in scored(hamlet, 12)[:11]:
        confirmed(hamlet, case)
    judged(hamlet, probability=[0.1] * 12, hours=[5.0] * 12)
    found = watch_of(hamlet.runtime, Within(), tmp_path, tmp_path)
    assert (found.scores, found.monitored) == (None, None)
    assert found.volume is not None
    assert (found.volume.cases, found.volume.hours, found.volume.capacity) == (12.0, 60.0, 40.0)
    assert found.hits is not None
    assert (found.hits.found.hits, found.hits.found.n, found.hits.loud) == (11, 11, True)
    assert found.hits.expected == pytest.approx(0.1)


def test_the_latest_report_of_monitoring_is_shown_and_a_strange_one_is_none(
    hamlet: Hamlet, claim_model: FittedModel, tmp_path: Path
) -> None:
    hamlet.runtime.models = Models({"claim": claim_model})
    path = tmp_path / "monitor" / f"{claim_model.name}.json"
    path.parent.mkdir()
    told = {"version": 3, "since": "2026-01-01T00:00:00", "until": "2026-02-01T00:00:00", "drifted_weight": 0.25}
    path.write_text(json.dumps({**told, "made_at": "2026-02-02T08:30:00", "attention": ["score_psi"]}), "utf-8")
    found = watch_of(hamlet.runtime, Within(), tmp_path, tmp_path).monitored
    assert found is not None
    assert (found.version, found.until, found.made_at) == (3, "2026-02-01", "2026-02-02 08:30")
    assert (found.attention, found.drifted_weight) == (("score_psi",), 0.25)
    path.write_text("[]", "utf-8")
    assert watch_of(hamlet.runtime, Within(), tmp_path, tmp_path).monitored is None


# --- regions ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("002-61")
def test_regions_stand_in_the_order_of_what_is_beyond_chance(hamlet: Hamlet) -> None:
    for place, count, flagged in (("330106", 33, True), ("330108", 31, False), ("330109", 2, False)):
        _sent(hamlet, place, count, flagged)
    found = regions_of(hamlet.runtime.store, hamlet.runtime.now())
    assert found is not None
    assert [(r.name, r.claims, r.flagged, r.beyond) for r in found.shown] == [
        ("330106", 33, 33, True),
        ("330108", 31, 0, False),
    ]
    assert (found.few, found.share) == (1, 33 / 66)
    with inside(hamlet, "supervisor") as visitor:
        visitor.open("/overview")
        pictures_of(hamlet.runtime).settled()
        said = text_of(visitor.open("/overview"))
    assert "1 regions with fewer than 30 claims are not shown" in said


def _sent(hamlet: Hamlet, region: str, count: int, flagged: bool) -> None:
    """Claims of a region, all with a case or none."""
    _, secret = hamlet.desk.keys.add(f"claims of {region}", "claims-system", "person:test")
    rows = [(f"{region}-{n}", {"patient_id": f"p-{n}", "care_region": region}) for n in range(count)]
    sent = [claim(i, **row) if flagged else body(i, **row) for i, row in rows]
    headers = {"Authorization": f"Bearer {secret}"}
    answer = httpx.post(f"{hamlet.url}/v1/claims/score-batch", json=sent, headers=headers, timeout=60).json()
    assert {a["action"] != "pass" for a in answer} == {flagged}


def test_the_chart_of_regions_says_each_name_in_both_widths() -> None:
    found = Regions((Region("330106", 100, 30, 0.22, 0.4, True), Region("330108", 90, 9, 0.05, 0.18, False)), 0.2, 0)
    for narrow in (False, True):
        drawn = region_chart(found, "share", "all regions: 20%", narrow)
        assert all(word in drawn for word in ("330106", "330108", "all regions: 20%"))


# --- beside the requests ----------------------------------------------------------------------------------


def test_a_picture_is_worked_out_once_and_again_when_it_is_old(hamlet: Hamlet) -> None:
    drawn: list[Within] = []
    made = pictures_of(hamlet.runtime).latest(Within())
    assert made is not None

    def draw(within: Within) -> Picture:
        drawn.append(within)
        return replace(made, at=made.at + timedelta(hours=len(drawn)))

    kept = Pictures(draw, minutes=60)
    first = kept.latest(Within())
    assert kept.latest(Within()) is first
    assert kept.latest(Within(regions=("33*",))) is not first
    assert drawn == [Within(), Within(regions=("33*",))]
    old = Pictures(draw, minutes=0)
    before = old.latest(Within())
    # Whoever looks at an old one gets it at once, and the next reader the new one.
    assert old.latest(Within()) is before
    old.settled()
    assert old.latest(Within()) is not before


def test_what_cannot_be_worked_out_leaves_a_page_that_says_so(hamlet: Hamlet, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(within: Within) -> Picture:
        raise ValueError

    vars(hamlet.runtime)["pictures"] = Pictures(fail)
    with inside(hamlet, "admin") as visitor:
        page = visitor.open("/overview")
    assert page.status_code == 200
    assert "More is being worked out" in text_of(page)
