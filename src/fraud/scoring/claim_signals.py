"""Claim signals of one claim in memory, from the same definitions as in batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from fraud.errors import CatalogueError
from fraud.scoring.knowledge import Knowledge
from fraud.scoring.relevance import RelevantLines
from fraud.scoring.request_program import Found, RequestProgram, Resolver
from fraud.scoring.rows import RequestRows
from fraud.scoring.shapes import ClaimBundle, History, Wanted
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import Signal

__all__ = ["ClaimSignals", "Computed", "as_vector"]


@dataclass(frozen=True)
class Computed:
    """Values of all signals by id (NaN where not known), and what is needed to say which lines are behind them.

    It is request `number` of those that were computed together.
    """

    values: dict[str, float]
    bundle: ClaimBundle
    found: Found
    number: int


class ClaimSignals:
    """Computes claim signals online; safe to call from many threads.

    `items` and `exclusions` are the payer's knowledge library, `norms` those of the model.

    Raises:
        CatalogueError: a signal uses an operation that cannot be computed for a single claim.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        signals: Sequence[Signal],
        *,
        norms: pa.Table,
        items: pa.Table | None = None,
        exclusions: pa.Table | None = None,
    ) -> None:
        self.signals = tuple(signals)
        self._knowledge = Knowledge.of(norms, items, exclusions)
        self._compiler = catalogue.compiler("claim")
        resolver = Resolver(self._compiler)
        self._program = RequestProgram(resolver, self._knowledge)
        self._places = {s.id: self._place(s) for s in self.signals}
        self._behind = {s.id: masks for s in self.signals if s.limit and (masks := self._masks(s))}
        self._defaults = np.array([np.nan if s.default is None else float(s.default) for s in self.signals])
        self._program.make_ready()
        reductions = [r for s in self.signals for r in self._compiler.compile(s).reductions]
        self._relevant = RelevantLines(resolver, reductions, self._knowledge)

    @property
    def wanted(self) -> Wanted:
        """What the signals read of earlier claims and of their lines."""
        return Wanted(frozenset(self._program.reads("past")), frozenset(self._program.reads("past_lines")))

    def compute(self, bundle: ClaimBundle, history: History) -> Computed:
        """Values of all signals for the claim."""
        return self.compute_many([(bundle, history)])[0]

    def compute_many(self, requests: Sequence[tuple[ClaimBundle, History]]) -> list[Computed]:
        """Values of all signals for each of many claims, faster than one after another.

        Each claim sees its own history only: none of the other claims is known to it. Sums may differ from those of
        `compute` in the last digit.
        """
        if not requests:
            return []
        rows = [RequestRows(bundle, history, self._knowledge) for bundle, history in requests]
        self._relevant.choose(rows)
        found = self._program.run(rows)
        values = found.values.numbers(list(self._places.values()), self._defaults, len(rows)).T.tolist()
        return [
            Computed(dict(zip(self._places, own, strict=True)), bundle, found, number)
            for number, ((bundle, _), own) in enumerate(zip(requests, values, strict=True))
        ]

    def lines_behind(self, computed: Computed, ids: Iterable[str]) -> dict[str, tuple[tuple[int, ...], float]]:
        """Line numbers and money behind those of the rules that count the claim's own lines."""
        return {i: self._lines(computed, self._behind[i]) for i in ids if i in self._behind}

    def _place(self, signal: Signal) -> int:
        try:
            return self._program.add(self._compiler.compile(signal).value)
        except CatalogueError as error:
            raise CatalogueError(f"{signal.id}: {error.message}") from error

    def _masks(self, signal: Signal) -> list[int | None]:
        """Places of the conditions on the claim's own lines; None stands for all lines."""
        own = [r for r in self._compiler.compile(signal).reductions if r.scope.name == "lines"]
        conditions = [self._compiler.counts(signal, r) for r in own]
        return [None if c is None else self._program.add(c) for c in conditions]

    def _lines(self, computed: Computed, masks: Sequence[int | None]) -> tuple[tuple[int, ...], float]:
        lines = computed.bundle.lines
        counts = np.zeros(len(lines), dtype=bool)
        for place in masks:
            counts |= True if place is None else self._counted(computed, place)
        chosen = [row for row, counted in zip(lines, counts, strict=True) if counted]
        return tuple(sorted({int(r["line_no"]) for r in chosen})), float(sum(r["amount"] for r in chosen))

    def _counted(self, computed: Computed, place: int) -> np.ndarray:
        column = computed.found.of_request(place, computed.number)
        counted: np.ndarray = column.values & column.known
        return counted


def as_vector(values: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """The named values as one float64 row; what is not there is not known."""
    blank, get = _reader(tuple(names))
    return np.array(get({**blank, **values}), dtype=np.float64).reshape(-1)


@lru_cache(maxsize=32)
def _reader(names: tuple[str, ...]) -> tuple[Mapping[str, float], Callable[[Mapping[str, float]], Any]]:
    """A row in which nothing is known, and what reads all names of one at once."""
    return dict.fromkeys(names, float("nan")), itemgetter(*names) if names else lambda row: ()
