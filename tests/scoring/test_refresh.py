from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.schema import TABLES
from fraud.cli import app
from fraud.learning.model import FittedModel
from fraud.scoring.refresh import Taken, fill_store, has_snapshots, refresh_store
from fraud.scoring.snapshots import days_around, latest_days
from fraud.signals.assembly import feature_names
from fraud.signals.catalogue import Catalogue
from fraud.store import Decision, Store
from fraud.store.tables import refreshes, snapshots
from fraud.store.versions import StoredBundle
from tests.learning.town import write_room, write_town
from tests.store.made import bundle
from tests.web.models import small_model
from tests.web.room import write_room as write_home

# Of the small city, those who are seen at these many providers: enough to have peers and a network.
PROVIDERS = 12
Held = dict[tuple[str, str, datetime], np.ndarray]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def days(city: ClaimsFolder) -> tuple[datetime, datetime]:
    """The middle of the last month but one, and the end of the data."""
    with connect() as connection:
        city.attach(connection, ["claims"])
        (last,) = connection.execute("SELECT max(settled_at) FROM claims").fetchall()[0]
    first, _ = days_around(last)
    month, _ = days_around(first - timedelta(days=1))
    return month + timedelta(days=14), first


@pytest.fixture(scope="module")
def part(
    tmp_path_factory: pytest.TempPathFactory, city: ClaimsFolder, days: tuple[datetime, datetime]
) -> tuple[ClaimsFolder, tuple[StoredBundle, ...]]:
    """A quarter of the city until the middle of a month, and what came in the rest of that month."""
    folder = tmp_path_factory.mktemp("part")
    middle, end = days
    with connect() as source:
        city.attach(source)
        source.execute(
            f"""CREATE TABLE chosen AS SELECT c.* FROM claims c WHERE provider_id IN (
                SELECT provider_id FROM claims GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {PROVIDERS})
                AND settled_at < '{end}' AND settled_at >= '{end - timedelta(days=200)}'"""
        )
        for name in TABLES:
            (folder / name).mkdir()
            early = f"SELECT * FROM chosen WHERE settled_at < '{middle}'"
            query = early if name == "claims" else f"SELECT * FROM {name}"
            if name in ("lines", "diagnoses", "procedures"):
                query = f"SELECT * FROM {name} SEMI JOIN ({early}) USING (claim_id)"
            source.execute(f"COPY ({query}) TO '{folder / name / 'part-0.parquet'}' (FORMAT parquet)")
        late = _dicts(source, f"SELECT * FROM chosen WHERE settled_at >= '{middle}' ORDER BY settled_at LIMIT 25")
        lines = _dicts(source, "SELECT l.* FROM lines l SEMI JOIN chosen USING (claim_id)")
    return ClaimsFolder(folder), tuple(
        StoredBundle(c, tuple(r for r in lines if r["claim_id"] == c["claim_id"])) for c in late
    )


def _dicts(source: object, query: str) -> list[dict[str, object]]:
    found = source.execute(query)  # type: ignore[attr-defined]
    names = [d[0] for d in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory,
    part: tuple[ClaimsFolder, tuple[StoredBundle, ...]],
    catalogue: Catalogue,
    claim_model: FittedModel,
) -> Path:
    """A store with the early claims and their snapshots, to be copied."""
    path = tmp_path_factory.mktemp("filled") / "store.db"
    with Store(f"sqlite:///{path}", Clock()) as store:
        fill_store(store, part[0], catalogue, [claim_model])
    return path


@pytest.fixture
def stores(tmp_path: Path, filled: Path) -> Iterator[tuple[Store, Store, Clock]]:
    """The same store twice, two hours after it was filled."""
    clock = Clock()
    clock.now += timedelta(hours=2)
    for name in ("a.db", "b.db"):
        shutil.copy(filled, tmp_path / name)
    with Store(f"sqlite:///{tmp_path / 'a.db'}", clock) as one, Store(f"sqlite:///{tmp_path / 'b.db'}", clock) as two:
        yield one, two, clock


def held(store: Store) -> Held:
    """Every snapshot that is read, by entity, id and day."""
    query = (
        sa.select(snapshots)
        .join(refreshes, refreshes.c.number == snapshots.c.refresh)
        .where(refreshes.c.published_at.is_not(None))
        .order_by(snapshots.c.refresh)
    )
    with store.database.read() as connection:
        rows = connection.execute(query).mappings().all()
    return {(r["entity"], r["entity_id"], r["day"]): np.frombuffer(r["data"], "<f8") for r in rows}


def same(one: np.ndarray, two: np.ndarray) -> bool:
    return bool(np.allclose(one, two, rtol=1e-9, atol=1e-9, equal_nan=True))


@pytest.mark.full
def test_whom_new_claims_touch_gets_the_snapshot_of_a_full_refresh_and_nobody_else_a_new_one(
    stores: tuple[Store, Store, Clock],
    part: tuple[ClaimsFolder, tuple[StoredBundle, ...]],
    catalogue: Catalogue,
    claim_model: FittedModel,
    days: tuple[datetime, datetime],
) -> None:
    one, two, clock = stores
    before = held(one)
    folder, late = part
    assert len(late) == 25
    moved = one.claim(next(i for _, i in _claims(folder)))
    assert moved is not None
    other = late[0].claim["patient_id"]
    corrected = StoredBundle({**moved.claim, "patient_id": other, "uploaded_at": clock.now}, moved.lines)
    for store in (one, two):
        store.add_claims([*late, corrected])
    clock.now += timedelta(minutes=5)
    some = refresh_store(one, catalogue, [claim_model], clock.now)
    everybody = refresh_store(two, catalogue, [claim_model], clock.now, full=True)
    found, whole = held(one), held(two)
    patients = {b.claim["patient_id"] for b in late} | {moved.claim["patient_id"], other}
    changed = {k for k in found if k not in before or not np.array_equal(found[k], before[k], equal_nan=True)}
    assert (some.full, everybody.full) == (False, True)
    assert 0 < some.total < everybody.total / 2
    assert {k for k in changed if k[0] == "patient"} <= {("patient", p, d) for p in patients for d in some.days}
    assert {k[1] for k in changed if k[0] == "patient"} >= {b.claim["patient_id"] for b in late}
    assert all(same(found[k], whole[k]) for k in changed)
    # What has not changed though a claim came: its day was before the claim.
    touched = one.touched(clock.now - timedelta(hours=1))
    again = [(e, i, d) for e, ids in touched.items() for i, settled in ids.items() for d in some.days if settled < d]
    assert all(same(found[k], whole[k]) for k in again if k in found)


def _claims(folder: ClaimsFolder) -> list[tuple[datetime, str]]:
    with connect() as connection:
        folder.attach(connection, ["claims"])
        return connection.execute("SELECT settled_at, claim_id FROM claims ORDER BY 1 DESC, 2").fetchall()


# --- when whose snapshots are taken: a town with few signals ----------------------------------------------


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return write_room(tmp_path_factory.mktemp("room"))


@pytest.fixture(scope="module")
def model(room: Catalogue) -> FittedModel:
    """A model that reads snapshots of providers."""
    signals = [room[i] for i in ("claim.amount", "provider.claims", "provider.mean_amount", "network.shared_patients")]
    ids = tuple(s.id for s in signals)
    digests = {i: room.digests[i] for i in ids}
    model = small_model(room, 1, "champion", 1)
    return replace(model, names=feature_names(signals), signal_ids=ids, signal_digests=digests)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, room: Catalogue, model: FittedModel) -> Path:
    """A store with the town's claims and their snapshots, to be copied."""
    folder = write_town(tmp_path_factory.mktemp("town"))
    path = tmp_path_factory.mktemp("filled") / "store.db"
    with Store(f"sqlite:///{path}", Clock()) as store:
        fill_store(store, folder, room, [model])
    return path


@pytest.fixture
def clock() -> Clock:
    made = Clock()
    made.now += timedelta(hours=2)
    return made


@pytest.fixture
def store(tmp_path: Path, town: Path, clock: Clock) -> Iterator[Store]:
    shutil.copy(town, tmp_path / "store.db")
    with Store(f"sqlite:///{tmp_path / 'store.db'}", clock) as opened:
        yield opened


def last_claim(store: Store, clock: Clock) -> datetime:
    found = store.last_settlement(clock.now)
    assert found is not None
    return found


def test_what_is_not_needed_is_not_done(store: Store, clock: Clock, room: Catalogue, model: FittedModel) -> None:
    first = store.last_refresh()
    assert first is not None
    nothing = refresh_store(store, room, [model], clock.now)
    assert (nothing.number, nothing.total) == (None, 0)
    assert refresh_store(store, room, [], clock.now).number is None
    assert refresh_store(store, room, [model], clock.now, full=True).total == first.snapshots
    assert store.last_refresh() != first


def test_whom_claims_touch_gets_the_snapshot_of_a_full_refresh_by_whatever_way_it_was_touched(
    tmp_path: Path, store: Store, clock: Clock, room: Catalogue, model: FittedModel
) -> None:
    settled, before = last_claim(store, clock), held(store)
    assert settled.day > 1
    moved = store.claim("C001-03")
    assert moved is not None
    late = [
        bundle(f"late{n}", provider_id=f"H00{n}", patient_id=f"P00{n}", settled_at=settled - timedelta(days=40 * n))
        for n in (2, 3, 4)
    ]
    corrected = StoredBundle({**moved.claim, "provider_id": "H009", "uploaded_at": clock.now}, moved.lines)
    store.add_claims([*late, corrected])
    with closing(sqlite3.connect(tmp_path / "store.db")) as own, closing(sqlite3.connect(tmp_path / "two.db")) as copy:
        own.backup(copy)
    done = refresh_store(store, room, [model], clock.now)
    with Store(f"sqlite:///{tmp_path / 'two.db'}", clock) as two:
        refresh_store(two, room, [model], clock.now, full=True)
        whole = held(two)
    found = held(store)
    names = {"H001", "H009", "H002", "H003", "H004"}
    assert not done.full
    assert {k for k in found if k[1] in names} == {k for k in whole if k[1] in names}
    assert all(same(found[k], whole[k]) for k in found if k[1] in names)
    assert all(same(found[k], before[k]) for k in found if k[1] not in names)
    changed = {k[1] for k in found if not same(found[k], before[k])}
    assert changed == names


def test_a_claim_that_was_scored_online_is_in_the_snapshot_of_its_provider(
    store: Store, clock: Clock, room: Catalogue, model: FittedModel, tmp_path: Path
) -> None:
    settled = last_claim(store, clock)
    _, day = days_around(settled)
    before = store.snapshot("provider", "H001", day, model.name)
    scored = bundle("online", provider_id="H001", patient_id="new", physician_id=None, settled_at=settled)
    store.put_decision(Decision("r", "online", clock.now, "pass", b"{}", b"{}"), scored)
    told: list[str] = []
    done = refresh_store(store, room, [model], clock.now, room=tmp_path, progress=lambda name, share: told.append(name))
    after = store.snapshot("provider", "H001", day, model.name)
    assert before is not None
    assert after is not None
    assert after.values["provider.claims"] == before.values["provider.claims"] + 1
    assert (done.full, done.snapshots) == (False, {"provider": 1})
    assert "snapshots of providers" in told
    assert list(tmp_path.glob("refresh-*")) == []


def test_on_a_new_month_and_for_a_changed_model_everybodys_are_taken(
    store: Store, clock: Clock, room: Catalogue, model: FittedModel
) -> None:
    first = store.last_refresh()
    assert first is not None
    _, month = days_around(last_claim(store, clock))
    store.add_claim(bundle("next", provider_id="H001", physician_id=None, settled_at=month + timedelta(days=1)))
    rolled = refresh_store(store, room, [model], clock.now)
    assert rolled.full
    assert rolled.days == days_around(month)
    # Everybody on the new day, and the one whom the claim names on no other: it settled later.
    assert rolled.total == first.snapshots // 2
    other = replace(model, as_of="2025-01-01T00:00:00")
    assert has_snapshots(store.last_refresh(), model, room)
    assert not has_snapshots(store.last_refresh(), other, room)
    changed = refresh_store(store, room, [other], clock.now)
    assert (changed.full, changed.total) == (True, first.snapshots)
    assert has_snapshots(store.last_refresh(), other, room)


def test_a_claim_from_the_future_moves_no_month(
    store: Store, clock: Clock, room: Catalogue, model: FittedModel
) -> None:
    days = days_around(last_claim(store, clock))
    store.add_claim(bundle("future", provider_id="H001", settled_at=clock.now + timedelta(days=9_000)))
    assert refresh_store(store, room, [model], clock.now).days == days


def test_a_refresh_that_breaks_off_leaves_the_snapshots_before(
    store: Store, clock: Clock, room: Catalogue, model: FittedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first = held(store), store.last_refresh()
    settled = last_claim(store, clock)
    store.add_claim(bundle("late", provider_id="H001", physician_id=None, settled_at=settled))

    def power_cut(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(store, "publish_refresh", power_cut)
        with pytest.raises(KeyboardInterrupt):
            refresh_store(store, room, [model], clock.now)
    _, day = days_around(settled)
    shown = store.snapshot("provider", "H001", day, model.name)
    assert shown is not None
    assert list(shown.values.values())[:2] == before["provider", "H001", day][:2].tolist()
    assert store.last_refresh() == first
    assert refresh_store(store, room, [model], clock.now).snapshots == {"provider": 1}


def test_claims_of_a_folder_are_joined_to_those_that_came_online(
    tmp_path: Path, clock: Clock, room: Catalogue, model: FittedModel
) -> None:
    folder = write_town(tmp_path / "town")
    with Store(f"sqlite:///{tmp_path / 'own.db'}", clock) as store:
        with connect() as connection:
            folder.attach(connection, ["claims"])
            _, day = latest_days(connection)
            count = connection.execute("SELECT count(*) FROM claims WHERE provider_id = 'H001'").fetchall()[0][0]
        store.add_claim(bundle("online", provider_id="H001", settled_at=day - timedelta(days=3)))
        fill_store(store, folder, room, [model])
        found = store.snapshot("provider", "H001", day, model.name)
    assert found is not None
    assert found.values["provider.claims"] > 1
    assert found.values["provider.claims"] <= count + 1


def test_the_command_line_says_that_there_is_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_HOME", str(write_home(tmp_path / "home")))
    done = CliRunner().invoke(app, ["refresh"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "no model reads snapshots" in done.stdout
    told = CliRunner().invoke(app, ["refresh", "--full", "--json"], catch_exceptions=False)
    assert json.loads(told.stdout) == {"set": None, "snapshots": {}, "days": [], "full": False}


def test_a_refresh_of_an_empty_store_does_nothing(tmp_path: Path, room: Catalogue) -> None:
    with Store(f"sqlite:///{tmp_path / 'empty.db'}") as store:
        assert refresh_store(store, room, [], datetime(2030, 1, 1)) == Taken(None)
