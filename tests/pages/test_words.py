"""Words of the pages: the same in both languages, none missing, none left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fraud
from fraud.store.people import PEOPLE_ROLES
from fraud.web.pages.book import PAGES
from fraud.web.pages.frame import wording
from fraud.web.pages.frame.problems import PAGE_PROBLEMS
from fraud.web.pages.frame.wording import Words, language_of, texts

FOLDER = Path(wording.__file__).parents[1]
# Sections that are asked for by a key of the data: `w.of("roles", person.role)`.
OF = re.compile(r"\bof\(\s*\"([a-z_]+)\"")
SAID = re.compile(r"\bMoved\(.*?, \"([a-z]+_[a-z_]+)\"")
FIXED = re.compile(r"\b(?:w|words|visit\.words)\(\s*\"([a-z_]+)\.([a-z_]+)\"|self\(\"([a-z_]+)\.([a-z_]+)\"")


def sources() -> str:
    code = (f for f in FOLDER.rglob("*.py") if f.name != "__init__.py")
    files = [*code, *(FOLDER / "templates").glob("*.j2")]
    return "\n".join(f.read_text("utf-8").replace("'", '"') for f in files)


def flat(language: str) -> dict[str, str]:
    return {f"{section}.{key}": text for section, own in texts(language).items() for key, text in own.items()}


def test_both_languages_say_the_same_things_with_the_same_places() -> None:
    en, zh = flat("en"), flat("zh")
    assert en.keys() == zh.keys()
    differ = [k for k in en if set(re.findall(r"{\w+}", en[k])) != set(re.findall(r"{\w+}", zh[k]))]
    assert differ == []


def test_chinese_words_are_chinese_and_english_ones_are_not() -> None:
    plain = {k: re.sub(r"{.*?}", "", text) for k, text in flat("zh").items()}
    assert [k for k, t in plain.items() if re.search(r"[A-Za-z]", t) and not re.search(r"[\u4e00-\u9fff]", t)] == []
    assert [k for k, text in flat("en").items() if re.search(r"[\u4e00-\u9fff]", text)] == []


def test_every_word_that_is_asked_for_is_there() -> None:
    asked = {f"{a or c}.{b or d}" for a, b, c, d in FIXED.findall(sources())}
    assert asked - flat("en").keys() == set()
    assert set(OF.findall(sources())) - texts("en").keys() == set()
    assert set(SAID.findall(sources())) - texts("en")["said"].keys() == set()


def test_no_word_is_left_over() -> None:
    asked = {f"{a or c}.{b or d}" for a, b, c, d in FIXED.findall(sources())}
    by_key = {*OF.findall(sources()), "faults"}
    assert [k for k in flat("en") if k not in asked and k.split(".")[0] not in by_key] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_roles_and_problems_have_names(language: str) -> None:
    known = texts(language)
    assert {p.name for p in PAGES if p.menu} | {p.menu for p in PAGES if p.menu} <= known["menu"].keys()
    assert set(PEOPLE_ROLES) <= known["roles"].keys()
    assert PAGE_PROBLEMS.keys() <= known["problems"].keys()


def test_whatever_the_ledger_is_told_has_a_name() -> None:
    code = "\n".join(f.read_text("utf-8") for f in Path(fraud.__file__).parent.rglob("*.py"))
    told = set(re.findall(r"\b(?:Event\(\s*|event=)\"([a-z_]+\.[a-z_]+)\"", code))
    assert len(told) > 20
    assert told - texts("en")["events"].keys() == set()


def test_a_browser_gets_the_language_that_it_asks_for_first() -> None:
    assert [language_of(a) for a in ("zh-TW,en;q=0.5", "en-GB,zh;q=0.9", "de", "")] == ["zh", "en", "en", "en"]


def test_a_letter_leads_to_one_page() -> None:
    letters = [p.key for p in PAGES if p.key]
    assert len(letters) == len(set(letters))
    assert Words("zh").other == "en"
