"""Charts of a case, drawn on the server: a patient's course over all providers, and who was seen together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from fraud.explaining.charts import INK, LINE, OTHERS, OWN, SHORT_SPAN, to_svg, wrapped

__all__ = ["MOST_LANES", "Overlap", "Pairing", "Stay", "named", "network_chart", "overlaps_among", "timeline_chart"]

MOST_LANES = 12
_LABEL_COLUMNS = 26


@dataclass(frozen=True)
class Stay:
    """A claim on the course of a patient; a visit ends on the day that it begins. `place` is the provider's name."""

    claim_id: str
    day: date
    until: date
    place: str
    kind: str
    label: str
    amount: float | None
    marked: bool

    @property
    def lasts(self) -> bool:
        """Whether it is a stay, and no visit."""
        return self.until > self.day


@dataclass(frozen=True)
class Overlap:
    """Two stays that share days, or a visit elsewhere in the midst of a stay."""

    one: Stay
    other: Stay

    @property
    def days(self) -> tuple[date, date]:
        """First and last day in common."""
        return max(self.one.day, self.other.day), min(self.one.until, self.other.until)


@dataclass(frozen=True)
class Pairing:
    """How often a person was at a provider on days on which the patient of the case was there too."""

    person: str
    place: str
    days: int
    own: bool = False


def overlaps_among(stays: Sequence[Stay]) -> tuple[Overlap, ...]:
    """The pairs of claims that overlap; days of admission, discharge and transfer are no overlap.

    >>> a = Stay("1", date(2026, 3, 1), date(2026, 3, 9), "A", "", "", None, False)
    >>> b = Stay("2", date(2026, 3, 4), date(2026, 3, 4), "B", "", "", None, False)
    >>> c = Stay("3", date(2026, 3, 9), date(2026, 3, 12), "B", "", "", None, False)
    >>> [(o.one.claim_id, o.other.claim_id) for o in overlaps_among([a, b, c])]
    [('1', '2')]
    """
    ordered = sorted(stays, key=lambda s: (s.day, s.until, s.claim_id))
    found = []
    for i, one in enumerate(ordered):
        for other in ordered[i + 1 :]:
            if other.day > one.until:
                break
            if _within(one, other):
                found.append(Overlap(one, other))
    return tuple(found)


def _within(one: Stay, other: Stay) -> bool:
    if one.lasts and other.lasts:
        return max(one.day, other.day) < min(one.until, other.until)
    stay, visit = (one, other) if one.lasts else (other, one)
    # What a ward bills beside the stay is no second place to be at.
    return one.place != other.place and stay.lasts and stay.day < visit.day < stay.until


# --- the course -------------------------------------------------------------------------------------------


def timeline_chart(stays: Sequence[Stay], overlaps: Sequence[Overlap], rest: str, narrow: bool = False) -> str:
    """Claims by day, a lane for each provider; bands over all lanes are days on which two of them overlap.

    Providers beyond `MOST_LANES` share the lane `rest`.
    """
    import altair as alt

    lanes = _lanes(stays, overlaps, rest)
    rows = [_row(s, lanes, rest) for s in sorted(stays, key=lambda s: s.marked)]
    low, high = min(s.day for s in stays), max(s.until for s in stays)
    x = alt.X("day:T", axis=_days(low, high, narrow), scale=_span(low, high))
    y = alt.Y("lane:N", sort=lanes, axis=alt.Axis(title=None, grid=False, ticks=False, labelPadding=8, labelLimit=220))
    colour, size = alt.Color("colour:N", scale=None), alt.Size("amount:Q", legend=None, scale=_sizes())
    chart = alt.Chart(alt.Data(values=rows))
    layers: list[Any] = [
        chart.transform_filter("datum.stay").mark_bar(height=10, cornerRadius=3).encode(x, y, colour, x2="until:T"),
        chart.transform_filter("!datum.stay").mark_circle(opacity=0.8).encode(x, y, colour, size),
    ]
    if overlaps:
        layers.insert(0, _bands(overlaps, x))
    return to_svg(alt.layer(*layers).properties(width=190 if narrow else 460, height=alt.Step(30)))


def _lanes(stays: Sequence[Stay], overlaps: Sequence[Overlap], rest: str) -> list[str]:
    """Providers in the order of the course; what matters to the case keeps its own lane."""
    weight = Counter(s.place for s in stays)
    weight.update({s.place: 1_000 for s in stays if s.marked})
    weight.update({s.place: 100 for o in overlaps for s in (o.one, o.other)})
    kept = {place for place, _ in weight.most_common(MOST_LANES)}
    order = dict.fromkeys(s.place for s in sorted(stays, key=lambda s: s.day) if s.place in kept)
    return [*order, *([rest] if len(weight) > len(kept) else [])]


def _row(stay: Stay, lanes: Sequence[str], rest: str) -> dict[str, Any]:
    return {
        "day": _noon(stay.day),
        "until": _noon(stay.until),
        "lane": stay.place if stay.place in lanes else rest,
        "amount": stay.amount or 0.0,
        "stay": stay.lasts,
        "colour": OWN if stay.marked else OTHERS,
    }


def _noon(day: date) -> str:
    return f"{day:%Y-%m-%d}T00:00:00"


def _days(low: date, high: date, narrow: bool) -> Any:
    import altair as alt

    form = "%Y-%m-%d" if (high - low).days <= SHORT_SPAN else "%Y-%m"
    return alt.Axis(title=None, format=form, tickCount=2 if narrow else 6, grid=True, labelOverlap=True)


def _span(low: date, high: date) -> Any:
    import altair as alt

    edge = timedelta(days=max((high - low).days // 40, 2))
    return alt.Scale(domain=[_noon(low - edge), _noon(high + edge)], nice=False)


def _sizes() -> Any:
    import altair as alt

    return alt.Scale(type="sqrt", range=[24, 240])


def _bands(overlaps: Sequence[Overlap], x: Any) -> Any:
    import altair as alt

    spans = {o.days for o in overlaps}
    # A single day is drawn as one, or nobody would see it.
    rows = [{"day": _noon(a), "until": _noon(max(b, a + timedelta(days=1)))} for a, b in sorted(spans)]
    return alt.Chart(alt.Data(values=rows)).mark_rect(color=OWN, opacity=0.16).encode(x=x, x2="until:T")


# --- who was seen together --------------------------------------------------------------------------------


def network_chart(pairings: Sequence[Pairing]) -> str:
    """People on the left, providers on the right; a line is as thick as days that they have in common."""
    import altair as alt

    people = list(dict.fromkeys(p.person for p in sorted(pairings, key=lambda p: not p.own)))
    places = list(dict.fromkeys(p.place for p in pairings))
    tall = max(len(people), len(places))
    own = {p.person for p in pairings if p.own}
    nodes = [_node(n, 0.0, i, len(people), tall, n in own) for i, n in enumerate(people)]
    nodes += [_node(n, 1.0, i, len(places), tall, False) for i, n in enumerate(places)]
    at = {(n["side"], n["name"]): n for n in nodes}
    lines = [
        {
            "x": 0.0,
            "x2": 1.0,
            "y": at[0.0, p.person]["y"],
            "y2": at[1.0, p.place]["y"],
            "days": p.days,
            "colour": OWN if p.own else OTHERS,
        }
        for p in sorted(pairings, key=lambda p: p.own)
    ]
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.75, 1.75], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[tall - 0.5, -0.5], nice=False))
    colour = alt.Color("colour:N", scale=None)
    width = alt.StrokeWidth("days:Q", legend=None, scale=alt.Scale(domain=[1, 6], range=[1, 6], clamp=True))
    edge = alt.Chart(alt.Data(values=lines)).mark_rule(opacity=0.55).encode(x, y, colour, width, x2="x2:Q", y2="y2:Q")
    dots = alt.Chart(alt.Data(values=nodes))
    circles = dots.mark_circle(size=150, opacity=1, stroke=LINE).encode(x, y, colour)
    texts = [
        dots.transform_filter(f"datum.side == {side}")
        .mark_text(align=align, dx=dx, fontSize=12, fill=INK)
        .encode(x, y, text="shown:N")
        for side, align, dx in ((0, "right", -12), (1, "left", 12))
    ]
    return to_svg(alt.layer(edge, circles, *texts).properties(width=620, height=max(90, 30 * tall)))


def _node(name: str, side: float, i: int, count: int, tall: int, own: bool) -> dict[str, Any]:
    colour = OWN if own else "#1d4ed8" if side else "#475569"
    middle = (tall - count) / 2
    shown = wrapped(name, _LABEL_COLUMNS, 1)
    return {
        "name": name,
        "shown": shown[0] if shown else "",
        "side": side,
        "x": side,
        "y": i + middle,
        "colour": colour,
    }


def named(stays: Sequence[Stay], names: dict[str, str]) -> tuple[Stay, ...]:
    """The claims with the names of institutions in place of their ids."""
    return tuple(replace(s, place=names.get(s.place, s.place)) for s in stays)
