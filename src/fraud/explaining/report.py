"""The report of an explanation in every format: a page, a PDF, a workbook and JSON, all from one document."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fraud.errors import InputError, nearest
from fraud.explaining.audience import for_provider
from fraud.explaining.content.document import Audience, Document
from fraud.explaining.content.report import document_of
from fraud.explaining.explanation import Explanation

__all__ = ["FORMATS", "Format", "Kind", "document_for", "render", "render_document", "render_html", "write"]

Format = Literal["html", "pdf", "json", "xlsx"]


@dataclass(frozen=True)
class Kind:
    """A format by its media type; `text` ones are UTF-8."""

    media_type: str
    text: bool = False


FORMATS: dict[Format, Kind] = {
    "json": Kind("application/json"),
    "html": Kind("text/html", text=True),
    "pdf": Kind("application/pdf"),
    "xlsx": Kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


def document_for(explanation: Explanation, locale: str, audience: Audience = "internal") -> Document:
    """What the report says to an audience; raises `InputError` for a locale or audience that is not there."""
    if audience not in get_args(Audience):
        known = " and ".join(get_args(Audience))
        raise InputError(
            f"There is no report for {audience!r}{nearest(audience, get_args(Audience))}; there are {known}."
        )
    shown = for_provider(explanation) if audience == "provider" else explanation
    return document_of(shown, locale, audience)


def render(explanation: Explanation, locale: str, form: Format = "html", audience: Audience = "internal") -> bytes:
    """The report as a file: the same explanation, locale, format and audience always give the same bytes.

    Raises:
        InputError: a locale, format or audience that is not there, or no font of this machine can set a PDF's text.
    """
    if form == "json":
        from fraud.explaining.renderers.plain import as_json

        shown = for_provider(explanation) if audience == "provider" else explanation
        return as_json(document_for(explanation, locale, audience), shown)
    return render_document(document_for(explanation, locale, audience), form)


def render_document(document: Document, form: Format) -> bytes:
    """A document in a format; whoever does not ask for a format does not pay for its library."""
    if form == "html":
        from fraud.explaining.renderers.html import as_html

        return as_html(document)
    if form == "pdf":
        from fraud.explaining.renderers.pdf import as_pdf

        return as_pdf(document)
    if form == "xlsx":
        from fraud.explaining.renderers.xlsx import as_xlsx

        return as_xlsx(document)
    if form == "json":
        from fraud.explaining.renderers.plain import as_json

        return as_json(document)
    raise InputError(f"There is no format {form!r}{nearest(form, FORMATS)}; there are {', '.join(FORMATS)}.")


def render_html(explanation: Explanation, locale: str) -> str:
    """The page in one language (`en`, or `zh` for `zh-CN`); raises `InputError` for another."""
    return render(explanation, locale).decode()


def write(
    explanation: Explanation, path: str | Path, locale: str, form: Format = "html", audience: Audience = "internal"
) -> Path:
    """Write the report to a file, and return its path."""
    target = Path(path)
    target.write_bytes(render(explanation, locale, form, audience))
    return target
