"""The ledger: one chain, whoever adds to it, and every way of tampering with it is found."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from fraud.errors import InputError
from fraud.store import Ledger, Store
from fraud.store.ledger import Event, Record, Seal
from tests.access.parts import EVERYWHERE


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store.database)


def fill(ledger: Ledger, count: int = 6) -> None:
    ledger.add(*(Event("claim.read", "1a2b3c4d", Record("claim", f"c-{i}"), person=f"p-{i % 2}") for i in range(count)))


def tamper(store: Store, *statements: str) -> None:
    """Do what only the owner of the table can: change it behind the back of its guards."""
    with store.database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("ALTER TABLE ledger DISABLE TRIGGER USER")
        else:
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS ledger_no_update")
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS ledger_no_delete")
        for statement in statements:
            connection.exec_driver_sql(statement)


def broken(ledger: Ledger, seal: Seal | None = None) -> list[tuple[int, str]]:
    return [(b.position, b.code) for b in ledger.verify(seal).breaks]


@EVERYWHERE
@pytest.mark.requirement("000-41")
def test_a_ledger_that_nobody_touched_holds(ledger: Ledger) -> None:
    fill(ledger)
    found = ledger.verify()
    assert (found.holds, found.entries, found.head) == (True, 6, ledger.seal())


def test_an_empty_ledger_holds_and_has_a_seal(ledger: Ledger) -> None:
    assert ledger.verify(ledger.seal()).holds
    assert ledger.seal() == Seal(0, "0" * 64)


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE ledger SET who = 'somebody' WHERE position = 3", [(3, "changed")]),
        ("UPDATE ledger SET at = '2001-01-01' WHERE position = 6", [(6, "changed")]),
        ("UPDATE ledger SET details = '{\"a\":1}' WHERE position = 1", [(1, "changed")]),
        ("UPDATE ledger SET purpose = 'audit' WHERE position = 2", [(2, "changed")]),
        ("DELETE FROM ledger WHERE position = 3", [(4, "missing")]),
        ("DELETE FROM ledger WHERE position <= 2", [(3, "missing")]),
    ],
)
@pytest.mark.requirement("000-41")
def test_a_changed_or_removed_entry_is_found_where_it_is(
    store: Store, ledger: Ledger, statement: str, where: list[tuple[int, str]]
) -> None:
    fill(ledger)
    tamper(store, statement)
    assert broken(ledger) == where


def test_two_entries_that_changed_places_are_found(store: Store, ledger: Ledger) -> None:
    fill(ledger)
    tamper(
        store,
        "UPDATE ledger SET position = 100 WHERE position = 2",
        "UPDATE ledger SET position = 2 WHERE position = 3",
        "UPDATE ledger SET position = 3 WHERE position = 100",
    )
    assert {position for position, _ in broken(ledger)} >= {2, 3, 4}


def test_an_entry_that_was_forged_with_its_hash_is_found_at_the_one_after_it(store: Store, ledger: Ledger) -> None:
    fill(ledger)
    entry = ledger.entries(most=4)[-1]
    forged = type(entry)(**vars(entry) | {"who": "nobody"})
    tamper(store, f"UPDATE ledger SET who = 'nobody', hash = '{forged.expected_hash()}' WHERE position = 3")
    assert broken(ledger) == [(4, "order")]


@EVERYWHERE
def test_entries_cut_off_at_the_end_are_found_by_a_seal_that_was_kept(store: Store, ledger: Ledger) -> None:
    fill(ledger)
    kept = Seal.read(str(ledger.seal()))
    tamper(store, "DELETE FROM ledger WHERE position > 4")
    assert broken(ledger) == []
    assert broken(ledger, kept) == [(6, "sealed")]


def test_a_seal_holds_while_the_chain_grows(ledger: Ledger) -> None:
    fill(ledger)
    kept = ledger.seal()
    fill(ledger)
    assert ledger.verify(kept).holds


def test_a_text_that_is_no_seal_is_refused() -> None:
    with pytest.raises(InputError, match="no seal"):
        Seal.read("12:abc")


@EVERYWHERE
@pytest.mark.parametrize("statement", ["UPDATE ledger SET who = 'x'", "DELETE FROM ledger"])
@pytest.mark.requirement("000-39")
def test_the_database_itself_refuses_to_change_an_entry(store: Store, ledger: Ledger, statement: str) -> None:
    fill(ledger)
    with (
        pytest.raises((sa.exc.DBAPIError, sqlite3.Error), match="only ever added"),
        store.database.write() as connection,
    ):
        connection.exec_driver_sql(statement)
    assert ledger.verify().entries == 6


def test_the_ledger_names_nobody_and_still_finds_all_that_concerns_a_person(store: Store, ledger: Ledger) -> None:
    fill(ledger)
    ledger.add(Event("patient.read", "k", Record("patient", "p-1"), person="p-1", purpose="complaint 7"))
    with store.database.read() as connection:
        rows = connection.execute(sa.text("SELECT * FROM ledger")).all()
    assert "p-1" not in repr(rows)
    assert "c-1" not in repr(rows)
    of_person = Ledger(store.database).entries(Record("patient", "p-1"))
    assert [e.what for e in of_person] == ["patient.read", *["claim.read"] * 3]
    assert len(ledger.entries(Record("claim", "c-1"))) == 1
    assert ledger.entries(Record("patient", "p-9")) == ()
    assert [e.purpose for e in ledger.entries(who="k")] == ["complaint 7"]


def test_names_of_another_installation_lead_nowhere(ledger: Ledger, tmp_path: Path) -> None:
    with Store(f"sqlite:///{tmp_path / 'other.db'}") as other:
        assert Ledger(other.database).name(Record("patient", "p-1")) != ledger.name(Record("patient", "p-1"))
    assert ledger.name(Record("patient", "p-1")) != ledger.name(Record("claim", "p-1"))


@EVERYWHERE
def test_an_entry_falls_with_the_transaction_that_it_belongs_to(store: Store, ledger: Ledger) -> None:
    def fail(connection: sa.Connection) -> None:
        ledger.add_in(connection, Event("key.added", "person:x", Record("claim", "c-1")))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.database.transact(fail)
    assert ledger.seal().position == 0
    fill(ledger)
    assert ledger.entries(Record("claim", "c-1"))


@EVERYWHERE
def test_threads_that_add_at_once_make_one_chain(store: Store) -> None:
    ledgers = [Ledger(store.database) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda o: [fill(o, 2) for _ in range(5)], ledgers))
    found = ledgers[0].verify()
    assert (found.holds, found.entries) == (True, 40)


@EVERYWHERE
def test_processes_that_add_at_once_make_one_chain(url: str, ledger: Ledger) -> None:
    program = textwrap.dedent(f"""
        from fraud.store import Ledger, Store
        from fraud.store.ledger import Event
        with Store({url!r}) as store:
            for i in range(25):
                Ledger(store.database).add(Event("claim.read", "k"), Event("claim.read", "k"))
    """)
    other = subprocess.Popen([sys.executable, "-c", program])
    mine = 0
    while other.poll() is None:
        fill(ledger, 2)
        mine += 2
        time.sleep(0.01)
    assert other.wait(60) == 0
    found = ledger.verify()
    assert (found.holds, found.entries) == (True, 50 + mine)
