"""The report of one claim or entity, in every format."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, progress
from fraud.commands.models import AsJson, Claims, Version, check_locale, load_fitted
from fraud.config import load_settings
from fraud.errors import InputError, nearest

if TYPE_CHECKING:
    from fraud.explaining.report import Format

__all__ = ["format_of", "report"]

_ENTITIES = ("claim", "provider", "patient", "physician")
_FORMATS: tuple[Format, ...] = ("html", "pdf", "json", "xlsx")


def report(
    entity: Annotated[str, typer.Argument(help="claim, provider, patient or physician.")],
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
    claims: Claims,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; default: ENTITY-ID.FORMAT.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="html, pdf, xlsx or json; default: as OUT ends.")] = None,
    audience: Annotated[str, typer.Option(help="internal, or provider: without other people's data.")] = "internal",
    model: Annotated[str | None, typer.Option(help="Default: ENTITY_risk.")] = None,
    version: Version = "champion",
    locale: Annotated[str | None, typer.Option(help="en or zh; default: that of fraud.toml.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the explanation of one claim or entity as a page, a PDF, a workbook or JSON.

    \b
    fraud report provider PRV51003 --claims claims/ --locale zh
    fraud report claim C000123 --claims city/ --out why.pdf
    fraud report claim C000123 --claims city/ --format pdf --audience provider
    """
    from fraud.claims.folder import ClaimsFolder
    from fraud.explaining.report import render
    from fraud.scoring.explain import explain_in_folder
    from fraud.scoring.triage import Triage
    from fraud.signals.catalogue import load_catalogue

    settings = load_settings()
    if entity not in _ENTITIES:
        raise InputError(f"{entity!r} is no entity{nearest(entity, _ENTITIES)}; there are {', '.join(_ENTITIES)}.")
    chosen = "json" if as_json else format_of(form, out)
    spoken = check_locale(locale or settings.locale)
    fitted = load_fitted(settings, model or f"{entity}_risk", version)
    with progress(quiet=as_json) as step:
        step("explanation", 0.0)
        found = explain_in_folder(
            ClaimsFolder(claims),
            fitted,
            load_catalogue(settings.features),
            entity,
            entity_id,
            triage=Triage(**settings.triage),
            now=datetime.now(),
        )
        step("explanation", 0.5)
        rendered = render(found, spoken, chosen, audience)  # type: ignore[arg-type]
    if as_json:
        data(rendered.decode())
        return
    path = out or Path(f"{entity}-{entity_id}.{chosen}")
    path.write_bytes(rendered)
    data(str(path))


def format_of(form: str | None, out: Path | None) -> Format:
    """The format that is named, or that the file's name ends with; a page otherwise."""
    if form is None:
        ending = out.suffix.lstrip(".").lower() if out is not None else ""
        return next((f for f in _FORMATS if f == ending), "html")
    found = next((f for f in _FORMATS if f == form), None)
    if found is None:
        raise InputError(f"{form!r} is no format{nearest(form, _FORMATS)}; there are {', '.join(_FORMATS)}.")
    return found
