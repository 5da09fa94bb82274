"""The types of violation, T01 to T40, by name in both languages."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

__all__ = ["violation_names"]


@lru_cache(maxsize=1)
def violation_names() -> Mapping[str, Mapping[str, str]]:
    """Names of every type, `en` and `zh`, by its code and in the order of the codes."""
    text = files("fraud.claims").joinpath("violations.csv").read_text("utf-8")
    return {row["violation"]: {"en": row["en"], "zh": row["zh"]} for row in csv.DictReader(text.splitlines())}
