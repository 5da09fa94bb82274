"""Labels from several outcomes of one entity: the policy of fraud.learning.datasets.labels, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import duckdb
import numpy as np
import pytest

from fraud.claims.folder import connect
from fraud.claims.schema import TABLES
from fraud.learning.datasets.labels import Labels, known_labels
from fraud.learning.spec import ModelSpec
from tests.learning.town import CLAIM_SPEC, spec

DAY = datetime(2025, 12, 31)
Row = dict[str, Any]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = connect(threads=1)
    columns = ", ".join(f'"{c.name}" {c.sql}' for c in TABLES["outcomes"].columns)
    connection.execute(f"CREATE TABLE outcomes ({columns})")
    connection.execute("CREATE TABLE claims AS SELECT 'C1' AS claim_id, 'H1' AS provider_id")
    yield connection
    connection.close()


def found(con: duckdb.DuckDBPyConnection, rows: list[Row], of: ModelSpec | None = None, **more: Any) -> Labels:
    """Labels of H1 (or C1) after these outcomes."""
    chosen = of or spec()
    whom = {"provider": "H1", "claim": "C1"}[chosen.entity]
    for row in rows:
        full = {"entity": chosen.entity, "entity_id": whom, **row}
        marks = ", ".join(f"${c}" for c in full)
        con.execute(f"INSERT INTO outcomes ({', '.join(full)}) VALUES ({marks})", full)
    return known_labels(con, chosen, **{"as_of": DAY, **more})


def label(labels: Labels) -> float | None:
    """The one label there is, or None."""
    (y,) = labels.looked_at["y"].to_pylist() or [None]
    return y  # type: ignore[no-any-return]


def said(verdict: str, day: str, violation: str | None = None, period: str = "", amount: float | None = None) -> Row:
    """An outcome; `period` is `from..to`, in months of 2025."""
    row: Row = {"verdict": verdict, "decided_at": datetime.fromisoformat(day), "violation": violation, "amount": amount}
    if period:
        first, last = (int(m) for m in period.split(".."))
        row |= {"period_from": date(2025, first, 1), "period_to": date(2025, last, 28)}
    return row


FRAUD, ABUSE, CLEARED, APPEAL, PENDING = (
    "confirmed_fraud", "confirmed_abuse", "false_positive", "appeal_upheld", "pending",
)  # fmt: skip


@pytest.mark.requirement("000-49")
def test_an_appeal_withdraws_the_finding_that_it_names_and_no_other(con: duckdb.DuckDBPyConnection) -> None:
    rows = [said(FRAUD, "2025-03-01", "T01"), said(ABUSE, "2025-03-01", "T05"), said(APPEAL, "2025-06-01", "T05")]
    assert label(found(con, rows)) == 1
    assert label(found(con, [said(APPEAL, "2025-07-01", "T01")])) == 0


@pytest.mark.requirement("000-49")
def test_an_appeal_that_names_nothing_withdraws_everything_before_it(con: duckdb.DuckDBPyConnection) -> None:
    rows = [said(FRAUD, "2025-03-01", "T01"), said(ABUSE, "2025-03-01", "T05"), said(APPEAL, "2025-06-01")]
    assert label(found(con, rows)) == 0


def test_a_case_that_was_opened_again_counts_as_it_was_closed_last(con: duckdb.DuckDBPyConnection) -> None:
    first = [said(CLEARED, "2025-02-01", "T01"), said(PENDING, "2025-04-01", "T01")]
    assert label(found(con, first)) == 0
    assert label(found(con, [said(FRAUD, "2025-08-01", "T01")])) == 1


def test_an_appeal_decided_after_the_cut_does_not_exist_yet(con: duckdb.DuckDBPyConnection) -> None:
    rows = [said(FRAUD, "2025-03-01", "T01"), said(APPEAL, "2025-06-01", "T01")]
    assert label(found(con, rows, as_of=datetime(2025, 5, 31))) == 1
    assert label(known_labels(con, spec(), DAY)) == 0


@pytest.mark.parametrize(("later", "expected"), [("7..9", 0.0), ("2..9", 0.0), ("", 0.0)])
def test_the_last_period_speaks_for_an_entity(con: duckdb.DuckDBPyConnection, later: str, expected: float) -> None:
    rows = [said(FRAUD, "2025-04-01", "T01", "1..3"), said(CLEARED, "2025-11-01", None, later)]
    assert label(found(con, rows)) == expected


def test_an_earlier_period_cleared_later_does_not_clear_the_last(con: duckdb.DuckDBPyConnection) -> None:
    rows = [said(FRAUD, "2025-10-01", "T01", "7..9"), said(CLEARED, "2025-11-01", None, "1..3")]
    assert label(found(con, rows)) == 1


def test_of_several_on_one_day_the_one_that_accuses_least_stands(con: duckdb.DuckDBPyConnection) -> None:
    assert label(found(con, [said(FRAUD, "2025-03-01", "T01"), said(CLEARED, "2025-03-01", "T01")])) == 0


def test_a_standing_verdict_of_another_kind_leaves_nobody_clean(con: duckdb.DuckDBPyConnection) -> None:
    assert label(found(con, [said("waste", "2025-03-01", "T03"), said(CLEARED, "2025-04-01", "T01")])) is None


def test_the_money_of_standing_findings_adds_up(con: duckdb.DuckDBPyConnection) -> None:
    rows = [
        said(FRAUD, "2025-03-01", "T01", amount=100.0),
        said(FRAUD, "2025-04-01", "T01", amount=80.0),
        said(ABUSE, "2025-03-01", "T05", amount=7.0),
    ]
    assert found(con, rows).looked_at["amount"].to_pylist() == [87.0]


def test_an_open_case_is_told_apart_from_one_that_was_decided(con: duckdb.DuckDBPyConnection) -> None:
    open_case = found(con, [said(PENDING, "2025-03-01")])
    assert open_case.looked_at["decided"].to_pylist() == [False]
    closed = found(con, [said("insufficient_evidence", "2025-04-01")])
    assert closed.looked_at["decided"].to_pylist() == [True]
    assert label(closed) is None


def test_what_was_decided_since_a_day_concerns_only_what_had_begun_by_then(con: duckdb.DuckDBPyConnection) -> None:
    since = datetime(2025, 6, 1)
    rows = [said(CLEARED, "2025-03-01", None, "1..2"), said(FRAUD, "2025-09-01", "T01", "7..8")]
    assert label(found(con, rows, since=since)) is None
    assert label(found(con, [said(FRAUD, "2025-10-01", "T02", "4..8")], since=since)) == 1


def test_claims_have_one_period_whatever_is_written(con: duckdb.DuckDBPyConnection) -> None:
    rows = [said(FRAUD, "2025-04-01", "T01", "1..1"), said(APPEAL, "2025-09-01", "T01", "3..3")]
    assert label(found(con, rows, spec(CLAIM_SPEC))) == 0


def test_the_order_of_rows_changes_nothing(con: duckdb.DuckDBPyConnection) -> None:
    rows = [
        said(FRAUD, "2025-03-01", "T01", "1..2", 5.0),
        said(APPEAL, "2025-06-01", "T01", "1..2"),
        said(ABUSE, "2025-03-01", "T05", "1..4", 3.0),
        said("waste", "2025-03-01", "T09"),
    ]
    seen = []
    for seed in range(4):
        con.execute("DELETE FROM outcomes")
        shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
        seen.append(found(con, shuffled).looked_at.to_pylist())
    assert all(s == seen[0] for s in seen)
    assert seen[0][0]["y"] == 1
    assert seen[0][0]["amount"] == 3.0
