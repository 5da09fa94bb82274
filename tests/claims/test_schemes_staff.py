"""Schemes of staff: work beyond the day, of those who may not, or that nobody did."""

from __future__ import annotations

import pytest

from tests.claims.played import FALSE, Played, assert_bound, town_of, unpaid

SCHEMES_HERE = (
    "impossible_days", "barred_physicians", "borrowed_settlement", "undone_examinations", "timed_therapy",
)  # fmt: skip


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory) as made:
        yield made


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_deeds_lie_in_the_time_of_their_actors_and_leave_other_claims_alone(town, scheme):
    assert_bound(town(scheme))


@pytest.mark.parametrize("scheme", SCHEMES_HERE)
def test_the_whole_of_what_was_not_done_or_not_allowed_is_at_stake(town, scheme):
    city = town(scheme)
    if scheme != "undone_examinations":
        assert unpaid(city) == 0
    lines = city.one("""
        SELECT count(*) FROM true_lines t JOIN lines USING (claim_id, line_no)
        WHERE round(t.amount * 100) <> round(lines.amount * 100)""")  # fmt: skip
    assert lines == 0


MINUTES = """
    SELECT c.physician_id, service_at::DATE AS day, sum(quantity * minutes) AS minutes
    FROM lines l JOIN claims c USING (claim_id) JOIN catalogue USING (item_code)
    WHERE c.visit_type <> 'inpatient' AND c.physician_id IS NOT NULL GROUP BY ALL"""


def busiest(city: Played, actors: bool) -> float:
    """Minutes of the busiest day of the median physician, of actors or of others."""
    return float(city.one(f"""
        SELECT median(most) FROM (SELECT physician_id, max(minutes) AS most FROM ({MINUTES}) GROUP BY 1)
        WHERE (physician_id IN (SELECT entity_id FROM true_actors)) = {actors}"""))  # fmt: skip


# --- T28 impossible days ---------------------------------------------------------------------------------


def test_some_days_of_a_physician_have_more_minutes_than_hours(town):
    city = town("impossible_days")
    assert city.one(f"SELECT max(minutes) FROM ({MINUTES})") > 1440
    assert busiest(city, True) > 720
    assert busiest(city, False) < 300


def test_minutes_of_the_busiest_day_rank_physicians_with_impossible_days(town):
    busy = f"SELECT physician_id, max(minutes) FROM ({MINUTES}) GROUP BY 1"
    assert town("impossible_days").ranks(busy, "physician") > 0.9


def test_a_name_is_on_bills_while_its_owner_lies_in_hospital_or_is_away(town):
    city = town("impossible_days")
    in_bed = """
        SELECT count(*) FROM claims v JOIN physicians p ON p.physician_id = v.physician_id
        JOIN claims s ON s.patient_id = p.patient_id WHERE s.visit_type = 'inpatient' AND v.visit_type = 'outpatient'
        AND v.admitted_at::DATE > s.admitted_at::DATE AND v.admitted_at::DATE < s.discharged_at::DATE AND v.claim_id"""
    assert city.one(f"{in_bed} NOT IN {FALSE}") == 0
    # Days off: no honest work is done by the physician on the days before and after either.
    off = city.one(f"""
        SELECT count(*) FROM claims v WHERE claim_id IN {FALSE} AND NOT EXISTS (FROM claims o
        WHERE o.physician_id = v.physician_id AND o.claim_id NOT IN {FALSE}
        AND abs(date_diff('day', o.admitted_at, v.admitted_at)) <= 2)""")  # fmt: skip
    assert off > 0


# --- T29 barred physicians -------------------------------------------------------------------------------

BARRED = """
    SELECT c.claim_id, p.physician_id FROM claims c JOIN lines l USING (claim_id) JOIN physicians p
    ON p.physician_id = l.physician_id
    AND (service_at::DATE BETWEEN suspended_from AND suspended_to OR service_at::DATE > licensed_to)"""


def test_only_barred_physicians_of_the_scheme_work_while_they_may_not(town):
    city = town("barred_physicians")
    named = {claim for claim, _ in city.all(BARRED)}
    false = {claim for (claim,) in city.all(FALSE[1:-1])}
    assert named
    assert named <= false
    # The others are under the number of a colleague, who takes part.
    helpers = city.one(f"""
        SELECT count(*) FROM claims WHERE claim_id IN {FALSE}
        AND physician_id NOT IN (SELECT entity_id FROM true_actors WHERE entity = 'physician')""")  # fmt: skip
    assert helpers == 0
    assert false - named


def test_work_while_barred_ranks_the_physicians_who_do_it(town):
    city = town("barred_physicians")
    working = f"""
        SELECT p.physician_id, count(b.claim_id) FROM physicians p LEFT JOIN ({BARRED}) b USING (physician_id)
        WHERE suspended_from IS NOT NULL OR licensed_to IS NOT NULL GROUP BY 1"""
    assert city.ranks(working, "physician") > 0.85


# --- T30 borrowed settlement -----------------------------------------------------------------------------

GUESTS = """
    SELECT c.provider_id AS host, c.claim_id, s.provider_id AS shut, c.terminal_id FROM claims c
    JOIN providers s ON c.admitted_at::DATE BETWEEN s.suspended_from AND s.suspended_to JOIN providers h
    ON h.provider_id = c.provider_id AND h.kind = s.kind
    WHERE EXISTS (FROM claims b WHERE b.patient_id = c.patient_id AND b.provider_id = s.provider_id
    AND b.admitted_at < s.suspended_from)"""


def test_a_suspended_house_bills_nothing_itself_and_a_neighbour_bills_for_it(town):
    city = town("borrowed_settlement")
    own = city.one("""
        SELECT count(*) FROM claims JOIN providers USING (provider_id)
        WHERE admitted_at::DATE BETWEEN suspended_from AND suspended_to""")  # fmt: skip
    assert own == 0
    hosts = city.all(f"""
        SELECT host, shut, avg((claim_id IN {FALSE})::INT) FROM ({GUESTS}) WHERE claim_id IN {FALSE} GROUP BY ALL""")
    actors = {who for (who,) in city.all("SELECT entity_id FROM true_actors")}
    assert {host for host, _, _ in hosts} <= actors
    before, during = city.all(f"""
        SELECT count(*) FILTER (claims.provider_id <> h.provider_id), count(*) FROM claims JOIN honest_claims h
        USING (patient_id, admitted_at, settled_at) WHERE claims.claim_id IN {FALSE}""")[0]  # fmt: skip
    assert during > 0
    assert before > 0.5 * during


def test_a_terminal_of_the_suspended_house_is_seen_at_the_neighbour(town):
    shared = """
        SELECT terminal_id FROM claims WHERE terminal_id IS NOT NULL
        GROUP BY 1 HAVING count(DISTINCT provider_id) > 1"""
    city = town("borrowed_settlement")
    assert city.all(shared)
    assert not city.all(shared.replace("claims", "honest_claims"))


def test_people_of_suspended_houses_rank_the_neighbours_who_bill_for_them(town):
    guests = f"""
        SELECT provider_id, count(DISTINCT g.claim_id) / count(DISTINCT c.claim_id) FROM claims c
        JOIN providers USING (provider_id) LEFT JOIN ({GUESTS}) g ON g.host = provider_id
        WHERE kind IN ('clinic', 'pharmacy') AND suspended_from IS NULL GROUP BY 1
        HAVING count(DISTINCT c.claim_id) > 10"""
    assert town("borrowed_settlement").ranks(guests) > 0.75


# --- T31 undone examinations -----------------------------------------------------------------------------

TESTS = """
    FROM lines JOIN claims USING (claim_id) JOIN catalogue USING (item_code)
    WHERE category IN ('examination', 'laboratory')"""


def test_undone_examinations_have_no_report_and_mostly_no_execution(town):
    city = town("undone_examinations")
    reported, executed, ordered = city.all("""
        SELECT count(reported_at), count(executed_at) / count(*), count(ordered_at) / count(*)
        FROM lines SEMI JOIN true_lines USING (claim_id, line_no)""")[0]  # fmt: skip
    assert reported == 0
    assert executed < 0.85
    assert ordered > executed  # it is easier to write an order than to have it done
    assert city.one(f"SELECT count(*) - count(reported_at) {TESTS} AND claim_id NOT IN {FALSE}") == 0


def test_undone_examinations_are_all_that_the_claim_costs_more(town):
    amounts = town("undone_examinations").all("""
        SELECT c.total_amount - h.total_amount, t.amount FROM true_claims t JOIN claims c USING (claim_id)
        JOIN honest_claims h USING (patient_id, provider_id, admitted_at, settled_at)""")  # fmt: skip
    assert len(amounts) > 20
    assert all(more == pytest.approx(amount, abs=0.01) for more, amount in amounts)


def test_tests_without_a_report_rank_houses_that_invent_them(town):
    silent = f"SELECT provider_id, 1 - count(reported_at) / count(*) {TESTS} GROUP BY 1 HAVING count(*) >= 10"
    assert town("undone_examinations").ranks(silent) > 0.95


# --- T34 timed therapy -----------------------------------------------------------------------------------

BUNDLES = """
    SELECT claim_id, c.physician_id, c.admitted_at::DATE AS day,
    string_agg(item_code, ' ' ORDER BY item_code) FILTER (category = 'therapy') AS bundle
    FROM claims c JOIN lines USING (claim_id) JOIN catalogue USING (item_code)
    WHERE visit_type <> 'inpatient' GROUP BY ALL"""


def test_a_therapist_bills_one_bundle_for_all_who_come_on_a_day(town):
    city = town("timed_therapy")
    alike = city.all(f"""
        SELECT physician_id, day, bundle, count(*) AS n FROM ({BUNDLES}) WHERE bundle IS NOT NULL GROUP BY ALL
        HAVING count(*) >= 4""")  # fmt: skip
    actors = {who for (who,) in city.all("SELECT entity_id FROM true_actors WHERE entity = 'physician'")}
    assert alike
    assert {who for who, *_ in alike} <= actors
    assert busiest(city, True) > 480
    assert busiest(city, False) < 300


def test_minutes_of_therapy_rank_therapists_who_bill_beyond_their_day(town):
    therapy = f"SELECT physician_id, max(minutes) FROM ({MINUTES} HAVING bool_or(category = 'therapy')) GROUP BY 1"
    assert town("timed_therapy").ranks(therapy, "physician") > 0.9


def test_clients_come_on_the_same_days_of_a_course(town):
    together = town("timed_therapy").one(f"""
        SELECT max(n) FROM (SELECT a.patient_id, b.patient_id, count(*) AS n FROM claims a JOIN claims b
        ON a.physician_id = b.physician_id AND a.admitted_at::DATE = b.admitted_at::DATE
        AND a.patient_id < b.patient_id
        WHERE a.claim_id IN {FALSE} AND b.claim_id IN {FALSE} GROUP BY ALL)""")  # fmt: skip
    assert together >= 3
