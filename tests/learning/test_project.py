"""The MLflow project: every entry point is a call that the command line understands, and one really runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
import tomlkit
import typer.main
import yaml
from mlflow.projects._project_spec import EntryPoint, load_project

from fraud.claims.folder import ClaimsFolder
from fraud.cli import app
from fraud.signals.catalogue import Catalogue
from tests.learning.conftest import Server
from tests.learning.town import PROVIDER_SPEC

ROOT = Path(__file__).resolve().parents[2]
_ENTRY_POINTS = ("main", "train", "tune", "backtest", "promote", "retrain", "monitor", "score")
_GIVEN = {"approved_by": "B. Second; true", "since": "2025-01-01", "until": "2025-04-01"}


@pytest.fixture(scope="module")
def entry_points() -> dict[str, EntryPoint]:
    """As MLflow reads them from the root of the checkout."""
    read: dict[str, EntryPoint] = load_project(str(ROOT))._entry_points
    return read


def test_the_project_has_an_entry_point_for_each_step_of_a_models_life(entry_points: dict[str, EntryPoint]) -> None:
    assert set(entry_points) == set(_ENTRY_POINTS)
    assert entry_points["main"].command == entry_points["train"].command


@pytest.mark.parametrize("name", _ENTRY_POINTS)
def test_the_command_of_an_entry_point_parses(
    name: str, entry_points: dict[str, EntryPoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = entry_points[name]
    given = {"claims": str(tmp_path), **{n: v for n, v in _GIVEN.items() if n in entry.parameters}}
    words = shlex.split(entry.compute_command(given, str(tmp_path)))
    assert words[0] == "PYTHONPATH=src:$PYTHONPATH"
    assert words[1:4] == ["python", "-m", "fraud.cli"]
    group = typer.main.get_command(app)
    command = group.get_command(None, words[4])  # type: ignore[attr-defined, arg-type]
    context = command.make_context(words[4], words[5:])
    assert context.params["model"] == "provider_risk"
    assert context.params["claims"] == tmp_path
    if "approved_by" in given:
        assert context.params["approved_by"] == "B. Second; true", "a shell sees one word"


def test_what_an_entry_point_does_not_name_becomes_an_option(
    entry_points: dict[str, EntryPoint], tmp_path: Path
) -> None:
    given = {"claims": str(tmp_path), "engine": "dask", "scheduler": "tcp://10.0.0.5:8786"}
    words = shlex.split(entry_points["train"].compute_command(given, str(tmp_path)))
    assert words[-4:] == ["--engine", "dask", "--scheduler", "tcp://10.0.0.5:8786"]


def test_the_environment_of_the_project_is_the_lock_of_the_checkout() -> None:
    """MLflow resolves the path from the project's folder, wherever the file itself lies."""
    environment = yaml.safe_load((ROOT / "training/python_env.yaml").read_text("utf-8"))
    assert environment["dependencies"] == ["-r requirements.lock"]
    assert (ROOT / "requirements.lock").is_file()


@pytest.mark.full
def test_the_project_really_trains(town: ClaimsFolder, room: Catalogue, server: Server, tmp_path: Path) -> None:
    (tmp_path / "fraud.toml").write_text(tomlkit.dumps({"rooms": {"features": str(room.path)}}), "utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/provider_risk.toml").write_text(tomlkit.dumps(PROVIDER_SPEC), "utf-8")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    environment = {
        **os.environ,
        "FRAUD_HOME": str(tmp_path),
        "FRAUD_VAR": str(tmp_path / "var"),
        "FRAUD_TRACKING_URI": uri,
        "MLFLOW_TRACKING_URI": uri,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    run = [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "train", "--env-manager", "local"]
    run += ["-P", f"claims={town.path}", "--experiment-name", "calls"]
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "provider_risk version 1 is champion" in done.stdout
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    assert int(client.get_model_version_by_alias("provider_risk", "champion").version) == 1
    assert len(client.search_runs([client.get_experiment_by_name("calls").experiment_id])) == 1
