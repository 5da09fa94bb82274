"""Frames: what is prepared for them, what is shared between them, and that neither changes a value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.signals.catalogue import Catalogue
from fraud.signals.contract import tables_of
from fraud.signals.frames import FrameBuilder, freeze_peers
from fraud.signals.relations import Relations

DAYS = (datetime(2025, 9, 1), datetime(2025, 11, 1))


@pytest.fixture
def builder(city: ClaimsFolder, catalogue: Catalogue) -> Iterator[FrameBuilder]:
    connection = tables_of(city)
    builder = FrameBuilder(connection, catalogue, present=city.present)
    builder.learn_norms()
    yield builder
    connection.close()


def _pairs(builder: FrameBuilder, entity: str, most: int = 60) -> pa.Table:
    known = f"SELECT {entity}_id FROM claims WHERE {entity}_id IS NOT NULL"
    query = f"{known} GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {most}"
    ids = [row[0] for row in builder.connection.execute(query).fetchall()]
    days = pa.array([day for day in DAYS for _ in ids], pa.timestamp("us"))
    return pa.table({"entity_id": pa.array(ids * len(DAYS), pa.string()), "snapshot": days})


@pytest.mark.parametrize("entity", ["claim", "patient", "provider", "physician"])
def test_the_types_of_every_relation_are_those_that_it_has_when_it_is_built(entity: str) -> None:
    for scope in Relations(entity).scopes.values():
        built = scope.build(frozenset(scope.columns)).schema()
        assert {n: built[n] for n in scope.columns} == dict(scope.stub.schema().items()), scope.name


def test_claim_signals_at_hand_give_the_same_as_computed_for_the_entity(
    builder: FrameBuilder, catalogue: Catalogue
) -> None:
    rolled = builder.usable(s for s in catalogue.of("provider") if "window_signals" in s.scopes)
    pairs = _pairs(builder, "provider")
    alone = builder.entities(rolled, "provider", pairs)
    builder.learn_norms()  # what was at hand is forgotten
    builder.claims(builder.usable(catalogue.of("claim")))
    after = builder.entities(rolled, "provider", pairs)
    assert np.allclose(alone.values, after.values, equal_nan=True, rtol=1e-12)


def test_several_snapshots_at_once_give_the_same_as_one_after_the_other(
    builder: FrameBuilder, catalogue: Catalogue
) -> None:
    chosen = builder.usable(
        s for s in catalogue.signals.values() if s.id.startswith("network.") or "surges" in s.scopes
    )
    for entity in ("patient", "provider", "physician"):
        own, pairs = [s for s in chosen if s.entity == entity], _pairs(builder, entity)
        both = builder.entities(own, entity, pairs)
        for day in DAYS:
            at = pa.compute.equal(pairs["snapshot"], pa.scalar(day, pa.timestamp("us")))
            single = builder.entities(own, entity, pairs.filter(at))
            place = {pair: i for i, pair in enumerate(zip(*both.keys.to_pydict().values(), strict=True))}
            rows = [place[pair] for pair in zip(*single.keys.to_pydict().values(), strict=True)]
            assert np.allclose(both.values[rows], single.values, equal_nan=True)


def test_rates_come_with_the_cases_they_rest_on_and_other_signals_do_not(
    builder: FrameBuilder, catalogue: Catalogue
) -> None:
    signals = [catalogue["provider.manual_share"], catalogue["provider.claims"]]
    frame = builder.entities(signals, "provider", _pairs(builder, "provider"))
    assert frame.totals is not None
    assert np.array_equal(frame.totals[:, 0], frame.column("provider.claims"))
    assert np.isnan(frame.totals[:, 1]).all()
    rates = freeze_peers(frame).groups[()].rates
    assert np.isfinite(rates.alpha[0])
    assert np.isnan(rates.alpha[1])
