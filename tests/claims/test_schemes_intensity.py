"""Schemes of too much: examinations without cause, treatment beyond the case, sessions and units beyond the day."""

from __future__ import annotations

import pytest

from tests.claims.played import FALSE, assert_bound, town_of, unpaid

SCHEMES_HERE = ("over_examination", "over_treatment", "excess_units", "excess_sessions")


# Few houses of a small town have a machine: not all of them may be guilty.
RATES = {"over_examination": {"actors": 3, "intensity": 0.15}}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory, rates=RATES) as made:
        yield made


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_deeds_lie_in_the_time_of_their_actors_and_leave_other_claims_alone(town, scheme):
    assert_bound(town(scheme))


@pytest.mark.parametrize("scheme", [s for s in SCHEMES_HERE if s != "excess_sessions"])
def test_what_the_claim_costs_more_than_an_honest_one_is_at_stake(town, scheme):
    amounts = town(scheme).all("""
        SELECT c.total_amount - h.total_amount, t.amount FROM true_claims t JOIN claims c USING (claim_id)
        JOIN honest_claims h USING (patient_id, provider_id, admitted_at, settled_at)""")  # fmt: skip
    assert len(amounts) >= 10
    assert all(more == pytest.approx(amount, abs=0.01) and amount > 0 for more, amount in amounts)


@pytest.mark.parametrize("scheme", ["over_examination", "over_treatment"])
def test_no_added_line_breaks_another_rule(town, scheme):
    """Neither twice on a day, nor beside its package, nor for a level or kind of visit that may not have it."""
    city = town(scheme)
    mine = "lines SEMI JOIN (FROM true_claims) USING (claim_id)"
    assert city.one(f"""
        SELECT count(*) FROM (SELECT claim_id FROM {mine} GROUP BY claim_id, item_code, service_at::DATE
        HAVING count(*) > 1)""") == 0  # fmt: skip
    assert city.one(f"""
        SELECT count(*) FROM (FROM {mine}) a JOIN exclusions e USING (item_code) JOIN lines b
        ON b.claim_id = a.claim_id AND b.item_code = e.included_item_code
        AND b.service_at::DATE = a.service_at::DATE""") == 0  # fmt: skip
    limits = """
        SELECT count(*) FROM lines JOIN true_lines USING (claim_id, line_no) JOIN catalogue USING (item_code)
        JOIN claims USING (claim_id) JOIN patients p USING (patient_id) JOIN providers USING (provider_id)"""
    assert city.one(f"{limits} WHERE sex_limit <> p.sex OR visit_type_limit <> visit_type") == 0
    order = "list_position(['primary', 'secondary', 'tertiary'], {})"
    assert city.one(f"{limits} WHERE {order.format('level_limit')} > {order.format('level')}") == 0


# --- T15 over-examination --------------------------------------------------------------------------------

LARGE = """
    FROM lines JOIN claims USING (claim_id) JOIN catalogue USING (item_code)
    WHERE large_equipment AND report_positive IS NOT NULL"""


def test_examinations_without_cause_show_little_and_repeat_what_others_did(town):
    city = town("over_examination")
    positive = dict(city.all(f"""
        SELECT claim_id IN {FALSE} AND (claim_id, line_no) IN (SELECT (claim_id, line_no) FROM true_lines),
        avg(report_positive::INT) {LARGE} GROUP BY 1"""))  # fmt: skip
    assert positive[True] < 0.3
    assert positive[False] > 0.4
    repeats = f"""
        SELECT count(*) FROM (SELECT claim_id, patient_id, provider_id, item_code, service_at {LARGE}) a
        JOIN (SELECT patient_id, provider_id, item_code, service_at {LARGE}) b USING (patient_id, item_code)
        WHERE a.provider_id <> b.provider_id AND a.service_at > b.service_at
        AND a.service_at < b.service_at + INTERVAL 15 DAY AND a.claim_id"""
    assert city.one(f"{repeats} IN {FALSE}") > 0


def test_negative_reports_rank_hospitals_that_examine_without_cause(town):
    negative = f"SELECT provider_id, avg(1 - report_positive::INT) {LARGE} GROUP BY 1 HAVING count(*) >= 15"
    assert town("over_examination").ranks(negative) > 0.75


# --- T16 over-treatment ----------------------------------------------------------------------------------


def test_the_same_few_drugs_are_given_for_every_disease(town):
    city = town("over_treatment")
    items, claims, diseases = city.all("""
        SELECT max(items), sum(n), max(diseases) FROM (SELECT provider_id, count(DISTINCT item_code) AS items,
        count(DISTINCT claim_id) AS n, count(DISTINCT primary_diagnosis) AS diseases
        FROM lines JOIN claims USING (claim_id)
        JOIN true_lines USING (claim_id, line_no) GROUP BY 1)""")[0]  # fmt: skip
    assert items <= 5
    assert claims > 20
    assert diseases > 5


def test_drugs_above_what_the_disease_asks_for_rank_houses_that_treat_too_much(town):
    city = town("over_treatment")
    above = """
        WITH spent AS (SELECT provider_id, claim_id, primary_diagnosis, visit_type, level,
            coalesce(sum(amount) FILTER (category IN ('drug', 'consumable')), 0) / sum(amount) AS share
            FROM lines JOIN claims USING (claim_id) JOIN catalogue USING (item_code) JOIN providers USING (provider_id)
            WHERE visit_type IN ('inpatient', 'outpatient', 'emergency') AND kind = 'hospital' GROUP BY ALL),
        usual AS (SELECT primary_diagnosis, visit_type, avg(share) AS expected FROM spent GROUP BY ALL)
        SELECT provider_id, avg(share - expected) FROM spent JOIN usual USING (primary_diagnosis, visit_type)
        WHERE level IN ('primary', 'secondary') GROUP BY 1"""
    assert city.ranks(above) > 0.6


# --- T10 units -------------------------------------------------------------------------------------------

UNITS = """
    SELECT provider_id, claim_id, sum(quantity) > any_value(max_per_day) AS beyond
    FROM lines JOIN claims USING (claim_id) JOIN catalogue USING (item_code) WHERE max_per_day IS NOT NULL
    GROUP BY provider_id, claim_id, item_code, service_at::DATE"""


def test_units_lie_beyond_the_day_in_claims_of_the_actors_only(town):
    city = town("excess_units")
    beyond = {c for (c,) in city.all(f"SELECT claim_id FROM ({UNITS}) WHERE beyond")}
    assert beyond == {c for (c,) in city.all(FALSE[1:-1])}


def test_units_beyond_the_day_rank_houses_that_book_them(town):
    share = f"SELECT provider_id, avg(beyond::INT) FROM ({UNITS}) GROUP BY 1"
    assert town("excess_units").ranks(share) > 0.9


# --- T33 dialysis ----------------------------------------------------------------------------------------

SESSIONS = """
    SELECT claim_id, patient_id, provider_id, admitted_at, total_amount, (SELECT count(*) FROM claims o
        JOIN lines USING (claim_id) JOIN catalogue k USING (item_code) WHERE k.dialysis AND o.patient_id = c.patient_id
        AND o.admitted_at::DATE BETWEEN c.admitted_at::DATE - 6 AND c.admitted_at::DATE) AS in_week
    FROM claims c WHERE EXISTS (FROM lines l JOIN catalogue USING (item_code)
        WHERE dialysis AND l.claim_id = c.claim_id)"""


def test_sessions_are_more_than_a_week_needs_dear_and_paid_whole(town):
    city = town("excess_sessions")
    assert unpaid(city) == 0
    weekly = dict(city.all(f"SELECT claim_id IN {FALSE}, median(in_week) FROM ({SESSIONS}) GROUP BY 1"))
    assert weekly[True] > 4
    assert weekly[False] <= 4  # also those of the people whose cards are borrowed
    assert city.one(f"SELECT avg((total_amount > 430)::INT) FROM ({SESSIONS}) WHERE claim_id IN {FALSE}") > 0.5


def test_sessions_of_people_who_have_theirs_elsewhere_rank_hospitals(town):
    elsewhere = f"""
        SELECT provider_id, avg((in_week > 3)::INT) FROM ({SESSIONS}) GROUP BY 1"""
    assert town("excess_sessions").ranks(elsewhere) > 0.9
