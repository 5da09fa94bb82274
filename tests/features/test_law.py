"""Rules of law are right on every hand-written case, and every type of violation is looked for or excused."""

from __future__ import annotations

from pathlib import Path

import pytest

from fraud.signals.catalogue import load_catalogue
from fraud.signals.national import TYPES, load_national_rules

ROOM = Path(__file__).resolve().parents[2] / "features"
CATALOGUE = load_catalogue(ROOM)
LIBRARY = load_national_rules(ROOM)
OF_LAW = [s for s in CATALOGUE.signals.values() if s.kind == "violation"]


@pytest.mark.parametrize("rule", OF_LAW, ids=lambda s: s.id)
def test_a_rule_of_law_has_three_cases_that_fire_and_three_that_stay_quiet(rule) -> None:  # type: ignore[no-untyped-def]
    """That each case has the value and the finding that is written is proved by the contract."""
    fires = [e for e in rule.examples if e.fires]
    quiet = [e for e in rule.examples if not e.fires]
    assert len(fires) >= 3
    assert len(quiet) >= 3
    cases = [(e.fires, repr(sorted(e.rows.items()))) for e in rule.examples]
    assert len(set(cases)) == len(cases), "a case is written twice"


def test_every_type_of_violation_has_a_signal_or_a_reason() -> None:
    found = {s.violation for s in CATALOGUE.signals.values()}
    assert set(TYPES) == (found & set(TYPES)) | set(LIBRARY.open_types)
    assert not found & set(LIBRARY.open_types)


def test_drugs_and_other_items_are_never_found_by_both_rules_of_a_restriction() -> None:
    """One line is one finding: the national library has a code for drugs and another for services."""
    pairs = {
        "claim.sex_conflicts": "claim.drug_sex_conflicts",
        "claim.too_young_for": "claim.drugs_too_young_for",
        "claim.too_old_for": "claim.drugs_too_old_for",
        "claim.wrong_visit_lines": "claim.wrong_visit_drugs",
        "claim.items_above_level": "claim.drugs_above_level",
    }
    for item, drug in pairs.items():
        assert CATALOGUE[item].national_code != CATALOGUE[drug].national_code or CATALOGUE[drug].national_code is None
        quiet = [e for e in CATALOGUE[item].examples if not e.fires]
        assert any("drug" in repr(e.rows.get("catalogue")) for e in quiet), item
