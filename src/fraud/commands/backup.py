"""`fraud db backup`: copies of the databases, while the service goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fraud.commands.console import print_json, print_table, progress
from fraud.config import load_settings
from fraud.errors import InputError

__all__ = ["backup"]


def backup(
    to: Annotated[Path, typer.Argument(metavar="DIR", help="New folder for the copies.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Copy the service's database, and the registry of models where it is a file too, as each is at one moment.

    \b
    fraud db backup backups/2026-11-22

    The service goes on meanwhile. Each copy is read back before it gets its name. A database on PostgreSQL is backed
    up with pg_dump, as docs/runbook.md says.
    """
    from fraud.store.backups import back_up, file_of

    settings = load_settings()
    own = file_of(settings.database_url)
    if own is None:
        raise InputError(
            "The database is on a server: back it up with pg_dump --format=custom; docs/runbook.md has it."
        )
    files = [own, *([kept] if (kept := file_of(settings.tracking_uri)) and kept.is_file() else [])]
    made = []
    with progress(quiet=as_json) as step:
        for number, file in enumerate(files):
            step(file.name, number / len(files))
            made.append(back_up(file, to / file.name))
    if as_json:
        print_json([{"path": str(b.path), "bytes": b.bytes} for b in made])
        return
    print_table(("copy", "bytes"), [(str(b.path), f"{b.bytes:,}") for b in made])
