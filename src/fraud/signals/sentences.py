"""A signal's value as a sentence, in the reader's language."""

from __future__ import annotations

import math
from typing import Any

from fraud.signals.definition import Signal

__all__ = ["number", "sentence"]


class _Blank(dict[str, Any]):
    """Format arguments; a figure that is not known is written as a dash."""

    def __missing__(self, key: str) -> _Dash:
        return _Dash()


class _Dash(str):
    def __new__(cls) -> _Dash:
        return super().__new__(cls, "–")

    def __format__(self, spec: str) -> str:
        return str(self)


def sentence(signal: Signal, locale: str, value: float | None, **figures: float | None) -> str:
    """The signal's `says` with its figures: `value`, `limit`, `peer_median`, `peer_percentile`.

    `locale` is `en` or `zh` (`zh-CN` is understood).
    """
    known = {k: v for k, v in {"value": value, **figures}.items() if v is not None and not math.isnan(v)}
    return signal.says[locale.split("-")[0]].format_map(_Blank(known))


def number(value: float | None, unit: str = "") -> str:
    """A figure as a reader wants it: 1,234 · 12.3 · 0.042 · 37 %; a dash where it is not known."""
    if value is None or math.isnan(value):
        return "–"
    if unit in ("share", "percent"):
        return f"{value * (100 if unit == 'share' else 1):.1f} %"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
