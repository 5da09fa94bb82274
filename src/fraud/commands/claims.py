"""Getting claims: import and simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fraud.commands.console import data, note, print_json, print_table, progress

__all__ = ["import_", "simulate"]


def import_(
    source: Annotated[str, typer.Argument(help="Layout of the files: cms, canonical or mapped.")],
    raw: Annotated[Path, typer.Argument(help="Folder (or file) as it came.")],
    to: Annotated[Path, typer.Option("--to", help="Folder for the canonical tables.")],
    mapping: Annotated[Path | None, typer.Option(help="TOML file, for `mapped`.")] = None,
    memory: Annotated[str, typer.Option(help="Most memory to use.")] = "2GB",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Import claims into the canonical tables, with a data-quality report.

    \b
    fraud import cms data/cms_provider_fraud --to claims/
    fraud import mapped exports/ --mapping mapping.toml --to claims/

    Rows that break a required column go to quarantine with the reason, never silently away. Set
    FRAUD_PSEUDONYM_KEY to replace personal identifiers by keyed pseudonyms.
    """
    from fraud.claims.importing import import_claims
    from fraud.config import load_settings

    with progress(quiet=as_json) as step:
        key = load_settings().pseudonym_key
        result = import_claims(source, raw, to, mapping=mapping, key=key, memory_limit=memory, progress=step)
    if as_json:
        print_json(result.as_dict())
        return
    columns = ("table", "rows in", "loaded", "quarantined", "superseded")
    rows = [(n, t.rows_in, t.loaded, t.quarantined, t.superseded) for n, t in result.tables.items()]
    print_table(columns, rows)
    for fault in result.faults[:10]:
        note(f"  • {fault.where}: {fault.detail} ({fault.count:,})")
    data(f"Report: {to / 'quality.html'}")


def simulate(
    to: Annotated[Path | None, typer.Option("--to", help="Folder for the canonical tables.")] = None,
    preset: Annotated[str, typer.Option(help="demo, town, city, province, or a TOML file of your own.")] = "demo",
    seed: Annotated[int, typer.Option(help="The same seed gives the same payer.")] = 7,
    claims: Annotated[int | None, typer.Option(help="About how many claims; default: the preset's.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Without any planted scheme.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; default: one for each processor.")] = None,
    describe: Annotated[Path | None, typer.Option(help="Write a page about a simulated folder.")] = None,
    rates: Annotated[bool, typer.Option("--rates", help="Print every rate of the preset as TOML.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Simulate a payer's claims with planted schemes; the truth is written apart.

    \b
    fraud simulate --to city/ --seed 7
    fraud simulate --to clean/ --clean --claims 5000
    fraud simulate --preset city --to large/
    fraud simulate --describe city/
    fraud simulate --rates --preset town > my.toml
    fraud simulate --preset my.toml --to mine/

    demo has 30 thousand claims, town 50 thousand, city 4 million (2 minutes), province 100 million.
    """
    if rates:
        from fraud.claims.simulation import rates_text

        data(rates_text(preset).rstrip())
    elif describe:
        _describe(describe, to, as_json)
    elif to is None:
        raise typer.BadParameter("Say where to write: fraud simulate --to DIR (or --describe DIR, or --rates).")
    else:
        _simulate(to, as_json, preset=preset, seed=seed, claims=claims, schemes=not clean, workers=workers)


def _describe(folder: Path, to: Path | None, as_json: bool) -> None:
    from fraud.claims.simulation.describing import describe

    with progress(quiet=as_json) as step:
        page = describe(folder, to, progress=step)
    if as_json:
        print_json({"page": str(page)})
    else:
        data(str(page))


def _simulate(to: Path, as_json: bool, **wanted: Any) -> None:
    from fraud.claims.simulation import simulate as run

    with progress(quiet=as_json) as step:
        result = run(to, progress=step, **wanted)
    if as_json:
        print_json({"to": str(result.to), "truth": str(result.truth), "tables": dict(result.counts)})
        return
    print_table(("table", "rows"), list(result.counts.items()))
    data(f"Claims: {result.to}\nTruth:  {result.truth} (for tests and benchmarks; training never reads it)")
    note(f"{result.seconds:.1f} s. See it: fraud simulate --describe {result.to}")
