"""The report of one explanation: a single HTML page without scripts or outside assets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fraud.explaining.charts import (
    Bar,
    Mark,
    contribution_chart,
    event_chart,
    month_chart,
    peer_chart,
    wrapped,
)
from fraud.explaining.explanation import TOP, Event, Explanation, Month, PeerStanding
from fraud.explaining.reasons import Reason
from fraud.explaining.summary import summary_of, title_of
from fraud.explaining.wording import NOT_KNOWN, TEMPLATES, Wording
from fraud.signals.evidence import Evidence
from fraud.signals.limits import Source
from fraud.signals.rules import Finding

__all__ = ["render_html", "write_html"]

View = dict[str, Any]
# How much of each part is shown before it is folded away or cut.
BARS, ROWS, EVENTS, LISTED = 8, 12, 60, 6
LABEL_COLUMNS, NARROW_COLUMNS = 36, 34


def render_html(explanation: Explanation, locale: str) -> str:
    """The page in one language (`en`, or `zh` for `zh-CN`); raises `InputError` for another."""
    wording = Wording(locale, explanation.currency)
    return _environment().get_template("report.html.j2").render(_view(explanation, wording))


def write_html(explanation: Explanation, path: str | Path, locale: str) -> Path:
    """Write the page to a file, and return its path."""
    target = Path(path)
    target.write_text(render_html(explanation, locale), encoding="utf-8")
    return target


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _view(explanation: Explanation, w: Wording) -> View:
    """Everything that the template shows, in words."""
    return {
        "w": w.texts,
        **_head(explanation, w),
        "summary": summary_of(explanation, w),
        "unsure": _unsure(explanation, w),
        "hits": [_finding(f, explanation, w) for f in explanation.hits],
        "reasons": _reasons(explanation, w),
        "peers": [_peer(p, explanation, w) for p in _top_peers(explanation)],
        "legend_own": w.say("peers.legend_own", entity=w.label("entities", explanation.entity)),
        "timeline": _timeline(explanation.timeline, w),
        "evidence": _evidence_blocks(explanation, w),
        "checks": _checks(explanation, w),
        "unknown": _unknown(explanation, w),
        "provenance": _provenance(explanation, w),
        "sources_cited": _citations(explanation.references.sources, explanation, w),
    }


# --- head -------------------------------------------------------------------------------------------------


def _head(explanation: Explanation, w: Wording) -> View:
    entity = w.label("entities", explanation.entity)
    return {
        "title": w.say("page.title", entity=entity, id=explanation.entity_id),
        "entity": entity[:1].upper() + entity[1:],
        "entity_id": explanation.entity_id,
        "as_of": w.say("page.as_of", date=w.moment(explanation.as_of)),
        "band": explanation.band,
        "band_words": w.label("bands", explanation.band) if explanation.band else "",
        "action": explanation.action,
        "action_words": w.label("actions", explanation.action) if explanation.action else "",
        "figures": _figures(explanation, w),
        "facts": [(w.label("facts", f.label), w.fact(f.label, f.value)) for f in explanation.facts],
    }


def _figures(explanation: Explanation, w: Wording) -> list[tuple[str, str]]:
    """The headline figures with their labels."""
    entities = w.label("entities_plural", explanation.entity)
    found = []
    if explanation.percentile is not None:
        label = w.say("figures.percentile", entities=entities)
        found.append((w.percent(explanation.percentile), label))
    if explanation.probability is not None:
        found.append((w.share(explanation.probability), _probability_label(explanation, w)))
    if explanation.expected_recovery is not None:
        found.append((w.about(explanation.expected_recovery), w.say("figures.recovery")))
    return [*found, (str(len(explanation.hits)), w.say("figures.findings"))]


def _probability_label(explanation: Explanation, w: Wording) -> str:
    """What the probability is, with its bounds where they are known."""
    low, high = explanation.probability_low, explanation.probability_high
    if low is None or high is None:
        return w.say("figures.probability")
    return w.say("figures.probability_between", low=w.share(low), high=w.share(high))


# --- findings ---------------------------------------------------------------------------------------------


def _unsure(explanation: Explanation, w: Wording) -> str:
    count = len(explanation.findings) - len(explanation.hits)
    return w.say("findings.unsure" if count > 1 else "findings.unsure_one", count=count) if count else ""


def _finding(finding: Finding, explanation: Explanation, w: Wording) -> View:
    signal = finding.signal
    law = _citations(signal.cites, explanation, w)
    return {
        "id": signal.id,
        "title": w.pick(signal.title),
        "kind": signal.kind,
        "kind_words": w.label("kinds", signal.kind),
        "severity": w.label("severities", signal.severity),
        "version": w.say("findings.version", version=signal.version),
        "sentence": w.pick(finding.sentences),
        "facts": _finding_facts(finding, explanation, w),
        "limit_source": _limit_source(finding, explanation, w),
        "law": [f"{c['title']} · {c['days']}".removesuffix(" · ") for c in law],
        "excuse": w.pick(signal.excuses),
    }


def _finding_facts(finding: Finding, explanation: Explanation, w: Wording) -> list[tuple[str, str]]:
    signal = finding.signal
    limit = explanation.references.limits.get(signal.limit or "")
    rows = [(w.say("findings.value"), w.quantity(finding.value, signal.unit))]
    rows.append((w.say("findings.limit"), w.quantity(finding.limit, limit.unit if limit else signal.unit)))
    if finding.lines:
        rows.append((w.say("findings.lines"), ", ".join(str(n) for n in finding.lines)))
    if finding.amount is not None:
        rows.append((w.say("findings.amount"), w.money(finding.amount, exact=True)))
    return rows


def _limit_source(finding: Finding, explanation: Explanation, w: Wording) -> str:
    """Where the limit comes from, how strong that source is, and when somebody last looked it up."""
    limit = explanation.references.limits.get(finding.signal.limit or "")
    if limit is None:
        return ""
    cited, tag = finding.source or limit.source, finding.tag or limit.tag
    source = explanation.references.sources.get(cited)
    title = w.pick(source.title) if source else cited
    checked = w.say("findings.checked", date=w.date(limit.checked_on))
    return " · ".join((title, w.label("tags", tag), checked))


def _citations(ids: Iterable[str], explanation: Explanation, w: Wording) -> list[View]:
    """Cited sources; one that the references lack is named by its id."""
    sources = explanation.references.sources
    return [_citation(sources[i], w) if i in sources else {"title": i, "url": "", "days": ""} for i in ids]


def _citation(source: Source, w: Wording) -> View:
    return {"title": w.pick(source.title), "url": source.url, "days": _in_force(source, w)}


def _in_force(source: Source, w: Wording) -> str:
    if source.in_force_from is None:
        return ""
    start = w.date(source.in_force_from)
    if source.to is None:
        return w.say("findings.in_force", **{"from": start})
    return w.say("findings.in_force_until", **{"from": start, "to": w.date(source.to)})


# --- reasons ----------------------------------------------------------------------------------------------


def _reasons(explanation: Explanation, w: Wording) -> View:
    lowered = [r for r in reversed(explanation.reasons) if r.contribution < 0]
    return {
        "known": explanation.margin is not None,
        "top": [_reason(r, explanation, w) for r in explanation.top()],
        "lowered": [_reason(r, explanation, w) for r in lowered[:TOP]],
        "all": [_reason(r, explanation, w) for r in explanation.reasons],
        "all_words": w.say("reasons.all", count=len(explanation.reasons)),
        **_contribution_charts(explanation, w),
    }


def _reason(reason: Reason, explanation: Explanation, w: Wording) -> View:
    return {
        "id": reason.signal,
        "title": title_of(reason, explanation.entity, w),
        "sentence": w.pick(reason.sentences),
        "value": w.quantity(reason.value, reason.unit),
        "median": w.quantity(reason.peer_median, reason.unit),
        "among": w.among(reason.value, reason.peer_median, reason.peer_percentile),
        "weight": _signed(reason.contribution),
        "raised": reason.contribution > 0,
        "law": [c["title"] for c in _citations(reason.citations, explanation, w)],
        "excuse": w.pick(reason.excuses),
    }


def _contribution_charts(explanation: Explanation, w: Wording) -> View:
    if explanation.base is None or explanation.margin is None or not explanation.reasons:
        return {"wide": "", "narrow": "", "note": ""}
    axis = w.say("reasons.axis_unlabelled" if explanation.unlabelled else "reasons.axis")
    wide, narrow = (_bars(explanation, w, columns) for columns in (LABEL_COLUMNS, NARROW_COLUMNS))
    return {
        "wide": Markup(contribution_chart(wide, axis)),
        "narrow": Markup(contribution_chart(narrow, axis, narrow=True)),
        "note": w.say("reasons.chart_note_unlabelled" if explanation.unlabelled else "reasons.chart_note"),
    }


def _bars(explanation: Explanation, w: Wording, columns: int) -> list[Bar]:
    """Base, the heaviest signals (those that raise first), all others together, and the total."""
    assert explanation.base is not None
    assert explanation.margin is not None
    heaviest = sorted(explanation.reasons, key=lambda r: -abs(r.contribution))
    shown = sorted((r for r in heaviest[:BARS] if r.contribution), key=lambda r: -r.contribution)
    steps = [(title_of(r, explanation.entity, w), r.contribution) for r in shown]
    rest = heaviest[BARS:]
    if rest:
        others = w.say("reasons.others", count=len(rest))
        steps.append((others, sum(r.contribution for r in rest)))
    at = explanation.base
    bars = [_total(w.say("reasons.base"), at)]
    for title, step in steps:
        kind = "up" if step >= 0 else "down"
        bars.append(Bar(wrapped(title, columns), at, at + step, kind, _signed(step)))  # type: ignore[arg-type]
        at += step
    return [*bars, _total(w.say("reasons.total"), explanation.margin)]


def _total(label: str, at: float) -> Bar:
    return Bar((label,), at, at, "total", _signed(at, plus=False))


def _signed(value: float, plus: bool = True) -> str:
    """A weight with a true minus sign; what rounds to zero says so."""
    figure = f"{abs(value):.2f}"
    if figure == "0.00" and value:
        return "≈ 0"
    return ("\N{MINUS SIGN}" if value < 0 else "+" if plus else "") + figure


# --- peers ------------------------------------------------------------------------------------------------


def _top_peers(explanation: Explanation) -> list[PeerStanding]:
    standings = {p.signal: p for p in explanation.peers}
    return [standings[r.signal] for r in explanation.top() if r.signal in standings]


def _peer(standing: PeerStanding, explanation: Explanation, w: Wording) -> View:
    reason = next(r for r in explanation.reasons if r.signal == standing.signal)
    own, median = (w.quantity(v, reason.unit) for v in (standing.value, standing.median))
    count = w.say("peers.group_one" if standing.count == 1 else "peers.group", **{
        "count": w.number(standing.count), "group": w.group(standing.entity, standing.group)
    })  # fmt: skip
    percent, axis = reason.unit == "share", str(w.texts["axis"]["figures"])
    return {
        "title": title_of(reason, explanation.entity, w),
        "caption": w.say("peers.caption", own=own, median=median),
        "group": count,
        "svg": Markup(peer_chart(standing.quantiles, standing.value, standing.median, axis, percent)),
    }


# --- timeline ---------------------------------------------------------------------------------------------


def _timeline(timeline: Sequence[Event] | Sequence[Month], w: Wording) -> View:
    months = [t for t in timeline if isinstance(t, Month)]
    events = [t for t in timeline if isinstance(t, Event)]
    if months:
        return _months(months, w)
    return _events(events, w) if events else {"lead": "", "wide": "", "narrow": "", "heads": [], "rows": []}


def _months(months: Sequence[Month], w: Wording) -> View:
    amount, claims = w.head("timeline", "amount"), w.say("timeline.claims")
    figures, axis = [(m.day, m.claims, m.amount) for m in months], str(w.texts["axis"]["figures"])
    cells = [(f"{m.day:%Y-%m}", w.number(m.claims), w.cell("amount", m.amount)) for m in months]
    return {
        "lead": w.say("timeline.months"),
        "wide": Markup(month_chart(figures, amount, claims, axis)),
        "narrow": Markup(month_chart(figures, amount, claims, axis, narrow=True)),
        "marks": False,
        "heads": [(w.say("timeline.month"), False), (claims, True), (amount, True)],
        "rows": [{"marked": False, "cells": row} for row in cells],
        "all": w.say("timeline.all", count=len(months)),
        "more": "",
    }


def _events(events: Sequence[Event], w: Wording) -> View:
    marks = [_mark(e, w) for e in events]
    shown = _nearest(events)
    return {
        "lead": w.say("timeline.events"),
        "wide": Markup(event_chart(marks)),
        "narrow": Markup(event_chart(marks, narrow=True)),
        "marks": any(e.marked for e in events),
        "heads": [(w.head("timeline", h), h == "amount") for h in ("date", "kind", "label", "amount")],
        "rows": [{"marked": e.marked, "cells": _event_cells(e, w)} for e in shown],
        "all": w.say("timeline.all", count=len(events)),
        "more": w.say("timeline.more", count=len(events) - len(shown)) if len(events) > len(shown) else "",
    }


def _mark(event: Event, w: Wording) -> Mark:
    lane = w.cell("visit_type", event.kind)
    return Mark(event.day, event.until or event.day, lane, event.amount or 0.0, event.marked)


def _nearest(events: Sequence[Event]) -> list[Event]:
    """The marked events, and the newest of the others, newest first."""
    by_weight = sorted(events, key=lambda e: (e.marked, e.day), reverse=True)[:EVENTS]
    return sorted(by_weight, key=lambda e: e.day, reverse=True)


def _event_cells(event: Event, w: Wording) -> tuple[str, ...]:
    days = w.cell("day", event.day)
    if event.until and event.until > event.day:
        days = w.say("formats.period", **{"from": days, "to": w.cell("day", event.until)})
    return days, w.cell("visit_type", event.kind), event.label, w.cell("amount", event.amount)


# --- evidence, checks, unknowns -----------------------------------------------------------------------------


def _evidence_blocks(explanation: Explanation, w: Wording) -> list[View]:
    """Rows behind findings first, then behind the reasons, then whatever else was attached.

    Signals that count the same rows share a block.
    """
    first = [f.signal.id for f in explanation.hits] + [r.signal for r in explanation.top()]
    order = dict.fromkeys([*first, *explanation.evidence])
    alike: list[list[Evidence]] = []
    for found in (e for i in order for e in explanation.evidence.get(i, ()) if e.total):
        block = next((b for b in alike if _same_rows(b[0], found)), None)
        if block is None:
            alike.append([found])
        else:
            block.append(found)
    return [_evidence(block, explanation, w) for block in alike]


def _same_rows(one: Evidence, other: Evidence) -> bool:
    return (one.scope, one.total) == (other.scope, other.total) and one.rows.equals(other.rows)


def _evidence(block: Sequence[Evidence], explanation: Explanation, w: Wording) -> View:
    first = block[0]
    rows = _without_own_id(first.rows.slice(0, ROWS), explanation)
    titles = dict.fromkeys(w.pick(e.signal.title) for e in block)
    return {
        "title": " · ".join(titles),
        "count": _count(first, w),
        "heads": [(w.head("columns", f.name), _is_figure(f)) for f in rows.schema],
        "rows": [{"marked": False, "cells": [w.cell(*p) for p in row.items()]} for row in rows.to_pylist()],
        "more": w.say("evidence.more", count=first.total - len(rows)) if first.total > len(rows) else "",
    }


def _without_own_id(rows: pa.Table, explanation: Explanation) -> pa.Table:
    """The rows without the column that names the entity of the page in every one of them."""
    own = f"{explanation.entity}_id"
    if own in rows.column_names and set(rows[own].to_pylist()) == {explanation.entity_id}:
        return rows.drop_columns([own])
    return rows


def _count(evidence: Evidence, w: Wording) -> str:
    form = "row" if evidence.total == 1 else "rows"
    if evidence.amount is None:
        return w.say(f"evidence.{form}", count=w.number(evidence.total))
    amount = w.money(evidence.amount, exact=True)
    return w.say(f"evidence.{form}_amount", count=w.number(evidence.total), amount=amount)


def _is_figure(field: pa.Field) -> bool:
    """Whether a column is set flush right; numbers that only name a row are not."""
    if field.name in ("line_no", "position"):
        return False
    return bool(pa.types.is_floating(field.type) or pa.types.is_integer(field.type))


def _checks(explanation: Explanation, w: Wording) -> list[tuple[str, str]]:
    """Innocent explanations of findings and top reasons, each said once."""
    found = [(w.pick(f.signal.title), w.pick(f.signal.excuses)) for f in explanation.hits]
    found += [(title_of(r, explanation.entity, w), w.pick(r.excuses)) for r in explanation.top()]
    once: dict[str, str] = {}
    for title, excuse in found:
        once.setdefault(excuse, title)
    return [(title, excuse) for excuse, title in once.items() if excuse]


def _unknown(explanation: Explanation, w: Wording) -> View:
    unsure = [f for f in explanation.findings if f.status != "hit"]
    skipped = {i: why for i, why in explanation.skipped.items() if i not in {f.signal.id for f in unsure}}
    titles, spots = explanation.references.titles, explanation.blind_spots.items()
    rules = [(w.pick(f.signal.title), w.because(f.why) if f.why else NOT_KNOWN) for f in unsure]
    others = [(w.pick(titles.get(i, {})) or i, w.because(why)) for i, why in skipped.items()]
    return {
        # A payer's own signal may have its blind spot in English only.
        "blind": [(w.pick(titles.get(i, {})) or i, _prose(w.pick(t) or t["en"])) for i, t in spots],
        "lists": [
            {"heading": w.say(f"unknown.{kind}", count=len(rows)), "rows": rows, "folded": len(rows) > LISTED}
            for kind, rows in (("rules", rules), ("skipped", others))
            if rows
        ],
    }


def _prose(text: str) -> str:
    """A docstring's half sentence as a sentence for readers."""
    return text[:1].upper() + text[1:].replace("`", "")


def _provenance(explanation: Explanation, w: Wording) -> list[tuple[str, str, bool]]:
    """Label, value, and whether the value is for machines."""
    p = explanation.provenance
    rows = [
        ("run", p.run_id, True),
        ("model", _model(explanation, w), False),
        ("fitted_on", p.fitted_on, False),
        ("data_digest", p.data_digest, True),
        ("catalogue_digest", p.catalogue_digest, True),
        ("generated_at", w.moment(p.generated_at), False),
        ("command", p.command, True),
    ]
    return [(w.say(f"provenance.{key}"), value, code) for key, value, code in rows if value]


def _model(explanation: Explanation, w: Wording) -> str:
    p = explanation.provenance
    if p.model_name is None:
        return w.say("provenance.no_model")
    form = "model_value_alias" if p.model_alias else "model_value"
    return w.say(f"provenance.{form}", name=p.model_name, version=p.model_version, alias=p.model_alias)
