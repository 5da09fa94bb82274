"""Which lines of earlier claims can count for any signal, said from their item alone.

A patient has hundreds of earlier lines, and signals ask only for a few of them: those of items that the claim bills
again, of drugs of the same subgroup, of dialysis. What makes a line count is in the signals' own definitions: the
parts of their conditions that ask for nothing but the item are computed first, for all lines, and the rest only for
those that are left.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce

import ibis.expr.operations as ops

from fraud.scoring.knowledge import Knowledge
from fraud.scoring.request_columns import EARLIER_LINES, is_of_item
from fraud.scoring.request_program import RequestProgram, Resolver
from fraud.scoring.rows import RequestRows
from fraud.signals.compiling import Reduction
from fraud.signals.inmemory import Leaf, Program

__all__ = ["RelevantLines"]

# With fewer lines than this in all, computing every signal for each of them is quicker.
_MANY_LINES = 3_000


class RelevantLines:
    """Leaves out the lines of earlier claims that can count for none of some reductions, where there are many."""

    def __init__(
        self, resolver: Resolver, reductions: Iterable[Reduction], knowledge: Knowledge, many: int = _MANY_LINES
    ) -> None:
        self._resolver = resolver
        self._many = many
        conditions = [self._of_item(r.op) for r in reductions if r.scope.name == "past_lines"]
        self._program: RequestProgram | None = None
        known = [c for c in conditions if c is not None]
        if known and len(known) == len(conditions):
            self._program = RequestProgram(self._earlier, knowledge)
            self._place = self._program.add(reduce(operator.or_, (c.to_expr() for c in known)).op())
            self._program.make_ready()

    def choose(self, requests: Sequence[RequestRows]) -> None:
        """Leave the lines out, where there are many."""
        if self._program is None or sum(len(one.earlier_lines) for one in requests) < self._many:
            return
        found = self._program.run(requests)
        for number, one in enumerate(requests):
            column = found.of_request(self._place, number)
            one.keep_lines((column.values & column.known).tolist())

    def _of_item(self, reduction: ops.Reduction) -> ops.Value | None:
        """What a line must fulfil to count, as far as its item says it; None where that says nothing."""
        where = getattr(reduction, "where", None)
        parts = [] if where is None else [p for p in _conjuncts(where) if self._asks_for_items_only(p)]
        return reduce(operator.and_, (p.to_expr() for p in parts)).op() if parts else None

    def _asks_for_items_only(self, condition: ops.Value) -> bool:
        program = Program(self._resolver)
        program.add(condition)
        return bool(program.leaves) and all(is_of_item(leaf) for _, leaf in program.leaves)

    def _earlier(self, relation: ops.Relation, name: str) -> Leaf | ops.Value:
        """The same columns, of lines that may yet be left out."""
        found = self._resolver(relation, name)
        return replace(found, scope=EARLIER_LINES) if isinstance(found, Leaf) else found


def _conjuncts(condition: ops.Value) -> Iterator[ops.Value]:
    if isinstance(condition, ops.And):
        yield from _conjuncts(condition.left)
        yield from _conjuncts(condition.right)
    else:
        yield condition
