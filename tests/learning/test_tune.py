"""The command `fraud tune`: a search, its runs, and the file that it may change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
import tomlkit
from typer.testing import CliRunner, Result

from fraud.claims.folder import ClaimsFolder
from fraud.cli import app
from fraud.errors import GateError
from fraud.learning import search as searching
from fraud.learning.spec import load_spec
from fraud.signals.catalogue import Catalogue
from tests.learning.conftest import Server
from tests.learning.town import PROVIDER_SPEC

_POOR = {"rounds": 2, "bags": 1, "learning_rate": 0.001, "num_leaves": 2, "min_data_in_leaf": 100}


@pytest.fixture
def home(room: Catalogue, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Rooms of one's own, with a spec whose settings learn nearly nothing."""
    (tmp_path / "fraud.toml").write_text(tomlkit.dumps({"rooms": {"features": str(room.path)}}), "utf-8")
    (tmp_path / "models").mkdir()
    spec = {**PROVIDER_SPEC, "name": "tuned_risk", "parameters": _POOR}
    text = tomlkit.dumps(spec).replace("[parameters]", "# Chosen by nobody.\n[parameters]")
    (tmp_path / "models/tuned_risk.toml").write_text(text, "utf-8")
    monkeypatch.setenv("FRAUD_HOME", str(tmp_path))
    monkeypatch.setenv("FRAUD_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("FRAUD_TRACKING_URI", server.uri)
    monkeypatch.setattr(searching, "_SPACE", {**searching._SPACE, "rounds": searching._Range(10, 40, log=True)})
    return tmp_path


def _tune(town: ClaimsFolder, *more: str) -> Result:
    return CliRunner().invoke(app, ["tune", "tuned_risk", "--claims", str(town.path), "--json", *more])


def test_what_is_better_is_written_and_every_trial_is_a_run(home: Path, town: ClaimsFolder, server: Server) -> None:
    file = home / "models/tuned_risk.toml"
    before = load_spec(file)
    done = _tune(town, "--trials", "5", "--write")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["verdict"] == "better"
    assert told["written"] == str(file)
    after = load_spec(file)
    assert after.parameters != before.parameters
    assert told["proposed"]["rounds"] == after.parameters.rounds
    assert "# Chosen by nobody." in file.read_text("utf-8")
    _check_runs(told, server)


def _check_runs(told: dict[str, Any], server: Server) -> None:
    client = mlflow.MlflowClient(tracking_uri=server.uri)
    own = client.get_run(told["run_id"])
    assert own.data.tags["verdict"] == "better"
    assert own.data.metrics["gain.average_precision.low"] > 0
    trials = client.search_runs([own.info.experiment_id], f"tags.`mlflow.parentRunId` = '{told['run_id']}'")
    assert len(trials) == sum(len(s["trials"]) for s in told["studies"]) == 20
    assert {t.data.tags["search"] for t in trials} == {"outer 1", "outer 2", "outer 3", "all rows"}
    best = [t for t in trials if t.data.tags["search"] == "all rows" and t.data.tags["best"] == "true"]
    assert best[0].data.params["rounds"] == str(told["proposed"]["rounds"])


def test_what_is_no_better_stays_out_of_the_file(home: Path, town: ClaimsFolder) -> None:
    file = home / "models/tuned_risk.toml"
    before = file.read_text("utf-8")
    done = _tune(town, "--trials", "1", "--write")
    assert isinstance(done.exception, GateError)
    assert "tuned_risk.toml stays as it is" in done.exception.message
    assert done.exception.exit_code == 3
    assert file.read_text("utf-8") == before


def test_its_help_has_an_example() -> None:
    shown = CliRunner().invoke(app, ["tune", "--help"]).output
    assert "fraud tune claim_risk --claims claims/ --minutes 10" in shown
