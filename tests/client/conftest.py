from __future__ import annotations

from collections.abc import Iterator

import pytest

from fraud.scoring.scorer import ClaimScorer
from fraud.store import Store
from fraud.web.app import build_app
from fraud.web.running.door import Door
from tests.client.moody import MoodyServer
from tests.exchange.rooms import listening, runtime_on, small_catalogue


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service with two rules on a port of this machine."""
    folder = tmp_path_factory.mktemp("service")
    catalogue = small_catalogue(folder / "home")
    with Store(f"sqlite:///{folder / 'service.db'}", busy_ms=60_000) as store:
        runtime = runtime_on(store, catalogue, ClaimScorer(catalogue, None))
        with listening(build_app(runtime, Door(seconds=60))) as url:
            yield url
        runtime.guard.close()
        runtime.histories.close()


@pytest.fixture
def moody() -> Iterator[MoodyServer]:
    with MoodyServer() as server:
        yield server
