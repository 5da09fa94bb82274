"""The importer of the public Medicare provider-fraud files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pandas as pd
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.claims.importing import import_claims
from fraud.errors import ClaimsError

from .files import ADMISSION, CMS, INPATIENT, as_csv, assert_balanced, cms_folder, contents, needs_cms, rows


def test_a_claim_takes_its_amounts_dates_and_codes_from_the_file(tmp_path: Path) -> None:
    result = import_claims("cms", cms_folder(tmp_path / "raw"), tmp_path / "claims")
    columns = (
        "claim_id, patient_id, provider_id, physician_id, visit_type, admitted_at::DATE::VARCHAR, "
        "discharged_at::DATE::VARCHAR, settled_at::DATE::VARCHAR, primary_diagnosis, drg, total_amount, "
        "fund_amount, self_amount, deductible, currency"
    )
    assert rows(result.to, "claims", columns)[0] == (
        "CLM1", "BENE1", "PRV1", "PHY1", "inpatient", "2009-04-12", "2009-04-18", "2009-04-18", "1970", "201",
        27068.0, 26000.0, 1068.0, 1068.0, "USD",
    )  # fmt: skip
    assert_balanced(result)


def test_no_deductible_counts_as_nothing_paid_and_stays_unknown(tmp_path: Path) -> None:
    text = as_csv([ADMISSION | {"DeductibleAmtPaid": "NA"}], INPATIENT, "NA")
    raw = cms_folder(tmp_path / "raw", **{"Train_Inpatientdata-1_csv": text})
    result = import_claims("cms", raw, tmp_path / "claims")
    assert rows(result.to, "claims", "total_amount, deductible, self_amount") == [(26000.0, None, None)]


def test_diagnoses_and_procedures_keep_their_places_and_zeros_and_lose_a_decimal(tmp_path: Path) -> None:
    result = import_claims("cms", cms_folder(tmp_path / "raw"), tmp_path / "claims")
    diagnoses = rows(result.to, "diagnoses", "claim_id, kind, position, code")
    assert [row[1:] for row in diagnoses if row[0] == "CLM1"] == [
        ("admission", 1, "07866"),
        ("discharge", 1, "1970"),
        ("discharge", 2, "04019"),
    ]
    assert rows(result.to, "procedures", "claim_id, position, code, physician_id")[0] == (
        "CLM1",
        1,
        "7092",
        "PHY2",
    )


def test_a_beneficiary_becomes_a_patient_with_named_conditions(tmp_path: Path) -> None:
    result = import_claims("cms", cms_folder(tmp_path / "raw"), tmp_path / "claims")
    columns = "patient_id, birth_date::VARCHAR, died_on, sex, insured_region, chronic_conditions"
    expected = ("BENE1", "1943-01-01", None, "male", "39-230", ["alzheimer", "renal_disease"])
    assert rows(result.to, "patients", columns) == [expected]


def test_labels_become_outcomes_dated_after_the_last_claim(tmp_path: Path) -> None:
    raw = cms_folder(tmp_path / "raw", **{"Train-1_csv": "Provider,PotentialFraud\nPRV1,Yes\nPRV2,No\nPRV9,Yes\n"})
    result = import_claims("cms", raw, tmp_path / "claims")
    columns = "entity, entity_id, verdict, period_from::VARCHAR, period_to::VARCHAR, decided_at::DATE::VARCHAR"
    span = ("2009-04-12", "2009-05-01", "2009-05-02")
    assert rows(result.to, "outcomes", columns) == [
        ("provider", "PRV1", "confirmed_fraud", *span),
        ("provider", "PRV2", "false_positive", *span),
        ("provider", "PRV9", "confirmed_fraud", *span),
    ]


def test_a_label_for_a_provider_without_claims_is_kept_and_reported(tmp_path: Path) -> None:
    raw = cms_folder(tmp_path / "raw", **{"Train-1_csv": "Provider,PotentialFraud\nPRV9,Yes\n"})
    result = import_claims("cms", raw, tmp_path / "claims")
    assert result.tables["outcomes"].loaded == 1
    orphans = json.loads((result.to / "quality.json").read_text())["orphans"]
    (found,) = [o for o in orphans if o["table"] == "outcomes"]
    assert (found["count"], found["of"]) == (1, 1)


def test_a_label_that_is_neither_yes_nor_no_is_quarantined(tmp_path: Path) -> None:
    raw = cms_folder(tmp_path / "raw", **{"Train-1_csv": "Provider,PotentialFraud\nPRV1,Perhaps\n"})
    result = import_claims("cms", raw, tmp_path / "claims")
    ((reasons,),) = rows(result.to, "quarantine/outcomes", "reasons")
    assert reasons == ["verdict: not_in_set (Perhaps)"]


def test_a_physician_belongs_to_the_provider_with_most_of_the_claims(tmp_path: Path) -> None:
    claims = [
        ADMISSION | {"ClaimID": f"CLM{n}", "Provider": provider} for n, provider in enumerate(("PRV2", "PRV1", "PRV2"))
    ]
    raw = cms_folder(tmp_path / "raw", **{"Train_Inpatientdata-1_csv": as_csv(claims, INPATIENT, "NA")})
    result = import_claims("cms", raw, tmp_path / "claims")
    assert rows(result.to, "physicians", "physician_id, provider_id") == [("PHY1", "PRV2"), ("PHY2", "PRV2")]
    assert rows(result.to, "providers", "provider_id") == [("PRV1",), ("PRV2",)]


def test_outpatient_and_test_files_are_read_where_they_are_in_any_case(tmp_path: Path) -> None:
    columns = [name for name in INPATIENT if name not in ("AdmissionDt", "DischargeDt", "DiagnosisGroupCode")]
    visit = {name: ADMISSION.get(name, "NA") for name in columns} | {
        "ClaimID": "CLM7",
        "ClaimEndDt": "2009-04-12",
    }
    files = {
        "TRAIN_outpatientData-9_csv": as_csv([visit], columns),
        "Test_Inpatientdata-2_csv": as_csv([ADMISSION | {"ClaimID": "CLM8"}], INPATIENT, "NA"),
        "Test-2_csv": "Provider\nPRV5\n",
    }
    result = import_claims("cms", cms_folder(tmp_path / "raw", **files), tmp_path / "claims")
    told = rows(result.to, "claims", "claim_id, visit_type, admitted_at::DATE::VARCHAR, discharged_at::DATE::VARCHAR")
    assert ("CLM7", "outpatient", "2009-04-12", "2009-04-12") in told
    assert result.tables["claims"].loaded == 4
    assert result.tables["outcomes"].loaded == 2
    assert not result.faults


def test_claims_alone_are_enough(tmp_path: Path) -> None:
    raw = cms_folder(tmp_path / "raw")
    (raw / "Train_Beneficiarydata-1.csv").unlink()
    (raw / "Train-1.csv").unlink()
    result = import_claims("cms", raw, tmp_path / "claims")
    assert set(result.tables) == {"claims", "diagnoses", "procedures", "providers", "physicians"}


def test_rows_of_a_claim_in_quarantine_or_of_a_copy_are_not_made(tmp_path: Path) -> None:
    claims = [ADMISSION, ADMISSION, ADMISSION | {"ClaimID": "CLM2", "InscClaimAmtReimbursed": "abc"}]
    raw = cms_folder(tmp_path / "raw", **{"Train_Inpatientdata-1_csv": as_csv(claims, INPATIENT, "NA")})
    result = import_claims("cms", raw, tmp_path / "claims")
    assert {row[0] for row in rows(result.to, "diagnoses", "claim_id")} == {"CLM1"}
    assert result.tables["diagnoses"].rows_in == 3
    ((reasons,),) = rows(result.to, "quarantine/claims", "reasons")
    assert reasons == ["total_amount: not_a_number (abc)", "fund_amount: not_a_number (abc)"]
    assert_balanced(result)


def test_columns_without_a_place_are_listed_with_their_filled_rows(tmp_path: Path) -> None:
    claims = [
        ADMISSION | {"OtherPhysician": "PHY9"},
        ADMISSION | {"ClaimID": "CLM2", "ClmProcedureCode_1": "NA"},
    ]
    raw = cms_folder(tmp_path / "raw", **{"Train_Inpatientdata-1_csv": as_csv(claims, INPATIENT, "NA")})
    result = import_claims("cms", raw, tmp_path / "claims")
    left = {e["column"]: e["filled"] for e in json.loads((result.to / "quality.json").read_text())["left_out"]}
    assert left == {"Race": 1, "OtherPhysician": 1, "OperatingPhysician (claims without a procedure)": 1}


def test_missing_columns_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    files = {
        "Train_Inpatientdata-1_csv": as_csv([ADMISSION], INPATIENT).replace("ClaimEndDt", "ClaimEnd"),
        "Train_Beneficiarydata-1_csv": "BeneID,DOB\nBENE1,1943-01-01\n",
        "Train-1_csv": "Provider\nPRV1\n",
    }
    with pytest.raises(ClaimsError) as caught:
        import_claims("cms", cms_folder(tmp_path / "raw", **files), tmp_path / "claims")
    assert {fault.where for fault in caught.value.faults} == {
        "Train_Inpatientdata-1.csv:ClaimEndDt",
        "Train_Beneficiarydata-1.csv:Gender",
        "Train-1.csv:PotentialFraud",
    }


@needs_cms
def test_the_public_files_import_whole_in_time_and_twice_the_same(tmp_path: Path) -> None:
    started = time.process_time()
    result = import_claims("cms", CMS, tmp_path / "claims")
    # Measured: 5 s on two quiet cores, the aim is 15 s. Processor time, so that a busy machine is none the slower.
    assert time.process_time() - started < 60
    assert {name: count.rows for name, count in result.tables.items()} == {
        "claims": 40_474,
        "diagnoses": 367_802,
        "procedures": 29_692,
        "patients": 138_556,
        "providers": 2_092,
        "physicians": 16_728,
        "outcomes": 4_327,
    }
    assert not result.faults
    assert_balanced(result)
    before = contents(result.to)
    assert import_claims("cms", CMS, tmp_path / "claims").digest == result.digest
    assert contents(result.to) == before
    assert (result.to / "quality.html").stat().st_size < 1_000_000


@needs_cms
def test_the_public_files_add_up_to_what_pandas_reads(tmp_path: Path) -> None:
    to = import_claims("cms", CMS, tmp_path / "claims").to
    (file,) = CMS.glob("Train_Inpatientdata*.csv")
    raw = pd.read_csv(file, dtype=str, keep_default_na=False, na_values=["NA"])
    codes = raw[[name for name in raw if name.startswith("ClmDiagnosisCode") or name == "ClmAdmitDiagnosisCode"]]
    paid = raw["InscClaimAmtReimbursed"].astype(float)
    charged = paid + raw["DeductibleAmtPaid"].astype(float).fillna(0)
    assert rows(to, "claims", "sum(fund_amount), sum(total_amount)") == [(paid.sum(), charged.sum())]
    assert rows(to, "diagnoses", "count(*), count(DISTINCT code)") == [
        (int(codes.notna().to_numpy().sum()), codes.stack().dropna().nunique())
    ]
    kept = {row[0] for row in rows(to, "diagnoses", "DISTINCT code") if row[0].startswith("0")}
    assert kept == {code for code in set(codes.stack().dropna()) if code.startswith("0")}
    assert ClaimsFolder(to).present["claims"] >= {"claim_id", "drg", "deductible"}
