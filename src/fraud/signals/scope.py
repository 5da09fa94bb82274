"""A relation as signals see it, and the small pieces that relations are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

__all__ = ["ENTITY_KEYS", "Scope", "only"]

ENTITY_KEYS = {"patient": "patient_id", "provider": "provider_id", "physician": "physician_id"}


def only(table: ir.Table, names: Iterable[str]) -> ir.Table:
    """The table with just these columns, in name order."""
    return table.select(*sorted(set(names)))


@dataclass(frozen=True, eq=False)
class Scope:
    """A relation as a signal sees it.

    `stub` is an unbound table with every column there could be: signal functions are called with it, and
    the columns that they touch are then asked of `build`. `key` are the columns of the built relation that
    tell which row of the grain its rows belong to. `single` is true where there is one row for each key.
    `requires` are (table, column) pairs without which the relation says nothing. `prepared` names the prepared
    table that it reads, which a builder of frames must fill first.
    """

    name: str
    doc: str
    key: tuple[str, ...]
    build: Callable[[frozenset[str]], ir.Table]
    columns: tuple[str, ...]
    single: bool = False
    requires: tuple[tuple[str, str], ...] = ()
    types: Mapping[str, dt.DataType] = field(default_factory=dict)
    prepared: str | None = None

    @cached_property
    def stub(self) -> ir.Table:
        """What a signal function is called with."""
        types = dict(self.types) or _types(self)
        return ibis.table({n: types[n] for n in self.columns}, name=f"scope_{self.name}")


# Types of the columns of scopes: building a relation with every column is slow, and its types never change.
_TYPES: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Mapping[str, dt.DataType]] = {}


def _types(scope: Scope) -> Mapping[str, dt.DataType]:
    known = (scope.name, scope.key, scope.columns)
    if known not in _TYPES:
        _TYPES[known] = dict(scope.build(frozenset(scope.columns)).schema().items())
    return _TYPES[known]
