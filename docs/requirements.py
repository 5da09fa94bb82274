"""Shows which rows of `docs/requirements.csv` have a test.

    python docs/requirements.py              totals, then the rows with a test
    python docs/requirements.py --unproven   also the rows without one
    python docs/requirements.py --json       the same for a program

Tests are collected, not run. A row with a test is therefore *covered by a test*; it is proven only when that
test passes, which `pytest --requirements-report FILE.json` shows. The exit code is 0, or 1 if the tests
cannot be collected.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "docs" / "requirements.csv"
CAVEAT = "Tests were collected, not run: a row is covered by a test, which does not show that it passes."
GROUPS = ("source documents", "violation types")
NO_TESTS_COLLECTED = 5  # pytest's exit code; an empty test folder is not a fault


class CollectionFailed(Exception):
    """Pytest could not collect the tests; the message is what it said of the fault."""


@dataclass(frozen=True)
class Requirement:
    """One row of the requirements file with the tests that carry its id."""

    id: str
    phrase: str
    english: str
    cover: str
    how: str
    status: str
    reason: str
    tests: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """Violation types have ids T01..T40; all other rows quote a source document."""
        return GROUPS[self.id.startswith("T")]

    @property
    def state(self) -> str:
        """`covered` if a test carries the id, else the status in the file."""
        return "covered" if self.tests else self.status


class Totals(TypedDict):
    """The counts of one group: its rows, the rows in each state, the tests that cover them."""

    rows: int
    covered: int
    planned: int
    out_of_scope: int
    tests: int


def collected(tests: Path = ROOT / "tests") -> dict[str, list[str]]:
    """The node ids of the tests that carry each requirement id.

    Raises:
        CollectionFailed: a test file cannot be imported, or carries an unknown id.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        run = subprocess.run(command(tests, report), cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode not in (0, NO_TESTS_COLLECTED):
            raise CollectionFailed(fault(run.stdout, run.stderr))
        carried = json.loads(report.read_text(encoding="utf-8"))["requirements"]
    return {id_: list(outcomes) for id_, outcomes in carried.items()}


def fault(stdout: str, stderr: str) -> str:
    """What pytest said of a fault, at most 20 lines, without the list of the tests that it did collect."""
    _, heading, errors = stdout.partition(" ERRORS ")
    return "\n".join((heading + errors + stderr).strip().splitlines()[-20:])


def command(tests: Path, report: Path) -> list[str]:
    """The command that collects tests and writes the plugin's report."""
    pytest = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "tests.requirements_plugin"]
    return [*pytest, "--requirements-report", str(report), str(tests)]


def requirements(carried: dict[str, list[str]], file: Path = REQUIREMENTS) -> list[Requirement]:
    """The rows of the requirements file, each with its tests."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [Requirement(**row, tests=tuple(carried[row["id"]])) for row in csv.DictReader(lines)]


def totals(rows: list[Requirement]) -> dict[str, Totals]:
    """The counts of each group."""
    return {group: count([row for row in rows if row.group == group]) for group in GROUPS}


def count(rows: list[Requirement]) -> Totals:
    """The counts over some rows. A parametrised test counts once."""
    states = [row.state for row in rows]
    return Totals(
        rows=len(rows),
        covered=states.count("covered"),
        planned=states.count("planned"),
        out_of_scope=states.count("out_of_scope"),
        tests=len({function(test) for row in rows for test in row.tests}),
    )


def function(test: str) -> str:
    """The node id without its parameters.

    >>> function("tests/test_signals.py::test_is_blind[claim-1]")
    'tests/test_signals.py::test_is_blind'
    """
    return test.partition("[")[0]


def as_json(rows: list[Requirement], unproven: bool) -> str:
    """The totals and the rows for a program; rows without a test only if asked for."""
    shown = [asdict(row) | {"state": row.state} for row in rows if row.tests or unproven]
    page = {"basis": "collected", "note": CAVEAT, "totals": totals(rows), "rows": shown}
    return json.dumps(page, indent=2, ensure_ascii=False)


def as_text(rows: list[Requirement], unproven: bool) -> str:
    """The totals and the rows for a reader; rows without a test only if asked for."""
    parts = [CAVEAT, "", *table(totals(rows)), "", "Covered by a test:"]
    parts += [covered_line(row) for row in rows if row.tests] or ["  none"]
    if unproven:
        parts += ["", "Not covered by a test:", *(uncovered_line(row) for row in rows if not row.tests)]
    return "\n".join(parts)


def table(groups: dict[str, Totals]) -> list[str]:
    """One line for each group below a heading."""
    heading = f"{'':<17}{'rows':>6}{'covered by a test':>19}{'planned':>9}{'out of scope':>14}{'tests':>7}"
    return [heading, *(total_line(group, counts) for group, counts in groups.items())]


def total_line(group: str, counts: Totals) -> str:
    """The counts of one group, below the columns of the heading."""
    states = f"{counts['covered']:>19}{counts['planned']:>9}{counts['out_of_scope']:>14}"
    return f"{group:<17}{counts['rows']:>6}{states}{counts['tests']:>7}"


def covered_line(row: Requirement) -> str:
    """The id, what it asks for, and its tests; a parametrised test is named once."""
    tests = ", ".join(dict.fromkeys(function(test) for test in row.tests))
    doubt = " (out of scope in requirements.csv: correct one of them)" if row.status == "out_of_scope" else ""
    return f"  {row.id:<7}{row.english}{doubt}: {tests}"


def uncovered_line(row: Requirement) -> str:
    """The id, its state and what it asks for; the reason if it is out of scope."""
    reason = f" ({row.reason})" if row.reason else ""
    return f"  {row.id:<7}{row.state.replace('_', ' '):<13}{row.english}{reason}"


def options(arguments: list[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(description="Shows which rows of docs/requirements.csv have a test.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--unproven", action="store_true", help="also list the rows without a test")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Prints the page; 1 if the tests cannot be collected."""
    chosen = options(arguments)
    try:
        rows = requirements(collected())
    except CollectionFailed as failure:
        print(f"The tests cannot be collected, so no coverage can be shown:\n{failure}", file=sys.stderr)
        return 1
    print((as_json if chosen.json else as_text)(rows, chosen.unproven))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
