"""`fraud cases` on a database with a few cases."""

from __future__ import annotations

import csv
import json
import os
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud.claims.folder import ClaimsFolder
from fraud.cli import app
from fraud.errors import FraudError
from fraud.learning.model import FittedModel
from fraud.review.cases import Casework, Chosen
from fraud.store import Ledger, Store
from tests.cases.parts import ANN, confirmed, scored

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def numbers(store: Store, work: Casework, address: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two open cases and a confirmed one, the dearest first."""
    monkeypatch.setenv("FRAUD_DATABASE_URL", address)
    found = [work.open(scored(f"c-{n}", worth=9.0 - n), ANN).case_id for n in range(2)]
    return [*found, confirmed(work, "c-9", worth=1.0).case_id]


def run(*given: str, code: int = 0) -> str:
    """What a command prints."""
    ran = CliRunner().invoke(app, ["cases", *given], env={"COLUMNS": "200"})
    assert ran.exit_code == code, ran.output
    return ran.stdout


def test_cases_are_listed_masked_by_worth_and_filtered(numbers: list[str], store: Store) -> None:
    found = json.loads(run("list", "--json"))
    assert [c["case_id"] for c in found["cases"]] == numbers
    assert found["cases"][0]["patient_id"].startswith("patient:")
    text = run("list", "--state", "confirmed", "--most", "5")
    assert numbers[2] in text
    assert numbers[0] not in text
    assert "1 of 1 cases" in text
    assert "case.listed" in {e.what for e in Ledger(store.database).entries()}
    ran = CliRunner().invoke(app, ["cases", "list", "--state", "lost"])
    assert isinstance(ran.exception, FraudError)


def test_a_case_is_shown_with_its_history(numbers: list[str]) -> None:
    told = json.loads(run("show", numbers[2], "--json"))
    assert [e["what"] for e in told["history"]] == ["opened", "taken", "proposed", "confirmed"]
    assert "confirmed" in run("show", numbers[2].lower())


def test_cases_are_assigned_and_those_that_cannot_be_say_why(numbers: list[str], work: Casework) -> None:
    told = json.loads(run("assign", *numbers, "--to", "eve", "--by", "sue", "--json"))
    assert told["assigned"] == numbers[:2]
    assert "cannot assign" in told["refused"][numbers[2]]
    assert work.get(numbers[0]).assignee == "eve"
    assert work.history(numbers[0])[-1].who == "sue"
    run("assign", numbers[2], "--to", "eve", code=1)


def test_a_case_is_written_as_an_archive_and_the_ledger_knows_why(
    numbers: list[str], store: Store, tmp_path: Path
) -> None:
    report = tmp_path / "report.pdf"
    report.write_bytes(b"%PDF")
    out = tmp_path / "out" / "case.zip"
    told = json.loads(
        run("export", numbers[2], "--out", str(out), "--purpose", "court", "--report", str(report), "--json")
    )
    with zipfile.ZipFile(out) as archive:
        assert archive.read("reports/report.pdf") == b"%PDF"
    assert told["bytes"] == out.stat().st_size
    entry = next(e for e in Ledger(store.database).entries() if e.what == "case.exported")
    assert entry.purpose == "court"


def test_the_ledger_of_reviews_is_written(numbers: list[str], tmp_path: Path) -> None:
    out = tmp_path / "march.csv"
    assert str(out) in run("reviews", "--since", "2026-03-01", "--until", "2026-04-01", "--out", str(out))
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["who"], r["document"], r["decision"]) for r in rows] == [
        ("ann", "c-9", "proposed"),
        ("bob", "c-9", "confirmed"),
    ]


def test_without_a_place_for_notices_nobody_is_reminded(numbers: list[str]) -> None:
    assert json.loads(run("remind", "--json"))["told"] == []


@pytest.mark.full
def test_the_weeks_list_becomes_cases_with_place_hours_and_how_each_was_chosen(
    store: Store,
    address: str,
    city: ClaimsFolder,
    claim_model: FittedModel,
    tracking: tuple[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {"HOME": str(ROOT), "VAR": str(tmp_path / "var"), "TRACKING_URI": tracking[0], "DATABASE_URL": address}
    for name, value in own.items():
        monkeypatch.setenv(f"FRAUD_{name}", value)
    asked = ["plan", "--claims", str(city.path), "--version", str(claim_model.version), "--hours", "6", "--seed", "3"]
    told = json.loads(run(*asked, "--json"))
    found = Casework(store).search(Chosen(), order="place").cases
    assert [c.case_id for c in found] == told["opened"]
    assert [c.place for c in found] == list(range(1, len(found) + 1))
    assert {c.selected_by for c in found} <= {"expected_recovery", "random"}
    assert all((c.inclusion_probability is not None) == (c.selected_by == "random") for c in found)
    assert told["progress"]["hours"] == sum(c.hours for c in found) <= 6
    # Ids of claims that the service does not know: where they are is said by the list alone.
    assert all(c.provider_id for c in found)


@pytest.mark.parametrize("name", ["list", "show", "plan", "assign", "reviews", "remind", "export"])
def test_every_command_has_an_example(name: str) -> None:
    shown = CliRunner().invoke(app, ["cases", name, "--help"], env={**os.environ, "COLUMNS": "200"})
    assert f"fraud cases {name}" in shown.stdout.replace("\n", " ")
