"""Lent cards, doctor shopping, the dead, care at home, and the payer's own staff: what persons leave behind."""

from __future__ import annotations

import pytest

from fraud.claims.simulation.items import library
from tests.claims.played import beyond, changed, disordered, town_of, unpaid

FALSE = "claim_id IN (SELECT claim_id FROM true_claims)"
RATES = {
    "lent_cards": {"actors": 16},
    "doctor_shopping": {"actors": 8},
    "dead_cards": {"actors": 8, "houses": 3},
    "care_hours": {"actors": 3},
    "own_settlements": {"actors": 3},
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory, rates=RATES) as made:
        yield made


@pytest.fixture(scope="module")
def lenders(town):
    return town("lent_cards")


@pytest.fixture(scope="module")
def shoppers(town):
    return town("doctor_shopping")


@pytest.fixture(scope="module")
def dead(town):
    return town("dead_cards")


@pytest.fixture(scope="module")
def homes(town):
    return town("care_hours")


@pytest.fixture(scope="module")
def insiders(town):
    return town("own_settlements")


@pytest.mark.parametrize("city", ["shoppers", "dead", "insiders"])
def test_only_claims_that_the_truth_names_are_new_and_all_of_them_is_at_stake(city, request):
    city = request.getfixturevalue(city)
    assert city.one("SELECT count(*) FROM true_claims") > 15
    assert changed(city) == 0
    assert disordered(city) == 0
    assert unpaid(city) == 0


def test_every_actor_has_deeds_within_the_own_time_only(shoppers, insiders, lenders):
    assert beyond(shoppers, "patient", "patient_id") == 0
    assert beyond(lenders, "patient", "patient_id") == 0
    assert beyond(insiders, "patient", "patient_id") == 0
    assert beyond(insiders, "operator", "operator_id") == 0


# --- T05 -------------------------------------------------------------------------------------------------


def test_care_on_a_lent_card_is_the_care_of_others_and_needs_nothing_new(lenders):
    """Claims change their patient, and nothing else does but the check of identity."""
    assert changed(lenders) == 0
    assert unpaid(lenders) == 0
    moved = "provider_id, physician_id, admitted_at, discharged_at, settled_at, total_amount, primary_diagnosis"
    made_up = f"SELECT count(*) FROM (SELECT {moved} FROM claims EXCEPT ALL SELECT {moved} FROM honest_claims)"
    assert lenders.one(made_up) == 0
    same = f"SELECT count(*) FROM claims JOIN honest_claims h USING ({moved}, patient_id) WHERE claims.{FALSE}"
    assert lenders.one(same) == 0


def test_what_is_billed_on_a_lent_card_does_not_fit_its_owner(lenders):
    d = library().diseases
    limits = dict(zip(d["code"], zip(d["sex"], d["age_low"], d["age_high"], strict=True), strict=True))
    rows = lenders.all(f"""
        SELECT {FALSE}, primary_diagnosis, sex, date_diff('day', birth_date, admitted_at::DATE) / 365.25
        FROM claims JOIN patients USING (patient_id)""")  # fmt: skip
    odd = {True: 0, False: 0}
    for false, code, sex, age in rows:
        wanted, low, high = limits.get(code, ("", 0, 120))
        odd[false] += wanted not in ("", sex) or not low - 0.1 <= age < high + 1.1
    false_claims = lenders.one(f"SELECT count(*) FROM claims WHERE {FALSE}")
    assert odd[True] / false_claims > 0.02
    assert odd[False] / len(rows) < 0.005  # a wrong code of sex at the desk, now and then


def test_identity_is_checked_less_often_and_a_few_owners_are_seen_at_two_places_on_a_day(lenders):
    failed = dict(lenders.all(f"SELECT {FALSE}, avg((identity_check <> 'pass')::INT) FROM claims GROUP BY 1"))
    assert failed[True] > 3 * failed[False]
    share = "SELECT patient_id, avg((identity_check <> 'pass')::INT) FROM claims GROUP BY 1 HAVING count(*) >= 6"
    assert lenders.ranks(share, "patient") > 0.75
    twice = lenders.one(f"""
        SELECT count(*) FROM claims a JOIN claims b USING (patient_id) WHERE a.{FALSE} AND NOT b.{FALSE}
        AND a.provider_id <> b.provider_id AND a.admitted_at::DATE = b.admitted_at::DATE""")  # fmt: skip
    assert twice >= 1


def test_nobody_lies_in_two_beds_on_a_lent_card(lenders):
    assert lenders.one("""
        SELECT count(*) FROM claims a JOIN claims b USING (patient_id) WHERE a.claim_id <> b.claim_id
        AND a.visit_type = 'inpatient' AND b.visit_type = 'inpatient' AND a.invoice_no <> b.invoice_no
        AND a.admitted_at < b.discharged_at AND b.admitted_at < a.discharged_at""") == 0  # fmt: skip


# --- T27 -------------------------------------------------------------------------------------------------

WATCHED = "(SELECT item_code FROM catalogue WHERE regexp_matches(coalesce(atc, ''), '^(N02A|N05B|N05C|N03AE|N06B)'))"


def test_prescribers_and_pharmacies_of_watched_drugs_rank_shoppers_first(shoppers):
    counted = f"""
        SELECT patient_id, count(DISTINCT physician_id) + count(DISTINCT provider_id) FROM patients
        LEFT JOIN (SELECT patient_id, c.physician_id, c.provider_id FROM claims c JOIN lines USING (claim_id)
        WHERE item_code IN {WATCHED}) USING (patient_id) GROUP BY 1"""
    assert shoppers.ranks(counted, "patient") > 0.95


def test_a_shopper_has_four_prescribers_and_four_pharmacies_and_days_with_two_houses(shoppers):
    counts = shoppers.all(f"""
        SELECT count(DISTINCT physician_id), count(DISTINCT provider_id) FILTER (visit_type = 'pharmacy'), count(*)
        FROM claims WHERE {FALSE} GROUP BY patient_id HAVING count(*) >= 20""")  # fmt: skip
    assert counts
    assert all(prescribers >= 3 and shops >= 3 for prescribers, shops, _ in counts)
    assert any(prescribers >= 4 and shops >= 4 for prescribers, shops, _ in counts)
    twice = shoppers.one(f"""
        SELECT count(*) FROM (SELECT 1 FROM claims WHERE {FALSE} AND visit_type = 'outpatient'
        GROUP BY patient_id, admitted_at::DATE HAVING count(DISTINCT provider_id) = 2)""")  # fmt: skip
    assert twice >= 5


def test_each_prescription_of_a_shopper_is_lawful_and_together_they_are_too_much(shoppers):
    assert shoppers.one(f"""
        SELECT count(*) FROM lines JOIN catalogue USING (item_code) WHERE {FALSE} AND days_supply > max_days_supply
    """) == 0  # fmt: skip
    supply = [s for (s,) in shoppers.all(f"""
        SELECT sum(days_supply) / date_diff('day', min(service_at), max(service_at)) FROM lines
        JOIN claims USING (claim_id) WHERE {FALSE} AND item_code IN {WATCHED} GROUP BY patient_id
        HAVING count(*) >= 12""")]  # fmt: skip
    assert supply
    assert max(supply) > 1.2


# --- T39 -------------------------------------------------------------------------------------------------

AFTER = "FROM claims JOIN patients USING (patient_id) WHERE admitted_at::DATE > died_on"


def test_care_after_death_is_false_and_only_that_is(dead):
    assert dead.one(f"SELECT count(*) FROM (SELECT claim_id {AFTER}) WHERE NOT {FALSE}") == 0
    assert dead.one(f"SELECT count(*) FROM claims JOIN patients USING (patient_id) WHERE {FALSE}") == dead.one(
        f"SELECT count(*) {AFTER}"
    )


def test_households_fetch_and_houses_swipe(dead):
    households = dead.one("""
        SELECT count(DISTINCT patient_id) FROM true_claims JOIN claims USING (claim_id)
        WHERE patient_id IN (SELECT entity_id FROM true_actors WHERE entity = 'patient')""")  # fmt: skip
    houses = dead.one("""
        SELECT count(*) FROM true_claims JOIN claims USING (claim_id)
        WHERE provider_id IN (SELECT entity_id FROM true_actors WHERE entity = 'provider')
        AND patient_id NOT IN (SELECT entity_id FROM true_actors WHERE entity = 'patient')""")  # fmt: skip
    assert households >= 3
    assert houses >= 3
    unknown = dead.one("""
        SELECT count(*) FROM true_claims JOIN claims c USING (claim_id)
        WHERE provider_id NOT IN (SELECT entity_id FROM true_actors WHERE entity = 'provider')
        AND patient_id NOT IN (SELECT entity_id FROM true_actors WHERE entity = 'patient')""")  # fmt: skip
    assert unknown == 0


def test_what_is_fetched_for_the_dead_is_what_they_used_to_get(dead):
    """House, kind of visit and disease of every false claim are those of a claim of the person's life."""
    assert dead.one("""
        SELECT count(*) FROM true_claims JOIN claims c USING (claim_id) WHERE NOT EXISTS (
        FROM claims o JOIN patients p USING (patient_id) WHERE o.patient_id = c.patient_id
        AND o.provider_id = c.provider_id AND o.visit_type = c.visit_type
        AND o.primary_diagnosis = c.primary_diagnosis AND o.admitted_at::DATE <= p.died_on)""") == 0  # fmt: skip


# --- T35 -------------------------------------------------------------------------------------------------

HOURS = "FROM lines l JOIN claims c USING (claim_id) WHERE c.visit_type = 'long_term_care'"


def test_only_hours_are_false_and_the_amount_is_theirs(homes):
    assert changed(homes) == 0
    rows = homes.all("""
        SELECT round(any_value(c.amount) * 100), round(sum(l.amount) * 100), any_value(total_amount) * 100
        FROM true_claims c JOIN true_lines l USING (claim_id) JOIN claims USING (claim_id)
        GROUP BY claim_id""")  # fmt: skip
    assert len(rows) > 10
    assert all(whole == parts and 0 < whole <= total + 1 for whole, parts, total in rows)
    assert beyond(homes, "provider", "provider_id") == 0


def test_a_carer_is_at_two_homes_at_once_only_where_hours_are_false(homes):
    twice = homes.all(f"""
        WITH given AS (SELECT l.claim_id, patient_id, l.physician_id, service_at,
         service_at + to_minutes((60 * quantity)::INT) AS until {HOURS} AND l.item_code IN
         (SELECT item_code FROM catalogue WHERE minutes = 60))
        SELECT a.claim_id IN (SELECT claim_id FROM true_claims) OR b.claim_id IN (SELECT claim_id FROM true_claims),
        count(*) FROM given a JOIN given b ON a.physician_id = b.physician_id AND a.patient_id < b.patient_id
        AND a.service_at < b.until AND b.service_at < a.until GROUP BY 1""")  # fmt: skip
    assert dict(twice).get(True, 0) >= 5
    assert dict(twice).get(False, 0) == 0


def test_hours_while_the_person_lies_in_hospital_are_false(homes):
    away = dict(homes.all("""
        SELECT l.claim_id IN (SELECT claim_id FROM true_claims), count(*) FROM lines l JOIN claims c USING (claim_id)
        JOIN claims s ON s.patient_id = c.patient_id AND s.visit_type = 'inpatient'
        AND l.service_at BETWEEN s.admitted_at AND s.discharged_at
        WHERE c.visit_type = 'long_term_care' GROUP BY 1"""))  # fmt: skip
    assert away.get(False, 0) == 0


def test_one_claim_holds_a_week_of_a_person_also_where_hours_were_added(homes):
    weeks = homes.one("""
        SELECT max(n) FROM (SELECT count(DISTINCT invoice_no) AS n FROM claims WHERE visit_type = 'long_term_care'
        GROUP BY patient_id, provider_id, date_trunc('week', admitted_at))""")  # fmt: skip
    assert weeks == 1
    assert disordered(homes) == 0
    assert homes.one(f"SELECT count(*) {HOURS} AND l.{FALSE} AND isodow(settled_at) <> 1") == 0


# --- T38 -------------------------------------------------------------------------------------------------

BY_HAND = "settlement_channel = 'manual'"


def test_an_insider_settles_on_accounts_that_belong_to_none_of_the_patients(insiders):
    usual = dict(insiders.all("SELECT patient_id, mode(payee_account) FROM honest_claims GROUP BY 1"))
    friends = insiders.all(f"SELECT operator_id, payee_account, patient_id FROM claims WHERE {FALSE}")
    assert friends
    assert len({(o, a) for o, a, _ in friends}) <= 3 * len({o for o, _, _ in friends})
    assert all(usual.get(patient) != account for _, account, patient in friends[:1])
    shared = f"""SELECT operator_id, max(n) FROM (SELECT operator_id, payee_account, count(DISTINCT patient_id) AS n
        FROM claims WHERE {BY_HAND} GROUP BY 1, 2) GROUP BY 1"""
    assert insiders.ranks(shared, "operator") > 0.9


def test_an_insider_works_late_and_in_quick_succession(insiders):
    late = "(hour(settled_at) NOT BETWEEN 9 AND 17 OR isodow(settled_at) > 5)"
    shares = dict(insiders.all(f"SELECT {FALSE}, avg({late}::INT) FROM claims WHERE {BY_HAND} GROUP BY 1"))
    assert shares[True] > 0.1
    assert shares[False] < 0.02
    gaps = [g for (g,) in insiders.all(f"""
        SELECT date_diff('second', lag(settled_at) OVER (PARTITION BY operator_id ORDER BY settled_at), settled_at)
        FROM claims WHERE {FALSE}""") if g is not None]  # fmt: skip
    assert sum(g < 600 for g in gaps) > 0.3 * len(gaps)


def test_invented_paper_claims_are_dear_and_never_overlap(insiders):
    mean = f"SELECT avg(total_amount) FROM claims WHERE {BY_HAND} AND"
    assert insiders.one(f"{mean} {FALSE}") > insiders.one(f"{mean} NOT {FALSE}")
    overlapping = f"""
        SELECT count(*) FROM claims a JOIN claims b USING (patient_id) WHERE a.{FALSE} AND a.claim_id <> b.claim_id
        AND b.visit_type = 'inpatient' AND a.admitted_at < b.discharged_at AND b.admitted_at < a.discharged_at"""
    assert insiders.one(overlapping) == 0
