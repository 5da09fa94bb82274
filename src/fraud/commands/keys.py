"""Keys of the service: make, list, rotate, revoke."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.config import Settings, load_settings
from fraud.errors import InputError

if TYPE_CHECKING:
    from fraud.store.keys import Key, Keys

__all__ = ["app", "tell_access", "who"]

app = typer.Typer(help="Keys of the service: who may call it, as what, until when.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The id of the key, as `fraud keys list` shows it.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it; default: the user of this session.")]
Days = Annotated[float, typer.Option("--days", help="Days until the key expires.")]


data_key = typer.Typer(help="The data key: what names a person is stored sealed with it.", no_args_is_help=True)
app.add_typer(data_key, name="data")


def who(by: str | None) -> str:
    """Who is at the terminal, as the ledger says it."""
    return f"person:{by or getpass.getuser()}"


def tell_access(settings: Settings, host: str) -> None:
    """Say who may call a service that starts: loudly where it is everybody, or nobody."""
    from fraud.store import Keys, Store
    from fraud.store.people import People
    from fraud.web.access.guard import demands_of

    demanded = demands_of(settings.service, host)["demand"] == "required"
    with Store(settings.database_url) as store:
        keys = Keys(store.database).any() or People(store.database).any()
    if keys:
        note("Every call needs a key: Authorization: Bearer KEY")
    elif demanded:
        note("WARNING: no key was ever made, so nobody can call. Make one: fraud keys add NAME --role claims-system")
    else:
        note("WARNING: no key was ever made: whoever is on this machine may read and change everything.")
        note("         Make one, and from then on every call needs one: fraud keys add NAME --role claims-system")


@contextmanager
def _keys() -> Iterator[Keys]:
    from fraud.store import Keys, Store

    with Store(load_settings().database_url) as store:
        yield Keys(store.database)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whom the key is for, as claims-east or audit-desk.")],
    role: Annotated[
        str, typer.Option(help="claims-system, investigator, supervisor, data-scientist, auditor or admin.")
    ],
    region: Annotated[list[str] | None, typer.Option(help="Only records of this region; 33* for a prefix.")] = None,
    provider: Annotated[list[str] | None, typer.Option(help="Only records of this provider.")] = None,
    days: Days = 365,
    per_second: Annotated[float | None, typer.Option(help="Requests a second; default: that of fraud.toml.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once: only its hash is stored.

    \b
    fraud keys add claims-east --role claims-system --region '33*'
    fraud keys add audit-desk --role investigator --days 90
    curl -H "Authorization: Bearer $KEY" localhost:3000/v1/model

    From the first key on, the service asks everybody for one.
    """
    with _keys() as keys:
        found = keys.add(
            name,
            role,
            who(by),
            days=days,
            regions=region or (),
            providers=provider or (),
            per_second=per_second,
        )
    _show_secret(*found, as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all keys with their roles, bounds, last use and end.

    \b
    fraud keys list
    """
    now = datetime.now(UTC)
    with _keys() as keys:
        found = keys.all()
    if as_json:
        print_json([k.as_dict() | {"state": k.state(now)} for k in found])
    elif not found:
        note("There is no key: the service is open to whoever is on its machine. Make one with: fraud keys add")
    else:
        head = ("id", "name", "role", "bounds", "state", "last used", "expires")
        print_table(head, [_row(k, now) for k in found])


@app.command()
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[float, typer.Option(help="Hours for which the old key still opens.")] = 24,
    days: Days = 365,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Make a key with the same name, role and bounds; the old one ends after the overlap.

    \b
    fraud keys rotate 1a2b3c4d
    fraud keys rotate 1a2b3c4d --overlap-hours 0
    """
    with _keys() as keys:
        found = keys.rotate(key_id, who(by), days=days, overlap_hours=overlap_hours)
    _show_secret(*found, as_json)


@app.command()
def revoke(
    key_id: KeyId,
    reason: Annotated[str, typer.Option(help="Why; the ledger keeps it.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """End a key: within seconds it opens nothing any more.

    \b
    fraud keys revoke 1a2b3c4d --reason "laptop lost"
    """
    with _keys() as keys:
        found = keys.revoke(key_id, who(by), reason)
    if as_json:
        print_json(found.as_dict())
    else:
        data(f"{found.key_id} ({found.name}) is revoked.")


@app.command()
def resume(
    key_id: KeyId,
    reason: Annotated[str, typer.Option(help="What was found when it was looked into; the ledger keeps it.")] = "",
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Let a suspended key open again what it did.

    \b
    fraud keys resume 1a2b3c4d --reason "audit of the year, agreed with the desk"

    A key is suspended when it reads far more persons' records than is usual, or comes from many addresses
    (fraud.toml, [service]). `fraud ledger show --by 1a2b3c4d` says what it read. `fraud keys revoke` ends it for good.
    """
    with _keys() as keys:
        found = keys.resume(key_id, who(by), reason)
    if as_json:
        print_json(found.as_dict())
    else:
        data(f"{found.key_id} ({found.name}) opens again.")


@data_key.command("rotate")
def rotate_data(
    to: Annotated[Path | None, typer.Option("--to", help="File with the new key.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Store everything unsealed from now on.")] = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Seal everything stored with another key; the present one is that of the environment.

    \b
    openssl rand -hex 32 > new.key               # with sm4: before the digits for SM4
    fraud keys data rotate --to new.key          # the service must be stopped
    export FRAUD_DATA_KEY_FILE=$PWD/new.key      # and then started with the new key

    Also seals a database for the first time. It is done as a whole or not at all.
    """
    from fraud.store import Store
    from fraud.store.ciphers import cipher_from, read_cipher
    from fraud.store.scrubbing import scrub
    from fraud.store.sealing import reseal, sealed_columns

    if (to is None) is not remove:
        raise InputError("Say one of --to FILE, with the new key, and --remove.")
    old, new = cipher_from(os.environ), read_cipher(to) if to else None
    with Store(load_settings().database_url) as store, progress(quiet=as_json) as step:
        done = reseal(store.database, old, new, who(by), lambda table, rows: step(table, 0.0))
        step("rewriting the files", 0.0)
        scrub(store.database, [t.name for t in sealed_columns()])
    if as_json:
        print_json({"from": old.name if old else None, "to": new.name if new else None, "rows": done})
        return
    print_table(("table", "rows"), list(done.items()))
    data(f"Sealed with {new.name}." if new else "Stored unsealed.")
    note(f"Start the service with FRAUD_DATA_KEY_FILE={to}." if to else "Start the service without a data key.")


@data_key.command("show")
def show_data(as_json: AsJson = False) -> None:
    """Say which key the database is sealed with, by its id.

    \b
    fraud keys data show
    """
    from fraud.store import Store
    from fraud.store.sealing import key_of

    with Store(load_settings().database_url) as store:
        found = key_of(store.database)
    if as_json:
        print_json({"data_key": found})
    else:
        data(f"sealed with {found}" if found else "not sealed: no data key was ever given")


def _show_secret(key: Key, secret: str, as_json: bool) -> None:
    if as_json:
        print_json(key.as_dict() | {"key": secret})
        return
    data(secret)
    note(f"Key {key.key_id} of {key.name}, {key.role}, until {key.expires_at:%Y-%m-%d}.")
    note("It is shown this once: only its hash is stored. Keep it where secrets are kept.")


def _row(key: Key, now: datetime) -> tuple[object, ...]:
    bounds = " ".join((*key.scope.regions, *key.scope.providers)) or "all"
    used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
    return key.key_id, key.name, key.role, bounds, key.state(now), used, f"{key.expires_at:%Y-%m-%d}"
