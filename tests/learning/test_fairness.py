"""Is anybody flagged more without cause? On planted data: a biased scorer is found, a fair one is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fraud.learning.validation.fairness import Audited, Part, audit, holm


def _made_up(seed: int, bias: float = 0.0, riskier: float = 0.0, groups: int = 200, n: int = 6_000) -> Audited:
    """Rows of three regions; `bias` raises the score of the first alone, `riskier` its true risk, too."""
    random = np.random.default_rng(seed)
    group = random.integers(0, groups, n)
    region = np.array([f"R{g % 3}" for g in group], dtype=object)
    first = region == "R0"
    margin = random.normal(-2.2, 1.0, n) + riskier * first
    labels = (random.random(n) < 1 / (1 + np.exp(-margin))).astype(float)
    probabilities = 1 / (1 + np.exp(-(margin + bias * first)))
    return Audited(
        flagged=(probabilities >= np.quantile(probabilities, 0.9)).astype(float),
        labels=np.where(random.random(n) < 0.8, labels, np.nan),
        probabilities=probabilities,
        groups=np.array([f"H{g}" for g in group], dtype=object),
        segments={"region": region, "sex": random.choice(np.array(["female", "male"], dtype=object), n)},
    )


def _of(rows: Audited, value: str) -> Part:
    return next(p for p in audit(rows).parts if p.value == value)


def test_a_scorer_that_adds_to_one_region_without_cause_is_found_out() -> None:
    found = audit(_made_up(1, bias=1.0))
    assert [(p.segment, p.value) for p in found.without_cause] == [("region", "R0")]
    part = found.without_cause[0]
    assert part.cleared_rate > 2 * part.rest_rate
    assert part.predicted > part.found
    assert part.p < 0.01
    assert found.verdict_of("region") == "without_cause"


def test_a_region_with_more_fraud_is_flagged_more_in_line_with_what_was_found() -> None:
    found = audit(_made_up(2, riskier=1.0))
    part = next(p for p in found.parts if p.value == "R0")
    assert part.cleared_rate > 2 * part.rest_rate, "its cleared are flagged more often all the same"
    assert not part.overestimated
    assert part.verdict == "in_line"
    assert not found.without_cause


def test_a_fair_scorer_is_cleared_in_nearly_every_sample() -> None:
    accused = [bool(audit(_made_up(seed, n=2_000)).without_cause) for seed in range(30)]
    assert sum(accused) <= 2, "five parts each, corrected for all of them at once"


def test_one_provider_with_many_false_alarms_is_no_proof_about_its_region() -> None:
    rows = _made_up(3, groups=24)
    one = rows.groups == "H0"
    flagged = np.where(one, 1.0, rows.flagged)
    part = _of(Audited(flagged, rows.labels, rows.probabilities, rows.groups, rows.segments), "R0")
    assert part.cleared_rate > 1.5 * part.rest_rate
    assert part.verdict == "no_sign", "rows of a group stand or fall together"


def test_figures_of_a_part_are_what_one_counts() -> None:
    labels = np.array([0.0] * 40 + [1.0] * 10 + [np.nan] * 10)
    flagged = np.array([1.0] * 4 + [0.0] * 36 + [1.0] * 6 + [0.0] * 4 + [1.0] * 10)
    both = {"flagged": np.tile(flagged, 2), "labels": np.tile(labels, 2), "probabilities": np.full(120, 0.2)}
    groups = np.array([f"H{i % 7}" for i in range(120)], dtype=object)
    sex = np.array(["female"] * 60 + ["male"] * 60, dtype=object)
    part = _of(Audited(**both, groups=groups, segments={"sex": sex}), "female")
    assert (part.rows, part.cleared, part.decided, part.groups) == (60, 40, 50, 7)
    assert part.flag_rate == pytest.approx(20 / 60)
    assert part.cleared_rate == pytest.approx(4 / 40)
    assert part.rest_rate == pytest.approx(4 / 40)
    assert part.precision == pytest.approx(6 / 10), "of those flagged and decided"
    assert (part.predicted, part.found) == pytest.approx((0.2, 10 / 50))
    assert part.cleared_low < 0.1 < part.cleared_high
    assert part.p == 1.0


@pytest.mark.parametrize(("cleared", "verdict"), [(29, "too_few"), (30, "no_sign")])
def test_a_part_with_few_cleared_cases_is_not_judged(cleared: int, verdict: str) -> None:
    n = 100 + cleared
    sex = np.array(["male"] * 100 + ["female"] * cleared, dtype=object)
    flagged = (np.arange(n) % 9 == 0).astype(float)
    groups = np.array([f"H{i % 20}" for i in range(n)], dtype=object)
    rows = Audited(flagged, np.zeros(n), np.full(n, 0.1), groups, {"sex": sex})
    assert _of(rows, "female").verdict == verdict


def test_unknown_values_take_no_part_and_unknown_segments_are_named() -> None:
    rows = _made_up(4)
    region = rows.segments["region"].copy()
    region[::2] = None
    segments: dict[str, Any] = {"region": region, "level": np.full(len(region), None, dtype=object)}
    found = audit(Audited(rows.flagged, rows.labels, rows.probabilities, rows.groups, segments))
    assert found.unknown == ("level",)
    assert {p.value for p in found.parts} == {"R0", "R1", "R2"}
    assert sum(p.rows for p in found.parts) == len(region) / 2


def test_holm_is_stricter_than_each_test_alone_and_never_above_one() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
