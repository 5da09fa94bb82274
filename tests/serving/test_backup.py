"""Copies of the database that are whole, and that a service starts from again."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud.cli import app
from fraud.errors import InputError
from fraud.scoring.scorer import ClaimScorer
from fraud.signals.catalogue import Catalogue
from fraud.store import Store
from fraud.store.backups import back_up, file_of
from fraud.web.app import build_app
from fraud.web.running.runtime import Models, Runtime
from tests.web.client import Client, body

SCORE = "/v1/claims/score"


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'fraud.db'}"


@pytest.mark.requirement("002-42")
def test_a_copy_made_under_load_has_every_decision_that_was_acknowledged_before(
    two_rules: Catalogue, tmp_path: Path
) -> None:
    with Store(database(tmp_path), busy_ms=60_000) as store:
        client = Client(build_app(Runtime(store, two_rules, ClaimScorer(two_rules, None), Models())))
        before = [client.post(SCORE, json=body(f"before-{n}")).json()["request_id"] for n in range(20)]
        copied = threading.Thread(target=back_up, args=(tmp_path / "fraud.db", tmp_path / "copy" / "fraud.db"))
        copied.start()
        for n in range(20):
            assert client.post(SCORE, json=body(f"during-{n}")).status_code == 200
        copied.join()
        kept = {r: store.decision(r) for r in before}
        client.close()
    with Store(database(tmp_path / "copy")) as restored:
        assert {r: restored.decision(r) for r in before} == kept
        assert restored.claim("before-7") is not None


def test_a_copy_is_one_file_that_nobody_else_reads_and_nothing_else_is_left(store: Store, tmp_path: Path) -> None:
    made = back_up(tmp_path / "service.db", tmp_path / "copies" / "service.db")
    assert [path.name for path in made.path.parent.iterdir()] == ["service.db"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert made.bytes == made.path.stat().st_size > 0


def test_nothing_is_overwritten_and_no_half_copy_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no database"):
        back_up(tmp_path / "none.db", tmp_path / "copy.db")
    source = tmp_path / "broken.db"
    source.write_bytes(b"no database at all, however long it may be" * 100)
    with pytest.raises(InputError, match="cannot be copied"):
        back_up(source, tmp_path / "copy.db")
    with pytest.raises(InputError, match="is there already"):
        back_up(source, source)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.db"]


def test_the_command_copies_the_database_and_the_registry_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fraud.db", "mlflow.db"):
        with Store(f"sqlite:///{tmp_path / name}"):
            pass
    (tmp_path / "fraud.toml").touch()
    monkeypatch.setenv("FRAUD_HOME", str(tmp_path))
    monkeypatch.setenv("FRAUD_DATABASE_URL", database(tmp_path))
    monkeypatch.setenv("FRAUD_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    done = CliRunner().invoke(app, ["db", "backup", str(tmp_path / "copies"), "--json"])
    assert done.exit_code == 0, done.output
    assert [Path(made["path"]).name for made in json.loads(done.stdout)] == ["fraud.db", "mlflow.db"]


def test_a_database_on_a_server_is_left_to_its_own_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_DATABASE_URL", "postgresql+pg8000://fraud@localhost/fraud")
    done = CliRunner().invoke(app, ["db", "backup", str(tmp_path / "copies")])
    assert isinstance(done.exception, InputError)
    assert "pg_dump" in done.exception.message
    assert file_of("sqlite://") is None
    assert file_of("no address at all") is None
