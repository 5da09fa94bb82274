"""Figures, dates, money and labels in the reader's language."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeGuard

from fraud.errors import InputError
from fraud.signals.definition import LOCALES
from fraud.signals.sentences import number
from fraud.signals.words import full_width, words

__all__ = ["TEMPLATES", "Wording", "rarity", "texts"]

TEMPLATES = Path(__file__).parent / "templates"
NOT_KNOWN = "–"
SMALL_SHARE = 0.01
# Columns with a closed set of values and the section of their words: what a resident is differs between insurance
# and ward. Everything else is shown as it is on file.
_WORDS = dict.fromkeys(("visit_type", "kind", "level", "sex", "insurance_type", "age_band"), "values") | {
    "specialty": "specialties",
    "department": "specialties",
    "focus": "specialties",
    "title": "titles",
    "assistance": "assistance",
}
_YES_NO = "yes (1) or no (0)"
_MONEY = {"amount", "unit_price", "money", "currency"}
# Signals and rules that could not be worked out say why in these forms.
_BECAUSE = (
    (re.compile(r"the data lack (.+)"), "lack"),
    (re.compile(r"no limit was in force on (.+)"), "no_limit"),
    (re.compile(r"the signal was not computed"), "not_computed"),
    (re.compile(r"model"), "model"),
)


@lru_cache(maxsize=len(LOCALES))
def texts(locale: str) -> Mapping[str, Any]:
    """Every text of a report in one language."""
    return {**words(locale), **tomllib.loads((TEMPLATES / f"report.{locale}.toml").read_text("utf-8"))}


class Wording:
    """Texts of one language, and figures as its readers write them.

    `locale` is `en` or `zh` (`zh-CN` is understood); another raises `InputError`.
    """

    def __init__(self, locale: str, currency: str | None = None) -> None:
        self.locale = locale.split("-")[0]
        if self.locale not in LOCALES:
            raise InputError(f"There is no report in {locale!r}; the languages are {', '.join(LOCALES)}.")
        self.texts = texts(self.locale)
        self.currency = currency

    @property
    def lang(self) -> str:
        """The language tag of the page."""
        return str(self.texts["lang"])

    def say(self, where: str, **places: object) -> str:
        """The text at `section.key` with its places filled."""
        section, key = where.split(".", 1)
        return str(self.texts[section][key]).format(**places)

    def pick(self, both: Mapping[str, str]) -> str:
        """The text of this language out of a catalogue's pair, as it is printed; empty where there is none."""
        return self.printed(both.get(self.locale, ""))

    def printed(self, text: str) -> str:
        """A text of the catalogue in the punctuation of its language."""
        return full_width(text) if self.locale == "zh" else text

    def label(self, section: str, key: str) -> str:
        """The word for a key; a key that the texts do not know is shown with its underscores opened."""
        return str(self.texts[section].get(key, key.replace("_", " ")))

    # --- figures ------------------------------------------------------------------------------------------

    def number(self, value: float | None) -> str:
        """A plain figure."""
        return number(value)

    def percent(self, value: float) -> str:
        """A percentage from 0 to 100, never rounded up to a hundred."""
        figure = min(math.floor(value * 10 + 1e-9) / 10, 99.9) if value < 100 else 99.9
        return self.say("formats.percent", figure=f"{figure:.1f}")

    def share(self, value: float) -> str:
        """A share from 0 to 1 as a percentage; a small one keeps two digits: 0.096%."""
        small = 0 < abs(value) < SMALL_SHARE
        return self.say("formats.percent", figure=f"{value * 100:.2g}" if small else f"{value * 100:.1f}")

    def money(self, value: float | None, exact: bool = False) -> str:
        """An amount in the report's currency, with cents when `exact` or small."""
        if not _is_known(value):
            return NOT_KNOWN
        whole = float(value).is_integer() or (abs(value) >= 100 and not exact)
        figure = f"{value:,.0f}" if whole else f"{value:,.2f}"
        return self._in_currency(figure)

    def _in_currency(self, figure: str) -> str:
        known = self.texts["currencies"]
        form = known.get(self.currency, known["other"]) if self.currency else known["none"]
        return str(form).format(amount=figure, code=self.currency)

    def about(self, value: float) -> str:
        """An amount that is an estimate, in the units that the language counts money in: $1.67M, 167万元."""
        unit = self.texts["compact"]
        if abs(value) < unit["from"]:
            return self.money(round(value) if abs(value) >= 100 else value)
        return self._in_currency(str(unit["form"]).format(figure=f"{value / unit['unit']:,.4g}"))

    def quantity(self, value: float | None, unit: str) -> str:
        """A figure with its unit: `4 stays`, `37.0%`, `$1,240`."""
        if not _is_known(value):
            return NOT_KNOWN
        if unit in ("share", "percent"):
            return self.share(value if unit == "share" else value / 100)
        if unit in _MONEY:
            return self.money(value)
        if unit == _YES_NO and value in (0, 1):
            return self.label("values", "true" if value else "false")
        named = self._unit(unit, value)
        return self._with_unit(number(value), named) if named else number(value)

    def unit(self, unit: str) -> str:
        """A unit by itself, without a figure: `stays`, `share`."""
        return str(self.texts["unit_names"].get(unit) or self._unit(unit, 2))

    def _unit(self, unit: str, value: float) -> str:
        one, _, many = str(self.texts["units"].get(unit, unit)).partition("|")
        return one if value == 1 else many or one

    def _with_unit(self, figure: str, unit: str) -> str:
        # A Latin unit keeps its space in Chinese text too, and never stands alone on the next line.
        gap = "\N{NO-BREAK SPACE}" if unit[0].isascii() and self.locale != "en" else ""
        return self.say("formats.with_unit", figure=figure + gap, unit=unit)

    # --- days ---------------------------------------------------------------------------------------------

    def date(self, day: date) -> str:
        """A day in words."""
        month = self.texts["months"][str(day.month)]
        return self.say("formats.date", year=day.year, month=month, day=day.day)

    def moment(self, moment: datetime) -> str:
        """A day and a time of day; midnight is a day."""
        if moment.time() == time():
            return self.date(moment)
        return self.say("formats.minute", date=self.date(moment), hour=moment.hour, minute=moment.minute)

    # --- values of tables and facts -----------------------------------------------------------------------

    def fact(self, label: str, value: object) -> str:
        """A fact's value; days are written in words."""
        if isinstance(value, tuple):
            first, last = value
            return self.say("formats.period", **{"from": self.date(first), "to": self.date(last)})
        if isinstance(value, datetime):
            return self.moment(value)
        if isinstance(value, (int, float)) and _is_money(label):
            return self.money(value, exact=True)
        return self.date(value) if isinstance(value, date) else self.cell(label, value)

    def head(self, section: str, column: str) -> str:
        """A table's heading; over money it names the currency, so that the cells need not."""
        label = self.label(section, column)
        if not (self.currency and _is_money(column)):
            return label
        return self.say("formats.with_currency", label=label, currency=self.currency)

    def cell(self, column: str, value: object) -> str:
        """A table's cell; days are written as in a register: 2026-11-21, and money without its currency."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return NOT_KNOWN
        if isinstance(value, bool):
            return self.label("values", "true" if value else "false")
        if isinstance(value, date) and column.endswith("_month"):
            return f"{value:%Y-%m}"
        if isinstance(value, datetime):
            return f"{value:%Y-%m-%d}" if value.time() == time() else f"{value:%Y-%m-%d %H:%M}"
        if isinstance(value, (int, float)):
            return f"{value:,.2f}" if _is_money(column) else number(value)
        return str(self.texts[_WORDS[column]].get(str(value), value)) if column in _WORDS else str(value)

    # --- peers --------------------------------------------------------------------------------------------

    def among(self, value: float | None, median: float | None, percentile: float | None) -> str:
        """`higher than 98.4%`, `lower than all`, or `in the middle`; a dash where nothing is known."""
        stands = rarity(value, median, percentile)
        if stands is None:
            return NOT_KNOWN
        way, rare = stands
        if way == "same":
            return self.say("reasons.peer_middle")
        beyond = self.percent(rare) if rare < 100 else self.say("reasons.peer_all")
        return self.say(f"reasons.peer_{way}", percentile=beyond)

    def group(self, entity: str, parts: Sequence[str]) -> str:
        """A peer group in words: `hospital · tertiary · region 3301`; all of them where nothing is shared."""
        if all(part.endswith("=?") for part in parts):
            return self.say("peers.everybody", entities=self.label("entities_plural", entity))
        return " · ".join(self._group_part(*part.partition("=")[::2]) for part in parts)

    def _group_part(self, column: str, value: str) -> str:
        if value == "?":
            return self.say("group.missing", what=self.label("group_words", column))
        form = str(self.texts["group"].get(column, "{value}"))
        return form.format(value=self.cell(column, value))

    # --- reasons why something is missing -----------------------------------------------------------------

    def because(self, why: str) -> str:
        """Why a signal could not be worked out, in the reader's language; an unknown reason as it is."""
        for form, key in _BECAUSE:
            if found := form.fullmatch(why):
                return self.say(f"because.{key}", what="".join(found.groups()))
        return why


def rarity(
    value: float | None, median: float | None, percentile: float | None
) -> tuple[Literal["higher", "lower", "same"], float] | None:
    """Which side of its peers a figure is on, and the percentage of them that it is beyond.

    >>> rarity(4.0, 1.0, 97.5)
    ('higher', 97.5)
    >>> rarity(0.0, 1.0, 2.5)
    ('lower', 97.5)
    """
    if value is None or median is None or percentile is None:
        return None
    if value == median:
        return "same", 50.0
    # Ties are counted half, so a figure just off the median can stand at 49 %.
    return ("higher", max(percentile, 50.0)) if value > median else ("lower", max(100 - percentile, 50.0))


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _is_money(column: str) -> bool:
    return column in _MONEY or column.endswith("_amount")
