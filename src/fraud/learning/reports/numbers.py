"""Figures as every report of learning writes them: what is not known is a dash, a minus sign is one."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

__all__ = ["NOT_KNOWN", "SHARES", "count", "mean_sd", "of_metric", "plain", "share", "signed", "signed_metric"]

NOT_KNOWN = "–"
# Metrics that are a share of something that a reader can count; the others are figures of their own.
SHARES = frozenset(("precision_at_k", "money_share_at_k", "recovery_share_at_k", "recall_at_1pct"))
_MONEY = frozenset(("money_at_k",))
_MINUS = "\N{MINUS SIGN}"


def share(value: float | None) -> str:
    """A share in percent.

    >>> share(0.1234)
    '12.3%'
    """
    return NOT_KNOWN if value is None or not isfinite(value) else f"{value:.1%}".replace("-", _MINUS)


def plain(value: float | None) -> str:
    """A figure with three decimals, or without any where it is large."""
    if value is None or not isfinite(value):
        return NOT_KNOWN
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}").replace("-", _MINUS)


def count(value: float | None) -> str:
    """A whole number with its thousands set off."""
    return NOT_KNOWN if value is None or not isfinite(value) else f"{value:,.0f}"


def signed(value: float | None) -> str:
    """A difference with its sign.

    >>> signed(-0.0214)
    '−0.021'
    >>> signed(-0.0001)
    '0.000'
    """
    return NOT_KNOWN if value is None or not isfinite(value) else _with_sign(f"{value:+.3f}")


def _with_sign(text: str) -> str:
    """The figure with a minus sign; what is nothing after rounding has none."""
    return text.replace("-", _MINUS) if text.strip("+-0.%") else text.lstrip("+-")


def of_metric(metric: str, value: float | None) -> str:
    """A metric's figure: shares in percent, money without decimals.

    >>> of_metric("precision_at_k", 0.85), of_metric("money_at_k", 18804.4), of_metric("brier", 0.1)
    ('85.0%', '18,804', '0.100')
    """
    return (share if metric in SHARES else count if metric in _MONEY else plain)(value)


def signed_metric(metric: str, value: float | None) -> str:
    """A difference of a metric: that of a share is in percent as the share is.

    >>> signed_metric("recall_at_1pct", -0.004)
    '−0.4%'
    """
    if metric not in SHARES or value is None or not isfinite(value):
        return signed(value)
    return _with_sign(f"{value:+.1%}")


def mean_sd(metric: str, mean_and_sd: Sequence[float | None]) -> str:
    """A metric's mean over folds, and under it how far folds are spread."""
    return f"{of_metric(metric, mean_and_sd[0])}\n± {of_metric(metric, mean_and_sd[1])}"
