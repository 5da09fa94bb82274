"""The data-quality report: it finds what is wrong, and says that it says nothing about fraud."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from .files import as_csv, canonical, claims_csv

FILES = {
    "claims.csv": claims_csv(
        {"admitted_at": "2024-03-05", "discharged_at": "2024-03-01", "settled_at": "2024-03-06"},
        {"claim_id": "C2", "admitted_at": "2024-03-05", "settled_at": "2024-03-01", "total_amount": "0"},
        {"claim_id": "C3", "patient_id": "P2"},
        {"claim_id": "C4", "patient_id": "P3"},
        {"claim_id": "C5", "patient_id": "P9", "fund_amount": "500"},
        {"claim_id": "C6", "deductible": "abc"},
        {"claim_id": "C6", "deductible": "abc"},
        {"claim_id": ""},
    ),
    "lines.csv": as_csv(
        [
            {"claim_id": "C3", "line_no": "1", "item_code": "A", "quantity": "1", "amount": "100"},
            {"claim_id": "C4", "line_no": "1", "item_code": "A", "quantity": "1", "amount": "120.5"},
            {"claim_id": "C9", "line_no": "1", "item_code": "A", "quantity": "1", "amount": "1"},
        ]
    ),
    "patients.csv": as_csv(
        [
            {"patient_id": "P1", "birth_date": "1950-01-01"},
            {"patient_id": "P2", "birth_date": "1950-01-01", "died_on": "2024-02-28"},
            {"patient_id": "P3", "birth_date": "2024-05-01", "died_on": "2024-01-01"},
        ]
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return canonical(tmp_path_factory.mktemp("quality"), FILES).to


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "quality.json").read_text("utf-8"))


@pytest.mark.requirement("001-09")
@pytest.mark.parametrize(
    ("code", "claims"),
    [
        ("discharged_before_admitted", ["C1"]),
        ("settled_before_admitted", ["C2"]),
        ("admitted_after_death", ["C3", "C4"]),
        ("admitted_before_birth", ["C4"]),
        ("too_old", []),
    ],
)
def test_impossible_dates_are_counted_with_examples(report: dict[str, Any], code: str, claims: list[str]) -> None:
    (found,) = [check for check in report["impossible"] if check["code"] == code]
    assert (found["count"], found["examples"]) == (len(claims), claims)


def test_checks_without_values_to_look_at_are_left_out(report: dict[str, Any]) -> None:
    codes = {check["code"] for check in report["impossible"]}
    assert "uploaded_before_admitted" not in codes
    assert "reported_before_ordered" not in codes


def test_amounts_that_do_not_fit_are_counted(report: dict[str, Any]) -> None:
    found = {check["code"]: (check["count"], check["examples"]) for check in report["amounts"]}
    assert found["nothing_charged"] == (1, ["C2"])
    assert found["fund_over_total"] == (2, ["C2", "C5"])
    assert found["lines_differ"] == (1, ["C3"])


def test_orphans_are_counted_with_their_different_ids(report: dict[str, Any]) -> None:
    found = {(o["table"], o["column"]): (o["count"], o["different"]) for o in report["orphans"]}
    assert found == {("claims", "patient_id"): (1, 1), ("lines", "claim_id"): (1, 1)}


@pytest.mark.requirement("001-09")
def test_missing_shares_and_rows_are_those_of_the_tables(report: dict[str, Any]) -> None:
    shares = {(c["table"], c["column"]): c["share"] for c in report["columns"]}
    assert shares["claims", "discharged_at"] == pytest.approx(5 / 6, abs=1e-6)
    assert shares["claims", "claim_id"] == 0
    counts = report["tables"]["claims"]
    assert (counts["rows_in"], counts["loaded"], counts["duplicates"], counts["quarantined"]) == (8, 6, 1, 1)


def test_the_histogram_counts_every_claim_above_zero(report: dict[str, Any]) -> None:
    amounts = report["distributions"]["amounts"]["total_amount"]
    assert sum(b["claims"] for b in amounts["bins"]) + amounts["zero"] == 6
    assert all(b["from"] < b["to"] for b in amounts["bins"])
    assert amounts["quantiles"]["max"] == 120.5


def test_the_page_needs_no_network_and_says_what_it_does_not_say(folder: Path) -> None:
    page = (folder / "quality.html").read_text("utf-8")
    assert "They say nothing about fraud." in page
    assert not re.search(r"""(src|href)=["']https?:|@import|<script""", page)
    assert page.count("<svg") == 4 - 1  # total and fund amounts, months; no self_amount in the files
    assert len(page.encode()) < 1_000_000


def test_names_from_a_file_are_not_run_as_html(tmp_path: Path) -> None:
    files = {"claims.csv": claims_csv({"<script>alert(1)</script>": "x", "deductible": "<b>x</b>"})}
    page = (canonical(tmp_path, files).to / "quality.html").read_text("utf-8")
    assert "<script" not in page
    assert "<b>x</b>" not in page


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on this machine")
def test_the_page_draws_in_a_browser(folder: Path) -> None:
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        (folder / "quality.html").as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout
    assert "Discharged before admitted" in shown
    assert shown.count("<svg") == 3
