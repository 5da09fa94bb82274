"""One document in every format: the same content, the same bytes each time, nothing that runs, nothing unreadable."""

from __future__ import annotations

import hashlib
import io
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from typing import get_args
from xml.etree import ElementTree

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from fraud.errors import FraudError, InputError
from fraud.explaining.content.document import Audience, Figure, Steps
from fraud.explaining.explanation import Event, Explanation, Fact, Month
from fraud.explaining.keeping import keep, kept
from fraud.explaining.records import PAPERS, papers_for
from fraud.explaining.renderers import fonts, pdf
from fraud.explaining.report import FORMATS, Format, document_for, render, write
from fraud.explaining.wording import Wording, texts
from fraud.signals.catalogue import Catalogue
from fraud.signals.evidence import Evidence
from fraud.signals.lineage import columns_read
from tests.explaining.worlds import (
    AS_OF,
    OTHERS,
    REPEATED,
    STAY,
    claim_explanation,
    crowded_explanation,
    provider_explanation,
)

AUDIENCES = get_args(Audience)
MADE = (provider_explanation, claim_explanation, crowded_explanation)
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_HAN_FONT = any(f in set(fonts.machine_fonts().families()) for f in fonts.CHINESE)
needs_chinese = pytest.mark.skipif(not _HAN_FONT, reason="no font with Chinese characters is installed here")


def text_of_pdf(written: bytes) -> str:
    """What a reader can select, without the breaks of lines."""
    pages = PdfReader(io.BytesIO(written)).pages
    return re.sub(r"[\s\u200b]+", "", "".join(p.extract_text() for p in pages))


def sheets_of(written: bytes) -> dict[str, list[list[tuple[str, str]]]]:
    """Each sheet by its name: rows of cells, as their type (s, n) and their text."""
    with zipfile.ZipFile(io.BytesIO(written)) as book:
        names = [e.attrib["name"] for e in ElementTree.fromstring(book.read("xl/workbook.xml")).iter(f"{_SHEET}sheet")]
        shared = ElementTree.fromstring(book.read("xl/sharedStrings.xml")).iter(f"{_SHEET}si")
        texts = ["".join(t.text or "" for t in e.iter(f"{_SHEET}t")) for e in shared]
        found = {}
        for i, name in enumerate(names, 1):
            rows = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{i}.xml")).iter(f"{_SHEET}row")
            found[name] = [[_cell(c, texts) for c in row.iter(f"{_SHEET}c")] for row in rows]
        return found


def _cell(cell: ElementTree.Element, texts: list[str]) -> tuple[str, str]:
    assert cell.find(f"{_SHEET}f") is None
    value = cell.findtext(f"{_SHEET}v") or ""
    return ("s", texts[int(value)]) if cell.attrib.get("t") == "s" else ("n", value)


def everything_in(written: bytes, form: Format) -> str:
    """All text that a file carries, hidden parts included."""
    if form == "pdf":
        reader = PdfReader(io.BytesIO(written))
        return text_of_pdf(written) + str(reader.metadata) + str(reader.xmp_metadata)
    if form == "xlsx":
        with zipfile.ZipFile(io.BytesIO(written)) as book:
            return "".join(book.read(name).decode() for name in book.namelist())
    return written.decode()


# --- kept -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MADE)
def test_an_explanation_that_was_kept_is_the_same_explanation(make: object) -> None:
    made = make()  # type: ignore[operator]
    again = kept(keep(made))
    assert keep(again) == keep(made)
    assert again.as_dict() == made.as_dict()
    for signal_id, parts in made.evidence.items():
        for one, other in zip(parts, again.evidence[signal_id], strict=True):
            assert one.rows.schema.equals(other.rows.schema)
            assert one.rows.to_pylist() == other.rows.to_pylist() or "nan" in str(one.rows.to_pylist())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("make", MADE)
@needs_chinese
def test_what_was_kept_renders_to_the_same_bytes_in_every_format(make: object, form: Format) -> None:
    made = make()  # type: ignore[operator]
    again = kept(keep(made))
    for audience in AUDIENCES:
        assert render(again, "zh", form, audience) == render(made, "zh", form, audience)


_texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
_floats = st.floats() | st.sampled_from([0.0, -0.0, 1e308, float("nan"), float("-inf")])
_facts = st.builds(
    Fact,
    _texts,
    st.none() | st.booleans() | st.integers() | _floats | _texts | st.dates() | st.tuples(st.dates(), st.dates())
    | st.datetimes().map(lambda t: t.replace(fold=0)),
)  # fmt: skip
_columns = st.sampled_from(
    [
        pa.array([1, None], pa.int64()),
        pa.array([1.5, float("nan")]),
        pa.array(["a", None]),
        pa.array([True, None]),
        pa.array([date(2025, 1, 1), None]),
        pa.array([datetime(2025, 1, 1, 3), None], pa.timestamp("us")),
        pa.array([["a"], None], pa.list_(pa.string())),
        pa.array([b"x", None]),
        pa.array(["a", "a"]).dictionary_encode(),
        pa.array([None, None]),
    ]
)


@given(st.lists(_facts, max_size=4), st.lists(_columns, min_size=1, max_size=4), _floats | st.none(), _texts)
def test_whatever_an_explanation_holds_is_kept_with_its_type(
    facts: list[Fact], columns: list[pa.Array], figure: float | None, text: str
) -> None:
    table = pa.table({f"c{i}": c for i, c in enumerate(columns)})
    made = claim_explanation(
        facts=tuple(facts),
        probability=figure,
        evidence={text: (Evidence(STAY, text, table, 7, figure),)},
        timeline=(Event(date(2025, 5, 2), text, text, figure),),
    )
    again = kept(keep(made))
    assert [(type(f.value), repr(f.value), f.label) for f in again.facts] == [
        (type(f.value), repr(f.value), f.label) for f in facts
    ]
    (part,) = again.evidence[text]
    assert part.rows.schema == table.schema
    assert repr(part.rows.to_pylist()) == repr(table.to_pylist())
    assert repr(again.probability) == repr(figure)


def test_signals_say_ever_after_what_they_said_when_the_explanation_was_kept() -> None:
    made = kept(keep(provider_explanation()))
    signal = made.hits[0].signal
    assert (signal.id, signal.title, signal.excuses) == (
        "provider.beds",
        provider_explanation().hits[0].signal.title,
        {"en": "Beds were added and not yet registered.", "zh": "新增床位尚未登记。"},
    )
    with pytest.raises(FraudError, match="computes nothing"):
        signal.function()


def test_damaged_bytes_and_those_of_a_later_program_are_refused_by_name() -> None:
    import zlib

    with pytest.raises(FraudError, match="damaged"):
        kept(keep(claim_explanation())[:-9])
    with pytest.raises(FraudError, match="has form 99"):
        kept(zlib.compress(orjson.dumps({"form": 99, "explanation": None})))


# --- the same content -------------------------------------------------------------------------------------


def _adds_up(made: Explanation) -> bool:
    assert made.base is not None
    total = made.base + sum(r.contribution for r in made.reasons) + made.rest
    return total == pytest.approx(made.margin, abs=1e-9)


@settings(max_examples=12)
@given(st.lists(st.floats(-3, 3), min_size=5, max_size=5), st.integers(0, 4), st.sampled_from(AUDIENCES))
def test_contributions_and_the_bars_of_the_chart_add_up_to_the_score_on_every_report(
    weights: list[float], hidden: int, audience: Audience
) -> None:
    own = crowded_explanation().reasons
    reasons = [replace(own[i % len(own)], signal=f"s{i}", contribution=w) for i, w in enumerate(weights)]
    reasons[hidden] = replace(reasons[hidden], entity="patient")
    made = crowded_explanation(reasons=tuple(reasons), margin=-2.0 + sum(weights), peers=())
    document = document_for(made, "en", audience)
    blocks = [b for s in document.sections for b in s.blocks if isinstance(b, Figure)]
    (steps,) = (b.chart for b in blocks if isinstance(b.chart, Steps))
    assert steps.bars[0].start == -2.0
    assert all(one.end == other.start for one, other in zip(steps.bars[:-2], steps.bars[1:-1], strict=True))
    assert steps.bars[-2].end == pytest.approx(steps.bars[-1].end, abs=1e-9)
    written = orjson.loads(render(made, "en", "json", audience))
    told = written["base"] + sum(r["contribution"] for r in written["reasons"]) + written["rest"]
    assert told == pytest.approx(written["margin"], abs=1e-9)


@pytest.mark.requirement("002-50")
@needs_chinese
def test_method_process_basis_and_advice_stand_in_every_format_and_language() -> None:
    made = replace(crowded_explanation(), findings=claim_explanation().findings)
    for locale in ("en", "zh"):
        words = texts(locale)
        wanted = [
            words["provenance"]["method"],
            words["provenance"]["looks"],
            "key-7f3a",
            Wording(locale).pick(made.references.sources["decree-735.38.3"].title),
            words["advice"]["hold"],
            words["advice"]["check_text"],
        ]
        for form in FORMATS:
            said = re.sub(r"\s+", "", everything_in(render(made, locale, form), form))
            assert [w for w in wanted if re.sub(r"\s+", "", w) not in _unescaped(said)] == [], (form, locale)


def _unescaped(text: str) -> str:
    for entity, letter in (("&#39;", "'"), ("&amp;", "&"), ("&lt;", "<"), ("&#34;", '"')):
        text = text.replace(entity, letter)
    return text


def test_json_has_all_figures_and_beside_them_what_is_said_of_them() -> None:
    found = orjson.loads(render(provider_explanation(), "en", "json"))
    assert found["probability"] == 0.31
    assert len(found["reasons"]) == 3
    assert [s["id"] for s in found["content"]["sections"]] == [
        "findings", "reasons", "peers", "timeline", "evidence", "checks", "unknown", "advice", "provenance",
    ]  # fmt: skip
    assert "<svg" not in str(found)


def test_another_format_or_audience_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="no format 'docx'; there are json, html, pdf, xlsx"):
        render(claim_explanation(), "en", "docx")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there are internal and provider"):
        render(claim_explanation(), "en", "html", "press")  # type: ignore[arg-type]


def test_a_file_holds_what_is_rendered(tmp_path: object) -> None:
    path = write(claim_explanation(), tmp_path / "report.xlsx", "en", "xlsx", "provider")  # type: ignore[operator]
    assert path.read_bytes() == render(claim_explanation(), "en", "xlsx", "provider")


# --- papers that settle it --------------------------------------------------------------------------------


def test_beside_each_innocent_explanation_stands_what_to_ask_for() -> None:
    page = render(crowded_explanation(), "en").decode()
    assert "Two doses were ordered and given." in page
    assert "Ask for: the physician&#39;s orders and the records of their execution; the medical records" in page
    assert "Ask for:" not in render(claim_explanation(), "en").decode()


def test_papers_are_named_in_both_languages_and_follow_from_what_a_rule_reads(catalogue: Catalogue) -> None:
    assert set(PAPERS) == set(texts("en")["papers"]) == set(texts("zh")["papers"])
    compiler = catalogue.compiler("claim")
    read = {
        i: papers_for(f"{t}.{c}" for t, c in columns_read(compiler, catalogue[i]))
        for i in ("claim.unreported_exams", "claim.days_after_death", "claim.repeated_trace_codes")
    }
    assert [papers[0] for papers in read.values()] == ["examination", "death", "dispensing"]


# --- PDF --------------------------------------------------------------------------------------------------


@needs_chinese
@pytest.mark.parametrize("locale", ["en", "zh"])
def test_a_pdf_is_numbered_a4_for_archives_and_screen_readers_with_its_text_to_be_read(locale: str) -> None:
    reader = PdfReader(io.BytesIO(render(provider_explanation(), locale, "pdf")))
    pages = [re.sub(r"\s+", "", p.extract_text()) for p in reader.pages]
    assert len(pages) >= 3
    form = {"en": "Page{}of{}", "zh": "第{}页，共{}页"}[locale]
    assert all(form.format(n, len(pages)) in page for n, page in enumerate(pages, 1))
    assert all("H001" in page for page in pages)
    assert {tuple(round(float(v)) for v in p.mediabox[2:]) for p in reader.pages} == {(595, 842)}
    catalogue = reader.trailer["/Root"]
    assert catalogue["/Lang"] == {"en": "en", "zh": "zh-CN"}[locale]
    assert catalogue["/MarkInfo"]["/Marked"]
    assert "某某某市第一人民医院" in "".join(pages)
    assert {"en": "Notproof", "zh": "并非证据"}[locale] in pages[0]
    about = str(reader.xmp_metadata.rdf_root.toxml())  # type: ignore[union-attr]
    assert re.search(r"pdfaid:part>2<", about)
    assert "2025-07-02" in about


@needs_chinese
def test_a_pdf_of_much_stays_small_quick_and_breaks_no_identifier_off_the_page() -> None:
    n = 200
    rows = pa.table(
        {
            "claim_id": [hashlib.sha256(str(i).encode()).hexdigest() for i in range(n)],
            "patient_id": [f"p_{'9' * 24}"] * n,
            "provider_id": ["H" * 40] * n,
            "admitted_at": [AS_OF] * n,
            "primary_diagnosis": ["I10"] * n,
            "item_name": ["某某注射液" * 30] * n,
            "total_amount": [1234.5] * n,
        }
    )
    months = tuple(Month(date(2015 + m // 12, 1 + m % 12, 1), m, m * 1e4) for m in range(120))
    blocks = {"provider.stay": [Evidence(STAY, f"scope{i}", rows.slice(i), 5000 + i, 1e6) for i in range(10)]}
    made = provider_explanation(evidence=blocks, timeline=months)
    render(claim_explanation(), "en", "pdf")
    start = time.process_time()
    written = render(made, "zh", "pdf")
    assert time.process_time() - start < 3
    assert len(written) <= 1 << 20
    reader = PdfReader(io.BytesIO(written))
    ends: list[float] = []
    reader.pages[2].extract_text(visitor_text=lambda text, cm, tm, font, size: ends.append(tm[4]))
    assert max(ends) < 560
    first = hashlib.sha256(b"0").hexdigest()
    assert first in re.sub(r"[\s\u200b]+", "", "".join(p.extract_text() for p in reader.pages[1:4]))


@needs_chinese
def test_no_character_ever_becomes_a_box() -> None:
    odd = "Ax \u0f68\U0001f600 \ue123 {} #let $ \\ \u202e"
    said = text_of_pdf(render(claim_explanation(facts=(Fact("name", odd),)), "en", "pdf"))
    assert "[U+E123]" in said
    assert "#let$\\" in said
    assert "\ue123" not in said


def test_many_threads_set_pdfs_at_once() -> None:
    written = render(claim_explanation(), "en", "pdf")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: render(claim_explanation(), "en", "pdf"), range(12))) == {written}


def test_without_a_font_for_it_chinese_text_is_refused_with_what_to_install() -> None:
    with pytest.raises(InputError, match="fonts-noto-cjk"):
        fonts.faces_for("报告", ["DejaVu Sans", "Libertinus Serif"])
    assert fonts.faces_for("Report", ["DejaVu Sans", "Libertinus Serif"]).text == ("DejaVu Sans", "Libertinus Serif")


def test_a_text_for_which_too_many_characters_lack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MOST_UNSHOWN", 1)
    with pytest.raises(InputError, match="more than 1 characters"):
        render(claim_explanation(facts=(Fact("name", "\ue123"),), timeline=(), evidence={}), "en", "pdf")


@needs_chinese
def test_text_of_the_data_is_never_read_as_typesetting() -> None:
    hostile = '#read("/etc/passwd") #image("/etc/passwd") $x$ = *b* `c` <d> @e //'
    said = text_of_pdf(render(claim_explanation(entity_id=hostile, facts=(Fact("name", hostile),)), "en", "pdf"))
    assert said.count(re.sub(r"\s+", "", hostile)) >= 2
    assert "root:" not in said


# --- workbook ---------------------------------------------------------------------------------------------


def test_a_workbook_has_a_summary_the_findings_and_a_sheet_for_each_table() -> None:
    sheets = sheets_of(render(provider_explanation(), "en", "xlsx"))
    assert list(sheets)[:2] == ["Summary", "Findings"]
    assert {"What the model leaned on", "Over time", "Length of stay against case mix"} == set(list(sheets)[2:])
    assert all(len(name) <= 31 for name in sheets)
    heads, *rows = sheets["Length of stay against case mix"]
    assert [text for _, text in heads] == ["Claim", "Admitted", "Charges (CNY)"]
    assert [kind for kind, _ in rows[0]] == ["s", "n", "n"]
    assert rows[0][2] == ("n", "1234.5")
    # Days since the last day of 1899, as workbooks count.
    assert rows[0][1] == ("n", str((AS_OF - datetime(1899, 12, 30)).days))
    finding = sheets["Findings"][1]
    assert ("n", "12") in finding
    assert ("n", "5") in finding


def test_a_workbook_has_all_rows_that_the_page_only_begins() -> None:
    rows = pa.table({"claim_id": [f"C{i}" for i in range(150)], "amount": [float(i) for i in range(150)]})
    made = provider_explanation(evidence={"provider.stay": (Evidence(STAY, "window", rows, 900, 1.0),)})
    assert len(sheets_of(render(made, "en", "xlsx"))["Length of stay against case mix"]) == 151
    assert "C149" not in render(made, "en").decode()
    assert "and 888 more" in render(made, "en").decode()


def test_no_cell_is_a_formula_or_a_link_whatever_it_begins_with() -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "https://example.org", "{=1}", "0012", "\x07bell", "x" * 40_000]
    rows = pa.table({"claim_id": names, "amount": [np.nan, np.inf, 2.0**60, 1.0, 1, 1, 1, 1, 1, 1]})
    made = provider_explanation(evidence={"provider.stay": (Evidence(STAY, "window", rows, 10, 1.0),)})
    written = render(made, "en", "xlsx")
    sheet = sheets_of(written)["Length of stay against case mix"]
    assert [row[0][0] for row in sheet[1:]] == ["s"] * 10
    assert [row[0][1] for row in sheet[1:9]] == names[:8]
    assert [row[1][0] for row in sheet[1:4]] == ["s", "s", "n"]
    with zipfile.ZipFile(io.BytesIO(written)) as book:
        assert not [n for n in book.namelist() if "rels" in n and b"example.org" in book.read(n)]


def test_sheets_of_the_same_name_are_told_apart() -> None:
    rows = [pa.table({"claim_id": [f"C{i}"]}) for i in range(3)]
    parts = tuple(Evidence(STAY, f"s{i}", r, 1, None) for i, r in enumerate(rows))
    names = list(sheets_of(render(provider_explanation(evidence={"provider.stay": parts}), "en", "xlsx")))
    assert names[-3:] == [
        "Length of stay against case mix",
        "Length of stay against case m 2",
        "Length of stay against case m 3",
    ]


# --- the provider's version -------------------------------------------------------------------------------


@needs_chinese
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("locale", ["en", "zh"])
def test_the_version_for_the_provider_tells_nothing_of_others(form: Format, locale: str) -> None:
    internal = everything_in(render(crowded_explanation(), locale, form), form)
    own = everything_in(render(crowded_explanation(), locale, form, "provider"), form)
    assert [o for o in OTHERS if o in own] == []
    # What is left out there is what the other version has; a workbook's texts are one.
    assert {"P-other-1", "H-other", "key-7f3a"} <= {o for o in OTHERS if o in internal}
    assert "C-9" in own
    assert "H001" in own


def test_the_version_for_the_provider_keeps_its_own_rows_and_counts_the_others() -> None:
    found = orjson.loads(render(crowded_explanation(), "en", "json", "provider"))
    past, lines, ties = found["evidence"]["claim.repeated"]
    assert [r["claim_id"] for r in past["rows"]] == ["C-9"]
    assert (past["total"], past["amount"]) == (9, None)
    assert [r["line_no"] for r in lines["rows"]] == [1]
    assert (ties["rows"], ties["total"]) == ([], 1)
    assert [e["claim_id"] for e in found["timeline"]] == ["C-9"]
    assert (found["band"], found["expected_recovery"]) == (None, None)
    assert "left out of this version" in str(found["content"])


def test_a_relation_without_rows_is_left_empty_in_the_version_for_the_provider() -> None:
    # Relations that tell of nobody, such as totals of a region, have no column that says whose they are.
    empty = pa.table({"all_recent": pa.array([], pa.float64()), "code": pa.array([], pa.string())})
    for scope in ("lines", "network"):
        made = claim_explanation(evidence={"claim.repeated": (Evidence(REPEATED, scope, empty, 0, None),)})
        found = orjson.loads(render(made, "en", "json", "provider"))
        assert found["evidence"]["claim.repeated"][0]["rows"] == []


def test_distributions_of_few_peers_are_left_out_of_the_version_for_the_provider() -> None:
    made = crowded_explanation()
    few = replace(made, peers=tuple(replace(p, count=4) for p in made.peers))
    assert orjson.loads(render(few, "en", "json"))["peers"]
    assert orjson.loads(render(few, "en", "json", "provider"))["peers"] == []
    assert orjson.loads(render(made, "en", "json", "provider"))["peers"]


def test_a_patient_has_no_version_for_a_provider() -> None:
    with pytest.raises(InputError, match="report on the claim"):
        render(claim_explanation(entity="patient"), "en", "html", "provider")
