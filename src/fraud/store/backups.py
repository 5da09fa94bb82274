"""A copy of a SQLite database that is whole while others go on writing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from fraud.errors import InputError

__all__ = ["Backup", "back_up", "file_of"]


@dataclass(frozen=True)
class Backup:
    """A copy that was read back and found whole."""

    path: Path
    bytes: int


def file_of(url: str) -> Path | None:
    """The file of a SQLite database; None for a database on a server, or one in memory."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_file = parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")
    return Path(str(parsed.database)) if is_file else None


def back_up(source: Path, to: Path) -> Backup:
    """Copy the database as it is at one moment; readers and writers go on meanwhile.

    The copy appears under its name only when it is whole and on the disk. Raises `InputError` when the source is no
    database, or something is at the target already.
    """
    if to.exists():
        raise InputError(f"{to}: is there already. Name a new place; nothing was written.")
    if not source.is_file():
        raise InputError(f"{source}: there is no database. FRAUD_DATABASE_URL or fraud.toml says where it should be.")
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(to.name + ".part")
    part.unlink(missing_ok=True)
    # It holds what the database holds: nobody else reads it.
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(source, part)
    except sqlite3.DatabaseError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{source}: cannot be copied ({error}). Run `fraud doctor`; nothing was written.") from error
    part.rename(to)
    _sync(to.parent)
    return Backup(to, to.stat().st_size)


def _copy(source: Path, part: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(part)) as new,
    ):
        # At one go: piece by piece it would begin anew at every write in between.
        old.backup(new, pages=-1)
        # One file, without a log beside it that could be lost.
        new.execute("PRAGMA journal_mode=DELETE")
        (found,) = new.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError("the copy has faults")
    _sync(part)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
