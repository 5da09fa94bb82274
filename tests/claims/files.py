"""Small raw files for the import tests, and what an import made of them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from fraud.claims.importing import ImportResult, import_claims

KEY = b"a key for tests, 32 bytes long.."
CMS = Path(os.environ.get("FRAUD_CMS_DATA", Path(__file__).parents[3] / "shared/data/cms_provider_fraud"))
needs_cms = pytest.mark.skipif(
    not CMS.is_dir(), reason="the public CMS files are absent: set FRAUD_CMS_DATA to their folder"
)

_INPATIENT = """
BeneID ClaimID ClaimStartDt ClaimEndDt Provider InscClaimAmtReimbursed AttendingPhysician OperatingPhysician
OtherPhysician AdmissionDt ClmAdmitDiagnosisCode DeductibleAmtPaid DischargeDt DiagnosisGroupCode
ClmDiagnosisCode_1 ClmDiagnosisCode_2 ClmProcedureCode_1 ClmProcedureCode_2
"""
_BENEFICIARY = """
BeneID DOB DOD Gender Race RenalDiseaseIndicator State County ChronicCond_Alzheimer ChronicCond_Cancer
"""
INPATIENT = _INPATIENT.split()
BENEFICIARY = _BENEFICIARY.split()

ADMISSION = {
    "BeneID": "BENE1",
    "ClaimID": "CLM1",
    "ClaimStartDt": "2009-04-12",
    "ClaimEndDt": "2009-04-18",
    "Provider": "PRV1",
    "InscClaimAmtReimbursed": "26000",
    "AttendingPhysician": "PHY1",
    "OperatingPhysician": "PHY2",
    "AdmissionDt": "2009-04-12",
    "ClmAdmitDiagnosisCode": "07866",
    "DeductibleAmtPaid": "1068.0",
    "DischargeDt": "2009-04-18",
    "DiagnosisGroupCode": "201",
    "ClmDiagnosisCode_1": "1970",
    "ClmDiagnosisCode_2": "04019",
    "ClmProcedureCode_1": "7092.0",
}
PERSON = {
    "BeneID": "BENE1",
    "DOB": "1943-01-01",
    "Gender": "1",
    "Race": "1",
    "RenalDiseaseIndicator": "Y",
    "State": "39",
    "County": "230",
    "ChronicCond_Alzheimer": "1",
    "ChronicCond_Cancer": "2",
}
CLAIM = {
    "claim_id": "C1",
    "patient_id": "P1",
    "provider_id": "H1",
    "visit_type": "outpatient",
    "admitted_at": "2024-03-01 09:00:00",
    "settled_at": "2024-03-01 10:00:00",
    "total_amount": "120.5",
    "fund_amount": "80",
}


def as_csv(rows: Iterable[Mapping[str, str]], columns: Sequence[str] | None = None, null: str = "") -> str:
    """CSV text of the rows; columns that a row lacks are written as `null`."""
    rows = list(rows)
    names = list(columns or dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row.get(name, null) for name in names] for row in rows)
    return text.getvalue()


def raw_folder(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """The folder, with the files written into it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def cms_folder(folder: Path, **files: str | bytes) -> Path:
    """A folder of small CMS files: two claims, one beneficiary and two labels, unless given otherwise."""
    second = ADMISSION | {"ClaimID": "CLM2", "Provider": "PRV2", "ClaimEndDt": "2009-05-01"}
    contents = {
        "Train_Inpatientdata-1.csv": as_csv([ADMISSION, second], INPATIENT, "NA"),
        "Train_Beneficiarydata-1.csv": as_csv([PERSON], BENEFICIARY, "NA"),
        "Train-1.csv": "Provider,PotentialFraud\nPRV1,Yes\nPRV2,No\n",
    }
    return raw_folder(folder, contents | {name.replace("_csv", ".csv"): text for name, text in files.items()})


def claims_csv(*changes: Mapping[str, str]) -> str:
    """CSV of claims, each the example with some cells changed."""
    return as_csv([CLAIM | dict(change) for change in changes])


def canonical(folder: Path, files: Mapping[str, str | bytes], **options: Any) -> ImportResult:
    """The result of importing canonical files into the folder `claims` beside them."""
    return import_claims("canonical", raw_folder(folder / "raw", files), folder / "claims", **options)


def rows(folder: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """Rows of a table, history or quarantine, in the order they were written."""
    files = sorted((folder / table).glob("*.parquet"))
    if not files:
        return []
    with duckdb.connect() as connection:
        query = f"SELECT {columns} FROM read_parquet({[str(path) for path in files]})"
        return connection.execute(query).fetchall()


def contents(folder: Path) -> dict[str, bytes]:
    """Every parquet file below the folder, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def assert_balanced(result: ImportResult) -> None:
    """Fail unless every row read has exactly one fate."""
    for name, count in result.tables.items():
        fates = count.loaded + count.quarantined + count.superseded + count.duplicates
        assert count.rows_in == fates, f"{name}: {count}"
