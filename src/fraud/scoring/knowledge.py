"""What is known apart from claims, at hand for looking up: the payer's items and exclusion pairs, a model's norms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import ibis.expr.datatypes as dt
import numpy as np
import pyarrow as pa

from fraud.scoring.shapes import Row
from fraud.signals.inmemory import Column, Texts, column_of

__all__ = ["Facts", "Knowledge", "is_part"]


class _Places(dict[str | None, int]):
    """The place of each key; -1 for a key that has none, in half the time that `get` takes."""

    def __missing__(self, key: str | None) -> int:
        return -1


class Facts:
    """Rows of a table by their key."""

    def __init__(self, rows: Mapping[str, Row]) -> None:
        self.rows = rows
        self._places = _Places(zip(rows, range(len(rows)), strict=True))

    def places(self, keys: Iterable[str | None]) -> np.ndarray:
        """Where the row of each key stands; -1 for a key without a row."""
        return np.fromiter(map(self._places.__getitem__, keys), dtype=np.intp)

    def column(self, name: str, kind: dt.DataType, texts: Texts) -> Column:
        """A column of all rows; one more at its end, which -1 finds, is not known."""
        return column_of([*(row.get(name) for row in self.rows.values()), None], kind, texts)


@dataclass(frozen=True)
class Knowledge:
    """What is known apart from claims.

    `facts` are those tables whose rows are simply looked up, by table and domain as in `fraud.signals.lookups`;
    `items` are the rows of one of them. `included` are the exclusion pairs by the item that is included.
    """

    items: Mapping[str, Row]
    facts: Mapping[tuple[str, str], Facts]
    included: Mapping[str, Sequence[Row]]
    packages: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, norms: pa.Table, items: pa.Table | None, exclusions: pa.Table | None) -> Knowledge:
        """Knowledge from the canonical tables `catalogue` and `exclusions`, and norms."""
        own = {} if items is None else {row["item_code"]: row for row in items.to_pylist()}
        included: dict[str, list[Row]] = {}
        packages: dict[str, set[str]] = {}
        for pair in [] if exclusions is None else exclusions.to_pylist():
            included.setdefault(pair["included_item_code"], []).append(pair)
            if is_part(pair):
                packages.setdefault(pair["item_code"], set()).add(pair["included_item_code"])
        return cls(
            items=own,
            facts={("catalogue", ""): Facts(own), **_norms(norms.to_pylist())},
            included=included,
            packages={package: frozenset(parts) for package, parts in packages.items()},
        )

    def atc_group(self, item: str | None) -> str | None:
        """The chemical subgroup of a drug, as `fraud.signals.columns` derives it."""
        return self._atc_groups.get(item or "")

    @cached_property
    def _atc_groups(self) -> dict[str, str]:
        coded = ((code, row.get("atc") or "") for code, row in self.items.items())
        return {code: atc[:5] for code, atc in coded if len(atc) > 4}

    def drugs_of(self, group: str) -> Sequence[str]:
        """The items of a chemical subgroup."""
        return self._drugs.get(group, ())

    @cached_property
    def _drugs(self) -> dict[str, list[str]]:
        drugs: dict[str, list[str]] = {}
        for code, group in self._atc_groups.items():
            drugs.setdefault(group, []).append(code)
        return drugs

    def facts_of(self, source: tuple[str, str]) -> Facts:
        """The rows of a table and domain; none for a domain that the model has no norms of."""
        return self.facts.get(source) or Facts({})


def _norms(rows: Iterable[Row]) -> dict[tuple[str, str], Facts]:
    domains: dict[str, dict[str, Row]] = {}
    for row in rows:
        domains.setdefault(row["domain"], {})[row["code"]] = row
    return {("norms", domain): Facts(own) for domain, own in domains.items()}


def is_part(pair: Row) -> bool:
    """Whether an exclusion pair says that an item is part of a package."""
    return bool(pair["kind"] == "package_part" and pair["item_code"] != pair["included_item_code"])
