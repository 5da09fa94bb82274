"""Where a proof runs: a city that is made once, and a copy of its database for each run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from fraud.config import Settings
from fraud.scoring.shapes import ClaimBundle

__all__ = ["bodies_of", "own_copy"]

_ITEMS = ("lines", "diagnoses", "procedures")


def own_copy(settings: Settings, name: str) -> Settings:
    """The same with a copy of the database for one run: the next one finds it as it was made."""
    made = Path(settings.database_url.removeprefix("sqlite:///"))
    own = made.with_name(f"{name}.db")
    for path in (own, *(own.with_name(own.name + end) for end in ("-wal", "-shm"))):
        path.unlink(missing_ok=True)
    # A plain copy of the file would miss what is still in its log.
    with closing(sqlite3.connect(made)) as source, closing(sqlite3.connect(own)) as target:
        source.backup(target)
    return replace(settings, database_url=f"sqlite:///{own}")


def bodies_of(bundles: Sequence[ClaimBundle]) -> list[dict[str, Any]]:
    """Claims as bodies of requests, without the columns that are null."""
    return [{"claim": _row(b.claim), **{n: [_row(r) for r in getattr(b, n)] for n in _ITEMS}} for b in bundles]


def _row(values: Any) -> dict[str, Any]:
    """A row as JSON has it; its items are told by the claim which claim they belong to."""
    found = {k: v for k, v in values.items() if v is not None and k != "claim_id"}
    return {k: v.isoformat() if isinstance(v, date) else v for k, v in found.items()}
