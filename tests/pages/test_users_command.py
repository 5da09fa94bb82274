"""`fraud users`, as it is typed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fraud.cli import app
from fraud.errors import InputError, NotKnownError
from fraud.store import Ledger, Store
from fraud.store.people import People
from fraud.store.sessions import Sessions
from tests.pages.visitors import QUICK
from tests.web.room import write_room

Run = Callable[..., Result]


@pytest.fixture
def url(tmp_path: Path, empty: Path) -> str:
    shutil.copyfile(empty, tmp_path / "people.db")
    return f"sqlite:///{tmp_path / 'people.db'}"


@pytest.fixture
def run(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("FRAUD_HOME", str(write_room(tmp_path / "home")))
    monkeypatch.setenv("FRAUD_DATABASE_URL", url)
    monkeypatch.setattr("fraud.store.people.usual_hasher", lambda: QUICK)
    return lambda *words, given=None: CliRunner().invoke(app, ["users", *words], input=given)


def test_the_first_administrator_is_added_and_the_password_opens_the_door_once_changed(run: Run, url: str) -> None:
    assert "fraud users add NAME --role admin" in run("list").stderr
    added = run("add", "li.na", "--role", "admin", "--display-name", "李娜", "--by", "root")
    assert added.exit_code == 0
    first = added.stdout.strip()
    with Store(url) as store:
        known = People(store.database, hasher=QUICK)
        assert known.sign_in("li.na", first, "", "127.0.0.1").must_change
        assert Ledger(store.database).entries(what="user.added")[0].who == "person:root"
    assert "李娜" in run("list").stdout


def test_a_password_may_come_from_standard_input_and_is_not_shown(run: Run, url: str) -> None:
    added = run("add", "wang", "--role", "auditor", "--password-stdin", given="a long walk by the river\n")
    assert (added.stdout, added.exit_code) == ("", 0)
    with Store(url) as store:
        People(store.database, hasher=QUICK).sign_in("wang", "a long walk by the river", "", "127.0.0.1")
    assert isinstance(run("add", "li", "--role", "auditor", "--password-stdin", given="").exception, InputError)


def test_disabling_and_resetting_end_all_sessions(run: Run, url: str) -> None:
    run("add", "root", "--role", "admin")
    for command in ("reset", "disable"):
        made = json.loads(run("add", f"to-{command}", "--role", "auditor", "--json").stdout)
        with Store(url) as store:
            person = People(store.database).named(f"to-{command}")
            Sessions(store.database).begin(person, "127.0.0.1", "a test")
        done = json.loads(run(command, f"to-{command}", "--json").stdout)
        assert done["state"] == {"reset": "new", "disable": "disabled"}[command]
        assert done.get("password") != made["password"]
        with Store(url) as store:
            assert Sessions(store.database).of(person.user_id) == ()


def test_somebody_signs_in_elsewhere_once_linked_and_here_again_once_not(run: Run, url: str) -> None:
    run("add", "wang", "--role", "auditor")
    assert isinstance(run("link", "wang", "--subject", "s-1").exception, InputError)
    linked = json.loads(run("link", "wang", "--subject", "s-1", "--issuer", "https://id.example", "--json").stdout)
    assert (linked["issuer"], linked["state"]) == ("https://id.example", "active")
    with Store(url) as store:
        assert Ledger(store.database).entries(what="user.linked")
    back = json.loads(run("unlink", "wang", "--json").stdout)
    assert (back["issuer"], back["state"], len(back["password"]) > 11) == (None, "new", True)


def test_a_lock_is_lifted_and_a_name_that_nobody_has_is_told(run: Run) -> None:
    run("add", "wang", "--role", "auditor")
    assert "may try again" in run("unlock", "wang").stdout
    assert isinstance(run("unlock", "wong").exception, NotKnownError)
    assert isinstance(run("add", "wang", "--role", "auditor").exception, InputError)
