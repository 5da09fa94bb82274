"""`fraud refresh`: the snapshots that live claims are scored with, taken again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from fraud.commands.console import data, print_json, print_table, progress
from fraud.commands.models import AsJson
from fraud.commands.service import champions
from fraud.config import load_settings

__all__ = ["refresh"]


def refresh(
    full: Annotated[bool, typer.Option("--full", help="Take everybody's snapshots, not only those touched.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take the snapshots of those whom new claims name, and publish them all at once; run it as often as you like.

    \b
    fraud refresh
    fraud refresh --full

    Claims that came over HTTP are in them too. The service goes on meanwhile, and reads the old snapshots until all
    new ones are there. At the first of a month, and when a model has changed, everybody's are taken by itself.
    """
    from fraud.learning.registry import Registry
    from fraud.scoring.refresh import refresh_store
    from fraud.signals.catalogue import load_catalogue
    from fraud.store import Store

    settings = load_settings()
    settings.var.mkdir(parents=True, exist_ok=True)
    # Asked for a champion, MLflow would make a database first.
    models = [] if Registry(settings.tracking_uri).is_empty else champions(settings)
    with progress(quiet=as_json) as step, Store(settings.database_url) as store:
        done = refresh_store(
            store,
            load_catalogue(settings.features),
            models,
            datetime.now(),
            full=full,
            room=settings.var,
            progress=step,
        )
    if as_json:
        print_json({"set": done.number, "snapshots": done.snapshots, "days": done.days, "full": done.full})
        return
    if done.number is None:
        why = "no claim has come since the last refresh" if models else "no model reads snapshots"
        data(f"Nothing to do: {why}.")
        return
    print_table(("snapshots of", "taken"), [(f"{entity}s", count) for entity, count in done.snapshots.items()])
    days = ", ".join(f"{d:%Y-%m-%d}" for d in done.days)
    data(f"{done.total:,} snapshots as of {days}, {'for everybody' if done.full else 'for those whom claims touched'}")
