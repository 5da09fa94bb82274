"""Monitor: whether a model still works on the claims of a later period."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, print_json, progress
from fraud.commands.models import AsJson, Claims, Version, check_locale, load_fitted
from fraud.config import load_settings

if TYPE_CHECKING:
    from fraud.learning.monitoring.drift import Monitoring

__all__ = ["monitor"]

_ATTENTION = 3


def monitor(
    model: Annotated[str, typer.Argument(help="Name of a registered model, as claim_risk.")],
    claims: Claims,
    since: Annotated[datetime, typer.Option("--since", formats=["%Y-%m-%d"], help="First day of the period.")],
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The day after the period.")],
    version: Version = "champion",
    html: Annotated[Path | None, typer.Option("--html", help="Report to write.")] = None,
    prom: Annotated[Path | None, typer.Option("--prom", help="Gauges for Prometheus to write.")] = None,
    locale: Annotated[str | None, typer.Option(help="en or zh; default: that of fraud.toml.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a period with the one that a model was fitted on.

    \b
    fraud monitor claim_risk --claims city/ --since 2025-04-01 --until 2025-07-01
    fraud monitor claim_risk --claims city/ --since 2025-04-01 --until 2025-07-01 --html watch.html --prom fraud.prom

    Looks at the distributions of what the model reads and of its scores, missing data, the volume of alerts, what
    investigations found, and how long they took. The limits are in training/retrain.toml. The latest report on each
    model is kept below FRAUD_VAR, where the overview of the workbench reads it. The exit code is 3 when something
    needs attention.
    """
    from fraud.claims.folder import ClaimsFolder
    from fraud.learning.monitoring.drift import monitor as run
    from fraud.learning.monitoring.gauges import to_prometheus
    from fraud.learning.monitoring.recipe import load_recipe
    from fraud.learning.reports.monitor import monitor_summary
    from fraud.signals.catalogue import load_catalogue

    settings = load_settings()
    spoken, recipe = check_locale(locale or settings.locale), load_recipe(settings.home)
    fitted, catalogue = load_fitted(settings, model, version), load_catalogue(settings.features)
    fitted.check(catalogue)
    with progress(quiet=as_json) as step:
        step("rows of the period", 0.0)
        found: Monitoring = run(
            ClaimsFolder(claims), fitted, catalogue, recipe, since=since, until=until, now=datetime.now()
        )
        if html:
            from fraud.learning.reports.documents import to_html
            from fraud.learning.reports.monitor import monitor_document

            step("report", 0.0)
            _write(html, to_html(monitor_document(found, catalogue, recipe, spoken)))
    # The latest report on each model, for the overview of the workbench.
    _write(settings.var / "monitor" / f"{found.model.name}.json", json.dumps(found.as_dict(), indent=1))
    if prom:
        _write(prom, to_prometheus(found))
    if as_json:
        print_json(found.as_dict())
    else:
        for line in monitor_summary(found, catalogue, recipe, spoken):
            data(f"  • {line}")
        for path in (p for p in (html, prom) if p):
            data(str(path))
    if found.loud:
        raise typer.Exit(_ATTENTION)


def _write(path: Path, text: str) -> None:
    """Write a file at once: a collector that reads half of it would drop all of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, "utf-8")
    draft.replace(path)
