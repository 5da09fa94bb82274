"""Words of the pages in the reader's language, beside figures, money and days as the reports write them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from fraud.errors import Fault
from fraud.explaining.wording import Wording
from fraud.store.people import LANGUAGES

__all__ = ["Words", "language_of", "texts"]

FOLDER = Path(__file__).parents[1] / "words"


@lru_cache(maxsize=len(LANGUAGES))
def texts(language: str) -> Mapping[str, Mapping[str, str]]:
    """Every text of the pages by section and key; a section belongs to one file."""
    found: dict[str, Any] = {}
    for path in sorted(FOLDER.glob(f"*.{language}.toml")):
        own = tomllib.loads(path.read_text("utf-8"))
        if twice := set(own) & set(found):
            raise ValueError(f"{path.name}: another file has a section {sorted(twice)[0]} too")
        found |= own
    return found


class Words(Wording):
    """Words of the pages; `w("tips.title")` in templates. Figures, money and days come from the reports' wording."""

    @property
    def other(self) -> str:
        """The other language."""
        return next(language for language in LANGUAGES if language != self.locale)

    def __call__(self, where: str, **places: object) -> str:
        """The text at `section.key` with its places filled."""
        section, key = where.split(".", 1)
        return texts(self.locale)[section][key].format(**places)

    def of(self, section: str, key: str | None) -> str:
        """The word for a key of a closed set; one that is not known is shown as it is."""
        return str(texts(self.locale)[section].get(key or "", key or ""))

    def fault(self, fault: Fault) -> str:
        """What is wrong, in the reader's language where there is a word for it."""
        return texts(self.locale)["faults"].get(fault.code, fault.detail)

    def minute(self, moment: datetime | None) -> str:
        """Day and time as in a register; what is stored as UTC is shown in the time of this machine."""
        if moment is None:
            return "–"
        local = moment.astimezone() if moment.tzinfo else moment
        return f"{local:%Y-%m-%d %H:%M}"

    def day(self, day: date | None) -> str:
        """A day as in a register."""
        return f"{day:%Y-%m-%d}" if day else "–"

    def ago(self, moment: datetime, now: datetime | None = None) -> str:
        """How long ago: minutes, hours or days."""
        minutes = max(0, int(((now or datetime.now(UTC)) - moment).total_seconds() // 60))
        if minutes < 60:
            return self("frame.minutes_ago", n=minutes)
        return self("frame.hours_ago", n=minutes // 60) if minutes < 1440 else self("frame.days_ago", n=minutes // 1440)


def language_of(accept: str) -> str:
    """The language that a browser asks for first: Chinese or else English.

    >>> language_of("zh-CN,zh;q=0.9,en;q=0.8")
    'zh'
    """
    first = accept.split(",")[0].strip().lower()
    return "zh" if first.startswith("zh") else "en"
