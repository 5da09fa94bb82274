"""A document as a PDF: A4, for archives (PDF/A-2a) and for screen readers (PDF/UA-1).

Set by Typst from a template of this package. It gets the document as JSON and has an empty folder as its root, so
that whatever a text says, no file can be read. Both standards refuse a character that no font can show: there are
never boxes in place of text.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC
from functools import lru_cache
from typing import Any

import orjson

from fraud.errors import FraudError, InputError
from fraud.explaining.charts import FONT, columns
from fraud.explaining.content.document import Block, Cell, Document, Figure, Gallery, Grid, Listing, Section
from fraud.explaining.renderers.drawing import drawn
from fraud.explaining.renderers.fonts import Faces, faces_for, machine_fonts
from fraud.explaining.wording import TEMPLATES

__all__ = ["as_pdf"]

_STANDARDS = ["a-2a", "ua-1"]
_UNSHOWN = re.compile(
    r'the (?:text `"(?P<text>.+?)"` could not be displayed|PDF contains the codepoint `"(?P<code>.+?)"`)', re.S
)
_ESCAPED = re.compile(r"\\u\{([0-9a-f]+)\}")
# Characters that no font has are written as their code points; more kinds than this in one document are refused.
MOST_UNSHOWN = 40
# A cell of a table on paper; a workbook has all of it.
LONGEST = 400
# A compiler serves one thread at a time.
_turn = threading.Lock()
# Entries of a list on the page of summary.
BRIEF = 4
# Characters of the name in the running head, which has one line.
RUNNING = 60
# Rows of a table that is folded away on a page, beyond which it goes to the end.
LONG = 30
# Columns of text from which a column of a table takes part in sharing the width.
_WIDE = 16


def as_pdf(document: Document) -> bytes:
    """The document on A4; the same document gives the same bytes on the same fonts.

    Raises:
        InputError: no font of this machine has the characters of the text; says what to install.
    """
    text = orjson.dumps(_content(document)).decode()
    faces = faces_for(text)
    text = _with_fonts(text, faces)
    for _ in range(MOST_UNSHOWN):
        unshown = _compile(text, document)
        if isinstance(unshown, bytes):
            return unshown
        text = _spelled_out(text, unshown)
    raise InputError(
        f"The text has more than {MOST_UNSHOWN} characters that no font of this machine can show. Install fonts for "
        "its script, or take the page or the workbook instead."
    )


def _compile(text: str, document: Document) -> bytes | str:
    """The PDF, or the characters that no font can show."""
    import typst

    try:
        with _turn:
            found = _compiler().compile(
                _template(),
                format="pdf",
                sys_inputs={"document": text},
                pdf_standards=_STANDARDS,
                timestamp=document.made_at.replace(tzinfo=UTC, microsecond=0),
            )
    except typst.TypstError as error:
        if unshown := _UNSHOWN.search(error.message):
            return _ESCAPED.sub(lambda code: chr(int(code[1], 16)), unshown["text"] or unshown["code"])
        raise FraudError(f"The PDF cannot be set ({error.message[:200]}). This is a fault of its template.") from error
    assert isinstance(found, bytes)
    return found


@lru_cache(maxsize=1)
def _compiler() -> Any:
    """A compiler that stays warm: fonts are read once, and so is what did not change."""
    import typst

    empty = tempfile.mkdtemp(prefix="fraud-pdf-")
    atexit.register(shutil.rmtree, empty, ignore_errors=True)
    return typst.Compiler(root=empty, font_paths=machine_fonts())


@lru_cache(maxsize=1)
def _template() -> bytes:
    return (TEMPLATES / "document.typ").read_bytes()


def _spelled_out(text: str, unshown: str) -> str:
    """The text with each character that cannot be shown as its code point: `[U+0B85]`."""
    for letter in dict.fromkeys(unshown):
        if not letter.isascii():
            text = text.replace(letter, f"[U+{ord(letter):04X}]")
    return text


def _with_fonts(text: str, faces: Faces) -> str:
    """The content with the fonts of this machine in place of the list that browsers choose from."""
    named = orjson.dumps({"text": faces.text, "code": faces.code}).decode()
    svg_names = ", ".join(f"'{name}'" for name in faces.text)
    listed = orjson.dumps(FONT.replace('"', "&quot;")).decode()[1:-1]
    text = text.replace(listed, svg_names)
    return text[:-1] + f',"fonts":{named}}}'


# --- what the template gets -------------------------------------------------------------------------------


def _content(document: Document) -> dict[str, Any]:
    language, _, region = document.lang.partition("-")
    content = asdict(replace(document, sections=(), brief=()))
    del content["made_at"]
    return content | {
        "language": language,
        "region": region or None,
        "author": "fraud",
        "made": document.as_of,
        "running": document.name if len(document.name) <= RUNNING else document.name[: RUNNING - 1] + "…",
        "tile-height": 16 + 4 * max((columns(t.label) for t in document.tiles), default=0) // 22,
        "brief": [_plain(replace(part, items=part.items[:BRIEF])) for part in document.brief],
        "sections": [
            {"id": s.id, "heading": s.heading, "blocks": [_plain(b) for b in s.blocks]} for s in _long_last(document)
        ],
    }


def _long_last(document: Document) -> Iterator[Section]:
    """The sections; long tables that a page folds away stand together at the end."""
    long: list[Block] = []
    for section in document.sections:
        far = [b for b in section.blocks if isinstance(b, Grid) and b.folded and min(b.shown, len(b.rows)) > LONG]
        long += far
        yield replace(section, blocks=tuple(b for b in section.blocks if b not in far))
    if long:
        yield Section("appendix", document.words["appendix"], tuple(long))


def _plain(block: Any) -> dict[str, Any]:
    match block:
        case Figure():
            return _figure(block)
        case Gallery():
            return {"block": "gallery", "legend": block.legend, "figures": [_figure(f) for f in block.figures]}
        case Grid():
            return _grid(block)
        case Listing():
            return asdict(block) | {"folded": None}
    return asdict(block)


def _figure(figure: Figure) -> dict[str, Any]:
    svg = drawn(figure.chart, narrow=False).wide
    return asdict(replace(figure, chart=None)) | {"svg": svg, "share": 1.0}  # type: ignore[arg-type]


def _grid(grid: Grid) -> dict[str, Any]:
    shown = grid.rows[: grid.shown]
    rows = [{"marked": r.marked, "cells": [_cell(c) for c in r.cells]} for r in shown]
    longest = [max((min(columns(r.cells[i].text), 60) for r in shown), default=0) for i in range(len(grid.columns))]
    widths = [n if n > _WIDE and not c.figure else 0 for n, c in zip(longest, grid.columns, strict=True)]
    if widths and not any(widths):
        # Tables are as wide as each other: the widest column of words takes what is left.
        words = [0 if c.figure else n for n, c in zip(longest, grid.columns, strict=True)]
        widths[words.index(max(words))] = 1
    return asdict(replace(grid, rows=())) | {"rows": rows, "widths": widths}


def _cell(cell: Cell) -> dict[str, str]:
    text = cell.text if len(cell.text) <= LONGEST else cell.text[: LONGEST - 1] + "…"
    return {"text": text, "tone": cell.tone}
