"""The course of things: a patient's claims by day, or an entity's months."""

from __future__ import annotations

from collections.abc import Sequence

from fraud.explaining.charts import Mark
from fraud.explaining.content.document import (
    Audience,
    Cell,
    Column,
    EventFigures,
    Figure,
    Grid,
    MonthFigures,
    Row,
    Section,
    Text,
)
from fraud.explaining.explanation import Event, Explanation, Month
from fraud.explaining.wording import Wording

__all__ = ["course_section"]

# Events that a page lists.
EVENTS = 60


def course_section(explanation: Explanation, w: Wording, audience: Audience) -> Section:
    """A chart over time, and the entries behind it."""
    months = [t for t in explanation.timeline if isinstance(t, Month)]
    events = [t for t in explanation.timeline if isinstance(t, Event)]
    blocks = _months(months, w) if months else _events(events, w, audience) if events else ()
    if not blocks:
        return Section("timeline", w.say("headings.timeline"), (Text(w.say("timeline.none")),))
    return Section("timeline", w.say("headings.timeline"), blocks)


def _months(months: Sequence[Month], w: Wording) -> tuple[Text, Figure, Grid]:
    amount, claims = w.head("timeline", "amount"), w.say("timeline.claims")
    figures = tuple((m.day, m.claims, m.amount) for m in months)
    lead = w.say("timeline.months")
    chart = MonthFigures(figures, amount, claims, str(w.texts["axis"]["figures"]))
    columns = (
        Column("month", w.say("timeline.month")),
        Column("claims", claims, True),
        Column("amount", amount, True),
    )
    rows = tuple(
        Row(
            (
                Cell(f"{m.day:%Y-%m}", m.day),
                Cell(w.number(m.claims), m.claims),
                Cell(w.cell("amount", m.amount), m.amount),
            )
        )
        for m in months
    )
    return Text(lead), Figure(chart, "", alt=lead), _grid(columns, rows, w)


def _events(events: Sequence[Event], w: Wording, audience: Audience) -> tuple[Text, Figure, Grid]:
    lead = w.say("timeline.events" if audience == "internal" else "timeline.events_own")
    legend = (("own", w.say("timeline.marked")), ("others", w.say("timeline.others")))
    chart = EventFigures(tuple(_mark(e, w) for e in events))
    columns = tuple(Column(h, w.head("timeline", h), h == "amount") for h in ("date", "kind", "label", "amount"))
    rows = tuple(Row(_cells(e, w), e.marked) for e in _weightiest_first(events))
    figure = Figure(chart, "", alt=lead, legend=legend if any(e.marked for e in events) else ())
    return Text(lead), figure, _grid(columns, rows, w)


def _grid(columns: tuple[Column, ...], rows: tuple[Row, ...], w: Wording) -> Grid:
    more = w.say("timeline.more", count=len(rows) - EVENTS) if len(rows) > EVENTS else ""
    folded = w.say("timeline.all", count=len(rows))
    shown = EVENTS if more else len(rows)
    return Grid(columns, rows, sheet=w.say("headings.timeline"), shown=shown, more=more, folded=folded)


def _mark(event: Event, w: Wording) -> Mark:
    lane = w.cell("visit_type", event.kind)
    return Mark(event.day, event.until or event.day, lane, event.amount or 0.0, event.marked)


def _weightiest_first(events: Sequence[Event]) -> list[Event]:
    """What a page shows, newest first, and then the rest: the marked events and the newest others are shown."""
    by_weight = sorted(events, key=lambda e: (e.marked, e.day), reverse=True)
    return [e for part in (by_weight[:EVENTS], by_weight[EVENTS:]) for e in _newest_first(part)]


def _newest_first(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda e: e.day, reverse=True)


def _cells(event: Event, w: Wording) -> tuple[Cell, ...]:
    days = w.cell("day", event.day)
    if event.until and event.until > event.day:
        days = w.say("formats.period", **{"from": days, "to": w.cell("day", event.until)})
    return (
        Cell(days, event.day),
        Cell(w.cell("visit_type", event.kind)),
        Cell(event.label),
        Cell(w.cell("amount", event.amount), event.amount),
    )
