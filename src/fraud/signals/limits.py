"""Dated limits and cited sources: what the rooms' `limits.toml` and `sources.toml` say.

A limit has one or more values, each in force from a day on. A claim is judged by what was in force on its
day, so a signal never reads a number: it reads `limits.NAME`, an expression over that day.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir

from fraud.errors import CatalogueError, nearest

__all__ = ["Limit", "Limits", "LimitsInForce", "Source", "load_limits", "load_sources"]

TAGS = ("REG", "LOC", "LIT", "SEED", "DEF")


@dataclass(frozen=True)
class Limit:
    """A dated threshold. `tag` says how strong its source is: REG, LOC, LIT, SEED or DEF (a default)."""

    name: str
    unit: str
    tag: str
    source: str
    checked_on: date
    doc: str
    values: tuple[tuple[date, float], ...]

    def on(self, day: date) -> float | None:
        """The value in force on a day, or None before the first."""
        day = day.date() if isinstance(day, datetime) else day
        past = [value for start, value in self.values if start <= day]
        return past[-1] if past else None

    def expression(self, day: ir.Value) -> ir.NumericValue:
        """The value in force on the day of each row."""
        if len(self.values) == 1:
            return ibis.literal(self.values[0][1])
        newest_first = reversed(self.values[1:])
        return ibis.cases(
            *((day.date() >= ibis.date(start.isoformat()), ibis.literal(value)) for start, value in newest_first),
            else_=ibis.literal(self.values[0][1]),
        )


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

    def at(self, day: ir.Value) -> LimitsInForce:
        """What a signal receives as its `limits` parameter."""
        return LimitsInForce(self, day)

    @cached_property
    def plain(self) -> dict[str, Any]:
        """Names and values as JSON types, for digests."""
        return {n: [[d.isoformat(), v] for d, v in limit.values] for n, limit in self.items()}


class LimitsInForce:
    """Attribute access to limits as expressions of a day."""

    def __init__(self, limits: Limits, day: ir.Value) -> None:
        self._limits, self._day = limits, day

    def __getattr__(self, name: str) -> ir.NumericValue:
        if name not in self._limits:
            raise CatalogueError(f"limits.toml has no limit {name!r}{nearest(name, self._limits)}")
        return self._limits[name].expression(self._day)


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


def _faults(entry: Mapping[str, Any]) -> list[str]:
    wanted = ("unit", "tag", "source", "checked_on", "doc", "values")
    missing = [f"{key} is missing" for key in wanted if key not in entry]
    wrong_tag = [] if entry.get("tag") in TAGS else [f"tag must be one of {', '.join(TAGS)}"]
    dated = all({"from", "value"} <= set(v) for v in entry.get("values", ()))
    return missing + wrong_tag + ([] if dated else ["each value needs `from` and `value`"])


def _limit(name: str, entry: Mapping[str, Any]) -> Limit:
    values = tuple(sorted((v["from"], float(v["value"])) for v in entry["values"]))
    return Limit(name, entry["unit"], entry["tag"], entry["source"], entry["checked_on"], entry["doc"], values)
