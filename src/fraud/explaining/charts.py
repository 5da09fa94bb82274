"""Charts of a report as SVG, drawn on the server: no script and no network in the page.

Every chart takes figures and words that are ready for the reader; text from the data is never put into an
expression, and the SVG writer escapes it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import altair as alt

__all__ = [
    "DOWN",
    "OTHERS",
    "OWN",
    "UP",
    "Bar",
    "Mark",
    "contribution_chart",
    "event_chart",
    "month_chart",
    "peer_chart",
    "to_svg",
    "wrapped",
]

FONT = (
    'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", '
    '"Microsoft YaHei", sans-serif'
)
INK, QUIET, LINE = "#0f172a", "#475569", "#e2e8f0"
# Orange and blue are told apart by readers who do not see red and green.
UP, DOWN, OWN, OTHERS = "#c2410c", "#1d4ed8", "#c2410c", "#94a3b8"
_COLOURS = {"up": UP, "down": DOWN, "total": INK}
BINS = 24
PLAIN = "format(datum.value, '~s')"
# A span of days up to which the axis of a timeline names days, and not months.
SHORT_SPAN = 200
# Of one Latin letter of a label, generously.
COLUMN_WIDTH = 7.4


@dataclass(frozen=True)
class Bar:
    """One step of a score from `start` to `end`; `lines` is its label, `text` its figure."""

    lines: tuple[str, ...]
    start: float
    end: float
    kind: Literal["up", "down", "total"]
    text: str


@dataclass(frozen=True)
class Mark:
    """One claim on a timeline; `lane` is the word for its kind."""

    day: date
    until: date
    lane: str
    amount: float
    marked: bool


def contribution_chart(bars: Sequence[Bar], axis: str, narrow: bool = False) -> str:
    """A waterfall of contributions, from the first bar down to the last.

    In the `narrow` form for a phone, labels stand above their bars.
    """
    alt = _altair()
    step, width = (62, 262) if narrow else (38, 400)
    rows = [_bar_row(i, bar) for i, bar in enumerate(bars)]
    low, high = _padded([v for b in bars for v in (b.start, b.end)], 0.22 if narrow else 0.14)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    chart = alt.Chart(alt.Data(values=rows))
    y = alt.Y("row:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    x = alt.X("low:Q", scale=scale, axis=alt.Axis(title=axis, tickCount=5 if narrow else 7, titlePadding=10))
    colour = alt.Color("colour:N", scale=None)
    shift = 14 if narrow else 0
    bar = chart.mark_bar(height=14 if narrow else 18, cornerRadius=2, yOffset=shift)
    tick = chart.transform_filter("datum.low == datum.high").mark_tick(thickness=3, size=16, yOffset=shift, color=INK)
    right = chart.transform_filter("datum.right").mark_text(align="left", dx=6, yOffset=shift, fontSize=12)
    left = chart.transform_filter("!datum.right").mark_text(align="right", dx=-6, yOffset=shift, fontSize=12)
    low_x, high_x = (alt.X(f"{edge}:Q", scale=scale) for edge in ("low", "high"))
    layers = [
        bar.encode(x=x, x2="high:Q", y=y, color=colour),
        tick.encode(x=low_x, y=y),
        right.encode(x=high_x, y=y, text="text:N"),
        left.encode(x=low_x, y=y, text="text:N"),
        *(_labels_above(chart, y) if narrow else _labels_left(chart, y, bars)),
    ]
    return to_svg(alt.layer(*layers).properties(width=width, height=alt.Step(step)))


def _labels_above(chart: Any, y: Any) -> list[Any]:
    alt = _altair()
    return [
        chart.transform_filter(f"datum.lines.length == {n}")
        .mark_text(align="left", baseline="top", dy=dy, fontSize=12, lineHeight=14)
        .encode(x=alt.value(0), y=y, text="lines:N")
        for n, dy in ((1, -15), (2, -29))
    ]


def _labels_left(chart: Any, y: Any, bars: Sequence[Bar]) -> list[Any]:
    alt = _altair()
    text = chart.mark_text(align="right", baseline="middle", dx=-12, fontSize=13, lineHeight=15)
    # The writer measures with the fonts of this machine; this line keeps room for those of the reader.
    room = 20 + COLUMN_WIDTH * max(columns(line) for b in bars for line in b.lines)
    keep = chart.mark_rule(opacity=0).encode(x=alt.value(-room), x2=alt.value(0), y=y)
    return [text.encode(x=alt.value(0), y=y, text="lines:N"), keep]


def _bar_row(i: int, bar: Bar) -> dict[str, Any]:
    return {
        "row": i,
        "lines": list(bar.lines),
        "low": min(bar.start, bar.end),
        "high": max(bar.start, bar.end),
        "right": bar.end >= bar.start,
        "colour": _COLOURS[bar.kind],
        "text": bar.text,
    }


def peer_chart(
    quantiles: Sequence[float],
    value: float | None,
    median: float,
    figures: str = PLAIN,
    percent: bool = False,
) -> str:
    """How the peers are spread (bars), their median (dashed) and this entity's value (thick line).

    `figures` is the expression that writes the figures of an axis in the reader's language.
    """
    alt = _altair()
    spread = _histogram(np.asarray(quantiles, dtype=float), value, percent)
    edges, heights = spread.edges, spread.heights
    bins = zip(edges[:-1], edges[1:], heights, strict=True)
    rows = [{"a": a, "b": b, "n": n, "floor": 0} for a, b, n in bins if n]
    kind = "log" if spread.form == "log" else "linear"
    scale = alt.Scale(type=kind, domain=[edges[0], edges[-1]], nice=False, zero=False)
    words = "format(datum.value, '~p')" if percent else figures
    ticks = {"values": _whole_ticks(edges)} if spread.form == "whole" else {"tickCount": 4}
    axis = alt.Axis(title=None, labelExpr=words, grid=False, labelOverlap=True, labelSeparation=6, **ticks)
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=OTHERS, stroke="#fff", strokeWidth=1)
        .encode(
            x=alt.X("a:Q", scale=scale, axis=axis),
            x2="b:Q",
            y2="floor:Q",
            y=alt.Y("n:Q", axis=None, scale=alt.Scale(domain=[0, max(heights) * 1.08])),
        )
    )
    layers = [bars, _rule(median, INK, 1.5, [4, 3], scale)]
    layers += [] if value is None else [_rule(value, OWN, 3.5, [1, 0], scale)]
    return to_svg(alt.layer(*layers).properties(width=250, height=90))


def _rule(at: float, colour: str, width: float, dash: list[int], scale: Any) -> Any:
    alt = _altair()
    rule = alt.Chart(alt.Data(values=[{"at": at}])).mark_rule(color=colour, strokeWidth=width, strokeDash=dash)
    return rule.encode(x=alt.X("at:Q", scale=scale))


def _whole_ticks(edges: Sequence[float]) -> list[int]:
    whole = range(int(edges[0] + 0.5), int(edges[-1] - 0.5) + 1)
    return list(whole[:: max(1, len(whole) // 6)])


@dataclass(frozen=True)
class _Histogram:
    """Edges of the bins, the share of the peers in each, and what kind of axis suits them."""

    edges: list[float]
    heights: list[float]
    form: Literal["plain", "whole", "log"]


def _histogram(quantiles: np.ndarray, value: float | None, percent: bool) -> _Histogram:
    """The spread of the peers.

    The outermost half percent of them is left out, so that one odd peer does not hide the others.
    """
    inner = quantiles[1:-1] if len(quantiles) > 2 else quantiles
    known = [float(inner.min()), float(inner.max()), *([] if value is None else [value])]
    low, high = min(known), max(known)
    form = _form(inner, low, high, percent)
    edges = _edges(low, high, form, percent)
    heights = np.histogram(np.clip(inner, edges[0], edges[-1]), edges)[0] / len(inner)
    return _Histogram(edges.tolist(), heights.tolist(), form)


def _form(inner: np.ndarray, low: float, high: float, percent: bool) -> Literal["plain", "whole", "log"]:
    # Quantiles of whole numbers are whole, but for the few between two of them.
    if not percent and high - low <= BINS and float(np.mean(inner == np.round(inner))) > 0.9:
        return "whole"
    # A linear axis that is thirty medians long would show all peers as one bar.
    return "log" if low > 0 and high > 30 * float(np.median(inner)) else "plain"


def _edges(low: float, high: float, form: str, percent: bool) -> np.ndarray:
    if form == "log":
        return np.geomspace(low * 0.9, high * 1.1, BINS + 1)
    if form == "whole":
        return np.arange(np.floor(low) - 0.5, np.ceil(high) + 1.0)
    pad = (high - low) * 0.04 or (0.01 if percent else max(abs(high), 1.0) * 0.5)
    # What cannot be negative has no axis below zero.
    start = max(low - pad, 0.0) if low >= 0 else low - pad
    return np.linspace(start, high + pad, BINS + 1)


def month_chart(
    months: Sequence[tuple[date, int, float]],
    amount_title: str,
    claims_title: str,
    figures: str = PLAIN,
    narrow: bool = False,
) -> str:
    """Charges and claims by month, one above the other."""
    alt = _altair()
    rows = [{"day": f"{day:%Y-%m}", "claims": claims, "amount": amount} for day, claims, amount in months]
    ticks = _month_ticks([str(r["day"]) for r in rows], 4 if narrow else 10)
    chart = alt.Chart(alt.Data(values=rows)).properties(width=250 if narrow else 760)

    def bars(field: str, title: str, colour: str, labels: bool) -> Any:
        axis = alt.Axis(title=None, labels=labels, ticks=labels, values=ticks, labelAngle=0, grid=False)
        y = alt.Y(f"{field}:Q", axis=alt.Axis(title=None, tickCount=3, labelExpr=figures))
        heading = alt.TitleParams(title, anchor="start", offset=8)
        mark = chart.mark_bar(color=colour, cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        return mark.encode(x=alt.X("day:O", axis=axis, scale=alt.Scale(padding=0.2)), y=y).properties(
            height=110 if field == "amount" else 70, title=heading
        )

    both = bars("amount", amount_title, DOWN, False), bars("claims", claims_title, OTHERS, True)
    return to_svg(alt.vconcat(*both, spacing=14))


def _month_ticks(days: list[str], most: int) -> list[str]:
    return days[:: max(1, -(-len(days) // most))]


def event_chart(marks: Sequence[Mark], narrow: bool = False) -> str:
    """Claims by day, a lane for each kind; stays are bars, and the size of a dot grows with the amount."""
    alt = _altair()
    rows = [_mark_row(m) for m in sorted(marks, key=lambda m: m.marked)]
    lanes = list(dict.fromkeys(m.lane for m in marks))
    chart = alt.Chart(alt.Data(values=rows))
    low, high = min(m.day for m in marks), max(m.until for m in marks)
    form = "%Y-%m-%d" if (high - low).days <= SHORT_SPAN else "%Y-%m"
    day = alt.Axis(title=None, format=form, tickCount=2 if narrow else 6, grid=True, labelOverlap=True)
    edge = max((high - low).days // 40, 3)
    domain = [f"{d:%Y-%m-%d}T00:00:00" for d in (low - timedelta(days=edge), high + timedelta(days=edge))]
    x = alt.X("day:T", axis=day, scale=alt.Scale(domain=domain, nice=False))
    lane = alt.Axis(title=None, grid=False, ticks=False, labelPadding=8, labelLimit=160)
    y = alt.Y("lane:N", sort=lanes, axis=lane)
    colour = alt.Color("colour:N", scale=None)
    size = alt.Size("amount:Q", legend=None, scale=alt.Scale(type="sqrt", range=[24, 260]))
    stays = chart.transform_filter("datum.stay").mark_bar(height=10, cornerRadius=3)
    visits = chart.transform_filter("!datum.stay").mark_circle(opacity=0.75)
    layers = (
        stays.encode(x, x2="until:T", y=y, color=colour),
        visits.encode(x, y=y, color=colour, size=size),
    )
    return to_svg(alt.layer(*layers).properties(width=230 if narrow else 680, height=alt.Step(44)))


def _mark_row(mark: Mark) -> dict[str, Any]:
    return {
        "day": f"{mark.day:%Y-%m-%d}T00:00:00",
        "until": f"{mark.until:%Y-%m-%d}T00:00:00",
        "lane": mark.lane,
        "amount": mark.amount,
        "stay": mark.until > mark.day,
        "colour": OWN if mark.marked else OTHERS,
    }


# --- text ---------------------------------------------------------------------------------------------------


def wrapped(text: str, width: int, most: int = 2) -> tuple[str, ...]:
    """The text on at most `most` lines of `width` columns; an ellipsis says that more follows.

    >>> wrapped("Readmissions for the same disease", 20)
    ('Readmissions for the', 'same disease')
    """
    lines: list[str] = []
    rest = text.strip()
    while rest and len(lines) < most:
        cut = _cut(rest, width)
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest:
        lines[-1] = lines[-1][: _fits(lines[-1], width - 1)].rstrip() + "…"
    return tuple(lines)


def _cut(text: str, width: int) -> int:
    """Where a line ends: after the last word that fits, or inside a word that does not."""
    fits = _fits(text, width)
    if fits == len(text):
        return fits
    space = text.rfind(" ", 0, fits + 1)
    return space if space > fits // 2 else max(fits, 1)


def _fits(text: str, width: int) -> int:
    """How many characters fit into so many columns."""
    return next((i for i in range(len(text)) if columns(text[: i + 1]) > width), len(text))


def columns(text: str) -> int:
    """Columns that a text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


# --- drawing ------------------------------------------------------------------------------------------------


def _padded(values: Sequence[float], share: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high - low) * share or 1.0
    return low - pad, high + pad


def _altair() -> Any:
    import altair

    return altair


@lru_cache(maxsize=1)
def _config() -> dict[str, Any]:
    return {
        "background": None,
        "font": FONT,
        "aria": False,
        "padding": {"left": 14, "right": 8, "top": 2, "bottom": 2},
        "view": {"stroke": None},
        "text": {"font": FONT, "fill": INK},
        "title": {"font": FONT, "fontSize": 12, "fontWeight": "normal", "color": QUIET},
        "axis": {
            "labelFont": FONT,
            "titleFont": FONT,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "labelColor": QUIET,
            "titleColor": QUIET,
            "domainColor": LINE,
            "tickColor": LINE,
            "gridColor": LINE,
        },
    }


def to_svg(chart: alt.TopLevelMixin) -> str:
    """The chart as SVG in the fonts and colours of a report."""
    import vl_convert

    # Specs are written here and tested: validating each against the schema would cost more than drawing it.
    spec = chart.to_dict(validate=False)
    svg: str = vl_convert.vegalite_to_svg(spec, config=_config())
    return _with_own_ids(svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))


def _with_own_ids(svg: str) -> str:
    """The drawing with ids that follow from it: the writer counts on from one drawing to the next."""
    ids = list(dict.fromkeys(re.findall(r'id="([a-z]+_?\d+)"', svg)))
    for i, found in enumerate(ids):
        svg = svg.replace(f'id="{found}"', f'id="@{i}"').replace(f"url(#{found})", f"url(#@{i})")
    own = hashlib.sha256(svg.encode()).hexdigest()[:12]
    return re.sub(r'(id="|url\(#)@', rf"\1c{own}-", svg)
