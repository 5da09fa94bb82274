"""What the pages of cases ask of the database, on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fraud.review.cases import Actor, CaseRules, Casework, Chosen, Scored, Within
from fraud.store import Store
from fraud.store.views import SavedView, SavedViews
from fraud.web.bodies.faults import checked
from fraud.web.bodies.shapes import ScoreBody, bundle_of
from fraud.web.pages.work.case_around import seen_together
from fraud.web.pages.work.entities_figures import GradeRules, cases_of_physician, grade_of, standing_of, trend_of
from fraud.web.pages.work.overview_ahead import ahead_of
from fraud.web.pages.work.overview_figures import overview_of
from fraud.web.pages.work.overview_regions import regions_of
from fraud.web.pages.work.overview_watch import watch_of
from fraud.web.pages.work.queue_week import week_of
from fraud.web.running.runtime import Models
from tests.store.servers import Server
from tests.web.client import body

ANN = Actor("user:ann", "ann", "investigator")
# Whoever may see whom cases are about.
EYES: Any = SimpleNamespace(shown=lambda column, value: value)


def test_what_pages_of_cases_ask_is_answered_on_postgresql(postgres: Server, tmp_path: Path) -> None:
    address = postgres.ready_database()
    with Store(address) as store:
        days = ("2024-03-02", "2024-03-09")
        for n, day in enumerate(day for day in days for _ in range(3)):
            row = {"patient_id": f"p-{n % 3}", "provider_id": "h-1", "settled_at": day, "admitted_at": day}
            store.add_claim(bundle_of(checked(ScoreBody, body(f"c-{n}", **row, discharged_at=day))))
        work, now = Casework(store), datetime.now()
        scored = Scored("claim", "c-1", patient_id="p-1", provider_id="h-1", violation="T07", amount=20.0)
        case = work.open(scored, ANN)
        runtime: Any = SimpleNamespace(store=store, casework=work, now=datetime.now, case_rules=CaseRules())
        assert week_of(runtime).left == 40.0
        work.take(case.case_id, ANN)
        work.unfounded(case.case_id, ANN, "The record has it.")
        assert week_of(runtime).done == 0.5
        assert overview_of(store, Within(regions=("99*",), providers=("h-1",)), now).chosen is None
        told = overview_of(store, Within(), now).by_month
        assert [(p.key, p.decided, p.confirmed) for p in told] == [(f"{now:%Y-%m}", 1, 0)]
        assert [m.claims for m in trend_of(store, "provider", "h-1", now)][-1] == 6
        standing, grade = (f(store, "physician", "d-1", GradeRules(), now) for f in (standing_of, grade_of))
        assert standing is not None
        assert grade is not None
        assert (standing.claims, grade.claims, grade.flagged) == (6, 6, 0)
        assert [c.case_id for c in cases_of_physician(store, Within(), "d-1")] == [case.case_id]
        assert {(p.person, p.days) for p in seen_together(runtime, case, EYES)} == {
            ("p-0", 2),
            ("p-1", 2),
            ("p-2", 2),
        }
        told_of = overview_of(store, Within(), now)
        assert (told_of.recovered, told_of.days_to_money) == (0.0, None)
        open_case = work.open(replace(scored, entity_id="c-2", probability=0.5, expected_recovery=10.0), ANN)
        runtime.models = Models()
        found = ahead_of(runtime, Within(providers=("h-1",)))
        assert (found.matrix.cases, found.plan.cases, found.plan.expected) == (1, 1, 10.0)
        seen = watch_of(runtime, Within(), tmp_path, tmp_path)
        assert seen.volume is not None
        assert (seen.scores, seen.missing, seen.hits, seen.volume.cases) == (None, None, None, 0.0)
        assert regions_of(store, now) is None
        chosen = Chosen(probability_at_least=0.5, probability_below=0.6, amount_below=20.5)
        assert [c.case_id for c in work.search(chosen).cases] == [open_case.case_id]
        views = SavedViews(store.database)
        for query in ("a", "b"):
            views.save("u", "mine", query)
        assert views.of("u") == (SavedView("mine", "b"),)
    postgres.drop(address)
