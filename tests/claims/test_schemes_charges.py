"""Schemes with charges: what they do shows in the tables, in their time, at the right price."""

from __future__ import annotations

import pytest

from tests.claims.played import FALSE, SMALL, assert_bound, dearer_than_honest, false_shares, lines_apart, town_of

SCHEMES_HERE = (
    "duplicate_charges", "second_bills", "dear_prices", "unbundling", "analogised_items", "outside_scope",
    "second_operations",
)  # fmt: skip
# Other hospitals do second operations as well, and charge what is due: honest claims change with that scheme.
BINDING = [s for s in SCHEMES_HERE if s != "second_operations"]


RATES = {
    # Second operations and visits with tests are few in a town.
    "second_operations": {"actors": 5, "eager": 0.9, "intensity": 0.9},
    "second_bills": {"actors": 6, "intensity": 0.6},
    "unbundling": {"actors": 5, "intensity": 0.9},
    "analogised_items": {"actors": 6, "intensity": 0.8},
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory, SMALL, RATES) as made:
        yield made


@pytest.mark.parametrize("scheme", BINDING)
def test_deeds_lie_in_the_time_of_their_actors_and_leave_other_claims_alone(town, scheme):
    assert_bound(town(scheme))


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_most_of_what_a_house_bills_stays_honest(town, scheme):
    shares = false_shares(town(scheme))
    assert shares
    assert max(shares) < 0.45


@pytest.mark.parametrize("scheme", [s for s in BINDING if s not in ("second_bills", "dear_prices")])
def test_at_stake_is_what_a_claim_costs_more_than_it_should(town, scheme):
    pairs = dearer_than_honest(town(scheme))
    assert len(pairs) >= 12
    assert all(more == pytest.approx(amount, abs=0.005) for more, amount in pairs)


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_the_lines_at_stake_add_up_to_their_claims(town, scheme):
    assert lines_apart(town(scheme)) == 0


# --- T07 duplicate charges -------------------------------------------------------------------------------

TWICE = "SELECT claim_id FROM lines GROUP BY claim_id, item_code, service_at::DATE HAVING count(*) > 1"
PAIRED = """
    SELECT a.claim_id FROM lines a JOIN exclusions e USING (item_code) JOIN lines b ON b.claim_id = a.claim_id
    AND b.item_code = e.included_item_code AND b.service_at::DATE = a.service_at::DATE"""


def test_each_duplicate_is_an_item_twice_or_a_part_beside_its_package(town):
    city = town("duplicate_charges")
    broken = {claim for (claim,) in city.all(f"{TWICE} UNION {PAIRED}")}
    assert broken == {claim for (claim,) in city.all("SELECT claim_id FROM true_claims")}
    assert city.one(f"SELECT count(*) FROM ({TWICE})") > 5


def test_broken_exclusions_rank_houses_that_charge_twice(town):
    share = f"""
        SELECT provider_id, avg((claim_id IN ({TWICE} UNION {PAIRED}))::INT) FROM claims GROUP BY 1"""
    assert town("duplicate_charges").ranks(share, idle=False) > 0.85


AGAIN = """
    SELECT b.claim_id, b.provider_id, a.invoice_no <> b.invoice_no AS anew FROM claims a JOIN claims b
    ON a.patient_id = b.patient_id AND a.provider_id = b.provider_id AND a.admitted_at::DATE = b.admitted_at::DATE
    AND a.settled_at < b.settled_at JOIN lines x ON x.claim_id = a.claim_id JOIN lines y ON y.claim_id = b.claim_id
    AND y.item_code = x.item_code AND y.unit_price = x.unit_price AND y.quantity = x.quantity
    JOIN catalogue k ON k.item_code = y.item_code AND category NOT IN ('drug', 'other')"""


def test_a_second_bill_repeats_items_of_the_first_one_with_an_invoice_of_its_own(town):
    city = town("second_bills")
    found = dict(city.all(f"SELECT claim_id, bool_and(anew) FROM ({AGAIN}) WHERE claim_id IN {FALSE} GROUP BY 1"))
    assert len(found) == city.one("SELECT count(*) FROM true_claims")
    assert all(found.values())


def test_the_same_item_in_two_claims_of_a_day_ranks_houses_that_bill_again(town):
    again = f"""
        SELECT provider_id, (SELECT count(*) FROM ({AGAIN}) r WHERE r.provider_id = c.provider_id AND anew) / count(*)
        FROM claims c GROUP BY 1"""
    assert town("second_bills").ranks(again, idle=False) > 0.8


# --- T09 over the limit ----------------------------------------------------------------------------------


def test_a_dear_price_is_above_the_cap_and_the_rest_of_it_is_at_stake(town):
    lines = town("dear_prices").all("""
        SELECT unit_price, price_cap, quantity, t.amount FROM true_lines t JOIN lines USING (claim_id, line_no)
        JOIN catalogue USING (item_code)""")  # fmt: skip
    assert all(price > cap for price, cap, _, _ in lines)
    assert all(amount == pytest.approx((price - cap) * n) for price, cap, n, amount in lines)


def test_at_stake_is_less_than_what_the_claim_costs_more_where_the_house_had_charged_below_the_cap(town):
    pairs = dearer_than_honest(town("dear_prices"))
    assert all(more >= amount - 0.005 for more, amount in pairs)


def test_prices_above_the_cap_rank_dear_houses(town):
    share = """
        SELECT provider_id, avg((unit_price > price_cap)::INT) FROM lines JOIN claims USING (claim_id)
        JOIN catalogue USING (item_code) GROUP BY 1"""
    assert town("dear_prices").ranks(share, idle=False) > 0.95


OPERATED = """
    SELECT claim_id, provider_id, line_no, unit_price / price_cap AS of_cap,
    row_number() OVER (PARTITION BY claim_id, service_at::DATE ORDER BY price_cap DESC) AS turn
    FROM lines JOIN catalogue USING (item_code) JOIN claims USING (claim_id) WHERE category = 'surgery'"""


def test_a_second_operation_costs_half_but_where_the_scheme_is_played(town):
    city = town("second_operations")
    second = city.all(f"""
        SELECT t.claim_id IS NOT NULL, of_cap FROM ({OPERATED}) LEFT JOIN true_lines t USING (claim_id, line_no)
        WHERE turn = 2""")  # fmt: skip
    full, due = ([share for guilty, share in second if guilty == side] for side in (True, False))
    assert len(full) >= 4
    assert sum(share < 0.51 for share in due) >= 4
    assert min(full) > 0.6


def test_every_operation_is_a_procedure_of_its_stay_at_its_time(town):
    lone = town("second_operations").one(f"""
        SELECT count(*) FROM ({OPERATED}) JOIN lines l USING (claim_id, line_no) WHERE NOT EXISTS
        (FROM procedures p WHERE p.claim_id = l.claim_id AND p.performed_at = l.service_at)""")  # fmt: skip
    assert lone == 0


def test_second_operations_at_the_full_price_rank_hospitals(town):
    dear = f"""
        SELECT provider_id, (SELECT count(*) FROM ({OPERATED}) o WHERE o.provider_id = c.provider_id AND turn = 2
        AND of_cap > 0.55) / count(*) FROM claims c WHERE visit_type = 'inpatient' GROUP BY 1"""
    assert town("second_operations").ranks(dear, idle=False) > 0.8


# --- T08 unbundling --------------------------------------------------------------------------------------

PARTS = """
    SELECT e.item_code AS package, claim_id, service_at::DATE AS day, count(DISTINCT l.item_code) AS parts
    FROM lines l JOIN exclusions e ON l.item_code = e.included_item_code AND e.kind = 'package_part' GROUP BY ALL"""
OF_PACKAGE = "SELECT item_code AS package, count(*) AS all_parts FROM exclusions WHERE kind = 'package_part' GROUP BY 1"


def test_false_lines_are_parts_of_a_package_that_is_not_billed(town):
    city = town("unbundling")
    beside = city.one(f"SELECT count(*) FROM ({PAIRED}) WHERE claim_id IN {FALSE}")
    parts = city.one("""
        SELECT count(*) FROM true_lines JOIN lines USING (claim_id, line_no)
        WHERE item_code NOT IN (SELECT included_item_code FROM exclusions WHERE kind = 'package_part')""")  # fmt: skip
    assert beside == parts == 0


def test_sets_of_parts_rank_houses_that_unbundle(town):
    sets = f"""
        SELECT provider_id, (SELECT count(*) FROM ({PARTS}) JOIN ({OF_PACKAGE}) USING (package) JOIN claims k
        USING (claim_id) WHERE parts >= 0.6 * all_parts AND parts > 1 AND k.provider_id = c.provider_id) / count(*)
        FROM claims c WHERE provider_id IN (SELECT provider_id FROM providers WHERE kind = 'hospital') GROUP BY 1"""
    assert town("unbundling").ranks(sets, idle=False) > 0.75


# --- T11 analogised items --------------------------------------------------------------------------------


def test_an_analogised_item_is_dearer_and_often_bears_the_code_of_a_cheaper_thing(town):
    city = town("analogised_items")
    codes = city.all("""
        SELECT provider_id, item_code, count(DISTINCT local_item_code) FROM true_lines JOIN lines
        USING (claim_id, line_no) JOIN claims USING (claim_id) GROUP BY ALL""")  # fmt: skip
    assert codes
    shared = city.all("""
        SELECT provider_id, local_item_code FROM lines JOIN claims USING (claim_id) WHERE local_item_code IS NOT NULL
        GROUP BY ALL HAVING count(DISTINCT item_code) > 1""")  # fmt: skip
    assert {house for house, _ in shared} <= {house for house, _, _ in codes}


def test_several_local_codes_for_an_item_or_limits_broken_rank_houses_that_analogise(town):
    odd = """
        SELECT provider_id, sum(extra) FROM (SELECT provider_id, item_code,
        count(DISTINCT local_item_code) - 1 AS extra FROM lines JOIN claims USING (claim_id)
        WHERE local_item_code IS NOT NULL GROUP BY ALL) GROUP BY 1"""
    assert town("analogised_items").ranks(odd, idle=False) > 0.65


# --- T19 outside the scope -------------------------------------------------------------------------------

UNPAID = """
    SELECT l.claim_id FROM lines l JOIN catalogue c USING (item_code) WHERE c.indications IS NOT NULL AND NOT EXISTS
    (FROM diagnoses d WHERE d.claim_id = l.claim_id
     AND len(list_filter(c.indications, lambda code: starts_with(d.code, code))) > 0)"""


def test_a_restricted_drug_is_given_without_its_indication_or_with_one_that_was_added(town):
    city = town("outside_scope")
    found = dict(city.all(f"""
        SELECT t.claim_id IN ({UNPAID}), count(*) FROM true_claims t GROUP BY 1"""))  # fmt: skip
    assert found[True] >= 5
    assert found[False] >= 5
    opened = city.one("""
        SELECT count(*) FROM true_lines JOIN lines USING (claim_id, line_no) JOIN catalogue c USING (item_code)
        WHERE c.indications IS NULL AND sex_limit IS NULL AND level_limit IS NULL""")  # fmt: skip
    assert opened == 0


def test_restricted_drugs_without_a_lasting_indication_rank_houses_that_give_them(town):
    """A diagnosis that the patient has in no other claim is no better than none."""
    odd = """
        SELECT provider_id, avg(odd::INT) FROM (SELECT a.claim_id, provider_id, bool_or(c.indications IS NOT NULL
         AND NOT EXISTS (FROM diagnoses d JOIN claims o USING (claim_id) WHERE o.patient_id = a.patient_id
         AND o.claim_id <> a.claim_id
         AND len(list_filter(c.indications, lambda code: starts_with(d.code, code))) > 0)) AS odd
         FROM claims a JOIN lines USING (claim_id) JOIN catalogue c USING (item_code)
         WHERE visit_type <> 'inpatient' GROUP BY ALL) GROUP BY 1"""
    assert town("outside_scope").ranks(odd, idle=False) > 0.8
