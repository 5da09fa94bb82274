"""Phantom visits and cash swipes: what their actors do shows in the tables, within their time, and only there."""

from __future__ import annotations

import duckdb
import numpy as np
import pytest

from fraud.claims.simulation import simulate
from fraud.claims.simulation.seasons import is_holiday
from tests.claims.played import beyond, changed, disordered, preset_with, town_of, unpaid

RATES = {
    "phantom_visits": {"actors": 8, "intensity": 0.5},
    "cash_swipes": {"actors": 8, "intensity": 0.5},
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory, rates=RATES) as made:
        yield made


@pytest.fixture(scope="module")
def clinics(town):
    return town("phantom_visits")


@pytest.fixture(scope="module")
def pharmacies(town):
    return town("cash_swipes")


@pytest.mark.parametrize("city", ["clinics", "pharmacies"])
def test_only_claims_that_the_truth_names_are_new_and_all_of_them_is_at_stake(city, request):
    city = request.getfixturevalue(city)
    assert city.one("SELECT count(*) FROM true_claims") > 40
    assert changed(city) == 0
    assert disordered(city) == 0
    assert unpaid(city) == 0
    assert beyond(city, "provider", "provider_id") == 0


@pytest.mark.parametrize("city", ["clinics", "pharmacies"])
def test_no_copy_shares_a_number_with_its_original(city, request):
    city = request.getfixturevalue(city)
    assert city.one("""
        SELECT count(*) FROM claims a JOIN claims b USING (invoice_no) WHERE a.claim_id <> b.claim_id
        AND a.claim_id IN (SELECT claim_id FROM true_claims)""") == 0  # fmt: skip
    assert city.one("""
        SELECT count(*) FROM lines a JOIN lines b USING (trace_code) WHERE a.claim_id <> b.claim_id
        AND a.claim_id IN (SELECT claim_id FROM true_claims)""") == 0  # fmt: skip


BURSTS = """
    SELECT p.provider_id, coalesce(max(n), 0) FROM providers p LEFT JOIN (SELECT a.provider_id,
     count(DISTINCT b.patient_id) AS n FROM claims a JOIN claims b ON a.terminal_id = b.terminal_id
     AND b.settled_at BETWEEN a.settled_at AND a.settled_at + INTERVAL {seconds} SECOND
     GROUP BY a.claim_id, a.provider_id) USING (provider_id) WHERE kind = '{kind}' GROUP BY 1"""


def test_bursts_at_a_terminal_rank_the_guilty_above_the_honest(clinics, pharmacies):
    assert clinics.ranks(BURSTS.format(seconds=300, kind="clinic")) > 0.85
    assert pharmacies.ranks(BURSTS.format(seconds=300, kind="pharmacy")) > 0.9


def test_one_physician_sees_several_people_within_a_minute_who_were_never_registered(clinics):
    minute = clinics.one("""
        SELECT avg((n >= 3)::INT) FROM (SELECT a.claim_id, count(DISTINCT b.patient_id) AS n FROM claims a
        JOIN claims b ON a.physician_id = b.physician_id AND abs(date_diff('second', a.settled_at, b.settled_at)) <= 60
        WHERE a.claim_id IN (SELECT claim_id FROM true_claims) GROUP BY 1)""")  # fmt: skip
    assert minute > 0.35
    registered = dict(clinics.all("""
        SELECT claim_id IN (SELECT claim_id FROM true_claims), avg(registered::INT) FROM claims
        WHERE visit_type = 'outpatient' GROUP BY 1"""))  # fmt: skip
    assert registered[True] < 0.6 < 0.95 < registered[False]


def test_phantoms_are_swiped_at_night_and_on_days_off_but_not_only_then(clinics):
    rows = clinics.all("""
        SELECT claim_id IN (SELECT claim_id FROM true_claims), epoch(settled_at)::BIGINT // 86400,
        hour(settled_at) NOT BETWEEN 7 AND 20 OR isodow(settled_at) = 7
        FROM claims WHERE visit_type = 'outpatient'""")  # fmt: skip
    false, shut = np.array([r[0] for r in rows]), np.array([r[2] for r in rows])
    shut |= is_holiday(np.array([r[1] for r in rows]))
    assert shut[~false].mean() < 0.15
    assert 1.4 * shut[~false].mean() < shut[false].mean() < 0.7


def test_the_same_cards_are_swiped_again_and_again(clinics, pharmacies):
    again = "SELECT count(*) / count(DISTINCT (provider_id, patient_id)) FROM true_claims JOIN claims USING (claim_id)"
    assert clinics.one(again) > 1.05
    assert pharmacies.one(again) > 1.15


def test_the_holders_of_cashed_cards_take_part_and_the_owners_of_kept_cards_do_not(clinics, pharmacies):
    assert clinics.one("SELECT count(*) FROM true_actors WHERE entity = 'patient'") == 0
    holders = pharmacies.all("SELECT entity_id FROM true_actors WHERE entity = 'patient' ORDER BY 1")
    swiped = "SELECT DISTINCT patient_id FROM true_claims JOIN claims USING (claim_id) ORDER BY 1"
    assert holders == pharmacies.all(swiped)


def test_accounts_are_drained_at_the_end_of_the_month_by_round_sums(pharmacies):
    ending = dict(pharmacies.all("""
        SELECT claim_id IN (SELECT claim_id FROM true_claims),
        avg((date_diff('day', settled_at, last_day(settled_at)) < 3)::INT)
        FROM claims WHERE visit_type = 'pharmacy' GROUP BY 1"""))  # fmt: skip
    assert ending[True] > 2 * ending[False]
    tens = "avg((round(total_amount * 100)::BIGINT % 1000 = 0)::INT)"
    share = dict(pharmacies.all(f"""
        SELECT claim_id IN (SELECT claim_id FROM true_claims), {tens} FROM claims
        WHERE visit_type = 'pharmacy' GROUP BY 1"""))  # fmt: skip
    assert share[True] > 0.25 > 0.15 > share[False]
    by_house = f"SELECT provider_id, {tens} FROM claims WHERE visit_type = 'pharmacy' GROUP BY 1 HAVING count(*) > 30"
    assert pharmacies.ranks(by_house) > 0.6


def test_a_round_sum_lowers_one_price_and_raises_none(pharmacies):
    # Houses raise their prices now and then: what is asked lies between the lowest and the highest honest price.
    usual = """SELECT provider_id, item_code, min(unit_price) AS low, max(unit_price) AS high FROM lines
        JOIN claims USING (claim_id) WHERE claim_id NOT IN (SELECT claim_id FROM true_claims) GROUP BY 1, 2"""
    bent = pharmacies.all(f"""
        SELECT t.claim_id, sum((unit_price < low)::INT), sum((unit_price > high)::INT) FROM true_claims t
        JOIN claims USING (claim_id) JOIN lines USING (claim_id) JOIN ({usual}) USING (provider_id, item_code)
        GROUP BY 1""")  # fmt: skip
    assert sum(lowered for _, lowered, _ in bent) > 10
    # Nobody else may have paid a price since it rose, or before: that happens, and seldom.
    assert sum(lowered > 1 for _, lowered, _ in bent) <= 0.05 * len(bent)
    assert sum(raised for _, _, raised in bent) <= 0.08 * len(bent)


def test_who_stops_at_an_inspection_swipes_no_more(clinics, pharmacies):
    """The span of an actor who stops ends with the inspection, months before the period does."""
    decided = []
    for city in (clinics, pharmacies):
        assert (
            city.one("""
            SELECT count(*) FROM true_claims JOIN claims c USING (claim_id) JOIN true_actors a
            ON a.entity = 'provider' AND a.entity_id = c.provider_id WHERE settled_at::DATE > a."to" """)
            == 0
        )
        decided += city.all("""
            SELECT a."to" FROM true_actors a JOIN outcomes o USING (entity, entity_id) WHERE entity = 'provider'
            AND o.decided_at::DATE BETWEEN a."to" AND a."to" + 80""")  # fmt: skip
    assert decided


def test_two_seeds_share_no_actor_and_no_span(tmp_path):
    spans = []
    for seed in (1, 2):
        preset = preset_with(tmp_path / "rates.toml", {"phantom_visits": {"actors": 6}})
        result = simulate(tmp_path / str(seed), preset=preset, seed=seed, claims=3_000)
        rows = duckdb.sql(f"""SELECT entity_id, "from", "to" FROM '{result.truth}/actors.parquet'""").fetchall()
        spans.append(rows)
    assert not {who for who, *_ in spans[0]} & {who for who, *_ in spans[1]}
    assert not {tuple(span) for _, *span in spans[0]} & {tuple(span) for _, *span in spans[1]}


def test_the_careful_show_less_than_the_blatant(clinics):
    """Actors differ: the shares of unregistered visits of their false claims are spread."""
    shares = [s for (s,) in clinics.all("""
        SELECT 1 - avg(registered::INT) FROM true_claims JOIN claims USING (claim_id)
        GROUP BY provider_id HAVING count(*) >= 4""")]  # fmt: skip
    assert np.ptp(shares) > 0.25
