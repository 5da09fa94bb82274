# ruff: noqa: D103 - the names of the tests are sentences
"""The file is whole, the marker refuses unknown ids, and the reports say no more than they know."""

import csv
import importlib.util
import io
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.requirements_plugin import REQUIREMENTS, known_ids

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "tests.requirements_plugin")
ROWS_BY_DOCUMENT = {"000": 50, "001": 82, "002": 75, "003": 39}
SPLIT_ADMISSION = """
    import pytest

    @pytest.mark.requirement("000-12", "T01")
    def test_a_split_admission_is_found():
        pass
"""
WRONG_ID = SPLIT_ADMISSION.replace("T01", "T99")


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner runs load no installed plugin: they start six times faster and test this plugin alone."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with REQUIREMENTS.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def page() -> ModuleType:
    """The script docs/requirements.py, which lies outside every package."""
    spec = importlib.util.spec_from_file_location("requirements_page", REQUIREMENTS.with_suffix(".py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def no_tests() -> dict[str, list[str]]:
    return {id_: [] for id_ in known_ids()}


def read_report(pytester: pytest.Pytester, *arguments: str) -> dict[str, Any]:
    pytester.runpytest_inprocess(*PLUGIN, "--requirements-report", "report.json", *arguments)
    report: dict[str, Any] = json.loads((pytester.path / "report.json").read_text(encoding="utf-8"))
    return report


def test_the_file_has_every_row_of_the_documents_and_every_type_once(rows: list[dict[str, str]]) -> None:
    phrases = [f"{document}-{n + 1:02}" for document, size in ROWS_BY_DOCUMENT.items() for n in range(size)]
    types = [f"T{n:02}" for n in range(1, 41)]
    assert len(phrases) == 246
    assert [row["id"] for row in rows] == phrases + types


@pytest.mark.parametrize("column", ["phrase", "english", "how"])
def test_no_row_lacks_its_words(rows: list[dict[str, str]], column: str) -> None:
    assert [row["id"] for row in rows if not row[column].strip()] == []


def test_every_row_has_a_cover_of_known_letters_and_a_known_status(rows: list[dict[str, str]]) -> None:
    assert [row["id"] for row in rows if not re.fullmatch(r"[SRWCPBO]([,/][SRWCPBO])*", row["cover"])] == []
    assert {row["status"] for row in rows} == {"planned", "out_of_scope"}


def test_every_row_out_of_scope_has_a_reason_and_no_other_row_has_one(rows: list[dict[str, str]]) -> None:
    reasoned = [row["id"] for row in rows if row["reason"].strip()]
    assert reasoned == [row["id"] for row in rows if row["status"] == "out_of_scope"]


def test_the_file_is_plain_utf8_with_unix_line_ends_and_no_needless_quotes() -> None:
    text = REQUIREMENTS.read_bytes().decode("utf-8")
    again = io.StringIO()
    csv.writer(again, lineterminator="\n").writerows(csv.reader(io.StringIO(text)))
    assert again.getvalue() == text
    assert text.startswith("id,phrase,english,cover,how,status,reason\n")  # so there is no byte-order mark


def test_a_test_with_known_ids_runs_without_a_warning_about_the_marker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SPLIT_ADMISSION)
    pytester.runpytest_inprocess(*PLUGIN, "--strict-markers").assert_outcomes(passed=1)


def test_every_unknown_id_is_named_with_its_test_and_nothing_runs(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_wrong="""
        import pytest

        @pytest.mark.requirement("000-12", "000-99")
        def test_one(): pass

        @pytest.mark.requirement("T41")
        def test_two(): pass
        """
    )
    run = pytester.runpytest_inprocess(*PLUGIN, "-k", "neither")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    assert run.parseoutcomes().keys().isdisjoint({"passed", "failed"})
    lines = ["*not in docs/requirements.csv:", "  000-99 in *::test_one", "  T41 in *::test_two"]
    run.stderr.fnmatch_lines(lines)
    run.stderr.no_fnmatch_line("*000-12*")


def test_a_marker_without_ids_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n\n@pytest.mark.requirement\ndef test_one(): pass")
    run = pytester.runpytest_inprocess(*PLUGIN)
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    run.stderr.fnmatch_lines(["*a marker without ids*::test_one"])


def test_the_plugin_can_be_loaded_by_a_conftest_and_by_an_option_at_once(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["tests.requirements_plugin"]')
    pytester.makepyfile(SPLIT_ADMISSION)
    for arguments in [(), PLUGIN]:
        pytester.runpytest_inprocess("--strict-markers", *arguments).assert_outcomes(passed=1)


def test_the_report_lists_a_test_under_each_id_it_carries_and_every_other_id_as_empty(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_stays=SPLIT_ADMISSION)
    report = read_report(pytester)
    passed = {"test_stays.py::test_a_split_admission_is_found": "passed"}
    carried = {id_: tests for id_, tests in report["requirements"].items() if tests}
    assert list(report["requirements"]) == known_ids()
    assert carried == {"000-12": passed, "T01": passed}
    assert (report["collect_only"], report["exit_status"]) == (False, 0)


def test_the_report_tells_passed_failed_and_skipped_apart_and_takes_the_worst_phase(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_all="""
        import pytest
        pytestmark = pytest.mark.requirement("T02")

        @pytest.fixture
        def breaks_before(): raise OSError

        @pytest.fixture
        def breaks_after():
            yield
            raise OSError

        def test_passes(): pass
        def test_fails(): assert False
        def test_skips(): pytest.skip()
        def test_breaks_before(breaks_before): pass
        def test_breaks_after(breaks_after): pass
        @pytest.mark.xfail
        def test_fails_as_expected(): assert False
        """
    )
    assert read_report(pytester)["requirements"]["T02"] == {
        "test_all.py::test_passes": "passed",
        "test_all.py::test_fails": "failed",
        "test_all.py::test_skips": "skipped",
        "test_all.py::test_breaks_before": "failed",
        "test_all.py::test_breaks_after": "failed",
        "test_all.py::test_fails_as_expected": "skipped",
    }


def test_a_collected_test_is_not_reported_as_passed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_stays=SPLIT_ADMISSION)
    report = read_report(pytester, "--collect-only", "-q")
    assert report["collect_only"]
    assert report["requirements"]["T01"] == {"test_stays.py::test_a_split_admission_is_found": "collected"}


def test_a_test_that_was_never_reached_stays_collected(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_two="""
        import pytest
        def test_fails(): assert False
        @pytest.mark.requirement("T01")
        def test_never_reached(): pass
        """
    )
    report = read_report(pytester, "-x")
    assert report["requirements"]["T01"] == {"test_two.py::test_never_reached": "collected"}


def test_the_page_counts_the_documents_and_the_types_apart(page: ModuleType) -> None:
    carried = no_tests() | {"000-12": ["a.py::one[x]", "a.py::one[y]"], "T01": ["a.py::two"]}
    assert page.totals(page.requirements(carried)) == {
        "source documents": {"rows": 246, "covered": 1, "planned": 222, "out_of_scope": 23, "tests": 1},
        "violation types": {"rows": 40, "covered": 1, "planned": 39, "out_of_scope": 0, "tests": 1},
    }


def test_the_page_says_covered_and_never_proven(page: ModuleType) -> None:
    carried = no_tests() | {"000-12": ["a.py::one[x]", "a.py::one[y]"]}
    text = page.as_text(page.requirements(carried), unproven=True)
    assert page.CAVEAT in text
    assert "  000-12 no split admission: a.py::one\n" in text
    assert "  001-47 out of scope education (not software)\n" in text
    assert "proven" not in text


def test_the_page_points_at_a_test_for_a_row_that_is_out_of_scope(page: ModuleType) -> None:
    carried = no_tests() | {"001-47": ["a.py::one"]}
    text = page.as_text(page.requirements(carried), unproven=False)
    assert "001-47 education (out of scope in requirements.csv" in text


def test_the_page_as_json_leaves_out_rows_without_a_test_unless_asked(page: ModuleType) -> None:
    rows = page.requirements(no_tests() | {"T01": ["a.py::two"]})
    assert [row["id"] for row in json.loads(page.as_json(rows, unproven=False))["rows"]] == ["T01"]
    assert [row["id"] for row in json.loads(page.as_json(rows, unproven=True))["rows"]] == known_ids()


def test_the_page_lists_the_collected_tests(page: ModuleType, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_stays=SPLIT_ADMISSION)
    carried = page.collected(pytester.path)
    assert [test.partition("::")[2] for test in carried["T01"]] == ["test_a_split_admission_is_found"]
    assert carried["T02"] == []


def test_a_folder_without_tests_leaves_every_row_uncovered(page: ModuleType, tmp_path: Path) -> None:
    assert not any(page.collected(tmp_path).values())


@pytest.mark.parametrize(("source", "why"), [("import no_such_module", "no_such_module"), (WRONG_ID, "T99")])
def test_the_page_fails_with_the_reason_if_the_tests_cannot_be_collected(
    page: ModuleType,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    why: str,
) -> None:
    pytester.makepyfile(test_wrong=source)
    collect = page.collected
    monkeypatch.setattr(page, "collected", lambda: collect(pytester.path))
    assert page.main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert why in err
