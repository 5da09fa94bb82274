"""The knowledge library: items, exclusion pairs, diseases with what is usually ordered for them.

Codes of diagnoses are real ICD-10 codes. Codes of items follow the form of national lists; prices, caps,
rates and order sets are invented.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import numpy as np

from fraud.claims.simulation.rows import Array, Rows

__all__ = ["LEVELS", "Library", "Order", "library"]

LEVELS = ("other", "primary", "secondary", "tertiary")
TEXT = ("key", "item_code", "name", "category", "class", "atc", "sex_limit", "indications", "level_limit")
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
        """ICD codes of diseases, then of complications."""
        return np.concatenate([self.diseases["code"], self.complications["code"]])

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
        exclusions=_exclusions(position),
        visit_orders=tuple(_orders(text, position) for text in diseases.pop("orders")),
        ward_orders=tuple(_orders(text, position) for text in diseases.pop("ward")),
    )


def _read(name: str) -> list[dict[str, str]]:
    text = files("fraud.claims.simulation").joinpath("library", f"{name}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def _columns(records: list[dict[str, str]], texts: Iterable[str], numbers: Iterable[str]) -> Rows:
    columns: Rows = {name: np.array([r[name] for r in records], dtype=object) for name in texts}
    return columns | {n: np.array([float(r[n]) if r[n] else np.nan for r in records]) for n in numbers}


def _items() -> Rows:
    records = _read("items")
    numbers = ("price_cap", "max_per_day", "max_days_supply", "minutes", "age_min", "age_max", SUPPLY_DAYS)
    items = _columns(records, (*TEXT, "visit_type_limit", "procedure"), numbers)
    level = [LEVELS.index(r["level_limit"]) if r["level_limit"] else 0 for r in records]
    flags = {n: np.array([r[n] == "true" for r in records]) for n in ("large_equipment", "dialysis")}
    return items | flags | {"level": np.array(level)}


def _diseases() -> Rows:
    numbers = ("age_low", "age_high", "complexity", "visits", "emergency", "stays", "season", "los", "weight")
    texts = ("code", "name", "department", "sex", "drg", "orders", "ward")
    return _columns(_read("diseases"), texts, (*numbers, "onset", "prevalence"))


def _exclusions(position: dict[str, int]) -> Rows:
    records = _read("exclusions")
    pairs = {n: np.array([position[r[n]] for r in records]) for n in ("package", "included")}
    return pairs | {"kind": np.array([r["kind"] for r in records], dtype=object)}


def _orders(text: str, position: dict[str, int]) -> tuple[Order, ...]:
    """Orders from `one|other:chance next:chance`."""
    pairs = (part.split(":") for part in text.split())
    return tuple(Order(np.array([position[k] for k in ks.split("|")]), float(p)) for ks, p in pairs)
