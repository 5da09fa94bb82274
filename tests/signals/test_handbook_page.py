"""The browsable handbook: complete, in both languages, self-contained, and every link of it leads somewhere."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud.claims.violations import violation_names
from fraud.cli import app
from fraud.errors import InputError
from fraud.signals.catalogue import Catalogue
from fraud.signals.detection import Detection, load_detection
from fraud.signals.handbook import handbook
from fraud.signals.handbook_page import handbook_page
from fraud.signals.handbook_words import both, prose, quantity, say, typeset
from fraud.signals.national import load_national_rules
from fraud.signals.words import words

MOST_BYTES = 3_000_000
VOID = {"meta", "input", "br", "link", "img", "hr"}
MEASURED = {
    "settings": {"seed": 101, "preset": "demo", "claims": 250_000, "catalogue": "sha256:0"},
    "signals": {
        "claim.times_billed": {"clean": 0.0, "innocent": 0.00012, "guilty": 0.83, "times_base": 820.4, "news": [1]},
        "claim.no_longer_there": {"clean": 0.5},
    },
    "types": {"T07": {"scheme": "", "entity": "claim", "guilty": 999, "best": {"signal": "claim.times_billed"}}},
    "schemes": [
        {
            "violation": "T07",
            "scheme": "double_charges",
            "entity": "claim",
            "guilty": 312,
            "best": {"signal": "claim.times_billed", "average_precision": 0.61, "times_base": 820.4},
            "base": 0.0013,
            "recall": 0.834,
            "precision": None,
        },
        {"violation": "T99", "scheme": "of_no_type", "guilty": 1, "best": None},
    ],
    "something_else": 1,
}


@dataclass
class Article:
    """The text of one signal's entry, by language; `any` is what both share."""

    text: dict[str, list[str]] = field(default_factory=lambda: {"en": [], "zh": [], "any": []})

    def says(self, *locales: str) -> str:
        return " ".join(" ".join(self.text[locale]) for locale in locales)


class Page(HTMLParser):
    """What a browser would make of the page: open elements, ids, links, entries."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.faults: list[str] = []
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.labels: set[str] = set()
        self.headings: list[int] = []
        self.articles: dict[str, Article] = {}
        self._article: Article | None = None
        self.feed(html)
        self.close()
        self.faults += [f"{tag} is never closed" for tag, _ in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {k: v or "" for k, v in attrs}
        if len(given) < len(attrs):
            self.faults.append(f"{tag} has an attribute twice")
        if "id" in given:
            self.ids[given["id"]] += 1
        if tag == "a":
            self.links.append(given["href"])
            if any(t == "a" for t, _ in self.open):
                self.faults.append(f"a link within a link: {given['href']}")
        if tag == "p" and any(t == "p" for t, _ in self.open):
            self.faults.append(f"a paragraph within a paragraph, line {self.getpos()[0]}")
        if tag == "label":
            self.labels.add(given.get("for", ""))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "article":
            self._article = self.articles.setdefault(given["id"], Article())
        self.loads += [given[n] for n in ("src", "srcset", "action", "poster", "data") if n in given]
        if tag not in VOID:
            self.open.append((tag, given.get("lang") if tag == "span" else None))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1][0] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}, line {self.getpos()[0]}")
            return
        self.open.pop()
        if tag == "article":
            self._article = None

    def handle_data(self, data: str) -> None:
        if self._article is not None:
            lang = next((lang for _, lang in reversed(self.open) if lang), "any")
            self._article.text[lang if lang in ("en", "zh") else "any"].append(data)


@pytest.fixture(scope="module")
def detection(tmp_path_factory: pytest.TempPathFactory) -> Detection:
    path = tmp_path_factory.mktemp("found") / "detection.json"
    path.write_text(json.dumps(MEASURED), "utf-8")
    return load_detection(path)


@pytest.fixture(scope="module")
def html(catalogue: Catalogue, detection: Detection) -> str:
    return handbook_page(catalogue, detection)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_is_well_formed(page: Page) -> None:
    assert not page.faults
    assert page.headings.count(1) == 1
    below = page.headings[page.headings.index(1) :]
    assert all(after - before <= 1 for before, after in pairwise(below))


def test_no_id_is_given_twice(page: Page) -> None:
    assert not [name for name, times in page.ids.items() if times > 1]


def test_every_link_leads_to_a_place_on_the_page(page: Page) -> None:
    assert len(page.links) > 2_000
    assert not {href for href in page.links if not href.startswith("#") or href[1:] not in page.ids}


def test_nothing_is_loaded_from_anywhere(html: str, page: Page) -> None:
    assert not page.loads
    assert not re.search(r"""(?:href|src)\s*=\s*["']?(?:https?:)?//|@import|url\(|fetch\(|XMLHttp|\.innerHTML""", html)
    assert "<link" not in html


def test_the_page_stays_small(html: str) -> None:
    assert len(html.encode()) < MOST_BYTES


def test_every_signal_has_an_entry_with_all_that_an_investigator_asks(catalogue: Catalogue, page: Page) -> None:
    assert set(page.articles) == set(catalogue.signals)
    for s in catalogue.signals.values():
        entry = page.articles[s.id]
        english, chinese, shared = entry.says("en", "any"), entry.says("zh", "any"), entry.says("any")
        assert s.title["en"] in english
        assert typeset(s.title["zh"]) in chinese
        assert s.excuses.get("en", "") in english
        assert typeset(s.excuses.get("zh", "")) in chinese
        assert catalogue.digests[s.id].removeprefix("sha256:")[:12] in shared
        assert all(catalogue.sources[c].title["en"] in english for c in s.cites)
        assert all(typeset(catalogue.sources[c].title["zh"]) in chinese for c in s.cites)
        assert s.limit is None or s.limit in shared
        assert s.national_code is None or s.national_code in shared
        assert f"{sum(e.fires for e in s.examples)} fire" in english


def test_formulas_are_shown_whole_with_what_they_use_of_their_file(catalogue: Catalogue, page: Page) -> None:
    for s in catalogue.signals.values():
        shown = "".join(page.articles[s.id].text["any"])
        assert s.formula in shown
        assert all(name + text in shown for name, text in s.helpers.items())
    overlaps = catalogue["claim.class_overlaps_here"].helpers
    assert overlaps["_another"].startswith("(past_lines) = ")
    assert overlaps["_lasting"].startswith("(past_lines, limits):\n    left = ")
    assert catalogue["claim.injury_diagnoses"].helpers["_INJURY"] == " = ('S', 'T')"


def test_every_signal_is_told_in_both_languages(catalogue: Catalogue, html: str) -> None:
    missing = {
        s.id: "write `释义:` and `盲区:` under the docstring's English"
        for s in catalogue.signals.values()
        if not (s.meaning.get("zh") and s.blind_spots.get("zh"))
    }
    assert not missing
    assert 'lang="en-GB"' not in html


def test_every_limit_is_told_in_both_languages(catalogue: Catalogue) -> None:
    assert not [name for name, limit in catalogue.limits.items() if not limit.doc_zh]


def test_every_text_around_the_signals_is_there_in_both_languages(html: str) -> None:
    assert html.count('<span lang="en">') == html.count('<span lang="zh">')
    assert not re.search(r'<span lang="(en|zh)"></span>', html)


def test_english_stands_in_for_chinese_that_is_not_written_yet_and_says_so() -> None:
    shown = both({"en": "leave from the ward."})
    assert shown == (
        '<span lang="en">leave from the ward.</span>'
        '<span lang="zh"><span lang="en-GB">leave from the ward.</span>（英文原文）</span>'
    )


def test_shared_words_have_the_same_keys_in_both_languages() -> None:
    english, chinese = words("en"), words("zh")
    assert {s: set(english[s]) for s in english} == {s: set(chinese[s]) for s in chinese}


def test_every_type_of_violation_is_a_chapter_with_its_name(catalogue: Catalogue, page: Page, html: str) -> None:
    assert len(violation_names()) == 40
    assert set(violation_names()) <= set(page.ids)
    assert all(name["zh"] in html for name in violation_names().values())
    open_types = load_national_rules(catalogue.path).open_types
    assert open_types
    assert all(html.count(str(prose(text, {}))) == 2 for text in open_types.values())


def test_every_national_rule_limit_and_source_can_be_linked_to(catalogue: Catalogue, page: Page) -> None:
    rules = load_national_rules(catalogue.path).rules
    wanted = {f"rule.{rule.number}" for rule in rules}
    wanted |= {f"limit.{name}" for name in catalogue.limits} | {f"source.{name}" for name in catalogue.sources}
    assert len(rules) == 88
    assert wanted <= set(page.ids)


def test_every_relation_that_a_formula_reads_is_explained(catalogue: Catalogue) -> None:
    used = {scope for s in catalogue.signals.values() for scope in s.scopes}
    assert all(say(f"relations.{name}")["zh"] for name in used)


def test_every_field_of_the_search_has_a_label(page: Page) -> None:
    assert {"word", "about", "in-en", "in-zh"} <= page.labels


def test_the_languages_switch_without_a_script(html: str) -> None:
    assert '#in-zh:checked ~ * [lang="en"] { display: none; }' in html
    assert '<form role="search" id="search" hidden>' in html


# --- what was measured ------------------------------------------------------------------------------------


def test_what_was_measured_stands_beside_the_signal_and_its_type(page: Page, html: str) -> None:
    entry = page.articles["claim.times_billed"].says("any")
    assert "1.2 / 10,000" in entry
    assert "83.0%" in entry
    assert "820" in entry
    assert "double_charges" in html
    assert "83.4%" in html


def test_figures_of_another_catalogue_are_said_to_be_so(html: str, catalogue: Catalogue) -> None:
    assert "Measured with another state of the catalogue" in html
    run = {**MEASURED["settings"], "catalogue": catalogue.digest}  # type: ignore[dict-item]
    assert not Detection(run=run).outdated(catalogue.digest)
    assert not Detection().outdated(catalogue.digest)


def test_rows_of_the_schemes_go_before_the_row_of_the_type(detection: Detection) -> None:
    rows = detection.of_type("T07")
    assert [row["scheme"] for row in rows] == ["double_charges"]
    assert {f.name: f.text for f in rows[0]["figures"]} == {
        "count": "312",
        "base": "13 / 10,000",
        "average_precision": "0.61",
        "times_base": "820",
        "recall": "83.4%",
    }


def test_a_page_without_a_measurement_says_nothing_of_one(catalogue: Catalogue) -> None:
    plain = handbook_page(catalogue)
    assert say("signal.found")["zh"] not in plain
    assert say("measured.times_base")["en"] not in plain


@pytest.mark.parametrize("text", ["no json", "[1]"])
def test_a_measurement_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "detection.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match="detection.json"):
        load_detection(path)
    with pytest.raises(InputError, match="no such file"):
        load_detection(tmp_path / "absent.json")


# --- figures and prose ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "english", "chinese"),
    [
        (1, "days", "1 day", "1天"),
        (16, "days", "16 days", "16天"),
        (0.605, "share", "60.5%", "60.5%"),
        (20_000, "currency", "20,000 in the payer's currency", "20,000元"),
        (None, "days", "not known", "未知"),
        (3, "of a kind nobody has words for", "3 of a kind nobody has words for", "3of a kind nobody has words for"),
    ],
)
def test_figures_carry_their_unit_in_both_languages(value: float, unit: str, english: str, chinese: str) -> None:
    assert quantity(value, unit) == {"en": english, "zh": chinese}


@pytest.mark.parametrize(
    ("typed", "set_"),
    [
        ("透析,急诊", "透析，急诊"),
        ("自付,见`x`", "自付，见`x`"),
        ("(国务院令第735号)第(一)项", "（国务院令第735号）第（一）项"),
        ("比值:1,200元", "比值：1,200元"),
        ("NBER (w30946), 2022", "NBER (w30946), 2022"),
        ("甲&amp;乙&#39;丙", "甲&amp;乙&#39;丙"),
    ],
)
def test_chinese_is_set_with_full_width_punctuation(typed: str, set_: str) -> None:
    assert typeset(typed) == set_


# --- beside the Markdown, and from the command line -------------------------------------------------------


def test_the_markdown_handbook_says_the_same(catalogue: Catalogue) -> None:
    text = handbook(catalogue)
    for s in catalogue.signals.values():
        assert all(t in text for t in (*s.meaning.values(), *s.blind_spots.values()))


def test_the_command_writes_the_page_of_the_room_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue
) -> None:
    """A room with few signals of its own: names of the library that nothing finds there have no link."""
    room = tmp_path / "features"
    (room / "patient").mkdir(parents=True)
    for name in ("limits.toml", "sources.toml", "national_rules.toml"):
        shutil.copy(catalogue.path / name, room)
    source = (catalogue.path / "patient" / "entitlement.py").read_text("utf-8")
    (room / "patient" / "entitlement.py").write_text(re.sub(r"\n    (释义|盲区).*", "", source), "utf-8")
    (tmp_path / "fraud.toml").write_text("", "utf-8")
    (tmp_path / "found.json").write_text(json.dumps(MEASURED), "utf-8")
    monkeypatch.setenv("FRAUD_HOME", str(tmp_path))
    to = tmp_path / "pages" / "handbook.html"
    found = ["--found", str(tmp_path / "found.json")]
    result = CliRunner().invoke(app, ["signals", "handbook", "--to", str(to), *found])
    assert result.exit_code == 0, result.output
    written = Page(to.read_text("utf-8"))
    assert {name.split(".")[0] for name in written.articles} == {"patient"}
    assert not {href for href in written.links if href[1:] not in written.ids}
    assert not written.faults
    assert "（英文原文）" in to.read_text("utf-8")
