"""Backtest: what a model would have done."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fraud.commands.console import data, print_json, print_table, progress
from fraud.commands.models import AsJson, Claims, check_locale, tracking
from fraud.config import Settings, load_settings

if TYPE_CHECKING:
    from fraud.learning.validation.backtest import Backtest

__all__ = ["backtest"]


def backtest(
    model: Annotated[str, typer.Argument(help="Name of a spec in models/, as claim_risk.")],
    claims: Claims,
    cuts: Annotated[int, typer.Option(min=1, max=60, help="How many cuts, counted from the end.")] = 4,
    every: Annotated[str, typer.Option(help="Between two cuts: month, quarter or half-year.")] = "quarter",
    out: Annotated[Path | None, typer.Option("--out", help="Report to write: .html or .md.")] = None,
    locale: Annotated[str | None, typer.Option(help="en or zh; default: that of fraud.toml.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Without ablations and learning curve.")] = False,
    track: Annotated[bool, typer.Option("--track", help="Log it to MLflow, a nested run for each cut.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a model at several cuts in time, and judge each by what came after it.

    \b
    fraud backtest claim_risk --claims city/ --out report.html
    fraud backtest provider_risk --claims city/ --cuts 6 --every month --locale zh --out report.html

    Nothing decided after a cut takes part in it. The table has the model beside its baselines, by the rows that
    were decided; the report also has bounds, calibration, fairness, stability, ablations and a learning curve.
    """
    settings = load_settings()
    spoken = check_locale(locale or settings.locale)
    with progress(quiet=as_json) as step:
        found = _run(settings, model, claims, (cuts, every), not quick, step)
        if out or track:
            step("report", 0.0)
        if out:
            _write(found, out, spoken)
        if track:
            _track(settings, found, spoken)
    if as_json:
        print_json(found.as_dict())
        return
    _show(found, spoken)
    if out:
        data(str(out))


def _run(settings: Settings, model: str, claims: Path, when: tuple[int, str], thorough: bool, step: Any) -> Backtest:
    from fraud.claims.folder import ClaimsFolder
    from fraud.learning.spec import load_spec
    from fraud.learning.validation.rolling import backtest_folder
    from fraud.signals.catalogue import load_catalogue

    spec = load_spec(settings.models / f"{model}.toml")
    cuts, every = when
    return backtest_folder(
        ClaimsFolder(claims),
        spec,
        load_catalogue(settings.features),
        cuts=cuts,
        every=every,
        thorough=thorough,
        progress=step,
    )


def _show(found: Backtest, locale: str) -> None:
    from fraud.learning.reports.backtest import backtest_summary, backtest_table

    for line in backtest_summary(found, locale):
        data(f"  • {line}")
    head, rows = backtest_table(found, locale)
    print_table(head, rows)


def _write(found: Backtest, out: Path, locale: str) -> None:
    from fraud.learning.reports.backtest import backtest_document
    from fraud.learning.reports.documents import to_html, to_markdown

    document = backtest_document(found, locale, _command())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(to_markdown(document) if out.suffix == ".md" else to_html(document), "utf-8")


def _track(settings: Settings, found: Backtest, locale: str) -> None:
    from fraud.learning.reports.backtest import backtest_document
    from fraud.learning.reports.documents import to_html
    from fraud.learning.tracking import record_backtest

    page = to_html(backtest_document(found, locale, _command()))
    record_backtest(
        found.spec.name, found.as_dict(), page, tracking_uri=tracking(settings), artifacts=settings.artifacts
    )


def _command() -> str:
    """The command line as it was given, with the program by its name."""
    return shlex.join(["fraud", *sys.argv[1:]])
