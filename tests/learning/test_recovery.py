"""What is at stake is what comes back, not the whole bill."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.learning.calibration.recovery import WHOLE, Recovery, learn_recovery


def test_a_share_is_learned_from_what_outcomes_confirmed() -> None:
    paid = np.array([100.0, 1_000.0] * 500)
    recovered = np.where(paid == 100, 80.0, 150.0)
    found = learn_recovery(paid, recovered, np.ones(1_000))
    assert found.cases == 1_000
    assert found.at_stake(np.array([100.0, 1_000.0])) == pytest.approx([79, 152], rel=0.1)


def test_only_confirmed_cases_with_a_known_amount_count() -> None:
    paid, recovered = np.full(60, 100.0), np.full(60, 50.0)
    labels = np.r_[np.ones(30), np.zeros(15), np.full(15, np.nan)]
    recovered[30:] = 90
    recovered[25:30] = np.nan
    found = learn_recovery(paid, recovered, labels)
    assert found.cases == 25
    assert found.at_stake(np.array([100.0])) == pytest.approx([50])


def test_with_too_few_cases_the_whole_bill_is_at_stake() -> None:
    found = learn_recovery(np.full(9, 100.0), np.full(9, 10.0), np.ones(9))
    assert found is WHOLE
    assert found.at_stake(np.array([40.0, 0.0, 1e6])).tolist() == [40.0, 0.0, 1e6]


@given(st.lists(st.tuples(st.floats(0, 1e7), st.floats(0, 1e8)), min_size=10, max_size=60), st.floats(0, 1e9))
def test_never_more_than_was_paid_and_never_less_than_nothing(rows: list[tuple[float, float]], paid: float) -> None:
    own, back = np.array(rows).T
    found = learn_recovery(own, back, np.ones(len(own)))
    stake = found.at_stake(np.array([paid]))[0]
    assert 0 <= stake <= paid
    read = Recovery.from_dict(json.loads(json.dumps(found.as_dict())))
    assert read.at_stake(np.array([paid]))[0] == stake
