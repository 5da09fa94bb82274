"""The importer of canonical tables, as CSV and as parquet."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fraud.claims.folder import TableWriter
from fraud.claims.importing import import_claims

from .files import CLAIM, canonical, claims_csv, cms_folder, contents, raw_folder, rows

STAMP = dt.datetime(2024, 3, 1, 9)
TYPED = {
    "claim_id": ["C1"],
    "patient_id": ["P1"],
    "provider_id": ["H1"],
    "visit_type": ["inpatient"],
    "admitted_at": [STAMP],
    "settled_at": [STAMP],
    "total_amount": [0.1 + 0.2],
    "fund_amount": [0.1],
}


def test_parquet_of_any_writer_keeps_its_values_to_the_last_digit(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path / "raw", {})
    pq.write_table(pa.table(TYPED), raw / "claims.parquet")
    patients = {
        "patient_id": ["P1"],
        "chronic_conditions": [['a "b", c', "d"]],
        "birth_date": [dt.date(1950, 1, 2)],
    }
    pq.write_table(pa.table(patients), raw / "patients.parquet")
    to = import_claims("canonical", raw, tmp_path / "claims").to
    assert rows(to, "claims", "total_amount, admitted_at") == [(0.1 + 0.2, STAMP)]
    told = rows(to, "patients", "chronic_conditions, birth_date")
    assert told == [(['a "b", c', "d"], dt.date(1950, 1, 2))]


def test_a_folder_that_the_package_wrote_imports_as_it_is(tmp_path: Path) -> None:
    for part in range(2):
        with TableWriter(tmp_path / "raw", "claims", f"part-{part}") as writer:
            writer.write(pa.table(TYPED | {"claim_id": [f"C{part}"]}))
    (tmp_path / "raw/manifest.json").write_text("{}")
    result = import_claims("canonical", tmp_path / "raw", tmp_path / "claims")
    assert rows(result.to, "claims", "claim_id") == [("C0",), ("C1",)]
    assert not result.faults


def test_an_import_of_an_import_gives_the_same_bytes(tmp_path: Path) -> None:
    once = import_claims("cms", cms_folder(tmp_path / "raw"), tmp_path / "once")
    twice = import_claims("canonical", once.to, tmp_path / "twice")
    assert twice.digest == once.digest
    assert contents(twice.to) == contents(once.to)


def test_unknown_columns_and_files_are_faults_with_the_nearest_name(tmp_path: Path) -> None:
    files = {
        "claims.csv": claims_csv({"deductable": "1"}),
        "patient.csv": "patient_id\nP1\n",
    }
    result = canonical(tmp_path, files)
    told = {(fault.where, fault.code, fault.detail) for fault in result.faults}
    assert told == {
        ("claims.csv:deductable", "unknown_column", 'left out; did you mean "deductible"?'),
        ("patient.csv", "unknown_file", 'no table of that name; did you mean "patients"?'),
    }


def test_a_packed_csv_is_read(tmp_path: Path) -> None:
    result = canonical(tmp_path, {"claims.csv.gz": gzip.compress(claims_csv({}).encode())})
    assert result.tables["claims"].loaded == 1


def test_instants_without_a_time_zone_of_the_payer_are_a_fault(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path / "raw", {})
    instant = pa.array([dt.datetime(2024, 3, 1, 23, tzinfo=dt.UTC)], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table(TYPED | {"settled_at": instant}), raw / "claims.parquet")
    result = import_claims("canonical", raw, tmp_path / "claims")
    assert [(fault.where, fault.code) for fault in result.faults] == [("claims.parquet:settled_at", "time_zone")]
    assert rows(result.to, "claims", "settled_at::VARCHAR") == [("2024-03-01 23:00:00",)]


def test_columns_may_come_in_any_order_and_case(tmp_path: Path) -> None:
    names = [name.upper() for name in reversed(CLAIM)]
    text = ",".join(names) + "\n" + ",".join(reversed(CLAIM.values())) + "\n"
    result = canonical(tmp_path, {"claims.csv": text})
    assert rows(result.to, "claims", "claim_id") == [("C1",)]
    assert not result.faults
