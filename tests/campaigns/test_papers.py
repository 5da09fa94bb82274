"""The paper of a campaign, its section in the quarterly supervision, and `fraud campaigns`."""

from __future__ import annotations

import json
import os
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import fraud.review.campaigns as campaigns
import fraud.review.periodic as periodic
from fraud.cli import app
from fraud.errors import FraudError
from fraud.explaining.content.document import Document, Grid
from fraud.explaining.report import FORMATS, render_document
from fraud.review.campaigns import Campaigns
from fraud.review.periodic import quarter_of, read_record
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.store import Ledger, Store
from tests.campaigns.parts import LEAD, LETTER, TRAINING, announced, opened, ready, step
from tests.cases.parts import ANN, Clock
from tests.explaining.test_formats import everything_in, needs_chinese
from tests.web.room import write_room


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_room(tmp_path_factory.mktemp("room"))


@pytest.fixture(scope="module")
def room(home: Path) -> Catalogue:
    return load_catalogue(home / "features")


def rows_of(document: Document, section: str) -> list[list[str]]:
    found = next(s for s in document.sections if s.id == section)
    return [[c.text for c in row.cells] for b in found.blocks if isinstance(b, Grid) for row in b.rows]


@pytest.mark.requirement("003-34", "003-19")
def test_the_paper_says_who_was_found_declared_and_put_right_what_and_whether_it_helped(
    work: Campaigns, room: Catalogue, clock: Clock
) -> None:
    number = opened(work)
    ready(work, number)
    work.decide(number, "h-1", LEAD, "accepted")
    clock.now = datetime(2026, 3, 9)
    paper = work.paper(number, LEAD, room, "en")
    told = rows_of(paper, "providers")
    # The overdue first.
    assert [row[:3] for row in told] == [
        ["House h-2 h-2", "announced", "2026-03-05, overdue"],
        ["House h-1 h-1", "accepted", "–"],
    ]
    assert told[1][3:] == ["2", "150.00", "2", "150.00", "no"]
    assert rows_of(paper, "decisions") == [["House h-1 h-1", "accepted", "2026-03-02", "lea", "2", "150.00", "0"]]
    assert rows_of(paper, "found") == [["T02 " + _name("T02"), "2", "115.00"], ["T07 " + _name("T07"), "2", "100.00"]]
    (task,) = rows_of(paper, "tasks")
    assert task[1:4] == [TRAINING.root_cause, f"training: {TRAINING.text}", TRAINING.responsible]
    effects = rows_of(paper, "effects")
    assert effects[0] == ["House h-1 h-1", "claim.duplicate_line", "200.0 (56.7 to 509.8; 2 of 10)", "–"]
    assert effects[-1][1] == "Claims to be looked at, for whatever reason"


def _name(violation: str) -> str:
    from fraud.claims.violations import violation_names

    return violation_names()[violation]["en"]


@pytest.mark.parametrize("locale", ["en", "zh"])
@needs_chinese
def test_the_paper_comes_in_every_format_and_language_with_the_same_bytes_each_time(
    work: Campaigns, room: Catalogue, locale: str
) -> None:
    number = opened(work)
    ready(work, number)
    paper = work.paper(number, LEAD, room, locale)
    for form in FORMATS:
        written = render_document(paper, form)
        assert form == "html" or render_document(paper, form) == written, form
        said = everything_in(written, form)
        assert "None" not in said
        # Words of a PDF come without the space between them.
        assert {"en": "Rootcause", "zh": "问题原因"}[locale] in "".join(said.split())
        assert len(written) < 1 << 20


def test_the_words_of_the_paper_are_the_same_in_both_languages_and_all_of_them_are_used() -> None:
    folder = Path(campaigns.__file__).parent
    english, chinese = (_flat(folder / f"paper.{locale}.toml") for locale in ("en", "zh"))
    assert english.keys() == chinese.keys()
    code = (folder / "paper.py").read_text("utf-8")
    by_key = ("phases", "states", "decisions", "actions", "steps", "sections")
    assert [k for k in english if k.split(".")[0] not in by_key and k.split(".")[1] not in code] == []


def _flat(path: Path) -> dict[str, str]:
    texts = tomllib.loads(path.read_text("utf-8"))
    return {f"{section}.{key}": text for section, own in texts.items() for key, text in own.items()}


@pytest.mark.requirement("003-19")
def test_the_quarterly_supervision_has_the_campaigns_that_were_under_way(
    work: Campaigns, store: Store, room: Catalogue, clock: Clock
) -> None:
    made = datetime(2026, 7, 1)
    before = periodic.quarterly_paper(read_record(store, quarter_of("2026-Q1")), room, "en", made)
    assert "campaigns" not in [s.id for s in before.sections]
    number = opened(work)
    ready(work, number)
    for quarter, overdue in (("2026-Q1", "1"), ("2026-Q2", "2")):
        record = read_record(store, quarter_of(quarter))
        paper = periodic.quarterly_paper(record, room, "en", made)
        own = ["Imaging", "announcement", "2", "1", "0", overdue, "175.00", "150.00"]
        assert rows_of(paper, "campaigns") == [own]
    clock.now = datetime(2026, 5, 1)
    work.close(number, LEAD, "merged")
    assert read_record(store, quarter_of("2026-Q3")).campaigns == ()
    assert read_record(store, quarter_of("2025-Q4")).campaigns == ()


# --- the command line -------------------------------------------------------------------------------------


@pytest.fixture
def run(work: Campaigns, address: str, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command on the database of three institutions; gives what it prints, as JSON where that was asked."""
    monkeypatch.setenv("FRAUD_DATABASE_URL", address)
    monkeypatch.setenv("FRAUD_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def ran(*given: str, code: int = 0) -> Any:
        done = CliRunner().invoke(app, ["campaigns", *given], env={"COLUMNS": "220"})
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in given and code == 0 else done.stdout

    return ran


def test_a_campaign_goes_its_whole_way_at_the_command_line(run: Any, store: Store, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_bytes(LETTER.content)
    period = ("--from", "2026-01-01", "--until", "2026-02-28")
    told = run("open", "Imaging", "--basis", "Decree 735", *period, "--days", "1,2,3,4", "--by", "lea", "--json")
    number = told["campaign_id"]
    assert told["standing"]["providers"] == 2
    assert run("tell", number, "--json") == {"told": 2}
    assert "rectification" in run(
        "declare", number, "h-1", "--count", "2", "--amount", "120", "--file", "letter.txt", "--by", "ann"
    )
    said = ("--cause", "haste", "--action", "rule_change", "--text", "a limit", "--responsible", "the desk")
    run("task", number, "h-1", *said, "--rule", "claim.many_lines", "--days", "2", "--by", "ann")
    assert (
        run("task", number, "h-1", "--done", "1", "--remark", "done", "--by", "ann", "--json")["state"] == "acceptance"
    )
    run("accept", number, "h-1", "--by", "ann", code=1)
    assert run("accept", number, "h-1", "--by", "lea", "--json")["decided_by"] == "lea"
    shown = run("show", number, "--json")
    assert [(p["provider_id"], p["declared_less"]) for p in shown["providers"]] == [("h-2", False), ("h-1", True)]
    file = run("show", number, "h-1", "--json")
    assert [e["what"] for e in file["history"]] == ["opened", "told", "declared", "planned", "finished", "accepted"]
    assert number in run("list")
    run("close", number, code=1)
    assert run("close", number, "--reason", "merged", "--by", "lea", "--json")["closed_by"] == "lea"
    assert run("list", "--overdue", "--json") == []
    assert run("paper", number, "--out", "paper.xlsx").strip() == "paper.xlsx"
    assert run("paper", number, "--locale", "zh", "--json")["content"]["lang"] == "zh-CN"
    told_ledger = {e.what for e in Ledger(store.database).entries()}
    assert {"campaign.listed", "campaign.read", "campaign.exported", "campaign.closed"} <= told_ledger


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ("open", "A", "--basis", "b", "--from", "2026-01-01", "--until", "2026-02-01", "--days", "3"),
            "whole numbers",
        ),
        (("declare", "CMP-1", "h-1", "--file", "nowhere.pdf"), "no such file"),
        (("show", "CMP-1"), "no such campaign"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_a_sentence(run: Any, given: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["campaigns", *given])
    assert isinstance(done.exception, FraudError)
    assert said in done.exception.message


def test_nothing_declared_and_nothing_to_put_right_are_said_at_the_command_line(
    run: Any, work: Campaigns, clock: Clock
) -> None:
    short = {"announced": 1, "self_check": 1, "rectification": 1, "acceptance": 1}
    number = work.open(announced(days=short), LEAD).campaign_id
    step(work, number, "tell", ANN)
    assert "rectification" in run("declare", number, "h-1", "--nothing", "reminded twice", "--by", "ann")
    assert "acceptance" in run("task", number, "h-1", "--nothing", "a mistaken rule", "--by", "ann")
    said = ("--decision", "returned", "--reason", "no list", "--days", "2", "--by", "lea")
    assert "rectification, due" in run("accept", number, "h-1", *said)


@pytest.mark.parametrize("name", ["list", "open", "show", "tell", "declare", "task", "accept", "close", "paper"])
def test_every_command_has_an_example(name: str) -> None:
    shown = CliRunner().invoke(app, ["campaigns", name, "--help"], env={**os.environ, "COLUMNS": "200"})
    assert f"fraud campaigns {name}" in shown.stdout.replace("\n", " ")
