"""Schemes of hospitals with stays: what they do shows in the tables, in their time, at the right price."""

from __future__ import annotations

from typing import Any

import pytest

from fraud.claims.simulation import SCHEMES
from tests.claims.played import FALSE, assert_bound, false_shares, in_two_beds, inspected_and_not, town_of, unpaid

# A small town has but a few houses with a full ward: not all of them may be guilty, and those who are need time.
RATES: dict[str, dict[str, Any]] = {
    "empty_beds": {"small_house": 70},
    "upcoding": {"actors": 4, "months": [17, 19]},
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory, rates=RATES) as made:
        yield made


NIGHTS = "date_diff('day', admitted_at::DATE, discharged_at::DATE)"
SCHEMES_HERE = (
    "split_admissions", "empty_beds", "phantom_stays", "unneeded_admissions", "upcoding", "cost_shifting",
)  # fmt: skip


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_deeds_lie_in_the_time_of_their_actors_and_leave_other_claims_alone(town, scheme):
    # The second part of a split stay, and a visit within a stay, begin when the first part is over, or nearly.
    assert_bound(town(scheme), days=40 if scheme in ("split_admissions", "cost_shifting") else 4)


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_most_of_what_a_hospital_bills_stays_honest(town, scheme):
    shares = false_shares(town(scheme))
    assert shares
    assert max(shares) < 0.35


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_nobody_lies_in_two_hospitals(town, scheme):
    assert in_two_beds(town(scheme)) == 0


def test_actors_who_are_all_inspected_do_less_than_those_who_never_are(tmp_path):
    ours = [s for s in SCHEMES if s.play.__module__.rpartition(".")[2] in ("stays", "staff", "intensity")]
    actors = {s.name: {"actors": 6} for s in ours}
    counts = inspected_and_not(tmp_path, actors, 10_000, kinds=("providers", "physicians"))
    never, always = (sum(count.get(s.name, 0) for s in ours) for count in counts)
    assert always < 0.9 * never


# --- T01 split stays -------------------------------------------------------------------------------------

PARTS = """
    SELECT a.claim_id AS first, b.claim_id AS second,
    date_diff('day', a.admitted_at::DATE, a.discharged_at::DATE) AS nights,
    date_diff('day', a.discharged_at::DATE, b.admitted_at::DATE) AS gap
    FROM claims a JOIN claims b USING (patient_id, provider_id, primary_diagnosis)
    WHERE a.visit_type = 'inpatient' AND b.visit_type = 'inpatient' AND b.admitted_at > a.discharged_at"""


def test_a_split_stay_ends_at_the_cap_and_goes_on_soon_after(town):
    city = town("split_admissions")
    pairs = city.all(f"""
        SELECT nights, gap FROM ({PARTS}) WHERE gap <= 15
        AND first IN (SELECT claim_id FROM true_claims WHERE amount = 0)
        AND second IN (SELECT claim_id FROM true_claims WHERE amount > 0)""")  # fmt: skip
    # At the end of the period the payer may know of the first part only.
    assert len(pairs) >= 0.4 * city.one("SELECT count(*) FROM true_claims")
    assert {nights for nights, _ in pairs} <= {13, 14, 15}
    assert sum(nights == 15 for nights, _ in pairs) > len(pairs) / 2
    assert min(gap for _, gap in pairs) >= 1


def test_of_a_split_stay_the_second_part_is_at_stake(town):
    amounts = town("split_admissions").all(f"""
        SELECT t.amount, total_amount, count(first) FROM true_claims t JOIN claims USING (claim_id)
        LEFT JOIN (FROM ({PARTS}) WHERE gap <= 15 AND first IN {FALSE}) ON second = t.claim_id
        GROUP BY t.claim_id, t.amount, total_amount""")  # fmt: skip
    assert {amount > 0 for amount, *_ in amounts} == {True, False}
    assert all(amount == pytest.approx(total) and before > 0 for amount, total, before in amounts if amount > 0)


def test_unplanned_returns_rank_hospitals_that_split_stays(town):
    returns = f"""
        SELECT provider_id, count(second) / count(DISTINCT c.claim_id) FROM claims c LEFT JOIN ({PARTS}) ON
        first = c.claim_id AND gap <= 15 AND second IN (SELECT claim_id FROM claims WHERE NOT planned)
        WHERE visit_type = 'inpatient' GROUP BY 1 HAVING count(DISTINCT c.claim_id) >= 8"""
    assert town("split_admissions").ranks(returns) > 0.8


# --- T02 empty beds --------------------------------------------------------------------------------------

ELSEWHERE = """
    SELECT s.claim_id, s.provider_id, count(v.claim_id) > 0 AS seen FROM claims s LEFT JOIN claims v
    ON v.patient_id = s.patient_id AND v.visit_type <> 'inpatient' AND v.provider_id <> s.provider_id
    AND v.admitted_at > s.admitted_at AND v.admitted_at < s.discharged_at
    WHERE s.visit_type = 'inpatient' GROUP BY ALL"""


def test_people_in_empty_beds_are_seen_elsewhere_and_little_is_ordered_for_them(town):
    city = town("empty_beds")
    seen = dict(city.all(f"SELECT claim_id IN {FALSE}, avg(seen::INT) FROM ({ELSEWHERE}) GROUP BY 1"))
    assert seen[True] > 0.4
    assert seen[False] < 0.04
    orders = dict(city.all(f"""
        SELECT claim_id IN {FALSE}, count(ordered_at) / count(*) FROM lines JOIN claims USING (claim_id)
        WHERE visit_type = 'inpatient' GROUP BY 1"""))  # fmt: skip
    assert orders[True] < 0.65 * orders[False]
    assert unpaid(city) == 0


def test_visits_elsewhere_rank_hospitals_with_empty_beds(town):
    elsewhere = f"SELECT provider_id, avg(seen::INT) FROM ({ELSEWHERE}) GROUP BY 1 HAVING count(*) >= 5"
    assert town("empty_beds").ranks(elsewhere) > 0.85


def test_the_boldest_small_house_is_filled_beyond_its_licence(town):
    city = town("empty_beds")
    crowded = city.all("""
        SELECT DISTINCT provider_id FROM (SELECT provider_id, licensed_beds,
         unnest(generate_series(admitted_at::DATE, discharged_at::DATE, INTERVAL 1 DAY)) AS night
         FROM claims JOIN providers USING (provider_id) WHERE visit_type = 'inpatient')
        GROUP BY provider_id, night HAVING count(*) > any_value(licensed_beds)""")  # fmt: skip
    assert len(crowded) == 1  # only one of them dares to
    assert crowded[0] in city.all("SELECT entity_id FROM true_actors")


# --- T03 phantom stays -----------------------------------------------------------------------------------

TOGETHER = """
    SELECT a.provider_id, a.patient_id AS one, b.patient_id AS other, count(*) AS times
    FROM claims a JOIN claims b USING (provider_id) WHERE a.patient_id < b.patient_id
    AND a.visit_type = 'inpatient' AND b.visit_type = 'inpatient'
    AND abs(date_diff('day', a.admitted_at::DATE, b.admitted_at::DATE)) <= 2 GROUP BY ALL"""


def test_a_group_is_admitted_together_again_and_again(town):
    city = town("phantom_stays")
    pairs = city.one(f"SELECT count(*) FROM ({TOGETHER}) WHERE times >= 2")
    honest = city.one(f"SELECT count(*) FROM ({TOGETHER.replace('claims', 'honest_claims')}) WHERE times >= 2")
    assert pairs > 20
    assert honest < 5
    groups = city.all("SELECT count(*) FROM true_actors WHERE entity = 'patient'")
    assert groups[0][0] >= 8
    assert unpaid(city) == 0


def test_records_of_a_group_are_all_but_the_same_and_hardly_anything_was_carried_out(town):
    city = town("phantom_stays")
    alike = city.one(f"""
        WITH charges AS (SELECT claim_id, item_code, sum(amount) AS amount FROM lines
            WHERE claim_id IN {FALSE} GROUP BY ALL),
        norms AS (SELECT claim_id, sqrt(sum(amount ^ 2)) AS norm FROM charges GROUP BY 1),
        pairs AS (SELECT a.claim_id AS one, b.claim_id AS other FROM claims a JOIN claims b USING (provider_id)
            WHERE a.claim_id < b.claim_id AND a.claim_id IN {FALSE} AND b.claim_id IN {FALSE}
            AND a.primary_diagnosis = b.primary_diagnosis AND abs(date_diff('day', a.admitted_at, b.admitted_at)) <= 2)
        SELECT median(product / (n.norm * m.norm)) FROM (SELECT one, other, sum(x.amount * y.amount) AS product
            FROM pairs JOIN charges x ON x.claim_id = one JOIN charges y ON y.claim_id = other
            AND x.item_code = y.item_code GROUP BY ALL)
        JOIN norms n ON n.claim_id = one JOIN norms m ON m.claim_id = other""")  # fmt: skip
    assert alike > 0.95
    done = dict(city.all(f"""
        SELECT claim_id IN {FALSE}, count(executed_at) / count(ordered_at) FROM lines JOIN claims USING (claim_id)
        WHERE visit_type = 'inpatient' GROUP BY 1"""))  # fmt: skip
    assert done[True] < 0.75
    assert done[False] == 1


def test_no_two_records_of_a_group_share_their_seconds(town):
    courses = town("phantom_stays").all(f"""
        SELECT list(date_diff('second', admitted_at, service_at) ORDER BY service_at)
        FROM lines JOIN claims USING (claim_id) WHERE claim_id IN {FALSE} GROUP BY claim_id""")  # fmt: skip
    assert len({tuple(c) for (c,) in courses}) == len(courses)


def test_joint_admissions_rank_hospitals_that_invent_stays(town):
    joint = f"""
        SELECT provider_id, count(times) FROM (SELECT DISTINCT provider_id FROM claims WHERE visit_type = 'inpatient')
        LEFT JOIN (FROM ({TOGETHER}) WHERE times >= 2) USING (provider_id) GROUP BY 1"""
    assert town("phantom_stays").ranks(joint) > 0.75


# --- T04 unneeded admissions -----------------------------------------------------------------------------

CONTENT = f"""
    SELECT c.claim_id, c.provider_id, any_value({NIGHTS}) AS nights,
    bool_or(category = 'surgery' OR item_name LIKE '%输液%'
        OR (category = 'drug' AND item_name LIKE '%注射%' AND atc NOT LIKE 'A10%')) AS treated,
    sum(l.amount) FILTER (category IN ('examination', 'laboratory')) / sum(l.amount) AS tested
    FROM claims c JOIN lines l USING (claim_id) JOIN catalogue USING (item_code)
    WHERE visit_type = 'inpatient' GROUP BY ALL"""


def test_an_unneeded_stay_is_short_untreated_and_mostly_examinations(town):
    city = town("unneeded_admissions")
    nights, treated, tested = city.all(f"""
        SELECT max(nights), avg(treated::INT), median(tested) FROM ({CONTENT}) WHERE claim_id IN {FALSE}""")[0]
    assert nights <= 4
    assert treated == 0
    assert tested > 0.6


def test_an_unneeded_stay_takes_the_place_of_a_visit_and_only_the_difference_is_at_stake(town):
    city = town("unneeded_admissions")
    twins = city.all("""
        SELECT c.total_amount - h.total_amount, t.amount, c.visit_type, h.visit_type FROM true_claims t
        JOIN claims c USING (claim_id)
        JOIN honest_claims h USING (patient_id, provider_id, admitted_at)""")  # fmt: skip
    assert len(twins) == city.one("SELECT count(*) FROM true_claims")
    assert all(amount == pytest.approx(more, abs=0.01) for more, amount, *_ in twins)
    assert {kinds for *_, now, then in twins for kinds in [(now, then)]} <= {
        ("inpatient", "outpatient"), ("inpatient", "chronic"),
    }  # fmt: skip


def test_short_untreated_stays_rank_hospitals_that_admit_without_need(town):
    short = f"""
        SELECT provider_id, avg((nights <= 3 AND NOT treated AND coalesce(tested, 0) >= 0.6)::INT)
        FROM ({CONTENT}) GROUP BY 1 HAVING count(*) >= 5"""
    assert town("unneeded_admissions").ranks(short) > 0.85


# --- T17 upcoding ----------------------------------------------------------------------------------------


def test_the_weight_of_an_upcoded_stay_rises_and_the_rise_is_at_stake(town):
    city = town("upcoding")
    twins = city.all("""
        SELECT (c.drg_weight - h.drg_weight) * 4200, t.amount, c.total_amount - h.total_amount FROM true_claims t
        JOIN claims c USING (claim_id)
        JOIN honest_claims h USING (patient_id, provider_id, admitted_at)""")  # fmt: skip
    assert len(twins) == city.one("SELECT count(*) FROM true_claims")
    assert all(gain > 0 and amount == pytest.approx(gain, abs=1) for gain, amount, _ in twins)
    assert all(more == 0 for *_, more in twins)  # nothing was done for the complication


def test_upcoding_grows_with_time_and_a_few_codes_do_it(town):
    city = town("upcoding")
    halves = dict(city.all("""
        SELECT 2 * (c.admitted_at::DATE - a."from") > a."to" - a."from", count(*) FROM true_claims t
        JOIN claims c USING (claim_id) JOIN true_actors a ON a.entity_id = c.provider_id GROUP BY 1"""))  # fmt: skip
    assert halves[True] > 0.9 * halves.get(False, 0)
    written = city.all(f"""
        SELECT count(DISTINCT code), count(*) FROM claims JOIN diagnoses USING (claim_id)
        WHERE claim_id IN {FALSE} AND code IN (SELECT code FROM diagnoses EXCEPT SELECT primary_diagnosis FROM claims)
        GROUP BY provider_id""")  # fmt: skip
    assert sum(codes for codes, _ in written) < sum(times for _, times in written)


def test_the_share_of_graver_groups_ranks_hospitals_that_code_too_high(town):
    grave = """
        SELECT provider_id, avg((drg LIKE '%1' OR drg LIKE '%3')::INT) FROM claims JOIN providers USING (provider_id)
        WHERE visit_type = 'inpatient' AND level IN ('primary', 'secondary') GROUP BY 1 HAVING count(*) >= 15"""
    assert town("upcoding").ranks(grave) > 0.75


# --- T18 cost shifting -----------------------------------------------------------------------------------

BESIDE = """
    SELECT s.provider_id, s.claim_id AS stay, v.claim_id AS visit FROM claims s JOIN claims v
    ON v.patient_id = s.patient_id AND v.provider_id = s.provider_id AND v.visit_type = 'outpatient'
    AND v.admitted_at BETWEEN s.admitted_at::DATE - INTERVAL 3 DAY AND s.discharged_at
    WHERE s.visit_type = 'inpatient'"""


def test_costs_of_a_stay_are_billed_as_a_visit_beside_it(town):
    city = town("cost_shifting")
    pairs = city.one(f"SELECT count(DISTINCT visit) FROM ({BESIDE}) WHERE stay IN {FALSE} AND visit IN {FALSE}")
    visits = city.one(f"SELECT count(*) FROM claims WHERE claim_id IN {FALSE} AND visit_type = 'outpatient'")
    assert pairs >= 0.95 * visits  # the first days of the period have no day before them
    assert visits * 2 == city.one("SELECT count(*) FROM true_claims")


def test_what_the_visit_has_the_stay_lacks(town):
    city = town("cost_shifting")
    less = city.all("""
        SELECT h.total_amount - c.total_amount, t.amount FROM true_claims t JOIN claims c USING (claim_id)
        JOIN honest_claims h USING (patient_id, provider_id, admitted_at)
        WHERE c.visit_type = 'inpatient'""")  # fmt: skip
    assert less
    assert all(missing > 0 and amount == 0 for missing, amount in less)
    visits = city.all("""
        SELECT total_amount, t.amount FROM true_claims t JOIN claims USING (claim_id)
        WHERE visit_type = 'outpatient'""")  # fmt: skip
    assert all(amount == pytest.approx(total) for total, amount in visits)


def test_visits_beside_stays_rank_hospitals_that_shift_costs(town):
    beside = f"""
        SELECT provider_id, count(DISTINCT visit) / count(DISTINCT c.claim_id) FROM claims c
        LEFT JOIN ({BESIDE}) USING (provider_id) WHERE visit_type = 'inpatient' GROUP BY 1
        HAVING count(DISTINCT c.claim_id) >= 8"""
    assert town("cost_shifting").ranks(beside) > 0.8
