"""The importer that a mapping drives."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.claims.importing import ImportResult, import_claims
from fraud.claims.pseudonyms import pseudonym
from fraud.errors import ClaimsError, SpecError

from .files import KEY, raw_folder, rows

EXAMPLE = Path(__file__).parents[2] / "docs/mapping.example.toml"

SETTLEMENTS = """setl_id|psn_no|fixmedins_code|dr_codg|med_type|begndate|enddate|setl_time|updt_time|\
dise_codg|medfee_sumamt|fund_pay_sumamt|psn_pay|pos_no|memo
000123|3401000001|H340001|D1|11|20240301|-|20240301103000|20240302|J06.900|1999|1500|499|POS7|a
000124|3401000002|H340001|D1|21|20240301|20240307|20240307090000|NULL|I10.x00|250000|200000|50000|POS7|
000125|3401000002|H340001|D1|99|20240301|20240307|20240307090000|NULL|I10.x00|250000|200000|50000|POS7|
"""
ITEMS = """setl_id|med_list_codg|med_list_name|cnt|pric|det_item_fee_sumamt|fee_ocur_time
000123|XA01|阿莫西林|2|9.995|19.99|20240301101500
000124|XA02|血常规|1|25|25|20240302080000
"""


def _raw(folder: Path) -> Path:
    raw = raw_folder(
        folder,
        {"settlement_202403.csv": SETTLEMENTS.encode("gb18030"), "items_202403.csv": ITEMS.encode("gb18030")},
    )
    born = dt.datetime(1961, 5, 6, tzinfo=ZoneInfo("Asia/Shanghai"))
    persons = {"psn_no": ["3401000001", "3401000002"], "gend": ["1", "2"], "insutype": ["310", "390"]}
    stamps = pa.array([born, born], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table(persons | {"brdy": stamps}), raw / "persons.parquet")
    return raw


@pytest.fixture
def example(tmp_path: Path) -> ImportResult:
    """What the documented example makes of the files it describes."""
    return import_claims("mapped", _raw(tmp_path / "raw"), tmp_path / "claims", mapping=EXAMPLE, key=KEY)


def test_the_documented_example_maps_names_values_dates_and_cents(example: ImportResult) -> None:
    columns = (
        "claim_id, visit_type, admitted_at::VARCHAR, discharged_at, settled_at::VARCHAR, "
        "uploaded_at::DATE::VARCHAR, primary_diagnosis, total_amount, fund_amount, self_amount, currency, "
        "settlement_channel"
    )
    assert rows(example.to, "claims", columns)[0] == (
        "000123", "outpatient", "2024-03-01 00:00:00", None, "2024-03-01 10:30:00", "2024-03-02",
        "J06900", 19.99, 15.0, 4.99, "CNY", "direct",
    )  # fmt: skip
    assert rows(example.to, "lines", "line_no, item_name, service_at::VARCHAR") == [
        (2, "阿莫西林", "2024-03-01 10:15:00"),
        (3, "血常规", "2024-03-02 08:00:00"),
    ]


def test_the_documented_example_reads_instants_in_the_time_zone_of_the_payer(example: ImportResult) -> None:
    told = rows(example.to, "patients", "birth_date::VARCHAR, sex, insurance_type")
    assert sorted(told) == [("1961-05-06", "female", "resident"), ("1961-05-06", "male", "employee")]


def test_the_documented_example_hides_persons_and_what_it_names(example: ImportResult) -> None:
    ((patient, terminal),) = rows(example.to, "claims", "DISTINCT patient_id, terminal_id")[:1]
    assert terminal == pseudonym("POS7", KEY)
    assert patient in {pseudonym("3401000001", KEY), pseudonym("3401000002", KEY)}


def test_a_value_that_the_mapping_does_not_know_is_quarantined(example: ImportResult) -> None:
    ((row, reasons),) = rows(example.to, "quarantine/claims", "row, reasons")
    assert (row, reasons) == (4, ["visit_type: not_in_set (99)"])


def test_a_wrong_mapping_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    mapping = tmp_path / "wrong.toml"
    mapping.write_text(
        """
        [[table]]
        name = "claims"
        files = "nothing_*.csv"
        delimiter = "||"
        encoding = "klingon"
        dates = ["YYYYMMDD"]
        timezone = "Mars/Olympus"
        pseudonymise = ["patient", "total_amount"]
        colour = "red"
        [table.columns]
        claim_id = "a"
        provider_id = "b"
        patient_id = 3
        admited_at = "c"
        settled_at = "d"
        total_amount = "e"
        fund_amount = "f"
        visit_type = "g"
        [table.constants]
        claim_id = "1"
        [table.values.visit_type]
        "1" = "outpatients"
        [table.values.drg]
        "1" = "x"
        [table.scale]
        total_amount = "cents"
        settled_at = 2
        [[table]]
        name = "clams"
        [[table]]
        name = "lines"
        files = 3
        """
    )
    with pytest.raises(SpecError) as caught:
        import_claims("mapped", _raw(tmp_path / "raw"), tmp_path / "claims", mapping=mapping)
    found = {(fault.where, fault.code) for fault in caught.value.faults}
    assert found == {
        ("/table/0/colour", "unknown_key"),
        ("/table/0/columns/admited_at", "unknown_column"),
        ("/table/0/columns/admitted_at", "missing"),
        ("/table/0/columns/patient_id", "wrong_type"),
        ("/table/0/constants/claim_id", "given_twice"),
        ("/table/0/delimiter", "wrong_value"),
        ("/table/0/encoding", "wrong_value"),
        ("/table/0/dates", "wrong_value"),
        ("/table/0/timezone", "wrong_value"),
        ("/table/0/pseudonymise", "unknown_column"),
        ("/table/0/pseudonymise", "not_text"),
        ("/table/0/values/visit_type/1", "not_in_set"),
        ("/table/0/values/drg", "not_mapped"),
        ("/table/0/scale/total_amount", "wrong_type"),
        ("/table/0/scale/settled_at", "not_a_number"),
        ("/table/1/name", "unknown_table"),
        ("/table/1/files", "missing"),
        ("/table/2/files", "wrong_type"),
    }
    details = " ".join(fault.detail for fault in caught.value.faults)
    assert 'did you mean "outpatient"?' in details
    assert 'did you mean "claims"?' in details


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ('files = "/etc/*"', "/table/0/files"),
        ('files = ["../x.csv", ""]', "/table/0/files"),
        ("files = [1]", "/table/0/files"),
        ('files = "a"\nnulls = [1]', "/table/0/nulls"),
        ('files = "a"\ndates = [2024-01-01]', "/table/0/dates"),
        ('files = "a"\nencoding = "base64"', "/table/0/encoding"),
        ('files = "a"\ndelimiter = \'"\'', "/table/0/delimiter"),
    ],
)
def test_keys_of_a_wrong_kind_are_named(tmp_path: Path, keys: str, where: str) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(f'[[table]]\nname = "patients"\n{keys}\n[table.columns]\npatient_id = "a"\n')
    with pytest.raises(SpecError) as caught:
        import_claims("mapped", _raw(tmp_path / "raw"), tmp_path / "claims", mapping=mapping)
    assert where in {fault.where for fault in caught.value.faults}


def test_a_file_that_is_not_in_its_encoding_is_refused(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        '[[table]]\nname = "patients"\nfiles = "p.csv"\nencoding = "utf-16"\n[table.columns]\npatient_id = "a"\n'
    )
    raw = raw_folder(tmp_path / "raw", {"p.csv": "a\nP1\n".encode("utf-16") + b"\x00"})
    with pytest.raises(ClaimsError, match=r"p\.csv.*(utf-16|encoding)"):
        import_claims("mapped", raw, tmp_path / "claims", mapping=mapping)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("table = [1]", "expected a table of keys"),
        ("[[table", "not TOML"),
        ("", r"expected at least one \[\[table\]\]"),
        ("tabel = 1", 'did you mean "table"'),
    ],
)
def test_a_mapping_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(text)
    with pytest.raises(SpecError, match=said):
        import_claims("mapped", _raw(tmp_path / "raw"), tmp_path / "claims", mapping=mapping)


def test_columns_and_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "raw")
    (raw / "items_202403.csv").unlink()
    with pytest.raises(SpecError, match=r"no file in raw matches items_\*.csv"):
        import_claims("mapped", raw, tmp_path / "claims", mapping=EXAMPLE, key=KEY)
    raw = _raw(tmp_path / "raw")
    text = SETTLEMENTS.replace("setl_time", "settle_time").encode("gb18030")
    raw_folder(raw, {"settlement_202403.csv": text})
    with pytest.raises(ClaimsError, match="no column setl_time.*settle_time"):
        import_claims("mapped", raw, tmp_path / "claims", mapping=EXAMPLE, key=KEY)


def test_a_mapping_that_hides_columns_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match="FRAUD_PSEUDONYM_KEY"):
        import_claims("mapped", _raw(tmp_path / "raw"), tmp_path / "claims", mapping=EXAMPLE)


def test_a_mapping_is_needed_here_and_refused_elsewhere(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "raw")
    with pytest.raises(SpecError, match="needs a mapping"):
        import_claims("mapped", raw, tmp_path / "claims")
    with pytest.raises(SpecError, match="no such mapping"):
        import_claims("mapped", raw, tmp_path / "claims", mapping=tmp_path / "gone.toml")
    raw_folder(raw, {"claims.csv": "claim_id\n"})
    with pytest.raises(SpecError, match="takes no mapping"):
        import_claims("canonical", raw, tmp_path / "claims", mapping=EXAMPLE)
