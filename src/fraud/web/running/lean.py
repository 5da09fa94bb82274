"""What a worker does not import: packages that others bring in for uses that scoring does not have."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without"]


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let packages that were not imported yet seem not to be installed, for as long as this lasts."""
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
