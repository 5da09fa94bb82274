"""The page: both languages whole, nothing loaded from outside, facts apart from reasons."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from fraud.errors import InputError
from fraud.explaining.explanation import Explanation, Month, references_of
from fraud.explaining.report import render_html, write
from fraud.explaining.summary import summary_of
from fraud.explaining.wording import TEMPLATES, Wording, texts
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.definition import Signal
from fraud.signals.evidence import Evidence, shown_columns
from fraud.signals.rules import Finding
from tests.explaining.worlds import (
    HOSTILE,
    LONG_ZH,
    REPEATED,
    STAY,
    claim_explanation,
    provider_explanation,
)

LOCALES = ("en", "zh")
# Elements that a browser loads something for, or that can run something.
ACTIVE = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "audio", "video", "source"}
VOID = {"meta", "br", "hr", "input", "link", "img"}


class Page(HTMLParser):
    """A page as tests look at it: the text of each section, and every element with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, list[str]] = {"": []}
        self._at, self._open = "", []
        self.unclosed: list[str] = []
        self.feed(html)
        self.unclosed += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "h2":
            self._at = dict(attrs)["id"] or ""
            self.sections[self._at] = []

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unclosed.append(tag)

    def handle_data(self, text: str) -> None:
        if "style" not in self._open and text.strip():
            self.sections[self._at].append(text.strip())

    def text(self, section: str | None = None) -> str:
        parts = self.sections[section] if section is not None else sum(self.sections.values(), [])
        return "\n".join(parts)


def _pages() -> list[Explanation]:
    return [provider_explanation(), claim_explanation()]


@pytest.fixture(scope="module", params=[(i, locale) for i in (0, 1) for locale in LOCALES], ids=str)
def html(request: pytest.FixtureRequest) -> str:
    number, locale = request.param
    return render_html(_pages()[number], locale)


# --- texts --------------------------------------------------------------------------------------------------


def _flat(section: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in section.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    english, chinese = (_flat(texts(locale)) for locale in LOCALES)
    assert set(english) == set(chinese)
    places = {key: [sorted(re.findall(r"\{(\w+)", str(t[key]))) for t in (english, chinese)] for key in english}
    assert {key: found for key, found in places.items() if found[0] != found[1]} == {}


def test_every_text_of_the_chinese_page_that_is_a_sentence_is_chinese() -> None:
    latin = {k: v for k, v in _flat(texts("zh")).items() if isinstance(v, str) and re.search(r"[a-z]{4,} [a-z]", v)}
    assert set(latin) <= {"axis.figures"}


def test_every_text_is_used_by_the_page_or_its_code() -> None:
    code = "".join(p.read_text("utf-8") for p in [*TEMPLATES.parent.rglob("*.py"), *TEMPLATES.glob("*.j2")])
    dictionaries = {"entities", "entities_plural", "bands", "actions", "kinds", "severities", "tags", "group"}
    dictionaries |= {"group_words", "facts", "columns", "values", "currencies", "units", "months", "provenance"}
    dictionaries |= {"page", "because", "summary", "reasons", "compact", "evidence", "unknown", "caveats", "roles"}
    dictionaries |= {"specialties", "titles", "assistance", "unit_names"}
    keys = [key for key in _flat(texts("en")) if key.split(".")[0] not in dictionaries]
    assert [k for k in keys if k.split(".")[-1] not in code] == []


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("费用1,240元(同类3,100元),高于98%", "费用1,240元（同类3,100元），高于98%"),
        ("典型(几何平均)费用:见下", "典型（几何平均）费用：见下"),
        ("CT(64排);10:30入院", "CT（64排）；10:30入院"),
        ("DRG (CHS-DRG), 3.5 and 1,000", "DRG (CHS-DRG), 3.5 and 1,000"),
    ],
)
def test_chinese_is_printed_in_marks_of_its_own_and_figures_keep_theirs(typed: str, printed: str) -> None:
    assert Wording("zh").pick({"zh": typed}) == printed
    assert Wording("en").pick({"en": typed}) == typed


def test_what_a_resident_is_depends_on_where_the_word_stands() -> None:
    words = Wording("zh")
    assert [words.cell(c, "resident") for c in ("title", "insurance_type", "name")] == [
        "住院医师",
        "居民医保",
        "resident",
    ]
    assert [words.cell(c, "emergency") for c in ("department", "visit_type")] == ["急诊科", "急诊"]
    assert words.cell("specialty", "心内科") == "心内科"
    assert words.cell("admission_month", date(2025, 9, 1)) == "2025-09"


@pytest.mark.parametrize(("unit", "zh"), [("share", "占比"), ("yes (1) or no (0)", "是或否"), ("stays", "次住院")])
def test_a_unit_by_itself_has_a_name(unit: str, zh: str) -> None:
    assert Wording("zh").unit(unit) == zh


def test_another_language_is_refused_with_the_languages_there_are() -> None:
    with pytest.raises(InputError, match="'fr'; the languages are en, zh"):
        render_html(provider_explanation(), "fr")


def test_zh_cn_is_understood_as_chinese() -> None:
    assert render_html(claim_explanation(), "zh-CN") == render_html(claim_explanation(), "zh")


# --- the page as a file -------------------------------------------------------------------------------------


def test_nothing_is_left_over_from_templates_and_missing_figures(html: str) -> None:
    # The hostile name brings its own braces; apart from it, none may be left.
    text = Page(html).text().replace("{value}", "")
    assert not re.search(r"[{}]|\bNone\b|\bnan\b|\bnull\b|\bundefined\b|\bNaN\b", text)


def test_the_page_loads_nothing_and_runs_nothing(html: str) -> None:
    page = Page(html)
    assert not {tag for tag, _ in page.elements} & ACTIVE
    attributes = [(name, value or "") for _, attrs in page.elements for name, value in attrs.items()]
    assert not [name for name, _ in attrs_of(attributes, "on")]
    assert all(value.startswith("#") for name, value in attributes if name in ("href", "src", "xlink:href"))
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html


def attrs_of(attributes: list[tuple[str, str]], prefix: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in attributes if name.startswith(prefix)]


def test_the_page_is_well_formed_and_each_id_is_given_once(html: str) -> None:
    page = Page(html)
    assert page.unclosed == []
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = {(attrs["href"] or "")[1:] for tag, attrs in page.elements if tag == "a"}
    assert targets <= set(ids)


def test_text_from_the_data_is_escaped_everywhere() -> None:
    long_event = claim_explanation().timeline[1]
    hostile = claim_explanation(
        entity_id=HOSTILE,
        skipped={"claim.unheard_of": HOSTILE},
        timeline=(replace(long_event, kind=HOSTILE),),
    )
    for locale in LOCALES:
        html = render_html(hostile, locale)
        assert "<script" not in html
        assert "alert(" in html
        assert Page(html).unclosed == []


def test_the_page_states_its_language(html: str) -> None:
    lang = Page(html).elements[0][1]["lang"]
    assert lang == ("zh-CN" if "风险报告" in html else "en")


def test_a_page_stays_below_a_megabyte_when_there_is_much_to_say() -> None:
    rows = pa.table({"claim_id": [f"C{i}" for i in range(50)], "item_name": [LONG_ZH] * 50, "amount": [1.5] * 50})
    blocks = {
        "provider.stay": [Evidence(STAY, f"scope{i}", rows.slice(i), 5000 + i, 1e6) for i in range(20)],
    }
    months = tuple(Month(date(2015 + m // 12, 1 + m % 12, 1), m, m * 1e4) for m in range(120))
    html = render_html(provider_explanation(evidence=blocks, timeline=months), "zh")
    assert len(html.encode()) < 1_000_000
    assert Page(html).text("evidence").count("另有") == 20


def test_a_page_with_its_charts_costs_less_than_a_second_and_a_half() -> None:
    render_html(provider_explanation(), "en")
    # Processor time, so that a busy machine does not decide.
    start = time.process_time()
    render_html(provider_explanation(), "zh")
    assert time.process_time() - start < 1.5


def test_the_same_explanation_gives_the_same_page(tmp_path: Path) -> None:
    path = write(provider_explanation(), tmp_path / "report.html", "en")
    assert path.read_text("utf-8") == render_html(provider_explanation(), "en")


# --- what it says -------------------------------------------------------------------------------------------


def test_the_summary_says_what_stands_out_which_way_and_how_rare_in_english() -> None:
    assert summary_of(provider_explanation(), Wording("en", "CNY")) == (
        "The estimated risk of this provider is higher than that of 99.2% of the providers scored, "
        "and the expected recovery is ¥12,400. "
        "What stands out most: Length of stay against case mix (2.4 ×, higher than 99.5% of peers, whose "
        "median is 1 ×); Stays beyond the licensed beds (12 stays, higher than all peers, whose median is 1.5 "
        "stays). One rule passed a dated limit: that is a fact, and is listed apart."
    )


def test_the_summary_says_what_stands_out_which_way_and_how_rare_in_chinese() -> None:
    assert summary_of(provider_explanation(), Wording("zh", "CNY")) == (
        "该机构的估计风险高于99.2%的已评分机构，预期追回金额为1.24万元。"
        "最突出的是：住院天数与病种预期之比（2.4倍，高于99.5%的同类，同类中位数为1倍）；"
        "超出核定床位的住院（12次住院，高于全部同类，同类中位数为1.5次住院）。"
        "有一项规则超出当日有效的限值：这是事实，另行列出。"
    )


def test_without_a_model_the_page_rests_on_rules_and_says_so() -> None:
    page = Page(render_html(claim_explanation(), "en"))
    assert "rests on rules alone" in page.text("")
    assert page.text("reasons").endswith("No contributions: the model could not be used.")
    assert "Held: a legal limit was passed" in page.text("")


def test_facts_and_reasons_stand_apart() -> None:
    page = Page(render_html(provider_explanation(), "en"))
    assert "Stays beyond the licensed beds" in page.text("findings")
    assert "Length of stay against case mix" not in page.text("findings")
    assert "Length of stay against case mix" in page.text("reasons")
    assert list(page.sections).index("findings") < list(page.sections).index("reasons")


def test_rules_that_could_not_be_evaluated_are_never_passed_over_in_silence() -> None:
    unsure = tuple(f for f in provider_explanation().findings if f.status != "hit")
    page = Page(render_html(provider_explanation(findings=unsure), "en"))
    assert "No rule passed a dated limit; 1 could not be evaluated." in page.text("")
    assert "One rule could not be evaluated" in page.text("findings")
    assert "Rules that could not be evaluated (1)" in page.text("unknown")


@pytest.mark.requirement("000-24")
def test_a_finding_names_its_value_its_dated_limit_its_source_and_the_law() -> None:
    finding = replace(claim_explanation().findings[0], amount=86.0, lines=(4, 9))
    text = Page(render_html(claim_explanation(findings=(finding,)), "en")).text("findings")
    for part in ("2 items", "0 items", "4, 9", "¥86", "Decree 735, Art. 38(3)", "regulation or national rule"):
        assert part in text
    assert "in force from 1 May 2021" in text
    assert "checked on 2 March 2025" in text
    assert "Two doses were ordered and given." in text


def test_a_rule_that_could_not_be_evaluated_is_not_shown_as_a_finding_but_as_unknown() -> None:
    for locale, why in (("en", "the data lack lines.item_code"), ("zh", "数据缺少lines.item_code")):
        page = Page(render_html(provider_explanation(), locale))
        assert why not in page.text("findings")
        assert why in page.text("unknown")


def test_blind_spots_of_what_raised_the_score_are_named() -> None:
    english, chinese = (Page(render_html(provider_explanation(), locale)).text("unknown") for locale in LOCALES)
    assert "A habit that every provider has." in english
    assert "the data lack claims.planned" in english
    assert "同类机构共有的习惯。" in chinese
    assert "every provider" not in chinese


def test_a_blind_spot_that_nobody_has_put_into_chinese_is_said_in_english() -> None:
    made = provider_explanation()
    spots = {"provider.stay": {"en": "what is sold under `another` code."}}
    page = render_html(replace(made, references=replace(made.references, blind_spots=spots)), "zh")
    assert "What is sold under another code." in Page(page).text("unknown")


def test_every_blind_spot_of_the_catalogue_can_be_said_in_both_languages(catalogue: Catalogue) -> None:
    spots = references_of(catalogue, (), (_hit(s) for s in catalogue.signals.values())).blind_spots
    assert set(spots) == set(catalogue.signals)
    assert [i for i, spot in spots.items() if not re.search(r"[\u4e00-\u9fff]", spot["zh"]) or not spot["en"]] == []


def _hit(signal: Signal) -> Finding:
    return Finding(signal, "hit", 1.0, 0.0, {})


def test_innocent_explanations_are_listed_once_each() -> None:
    text = Page(render_html(provider_explanation(), "en")).text("checks")
    assert text.count("A referral centre treats the severest cases.") == 1
    assert text.count("Beds were added and not yet registered.") == 1
    assert "An emergency hospital." not in text


def test_evidence_is_capped_and_says_how_many_more_there_are() -> None:
    text = Page(render_html(provider_explanation(), "en")).text("evidence")
    assert "40 rows, ¥52,000 in total" in text
    assert "and 38 more" in text
    assert "1,234.50" in text


def test_signals_that_count_the_same_rows_share_one_block_of_evidence() -> None:
    rows = pa.table({"line_no": [4], "amount": [43.0]})
    both = {s.id: (Evidence(s, "lines", rows, 1, 43.0),) for s in (STAY, REPEATED)}
    text = Page(render_html(provider_explanation(evidence=both), "en")).text("evidence")
    assert text.count("1 row, ¥43") == 1
    assert "Length of stay against case mix · Repeated items" in text


def test_the_page_says_that_it_is_no_proof_and_never_speaks_of_guilt_as_found(html: str) -> None:
    text = Page(html).text("")
    assert "Not proof" in text or "并非证据" in text
    whole = Page(html).text().replace("never a finding of guilt", "")
    assert not re.search(r"guilt|fraudster|committed|criminal|犯罪|罪", whole)


def test_the_contribution_chart_leads_from_the_base_to_the_margin() -> None:
    html = render_html(provider_explanation(), "en")
    for figure in ("−2.00", "+1.75", "+0.50", "−0.30", "−0.05"):
        # Once in the wide and once in the narrow chart.
        assert html.count(f">{figure}</text>") == 2


def test_provenance_says_how_to_make_the_page_again() -> None:
    text = Page(render_html(provider_explanation(), "en")).text("provenance")
    for part in ("run-1", "provider_risk, version 7 (champion)", "sha256:" + "a" * 64, "2 July 2025, 09:05"):
        assert part in text
    assert "fraud report provider H001 --claims DIR" in text
    assert "https://www.nhsa.gov.cn/735" in text


def test_figures_are_written_as_the_reader_of_each_language_expects() -> None:
    english, chinese = Wording("en", "CNY"), Wording("zh", "CNY")
    assert (english.date(date(2025, 3, 2)), chinese.date(date(2025, 3, 2))) == ("2 March 2025", "2025年3月2日")
    assert chinese.moment(datetime(2025, 3, 2, 9, 5)) == "2025年3月2日 09:05"
    assert (english.about(1669375.0), chinese.about(1669375.0)) == ("¥1.669M", "166.9万元")
    assert (english.money(86.5), chinese.money(86.5)) == ("¥86.50", "86.50元")
    assert (english.quantity(1.0, "stays"), english.quantity(2.0, "stays")) == ("1 stay", "2 stays")
    assert (english.quantity(0.125, "share"), chinese.quantity(3.0, "stays")) == ("12.5%", "3次住院")
    assert (english.quantity(0.00096, "share"), english.quantity(0.0, "share")) == ("0.096%", "0.0%")
    assert (english.quantity(1.0, "yes (1) or no (0)"), chinese.quantity(0.0, "yes (1) or no (0)")) == ("yes", "否")
    assert (english.percent(99.97), english.percent(100.0)) == ("99.9%", "99.9%")
    assert english.group("provider", ("kind=hospital", "level=?")) == "hospital · level not known"
    assert chinese.group("provider", ()) == "全部机构"


# --- JSON ---------------------------------------------------------------------------------------------------


def test_an_explanation_is_plain_json_and_keeps_facts_and_reasons_apart() -> None:
    plain = json.loads(json.dumps(provider_explanation().as_dict(), allow_nan=False))
    assert [f["status"] for f in plain["findings"]] == ["hit", "skipped"]
    assert plain["findings"][0]["rule"] == "provider.beds"
    assert plain["findings"][0]["innocent_explanations"]["en"] == "Beds were added and not yet registered."
    assert [r["signal"] for r in plain["reasons"]] == ["provider.stay", "provider.beds", "provider.share"]
    total = plain["base"] + sum(r["contribution"] for r in plain["reasons"])
    assert total == pytest.approx(plain["margin"], abs=1e-9)
    assert plain["as_of"] == "2025-07-01T00:00:00"
    assert plain["evidence"]["provider.stay"][0]["rows"][0]["claim_id"] == "C1"


def test_a_figure_that_is_not_a_number_is_null_in_json() -> None:
    rows = claim_explanation().as_dict()["evidence"]["claim.repeated"][0]["rows"]
    assert rows[1]["quantity"] is None


def test_every_column_of_evidence_and_every_unit_has_words_in_both_languages() -> None:
    catalogue = load_catalogue(Path(__file__).resolve().parents[2] / "features")
    scopes = [s for e in ("claim", "patient", "provider", "physician") for s in catalogue.compiler(e).scopes.values()]
    columns = {c for s in scopes if not s.single and s.name != "window_signals" for c in shown_columns(s)}
    units = {s.unit for s in catalogue.signals.values()} - {"share", "money"}
    for locale in ("en", "zh"):
        assert columns <= set(texts(locale)["columns"])
        assert units <= set(texts(locale)["units"])
