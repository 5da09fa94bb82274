"""Ties tests to the requirements they show to hold: `@pytest.mark.requirement("000-12", "T01")`.

Load it with `-p tests.requirements_plugin`, or with `pytest_plugins = ["tests.requirements_plugin"]` in
`tests/conftest.py`; both at once is fine. An id that is not in `docs/requirements.csv` stops the run before
any test starts. `--requirements-report FILE.json` writes, for every id, the tests that carry it and what
became of them.
"""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[1] / "docs" / "requirements.csv"

Outcome = Literal["collected", "passed", "skipped", "failed"]

# A test has several phases and may have subtests. It keeps the outcome furthest to the right, so that a test
# that passes and then fails to clean up is not counted as passed. "collected" means that it never ran.
SEVERITY: tuple[Outcome, ...] = ("collected", "passed", "skipped", "failed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--requirements-report`."""
    parser.getgroup("requirements").addoption(
        "--requirements-report",
        metavar="FILE.json",
        help="write the tests that carry each requirement, and their outcomes, to FILE.json",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker, and the object that follows one run."""
    config.addinivalue_line("markers", "requirement(*ids): rows of docs/requirements.csv that the test shows")
    config.pluginmanager.register(RequirementsRun(known_ids()), "requirements-run")


def known_ids(file: Path = REQUIREMENTS) -> list[str]:
    """The ids in the requirements file, in its order."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [row["id"] for row in csv.DictReader(lines)]


def carried_ids(item: pytest.Item) -> list[str]:
    """The ids on a test, its class and its module; '' stands for a marker without ids."""
    markers = item.iter_markers("requirement")
    return [str(id_) for marker in markers for id_ in marker.args or ("",)]


@dataclass(eq=False)  # pytest keeps its plugins in sets
class RequirementsRun:
    """One pytest run: which test carries which ids, and what became of it."""

    known: list[str]
    carried: dict[str, list[str]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)  # before -k and -m deselect, so that a wrong id is found in any run
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuses the run if a test carries an id that does not exist."""
        known = set(self.known)
        if unknown := [(id_, item.nodeid) for item in items for id_ in carried_ids(item) if id_ not in known]:
            raise pytest.UsageError(refusal(unknown))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Notes the tests that were selected."""
        self.carried = {item.nodeid: ids for item in session.items if (ids := carried_ids(item))}
        self.outcomes = dict.fromkeys(self.carried, "collected")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes the outcome of one phase of a test."""
        before = self.outcomes.get(report.nodeid)
        # A setup that passes says nothing yet about the test.
        if before and (report.when == "call" or not report.passed):
            self.outcomes[report.nodeid] = max(before, report.outcome, key=SEVERITY.index)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Writes the report, if one was asked for."""
        if name := session.config.getoption("--requirements-report"):
            file = session.config.invocation_params.dir / name
            run = {"collect_only": bool(session.config.option.collectonly), "exit_status": int(exitstatus)}
            text = json.dumps(run | {"requirements": self.by_requirement()}, indent=2, ensure_ascii=False)
            file.write_text(text + "\n", encoding="utf-8")

    def by_requirement(self) -> dict[str, dict[str, Outcome]]:
        """For every known id, the tests that carry it with their outcomes; {} if none does."""
        tests: dict[str, dict[str, Outcome]] = {id_: {} for id_ in self.known}
        for nodeid, ids in self.carried.items():
            for id_ in tests.keys() & ids:
                tests[id_][nodeid] = self.outcomes[nodeid]
        return tests


def refusal(unknown: list[tuple[str, str]]) -> str:
    """The message that names every unknown id once, with the first test that carries it."""
    first = dict(reversed(unknown))
    lines = [f"  {id_ or '(a marker without ids)'} in {first[id_]}" for id_ in sorted(first)]
    heading = "These requirement ids are not in docs/requirements.csv:"
    return "\n".join([heading, *lines, "Correct the id in the test, or add the row to the file."])
