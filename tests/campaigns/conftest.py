from __future__ import annotations

import pytest

from fraud.review.campaigns import Campaigns
from fraud.store import Store
from tests.campaigns.parts import judged
from tests.cases.conftest import address, clock, store
from tests.cases.parts import Clock

__all__ = ["address", "clock", "store"]


@pytest.fixture
def work(store: Store, clock: Clock) -> Campaigns:
    """Campaigns over two institutions with findings and one without."""
    judged(store)
    return Campaigns(store, clock=clock)
