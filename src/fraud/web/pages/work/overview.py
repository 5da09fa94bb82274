"""The overview: money, what lies ahead, precision, how decisions stood, time, hot spots, models and their drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fraud.web.calls.cases import actor_of
from fraud.web.pages.frame.shapes import Page, View, Visit, who
from fraud.web.pages.office.state import metrics_of
from fraud.web.pages.work.case_wording import kinds_of_violation, money_words, names_of_providers
from fraud.web.pages.work.overview_background import MINUTES, pictures_of
from fraud.web.pages.work.overview_figures import overview_of
from fraud.web.running.runtime import ENTITIES

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

# Figures of models that a reader of this page asks for; the page of models has all.
_METRICS = 4


def overview(runtime: Runtime, visit: Visit) -> View:
    """How it goes on the whole, within the visitor's bounds."""
    within = actor_of(visit.incoming).within
    found = overview_of(runtime.store, within, runtime.now())
    picture = pictures_of(runtime).latest(within)
    models = [(entity, runtime.models.loaded.get(entity), runtime.models.failed.get(entity)) for entity in ENTITIES]
    values = {
        "w": money_words(runtime, visit),
        "found": found,
        "picture": picture,
        "minutes": MINUTES,
        "percent": "{:.0%}".format,
        "chart": picture.charts.get(visit.words.locale) if picture else None,
        "types": kinds_of_violation(visit.words),
        "houses": names_of_providers(runtime, (s.name for s in found.providers)),
        "models": models,
        "metrics": {e: metrics_of(m, visit.words)[:_METRICS] for e, m, _ in models if m is not None},
        "refresh": runtime.store.last_refresh(),
        "shadow": runtime.shadow is not None,
        "refused": runtime.refused,
    }
    return View("overview.html.j2", values)


PAGES = (
    Page(
        "overview",
        "/overview",
        overview,
        who("investigator", "supervisor", "auditor", "admin", event="cases.summed"),
        menu="work",
        key="o",
    ),
)
