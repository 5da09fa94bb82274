"""The overview: money, precision, how decisions stood, time to decide, hot spots, models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fraud.web.calls.cases import actor_of
from fraud.web.pages.frame.shapes import Page, View, Visit, who
from fraud.web.pages.work.case_wording import kinds_of_violation, money_words, names_of_providers
from fraud.web.pages.work.overview_figures import overview_of
from fraud.web.running.runtime import ENTITIES

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

# Figures of models that a reader of this page asks for; the page of models has all.
_METRICS = 4


def overview(runtime: Runtime, visit: Visit) -> View:
    """How it goes on the whole, within the visitor's bounds."""
    found = overview_of(runtime.store, actor_of(visit.incoming).within, runtime.now())
    models = [(entity, runtime.models.loaded.get(entity), runtime.models.failed.get(entity)) for entity in ENTITIES]
    values = {
        "w": money_words(runtime, visit),
        "found": found,
        "types": kinds_of_violation(visit.words),
        "houses": names_of_providers(runtime, (s.name for s in found.providers)),
        "models": models,
        "metrics": {e: _metrics(m.metrics) for e, m, _ in models if m is not None},
        "refresh": runtime.store.last_refresh(),
        "shadow": runtime.shadow is not None,
        "refused": runtime.refused,
    }
    return View("overview.html.j2", values)


def _metrics(found: object) -> list[tuple[str, float]]:
    known = dict(found)  # type: ignore[call-overload]
    return [(name, value) for name, value in known.items() if value is not None][:_METRICS]


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
