from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from fraud.errors import SpecError
from fraud.store import Seen, Store, StoreBusyError
from fraud.store.database import open_database
from tests.store.made import bundle
from tests.store.servers import Server

MANY = 8


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """What each gives, or raises, when all begin at the same moment."""
    gate = threading.Barrier(len(work))

    def one(own: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return own()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


# --- writers that meet ------------------------------------------------------------------------------------


def test_a_claim_that_arrives_many_times_at_once_is_added_once(address: str) -> None:
    with Store(address, busy_ms=30_000) as store:
        became = at_once(*[lambda: store.add_claim(bundle())] * MANY)
        assert sorted(became) == ["added"] + ["unchanged"] * (MANY - 1)
        assert store.claim("c1") == bundle()


def test_versions_that_arrive_at_once_leave_the_latest_in_force_and_keep_every_other(address: str) -> None:
    versions = [bundle(uploaded_at=datetime(2024, 3, d), lines=d) for d in range(1, MANY + 1)]
    with Store(address, busy_ms=30_000) as store:
        became = at_once(*[lambda b=b: store.add_claim(b) for b in versions])
        assert set(became) <= {"added", "replaced", "older"}
        assert store.claim("c1") == versions[-1]
        with store.database.read() as connection:
            kept = connection.execute(sa.text("SELECT count(*) FROM claims_history")).scalar_one()
            lines = connection.execute(sa.text("SELECT count(*) FROM lines")).scalar_one()
    assert (kept, lines) == (MANY - 1, MANY)


def test_claims_in_crossing_orders_do_not_lock_each_other_out(address: str) -> None:
    forth = [bundle(f"c{n}") for n in range(30)]
    with Store(address, busy_ms=30_000) as store:
        became = at_once(*[lambda: store.add_claims(forth), lambda: store.add_claims(forth[::-1])] * 3)
        assert [b for b in became if isinstance(b, Exception)] == []
        assert sum(b.count("added") for b in became) == len(forth)


def test_of_many_requests_with_one_key_a_single_one_takes_it(address: str) -> None:
    with Store(address, busy_ms=30_000) as store:
        found = at_once(*[lambda: store.idempotent("k", b"d")] * MANY)
        assert found.count(None) == 1
        assert found.count(Seen(running=True)) == MANY - 1


def test_work_that_another_transaction_stands_in_the_way_of_is_done_again(postgres: Server) -> None:
    made = postgres.ready_database()
    tries: list[int] = []

    def work(connection: sa.Connection) -> str:
        tries.append(1)
        connection.execute(sa.text("SELECT count(*) FROM decisions"))
        if len(tries) < 3:
            connection.execute(sa.text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"))
        return "done"

    with Store(made) as store:
        assert store.database.transact(work) == "done"
    postgres.drop(made)
    assert len(tries) == 3


# --- a server that is slow, stopped or not ours ------------------------------------------------------------


def test_a_statement_that_takes_too_long_is_ended_and_told_as_busy(postgres: Server) -> None:
    made = postgres.ready_database()
    with Store(made, busy_ms=200) as store:
        began = time.monotonic()
        with pytest.raises(StoreBusyError), store.database.read() as connection:
            connection.execute(sa.text("SELECT pg_sleep(20)"))
        assert time.monotonic() - began < 10
        store.ping()
        with store.database.write_patiently() as connection:
            connection.execute(sa.text("SELECT pg_sleep(0.5)"))
    postgres.drop(made)


def test_a_restart_of_the_server_costs_no_more_than_the_requests_meanwhile(stoppable: Server) -> None:
    with Store(stoppable.new_database(), busy_ms=2_000) as store:
        store.add_claim(bundle())

        def stopped_between() -> None:
            with store.database.write() as connection:
                connection.execute(sa.text("SELECT 1"))
                stoppable.stop()
                connection.execute(sa.text("SELECT 1"))

        with pytest.raises(StoreBusyError):
            stopped_between()
        for ask in (store.ping, lambda: store.add_claim(bundle("c2")), lambda: store.claim("c1")):
            with pytest.raises(StoreBusyError):
                ask()
        stoppable.start()
        assert store.claim("c1") == bundle()
        assert store.add_claim(bundle("c2")) == "added"
        store.ping()


def test_what_was_acknowledged_is_synced_even_where_the_server_would_not(postgres: Server) -> None:
    made = postgres.new_database()
    name = sa.make_url(made).database
    postgres.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    with Store(made) as store, store.database.write() as connection:
        assert connection.execute(sa.text("SHOW synchronous_commit")).scalar_one() == "on"
    postgres.drop(made)


def test_an_address_without_a_driver_means_pg8000(postgres: Server) -> None:
    made = postgres.ready_database()
    with Store(made.replace("postgresql+pg8000://", "postgresql://")) as store:
        assert store.database.writing.dialect.driver == "pg8000"
        assert store.add_claim(bundle()) == "added"
    postgres.drop(made)


def test_a_server_that_refuses_us_is_told_without_the_password(postgres: Server) -> None:
    wrong = sa.make_url(postgres.address).set(database="nowhere", password="s3cret")
    with pytest.raises(SpecError, match="FRAUD_DATABASE_URL") as raised:
        Store(wrong.render_as_string(hide_password=False))
    assert "s3cret" not in str(raised.value)


def test_a_server_that_is_not_there_is_busy() -> None:
    with pytest.raises(StoreBusyError):
        Store("postgresql://fraud@127.0.0.1:1/fraud", busy_ms=200)


def test_a_driver_that_is_not_installed_is_named_with_the_remedy() -> None:
    with pytest.raises(SpecError, match=r"pip install 'fraud\[postgres\]'"):
        open_database("postgresql+nodriver://fraud@localhost/fraud")


def test_a_word_that_sslmode_does_not_know_is_refused() -> None:
    with pytest.raises(SpecError, match="sslmode.*verify-full"):
        open_database("postgresql://fraud@localhost/fraud?sslmode=sometimes")


@pytest.mark.parametrize("mode", ["require", "verify-full"])
def test_a_server_without_encryption_is_refused_where_it_is_demanded(postgres: Server, mode: str) -> None:
    with pytest.raises(StoreBusyError):
        Store(f"{postgres.address}&sslmode={mode}", busy_ms=200)


# --- values -----------------------------------------------------------------------------------------------


def test_times_and_figures_at_their_ends_come_back_as_they_were(address: str) -> None:
    given = bundle(
        settled_at=datetime(9999, 12, 31, 23, 59, 59, 999999),
        admitted_at=datetime(1, 1, 1) + timedelta(microseconds=1),
        total_amount=0.1 + 0.2,
        fund_amount=5e-324,
    )
    with Store(address) as store:
        store.add_claim(given)
        assert store.claim("c1") == given
