"""What a worker does not import: packages that others bring in for uses that scoring does not have."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType

__all__ = ["without"]


class _Hidden(MetaPathFinder):
    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in self._packages:
            raise ModuleNotFoundError(f"{name} is not imported here", name=name)


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let packages that were not imported yet seem not to be installed, for as long as this lasts."""
    hidden = _Hidden(packages)
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)
