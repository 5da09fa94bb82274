"""The rows that the figures count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from fraud.explaining.content.document import Audience, Block, Cell, Column, Grid, Item, Listing, Row, Section, Text
from fraud.explaining.explanation import Explanation
from fraud.explaining.wording import Wording
from fraud.signals.evidence import Evidence

__all__ = ["evidence_section"]

# Rows that a page shows of each table.
ROWS = 12


def evidence_section(explanation: Explanation, w: Wording, audience: Audience) -> Section:
    """A table for each set of rows: behind findings first, then behind reasons, then whatever else was attached."""
    blocks = tuple(_blocks(explanation, w, audience))
    lead = f"evidence.lead{'_provider' if audience == 'provider' else ''}" if blocks else "evidence.none"
    return Section("evidence", w.say("headings.evidence"), (Text(w.say(lead)), *blocks))


def _blocks(explanation: Explanation, w: Wording, audience: Audience) -> Iterator[Block]:
    alike = _alike(explanation)
    shown = [block for block in alike if block[0].rows.num_rows]
    withheld = [block for block in alike if not block[0].rows.num_rows]
    yield from (_grid(block, explanation, w, audience) for block in shown)
    if withheld:
        items = tuple(Item(_title(block, w), _count(block[0], w)) for block in withheld)
        yield Listing(items, w.say("evidence.withheld"))


def _alike(explanation: Explanation) -> list[list[Evidence]]:
    """Evidence in the order of what it is behind; signals that count the same rows share a table."""
    first = [f.signal.id for f in explanation.hits] + [r.signal for r in explanation.top()]
    order = dict.fromkeys([*first, *explanation.evidence])
    alike: list[list[Evidence]] = []
    for found in (e for i in order for e in explanation.evidence.get(i, ()) if e.total):
        block = next((b for b in alike if _same_rows(b[0], found)), None)
        if block is None:
            alike.append([found])
        else:
            block.append(found)
    return alike


def _same_rows(one: Evidence, other: Evidence) -> bool:
    return (one.scope, one.total) == (other.scope, other.total) and one.rows.equals(other.rows)


def _title(block: Sequence[Evidence], w: Wording) -> str:
    return " · ".join(dict.fromkeys(w.pick(e.signal.title) for e in block))


def _grid(block: Sequence[Evidence], explanation: Explanation, w: Wording, audience: Audience) -> Grid:
    first = block[0]
    rows = _without_own_id(first.rows, explanation)
    hidden = first.total - min(len(rows), ROWS)
    more = "evidence.more" if audience == "internal" else "evidence.more_provider"
    return Grid(
        columns=tuple(Column(f.name, w.head("columns", f.name), _is_figure(f)) for f in rows.schema),
        rows=tuple(Row(tuple(_cell(name, value, w) for name, value in row.items())) for row in rows.to_pylist()),
        sheet=_title(block, w),
        title=_title(block, w),
        count=_count(first, w),
        shown=ROWS,
        more=w.say(more, count=hidden) if hidden else "",
    )


def _cell(column: str, value: Any, w: Wording) -> Cell:
    text = w.cell(column, value)
    return Cell(text, text if isinstance(value, str) else value)


def _without_own_id(rows: pa.Table, explanation: Explanation) -> pa.Table:
    """The rows without the column that names the entity of the page in every one of them."""
    own = f"{explanation.entity}_id"
    if own in rows.column_names and set(rows[own].to_pylist()) == {explanation.entity_id}:
        return rows.drop_columns([own])
    return rows


def _count(evidence: Evidence, w: Wording) -> str:
    form = "row" if evidence.total == 1 else "rows"
    if evidence.amount is None:
        return w.say(f"evidence.{form}", count=w.number(evidence.total))
    amount = w.money(evidence.amount, exact=True)
    return w.say(f"evidence.{form}_amount", count=w.number(evidence.total), amount=amount)


def _is_figure(field: pa.Field) -> bool:
    """Whether a column is set flush right; numbers that only name a row are not."""
    if field.name in ("line_no", "position"):
        return False
    return bool(pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
