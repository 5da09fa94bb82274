"""A document as a workbook: the summary, and a sheet for each table with all of its rows.

Numbers are numbers and days are days. Texts are written as texts whatever they begin with: no cell is ever a formula
or a link.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from fraud.explaining.charts import columns
from fraud.explaining.content.document import Block, Cell, Document, Finding, Grid, Listing, Pairs, ReasonTable, Text

if TYPE_CHECKING:
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

__all__ = ["as_xlsx"]

# What Excel takes at most for a sheet's name and for a cell.
_NAME, _TEXT = 31, 32_767
_FORBIDDEN = re.compile(r"[\[\]:*?/\\']")
# What XML cannot hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NARROWEST, _WIDEST, _SEEN = 9, 60, 200
_FIRST_DAY = date(1900, 3, 1)
# Beyond this a whole number is an identifier that a double cannot hold.
_EXACT = 2**53
_OPTIONS = {
    # Nothing of anybody is left in a folder for temporary files.
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": False,
    "remove_timezone": True,
}


def as_xlsx(document: Document) -> bytes:
    """The workbook; the same document gives the same bytes."""
    from xlsxwriter import Workbook

    written = io.BytesIO()
    with Workbook(written, _OPTIONS) as book:
        book.set_properties({"title": document.title, "created": document.made_at.replace(microsecond=0)})
        formats = _formats(book)
        names = _Names()
        _summary(book, names, document, formats)
        for grid in _grids(document):
            _table(book, names, grid, formats)
    return written.getvalue()


def _formats(book: Workbook) -> dict[str, Any]:
    wrap = {"text_wrap": True, "valign": "top"}
    return {
        "head": book.add_format({"bold": True, "bottom": 1, "valign": "bottom", "text_wrap": True}),
        "title": book.add_format({"bold": True, "font_size": 16}),
        "heading": book.add_format({"bold": True, "font_size": 12, "top": 1}),
        "label": book.add_format({"bold": True, **wrap}),
        "text": book.add_format(wrap),
        "cell": book.add_format({"valign": "top"}),
        "number": book.add_format({"num_format": "#,##0.######", "valign": "top"}),
        "money": book.add_format({"num_format": "#,##0.00", "valign": "top"}),
        "day": book.add_format({"num_format": "yyyy-mm-dd", "valign": "top"}),
        "moment": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss", "valign": "top"}),
    }


class _Names:
    """Names of sheets: at most 31 characters, and each one once whatever its case."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def one(self, wished: str) -> str:
        """The name, shortened, with a number where it is taken."""
        plain = _FORBIDDEN.sub(" ", _CONTROL.sub("", wished)).strip()[:_NAME] or "–"
        name, number = plain, 1
        while name.lower() in self._taken or name.lower() == "history":
            number += 1
            name = f"{plain[: _NAME - len(str(number)) - 1]} {number}"
        self._taken.add(name.lower())
        return name


def _grids(document: Document) -> Iterator[Grid]:
    blocks = (b for s in document.sections for b in s.blocks)
    return (b for b in blocks if isinstance(b, Grid) and b.sheet)


# --- the summary ------------------------------------------------------------------------------------------


def _summary(book: Workbook, names: _Names, document: Document, formats: dict[str, Any]) -> None:
    """One sheet of two columns: labels, and what they say."""
    sheet = book.add_worksheet(names.one(document.words["summary_sheet"]))
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 100)
    for at, (style, label, text) in enumerate(_lines(document)):
        sheet.write_string(at, 0, _clean(label), formats[style])
        if text:
            sheet.write_string(at, 1, _clean(text), formats["text"])


def _lines(document: Document) -> Iterator[tuple[str, str, str]]:
    """Style, label and text of each line."""
    yield "title", document.name, ""
    yield "label", document.kicker, " · ".join((document.as_of, *(p.text for p in document.pills)))
    yield "label", document.words["summary_sheet"], document.summary
    yield from (("label", t.label, t.figure) for t in document.tiles)
    if document.callout is not None:
        yield "label", document.callout.title, document.callout.text
    yield from (("label", p.label, p.value) for p in document.facts)
    for section in document.sections:
        said = [line for block in section.blocks for line in _said(block)]
        if said:
            yield "heading", section.heading, ""
            yield from (("label", label, text) for label, text in said)


def _said(block: Block) -> Iterator[tuple[str, str]]:
    """What a block says in words; tables have sheets of their own, and charts only their titles."""
    match block:
        case Text():
            yield "", block.text
        case Pairs():
            yield from ((p.label, p.value) for p in block.pairs)
        case Finding():
            yield block.title, block.said
        case ReasonTable():
            yield from ((r.title, r.sentence) for r in block.rows)
        case Listing():
            if block.heading:
                yield block.heading, ""
            yield from ((i.title, "\n".join(t for t in (i.text, i.ask, i.url) if t)) for i in block.items)
        case _:
            pass


# --- tables -----------------------------------------------------------------------------------------------


def _table(book: Workbook, names: _Names, grid: Grid, formats: dict[str, Any]) -> None:
    sheet = book.add_worksheet(names.one(grid.sheet))
    sheet.freeze_panes(1, 0)
    for i, width in enumerate(_widths(grid)):
        sheet.set_column(i, i, width)
    for i, column in enumerate(grid.columns):
        sheet.write_string(0, i, _clean(column.head), formats["head"])
    for at, row in enumerate(grid.rows, 1):
        for i, cell in enumerate(row.cells):
            _write(sheet, at, i, cell, grid.columns[i].name, formats)
    if grid.rows:
        sheet.autofilter(0, 0, len(grid.rows), len(grid.columns) - 1)


def _widths(grid: Grid) -> Iterable[int]:
    """Columns as wide as what stands in them; the first rows tell."""
    for i, column in enumerate(grid.columns):
        longest = max((columns(r.cells[i].text) for r in grid.rows[:_SEEN]), default=0)
        yield max(_NARROWEST, min(_WIDEST, max(longest, min(columns(column.head), 24)) + 2))


def _write(sheet: Any, row: int, column: int, cell: Cell, name: str, formats: dict[str, Any]) -> None:
    """One cell by the kind of its value; what a workbook cannot hold as such is written as it is read."""
    value = cell.value
    if isinstance(value, bool) or not _holds(value):
        sheet.write_string(row, column, _clean(cell.text), formats["cell"])
    elif isinstance(value, datetime):
        sheet.write_datetime(row, column, value, formats["moment" if value.time() != datetime.min.time() else "day"])
    elif isinstance(value, date):
        sheet.write_datetime(row, column, value, formats["day"])
    elif isinstance(value, (int, float)):
        money = name in ("amount", "unit_price") or name.endswith("_amount")
        sheet.write_number(row, column, value, formats["money" if money else "number"])
    else:
        sheet.write_string(row, column, _clean(str(value)), formats["cell"])


def _holds(value: object) -> bool:
    """Whether a workbook has this value as a value."""
    if isinstance(value, datetime):
        return value.date() >= _FIRST_DAY
    if isinstance(value, date):
        return value >= _FIRST_DAY
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    if isinstance(value, int):
        return abs(value) < _EXACT
    return isinstance(value, str)


def _clean(text: str) -> str:
    """The text without what a workbook cannot hold."""
    return _CONTROL.sub("\ufffd", text)[:_TEXT]
