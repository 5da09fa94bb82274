"""Steps of one kind as one step: what is called over small arrays costs by the call, not by the value.

A program has a thousand steps, most of them over the one row of a claim, and many the same operation of other
columns: a hundred comparisons with a limit, a hundred values whose default is filled in. All columns of a scope and
type are rows of one array, a bank, and those steps that can be taken together run over rows of banks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.datatypes as dt
import numpy as np

from fraud.signals.reducing import Column, Reducer, Segments
from fraud.signals.steps import Step
from fraud.signals.texts import Texts

__all__ = ["Made", "Place", "Plan", "Values", "plan_of"]


@dataclass(frozen=True)
class Place:
    """Where the value of an expression is kept: the scope over whose rows it runs, and how it is held.

    A constant has no scope.
    """

    scope: str | None
    held: str

    @classmethod
    def of(cls, scope: str | None, kind: dt.DataType) -> Place:
        """The place of a value of that type; all numbers are held alike, and texts by their number."""
        if kind.is_boolean():
            return cls(scope, "bool")
        if kind.is_numeric():
            return cls(scope, "float64")
        if kind.is_timestamp():
            return cls(scope, "datetime64[us]")
        if kind.is_string():
            return cls(scope, "int64")
        return cls(scope, "datetime64[D]" if kind.is_date() else "object")


@dataclass(frozen=True)
class Made:
    """One step of a program: the places that it takes and fills, by their numbers.

    `scope` is that of the rows it runs over. A step that `reads` takes the texts first; one that is `whole` takes all
    its places as one stack.
    """

    place: int
    arguments: tuple[int, ...]
    scope: str | None
    step: Step | None = None
    reducer: Reducer | None = None
    reads: bool = False
    whole: bool = False


@dataclass(frozen=True)
class _Spot:
    """Where a place stands: a row of a bank."""

    bank: int
    row: int


@dataclass(frozen=True)
class _Argument:
    """One argument of steps that run together: a constant, or rows of a bank.

    `spread` says that it has one value for each request, beside others with one for each row.
    """

    constant: Column | None
    bank: int
    rows: Any
    spread: bool

    def of(self, banks: Sequence[Column], segments: Segments | None) -> Column:
        """The argument as a stack."""
        if self.constant is not None:
            return self.constant
        values, known = banks[self.bank]
        if isinstance(self.rows, slice):
            values, known = values[self.rows], known[self.rows]
        else:
            # In a third of the time that an index takes.
            values, known = values.take(self.rows, 0), known.take(self.rows, 0)
        if self.spread and segments is not None and segments.size > 1:
            values, known = values.take(segments.owner, axis=1), known.take(segments.owner, axis=1)
        return Column(values, known)


@dataclass(frozen=True)
class _Together:
    """Steps that run as one, and the rows of a bank that they fill."""

    arguments: tuple[_Argument, ...]
    scope: str | None
    step: Step | None
    reducer: Reducer | None
    reads: bool
    bank: int
    rows: slice

    def run(self, banks: Sequence[Column], segments: Segments | None, texts: Texts) -> None:
        """Fill the rows; where the scope has none, there is nothing to fill."""
        if self.reducer is not None:
            assert segments is not None
            made = self.reducer([a.of(banks, segments) for a in self.arguments], segments)
        elif segments is None or len(segments.owner):
            assert self.step is not None
            taken = [a.of(banks, segments) for a in self.arguments]
            made = self.step(texts, *taken) if self.reads else self.step(*taken)
        else:
            return
        values, known = banks[self.bank]
        values[self.rows], known[self.rows] = made


class Values(Sequence[Column]):
    """The columns of a program that has run, by their place."""

    def __init__(self, banks: Sequence[Column], spots: Sequence[_Spot]) -> None:
        self._banks, self._spots = banks, spots

    def __len__(self) -> int:
        return len(self._spots)

    def __getitem__(self, place: Any) -> Any:
        spot = self._spots[place]
        values, known = self._banks[spot.bank]
        return Column(values[spot.row], known[spot.row])

    def numbers(self, places: Sequence[int], defaults: np.ndarray, size: int) -> np.ndarray:
        """A row of float64 values for each of some places over single rows; its default where not known."""
        found = np.empty((len(places), size))
        spots = [self._spots[p] for p in places]
        for bank in {spot.bank for spot in spots}:
            own = [i for i, spot in enumerate(spots) if spot.bank == bank]
            rows = [spots[i].row for i in own]
            values, known = self._banks[bank]
            found[own] = np.where(known[rows], values[rows].astype(np.float64), defaults[own, None])
        return found


@dataclass(frozen=True)
class Plan:
    """In which order steps run, and which of them together.

    `banks` are what is held together, with the number of its rows; `constants` those banks that no run changes.
    """

    banks: tuple[tuple[Place, int], ...]
    constants: Mapping[Place, Column]
    groups: tuple[_Together, ...]
    spots: tuple[_Spot, ...]

    def run(self, leaves: Mapping[int, Column], segments: Mapping[str, Segments], size: int, texts: Texts) -> Values:
        """All columns, given those of the leaves by their place, the rows of each scope and the texts."""
        banks = [self._bank(place, rows, segments, size) for place, rows in self.banks]
        for place, column in leaves.items():
            spot = self.spots[place]
            values, known = banks[spot.bank]
            values[spot.row], known[spot.row] = column
        for group in self.groups:
            group.run(banks, segments.get(group.scope) if group.scope else None, texts)
        return Values(banks, self.spots)

    def _bank(self, place: Place, rows: int, segments: Mapping[str, Segments], size: int) -> Column:
        if place.scope is None:
            return self.constants[place]
        own = segments.get(place.scope)
        shape = (rows, size if own is None else len(own.owner))
        return Column(np.empty(shape, dtype=place.held), np.empty(shape, dtype=bool))


def plan_of(
    constants: Mapping[int, Column], leaves: Sequence[int], made: Sequence[Made], places: Sequence[Place]
) -> Plan:
    """The plan for the steps of a program; the constants are columns of one value."""
    filled = _Filled(places)
    for place in (*constants, *leaves):
        filled.add([place])
    groups = []
    for batch in _batches(made, places, filled.spots):
        ordered = sorted(batch, key=lambda m: [filled.spots[p].row for p in m.arguments])
        first = filled.add([m.place for m in ordered])
        rows = slice(first.row, first.row + len(ordered))
        arguments = tuple(_arguments(ordered, constants, filled.spots, places))
        one = ordered[0]
        groups.append(_Together(arguments, one.scope, one.step, one.reducer, one.reads, first.bank, rows))
    held = {places[p]: [constants[q] for q in constants if places[q] == places[p]] for p in constants}
    spots = tuple(filled.spots[p] for p in range(len(places)))
    return Plan(tuple(filled.sizes.items()), {h: _stacked(c) for h, c in held.items()}, tuple(groups), spots)


def _stacked(columns: Sequence[Column]) -> Column:
    """Columns of one value as a stack."""
    return Column(np.stack([c.values for c in columns]), np.stack([c.known for c in columns]))


class _Filled:
    """Rows of banks, given away one after another."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.spots: dict[int, _Spot] = {}
        self.sizes: dict[Place, int] = {}
        self._places = places

    def add(self, numbers: Sequence[int]) -> _Spot:
        """Give rows that follow each other to places that are held alike; the first of them."""
        held = self._places[numbers[0]]
        first = self.sizes.setdefault(held, 0)
        bank = list(self.sizes).index(held)
        self.spots |= {number: _Spot(bank, first + i) for i, number in enumerate(numbers)}
        self.sizes[held] += len(numbers)
        return _Spot(bank, first)


def _batches(made: Sequence[Made], places: Sequence[Place], there: Iterable[int]) -> Iterator[list[Made]]:
    """Steps that can run together, in an order in which each finds what it takes.

    A kind of which all that is left can run goes first; else the one of which the largest part can.
    """
    kinds = {m.place: _kind(m, places) for m in made}
    needed = {m.place: set(m.arguments).difference(there) for m in made}
    waiting = {place: len(own) for place, own in needed.items()}
    takers: dict[int, list[Made]] = defaultdict(list)
    for one in made:
        for place in needed[one.place]:
            takers[place].append(one)
    left = Counter(kinds.values())
    ready: dict[Hashable, list[Made]] = defaultdict(list)
    for one in made:
        if not waiting[one.place]:
            ready[kinds[one.place]].append(one)
    while ready:
        kind = max(ready, key=lambda k: (len(ready[k]) / left[k], len(ready[k])))
        batch = ready.pop(kind)
        left[kind] -= len(batch)
        for taker in (t for one in batch for t in takers[one.place]):
            waiting[taker.place] -= 1
            if not waiting[taker.place]:
                ready[kinds[taker.place]].append(taker)
        yield batch


def _kind(made: Made, places: Sequence[Place]) -> Hashable:
    """What steps that run together have in common."""
    own = made.place if made.whole else tuple(places[p] for p in made.arguments)
    return made.step, made.reducer, own, places[made.place]


def _arguments(
    batch: Sequence[Made], constants: Mapping[int, Column], spots: Mapping[int, _Spot], places: Sequence[Place]
) -> Iterator[_Argument]:
    first = batch[0]
    columns = [first.arguments] if first.whole else zip(*(m.arguments for m in batch), strict=True)
    for numbers in columns:
        own = numbers[:1] if len(set(numbers)) == 1 else numbers
        spread = first.scope is not None and places[own[0]].scope != first.scope
        if own[0] in constants:
            yield _Argument(_stacked([constants[p] for p in own]), 0, None, False)
        else:
            yield _Argument(None, spots[own[0]].bank, _rows([spots[p].row for p in own]), spread)


def _rows(rows: Sequence[int]) -> slice | np.ndarray:
    """Rows of a bank, as a slice where they stand one after another."""
    if list(rows) == list(range(rows[0], rows[0] + len(rows))):
        return slice(rows[0], rows[0] + len(rows))
    return np.array(rows)
