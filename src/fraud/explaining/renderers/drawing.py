"""Charts of a document as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from fraud.explaining.charts import contribution_chart, event_chart, month_chart, peer_chart
from fraud.explaining.content.document import Chart, EventFigures, MonthFigures, PeerFigures, Steps

__all__ = ["Drawing", "drawn"]


@dataclass(frozen=True)
class Drawing:
    """A chart for a page and for a phone; `narrow` is empty where one form serves both."""

    wide: str
    narrow: str = ""


def drawn(chart: Chart, narrow: bool = True) -> Drawing:
    """The chart as SVG; without `narrow` in its wide form alone."""
    with_narrow = narrow and not isinstance(chart, PeerFigures)
    return Drawing(_svg(chart, False), _svg(chart, True) if with_narrow else "")


# Who reads a page takes it home as a PDF next.
@lru_cache(maxsize=256)
def _svg(chart: Chart, narrow: bool) -> str:
    match chart:
        case Steps():
            return contribution_chart(chart.narrow if narrow else chart.bars, chart.axis, narrow=narrow)
        case PeerFigures():
            return peer_chart(chart.quantiles, chart.value, chart.median, chart.axis, chart.percent)
        case MonthFigures():
            return month_chart(chart.months, chart.amount, chart.claims, chart.axis, narrow=narrow)
        case EventFigures():
            return event_chart(chart.marks, narrow=narrow)
