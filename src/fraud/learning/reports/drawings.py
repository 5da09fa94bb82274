"""Drawings that several reports of learning share: figures with their bounds, reliability, curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from fraud.explaining.charts import COLUMN_WIDTH, DOWN, INK, LINE, OTHERS, UP, columns, to_svg, wrapped

__all__ = ["Bounded", "curve_chart", "interval_chart", "reliability_chart"]

_WIDE, _NARROW = 560, 200
_LABEL_COLUMNS, _NARROW_COLUMNS = 44, 15


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
    words = "format(datum.value, '.0%')" if percent else "format(datum.value, ',~r')"
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
    return to_svg(alt.layer(*layers).properties(width=width, height=alt.Step(34 if narrow else 28)))


def _row(i: int, r: Bounded, narrow: bool) -> dict[str, Any]:
    lines = wrapped(r.label, _NARROW_COLUMNS if narrow else _LABEL_COLUMNS, most=2 if narrow else 1)
    low, high = (b if isfinite(b) else r.value for b in (r.low, r.high))
    colour = UP if r.loud else DOWN
    return {
        "row": i,
        "lines": list(lines),
        "value": r.value,
        "low": low,
        "high": high,
        "mark": r.mark,
        "colour": colour,
    }


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
    scale, form = alt.Scale(domain=[0, top], nice=False), "format(datum.value, '.0%')"
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


def _altair() -> Any:
    import altair

    return altair
