"""Papers that people sign or file: a few kinds of block, written as one HTML page or as Markdown."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fraud.errors import InputError
from fraud.signals.definition import LOCALES
from fraud.signals.words import full_width

__all__ = ["Block", "Document", "Figure", "Pairs", "Points", "Section", "Table", "Words", "to_html", "to_markdown"]

_TEMPLATES = Path(__file__).parent / "templates"
NOT_KNOWN = "–"


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
    """Rows under a head; every column but the first `words` holds figures."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
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
        said = str(_texts()[section][key][self.locale]).format(**places)
        return full_width(said) if self.locale == "zh" else said

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


def to_html(document: Document) -> str:
    """The document as one page without scripts or outside assets."""
    return str(_template().render(d=document, on_page=Words(document.lang).say("page.contents")))


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(_TEMPLATES)
    options: dict[str, Any] = {"autoescape": True, "undefined": StrictUndefined}
    return Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, **options).get_template("paper.html.j2")


def to_markdown(document: Document) -> str:
    """The document as Markdown."""
    state = " · ".join(text for text, _ in document.pills)
    parts = [f"# {document.title}", *([f"**{state}**"] if state else []), document.lead]
    parts.append(f"> **{document.notice[0]}** {document.notice[1]}")
    for section in document.sections:
        parts += [f"## {section.heading}", *(_markdown(b) for b in section.blocks)]
    return "\n\n".join(p for p in parts if p) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Points):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Pairs):
        mark = "`" if block.code else ""
        return "\n".join(f"- {name}: {mark}{value}{mark}" for name, value in block.rows)
    if isinstance(block, Figure):
        return f"*{block.caption}*"
    figures = len(block.head) - block.words
    lines = [block.head, ["---"] * block.words + ["---:"] * figures, *block.rows]
    return "\n".join("| " + " | ".join(_cell(c) for c in cells) + " |" for cells in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
