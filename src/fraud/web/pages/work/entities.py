"""Providers, physicians and patients: the latest risk with its peers, months, cases, money, and proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import orjson
from markupsafe import Markup

from fraud.explaining.charts import PLAIN, month_chart, peer_chart
from fraud.review.cases import Case, Chosen
from fraud.scoring.parties import attributes_of_party
from fraud.web.bodies.problems import Problem
from fraud.web.calls.cases import actor_of
from fraud.web.calls.risks import entity_risk
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.rendering import address_of, inline_svg
from fraud.web.pages.frame.shapes import Page, View, Visit, who
from fraud.web.pages.work.case_wording import kinds_of_violation, money_words, names_of_providers
from fraud.web.pages.work.entities_figures import (
    MonthFigure,
    cases_of_physician,
    grade_of,
    grade_rules,
    money_of,
    schemes_of,
    standing_of,
    trend_of,
    upheld_appeals,
)

if TYPE_CHECKING:
    from datetime import datetime

    from fraud.web.pages.frame.wording import Words
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_READERS = ("investigator", "supervisor", "auditor")
_MOST_CASES, _SHOWN = 1_000, 25
# What of a party's record stands on its page, in this order.
_FACTS: Mapping[str, tuple[str, ...]] = {
    "provider": ("kind", "level", "region", "licensed_beds", "stations", "opened_on", "suspended_from", "suspended_to"),
    "physician": ("provider_id", "specialty", "title", "licensed_from", "licensed_to", "suspended_from"),
    "patient": ("sex", "insurance_type", "insured_region", "assistance", "birth_date", "died_on"),
}
# Days that tell one person from another are cut to the year.
_DAYS = ("birth_date", "died_on")
# The steps of the ladder, the mildest first, with the law that each rests on.
_LADDER: Mapping[str, tuple[tuple[str, str], ...]] = {
    "provider": (
        ("talk", "decree-735.38"),
        ("refund", "decree-735.38"),
        ("fine", "decree-735.38"),
        ("suspend", "decree-735.38"),
        ("fraud", "decree-735.40.1"),
    ),
    "physician": (("talk", "decree-735.38"), ("points", "points-2024")),
    "patient": (("repay", "decree-735.41"), ("settle_later", "decree-735.41"), ("person_fraud", "decree-735.41")),
}


@dataclass(frozen=True)
class RiskReason:
    """A reason of the latest risk with its place among peers; `chart` is empty where there are none."""

    title: str
    sentence: str
    value: str
    median: str
    among: str
    raises: bool
    chart: Markup | str


def party(entity: str, runtime: Runtime, visit: Visit) -> View:
    """The page of one provider, physician or patient."""
    entity_id, now = visit.path[f"{entity}_id"], runtime.now()
    on_file = runtime.store.party(entity, entity_id)
    found, total = _cases(runtime, visit, entity, entity_id)
    trend = trend_of(runtime.store, entity, entity_id, now)
    if on_file is None and not found and not trend:
        raise PageProblem("not-found", f"There is no {entity} of this kind here.")
    upheld, rules = upheld_appeals(runtime.store), grade_rules(_grades(visit))
    # Nobody ranks or grades patients: what they need is care.
    ranked = entity != "patient"
    values = {
        "w": money_words(runtime, visit),
        "entity": entity,
        "entity_id": entity_id,
        "name": (on_file or {}).get("name") or "",
        "shown": visit.shown(f"{entity}_id", entity_id),
        "facts": _facts(entity, on_file or {}, runtime, visit),
        "risk": _risk(entity, runtime, visit),
        "trend": trend,
        "chart": _months(trend, visit.words) if trend else (),
        "cases": found[:_SHOWN],
        "total": total,
        "schemes": schemes_of(found, upheld, now),
        "money": money_of(found, upheld),
        "standing": standing_of(runtime.store, entity, entity_id, rules, now) if ranked else None,
        "grade": grade_of(runtime.store, entity, entity_id, rules, now) if ranked else None,
        "rules": rules,
        "ladder": _ladder(entity, runtime, visit),
        "types": kinds_of_violation(visit.words),
    }
    return View("entities.html.j2", values)


def _grades(visit: Visit) -> Mapping[str, Any]:
    found: Mapping[str, Any] = visit.desk.settings.grades
    return found


def _facts(entity: str, on_file: Mapping[str, Any], runtime: Runtime, visit: Visit) -> list[tuple[str, str | Markup]]:
    known = ((name, on_file.get(name)) for name in _FACTS[entity])
    return [(visit.words.of("entity_facts", n), _fact(n, v, runtime, visit)) for n, v in known if v is not None]


def _fact(name: str, value: Any, runtime: Runtime, visit: Visit) -> str | Markup:
    if name in _DAYS and not visit.caller.sees_identities:
        return str(value.year)
    if name == "provider_id":
        house = names_of_providers(runtime, [value]).get(value, value)
        return Markup('<a href="{}">{}</a>').format(address_of("provider", provider_id=value), house)
    return visit.words.fact(name, value)


# --- cases ------------------------------------------------------------------------------------------------


def _cases(runtime: Runtime, visit: Visit, entity: str, entity_id: str) -> tuple[tuple[Case, ...], int]:
    """The latest cases of an entity within the visitor's bounds, and how many there are."""
    within = actor_of(visit.incoming).within
    if entity == "physician":
        own = runtime.casework.search(Chosen(entities=("physician",), entity_id=entity_id), within).cases
        found = (*own, *cases_of_physician(runtime.store, within, entity_id))
        return found, len(found)
    chosen = Chosen(patient_id=entity_id) if entity == "patient" else Chosen(provider_id=entity_id)
    page = runtime.casework.search(chosen, within, "-opened", _MOST_CASES)
    return page.cases, page.total


# --- risk -------------------------------------------------------------------------------------------------


def _risk(entity: str, runtime: Runtime, visit: Visit) -> dict[str, Any]:
    """The risk of the latest snapshot with its reasons; or why there is none."""
    entity_id = visit.path[f"{entity}_id"]
    asked = {"locale": "zh-CN" if visit.words.locale == "zh" else "en"}
    incoming = replace(visit.incoming, path={"entity_id": entity_id}, query=asked)
    try:
        told = orjson.loads(entity_risk(entity, runtime, incoming).body)
    except Problem as problem:
        if problem.name not in ("no-model", "not-found"):
            raise
        return {"missing": problem.name}
    return {"missing": "", **told, "reasons": _reasons(entity, runtime, visit, told)}


def _reasons(entity: str, runtime: Runtime, visit: Visit, told: Mapping[str, Any]) -> list[RiskReason]:
    words, catalogue = money_words(runtime, visit), runtime.catalogue
    charts = _peers(entity, runtime, visit, told)
    rows = []
    for r in told["risk"]["reasons"]:
        signal = catalogue.signals.get(r["signal"])
        rows.append(
            RiskReason(
                words.pick(signal.title) if signal else r["signal"],
                words.printed(r["sentence"]),
                words.quantity(r["value"], r["unit"]),
                words.quantity(r["peer_median"], r["unit"]),
                words.among(r["value"], r["peer_median"], r["peer_percentile"]),
                r["contribution"] > 0,
                charts.get(r["signal"], ""),
            )
        )
    return rows


def _peers(entity: str, runtime: Runtime, visit: Visit, told: Mapping[str, Any]) -> dict[str, Markup]:
    """By signal the distribution of the peers, with this one marked."""
    model = runtime.models.loaded[entity]
    peers = model.reference.peers.get(entity)
    row = runtime.store.party(entity, visit.path[f"{entity}_id"])
    if peers is None or row is None:
        return {}
    day = _moment(told["as_of"])
    _, group = peers.group_of(attributes_of_party(entity, row, day, model.reference.focus))
    axis = str(visit.words.texts["axis"]["figures"])
    return {
        r["signal"]: _peer_svg(
            tuple(group.quantiles[:, peers.index[r["signal"]]].tolist()),
            r["value"],
            float(group.median[peers.index[r["signal"]]]),
            axis,
            r["unit"] == "share",
        )
        for r in told["risk"]["reasons"]
        if r["signal"] in peers.index and group.n
    }


def _moment(text: str) -> datetime:
    from datetime import datetime

    return datetime.fromisoformat(text)


@lru_cache(maxsize=256)
def _peer_svg(quantiles: tuple[float, ...], value: float | None, median: float, axis: str, percent: bool) -> Markup:
    return inline_svg(peer_chart(quantiles, value, median, axis or PLAIN, percent))


def _months(trend: Sequence[MonthFigure], words: Words) -> tuple[Markup, Markup]:
    figures = tuple((m.day, m.claims, m.amount) for m in trend)
    labels = (words("entity.amount"), words("entity.claims"), str(words.texts["axis"]["figures"]))
    return _month_svg(figures, *labels, False), _month_svg(figures, *labels, True)


@lru_cache(maxsize=128)
def _month_svg(figures: tuple[Any, ...], amount: str, claims: str, axis: str, narrow: bool) -> Markup:
    return inline_svg(month_chart(figures, amount, claims, axis, narrow))


# --- proposals --------------------------------------------------------------------------------------------


def _ladder(entity: str, runtime: Runtime, visit: Visit) -> list[tuple[str, str]]:
    """Steps of the ladder for this kind of party, each with its law where that is on file."""
    sources, words = runtime.catalogue.sources, visit.words
    return [(step, words.pick(sources[law].title) if law in sources else "") for step, law in _LADDER[entity]]


def _page(entity: str, plural: str) -> Page:
    parameter = f"{entity}_id"
    # Whoever keeps addresses is not to learn who was ill.
    sealed = (parameter,) if entity == "patient" else ()
    rule = who(*_READERS, record=entity, parameter=parameter)
    return Page(entity, f"/{plural}/{{{parameter}}}", partial(party, entity), rule, sealed=sealed)


PAGES = (_page("provider", "providers"), _page("physician", "physicians"), _page("patient", "patients"))
