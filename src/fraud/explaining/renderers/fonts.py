"""Fonts of this machine for the text of a PDF."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from fraud.errors import InputError

if TYPE_CHECKING:
    import typst

__all__ = ["Faces", "faces_for", "machine_fonts"]

# Families with Chinese, the best first: what Linux distributions, macOS and Windows bring.
CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Source Han Sans",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "DengXian",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "SimHei",
    "SimSun",
    "Noto Sans CJK TC",
    "Noto Sans CJK JP",
    "Noto Serif CJK SC",
)
LATIN = ("Noto Sans", "Segoe UI", "Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans", "Libertinus Serif")
CODE = ("Noto Sans Mono CJK SC", "Menlo", "Consolas", "DejaVu Sans Mono")
# Han, their punctuation, and forms of full width.
_HAN = re.compile("[\u2e80-\u2fdf\u3000-\u303f\u31c0-\u31ef\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")
_ADVICE = (
    "Install one, as with `apt-get install fonts-noto-cjk` (Debian, Ubuntu), `dnf install google-noto-sans-cjk-fonts` "
    "(Fedora) or `apk add font-noto-cjk` (Alpine), and start the program again; the page and the workbook need none."
)


@dataclass(frozen=True)
class Faces:
    """Families to set text and code with, in the order in which they are tried."""

    text: tuple[str, ...]
    code: tuple[str, ...]


@lru_cache(maxsize=1)
def machine_fonts() -> typst.Fonts:
    """The fonts of this machine and those that the engine brings; looked for once."""
    import typst

    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True)


def faces_for(text: str, families: Iterable[str] | None = None) -> Faces:
    """The families for a text, out of those of this machine.

    Raises:
        InputError: the text has Chinese characters, and no font on the machine has.
    """
    there = set(machine_fonts().families() if families is None else families)
    chinese = [f for f in CHINESE if f in there]
    if _HAN.search(text) and not chinese:
        raise InputError(f"No font on this machine has Chinese characters, so no PDF with them can be set. {_ADVICE}")
    latin = [f for f in LATIN if f in there]
    # Chinese families have Latin letters that go with them.
    found = (*chinese[:2], *latin)
    return Faces(found, (*(f for f in CODE if f in there), *found))
