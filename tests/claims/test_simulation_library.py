"""The knowledge library of the simulated payer: whole, lawful in itself, and near to what is published."""

from __future__ import annotations

import csv
import re
from collections import Counter
from importlib.resources import files
from itertools import chain

import numpy as np
import pytest

from fraud.claims.schema import TABLES
from fraud.claims.simulation.items import LEVELS, Library, Order, library, published

CATEGORIES = TABLES["catalogue"].by_name["category"].values
CLASSES = ("A", "B", "C", "special_A", "special_B")
GRADES = ("unrestricted", "restricted", "special")
VISIT_TYPES = TABLES["claims"].by_name["visit_type"].values
# WHO: a letter, two digits, a letter, a letter, two digits; shorter for a whole group.
ATC = re.compile(r"[A-Z]\d{2}[A-Z]([A-Z](\d{2})?)?")
ICD = re.compile(r"[A-Z]\d{2}\d?")
# A group of related diagnoses: major category, kind of treatment, number; the code adds a digit for severity.
GROUP = re.compile(r"[A-Z][A-Z][1-9]")
OLDEST = 97


@pytest.fixture(scope="module")
def lib() -> Library:
    return library()


def records(name: str) -> list[dict[str, str]]:
    text = files("fraud.claims.simulation").joinpath("library", f"{name}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def orders_of(lib: Library, disease: int) -> tuple[Order, ...]:
    return lib.visit_orders[disease] + lib.ward_orders[disease]


def named(lib: Library, mask: np.ndarray) -> list[str]:
    """Keys of the items in the mask: what a failure shows."""
    return lib.items["key"][mask].tolist()


# --- size and form ---------------------------------------------------------------------------------------


def test_the_library_is_large_enough_for_a_payer(lib):
    assert len(lib.items["key"]) >= 520
    assert len(lib.diseases["code"]) >= 130
    assert len(lib.complications["code"]) >= 45
    assert len(lib.exclusions["kind"]) >= 90
    counts = Counter(lib.items["category"])
    assert set(counts) == set(CATEGORIES)
    assert min(counts.values()) >= 10


def test_positions_of_items_fit_into_three_digits(lib):
    """The simulator packs claim, day and item into one number, with three digits for the item."""
    assert len(lib.items["key"]) < 1_000
    assert len(lib.codes) < 1_000


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("items", ("category", "key")),
        ("diseases", ("department", "code")),
        ("exclusions", ("package", "included")),
        ("external_causes", ("code",)),
    ],
)
def test_files_are_sorted_and_name_nothing_twice(name, key):
    keys = [tuple(record[column] for column in key) for record in records(name)]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_every_item_has_what_all_items_need(lib):
    for column in ("key", "item_code", "name"):
        assert all(lib.items[column])
        assert len(set(lib.items[column])) == len(lib.items[column])
    assert set(lib.items["class"]) == set(CLASSES)
    assert (lib.items["price_cap"] > 0).all()
    assert set(lib.items["sex_limit"]) <= {"", "male", "female"}
    assert set(lib.items["level_limit"]) <= {"", *LEVELS}
    assert set(lib.items["visit_type_limit"]) <= {"", *VISIT_TYPES}
    low, high = lib.items["age_min"], lib.items["age_max"]
    assert not named(lib, (low > high) | (low < 0) | (high > 120))


def test_every_drug_lasts_some_days_within_its_longest_supply(lib):
    drug, days, most = lib.is_category("drug"), lib.items["days_per_unit"], lib.items["max_days_supply"]
    assert not named(lib, drug & ~((days >= 1) & (days <= most) & (most <= 365)))
    assert not named(lib, ~drug & ~(np.isnan(days) & np.isnan(most)))


def test_every_service_has_a_most_per_day_and_those_by_the_hour_allow_no_more_than_a_day_has(lib):
    most, hourly = lib.items["max_per_day"], np.array(["(小时)" in name for name in lib.items["name"]])
    assert not named(lib, ~lib.is_category("drug") & ~(most >= 1))
    assert not named(lib, hourly & ~(most <= 24))
    by_the_hour = set(named(lib, hourly & (most == 24)))
    assert {"oxygen_hour", "monitoring_hour", "ventilator_hour"} <= by_the_hour


def test_whatever_a_person_does_takes_minutes_and_none_takes_more_than_a_day(lib):
    by_hand = lib.is_category("treatment", "therapy", "surgery", "nursing", "examination", "laboratory")
    minutes = lib.items["minutes"]
    assert not named(lib, by_hand & ~((minutes >= 1) & (minutes < 1440)))
    assert not named(lib, lib.is_category("consumable") & (minutes > 0))
    units = np.where(np.isnan(lib.items["max_per_day"]), 1, lib.items["max_per_day"])
    assert not named(lib, by_hand & (minutes * units > 1440))


def test_examinations_and_tests_have_an_honest_share_of_positive_reports(lib):
    tested, share = lib.is_category("examination", "laboratory"), lib.items["positive_rate"]
    assert not named(lib, tested & ~((share > 0) & (share < 1)))
    assert not named(lib, ~tested & ~np.isnan(share))
    large = lib.items["large_equipment"]
    assert not named(lib, large & ~((share >= 0.5) & (share <= 0.7)))
    assert large.sum() >= 20


def test_atc_classes_have_their_form_and_codes_begin_with_them(lib):
    for code, atc in zip(lib.items["item_code"], lib.items["atc"], strict=True):
        assert not atc or ATC.fullmatch(atc), code
    assert not named(lib, ~lib.is_category("drug") & (lib.items["atc"] != ""))
    chemical = np.array([code.startswith("X") for code in lib.items["item_code"]]) & (lib.items["atc"] != "")
    starts = [code.startswith(f"X{atc}") for code, atc in zip(lib.items["item_code"], lib.items["atc"], strict=True)]
    assert not named(lib, chemical & ~np.array(starts))


def test_duplicate_therapy_can_be_played_in_many_groups(lib):
    boxed = lib.is_category("drug") & ~lib.is_injection
    groups = Counter(atc[:5] for atc in lib.items["atc"][boxed] if len(atc) >= 5)
    assert sum(count >= 2 for count in groups.values()) >= 30


def test_antibiotics_come_in_three_grades_and_special_ones_need_a_hospital(lib):
    grade = lib.items["antibiotic_grade"]
    assert set(grade) == {"", *GRADES}
    special = grade == "special"
    assert not named(lib, special & (lib.items["level"] < LEVELS.index("secondary")))
    systemic = np.array([atc.startswith("J01") for atc in lib.items["atc"]])
    assert not named(lib, systemic & (lib.items["antibiotic_grade"] == "") & ~np.isin(lib.items["key"], UNGRADED))


UNGRADED = ("minocycline", "fosfomycin")  # listed for the skin and for a single dose


def test_every_operation_has_a_procedure_code_and_a_known_anaesthesia(lib):
    operation = lib.is_category("surgery")
    assert all(re.fullmatch(r"\d{3,4}", code) for code in lib.items["procedure"][operation])
    assert not named(lib, ~operation & (lib.items["procedure"] != ""))
    kinds = set(lib.items["anaesthesia"]) - {""}
    assert kinds <= set(lib.position)
    assert len(kinds) >= 4
    assert not named(lib, operation & (lib.items["visit_type_limit"] != "inpatient"))


# --- exclusion pairs -------------------------------------------------------------------------------------


def test_no_pair_contradicts_itself_or_another(lib):
    pairs = set(zip(lib.exclusions["package"].tolist(), lib.exclusions["included"].tolist(), strict=True))
    assert len(pairs) == len(lib.exclusions["kind"])
    assert set(lib.exclusions["kind"]) == {"included", "package_part"}
    assert not [pair for pair in pairs if pair[0] == pair[1] or pair[::-1] in pairs]


def test_no_item_includes_itself_by_way_of_others(lib):
    parts: dict[int, set[int]] = {}
    for package, part in zip(lib.exclusions["package"].tolist(), lib.exclusions["included"].tolist(), strict=True):
        parts.setdefault(package, set()).add(part)

    def within(item: int, seen: frozenset[int]) -> set[int]:
        found = parts.get(item, set()) - seen
        return found | set(chain.from_iterable(within(part, seen | found) for part in found))

    assert not [lib.items["key"][item] for item in parts if item in within(item, frozenset())]


def test_a_package_costs_at_least_as_much_as_its_dearest_part(lib):
    kind, cap = lib.exclusions["kind"], lib.items["price_cap"]
    for package in set(lib.exclusions["package"][kind == "package_part"].tolist()):
        held = lib.exclusions["included"][(lib.exclusions["package"] == package) & (kind == "package_part")]
        dearest = cap[held].max()
        assert dearest <= cap[package], lib.items["key"][package]


# --- diseases --------------------------------------------------------------------------------------------


def test_codes_of_diseases_complications_and_causes_are_icd_codes_without_the_dot(lib):
    assert not [code for code in lib.codes if not ICD.fullmatch(code)]
    assert len(set(lib.diseases["code"])) == len(lib.diseases["code"])
    assert all(code[0] in "VWXY" for code in lib.external_causes["code"])
    assert not [g for g in lib.diseases["drg"] if not GROUP.fullmatch(g)]


def test_rates_ages_and_seasons_of_diseases_are_possible(lib):
    d = lib.diseases
    assert (d["age_low"] <= d["age_high"]).all()
    assert (d["age_low"] >= 0).all()
    assert set(d["complexity"]) == {1, 2, 3}
    assert (np.abs(d["season"]) < 1).all()
    assert ((d["los"] >= 1) & (d["los"] <= 60)).all()
    assert ((d["weight"] > 0) & (d["weight"] < 12)).all()
    rates = d["visits"] + d["emergency"] + d["stays"] + np.nan_to_num(d["prevalence"])
    assert set(d["code"][rates == 0]) == {"Z511"}  # its cycles follow from tumours


def test_who_has_a_chronic_condition_stays_within_its_ages(lib):
    """Refills go on for years: nobody may grow out of the condition, or have it before it begins."""
    d = lib.diseases
    chronic = d["prevalence"] > 0
    assert set(d["code"][chronic]) == set(d["code"][~np.isnan(d["onset"])])
    assert not d["code"][chronic & (d["age_high"] < OLDEST)].tolist()
    assert not d["code"][chronic & (d["onset"] <= d["age_low"])].tolist()


DEPARTMENTS = [
    *("cardiology", "dermatology", "emergency", "endocrinology", "gastroenterology", "general", "geriatrics"),
    *("gynaecology", "infectious", "nephrology", "neurology", "obstetrics", "oncology", "ophthalmology"),
    *("orthopaedics", "otolaryngology", "paediatrics", "psychiatry", "rehabilitation", "respiratory"),
    *("rheumatology", "stomatology", "surgery", "tcm", "urology"),
]


def test_every_department_has_diseases(lib):
    assert list(lib.departments) == DEPARTMENTS
    assert min(Counter(lib.diseases["department"]).values()) >= 3


def test_diseases_with_visits_have_orders_for_visits_and_those_with_stays_orders_for_wards(lib):
    d = lib.diseases
    seen = (d["visits"] > 0) | (d["emergency"] > 0) | (d["prevalence"] > 0)
    admitted = (d["stays"] > 0) | (d["code"] == "Z511")
    for disease, code in enumerate(d["code"]):
        assert not seen[disease] or lib.visit_orders[disease], code
        assert not admitted[disease] or lib.ward_orders[disease], code


def test_an_item_is_ordered_once_for_a_disease_and_with_a_chance(lib):
    for orders in (lib.visit_orders, lib.ward_orders):
        for code, own in zip(lib.diseases["code"], orders, strict=True):
            assert all(0 < order.chance <= 1 for order in own), code
            counts = Counter(chain.from_iterable(set(order.items.tolist()) for order in own))
            assert max(counts.values(), default=1) == 1, code


def test_no_disease_asks_for_two_drugs_of_one_group_at_a_visit(lib):
    """Alternatives stand in one order: honest care does not double a therapy; tuberculosis takes what it takes."""
    atc = lib.items["atc"]
    for code, own in zip(lib.diseases["code"], lib.visit_orders, strict=True):
        groups = Counter(chain.from_iterable({atc[i][:5] for i in order.items if len(atc[i]) >= 5} for order in own))
        assert code == "A162" or max(groups.values(), default=1) == 1, (code, groups.most_common(1))


def paid(lib: Library, code: str, item: int) -> bool:
    prefixes = tuple(lib.items["indications"][item].split())
    return not prefixes or code.startswith(prefixes)


# Which drug a cycle gets follows from the tumour, a second diagnosis of the claim.
BY_TUMOUR = ("paclitaxel", "oxaliplatin", "pemetrexed")


def test_what_is_ordered_for_a_disease_is_paid_for_it_at_visits_and_on_wards(lib):
    tumour = set(lib.keys(*BY_TUMOUR).tolist())
    for disease, code in enumerate(lib.diseases["code"]):
        for item in chain.from_iterable(order.items.tolist() for order in orders_of(lib, disease)):
            assert paid(lib, code, item) or item in tumour, (code, lib.items["key"][item])


def test_every_order_fits_somebody_who_may_have_the_disease(lib):
    d, items = lib.diseases, lib.items
    low, high = np.nan_to_num(items["age_min"], nan=0), np.nan_to_num(items["age_max"], nan=200)
    for disease, code in enumerate(d["code"]):
        for item in chain.from_iterable(order.items.tolist() for order in orders_of(lib, disease)):
            key = items["key"][item]
            assert items["sex_limit"][item] in ("", d["sex"][disease]), (code, key)
            assert low[item] <= d["age_high"][disease], (code, key)
            assert high[item] >= d["age_low"][disease], (code, key)


@pytest.mark.parametrize("level", ["primary", "secondary", "tertiary"])
def test_every_disease_can_be_treated_lawfully_where_its_patients_go(lib, level):
    """An order that no house of the level may give is dropped: enough of them must remain."""
    rank, d = LEVELS.index(level), lib.diseases
    for kinds, orders, rate in (
        ({"", "outpatient", "emergency", "chronic"}, lib.visit_orders, d["visits"]),
        ({"", "inpatient"}, lib.ward_orders, d["stays"]),
    ):
        for disease, own in enumerate(orders):
            beyond = level == "primary" and (lib.needs_hospital[disease] or d["complexity"][disease] == 3)
            if rate[disease] <= 0 or beyond:
                continue
            given = [
                any(lib.items["level"][i] <= rank and lib.items["visit_type_limit"][i] in kinds for i in order.items)
                for order in own
            ]
            assert any(given), d["code"][disease]


def test_only_items_for_the_ward_are_limited_to_it(lib):
    ward_only = {lib.position[k] for k in named(lib, lib.items["visit_type_limit"] == "inpatient")}
    for code, own in zip(lib.diseases["code"], lib.visit_orders, strict=True):
        ordered = set(chain.from_iterable(order.items.tolist() for order in own))
        assert not ordered & ward_only, code


def test_injuries_have_external_causes_and_nothing_else_has(lib):
    for code, causes in zip(lib.diseases["code"], lib.causes_of, strict=True):
        assert all(lib.codes[cause][0] in "VWXY" for cause in causes)
        assert not len(causes) or code[0] in "STM", code
        assert len(causes) or code[0] not in "ST", code


# --- published margins -----------------------------------------------------------------------------------


def test_published_margins_lie_within_their_range_and_say_where_they_come_from():
    margins = published()
    names = [(margin.figure, margin.population) for margin in margins]
    assert len(margins) >= 25
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    for margin in margins:
        assert margin.low < margin.value < margin.high, margin
        assert re.fullmatch(r"[a-z][a-z0-9_]*", margin.figure), margin
        assert 2015 <= margin.year <= 2025, margin
        assert margin.unit, margin
        assert len(margin.source) > 10, margin
    shares = [margin for margin in margins if margin.unit == "share"]
    assert all(0 < margin.low < margin.high < 1 for margin in shares)


def test_most_published_margins_were_checked():
    margins = published()
    assert sum(margin.is_checked for margin in margins) / len(margins) > 0.65


def test_the_three_age_groups_make_up_everybody():
    share = {margin.figure: margin.value for margin in published()}
    assert share["age_0_14_share"] + share["age_15_59_share"] + share["age_60_up_share"] == pytest.approx(1, abs=0.02)
    assert share["age_60_up_share"] > share["age_65_up_share"] > share["age_80_up_share"]
