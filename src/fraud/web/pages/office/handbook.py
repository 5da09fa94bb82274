"""The handbook: what every signal means, its law, its limit, what it cannot see, and innocent explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fraud.claims.violations import violation_names
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.handbook import columns_by_table, formula_of
from fraud.signals.limits import Limit
from fraud.signals.sentences import sentence
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import Page, View, Visit, who
from fraud.web.pages.frame.wording import Words

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]

_KINDS = ("violation", "suspicion", "figure")


def handbook(runtime: Runtime, visit: Visit) -> View:
    """The signals by type of violation, or those that a search finds."""
    asked = {name: visit.query.get(name, "").strip() for name in ("q", "violation", "entity", "kind")}
    types = {name: visit.words.pick(text) for name, text in violation_names().items()}
    found = [s for s in runtime.catalogue.signals.values() if _fits(s, asked, types)]
    groups = {name: [s for s in found if s.violation == name] for name in types}
    groups[""] = [s for s in found if s.violation not in types]
    values = {
        "groups": {name: own for name, own in groups.items() if own},
        "types": types,
        "entities": [e for e in ENTITIES if any(s.entity == e for s in runtime.catalogue.signals.values())],
        "kinds": _KINDS,
        "asked": asked,
        "count": len(found),
        "all": len(runtime.catalogue.signals),
        "kind_of": _kind,
        "spoken": _spoken(runtime.catalogue, visit.words),
    }
    return View("handbook.html.j2", values)


def _kind(signal: Signal) -> str:
    return str(signal.kind) if signal.limit else "figure"


def _fits(signal: Signal, asked: dict[str, str], types: dict[str, str]) -> bool:
    if asked["violation"] and signal.violation != asked["violation"]:
        return False
    if asked["entity"] and signal.entity != asked["entity"]:
        return False
    if asked["kind"] and _kind(signal) != asked["kind"]:
        return False
    # In both languages: who reads Chinese may still search for an id or an English word.
    texts = (signal.id, signal.violation or "", types.get(signal.violation or "", ""), *signal.title.values(),
             *signal.meaning.values(), *signal.cites)  # fmt: skip
    whole = " ".join(texts).lower()
    return all(word in whole for word in asked["q"].lower().split())


def signal(runtime: Runtime, visit: Visit) -> View:
    """Everything about one signal."""
    catalogue, found = runtime.catalogue, runtime.catalogue.signals.get(visit.path["signal_id"])
    if found is None:
        raise PageProblem("not-found", "There is no signal with this id.")
    types = violation_names()
    values = {
        "signal": found,
        "kind": _kind(found),
        "violation": visit.words.pick(types.get(found.violation or "", {})),
        "limits": [_limit(catalogue, name, visit.words) for name in _limits(found)],
        "law": [catalogue.sources[name] for name in found.cites if name in catalogue.sources],
        "spoken": _spoken(catalogue, visit.words),
        "says": _says(catalogue, found, visit.words.locale),
        "formula": formula_of(found),
        "reads": columns_by_table(catalogue, found),
        "digest": catalogue.digests[found.id].removeprefix("sha256:")[:12],
    }
    return View("signal.html.j2", values)


def _spoken(catalogue: Catalogue, words: Words) -> dict[str, str]:
    """What is told in place of the names in texts of the catalogue: the figure of a limit, the title of a signal."""
    form = "“{}”" if words.locale == "zh" else "‘{}’"
    titles = {i: form.format(words.pick(s.title)) for i, s in catalogue.signals.items()}
    figures = {name: _newest(limit, words) for name, limit in catalogue.limits.items() if limit.newest is not None}
    return titles | figures


def _newest(limit: Limit, words: Words) -> str:
    # The text goes on with the unit; a share has it in its figure.
    return words.share(limit.newest or 0.0) if limit.unit == "share" else words.number(limit.newest)


def _limits(signal: Signal) -> list[str]:
    return list(dict.fromkeys([*([signal.limit] if signal.limit else []), *signal.limits_read]))


def _limit(catalogue: Catalogue, name: str, words: Words) -> dict[str, Any]:
    limit = catalogue.limits[name]
    values = sorted(limit.values, key=lambda v: (v.start, v.regions), reverse=True)
    return {
        "name": name,
        "doc": words.pick({"en": limit.doc, "zh": limit.doc_zh}) or limit.doc,
        "values": [(words.quantity(v.value, limit.unit), v.start, " ".join(v.regions)) for v in values],
        "checked_on": limit.checked_on,
    }


def _says(catalogue: Catalogue, signal: Signal, language: str) -> str:
    """The sentence of a report, with the figures of an example that raises the signal."""
    value = next((e.value for e in signal.examples if e.fires), None)
    limit = catalogue.limits[signal.limit].newest if signal.limit else None
    return sentence(signal, language, value, limit=limit)


PAGES = (
    Page("handbook", "/handbook", handbook, who(), menu="knowledge", key="h"),
    Page("signal", "/handbook/{signal_id}", signal, who()),
)
