"""Charts of a page as SVG, drawn on the spot: no script and no network in the page.

A chart is a Vega-Lite spec around rows of figures. Colours are few and fixed, so that the page's style can
replace them in the dark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["ACCENT", "LINE", "MUTED", "PALETTE", "WARN", "WRAPPED", "axis", "chart", "field", "layered", "svg"]

Spec = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

FONT = 'system-ui, "Segoe UI", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", sans-serif'
ACCENT, WARN, MUTED, QUIET, LINE = "#2563eb", "#c2410c", "#94a3b8", "#475569", "#e2e8f0"
# Told apart by readers who do not see red and green, and on paper as on black.
PALETTE = ("#2563eb", "#d97706", "#0d9488", "#9333ea", "#db2777", "#64748b", "#65a30d", "#0284c7")
# The whole drawing is as wide as this, with its labels.
WIDTH, HEIGHT = 440, 190

# Labels of values as words; below each other where two columns would meet.
_AS_WORDS = "replace(replace(datum.label, 'long_term', 'long-term'), /_/g, ' ')"
WRAPPED = f"split({_AS_WORDS}, ' ')"

_AXIS = {
    "labelFont": FONT,
    "titleFont": FONT,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "labelColor": QUIET,
    "titleColor": QUIET,
    "gridColor": LINE,
    "domainColor": LINE,
    "tickColor": LINE,
    "labelLimit": 190,
}
_CONFIG = {
    "background": None,
    "autosize": {"type": "fit-x", "contains": "padding"},
    "font": FONT,
    "aria": False,
    "padding": {"left": 16, "right": 8, "top": 2, "bottom": 8},
    "view": {"stroke": None},
    "axis": _AXIS,
    "text": {"font": FONT, "fontSize": 12, "fill": QUIET},
    "bar": {"fill": ACCENT},
    "legend": {
        "labelFont": FONT,
        "labelFontSize": 12,
        "labelColor": QUIET,
        "title": None,
        "orient": "top",
        "columns": 4,
    },
    "header": {"labelFont": FONT, "labelFontSize": 12, "labelColor": QUIET, "title": None},
    "range": {"category": list(PALETTE)},
}


def field(name: str, kind: str = "quantitative", /, **more: Any) -> Spec:
    """An encoding of a column; its title is left away unless given."""
    return {"field": name, "type": kind, "title": None} | more


def axis(**more: Any) -> Spec:
    """The `axis` of an encoding."""
    return {"axis": more}


def chart(rows: Rows, mark: str | Spec, height: int | Spec = HEIGHT, **encoding: Any) -> Spec:
    """A chart of the usual width with one kind of mark."""
    color = encoding.get("color")
    if color and color.get("legend", {}) is not None:
        encoding |= {"color": color | {"legend": {"labelExpr": _AS_WORDS, **color.get("legend", {})}}}
    return {"data": {"values": list(rows)}, "mark": mark, "width": WIDTH, "height": height, "encoding": encoding}


def layered(*layers: Spec) -> Spec:
    """Charts of one size over each other."""
    size = {name: layers[0][name] for name in ("width", "height")}
    parts = [{k: v for k, v in layer.items() if k not in size} for layer in layers]
    return size | {"layer": parts}


def svg(spec: Spec, name: str) -> str:
    """The drawing; `name` makes its ids differ from those of other drawings of the page."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(spec, config=_CONFIG)
    drawn = re.sub(r'(id="|url\(#)([a-z]+_?\d+)', rf"\1{name}-\2", drawn)
    return drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
