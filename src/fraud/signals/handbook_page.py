"""The handbook as one HTML page: it works offline, in both languages, in the dark, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fraud.claims.violations import violation_names
from fraud.signals.catalogue import FOLDERS, Catalogue
from fraud.signals.definition import LOCALES, Example, Signal
from fraud.signals.detection import Detection
from fraud.signals.handbook import columns_by_table, formula_of
from fraud.signals.handbook_words import (
    Text,
    as_written,
    both,
    code_with_links,
    label,
    prose,
    quantity,
    say,
    shared,
    typeset,
    unit_name,
)
from fraud.signals.limits import ALWAYS, InForce, Limit, Source
from fraud.signals.national import NationalLibrary, NationalRule, load_national_rules
from fraud.signals.sentences import sentence

__all__ = ["handbook_page"]

View = dict[str, Any]
TEMPLATE = "handbook.html.j2"
# Rows of an example that are shown: worlds of hundreds of alike claims are cut.
MOST_ROWS = 8


def handbook_page(catalogue: Catalogue, found: Detection | None = None) -> str:
    """The whole handbook as HTML, without scripts or styles from elsewhere; `found` is what was measured."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"both": both}
    environment.globals |= {"w": label, "words": _words}
    book = _Book(catalogue, load_national_rules(catalogue.path), found or Detection())
    return environment.get_template(TEMPLATE).render(book.view())


def _words(where: str) -> Text:
    """Plain texts for attributes and the script, which cannot hold both languages at once; places stay open."""
    text = as_written(where)
    return {"en": text["en"], "zh": typeset(text["zh"])}


@dataclass(frozen=True)
class _Book:
    """Everything that the page shows, and where each name on it leads."""

    catalogue: Catalogue
    library: NationalLibrary
    found: Detection
    types: Mapping[str, Text] = field(default_factory=lambda: {k: _capital(v) for k, v in violation_names().items()})

    @cached_property
    def links(self) -> dict[str, str]:
        """Anchors by the names that texts and formulas use: ids of signals, names of limits."""
        limits = {name: f"limit.{name}" for name in self.catalogue.limits}
        return limits | {name: name for name in self.catalogue.signals}

    @cached_property
    def readers(self) -> dict[str, list[Signal]]:
        """Signals whose function reads a limit, by its name."""
        read: dict[str, list[Signal]] = {}
        for s in self.catalogue.signals.values():
            for name in s.limits_read:
                read.setdefault(name, []).append(s)
        return read

    def view(self) -> View:
        """What the template shows."""
        types = list(self._types())
        return {
            "counts": self._counts(),
            "digest": self.catalogue.digest.removeprefix("sha256:")[:12],
            "measured": self.found.measured,
            "outdated": self.found.outdated(self.catalogue.digest),
            "types": types,
            "known": self.catalogue.signals,
            "folders": self._folders(),
            "relations": self._relations(),
            "library": [self._rule(rule) for rule in self.library.rules],
            "open_types": [{"id": n, "name": self.types[n], "why": self._why(n)} for n in self.library.open_types],
            "limits": [self._limit(limit) for limit in self.catalogue.limits.values()],
            "sources": [self._source(source) for source in self.catalogue.sources.values()],
        }

    def _counts(self) -> list[tuple[int, Markup]]:
        signals = self.catalogue.signals.values()
        covered = {s.violation for s in signals} & set(self.types)
        national = sum(1 for rule in self.library.rules if rule.signals)
        return [
            (len(signals), label("counts.signals")),
            (sum(1 for s in signals if s.limit), label("counts.rules")),
            (len(covered), label("counts.types", all=len(self.types))),
            (national, label("counts.national", all=len(self.library.rules))),
            (len(self.catalogue.limits), label("counts.limits")),
            (len(self.catalogue.sources), label("counts.sources")),
        ]

    # --- signals by type and by entity --------------------------------------------------------------------

    def _types(self) -> Iterator[View]:
        """Every type of violation in order, then what belongs to none of them."""
        for name, text in self.types.items():
            yield self._type(name, text, [s for s in self._signals() if s.violation == name])
        if rest := [s for s in self._signals() if s.violation not in self.types]:
            yield self._type("other", say("page.other_type"), rest)

    def _signals(self) -> list[Signal]:
        """Rules before figures, and what is about one claim before what is about many."""
        return sorted(self.catalogue.signals.values(), key=lambda s: (_folder(s), not s.limit, s.id))

    def _type(self, name: str, text: Text, signals: list[Signal]) -> View:
        rules = sum(1 for s in signals if s.limit)
        return {
            "id": name,
            "name": text,
            "signals": [self._signal(s) for s in signals],
            "count": label("types.count", n=len(signals), rules=rules) if signals else label("types.none"),
            "why": self._why(name),
            "found": [self._row(row) for row in self.found.of_type(name)],
        }

    def _why(self, name: str) -> Markup:
        """Why claims cannot decide a type; empty where they can."""
        return prose(self.library.open_types.get(name, {}), self.links)

    def _row(self, row: Mapping[str, Any]) -> View:
        entity = row["entity"]
        return {**row, "entity": shared("entities", entity) if entity else None}

    def _folders(self) -> list[View]:
        chosen = {f: [s for s in self.catalogue.signals.values() if s.id.startswith(f"{f}.")] for f in FOLDERS}
        return [{"id": f, "signals": [_link(s) for s in signals]} for f, signals in chosen.items() if signals]

    # --- one signal ---------------------------------------------------------------------------------------

    def _signal(self, signal: Signal) -> View:
        limit = self.catalogue.limits[signal.limit] if signal.limit else None
        return {
            **_link(signal),
            "folder": signal.id.split(".")[0],
            "kind": signal.kind if limit else "figure",
            "meaning": prose(signal.meaning, self.links),
            "facts": list(_facts(signal)),
            "says": both(_says(signal, limit)),
            "limit": self._values(limit) | {"side": _side(signal)} if limit else None,
            "reads_limits": [n for n in signal.limits_read if n != signal.limit],
            "law": [self._cited(name) for name in signal.cites],
            "national": self._names(signal),
            "excuses": signal.excuses,
            "blind_spot": prose(_capital(signal.blind_spots), self.links),
            "formula": code_with_links(formula_of(signal), self.links),
            "cases": code_with_links(signal.cases.formula, self.links) if signal.cases else "",
            "reads": columns_by_table(self.catalogue, signal),
            "examples": [_example(signal, e) for e in signal.examples],
            "fires": sum(e.fires for e in signal.examples),
            "quiet": sum(not e.fires for e in signal.examples),
            "found": self.found.of_signal(signal.id),
            "version": signal.version,
            "digest": self.catalogue.digests[signal.id].removeprefix("sha256:")[:12],
        }

    def _names(self, signal: Signal) -> list[NationalRule]:
        """Names of the national library that the signal finds, and the one whose code it carries."""
        found = self.library.by_signal.get(signal.id, ())
        return [r for r in self.library.rules if r in found or (r.code and r.code == signal.national_code)]

    def _cited(self, name: str) -> View:
        source = self.catalogue.sources[name]
        return {"id": name, "title": source.title, "days": _days(source)}

    # --- chapters -----------------------------------------------------------------------------------------

    def _relations(self) -> list[tuple[str, Text]]:
        used = {scope for s in self.catalogue.signals.values() for scope in s.scopes}
        return [(name, say(f"relations.{name}")) for name in sorted(used)]

    def _rule(self, rule: NationalRule) -> View:
        found = [_link(self.catalogue[name]) for name in rule.signals if name in self.catalogue.signals]
        text = prose(rule.excuse or rule.note, self.links)
        return {"number": rule.number, "code": rule.code, "name": rule.name, "found": found, "text": text}

    def _limit(self, limit: Limit) -> View:
        decides = [_link(s) for s in self.catalogue.signals.values() if s.limit == limit.name]
        read_by = [_link(s) for s in self.readers.get(limit.name, ())]
        doc = {"en": limit.doc, "zh": limit.doc_zh}
        return self._values(limit) | {"doc": prose(doc, self.links), "decides": decides, "read_by": read_by}

    def _values(self, limit: Limit) -> View:
        """A limit with its values, oldest first."""
        place = f"limits.by_{limit.place}" if limit.is_local else ""
        values = sorted(limit.values, key=lambda v: (v.start, v.regions))
        return {
            "name": limit.name,
            "unit": unit_name(limit.unit),
            "place": label(place) if place else "",
            "checked": label("signal.checked", date=limit.checked_on),
            "values": [self._value(limit, value) for value in values],
        }

    def _value(self, limit: Limit, value: InForce) -> View:
        tag, source = value.tag or limit.tag, value.source or limit.source
        return {
            "value": quantity(value.value, limit.unit),
            "period": _period(value.start, value.to or _until(limit, value)),
            "region": _same(" / ".join(value.regions)) if value.regions else say("signal.country"),
            "tag": tag,
            "tag_words": shared("tags", tag),
            "source": {"id": source, **self._title(source)},
        }

    def _title(self, name: str) -> View:
        source = self.catalogue.sources.get(name)
        return {"title": source.title if source else _same(name), "known": source is not None}

    def _source(self, source: Source) -> View:
        cited = [_link(s) for s in self.catalogue.signals.values() if source.id in s.cites]
        limits = [n for n, limit in self.catalogue.limits.items() if source.id in _sources_of(limit)]
        days = _days(source)
        return {"id": source.id, "title": source.title, "url": source.url, "days": days, "cited": cited,
                "limits": limits, "count": label("sources.cited_by", n=len(cited) + len(limits))}  # fmt: skip


def _link(signal: Signal) -> View:
    return {"id": signal.id, "title": signal.title, "is_rule": bool(signal.limit)}


def _folder(signal: Signal) -> int:
    return FOLDERS.index(signal.id.split(".")[0])


def _same(value: object) -> Text:
    return dict.fromkeys(LOCALES, str(value))


def _facts(signal: Signal) -> Iterator[tuple[Markup, Markup]]:
    yield label("signal.about"), both(shared("entities", signal.entity))
    yield label("signal.unit"), both(unit_name(signal.unit))
    yield label("signal.direction"), label(f"signal.{signal.riskier}")
    yield label("signal.default"), both(quantity(signal.default, signal.unit))
    if signal.limit:
        yield label("signal.severity"), both(shared("severities", signal.severity))
    traits = {"volume": signal.volume, "peer": signal.peer, "shrunk": signal.total is not None}
    if any(traits.values()):
        yield label("signal.traits"), _listed(say(f"signal.{name}") for name, holds in traits.items() if holds)


def _listed(texts: Iterable[Text]) -> Markup:
    found = list(texts)
    return both({"en": "; ".join(t["en"] for t in found), "zh": ";".join(t["zh"] for t in found)})


def _says(signal: Signal, limit: Limit | None) -> Text:
    """The sentence of a report, with the figures of an example that raises the signal."""
    value = next((e.value for e in signal.examples if e.fires), None)
    figures = {"limit": limit.newest if limit else None}
    return {locale: sentence(signal, locale, value, **figures) for locale in LOCALES}


def _side(signal: Signal) -> Markup:
    return label("signal.fires_below" if signal.riskier == "low" else "signal.fires_above")


def _capital(text: Text) -> Text:
    """What is written after a colon or within a sentence begins one here."""
    en = text.get("en", "")
    return {**text, "en": en[:1].upper() + en[1:]}


def _days(source: Source) -> Text | None:
    if source.in_force_from is None:
        return None
    if source.to is None:
        return say("signal.in_force", **{"from": source.in_force_from})
    return say("signal.in_force_until", **{"from": source.in_force_from, "to": source.to})


def _until(limit: Limit, value: InForce) -> date | None:
    """The day before the next value of the same region begins; None where there is no next one."""
    later = [v.start for v in limit.values if v.regions == value.regions and v.start > value.start]
    return min(later) - timedelta(days=1) if later else None


def _period(start: date, to: date | None) -> Text:
    """When a value holds; one from before there were claims has always held."""
    if start <= ALWAYS:
        return say("signal.until", to=to) if to else say("signal.always")
    return say("signal.period", **{"from": start, "to": to}) if to else say("signal.since", **{"from": start})


def _sources_of(limit: Limit) -> set[str]:
    return {v.source or limit.source for v in limit.values}


# --- examples ---------------------------------------------------------------------------------------------


def _example(signal: Signal, example: Example) -> View:
    rows = [_row(name, row) for name, part in example.rows.items() for row in _rows(part)]
    more = label("signal.more", n=len(rows) - MOST_ROWS) if len(rows) > MOST_ROWS + 1 else ""
    shown = rows[:MOST_ROWS] if more else rows
    return {"fires": example.fires, "value": quantity(example.value, signal.unit), "rows": shown, "more": more}


def _rows(part: Any) -> list[Any]:
    return [part] if isinstance(part, (Mapping, str)) else list(part)


def _row(name: str, row: Any) -> Markup:
    """One row as `claim: visit_type=inpatient, stay_days=20`, with the times that it is repeated behind it."""
    if not isinstance(row, Mapping):
        return Markup("<b>{}</b> {}").format(name, row)
    text = ", ".join(f"{k}={_cell(v)}" for k, v in row.items() if k != "times")
    return Markup("<b>{}</b> {}").format(name, f"{text} ×{row['times']}" if "times" in row else text)


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}={_cell(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        shown = [_cell(v) for v in value[:MOST_ROWS]]
        return "[" + ", ".join([*shown, "…"] if len(value) > MOST_ROWS else shown) + "]"
    return str(value)
