"""The signal catalogue: list, show, check, new, lock, handbook, back-test of a limit."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.config import load_settings
from fraud.errors import CatalogueError, Fault, InputError

if TYPE_CHECKING:
    from fraud.signals.backtest import Backtest, RuleBacktest, Side
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


@app.command("handbook")
def handbook_(
    to: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("handbook.html"),
    found: Annotated[Path | None, typer.Option(help="Figures of benchmarks/bench_detection.py, as JSON.")] = None,
) -> None:
    """Write the handbook as one HTML page, in both languages, that works offline.

    \b
    fraud signals handbook
    fraud signals handbook --to handbook.html --found docs/detection.json
    """
    from fraud.signals.detection import Detection, load_detection
    from fraud.signals.handbook_page import handbook_page

    measured = load_detection(found) if found else Detection()
    catalogue = _catalogue()
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(handbook_page(catalogue, measured), "utf-8")
    data(f"{to}")
    note(f"{len(catalogue.signals)} signals, catalogue {catalogue.digest}")


@app.command("backtest")
def backtest_(
    changes: Annotated[list[str], typer.Argument(metavar="LIMIT=VALUE...", help="Limits and their new values.")],
    claims: Annotated[Path, typer.Option("--data", help="Claims folder that holds the history.")],
    since: Annotated[datetime | None, typer.Option("--from", help="First day of settlement.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Last day of settlement.")] = None,
    region: Annotated[str | None, typer.Option(help="Change the limits in this region only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what a changed limit would have found: for whom, how much money, and how often wrongly.

    \b
    fraud signals backtest split_admission_days=31 --data city/
    fraud signals backtest monthly_claims=10 monthly_purchases=6 --data city/ --from 2025-01-01 --region 3702

    Nothing is changed: to put a limit into force, add the value with its day to features/limits.toml. Claims are
    those settled in the period; "wrongly" counts the claims that an investigation has decided.
    """
    from fraud.claims.folder import ClaimsFolder
    from fraud.signals.backtest import backtest, changes_of

    if since and until and since > until:
        raise InputError(f"--from {since:%Y-%m-%d} lies after --to {until:%Y-%m-%d}.")
    catalogue = _catalogue()
    wanted = changes_of(changes, catalogue.limits)
    period = {"since": since.date() if since else None, "until": until.date() if until else None}
    with progress(quiet=as_json) as step:
        found = backtest(ClaimsFolder(claims), catalogue, wanted, **period, region=region, progress=step)
    if as_json:
        print_json(found.as_dict())
        return
    _show_backtest(found, catalogue)


def _show_backtest(found: Backtest, catalogue: Catalogue) -> None:
    where = f" in {found.region}" if found.region else ""
    data(f"{found.claims:,} claims{where}, settled from {found.since} to {found.until}")
    for name, value in found.changes.items():
        limit = catalogue.limits[name]
        now = limit.on(found.until, found.region)
        data(f"{name}: {'not set' if now is None else f'{now:g}'} now, {value:g} then ({limit.unit})")
    for rule in found.rules:
        _show_rule(rule)
    for name, why in found.skipped.items():
        note(f"{name}: not tested, {why}")
    if found.features:
        note(f"Models read {', '.join(found.features)}, whose values change too: retrain before it goes live.")


def _side_facts(side: Side) -> tuple[str, ...]:
    known = side.outcomes
    interval = known.interval
    wrong = f"{known.wrong:.0%} ({interval[0]:.0%} to {interval[1]:.0%})" if interval else "not known"
    counts = (side.claims, side.patients, side.providers, side.amount, known.confirmed, known.cleared)
    return (*(f"{n:,.0f}" for n in counts), wrong)


def _show_rule(rule: RuleBacktest) -> None:
    head = f"\n{rule.signal.id} ({rule.signal.title['en']}): {rule.added:,} claims more, {rule.dropped:,} fewer"
    facts = ("claims", "patients", "providers", "fund asked for", "confirmed", "cleared", "wrongly, of those decided")
    print_table(("", "now", "then"), list(zip(facts, _side_facts(rule.now), _side_facts(rule.then), strict=True)), head)
    print_table(("month", "now", "then"), [(f"{m:%Y-%m}", a, b) for m, a, b in rule.months], "\nBy month")
    moved = [(p, a, b, f"{amount:,.0f}") for p, a, b, amount in rule.providers if a != b]
    if moved:
        print_table(("provider", "now", "then", "fund asked for then"), moved, "\nProviders that change most")
    if rule.examples:
        rows = [
            (e.claim_id, e.provider_id, f"{e.admitted_at:%Y-%m-%d}", _figure(e.value), f"{e.amount:,.0f}")
            for e in rule.examples
        ]
        print_table(("claim", "provider", "admitted", rule.signal.unit, "fund asked for"), rows, "\nNewly firing")


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


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
