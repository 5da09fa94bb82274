"""From a claims folder and a model to the week's list, on the command line."""

from __future__ import annotations

import csv
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud.claims.folder import ClaimsFolder, connect
from fraud.cli import app
from fraud.errors import InputError
from fraud.learning.model import FittedModel
from fraud.review.candidates import candidates_of
from fraud.review.queue import Candidate, QueueRules, build_queue
from fraud.scoring.batch import score_folder
from fraud.signals.catalogue import Catalogue

ROOT = Path(__file__).resolve().parents[2]
RULES = QueueRules(claims_of_days=120)


@pytest.fixture(scope="session")
def found(city: ClaimsFolder, claim_model: FittedModel, catalogue: Catalogue) -> tuple[datetime, list[Candidate]]:
    return candidates_of(city, claim_model, catalogue, RULES, hours=4)


def test_every_claim_of_the_last_weeks_is_a_candidate_and_no_other(
    city: ClaimsFolder, found: tuple[datetime, list[Candidate]]
) -> None:
    day, candidates = found
    with connect() as connection:
        city.attach(connection, ["claims"])
        query = "SELECT claim_id FROM claims WHERE settled_at >= $1 AND settled_at < $2"
        recent = connection.execute(query, [day - timedelta(days=120), day]).fetchall()
    assert sorted(c.entity_id for c in candidates) == sorted(row[0] for row in recent)
    assert all(c.provider_id and c.stratum for c in candidates)


def test_a_candidate_has_the_figures_of_the_batch_score(
    city: ClaimsFolder, claim_model: FittedModel, catalogue: Catalogue, found: tuple[datetime, list[Candidate]]
) -> None:
    scores = {r["entity_id"]: r for r in score_folder(city, claim_model, catalogue).to_pylist()}
    for c in found[1]:
        row = scores[c.entity_id]
        assert c.probability_low is not None
        assert c.probability_high is not None
        assert c.probability_low <= c.probability <= c.probability_high
        assert c.at_stake is not None
        assert c.expected_recovery == pytest.approx(c.probability * c.at_stake)
        for figure in ("probability", "probability_low", "probability_high", "percentile", "expected_recovery"):
            assert getattr(c, figure) == pytest.approx(row[figure], abs=1e-9)


def test_those_who_come_near_the_list_say_why_and_of_what_kind(
    found: tuple[datetime, list[Candidate]], catalogue: Catalogue
) -> None:
    day, candidates = found
    kinds = {s.violation for s in catalogue.signals.values()}
    queue = build_queue(candidates, RULES, as_of=day, seed=1, hours=4)
    chosen = [c.candidate for c in queue.cases if c.selected_by == "expected_recovery"]
    assert chosen
    assert all(1 <= len(c.reasons) <= 3 for c in chosen)
    assert all(c.violation in kinds for c in chosen)
    assert len({c.violation for c in chosen}) > 1


def test_what_is_decided_by_the_day_is_known_and_what_comes_later_is_not(
    city: ClaimsFolder, claim_model: FittedModel, catalogue: Catalogue, found: tuple[datetime, list[Candidate]]
) -> None:
    early = found[0] - timedelta(days=100)
    _, then = candidates_of(city, claim_model, catalogue, RULES, as_of=early, hours=1)
    decided = [c.decided_at for c in then if c.decided_at is not None]
    assert decided
    assert max(decided) < early
    assert any(c.decided_at is not None and c.decided_at >= early for c in found[1])


def test_a_day_without_claims_is_refused(city: ClaimsFolder, claim_model: FittedModel, catalogue: Catalogue) -> None:
    with pytest.raises(InputError, match="no claim settled from 1999"):
        candidates_of(city, claim_model, catalogue, RULES, as_of=datetime(2000, 1, 1))


def test_the_command_prints_the_list_and_writes_it(
    city: ClaimsFolder,
    claim_model: FittedModel,
    tracking: tuple[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FRAUD_HOME", str(ROOT))
    monkeypatch.setenv("FRAUD_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("FRAUD_TRACKING_URI", tracking[0])
    out = tmp_path / "lists" / "week.csv"
    own = ["queue", "--claims", str(city.path), "--version", str(claim_model.version), "--hours", "6", "--locale", "zh"]
    printed = CliRunner().invoke(app, [*own, "--out", str(out)], catch_exceptions=False)
    assert printed.exit_code == 0
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"{len(rows)} cases in" in printed.stdout
    assert sum(float(r["hours"]) for r in rows) <= 6
    assert {r["selected_by"] for r in rows} <= {"expected_recovery", "random"}
    assert any("一" <= sign <= "鿿" for row in rows for sign in row["reasons"])


def test_help_shows_an_example() -> None:
    shown = CliRunner().invoke(app, ["queue", "--help"], env={**os.environ, "COLUMNS": "200"})
    assert "fraud queue --claims claims/ --hours 40" in shown.stdout
