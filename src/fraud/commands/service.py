"""The scoring service: load its history, and serve."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from fraud.commands.console import data, note, print_json, print_table, progress
from fraud.commands.keys import tell_access
from fraud.commands.models import AsJson, Claims
from fraud.config import Settings, load_settings

__all__ = ["load", "load_history", "serve"]


def load(claims: Claims, as_json: AsJson = False) -> None:
    """Load claims into the service's database as history, and take the snapshots that live claims need.

    \b
    fraud load --claims claims/

    Loading the same folder again changes nothing; a later version of a claim replaces the earlier one.
    """
    settings = load_settings()
    with progress(quiet=as_json) as step:
        done = load_history(settings, claims, step)
    if as_json:
        print_json({"rows": done.rows, "snapshots": done.snapshots, "days": done.days})
        return
    print_table(("table", "rows"), list(done.rows.items()))
    days = ", ".join(f"{d:%Y-%m-%d}" for d in done.days)
    data(f"{done.snapshots:,} snapshots as of {days or 'no day'}")


def load_history(settings: Settings, claims: Path, step):  # type: ignore[no-untyped-def]
    """Fill the store of these settings from a claims folder."""
    from fraud.claims.folder import ClaimsFolder
    from fraud.scoring.refresh import fill_store
    from fraud.signals.catalogue import load_catalogue
    from fraud.store import Store

    catalogue = load_catalogue(settings.features)
    settings.var.mkdir(parents=True, exist_ok=True)
    with Store(settings.database_url) as store:
        return fill_store(store, ClaimsFolder(claims), catalogue, champions(settings), progress=step)


def champions(settings: Settings):  # type: ignore[no-untyped-def]
    """The champions that the service scores with; none where none is registered yet."""
    from fraud.errors import NotKnownError
    from fraud.learning import load_model

    found = []
    for name in (v for k, v in settings.service.items() if k.endswith("_model") and v):
        try:
            found.append(load_model(str(name), "champion", settings.tracking_uri))
        except NotKnownError:
            note(f"No champion of {name} is registered: the service answers from the rules alone for it.")
    # The shadow of the claim model reads snapshots of its own.
    with suppress(NotKnownError):
        found.append(load_model(str(settings.service.get("claim_model")), "shadow", settings.tracking_uri))
    return found


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: that of fraud.toml.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; default: that of fraud.toml.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes that answer; default: one for each core.")
    ] = None,
    tls: Annotated[bool, typer.Option(help="Speak TLS where fraud.toml names a certificate.")] = True,
) -> None:
    """Serve the scoring API until it is stopped.

    \b
    fraud serve --port 3000
    curl -s localhost:3000/readyz
    """
    from fraud.web.access.tls import tls_settings
    from fraud.web.serving import run

    settings = load_settings()
    own_tls = tls_settings(settings.service, settings.home) if tls else None
    at_host = host or str(settings.service.get("host", "127.0.0.1"))
    at_port = port or int(settings.service.get("port", 3000))

    def tell() -> None:
        note(f"{'https' if own_tls else 'http'}://{at_host}:{at_port} (stop with Ctrl-C)")
        tell_access(settings, at_host)

    # A log has lines of JSON only; the service tells it about keys too.
    begun = tell if sys.stderr.isatty() else None
    raise typer.Exit(run(at_host, at_port, settings, workers, begun, own_tls.arguments if own_tls else {}))
