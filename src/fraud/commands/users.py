"""People of the workbench: add, list, disable, reset, unlock."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, note, print_json, print_table
from fraud.commands.keys import who
from fraud.config import load_settings
from fraud.errors import InputError

if TYPE_CHECKING:
    from fraud.store import Store
    from fraud.store.people import People, Person

__all__ = ["app"]

app = typer.Typer(help="People of the workbench: who signs in, as what, for whose records.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name that the person signs in with.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it; default: the user of this session.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the first password from standard input instead of making one.")
]


@contextmanager
def _people() -> Iterator[tuple[People, Store]]:
    from fraud.store import Store
    from fraud.store.people import People

    settings = load_settings()
    settings.var.mkdir(parents=True, exist_ok=True)
    with Store(settings.database_url) as store:
        yield People(store.database), store


@app.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="investigator, supervisor, data-scientist, auditor or admin.")],
    display_name: Annotated[str, typer.Option(help="The name to show; default: the sign-in name.")] = "",
    region: Annotated[list[str] | None, typer.Option(help="Only records of this region; 33* for a prefix.")] = None,
    provider: Annotated[list[str] | None, typer.Option(help="Only records of this provider.")] = None,
    language: Annotated[str, typer.Option(help="Language of the pages: en or zh.")] = "en",
    password_stdin: FromStdin = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Add somebody, and show the password of the first sign-in this once.

    \b
    fraud users add office-1 --role admin --display-name 审核一组 --language zh
    fraud users add reviewer-2 --role investigator --region '33*'
    pass show fraud/reviewer-2 | fraud users add reviewer-2 --role supervisor --password-stdin

    At the first sign-in the password is changed and the second factor set up.
    """
    first = _first(password_stdin)
    with _people() as (people, _):
        found, secret = people.add(
            name,
            role,
            who(by),
            display_name=display_name,
            regions=region or (),
            providers=provider or (),
            language=language,
            password=first,
        )
    _show(found, None if password_stdin else secret, as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List everybody with role, bounds and state.

    \b
    fraud users list
    """
    with _people() as (people, _):
        found = people.all()
    if as_json:
        print_json([p.as_dict() for p in found])
    elif not found:
        note("Nobody can sign in. Make the first administrator with: fraud users add NAME --role admin")
    else:
        print_table(("name", "shown as", "role", "bounds", "state"), [_row(p) for p in found])


@app.command()
def disable(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; the ledger keeps it.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Keep somebody from signing in, and end all their sessions.

    \b
    fraud users disable reviewer-2 --reason "left the office"
    """
    from fraud.store.sessions import Sessions

    with _people() as (people, store):
        found = people.disable(people.named(name).user_id, who(by), reason)
        Sessions(store.database).end(found.user_id, who(by))
    _tell(found, "can no longer sign in", as_json)


@app.command()
def reset(name: Name, password_stdin: FromStdin = False, by: By = None, as_json: AsJson = False) -> None:
    """Give somebody a password for a new first sign-in, where the second factor is set up anew.

    \b
    fraud users reset reviewer-2
    """
    from fraud.store.sessions import Sessions

    first = _first(password_stdin)
    with _people() as (people, store):
        found = people.named(name)
        secret = people.reset(found.user_id, who(by), first)
        Sessions(store.database).end(found.user_id, who(by))
        found = people.get(found.user_id)
    _show(found, None if password_stdin else secret, as_json)


@app.command()
def unlock(name: Name, by: By = None, as_json: AsJson = False) -> None:
    """Lift what keeps somebody out: wrong guesses, or the suspension after unusual use.

    \b
    fraud users unlock reviewer-2
    """
    with _people() as (people, _):
        found = people.unlock(people.named(name).user_id, who(by))
    _tell(found, "may try again", as_json)


@app.command()
def link(
    name: Name,
    subject: Annotated[str, typer.Option(help="What the provider calls the person: the claim sub.")],
    issuer: Annotated[str | None, typer.Option(help="The provider; default: that of [oidc] in fraud.toml.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let somebody who has an account here sign in at the payer's provider, and no more with a password.

    \b
    fraud users link reviewer-2 --subject 248289761001
    """
    from fraud.store.identities import Identities
    from fraud.store.sessions import Sessions

    where = issuer or str(load_settings().oidc.get("issuer", ""))
    if not where:
        raise InputError("No provider is set. Name it in [oidc] of fraud.toml, or with --issuer.")
    with _people() as (people, store):
        found = Identities(store.database).link(people.named(name).user_id, where, subject, who(by))
        Sessions(store.database).end(found.user_id, who(by))
    _tell(found, f"signs in with {where}", as_json)


@app.command()
def unlink(name: Name, by: By = None, as_json: AsJson = False) -> None:
    """Let somebody sign in here again, and show the password of the first sign-in this once.

    \b
    fraud users unlink reviewer-2
    """
    from fraud.store.identities import Identities
    from fraud.store.sessions import Sessions

    with _people() as (people, store):
        found, secret = Identities(store.database).unlink(people.named(name).user_id, who(by))
        Sessions(store.database).end(found.user_id, who(by))
    _show(found, secret, as_json)


def _first(password_stdin: bool) -> str | None:
    if not password_stdin:
        return None
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise InputError("Standard input held no password. Write it on one line.")
    return given


def _show(person: Person, secret: str | None, as_json: bool) -> None:
    if as_json:
        print_json(person.as_dict() | ({"password": secret} if secret else {}))
        return
    if secret:
        data(secret)
        note("The password is shown this once and must be changed at the first sign-in.")
    note(f"{person.display_name} signs in as {person.name}, {person.role}.")


def _tell(person: Person, what: str, as_json: bool) -> None:
    if as_json:
        print_json(person.as_dict())
    else:
        data(f"{person.name} {what}.")


def _row(person: Person) -> tuple[object, ...]:
    bounds = " ".join((*person.scope.regions, *person.scope.providers)) or "all"
    return person.name, person.display_name, person.role, bounds, person.state
