"""All 88 names of the national rule library are found by a rule, or excused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fraud.errors import CatalogueError
from fraud.signals.catalogue import Catalogue
from fraud.signals.national import NationalLibrary, load_national_rules

ROOM = Path(__file__).resolve().parents[2] / "features"
TIERS = {"政策类": 34, "管理类": 29, "医疗类": 25}
ENTRY = """
[[rules]]
number = 1
name = { en = "A", zh = "甲" }
tiers = ["政策类", "药品政策限定类"]
"""


@pytest.fixture(scope="module")
def library() -> NationalLibrary:
    return load_national_rules(ROOM)


def test_the_library_is_that_of_the_2025_edition(library: NationalLibrary) -> None:
    assert [rule.number for rule in library.rules] == list(range(1, 89))
    assert {tier: sum(r.tiers[0] == tier for r in library.rules) for tier in TIERS} == TIERS
    codes = [rule.code for rule in library.rules if rule.code]
    assert len(codes) == len(set(codes)) == 79
    assert len({rule.name["zh"] for rule in library.rules}) == 88


def test_every_name_is_found_by_rules_or_excused_and_every_code_leads_back(
    library: NationalLibrary, catalogue: Catalogue
) -> None:
    assert not library.faults(catalogue)


def test_most_names_are_found(library: NationalLibrary) -> None:
    found = [rule for rule in library.rules if rule.signals]
    assert len(found) >= 60
    assert all(not rule.signals for rule in library.rules if rule.excuse)


def test_what_is_missing_is_named(library: NationalLibrary, catalogue: Catalogue) -> None:
    without = dict(catalogue.signals)
    del without["claim.price_over_cap"]
    without["claim.upload_delay"] = replace(without["claim.upload_delay"], limit=None)
    without["claim.times_billed"] = replace(without["claim.times_billed"], national_code="GZ10000202001000")
    accidents = {name: replace(s, violation="T19") for name, s in without.items() if s.violation == "T20"}
    without |= accidents
    faults = "\n".join(library.faults(replace(catalogue, signals=without)))
    assert "14: no signal 'claim.price_over_cap'" in faults
    assert "41: claim.upload_delay is no rule" in faults
    assert "claim.times_billed: carries GZ10000202001000" in faults
    assert "T20: has neither a signal nor a reason" in faults


def test_indicators_may_be_figures_that_are_compared_with_peers(library: NationalLibrary, catalogue: Catalogue) -> None:
    drugs = next(rule for rule in library.rules if rule.name["zh"] == "药费占比统计")
    assert drugs.is_indicator
    assert all(catalogue[name].peer for name in drugs.signals)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (ENTRY, "needs either signals or an excuse"),
        (ENTRY + 'signals = ["claim.x"]\nexcuse = { en = "No.", zh = "无。" }\n', "needs either signals or an excuse"),
        (ENTRY.replace("number = 1", "number = 2") + 'signals = ["claim.x"]\n', "run from 1 without a gap"),
        (ENTRY + 'excuse = { en = "No." }\n', "must have exactly"),
        ('[types.T32]\nexcuse = { en = "No." }\n', "T32: needs an excuse"),
    ],
)
def test_a_wrong_entry_is_refused_with_what_is_wrong(tmp_path: Path, entry: str, why: str) -> None:
    (tmp_path / "national_rules.toml").write_text(entry, "utf-8")
    with pytest.raises(CatalogueError, match=why):
        load_national_rules(tmp_path)


def test_a_room_without_a_library_has_none(tmp_path: Path) -> None:
    assert load_national_rules(tmp_path).rules == ()


def test_the_handbook_says_what_cannot_be_decided_yet(library: NationalLibrary) -> None:
    """The written one: that it is the one of this catalogue is tested with the contract."""
    text = (ROOM / "HANDBOOK.md").read_text("utf-8")
    for rule in library.rules:
        row = next(line for line in text.splitlines() if line.startswith(f"| {rule.number} |"))
        assert rule.name["zh"] in row
        assert all(name in row for name in rule.signals)
        assert rule.signals or "not decidable yet" in row
    for name, reason in library.open_types.items():
        assert f"- {name}: {reason['en']}" in text
