"""Notices that wait or were given up: list them, try them again, forget them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from fraud.commands.console import data, note, print_json, print_table
from fraud.commands.keys import AsJson
from fraud.config import load_settings
from fraud.errors import InputError

__all__ = ["notices"]


def notices(
    again: Annotated[bool, typer.Option("--again", help="Try those that were given up once more.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Forget those that were given up.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how many notices of cases wait to be sent, and those that were given up.

    \b
    fraud notices
    fraud notices --again      # once the mail server or the webhook is mended

    A running service sends what waits; where notices go is set in [notices] of fraud.toml.
    """
    from fraud.store import Store
    from fraud.store.outbox import Outbox

    if again and forget:
        raise InputError("Choose one: --again tries once more, --forget does not.")
    with Store(load_settings().database_url) as store:
        outbox = Outbox(store.database)
        changed = outbox.again() if again else outbox.forget() if forget else None
        found = outbox.state()
    if as_json:
        print_json({"waiting": found.waiting, "since": found.since, "given_up": [asdict(w) for w in found.given_up]})
        return
    if changed is not None:
        note(f"{changed} notices {'are tried again' if again else 'are forgotten'}.")
    since = f", the oldest since {found.since:%Y-%m-%d %H:%M} UTC" if found.since is not None else ""
    data(f"{found.waiting} wait{since}; {len(found.given_up)} were given up")
    if found.given_up:
        rows = [(w.case_id, w.notice.get("kind", ""), w.way, w.tries, w.fault, w.given_up_at) for w in found.given_up]
        print_table(("case", "kind", "by", "attempts", "last fault", "given up"), rows)
