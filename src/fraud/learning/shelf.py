"""Copies of registered models on this machine, so that a service starts without asking the registry.

Importing MLflow and opening its database takes longer than everything else at a start. Where the registry is a
database file that has not changed since, a copy is what the registry would give. A registry on another machine
cannot be compared in advance: the copy is used, and whoever follows the registry asks it right after.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from fraud.errors import FraudError, InputError, NotKnownError
from fraud.learning.model import FittedModel
from fraud.learning.registry import file_of
from fraud.signals.catalogue import Catalogue

__all__ = ["Shelf", "Stamp", "stamp_of"]

# Time of change, size and number of changes of a database file, and of its log: another after every transaction.
Stamp = tuple[int, ...]
# Where a SQLite file counts its transactions.
_COUNTER, _COUNTER_BYTES = 24, 4


def stamp_of(tracking_uri: str) -> Stamp | None:
    """What the registry's file looks like from outside, which any change of it changes; None where it is no file."""
    path, found = file_of(tracking_uri), []
    if path is None:
        return None
    for file in (path, path.with_name(path.name + "-wal")):
        with suppress(OSError):
            stat = file.stat()
            with file.open("rb") as opened:
                opened.seek(_COUNTER)
                found += [stat.st_mtime_ns, stat.st_size, int.from_bytes(opened.read(_COUNTER_BYTES))]
    return tuple(found)


@dataclass(frozen=True)
class Shelf:
    """The models kept in a folder for one registry; several processes may use it at once."""

    folder: Path
    tracking_uri: str

    def model(
        self, name: str, alias: str, catalogue: Catalogue, fetch: Callable[[], FittedModel], *, anew: bool = False
    ) -> FittedModel:
        """The model of an alias: the copy, or what `fetch` brings from the registry, of which a copy is kept.

        With `anew`, the registry is asked where it cannot be seen whether it has changed.

        Raises:
            NotKnownError: the registry has no such model or alias, now or when it was last asked and had not changed.
        """
        # Before the registry is asked: what changes meanwhile makes the copy void.
        stamp = stamp_of(self.tracking_uri)
        kept = self._kept(name, alias)
        if kept is not None and (kept["stamp"] == _plain(stamp) if stamp is not None else not anew):
            with suppress(FraudError, OSError, ValueError, KeyError):
                return self._taken(kept, alias, catalogue)
            if stamp is not None and kept.get("missing"):
                raise NotKnownError(kept["missing"])
        return self._fetched(name, alias, fetch, stamp)

    def _fetched(self, name: str, alias: str, fetch: Callable[[], FittedModel], stamp: Stamp | None) -> FittedModel:
        told: dict[str, Any] = {"stamp": _plain(stamp)}
        try:
            model = fetch()
        except NotKnownError as error:
            self._point(name, alias, told | {"missing": error.message})
            raise
        # A service answers as well without a copy: its next start takes longer.
        with suppress(OSError):
            place = f"{name}-{model.version}-{model.digest.rpartition(chr(58))[2][:16]}"
            self._place(model, self.folder / place)
            own = {"folder": place, "version": model.version, "run_id": model.run_id}
            self._point(name, alias, told | own | {"files": _digests(self.folder / place)})
            self._clear()
        return model

    def _taken(self, kept: Mapping[str, Any], alias: str, catalogue: Catalogue) -> FittedModel:
        folder = self.folder / kept["folder"]
        # Before LightGBM reads them: what it says of a file that is cut short, or does, is its own affair.
        if _digests(folder) != kept["files"]:
            raise InputError(f"{folder.name}: the files are not those that were written.")
        model = FittedModel.load(folder, catalogue)
        return replace(model, version=kept["version"], alias=alias, run_id=kept["run_id"])

    def _kept(self, name: str, alias: str) -> Mapping[str, Any] | None:
        with suppress(OSError, ValueError):
            found = json.loads(self._pointer(name, alias).read_text("utf-8"))
            if isinstance(found, dict) and found.get("registry") == self.tracking_uri and "stamp" in found:
                return found
        return None

    def _pointer(self, name: str, alias: str) -> Path:
        return self.folder / f"{name}.{alias}.json"

    def _place(self, model: FittedModel, to: Path) -> None:
        if to.is_dir():
            return
        new = self.folder / f".{uuid4().hex}"
        model.save(new)
        try:
            os.replace(new, to)
        except OSError:
            # Another process was first.
            shutil.rmtree(new, ignore_errors=True)
            if not to.is_dir():
                raise

    def _point(self, name: str, alias: str, told: Mapping[str, Any]) -> None:
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            new = self.folder / f".{uuid4().hex}.json"
            new.write_text(json.dumps({**told, "registry": self.tracking_uri}), "utf-8")
            os.replace(new, self._pointer(name, alias))

    def _clear(self) -> None:
        """Remove copies that no pointer names any more."""
        pointers = [p for p in self.folder.glob("*.json") if not p.name.startswith(".")]
        named = {json.loads(p.read_text("utf-8")).get("folder") for p in pointers}
        for place in self.folder.iterdir():
            if place.is_dir() and not place.name.startswith(".") and place.name not in named:
                shutil.rmtree(place, ignore_errors=True)


def _plain(stamp: Stamp | None) -> list[int] | None:
    return None if stamp is None else list(stamp)


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}
