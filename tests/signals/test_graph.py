"""Ties between patients: what chance explains ties nobody, what it does not makes groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from fraud.signals.examples import world
from fraud.signals.graph import CROWD, JointStaySource, TieSource

SNAPSHOT = datetime(2024, 7, 1)
# Every day somebody else comes, so that the house is open all year.
OPEN = [{"patient_id": f"Q{d}", "days_ago": d} for d in range(1, 365)]
OUTINGS = (10, 21, 32, 60)


@pytest.fixture
def claims() -> Iterator[Any]:
    """A function that makes a connection with these claims."""
    made: list[duckdb.DuckDBPyConnection] = []

    def make(rows: Iterable[dict[str, Any]]) -> duckdb.DuckDBPyConnection:
        made.append(world({"claims": [_claim(i, row) for i, row in enumerate(rows)]}))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


def _claim(number: int, row: dict[str, Any]) -> dict[str, Any]:
    began = SNAPSHOT - timedelta(days=row["days_ago"], hours=-9)
    usual = {"claim_id": f"C{number}", "provider_id": "H", "visit_type": "outpatient", "settled_at": began}
    given = {k: v for k, v in row.items() if k != "days_ago"}
    return {**usual, "admitted_at": began, "discharged_at": began, "total_amount": 1.0, "fund_amount": 1.0, **given}


def _ring(people: str, days: Iterable[int] = OUTINGS, **more: Any) -> list[dict[str, Any]]:
    return [{"patient_id": p, "days_ago": d, **more} for p in people for d in days]


def _ties(connection: duckdb.DuckDBPyConnection, day: datetime = SNAPSHOT) -> pa.Table:
    return TieSource(connection, "patient").table(connection, day, 365)


def _tied(table: pa.Table) -> set[tuple[str, str]]:
    return set(zip(table["entity_id"].to_pylist(), table["other_id"].to_pylist(), strict=True))


@pytest.mark.requirement("T26")
def test_persons_who_come_on_the_same_irregular_days_are_tied_both_ways(claims: Any) -> None:
    table = _ties(claims([*OPEN, *_ring("AB")]))
    assert _tied(table) == {("A", "B"), ("B", "A")}
    assert table["joint_days"].to_pylist() == [4, 4]
    # Two of the four days share a weekday: (2 · 2 + 1 + 1) pairs of visits over 52 open days each.
    assert table["expected_days"].to_pylist() == pytest.approx([6 / 52, 6 / 52])


def test_a_dialysis_shift_ties_nobody(claims: Any) -> None:
    shift = [7 * week + day for week in range(52) for day in (1, 3, 5)]
    assert _ties(claims([*OPEN, *_ring("ABCDE", shift)])).num_rows == 0


def test_a_health_day_ties_nobody(claims: Any) -> None:
    crowd = [{"patient_id": f"K{i}", "days_ago": d} for i in range(CROWD + 1) for d in OUTINGS]
    assert _ties(claims([*OPEN, *crowd])).num_rows == 0


def test_a_house_that_is_open_on_few_days_ties_nobody(claims: Any) -> None:
    assert _ties(claims(_ring("ABC"))).num_rows == 0


@pytest.mark.requirement("T25")
def test_a_group_in_which_everybody_knows_several_others_is_a_ring_and_a_couple_is_none(claims: Any) -> None:
    connection = claims([*OPEN, *_ring("ABCDE"), *_ring("XY", (15, 26, 47, 80))])
    table = _ties(connection)
    core = dict(zip(table["entity_id"].to_pylist(), table["core"].to_pylist(), strict=True))
    assert core == {**dict.fromkeys("ABCDE", 4), "X": 1, "Y": 1}
    rings = TieSource(connection, "provider").table(connection, SNAPSHOT, 365).to_pylist()
    assert [(r["entity_id"], r["members"], r["joint_days"], r["joint_visits"]) for r in rings] == [("H", 5, 4, 20)]


def test_visits_after_the_snapshot_change_nothing(claims: Any) -> None:
    known = [*OPEN, *_ring("ABCD", (40, 51, 62, 73))]
    later = _ring("ABCDE", (-1, -12, -23))
    day = SNAPSHOT - timedelta(days=5)
    assert _ties(claims(known), day).equals(_ties(claims([*known, *later, *_ring("ABCD", (3,))]), day))


def test_ties_do_not_depend_on_the_order_of_rows(claims: Any) -> None:
    rows = [*OPEN, *_ring("ABCD"), *_ring("EFGH", (12, 25, 38, 77), provider_id="H"), *_ring("DE", (90, 101, 115))]
    mixed = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    assert _ties(claims(rows)).equals(_ties(claims(mixed)))


def test_claims_without_a_physician_are_in_no_physicians_ring(claims: Any) -> None:
    connection = claims([*OPEN, *_ring("ABCDE")])
    assert TieSource(connection, "physician").table(connection, SNAPSHOT, 365).num_rows == 0


def test_no_claims_make_no_ties(claims: Any) -> None:
    connection = claims([])
    assert _ties(connection).num_rows == 0
    assert JointStaySource("patient").table(connection, SNAPSHOT, 365).num_rows == 0


@pytest.mark.requirement("T03")
def test_repeated_joint_admissions_link_persons_into_one_cluster(claims: Any) -> None:
    stay = {"visit_type": "inpatient"}
    first = [{"patient_id": p, "days_ago": d, **stay} for p in "ABC" for d in (50, 90)]
    # D comes a day later than the others each time; E only once.
    rows = [
        *first,
        *({"patient_id": "D", "days_ago": d, **stay} for d in (49, 89)),
        {"patient_id": "E", "days_ago": 50, **stay},
    ]
    table = JointStaySource("provider").table(claims(rows), SNAPSHOT, 365)
    assert set(table["patient_id"].to_pylist()) == set("ABCD")
    assert set(table["cluster_size"].to_pylist()) == {4}
    assert set(table["joint_stays"].to_pylist()) == {2}
