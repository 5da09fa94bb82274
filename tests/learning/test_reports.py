"""What readers see: conditions and sentences in their language, figures with their bounds, drawings for both widths."""

from __future__ import annotations

import doctest
import re

import pytest

from fraud.learning.datasets.labels import MIN_OF_A_CLASS
from fraud.learning.metrics import GATE_METRICS, NOVELTY_METRICS
from fraud.learning.reports import documents, numbers
from fraud.learning.reports.conditions import condition, failed, gate_table, measured
from fraud.learning.reports.documents import (
    Document,
    Figure,
    Points,
    Section,
    Table,
    Words,
    quoted,
    to_html,
    to_markdown,
)
from fraud.learning.reports.drawings import Drawing, bar_chart, line_chart, strip_chart
from fraud.learning.validation.gates import GateResult

EN, ZH = Words("en"), Words("zh")
# What may stand between Chinese characters without being one of their marks.
HALF_WIDTH = re.compile(r"[\u4e00-\u9fff][,:;!?()]|[,;!?()][\u4e00-\u9fff]")


def _page(*blocks: documents.Block, lang: str = "en") -> Document:
    return Document(lang, "Paper", "Title", "Lead.", ("Note.", "Text."), [Section("Part", blocks)])


@pytest.mark.parametrize("w", [EN, ZH], ids=["en", "zh"])
@pytest.mark.parametrize("metric", [*GATE_METRICS, *NOVELTY_METRICS, "single_feature_auc"])
def test_every_metric_that_a_gate_may_name_has_words(metric: str, w: Words) -> None:
    said = condition(f"{metric} >= 0.5", w)
    assert "_" not in said
    assert ">=" not in said
    assert not re.search(r"[a-z]\.[a-z]", said)
    assert w.locale == "en" or re.search(r"[\u4e00-\u9fff]|ROC-AUC", said)


def test_a_condition_is_told_as_its_figure_is_written() -> None:
    assert condition("precision_at_k >= 0.5", EN) == "Precision in the reviewers' list ≥ 50.0%"
    assert condition("precision_at_k >= 0.5", ZH) == "复核清单命中率 ≥ 50.0%"
    beside = "average_precision.high > baseline.single_feature.average_precision (0.3335)"
    assert condition(beside, EN) == "Average precision, upper 95 % bound > that of best single figure, 0.334"
    assert condition(beside, ZH) == "平均精确率（AP）的95%上限 > 最佳单一指标的该指标，即0.334"
    cleared = "roc_auc <= 0.965 (cleared up to 0.97)"
    assert condition(cleared, EN) == "ROC-AUC ≤ 0.965; looked into and cleared up to 0.970"
    assert condition("something else", EN) == "something else"
    assert measured("precision_at_k >= 0.5", 0.85, EN) == "85.0%"
    assert measured(beside, None, ZH) == "未测量"


def test_a_gate_that_failed_and_an_alarm_that_rings_are_told_apart() -> None:
    gate, alarm = (GateResult("roc_auc <= 0.9", 0.95, False, alarm=a) for a in (False, True))
    assert failed(gate, EN).startswith("A gate does not hold: ROC-AUC ≤ 0.900; measured 0.950")
    assert "泄漏警报" in failed(alarm, ZH)
    assert [row[1] for row in gate_table([gate, alarm], EN).rows] == ["does not hold", "leak alarm"]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("28 claims have several verdicts; the latest on each matter counts", "28张结算单有多项结论"),
        ("3 outcomes were decided after 2025-01-01 and are not used", "3项结论在2025-01-01之后作出"),
        ("the data lack claims.drg_weight", "数据缺少字段claims.drg_weight"),
        (f"no month leaves {MIN_OF_A_CLASS} positives decided before it and 9 that happened after it", "没有一个月份"),
        ("the cut 2025-01-01 lacks a negative after it (found 12 positives before and 0 after)", "切分日2025-01-01"),
    ],
)
def test_what_the_engine_says_of_its_own_accord_is_said_in_chinese_too(sentence: str, told: str) -> None:
    assert (ZH.told(f"{sentence}.") or "").startswith(told)
    assert EN.told(f"{sentence}.") == sentence


def test_what_has_no_words_in_the_language_is_quoted_and_marked() -> None:
    own, lead, foreign = quoted(
        ["28 claims have several verdicts; the latest on each matter counts", "As Ann wrote."], ZH
    )
    assert isinstance(own, Points)
    assert not own.original
    assert lead == "以下为系统原文（英文）："
    assert foreign == Points(["As Ann wrote."], original=True)
    assert '<ul class="points" lang="en">' in to_html(_page(foreign, lang="zh-CN"))
    assert quoted([], ZH) == []
    assert quoted(["As Ann wrote"], EN) == [Points(["As Ann wrote."])]


def test_a_figure_has_its_bounds_under_it_and_a_feature_its_id() -> None:
    table = Table(["Figure", "AP"], [["Bed days\nclaim.bed_days", "0.5\n0.4 to 0.6"]], caption="By figure")
    page, text = to_html(_page(table)), to_markdown(_page(table))
    assert '<th scope="row">Bed days <small>claim.bed_days</small></th>' in page
    assert '<td class="n">0.5 <small>0.4 to 0.6</small></td>' in page
    assert "<caption>By figure</caption>" in page
    assert "| Bed days (claim.bed_days) | 0.5 (0.4 to 0.6) |" in text
    assert "**By figure**" in text


def test_a_chinese_page_is_set_with_chinese_marks() -> None:
    page = _page(Points([ZH.printed("没有上限的药品,以及(拆成多行)的用药量")]), lang="zh-CN")
    assert "<title>Paper：Title</title>" in to_html(page)
    assert not HALF_WIDTH.search(to_html(page))
    assert "<b>Note.</b>Text." in to_html(page)
    assert "<b>Note.</b> Text." in to_html(_page())


def test_drawings_are_told_what_they_show_and_know_their_form_for_a_phone() -> None:
    wide, narrow = (bar_chart([("A rather long name of a figure", 0.2)], "log-odds", narrow=n) for n in (False, True))
    made = Drawing(wide, narrow, "What moved the score")
    assert made.startswith("<svg")
    assert (made.caption, made.narrow) == ("What moved the score", narrow)
    assert "A rather long name of a figure" in made
    assert "A rather long name of a figure" not in narrow, "names are on several lines"
    page = to_html(_page(Figure(made.caption, made, made.narrow)))
    assert page.count("<svg") == 2
    assert "<figcaption>What moved the score</figcaption>" in page
    assert "<figcaption>" not in to_html(_page(Figure("", made)))


def test_lines_have_a_legend_where_there_are_several_and_dots_leave_out_what_is_not_known() -> None:
    points = [(0.0, 1.0), (1.0, 0.5)]
    assert "money" in line_chart({"cases": points, "money": points}, "reviewed", "share", share=False, narrow=True)
    assert "cases" not in line_chart({"cases": points}, "recall", "precision", share=True, narrow=True)
    dots = [strip_chart([("The model", [0.4, *more])], "AP", narrow=False) for more in ([0.5], [0.5, float("nan")])]
    assert dots[0] == dots[1]


@pytest.mark.parametrize("module", [documents, numbers])
def test_the_examples_of_the_docs_hold(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted
    assert not found.failed
