"""What the model leaned on: contributions that add up to the score, and the peers beside which the figures stand."""

from __future__ import annotations

from collections.abc import Iterator

from fraud.explaining.charts import Bar, wrapped
from fraud.explaining.content.citing import citations_of
from fraud.explaining.content.document import (
    Block,
    Cell,
    Column,
    Figure,
    Gallery,
    Grid,
    Item,
    Listing,
    Note,
    PeerFigures,
    ReasonRow,
    ReasonTable,
    Row,
    Section,
    Steps,
    Text,
)
from fraud.explaining.explanation import TOP, Explanation, PeerStanding
from fraud.explaining.reasons import Reason
from fraud.explaining.summary import title_of
from fraud.explaining.wording import Wording

__all__ = ["leading_in_brief", "peers_section", "reasons_section"]

# Bars of the chart beside those of base, all others and total; columns of a label in its wide and narrow form.
BARS, LABEL_COLUMNS, NARROW_COLUMNS = 8, 36, 34
_HEADS = ("signal", "value", "peer_median", "peer_percentile", "contribution")


def reasons_section(explanation: Explanation, w: Wording) -> Section:
    """The chart of contributions, the leading reasons, what lowered the score, and all of them."""
    heading = w.say("headings.reasons")
    if explanation.margin is None:
        return Section("reasons", heading, (Text(w.say("reasons.none")),))
    return Section("reasons", heading, (Text(w.say("reasons.lead")), *_known(explanation, w)))


def leading_in_brief(explanation: Explanation, w: Wording) -> Iterator[Listing]:
    """The leading reasons, a line each."""
    items = tuple(Item(title_of(r, explanation.entity, w), w.pick(r.sentences)) for r in explanation.top())
    if items:
        yield Listing(items, w.say("headings.reasons"))


def _known(explanation: Explanation, w: Wording) -> Iterator[Block]:
    if explanation.base is not None and explanation.reasons:
        yield _chart(explanation, w)
    top = tuple(_reason(r, explanation, w) for r in explanation.top())
    heads = [w.say(f"reasons.{h}") for h in _HEADS]
    yield ReasonTable(tuple(heads), top) if top else Text(w.say("reasons.none_positive"))  # type: ignore[arg-type]
    lowered = [r for r in reversed(explanation.reasons) if r.contribution < 0][:TOP]
    if lowered:
        yield _weights(lowered, explanation, w, w.say("reasons.lowered"), "")
    if explanation.reasons:
        folded = w.say("reasons.all", count=len(explanation.reasons))
        yield _weights(explanation.reasons, explanation, w, folded, w.say("headings.reasons"))
    if explanation.rest:
        yield Text(w.say("reasons.rest", weight=_signed(explanation.rest)))


def _reason(reason: Reason, explanation: Explanation, w: Wording) -> ReasonRow:
    law = tuple(c.title for c in citations_of(reason.citations, explanation, w))
    notes = ((w.say("reasons.excuse"), (w.pick(reason.excuses),)), (w.say("reasons.citations"), law))
    return ReasonRow(
        title=title_of(reason, explanation.entity, w),
        sentence=w.pick(reason.sentences),
        value=_value(reason, w),
        median=Cell(w.quantity(reason.peer_median, reason.unit), reason.peer_median),
        among=w.among(reason.value, reason.peer_median, reason.peer_percentile),
        weight=_weight(reason),
        notes=tuple(Note(label, texts) for label, texts in notes if any(texts)),
    )


def _value(reason: Reason, w: Wording) -> Cell:
    return Cell(w.quantity(reason.value, reason.unit), reason.value)


def _weight(reason: Reason) -> Cell:
    weight = reason.contribution
    return Cell(_signed(weight), weight, "up" if weight > 0 else "down" if weight < 0 else "")


def _weights(
    reasons: tuple[Reason, ...] | list[Reason], explanation: Explanation, w: Wording, folded: str, sheet: str
) -> Grid:
    """Figures with their weights; without a name of a sheet for pages alone."""
    heads = (("figure", False), ("value", True), ("peer_median", True), ("contribution", True))
    rows = tuple(
        Row(
            (
                Cell(title_of(r, explanation.entity, w), title_of(r, explanation.entity, w)),
                _value(r, w),
                Cell(w.quantity(r.peer_median, r.unit), r.peer_median),
                _weight(r),
            )
        )
        for r in reasons
    )
    columns = tuple(Column(name, w.say(f"reasons.{name}"), figure) for name, figure in heads)
    return Grid(columns, rows, sheet=sheet, shown=len(rows), folded=folded)


# --- the chart --------------------------------------------------------------------------------------------


def _chart(explanation: Explanation, w: Wording) -> Figure:
    axis = w.say("reasons.axis_unlabelled" if explanation.unlabelled else "reasons.axis")
    wide, narrow = (tuple(_bars(explanation, w, columns)) for columns in (LABEL_COLUMNS, NARROW_COLUMNS))
    note = w.say("reasons.chart_note_unlabelled" if explanation.unlabelled else "reasons.chart_note")
    title = w.say("reasons.chart")
    return Figure(Steps(wide, narrow, axis), title, note, alt=title)


def _bars(explanation: Explanation, w: Wording, columns: int) -> Iterator[Bar]:
    """Base, the heaviest signals (those that raise first), all others together, and the total."""
    assert explanation.base is not None
    assert explanation.margin is not None
    heaviest = sorted(explanation.reasons, key=lambda r: -abs(r.contribution))
    shown = sorted((r for r in heaviest[:BARS] if r.contribution), key=lambda r: -r.contribution)
    steps = [(title_of(r, explanation.entity, w), r.contribution) for r in shown]
    others = heaviest[BARS:]
    if others or explanation.rest:
        label = w.say("reasons.others", count=len(others)) if others else w.say("reasons.untold")
        steps.append((label, sum(r.contribution for r in others) + explanation.rest))
    at = explanation.base
    yield _total(w.say("reasons.base"), at)
    for title, step in steps:
        kind = "up" if step >= 0 else "down"
        yield Bar(wrapped(title, columns), at, at + step, kind, _signed(step))  # type: ignore[arg-type]
        at += step
    yield _total(w.say("reasons.total"), explanation.margin)


def _total(label: str, at: float) -> Bar:
    return Bar((label,), at, at, "total", _signed(at, plus=False))


def _signed(value: float, plus: bool = True) -> str:
    """A weight with a true minus sign; what rounds to zero says so, and nothing has no sign."""
    if not value:
        return "0"
    figure = f"{abs(value):.2f}"
    if figure == "0.00":
        return "≈ 0"
    return ("\N{MINUS SIGN}" if value < 0 else "+" if plus else "") + figure


# --- peers ------------------------------------------------------------------------------------------------


def peers_section(explanation: Explanation, w: Wording) -> Section:
    """The leading figures in the distributions of their peers."""
    standings = {p.signal: p for p in explanation.peers}
    top = [standings[r.signal] for r in explanation.top() if r.signal in standings]
    if not top:
        return Section("peers", w.say("headings.peers"), (Text(w.say("peers.none")),))
    own = w.say("peers.legend_own", entity=w.label("entities", explanation.entity))
    legend = (("others", w.say("peers.legend_peers")), ("median", w.say("peers.legend_median")), ("own", own))
    gallery = Gallery(tuple(_peer(p, explanation, w) for p in top), legend)
    return Section("peers", w.say("headings.peers"), (Text(w.say("peers.lead")), gallery))


def _peer(standing: PeerStanding, explanation: Explanation, w: Wording) -> Figure:
    reason = next(r for r in explanation.reasons if r.signal == standing.signal)
    own, median = (w.quantity(v, reason.unit) for v in (standing.value, standing.median))
    places = {"count": w.number(standing.count), "group": w.group(standing.entity, standing.group)}
    title, caption = title_of(reason, explanation.entity, w), w.say("peers.caption", own=own, median=median)
    axis, percent = str(w.texts["axis"]["figures"]), reason.unit == "share"
    return Figure(
        PeerFigures(standing.quantiles, standing.value, standing.median, axis, percent),
        title,
        caption,
        w.say("peers.group_one" if standing.count == 1 else "peers.group", **places),
        f"{title}: {caption}",
    )
