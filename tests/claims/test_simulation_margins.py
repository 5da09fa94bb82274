"""The simulated payer beside published figures: every one within its range."""

from __future__ import annotations

import pytest

from fraud.claims.simulation import simulate
from fraud.claims.simulation.describing import margins


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("town") / "payer", preset="town").to


def test_every_published_figure_is_computed_and_within_its_range(town):
    found = margins(town)
    assert len(found) >= 40
    outside = [
        f"{m.figure} of {m.population}: {m.simulated} is not within {m.low} to {m.high}"
        for m in found
        if m.simulated is None or not m.low <= m.simulated <= m.high
    ]
    assert outside == []
