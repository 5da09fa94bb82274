"""Tips: taken with a receipt, led to a case, answered; never a label."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from fraud.errors import InputError, NotKnownError
from fraud.store import Ledger, Store
from fraud.store.ciphers import KEY
from fraud.store.ledger import Record
from fraud.store.tables import CANONICAL
from fraud.store.tips import Tips
from tests.access.parts import Clock

TOLD = {"entity": "patient", "entity_id": "p-1", "text": "The card was lent to a cousin.", "channel": "phone"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Iterator[Store]:
    shutil.copyfile(empty, tmp_path / "tips.db")
    with Store(f"sqlite:///{tmp_path / 'tips.db'}", busy_ms=60_000, environ={KEY: "7" * 64}) as opened:
        yield opened


@pytest.fixture
def tips(store: Store, clock: Clock) -> Tips:
    return Tips(store.database, clock)


@pytest.mark.requirement("000-06", "002-71")
def test_a_tip_has_a_receipt_a_time_and_a_day_by_which_it_is_answered(tips: Tips, clock: Clock) -> None:
    tip = tips.receive("user:a", **TOLD)
    assert tip.receipt.startswith("TIP-20260301-")
    assert (tip.received_at, tip.due_at) == (clock(), clock() + timedelta(days=60))
    assert tips.link(tip.receipt, "case-7", "user:b").state == "linked"
    closed = tips.close(tip.receipt, "Looked into; thank you.", "user:b")
    assert (closed.state, closed.case_id, closed.feedback) == ("closed", "case-7", "Looked into; thank you.")
    with pytest.raises(InputError, match="closed"):
        tips.link(tip.receipt, "case-8", "user:b")


@pytest.mark.requirement("000-06")
def test_a_tip_is_a_lead_and_never_becomes_an_outcome(tips: Tips, store: Store) -> None:
    tip = tips.receive("user:a", **TOLD)
    tips.link(tip.receipt, "case-7", "user:b")
    tips.close(tip.receipt, "It was as told.", "user:b")
    assert [t.receipt for t in tips.about("patient", "p-1")] == [tip.receipt]
    with store.database.read() as connection:
        rows = connection.execute(sa.select(sa.func.count()).select_from(CANONICAL["outcomes"])).scalar_one()
    assert rows == 0


def test_everything_that_a_tip_lacks_is_said_at_once(tips: Tips) -> None:
    with pytest.raises(InputError) as caught:
        tips.receive("user:a", entity="moon", entity_id=" ", text="", channel="dream", contact="x" * 300)
    assert [f.where for f in caught.value.faults] == ["entity", "entity_id", "text", "channel", "contact"]


def test_what_was_told_and_about_whom_is_sealed_where_the_database_is(tips: Tips, tmp_path: Path) -> None:
    tips.receive("user:a", **{**TOLD, "entity_id": "person-4711"}, contact="call 12345678")
    stored = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    for plain in (b"cousin", b"person-4711", b"12345678"):
        assert plain not in stored


def test_the_ledger_says_who_took_and_read_a_tip_about_whom(tips: Tips, store: Store) -> None:
    tip = tips.receive("user:a", **TOLD)
    tips.note_read(tip, "user:b")
    entries = Ledger(store.database).entries(Record("patient", "p-1"))
    assert [(e.what, e.who) for e in entries] == [("tip.read", "user:b"), ("tip.received", "user:a")]


def test_a_receipt_that_nobody_gave_is_not_known(tips: Tips) -> None:
    with pytest.raises(NotKnownError):
        tips.get("TIP-20260301-000000")
