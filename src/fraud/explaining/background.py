"""What the record says about a claim or entity: the facts and the timeline of its report.

Both read the canonical tables of a connection, and only claims settled before the day of the report.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

import duckdb

from fraud.errors import NotKnownError
from fraud.explaining.explanation import Event, Fact, Month

__all__ = ["currency_of", "events_of", "facts_of", "months_of"]

_KEYS = {"patient": "patient_id", "provider": "provider_id", "physician": "physician_id"}
_OWN = {
    "provider": "SELECT name, kind, level, region FROM providers WHERE provider_id = $id",
    "physician": "SELECT provider_id, specialty, title FROM physicians WHERE physician_id = $id",
    "patient": """
        SELECT sex, date_diff('year', birth_date, CAST($day AS DATE)) AS age, insurance_type,
               CASE WHEN died_on <= CAST($day AS DATE) THEN died_on END AS died_on
        FROM patients WHERE patient_id = $id""",
}
_CLAIM = """
    SELECT provider_id, p.name, patient_id, physician_id, visit_type, department, admitted_at, discharged_at,
           settled_at, primary_diagnosis, drg, total_amount, fund_amount, self_amount,
           nullif((SELECT count(*) FROM lines WHERE lines.claim_id = c.claim_id), 0) AS lines
    FROM claims c LEFT JOIN providers p USING (provider_id) WHERE claim_id = $id"""
_WINDOW = """
    FROM claims WHERE "{key}" = $id AND settled_at < $day AND settled_at >= $day - to_days($days)"""
_TOTALS = """
    SELECT count(*) AS claims, count(DISTINCT patient_id) AS patients,
           count(DISTINCT provider_id) AS providers, count(DISTINCT physician_id) AS physicians,
           sum(total_amount) AS total_amount, sum(fund_amount) AS fund_amount,
           CAST(min(admitted_at) AS DATE) AS first, CAST(max(admitted_at) AS DATE) AS last"""


def facts_of(
    connection: duckdb.DuckDBPyConnection, entity: str, entity_id: str, as_of: datetime, days: int = 365
) -> tuple[Fact, ...]:
    """What is on file about a claim, or about an entity and its claims of the `days` before `as_of`.

    Raises:
        NotKnownError: no such claim.
    """
    if entity == "claim":
        return _facts(_claim(connection, entity_id))
    own = _one(connection, _OWN[entity], id=entity_id, day=as_of) or {}
    key = _KEYS[entity]
    totals = _one(connection, _TOTALS + _WINDOW.format(key=key), id=entity_id, day=as_of, days=days) or {}
    first, last = totals.pop("first"), totals.pop("last")
    # The number of patients of a patient says nothing.
    totals.pop(f"{entity}s", None)
    period = {"period": (first, last)} if first else {}
    return _facts(own | totals | period)


def months_of(
    connection: duckdb.DuckDBPyConnection, entity: str, entity_id: str, as_of: datetime, days: int = 365
) -> tuple[Month, ...]:
    """Claims and charges by month of admission, months without claims included."""
    query = f"""
        WITH own AS (
            SELECT CAST(date_trunc('month', admitted_at) AS DATE) AS day, count(*) AS claims,
                   sum(total_amount) AS amount {_WINDOW.format(key=_KEYS[entity])} GROUP BY 1),
        months AS (
            SELECT CAST(unnest(generate_series(min(day), max(day), INTERVAL 1 MONTH)) AS DATE) AS day
            FROM own)
        SELECT day, coalesce(claims, 0), coalesce(amount, 0.0)
        FROM months LEFT JOIN own USING (day) ORDER BY day"""
    rows = connection.execute(query, {"id": entity_id, "day": as_of, "days": days}).fetchall()
    return tuple(Month(day, int(claims), float(amount)) for day, claims, amount in rows)


def events_of(
    connection: duckdb.DuckDBPyConnection,
    patient_id: str,
    as_of: datetime,
    marked: Collection[str] = (),
    days: int = 365,
) -> tuple[Event, ...]:
    """The patient's claims settled in the `days` before `as_of`, and the `marked` ones, oldest first.

    `marked` are claim ids: the claim that is explained, and those that are evidence.
    """
    query = """
        SELECT claim_id, CAST(admitted_at AS DATE), visit_type, provider_id, primary_diagnosis, total_amount,
               CAST(discharged_at AS DATE)
        FROM claims
        WHERE patient_id = $id
          AND (settled_at < $day AND settled_at >= $day - to_days($days) OR list_contains($marked, claim_id))
        ORDER BY admitted_at, claim_id"""
    arguments = {"id": patient_id, "day": as_of, "days": days, "marked": sorted(marked)}
    rows = connection.execute(query, arguments).fetchall()
    return tuple(_event(*row, marked=set(marked)) for row in rows)


def currency_of(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The currency of the claims; None where it is not given, or where there are several."""
    query = "SELECT DISTINCT currency FROM claims WHERE currency IS NOT NULL LIMIT 2"
    rows = connection.execute(query).fetchall()
    return str(rows[0][0]) if len(rows) == 1 else None


def _event(
    claim_id: str,
    day: date,
    kind: str,
    provider_id: str,
    diagnosis: str | None,
    amount: float | None,
    until: date | None,
    *,
    marked: set[str],
) -> Event:
    label = " · ".join(part for part in (provider_id, diagnosis) if part)
    return Event(day, kind, label, amount, claim_id in marked, until, provider_id, claim_id)


def _claim(connection: duckdb.DuckDBPyConnection, claim_id: str) -> dict[str, Any]:
    found = _one(connection, _CLAIM, id=claim_id)
    if found is None:
        raise NotKnownError("No claim has this id; check the id, or import the claim first.")
    return found


def _one(connection: duckdb.DuckDBPyConnection, query: str, **arguments: Any) -> dict[str, Any] | None:
    used = {name: value for name, value in arguments.items() if f"${name}" in query}
    row = connection.execute(query, used).fetchone()
    return None if row is None else {c[0]: v for c, v in zip(connection.description or (), row, strict=True)}


def _facts(row: dict[str, Any]) -> tuple[Fact, ...]:
    return tuple(Fact(label, value) for label, value in row.items() if value is not None)
