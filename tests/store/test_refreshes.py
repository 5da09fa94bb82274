from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from fraud.claims.folder import connect
from fraud.errors import FraudError
from fraud.store import Store
from tests.store.made import DAY, bundle, claim, row
from tests.store.test_store import Clock, count, write_folder

LATER = DAY - timedelta(days=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(address: str, clock: Clock) -> Iterator[Store]:
    with Store(address, clock) as opened:
        yield opened


def put(store: Store, values: dict[str, float], refresh: int | None, day: datetime = LATER) -> None:
    rows = np.array([[v] for v in values.values()])
    store.put_snapshots("provider", day, list(values), ["a"], rows, model="m", refresh=refresh)


def read(store: Store, *ids: str) -> list[float | None]:
    """What claims at these providers are scored with, read one by one; reading many at once must say the same."""
    claims = [claim(f"c-{i}", provider_id=i) for i in ids]
    one = [store.history(c, model="m").snapshots for c in claims]
    assert [h.snapshots for h in store.histories(claims, model="m")] == one
    return [s["provider"].values["a"] if s else None for s in one]


def published(store: Store, values: dict[str, float]) -> int:
    number = store.begin_refresh()
    put(store, values, number)
    assert store.publish_refresh(number, store.arrived(), {"m": {"days": ["x"]}}) == len(values)
    return number


def test_a_set_is_not_read_before_it_is_published_and_then_as_a_whole(store: Store) -> None:
    published(store, {"h1": 1.0, "h2": 1.0})
    number = store.begin_refresh()
    put(store, {"h1": 2.0, "h2": 2.0, "h3": 2.0}, number)
    assert read(store, "h1", "h2", "h3") == [1.0, 1.0, None]
    store.publish_refresh(number, store.arrived(), {})
    assert read(store, "h1", "h2", "h3") == [2.0, 2.0, 2.0]


def test_whom_a_set_leaves_out_keeps_the_snapshot_of_the_set_before(store: Store) -> None:
    published(store, {"h1": 1.0, "h2": 1.0})
    published(store, {"h2": 2.0})
    assert read(store, "h1", "h2") == [1.0, 2.0]


def test_a_set_that_is_given_up_is_never_read_and_its_rows_go(store: Store, clock: Clock) -> None:
    published(store, {"h1": 1.0})
    put(store, {"h1": 9.0, "h4": 9.0}, store.begin_refresh())
    published(store, {"h2": 2.0})
    assert read(store, "h1", "h2", "h4") == [1.0, 2.0, None]
    clock.now += timedelta(minutes=2)
    assert store.prune_snapshots() == 2
    assert read(store, "h1", "h2", "h4") == [1.0, 2.0, None]


def test_superseded_snapshots_go_when_no_reader_can_still_ask_for_them(store: Store, clock: Clock) -> None:
    for value in (1.0, 2.0, 3.0):
        published(store, {"h1": value})
    assert store.prune_snapshots() == 0
    clock.now += timedelta(minutes=2)
    assert (store.prune_snapshots(), count(store, "snapshots")) == (2, 1)
    assert read(store, "h1") == [3.0]


def test_a_refresh_that_is_overtaken_by_a_later_one_publishes_nothing(store: Store) -> None:
    early = store.begin_refresh()
    put(store, {"h1": 1.0}, early)
    published(store, {"h1": 2.0})
    with pytest.raises(FraudError, match="Another refresh that began later"):
        store.publish_refresh(early, store.arrived(), {})
    assert read(store, "h1") == [2.0]


def test_what_a_set_knows_and_covers_is_remembered(store: Store, clock: Clock) -> None:
    assert store.last_refresh() is None
    store.add_claim(bundle())
    number = published(store, {"h1": 1.0})
    store.begin_refresh()
    found = store.last_refresh()
    assert found is not None
    assert (found.number, found.snapshots, found.published_at) == (number, 1, clock.now)
    assert (found.arrived.claims, found.arrived.until) == (1, clock.now)
    assert found.covers == {"m": {"days": ["x"]}}


def test_snapshots_that_are_put_one_by_one_count_beside_those_of_sets(store: Store) -> None:
    put(store, {"h1": 1.0}, None)
    published(store, {"h1": 2.0, "h2": 2.0})
    put(store, {"h2": 3.0}, None)
    assert read(store, "h1", "h2") == [2.0, 3.0]


def test_a_later_day_of_an_earlier_set_counts_before_an_earlier_day_of_a_later_set(store: Store) -> None:
    published(store, {"h1": 1.0})
    number = store.begin_refresh()
    put(store, {"h1": 2.0}, number, LATER - timedelta(days=31))
    store.publish_refresh(number, store.arrived(), {})
    assert read(store, "h1") == [1.0]


# --- whom claims touch ------------------------------------------------------------------------------------


def test_touched_are_those_whom_claims_name_that_arrived_since(store: Store, clock: Clock) -> None:
    store.add_claim(bundle("c1", patient_id="p1"))
    clock.now += timedelta(hours=1)
    since = clock.now - timedelta(minutes=1)
    store.add_claims([bundle("c2", days=d, patient_id="p2", physician_id=None) for d in (3,)])
    store.add_claim(bundle("c3", days=1, patient_id="p2", physician_id=None))
    found = store.touched(since)
    assert found["patient"] == {"p2": DAY + timedelta(days=1)}
    assert found["physician"] == {}
    assert set(store.touched(None)["patient"]) == {"p1", "p2"}


def test_a_correction_touches_those_of_the_version_before_too(store: Store, clock: Clock) -> None:
    store.add_claim(bundle("c1", patient_id="p1", provider_id="h1"))
    clock.now += timedelta(hours=1)
    store.add_claim(bundle("c1", patient_id="p2", provider_id="h2", days=5))
    found = store.touched(clock.now - timedelta(minutes=1))
    assert found["patient"] == {"p1": DAY, "p2": DAY + timedelta(days=5)}
    assert set(found["provider"]) == {"h1", "h2"}


def test_a_settlement_in_the_future_is_not_the_last_one(store: Store) -> None:
    assert store.last_settlement(DAY) is None
    store.add_claims([bundle("c1"), bundle("c2", days=40_000)])
    assert store.last_settlement(DAY + timedelta(days=1)) == DAY


# --- export -----------------------------------------------------------------------------------------------


def test_the_exported_folder_holds_what_was_loaded(store: Store, tmp_path: Path) -> None:

    person = row("patients", patient_id="p1", birth_date=DAY.date(), chronic_conditions=["I10", "E11"])
    item = row("catalogue", item_code="X1", category="drug", dialysis=True, age_min=3)
    given = write_folder(
        tmp_path / "given", claims=[claim("c1"), claim("c2", days=9)], patients=[person], catalogue=[item]
    )
    store.load_folder(given)
    online = bundle("c3", planned=True, uploaded_at=datetime(2024, 3, 2, 1, 2, 3, 456789))
    store.add_claim(online)
    told: list[tuple[str, int, int]] = []
    found = store.export(tmp_path / "all", progress=lambda *step: told.append(step))
    recent = store.export(tmp_path / "recent", since=DAY + timedelta(days=1))
    assert found is not None
    assert recent is not None
    assert ("claims", 3, 3) in told
    with connect() as connection:
        found.attach(connection)
        claims = connection.execute("SELECT * FROM claims ORDER BY claim_id").fetchall()
        assert claims[0] == tuple(claim("c1").values())
        assert claims[2] == tuple(online.claim.values())
        assert connection.execute("SELECT * FROM patients").fetchall() == [tuple(person.values())]
        assert connection.execute("SELECT * FROM catalogue").fetchall() == [tuple(item.values())]
        assert connection.execute("SELECT count(*) FROM lines").fetchall() == [(2,)]
        recent.attach(connection)
        assert connection.execute("SELECT claim_id FROM claims").fetchall() == [("c2",)]
        assert connection.execute("SELECT count(*) FROM lines").fetchall() == [(0,)]


def test_a_store_without_claims_exports_no_folder(store: Store, tmp_path: Path) -> None:

    assert store.export(tmp_path / "none") is None
