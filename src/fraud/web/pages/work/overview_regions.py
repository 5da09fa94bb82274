"""Hot spots: of the claims scored in each region the share that somebody was asked to look at, as a ranked chart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from fraud.explaining.charts import INK, LINE, OTHERS, OWN, to_svg
from fraud.signals.backtest import wilson
from fraud.store.casework.tables import cases
from fraud.store.tables import CANONICAL, decisions

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from fraud.store import Store

__all__ = ["Region", "Regions", "region_chart", "regions_of"]

_claims = CANONICAL["claims"]
_YEAR = timedelta(days=365)
# More rows than that are no picture any more; of fewer claims a share says nothing.
_MOST, _LEAST = 20, 30


@dataclass(frozen=True)
class Region:
    """Claims of a region that were scored within a year, and those with a case; with the 95 % interval.

    `beyond` is whether the interval lies above the share of all regions together.
    """

    name: str
    claims: int
    flagged: int
    low: float
    high: float
    beyond: bool

    @property
    def share(self) -> float:
        """The share, from 0 to 1."""
        return self.flagged / self.claims


@dataclass(frozen=True)
class Regions:
    """Regions with enough claims, the highest lower bound first; `share` is that of all, `few` had too few claims."""

    shown: tuple[Region, ...]
    share: float
    few: int


def regions_of(store: Store, now: datetime) -> Regions | None:
    """The regions of the payer; None where claims name fewer than two. Nobody leads by luck: the order is of bounds."""
    with store.database.read() as connection:
        claims, flagged = _scored(connection, now - _YEAR), _flagged(connection, now - _YEAR)
    total = sum(claims.values())
    if len(claims) < 2:
        return None
    overall = sum(flagged.get(r, 0) for r in claims) / total
    enough = {r: n for r, n in claims.items() if n >= _LEAST}
    found = [_region(r, n, min(flagged.get(r, 0), n), overall) for r, n in enough.items()]
    ranked = sorted(found, key=lambda r: (-r.low, -r.claims, r.name))[:_MOST]
    return Regions(tuple(ranked), overall, len(claims) - len(enough))


def _region(name: str, claims: int, flagged: int, overall: float) -> Region:
    low, high = wilson(flagged, claims)
    return Region(name, claims, flagged, low, high, low > overall)


def _scored(connection: Connection, since: datetime) -> dict[str, int]:
    """Claims of each region that were scored; one that was scored again counts once."""
    place = _claims.c.care_region
    query = (
        sa.select(place, sa.func.count(sa.distinct(decisions.c.claim_id)))
        .select_from(decisions.join(_claims, decisions.c.claim_id == _claims.c.claim_id))
        .where(decisions.c.scored_at >= since, place.is_not(None))
        .group_by(place)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def _flagged(connection: Connection, since: datetime) -> dict[str, int]:
    """Of them those that a case was opened for, and not drawn at random."""
    place = _claims.c.care_region
    # The numbers of claims are sealed with the cases, and stand open with the decisions.
    joined = cases.join(decisions, cases.c.request_id == decisions.c.request_id)
    joined = joined.join(_claims, decisions.c.claim_id == _claims.c.claim_id)
    query = (
        sa.select(place, sa.func.count(sa.distinct(_claims.c.claim_id)))
        .select_from(joined)
        .where(
            cases.c.entity == "claim",
            cases.c.selected_by != "random",
            decisions.c.scored_at >= since,
            place.is_not(None),
        )
        .group_by(place)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query)}


# --- the chart --------------------------------------------------------------------------------------------


def region_chart(found: Regions, axis: str, overall: str, narrow: bool = False) -> str:
    """Shares with their intervals as an SVG, a lane for each region, beside the share of all as a line."""
    import altair as alt

    rows = [
        {"region": r.name, "share": r.share, "low": r.low, "high": r.high, "colour": OWN if r.beyond else OTHERS}
        for r in found.shown
    ]
    y = alt.Y("region:N", sort=[r.name for r in found.shown], axis=_lanes(alt))
    colour = alt.Color("colour:N", scale=None)
    ticks = alt.Axis(title=axis, format="~%", tickCount=3 if narrow else 6)
    chart = alt.Chart(alt.Data(values=rows))
    span = chart.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", axis=ticks), x2="high:Q", y=y, color=colour)
    point = chart.mark_circle(size=90, opacity=1).encode(x="share:Q", y=y, color=colour)
    line = alt.Chart(alt.Data(values=[{"all": found.share, "said": overall}]))
    rule = line.mark_rule(color=INK, strokeDash=[4, 3]).encode(x="all:Q")
    # Of a figure the lane above all others, so that the words cover nothing.
    said = line.mark_text(color=INK, dy=-8, baseline="bottom", align="left").encode(
        x="all:Q", y=alt.value(0), text="said:N"
    )
    both = alt.layer(span, rule, said, point).properties(width=200 if narrow else 640, height=alt.Step(26))
    return to_svg(both)


def _lanes(alt: Any) -> Any:
    return alt.Axis(title=None, grid=True, gridColor=LINE, ticks=False, labelPadding=8, labelLimit=160)
