"""Features of a model, and parts of its rows, as people know them."""

from __future__ import annotations

from collections.abc import Mapping

from fraud.learning.reports.documents import Words
from fraud.signals.definition import Signal

__all__ = ["part_name", "title_of", "titled", "value_name"]

_PEERS = ("peer_z", "peer_percentile")


def title_of(name: str, signals: Mapping[str, Signal], w: Words) -> str:
    """The signal's title, and where among its peers the feature says that it stands; the id of an unknown one."""
    for suffix in _PEERS:
        if name.endswith(f".{suffix}"):
            return w.say(f"drivers.{suffix}", title=title_of(name.removesuffix(f".{suffix}"), signals, w))
    signal = signals.get(name)
    # A title with a place is that of a rule, which only a claim can fill.
    if signal is None or "{" in (title := signal.title.get(w.locale, name)):
        return name
    return w.printed(title)


def titled(title: str, name: str) -> str:
    """A cell with the title and the id under it."""
    return title if title == name else f"{title}\n{name}"


def part_name(segment: str, value: str, w: Words) -> str:
    """A part of a segment, as `Sex · female`."""
    return f"{w.label('backtest_segments', segment)} · {value_name(value, w)}"


def value_name(value: str, w: Words) -> str:
    """The word for a value of a segment; what comes from the claims, as a region, stays as it is."""
    return w.label("values", value) if w.has(f"values.{value}") else value
