from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from fraud.claims.folder import ClaimsFolder, TableWriter
from fraud.claims.schema import TABLES
from fraud.errors import ClaimsError, SpecError
from fraud.signals.relations import ENTITY_KEYS
from fraud.signals.relations import PAST_DAYS as SIGNAL_PAST_DAYS
from fraud.signals.relations import PAST_LINES_DAYS as SIGNAL_PAST_LINES_DAYS
from fraud.store import NO_LINES, Decision, Seen, Store, StoreBusyError
from fraud.store.history import ENTITIES, PAST_DAYS, PAST_LINES_DAYS
from fraud.store.tables import CANONICAL
from fraud.store.versions import as_json, from_json
from tests.store.made import DAY, bundle, claim, line, row


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(address: str, clock: Clock) -> Iterator[Store]:
    with Store(address, clock) as opened:
        yield opened


def count(store: Store, table: str) -> int:
    with store.database.read() as connection:
        return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())


def write_folder(path: Path, **tables: list[dict[str, object]]) -> ClaimsFolder:
    for name, rows in tables.items():
        with TableWriter(path, name) as writer:
            writer.write(pa.Table.from_pylist(rows, schema=TABLES[name].arrow))
    return ClaimsFolder(path)


# --- tables -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(TABLES))
def test_every_canonical_table_has_exactly_the_columns_of_the_schema(store: Store, name: str) -> None:
    own = [c.name for c in CANONICAL[name].columns if c.name != "received_at"]
    assert own == [c.name for c in TABLES[name].columns]


def test_history_reaches_back_as_far_as_signals_look() -> None:
    assert (PAST_DAYS, PAST_LINES_DAYS) == (SIGNAL_PAST_DAYS, SIGNAL_PAST_LINES_DAYS)
    assert {entity: key for entity, (_, key) in ENTITIES.items()} == ENTITY_KEYS


def test_a_database_in_memory_is_refused_because_decisions_must_outlive_the_process() -> None:
    with pytest.raises(SpecError, match="Name a file"):
        Store("sqlite://")


def test_what_is_no_database_address_is_refused_without_repeating_it() -> None:
    with pytest.raises(SpecError, match="not a SQLAlchemy URL") as raised:
        Store("secret@nowhere")
    assert "secret" not in raised.value.message


def test_a_database_that_cannot_be_opened_is_busy_not_broken(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(StoreBusyError):
        Store(f"sqlite:///{tmp_path / 'store.db'}")


# --- versions ---------------------------------------------------------------------------------------------


def test_a_stored_claim_comes_back_value_for_value(store: Store) -> None:
    given = bundle(planned=True, drg_weight=1.25, uploaded_at=datetime(2024, 3, 2, 1, 2, 3, 456789))
    store.add_claim(given)
    assert store.claim("c1") == given
    assert store.claim("c2") is None


def test_the_json_of_a_bundle_comes_back_value_for_value() -> None:
    given = bundle(planned=False, uploaded_at=datetime(2024, 3, 2))
    assert from_json(as_json(given)) == given


def test_the_same_claim_twice_changes_nothing(store: Store) -> None:
    assert [store.add_claim(bundle()) for _ in range(3)] == ["added", "unchanged", "unchanged"]
    assert (count(store, "claims"), count(store, "lines"), count(store, "claims_history")) == (1, 2, 0)


def test_a_later_version_replaces_the_claim_and_the_earlier_one_is_kept(store: Store) -> None:
    early, late = (bundle(uploaded_at=datetime(2024, 3, d), lines=d) for d in (2, 5))
    assert [store.add_claim(early), store.add_claim(late)] == ["added", "replaced"]
    assert store.claim("c1") == late
    assert (count(store, "lines"), count(store, "claims_history")) == (5, 1)


def test_an_earlier_version_that_arrives_late_is_kept_aside_once(store: Store) -> None:
    early, late = (bundle(uploaded_at=datetime(2024, 3, d)) for d in (2, 5))
    assert [store.add_claim(b) for b in (late, early, early)] == ["added", "older", "unchanged"]
    assert store.claim("c1") == late
    assert count(store, "claims_history") == 1


def test_versions_without_a_time_of_sending_count_in_the_order_of_arrival(store: Store, clock: Clock) -> None:
    store.add_claim(bundle(total_amount=100.0))
    clock.now += timedelta(seconds=1)
    assert store.add_claim(bundle(total_amount=200.0)) == "replaced"
    found = store.claim("c1")
    assert found is not None
    assert found.claim["total_amount"] == 200.0


def test_several_claims_are_added_all_or_none(store: Store) -> None:
    broken = bundle("c2", visit_type=None)
    with pytest.raises(Exception, match="(?i)not[ -]null"):
        store.add_claims([bundle("c1"), broken])
    assert count(store, "claims") == 0


# --- history ----------------------------------------------------------------------------------------------


def test_history_holds_what_settled_before_the_claim_and_within_a_year(store: Store) -> None:
    for days in (-366, -365, -181, -180, -1, 0, 1):
        store.add_claim(bundle(f"c{days}", days=days))
    known = store.history(claim("own"))
    assert {c["claim_id"] for c in known.claims} == {"c-365", "c-181", "c-180", "c-1"}
    assert {r["claim_id"] for r in known.lines} == {"c-180", "c-1"}


def test_a_claim_is_never_its_own_past(store: Store) -> None:
    store.add_claim(bundle("own", days=-3))
    assert store.history(claim("own")).claims == ()


def test_history_without_lines_reads_none(store: Store) -> None:
    store.add_claim(bundle("c-1", days=-1))
    assert store.history(claim("own"), NO_LINES).lines == ()


def test_history_of_another_patient_stays_away(store: Store) -> None:
    store.add_claim(bundle("c-1", days=-1, patient_id="p2"))
    assert store.history(claim("own")).claims == ()


def test_a_claim_of_the_first_year_of_the_calendar_has_a_history(store: Store) -> None:
    assert store.history(claim("own", settled_at=datetime(1, 2, 1))).claims == ()


def test_history_names_the_parties_that_are_on_file(store: Store, tmp_path: Path) -> None:
    person = row("patients", patient_id="p1", birth_date=date(1950, 2, 3), chronic_conditions=["I10", "E11"])
    house = row("providers", provider_id="h1", kind="hospital", licensed_beds=40)
    folder = write_folder(tmp_path / "f", claims=[claim("c-1", days=-1)], patients=[person], providers=[house])
    store.load_folder(folder)
    known = store.history(claim("own"))
    assert (known.patient, known.provider, known.physician) == (person, house, None)


# --- snapshots --------------------------------------------------------------------------------------------


def test_the_latest_snapshot_at_or_before_the_settlement_is_used(store: Store) -> None:
    for month in (1, 3, 4):
        values = np.array([[month, np.nan], [month * 10.0, 0.5]])
        store.put_snapshots("provider", datetime(2024, month, 1), ["h1", "h2"], ["a", "b"], values)
    found = store.history(claim("own")).snapshots
    assert set(found) == {"provider"}
    assert found["provider"].day == datetime(2024, 3, 1)
    assert found["provider"].values["a"] == 3.0
    assert np.isnan(found["provider"].values["b"])


def test_a_snapshot_taken_again_replaces_the_one_of_the_day(store: Store) -> None:
    for value in (1.0, 2.0):
        store.put_snapshots("provider", DAY, ["h1"], ["a"], np.array([[value]]))
    found = store.snapshot("provider", "h1", DAY)
    assert found is not None
    assert found.values == {"a": 2.0}
    assert (count(store, "snapshots"), count(store, "snapshot_names")) == (1, 1)


def test_models_have_snapshots_of_their_own_and_share_those_of_none(store: Store) -> None:
    store.put_snapshots("provider", DAY, ["h1", "h2"], ["a"], np.array([[1.0], [2.0]]))
    store.put_snapshots("provider", DAY, ["h1"], ["a", "a.peer_z"], np.array([[1.0, 3.0]]), model="claim_risk")
    own = store.snapshot("provider", "h1", DAY, "claim_risk")
    other = store.snapshot("provider", "h1", DAY, "provider_risk")
    shared = store.snapshot("provider", "h2", DAY, "claim_risk")
    assert own is not None
    assert other is not None
    assert shared is not None
    assert [s.values for s in (own, other, shared)] == [{"a": 1.0, "a.peer_z": 3.0}, {"a": 1.0}, {"a": 2.0}]


def test_money_paid_is_added_up_over_the_window(store: Store) -> None:
    for days in (-10, -1, 0):
        store.add_claim(bundle(f"c{days}", days=days))
    paid = store.paid("provider", "h1", DAY - timedelta(days=10), DAY)
    assert (paid, store.paid("provider", "h9", datetime.min, DAY)) == (180.0, None)


# --- decisions --------------------------------------------------------------------------------------------


def decision(request_id: str = "r1", claim_id: str = "c1", **values: object) -> Decision:
    own = {"scored_at": DAY, "action": "pass", "response": b'{"a":1}', "request": as_json(bundle(claim_id))}
    return Decision(request_id, claim_id, **{**own, **values})  # type: ignore[arg-type]


def test_a_decision_is_kept_byte_for_byte_and_outlives_the_store(store: Store, address: str) -> None:
    store.put_decision(decision())
    store.close()
    with Store(address) as again:
        assert again.decision("r1") == decision()
        assert again.decision("r2") is None


def test_the_latest_decision_on_a_claim_is_found(store: Store) -> None:
    for hours, request_id in ((2, "late"), (1, "early")):
        store.put_decision(decision(request_id, scored_at=DAY + timedelta(hours=hours)))
    found = store.latest_decision("c1")
    assert found is not None
    assert found.request_id == "late"


def test_decision_claim_and_key_are_written_together_or_not_at_all(store: Store) -> None:
    store.idempotent("k", b"d")
    with pytest.raises(Exception, match="(?i)not[ -]null"):
        store.put_decision(decision(), bundle(visit_type=None), "k")
    assert store.decision("r1") is None
    assert store.idempotent("k", b"d") == Seen(running=True)
    store.put_decision(decision(), bundle(), "k")
    assert store.idempotent("k", b"d") == Seen(status=200, response=b'{"a":1}')
    assert count(store, "claims") == 1


def test_a_key_is_taken_once_and_freed_when_its_request_fails(store: Store) -> None:
    assert store.idempotent("k", b"d") is None
    assert store.idempotent("k", b"d") == Seen(running=True)
    store.release("k")
    assert store.idempotent("k", b"d") is None


def test_a_key_with_another_body_is_a_conflict_even_when_answered(store: Store) -> None:
    store.idempotent("k", b"d")
    store.finish("k", 200, b"x")
    assert store.idempotent("k", b"e") == Seen(conflict=True)
    store.release("k")
    assert store.idempotent("k", b"d") == Seen(status=200, response=b"x")


def test_a_key_whose_process_died_is_free_after_a_minute(store: Store, clock: Clock) -> None:
    store.idempotent("k", b"d")
    clock.now += timedelta(seconds=61)
    assert store.idempotent("k", b"d") is None


def test_an_answered_key_is_forgotten_after_a_week(store: Store, clock: Clock) -> None:
    store.idempotent("k", b"d")
    store.finish("k", 200, b"x")
    clock.now += timedelta(days=8)
    store.idempotent("other", b"d")
    assert count(store, "idempotency") == 1


# --- loading ----------------------------------------------------------------------------------------------


def test_a_folder_is_loaded_once_however_often(store: Store, tmp_path: Path) -> None:
    lines = [line(c, n) for c in ("c1", "c2") for n in (1, 2)]
    outcome = row("outcomes", entity="provider", entity_id="h1", verdict="waste", decided_at=DAY)
    item = row("catalogue", item_code="X1", category="drug")
    pair = row("exclusions", item_code="X1", included_item_code="X2")
    folder = write_folder(
        tmp_path / "f",
        claims=[claim("c1"), claim("c2")],
        lines=lines,
        outcomes=[outcome],
        catalogue=[item],
        exclusions=[pair],
        patients=[row("patients", patient_id="p1")],
    )
    seen: list[str] = []
    first = store.load_folder(folder, lambda table, done, total: seen.append(f"{table} {done}/{total}"))
    second = store.load_folder(folder)
    assert first.claims == {"added": 2}
    assert first.rows["lines"] == 4
    assert second.claims["unchanged"] == 2
    assert [count(store, t) for t in ("claims", "lines", "outcomes", "exclusions", "patients")] == [2, 4, 1, 1, 1]
    assert "claims 2/2" in seen
    assert "lines 4/4" in seen
    assert store.table("catalogue").to_pylist() == [item]


def test_texts_of_a_folder_come_back_whatever_is_in_them(store: Store, tmp_path: Path) -> None:
    odd = ["", "\\N", "a\tb\nc\rd\\e", "'\"; --", "药品 😀", " x "]
    items = [
        row("catalogue", item_code=f"X{n}", category=t, name=t or None, indications=odd) for n, t in enumerate(odd)
    ]
    ends = claim("c1", settled_at=datetime(2024, 3, 1, 23, 59, 59, 999999), total_amount=0.1 + 0.2, planned=False)
    store.load_folder(write_folder(tmp_path / "f", claims=[ends], catalogue=items))
    assert sorted(store.table("catalogue").to_pylist(), key=lambda r: str(r["item_code"])) == items
    found = store.claim("c1")
    assert found is not None
    assert found.claim == ends


def test_a_folder_that_is_loaded_into_a_sealed_store_leaves_nobody_in_plain(address: str, tmp_path: Path) -> None:
    person = row("patients", patient_id="somebody")
    folder = write_folder(tmp_path / "f", claims=[claim("c1", days=-1, patient_id="somebody")], patients=[person])
    with Store(address, environ={"FRAUD_DATA_KEY": "ab" * 32}) as store:
        store.load_folder(folder)
        with store.database.read() as connection:
            queries = [sa.text(f"SELECT patient_id FROM {table}") for table in ("claims", "patients")]
            stored = [connection.execute(query).scalar_one() for query in queries]
        known, exported = store.history(claim("own", patient_id="somebody")), store.export(tmp_path / "out")
        assert set(store.touched(None)["patient"]) == {"somebody"}
    assert "somebody" not in stored
    assert known.patient == person
    assert [c["claim_id"] for c in known.claims] == ["c1"]
    assert exported is not None
    assert pq.read_table(exported.files("claims")[0])["patient_id"].to_pylist() == ["somebody"]


def test_a_row_without_a_required_value_loads_nothing(store: Store, tmp_path: Path) -> None:
    schema = pa.schema([f.with_nullable(True) for f in TABLES["claims"].arrow])
    rows = pa.Table.from_pylist([claim("c1"), claim("c2", visit_type=None)], schema=schema)
    pq.write_table(rows, tmp_path / "claims.parquet")
    folder = ClaimsFolder(tmp_path)
    with pytest.raises(ClaimsError, match="table claims: .* lacks a required value"):
        store.load_folder(folder)
    assert count(store, "claims") == 0


def test_a_corrected_claim_in_a_folder_replaces_the_stored_one_with_its_lines(store: Store, tmp_path: Path) -> None:
    store.add_claim(bundle("c1", uploaded_at=datetime(2024, 3, 2)))
    store.add_claim(bundle("c2", uploaded_at=datetime(2024, 3, 9)))
    sent = datetime(2024, 3, 5)
    folder = write_folder(
        tmp_path / "f",
        claims=[claim("c1", uploaded_at=sent), claim("c2", uploaded_at=sent)],
        lines=[line("c1", 7), line("c2", 7)],
    )
    assert store.load_folder(folder).claims == {"added": 0, "replaced": 1, "older": 1}
    found = {c: [r["line_no"] for r in (store.claim(c) or bundle()).lines] for c in ("c1", "c2")}
    assert found == {"c1": [7], "c2": [1, 2]}
    assert count(store, "claims_history") == 2


def test_a_folder_whose_rows_contradict_each_other_loads_nothing(store: Store, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "f", claims=[claim("c1")], lines=[line("c1", 1), line("c1", 1)])
    with pytest.raises(ClaimsError, match="table lines: two rows have the same claim_id, line_no"):
        store.load_folder(folder)
    assert count(store, "claims") == 0


def test_a_locked_database_is_busy_and_can_still_be_read(address: str) -> None:
    with Store(address, busy_ms=100) as store, Store(address) as other:
        store.add_claim(bundle())
        with other.database.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE claims IN EXCLUSIVE MODE"))
            with pytest.raises(StoreBusyError, match="Try again"):
                store.add_claim(bundle("c2"))
            assert store.claim("c1") is not None
        assert store.add_claim(bundle("c2")) == "added"
