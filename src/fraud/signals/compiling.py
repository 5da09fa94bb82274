"""All signals of a grain as one Ibis query.

A signal's expression is made of reductions over relations with many rows (`past`, `window`, …) and of columns
of the one row that it describes. The compiler collects the reductions of all signals, computes each distinct
one once, grouped by the row's key, joins the groups to the rows and puts every expression together again on
top of the joined columns. A group without rows counts 0; every other reduction of it is null, and a null
result becomes the signal's default.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir

from fraud.errors import CatalogueError
from fraud.signals.definition import Signal
from fraud.signals.limits import Limits, LimitsInForce, Place
from fraud.signals.relations import Relations, Scope, base_table

__all__ = ["Compiled", "Compiler", "Reduction", "condition_of"]

# The column that says in which region a row is judged: a limit is set by the insurer's region or by that of the care.
_REGIONS: Mapping[str, Mapping[Place, str]] = {
    "claim": {"insured": "insured_region", "care": "care_region"},
    "patient": {"insured": "insured_region"},
    "provider": {"care": "region"},
    "physician": {},
}
# Parameters of signal functions that stand for no relation.
_NO_RELATION = ("limits", "rules")
# How the columns of an entity's own row are called beside the rows of its window.
_OF_ROW = "of_row_"
_COUNTS = (ops.Count, ops.CountStar, ops.CountDistinct)


# Gives a table with `claim_id` and these claim signals for every claim.
ClaimValues = Callable[[Sequence[Signal]], ir.Table]
# Builders of several threads share a compiler, so what one of them has at hand is not the compiler's.
_AT_HAND: ContextVar[ClaimValues | None] = ContextVar("claim values at hand", default=None)


@dataclass(frozen=True)
class Reduction:
    """A reduction that a signal makes, and the scope whose rows it reduces."""

    scope: Scope
    op: ops.Reduction

    @property
    def zero(self) -> bool:
        """Whether the reduction of no rows is 0 rather than null."""
        return isinstance(self.op, _COUNTS)


@dataclass(frozen=True)
class Compiled:
    """A signal's expression over stubs, taken apart."""

    signal: Signal
    value: ops.Value
    reductions: tuple[Reduction, ...]
    row_columns: frozenset[str]


class Rules:
    """What a signal sees of the rules of its grain: how many of them hit.

    A rule that cannot be evaluated counts as one that did not hit.
    """

    def __init__(self, hits: Sequence[tuple[Signal, ir.BooleanValue]]) -> None:
        self._hits = hits

    def count(self, kind: str) -> ir.IntegerValue:
        """Rules of a kind (`violation`, `suspicion`) whose limit is passed."""
        own = (hit.fill_null(False).cast("int64") for rule, hit in self._hits if rule.kind == kind)
        return reduce(operator.add, own, ibis.literal(0, "int64"))


class Compiler:
    """Compiles the signals of one entity.

    `rolled` are the claim signals that windows may roll up, `rules` those that a signal over `rules` counts.
    """

    def __init__(
        self,
        entity: str,
        limits: Limits,
        *,
        days: int = 365,
        rolled: Mapping[str, Signal] | None = None,
        rules: Sequence[Signal] = (),
    ) -> None:
        self.limits = limits
        self.relations = Relations(entity, days=days)
        self.rolled = dict(rolled or {})
        self.rules = tuple(rules)
        self._evaluated: dict[str, ir.Value] = {}
        self._compiled: dict[str, Compiled] = {}

    @contextmanager
    def reading(self, claim_values: ClaimValues) -> Iterator[None]:
        """Within it, windows read claim signals from the table that this gives, instead of computing them."""
        token = _AT_HAND.set(claim_values)
        try:
            yield
        finally:
            _AT_HAND.reset(token)

    @cached_property
    def nationwide(self) -> Compiler:
        """The same without limits of regions: what can be said where no region is known."""
        days = self.relations.days
        return Compiler(self.relations.entity, self.limits.nationwide, days=days, rolled=self.rolled, rules=self.rules)

    @cached_property
    def scopes(self) -> dict[str, Scope]:
        """Every scope that a signal of this grain may ask for."""
        scopes = dict(self.relations.scopes)
        if self.relations.entity != "claim":
            scopes["window_signals"] = self._window_signals()
        return scopes

    def compile(self, signal: Signal) -> Compiled:
        """The signal taken apart; raises `CatalogueError` when it asks for what is not there."""
        if signal.id not in self._compiled:
            value = self._evaluate(signal).op()
            row = self.relations.row
            reductions = tuple(self._reduction(signal, op) for op in _topmost_reductions(value))
            columns = frozenset(_fields_of(value, row.stub, skip=reductions))
            self._compiled[signal.id] = Compiled(signal, value, reductions, columns)
        return self._compiled[signal.id]

    def query(self, signals: Sequence[Signal]) -> ir.Table:
        """One row for each row of the grain: its key, and a float64 column for each signal."""
        parts = [self.compile(s) for s in signals]
        joined, columns = self._join_groups(parts)
        values = {p.signal.id: self._assemble(p, joined, columns) for p in parts}
        return joined.select(**{k: joined[k] for k in self.relations.key}, **values)

    def counts(self, signal: Signal, reduction: Reduction) -> ops.Value | None:
        """What makes a row count for a signal, over stubs; None when every row does.

        It is the reduction's own condition; the rows behind the extreme that a rule looks at are those
        beyond its limit.
        """
        condition, op = condition_of(reduction.op), reduction.op
        if not signal.limit or not isinstance(op, (ops.Max, ops.Min)):
            return condition
        value, limit = op.arg.to_expr(), getattr(self._in_force, signal.limit)
        beyond = value < limit if signal.riskier == "low" else value > limit
        both = beyond if condition is None else condition.to_expr() & beyond
        found: ops.Value = both.op()
        return found

    def rows_behind(self, signal: Signal, reductions: Sequence[Reduction], columns: Iterable[str]) -> ir.Table:
        """Rows of one scope that any of the signal's reductions counts, with the scope's key and these columns."""
        scope = reductions[0].scope
        conditions = [self.counts(signal, r) for r in reductions]
        read = (self._columns_of(c, scope) for c in conditions if c is not None)
        needed = frozenset(columns).union(*(self.needed(r) for r in reductions), *read)
        relation = self.relation(scope, needed)
        if any(c is None for c in conditions):
            return relation
        placed = [self._on_relation(c, scope, relation).to_expr().fill_null(False) for c in conditions if c]
        return relation.filter(reduce(operator.or_, placed))

    # --- evaluating ---------------------------------------------------------------------------------------

    def _evaluate(self, signal: Signal) -> ir.Value:
        """The signal's expression over stubs; a rule is asked for again by every signal that reads the rules."""
        if signal.id not in self._evaluated:
            self._evaluated[signal.id] = self._built(signal)
        return self._evaluated[signal.id]

    def _built(self, signal: Signal) -> ir.Value:
        unknown = [n for n in signal.scopes if n not in self.scopes and n not in _NO_RELATION]
        if unknown:
            known = ", ".join((*self.scopes, *_NO_RELATION))
            raise CatalogueError(
                f"{signal.id}: {unknown} is no relation of a {self.relations.entity}; there are: {known}."
            )
        try:
            value = signal.function(**{n: self._argument(n) for n in signal.scopes})
        except (AttributeError, TypeError) as error:
            raise CatalogueError(f"{signal.id}: the function cannot be built: {error}") from error
        if not isinstance(value, ir.Value):
            raise CatalogueError(f"{signal.id}: must return one Ibis expression, returned {type(value).__name__}")
        return value

    def _argument(self, name: str) -> Any:
        if name == "rules":
            return Rules([(rule, self._hit(rule)) for rule in self.rules])
        return self._in_force if name == "limits" else self.scopes[name].stub

    def _hit(self, rule: Signal) -> ir.BooleanValue:
        """Whether a rule's limit is passed, over stubs; null where it is not known."""
        value, limit = self._evaluate(rule).cast("float64"), getattr(self._in_force, str(rule.limit))
        known = value if rule.default is None else value.fill_null(rule.default)
        return known < limit if rule.riskier == "low" else known > limit

    @property
    def _in_force(self) -> LimitsInForce:
        """Limits as they are on the day and in the regions of each row."""
        row = self.relations.row.stub
        return self.limits.at(self._day, {place: row[c] for place, c in _REGIONS[self.relations.entity].items()})

    @property
    def _day(self) -> ir.Value:
        """The day that decides which limits are in force."""
        row = self.relations.row.stub
        return row.admitted_at if self.relations.entity == "claim" else row.snapshot

    def _reduction(self, signal: Signal, op: ops.Reduction) -> Reduction:
        stubs = {scope.stub.op(): scope for scope in self.scopes.values()}
        found = [stubs[rel] for rel in op.relations if rel in stubs]
        many = [scope for scope in found if not scope.single]
        if len(many) != 1:
            names = [scope.name for scope in found]
            raise CatalogueError(f"{signal.id}: one reduction must read one relation with many rows, reads {names}")
        return Reduction(many[0], op)

    # --- putting together ---------------------------------------------------------------------------------

    def _join_groups(self, parts: Sequence[Compiled]) -> tuple[ir.Table, dict[ops.Node, str]]:
        """The rows with a column for each distinct reduction, and the names of those columns."""
        wanted = dict.fromkeys(r for p in parts for r in p.reductions)
        columns: dict[ops.Node, str] = {r.op: f"r{i}" for i, r in enumerate(wanted)}
        needed = frozenset().union(*(p.row_columns for p in parts))
        row = self.relations.row.build(needed)
        # One chain of joins and one selection: a selection after each join would name every column again.
        chain: ir.Table = row
        found: dict[str, ir.Value] = {c: row[c] for c in row.columns}
        for place, scope in enumerate(dict.fromkeys(r.scope.name for r in wanted)):
            own = [r for r in wanted if r.scope.name == scope]
            groups = self._groups(own, columns, place)
            keys = zip(self.relations.key, own[0].scope.key, strict=True)
            chain = chain.left_join(groups, [row[k] == groups[f"_{s}{place}"] for k, s in keys])
            names = {columns[r.op]: r.zero for r in own}
            found |= {n: groups[n].fill_null(0) if zero else groups[n] for n, zero in names.items()}
        return chain.select(**found), columns

    def _groups(self, own: Sequence[Reduction], columns: Mapping[ops.Node, str], place: int) -> ir.Table:
        """The reductions of one relation, by its key; `place` tells the names of the keys apart."""
        scope = own[0].scope
        needed = frozenset().union(*(self.needed(r) for r in own))
        relation = self.relation(scope, needed)
        measures = {columns[r.op]: self._on_relation(r.op, scope, relation).to_expr() for r in own}
        groups = relation.group_by(list(scope.key)).aggregate(**measures)
        return groups.rename({f"_{k}{place}": k for k in scope.key})

    def needed(self, reduction: Reduction) -> set[str]:
        """Columns of the reduction's relation that it reads, those of the row included."""
        return self._columns_of(reduction.op, reduction.scope)

    def _columns_of(self, value: ops.Value, scope: Scope) -> set[str]:
        row = self.relations.row
        return _fields_of(value, scope.stub) | {self._row_name(n) for n in _fields_of(value, row.stub)}

    def relation(self, scope: Scope, needed: frozenset[str]) -> ir.Table:
        """A scope with these columns; those of an entity's own row are joined to it."""
        own = sorted(n for n in needed if n.startswith(_OF_ROW))
        relation = scope.build(needed.difference(own))
        if not own:
            return relation
        row = self.relations.row.build(frozenset(n.removeprefix(_OF_ROW) for n in own))
        named = {n: row[n.removeprefix(_OF_ROW)] for n in own} | {f"_row_{k}": row[k] for k in self.relations.key}
        row = row.select(**named)
        matches = [relation[s] == row[f"_row_{k}"] for k, s in zip(self.relations.key, scope.key, strict=True)]
        return relation.inner_join(row, matches).select(*relation.columns, *own)

    def _row_name(self, name: str) -> str:
        """The name that a column of the row has within a relation of many rows."""
        if self.relations.entity == "claim":
            return f"claim_{name}"
        return name if name in self.relations.key else _OF_ROW + name

    def _on_relation(self, op: ops.Value, scope: Scope, relation: ir.Table) -> ops.Value:
        row = self.relations.row.stub.op()
        stub = scope.stub.op()

        def swap(field: ops.Field) -> ops.Value:
            if field.rel == stub:
                return relation[field.name].op()
            return relation[self._row_name(field.name)].op() if field.rel == row else field

        return _replace_fields(op, swap, {stub: relation.op()})

    def _assemble(self, part: Compiled, joined: ir.Table, columns: Mapping[ops.Node, str]) -> ir.Value:
        row = self.relations.row.stub.op()
        measures = {r.op: joined[columns[r.op]].op() for r in part.reductions}

        def outside(field: ops.Field) -> bool:
            return field.rel == row and field.name in part.row_columns

        # In one pass over the small expression: a second one would walk through the relations below `joined` too.
        value = _replace_fields(part.value, lambda f: joined[f.name].op() if outside(f) else f, measures)
        number = value.to_expr().cast("float64")
        default = part.signal.default
        return number if default is None else number.fill_null(float(default))

    # --- roll-ups -----------------------------------------------------------------------------------------

    def of_claims(self, signals: Sequence[Signal]) -> ir.Table:
        """One row for each claim there is: its `claim_id` and these claim signals."""
        return self._inner.query(signals)

    @cached_property
    def _inner(self) -> Compiler:
        """The compiler of the signals of every claim there is."""
        inner = Compiler("claim", self.limits, rules=[s for s in self.rolled.values() if s.limit])
        inner.relations = Relations("claim", target=base_table("claims").view())
        return inner

    def _window_signals(self) -> Scope:
        """The window's claims with claim signals as columns: what one claim shows, summed up by its entity."""
        window = self.relations.scopes["window"]
        names = {s.name: s for s in self.rolled.values()}

        def build(needed: frozenset[str]) -> ir.Table:
            signals = [names[n] for n in sorted(needed & set(names))]
            plain = window.build((needed - set(names)) | {"claim_id"})
            if not signals:
                return plain
            values = (_AT_HAND.get() or self.of_claims)(signals)
            values = values.rename({"_claim": "claim_id"} | {s.name: s.id for s in signals})
            joined = plain.inner_join(values, plain.claim_id == values._claim)
            return joined.select(*plain.columns, *(s.name for s in signals))

        types: dict[str, Any] = dict(window.stub.schema().items()) | dict.fromkeys(names, ibis.dtype("float64"))
        doc = f"{window.doc}, with every claim signal as a column"
        return Scope("window_signals", doc, window.key, build, tuple(types), types=types)


# --- expression trees --------------------------------------------------------------------------------------


def _topmost_reductions(value: ops.Value) -> tuple[ops.Reduction, ...]:
    return tuple(dict.fromkeys(value.find_topmost(ops.Reduction)))


def _fields_of(value: ops.Node, stub: ir.Table, skip: Iterable[Reduction] = ()) -> set[str]:
    """Columns of a stub that an expression reads, outside the reductions to skip."""
    skipped = {r.op for r in skip}
    if value in skipped:
        return set()
    if isinstance(value, ops.Field):
        return {value.name} if value.rel == stub.op() else set()
    return reduce(set.union, (_fields_of(child, stub, skip) for child in value.__children__), set())


def _replace_fields(
    value: ops.Value, swap: Callable[[ops.Field], ops.Value], relations: Mapping[ops.Node, ops.Node] | None = None
) -> ops.Value:
    """The expression with its columns swapped; `relations` swaps whole tables, as in a count of rows."""
    whole = relations or {}

    def replacer(node: ops.Node, kwargs: dict[str, Any] | None) -> ops.Node:
        if isinstance(node, ops.Field):
            return swap(node)
        return whole.get(node) or _rebuilt(node, kwargs)

    return value.replace(replacer)


def _rebuilt(node: ops.Node, kwargs: dict[str, Any] | None) -> ops.Node:
    return node.__recreate__(kwargs) if kwargs else node


def condition_of(op: ops.Reduction) -> ops.Value | None:
    """What makes a row count in a reduction: its `where`, or the flag that it adds up or averages."""
    where = getattr(op, "where", None)
    if where is not None:
        return where
    argument = getattr(op, "arg", None)
    if isinstance(op, (ops.Sum, ops.Mean)) and isinstance(argument, ops.Value):
        inner = argument.arg if isinstance(argument, ops.Cast) else argument
        return inner if inner.dtype.is_boolean() else None
    return None
