"""Importers, one file each: a module with `plan(raw, mapping)` is an importer by the module's name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from fraud.claims.checking import Plan

__all__ = ["SOURCES", "Importer"]

# Takes the folder of raw files and the mapping, if any; raises `ClaimsError` or `SpecError`.
Importer = Callable[[Path, Path | None], Plan]


def _importers() -> dict[str, Importer]:
    names = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    return {name: import_module(f"{__name__}.{name}").plan for name in names}


SOURCES: dict[str, Importer] = _importers()
