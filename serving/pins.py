"""Prints the entries of requirements.lock, with versions and hashes, for the packages named as arguments or on stdin.

`requirements.lock` also holds what tests need. An image is built from the part that the service needs:

    uv pip compile pyproject.toml --extra postgres --extra otlp --constraint requirements.lock | python serving/pins.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["main", "pins"]

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
_ENTRY = re.compile(r"^([A-Za-z0-9][\w.-]*)==\S.*?(?=^[A-Za-z0-9]|\Z)", re.MULTILINE | re.DOTALL)


def pins(lock: str, names: Iterable[str]) -> str:
    """The entries of the lock for these packages; raises `SystemExit` that names all that it does not hold."""
    entries: dict[str, list[str]] = {}
    for entry in _ENTRY.finditer(lock):
        # Several for a package whose version depends on the Python.
        entries.setdefault(_plain(entry[1]), []).append(entry[0])
    wanted = sorted({_plain(n) for n in names})
    if not wanted:
        raise SystemExit("No package was named, as an argument or on stdin.")
    if missing := [n for n in wanted if n not in entries]:
        raise SystemExit(f"requirements.lock does not hold: {', '.join(missing)}. Run `make lock`.")
    return "".join(part for n in wanted for part in entries[n])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: list[str]) -> None:
    """Print what is asked for."""
    lines = arguments or [line for line in sys.stdin if re.match(r"[A-Za-z0-9]", line)]
    names = [re.split(r"[=<>!~\[; ]", line.strip(), maxsplit=1)[0] for line in lines]
    sys.stdout.write(pins(LOCK.read_text("utf-8"), names))


if __name__ == "__main__":
    main(sys.argv[1:])
