from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from typer.testing import CliRunner

from fraud.cli import app
from fraud.errors import InputError
from fraud.store import Store, StoreRevisionError, migrations, refreshes
from fraud.store.database import Database, open_database
from fraud.store.migrating import downgrade, revision, upgrade
from fraud.store.migrations import HEAD, REVISIONS, metadata
from fraud.store.refreshes import Arrived, SnapshotRows
from tests.store.made import bundle


@contextmanager
def opened(address: str) -> Iterator[Database]:
    with closing(open_database(address)) as database:
        yield database


def found_at(address: str) -> str | None:
    with opened(address) as database, database.read() as connection:
        return revision(connection)


def run(address: str, *statements: str) -> None:
    with opened(address) as database, database.write() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def as_before_revisions(address: str) -> None:
    """A database with the first tables, as the program left it that knew no revisions, and with rows in it."""
    with opened(address) as database:
        upgrade(database, REVISIONS[0])
    run(
        address,
        "DROP TABLE alembic_version",
        "DROP TABLE shadow_scores",
        "INSERT INTO snapshot_names (digest, names) VALUES ('d', '[\"a\"]')",
        "INSERT INTO decisions (request_id, claim_id, scored_at, action, response, request) "
        "VALUES ('r', 'c', '2024-01-01 00:00:00', 'pass', '', '')",
    )
    values = {"day": datetime(2024, 3, 1), "data": np.array([7.0], dtype="<f8").tobytes()}
    with opened(address) as database, database.write() as connection:
        kinds = [sa.bindparam("day", type_=sa.DateTime), sa.bindparam("data", type_=sa.LargeBinary)]
        query = "INSERT INTO snapshots VALUES ('provider', 'h1', :day, 'm', 'd', :data)"
        connection.execute(sa.text(query).bindparams(*kinds), values)


# --- one schema -------------------------------------------------------------------------------------------


def test_the_revisions_together_give_exactly_the_tables_of_the_store(empty: str) -> None:
    with opened(empty) as database:
        upgrade(database)
        with database.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata()) == []


def test_the_tables_of_all_modules_are_known_to_the_revisions() -> None:
    folder = Path(migrations.__file__).parents[1]
    define = {p.stem for p in folder.glob("*.py") if "sa.Table(" in p.read_text("utf-8")}
    assert define <= set(migrations._MODULES)


def test_the_needed_revision_is_the_end_of_one_chain() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_heads() == [HEAD]
    assert tuple(s.revision for s in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_an_empty_database_is_brought_to_the_newest_revision_by_opening_it(empty: str) -> None:
    with Store(empty) as store:
        store.add_claim(bundle())
    assert found_at(empty) == HEAD


def test_a_database_that_is_ready_is_opened_without_alembic(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    Store(address).close()
    code = f"import sys; from fraud.store import Store; Store({address!r}); print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_two_processes_that_start_at_once_make_the_tables_once(empty: str) -> None:
    code = f"from fraud.store import Store; input(); Store({empty!r}, busy_ms=60_000).close()"
    both = [subprocess.Popen([sys.executable, "-c", code], stdin=-1, stderr=-1, text=True) for _ in range(2)]
    for process in both:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120)[1] for process in both]
    assert [(p.returncode, t) for p, t in zip(both, told, strict=True)] == [(0, "")] * 2
    assert found_at(empty) == HEAD


# --- other revisions --------------------------------------------------------------------------------------


def test_a_database_of_an_earlier_revision_is_refused_and_the_command_is_named(empty: str) -> None:
    with opened(empty) as database:
        upgrade(database, "0001")
    with pytest.raises(StoreRevisionError, match=f"revision 0001.*needs {HEAD}.*`fraud db upgrade`"):
        Store(empty)
    assert found_at(empty) == "0001"
    with opened(empty) as database:
        assert upgrade(database) == ("0001", HEAD)
    Store(empty).close()


def test_a_database_of_a_later_revision_is_refused_by_opening_and_by_upgrading(address: str) -> None:
    Store(address).close()
    run(address, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreRevisionError, match="later version made it"):
        Store(address)
    with opened(address) as database, pytest.raises(StoreRevisionError, match="9999"):
        upgrade(database)


def test_tables_from_before_there_were_revisions_are_taken_over_with_their_rows(empty: str) -> None:
    as_before_revisions(empty)
    with pytest.raises(StoreRevisionError, match=f"revision {REVISIONS[0]}"):
        Store(empty)
    assert found_at(empty) == REVISIONS[0]
    with opened(empty) as database:
        upgrade(database)
    with Store(empty) as store:
        found = store.snapshot("provider", "h1", datetime(2024, 4, 1), "m")
        decided = store.decision("r")
        assert store.shadow_score("r") is None
    assert found is not None
    assert found.values == {"a": 7.0}
    assert decided is not None


def test_tables_of_another_program_under_our_names_are_refused(empty: str) -> None:
    run(empty, "CREATE TABLE decisions (other TEXT)")
    with pytest.raises(StoreRevisionError, match="other programs"):
        Store(empty)


def test_going_back_keeps_the_snapshots_that_were_read(empty: str) -> None:
    day = datetime(2024, 3, 1)
    with opened(empty) as database:
        upgrade(database, "0001")
        for value in (1.0, 2.0):
            rows = SnapshotRows("provider", day, ["h1"], ["a"], np.array([[value]]))
            number = database.transact(lambda c: refreshes.begin(c, day))
            database.transact(lambda c, r=rows, n=number: refreshes.put(c, r, n))
            database.transact(lambda c, n=number: refreshes.publish(c, n, day, Arrived(0, None), {}))
        unread = SnapshotRows("provider", day, ["h1"], ["a"], np.array([[3.0]]))
        number = database.transact(lambda c: refreshes.begin(c, day))
        database.transact(lambda c: refreshes.put(c, unread, number))
        assert downgrade(database, "0000") == ("0001", "0000")
        upgrade(database)
    with Store(empty) as store:
        found = store.snapshot("provider", "h1", day)
    assert found is not None
    assert found.values == {"a": 2.0}


def test_going_back_is_refused_where_something_would_be_lost(address: str) -> None:
    with opened(address) as database:
        with pytest.raises(InputError, match="no lossless way back to revision 0000.*Nothing was changed"):
            downgrade(database, "0000")
        with database.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata()) == []
    assert found_at(address) == HEAD


def test_going_to_what_is_no_earlier_revision_is_refused(empty: str) -> None:
    with opened(empty) as database:
        upgrade(database, REVISIONS[0])
        with pytest.raises(InputError, match="is no revision"):
            downgrade(database, "0099")
        with pytest.raises(InputError, match="Go forward"):
            downgrade(database, HEAD)


def test_the_command_line_tells_and_changes_the_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_DATABASE_URL", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setenv("FRAUD_VAR", str(tmp_path))

    def say(*words: str) -> object:
        done = CliRunner().invoke(app, ["db", *words, "--json"], catch_exceptions=False)
        assert done.exit_code == 0
        return json.loads(done.stdout)

    assert say("current") == {"revision": None, "needed": HEAD}
    assert say("upgrade") == {"before": None, "after": HEAD}
    assert say("upgrade") == {"before": HEAD, "after": HEAD}
    assert say("downgrade", "0002") == {"before": HEAD, "after": "0002"}
    listed = say("history")
    assert isinstance(listed, list)
    assert [r["revision"] for r in listed] == list(REVISIONS)
    assert [r["current"] for r in listed] == [number == "0002" for number in REVISIONS]
    assert all(len(r["says"]) > 10 for r in listed)
