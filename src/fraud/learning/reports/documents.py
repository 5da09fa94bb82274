"""Papers that people sign or file: a few kinds of block, written as one HTML page or as Markdown."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

from fraud.errors import InputError
from fraud.learning.reports.numbers import NOT_KNOWN
from fraud.signals.definition import LOCALES
from fraud.signals.words import full_width

__all__ = [
    "NOT_KNOWN",
    "Block",
    "Document",
    "Figure",
    "Pairs",
    "Points",
    "Section",
    "Table",
    "Words",
    "moment",
    "quoted",
    "to_html",
    "to_markdown",
]

_TEMPLATES = Path(__file__).parent / "templates"
# Sentences of the engine that are on file in English alone, with how other languages say them.
_TOLD = "told"
_DAY = re.compile(r"\b\d{4}-\d\d(?:-\d\d)?\b")


@dataclass(frozen=True)
class Points:
    """A list of sentences; `original` marks texts that are not in the language of the page."""

    items: Sequence[str]
    original: bool = False
    kind: str = "points"


@dataclass(frozen=True)
class Pairs:
    """Short facts with their names; `code` sets them in type for digests and commands."""

    rows: Sequence[tuple[str, str]]
    code: bool = False
    kind: str = "pairs"


@dataclass(frozen=True)
class Table:
    """Rows under a head; every column but the first `words` holds figures.

    After a line break in a column of figures stand the bounds of the figure, in the first column an id.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
    caption: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Figure:
    """A drawing as SVG, with a second one for narrow pages, and what there is to see on it."""

    caption: str
    wide: str
    narrow: str = ""
    kind: str = "figure"


Block = str | Points | Pairs | Table | Figure


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """One paper: `pills` are words of state beside the title, of which `good` and `bad` have a colour."""

    lang: str
    kicker: str
    title: str
    lead: str
    notice: tuple[str, str]
    sections: Sequence[Section]
    pills: Sequence[tuple[str, str]] = field(default_factory=tuple)


class Words:
    """Texts in one language, `en` or `zh` (`zh-CN` is understood); raises `InputError` for another."""

    def __init__(self, locale: str) -> None:
        self.locale = locale.split("-")[0].lower()
        if self.locale not in LOCALES:
            raise InputError(f"There is no text in {locale!r}; the languages are {', '.join(LOCALES)}.")

    @property
    def lang(self) -> str:
        """The language tag of a page."""
        return {"zh": "zh-CN"}.get(self.locale, self.locale)

    def say(self, where: str, **places: object) -> str:
        """The text at `section.key` with its places filled."""
        section, key = where.split(".", 1)
        return self.printed(str(_texts()[section][key][self.locale]).format(**places))

    def printed(self, text: str) -> str:
        """A text of the catalogue or of a person in the punctuation of the language."""
        return full_width(text) if self.locale == "zh" else text

    def told(self, text: str) -> str | None:
        """A sentence that the engine wrote in English, in this language; None where it has no words for it."""
        bare = text.strip().rstrip(".")
        if self.locale == "en":
            return bare
        for key, pattern in _patterns().items():
            if found := pattern.fullmatch(bare):
                places = found.groupdict()
                names = {"entity": "entities", "counter": "counters"}
                own = {p: self.label(names[p], places["entity"]) for p in names if "entity" in places}
                return self.say(f"{_TOLD}.{key}", **{**places, **own})
        return None

    def has(self, where: str) -> bool:
        """Whether there is a text at `section.key`."""
        section, _, key = where.partition(".")
        return key in _texts().get(section, {})

    def label(self, section: str, key: str) -> str:
        """The word for a key; a key that the texts do not know is shown with its underscores opened."""
        return self.say(f"{section}.{key}") if self.has(f"{section}.{key}") else key.replace("_", " ")

    def points(self, section: str) -> list[str]:
        """All texts of a section, in order."""
        return [self.say(f"{section}.{key}") for key in _texts()[section]]

    @property
    def colon(self) -> str:
        """What stands between a name and what is said of it."""
        return "：" if self.locale == "zh" else ": "

    def join(self, items: Sequence[str]) -> str:
        """A list within a sentence."""
        return ("、" if self.locale == "zh" else ", ").join(items)


@lru_cache(maxsize=1)
def _texts() -> Mapping[str, Any]:
    """Every text by section and key; several files may add to a section."""
    merged: dict[str, dict[str, Any]] = {}
    for path in sorted(_TEMPLATES.glob("*.words.toml")):
        for section, keys in tomllib.loads(path.read_text("utf-8")).items():
            merged.setdefault(section, {}).update(keys)
    return merged


def quoted(texts: Sequence[str], w: Words) -> list[Block]:
    """Sentences of the engine in the reader's language; those that are in English alone are marked as quoted."""
    said = {text: w.told(text) for text in texts}
    own = Points([_ended(told, w) for told in said.values() if told])
    foreign = Points([_ended(text, Words("en")) for text, told in said.items() if not told], original=True)
    blocks: list[Block] = [own] if own.items else []
    if foreign.items:
        blocks += [w.say("page.original"), foreign]
    return blocks


def _ended(text: str, w: Words) -> str:
    return text[:1].upper() + text[1:].rstrip(".。") + ("。" if w.locale == "zh" else ".")


def moment(text: str) -> str:
    """A time of ISO 8601 to the minute with its zone.

    >>> moment("2026-01-02T03:04:05.000+00:00")
    '2026-01-02 03:04 UTC'
    """
    zone = text[-6:] if text[-6:-5] in "+-" and text[-3:-2] == ":" else ""
    return f"{text[:10]} {text[11:16]} {'UTC' if zone == '+00:00' else zone}".rstrip()


@lru_cache(maxsize=1)
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """What recognises each sentence of the engine, by its key; places are groups."""
    return {key: re.compile(_pattern(both["en"])) for key, both in _texts()[_TOLD].items()}


def _pattern(text: str) -> str:
    parts, seen = [], set()
    for literal, place, _, _ in Formatter().parse(text):
        parts.append(re.escape(literal))
        if place:
            parts.append(f"(?P={place})" if place in seen else f"(?P<{place}>.+?)")
            seen.add(place)
    return "".join(parts)


def to_html(document: Document) -> str:
    """The document as one page without scripts or outside assets."""
    w = Words(document.lang)
    return str(_template().render(d=document, on_page=w.say("page.contents"), colon=w.colon))


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_TEMPLATES)
    options: dict[str, Any] = {"autoescape": True, "undefined": StrictUndefined}
    environment = Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, **options)
    environment.filters["days"] = _with_days
    return environment.get_template("paper.html.j2")


def _with_days(text: str) -> str:
    """The text with every day in one piece: a line that ends within `2025-01-` makes a reader stumble."""
    from markupsafe import Markup, escape

    return Markup(_DAY.sub(r'<span class="day">\g<0></span>', str(escape(text))))


def to_markdown(document: Document) -> str:
    """The document as Markdown."""
    state, colon = " · ".join(text for text, _ in document.pills), Words(document.lang).colon
    parts = [f"# {document.title}", *([f"**{state}**"] if state else []), document.lead]
    parts.append(f"> **{document.notice[0]}** {document.notice[1]}")
    for section in document.sections:
        parts += [f"## {section.heading}", *(_markdown(b, colon) for b in section.blocks)]
    return "\n\n".join(p for p in parts if p) + "\n"


def _markdown(block: Block, colon: str) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Points):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Pairs):
        mark = "`" if block.code else ""
        return "\n".join(f"- {name}{colon}{mark}{value}{mark}" for name, value in block.rows)
    if isinstance(block, Figure):
        return f"*{block.caption}*" if block.caption else ""
    figures = len(block.head) - block.words
    lines = [block.head, ["---"] * block.words + ["---:"] * figures, *block.rows]
    rows = "\n".join(
        "| " + " | ".join(_cell(c, i == 0 or i >= block.words) for i, c in enumerate(cells)) + " |" for cells in lines
    )
    return f"**{block.caption}**\n\n{rows}" if block.caption else rows


def _cell(text: str, two: bool) -> str:
    value, _, more = text.partition("\n")
    shown = f"{value} ({more})" if two and more and not more.startswith("±") else text.replace("\n", " ")
    return shown.replace("|", "\\|")
