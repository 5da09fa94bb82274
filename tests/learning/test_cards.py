"""Model cards and papers: complete, in both languages, and honest about what was not measured."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from fraud.errors import InputError
from fraud.learning.datasets.dataset import Dataset
from fraud.learning.model import FittedModel
from fraud.learning.reports import documents
from fraud.learning.reports.cards import Facts, card, card_files
from fraud.learning.reports.documents import Document, Pairs, Points, Section, Table, Words, to_html, to_markdown
from fraud.learning.reports.training import TrainingReport
from fraud.learning.training import importance
from fraud.learning.validation.evaluation import Evaluation
from fraud.learning.validation.gates import decide
from fraud.signals.catalogue import Catalogue
from tests.learning.town import spec

LOCALES = ("en", "zh")
PAPERS = Path(documents.__file__).parent / "templates" / "papers.words.toml"


@pytest.fixture(scope="module")
def facts(model: FittedModel, providers: Dataset, evaluation: Evaluation, room: Catalogue) -> Facts:
    promotion = decide(spec(), evaluation)
    report = TrainingReport(spec(), providers, evaluation, promotion, importance(model, providers))
    made = {"python": "3.11", "lock": "sha256:the-lock"}
    registered = replace(model, version=3, alias="champion", run_id="run-1")
    return Facts(registered, report.as_dict(), room.signals, made)


def _backtest() -> dict[str, Any]:
    bounds = {"value": 0.5, "low": 0.4, "high": 0.6}
    cut = {"cut": "2025-01-01", "decided": 120, "found": 30.0, "precision_at_k": 0.5, "average_precision": 0.5}
    part = {"segment": "region", "flag_rate": 0.1, "cleared_rate": 0.2, "rest_rate": 0.1}
    parts = [part | {"value": "North", "verdict": "without_cause"}, part | {"value": "South", "verdict": "no_sign"}]
    move = {"before": "2025-01-01", "after": "2025-02-01", "spearman": 0.9, "overlap": 0.75}
    return {
        "run": "run-2",
        "per_week": 10,
        "cuts": [cut | {"average_precision_interval": bounds, "calibration_error": float("nan")}],
        "fairness": {"verdicts": {"region": "without_cause"}, "parts": parts, "unknown": ["sex"]},
        "stability": [move],
    }


@pytest.mark.parametrize("locale", LOCALES)
def test_a_card_names_what_it_was_made_of_and_how_to_make_it_again(facts: Facts, locale: str) -> None:
    text = to_markdown(card(facts, locale))
    digests = (facts.model.digest, facts.model.data_digest, facts.model.catalogue_digest, "sha256:the-lock")
    for needed in (*digests, "run-1", "fraud train provider_risk --claims DIR", "python 3.11", "provider.mean_amount"):
        assert needed in text
    low, high = facts.report["average_precision_interval"]
    assert f"{low:.3f}" in text
    assert f"{high:.3f}" in text
    assert "H000" not in text


@pytest.mark.parametrize("locale", LOCALES)
def test_a_card_has_every_part_that_a_reader_looks_for(facts: Facts, locale: str) -> None:
    w = Words(locale)
    headings = [s.heading for s in card(facts, locale).sections]
    parts = ("use", "misuse", "data", "figures", "later", "stability", "calibration", "fairness", "drivers", "blind")
    assert headings == [w.say(f"headings.{p}") for p in (*parts, "limits", "gates", "history", "made")]
    assert w.say("card.notice_text") in to_html(card(facts, locale))


def test_what_was_not_measured_is_said_to_be_so(facts: Facts) -> None:
    text = to_markdown(card(facts, "en"))
    assert text.count("Not measured: there was no backtest yet (fraud backtest provider_risk --claims DIR)") == 3
    bare = to_markdown(card(replace(facts, report={}), "en"))
    assert bare.count("Not measured in this training.") == 4
    assert "No month leaves" in text


@pytest.mark.parametrize(
    ("locale", "verdict"), [("en", "Region: North flagged more often"), ("zh", "地区：North被标记得比其他更多")]
)
def test_a_backtest_adds_months_fairness_and_stability(facts: Facts, locale: str, verdict: str) -> None:
    text = to_markdown(card(replace(facts, backtest=_backtest()), locale))
    assert "fraud backtest" not in text
    for needed in (
        verdict,
        "run-2",
        "75.0%",
        "2025-01-01 | 120 | 30 | 50.0% | 0.500",
        Words(locale).say("backtest.to", low="0.400", high="0.600"),
    ):
        assert needed in text


def test_blind_spots_come_from_the_signals_in_the_readers_language(facts: Facts) -> None:
    name = facts.report["importance"][0][0].removesuffix(".peer_z").removesuffix(".peer_percentile")
    doc = "What it is.\n\nBlind spot: claims elsewhere.\n\n释义:说明。\n盲区:其他地方的结算。"
    known = facts.signals[name]

    def documented() -> None: ...

    documented.__doc__ = doc
    told = replace(known, function=documented)
    spots = {
        locale: to_markdown(card(replace(facts, signals={**facts.signals, name: told}), locale)) for locale in LOCALES
    }
    assert "claims elsewhere." in spots["en"]
    assert "其他地方的结算。" in spots["zh"]
    # A signal that is gone from the room is named by its id.
    assert name in to_markdown(card(replace(facts, signals={}), "en"))


def test_who_promoted_it_and_why_is_on_the_card(facts: Facts) -> None:
    change = {"kind": "promotion", "version": 3, "before": 2, "at": "2026-01-02T03:04:05.000+00:00"}
    people = {"by": "ann", "approved_by": "bob", "reason": "a|b"}
    text = to_markdown(card(replace(facts, changes=[change | people]), "en"))
    assert "| 2026-01-02 03:04 UTC | version 2 → 3 | ann | bob | a\\|b |" in text


def test_a_card_is_logged_in_both_languages_as_pages_and_as_markdown(facts: Facts) -> None:
    files = card_files(facts)
    assert sorted(files) == [f"card/card.{locale}.{ending}" for locale in LOCALES for ending in ("html", "md")]
    assert '<html lang="zh-CN">' in files["card/card.zh.html"]
    assert not [f for f in files.values() if "<script" in f or "http://" in f or "https://" in f]


# --- papers -----------------------------------------------------------------------------------------------


def _texts() -> Iterator[tuple[str, Mapping[str, str]]]:
    for section, keys in tomllib.loads(PAPERS.read_text("utf-8")).items():
        for key, text in keys.items():
            yield f"{section}.{key}", text


def test_every_text_is_in_both_languages_with_the_same_places() -> None:
    # Words for the entity belong to one language: Chinese counts with a word of its own, and has no plural. What a
    # cut lacks follows from the counts that stand beside it.
    own = {"entity", "entities", "counter", "needs"}
    texts = dict(_texts())
    assert len(texts) > 150
    assert not [where for where, text in texts.items() if set(text) != set(LOCALES)]
    places = {
        where: [{p[1] for p in Formatter().parse(text[locale]) if p[1]} - own for locale in LOCALES]
        for where, text in texts.items()
    }
    assert not [where for where, (en, zh) in places.items() if en != zh]


def test_a_language_that_is_not_there_is_refused() -> None:
    assert Words("zh-CN").lang == "zh-CN"
    with pytest.raises(InputError, match="languages are en, zh"):
        Words("fr")


def test_what_people_wrote_is_text_and_not_markup() -> None:
    evil = "<script>alert(1)</script>"
    blocks = [evil, Points([evil]), Pairs([(evil, evil)]), Table([evil], [[evil]])]
    page = to_html(Document("en", evil, evil, evil, (evil, evil), [Section(evil, blocks)], [(evil, "bad")]))
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 12
