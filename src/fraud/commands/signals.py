"""The signal catalogue: list, show, check, new, lock, handbook."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.config import load_settings
from fraud.errors import CatalogueError, Fault, InputError

if TYPE_CHECKING:
    from fraud.signals.catalogue import Catalogue
    from fraud.signals.contract import Breach

__all__ = ["app"]

app = typer.Typer(help="The signal catalogue.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_(
    entity: Annotated[str | None, typer.Option(help="claim, patient, provider or physician.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the signals.

    \b
    fraud signals list --entity provider
    """
    catalogue = _catalogue()
    chosen = [s for s in catalogue.signals.values() if entity in (None, s.entity)]
    if as_json:
        print_json([{"id": s.id, "version": s.version, "title": dict(s.title), "unit": s.unit} for s in chosen])
        return
    rows = [(s.id, s.violation, s.unit, s.limit or "", s.title["en"], s.title["zh"]) for s in chosen]
    print_table(("signal", "type", "unit", "limit", "English", "中文"), rows)
    note(f"{len(chosen)} signals, {sum(1 for s in chosen if s.limit)} of them rules")


@app.command()
def show(
    signal_id: Annotated[str, typer.Argument(metavar="SIGNAL", help="Its id, as `claim.split_stays`.")],
    sql: Annotated[bool, typer.Option("--sql", help="Print the query that computes it.")] = False,
) -> None:
    """Show what a signal means, reads and cites.

    \b
    fraud signals show claim.split_stays
    """
    from fraud.signals.handbook import entry
    from fraud.signals.pruning import pruned_sql

    catalogue = _catalogue()
    signal = catalogue[signal_id]
    if sql:
        data(pruned_sql(catalogue.compiler(signal.entity).query([signal])))
        return
    data(entry(catalogue, signal))


@app.command()
def check(
    claims: Annotated[Path | None, typer.Option(help="A claims folder to check on as well.")] = None,
) -> None:
    """Check that every signal keeps the contract; exit code 3 if one does not.

    \b
    fraud signals check
    fraud signals check --claims city/
    """
    from fraud.signals.contract import check_catalogue

    catalogue = _catalogue()
    with progress() as step:
        step("contract", 0.0)
        breaches = check_catalogue(catalogue, date.today())
        if claims is not None:
            step(f"contract on {claims}", 0.0)
            breaches += _on_folder(claims)
    if breaches:
        faults = [Fault(b.signal, b.point, f"{b.point}: {b.detail}") for b in breaches]
        raise CatalogueError(f"{len(breaches)} breaches of the signal contract.", faults)
    data(f"{len(catalogue.signals)} signals keep the contract.")


@app.command()
def new(
    signal_id: Annotated[str, typer.Argument(metavar="SIGNAL", help="folder.name, as `provider.round_amounts`.")],
    file: Annotated[str | None, typer.Option(help="File within the folder; default: the name.")] = None,
) -> None:
    """Start a new signal from a template that already works.

    \b
    fraud signals new provider.round_amounts
    """
    from fraud.signals.scaffold import write_scaffold

    path = write_scaffold(load_settings().features, signal_id, file)
    data(f"{path}\nNext: write it, then `fraud signals check` and `fraud signals lock`.")


@app.command()
def lock() -> None:
    """Write catalogue.lock and HANDBOOK.md from the definitions.

    \b
    fraud signals lock
    """
    from fraud.signals.handbook import handbook

    catalogue = _catalogue()
    (catalogue.path / "catalogue.lock").write_text(catalogue.lock(), "utf-8")
    (catalogue.path / "HANDBOOK.md").write_text(handbook(catalogue), "utf-8")
    data(f"{len(catalogue.signals)} signals locked, digest {catalogue.digest}")


def _catalogue() -> Catalogue:
    from fraud.signals.catalogue import load_catalogue

    return load_catalogue(load_settings().features)


def _on_folder(path: Path) -> list[Breach]:
    from fraud.claims.folder import ClaimsFolder
    from fraud.signals.contract import check_on_claims, tables_of

    folder = ClaimsFolder(path)
    ((cut,),) = tables_of(folder).execute("SELECT quantile_disc(settled_at, 0.7) FROM claims").fetchall()
    if cut is None:
        raise InputError(f"{path}: holds no claims to check on.")
    return check_on_claims(_catalogue(), lambda: tables_of(folder), cut)
