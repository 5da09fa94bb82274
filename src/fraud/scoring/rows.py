"""The rows of one claim and its history, and what a relation adds to the claim's own lines.

What is looked up in batch (`fraud.signals.lookups`) and is more than one row of a stored table is worked out here
for a handful of lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import compress
from operator import itemgetter
from typing import Any

from fraud.scoring.knowledge import Knowledge, is_part
from fraud.scoring.shapes import ClaimBundle, History, Row
from fraud.signals.lookups import LINES
from fraud.signals.relations import PAST_DAYS, PAST_LINES_DAYS

__all__ = ["LINE_EXTRAS", "PAST_LINE_EXTRAS", "RequestRows"]

_CLAIM_ID = itemgetter("claim_id")
_ITEMS = ("lines", "diagnoses", "procedures")


class RequestRows:
    """The rows of each scope for one claim; the same bounds hold as in batch: only what was known before."""

    def __init__(self, bundle: ClaimBundle, history: History, knowledge: Knowledge) -> None:
        self.bundle, self.history, self.knowledge = bundle, history, knowledge
        # Lines of earlier claims, whether known before this one or not.
        self.earlier_lines: Sequence[Row] = history.lines

    def keep_lines(self, wanted: Iterable[bool]) -> None:
        """Leave out lines of earlier claims that nobody will ask for; before anything else is asked."""
        self.earlier_lines = list(compress(self.earlier_lines, wanted))

    def rows(self, scope: str) -> Sequence[Row]:
        """Rows of a scope."""
        if scope == "claim":
            return (self.bundle.claim,)
        found: Sequence[Row] = getattr(self.bundle if scope in _ITEMS else self, scope)
        return found

    @cached_property
    def past(self) -> Sequence[Row]:
        """The patient's claims known before this one was settled."""
        claims, own, settled = self.history.claims, self.bundle.claim["claim_id"], self.bundle.claim["settled_at"]
        first = _before(settled, PAST_DAYS)
        days = [c["settled_at"] for c in claims]
        # Who reads the history leaves out what is too old or too new already.
        if not days or (min(days) >= first and max(days) < settled and own not in map(_CLAIM_ID, claims)):
            return claims
        return [c for c in claims if first <= c["settled_at"] < settled and c["claim_id"] != own]

    @property
    def past_lines(self) -> Sequence[Row]:
        """Lines of the claims known before this one."""
        return self._lines_and_claims[0]

    @property
    def line_claims(self) -> Sequence[int]:
        """For each of these lines, where its claim stands in `past`."""
        return self._lines_and_claims[1]

    @cached_property
    def _lines_and_claims(self) -> tuple[Sequence[Row], Sequence[int]]:
        lines = self.earlier_lines
        if not lines:
            return (), ()
        first = _before(self.bundle.claim["settled_at"], PAST_LINES_DAYS)
        recent = {c["claim_id"]: place for place, c in enumerate(self.past) if c["settled_at"] >= first}
        places = [recent.get(claim_id, -1) for claim_id in map(_CLAIM_ID, lines)]
        if min(places) >= 0:
            return lines, places
        known = [(row, place) for row, place in zip(lines, places, strict=True) if place >= 0]
        return [row for row, _ in known], [place for _, place in known]

    # --- what the relation `lines` adds -------------------------------------------------------------------

    @cached_property
    def days(self) -> list[date | None]:
        """The day of service of each line."""
        return [None if (at := row.get("service_at")) is None else at.date() for row in self.bundle.lines]

    @cached_property
    def item_keys(self) -> list[tuple[Any, ...]]:
        """Item and day of each line."""
        return [(row["item_code"], day) for row, day in zip(self.bundle.lines, self.days, strict=True)]

    @cached_property
    def priced_keys(self) -> list[tuple[Any, ...]]:
        """Item, day and price of each line."""
        return [(*key, row.get("unit_price")) for key, row in zip(self.item_keys, self.bundle.lines, strict=True)]

    @cached_property
    def by_item(self) -> dict[Any, list[Row]]:
        """The claim's lines by item and day."""
        return _grouped(self.bundle.lines, self.item_keys)

    @cached_property
    def by_price(self) -> dict[Any, list[Row]]:
        """The claim's lines by item, day and price."""
        return _grouped(self.bundle.lines, self.priced_keys)

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
            if group := self.knowledge.atc_group(row["item_code"]):
                found.setdefault(group, set()).add(row["item_code"])
        return found

    def by_class(self, say: Callable[[set[str]], Any]) -> dict[str, Any]:
        """For every drug of the subgroups that the claim bills, something of those that it bills."""
        said = {group: say(items) for group, items in self.drugs_by_class.items()}
        return {item: said[group] for group in said for item in self.knowledge.drugs_of(group)}

    def class_items(self, item: str) -> int | None:
        """How many drugs of an item's chemical subgroup the claim bills; None for what is no such drug."""
        found = self.drugs_by_class.get(self.knowledge.atc_group(item) or "")
        return None if found is None else len(found)

    def indicated(self, item: str) -> bool | None:
        """Whether any diagnosis of the claim is one that the item is paid for."""
        paid_for = self.knowledge.items.get(item, {}).get("indications")
        if not paid_for or not self.bundle.diagnoses:
            return None
        return any(row["code"].startswith(prefix) for row in self.bundle.diagnoses for prefix in paid_for)

    def package_share(self, item: str, day: date | None) -> float | None:
        """Largest share of the parts of one package, not billed itself, that the claim bills that day."""
        pairs = self.knowledge.included.get(item, ()) if day is not None else ()
        names = [p["item_code"] for p in pairs if is_part(p) and _in_force(p, day)]
        shares = [self._share_of(name, day) for name in names if (name, day) not in self.by_item]
        return max(shares, default=None)

    def _share_of(self, package: str, day: date | None) -> float:
        parts = self.knowledge.packages[package]
        billed = [part for part in parts if (part, day) in self.by_item and self._is_part_on(part, package, day)]
        return len(billed) / len(parts)

    def _is_part_on(self, part: str, package: str, day: date | None) -> bool:
        pairs = self.knowledge.included[part]
        return any(p["item_code"] == package and is_part(p) and _in_force(p, day) for p in pairs)

    def included_by(self, item: str, day: date | None) -> str | None:
        """The item of the same day that already includes this one; the first by code."""
        pairs = self.knowledge.included.get(item, ()) if day is not None else ()
        found = [p["item_code"] for p in pairs if p["item_code"] != item and _in_force(p, day)]
        return min((code for code in found if (code, day) in self.by_item), default=None)


# A figure of each of the claim's lines.
_Extra = Callable[[RequestRows], list[Any]]


def _of_group(keys: str, groups: str, add: Callable[[list[Row]], Any]) -> _Extra:
    """A figure of the group of lines that a line belongs to; a group with an unknown key is none."""

    def of(rows: RequestRows) -> list[Any]:
        found = getattr(rows, groups)
        return [None if None in key else add(found[key]) for key in getattr(rows, keys)]

    return of


def _of_item(name: str) -> _Extra:
    """What a method says of the item of each line."""
    return lambda rows: [getattr(rows, name)(row["item_code"]) for row in rows.bundle.lines]


def _of_item_and_day(name: str) -> _Extra:
    """What a method says of the item of each line, and its day."""
    return lambda rows: [getattr(rows, name)(*key) for key in rows.item_keys]


def _first_line_no(lines: list[Row]) -> int:
    return min(int(row["line_no"]) for row in lines)


LINE_EXTRAS: Mapping[str, _Extra] = {
    "same_item_lines": _of_group("priced_keys", "by_price", len),
    "first_line_no": _of_group("priced_keys", "by_price", _first_line_no),
    "day_quantity": _of_group("item_keys", "by_item", lambda lines: sum(row["quantity"] for row in lines)),
    "day_first_line_no": _of_group("item_keys", "by_item", _first_line_no),
    "included_by": _of_item_and_day("included_by"),
    "indicated": _of_item("indicated"),
    "package_share": _of_item_and_day("package_share"),
    "class_items": _of_item("class_items"),
}
# Every column that the relation adds beyond plain lookups must be here.
assert {n for look in LINES.lookups if look.source is None for n in look.columns} <= set(LINE_EXTRAS)

# What an earlier line is told of the claim at hand, by its item: units of it, drugs of the same chemical subgroup.
PAST_LINE_EXTRAS: Mapping[str, Callable[[RequestRows], Mapping[str, Any]]] = {
    "now_quantity": lambda rows: rows.now_quantity,
    "now_class_items": lambda rows: rows.by_class(len),
    "now_class_item": lambda rows: rows.by_class(min),
}


def _before(day: datetime, days: int) -> datetime:
    """That many days before; a claim of the first year of the calendar has no year before it."""
    return day - timedelta(days=days) if day > datetime.min + timedelta(days=days) else datetime.min


def _in_force(pair: Row, day: date | None) -> bool:
    assert day is not None
    return (pair.get("valid_from") or day) <= day <= (pair.get("valid_to") or day)


def _grouped(rows: Iterable[Row], keys: Iterable[Any]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row, key in zip(rows, keys, strict=True):
        found.setdefault(key, []).append(row)
    return found
