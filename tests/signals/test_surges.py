"""Surges: a provider against its own past and the rest of its region."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.signals.examples import world
from fraud.signals.surges import BASELINE_WEEKS, SurgeSource, deviations

SNAPSHOT = datetime(2024, 7, 1)
HOUSES = [
    {"provider_id": h, "kind": "clinic", "region": r} for h, r in (("A", "R"), ("B", "R"), ("C", "R"), ("F", "S"))
]
CROWDED_WEEK = range(8, 14)


def _daily(house: str, days: range = range(1, 430)) -> list[dict[str, Any]]:
    return [{"provider_id": house, "patient_id": f"{house}{d % 50}", "days_ago": d} for d in days]


def _crowd(house: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"provider_id": house, "patient_id": f"{house}-{d}-{i}", "days_ago": d, **more}
        for d in CROWDED_WEEK
        for i in range(5)
    ]


def _surges(rows: list[dict[str, Any]], day: datetime = SNAPSHOT) -> pa.Table:
    claims = [_claim(i, row) for i, row in enumerate(rows)]
    connection = world({"claims": claims, "providers": HOUSES})
    try:
        return SurgeSource(connection, "provider").table(connection, day, 365)
    finally:
        connection.close()


def _claim(number: int, row: dict[str, Any]) -> dict[str, Any]:
    settled = SNAPSHOT - timedelta(days=row["days_ago"], hours=-9)
    usual = {"claim_id": f"C{number}", "visit_type": "outpatient", "primary_diagnosis": "J06"}
    days = {"admitted_at": settled, "discharged_at": settled, "settled_at": settled}
    money = {"total_amount": 100.0, "fund_amount": 70.0}
    return {**usual, **days, **money, **{k: v for k, v in row.items() if k != "days_ago"}}


def _largest(table: pa.Table, house: str, series: str, column: str = "deviation") -> float:
    rows = [r for r in table.to_pylist() if r["entity_id"] == house and r["series"] == series]
    return max((float(r[column]) for r in rows), default=0.0)


@pytest.mark.requirement("T40")
def test_a_week_above_the_past_is_a_surge_of_that_provider_alone() -> None:
    table = _surges([*_daily("A"), *_daily("B"), *_daily("C"), *_crowd("A")])
    assert _largest(table, "A", "disease") > 6
    assert _largest(table, "B", "disease") == _largest(table, "C", "disease") == 0


@pytest.mark.requirement("T40")
def test_what_the_whole_region_sees_is_nobodys_surge_but_in_another_region_it_would_be() -> None:
    everywhere = [*_daily("A"), *_daily("B"), *_daily("C"), *_crowd("A"), *_crowd("B"), *_crowd("C")]
    table = _surges([*everywhere, *_daily("F")])
    assert _largest(table, "A", "disease") < 3
    alone = _surges([*_daily("A"), *_daily("B"), *_daily("C"), *_daily("F"), *_crowd("F")])
    assert _largest(alone, "F", "disease") > 6


def test_money_from_elsewhere_and_patients_never_seen_before_have_series_of_their_own() -> None:
    away = [{**row, "out_of_area": "self_arranged"} for row in (*_daily("A"), *_crowd("A"))]
    table = _surges(away)
    assert _largest(table, "A", "out_of_area") > 6
    assert _largest(table, "A", "new_patients") > 6
    assert _largest(_surges([*_daily("A"), *_crowd("A")]), "A", "out_of_area") == 0


def test_a_dear_claim_from_elsewhere_now_and_then_is_no_surge() -> None:
    rows = [{**row, "out_of_area": "self_arranged"} for row in _daily("A")]
    for row in rows[8::56]:
        row["total_amount"] = 5_000.0
    assert _largest(_surges(rows), "A", "out_of_area") < 6


def test_a_house_that_has_just_opened_has_no_surge() -> None:
    assert _surges(_daily("A", range(1, 55))).num_rows == 0


def test_only_whole_weeks_before_the_snapshot_count_and_later_claims_change_nothing() -> None:
    rows = [*_daily("A"), *_daily("B"), *_crowd("A")]
    midweek = SNAPSHOT - timedelta(days=20)
    known = [row for row in rows if row["days_ago"] > 20]
    assert _surges(rows, midweek).equals(_surges(known, midweek))


def test_a_lasting_rise_adds_up_where_a_single_week_does_not() -> None:
    week = _crowd("A")
    rise = [
        {**row, "days_ago": row["days_ago"] + 7 * n, "patient_id": f"{row['patient_id']}-{n}"}
        for row in week
        for n in range(3)
    ]
    once, thrice = (_largest(_surges([*_daily("A"), *rows]), "A", "claims", "cusum") for rows in (week, rise))
    assert once < 5 < 12 < thrice


@given(st.lists(st.integers(0, 40), min_size=BASELINE_WEEKS + 1, max_size=30), st.integers(2, 50))
def test_a_provider_that_moves_with_its_region_never_deviates_by_much(counts: list[int], scale: int) -> None:
    own = np.array([counts], dtype=float)
    _, expected, z = deviations(own, own * scale)
    assert np.isfinite(z).all()
    assert (expected >= 0).all()
    # Where the region's level is seen clearly, following it exactly leaves next to nothing.
    level = np.array([np.median(own[0, i : i + BASELINE_WEEKS]) for i in range(own.shape[1] - BASELINE_WEEKS)])
    clear = level * scale > 200
    assert (np.abs(z[0][clear]) < 0.06 * np.sqrt(np.maximum(own[0, BASELINE_WEEKS:][clear], level[clear])) + 0.5).all()
