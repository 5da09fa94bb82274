"""What is in force: the week's capacity and other settings, the models, the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fraud.claims.violations import violation_names
from fraud.web.pages.frame.desk import Desk
from fraud.web.pages.frame.shapes import Page, View, Visit, who
from fraud.web.pages.frame.wording import Words
from fraud.web.running.runtime import ENTITIES

if TYPE_CHECKING:
    from fraud.learning.model import FittedModel
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES", "metrics_of"]

_MOST_METRICS = 9
# Places may hold a password: they are shown nowhere.
_SECTIONS = ("review", "triage", "service", "workbench", "retention", "reports")


def settings(runtime: Runtime, visit: Visit) -> View:
    """The settings in force, to be read; they are changed in the file."""
    from fraud.review.queue import rules_of_settings

    found = visit.desk.settings
    sections = {name: _flat(_section(visit.desk, name)) for name in _SECTIONS}
    rules = rules_of_settings(found.review, violation_names())
    values = {"sections": sections, "rules": rules, "file": found.home / "fraud.toml"}
    return View("settings.html.j2", values)


def _section(desk: Desk, name: str) -> dict[str, Any]:
    found = {"locale": desk.settings.locale} if name == "reports" else dict(getattr(desk.settings, name))
    usual = {n: desk.number(n) for n in ("persons_per_hour", "idle_minutes", "most_hours", "tip_days")}
    return usual | found if name == "workbench" else found


def _flat(entries: dict[str, Any]) -> list[tuple[str, str]]:
    """Settings as rows; those of an inner table are named with a dot."""
    rows = []
    for name, value in entries.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        rows += [(f"{name}.{k}" if k else name, f"{v:g}" if isinstance(v, float) else str(v)) for k, v in inner]
    return rows


def model(runtime: Runtime, visit: Visit) -> View:
    """The models in force, how well they did, and what was not brought into force."""
    cards = [_card(entity, runtime, visit.words) for entity in ENTITIES]
    refresh = runtime.store.last_refresh()
    values = {
        "cards": cards,
        "refused": runtime.refused,
        "catalogue": runtime.catalogue,
        "rules": sum(1 for s in runtime.catalogue.signals.values() if s.limit),
        "refresh": refresh,
        "access": runtime.guard.access,
        "shadow": runtime.shadow is not None,
    }
    return View("model.html.j2", values)


def _card(entity: str, runtime: Runtime, words: Words) -> dict[str, Any]:
    model = runtime.models.loaded.get(entity)
    if model is None:
        return {"entity": entity, "model": None, "failed": runtime.models.failed.get(entity, "")}
    return {"entity": entity, "model": model, "failed": "", "metrics": metrics_of(model, words)}


def metrics_of(model: FittedModel, words: Words) -> list[tuple[str, str]]:
    """The figures of a model that its papers have words for, as they are read."""
    from fraud.learning.reports.documents import Words as PaperWords
    from fraud.learning.reports.numbers import of_metric

    said = PaperWords(words.locale)
    known = [(n, v) for n, v in dict(model.metrics).items() if v is not None and said.has(f"metrics.{n}")]
    return [(words.printed(said.say(f"metrics.{n}")), of_metric(n, v)) for n, v in known[:_MOST_METRICS]]


PAGES = (
    Page("settings", "/settings", settings, who("admin", unbounded=True), menu="admin", key="s"),
    Page("model", "/model", model, who("admin", "supervisor", "auditor", "data-scientist"), menu="knowledge", key="m"),
)
