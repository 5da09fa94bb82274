"""What the signals find on a simulated payer that nobody looked at while writing them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.detection.measuring import (
    Detection,
    Found,
    SignalRow,
    average_precision,
    by_chance,
    found,
    is_law,
    measured,
)
from benchmarks.detection.report import as_json, page
from benchmarks.detection.scoring import Scores, scored
from benchmarks.detection.truth import mistakes, read_truth
from fraud.claims.folder import ClaimsFolder
from fraud.claims.simulation import simulate
from fraud.signals.catalogue import Catalogue
from fraud.signals.detection import load_detection

ROOT = Path(__file__).resolve().parents[2]
FEWEST_GUILTY = 5


@pytest.fixture(scope="module")
def demo_found(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Detection:
    """What the signals find in a city of the size of the demo."""
    to = tmp_path_factory.mktemp("detection") / "city"
    simulate(to, seed=40, claims=30_000)
    return found(catalogue, scored(ClaimsFolder(to), catalogue, months=6), read_truth(to))


def test_some_signal_of_each_type_ranks_the_guilty_above_twice_the_base_rate(demo_found: Detection) -> None:
    many = {f.violation for f in demo_found.found if f.guilty >= FEWEST_GUILTY}
    ranked = {v: max(_times(f) for f in demo_found.found if f.violation == v) for v in many}
    assert len(ranked) >= 35
    assert {v: times for v, times in ranked.items() if times < 2} == {}


def _times(row: Found) -> float:
    return row.best.times_base if row.best else 0.0


def test_rules_of_law_leave_honest_claims_alone(tmp_path: Path, catalogue: Catalogue) -> None:
    simulate(tmp_path / "clean", seed=36, claims=30_000, schemes=False)
    clean = scored(ClaimsFolder(tmp_path / "clean"), catalogue, entities=["claim"])["claim"]
    wrong = mistakes(tmp_path / "clean")
    honest = clean.without(wrong)
    law = [r for r in honest.rules if catalogue[r].kind == "violation"]
    assert len(law) >= 20
    assert 0 < len(wrong) < 100
    assert {r: int(honest.hits(r).sum()) for r in law if honest.hits(r).sum() > len(honest) * 1e-4} == {}


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_at_size_every_bar_of_the_catalogue_holds(tmp_path: Path, catalogue: Catalogue) -> None:
    simulate(tmp_path / "planted", seed=37, claims=250_000)
    simulate(tmp_path / "clean", seed=38, claims=250_000, schemes=False)
    clean = scored(ClaimsFolder(tmp_path / "clean"), catalogue)
    clean["claim"] = clean["claim"].without(mistakes(tmp_path / "clean"))
    planted = scored(ClaimsFolder(tmp_path / "planted"), catalogue)
    detection = measured(catalogue, planted, clean, read_truth(tmp_path / "planted"))
    assert detection.missed == []
    assert detection.law_alarms == []


def test_every_signal_that_was_measured_separates_something_or_is_a_rule_of_law(catalogue: Catalogue) -> None:
    """There is no padding in a catalogue of which the measurement of a city nobody looked at is in the docs."""
    found = load_detection(ROOT / "docs" / "detection.json").signals
    assert len(found) >= 150
    assert set(found) <= set(catalogue.signals)
    assert [name for name, row in found.items() if row["idle"]] == []
    assert {name for name, row in found.items() if row["law"]} == {n for n in found if is_law(catalogue, catalogue[n])}


# --- the measurement itself -------------------------------------------------------------------------------------------

FIGURES = st.lists(st.integers(-3, 3), min_size=1, max_size=30)


@given(guilty=FIGURES, innocent=FIGURES)
def test_average_precision_is_that_of_scikit_learn(guilty: list[int], innocent: list[int]) -> None:
    from sklearn.metrics import average_precision_score

    truth = [1] * len(guilty) + [0] * len(innocent)
    expected = average_precision_score(truth, [*guilty, *innocent])
    assert average_precision(np.array(guilty, float), np.array(innocent, float)) == pytest.approx(expected)


def test_a_perfect_ranking_of_many_is_no_luck_and_one_of_a_single_guilty_one_among_ten_may_be() -> None:
    assert by_chance(1.0, guilty=50, innocent=5_000, tries=10) < 0.01
    assert by_chance(1.0, guilty=1, innocent=9, tries=10) > 0.5


def test_an_entity_without_a_figure_ranks_last() -> None:
    unknown, low = np.array([-np.inf]), np.array([0.0])
    assert average_precision(unknown, low) == 0.5
    assert average_precision(low, unknown) == 1.0


def test_leaving_out_claims_leaves_the_figures_of_the_others() -> None:
    risks, fired = np.array([[1.0], [2.0]], np.float32), np.array([[True], [False]])
    scores = Scores("claim", np.array(["C1", "C2"]), ("a",), risks, ("a",), fired)
    left = scores.without({"C1"})
    assert (left.ids.tolist(), left.risk("a").tolist(), left.hits("a").tolist()) == (["C2"], [2.0], [False])


def test_page_and_json_name_every_type_and_scheme(demo_found: Detection) -> None:
    told = as_json(demo_found)
    assert set(told["types"]) == {f.violation for f in demo_found.found}
    assert {f["scheme"] for f in told["schemes"]} == {f.scheme for f in demo_found.found}
    settings = {"preset": "demo", "seed": 40, "clean_seed": 41, "mistakes": 0}
    text = page(
        replace(demo_found, signals=(_row("claim.a"), _row("claim.b", clean=2e-4)), settings=settings), "A note."
    )
    assert all(f"| {f.scheme.replace('_', ' ') or 'all'} |" in text for f in demo_found.found)
    assert "1 of 2; the worst is `claim.b` with 2.00 in 10,000" in text
    assert "A note." in text


def test_a_signal_that_ranks_its_own_type_by_lot_is_listed_unless_it_is_law() -> None:
    rows = (_row("claim.law"), _row("claim.idle", law=False), _row("claim.good", law=False, times_base=9.0))
    assert [s.signal for s in Detection((), rows, {}, {}).idle] == ["claim.idle"]


def _row(signal: str, **figures: Any) -> SignalRow:
    """A rule of law that ranks by lot and never fires, but for the given figures."""
    usual = SignalRow(
        signal=signal, entity="claim", violation="T07", kind="violation", rule=True, law=True, rows=100, clean=0.0,
        innocent=0.0, guilty=0.0, precision=None, average_precision=0.01, times_base=1.0, scheme="x", named=False,
    )  # fmt: skip
    return replace(usual, **figures)
