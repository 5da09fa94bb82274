"""Two hundred cases drawn at random: page and report say what the decision log says, and say it a year later too."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.explaining.audience import for_provider
from fraud.explaining.content.document import Document, Figure, Grid, Steps
from fraud.explaining.explanation import Explanation
from fraud.explaining.renderers import drawing
from fraud.explaining.report import document_for, render
from fraud.explaining.wording import Wording
from fraud.review.cases import Case, Chosen
from fraud.scoring.sample import last_bodies
from fraud.scoring.scorer import ClaimScorer
from fraud.scoring.triage import Triage
from fraud.store import Decision
from fraud.web.calls.answered import Answered, differences
from fraud.web.calls.explained import explanation_of
from fraud.web.running.runtime import Models, Runtime
from tests.pages.visitors import Town, Visitor

pytestmark = [pytest.mark.full, pytest.mark.timeout(2_400)]
CASES, SEED = 200, 20_261_122
# Claims that are scored, so that there is something to draw from.
SCORED = 900
LANGUAGES = {"en": "en", "zh-CN": "zh"}
# A PDF takes a second: every ninth case has one, by turns in either language.
WITH_PDF = 9


@pytest.fixture(scope="module")
def drawn(town: Town, city: ClaimsFolder) -> list[Case]:
    """Cases of the town, opened by scoring claims in either language, and drawn at random."""
    runtime = town.runtime
    # Most of what is scored becomes a case: cases without any finding are to be among them.
    runtime.scorer.triage = runtime.triage = Triage(review=20.0)
    bodies = last_bodies(city, SCORED)
    _, secret = town.desk.keys.add("claims", "claims-system", "person:test")
    for locale, own in zip(LANGUAGES, (bodies[::2], bodies[1::2]), strict=True):
        told = [{**b, "options": {"explain": "reasons", "locale": locale}} for b in own]
        answer = httpx.post(
            f"{town.url}/v1/claims/score-batch",
            content=orjson.dumps(told),
            headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
            timeout=120,
        )
        assert answer.status_code == 200, answer.text[:500]
    found = runtime.casework.search(Chosen(entities=("claim",)), most=1_000).cases
    assert len(found) > CASES
    return random.Random(SEED).sample(sorted(found, key=lambda c: c.case_id), CASES)


def decision_of(runtime: Runtime, case: Case) -> Decision:
    assert case.request_id is not None
    decision = runtime.store.decision(case.request_id)
    assert decision is not None
    return decision


def told_in(decision: Decision) -> tuple[dict[str, Any], str]:
    """What a decision answered, and the language that it answered in."""
    answer: dict[str, Any] = orjson.loads(decision.response)
    said = [f["sentence"] for f in answer["findings"] if f["status"] == "hit"]
    said += [r["sentence"] for r in (answer["risk"] or {}).get("reasons", ())]
    return answer, "zh" if any(re.search(r"[\u4e00-\u9fff]", text) for text in said) else "en"


def plain(page: str) -> str:
    """The words of a page, without what browsers do not show."""
    page = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", page, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def sayings(answer: Mapping[str, Any], explanation: Explanation, w: Wording) -> Iterator[str]:
    """What a reader must find of an answer, word by word."""
    yield w.label("actions", answer["action"])
    limits = explanation.references.limits
    for finding in answer["findings"]:
        if finding["status"] != "hit":
            continue
        yield w.printed(finding["sentence"])
        yield w.quantity(finding["value"], finding["unit"])
        signal = next(f.signal for f in explanation.findings if f.signal.id == finding["rule"])
        limit = limits.get(signal.limit or "")
        yield w.quantity(finding["limit"], limit.unit if limit else finding["unit"])
        yield from (str(n) for n in finding["lines"])
        if finding["amount"] is not None:
            yield w.money(finding["amount"], exact=True)
    risk = answer["risk"]
    yield w.share(risk["probability"])
    for reason in risk["reasons"]:
        if reason["contribution"] > 0:
            yield w.printed(reason["sentence"])
            yield w.quantity(reason["value"], reason["unit"])
            sign = f"+{reason['contribution']:.2f}"
            yield "≈ 0" if sign == "+0.00" else sign


def gap_of(explanation: Explanation) -> float:
    """By how much base, contributions and rest miss the margin."""
    assert explanation.base is not None
    assert explanation.margin is not None
    total = explanation.base + sum(r.contribution for r in explanation.reasons) + explanation.rest
    return abs(total - explanation.margin)


def gaps_on(document: Document) -> Iterator[float]:
    """By how much the bars of the chart miss their total, and the weights of the table the chart."""
    blocks = [b for s in document.sections if s.id == "reasons" for b in s.blocks]
    (steps,) = (b.chart for b in blocks if isinstance(b, Figure) and isinstance(b.chart, Steps))
    for bars in (steps.bars, steps.narrow):
        yield abs(bars[-2].end - bars[-1].end)
    (table,) = (b for b in blocks if isinstance(b, Grid) and b.sheet)
    weights = sum(float(row.cells[-1].value or 0.0) for row in table.rows)  # type: ignore[arg-type]
    yield abs(steps.bars[0].end + weights - steps.bars[-1].end)


@pytest.mark.requirement("002-50")
def test_pages_and_reports_of_two_hundred_cases_say_what_the_decision_log_says(town: Town, drawn: list[Case]) -> None:
    runtime, missing = town.runtime, []
    # Between two pages a report is drawn up: no connection waits that long.
    visitor = Visitor(town.url, Connection="close").enter(town, "investigator")
    for case in drawn:
        decision = decision_of(runtime, case)
        answer, language = told_in(decision)
        town.desk.people.speak(town.members["investigator"].user_id, language)
        explanation = explanation_of(runtime, case.entity_id, case.request_id)
        assert differences(explanation, Answered.of(decision)) == ()
        assert explanation.caveats == ()
        shown = visitor.open(f"/cases/{case.case_id}")
        assert shown.status_code == 200
        pages = {
            "page": plain(shown.text),
            "report": plain(render(explanation, language).decode()),
            "json": orjson.dumps(orjson.loads(render(explanation, language, "json"))["content"]).decode(),
        }
        said = set(sayings(answer, explanation, Wording(language, explanation.currency)))
        missing += [(case.case_id, name, text) for name, page in pages.items() for text in said if text not in page]
    visitor.close()
    assert missing == []


def test_contributions_add_up_on_every_report_for_us_and_for_the_provider(town: Town, drawn: list[Case]) -> None:
    for case in drawn:
        explanation = explanation_of(town.runtime, case.entity_id, case.request_id)
        theirs = for_provider(explanation)
        assert max(gap_of(explanation), gap_of(theirs)) < 1e-9
        assert max(gaps_on(document_for(explanation, "en"))) < 1e-9


def reports(runtime: Runtime, number: int, case: Case) -> dict[str, bytes]:
    """The report of a case in the language that is its turn; now and then for the provider, and on paper."""
    explanation = explanation_of(runtime, case.entity_id, case.request_id)
    locale = ("en", "zh")[number % 2]
    wanted = [(form, "internal") for form in ("html", "json")]
    wanted += [("html", "provider")] * (number % 5 == 0)
    wanted += [(form, "internal") for form in ("pdf", "xlsx")] * (number % WITH_PDF == 0)
    return {f"{f} {a}": render(explanation, locale, f, a) for f, a in wanted}  # type: ignore[arg-type]


def test_the_reports_are_the_same_bytes_a_year_later_without_model_or_catalogue(
    town: Town, drawn: list[Case], founded: tuple[Path, Any], two_rules: ClaimScorer
) -> None:
    before = [reports(town.runtime, n, case) for n, case in enumerate(drawn)]
    later = replace(
        town.runtime,
        scorer=two_rules,
        catalogue=two_rules.catalogue,
        models=Models(),
        now=lambda: datetime.now() + timedelta(days=365),
    )
    # Drawings are kept while a process lives; a year later it is another one.
    drawing._svg.cache_clear()
    changed = [
        (case.case_id, name)
        for n, case in enumerate(drawn)
        for name, content in reports(later, n, case).items()
        if content != before[n][name]
    ]
    later.guard.close()
    assert changed == []
