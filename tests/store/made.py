"""Made-up claims for the tests of the store and the service."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fraud.claims.schema import TABLES
from fraud.store.versions import StoredBundle

DAY = datetime(2024, 3, 1, 9, 30)


def row(table: str, **values: Any) -> dict[str, Any]:
    """A whole row: what is not said is null."""
    return dict.fromkeys(TABLES[table].by_name) | values


def claim(claim_id: str = "c1", *, days: int = 0, **values: Any) -> dict[str, Any]:
    """A claim that settled `days` after the first of March."""
    at = DAY + timedelta(days=days)
    own: Mapping[str, Any] = {
        "claim_id": claim_id,
        "patient_id": "p1",
        "provider_id": "h1",
        "physician_id": "d1",
        "visit_type": "outpatient",
        "admitted_at": at,
        "settled_at": at,
        "total_amount": 120.0,
        "fund_amount": 90.0,
    }
    return row("claims", **{**own, **values})


def line(claim_id: str, line_no: int, **values: Any) -> dict[str, Any]:
    """A line of a claim."""
    own: Mapping[str, Any] = {"item_code": "X1", "quantity": 1.0, "amount": 60.0}
    return row("lines", claim_id=claim_id, line_no=line_no, **{**own, **values})


def bundle(claim_id: str = "c1", *, lines: int = 2, days: int = 0, **values: Any) -> StoredBundle:
    """A claim with lines, a diagnosis and a procedure."""
    return StoredBundle(
        claim(claim_id, days=days, **values),
        tuple(line(claim_id, n + 1) for n in range(lines)),
        (row("diagnoses", claim_id=claim_id, position=1, code="I109"),),
        (row("procedures", claim_id=claim_id, position=1, code="0331"),),
    )
