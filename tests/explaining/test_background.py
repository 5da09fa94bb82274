"""Facts and timelines come from the record as it was known on the day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import duckdb
import pytest

from fraud.claims.folder import connect
from fraud.claims.schema import TABLES
from fraud.errors import NotKnownError
from fraud.explaining.background import currency_of, events_of, facts_of, months_of

DAY = datetime(2025, 7, 1)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, **row: object) -> None:
    names, places = ", ".join(row), ", ".join("?" for _ in row)
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))


def _claim(connection: duckdb.DuckDBPyConnection, claim_id: str, admitted: datetime, **more: object) -> None:
    row = {
        "claim_id": claim_id,
        "patient_id": "P1",
        "provider_id": "H1",
        "visit_type": "inpatient",
        "admitted_at": admitted,
        "discharged_at": admitted + timedelta(days=4),
        "settled_at": admitted + timedelta(days=5),
        "primary_diagnosis": "I10",
        "total_amount": 100.0,
        "fund_amount": 80.0,
        "currency": "CNY",
    }
    _insert(connection, "claims", **(row | more))


@pytest.fixture
def claims() -> Iterator[duckdb.DuckDBPyConnection]:
    with connect() as connection:
        for table in TABLES.values():
            columns = ", ".join(f'"{c.name}" {c.sql}' for c in table.columns)
            connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
        _insert(connection, "providers", provider_id="H1", name="First", kind="hospital", level="tertiary")
        _insert(
            connection, "patients", patient_id="P1", sex="male", birth_date=date(1950, 3, 1), died_on=date(2025, 8, 1)
        )
        _claim(connection, "C1", datetime(2025, 1, 10))
        _claim(connection, "C2", datetime(2025, 3, 10), patient_id="P2")
        _claim(connection, "C3", datetime(2025, 6, 28))
        _insert(connection, "lines", claim_id="C1", line_no=1, item_code="X", quantity=1.0, amount=100.0)
        yield connection


def test_facts_of_a_provider_count_only_what_was_settled_before_the_day(claims: duckdb.DuckDBPyConnection) -> None:
    facts = {f.label: f.value for f in facts_of(claims, "provider", "H1", DAY)}
    assert facts == {
        "name": "First",
        "kind": "hospital",
        "level": "tertiary",
        "claims": 2,
        "patients": 2,
        "physicians": 0,
        "total_amount": 200.0,
        "fund_amount": 160.0,
        "period": (date(2025, 1, 10), date(2025, 3, 10)),
    }


def test_a_later_death_is_not_yet_a_fact_of_the_patient(claims: duckdb.DuckDBPyConnection) -> None:
    facts = {f.label: f.value for f in facts_of(claims, "patient", "P1", DAY)}
    assert "died_on" not in facts
    assert (facts["age"], facts["claims"], facts["providers"]) == (75, 1, 1)


def test_facts_of_a_claim_name_its_parties_and_its_lines(claims: duckdb.DuckDBPyConnection) -> None:
    facts = {f.label: f.value for f in facts_of(claims, "claim", "C1", DAY)}
    assert (facts["provider_id"], facts["patient_id"], facts["lines"]) == ("H1", "P1", 1)
    assert "physician_id" not in facts


def test_facts_of_nobody_are_zero_claims(claims: duckdb.DuckDBPyConnection) -> None:
    assert {f.label: f.value for f in facts_of(claims, "physician", "nobody", DAY)}["claims"] == 0


def test_a_claim_that_is_not_there_is_named_as_not_known_without_its_id(claims: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(NotKnownError, match="No claim has this id") as found:
        facts_of(claims, "claim", "C-secret", DAY)
    assert "C-secret" not in found.value.message


def test_months_without_claims_are_shown_as_empty(claims: duckdb.DuckDBPyConnection) -> None:
    months = months_of(claims, "provider", "H1", DAY)
    assert [(m.day, m.claims, m.amount) for m in months] == [
        (date(2025, 1, 1), 1, 100.0),
        (date(2025, 2, 1), 0, 0.0),
        (date(2025, 3, 1), 1, 100.0),
    ]
    assert months_of(claims, "provider", "nobody", DAY) == ()


def test_events_of_a_patient_hold_the_marked_claim_and_nothing_later(claims: duckdb.DuckDBPyConnection) -> None:
    settled = datetime(2025, 7, 3)
    events = events_of(claims, "P1", settled, {"C3"})
    assert [(e.day, e.marked, e.label) for e in events] == [
        (date(2025, 1, 10), False, "H1 · I10"),
        (date(2025, 6, 28), True, "H1 · I10"),
    ]
    assert events[0].until == date(2025, 1, 14)
    assert [e.day for e in events_of(claims, "P1", settled)] == [date(2025, 1, 10)]


def test_the_currency_is_named_only_when_there_is_one(claims: duckdb.DuckDBPyConnection) -> None:
    assert currency_of(claims) == "CNY"
    _claim(claims, "C4", datetime(2025, 6, 1), currency="USD")
    assert currency_of(claims) is None
