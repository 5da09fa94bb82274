"""Dated limits and cited sources: what the rooms' `limits.toml` and `sources.toml` say.

A limit has one or more values, each in force from a day on, perhaps to a day, everywhere or in one region. A
claim is judged by what was in force on its day in its region, so a signal never reads a number: it reads
`limits.NAME`, an expression over that day and that region.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from fraud.errors import CatalogueError, nearest

__all__ = [
    "PLACES",
    "InForce",
    "Limit",
    "Limits",
    "LimitsInForce",
    "Occasion",
    "Place",
    "Source",
    "load_limits",
    "load_sources",
]

TAGS = ("REG", "LOC", "LIT", "SEED", "DEF")
Place = Literal["insured", "care"]
PLACES: tuple[Place, ...] = ("insured", "care")
# A value in force since this day or earlier has been so for as long as there are claims.
ALWAYS = date(2000, 1, 1)
_WANTED = ("unit", "tag", "source", "checked_on", "doc", "values")
_OF_A_VALUE = {"from", "to", "value", "region", "source", "tag"}


@dataclass(frozen=True)
class InForce:
    """One value of a limit, from its first day to its last (None: until another follows).

    `regions` are the names and codes of one region, empty for the whole country; each holds for every region
    that begins with it, so that the code of a province holds for its cities. `tag` and `source` are those of
    the value where they differ from the limit's.
    """

    start: date
    value: float
    to: date | None = None
    regions: tuple[str, ...] = ()
    tag: str | None = None
    source: str | None = None

    def covers(self, region: str | None) -> bool:
        """Whether the value holds in a region; a region that is not known is only covered nationwide."""
        return not self.regions or (region is not None and region.startswith(self.regions))

    def holds(self, day: date, region: str | None) -> bool:
        """Whether the value is in force on a day in a region."""
        return self.start <= day and (self.to is None or day <= self.to) and self.covers(region)

    def condition(self, day: ir.DateValue, region: ir.StringValue | None) -> ir.BooleanValue:
        """`holds` as an expression; only for values that hold nationwide, or with a region at hand."""
        held = day >= ibis.date(self.start.isoformat())
        if self.to is not None:
            held = held & (day <= ibis.date(self.to.isoformat()))
        if not self.regions or region is None:
            return held
        within: ir.BooleanValue = ibis.or_(*(region.substr(0, len(name)) == name for name in self.regions))
        return held & within

    @property
    def rank(self) -> tuple[int, date]:
        """Which of two values in force wins: that of the smaller region, then the newer one."""
        return max((len(name) for name in self.regions), default=0), self.start


@dataclass(frozen=True)
class Limit:
    """A dated threshold. `tag` says how strong its source is: REG, LOC, LIT, SEED or DEF (a default).

    `place` says whose values a claim is judged by: those of the region that insures the person, or of the
    region where the care is given. `values` begin with the one that wins where several are in force. `doc_zh` is
    `doc` in Chinese, where it has been written.
    """

    name: str
    unit: str
    tag: str
    source: str
    checked_on: date
    doc: str
    values: tuple[InForce, ...]
    place: Place = "insured"
    doc_zh: str = ""

    def in_force(self, day: date, region: str | None = None) -> InForce | None:
        """What is in force on a day in a region: the region's own value, else that of the country, or None."""
        plain = day.date() if isinstance(day, datetime) else day
        return next((v for v in self.values if v.holds(plain, region)), None)

    def on(self, day: date, region: str | None = None) -> float | None:
        """The value in force on a day in a region, or None."""
        found = self.in_force(day, region)
        return found.value if found else None

    def concerns(self, region: str | None) -> bool:
        """Whether anybody has ever set a value for a region: where nobody has, a rule says nothing."""
        return any(v.covers(region) for v in self.values)

    @property
    def newest(self) -> float | None:
        """The newest value for the whole country."""
        return next((v.value for v in self.values if not v.regions), None)

    @property
    def is_local(self) -> bool:
        """Whether a region has a value of its own."""
        return any(v.regions for v in self.values)

    @property
    def nationwide(self) -> Limit:
        """The limit without the values of regions."""
        return replace(self, values=tuple(v for v in self.values if not v.regions))

    def expression(self, day: ir.Value, region: ir.StringValue | None = None) -> ir.NumericValue:
        """The value in force on the day, in the region, of each row; null where none is."""
        values = self.values if region is not None else self.nationwide.values
        if len(values) == 1 and not values[0].regions and values[0].start <= ALWAYS and values[0].to is None:
            return ibis.literal(values[0].value)
        none = ibis.null("float64")
        if not values:
            return none
        when = day.date() if day.type().is_timestamp() else day
        cases = ((v.condition(when, region), ibis.literal(v.value, "float64")) for v in values)
        return ibis.cases(*cases, else_=none)

    def changed(self, value: float, regions: tuple[str, ...] = ()) -> Limit:
        """The limit as it would be with another value on every day.

        In a region, what smaller regions within it have set gives way as well. Without a region it is the value of
        the country that changes, or that of all regions where the country has none.
        """
        if regions:
            kept = [v for v in self.values if not any(r.startswith(regions) for r in v.regions)]
            return replace(self, values=_ranked([InForce(ALWAYS, value, regions=regions), *kept]))
        every = self.newest is None
        values = (replace(v, value=value) if every or not v.regions else v for v in self.values)
        return replace(self, values=tuple(values))


@dataclass(frozen=True)
class Occasion:
    """The day of care (or of a snapshot) and the regions by which a row is judged; null: not known."""

    day: date
    regions: Mapping[Place, str | None] = field(default_factory=dict)

    def limit(self, limit: Limit) -> float | None:
        """What was in force then and there, or None."""
        return limit.on(self.day, self.regions.get(limit.place))


@dataclass(frozen=True)
class Source:
    """A law, rule or paper. `to` is the last day in force, if it has ended."""

    id: str
    title: Mapping[str, str]
    url: str
    in_force_from: date | None = None
    to: date | None = None


class Limits(dict[str, Limit]):
    """Limits by name."""

    def at(self, day: ir.Value, regions: Mapping[Place, ir.StringValue] | None = None) -> LimitsInForce:
        """What a signal receives as its `limits` parameter; `regions` are those of the row, by place."""
        return LimitsInForce(self, day, regions or {})

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Names and values as JSON types, for digests."""
        return {name: _plain(limit) for name, limit in self.items()}

    @cached_property
    def nationwide(self) -> Limits:
        """The same without the values of regions: what holds where no region is known."""
        return Limits({name: limit.nationwide for name, limit in self.items()})


class LimitsInForce:
    """Attribute access to limits as expressions of a day and its regions."""

    def __init__(self, limits: Limits, day: ir.Value, regions: Mapping[Place, ir.StringValue]) -> None:
        self._limits, self._day, self._regions = limits, day, regions

    def __getattr__(self, name: str) -> ir.NumericValue:
        if name not in self._limits:
            raise CatalogueError(f"limits.toml has no limit {name!r}{nearest(name, self._limits)}")
        limit = self._limits[name]
        return limit.expression(self._day, self._regions.get(limit.place) if limit.is_local else None)


def load_limits(path: Path) -> Limits:
    """The limits of a `limits.toml`; raises `CatalogueError` that names every wrong entry at once."""
    entries = _read(path)
    faults = [f"{name}: {why}" for name, entry in entries.items() for why in _faults(entry)]
    if faults:
        raise CatalogueError(f"{path.name}: " + "; ".join(faults))
    return Limits({name: _limit(name, entry) for name, entry in entries.items()})


def load_sources(path: Path) -> dict[str, Source]:
    """The sources of a `sources.toml`, by id."""
    return {
        name: Source(name, entry["title"], entry.get("url", ""), entry.get("from"), entry.get("to"))
        for name, entry in _read(path).items()
    }


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}


def _faults(entry: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{key} is missing" for key in _WANTED if key not in entry)
    if entry.get("tag") not in TAGS:
        yield f"tag must be one of {', '.join(TAGS)}"
    if entry.get("place", "insured") not in PLACES:
        yield f"place must be one of {', '.join(PLACES)}"
    values = entry.get("values", ())
    yield from (why for v in values for why in _value_faults(v))
    starts = [(v.get("from"), tuple(_regions(v))) for v in values]
    if len(set(starts)) < len(starts):
        yield "two values begin on the same day in the same region"


def _value_faults(value: Mapping[str, Any]) -> Iterator[str]:
    if not {"from", "value"} <= set(value):
        yield "each value needs `from` and `value`"
        return
    if unknown := set(value) - _OF_A_VALUE:
        yield f"a value has no {sorted(unknown)}; there are {sorted(_OF_A_VALUE)}"
    if value.get("tag", "DEF") not in TAGS:
        yield f"tag of a value must be one of {', '.join(TAGS)}"
    if "to" in value and value["to"] < value["from"]:
        yield f"the value from {value['from']} ends before it begins, on {value['to']}"


def _limit(name: str, entry: Mapping[str, Any]) -> Limit:
    values = _ranked([_in_force(v) for v in entry["values"]])
    facts = {key: entry[key] for key in ("unit", "tag", "source", "checked_on", "doc")}
    shown = {"place": entry.get("place", "insured"), "doc_zh": entry.get("doc_zh", "")}
    return Limit(name=name, values=values, **facts, **shown)


def _in_force(value: Mapping[str, Any]) -> InForce:
    own = (value.get("tag"), value.get("source"))
    return InForce(value["from"], float(value["value"]), value.get("to"), _regions(value), *own)


def _regions(value: Mapping[str, Any]) -> tuple[str, ...]:
    named = value.get("region", ())
    return (named,) if isinstance(named, str) else tuple(named)


def _ranked(values: list[InForce]) -> tuple[InForce, ...]:
    return tuple(sorted(values, key=lambda v: v.rank, reverse=True))


def _plain(limit: Limit) -> list[Any]:
    """Values oldest first; what only regional or ended values have is left out where it says nothing."""
    found: list[Any] = [
        [v.start.isoformat(), v.value] + ([v.to and v.to.isoformat(), list(v.regions)] if v.to or v.regions else [])
        for v in reversed(limit.values)
    ]
    return found if limit.place == "insured" or not limit.is_local else [*found, limit.place]
