"""Honest care of the simulated city: courses of illness, calendars, people away, and innocents that look guilty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.simulation import simulate
from fraud.claims.simulation.care import INPATIENT, LONG_TERM, OUTPATIENT, PHARMACY_VISIT, Care, City
from fraud.claims.simulation.city import honest_city
from fraud.claims.simulation.courses import births
from fraud.claims.simulation.mistakes import with_mistakes, with_register
from fraud.claims.simulation.presets import rates_of
from fraud.claims.simulation.providers import CLINIC, PHARMACY, PRIMARY, TIERS
from fraud.claims.simulation.rows import DAY, HOUR, NEVER, NONE, take
from fraud.claims.simulation.seasons import is_holiday

SEED = 5


@dataclass(frozen=True)
class Honest:
    """A city and its care as the simulator knows them, with what belongs to each line."""

    city: City
    care: Care

    @property
    def claims(self) -> dict[str, Any]:
        return self.care.claims

    @property
    def lines(self) -> dict[str, Any]:
        return self.care.lines

    def of_lines(self, column: str) -> Any:
        return self.claims[column][np.searchsorted(self.claims["key"], self.lines["claim"])]

    def coded(self, *codes: str) -> Any:
        """Mask of the claims with one of the diagnoses."""
        return np.isin(self.claims["disease"], [self.city.library.disease[c] for c in codes])

    def at(self, house: int) -> Any:
        return self.claims["provider"] == house


@pytest.fixture(scope="module")
def honest() -> Honest:
    city, care = honest_city(rates_of("town"), (SEED, 0), lambda stage, share: None)
    return Honest(city, care)


@pytest.fixture(scope="module")
def payer(tmp_path_factory):
    result = simulate(tmp_path_factory.mktemp("honest") / "payer", preset="town", seed=SEED, schemes=False)
    connection = connect()
    ClaimsFolder(result.to).attach(connection)
    yield connection
    connection.close()


def one(payer: duckdb.DuckDBPyConnection, query: str) -> Any:
    return payer.execute(query).fetchall()[0][0]


# --- nobody works when away ------------------------------------------------------------------------------

AWAY = {
    "a physician without a licence": """
        SELECT claim_id FROM lines JOIN physicians USING (physician_id)
        WHERE service_at::DATE > licensed_to OR service_at::DATE < licensed_from""",
    "a suspended physician": """
        SELECT claim_id FROM lines JOIN physicians USING (physician_id)
        WHERE service_at::DATE BETWEEN suspended_from AND suspended_to""",
    "a physician who lies in hospital": """
        SELECT l.claim_id FROM lines l JOIN physicians p USING (physician_id) JOIN claims s
        ON s.patient_id = p.patient_id AND l.service_at BETWEEN s.admitted_at AND s.discharged_at
        WHERE s.visit_type = 'inpatient'""",
    "a physician after death": """
        SELECT claim_id FROM lines JOIN physicians p USING (physician_id) JOIN patients q ON q.patient_id = p.patient_id
        WHERE service_at::DATE > died_on""",
    "a suspended house": """
        SELECT claim_id FROM claims JOIN providers USING (provider_id)
        WHERE admitted_at::DATE BETWEEN suspended_from AND suspended_to""",
    "a house that is not open yet": """
        SELECT claim_id FROM claims JOIN providers USING (provider_id) WHERE admitted_at::DATE < opened_on""",
    "an unborn patient": """
        SELECT claim_id FROM claims JOIN patients USING (patient_id) WHERE admitted_at::DATE < birth_date""",
    "a carer at the home of somebody who is in hospital": """
        SELECT c.claim_id FROM lines l JOIN claims c USING (claim_id) JOIN claims s USING (patient_id)
        WHERE c.visit_type = 'long_term_care' AND s.visit_type = 'inpatient'
        AND l.service_at BETWEEN s.admitted_at AND s.discharged_at""",
    "a carer at two places at once": """
        SELECT a.claim_id FROM lines a JOIN lines b USING (physician_id, item_code) JOIN claims c
        ON c.claim_id = a.claim_id JOIN claims d ON d.claim_id = b.claim_id
        WHERE c.visit_type = 'long_term_care' AND c.invoice_no <> d.invoice_no
        AND item_code = (SELECT item_code FROM catalogue WHERE visit_type_limit = 'long_term_care'
            AND max_per_day = 12 AND minutes = 60)
        AND b.service_at >= a.service_at AND b.service_at < a.service_at + a.quantity * INTERVAL 1 HOUR""",
}  # fmt: skip


@pytest.mark.parametrize("who", AWAY)
def test_no_honest_care_is_given_by_or_to_somebody_who_cannot_be_there(payer, who):
    assert payer.execute(AWAY[who]).fetchall() == []


def test_physicians_do_no_honest_work_on_leave(honest):
    staff, who = honest.city.physicians, honest.claims["physician"]
    seen = who >= 0
    assert staff.leave[staff.provider >= 0].any()
    assert not staff.is_away(who[seen], honest.claims["admitted"][seen]).any()
    hands = honest.lines["physician"]
    known = hands >= 0
    assert not staff.is_away(hands[known], honest.lines["at"][known]).any()


def test_every_kind_of_absence_occurs(honest):
    staff, houses = honest.city.physicians, honest.city.providers
    assert staff.ill.any()
    assert (staff.suspended_from != NONE).any()
    assert (staff.licensed_to != NONE).any()
    for tier in (CLINIC, PHARMACY):
        assert ((houses.suspended_from != NONE) & (houses.tier == tier)).any()
    assert not np.isin(np.flatnonzero(houses.suspended_from != NONE), houses.innocents).any()


def test_physicians_work_five_or_six_days_a_week_and_some_nights(honest):
    staff = honest.city.physicians
    hospital = np.isin(staff.provider, np.flatnonzero(honest.city.providers.tier <= PRIMARY))
    assert set(staff.roster[hospital].sum(axis=1)) <= {4, 5, 6, 7}
    night = honest.claims["admitted"] % DAY < 5 * HOUR
    assert night.any()
    assert (honest.city.providers.tier[honest.claims["provider"][night]] <= PRIMARY).all()


def test_somebody_on_duty_is_found_unless_nobody_is(honest):
    staff, rng = honest.city.physicians, np.random.default_rng(1)
    house = np.repeat(np.arange(len(honest.city.providers)), 3)
    at = honest.city.begins + rng.integers(0, honest.city.days, len(house)) * DAY + 10 * HOUR
    found = staff.on_duty(house, np.zeros(len(house), np.int64), rng, at)
    assert (staff.provider[found[found >= 0]] == house[found >= 0]).all()
    assert staff.works(found[found >= 0], at[found >= 0]).all()
    shops = honest.city.providers.tier[house] == PHARMACY
    assert (found[shops] == -1).all()
    named = staff.named(house, np.zeros(len(house), np.int64), at, rng)
    assert (named[~shops] >= 0).all()


def test_operators_handle_papers_of_their_region_in_office_hours(honest):
    desk, claims = honest.city.operators, honest.claims
    direct = claims["manual"] == 0
    region = honest.city.providers.region[claims["provider"]]
    assert (desk.region[claims["operator"][direct]] == region[direct]).all()
    weekday = (claims["settled"] // DAY + 3) % 7
    assert desk.roster[claims["operator"], weekday].all()
    papers = take(claims, ~direct)
    hour = papers["settled"] % DAY / HOUR
    assert len(hour) > 100
    assert hour.min() >= 9
    assert hour.max() < 17
    assert (((papers["settled"] // DAY + 3) % 7) < 5).all()
    assert not is_holiday(papers["settled"] // DAY).any()
    assert (papers["settled"] - papers["discharged"]).min() > 4 * DAY


# --- courses of illness ----------------------------------------------------------------------------------


def test_visits_are_followed_by_others_for_the_same_illness(honest):
    claims = honest.claims
    later = (claims["turn"] > 0) & (claims["kind"] == OUTPATIENT)
    assert 0.1 < later.sum() / (claims["kind"] == OUTPATIENT).sum() < 0.5
    referred = later & (claims["sent"] == 1) & ~honest.coded("Z510")
    assert 0.02 < referred.sum() / later.sum() < 0.35
    assert (honest.city.providers.tier[claims["provider"][referred]] <= TIERS.index("secondary")).mean() > 0.95


def test_many_sudden_stays_begin_at_the_emergency_desk_of_the_house(payer):
    came = """SELECT avg((claim_id IN (SELECT s.claim_id FROM claims s JOIN claims v USING (patient_id, provider_id)
        WHERE s.visit_type = 'inpatient' AND v.visit_type = 'emergency' AND v.primary_diagnosis = s.primary_diagnosis
        AND v.admitted_at BETWEEN s.admitted_at - INTERVAL 6 HOUR AND s.admitted_at))::INT)
        FROM claims WHERE visit_type = 'inpatient' AND planned = {planned}"""
    assert one(payer, came.format(planned=False)) > 0.15
    assert one(payer, came.format(planned=True)) < 0.02


def test_patients_come_for_a_check_after_a_stay(payer):
    share = one(payer, """
        SELECT avg((claim_id IN (SELECT s.claim_id FROM claims s JOIN claims v USING (patient_id, primary_diagnosis)
        WHERE s.visit_type = 'inpatient' AND v.visit_type = 'outpatient'
        AND v.admitted_at BETWEEN s.discharged_at + INTERVAL 5 DAY AND s.discharged_at + INTERVAL 40 DAY))::INT)
        FROM claims WHERE visit_type = 'inpatient' AND primary_diagnosis NOT LIKE 'Z51%'""")  # fmt: skip
    assert 0.2 < share < 0.7


def test_the_chronically_ill_are_admitted_for_what_their_illness_leads_to(honest):
    lib, folk = honest.city.library, honest.city.people
    old = folk.age(np.arange(len(folk)), np.full(len(folk), honest.city.begins)) > 50
    strained = folk.conditions[:, [lib.disease[c] for c in ("I10", "I251", "E119")]].any(axis=1)
    stroke = honest.claims["patient"][honest.coded("I639", "I219") & (honest.claims["kind"] == INPATIENT)]
    ill, well = strained[stroke].sum() / (strained & old).sum(), (~strained[stroke]).sum() / (~strained & old).sum()
    assert ill > 1.5 * well


def test_pregnancies_go_from_antenatal_visits_to_a_birth_and_to_checks_of_the_child(honest):
    claims, folk = honest.claims, honest.city.people
    stays = take(claims, honest.coded("O800", "O820") & (claims["kind"] == INPATIENT))
    assert len(stays["key"]) > 15
    born = births(honest.city)
    due = dict(zip(born["patient"].tolist(), (born["at"] // DAY).tolist(), strict=True))
    assert all(abs(day - due[mother]) <= 2 for mother, day in
               zip(stays["patient"].tolist(), (stays["admitted"] // DAY).tolist(), strict=True))  # fmt: skip
    visits = take(claims, honest.coded("Z349"))
    counts = np.bincount(visits["patient"], minlength=len(folk))[stays["patient"]]
    assert np.median(counts[stays["admitted"] > honest.city.begins + 200 * DAY]) >= 5
    assert set(visits["patient"].tolist()) <= set(due)
    children = claims["patient"][honest.coded("Z001")]
    age = folk.age(children, claims["admitted"][honest.coded("Z001")])
    assert age.max() < 4
    assert np.isin(born["child"][born["child"] >= 0], children).mean() > 0.6


def test_chemotherapy_comes_in_cycles_and_radiotherapy_on_weekdays(honest):
    claims = honest.claims
    cycles = take(claims, honest.coded("Z511"))
    order = np.lexsort((cycles["admitted"], cycles["patient"]))
    same = np.diff(cycles["patient"][order]) == 0
    gaps = (np.diff(cycles["admitted"][order]) // DAY)[same]
    assert same.sum() > 20
    assert 13 <= np.median(gaps) <= 24
    assert (cycles["planned"] == 1).all()
    sessions = take(claims, honest.coded("Z510"))
    assert np.bincount(sessions["patient"]).max() >= 15
    assert (((sessions["admitted"] // DAY + 3) % 7) < 5).all()


def test_care_at_home_is_billed_by_the_week_and_leaves_out_stays(honest):
    claims = take(honest.claims, honest.claims["kind"] == LONG_TERM)
    assert len(claims["key"]) > 100
    week = (claims["admitted"] // DAY - 4) // 7
    assert len(np.unique(claims["patient"] * 10_000 + week)) == len(week)
    lines = take(honest.lines, np.isin(honest.lines["claim"], claims["key"]))
    hours = lines["item"] == honest.city.library.position["ltc_care_hour"]
    visits = np.bincount(np.searchsorted(claims["key"], lines["claim"][hours]))
    assert 2 <= np.median(visits) <= 4
    settled = claims["settled"] // DAY
    assert (((settled + 3) % 7) == 0).all()
    age = honest.city.people.age(claims["patient"], claims["admitted"])
    assert np.median(age) > 70


# --- the calendar ----------------------------------------------------------------------------------------


def test_influenza_comes_in_a_wave_of_weeks_in_every_region(honest):
    claims = take(honest.claims, honest.city.catching[honest.claims["disease"]])
    day = claims["admitted"] // DAY
    peak = int(np.datetime64("2024-12-30", "D").astype(np.int64))
    wave, after = abs(day - peak) <= 14, abs(day - peak - 63) <= 14
    assert wave.sum() > 1.6 * after.sum()
    region = honest.city.providers.region[claims["provider"]]
    assert all((wave & (region == r)).sum() > 1.2 * (after & (region == r)).sum() for r in range(3))


def test_desks_are_quiet_on_public_holidays(honest):
    days = honest.city.start + np.arange(honest.city.days)
    visits = np.bincount(
        honest.claims["admitted"][honest.claims["kind"] == OUTPATIENT] // DAY - honest.city.start, minlength=len(days)
    )
    assert is_holiday(days).sum() >= 20
    assert visits[is_holiday(days)].mean() < 0.55 * visits[~is_holiday(days)].mean()


def test_some_houses_raise_their_prices_once_and_never_above_the_cap(payer):
    lists = payer.execute("""
        SELECT provider_id, item_code, count(DISTINCT unit_price), max(unit_price) <= any_value(price_cap),
        arg_max(unit_price, service_at) >= arg_min(unit_price, service_at)
        FROM lines JOIN claims USING (claim_id) JOIN catalogue USING (item_code)
        GROUP BY 1, 2""").fetchall()  # fmt: skip
    assert max(prices for _, _, prices, *_ in lists) == 2
    assert all(up and below for *_, up, below in lists)
    raising = {house for house, _, prices, *_ in lists if prices == 2}
    assert 0.1 < len(raising) / len({house for house, *_ in lists}) < 0.5


def test_clinics_rest_on_a_day_of_the_week_and_on_holidays(honest):
    houses, claims = honest.city.providers, honest.claims
    clinic = take(claims, houses.tier[claims["provider"]] == CLINIC)
    assert houses.open_at(clinic["provider"], clinic["admitted"]).all()
    assert (~houses.week[houses.tier == CLINIC]).any()
    assert houses.rests[houses.tier == CLINIC].any()


def test_large_examinations_need_the_machine(honest):
    houses = honest.city.providers
    assert houses.machines[honest.of_lines("provider"), honest.lines["item"]].all()
    large = honest.city.library.items["large_equipment"]
    assert not houses.machines[houses.tier == CLINIC][:, large].any()
    assert not houses.machines[houses.tier == TIERS.index("secondary")][:, large].all()


def test_some_uploads_are_late_and_some_are_corrected(payer):
    days = "SELECT avg((date_diff('day', settled_at, uploaded_at) BETWEEN {} AND {})::INT) FROM claims"
    assert 0.003 < one(payer, days.format(2, 20)) < 0.02
    assert 0.001 < one(payer, days.format(21, 60)) < 0.01


def test_care_outside_the_region_has_every_reason_of_the_contract(payer):
    kinds = {kind for (kind,) in payer.execute("SELECT DISTINCT out_of_area FROM claims").fetchall()}
    assert kinds == {"none", "resident", "resident_unsettled", "referral", "self_arranged", "emergency"}


def test_assistance_lapses_for_some_and_raises_what_the_fund_pays(payer):
    lapsed = "SELECT count(*) FROM patients WHERE assistance_to < '2025-12-01' AND assistance_to > '2024-08-01'"
    assert one(payer, lapsed) > 5
    assert (
        one(payer, "SELECT count(*) FROM patients WHERE (assistance <> 'none') <> (assistance_from IS NOT NULL)") == 0
    )
    waived = one(payer, """
        SELECT max(deductible) FROM claims JOIN patients USING (patient_id) WHERE visit_type = 'inpatient'
        AND admitted_at::DATE BETWEEN assistance_from AND assistance_to""")  # fmt: skip
    assert waived == 0
    paid = one(payer, """
        SELECT max(deductible) FROM claims JOIN patients USING (patient_id)
        WHERE visit_type = 'inpatient' AND admitted_at::DATE > assistance_to""")  # fmt: skip
    assert paid is None or paid > 0


# --- innocents that look guilty --------------------------------------------------------------------------


def test_every_innocent_house_is_there_and_none_twice(honest):
    innocents = honest.city.providers.innocents
    assert len(innocents) == len(set(innocents)) == 9
    small = honest_city(rates_of("demo", 1_000), (1, 0), lambda stage, share: None)[0].providers
    assert 3 <= len(small.innocents) < 9
    assert min(small.innocents) >= 0


def test_the_referral_centre_is_dear_and_gets_the_hard_cases(honest):
    claims, lib = honest.claims, honest.city.library
    series = np.array([code.startswith(("Z51", "O8")) for code in lib.diseases["code"]])
    stays = take(claims, (claims["kind"] == INPATIENT) & ~series[claims["disease"]])
    tertiary = honest.city.providers.tier[stays["provider"]] == TIERS.index("tertiary")
    centre = stays["provider"] == honest.city.providers.referral
    others = tertiary & ~centre
    assert centre.sum() > 50
    assert stays["severity"][centre].mean() > 1.3 * stays["severity"][others].mean()
    hard = lib.diseases["complexity"][stays["disease"]] == 3
    assert hard[centre].mean() > hard[others].mean()


def test_a_hospice_has_short_stays_that_end_with_a_death(payer):
    nights, died, n = payer.execute("""
        SELECT avg(date_diff('day', admitted_at, discharged_at)), avg((discharge_status = 'died')::INT), count(*)
        FROM claims JOIN providers USING (provider_id)
        WHERE name LIKE '%安宁疗护院' AND primary_diagnosis = 'Z515'""").fetchall()[0]  # fmt: skip
    assert n >= 4
    assert died > 0.5
    assert nights < 25


def test_a_rehabilitation_hospital_has_long_stays_with_much_therapy(payer):
    nights, share = payer.execute("""
        SELECT avg(DISTINCT date_diff('day', admitted_at, discharged_at)),
        sum(amount) FILTER (category = 'therapy') / sum(amount)
        FROM lines JOIN catalogue USING (item_code) JOIN claims USING (claim_id) JOIN providers USING (provider_id)
        WHERE providers.name LIKE '%康复医院' AND primary_diagnosis = 'Z509'
        AND visit_type = 'inpatient'""").fetchall()[0]  # fmt: skip
    assert nights > 18
    assert share > 0.25


def test_a_new_hospital_has_patients_from_the_day_it_opens(honest):
    houses, claims = honest.city.providers, honest.claims
    fresh = houses.odd.fresh
    begins = claims["admitted"][honest.at(fresh)]
    opened = houses.opened[fresh] * DAY
    assert honest.city.begins < opened < honest.city.ends
    assert begins.min() >= opened
    assert begins.min() < opened + 10 * DAY
    assert len(begins) > 100


def test_a_clinic_that_moved_has_other_patients_than_before(honest):
    houses, claims = honest.city.providers, honest.claims
    mine = take(claims, honest.at(houses.odd.moved))
    before = mine["admitted"] < houses.moved_at
    assert before.any()
    assert (~before).any()
    home = honest.city.people.region[mine["patient"]]
    assert (home[before] == houses.region[houses.odd.moved]).mean() < 0.5
    assert (home[~before] == houses.region[houses.odd.moved]).mean() > 0.5


def test_the_pharmacy_at_the_gate_fills_when_the_hospital_closes(honest):
    houses, claims = honest.city.providers, honest.claims
    at = claims["admitted"][honest.at(houses.odd.beside)] % DAY
    others = claims["admitted"][(claims["kind"] == PHARMACY_VISIT) & ~honest.at(houses.odd.beside)] % DAY
    evening = [((t > 17.4 * HOUR) & (t < 18.25 * HOUR)).mean() for t in (at, others)]
    assert evening[0] > 1.35 * evening[1]
    assert np.hypot(*(houses.place[houses.odd.beside] - houses.place[houses.referral])) < 0.001


def test_days_of_check_ups_bring_dozens_to_one_house_within_hours(honest):
    claims = take(honest.claims, honest.at(honest.city.providers.odd.fair) & (honest.claims["kind"] == OUTPATIENT))
    day, count = np.unique(claims["admitted"] // DAY, return_counts=True)
    busy = day[count > 6 * np.median(count)]
    busy = busy[((busy + 3) % 7) == 5]
    assert len(busy) >= 2
    hour = claims["admitted"][np.isin(claims["admitted"] // DAY, busy)] % DAY // HOUR
    assert np.isin(hour, (9, 10, 11, 12)).mean() > 0.8


def test_twins_and_families_with_flu_come_together(honest):
    claims, folk = honest.claims, honest.city.people
    visits = take(claims, claims["kind"] == OUTPATIENT)
    order = np.lexsort((visits["admitted"], folk.household[visits["patient"]]))
    home, at = folk.household[visits["patient"]][order], visits["admitted"][order]
    together = (np.diff(home) == 0) & (np.diff(at) < 1600) & (np.diff(visits["patient"][order]) != 0)
    together &= np.diff(visits["provider"][order]) == 0
    assert together.sum() > 60
    ill = honest.city.catching[visits["disease"][order]][1:][together]
    assert 0.3 < ill.mean() <= 1
    twins = folk.twin[visits["patient"][order]][1:][together] >= 0
    assert twins.any()


def test_namesakes_share_birthday_sex_and_doctors_but_not_a_home(honest):
    folk, usual = honest.city.people, honest.city.providers.usual
    one = np.flatnonzero(folk.namesake >= 0)
    other = folk.namesake[one]
    assert len(one) >= 3
    assert (folk.birth[one] == folk.birth[other]).all()
    assert (folk.sex[one] == folk.sex[other]).all()
    assert (folk.household[one] != folk.household[other]).all()
    assert (usual[one] == usual[other]).mean() > 0.9


def test_one_honest_surgeon_does_the_work_of_several(honest):
    staff, claims = honest.city.physicians, honest.claims
    surgery = honest.city.library.departments.index("surgery")
    team = np.flatnonzero((staff.provider == honest.city.providers.referral) & (staff.department == surgery))
    work = np.bincount(claims["physician"][claims["physician"] >= 0], minlength=len(staff))[team]
    assert len(team) == 1 or work.max() > 2 * np.median(work)


def test_some_physicians_treat_their_own_family(honest):
    staff, folk, claims = honest.city.physicians, honest.city.people, honest.claims
    relative = staff.relative[folk.household[claims["patient"]]]
    own = (relative >= 0) & (claims["physician"] == relative)
    assert len(np.unique(claims["physician"][own])) >= 3


def test_a_rare_disease_takes_its_patient_to_many_hospitals(honest):
    visits = take(honest.claims, (honest.claims["kind"] == OUTPATIENT) & honest.coded("M329", "E230", "K519", "N049"))
    pairs = np.unique(np.stack([visits["patient"], visits["provider"]]), axis=1)
    assert np.bincount(pairs[0]).max() >= 4


def test_honest_mistakes_are_a_digit_typed_twice_and_a_discharge_a_day_early(honest):
    keys, care = with_mistakes(honest.city, honest.care)
    typed = care.lines["quantity"] != honest.lines["quantity"]
    assert 3 <= typed.sum() <= 15
    assert (care.lines["quantity"][typed] == 11 * honest.lines["quantity"][typed]).all()
    early = care.claims["discharged"] != honest.claims["discharged"]
    assert 3 <= early.sum() <= 15
    assert (care.claims["discharged"][early] > care.claims["admitted"][early] + DAY).all()
    assert set(keys) == set(care.lines["claim"][typed]) | set(care.claims["key"][early])


def test_checks_of_the_data_find_most_mistakes_and_nobody_is_blamed_for_them(payer):
    mistakes = "FROM outcomes WHERE verdict = 'data_error' AND entity = 'claim'"
    assert 10 <= one(payer, f"SELECT count(*) {mistakes}") < 80
    assert one(payer, f"SELECT count(violation) {mistakes}") == 0


def test_a_wrong_sex_in_the_register_contradicts_no_care(honest):
    folk = with_register(honest.city, honest.care).people
    wrong = np.flatnonzero(folk.sex_written != folk.sex)
    assert 1 <= len(wrong) <= 10
    bound = honest.city.library.diseases["sex"][honest.claims["disease"]] != ""
    assert not np.isin(honest.claims["patient"][bound], wrong).any()


def test_nobody_innocent_of_a_clean_city_is_in_the_truth(tmp_path):
    result = simulate(tmp_path / "payer", claims=2_000, schemes=False)
    assert set(result.truth_counts.values()) == {0}


# --- margins ---------------------------------------------------------------------------------------------


def test_the_dead_are_some_and_stay_dead(honest):
    folk, claims = honest.city.people, honest.claims
    assert 0.001 < (folk.died != NEVER).mean() < 0.02
    assert (claims["admitted"] <= folk.died[claims["patient"]]).all()


@pytest.mark.parametrize(("preset", "claims"), [("town", None), ("city", 60_000)])
def test_use_and_length_of_care_are_near_the_published_figures(tmp_path, preset, claims):
    """The ranges are those of `library/published.csv`; docs/simulation.md says where they come from."""
    result = simulate(tmp_path / "payer", preset=preset, claims=claims, seed=11, schemes=False)
    with connect() as payer:
        ClaimsFolder(result.to).attach(payer)
        years = rates_of(preset)["days"] / 365.25 * one(payer, "SELECT count(*) FROM patients")
        stays = one(payer, "SELECT count(*) FROM claims WHERE visit_type = 'inpatient'") / years
        visits = one(payer, "SELECT count(*) FROM claims WHERE visit_type IN ('outpatient', 'emergency', 'chronic')")
        assert 0.14 < stays < 0.26
        assert 2.4 < visits / years < 8
        days = "SELECT avg(date_diff('day', admitted_at, discharged_at)) FROM claims WHERE visit_type = 'inpatient'"
        assert 7.2 < one(payer, days) < 10.8
        assert (
            0.02
            < one(payer, "SELECT avg((out_of_area <> 'none')::INT) FROM claims WHERE visit_type = 'inpatient'")
            < 0.22
        )
