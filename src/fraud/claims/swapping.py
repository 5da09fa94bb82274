"""The folder that an import writes to: prepared beside it, then put in its place in one step."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fraud import __version__
from fraud.claims.folder import MANIFEST, ClaimsFolder
from fraud.claims.raw import RawFile
from fraud.claims.schema import TABLES
from fraud.claims.tallying import TableCount
from fraud.errors import ClaimsError, Fault

__all__ = ["Target"]

# What an import writes; anything else in the folder is the user's and is carried over.
OWN = frozenset({*TABLES, *(f"{name}.parquet" for name in TABLES), "history", "quarantine", "faults",
                 "quality.json", "quality.html", MANIFEST})  # fmt: skip
EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
AT_FDCWD = -100


@dataclass(frozen=True)
class Target:
    """Where an import goes; `fingerprint` marks the key of its pseudonyms, None without a key."""

    to: Path
    raw: Path
    fingerprint: str | None

    @property
    def path(self) -> Path:
        """The folder, with links followed: a link keeps pointing to it."""
        return self.to.resolve()

    @property
    def _prefix(self) -> str:
        return f".{self.path.name}.importing-"

    @contextmanager
    def prepared(self) -> Iterator[Path]:
        """A folder to work in, beside the target; gone afterwards. Raises `ClaimsError` for a bad target."""
        self._check()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._sweep()
            work = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self.path.parent))
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def _check(self) -> None:
        if self.path == self.raw.resolve():
            raise ClaimsError(f"{self.to}: raw files and claims cannot share a folder. Give another with --to.")
        if self.path.exists() and not self.path.is_dir():
            raise ClaimsError(f"{self.to}: is a file. Give a folder with --to.")
        if self.path.is_dir() and any(self.path.iterdir()):
            ClaimsFolder(self.path)  # a folder with something else in it is refused, never replaced
            self._check_key()

    def _check_key(self) -> None:
        before = ClaimsFolder(self.path).manifest.get("pseudonyms", {"key": self.fingerprint}).get("key")
        if before != self.fingerprint:
            had = f"with the key {before}" if before else "without a key"
            now = f"with the key {self.fingerprint}" if self.fingerprint else "without one"
            raise ClaimsError(
                f"{self.to}: its pseudonyms were made {had}, this import is {now}; the same person would "
                "get two ids. Use the same key, or import everything into a new folder."
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Held while importing; the system lets go of it when the process dies."""
        if sys.platform == "win32":
            yield
            return
        import fcntl

        with (self.path.parent / f".{self.path.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ClaimsError(f"{self.to}: another import is writing to it. Wait until it is done.") from error
            yield

    def _sweep(self) -> None:
        """Clear what a killed import left behind, and put back a folder it had moved away."""
        former = self.path.parent / f".{self.path.name}.former"
        if former.exists() and not self.path.exists():
            former.rename(self.path)
        for left in self.path.parent.glob(f"{self._prefix}*"):
            shutil.rmtree(left, ignore_errors=True)

    def earlier(self) -> ClaimsFolder | None:
        """The claims that the target holds already."""
        return ClaimsFolder(self.path) if self.path.is_dir() and any(self.path.iterdir()) else None

    def holds(self, table: str) -> bool:
        """Whether the target has rows of the table, older versions of them or any in quarantine."""
        folders = (table, f"history/{table}", f"quarantine/{table}", f"{table}.parquet")
        return any((self.path / folder).exists() for folder in folders)

    def describe(
        self,
        folder: Path,
        source: str,
        files: Sequence[RawFile],
        counts: Mapping[str, TableCount],
        faults: Sequence[Fault],
        digest: str,
    ) -> None:
        """Write the manifest: what was imported from where, and what came of it."""
        this = {
            "source": source,
            "files": [
                {"name": file.name, "sha256": file.sha256, "bytes": file.size, "rows": file.rows} for file in files
            ],
        }
        earlier = self.earlier()
        before = [] if earlier is None else earlier.manifest.get("imports", [])
        manifest: dict[str, Any] = {
            "version": __version__,
            "digest": digest,
            "pseudonyms": {"key": self.fingerprint},
            "imports": [entry for entry in before if entry != this] + [this],
            "tables": {name: asdict(count) for name, count in counts.items()},
            "faults": [fault.as_dict() for fault in faults],
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def swap(self, folder: Path) -> None:
        """Put the new folder in the target's place; whoever opens it sees the one or the other."""
        if not self.path.exists():
            folder.rename(self.path)
            return
        try:
            _exchange(folder, self.path)
        except OSError as error:
            raise ClaimsError(
                f"{self.to}: cannot be replaced ({error.strerror}); it may be a mounted volume. "
                "Give a folder inside it with --to."
            ) from error
        for entry in folder.iterdir():
            if entry.name not in OWN:
                shutil.move(entry, self.path / entry.name)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders in one step where the system can, else in two with the former one kept beside."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
            return
    former = other.parent / f".{other.name}.former"
    other.rename(former)
    one.rename(other)
    former.rename(one)
