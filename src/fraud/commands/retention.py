"""What is kept beyond its time, and its destruction."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.commands.keys import AsJson, By, who
from fraud.config import Settings, load_settings
from fraud.errors import InputError, SpecError

__all__ = ["retention"]

# What the rules for records of checked visits ask for (Source: requirement 002-52).
YEARS = 10


def retention(
    destroy: Annotated[bool, typer.Option("--destroy", help="Destroy it, and write that down.")] = False,
    approved_by: Annotated[str, typer.Option("--approved-by", help="Who lets it be destroyed.")] = "",
    witness: Annotated[str, typer.Option("--witness", help="Who watches: somebody else.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "end of the time of keeping",
    years: Annotated[int | None, typer.Option(min=1, help="Years to keep; default: those of fraud.toml.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Print what is older than the time of keeping; with --destroy, destroy it.

    \b
    fraud retention
    fraud retention --destroy --approved-by "A. Second" --witness "B. Third"

    The ledger keeps a record of the destruction: when, what, how, by whom, who let it and who watched. Registers of
    people and institutions stay; so do backups, which are yours to destroy.
    """
    from fraud.store import Store
    from fraud.store.retention import Warrant, before, due
    from fraud.store.retention import destroy as do

    settings = load_settings()
    cutoff = before(datetime.now(), years or _years(settings))
    if destroy:
        _check_people(approved_by, witness)
    with Store(settings.database_url) as store:
        rows = due(store.database, cutoff)
        method = ""
        if destroy and any(rows.values()):
            with progress(quiet=as_json) as step:
                step("destroying", 0.0)
                warrant = Warrant(approved_by.strip(), witness.strip(), reason)
                done = do(store.database, cutoff, who(by), warrant)
                rows, method = dict(done.rows), done.method
    if as_json:
        print_json({"before": cutoff, "rows": rows, "destroyed": bool(method), "method": method})
    else:
        _show(rows, cutoff, destroy, method)


def _check_people(approved_by: str, witness: str) -> None:
    if not approved_by.strip() or not witness.strip():
        raise InputError("Name who lets it be destroyed (--approved-by) and who watches (--witness).")
    if approved_by.strip().casefold() == witness.strip().casefold():
        raise InputError("Whoever watches must be somebody else than whoever lets it be destroyed.")


def _years(settings: Settings) -> int:
    years = settings.retention.get("years", YEARS)
    if not isinstance(years, int) or isinstance(years, bool) or years < 1:
        raise SpecError(f"fraud.toml: [retention] years is a whole number above zero, not {years!r}.")
    return years


def _show(rows: dict[str, int], cutoff: datetime, destroy: bool, method: str) -> None:
    print_table(("table", "rows"), [(t, n) for t, n in rows.items() if n])
    total = sum(rows.values())
    if not total:
        data(f"Nothing is from before {cutoff:%Y-%m-%d}.")
    elif destroy:
        data(f"{total:,} rows from before {cutoff:%Y-%m-%d} are destroyed ({method}).")
        note("The record is in the ledger: fraud ledger show")
    else:
        data(f"{total:,} rows are from before {cutoff:%Y-%m-%d}; nothing was destroyed.")
