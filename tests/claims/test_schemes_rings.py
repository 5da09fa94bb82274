"""Rings, recruiters and drives: many hands leave the same trace, and nobody else does."""

from __future__ import annotations

import pytest

from tests.claims.played import beyond, changed, disordered, town_of, unpaid

SPANS = """SELECT entity, entity_id, "from", "to" FROM true_actors"""
RATES = {
    "visiting_ring": {"actors": 4, "admissions": 0.3},
    "recruited_patients": {"actors": 4},
    "patient_drives": {"actors": 5},
}


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    with town_of(tmp_path_factory, rates=RATES) as made:
        yield made


@pytest.fixture(scope="module")
def rings(town):
    return town("visiting_ring")


@pytest.fixture(scope="module")
def recruiters(town):
    return town("recruited_patients")


@pytest.fixture(scope="module")
def drives(town):
    return town("patient_drives")


@pytest.mark.parametrize("city", ["rings", "recruiters", "drives"])
def test_only_claims_that_the_truth_names_are_new_and_all_of_them_is_at_stake(city, request):
    city = request.getfixturevalue(city)
    assert city.one("SELECT count(*) FROM true_claims") > 25
    assert changed(city) == 0
    assert disordered(city) == 0
    assert unpaid(city) == 0
    assert beyond(city, "provider", "provider_id") == 0


@pytest.mark.parametrize("city", ["rings", "recruiters"])
def test_everybody_who_is_brought_is_an_actor_and_nobody_lies_in_two_beds(city, request):
    city = request.getfixturevalue(city)
    assert beyond(city, "patient", "patient_id") == 0
    assert city.one("""
        SELECT count(*) FROM claims a JOIN claims b USING (patient_id) WHERE a.claim_id <> b.claim_id
        AND a.visit_type = 'inpatient' AND b.visit_type = 'inpatient' AND a.invoice_no <> b.invoice_no
        AND a.admitted_at < b.discharged_at AND b.admitted_at < a.discharged_at""") == 0  # fmt: skip


@pytest.mark.parametrize("city", ["rings", "recruiters", "drives"])
def test_people_who_come_find_an_open_door_and_a_physician(city, request):
    """What is false about their visits is the need, not the opening hours."""
    city = request.getfixturevalue(city)
    shut = """
        FROM true_claims JOIN claims c USING (claim_id) JOIN providers p USING (provider_id)
        WHERE c.physician_id IS NULL OR c.admitted_at::DATE < p.opened_on
        OR c.admitted_at::DATE BETWEEN p.suspended_from AND p.suspended_to"""
    assert city.one(f"SELECT count(*) {shut}") == 0


# Days on which two people who share no household were both at a house, of a pair with several such houses.
TOGETHER = """
    SELECT p.patient_id, coalesce(max(n), 0) FROM patients p LEFT JOIN (
     SELECT a.patient_id, count(DISTINCT a.admitted_at::DATE) AS n FROM claims a
     JOIN claims b ON a.provider_id = b.provider_id AND a.admitted_at::DATE = b.admitted_at::DATE
     AND a.patient_id <> b.patient_id WHERE a.visit_type IN ('outpatient', 'inpatient')
     AND b.visit_type IN ('outpatient', 'inpatient') GROUP BY a.patient_id, b.patient_id
     HAVING count(DISTINCT a.provider_id) >= 2) USING (patient_id) GROUP BY 1"""


def test_joint_visits_at_several_houses_rank_the_members_of_rings_first(rings):
    assert rings.ranks(TOGETHER, "patient") > 0.85


def test_a_ring_has_physicians_who_see_most_of_it(rings):
    physicians = {who for (who,) in rings.all("SELECT entity_id FROM true_actors WHERE entity = 'physician'")}
    assert physicians
    share = rings.one("""
        SELECT avg((physician_id IN (SELECT entity_id FROM true_actors WHERE entity = 'physician'))::INT)
        FROM true_claims JOIN claims USING (claim_id) WHERE visit_type = 'outpatient'""")  # fmt: skip
    assert share > 0.5


def test_a_ring_is_also_admitted_together_and_leaves_on_one_day(rings):
    groups = rings.all("""
        SELECT count(*), count(DISTINCT discharged_at::DATE) FROM true_claims JOIN claims USING (claim_id)
        WHERE visit_type = 'inpatient' GROUP BY provider_id, admitted_at::DATE HAVING count(*) >= 3""")  # fmt: skip
    assert groups
    assert all(days == 1 for _, days in groups)


def test_recruits_are_neighbours_of_each_other_but_of_different_households(recruiters):
    """Members of a household share an account for what is paid by hand; those of a group share the recruiter's."""
    accounts = recruiters.all("""
        SELECT payee_account, count(DISTINCT patient_id) FROM true_claims JOIN claims USING (claim_id)
        WHERE settlement_channel = 'manual' GROUP BY 1""")  # fmt: skip
    assert max(n for _, n in accounts) >= 4
    honest = recruiters.one("""
        SELECT max(n) FROM (SELECT count(DISTINCT patient_id) AS n FROM claims WHERE settlement_channel = 'manual'
        AND claim_id NOT IN (SELECT claim_id FROM true_claims) GROUP BY payee_account)""")  # fmt: skip
    assert honest < 4


def test_accounts_of_unrelated_people_rank_the_hospitals_of_recruiters_first(recruiters):
    heads = {
        h
        for (h,) in recruiters.all("""
        SELECT DISTINCT provider_id FROM true_claims JOIN claims USING (claim_id) WHERE visit_type = 'inpatient'""")
    }
    shared = dict(recruiters.all("""
        SELECT provider_id, max(n) FROM (SELECT provider_id, payee_account, count(DISTINCT patient_id) AS n FROM claims
        WHERE settlement_channel = 'manual' GROUP BY 1, 2) GROUP BY 1"""))  # fmt: skip
    hospitals = [h for (h,) in recruiters.all("SELECT provider_id FROM providers WHERE licensed_beds > 0")]
    ranked = sorted(hospitals, key=lambda h: -shared.get(h, 0))
    assert heads
    assert len(heads & set(ranked[: len(heads)])) >= len(heads) - 1


def test_recruits_were_seen_at_a_clinic_of_the_recruiter_just_before(recruiters):
    sent = recruiters.one("""
        SELECT avg(EXISTS (FROM claims v JOIN true_claims USING (claim_id) WHERE v.patient_id = c.patient_id
        AND v.visit_type = 'outpatient' AND date_diff('day', v.admitted_at, c.admitted_at) BETWEEN 0 AND 3)::INT)
        FROM true_claims JOIN claims c USING (claim_id) WHERE visit_type = 'inpatient'""")  # fmt: skip
    assert 0.2 < sent < 0.9
    clinics = """SELECT DISTINCT provider_id FROM true_claims JOIN claims USING (claim_id)
        WHERE visit_type = 'outpatient'"""
    kinds = recruiters.all(f"SELECT DISTINCT kind FROM providers WHERE provider_id IN ({clinics})")
    assert kinds == [("clinic",)]


def test_paper_claims_of_recruiters_are_handled_in_office_hours(recruiters):
    odd = """
        SELECT count(*) FROM true_claims JOIN claims USING (claim_id) WHERE settlement_channel = 'manual'
        AND (hour(settled_at) NOT BETWEEN 9 AND 16 OR isodow(settled_at) > 5 OR terminal_id IS NOT NULL)"""
    assert recruiters.one(odd) == 0


def test_a_recruit_comes_seldom(recruiters):
    gaps = [g for (g,) in recruiters.all("""
        SELECT date_diff('day', lag(discharged_at) OVER (PARTITION BY patient_id ORDER BY admitted_at), admitted_at)
        FROM true_claims JOIN claims USING (claim_id) WHERE visit_type = 'inpatient'""")]  # fmt: skip
    gaps = sorted(g for g in gaps if g is not None)
    assert not gaps or gaps[len(gaps) // 2] > 15


# Visits of a house's strongest week with one disease, above what the same week brings to others of the city; a
# day of free check-ups is over on the same day.
SURGE = """
    WITH weekly AS (SELECT provider_id, primary_diagnosis, date_trunc('week', admitted_at) AS week, count(*) AS n
     FROM claims WHERE visit_type = 'outpatient' GROUP BY ALL HAVING count(DISTINCT admitted_at::DATE) > 1),
    shares AS (SELECT provider_id, sum(n) / (SELECT sum(n) FROM weekly) AS share FROM weekly GROUP BY 1),
    city AS (SELECT primary_diagnosis, week, sum(n) AS everywhere FROM weekly GROUP BY ALL)
    SELECT provider_id, max((n - everywhere * share) / sqrt(1 + everywhere * share))
    FROM weekly JOIN shares USING (provider_id) JOIN city USING (primary_diagnosis, week) GROUP BY 1"""


def test_a_surge_of_one_disease_ranks_the_houses_of_drives_first(drives):
    assert drives.ranks(SURGE) > 0.75


def test_a_drive_names_one_or_two_diseases_for_some_weeks(drives):
    found = drives.all("""
        SELECT provider_id, week // 8, count(DISTINCT primary_diagnosis), count(*) FROM (
         SELECT *, date_diff('week', DATE '2024-07-01', admitted_at) AS week FROM true_claims
         JOIN claims USING (claim_id)) GROUP BY 1, 2 HAVING count(*) >= 5""")  # fmt: skip
    assert found
    assert all(diseases <= 5 for _, _, diseases, _ in found)  # the end of one drive and the next one
    assert sorted(diseases for _, _, diseases, _ in found)[len(found) // 2] <= 2


def test_people_of_a_drive_come_from_elsewhere_and_the_region_stays_calm(drives):
    afar = dict(drives.all("""
        SELECT claim_id IN (SELECT claim_id FROM true_claims), avg((insured_region <> care_region)::INT) FROM claims
        WHERE provider_id IN (SELECT entity_id FROM true_actors) AND visit_type = 'outpatient'
        GROUP BY 1"""))  # fmt: skip
    assert afar[True] > 0.5 > 0.35 > afar[False]
    weekend = drives.one("""
        SELECT count(*) FROM true_claims JOIN claims USING (claim_id) WHERE isodow(admitted_at) = 7""")  # fmt: skip
    assert weekend == 0


@pytest.mark.parametrize("city", ["rings", "recruiters", "drives"])
def test_most_of_what_a_house_of_a_ring_bills_is_honest(city, request):
    city = request.getfixturevalue(city)
    shares = [s for (s,) in city.all("""
        SELECT avg((claim_id IN (SELECT claim_id FROM true_claims))::INT) FROM claims
        WHERE provider_id IN (SELECT entity_id FROM true_actors WHERE entity = 'provider')
        GROUP BY provider_id""")]  # fmt: skip
    assert sorted(shares)[len(shares) // 2] < 0.4
    assert max(shares) < 0.7


def test_followers_share_the_time_of_their_head(recruiters):
    spans = {}
    for entity, _, first, last in recruiters.all(SPANS):
        spans.setdefault(entity, set()).add((first, last))
    assert spans["patient"] <= spans["provider"]
    assert recruiters.one("SELECT count(*) FROM outcomes WHERE entity = 'patient' AND verdict = 'confirmed_fraud'") <= 2
