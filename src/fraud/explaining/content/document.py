"""A document: headings, words and figures as they are read, before anybody has decided how they look.

Everything here is plain and frozen. Texts are in one language and ready to be read; a cell has beside its text the
value itself, so that a workbook can hold numbers and days as what they are. Charts are figures, drawn by renderers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from fraud.explaining.charts import Bar, Mark

__all__ = [
    "Audience",
    "Block",
    "Callout",
    "Cell",
    "Chart",
    "Column",
    "Document",
    "EventFigures",
    "Figure",
    "Finding",
    "Gallery",
    "Grid",
    "Item",
    "Listing",
    "MonthFigures",
    "Note",
    "Pair",
    "Pairs",
    "PeerFigures",
    "Pill",
    "ReasonRow",
    "ReasonTable",
    "Row",
    "Section",
    "Steps",
    "Text",
    "Tile",
]

Audience = Literal["internal", "provider"]
CellValue = str | float | bool | date | datetime | None


# --- small parts ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pill:
    """A word that stands out; `tone` says how: a band, an action or a kind, or nothing."""

    text: str
    tone: str = ""


@dataclass(frozen=True)
class Tile:
    """A headline figure with its label."""

    figure: str
    label: str


@dataclass(frozen=True)
class Pair:
    """A label with its value; `code` is a value for machines."""

    label: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class Note:
    """A label with what belongs to it, as a rule with its laws."""

    label: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """An entry of a list: what it is about, the text, what to ask for, and the language of the text where it differs.

    `url` is an address to read more at.
    """

    title: str
    text: str = ""
    ask: str = ""
    lang: str = ""
    url: str = ""


# --- charts: figures with the words on them ---------------------------------------------------------------


@dataclass(frozen=True)
class Steps:
    """How a score came about, step by step; `narrow` has the same bars with shorter lines."""

    bars: tuple[Bar, ...]
    narrow: tuple[Bar, ...]
    axis: str
    chart: Literal["steps"] = "steps"


@dataclass(frozen=True)
class PeerFigures:
    """A figure in the distribution of its peers."""

    quantiles: tuple[float, ...]
    value: float | None
    median: float
    axis: str
    percent: bool
    chart: Literal["peers"] = "peers"


@dataclass(frozen=True)
class MonthFigures:
    """Month, number and amount; with the titles of the two."""

    months: tuple[tuple[date, int, float], ...]
    amount: str
    claims: str
    axis: str
    chart: Literal["months"] = "months"


@dataclass(frozen=True)
class EventFigures:
    """Claims on the days of a timeline."""

    marks: tuple[Mark, ...]
    chart: Literal["events"] = "events"


Chart = Steps | PeerFigures | MonthFigures | EventFigures


# --- blocks -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A paragraph; `quiet` ones are leads and asides."""

    text: str
    quiet: bool = True
    block: Literal["text"] = "text"


@dataclass(frozen=True)
class Callout:
    """What must not be overlooked."""

    title: str
    text: str
    block: Literal["callout"] = "callout"


@dataclass(frozen=True)
class Pairs:
    """Labels with values, side by side or, when `stacked`, one under the other."""

    pairs: tuple[Pair, ...]
    stacked: bool = False
    block: Literal["pairs"] = "pairs"


@dataclass(frozen=True)
class Finding:
    """One rule whose limit was passed."""

    title: str
    pills: tuple[Pill, ...]
    said: str
    pairs: tuple[Pair, ...]
    notes: tuple[Note, ...]
    rule: str
    version: str
    block: Literal["finding"] = "finding"


@dataclass(frozen=True)
class Column:
    """A column of a table; those of figures are set flush right. `name` is the column's name for machines."""

    name: str
    head: str
    figure: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell as it is read, and its value."""

    text: str
    value: CellValue = None
    tone: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table; marked ones stand out."""

    cells: tuple[Cell, ...]
    marked: bool = False


@dataclass(frozen=True)
class Grid:
    """A table. Pages show the first `shown` rows and then `more`; a workbook has all rows on the sheet `sheet`.

    `folded` is the line behind which a page folds the table away; empty: it is open.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    sheet: str
    title: str = ""
    count: str = ""
    shown: int = 12
    more: str = ""
    folded: str = ""
    block: Literal["grid"] = "grid"


@dataclass(frozen=True)
class ReasonRow:
    """One reason that a reader is shown first."""

    title: str
    sentence: str
    value: Cell
    median: Cell
    among: str
    weight: Cell
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class ReasonTable:
    """The leading reasons under their heads: what was found, value, peer median, among peers, weight."""

    heads: tuple[str, str, str, str, str]
    rows: tuple[ReasonRow, ...]
    block: Literal["reasons"] = "reasons"


@dataclass(frozen=True)
class Figure:
    """A chart with its title and what it shows, and a legend of marks (own, others, median) with their words."""

    chart: Chart
    title: str
    caption: str = ""
    small: str = ""
    alt: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    block: Literal["figure"] = "figure"


@dataclass(frozen=True)
class Gallery:
    """Small charts side by side, with one legend."""

    figures: tuple[Figure, ...]
    legend: tuple[tuple[str, str], ...] = ()
    block: Literal["gallery"] = "gallery"


@dataclass(frozen=True)
class Listing:
    """A list under a heading; `boxes` to tick off. `folded` lists are folded away on a page."""

    items: tuple[Item, ...]
    heading: str = ""
    boxes: bool = False
    folded: bool | None = None
    block: Literal["listing"] = "listing"


Block = Text | Callout | Pairs | Finding | Grid | ReasonTable | Figure | Gallery | Listing


@dataclass(frozen=True)
class Section:
    """A heading, and what stands under it; `id` names the section for links and programs."""

    id: str
    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A report as a whole.

    The first page has `title` to `brief`; `brief` says in lists what the sections say in full, for paper, where nobody
    can jump. `words` are the few that renderers need themselves; `made_at` is when the content was drawn up.
    """

    lang: str
    kicker: str
    title: str
    name: str
    as_of: str
    summary: str
    made_at: datetime
    pills: tuple[Pill, ...] = ()
    tiles: tuple[Tile, ...] = ()
    callout: Callout | None = None
    facts: tuple[Pair, ...] = ()
    brief: tuple[Listing, ...] = ()
    sections: tuple[Section, ...] = ()
    audience: Audience = "internal"
    currency: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
