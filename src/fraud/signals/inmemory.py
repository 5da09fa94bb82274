"""Signals over a handful of rows in memory, from the same expressions as in batch.

For one claim in a request, planning a query costs many times the work. The expressions that signals consist of
use few operations, so they are turned into a list of steps over small arrays once, and each request runs the
steps, those of one kind together. What a value means is said by the definition alone; that both ways agree is
tested over every signal.

A column is a pair of arrays: values, and whether each is known. Logic is three-valued as in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import numpy as np

from fraud.signals.reducing import Column, Reducer, Segments, numbers_of_rows
from fraud.signals.stacking import Made, Place, Plan, Values, plan_of
from fraud.signals.steps import Step, column_of, reducer_of, step_of, terms_of, total
from fraud.signals.texts import Texts

__all__ = ["Column", "Leaf", "Program", "Texts", "Values", "column_of"]


@dataclass(frozen=True)
class Leaf:
    """A column that a request brings: the scope it belongs to, its name and its type.

    Without a name it is only the rows themselves, for counting them.
    """

    scope: str
    name: str
    type: dt.DataType


# For a relation and a column of it: what the request brings, or the expression that derives it. Without a column
# name: the leaf that stands for the relation's rows.
Resolve = Callable[[ops.Relation, str], "Leaf | ops.Value"]
# A sum of more terms than this is one step.
_FEW_TERMS = 2


class Program:
    """Expressions as steps; each distinct sub-expression is computed once.

    `resolve` says for a column of a scope whether the request brings it or which expression derives it. `single` is
    the scope with one row for each request.
    """

    def __init__(self, resolve: Resolve, single: str = "claim") -> None:
        self.leaves: list[tuple[int, Leaf]] = []
        # Texts that every request knows: they must not grow once a request runs.
        self.texts = Texts()
        self._resolve = resolve
        self._single = single
        self._numbers: dict[Any, int] = {}
        self._places: list[Place] = []
        self._constants: dict[int, Column] = {}
        self._made: list[Made] = []
        self._plan: Plan | None = None

    def add(self, expression: ops.Value) -> int:
        """The place of an expression's value; raises `CatalogueError` for an operation that is not there."""
        if expression not in self._numbers:
            self._numbers[expression] = self._add(expression)
        return self._numbers[expression]

    def scope(self, place: int) -> str | None:
        """The scope whose rows the column at a place runs over; None for a constant."""
        return self._places[place].scope

    def run(
        self,
        leaves: Mapping[int, Column],
        texts: Texts,
        owners: Mapping[str, np.ndarray] | None = None,
        size: int = 1,
    ) -> Values:
        """Values of all places for `size` requests at once, given those of the leaves by their place.

        `texts` number the texts of the leaves; they are made from those of the program.

        The rows of each scope are those of the requests one after another; `owners` says to which request each
        belongs, for every scope but the single one. Without it all rows belong to one request.
        """
        if owners is None:
            owners = {leaf.scope: np.zeros(len(leaves[p].known), dtype=np.intp) for p, leaf in self.leaves}
        segments = {s: Segments.of(owner, size) for s, owner in owners.items() if s != self._single}
        with np.errstate(all="ignore"):
            return self.planned().run(leaves, segments, size, texts)

    def planned(self) -> Plan:
        """The plan of the steps, made when it is first asked for after something was added."""
        if self._plan is None:
            self._plan = plan_of(self._constants, [p for p, _ in self.leaves], self._made, self._places)
        return self._plan

    def _add(self, node: ops.Value) -> int:
        if isinstance(node, ops.Field):
            return self._found(self._resolve(node.rel, node.name))
        if isinstance(node, ops.Literal):
            return self._constant(column_of([node.value], node.dtype, self.texts), node.dtype)
        if isinstance(node, ops.CountStar):
            rows = self._found(self._resolve(node.arg, ""))
            where = () if node.where is None else (self.add(node.where),)
            return self._append(node, (rows, *where), reducer=numbers_of_rows)
        if isinstance(node, ops.Reduction):
            reducer, arguments = reducer_of(node)
            return self._append(node, tuple(self.add(a) for a in arguments), reducer=reducer)
        return self._computed(node)

    def _computed(self, node: ops.Value) -> int:
        terms = tuple(self.add(t) for t in terms_of(node))
        if len(terms) > _FEW_TERMS and {self.scope(p) for p in terms} == {self._single}:
            return self._append(node, terms, step=total, whole=True)
        step, arguments, reads = step_of(node, self.texts)
        places = tuple(self.add(a) for a in arguments)
        if all(p in self._constants for p in places):
            given = [self._constants[p] for p in places]
            with np.errstate(all="ignore"):
                return self._constant(step(self.texts, *given) if reads else step(*given), node.dtype)
        return self._append(node, places, step=step, reads=reads)

    def _found(self, found: Leaf | ops.Value) -> int:
        return self._leaf(found) if isinstance(found, Leaf) else self.add(found)

    def _leaf(self, leaf: Leaf) -> int:
        if leaf not in self._numbers:
            self._numbers[leaf] = self._next(Place.of(leaf.scope, leaf.type))
            self.leaves.append((self._numbers[leaf], leaf))
        return self._numbers[leaf]

    def _constant(self, column: Column, kind: dt.DataType) -> int:
        place = self._next(Place.of(None, kind))
        self._constants[place] = column
        return place

    def _append(
        self,
        node: ops.Value,
        places: tuple[int, ...],
        *,
        step: Step | None = None,
        reducer: Reducer | None = None,
        reads: bool = False,
        whole: bool = False,
    ) -> int:
        scope = self._scope_of(places)
        place = self._next(Place.of(self._single if reducer else scope, node.dtype))
        self._made.append(Made(place, places, scope, step, reducer, reads, whole))
        return place

    def _scope_of(self, places: Sequence[int]) -> str | None:
        """The scope with many rows among those of some places, else the single one, else none."""
        found = {self.scope(p) for p in places} - {None}
        return next((s for s in found if s != self._single), next(iter(found), None))

    def _next(self, place: Place) -> int:
        self._plan = None
        self._places.append(place)
        return len(self._places) - 1
