"""Periodic papers: counted from decisions, signatures and the ledger, in both languages and every format."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import fraud.review.periodic as periodic
from fraud.cli import app
from fraud.errors import InputError, NotKnownError
from fraud.explaining.content.document import Document, Grid, Listing, Pairs, Text
from fraud.explaining.report import FORMATS, render_document
from fraud.review.cases import Actor, Casework, Chosen, Proposal
from fraud.review.periodic import Paid, Record, month_of, quarter_of, rank, read_record, year_until
from fraud.review.periodic.figures import key_figures, precision_of, share_of
from fraud.review.periodic.reading import Hit, Judged
from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Store
from fraud.store.ledger import Event
from fraud.store.ledger import Record as LedgerRecord
from fraud.store.recoveries import recoveries
from fraud.web.app import build_app
from fraud.web.running.door import Door
from fraud.web.running.runtime import Models, Runtime
from tests.explaining.test_formats import everything_in, needs_chinese
from tests.web.client import Client, body
from tests.web.room import write_room

MARCH, MADE = datetime(2026, 3, 10, 9), datetime(2026, 4, 1, 8)
ANN, BOB = (Actor(name, name, "investigator") for name in ("ann", "bob"))
PAPERS = ("monthly", "quarterly", "ranking", "scorecard")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_room(tmp_path_factory.mktemp("room"))


@pytest.fixture(scope="module")
def room(home: Path) -> Catalogue:
    return load_catalogue(home / "features")


@pytest.fixture(scope="module")
def served(room: Catalogue, home: Path) -> Iterator[tuple[Store, Casework]]:
    """A quarter of claims at three providers, some with too many lines, and three cases with their ends."""
    now = [MARCH]
    with Store(f"sqlite:///{home / 'fraud.db'}", lambda: now[0], busy_ms=60_000, environ={}) as store:
        runtime = Runtime(store, room, ClaimScorer(room, None), Models(), now=lambda: now[0])
        client = Client(build_app(runtime, Door(seconds=60)))
        for n in range(60):
            now[0] = MARCH - timedelta(days=n)
            given = body(f"c-{n}", patient_id=f"p-{n}", provider_id=f"house-{n % 3}", physician_id=f"d-{n % 4}")
            if n % 4 == 1:
                given["lines"] = [{"line_no": k, "item_code": "X", "quantity": 1, "amount": 30} for k in range(1, 5)]
            answer = client.post("/v1/claims/score", json=given)
            assert answer.status_code == 200, answer.text
        now[0] = MARCH + timedelta(days=1)
        client.post("/v1/claims/score", json=body("c-1", patient_id="p-1", provider_id="house-1", physician_id="d-1"))
        client.close()
        # The ledger's time is UTC, and its own.
        runtime.guard.ledger._clock = lambda: datetime.fromisoformat("2026-03-11T09:00:00+00:00")
        runtime.guard.ledger.add(
            Event("patient.read", "k1", LedgerRecord("patient", "p-1")),
            Event("patient.refused", "k1", LedgerRecord("patient", "p-2")),
        )
        work = Casework(store, clock=lambda: now[0])
        _decide(work, store, now)
        yield store, work


def _decide(work: Casework, store: Store, now: list[datetime]) -> None:
    """One case confirmed, one unfounded, and all others still open."""
    first, second, *_ = [c for c in work.search(most=50).cases if c.provider_id == "house-2"]
    for case, result in ((first, "violation"), (second, "compliant")):
        work.take(case.case_id, ANN)
        said: dict[str, Any] = {"violation": "T07", "amount": 60.0} if result == "violation" else {}
        work.propose(case.case_id, ANN, Proposal(result, "seen in the file", rating=4, **said))
        now[0] += timedelta(days=1)
        work.confirm(case.case_id, BOB)


@pytest.fixture(scope="module")
def record(served: tuple[Store, Casework]) -> Record:
    return read_record(served[0], quarter_of("2026-Q1"))


def papers_of(record: Record, room: Catalogue, locale: str) -> dict[str, Document]:
    return {
        "monthly": periodic.monthly_paper(record, room, locale, MADE),
        "quarterly": periodic.quarterly_paper(record, room, locale, MADE),
        "ranking": periodic.ranking_paper(record, locale, MADE, least=10),
        "scorecard": periodic.scorecard_paper(record, room, "house-2", locale, MADE),
    }


def grid_of(document: Document, sheet: str) -> list[list[str]]:
    found = next(b for s in document.sections for b in s.blocks if isinstance(b, Grid) and b.sheet == sheet)
    return [[c.text for c in row.cells] for row in found.rows]


# --- what is counted --------------------------------------------------------------------------------------


def test_a_claim_counts_once_with_the_last_answer_of_the_period(served: tuple[Store, Casework]) -> None:
    record = read_record(served[0], quarter_of("2026-q1"))
    assert len(record.judged) == len({j.claim_id for j in record.judged}) == 60
    again = next(j for j in record.judged if j.claim_id == "c-1")
    assert (again.flagged, again.scored_at) == (False, MARCH + timedelta(days=1))
    before = read_record(served[0], month_of("2026-02"))
    assert {j.scored_at.month for j in before.judged} == {2}
    assert read_record(served[0], month_of("2025-01")).judged == ()


@pytest.mark.requirement("001-58")
def test_key_figures_are_those_of_the_record(record: Record) -> None:
    figures = key_figures(record)
    assert (figures.precision.hits, figures.precision.n) == (1, 2)
    assert figures.days_to_decision is not None
    assert figures.days_to_decision > 0
    # Every answer had to do without a model.
    assert (figures.errors.hits, figures.errors.n) == (60, 60)
    assert figures.milliseconds is not None
    assert figures.slowest_hundredth is not None
    assert figures.slowest_hundredth >= figures.milliseconds > 0
    rated = replace(
        record, decided=tuple(replace(c, satisfaction=n) for n, c in zip((3, 5), record.decided, strict=True))
    )
    assert (figures.satisfaction, key_figures(rated).satisfaction) == (None, 4.0)
    assert figures.rating == 4.0


def test_random_cases_are_no_alerts_and_what_is_not_decided_does_not_count(record: Record) -> None:
    drawn = tuple(replace(c, selected_by="random") for c in record.decided)
    assert precision_of(drawn).value is None
    assert precision_of((*record.decided, *record.pending)).n == 2


@pytest.mark.requirement("000-34")
def test_the_monthly_self_audit_says_what_was_found_decided_and_is_to_be_put_right(
    record: Record, room: Catalogue
) -> None:
    paper = periodic.monthly_paper(record, room, "en", MADE)
    flagged = [j for j in record.judged if j.flagged]
    rules = grid_of(paper, "What was found, by rule")
    amount = sum(h.amount for j in flagged for h in j.hits)
    assert [row[:2] + row[4:] for row in rules] == [["Lines", "claim.many_lines", str(len(flagged)), f"{amount:,.2f}"]]
    assert [row[1:3] for row in grid_of(paper, "What was decided, by type")] == [["2", "1"]]
    assert sum(int(row[3]) for row in grid_of(paper, "Providers")) == len(flagged)
    said = render_document(paper, "html").decode()
    assert "To be put right" in said
    assert "Missing in 60 answers." in said


def test_a_broken_ledger_and_a_lonely_signature_stand_in_the_self_audit(record: Record, room: Catalogue) -> None:
    alone = tuple(replace(c, signer=c.proposer) for c in record.decided)
    page = render_document(
        periodic.monthly_paper(replace(record, intact=False, decided=alone), room, "en", MADE), "html"
    ).decode()
    assert "1 cases were confirmed by one person alone." in page
    assert "chain is broken" in page
    assert "chain is broken" not in render_document(periodic.monthly_paper(record, room, "en", MADE), "html").decode()


@pytest.mark.requirement("001-49", "000-33")
def test_the_quarterly_supervision_has_its_four_parts(record: Record, room: Catalogue) -> None:
    paper = periodic.quarterly_paper(record, room, "zh", MADE)
    assert [s.heading for s in paper.sections[:4]] == ["政策执行", "操作规范", "数据安全", "欺诈防控"]
    said = orjson.loads(render_document(paper, "json"))["content"]
    security = {p["label"]: p["value"] for p in said["sections"][2]["blocks"][1]["pairs"]}
    assert security["查看个人记录次数"] == "1"
    assert security["拒绝查看次数"] == "1"
    assert (security["审计台账链条完整"], security["标识符加密存储"]) == ("是", "否")
    # The room's limits were looked up on the first day of 2026: stale a year later.
    later = replace(record, period=month_of("2027-03"))
    assert len(grid_of(periodic.quarterly_paper(later, room, "en", MADE), "Limits to look up again")) == 2


# --- money and what lies ahead ----------------------------------------------------------------------------


def pairs_of(document: Document, section: str) -> dict[str, str]:
    own = next(s for s in document.sections if s.id == section)
    return {p.label: p.value for b in own.blocks if isinstance(b, Pairs) for p in b.pairs}


def test_money_is_told_apart_by_the_day_on_which_it_came(record: Record, room: Catalogue) -> None:
    day = date(2026, 3, 20)
    first = Paid("C", "house-2", 60.0, day, datetime(2026, 3, 10, 9), True)
    entries = (first, replace(first, amount=-15.0, first=False), replace(first, provider_id="house-1", amount=5.0))
    paid = replace(record, paid=entries)
    told = pairs_of(periodic.monthly_paper(paid, room, "en", MADE), "money")
    assert (told["Confirmed by two signatures"], told["Came back"]) == ("60", "50")
    assert told["From the second signature to the first money, median"] == "10.0 days"
    own = pairs_of(periodic.scorecard_paper(paid, room, "house-2", "en", MADE), "money")
    assert own["Came back"] == "45"
    none = pairs_of(periodic.quarterly_paper(record, room, "en", MADE), "money")
    assert (none["Came back"], none["From the second signature to the first money, median"]) == ("0", "–")


def test_payments_are_read_by_their_own_day_and_only_the_first_one_says_how_long_it_took(
    served: tuple[Store, Casework],
) -> None:
    store, work = served
    (case,) = work.search(Chosen(states=("confirmed",))).cases
    assert case.decided_at is not None
    days = [case.decided_at.date() + timedelta(days=n) for n in (0, 1, 32)]
    with store.database.write() as connection:
        for number, day in enumerate(days, 90):
            connection.execute(sa.insert(recoveries), payment(case.case_id, number, day))
    try:
        found = read_record(store, month_of(f"{days[0]:%Y-%m}")).paid
        assert [(p.first, p.days_waited, p.provider_id) for p in found] == [(True, 0, "house-2"), (False, 1, "house-2")]
        later = read_record(store, month_of(f"{days[2]:%Y-%m}")).paid
        assert [(p.first, p.days_waited) for p in later] == [(False, 32)]
    finally:
        with store.database.write() as connection:
            connection.execute(sa.delete(recoveries))


def payment(case_id: str, number: int, day: date) -> dict[str, Any]:
    entered = {"reference": "t", "reason": None, "corrects": None, "recorded_at": MADE, "recorded_by": "ann"}
    return {"case_id": case_id, "number": number, "amount": 5.0, "received_on": day, **entered}


@pytest.mark.requirement("001-19")
def test_the_self_audit_has_the_matrix_of_what_is_open_and_a_range_that_it_says_again(
    record: Record, room: Catalogue
) -> None:
    known = [replace(c, probability=0.5, expected_recovery=0.5 * (c.amount or 0.0)) for c in record.pending]
    pending = (*known[:-1], replace(known[-1], probability=None, expected_recovery=None))
    filled = replace(record, pending=pending)
    papers = [periodic.monthly_paper(filled, room, locale, MADE) for locale in ("en", "zh", "en")]
    rows = grid_of(papers[0], "Risk matrix")
    assert [row[0] for row in rows] == ["from 60%", "30% to 60%", "10% to 30%", "below 10%", "not known"]
    counts = [sum(int(cell.split(" ")[0]) for cell in row[1:] if cell != "–") for row in rows]
    assert counts == [0, len(pending) - 1, 0, 0, 1]
    own = next(s for s in papers[0].sections if s.id == "outlook")
    said = next(b.text for b in own.blocks if isinstance(b, Text) and "eight of ten" in b.text)
    expected = sum(c.expected_recovery or 0.0 for c in pending)
    assert said.startswith(
        f"The {len(pending) - 1} cases whose probability is known are expected to bring {expected:,.0f};"
    )
    assumed = next(b for b in own.blocks if isinstance(b, Listing))
    assert [i.text.split(" ")[0] for i in assumed.items] == ["10,000", "The", "Cases", "A", "1"]
    assert papers[0].sections == papers[2].sections
    assert render_document(papers[1], "html").decode().count("十次模拟中有八次") == 1


def test_what_rules_alone_found_and_what_is_not_open_have_no_range(record: Record, room: Catalogue) -> None:
    alone = periodic.monthly_paper(record, room, "en", MADE)
    said = render_document(alone, "html").decode()
    assert "were found by rules alone" in said
    assert "eight of ten" not in said
    nothing = render_document(periodic.monthly_paper(replace(record, pending=()), room, "en", MADE), "html").decode()
    assert "What lies ahead" in nothing


# --- ranking ----------------------------------------------------------------------------------------------


def judged(physician: str, flagged: bool, n: int = 0) -> Judged:
    hits = (Hit("r", 1, None, "suspicion", 10.0),) if flagged else ()
    action = "review" if flagged else "pass"
    return Judged(f"{physician}-{n}", MARCH, "h", physician, action, 1.0, 1.0, hits, (), (), None, 1.0, None)


def test_nobody_leads_by_luck() -> None:
    few = [judged("few", True, n) for n in range(3)]
    lucky = [judged("lucky", n < 4, n) for n in range(10)]
    sure = [judged("sure", n < 250, n) for n in range(500)]
    usual = [judged("usual", n < 10, n) for n in range(500)]
    found = rank([*few, *lucky, *sure, *usual], Counter(sure=2), least=10)
    assert [r.physician_id for r in found] == ["sure", "lucky", "usual"]
    assert (found[0].share.value, found[0].at_stake, found[0].confirmed) == (0.5, 2500.0, 2)
    assert [r.beyond for r in found] == [True, False, False]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=80), st.integers(1, 20))
def test_a_ranking_has_those_with_enough_claims_in_the_order_of_their_lower_bounds(
    drawn: list[tuple[str, bool]], least: int
) -> None:
    found = rank([judged(p, f, n) for n, (p, f) in enumerate(drawn)], least=least)
    counts = Counter(p for p, _ in drawn)
    assert {r.physician_id for r in found} == {p for p, n in counts.items() if n >= least}
    bounds = [r.share.low for r in found]
    assert bounds == sorted(bounds, reverse=True)  # type: ignore[type-var]
    assert [r.place for r in found] == list(range(1, len(found) + 1))
    for r in found:
        assert r.share.low is not None
        assert r.share.high is not None
        assert 0 <= r.share.low <= (r.share.value or 0.0) + 1e-12 <= r.share.high + 1e-9


def test_a_least_volume_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="1 or more, not 0"):
        rank([], least=0)
    assert share_of(0, 0).low is None


# --- scorecard --------------------------------------------------------------------------------------------


def test_a_scorecard_tells_of_no_other_provider(record: Record, room: Catalogue) -> None:
    named = replace(record, names={f"house-{n}": f"House number {n}" for n in range(3)})
    paper = periodic.scorecard_paper(named, room, "house-2", "en", MADE)
    for form in ("html", "xlsx", "json"):
        said = everything_in(render_document(paper, form), form)  # type: ignore[arg-type]
        assert "House number 2" in said
        assert [o for o in ("house-0", "house-1", "House number 0", "House number 1") if o in said] == []
    with pytest.raises(NotKnownError, match="'nobody'"):
        periodic.scorecard_paper(record, room, "nobody", "en", MADE)


# --- words and formats ------------------------------------------------------------------------------------


def _flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in section.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def test_papers_have_the_same_words_in_both_languages_and_use_all_of_them() -> None:
    folder = Path(periodic.__file__).parent
    english, chinese = (
        _flat(tomllib.loads((folder / f"papers.{locale}.toml").read_text("utf-8"))) for locale in ("en", "zh")
    )
    assert set(english) == set(chinese)
    code = "".join(p.read_text("utf-8") for p in folder.glob("*.py"))
    by_key = {"states", "priorities", "results", "parts", "beyond", "security", "campaign_phases"}
    own = [k for k in english if k.split(".")[0] not in by_key | set(PAPERS) | {"key_figures"}]
    assert [k for k in own if k.split(".")[-1] not in code] == []


@pytest.mark.parametrize("locale", ["en", "zh"])
@needs_chinese
def test_every_paper_comes_in_every_format_with_the_same_bytes_each_time(
    record: Record, room: Catalogue, locale: str
) -> None:
    for name, paper in papers_of(record, room, locale).items():
        for form in FORMATS:
            written = render_document(paper, form)
            assert form == "html" or render_document(paper, form) == written, (name, form)
            said = everything_in(written, form)
            assert "None" not in said.replace("none", ""), (name, form)
            assert len(written) < 1 << 20


def test_periods_are_read_as_people_write_them() -> None:
    assert (month_of("2026-12").end, quarter_of("2026-Q4").end) == (datetime(2027, 1, 1), datetime(2027, 1, 1))
    assert year_until("2026-03").start == datetime(2025, 4, 1)
    assert year_until("2025-12").start == datetime(2025, 1, 1)
    for wrong, read in (("2026-13", month_of), ("2026", month_of), ("2026-Q5", quarter_of), ("Q1", quarter_of)):
        with pytest.raises(InputError, match="is written YYYY"):
            read(wrong)


def test_papers_are_written_by_commands(
    served: tuple[Store, Casework], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_HOME", str(home))
    monkeypatch.setenv("FRAUD_DATABASE_URL", f"sqlite:///{home / 'fraud.db'}")
    monkeypatch.chdir(tmp_path)
    run = CliRunner()
    calls = (
        ["monthly", "--month", "2026-03", "--out", "audit.xlsx"],
        ["quarterly", "--quarter", "2026-Q1", "--locale", "zh"],
        ["ranking", "--month", "2026-03", "--least", "5"],
        ["scorecard", "house-1", "--month", "2026-03", "--format", "json"],
    )
    for call in calls:
        result = run.invoke(app, ["papers", *call])
        assert result.exit_code == 0, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "audit.xlsx", "quarterly-2026-Q1.html", "ranking-2026-03.html", "scorecard-house-1-2026-03.json",
    ]  # fmt: skip
    told = run.invoke(app, ["papers", "monthly", "--month", "2026-03", "--json"])
    assert orjson.loads(told.stdout)["content"]["name"] == "Monthly self-audit 2026-03"
