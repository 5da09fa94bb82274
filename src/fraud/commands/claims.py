"""Getting claims: import and simulate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    to: Annotated[Path, typer.Option("--to", help="Folder for the canonical tables.")],
    preset: Annotated[str, typer.Option(help="Size and rates.")] = "demo",
    seed: Annotated[int, typer.Option(help="The same seed gives the same city.")] = 7,
    claims: Annotated[int | None, typer.Option(help="About how many claims; default: the preset's.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Without any planted scheme.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Simulate a city's claims with planted schemes; the truth is written apart.

    \b
    fraud simulate --to city/ --seed 7
    fraud simulate --to clean/ --clean --claims 5000
    """
    from fraud.claims.simulation import simulate as run

    with progress(quiet=as_json) as step:
        result = run(to, preset=preset, seed=seed, schemes=not clean, claims=claims, progress=step)
    if as_json:
        print_json({"to": str(result.to), "truth": str(result.truth), "tables": dict(result.counts)})
        return
    print_table(("table", "rows"), list(result.counts.items()))
    data(f"Claims: {result.to}\nTruth:  {result.truth} (for tests and benchmarks; training never reads it)")
