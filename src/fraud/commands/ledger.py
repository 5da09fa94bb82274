"""The ledger: what was done, whether the chain holds, and its seal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.commands.keys import AsJson
from fraud.config import Settings, load_settings
from fraud.errors import GateError, InputError

if TYPE_CHECKING:
    from fraud.store.ledger import Break, Ledger

__all__ = ["MOST_EXAMPLES", "app", "told", "write_down"]

app = typer.Typer(help="The ledger: who read or changed what, when and why.", no_args_is_help=True)
MOST_EXAMPLES = 5


@contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    from fraud.store import Ledger, Store

    with Store(settings.database_url) as store:
        yield Ledger(store.database)


def write_down(settings: Settings, what: str, who: str, purpose: str | None = None, **details: Any) -> None:
    """Tell the ledger of something that was done at the command line; says so where it cannot be told."""
    from fraud.store import StoreBusyError
    from fraud.store.ledger import Event

    try:
        with _ledger(settings) as ledger:
            ledger.add(Event(what, who, purpose=purpose or None, details=details))
    except StoreBusyError as error:
        note(f"It was done, and the ledger does not know of it: {error.message}")


@app.command()
def show(
    record: Annotated[
        str | None, typer.Option(help="Only what concerns one record: KIND:ID, as patient:p-1 or claim:c-1.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Only what one key did: its id.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Entries at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Print the latest entries, the newest first; of a patient: everything that anybody read of this person.

    \b
    fraud ledger show --record patient:p-1
    fraud ledger show --by 1a2b3c4d --most 500 --json
    """
    from fraud.store.ledger import Record

    asked = Record(*_split(record)) if record else None
    with _ledger(load_settings()) as ledger:
        found = ledger.entries(asked, by, most)
    if as_json:
        print_json([e.as_dict() for e in found])
    else:
        head = ("", "at (UTC)", "who", "what", "record", "purpose")
        print_table(head, [(e.position, e.at[:19], e.who, e.what, e.record, e.purpose) for e in found])


@app.command()
def verify(
    seal: Annotated[str | None, typer.Option(help="A seal of an earlier day, which must still hold.")] = None,
    as_json: AsJson = False,
) -> None:
    """Follow the whole chain; exit code 3 when an entry was changed, removed or moved, and where.

    \b
    fraud ledger verify
    fraud ledger verify --seal 1024:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    """
    from fraud.store.ledger import Seal

    earlier = Seal.read(seal) if seal else None
    with _ledger(load_settings()) as ledger, progress(quiet=as_json) as step:
        end = ledger.seal().position or 1
        found = ledger.verify(earlier, lambda checked: step("checking", checked / end))
    if as_json:
        breaks = [vars(b) for b in found.breaks]
        print_json({"holds": found.holds, "entries": found.entries, "seal": str(found.head), "breaks": breaks})
    if not found.holds:
        raise GateError(f"The ledger does not hold in {len(found.breaks)} places: {told(found.breaks)}.")
    if not as_json:
        data(f"The chain of {found.entries:,} entries holds.")


@app.command()
def seal(as_json: AsJson = False) -> None:
    """Print the end of the chain, to be kept outside of the database: paper, mail, another system.

    \b
    fraud ledger seal >> /mnt/elsewhere/seals.txt

    Whoever can write to the whole database can make a new chain, but not one that ends in a seal that you kept.
    """
    with _ledger(load_settings()) as ledger:
        found = ledger.seal()
    if as_json:
        print_json({"position": found.position, "hash": found.hash})
    else:
        data(str(found))
        note("Keep it elsewhere; `fraud ledger verify --seal` proves that nothing up to it was rewritten.")


def told(breaks: tuple[Break, ...]) -> str:
    """The first places where the chain does not hold."""
    shown = "; ".join(f"entry {b.position}: {b.detail}" for b in breaks[:MOST_EXAMPLES])
    return shown + ("; …" if len(breaks) > MOST_EXAMPLES else "")


def _split(record: str) -> tuple[str, str]:
    from fraud.store.ledger import KINDS

    kind, _, own = record.partition(":")
    if kind not in KINDS or not own:
        raise InputError(f"A record is written KIND:ID, where KIND is one of {', '.join(KINDS)}.")
    return kind, own
