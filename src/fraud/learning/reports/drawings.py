"""Drawings that several reports of learning share: figures with their bounds, reliability, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from fraud.explaining.charts import COLUMN_WIDTH, DOWN, INK, LINE, OTHERS, UP, columns, to_svg, wrapped

__all__ = [
    "Bounded",
    "Drawing",
    "bar_chart",
    "curve_chart",
    "interval_chart",
    "line_chart",
    "reliability_chart",
    "strip_chart",
]

_WIDE, _NARROW = 560, 200
_LABEL_COLUMNS, _NARROW_COLUMNS = 44, 15
# Pixels of a row, and of each line of its label where that is taller.
_ROW, _TEXT_LINE = 28, 14
_PERCENT, _NUMBER = "format(datum.value, '.0%')", "format(datum.value, ',~r')"


class Drawing(str):
    """The SVG text of a drawing, which knows its `caption` and its form for `narrow` pages."""

    __slots__ = ("caption", "narrow")

    def __new__(cls, wide: str, narrow: str = "", caption: str = "") -> Drawing:
        """The wide form with the others beside it."""
        made = super().__new__(cls, wide)
        made.narrow, made.caption = narrow, caption
        return made

    caption: str
    narrow: str


@dataclass(frozen=True)
class Bounded:
    """A figure with its bounds; `mark` is a second figure to compare it with, `loud` a colour that stands out."""

    label: str
    value: float
    low: float
    high: float
    mark: float | None = None
    loud: bool = False


def interval_chart(
    rows: Sequence[Bounded], axis: str, *, percent: bool = False, zero: bool = False, narrow: bool = False
) -> str:
    """A dot with its bounds for each row, from the first down; with `zero`, a line where nothing differs."""
    alt = _altair()
    shown = [r for r in rows if isfinite(r.value)]
    data = [_row(i, r, narrow) for i, r in enumerate(shown)]
    chart = alt.Chart(alt.Data(values=data))
    words = _PERCENT if percent else _NUMBER
    x_axis = alt.Axis(title=axis, labelExpr=words, tickCount=4 if narrow else 7, titlePadding=10)
    scale = alt.Scale(zero=False, nice=False, padding=8)
    x = alt.X("value:Q", axis=x_axis, scale=scale)
    y = alt.Y("row:O", axis=None)
    colour = alt.Color("colour:N", scale=None)
    layers = [
        chart.mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", axis=x_axis, scale=scale), x2="high:Q", y=y, color=colour
        ),
        chart.mark_circle(size=80, opacity=1).encode(x=x, y=y, color=colour),
        chart.transform_filter("isValid(datum.mark)")
        .mark_tick(thickness=2.5, size=18, color=INK)
        .encode(x=alt.X("mark:Q", axis=x_axis), y=y),
        *_labels(chart, y, data),
    ]
    if zero:
        at = alt.Chart(alt.Data(values=[{"at": 0}])).mark_rule(color=OTHERS, strokeDash=[4, 3])
        layers.insert(0, at.encode(x=alt.X("at:Q", axis=x_axis, scale=scale)))
    width = _NARROW if narrow else _WIDE
    return to_svg(alt.layer(*layers).properties(width=width, height=_step(data)))


def _step(rows: Sequence[dict[str, Any]]) -> Any:
    """The height of a row: as many lines as the tallest label has."""
    return _altair().Step(max([_ROW, *(_TEXT_LINE * len(r["lines"]) + 8 for r in rows)]))


def _row(i: int, r: Bounded, narrow: bool) -> dict[str, Any]:
    low, high = (b if isfinite(b) else r.value for b in (r.low, r.high))
    colour = UP if r.loud else DOWN
    return {
        "row": i,
        "lines": _lines(r.label, narrow),
        "value": r.value,
        "low": low,
        "high": high,
        "mark": r.mark,
        "colour": colour,
    }


def _lines(label: str, narrow: bool) -> list[str]:
    return list(wrapped(label, _NARROW_COLUMNS, most=3) if narrow else wrapped(label, _LABEL_COLUMNS, most=1))


def _labels(chart: Any, y: Any, data: Sequence[dict[str, Any]]) -> list[Any]:
    alt = _altair()
    text = chart.mark_text(align="right", baseline="middle", dx=-12, fontSize=12.5, lineHeight=14, color=INK)
    # The writer measures with the fonts of this machine; this line keeps room for those of the reader.
    room = 20 + COLUMN_WIDTH * max((columns(line) for r in data for line in r["lines"]), default=1)
    keep = chart.mark_rule(opacity=0).encode(x=alt.value(-room), x2=alt.value(0), y=y)
    return [text.encode(x=alt.value(0), y=y, text="lines:N"), keep]


def reliability_chart(points: Sequence[dict[str, float]], across: str, up: str, narrow: bool = False) -> str:
    """Found against predicted share with bounds; on the dashed line a probability means what it says."""
    alt = _altair()
    top = min(1.0, 1.08 * max((max(p["predicted"], p.get("high", p["found"])) for p in points), default=1.0))
    scale, form = alt.Scale(domain=[0, top], nice=False), _PERCENT
    ticks = alt.Axis(title=across, labelExpr=form, tickCount=3 if narrow else 5, grid=False)
    x = alt.X("predicted:Q", scale=scale, axis=ticks)
    axis = alt.Axis(title=up, labelExpr=form, tickCount=5, gridColor=LINE)
    rows = [{"low": p["found"], "high": p["found"], **p} for p in points]
    chart = alt.Chart(alt.Data(values=rows))
    ideal = alt.Chart(alt.Data(values=[{"predicted": v, "found": v} for v in (0, top)]))
    layers = (
        ideal.mark_line(strokeDash=[4, 4], color=OTHERS).encode(x=x, y=alt.Y("found:Q", scale=scale, axis=axis)),
        chart.mark_rule(color=DOWN, strokeWidth=2).encode(x=x, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"),
        chart.mark_circle(color=DOWN, size=70, opacity=1).encode(x=x, y=alt.Y("found:Q", scale=scale, axis=axis)),
    )
    side = 240 if narrow else 320
    return to_svg(alt.layer(*layers).properties(width=side, height=side * 0.8))


def curve_chart(
    points: Sequence[Bounded], sizes: Sequence[float], fitted: Sequence[tuple[float, float]], across: str, up: str,
    narrow: bool = False,
) -> str:  # fmt: skip
    """Figures with bounds against how many labels they were made with, and the fitted curve through them."""
    alt = _altair()
    rows = [{"n": n, "value": p.value, "low": p.low, "high": p.high} for p, n in zip(points, sizes, strict=True)]
    x = alt.X("n:Q", scale=alt.Scale(zero=True, nice=False), axis=alt.Axis(title=across, tickCount=5, grid=False))
    axis = alt.Axis(title=up, tickCount=5, gridColor=LINE)
    scale = alt.Scale(zero=False)
    chart = alt.Chart(alt.Data(values=rows))
    line = alt.Chart(alt.Data(values=[{"n": n, "value": v} for n, v in fitted]))
    layers = (
        line.mark_line(color=OTHERS, strokeDash=[5, 4]).encode(x=x, y=alt.Y("value:Q", scale=scale, axis=axis)),
        chart.mark_rule(color=DOWN, strokeWidth=2).encode(x=x, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"),
        chart.mark_circle(color=DOWN, size=70, opacity=1).encode(x=x, y=alt.Y("value:Q", scale=scale, axis=axis)),
    )
    return to_svg(alt.layer(*layers).properties(width=240 if narrow else _WIDE, height=220))


def line_chart(
    lines: Mapping[str, Sequence[tuple[float, float]]], across: str, up: str, *, share: bool, narrow: bool
) -> str:
    """One line by its name, or several with a legend above them; what goes up is a share, and across if said so."""
    alt = _altair()
    names = list(lines)
    rows = [{"name": n, "x": x, "y": y} for n, points in lines.items() for x, y in points]
    x = alt.Axis(title=across, labelExpr=_PERCENT if share else _NUMBER, tickCount=3 if narrow else 6, grid=False)
    y = alt.Axis(title=up, labelExpr=_PERCENT, tickCount=5, gridColor=LINE)
    legend = alt.Legend(title=None, orient="top", labelFontSize=12.5, symbolStrokeWidth=3) if len(names) > 1 else None
    chart = alt.Chart(alt.Data(values=rows)).mark_line(strokeWidth=2)
    drawn = chart.encode(
        x=alt.X("x:Q", scale=alt.Scale(nice=False, zero=True), axis=x),
        y=alt.Y("y:Q", scale=alt.Scale(domain=[0, 1]), axis=y),
        color=alt.Color("name:N", scale=alt.Scale(domain=names, range=[DOWN, UP][: len(names)]), legend=legend),
    )
    return to_svg(drawn.properties(width=240 if narrow else _WIDE, height=200 if narrow else 240))


def bar_chart(rows: Sequence[tuple[str, float]], axis: str, *, narrow: bool) -> str:
    """A bar for each row, from the first down."""
    alt = _altair()
    data = [{"row": i, "lines": _lines(label, narrow), "value": value} for i, (label, value) in enumerate(rows)]
    chart, y = alt.Chart(alt.Data(values=data)), alt.Y("row:O", axis=None)
    x_axis = alt.Axis(title=axis, labelExpr=_NUMBER, tickCount=4 if narrow else 7, titlePadding=10)
    bars = chart.mark_bar(color=DOWN, height=14, cornerRadius=2).encode(x=alt.X("value:Q", axis=x_axis), y=y)
    layers = [bars, *_labels(chart, y, data)]
    return to_svg(alt.layer(*layers).properties(width=_NARROW if narrow else _WIDE, height=_step(data)))


def strip_chart(rows: Sequence[tuple[str, Sequence[float]]], axis: str, *, narrow: bool) -> str:
    """A dot for each figure of a row, from the first down."""
    alt = _altair()
    data = [{"row": i, "lines": _lines(label, narrow)} for i, (label, _) in enumerate(rows)]
    dots = [{"row": i, "value": float(v)} for i, (_, values) in enumerate(rows) for v in values if isfinite(v)]
    y = alt.Y("row:O", axis=None)
    x_axis = alt.Axis(title=axis, labelExpr=_NUMBER, tickCount=4 if narrow else 7, titlePadding=10)
    x = alt.X("value:Q", axis=x_axis, scale=alt.Scale(zero=False, nice=False, padding=8))
    marks = alt.Chart(alt.Data(values=dots)).mark_circle(color=DOWN, size=60, opacity=0.45).encode(x=x, y=y)
    layers = [marks, *_labels(alt.Chart(alt.Data(values=data)), y, data)]
    return to_svg(alt.layer(*layers).properties(width=_NARROW if narrow else _WIDE, height=_step(data)))


def _altair() -> Any:
    import altair

    return altair
