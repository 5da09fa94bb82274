"""Columns of the rows of many requests: each read once, converted once, and looked up by place.

Online, the attributes of a patient, provider, item or norm are at hand as one row each: they are looked up, not
joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeVar

import ibis.expr.datatypes as dt
import numpy as np

from fraud.errors import CatalogueError
from fraud.scoring.knowledge import Knowledge
from fraud.scoring.rows import LINE_EXTRAS, PAST_LINE_EXTRAS, RequestRows
from fraud.scoring.shapes import Row
from fraud.signals.inmemory import Column, Leaf, Texts, column_of
from fraud.signals.lookups import Lookup, plain_lookups

__all__ = ["EARLIER_LINES", "Readers", "RequestColumns", "Source", "is_of_item", "readers_of", "source_of"]

# The scope of lines of earlier claims of which not all may be needed.
EARLIER_LINES = "earlier_lines"

Made = TypeVar("Made")
_PARTIES = {"patients": "patient", "providers": "provider", "physicians": "physician"}
# The base table behind each scope, for the lookups that it can be given.
_TABLE = {
    "claim": "target",
    "past": "claims",
    "lines": "lines",
    "past_lines": "lines",
    EARLIER_LINES: "lines",
    "diagnoses": "diagnoses",
    "procedures": "procedures",
}
_EARLIER = ("past_lines", EARLIER_LINES)
_ITEMS = ("catalogue", "")
# What is derived for looking norms up, and what it is derived from.
_CASE_CODE = ("visit_type", "primary_diagnosis")


@dataclass(frozen=True)
class Source:
    """How the column of a leaf is got from requests, and which columns of the rows themselves that takes."""

    column: Callable[[RequestColumns], Column]
    cells: tuple[tuple[str, str], ...] = ()


# For each scope, the columns of the rows themselves that are wanted, and what reads them.
Readers = Mapping[str, Sequence[tuple[str, "itemgetter[Any]"]]]


def readers_of(sources: Iterable[Source]) -> Readers:
    """What reads all that some sources take of the rows."""
    found: dict[str, list[tuple[str, itemgetter[Any]]]] = {}
    for scope, name in dict.fromkeys(cell for source in sources for cell in source.cells):
        found.setdefault(scope, []).append((name, itemgetter(name)))
    return found


class RequestColumns:
    """Columns of the scopes of some requests, the rows of the requests one after another.

    `readers` say what will be asked of the rows: it is read in one go. `texts` number the texts.
    """

    def __init__(self, requests: Sequence[RequestRows], knowledge: Knowledge, readers: Readers, texts: Texts) -> None:
        self.requests, self.knowledge, self.texts = requests, knowledge, texts
        self._readers = readers
        self._known: dict[tuple[str, ...], Any] = {}

    def edges(self, scope: str) -> np.ndarray:
        """Where the rows of each request begin in a scope, and where the last of them ends."""
        return self._once(
            ("edges", scope), lambda: np.cumsum([0, *(len(one.rows(scope)) for one in self.requests)], dtype=np.intp)
        )

    def owner(self, scope: str) -> np.ndarray:
        """To which request each row of a scope belongs."""
        numbers = np.arange(len(self.requests))
        return self._once(("owner", scope), lambda: numbers.repeat(np.diff(self.edges(scope))))

    def cells(self, scope: str, name: str) -> Sequence[Any]:
        """The values of a column of the rows themselves; what a row lacks is None."""
        cells: dict[tuple[str, str], list[Any]] = self._once(("cells",), self._read)
        return cells[scope, name]

    def own(self, scope: str, name: str, kind: dt.DataType) -> Column:
        """A column of the rows themselves."""
        return self._once(("own", scope, name), lambda: self.of(self.cells(scope, name), kind))

    def of(self, values: Sequence[Any], kind: dt.DataType) -> Column:
        """Python values as a column."""
        return column_of(values, kind, self.texts)

    def claims_of_lines(self) -> np.ndarray:
        """For each row of `past_lines`, where its claim stands in `past`."""
        return self._once(("claims",), self._claims_of_lines)

    def places(self, scope: str, source: tuple[str, str], key: str) -> np.ndarray:
        """For each row of a scope, where the row of a table stands that its key finds."""
        return self._once(
            ("places", scope, *source),
            lambda: self.knowledge.facts_of(source).places(self._keys(scope, key)),
        )

    def told(self, scope: str, name: str, kind: dt.DataType) -> Column:
        """For each earlier line of a scope, what the claim at hand says of its item."""
        told = [PAST_LINE_EXTRAS[name](one) for one in self.requests]
        ranks = {item: rank for rank, item in enumerate(dict.fromkeys(item for own in told for item in own))}
        # One row for each claim, one column for each item that any of them bills, and one for all other items.
        width = len(ranks) + 1
        table: list[Any] = [None] * (width * len(told))
        for number, own in enumerate(told):
            for item, value in own.items():
                table[number * width + ranks[item]] = value
        return _taken(self.of(table, kind), self.owner(scope) * width + self._ranks(scope, ranks))

    def _ranks(self, scope: str, ranks: Mapping[str, int]) -> np.ndarray:
        """The rank of the item of each earlier line; one more than the last for an item that has none."""
        places = self.places(scope, _ITEMS, "item_code")
        of_items = np.full(len(self.knowledge.items) + 1, len(ranks), dtype=np.intp)
        of_items[self.knowledge.facts_of(_ITEMS).places(ranks)] = list(ranks.values())
        found: np.ndarray = of_items[places]
        # Items that the payer does not know all stand at the same place.
        codes = self.cells(scope, "item_code")
        for place in np.flatnonzero(places < 0).tolist():
            found[place] = ranks.get(codes[place], len(ranks))
        return found

    def _claims_of_lines(self) -> np.ndarray:
        places = [np.array(one.line_claims, dtype=np.intp) for one in self.requests]
        return np.concatenate([own + first for own, first in zip(places, self.edges("past")[:-1], strict=True)])

    def _read(self) -> dict[tuple[str, str], list[Any]]:
        """All columns that are wanted, request after request: its rows are near at hand only once."""
        found: dict[tuple[str, str], list[Any]] = {(s, name): [] for s, own in self._readers.items() for name, _ in own}
        for one in self.requests:
            for scope, readers in self._readers.items():
                rows = one.rows(scope)
                for name, get in readers:
                    _extend(found[scope, name], rows, name, get)
        return found

    def _keys(self, scope: str, name: str) -> Iterable[str | None]:
        """The values that rows are looked up by; `case_code` as `fraud.signals.columns` derives it."""
        if name != "case_code":
            return self.cells(scope, name)
        parts = zip(*(self.cells(scope, part) for part in _CASE_CODE), strict=True)
        return (f"{visit_type}|{(diagnosis or '?')[:3]}" for visit_type, diagnosis in parts)

    def _once(self, key: tuple[str, ...], make: Callable[[], Made]) -> Made:
        if key not in self._known:
            self._known[key] = make()
        made: Made = self._known[key]
        return made


def source_of(leaf: Leaf, knowledge: Knowledge, texts: Texts) -> Source:
    """How the column of a leaf is got from requests; what the knowledge says is converted here, once.

    Raises:
        CatalogueError: it asks for a provider or physician of an earlier claim, who are not at hand.
    """
    scope, name, kind = leaf.scope, leaf.name, leaf.type
    if not name:
        return Source(lambda columns: _rows_themselves(columns, scope))
    if scope == "lines" and name in LINE_EXTRAS:
        extra = LINE_EXTRAS[name]
        return Source(lambda columns: columns.of([value for one in columns.requests for value in extra(one)], kind))
    if scope in _EARLIER and name in PAST_LINE_EXTRAS:
        return Source(lambda columns: columns.told(scope, name, kind), ((scope, "item_code"),))
    if name.startswith("parent."):
        own = name.removeprefix("parent.")
        return Source(
            lambda columns: _taken(columns.own("past", own, kind), columns.claims_of_lines()), (("past", own),)
        )
    look = next((look for look in plain_lookups(_TABLE[scope]) if name in look.columns), None)
    if look is None:
        return Source(lambda columns: columns.own(scope, name, kind), ((scope, name),))
    assert look.source is not None
    if look.source[0] in _PARTIES:
        return _of_party(leaf, look)
    facts = knowledge.facts_of(look.source).column(look.columns[name], kind, texts)
    return _looked_up(scope, facts, look.source, *look.on)


def is_of_item(leaf: Leaf) -> bool:
    """Whether the column of an earlier line follows from its item and the claim at hand."""
    looked_up = any(leaf.name in look.columns and tuple(look.on) == ("item_code",) for look in plain_lookups("lines"))
    of_item = looked_up or leaf.name == "item_code" or leaf.name in PAST_LINE_EXTRAS
    return leaf.scope == "past_lines" and of_item


def _looked_up(scope: str, facts: Column, source: tuple[str, str], key: str) -> Source:
    cells = _CASE_CODE if key == "case_code" else (key,)
    return Source(lambda columns: _taken(facts, columns.places(scope, source, key)), tuple((scope, c) for c in cells))


def _of_party(leaf: Leaf, look: Lookup) -> Source:
    scope, kind, name = leaf.scope, leaf.type, look.columns[leaf.name]
    assert look.source is not None
    party = _PARTIES[look.source[0]]
    if scope != "claim" and party != "patient":
        raise CatalogueError(f"{leaf.name} of an earlier claim cannot be computed for a single claim.")

    def column(columns: RequestColumns) -> Column:
        found = columns.of([(getattr(one.history, party) or {}).get(name) for one in columns.requests], kind)
        return found if scope == "claim" else _taken(found, columns.owner(scope))

    return Source(column)


def _rows_themselves(columns: RequestColumns, scope: str) -> Column:
    all_of_them = np.ones(columns.edges(scope)[-1], dtype=bool)
    return Column(all_of_them, all_of_them)


def _taken(column: Column, places: np.ndarray) -> Column:
    return Column(column.values[places], column.known[places])


def _extend(values: list[Any], rows: Sequence[Row], name: str, get: Callable[[Row], Any]) -> None:
    """Add the values of a column; what a row lacks is None."""
    before = len(values)
    try:
        values.extend(map(get, rows))
    except KeyError:
        del values[before:]
        values.extend(row.get(name) for row in rows)
