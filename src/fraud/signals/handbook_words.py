"""What the browsable handbook says in both languages at once: texts, figures, prose, as markup."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from fraud.signals.definition import LOCALES
from fraud.signals.sentences import number
from fraud.signals.words import words

__all__ = [
    "Text", "as_written", "both", "code_with_links", "label", "prose", "quantity", "say", "shared", "typeset",
    "unit_name",
]  # fmt: skip

Text = Mapping[str, str]
# An English text that stands in for a Chinese one: tagged so that the switch of languages does not hide it.
_ORIGINAL = Markup('<span lang="en-GB">{}</span>')
_HAN = r"\u3400-\u9fff\u3000-\u303f\uff00-\uffef“”"
_WIDE = {",": "，", ":": "：", ";": "；", "?": "？", "!": "！"}
_MONEY = {"money", "currency", "amount"}


@lru_cache(maxsize=1)
def _texts() -> Mapping[str, Any]:
    return tomllib.loads((Path(__file__).parent / "handbook.words.toml").read_text("utf-8"))


def say(where: str, **places: object) -> Text:
    """The text at `section.key`, in both languages, with its places filled."""
    return {locale: text.format(**places) for locale, text in as_written(where).items()}


def as_written(where: str) -> Text:
    """The text at `section.key` with its places left open."""
    section, key = where.split(".", 1)
    return {locale: str(_texts()[section][key][locale]) for locale in LOCALES}


def label(where: str, **places: object) -> Markup:
    """`say` as markup."""
    return both(say(where, **places))


def shared(section: str, key: str) -> Text:
    """A word that reports say too, in both languages; the key itself where there is none."""
    return {locale: str(words(locale)[section].get(key, key)) for locale in LOCALES}


def both(text: Text) -> Markup:
    """A text in both languages, of which the page shows one; English says so where it stands in for Chinese."""
    return _pair({locale: escape(text.get(locale, "")) for locale in LOCALES})


def prose(text: Text, links: Mapping[str, str]) -> Markup:
    """Like `both`, with names in backticks as code, and as links where `links` knows them."""
    return _pair({locale: _marked(text.get(locale, ""), links) for locale in LOCALES})


def _pair(text: Mapping[str, Markup]) -> Markup:
    en, zh = text["en"], Markup(typeset(text["zh"]))
    if not en:
        return zh
    if not zh:
        zh = _ORIGINAL.format(en) + Markup(typeset(escape(say("page.original")["zh"])))
    if en == zh:
        return en
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(en, zh)


def _marked(text: str, links: Mapping[str, str]) -> Markup:
    parts = text.split("`")
    return Markup("").join(_code(p, links) if i % 2 else escape(p) for i, p in enumerate(parts))


def _code(name: str, links: Mapping[str, str]) -> Markup:
    code = Markup("<code>{}</code>").format(name)
    return Markup('<a href="#{}">{}</a>').format(links[name], code) if name in links else code


def code_with_links(source: str, links: Mapping[str, str]) -> Markup:
    """A formula in which `limits.NAME` and `window_signals.NAME` lead to what they name."""
    text = str(escape(source))

    def linked(found: re.Match[str]) -> str:
        target = links.get(found[2]) if found[1] == "limits" else links.get(f"claim.{found[2]}")
        return f'<a href="#{target}">{found[0]}</a>' if target else found[0]

    return Markup(re.sub(r"\b(limits|window_signals)\.(\w+)", linked, text))


# --- figures ----------------------------------------------------------------------------------------------


def quantity(value: float | None, unit: str) -> Text:
    """A figure with its unit, as readers of each language write it."""
    if value is None:
        return say("signal.unknown")
    if unit == "share":
        return dict.fromkeys(LOCALES, f"{value * 100:.4g}%")
    figure = number(value)
    if unit in _MONEY:
        return say("units.money", figure=figure)
    named = {locale: _unit(unit, value, locale) for locale in LOCALES}
    return {"en": f"{figure} {named['en']}".strip(), "zh": f"{figure}{named['zh']}"}


def _unit(unit: str, value: float, locale: str) -> str:
    one, _, many = str(words(locale)["units"].get(unit, unit)).partition("|")
    return one if value == 1 else many or one


def unit_name(unit: str) -> Text:
    """The unit by itself."""
    own = {"money": "currency"}.get(unit, unit)
    if own in _texts()["units"]:
        return say(f"units.{own}")
    return {"en": unit, "zh": str(words("zh")["units"].get(unit, unit))}


def typeset(text: str) -> str:
    """Chinese text with full-width punctuation beside Chinese characters; figures, codes and markup keep theirs."""
    wide = re.sub(r"\(([^()<>]*)\)", _bracketed, text)
    return re.sub(rf"(?<=[{_HAN}])[,:;?!] ?|(?<=>)[,:;] ?(?=[{_HAN}])|[,:;] ?(?=[{_HAN}])", _widened, wide)


def _bracketed(found: re.Match[str]) -> str:
    start, end = found.span()
    around = found.string[max(start - 1, 0) : start] + found[1] + found.string[end : end + 1]
    return f"（{found[1]}）" if re.search(rf"[{_HAN}]", around) else found[0]


def _widened(found: re.Match[str]) -> str:
    before = found.string[: found.start()]
    # the semicolon that ends a character reference belongs to it
    if found[0].startswith(";") and re.search(r"&#?\w+$", before):
        return found[0]
    return _WIDE[found[0].strip()]
