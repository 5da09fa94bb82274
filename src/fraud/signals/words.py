"""Words about signals and rules that every page and report shares, and the marks that Chinese text is set with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from fraud.signals.definition import LOCALES

__all__ = ["full_width", "words"]

# A Chinese character, or a mark of punctuation that is as wide.
_WIDE = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef\u201c\u201d"
_BRACKETS = re.compile(rf"(?<=[{_WIDE}])\(([^()]*)\)|\(([^()]*)\)(?=[{_WIDE}])|\(([^()]*[{_WIDE}][^()]*)\)")
_MARKS = re.compile(rf"(?<=[{_WIDE}])[,:;!?]|[,:;!?](?=[{_WIDE}])")
_FULL = {",": "，", ":": "：", ";": "；", "!": "！", "?": "？"}


@lru_cache(maxsize=len(LOCALES))
def words(locale: str) -> Mapping[str, Any]:
    """Words by section and key, in `en` or `zh`."""
    return tomllib.loads((Path(__file__).parent / f"words.{locale}.toml").read_text("utf-8"))


@lru_cache(maxsize=8_192)
def full_width(text: str) -> str:
    """Chinese text with marks as wide as its characters; those inside of figures stay as they are.

    People type signals and rules with the marks of their keyboard; readers of a printed page expect the others.

    >>> full_width("费用1,240元(同类3,100元),高于98%")
    '费用1,240元（同类3,100元），高于98%'
    """
    text = _BRACKETS.sub(lambda found: f"（{next(g for g in found.groups() if g is not None)}）", text)
    return _MARKS.sub(lambda found: _FULL[found[0]], text)
