"""Words about signals and rules that every page and report shares: entities, kinds, severities, tags, units."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from fraud.signals.definition import LOCALES

__all__ = ["words"]


@lru_cache(maxsize=len(LOCALES))
def words(locale: str) -> Mapping[str, Any]:
    """Words by section and key, in `en` or `zh`."""
    return tomllib.loads((Path(__file__).parent / f"words.{locale}.toml").read_text("utf-8"))
