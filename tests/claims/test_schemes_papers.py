"""Schemes with papers: what they do shows in the tables, in their time, at the right price."""

from __future__ import annotations

import pytest

from fraud.claims.simulation import SCHEMES
from tests.claims.played import FALSE, SMALL, assert_bound, in_two_beds, inspected_and_not, town_of, unpaid

SCHEMES_HERE = ("duplicate_benefits", "forged_papers", "hidden_third_party", "assistance_misuse")
NEW = ("duplicate_benefits", "forged_papers", "hidden_third_party")


RATES = {
    "duplicate_benefits": {"actors": 30, "intensity": 0.9},
    "forged_papers": {"actors": 4, "every_days": 10},
    "assistance_misuse": {"actors": 20},
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory, SMALL, RATES) as made:
        yield made


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_deeds_lie_in_the_time_of_their_actors_and_leave_other_claims_alone(town, scheme):
    assert_bound(town(scheme))


@pytest.mark.parametrize("scheme", NEW)
def test_all_of_a_claim_that_should_not_have_come_is_at_stake(town, scheme):
    assert unpaid(town(scheme)) == 0
    lines = town(scheme).one("SELECT sum(amount) FROM true_lines")
    assert lines == pytest.approx(town(scheme).one("SELECT sum(amount) FROM true_claims"))


@pytest.mark.parametrize("scheme", NEW)
def test_nobody_lies_in_two_beds(town, scheme):
    assert in_two_beds(town(scheme)) == 0


@pytest.mark.parametrize("scheme", NEW)
def test_operations_are_procedures_at_the_time_of_their_lines(town, scheme):
    lone = town(scheme).one(f"""
        SELECT count(*) FROM lines l JOIN catalogue USING (item_code) WHERE category = 'surgery'
        AND claim_id IN {FALSE} AND NOT EXISTS
        (FROM procedures p WHERE p.claim_id = l.claim_id AND p.performed_at = l.service_at)""")  # fmt: skip
    assert lone == 0


def test_inspected_actors_of_charges_drugs_and_papers_do_less(tmp_path):
    """The same actors with the same chances; all of them are inspected, or none is."""
    ours = [s.name for s in SCHEMES if s.play.__module__.rpartition(".")[2] in ("charges", "drugs", "papers")]
    actors = {name: {"actors": 8} for name in ours}
    never, always = inspected_and_not(tmp_path, actors, 12_000, kinds=("providers", "physicians", "patients"))
    assert sum(always.get(name, 0) for name in ours) < 0.8 * sum(never[name] for name in ours)
    assert sum(always.get(name, 0) < never[name] for name in ours) >= len(ours) - 2


# --- T21 the same bill twice -----------------------------------------------------------------------------

TWICE = """
    SELECT b.claim_id, b.patient_id, a.invoice_no = b.invoice_no AS same_invoice, a.total_amount = b.total_amount AS
    same_total, a.settlement_channel AS first, b.settlement_channel AS second,
    date_diff('day', a.settled_at, b.settled_at) AS days
    FROM claims a JOIN claims b ON a.patient_id = b.patient_id AND a.provider_id = b.provider_id
    AND a.admitted_at = b.admitted_at AND a.settled_at < b.settled_at"""


def test_a_bill_that_was_settled_at_the_desk_comes_again_by_hand(town):
    city = town("duplicate_benefits")
    again = city.all(f"""
        SELECT same_total, first, second, days FROM ({TWICE}) WHERE claim_id IN {FALSE}""")  # fmt: skip
    assert len(again) == city.one("SELECT count(*) FROM true_claims")
    assert {row[:3] for row in again} == {(True, "direct", "manual")}
    assert min(days for *_, days in again) >= 10


def test_the_invoice_is_the_same_but_for_the_careful(town):
    shares = dict(town("duplicate_benefits").all(f"""
        SELECT same_invoice, count(*) FROM ({TWICE}) WHERE claim_id IN {FALSE} GROUP BY 1"""))  # fmt: skip
    assert shares[True] > shares.get(False, 0)
    stays = town("duplicate_benefits").all(f"""
        SELECT DISTINCT same_invoice FROM ({TWICE}) JOIN claims USING (claim_id)
        WHERE claim_id IN {FALSE} AND visit_type = 'inpatient'""")  # fmt: skip
    assert stays in ([], [(True,)])


def test_bills_in_both_channels_rank_patients(town):
    both = f"""
        SELECT patient_id, (SELECT count(*) FROM ({TWICE}) t WHERE t.patient_id = p.patient_id
        AND first <> second) FROM patients p"""
    assert town("duplicate_benefits").ranks(both, "patient", idle=False) > 0.95


# --- T22 forged papers -----------------------------------------------------------------------------------


def test_forged_bills_come_by_hand_from_another_region_with_a_digit_more(town):
    city = town("forged_papers")
    bills = city.all(f"""
        SELECT DISTINCT settlement_channel, visit_type, insured_region <> care_region, terminal_id IS NULL
        FROM claims WHERE claim_id IN {FALSE}""")  # fmt: skip
    assert bills == [("manual", "inpatient", True, True)]
    dear = city.one(f"""
        SELECT avg(n::INT) FROM (SELECT bool_or(unit_price > 1.5 * price_cap) AS n FROM lines JOIN catalogue
        USING (item_code) WHERE claim_id IN {FALSE} GROUP BY claim_id)""")  # fmt: skip
    assert dear > 0.9


def test_a_few_households_hand_in_and_one_purse_collects(town):
    city = town("forged_papers")
    people, accounts, bills = city.all(f"""
        SELECT count(DISTINCT patient_id), count(DISTINCT payee_account), count(*) FROM claims
        WHERE claim_id IN {FALSE}""")[0]  # fmt: skip
    assert accounts < people <= bills
    shared = city.all(f"""
        SELECT payee_account FROM claims WHERE claim_id IN {FALSE} GROUP BY 1 HAVING count(DISTINCT patient_id) > 2""")
    assert shared


def test_prices_far_above_the_cap_in_claims_by_hand_rank_patients(town):
    dear = """
        SELECT patient_id, max(unit_price / price_cap) FILTER (settlement_channel = 'manual') FROM claims
        JOIN lines USING (claim_id) JOIN catalogue USING (item_code) GROUP BY 1"""
    assert town("forged_papers").ranks(dear, "patient", idle=False) > 0.9


# --- T20 hidden third party ------------------------------------------------------------------------------

EXTERNAL = "SELECT claim_id FROM diagnoses WHERE code[1] IN ('V', 'W', 'X', 'Y')"


def test_hidden_injuries_bear_no_cause_and_some_are_called_an_illness(town):
    city = town("hidden_third_party")
    assert city.one(f"SELECT count(*) FROM true_claims WHERE claim_id IN ({EXTERNAL})") == 0
    named = dict(city.all(f"""
        SELECT primary_diagnosis[1], count(*) FROM claims WHERE claim_id IN {FALSE} GROUP BY 1"""))  # fmt: skip
    assert set(named) <= {"S", "T", "M"}
    assert named["M"] >= 3
    assert named["S"] + named.get("T", 0) >= 10


def test_the_hurt_are_of_working_age(town):
    ages = [a for (a,) in town("hidden_third_party").all(f"""
        SELECT date_diff('day', birth_date, admitted_at::DATE) / 365.25 FROM claims JOIN patients USING (patient_id)
        WHERE claim_id IN {FALSE}""")]  # fmt: skip
    assert min(ages) > 18
    assert max(ages) < 62


def test_care_of_injuries_without_a_cause_ranks_hospitals(town):
    """Care that is given for injuries more than for anything else, beside a diagnosis that names no cause."""
    hurt = f"""
        SELECT provider_id, avg((age BETWEEN 18 AND 60 AND claim_id IN (SELECT claim_id FROM lines WHERE item_code IN
        (SELECT item_code FROM lines JOIN claims USING (claim_id) GROUP BY 1 HAVING
         avg((primary_diagnosis[1] IN ('S', 'T'))::INT) > 0.6)) AND claim_id NOT IN ({EXTERNAL}))::INT) FROM
        (SELECT *, date_diff('day', birth_date, admitted_at::DATE) / 365.25 AS age FROM claims
         JOIN patients USING (patient_id)) JOIN providers USING (provider_id)
        WHERE kind = 'hospital' GROUP BY 1"""
    assert town("hidden_third_party").ranks(hurt, idle=False) > 0.8


# --- T36 assistance --------------------------------------------------------------------------------------

COVERED = """admitted_at::DATE BETWEEN coalesce(assistance_from, DATE '1900-01-01')
    AND coalesce(assistance_to, DATE '1900-01-01')"""


def test_assistance_is_used_on_days_for_which_the_register_knows_of_none(town):
    city = town("assistance_misuse")
    inside = city.one(f"""
        SELECT count(*) FROM claims JOIN patients USING (patient_id) WHERE claim_id IN {FALSE}
        AND assistance <> 'none' AND {COVERED}""")  # fmt: skip
    assert inside == 0
    kinds = dict(city.all(f"""
        SELECT assistance <> 'none', count(DISTINCT patient_id) FROM claims JOIN patients USING (patient_id)
        WHERE claim_id IN {FALSE} GROUP BY 1"""))  # fmt: skip
    assert min(kinds[True], kinds[False]) >= 2


def test_at_stake_is_what_the_fund_paid_more(town):
    pairs = town("assistance_misuse").all(f"""
        SELECT c.fund_amount - h.fund_amount, t.amount, c.total_amount = h.total_amount FROM true_claims t
        JOIN claims c USING (claim_id) JOIN honest_claims h USING (patient_id, provider_id, admitted_at, settled_at)
        WHERE c.claim_id IN {FALSE}""")  # fmt: skip
    assert len(pairs) >= 12
    assert all(more == pytest.approx(amount) and same for more, amount, same in pairs)


def test_the_share_of_the_fund_outside_the_register_ranks_patients(town):
    share = f"""
        SELECT patient_id, count(*) FILTER (outside AND paid > usual + 0.05) FROM (SELECT patient_id,
        NOT (assistance <> 'none' AND {COVERED}) AS outside, fund_amount / total_amount AS paid,
        quantile_cont(fund_amount / total_amount, 0.9) OVER (PARTITION BY provider_id, visit_type, insurance_type)
        AS usual FROM claims JOIN patients USING (patient_id)) GROUP BY 1"""
    assert town("assistance_misuse").ranks(share, "patient", idle=False) > 0.75
