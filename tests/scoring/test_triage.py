"""What is at stake in a claim: what rules point at, or what such amounts have brought back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fraud.explaining.report import render_html
from fraud.learning.calibration.recovery import Recovery
from fraud.learning.model import FittedModel
from fraud.scoring.triage import ReviewTime, Triage, amount_at_stake, standing_of
from fraud.signals.catalogue import Catalogue
from fraud.signals.rules import Finding, rules_of
from tests.explaining.worlds import provider_explanation

LINES = {1: 300.0, 2: 500.0, 3: 200.0}


@pytest.fixture
def half(claim_model: FittedModel) -> FittedModel:
    """The model, with half of what was paid coming back."""
    return replace(claim_model, recovery=Recovery(np.array([1.0]), np.array([0.5]), 100))


def finding(catalogue: Catalogue, kind: str, lines: tuple[int, ...] = (), status: str = "hit") -> Finding:
    rule = next(r for r in rules_of(catalogue, "claim") if r.kind == kind)
    return Finding(rule, status, 2.0, 1.0, {}, lines=lines)  # type: ignore[arg-type]


def test_without_a_finding_the_learned_share_is_at_stake(half: FittedModel, catalogue: Catalogue) -> None:
    assert amount_at_stake(half, 800.0) == 400.0
    skipped = finding(catalogue, "violation", status="skipped")
    assert amount_at_stake(half, 800.0, [skipped], LINES) == 400.0


def test_findings_put_their_lines_at_stake_each_once_and_only_what_the_fund_paid(
    half: FittedModel, catalogue: Catalogue
) -> None:
    hits = [finding(catalogue, "suspicion", (1,)), finding(catalogue, "violation", (1, 3))]
    assert amount_at_stake(half, 800.0, hits, LINES) == pytest.approx(800 * 500 / 1000)
    assert amount_at_stake(half, 5_000.0, hits, {1: 0.0, 3: 0.0}) == 5_000.0


def test_a_claim_that_the_law_lets_the_payer_refuse_is_at_stake_as_a_whole(
    half: FittedModel, catalogue: Catalogue
) -> None:
    assert amount_at_stake(half, 800.0, [finding(catalogue, "violation")], LINES) == 800.0
    assert amount_at_stake(half, 800.0, [finding(catalogue, "suspicion")], LINES) == 400.0


def test_a_standing_has_its_bounds_and_its_money(half: FittedModel) -> None:
    risk = standing_of(half, 0.4, 1_000.0, Triage())
    assert risk.probability_low < risk.probability < risk.probability_high
    assert risk.expected_recovery == pytest.approx(1_000 * risk.probability)
    assert risk.margin == 0.4


def test_the_time_of_a_review_is_that_of_its_type_or_else_of_the_entity() -> None:
    time = ReviewTime({"claim": 30.0, "T07": 15.0})
    assert [time.hours("claim"), time.hours("claim", "T07"), time.hours("claim", "T08")] == [0.5, 0.25, 0.5]
    assert time.hours("provider") == 8.0


def test_a_model_learns_what_comes_back_from_the_outcomes(claim_model: FittedModel) -> None:
    assert claim_model.recovery.cases >= 10
    assert 0 < claim_model.at_stake(np.array([5_000.0]))[0] < 5_000


def test_a_report_shows_the_bounds_in_both_languages() -> None:
    known = provider_explanation(probability=0.31, probability_low=0.22, probability_high=0.41)
    assert "estimated probability (22.0% to 41.0% at 95% confidence)" in render_html(known, "en")
    assert "估计概率（95%置信区间22.0%至41.0%）" in render_html(known, "zh")
    unknown = render_html(provider_explanation(probability=0.31), "en")
    assert "estimated probability" in unknown
    assert "95% confidence" not in unknown
    assert known.as_dict()["probability_low"] == 0.22
