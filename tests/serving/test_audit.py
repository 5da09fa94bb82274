"""The audit of what the product stands on: of this environment, and of locks with one thing wrong."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "serving" / "audit.py"
_spec = importlib.util.spec_from_file_location("audit", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
audit = sys.modules["audit"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(audit)
Entry, entries, examined = audit.Entry, audit.entries, audit.examined
HASH = f"--hash=sha256:{'0' * 64}"
ADVISORIES = {"below": {"wagon": {"2.0": "CVE-1", "2.5": "CVE-2"}}}


def wagon(folder: Path, version: str = "3.0", licence: str = "MIT", needs: str = "") -> Distribution:
    """An installed package of that name."""
    made = folder / f"wagon-{version}.dist-info"
    made.mkdir()
    lines = f"Metadata-Version: 2.4\nName: Wagon\nVersion: {version}\nLicense-Expression: {licence}\n"
    made.joinpath("METADATA").write_text(lines + (f"Requires-Dist: {needs}\n" if needs else ""), "utf-8")
    return PathDistribution(made)


def test_this_environment_is_in_order() -> None:
    found = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert "0 faults" in found.stdout


def test_entries_have_their_hashes_and_the_systems_that_they_are_for() -> None:
    lock = f"one==1.0 \\\n    {HASH} \\\n    {HASH}\n    # via two\ntwo==2 ; sys_platform == 'nowhere' {HASH}\n"
    one, two = entries(lock)
    assert isinstance(one, Entry)
    assert (one.name, one.version, one.hashes, one.counts_here) == ("one", "1.0", 2, True)
    assert isinstance(two, Entry)
    assert not two.counts_here


@pytest.mark.parametrize(
    ("lock", "says"),
    [
        ("wagon==3.0", "wagon 3.0: no hash"),
        ("--index-url https://example.invalid/simple", "no pinned version: --index-url"),
        (f"wagon>=3 {HASH}", "no pinned version: wagon>=3"),
        (f"wagon @ https://example.invalid/wagon.whl {HASH}", "no pinned version: wagon @"),
        (f"wagon==2.4.9 {HASH}", "wagon 2.4.9: CVE-2, mended in 2.5"),
    ],
)
def test_an_entry_that_is_not_as_it_should_be_is_named(lock: str, says: str) -> None:
    (found,) = examined(lock, [], ADVISORIES)
    assert says in found


@pytest.mark.parametrize(
    ("installed", "says"),
    [
        ({"version": "2.9"}, "the lock says 3.0, installed is 2.9"),
        ({"licence": "AGPL-3.0-only"}, "its licence is to be looked at: AGPL-3.0-only"),
        ({"needs": "horse>=1"}, "Wagon 3.0 needs horse>=1: missing"),
    ],
    ids=["another version", "a licence", "something missing"],
)
def test_what_is_installed_and_not_as_it_should_be_is_named(
    tmp_path: Path, installed: dict[str, str], says: str
) -> None:
    (found,) = examined(f"wagon==3.0 {HASH}", [wagon(tmp_path, **installed)], ADVISORIES)
    assert says in found


def test_all_is_named_at_once_and_what_is_in_order_is_not(tmp_path: Path) -> None:
    assert list(examined(f"wagon==3.0 {HASH}", [wagon(tmp_path)], ADVISORIES)) == []
    assert len(list(examined("wagon==1.0\nnonsense", [wagon(tmp_path, "1.0", "Secret")], ADVISORIES))) == 5
