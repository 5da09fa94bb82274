"""The knowledge library: items, exclusion pairs, diseases with what is usually ordered, published margins.

Codes of diagnoses are real ICD-10 codes, and ATC classes real ATC codes: that of the group where a substance has
none of its own, none for patent medicines. Codes of items follow the form of national lists; prices, caps, rates
and order sets are invented. Published margins are those that a simulated payer should fall near, see
`docs/simulation.md`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import numpy as np

from fraud.claims.simulation.rows import Array, Rows

__all__ = ["LEVELS", "Library", "Margin", "Order", "library", "published"]

LEVELS = ("other", "primary", "secondary", "tertiary")
TEXT = ("key", "item_code", "name", "category", "class", "atc", "sex_limit", "indications", "level_limit")
# What only some items have: the share of positive reports, the anaesthesia of an operation, the grade of an antibiotic.
MORE_TEXT = ("visit_type_limit", "procedure", "anaesthesia", "antibiotic_grade")
SUPPLY_DAYS = "days_per_unit"


@dataclass(frozen=True)
class Order:
    """Something ordered for a disease with a chance: one of several interchangeable items."""

    items: Array
    chance: float


@dataclass(frozen=True)
class Library:
    """Items and diseases as columns; positions in them are the ids used inside the simulator."""

    items: Rows
    diseases: Rows
    complications: Rows
    external_causes: Rows
    exclusions: Rows
    visit_orders: tuple[tuple[Order, ...], ...]
    ward_orders: tuple[tuple[Order, ...], ...]

    @cached_property
    def position(self) -> dict[str, int]:
        """Position of an item by its short key."""
        return {key: i for i, key in enumerate(self.items["key"])}

    @cached_property
    def disease(self) -> dict[str, int]:
        """Position of a disease by its ICD code."""
        return {code: i for i, code in enumerate(self.diseases["code"])}

    @cached_property
    def departments(self) -> tuple[str, ...]:
        """Departments in name order."""
        return tuple(sorted(set(self.diseases["department"])))

    @cached_property
    def department_of(self) -> Array:
        """Department of each disease."""
        return np.array([self.departments.index(d) for d in self.diseases["department"]])

    @cached_property
    def codes(self) -> Array:
        """ICD codes of diseases, then of complications, then of external causes."""
        return np.concatenate([self.diseases["code"], self.complications["code"], self.external_causes["code"]])

    @cached_property
    def causes_of(self) -> tuple[Array, ...]:
        """For each disease, positions in `codes` of what may have caused the injury; empty where nothing did."""
        first = len(self.diseases["code"]) + len(self.complications["code"])
        position = {code: first + i for i, code in enumerate(self.external_causes["code"])}
        return tuple(np.array([position[c] for c in text.split()], np.int64) for text in self.diseases["causes"])

    def keys(self, *names: str) -> Array:
        """Positions of the items with these short keys."""
        return np.array([self.position[name] for name in names])

    def is_category(self, *categories: str) -> Array:
        """For each item, whether it is of one of the categories."""
        return np.isin(self.items["category"], categories)

    @cached_property
    def is_injection(self) -> Array:
        """For each item, whether it is a drug given by the day rather than by the box."""
        return np.asarray(self.is_category("drug") & (self.items[SUPPLY_DAYS] == 1))

    @cached_property
    def is_surgical(self) -> Array:
        """For each disease, whether its stays may need an operation."""
        surgery = self.is_category("surgery")
        return np.array([any(surgery[o.items].any() for o in orders) for orders in self.ward_orders])

    @cached_property
    def needs_hospital(self) -> Array:
        """For each disease, whether its operation is out of reach of a primary hospital."""
        limited = self.is_category("surgery") & (self.items["level"] >= LEVELS.index("secondary"))
        return np.array([any(limited[o.items].any() for o in orders) for orders in self.ward_orders])


def library() -> Library:
    """The library that ships with the package."""
    items = _items()
    position = {key: i for i, key in enumerate(items["key"])}
    diseases = _diseases()
    return Library(
        items=items,
        diseases=diseases,
        complications=_columns(_read("complications"), ("code", "name"), ("level", "adult")),
        external_causes=_columns(_read("external_causes"), ("code", "name"), ()),
        exclusions=_exclusions(position),
        visit_orders=tuple(_orders(text, position) for text in diseases.pop("orders")),
        ward_orders=tuple(_orders(text, position) for text in diseases.pop("ward")),
    )


@dataclass(frozen=True)
class Margin:
    """A published figure for a population, and the range around it that a simulated payer must keep to."""

    figure: str
    population: str
    value: float
    low: float
    high: float
    unit: str
    year: int
    source: str

    @property
    def is_checked(self) -> bool:
        """Whether the figure was compared with a copy of its source."""
        return not self.source.startswith("unchecked")


def published() -> tuple[Margin, ...]:
    """The published margins that ship with the package, by figure and population."""
    return tuple(_margin(record) for record in _read("published"))


def _margin(record: dict[str, str]) -> Margin:
    value, low, high = (float(record[name]) for name in ("value", "low", "high"))
    texts = {name: record[name] for name in ("figure", "population", "unit", "source")}
    return Margin(value=value, low=low, high=high, year=int(record["year"]), **texts)


def _read(name: str) -> list[dict[str, str]]:
    text = files("fraud.claims.simulation").joinpath("library", f"{name}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def _columns(records: list[dict[str, str]], texts: Iterable[str], numbers: Iterable[str]) -> Rows:
    columns: Rows = {name: np.array([r[name] for r in records], dtype=object) for name in texts}
    return columns | {n: np.array([float(r[n]) if r[n] else np.nan for r in records]) for n in numbers}


def _items() -> Rows:
    records = _read("items")
    limits = ("price_cap", "max_per_day", "max_days_supply", "age_min", "age_max")
    items = _columns(records, (*TEXT, *MORE_TEXT), (*limits, "minutes", "positive_rate", SUPPLY_DAYS))
    level = [LEVELS.index(r["level_limit"]) if r["level_limit"] else 0 for r in records]
    flags = {n: np.array([r[n] == "true" for r in records]) for n in ("large_equipment", "dialysis")}
    return items | flags | {"level": np.array(level)}


def _diseases() -> Rows:
    numbers = ("age_low", "age_high", "complexity", "visits", "emergency", "stays", "season", "los", "weight")
    texts = ("code", "name", "department", "sex", "drg", "orders", "ward", "causes")
    return _columns(_read("diseases"), texts, (*numbers, "onset", "prevalence"))


def _exclusions(position: dict[str, int]) -> Rows:
    records = _read("exclusions")
    pairs = {n: np.array([position[r[n]] for r in records]) for n in ("package", "included")}
    return pairs | {"kind": np.array([r["kind"] for r in records], dtype=object)}


def _orders(text: str, position: dict[str, int]) -> tuple[Order, ...]:
    """Orders from `one|other:chance next:chance`."""
    pairs = (part.split(":") for part in text.split())
    return tuple(Order(np.array([position[k] for k in ks.split("|")]), float(p)) for ks, p in pairs)
