"""Fewer rows than there are: everybody with an outcome, and a fixed draw of the others that stands for all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.learning.datasets.dataset import Dataset, build_dataset
from fraud.learning.spec import ModelSpec
from fraud.signals.catalogue import Catalogue
from tests.learning.town import CLAIM_SPEC, spec

SAMPLE = 400


@pytest.fixture(scope="module")
def drawn(town: ClaimsFolder, room: Catalogue) -> Dataset:
    return build_dataset(town, spec(CLAIM_SPEC, sample=SAMPLE), room)


def test_everybody_with_an_outcome_is_kept(claims: Dataset, drawn: Dataset) -> None:
    looked_at = {claims.ids[i] for i in np.flatnonzero(claims.investigated)}
    assert looked_at <= set(drawn.ids)
    assert len(drawn) == len(looked_at) + SAMPLE


def test_those_who_were_drawn_stand_for_the_others(claims: Dataset, drawn: Dataset) -> None:
    assert drawn.weights.sum() == pytest.approx(len(claims))
    assert set(drawn.weights[drawn.investigated]) == {1.0}
    share = np.average(np.nan_to_num(drawn.labels), weights=drawn.weights)
    assert share == pytest.approx(np.nan_to_num(claims.labels).mean())


def test_a_row_that_was_drawn_is_as_it_was_among_all(claims: Dataset, drawn: Dataset) -> None:
    where = {claim_id: i for i, claim_id in enumerate(claims.ids)}
    rows = [where[i] for i in drawn.ids]
    columns = [i for i, f in enumerate(claims.features) if not f.is_peer_column]
    np.testing.assert_allclose(drawn.values[:, columns], claims.values[rows][:, columns], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(drawn.labels, claims.labels[rows])
    np.testing.assert_array_equal(drawn.amounts, claims.amounts[rows])
    np.testing.assert_array_equal(drawn.groups, claims.groups[rows])


def test_the_seed_draws_others_and_the_same_seed_the_same(town: ClaimsFolder, room: Catalogue, drawn: Dataset) -> None:
    again = build_dataset(town, spec(CLAIM_SPEC, sample=SAMPLE, signals=["claim.*"]), room)
    other = build_dataset(town, spec(CLAIM_SPEC, sample=SAMPLE, signals=["claim.*"], seed=5), room)
    assert again.ids == drawn.ids
    assert again.ids != other.ids


def test_a_sample_larger_than_all_is_all(town: ClaimsFolder, room: Catalogue, claims: Dataset) -> None:
    everybody = build_dataset(town, spec(CLAIM_SPEC, sample=10_000_000, signals=["claim.*"]), room)
    assert everybody.ids == claims.ids
    assert (everybody.weights == 1).all()


@pytest.mark.parametrize("changes", [{}, {"sample": 5}])
def test_entities_are_drawn_alike(
    town: ClaimsFolder, room: Catalogue, providers: Dataset, changes: dict[str, Any]
) -> None:
    found = build_dataset(town, spec(**changes), room)
    assert found.weights.sum() == pytest.approx(len(providers))
    assert len(found) == (285 if changes else 300)
    assert len(found.labelled) == 280


def test_the_same_data_spec_and_seed_give_the_same_bits(town: ClaimsFolder, room: Catalogue, drawn: Dataset) -> None:
    again = build_dataset(town, spec(CLAIM_SPEC, sample=SAMPLE), room)
    assert again.values.tobytes() == drawn.values.tobytes()


@pytest.mark.parametrize("changes", [{}, {"sample": SAMPLE}, {"entity": "provider"}])
def test_claims_in_chunks_are_as_they_are_at_once(
    town: ClaimsFolder, room: Catalogue, claims: Dataset, drawn: Dataset, providers: Dataset, changes: dict[str, Any]
) -> None:
    whole = {"sample": drawn, "entity": providers}.get(next(iter(changes), ""), claims)
    found = build_dataset(town, spec() if "entity" in changes else spec(CLAIM_SPEC, **changes), room, chunk=1500)
    assert found.ids == whole.ids
    assert found.names == whole.names
    # Sums of floats in another order.
    np.testing.assert_allclose(found.values, whole.values, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.weights, whole.weights)


def test_the_young_are_no_negatives_yet(town: ClaimsFolder, room: Catalogue) -> None:
    def dataset(days: int) -> Dataset:
        base = spec(CLAIM_SPEC, signals=["claim.*"])
        aged: ModelSpec = replace(base, label=replace(base.label, maturity_days=days, unlabelled="negative"))
        return build_dataset(town, aged, room)

    at_once, later = dataset(0), dataset(120)
    assert len(later.plain) < len(at_once.plain)
    age = np.datetime64(later.as_of) - later.happened_at[later.plain]
    assert age.min() >= np.timedelta64(120, "D")
    # Nor is a young one with a verdict fitted on: of the young, only those that were looked at would be left.
    assert len(later.fit_rows) == int(later.mature[later.labelled].sum()) + len(later.plain)
    assert int(later.mature[later.labelled].sum()) < len(later.labelled)
