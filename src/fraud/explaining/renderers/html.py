"""A document as one HTML page without scripts or outside assets."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fraud.explaining.content.document import Chart, Document
from fraud.explaining.renderers.drawing import drawn
from fraud.explaining.wording import TEMPLATES

__all__ = ["as_html", "sections_as_html"]


def as_html(document: Document) -> bytes:
    """The page in UTF-8."""
    page: str = _template("document.html.j2").render(document=document, drawn=_marked_up)
    return page.encode()


def sections_as_html(document: Document, *ids: str) -> Markup:
    """Some sections of the document, or all of them, for a page that has a head and a style of its own."""
    chosen = [s for s in document.sections if not ids or s.id in ids]
    rendered = _template("sections.html.j2").render(document=document, sections=chosen, drawn=_marked_up)
    return Markup(rendered)


def _marked_up(chart: Chart) -> dict[str, Markup]:
    """The drawings of a chart, which are written here and need no escaping."""
    found = drawn(chart)
    return {"wide": Markup(found.wide), "narrow": Markup(found.narrow)}


def _template(name: str) -> Any:
    return _environment().get_template(name)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
