"""`fraud db`: the revision of the service's database, and bringing it to another one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, print_json, print_table, progress
from fraud.config import load_settings

if TYPE_CHECKING:
    from fraud.store.database import Database

__all__ = ["app"]

app = typer.Typer(help="Revisions of the service's database.", no_args_is_help=True, rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("current")
def current(as_json: AsJson = False) -> None:
    """Show the revision of the database and the one that this program needs.

    \b
    fraud db current
    """
    from fraud.store.migrating import revision
    from fraud.store.migrations import HEAD

    with _database() as database, database.read() as connection:
        found = revision(connection)
    if as_json:
        print_json({"revision": found, "needed": HEAD})
        return
    data(f"{found or 'none yet'} (needed: {HEAD})")


@app.command("history")
def history(as_json: AsJson = False) -> None:
    """List all revisions, the oldest first, and say which one the database is at.

    \b
    fraud db history
    """
    from fraud.store.migrating import revision, revisions

    with _database() as database, database.read() as connection:
        found = revision(connection)
    listed = revisions()
    if as_json:
        print_json([{"revision": number, "says": says, "current": number == found} for number, says in listed])
        return
    print_table(("revision", "what it changes", ""), [(n, says, "◀" if n == found else "") for n, says in listed])


@app.command("upgrade")
def upgrade(as_json: AsJson = False) -> None:
    """Bring the database to the revision that this program needs, in one transaction.

    \b
    fraud db upgrade

    Back the database up and stop the service first. An empty database is filled with the tables.
    """
    from fraud.store import migrating

    with _database() as database, progress(quiet=as_json) as step:
        step("upgrading", 0.0)
        before, after = migrating.upgrade(database)
    _tell(before, after, as_json)


@app.command("downgrade")
def downgrade(
    to: Annotated[str, typer.Argument(metavar="REVISION", help="The revision to go back to.")], as_json: AsJson = False
) -> None:
    """Go back to an earlier revision, for an earlier version of the program; refused where it would lose something.

    \b
    fraud db downgrade 0001
    """
    from fraud.store import migrating

    with _database() as database, progress(quiet=as_json) as step:
        step("going back", 0.0)
        before, after = migrating.downgrade(database, to)
    _tell(before, after, as_json)


def _database() -> closing[Database]:
    from fraud.store.database import open_database

    settings = load_settings()
    settings.var.mkdir(parents=True, exist_ok=True)
    return closing(open_database(settings.database_url))


def _tell(before: str | None, after: str, as_json: bool) -> None:
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        data(f"The database is at revision {after} already.")
    else:
        data(f"From {before or 'no revision'} to {after}.")
