"""A scoring service as a team would write it by hand: FastAPI, the history in SQLite, features in pandas, LightGBM.

It computes nineteen of the catalogue's claim signals and scores with the same booster; the other features stay
unknown. There are no rules, no reasons, no snapshots, and nothing is stored: less work than the service beside it.

    BESIDE_DATABASE=fraud.db BESIDE_MODEL=.../fitted uvicorn beside.handwritten:app
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any

import numpy as np
import pandas as pd
from fastapi import FastAPI

from fraud.learning.model import FittedModel

__all__ = ["SIGNALS", "app"]

PAST_DAYS, RECENT_DAYS, MONTH_DAYS = 365, 90, 30
_PAST = """
    SELECT claim_id, provider_id, physician_id, visit_type, admitted_at, discharged_at, invoice_no, identity_check
    FROM claims
    WHERE patient_id = ? AND settled_at < ? AND settled_at >= ? AND claim_id <> ?
"""
SIGNALS = (
    "charged", "daily_amount", "nights", "lines_against_total", "diagnosis_codes", "procedure_codes",
    "failed_identity_check", "unregistered", "upload_delay", "same_day_providers", "recent_providers",
    "recent_physicians", "recent_claims", "recent_purchases", "stays_before", "days_since_stay",
    "days_since_stay_here", "repeated_invoices", "unproved_identity",
)  # fmt: skip

app = FastAPI()
_model = FittedModel.load(os.environ["BESIDE_MODEL"])
_places = {name: n for n, name in enumerate(_model.names)}
_connection = sqlite3.connect(f"file:{os.environ['BESIDE_DATABASE']}?mode=ro", uri=True, check_same_thread=False)


@app.post("/score")
async def score(body: dict[str, Any]) -> dict[str, Any]:
    """Probability and margin of one claim."""
    features = _features(body)
    row = np.full((1, len(_places)), np.nan)
    for name, value in features.items():
        if (place := _places.get(f"claim.{name}")) is not None:
            row[0, place] = value
    margin = _model.margins(row)
    return {
        "probability": float(_model.probability(margin)[0]),
        "margin": float(margin[0]),
        "features": {n: None if pd.isna(v) else float(v) for n, v in features.items()},
    }


def _features(body: dict[str, Any]) -> dict[str, float]:
    claim = body["claim"]
    lines, diagnoses, procedures = (pd.DataFrame(body[n]) for n in ("lines", "diagnoses", "procedures"))
    settled, admitted = pd.Timestamp(claim["settled_at"]), pd.Timestamp(claim["admitted_at"])
    discharged = pd.Timestamp(claim.get("discharged_at", claim["admitted_at"]))
    uploaded, total = pd.Timestamp(claim.get("uploaded_at")), claim["total_amount"]
    nights = (discharged.normalize() - admitted.normalize()).days
    return {
        "charged": total,
        "daily_amount": total / (nights + 1),
        "nights": nights,
        "lines_against_total": lines["amount"].sum() / total if len(lines) and total else np.nan,
        "diagnosis_codes": diagnoses["position"].max() if len(diagnoses) else 0,
        "procedure_codes": procedures["position"].max() if len(procedures) else 0,
        "failed_identity_check": int(claim["identity_check"] == "fail") if claim.get("identity_check") else np.nan,
        "unregistered": int(not claim.get("registered", True)),
        "upload_delay": (uploaded.normalize() - settled.normalize()).days if pd.notna(uploaded) else np.nan,
        **_of_past(claim, settled, admitted),
    }


def _of_past(claim: dict[str, Any], settled: pd.Timestamp, admitted: pd.Timestamp) -> dict[str, float]:
    since = (settled - pd.Timedelta(days=PAST_DAYS)).isoformat(" ")
    asked = (claim["patient_id"], settled.isoformat(" "), since, claim.get("claim_id", ""))
    past = pd.read_sql_query(_PAST, _connection, params=asked, parse_dates=["admitted_at", "discharged_at"])
    days_ago = (admitted.normalize() - past["admitted_at"].dt.normalize()).dt.days
    gap_days = (admitted.normalize() - past["discharged_at"].dt.normalize()).dt.days
    here, stay = past["provider_id"] == claim["provider_id"], past["visit_type"] == "inpatient"
    month = days_ago.between(0, MONTH_DAYS)
    recent = past[days_ago <= RECENT_DAYS]
    unproved = claim.get("identity_check") not in (None, "pass")
    return {
        "same_day_providers": past.loc[(days_ago == 0) & ~here, "provider_id"].nunique() + 1,
        "recent_providers": recent["provider_id"].nunique(),
        "recent_physicians": recent["physician_id"].nunique(),
        "recent_claims": int(month.sum()),
        "recent_purchases": int((month & (past["visit_type"] == "pharmacy")).sum()),
        "stays_before": int(stay.sum()),
        "days_since_stay": gap_days[stay].min() if stay.any() else np.nan,
        "days_since_stay_here": gap_days[stay & here].min() if (stay & here).any() else np.nan,
        "repeated_invoices": int((past["invoice_no"] == claim.get("invoice_no", "")).sum()),
        "unproved_identity": int(unproved) * (int((past["identity_check"].dropna() != "pass").sum()) + 1),
    }
