"""Rules are right on every hand-written case, and every type of violation is looked for or excused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from fraud.signals.catalogue import load_catalogue
from fraud.signals.contract import check_signal
from fraud.signals.examples import ExampleWorld
from fraud.signals.national import TYPES, load_national_rules
from tests.features.source_rows import ROWS_OF_SIGNAL

ROOM = Path(__file__).resolve().parents[2] / "features"
CATALOGUE = load_catalogue(ROOM)
LIBRARY = load_national_rules(ROOM)
RULES = [s for s in CATALOGUE.signals.values() if s.limit]


@pytest.fixture(scope="module")
def world() -> Iterator[ExampleWorld]:
    with ExampleWorld(CATALOGUE) as place:
        yield place


def test_every_rule_has_three_cases_that_fire_and_three_that_stay_quiet() -> None:
    """That each case has the value and the finding that is written is proved by the contract."""
    assert len(RULES) >= 90
    for rule in RULES:
        fires = sum(e.fires for e in rule.examples)
        assert (fires >= 3, len(rule.examples) - fires >= 3) == (True, True), rule.id


@pytest.mark.parametrize("rule_id", ["claim.failed_identity_check", "network.account_sharers"])
@pytest.mark.parametrize(("kept", "why"), [(slice(1, None), "needs 3 examples"), (slice(None), "written twice")])
def test_the_contract_refuses_a_rule_of_either_kind_with_fewer_cases_or_one_twice(
    world: ExampleWorld, rule_id: str, kept: slice, why: str
) -> None:
    rule = CATALOGUE[rule_id]
    cases = rule.examples[kept] if kept.start else [*rule.examples, rule.examples[0]]
    breaches = check_signal(CATALOGUE, replace(rule, examples=cases), date(2026, 11, 21), world)
    assert [(b.point, why in b.detail) for b in breaches] == [("cases", True)]


def test_a_case_is_judged_by_the_limit_of_its_own_region(world: ExampleWorld) -> None:
    """Three hundred days are too many in one city and no matter in another, where nobody has set a limit."""
    rule = CATALOGUE["claim.days_before_assistance"]
    away = next(e for e in rule.examples if not e.fires and e.value == 300)
    wrong = [*(e for e in rule.examples if e is not away), replace(away, fires=True)]
    breaches = check_signal(CATALOGUE, replace(rule, examples=wrong), date(2026, 11, 21), world)
    assert [(b.point, "stays quiet at 300" in b.detail) for b in breaches] == [("examples", True)]


def test_the_signals_that_answer_the_source_documents_are_there() -> None:
    assert set(ROWS_OF_SIGNAL) <= set(CATALOGUE.signals)


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
