"""Trees and surprise in one score: exact, with a direction, and of use where no verdict reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.errors import SpecError
from fraud.learning.blending import Blend, fit_scoring, scoring_of
from fraud.learning.fitting import Ensemble
from fraud.learning.metrics import average_precision
from fraud.learning.spec import ModelSpec, Surprise, parse_spec
from tests.learning.town import CLAIM_SPEC, spec

NAMES, SIGNS = ("claim.known", "claim.odd", "patient.odd"), (1, 1, 1)
ROWS = 4_000


def made(weight: float = 1.5, **given: object) -> ModelSpec:
    return replace(spec(CLAIM_SPEC), surprise=Surprise(weight, signals=("claim.*",), **given))


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values; verdicts, which know the first scheme alone; and the truth: half of it shows in the second column."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(ROWS, 3))
    known, hidden = np.arange(ROWS) % 200 == 0, np.arange(ROWS) % 200 == 7
    values[known, 0] += 4
    values[hidden, 1] += 5
    values[::97, 2] = np.nan
    return values, known.astype(float), known | hidden


@pytest.fixture(scope="module")
def blend(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Blend:
    found = fit_scoring(rows[0], rows[1], NAMES, SIGNS, made(), 3)
    assert isinstance(found, Blend)
    return found


def test_what_no_verdict_knows_is_found_by_its_rarity(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray], blend: Blend
) -> None:
    values, _, truth = rows
    alone, both = (average_precision(truth, m) for m in (blend.trees.margins(values), blend.margins(values)))
    assert alone < 0.7
    assert both > alone + 0.2


def test_contributions_and_base_are_the_margin(rows: tuple[np.ndarray, np.ndarray, np.ndarray], blend: Blend) -> None:
    np.testing.assert_allclose(blend.contributions(rows[0]).sum(axis=1), blend.margins(rows[0]), rtol=0, atol=1e-9)


def test_an_ordinary_row_gets_nothing_beside_the_trees(blend: Blend) -> None:
    ordinary = np.zeros((1, 3))
    assert blend.margins(ordinary) == blend.trees.margins(ordinary)


def test_only_the_named_columns_surprise(blend: Blend) -> None:
    odd = np.array([[0.0, 0.0, 9.0]])
    assert blend.margins(odd) == blend.trees.margins(odd)
    assert not replace(blend, weight=0.0)._added(np.array([7.0])).any()


@given(st.lists(st.floats(-9, 9), min_size=3, max_size=3), st.integers(0, 2), st.floats(0, 9))
@settings(max_examples=40, deadline=None)
def test_the_margin_never_falls_as_a_feature_rises(blend: Blend, row: list[float], place: int, by: float) -> None:
    higher = list(row)
    higher[place] += by
    low, high = blend.margins(np.array([row, higher]))
    assert high >= low - 1e-12


def test_a_row_alone_scores_as_in_the_crowd(rows: tuple[np.ndarray, np.ndarray, np.ndarray], blend: Blend) -> None:
    together = blend.margins(rows[0][:50])
    assert [float(blend.margins(rows[0][i : i + 1])[0]) for i in range(50)] == together.tolist()


def test_texts_give_the_same_scores_again(rows: tuple[np.ndarray, np.ndarray, np.ndarray], blend: Blend) -> None:
    again = scoring_of(made(), blend.texts)
    assert isinstance(again, Blend)
    assert (again.margins(rows[0]) == blend.margins(rows[0])).all()


def test_without_weight_there_are_trees_alone_and_an_old_digest(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    plain = fit_scoring(rows[0], rows[1], NAMES, SIGNS, made(0.0), 3)
    assert isinstance(plain, Ensemble)
    assert "surprise" not in spec(CLAIM_SPEC).as_dict()
    assert parse_spec(made().as_dict()) == made()


def test_a_model_without_labels_takes_no_second_surprise() -> None:
    with pytest.raises(SpecError, match="nothing but surprise"):
        parse_spec({**CLAIM_SPEC, "kind": "novelty", "gates": [], "leak_alarm": {}, "surprise": {"weight": 1.0}})
