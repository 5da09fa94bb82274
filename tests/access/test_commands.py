"""The commands of those on duty: keys, ledger, doctor, retention."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from fraud.cli import app
from fraud.commands.doctor import Check, examined
from fraud.commands.keys import who
from fraud.commands.ledger import write_down
from fraud.config import load_settings
from fraud.errors import FraudError
from fraud.store import Decision, Keys, Ledger, Store
from fraud.store.ledger import Event
from fraud.store.retention import before, due
from fraud.store.versions import as_json
from tests.store.made import DAY, bundle
from tests.web.room import write_room

PEOPLE = ("--approved-by", "B. Second", "--witness", "Wang Wei")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A payer's home of its own."""
    made = write_room(tmp_path / "home")
    for name in ("FRAUD_VAR", "FRAUD_DATABASE_URL", "FRAUD_TRACKING_URI", "FRAUD_DATA_KEY", "FRAUD_DATA_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FRAUD_HOME", str(made))
    return made


@pytest.fixture
def database(home: Path) -> str:
    return f"sqlite:///{home / 'var' / 'fraud.db'}"


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    with Store(database) as opened:
        yield opened


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def told(*arguments: str) -> Any:
    """What a command prints as JSON."""
    found = run(*arguments, "--json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


# --- keys and ledger --------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_never_again(home: Path) -> None:
    made = told("keys", "add", "east", "--role", "claims-system", "--region", "33*", "--days", "30")
    assert made["key"].startswith("fraud_")
    assert made["regions"] == ["33*"]
    listed = run("keys", "list", "--json").stdout
    assert made["key"] not in listed
    assert json.loads(listed)[0]["state"] == "valid"


def test_a_key_can_be_printed_alone_for_a_pipe(home: Path) -> None:
    found = run("keys", "add", "east", "--role", "auditor")
    assert found.stdout.strip().startswith("fraud_")
    assert len(found.stdout.split()) == 1


def test_keys_are_rotated_and_revoked_by_their_ids(home: Path) -> None:
    first = told("keys", "add", "east", "--role", "auditor")
    second = told("keys", "rotate", first["key_id"], "--overlap-hours", "0")
    told("keys", "revoke", second["key_id"], "--reason", "lost", "--by", "li")
    assert [k["state"] for k in told("keys", "list")] == ["expired", "revoked"]
    entries = told("ledger", "show")
    assert [e["what"] for e in entries] == ["key.revoked", "key.rotated", "key.added"]
    assert (entries[0]["who"], entries[0]["purpose"]) == ("person:li", "lost")


def test_the_ledger_is_verified_against_a_seal_that_was_kept(home: Path, store: Store) -> None:
    told("keys", "add", "east", "--role", "auditor")
    seal = run("ledger", "seal").stdout.strip()
    told("keys", "add", "west", "--role", "auditor")
    assert told("ledger", "verify", "--seal", seal)["entries"] == 2
    with store.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER ledger_no_update")
        connection.exec_driver_sql("UPDATE ledger SET who = 'nobody' WHERE position = 1")
    found = run("ledger", "verify", "--json")
    assert isinstance(found.exception, FraudError)
    assert found.exception.exit_code == 3
    assert "entry 1" in found.exception.message


def test_all_that_was_read_of_a_person_is_found_by_the_persons_id(home: Path, store: Store) -> None:
    Ledger(store.database).add(Event("claim.read", "1a2b3c4d", person="p-1"), Event("claim.read", "1a2b3c4d"))
    assert len(told("ledger", "show", "--record", "patient:p-1")) == 1
    assert "KIND:ID" in str(run("ledger", "show", "--record", "p-1").exception)


# --- doctor -----------------------------------------------------------------------------------------------


def state(checks: list[Check]) -> dict[str, str]:
    return {c.name: c.state for c in checks}


def test_a_new_home_is_told_what_is_still_to_be_made(home: Path) -> None:
    found = list(examined())
    assert state(found) == {"settings": "ok", "disk": "ok", "database": "warn", "models": "warn"}
    assert all(c.advice for c in found if c.state != "ok")
    assert not (home / "var").exists()


def test_a_healthy_service_is_told_so_line_by_line(home: Path, store: Store) -> None:
    Keys(store.database).add("east", "auditor", "person:x")
    found = run("doctor")
    assert found.exit_code == 1
    lines = found.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["ok"] * 7 + ["warn"]
    assert state(list(examined())) | {"models": "ok"} == dict.fromkeys(
        ("settings", "disk", "database", "clock", "keys", "data key", "ledger", "models"), "ok"
    )


@pytest.mark.requirement("001-40")
def test_a_broken_chain_is_a_fault_and_the_place_is_named(home: Path, store: Store) -> None:
    Ledger(store.database).add(*[Event("claim.read", "k")] * 3)
    with store.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER ledger_no_delete")
        connection.exec_driver_sql("DELETE FROM ledger WHERE position = 2")
    found = run("doctor", "--json")
    assert found.exit_code == 2
    ledger = next(c for c in json.loads(found.stdout)["checks"] if c["name"] == "ledger")
    assert ledger["state"] == "fail"
    assert "entry 3" in ledger["says"]
    assert "ledger" not in state(list(examined(quick=True)))


@pytest.mark.parametrize(
    ("days", "rotated", "expected"), [(365, False, "ok"), (10, False, "warn"), (10, True, "ok"), (None, False, "warn")]
)
def test_keys_that_end_soon_are_named_unless_they_were_replaced(
    home: Path, store: Store, days: float | None, rotated: bool, expected: str
) -> None:
    keys = Keys(store.database)
    if days:
        made, _ = keys.add("east", "auditor", "person:x", days=days)
        if rotated:
            keys.rotate(made.key_id, "person:x", overlap_hours=1)
    assert state(list(examined(quick=True)))["keys"] == expected


def test_keys_that_are_all_dead_are_a_fault(home: Path, store: Store) -> None:
    keys = Keys(store.database)
    keys.revoke(keys.add("east", "auditor", "person:x")[0].key_id, "person:x")
    assert state(list(examined(quick=True)))["keys"] == "fail"


def test_a_clock_behind_what_the_ledger_heard_is_a_fault(home: Path, store: Store) -> None:
    Ledger(store.database, lambda: datetime.now(UTC) + timedelta(hours=1)).add(Event("claim.read", "k"))
    assert state(list(examined(quick=True)))["clock"] == "fail"


def test_a_missing_data_key_is_a_fault_that_says_which(home: Path, database: str) -> None:
    Store(database, environ={"FRAUD_DATA_KEY": "ab" * 32}).close()
    found = next(c for c in examined(quick=True) if c.name == "database")
    assert found.state == "fail"
    assert "FRAUD_DATA_KEY_FILE" in found.says


def test_settings_that_cannot_be_read_end_the_examination(home: Path) -> None:
    (home / "fraud.toml").write_text("[nonsense]\n", "utf-8")
    assert state(list(examined())) == {"settings": "fail"}
    assert run("doctor").exit_code == 2


def test_a_service_that_listens_on_the_network_is_told_of_tls(home: Path) -> None:
    (home / "fraud.toml").write_text('[service]\nhost = "0.0.0.0"\n', "utf-8")
    assert state(list(examined(quick=True)))["settings"] == "warn"


# --- retention --------------------------------------------------------------------------------------------


def _old(store: Store) -> None:
    """One claim, version, decision and outcome of long ago, and one of each of today."""
    for name, days in (("old", -5_000), ("new", 0)):
        store.add_claim(bundle(name, days=days, total_amount=1.0))
        store.add_claim(bundle(name, days=days, uploaded_at=datetime(2024, 5, 1)))
        at = DAY + timedelta(days=days)
        store.put_decision(Decision(name, name, at, "pass", b"{}", as_json(bundle(name))))


@pytest.mark.requirement("000-40", "002-52")
def test_only_what_is_older_than_the_time_of_keeping_is_destroyed_with_a_record(home: Path, store: Store) -> None:
    _old(store)
    rows = told("retention")["rows"]
    found = {name: n for name, n in rows.items() if n}
    assert found == {"claims": 1, "lines": 2, "diagnoses": 1, "procedures": 1, "claims_history": 1, "decisions": 1}
    assert store.claim("old") is not None
    done = told("retention", "--destroy", *PEOPLE, "--by", "x")
    assert (done["rows"], done["destroyed"]) == (rows, True)
    assert (store.claim("old"), store.decision("old")) == (None, None)
    assert store.claim("new") is not None
    assert store.decision("new") is not None
    first, second = reversed(Ledger(store.database).entries())
    details = first.as_dict()["details"]
    assert (first.what, second.what, first.who) == ("retention.destroyed", "retention.rewritten", "person:x")
    assert (details["approved_by"], details["witness"], details["rows"]) == ("B. Second", "Wang Wei", rows)
    assert "VACUUM" in second.as_dict()["details"]["method"]


@pytest.mark.requirement("002-52")
def test_nothing_is_left_of_it_in_the_files(home: Path, store: Store) -> None:
    store.add_claim(bundle("old", days=-5_000, patient_id="zhang-san-of-long-ago"))
    told("retention", "--destroy", *PEOPLE)
    files = b"".join(f.read_bytes() for f in (home / "var").glob("fraud.db*"))
    assert b"zhang-san-of-long-ago" not in files


@pytest.mark.parametrize(
    "people", [(), ("--approved-by", "B. Second"), ("--approved-by", "B. Second", "--witness", " b. second ")]
)
def test_one_person_alone_destroys_nothing(home: Path, store: Store, people: tuple[str, ...]) -> None:
    _old(store)
    assert isinstance(run("retention", "--destroy", *people).exception, FraudError)
    assert store.claim("old") is not None


def test_destroying_nothing_leaves_no_record(home: Path, store: Store) -> None:
    told("retention", "--destroy", *PEOPLE)
    assert Ledger(store.database).entries() == ()


def test_how_long_is_a_setting_and_must_be_a_number_of_years(home: Path, store: Store) -> None:
    _old(store)
    (home / "fraud.toml").write_text("[retention]\nyears = 30\n", "utf-8")
    assert not any(told("retention")["rows"].values())
    (home / "fraud.toml").write_text('[retention]\nyears = "ten"\n', "utf-8")
    assert "years is a whole number" in str(run("retention").exception)


def test_the_day_before_which_things_are_old_exists_in_every_year() -> None:
    assert before(datetime(2026, 11, 22, 8, 30), 10) == datetime(2016, 11, 22)
    assert before(datetime(2028, 2, 29), 1) == datetime(2027, 2, 28)


def test_what_is_due_is_counted_on_the_day_and_not_before(store: Store) -> None:
    store.add_claim(bundle("c", days=0))
    assert due(store.database, DAY)["claims"] == 0
    assert due(store.database, DAY + timedelta(seconds=1))["claims"] == 1


# --- the data key -----------------------------------------------------------------------------------------


def test_a_database_is_sealed_and_unsealed_by_command(
    home: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(database) as opened:
        opened.add_claim(bundle("c", patient_id="zhang-san"))
    file = tmp_path / "new.key"
    file.write_text("sm4:" + "cd" * 32)
    done = told("keys", "data", "rotate", "--to", str(file))
    assert (done["from"], done["rows"]["claims"]) == (None, 1)
    assert b"zhang-san" not in b"".join(f.read_bytes() for f in (home / "var").glob("fraud.db*"))
    monkeypatch.setenv("FRAUD_DATA_KEY_FILE", str(file))
    assert told("keys", "data", "show")["data_key"] == done["to"]
    assert told("keys", "data", "rotate", "--remove")["to"] is None
    assert "Say one of" in str(run("keys", "data", "rotate").exception)


# --- what else is told ------------------------------------------------------------------------------------


@pytest.mark.requirement("000-39")
def test_what_is_done_to_models_is_told_with_both_persons_and_the_reason(home: Path, store: Store) -> None:
    settings = load_settings()
    write_down(settings, "model.promoted", who("li"), "better lists", model="claim_risk", version=7, approved_by="wang")
    entry = Ledger(store.database).entries()[0].as_dict()
    assert (entry["what"], entry["who"], entry["purpose"]) == ("model.promoted", "person:li", "better lists")
    assert entry["details"] == {"model": "claim_risk", "version": 7, "approved_by": "wang"}


def test_what_was_done_stays_done_when_the_ledger_cannot_be_reached(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "var" / "fraud.db").mkdir(parents=True)
    write_down(load_settings(), "model.promoted", who("li"))
    assert "the ledger does not know of it" in capsys.readouterr().err
