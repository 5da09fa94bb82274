"""Peers: who is compared with whom, and how rates of few cases are shrunk."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.claims.folder import ClaimsFolder, connect
from fraud.scoring.snapshots import known_entities, pairs_on
from fraud.signals.catalogue import Catalogue
from fraud.signals.examples import world
from fraud.signals.frames import FrameBuilder, Reference
from fraud.signals.norms import focus_of, learn_norms
from fraud.signals.peers import FEWEST_ALIKE, MIN_PEERS, PEER_COLUMNS, Peers, Rates, beta_prior, learn_peers

NAMES = ("provider.rate", "provider.size")
TERTIARY, CLINIC = ("hospital", "tertiary", "R"), ("clinic", "other", "R")


def _peers(rates: np.ndarray, totals: np.ndarray, attributes: list[tuple[str, str, str]] | None = None) -> Peers:
    values = np.column_stack([rates, totals])
    counts = np.column_stack([totals, np.full(len(totals), np.nan)])
    return learn_peers("provider", NAMES, values, attributes or [CLINIC] * len(rates), counts)


def _drawn(n: int = 400, alpha: float = 2.0, beta: float = 8.0, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    totals = rng.integers(5, 300, n).astype(float)
    return rng.binomial(totals.astype(int), rng.beta(alpha, beta, n)) / totals, totals


def test_the_moments_of_a_beta_binomial_are_found_again() -> None:
    alpha, beta = beta_prior(*_drawn(n=4_000))
    assert alpha == pytest.approx(2.0, rel=0.1)
    assert beta == pytest.approx(8.0, rel=0.1)


def test_peers_that_differ_by_chance_alone_are_shrunk_onto_their_mean() -> None:
    rng = np.random.default_rng(5)
    totals = np.full(500, 40.0)
    alpha, beta = beta_prior(rng.binomial(40, 0.2, 500) / totals, totals)
    assert alpha + beta > 400
    assert alpha / (alpha + beta) == pytest.approx(0.2, abs=0.01)


@given(st.floats(0, 1), st.integers(1, 10_000), st.floats(0.1, 50), st.floats(0.1, 50))
def test_a_shrunk_rate_lies_between_the_rate_and_what_is_usual_and_nearer_to_it_with_more_cases(
    rate: float, total: int, alpha: float, beta: float
) -> None:
    rates = Rates(*(np.array([v]) for v in (alpha, beta, 0.0, 1.0)))
    usual = alpha / (alpha + beta)
    few, many = (rates.shrunk(np.array([[rate]]), np.array([[float(n)]]))[0, 0] for n in (total, 10 * total))
    low, high = min(rate, usual), max(rate, usual)
    assert low - 1e-9 <= few <= high + 1e-9
    assert abs(many - rate) <= abs(few - rate) + 1e-12


def test_one_case_in_one_is_less_remarkable_than_half_of_a_thousand() -> None:
    rates, totals = _drawn()
    group = _peers(rates, totals).group_of(CLINIC)[1]
    z = group.z(np.array([[1.0, 1.0], [0.5, 1_000.0]]), np.array([[1.0, np.nan], [1_000.0, np.nan]]))
    assert 0 < z[0, 0] < 1 < z[1, 0]


def test_percentiles_are_those_of_the_rate_as_it_is_shown() -> None:
    rates, totals = _drawn()
    group = _peers(rates, totals).group_of(CLINIC)[1]
    assert group.percentile(np.array([[1.0, 0.0]]))[0, 0] == 100.0


def test_what_is_no_rate_is_compared_as_it_is() -> None:
    rates, totals = _drawn()
    group = _peers(rates, totals).group_of(CLINIC)[1]
    row, counts = np.array([[0.3, 250.0]]), np.array([[50.0, np.nan]])
    assert group.z(row, counts)[0, 1] == pytest.approx((250.0 - group.median[1]) / group.spread[1])


def test_peers_read_back_as_they_were_stored() -> None:
    rates, totals = _drawn()
    peers = _peers(rates, totals)
    again = Peers.from_arrow("provider", peers.to_arrow())
    row, counts = np.column_stack([rates, totals])[:9], np.column_stack([totals, totals * np.nan])[:9]
    assert np.array_equal(peers.standing(row, [CLINIC] * 9, counts)[0], again.standing(row, [CLINIC] * 9, counts)[0])


def test_peers_stored_before_rates_were_shrunk_are_still_read() -> None:
    stored = _peers(*_drawn()).to_arrow().drop_columns(["alpha", "beta", "rate_median", "rate_spread"])
    group = Peers.from_arrow("provider", stored).group_of(CLINIC)[1]
    value = np.array([[group.median[0], group.median[1]]])
    assert np.array_equal(group.z(value, np.array([[3.0, np.nan]])), np.zeros((1, 2)))


def test_a_small_group_is_widened_until_it_has_enough_peers() -> None:
    rates, totals = _drawn(n=MIN_PEERS + 5)
    attributes = [TERTIARY] * 5 + [CLINIC] * MIN_PEERS
    peers = _peers(rates, totals, attributes)
    assert peers.group_of(CLINIC)[0] == ("kind=clinic", "level=other", "region=R")
    assert peers.group_of(TERTIARY) == ((), peers.groups[()])
    assert peers.groups[()].n == MIN_PEERS + 5


def test_physicians_are_compared_within_specialty_level_of_the_house_and_region() -> None:
    values = np.arange(2.0 * MIN_PEERS)[:, None]
    attributes = [("cardiology", level, "R") for level in ("tertiary", "primary") for _ in range(MIN_PEERS)]
    peers = learn_peers("physician", ("physician.size",), values, attributes)
    key, group = peers.group_of(("cardiology", "primary", "R"))
    assert key == ("specialty=cardiology", "level=primary", "region=R")
    assert group.median[0] > MIN_PEERS
    assert peers.group_of(("cardiology", None, None))[0] == ("specialty=cardiology",)


def _houses(n: int, focus: str | None, region: str = "R") -> list[tuple[str | None, ...]]:
    return [("clinic", "primary", region, focus)] * n


def _learned(attributes: list[tuple[str | None, ...]], ids: list[str] | None = None) -> Peers:
    values = np.arange(float(len(attributes)))[:, None]
    return learn_peers("provider", ("provider.size",), values, attributes, None, ids)


def test_houses_with_one_focus_are_peers_as_soon_as_there_are_eight() -> None:
    few, alike = _houses(FEWEST_ALIKE - 1, "dermatology"), _houses(FEWEST_ALIKE, "nephrology")
    peers = _learned(_houses(MIN_PEERS, "general") + few + alike)
    key, group = peers.group_of(alike[0])
    assert (key, group.n) == (("kind=clinic", "level=primary", "focus=nephrology"), FEWEST_ALIKE)
    assert group.median[0] > MIN_PEERS
    assert peers.group_of(few[0])[0] == ("kind=clinic", "level=primary", "region=R")


def test_houses_without_a_known_focus_are_compared_within_their_region_and_not_with_each_other_for_that() -> None:
    unknown = _houses(MIN_PEERS, None, "north") + _houses(MIN_PEERS, None, "south")
    peers = _learned(unknown)
    assert not any("focus" in str(part) for key in peers.groups for part in key)
    assert peers.group_of(unknown[0])[0] == ("kind=clinic", "level=primary", "region=north")


def test_models_from_before_there_was_a_focus_compare_within_the_region() -> None:
    peers = _learned([own[:3] for own in _houses(MIN_PEERS, None)])
    assert peers.group_of(("clinic", "primary", "R", "surgery"))[0] == ("kind=clinic", "level=primary", "region=R")


def test_a_house_of_many_months_is_one_peer() -> None:
    months = 18
    two = [("hospital", "tertiary", "R", None)] * (2 * months)
    others = _houses(MIN_PEERS, None)
    ids = [f"H{i // months}" for i in range(2 * months)] + [f"C{i}" for i in range(MIN_PEERS)]
    assert _learned(two + others).group_of(two[0])[0] == ("kind=hospital", "level=tertiary", "region=R")
    counted = _learned(two + others, ids)
    assert counted.group_of(two[0]) == ((), counted.groups[()])
    assert counted.groups[()].n == 2 + MIN_PEERS


def test_the_focus_of_a_house_is_the_department_with_more_than_half_of_its_claims() -> None:
    visits = {"P1": "AAAAAAABBBBB", "P|2": "AAAAAABBBBBB", "P3": "AAAAA", "P4": "C|" * 6}
    departments = {"A": "surgery", "B": "general", "C": "ear|nose", "|": None}
    rows = [
        {"claim_id": f"{house}-{i}", "provider_id": house, "department": departments[letter]}
        for house, letters in visits.items()
        for i, letter in enumerate(letters * (2 if house == "P4" else 1))
    ]
    connection = world({"claims": rows})
    norms = learn_norms(connection)
    connection.close()
    assert focus_of(norms) == {"P1": "surgery", "P|2": "mixed", "P4": "ear/nose"}
    share = {r["code"]: r["share"] for r in norms.to_pylist() if r["domain"] == "focus"}
    assert share == {"P1|surgery": pytest.approx(7 / 12), "P|2|mixed": None, "P4|ear/nose": 1.0}


def test_a_frame_brings_the_frozen_focus_of_its_houses(city: ClaimsFolder, catalogue: Catalogue) -> None:
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue)
    norms = builder.learn_norms()
    frame = builder.entities([], "provider", pairs_on(known_entities(connection, "provider"), datetime(2025, 3, 1)))
    connection.close()
    place = PEER_COLUMNS["provider"].index("focus")
    found = {i: own[place] for i, own in zip(frame.ids, frame.attributes, strict=True) if own[place]}
    assert found == Reference(norms).focus
    assert "mixed" in found.values()
    assert len(set(found.values())) > 2
