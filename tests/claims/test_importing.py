"""What holds for every import: nothing lost, nothing twice, all or nothing."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv

from fraud.claims.folder import ClaimsFolder
from fraud.claims.importing import SOURCES, import_claims
from fraud.claims.schema import TABLES
from fraud.errors import ClaimsError

from .files import CLAIM, as_csv, assert_balanced, canonical, claims_csv, contents, raw_folder, rows

LINE = {"claim_id": "C1", "line_no": "1", "item_code": "A1", "quantity": "1", "amount": "120.5"}


def test_every_source_is_one_file_of_its_own() -> None:
    assert set(SOURCES) == {"cms", "canonical", "mapped"}


def test_rows_are_loaded_with_their_types_and_sorted_by_key(tmp_path: Path) -> None:
    result = canonical(tmp_path, {"claims.csv": claims_csv({"claim_id": "C2"}, {"claim_id": "001"})})
    assert rows(result.to, "claims", "claim_id") == [("001",), ("C2",)]
    schema = pq.read_schema(result.to / "claims/part-0.parquet")
    assert {f.name: f.type for f in schema} == {f.name: f.type for f in TABLES["claims"].arrow}


@pytest.mark.parametrize(
    ("column", "text", "code"),
    [
        ("total_amount", "abc", "not_a_number"),
        ("total_amount", "1_000", "not_a_number"),
        ("total_amount", "inf", "not_a_number"),
        ("total_amount", "-1", "negative"),
        ("admitted_at", "2009-13-45", "not_a_date"),
        ("admitted_at", "now", "not_a_date"),
        ("settled_at", "1066-10-14", "year_out_of_range"),
        ("visit_type", "holiday", "not_in_set"),
        ("patient_id", "", "missing"),
        ("patient_id", " \u3000", "missing"),
    ],
)
def test_a_row_that_breaks_a_required_column_is_quarantined_with_the_reason(
    tmp_path: Path, column: str, text: str, code: str
) -> None:
    result = canonical(tmp_path, {"claims.csv": claims_csv({}, {"claim_id": "BAD", column: text})})
    ((file, row, reasons, raw),) = rows(result.to, "quarantine/claims", "file, row, reasons, raw")
    assert (file, row) == ("claims.csv", 3)
    assert reasons[0].startswith(f"{column}: {code}")
    assert json.loads(raw)["claim_id"] == "BAD"
    assert [(f.where, f.code, f.count) for f in result.faults] == [(f"claims.csv:{column}", code, 1)]
    assert (result.tables["claims"].loaded, result.tables["claims"].quarantined) == (1, 1)


@pytest.mark.parametrize(
    ("column", "text", "code"),
    [
        ("deductible", "abc", "not_a_number"),
        ("deductible", "-5", "negative"),
        ("discharged_at", "2009-02-30", "not_a_date"),
        ("uploaded_at", "2999-01-01", "year_out_of_range"),
        ("registered", "perhaps", "not_a_boolean"),
        ("identity_check", "maybe", "not_in_set"),
    ],
)
def test_an_optional_cell_that_cannot_be_read_is_null_and_its_text_is_kept(
    tmp_path: Path, column: str, text: str, code: str
) -> None:
    result = canonical(tmp_path, {"claims.csv": claims_csv({column: text})})
    assert rows(result.to, "claims", f"claim_id, {column}") == [("C1", None)]
    kept = rows(result.to, "faults", '"table", file, row, "column", code, value')
    assert kept == [("claims", "claims.csv", 2, column, code, text)]
    assert result.faults[0].examples == (f"row 2: {text}",)


def test_a_row_cut_short_is_quarantined_and_the_others_load(tmp_path: Path) -> None:
    text = claims_csv({}, {"claim_id": "C2"}) + "C3,P1,H1,outp"
    result = canonical(tmp_path, {"claims.csv": text})
    assert result.tables["claims"].rows_in == 3
    ((row, reasons, raw),) = rows(result.to, "quarantine/claims", "row, reasons, raw")
    assert row == 4
    assert "too few fields: 4" in reasons[0]
    assert json.loads(raw) == "C3,P1,H1,outp"


def test_numbers_dates_truths_and_lists_are_read_in_their_usual_forms(tmp_path: Path) -> None:
    files = {
        "claims.csv": claims_csv(
            {"admitted_at": "20240301", "settled_at": "2024-03-01T10:00:00+08:00", "registered": "Yes"},
            {"claim_id": "C2", "total_amount": "+1.5e2", "primary_diagnosis": "I10.9", "registered": "0"},
        ),
        "patients.csv": 'patient_id,chronic_conditions\nP1,"[""a"", ""b""]"\nP2,a | b\nP3,a;b\n',
    }
    result = canonical(tmp_path, files)
    told = rows(result.to, "claims", "admitted_at::VARCHAR, settled_at::VARCHAR, registered")
    assert told[0] == ("2024-03-01 00:00:00", "2024-03-01 10:00:00", True)
    assert rows(result.to, "claims", "total_amount, primary_diagnosis, registered")[1] == (
        150.0,
        "I109",
        False,
    )
    assert rows(result.to, "patients", "chronic_conditions") == [(["a", "b"],)] * 3


def test_a_copy_is_loaded_once_and_a_contradiction_keeps_the_first_row(tmp_path: Path) -> None:
    text = claims_csv({}, {"fund_amount": "81"}, {}, {"fund_amount": "81"})
    result = canonical(tmp_path, {"claims.csv": text})
    count = result.tables["claims"]
    assert (count.rows_in, count.loaded, count.duplicates, count.quarantined) == (4, 1, 2, 1)
    assert rows(result.to, "claims", "fund_amount") == [(80.0,)]
    ((row, reasons),) = rows(result.to, "quarantine/claims", "row, reasons")
    assert row == 3
    assert "uploaded_at is not later" in reasons[0]


def test_a_later_version_in_the_same_file_replaces_the_earlier_one(tmp_path: Path) -> None:
    text = claims_csv(
        {"uploaded_at": "2024-03-03", "fund_amount": "3"},
        {"uploaded_at": "", "fund_amount": "1"},
        {"uploaded_at": "2024-03-02", "fund_amount": "2"},
    )
    result = canonical(tmp_path, {"claims.csv": text})
    assert rows(result.to, "claims", "fund_amount") == [(3.0,)]
    assert sorted(rows(result.to, "history/claims", "fund_amount")) == [(1.0,), (2.0,)]
    assert result.tables["claims"].superseded == 2
    assert not result.faults


def _import(tmp_path: Path, name: str, files: dict[str, str]):  # noqa: ANN202
    return import_claims("canonical", raw_folder(tmp_path / name, files), tmp_path / "claims")


def test_the_same_files_again_change_no_byte(tmp_path: Path) -> None:
    files = {
        "claims.csv": claims_csv({}, {"fund_amount": "81"}, {"claim_id": "C2", "deductible": "x"}, {"claim_id": ""}),
        "lines.csv": as_csv([LINE, LINE | {"line_no": "2"}, LINE | {"amount": "y"}]),
        "patients.csv": "patient_id,sex\nP1,male\nP1,female\n",
    }
    first = _import(tmp_path, "raw", files)
    before = contents(first.to)
    again = _import(tmp_path, "raw", files)
    assert contents(again.to) == before
    assert again.digest == first.digest == ClaimsFolder(first.to).digest
    assert again.faults == first.faults
    assert json.loads((again.to / "manifest.json").read_text())["imports"][0]["source"] == "canonical"
    assert len(json.loads((again.to / "manifest.json").read_text())["imports"]) == 1


def test_a_later_import_replaces_a_claim_with_its_lines_and_keeps_both_as_history(tmp_path: Path) -> None:
    old = {
        "claims.csv": claims_csv({"uploaded_at": "2024-03-02"}, {"claim_id": "C2"}),
        "lines.csv": as_csv([LINE, LINE | {"line_no": "2"}, LINE | {"claim_id": "C2"}]),
    }
    new = {
        "claims.csv": claims_csv({"uploaded_at": "2024-03-09", "fund_amount": "70"}),
        "lines.csv": as_csv([LINE | {"amount": "70"}]),
    }
    _import(tmp_path, "old", old)
    result = _import(tmp_path, "new", new)
    assert rows(result.to, "claims", "claim_id, fund_amount") == [("C1", 70.0), ("C2", 80.0)]
    assert rows(result.to, "lines", "claim_id, line_no, amount") == [("C1", 1, 70.0), ("C2", 1, 120.5)]
    assert rows(result.to, "history/claims", "claim_id, fund_amount") == [("C1", 80.0)]
    kept = rows(result.to, "history/lines", "line_no, uploaded_at::DATE::VARCHAR")
    assert kept == [(1, "2024-03-02"), (2, "2024-03-02")]
    assert result.tables["claims"].replaced == 1
    before = contents(result.to)
    late = _import(tmp_path, "old", old)  # the older version arrives once more
    assert contents(late.to) == before
    assert late.tables["claims"].superseded == 1
    assert_balanced(late)


def test_a_later_import_without_a_later_version_is_quarantined_with_its_lines(tmp_path: Path) -> None:
    _import(tmp_path, "old", {"claims.csv": claims_csv({}), "lines.csv": as_csv([LINE])})
    new = {"claims.csv": claims_csv({"fund_amount": "1"}), "lines.csv": as_csv([LINE | {"line_no": "9"}])}
    result = _import(tmp_path, "new", new)
    assert rows(result.to, "claims", "fund_amount") == [(80.0,)]
    assert rows(result.to, "lines", "line_no") == [(1,)]
    assert (result.tables["claims"].quarantined, result.tables["lines"].quarantined) == (1, 1)
    assert_balanced(result)


def test_rows_added_later_to_a_claim_that_stands_are_loaded(tmp_path: Path) -> None:
    _import(tmp_path, "old", {"claims.csv": claims_csv({}), "lines.csv": as_csv([LINE])})
    more = as_csv([LINE, LINE | {"line_no": "2"}])
    result = _import(tmp_path, "new", {"claims.csv": claims_csv({}), "lines.csv": more})
    assert rows(result.to, "lines", "line_no") == [(1,), (2,)]


def test_a_register_takes_the_later_value_and_keeps_what_the_later_import_leaves_empty(
    tmp_path: Path,
) -> None:
    old = "patient_id,sex,birth_date\nP1,male,1950-01-01\nP2,female,1960-01-01\n"
    _import(tmp_path, "old", {"claims.csv": claims_csv({}), "patients.csv": old})
    result = _import(tmp_path, "new", {"patients.csv": "patient_id,died_on\nP1,2024-05-01\n"})
    told = rows(result.to, "patients", "patient_id, sex, died_on::VARCHAR")
    assert told == [("P1", "male", "2024-05-01"), ("P2", "female", None)]
    assert rows(result.to, "history/patients", "patient_id, died_on") == [("P1", None)]


def test_quarantine_of_earlier_files_is_kept(tmp_path: Path) -> None:
    _import(tmp_path, "old", {"claims.csv": claims_csv({}, {"claim_id": "", "fund_amount": "1"})})
    result = _import(tmp_path, "new", {"claims.csv": claims_csv({"claim_id": "C9"}, {"claim_id": ""})})
    assert len(rows(result.to, "quarantine/claims")) == 2


def test_orphans_are_kept(tmp_path: Path) -> None:
    files = {
        "claims.csv": claims_csv({"patient_id": "P9"}),
        "lines.csv": as_csv([LINE | {"claim_id": "C9"}]),
        "patients.csv": "patient_id\nP1\n",
        "outcomes.csv": "entity,entity_id,verdict,decided_at\nprovider,H9,confirmed_fraud,2024-06-01\n",
        "providers.csv": "provider_id\nH1\n",
    }
    result = canonical(tmp_path, files)
    assert {name: count.loaded for name, count in result.tables.items()} == dict.fromkeys(
        ("claims", "lines", "patients", "providers", "outcomes"), 1
    )


def test_every_missing_column_of_every_file_is_named_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    files = {
        "claims.csv": claims_csv({}).replace("fund_amount", "fund_amout").replace("visit_type", "kind"),
        "lines.csv": as_csv([LINE]).replace("quantity", "quantty"),
    }
    with pytest.raises(ClaimsError) as caught:
        canonical(tmp_path, files)
    assert {fault.where for fault in caught.value.faults} == {
        "claims.csv:fund_amount",
        "claims.csv:visit_type",
        "lines.csv:quantity",
    }
    assert 'did you mean "fund_amout"?' in caught.value.message
    assert len(caught.value.message) <= 500
    assert not (tmp_path / "claims").exists()


def test_an_empty_file_is_refused_and_one_without_rows_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match=r"lines.csv: the file is empty"):
        canonical(tmp_path / "a", {"claims.csv": claims_csv({}), "lines.csv": ""})
    result = canonical(tmp_path / "b", {"claims.csv": claims_csv({}), "patients.csv": "patient_id\n"})
    assert [(fault.where, fault.code) for fault in result.faults] == [("patients.csv", "no_rows")]


def test_claims_that_are_all_in_quarantine_still_make_a_folder(tmp_path: Path) -> None:
    result = canonical(tmp_path, {"claims.csv": claims_csv({"claim_id": ""})})
    assert ClaimsFolder(result.to).files("claims")
    assert result.tables["claims"].rows == 0
    assert "No claims" in (result.to / "quality.html").read_text()


def test_a_packed_file_cut_short_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(
        claims_csv(*({"claim_id": f"C{n}", "department": f"{n * n}"} for n in range(20_000))).encode()
    )
    for cut in (whole[:12], whole[: len(whole) // 2]):
        with pytest.raises(ClaimsError, match="cut short"):
            canonical(tmp_path, {"claims.csv.gz": cut})


def test_a_memory_limit_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match="lots: no memory limit"):
        canonical(tmp_path, {"claims.csv": claims_csv({})}, memory_limit="lots")


def test_parts_of_tables_are_named_with_their_folder(tmp_path: Path) -> None:
    files = {"claims/2024.csv": claims_csv({"claim_id": ""}), "lines/2024.csv": as_csv([LINE | {"amount": "x"}])}
    result = canonical(tmp_path, files)
    assert {fault.where for fault in result.faults} == {"claims/2024.csv:claim_id", "lines/2024.csv:amount"}


@pytest.mark.parametrize("source", ["cms", "canonical"])
def test_a_folder_without_the_files_is_refused_with_what_was_expected(tmp_path: Path, source: str) -> None:
    raw = raw_folder(tmp_path / "raw", {"notes.txt": "x"})
    with pytest.raises(ClaimsError, match=r"Expected .*found notes.txt"):
        import_claims(source, raw, tmp_path / "claims")


def test_an_unknown_source_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match='did you mean "canonical"'):
        import_claims("cannonical", tmp_path, tmp_path / "claims")


def test_a_raw_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match="no such folder"):
        import_claims("cms", tmp_path / "nowhere", tmp_path / "claims")


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path / "raw", {"claims.csv": claims_csv({})})
    home = raw_folder(tmp_path / "home", {"letter.txt": "dear"})
    with pytest.raises(ClaimsError, match="holds no claims"):
        import_claims("canonical", raw, home)
    assert (home / "letter.txt").read_text() == "dear"
    with pytest.raises(ClaimsError, match="cannot share a folder"):
        import_claims("canonical", raw, raw)


def test_what_else_lies_in_the_claims_folder_stays(tmp_path: Path) -> None:
    files = {"claims.csv": claims_csv({})}
    folder = canonical(tmp_path, files).to
    (folder / "notes.txt").write_text("mine")
    canonical(tmp_path, files)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_failed_import_leaves_the_former_state_and_no_rubbish(tmp_path: Path) -> None:
    folder = canonical(tmp_path, {"claims.csv": claims_csv({})}).to
    before = contents(folder)
    with pytest.raises(ClaimsError):
        canonical(tmp_path, {"claims.csv": "claim_id\nC1\n"})
    assert contents(folder) == before
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "claims", ".claims.lock"}


def test_an_import_that_is_killed_leaves_the_former_state_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    folder = canonical(tmp_path, {"claims.csv": claims_csv({})}).to
    before = contents(folder)
    big = as_csv(CLAIM | {"claim_id": f"N{place}"} for place in range(60_000))
    raw_folder(tmp_path / "raw", {"claims.csv": big})
    script = (
        "import sys; from pathlib import Path; from fraud.claims.importing import import_claims\n"
        "import_claims('canonical', Path(sys.argv[1]), Path(sys.argv[2]), \n"
        "    progress=lambda step, _: print(step, flush=True))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "raw"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("checking claims"):
                os.kill(process.pid, signal.SIGKILL)
    assert contents(folder) == before
    assert list(tmp_path.glob(".claims.importing-*"))
    result = import_claims("canonical", tmp_path / "raw", folder)
    assert result.tables["claims"].rows == 60_001
    assert not list(tmp_path.glob(".claims.importing-*"))


def test_a_second_import_at_the_same_time_is_refused(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / ".claims.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ClaimsError, match="another import"):
            canonical(tmp_path, {"claims.csv": claims_csv({})})


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    steps: list[tuple[str, float]] = []
    canonical(tmp_path, {"claims.csv": claims_csv({})}, progress=lambda step, share: steps.append((step, share)))
    shares = [share for _, share in steps]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_the_manifest_says_what_was_imported(tmp_path: Path) -> None:
    result = canonical(tmp_path, {"claims.csv": claims_csv({}, {"claim_id": ""})})
    manifest = ClaimsFolder(result.to).manifest
    (file,) = manifest["imports"][0]["files"]
    assert (file["name"], file["rows"], len(file["sha256"])) == ("claims.csv", 2, 64)
    assert manifest["tables"]["claims"]["quarantined"] == 1
    assert manifest["digest"] == result.digest
    assert json.loads(json.dumps(result.as_dict()))["faults"] == manifest["faults"]


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_memory_stays_bounded_while_a_file_larger_than_its_limit_imports(tmp_path: Path) -> None:
    count, limit = 700_000, 120
    ids = pa.array(range(count)).cast(pa.string())
    cells = {name: pa.array([value] * count) for name, value in CLAIM.items() if name != "claim_id"}
    long = {
        name: pc.binary_join_element_wise(f"{name} of some length, number ", ids, "")
        for name in ("claim_id", "department", "discharge_status")
    }
    raw = raw_folder(tmp_path / "raw", {})
    arrow_csv.write_csv(pa.table(cells | long), raw / "claims.csv")
    assert (raw / "claims.csv").stat().st_size > limit * 1e6
    script = (
        "import re, sys; from pathlib import Path; from fraud.claims.importing import import_claims\n"
        f"result = import_claims('canonical', Path(sys.argv[1]), Path(sys.argv[2]), memory_limit='{limit}MB')\n"
        # Not ru_maxrss: a child inherits that from the process that started it.
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())\n"
        "print(result.tables['claims'].loaded, int(peak[1]) // 1000)"
    )
    command = [sys.executable, "-c", script, str(raw), str(tmp_path / "claims")]
    loaded, megabytes = map(int, subprocess.run(command, capture_output=True, check=True).stdout.split())
    assert loaded == count
    # Python and its libraries take 180 MB by themselves, sorting and writing a row group another 200.
    assert megabytes < limit + 480


DIRT = {
    "claim_id": st.sampled_from(["C1", "C2", "C3", "", " C1 "]),
    "patient_id": st.sampled_from(["P1", "P1", "P1", ""]),
    "total_amount": st.sampled_from(["10", "10.0", "abc", "-1", "", "1e400"]),
    "admitted_at": st.sampled_from(["2024-01-01", "2024-02-30", "", "0001-01-01", "2024-01-01 25:00"]),
    "uploaded_at": st.sampled_from(["", "2024-02-01", "2024-03-01", "soon"]),
    "deductible": st.sampled_from(["", "1", "nan", "-1", "一"]),
    "visit_type": st.sampled_from(["inpatient", "outpatient", "Inpatient"]),
}
ROW = st.fixed_dictionaries({}, optional=DIRT)
BROKEN = st.sampled_from(["C1,P1", '"C1', "C1,P1,H1,outpatient,,,,,,,,,,x", "\ufffd\udcff", ""])


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=st.lists(ROW, min_size=1, max_size=12),
    second=st.lists(ROW, max_size=12),
    broken=st.lists(BROKEN, max_size=4),
    line_claims=st.lists(st.sampled_from(["C1", "C2", "C4", ""]), max_size=6),
)
def test_whatever_the_dirt_every_row_has_one_fate_and_again_changes_nothing(
    first: list[dict], second: list[dict], broken: list[str], line_claims: list[str]
) -> None:
    columns = [*CLAIM, "uploaded_at", "deductible"]
    texts = [as_csv((CLAIM | row for row in part), columns) for part in (first, second)]
    dirty = (texts[0] + "\n".join(broken)).encode("utf-8", "surrogateescape")
    lines = as_csv([LINE | {"claim_id": claim, "line_no": str(n % 2)} for n, claim in enumerate(line_claims)], LINE)
    with tempfile.TemporaryDirectory() as folder:
        raw = [
            raw_folder(Path(folder) / "one", {"claims.csv": dirty, "lines.csv": lines}),
            raw_folder(Path(folder) / "two", {"claims.csv": texts[1], "lines.csv": lines}),
        ]
        to = Path(folder) / "claims"
        expected = len(first) + sum(1 for line in broken if line)
        result = import_claims("canonical", raw[0], to)
        assert result.tables["claims"].rows_in == expected
        assert len(rows(to, "quarantine/claims")) == result.tables["claims"].quarantined
        for folder_of_raw in raw:
            result = import_claims("canonical", folder_of_raw, to)
            assert_balanced(result)
            assert len(rows(to, "claims")) == result.tables["claims"].rows
            before = contents(to)
            assert_balanced(import_claims("canonical", folder_of_raw, to))
            assert contents(to) == before
