"""The rows of one claim and its history, with everything that signals may ask of them.

Online, the attributes of a patient, provider, item or norm are at hand as one row each: they are looked up, not
joined. What else a relation adds in batch (`fraud.signals.lookups`) is worked out here for a handful of lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa

from fraud.scoring.shapes import ClaimBundle, History, Row
from fraud.signals.lookups import LINES, plain_lookups
from fraud.signals.relations import PAST_DAYS, PAST_LINES_DAYS

__all__ = ["Getter", "Knowledge", "RequestRows", "getter_of"]

_PARTIES = {"patients": "patient", "providers": "provider", "physicians": "physician"}
# The base table behind each scope, for the lookups that it can be given.
_TABLE = {
    "claim": "target",
    "past": "claims",
    "lines": "lines",
    "past_lines": "lines",
    "diagnoses": "diagnoses",
    "procedures": "procedures",
}
Getter = Callable[["RequestRows", Any], Any]


@dataclass(frozen=True)
class Knowledge:
    """What is known apart from claims: the payer's items and exclusion pairs, the model's norms."""

    items: Mapping[str, Row]
    norms: Mapping[tuple[str, str], Row]
    included: Mapping[str, Sequence[Row]]
    packages: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, norms: pa.Table, items: pa.Table | None, exclusions: pa.Table | None) -> Knowledge:
        """Knowledge from the canonical tables `catalogue` and `exclusions`, and norms."""
        pairs = [] if exclusions is None else exclusions.to_pylist()
        included: dict[str, list[Row]] = {}
        packages: dict[str, set[str]] = {}
        for pair in pairs:
            included.setdefault(pair["included_item_code"], []).append(pair)
            if _is_part(pair):
                packages.setdefault(pair["item_code"], set()).add(pair["included_item_code"])
        return cls(
            items={} if items is None else {row["item_code"]: row for row in items.to_pylist()},
            norms={(row["domain"], row["code"]): row for row in norms.to_pylist()},
            included=included,
            packages={package: frozenset(parts) for package, parts in packages.items()},
        )


class RequestRows:
    """The rows of each scope for one claim; the same bounds hold as in batch: only what was known before."""

    def __init__(self, bundle: ClaimBundle, history: History, knowledge: Knowledge) -> None:
        self.bundle, self.history, self.knowledge = bundle, history, knowledge
        self._same_class: dict[str, set[str] | None] = {}

    def rows(self, scope: str) -> Sequence[Any]:
        """Rows of a scope: plain rows, and for `past_lines` pairs of a line and its claim."""
        if scope == "past":
            return self.past
        if scope == "past_lines":
            return self.past_lines
        if scope == "claim":
            return (self.bundle.claim,)
        found: Sequence[Any] = getattr(self.bundle, scope)
        return found

    @cached_property
    def past(self) -> list[Row]:
        """The patient's claims known before this one was settled."""
        return self._known(PAST_DAYS)

    @cached_property
    def past_lines(self) -> list[tuple[Row, Row]]:
        """Lines of the claims known before this one, each with its claim."""
        claims = {c["claim_id"]: c for c in self._known(PAST_LINES_DAYS)}
        return [(row, claims[row["claim_id"]]) for row in self.history.lines if row["claim_id"] in claims]

    def _known(self, days: int) -> list[Row]:
        claim = self.bundle.claim
        settled: datetime = claim["settled_at"]
        first = settled - timedelta(days=days)
        own = claim["claim_id"]
        return [c for c in self.history.claims if first <= c["settled_at"] < settled and c["claim_id"] != own]

    # --- what the relation `lines` adds -------------------------------------------------------------------

    @cached_property
    def same_item(self) -> dict[Any, list[Row]]:
        """The claim's lines by item, day and price."""
        return _grouped(self.bundle.lines, lambda r: (r["item_code"], _day(r), r.get("unit_price")))

    @cached_property
    def item_day(self) -> dict[Any, list[Row]]:
        """The claim's lines by item and day."""
        return _grouped(self.bundle.lines, lambda r: (r["item_code"], _day(r)))

    @cached_property
    def now_quantity(self) -> dict[str, float]:
        """Units of each item that the claim bills."""
        found: dict[str, float] = {}
        for row in self.bundle.lines:
            found[row["item_code"]] = found.get(row["item_code"], 0.0) + row["quantity"]
        return found

    @cached_property
    def drugs_by_class(self) -> dict[str, set[str]]:
        """Items of the claim by the chemical subgroup of their drug."""
        found: dict[str, set[str]] = {}
        for row in self.bundle.lines:
            if group := self.atc_group(row["item_code"]):
                found.setdefault(group, set()).add(row["item_code"])
        return found

    def same_class(self, item: str) -> set[str] | None:
        """Drugs of the claim of an item's chemical subgroup; None where there are none."""
        if item not in self._same_class:
            self._same_class[item] = self.drugs_by_class.get(self.atc_group(item) or "")
        return self._same_class[item]

    def atc_group(self, item: str) -> str | None:
        """The chemical subgroup of a drug, as `fraud.signals.columns` derives it."""
        atc = self.knowledge.items.get(item, {}).get("atc") or ""
        return atc[:5] if len(atc) > 4 else None

    def indicated(self, row: Row) -> bool | None:
        """Whether any diagnosis of the claim is one that the item is paid for."""
        paid_for = self.knowledge.items.get(row["item_code"], {}).get("indications")
        codes = [d["code"] for d in self.bundle.diagnoses]
        if not paid_for or not codes:
            return None
        return any(code.startswith(prefix) for code in codes for prefix in paid_for)

    def package_share(self, row: Row) -> float | None:
        """Largest share of the parts of one package, not billed itself, that the claim bills that day."""
        day = _day(row)
        pairs = self.knowledge.included.get(row["item_code"], ()) if day is not None else ()
        names = [p["item_code"] for p in pairs if _is_part(p) and _in_force(p, day)]
        shares = [self._share_of(name, day) for name in names if (name, day) not in self.item_day]
        return max(shares, default=None)

    def _share_of(self, package: str, day: date | None) -> float:
        parts = self.knowledge.packages[package]
        billed = [part for part in parts if (part, day) in self.item_day and self._is_part_on(part, package, day)]
        return len(billed) / len(parts)

    def _is_part_on(self, part: str, package: str, day: date | None) -> bool:
        pairs = self.knowledge.included[part]
        return any(p["item_code"] == package and _is_part(p) and _in_force(p, day) for p in pairs)

    def included_by(self, row: Row) -> str | None:
        """The item of the same day that already includes this one; the first by code."""
        day, item = _day(row), row["item_code"]
        pairs = self.knowledge.included.get(item, ()) if day is not None else ()
        found = [p["item_code"] for p in pairs if p["item_code"] != item and _in_force(p, day)]
        return min((code for code in found if (code, day) in self.item_day), default=None)


def getter_of(scope: str, name: str) -> Getter:
    """How a column of a scope is read from one of its rows."""
    if scope == "past_lines":
        return _past_line_getter(name)
    if scope == "lines" and name in _LINE_EXTRAS:
        return _LINE_EXTRAS[name]
    return _lookup_getter(scope, name) or (lambda rows, row: row.get(name))


def _past_line_getter(name: str) -> Getter:
    if name.startswith("parent."):
        column = name.removeprefix("parent.")
        return lambda rows, pair: pair[1].get(column)
    if name == "now_quantity":
        return lambda rows, pair: rows.now_quantity.get(pair[0]["item_code"])
    if name in _CLASS_EXTRAS:
        of_class = _CLASS_EXTRAS[name]
        return lambda rows, pair: of_class(rows.same_class(pair[0]["item_code"]))
    inner = _lookup_getter("past_lines", name)
    if inner is None:
        return lambda rows, pair: pair[0].get(name)
    return lambda rows, pair: inner(rows, pair[0])


def _lookup_getter(scope: str, name: str) -> Getter | None:
    """How a looked-up column is read; None for a column of the row itself."""
    found = [(look, look.columns[name]) for look in plain_lookups(_TABLE[scope]) if name in look.columns]
    if not found:
        return None
    look, column = found[0]
    assert look.source is not None
    (key,), (table, domain) = tuple(look.on), look.source
    if table in _PARTIES:
        party = _PARTIES[table]
        return lambda rows, row: (getattr(rows.history, party) or {}).get(column)
    if table == "norms":
        return lambda rows, row: rows.knowledge.norms.get((domain, _key(row, key)), {}).get(column)
    return lambda rows, row: rows.knowledge.items.get(row.get(key), {}).get(column)


def _of_group(name: str, add: Callable[[list[Row]], Any], key: Callable[[Row], tuple[Any, ...]]) -> Getter:
    """A figure of the group of lines that a line belongs to; a group with an unknown key is none."""

    def get(rows: RequestRows, row: Row) -> Any:
        own = key(row)
        return None if None in own else add(getattr(rows, name)[own])

    return get


def _item_key(row: Row) -> tuple[Any, ...]:
    return (row["item_code"], _day(row))


def _priced_key(row: Row) -> tuple[Any, ...]:
    return (row["item_code"], _day(row), row.get("unit_price"))


_LINE_EXTRAS: Mapping[str, Getter] = {
    "same_item_lines": _of_group("same_item", len, _priced_key),
    "first_line_no": _of_group("same_item", lambda g: min(r["line_no"] for r in g), _priced_key),
    "day_quantity": _of_group("item_day", lambda g: sum(r["quantity"] for r in g), _item_key),
    "day_first_line_no": _of_group("item_day", lambda g: min(r["line_no"] for r in g), _item_key),
    "included_by": lambda rows, row: rows.included_by(row),
    "indicated": lambda rows, row: rows.indicated(row),
    "package_share": lambda rows, row: rows.package_share(row),
    "class_items": lambda rows, row: _count(rows.same_class(row["item_code"])),
}
# Every column that the relation adds beyond plain lookups must be here.
assert {n for look in LINES.lookups if look.source is None for n in look.columns} <= set(_LINE_EXTRAS)


def _count(found: set[str] | None) -> int | None:
    return None if found is None else len(found)


# What an earlier line is told of the drugs of its class that the claim at hand bills.
_CLASS_EXTRAS: Mapping[str, Callable[[set[str] | None], Any]] = {
    "now_class_items": _count,
    "now_class_item": lambda found: None if found is None else min(found),
}


def _is_part(pair: Row) -> bool:
    return bool(pair["kind"] == "package_part" and pair["item_code"] != pair["included_item_code"])


def _key(row: Row, name: str) -> Any:
    """The value that a norm is looked up by; `case_code` as `fraud.signals.columns` derives it."""
    if name != "case_code":
        return row.get(name)
    return f"{row.get('visit_type')}|{(row.get('primary_diagnosis') or '?')[:3]}"


def _day(row: Row) -> date | None:
    at = row.get("service_at")
    return None if at is None else at.date()


def _in_force(pair: Row, day: date | None) -> bool:
    assert day is not None
    return (pair.get("valid_from") or day) <= day <= (pair.get("valid_to") or day)


def _grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found
