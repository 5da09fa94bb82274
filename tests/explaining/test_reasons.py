"""Reasons are signals, weighed as a whole, in order, beside their peers."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fraud.explaining.reasons import reasons_of
from fraud.signals.catalogue import Catalogue
from fraud.signals.limits import InForce, Limits, Occasion
from tests.explaining.worlds import (
    ATTRIBUTES,
    CATALOGUE,
    CONTRIBUTIONS,
    NAMES,
    SHARE,
    VALUES,
    provider_peers,
    provider_reasons,
)

PEERS = {"provider": provider_peers()}
OWN = {"provider": ATTRIBUTES}


def test_contributions_of_a_signal_and_of_its_peer_columns_are_added_up() -> None:
    weights = {r.signal: r.contribution for r in provider_reasons()}
    assert weights == pytest.approx({"provider.stay": 1.75, "provider.beds": 0.5, "provider.share": -0.3})


def test_the_weightiest_reason_comes_first_and_what_lowers_the_score_is_no_top_reason() -> None:
    assert [r.signal for r in provider_reasons(4)] == ["provider.stay", "provider.beds"]
    assert [r.signal for r in provider_reasons(1)] == ["provider.stay"]
    assert [r.signal for r in provider_reasons()] == ["provider.stay", "provider.beds", "provider.share"]


def test_equal_weights_come_in_the_order_of_their_ids() -> None:
    found = reasons_of(CATALOGUE, NAMES, VALUES, np.ones(7) / [1, 3, 3, 3, 3, 3, 3], PEERS, OWN, None)
    assert [r.signal for r in found] == ["provider.beds", "provider.share", "provider.stay"]


@given(arrays(np.float64, 7, elements=st.floats(-5, 5)))
def test_all_reasons_together_keep_the_sum_of_the_contributions(contributions: np.ndarray) -> None:
    found = reasons_of(CATALOGUE, NAMES, VALUES, contributions, PEERS, OWN, None)
    assert sum(r.contribution for r in found) == pytest.approx(contributions.sum(), abs=1e-12)
    top = reasons_of(CATALOGUE, NAMES, VALUES, contributions, PEERS, OWN)
    assert top == tuple(r for r in found[:4] if r.contribution > 0)


def test_a_reason_says_its_value_beside_its_peers_in_both_languages() -> None:
    stay = provider_reasons()[0]
    assert (stay.value, stay.unit, stay.peer_count) == (2.4, "times", 200)
    assert stay.peer_median == pytest.approx(1.0)
    assert stay.peer_group == "kind=hospital, level=tertiary, region=3301"
    assert stay.sentences == {
        "en": "Stays last 2.4 times what the same diagnoses need (peers: 1.0).",
        "zh": "住院天数为同病种预期的2.4倍(同类1.0倍)。",
    }
    assert stay.citations == ("decree-735.38.2", "decree-735.38.3")


def test_the_percentile_is_the_one_that_the_model_has_read_and_is_worked_out_where_it_read_none() -> None:
    by_id = {r.signal: r for r in provider_reasons()}
    assert by_id["provider.stay"].peer_percentile == 99.5
    assert by_id["provider.beds"].peer_percentile == 100.0


def test_the_limit_in_a_sentence_is_the_one_of_the_day() -> None:
    beds = provider_reasons()[1]
    assert beds.sentences["en"] == "12 stays more than beds; the limit is 5."
    before = {"provider": Occasion(date(2019, 1, 1))}
    beds = reasons_of(CATALOGUE, NAMES, VALUES, CONTRIBUTIONS, PEERS, OWN, None, before)[1]
    assert beds.sentences["en"] == "12 stays more than beds; the limit is –."


@pytest.mark.requirement("001-78")
@pytest.mark.parametrize(
    ("day", "region", "limit"),
    [
        (date(2025, 7, 1), "330106", "8"),  # its region's own value
        (date(2025, 7, 1), "4401", "9"),  # the newest of the country elsewhere
        (date(2023, 7, 1), "330106", "5"),  # before the region had one, and before the newest
    ],
)
def test_the_limit_in_a_sentence_is_the_one_in_force_on_the_day_in_the_region(
    day: date, region: str, limit: str
) -> None:
    held = CATALOGUE.limits["stays_beyond_beds"]
    local = InForce(date(2025, 1, 1), 8.0, regions=("3301",))
    values = (local, InForce(date(2024, 1, 1), 9.0), *held.values)
    limits = Limits({**CATALOGUE.limits, held.name: replace(held, values=values, place="care")})
    catalogue = replace(CATALOGUE, limits=limits)
    occasion = {"provider": Occasion(day, {"care": region})}
    beds = reasons_of(catalogue, NAMES, VALUES, CONTRIBUTIONS, PEERS, OWN, None, occasion)[1]
    assert beds.sentences["en"] == f"12 stays more than beds; the limit is {limit}."
    assert beds.sentences["zh"].endswith(f"限{limit}人。")


def test_a_value_that_is_not_known_stays_unknown() -> None:
    values = np.full(7, np.nan)
    for reason in reasons_of(CATALOGUE, NAMES, values, CONTRIBUTIONS, PEERS, OWN, None):
        assert reason.value is None
        assert reason.peer_percentile is None
        assert reason.peer_median is not None


def test_without_peers_a_reason_still_stands() -> None:
    stay = reasons_of(CATALOGUE, NAMES, VALUES, CONTRIBUTIONS, {}, {})[0]
    assert (stay.peer_median, stay.peer_group, stay.peer_count) == (None, "", 0)
    assert stay.sentences["en"] == "Stays last 2.4 times what the same diagnoses need (peers: –)."


def test_an_entity_with_unknown_attributes_is_compared_with_everybody() -> None:
    stay = reasons_of(CATALOGUE, NAMES, VALUES, CONTRIBUTIONS, PEERS, {})[0]
    assert (stay.peer_group, stay.peer_count) == ("", 200)


def test_a_model_that_reads_only_the_peer_columns_of_a_signal_gets_reasons_too() -> None:
    names = ("provider.stay.peer_percentile",)
    (found,) = reasons_of(CATALOGUE, names, np.array([97.0]), np.array([0.4]), PEERS, OWN)
    assert (found.signal, found.value, found.peer_percentile) == ("provider.stay", None, 97.0)


def test_reasons_of_eighty_features_cost_less_than_a_third_of_a_millisecond() -> None:
    # Room for a busy machine: the bar of 0.3 ms is for the best of many runs.
    signals = {f"provider.s{i:02}": _named(f"s{i:02}") for i in range(40)}
    catalogue = Catalogue(CATALOGUE.path, signals, Limits(), {})
    names = tuple(n for i in signals for n in (i, f"{i}.peer_percentile"))
    values, weights = np.ones(80), np.linspace(-1, 1, 80)
    reasons_of(catalogue, names, values, weights, PEERS, OWN)
    assert min(_seconds(catalogue, names, values, weights) for _ in range(200)) < 0.3e-3


def _named(name: str):
    def function(window):
        return window.count()

    function.__name__ = name
    return type(SHARE)(function, "provider", name, SHARE.title, SHARE.says, "share", "high")


def _seconds(catalogue: Catalogue, names: tuple[str, ...], values: np.ndarray, weights: np.ndarray) -> float:
    start = time.perf_counter()
    reasons_of(catalogue, names, values, weights, PEERS, OWN)
    return time.perf_counter() - start
