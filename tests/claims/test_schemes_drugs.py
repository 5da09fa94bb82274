"""Schemes with drugs: what they do shows in the tables, in their time, at the right price."""

from __future__ import annotations

import pytest

from tests.claims.played import FALSE, SMALL, assert_bound, dearer_than_honest, false_shares, lines_apart, town_of

SCHEMES_HERE = (
    "substitution", "over_quantity", "early_refills", "duplicate_therapy", "chronic_entitlement", "drug_hoarding",
    "resold_boxes",
)  # fmt: skip
BENT = ("substitution", "over_quantity")
CHRONIC = "visit_type IN ('chronic', 'pharmacy')"


# Some hide all of it, and are at it before boxes are scanned: more actors, so that chance has less of a say.
RATES = {
    "substitution": {"actors": 12},
    "over_quantity": {"actors": 12},
    "early_refills": {"actors": 12},
    "chronic_entitlement": {"actors": 4},
    "drug_hoarding": {"actors": 6, "abettors": 2},
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory, SMALL, RATES) as made:
        yield made


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_deeds_lie_in_the_time_of_their_actors_and_leave_other_claims_alone(town, scheme):
    assert_bound(town(scheme))


@pytest.mark.parametrize("scheme", ["substitution", "over_quantity", "duplicate_therapy", "resold_boxes"])
def test_most_of_what_a_house_bills_stays_honest(town, scheme):
    shares = false_shares(town(scheme))
    assert shares
    assert max(shares) < 0.45


@pytest.mark.parametrize("scheme", BENT)
def test_at_stake_is_what_a_claim_costs_more_than_it_should(town, scheme):
    pairs = dearer_than_honest(town(scheme))
    assert len(pairs) >= 12
    assert all(more == pytest.approx(amount, abs=0.005) for more, amount in pairs)


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_the_lines_at_stake_add_up_to_their_claims(town, scheme):
    assert lines_apart(town(scheme)) == 0


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_nobody_buys_while_in_hospital(town, scheme):
    inside = town(scheme).one(f"""
        SELECT count(*) FROM claims a JOIN claims b USING (patient_id) WHERE a.claim_id IN {FALSE}
        AND a.visit_type <> 'inpatient' AND b.visit_type = 'inpatient'
        AND a.admitted_at BETWEEN b.admitted_at AND b.discharged_at""")  # fmt: skip
    assert inside == 0


# --- T12 substitution ------------------------------------------------------------------------------------

RESOLD = """
    SELECT claim_id, line_no, provider_id, patient_id, service_at, count(*) OVER (PARTITION BY trace_code) AS times,
    count(DISTINCT provider_id) OVER (PARTITION BY trace_code) AS houses,
    row_number() OVER (PARTITION BY trace_code ORDER BY service_at) AS turn
    FROM lines JOIN claims USING (claim_id) WHERE trace_code IS NOT NULL"""


def test_a_substituted_drug_is_cheaper_than_the_one_billed_or_its_box_is_an_old_one(town):
    city = town("substitution")
    kinds = dict(city.all("""
        SELECT dispensed_item_code <> item_code, count(*) FROM true_lines JOIN lines USING (claim_id, line_no)
        GROUP BY 1"""))  # fmt: skip
    assert kinds[True] >= 5
    assert kinds[False] >= 5
    honest = f"SELECT count(*) FROM lines WHERE dispensed_item_code <> item_code AND claim_id NOT IN {FALSE}"
    assert city.one(honest) == 0
    again = city.one(f"SELECT count(*) FROM ({RESOLD}) WHERE times > 1 AND claim_id IN {FALSE}")
    assert again >= 3


def test_one_box_is_sold_twice_only_where_the_truth_knows(town):
    city = town("substitution")
    later = city.all(f"SELECT DISTINCT claim_id IN {FALSE} FROM ({RESOLD}) WHERE turn > 1")
    assert later == [(True,)]


def test_goods_other_than_billed_and_boxes_sold_twice_rank_houses_that_substitute(town):
    odd = f"""
        SELECT provider_id, avg((dispensed_item_code <> item_code OR coalesce(turn, 1) > 1)::INT) FROM lines
        JOIN claims USING (claim_id) LEFT JOIN (SELECT claim_id, line_no, turn FROM ({RESOLD}))
        USING (claim_id, line_no) WHERE dispensed_item_code IS NOT NULL GROUP BY 1"""
    assert town("substitution").ranks(odd, idle=False) > 0.75


# --- T13 too much ----------------------------------------------------------------------------------------


def test_the_blatant_pass_the_limit_of_supply_and_the_careful_keep_to_it(town):
    kinds = dict(town("over_quantity").all("""
        SELECT days_supply > max_days_supply, count(*) FROM true_lines JOIN lines USING (claim_id, line_no)
        JOIN catalogue USING (item_code) GROUP BY 1"""))  # fmt: skip
    assert kinds[True] >= 5
    assert kinds[False] >= 5


def test_days_of_supply_rank_houses_that_hand_out_too_much(town):
    days = f"""
        SELECT provider_id, avg(days_supply / max_days_supply) FROM lines JOIN claims USING (claim_id)
        JOIN catalogue USING (item_code) WHERE {CHRONIC} AND days_supply >= 14 GROUP BY 1 HAVING count(*) >= 8"""
    assert town("over_quantity").ranks(days, idle=False) > 0.7


EARLY = f"""
    SELECT patient_id, count(*) AS times FROM (SELECT patient_id, service_at, days_supply,
     lead(service_at) OVER (PARTITION BY patient_id, item_code ORDER BY service_at) AS next FROM lines
     JOIN claims USING (claim_id) WHERE {CHRONIC} AND days_supply >= 14)
    WHERE date_diff('day', service_at, next) < 0.7 * days_supply GROUP BY 1"""


def test_early_refills_come_again_and_again_and_rank_patients(town):
    city = town("early_refills")
    times = dict(city.all(EARLY))
    actors = [who for (who,) in city.all("SELECT DISTINCT patient_id FROM claims JOIN true_claims USING (claim_id)")]
    assert all(times.get(who, 0) >= 1 for who in actors)
    assert max(times[who] for who in actors) >= 3
    ranked = f"SELECT patient_id, coalesce(times, 0) FROM patients LEFT JOIN ({EARLY}) USING (patient_id)"
    assert city.ranks(ranked, "patient", idle=False) > 0.85


def test_of_an_early_refill_only_the_drugs_are_at_stake(town):
    kinds = town("early_refills").all("""
        SELECT DISTINCT category FROM true_lines JOIN lines USING (claim_id, line_no)
        JOIN catalogue USING (item_code)""")  # fmt: skip
    assert kinds == [("drug",)]


# --- T14 duplicate therapy -------------------------------------------------------------------------------

ALIKE = """
    SELECT a.claim_id, a.provider_id, b.claim_id AS other, b.provider_id AS elsewhere FROM
    (SELECT * FROM lines JOIN claims USING (claim_id) JOIN catalogue USING (item_code)) a JOIN
    (SELECT * FROM lines JOIN claims USING (claim_id) JOIN catalogue USING (item_code)) b
    ON a.patient_id = b.patient_id AND a.item_code <> b.item_code AND left(a.atc, 5) = left(b.atc, 5)
    AND a.days_supply >= 14 AND b.days_supply >= 14 AND length(a.atc) >= 5
    AND abs(date_diff('day', a.service_at, b.service_at)) <= 4"""


def test_a_second_product_is_of_the_group_of_the_first_one_here_or_at_a_partner(town):
    city = town("duplicate_therapy")
    paired = {claim for (claim,) in city.all(f"SELECT claim_id FROM ({ALIKE}) UNION SELECT other FROM ({ALIKE})")}
    false = [claim for (claim,) in city.all("SELECT claim_id FROM true_claims")]
    assert sum(claim in paired for claim in false) > 0.95 * len(false)
    places = dict(city.all(f"""
        SELECT visit_type, count(*) FROM claims WHERE claim_id IN {FALSE} GROUP BY 1"""))  # fmt: skip
    assert places["pharmacy"] >= 5
    assert places["chronic"] >= 5


def test_products_of_one_group_at_once_rank_houses_that_prescribe_twice(town):
    city = town("duplicate_therapy")
    share = f"""
        SELECT provider_id, avg((claim_id IN (SELECT claim_id FROM ({ALIKE})))::INT) FROM claims
        WHERE visit_type = 'chronic' GROUP BY 1 HAVING count(*) >= 5"""
    assert city.ranks(share, idle=False) > 0.8


# --- T37 chronic entitlement -----------------------------------------------------------------------------

COURSES = """
    SELECT c.patient_id, c.primary_diagnosis, count(*) AS claims, bool_or(t.claim_id IS NOT NULL) AS tested,
    arg_min(c.physician_id, c.admitted_at) AS first_by, min(c.admitted_at) AS since FROM claims c
    JOIN patients p USING (patient_id) LEFT JOIN (SELECT DISTINCT claim_id FROM lines JOIN catalogue USING (item_code)
    WHERE category IN ('laboratory', 'examination')) t USING (claim_id)
    WHERE list_contains(p.chronic_conditions, c.primary_diagnosis) GROUP BY ALL"""


def test_clients_are_certified_once_and_only_fetch_the_drug(town):
    city = town("chronic_entitlement")
    courses = city.all(f"""
        SELECT claims, tested, physician_id IS NOT NULL FROM ({COURSES}) LEFT JOIN
        (SELECT DISTINCT entity_id AS physician_id FROM true_actors WHERE entity = 'physician')
        ON physician_id = first_by WHERE patient_id IN (SELECT entity_id FROM true_actors WHERE entity = 'patient')
        AND claims > 0""")  # fmt: skip
    assert len(courses) >= 8
    assert not any(tested for _, tested, _ in courses)
    assert sum(certified for _, _, certified in courses) > 0.8 * len(courses)
    kinds = {k for (k,) in city.all(f"""
        SELECT DISTINCT category FROM lines JOIN catalogue USING (item_code) WHERE claim_id IN {FALSE}""")}  # fmt: skip
    assert kinds <= {"drug", "other"}


def test_clients_are_registered_as_others_are(town):
    lone = town("chronic_entitlement").one(f"""
        SELECT count(*) FROM claims JOIN patients USING (patient_id) WHERE claim_id IN {FALSE}
        AND NOT list_contains(chronic_conditions, primary_diagnosis)""")  # fmt: skip
    assert lone == 0


def test_first_visits_of_untested_patients_rank_physicians_that_certify(town):
    city = town("chronic_entitlement")
    issued = f"""
        SELECT first_by, count(*) FILTER (NOT tested AND since > (SELECT min(admitted_at) FROM claims)
        + INTERVAL 60 DAY) FROM ({COURSES}) WHERE first_by IS NOT NULL AND claims >= 3 GROUP BY 1"""
    assert city.ranks(issued, "physician", idle=False) > 0.85


# --- T23 resale ------------------------------------------------------------------------------------------


def test_hoarders_buy_more_than_they_can_take_at_several_pharmacies(town):
    city = town("drug_hoarding")
    hoards = city.all(f"""
        SELECT count(DISTINCT provider_id), sum(days_supply) / date_diff('day', min(service_at), max(service_at))
        FROM lines JOIN claims USING (claim_id) WHERE claim_id IN {FALSE}
        GROUP BY patient_id, item_code HAVING count(*) >= 8""")  # fmt: skip
    assert hoards
    assert all(shops >= 3 and supply > 1.2 for shops, supply in hoards)
    supply = f"""
        SELECT patient_id, coalesce(max(days), 0) FROM patients LEFT JOIN (SELECT patient_id, item_code,
        sum(days_supply) AS days FROM lines JOIN claims USING (claim_id) WHERE {CHRONIC} GROUP BY ALL)
        USING (patient_id) GROUP BY 1"""
    assert city.ranks(supply, "patient", idle=False) > 0.95


def test_a_resold_box_was_fetched_before_at_another_house_by_a_seller(town):
    city = town("resold_boxes")
    pairs = city.all(f"""
        SELECT a.patient_id, b.provider_id, date_diff('day', a.service_at::DATE, b.service_at::DATE) FROM ({RESOLD}) a
        JOIN lines x USING (claim_id, line_no) JOIN lines y ON y.trace_code = x.trace_code
        AND y.item_code = x.item_code JOIN ({RESOLD}) b ON b.claim_id = y.claim_id AND b.line_no = y.line_no
        WHERE a.turn = 1 AND b.turn = 2""")  # fmt: skip
    actors = {who for (who,) in city.all("SELECT entity_id FROM true_actors")}
    assert len(pairs) >= 6
    assert all(seller in actors and house in actors and 3 <= days <= 61 for seller, house, days in pairs)
    assert len(pairs) * 2 == city.one("SELECT count(*) FROM true_lines")


def test_boxes_seen_elsewhere_before_rank_pharmacies_that_buy_back(town):
    again = f"SELECT provider_id, avg((houses > 1 AND turn > 1)::INT) FROM ({RESOLD}) GROUP BY 1"
    assert town("resold_boxes").ranks(again, idle=False) > 0.9
