"""Contributions are exact, and what is not exact is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from fraud.errors import FraudError
from fraud.explaining.contributions import TOLERANCE, contributions_of, shap_explanation
from fraud.learning.fitting import Ensemble, fit_ensemble
from fraud.learning.spec import Parameters


@dataclass(frozen=True)
class Fitted:
    """Boosters behind the names that explanations ask for."""

    names: tuple[str, ...]
    ensemble: Ensemble

    def margins(self, values: np.ndarray) -> np.ndarray:
        return self.ensemble.margins(values)

    def contributions(self, values: np.ndarray) -> tuple[float, np.ndarray]:
        found = self.ensemble.contributions(values)
        return float(found[0, -1]), found[:, :-1]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    values = np.random.default_rng(3).normal(size=(400, 5))
    values[::7, 2] = np.nan
    return values


@pytest.fixture(scope="module")
def fitted(rows: np.ndarray) -> Fitted:
    labels = (rows[:, 0] + np.nan_to_num(rows[:, 2]) > 0.5).astype(float)
    names = tuple(f"f{i}" for i in range(5))
    parameters = Parameters(rounds=30, min_data_in_leaf=5)
    return Fitted(names, fit_ensemble(rows, labels, names, [0] * 5, parameters, seed=1, bags=2))


def test_base_and_contributions_add_up_to_the_margin(fitted: Fitted, rows: np.ndarray) -> None:
    found = contributions_of(fitted, rows)
    assert found.values.shape == rows.shape
    assert np.abs(found.base + found.values.sum(axis=1) - fitted.margins(rows)).max() <= TOLERANCE
    assert np.ptp(found.margins) > 1


def test_one_row_may_be_given_as_a_vector(fitted: Fitted, rows: np.ndarray) -> None:
    assert np.array_equal(contributions_of(fitted, rows[0]).values, contributions_of(fitted, rows[:1]).values)


def test_no_rows_give_no_contributions(fitted: Fitted) -> None:
    class Empty:
        names = fitted.names

        def margins(self, values: np.ndarray) -> np.ndarray:
            return np.empty(0)

        def contributions(self, values: np.ndarray) -> tuple[float, np.ndarray]:
            return -1.0, np.empty((0, 5))

    assert contributions_of(Empty(), np.empty((0, 5))).values.shape == (0, 5)


@pytest.mark.parametrize("spoil", [1e-6, np.nan])
def test_contributions_that_do_not_add_up_are_refused(fitted: Fitted, rows: np.ndarray, spoil: float) -> None:
    class Spoilt(Fitted):
        def contributions(self, values: np.ndarray) -> tuple[float, np.ndarray]:
            base, found = super().contributions(values)
            return base + spoil, found

    with pytest.raises(FraudError, match="do not add up"):
        contributions_of(Spoilt(fitted.names, fitted.ensemble), rows)


# shap colours its maps with calls that matplotlib will drop.
@pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")
def test_notebooks_get_a_shap_explanation_of_the_same_figures(fitted: Fitted, rows: np.ndarray) -> None:
    explanation = shap_explanation(fitted, rows[:10])
    assert explanation.feature_names == list(fitted.names)
    total = explanation.base_values + explanation.values.sum(axis=1)
    assert np.abs(total - fitted.margins(rows[:10])).max() <= TOLERANCE


def test_shap_and_the_charts_are_loaded_only_when_they_are_needed() -> None:
    program = (
        "import sys, fraud.explaining.contributions, fraud.explaining.report;"
        "sys.exit(bool({'shap', 'altair', 'vl_convert'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
