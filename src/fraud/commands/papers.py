"""Periodic papers out of the service's database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, progress
from fraud.commands.models import AsJson, check_locale
from fraud.commands.report import format_of
from fraud.config import Settings, load_settings

if TYPE_CHECKING:
    from fraud.explaining.content.document import Document
    from fraud.explaining.report import Format
    from fraud.review.periodic import Period, Record
    from fraud.signals.catalogue import Catalogue

__all__ = ["app"]

app = typer.Typer(name="papers", help="Periodic papers out of the service's database.", no_args_is_help=True)

Out = Annotated[Path | None, typer.Option("--out", help="File to write; its ending names the format.")]
Form = Annotated[str | None, typer.Option("--format", help="html, pdf, xlsx or json; default: as OUT ends, else html.")]
Locale = Annotated[str | None, typer.Option(help="en or zh; default: that of fraud.toml.")]
Month = Annotated[str | None, typer.Option("--month", help="YYYY-MM; default: the last whole month.")]
Least = Annotated[int, typer.Option("--least", min=1, help="Claims that a physician must have to be ranked.")]


@app.command()
def monthly(
    month: Month = None, out: Out = None, form: Form = None, locale: Locale = None, as_json: AsJson = False
) -> None:
    """Write the self-audit of a month: what was found, what was decided, what is to be put right.

    \b
    fraud papers monthly --month 2026-03 --out audit.pdf
    """
    from fraud.review.periodic import month_of, monthly_paper

    def paper(record: Record, spoken: str, rooms: Catalogue) -> Document:
        return monthly_paper(record, rooms, spoken, datetime.now())

    _write(month_of(month or _last_month()), "monthly", paper, _Wish(out, form, locale, as_json))


@app.command()
def quarterly(
    quarter: Annotated[str | None, typer.Option("--quarter", help="YYYY-Qn; default: the last whole quarter.")] = None,
    out: Out = None,
    form: Form = None,
    locale: Locale = None,
    as_json: AsJson = False,
) -> None:
    """Write the supervision of a quarter in four parts: policy, operation, data security, fraud prevention.

    \b
    fraud papers quarterly --quarter 2026-Q1 --locale zh --out supervision.pdf
    """
    from fraud.review.periodic import quarter_of, quarterly_paper

    def paper(record: Record, spoken: str, rooms: Catalogue) -> Document:
        return quarterly_paper(record, rooms, spoken, datetime.now())

    _write(quarter_of(quarter or _last_quarter()), "quarterly", paper, _Wish(out, form, locale, as_json))


@app.command()
def ranking(
    month: Month = None,
    least: Least = 30,
    out: Out = None,
    form: Form = None,
    locale: Locale = None,
    as_json: AsJson = False,
) -> None:
    """Write the ranking of physicians over the twelve months that end with a month, with 95 % intervals.

    \b
    fraud papers ranking --month 2026-03 --least 50 --out physicians.xlsx
    """
    from fraud.review.periodic import ranking_paper, year_until

    def paper(record: Record, spoken: str, _: Catalogue) -> Document:
        return ranking_paper(record, spoken, datetime.now(), least)

    _write(year_until(month or _last_month()), "ranking", paper, _Wish(out, form, locale, as_json))


@app.command()
def scorecard(
    provider_id: Annotated[str, typer.Argument(metavar="PROVIDER", help="Its id.")],
    month: Month = None,
    out: Out = None,
    form: Form = None,
    locale: Locale = None,
    as_json: AsJson = False,
) -> None:
    """Write a provider's scorecard over the twelve months that end with a month; it tells of no other provider.

    \b
    fraud papers scorecard H001 --month 2026-03 --out H001.pdf
    """
    from fraud.review.periodic import scorecard_paper, year_until

    def paper(record: Record, spoken: str, rooms: Catalogue) -> Document:
        return scorecard_paper(record, rooms, provider_id, spoken, datetime.now())

    wish = _Wish(out, form, locale, as_json)
    _write(year_until(month or _last_month()), f"scorecard-{provider_id}", paper, wish)


@dataclass(frozen=True)
class _Wish:
    """How a paper is wanted."""

    out: Path | None
    form: str | None
    locale: str | None
    as_json: bool

    @property
    def chosen(self) -> Format:
        return "json" if self.as_json else format_of(self.form, self.out)


def _write(period: Period, name: str, paper: Callable[[Record, str, Catalogue], Document], wish: _Wish) -> None:
    from fraud.explaining.report import render_document
    from fraud.signals.catalogue import load_catalogue

    settings, chosen = load_settings(), wish.chosen
    spoken = check_locale(wish.locale or settings.locale)
    with progress(quiet=wish.as_json) as step:
        record = _record(settings, period, step)
        step("paper", 0.0)
        rendered = render_document(paper(record, spoken, load_catalogue(settings.features)), chosen)
    if wish.as_json:
        data(rendered.decode())
        return
    path = wish.out or Path(f"{name}-{period.name.rpartition(' ')[2]}.{chosen}")
    path.write_bytes(rendered)
    data(str(path))


def _record(settings: Settings, period: Period, step: Callable[[str, float], None]) -> Record:
    from fraud.review.periodic import read_record
    from fraud.store import Store

    with Store(settings.database_url) as store:
        step("decisions", 0.0)
        return read_record(store, period, lambda read: step(f"decisions: {read:,}", 0.0))


def _last_month() -> str:
    today = datetime.now()
    before = today.year * 12 + today.month - 2
    return f"{before // 12}-{before % 12 + 1:02d}"


def _last_quarter() -> str:
    today = datetime.now()
    before = today.year * 4 + (today.month - 1) // 3 - 1
    return f"{before // 4}-Q{before % 4 + 1}"
