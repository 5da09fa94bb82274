"""Some signals of every grain once more, as somebody would write them in pandas; they read the catalogue's definitions.

Merges and grouped aggregations over whole columns, no loop over rows, only the columns that are needed.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

__all__ = ["SIGNALS", "frames_in_pandas"]

SIGNALS: dict[str, tuple[str, ...]] = {
    "claim": (
        "claim.charged",
        "claim.daily_amount",
        "claim.nights",
        "claim.diagnosis_codes",
        "claim.repeated_trace_codes",
        "claim.lines_against_total",
        "claim.stays_before",
        "claim.same_disease_elsewhere",
        "claim.days_since_stay",
    ),
    "patient": ("patient.claims", "patient.providers", "patient.total_amount", "patient.one_provider_share"),
    "provider": (
        "provider.claims_per_patient",
        "provider.amount_spread",
        "provider.largest_amount",
        "network.sharing_providers",
    ),
    "physician": ("physician.busiest_day", "physician.case_concentration"),
}
_YEAR = pd.Timedelta(days=365)
_CLAIM = ["claim_id", "patient_id", "provider_id", "physician_id", "visit_type", "admitted_at", "discharged_at"]
_CLAIM += ["settled_at", "total_amount", "primary_diagnosis"]


def frames_in_pandas(folder: Path, day: pd.Timestamp) -> dict[str, pd.DataFrame]:
    """The frame of each kind of entity, indexed by its id; entities as of `day`."""
    claims = pd.read_parquet(folder / "claims", columns=_CLAIM)
    claims["disease"] = claims.primary_diagnosis.str[:3]
    lines = pd.read_parquet(folder / "lines", columns=["claim_id", "amount", "trace_code"])
    window = claims[(claims.settled_at < day) & (claims.settled_at >= day - _YEAR)]
    return {
        "claim": _claims(claims, lines, pd.read_parquet(folder / "diagnoses", columns=["claim_id", "position"])),
        "patient": _patients(window),
        "provider": _providers(window),
        "physician": _physicians(window),
    }


def _claims(claims: pd.DataFrame, lines: pd.DataFrame, diagnoses: pd.DataFrame) -> pd.DataFrame:
    found = claims.set_index("claim_id")
    nights = (found.discharged_at.dt.normalize() - found.admitted_at.dt.normalize()).dt.days
    amounts = lines.groupby("claim_id").amount.sum()
    traced = lines.dropna(subset=["trace_code"]).groupby("claim_id").trace_code.agg(["count", "nunique"])
    own = pd.DataFrame(
        {
            "claim.charged": found.total_amount,
            "claim.daily_amount": found.total_amount / (nights + 1),
            "claim.nights": nights,
            "claim.diagnosis_codes": diagnoses.groupby("claim_id").position.max().reindex(found.index).fillna(0),
            "claim.repeated_trace_codes": (traced["count"] - traced["nunique"]).reindex(found.index).fillna(0),
            "claim.lines_against_total": amounts.reindex(found.index)
            / found.total_amount.where(found.total_amount != 0),
        }
    )
    return own.join(_past(claims, found.index))


def _past(claims: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """What the claims of the same patient within a year before say."""
    wanted = ["claim_id", "patient_id", "provider_id", "visit_type", "admitted_at", "settled_at", "disease"]
    earlier = [*wanted, "discharged_at"]
    pairs = claims[wanted].merge(claims[earlier], on="patient_id", suffixes=("", "_past"))
    known = (pairs.settled_at_past < pairs.settled_at) & (pairs.settled_at_past >= pairs.settled_at - _YEAR)
    pairs = pairs[known & (pairs.claim_id != pairs.claim_id_past)]
    here, stay = pairs.provider_id == pairs.provider_id_past, pairs.visit_type_past == "inpatient"
    gap = (pairs.admitted_at.dt.normalize() - pairs.discharged_at.dt.normalize()).dt.days
    owner = pairs.claim_id
    return pd.DataFrame(
        {
            "claim.stays_before": stay.groupby(owner).sum().reindex(index).fillna(0),
            "claim.same_disease_elsewhere": (~here & (pairs.disease == pairs.disease_past))
            .groupby(owner)
            .sum()
            .reindex(index)
            .fillna(0),
            "claim.days_since_stay": gap.where(stay).groupby(owner).min().reindex(index),
        }
    )


def _patients(window: pd.DataFrame) -> pd.DataFrame:
    groups = window.groupby("patient_id")
    visits = window.groupby(["patient_id", "provider_id"]).size().groupby("patient_id")
    return pd.DataFrame(
        {
            "patient.claims": groups.size(),
            "patient.providers": groups.provider_id.nunique(),
            "patient.total_amount": groups.total_amount.sum(),
            "patient.one_provider_share": visits.max() / visits.sum(),
        }
    )


def _providers(window: pd.DataFrame) -> pd.DataFrame:
    groups = window.groupby("provider_id")
    mean = groups.total_amount.mean()
    seen = window[["patient_id", "provider_id"]].drop_duplicates()
    both = seen.merge(seen, on="patient_id", suffixes=("", "_other"))
    both = both[both.provider_id != both.provider_id_other]
    return pd.DataFrame(
        {
            "provider.claims_per_patient": groups.size() / groups.patient_id.nunique(),
            "provider.amount_spread": groups.total_amount.std() / mean.where(mean != 0),
            "provider.largest_amount": groups.total_amount.max(),
            "network.sharing_providers": both.groupby("provider_id").provider_id_other.nunique().reindex(mean.index),
        }
    ).fillna({"network.sharing_providers": 0})


def _physicians(window: pd.DataFrame) -> pd.DataFrame:
    days = window.groupby(["physician_id", window.admitted_at.dt.normalize()]).size()
    case = window.visit_type + "|" + window.disease.fillna("?")
    cases = window.groupby(["physician_id", case]).size()
    total = cases.groupby("physician_id").sum()
    pairs = total * (total - 1)
    return pd.DataFrame(
        {
            "physician.busiest_day": days.groupby("physician_id").max(),
            "physician.case_concentration": (cases * (cases - 1)).groupby("physician_id").sum()
            / pairs.where(pairs != 0),
        }
    )
