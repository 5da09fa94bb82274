"""The simulated payer: honest care is lawful, schemes leave traces in behaviour only, and the truth stays apart."""

from __future__ import annotations

import doctest
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.schema import TABLES
from fraud.claims.simulation import SCHEMES, SimulationResult, rows, simulate
from fraud.claims.simulation.items import library
from fraud.errors import ClaimsError


@dataclass(frozen=True)
class Payer:
    """A simulated payer, open to questions in SQL; truth is in `true_claims`, `true_lines`, `true_actors`."""

    result: SimulationResult
    connection: duckdb.DuckDBPyConnection
    work: float = 0.0  # processor time of making it

    def all(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def one(self, query: str) -> Any:
        return self.all(query)[0][0]


def opened(result: SimulationResult) -> Payer:
    connection = connect()
    ClaimsFolder(result.to).attach(connection)
    for part in ("claims", "lines", "actors"):
        connection.execute(f"CREATE VIEW true_{part} AS FROM read_parquet('{result.truth}/{part}.parquet')")
    return Payer(result, connection)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    started = time.process_time()
    result = simulate(tmp_path_factory.mktemp("demo") / "payer")
    payer = replace(opened(result), work=time.process_time() - started)
    yield payer
    payer.connection.close()


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    payer = opened(simulate(tmp_path_factory.mktemp("clean") / "payer", claims=5_000, schemes=False))
    yield payer
    payer.connection.close()


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# --- what is written -------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    first = simulate(tmp_path / "first", seed=3, claims=2_000)
    again = simulate(tmp_path / "again", seed=3, claims=2_000)
    other = simulate(tmp_path / "other", seed=4, claims=2_000)
    assert bytes_of(first.to) == bytes_of(again.to)
    assert bytes_of(first.truth) == bytes_of(again.truth)
    assert bytes_of(first.to)["claims/part-0.parquet"] != bytes_of(other.to)["claims/part-0.parquet"]


def test_the_demo_has_about_thirty_thousand_claims_and_takes_seconds(demo):
    assert demo.result.counts["claims"] == pytest.approx(30_000, rel=0.05)
    assert demo.result.counts["lines"] == pytest.approx(180_000, rel=0.1)
    assert demo.work < 10
    assert demo.result.seconds > 0
    months = demo.one("SELECT date_diff('month', min(settled_at), max(settled_at)) + 1 FROM claims")
    assert months == 18


def test_the_number_of_claims_scales_the_city(clean, demo):
    assert clean.result.counts["claims"] == pytest.approx(5_000, rel=0.1)
    assert clean.result.counts["patients"] < demo.result.counts["patients"] / 4
    assert clean.result.counts["providers"] < demo.result.counts["providers"]


def test_every_table_is_written_with_the_canonical_columns(demo):
    assert set(demo.result.counts) == set(TABLES)
    for name, rows_written in demo.result.counts.items():
        file = demo.result.to / name / "part-0.parquet"
        assert pq.read_schema(file).names == TABLES[name].arrow.names
        assert pq.ParquetFile(file).metadata.num_rows == rows_written > 0


def test_values_stay_within_the_closed_sets_of_the_schema(demo):
    for table in TABLES.values():
        for column in (c for c in table.columns if c.values):
            found = demo.all(f'SELECT DISTINCT "{column.name}" FROM "{table.name}"')
            assert {v for (v,) in found if v is not None} <= set(column.values), (table.name, column.name)


def test_keys_are_unique(demo):
    for table in TABLES.values():
        key = ", ".join(table.key)
        repeated = demo.one(f'SELECT count(*) FROM (SELECT {key} FROM "{table.name}" GROUP BY ALL HAVING count(*) > 1)')
        assert repeated == 0, table.name


@pytest.mark.parametrize(
    ("child", "column", "parent", "key"),
    [
        ("lines", "claim_id", "claims", "claim_id"),
        ("diagnoses", "claim_id", "claims", "claim_id"),
        ("procedures", "claim_id", "claims", "claim_id"),
        ("claims", "claim_id", "lines", "claim_id"),
        ("claims", "claim_id", "diagnoses", "claim_id"),
        ("claims", "patient_id", "patients", "patient_id"),
        ("claims", "provider_id", "providers", "provider_id"),
        ("claims", "physician_id", "physicians", "physician_id"),
        ("physicians", "provider_id", "providers", "provider_id"),
        ("physicians", "patient_id", "patients", "patient_id"),
        ("lines", "item_code", "catalogue", "item_code"),
        ("exclusions", "included_item_code", "catalogue", "item_code"),
        ("true_claims", "claim_id", "claims", "claim_id"),
    ],
)
def test_every_reference_is_found(demo, child, column, parent, key):
    missing = (
        f"SELECT count(*) FROM {child} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT {key} FROM {parent})"
    )
    assert demo.one(missing) == 0


def test_outcomes_and_actors_name_known_entities(demo):
    for entity in ("claim", "patient", "provider"):
        for source in ("outcomes", "true_actors"):
            unknown = demo.one(
                f"SELECT count(*) FROM {source} WHERE entity = '{entity}' "
                f"AND entity_id NOT IN (SELECT {entity}_id FROM {entity}s)"
            )
            assert unknown == 0


def test_amounts_add_up_to_the_cent(demo):
    wrong_lines = "SELECT count(*) FROM lines WHERE round(unit_price * quantity * 100) <> round(amount * 100)"
    assert demo.one(wrong_lines) == 0
    wrong_totals = """
        SELECT count(*) FROM claims JOIN (SELECT claim_id, sum(round(amount * 100)) AS cents FROM lines GROUP BY 1)
        USING (claim_id) WHERE cents <> round(total_amount * 100)"""
    assert demo.one(wrong_totals) == 0
    parts = "round(fund_amount * 100) + round(self_amount * 100) <> round(total_amount * 100)"
    assert demo.one(f"SELECT count(*) FROM claims WHERE {parts} OR fund_amount < 0 OR self_amount < 0") == 0


def test_times_follow_each_other(demo):
    assert demo.one("SELECT count(*) FROM claims WHERE NOT admitted_at <= discharged_at") == 0
    assert demo.one("SELECT count(*) FROM claims WHERE NOT discharged_at < settled_at") == 0
    assert demo.one("SELECT count(*) FROM claims WHERE NOT settled_at < uploaded_at") == 0
    assert demo.one("SELECT count(*) FROM claims WHERE visit_type <> 'inpatient' AND discharged_at <> admitted_at") == 0
    lines = "SELECT count(*) FROM lines JOIN claims USING (claim_id)"
    assert demo.one(f"{lines} WHERE NOT service_at BETWEEN admitted_at AND settled_at") == 0
    assert demo.one(f"{lines} WHERE NOT ordered_at BETWEEN admitted_at AND service_at") == 0
    assert demo.one("SELECT count(*) FROM lines WHERE reported_at < executed_at OR executed_at < service_at") == 0


def test_the_truth_is_nowhere_in_the_claims_folder(demo):
    held = bytes_of(demo.result.to)
    assert set(held) == {f"{name}/part-0.parquet" for name in TABLES} | {"manifest.json"}
    words = {word for s in SCHEMES for word in (s.name, "truth")}
    manifest = json.loads(held["manifest.json"])
    assert not words & set(json.dumps(manifest).replace('"', " ").split())
    texts = [(t.name, c.name) for t in TABLES.values() for c in t.columns if c.kind in ("id", "text")]
    for table, column in texts:
        told = ", ".join(f"'{word}'" for word in words)
        assert demo.one(f'SELECT count(*) FROM "{table}" WHERE "{column}" IN ({told})') == 0
    assert demo.result.truth.parent == demo.result.to.parent
    assert demo.result.truth != demo.result.to


def test_a_clean_city_has_no_truth_and_accuses_nobody(clean):
    assert set(clean.result.truth_counts.values()) == {0}
    verdicts = {v for (v,) in clean.all("SELECT DISTINCT verdict FROM outcomes")}
    assert verdicts <= {"false_positive", "insufficient_evidence", "data_error", "pending"}
    assert "false_positive" in verdicts


def test_honest_people_are_the_same_with_and_without_schemes(tmp_path):
    planted = simulate(tmp_path / "planted", claims=2_000)
    honest = simulate(tmp_path / "honest", claims=2_000, schemes=False)
    assert pq.read_table(planted.to / "catalogue").equals(pq.read_table(honest.to / "catalogue"))
    births = [
        pq.read_table(r.to / "patients", columns=["birth_date"]).to_pydict()["birth_date"] for r in (planted, honest)
    ]
    assert sorted(births[0]) == sorted(births[1])


# --- honest care is lawful -------------------------------------------------------------------------------

LIMITS = {
    "an item twice on a day": """
        SELECT claim_id FROM lines GROUP BY claim_id, item_code, service_at::DATE HAVING count(*) > 1""",
    "a part beside its package": """
        SELECT a.claim_id FROM lines a JOIN exclusions e USING (item_code) JOIN lines b ON b.claim_id = a.claim_id
        AND b.item_code = e.included_item_code AND b.service_at::DATE = a.service_at::DATE""",
    "a price above the cap": "SELECT claim_id FROM lines JOIN catalogue USING (item_code) WHERE unit_price > price_cap",
    "more units than a day allows": """
        SELECT claim_id FROM lines JOIN catalogue USING (item_code)
        GROUP BY claim_id, item_code, service_at::DATE HAVING sum(quantity) > any_value(max_per_day)""",
    "too many days of supply": """
        SELECT claim_id FROM lines JOIN catalogue USING (item_code) WHERE days_supply > max_days_supply""",
    "an item for the other sex": """
        SELECT claim_id FROM lines JOIN catalogue USING (item_code) JOIN claims USING (claim_id)
        JOIN patients p USING (patient_id) WHERE sex_limit <> p.sex""",
    "an item for another kind of visit": """
        SELECT claim_id FROM lines JOIN catalogue USING (item_code) JOIN claims USING (claim_id)
        WHERE visit_type_limit <> visit_type""",
    "an item above the level of the house": """
        SELECT claim_id FROM lines JOIN catalogue USING (item_code) JOIN claims USING (claim_id)
        JOIN providers USING (provider_id) WHERE
        list_position(['primary', 'secondary', 'tertiary'], level_limit)
        > coalesce(list_position(['primary', 'secondary', 'tertiary'], level), 0)""",
    "a drug without its indication": """
        SELECT claim_id FROM lines l JOIN catalogue c USING (item_code) WHERE c.indications IS NOT NULL AND NOT EXISTS
        (FROM diagnoses d WHERE d.claim_id = l.claim_id AND
         len(list_filter(c.indications, lambda code: starts_with(d.code, code))) > 0)""",
    "a stay that overlaps another": """
        SELECT a.claim_id FROM claims a JOIN claims b ON a.patient_id = b.patient_id AND a.claim_id < b.claim_id
        AND a.admitted_at < b.discharged_at AND b.admitted_at < a.discharged_at
        WHERE a.visit_type = 'inpatient' AND b.visit_type = 'inpatient' AND a.invoice_no <> b.invoice_no""",
    "a visit within a stay": """
        SELECT b.claim_id FROM claims a JOIN claims b USING (patient_id) WHERE a.visit_type = 'inpatient'
        AND b.visit_type <> 'inpatient' AND b.admitted_at BETWEEN a.admitted_at AND a.discharged_at""",
    "care after death": """
        SELECT claim_id FROM claims JOIN patients USING (patient_id) WHERE admitted_at::DATE > died_on""",
    "more people than beds": """
        SELECT provider_id FROM (SELECT provider_id, licensed_beds,
         unnest(generate_series(admitted_at::DATE, discharged_at::DATE, INTERVAL 1 DAY)) AS night
         FROM claims JOIN providers USING (provider_id) WHERE visit_type = 'inpatient')
        GROUP BY provider_id, night HAVING count(*) > any_value(licensed_beds)""",
    "a burst at one terminal": """
        SELECT a.claim_id FROM claims a JOIN claims b ON a.terminal_id = b.terminal_id
        AND b.settled_at BETWEEN a.settled_at - INTERVAL 5 MINUTE AND a.settled_at
        GROUP BY a.claim_id HAVING count(*) >= 5""",
}  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS)
def test_nobody_in_a_clean_city_breaks_a_limit(clean, limit):
    assert clean.all(LIMITS[limit]) == []


@pytest.mark.parametrize("limit", [name for name in LIMITS if "stay" in name or "price" in name or "twice" in name])
def test_limits_are_broken_where_schemes_are_planted(demo, limit):
    """Only in claims or by people that the truth names: the check above can fail."""
    broken = {claim for (claim,) in demo.all(LIMITS[limit])}
    touched = {c for (c,) in demo.all("""
        SELECT claim_id FROM true_claims UNION SELECT claim_id FROM claims
        WHERE patient_id IN (SELECT patient_id FROM claims JOIN true_claims USING (claim_id))""")}  # fmt: skip
    assert broken
    assert broken <= touched


def test_age_and_sex_fit_the_diagnoses_of_honest_claims(demo):
    diseases = library().diseases
    bounds = zip(diseases["code"], diseases["sex"], diseases["age_low"], diseases["age_high"], strict=True)
    known = {code: (sex, low, high) for code, sex, low, high in bounds}
    cases = demo.all("""
        SELECT primary_diagnosis, p.sex, date_diff('day', birth_date, admitted_at::DATE) / 365.25
        FROM claims JOIN patients p USING (patient_id)
        WHERE claim_id NOT IN (SELECT claim_id FROM true_claims)""")  # fmt: skip
    odd = [sex for code, sex, _ in cases if known[code][0] not in ("", sex)]
    assert len(odd) <= len(cases) / 1_000  # the sex of some is wrong in the register
    for code, _, age in cases:
        _, low, high = known[code]
        assert low - 0.01 <= age < high + 1.01


def test_diagnoses_are_written_without_the_dot_and_start_with_the_primary_one(demo):
    assert demo.one("SELECT count(*) FROM diagnoses WHERE NOT regexp_full_match(code, '[A-Z][0-9]{2}[0-9]?')") == 0
    first = (
        "SELECT count(*) FROM claims JOIN diagnoses USING (claim_id) WHERE position = 1 AND code <> primary_diagnosis"
    )
    assert demo.one(first) == 0


def test_the_city_looks_like_a_payer(demo):
    shares = dict(demo.all("SELECT visit_type, count(*) / sum(count(*)) OVER () FROM claims GROUP BY 1"))
    assert 0.03 < shares["inpatient"] < 0.07
    assert 0.2 < shares["outpatient"] < 0.5
    assert 0.03 < shares["emergency"] < 0.09
    assert 0.2 < shares["pharmacy"] < 0.45
    nights = "SELECT avg(date_diff('day', admitted_at, discharged_at)) FROM claims WHERE visit_type = 'inpatient'"
    assert 6 < demo.one(nights) < 11
    ratio = demo.one("SELECT median(total_amount) FILTER (visit_type = 'inpatient') / median(total_amount) FROM claims")
    assert ratio > 20
    assert 0.45 < demo.one("SELECT sum(fund_amount) / sum(total_amount) FROM claims") < 0.8
    assert demo.one("SELECT count(DISTINCT care_region) FROM claims") == 3


def test_winter_has_more_coughs_and_sundays_fewer_visits(demo):
    winter = "month(admitted_at) IN (12, 1, 2)"
    coughs = "primary_diagnosis IN ('J069', 'J209', 'J189')"
    ratio = f"""SELECT count(*) FILTER ({winter}) / 5 / (count(*) FILTER (month(admitted_at) IN (6, 7, 8)) / 5)
        FROM claims WHERE {coughs}"""
    assert demo.one(ratio) > 1.4
    week = dict(demo.all("SELECT isodow(admitted_at), count(*) FROM claims WHERE visit_type = 'outpatient' GROUP BY 1"))
    assert week[7] < 0.7 * week[1]


# --- planted schemes -------------------------------------------------------------------------------------


def test_every_scheme_has_actors_and_claims(demo):
    names = {scheme.name for scheme in SCHEMES}
    counts = dict(demo.all("SELECT scheme, count(*) FROM true_claims GROUP BY 1"))
    assert set(counts) == names
    assert min(counts.values()) >= 2
    assert {s for (s,) in demo.all("SELECT DISTINCT scheme FROM true_actors")} == names
    assert {scheme.violation for scheme in SCHEMES} == {
        v for (v,) in demo.all("SELECT DISTINCT violation FROM true_claims")
    }
    assert all(scheme.says for scheme in SCHEMES)


def test_a_small_part_of_the_claims_is_false_all_the_time(demo):
    months = demo.all("""
        SELECT date_trunc('month', settled_at), avg((claim_id IN (SELECT claim_id FROM true_claims))::INT)
        FROM claims GROUP BY 1""")  # fmt: skip
    assert all(0.015 < share < 0.1 for _, share in months)


def test_most_of_what_an_actor_bills_is_honest(demo):
    shares = [s for (s,) in demo.all("""
        SELECT avg((claim_id IN (SELECT claim_id FROM true_claims))::INT) FROM claims
        JOIN (SELECT DISTINCT entity_id AS provider_id FROM true_actors WHERE entity = 'provider') USING (provider_id)
        GROUP BY provider_id""")]  # fmt: skip
    assert np.median(shares) < 0.3
    assert max(shares) < 0.65


def test_deeds_lie_within_the_span_of_their_actors(demo):
    outside = demo.one("""
        SELECT count(*) FROM true_claims t JOIN claims c USING (claim_id) WHERE NOT EXISTS (
        FROM true_actors a WHERE a.scheme = t.scheme AND (a.entity_id IN
        (c.provider_id, c.patient_id, c.physician_id, c.operator_id) OR a.entity_id IN
        (SELECT physician_id FROM lines l WHERE l.claim_id = c.claim_id))
        AND (c.admitted_at::DATE BETWEEN a."from" - 30 AND a."to" + 30
        OR c.settled_at::DATE BETWEEN a."from" AND a."to"))
        -- A claim of two schemes may be settled at the house of the second.
        AND claim_id NOT IN (SELECT claim_id FROM true_claims GROUP BY 1 HAVING count(*) > 1)""")  # fmt: skip
    assert outside == 0


# --- outcomes --------------------------------------------------------------------------------------------

GUILTY = "('confirmed_fraud', 'confirmed_abuse', 'improper_payment', 'waste')"


def test_enough_providers_are_known_to_train_on(demo):
    known = dict(
        demo.all(f"""
        SELECT verdict IN {GUILTY}, count(DISTINCT entity_id) FROM outcomes WHERE entity = 'provider' GROUP BY 1""")
    )
    assert known[True] >= 25
    assert known[False] >= 60


def test_about_a_third_of_the_guilt_is_found_and_three_times_as_much_innocence(demo):
    reviewed = dict(
        demo.all(f"""
        SELECT verdict IN {GUILTY}, count(DISTINCT entity_id) FROM outcomes WHERE entity = 'claim' GROUP BY 1""")
    )
    found = demo.one("""
        SELECT count(DISTINCT claim_id) / (SELECT count(DISTINCT claim_id) FROM true_claims) FROM true_claims
        WHERE claim_id IN (SELECT entity_id FROM outcomes)""")  # fmt: skip
    assert 0.22 < found < 0.45
    assert 2 < reviewed[False] / reviewed[True] < 4.5
    mean = "SELECT avg(total_amount) FROM claims"
    honest = "(SELECT entity_id FROM outcomes WHERE verdict = 'false_positive')"
    assert demo.one(f"{mean} WHERE claim_id IN {honest}") > 2 * demo.one(mean)


def test_a_few_outcomes_are_wrong(demo):
    wrong = demo.one(f"""
        SELECT avg(((verdict IN {GUILTY}) <> (entity_id IN (SELECT claim_id FROM true_claims)))::INT) FROM outcomes
        WHERE entity = 'claim' AND (verdict = 'false_positive' OR verdict IN {GUILTY})""")  # fmt: skip
    assert 0.005 < wrong < 0.05


def test_outcomes_are_late_and_the_last_two_months_mostly_undecided(demo):
    days = """FROM outcomes JOIN claims ON entity_id = claim_id WHERE entity = 'claim'
        AND verdict NOT IN ('pending', 'appeal_upheld', 'data_error')"""
    assert demo.one(f"SELECT min(date_diff('day', settled_at, decided_at)) {days}") >= 20
    assert demo.one(f"SELECT max(date_diff('day', settled_at, decided_at)) {days}") <= 121
    assert demo.one("SELECT max(decided_at) < (SELECT max(settled_at) + INTERVAL 1 DAY FROM claims) FROM outcomes")
    rate = (
        f"""SELECT count(*) FILTER (settled_at >= '2025-11-01') / count(*) FILTER (settled_at < '2025-09-01') {days}"""
    )
    assert demo.one(rate) < 0.25 * 2 / 14


# --- nothing gives the guilty away -----------------------------------------------------------------------


def test_claims_lie_in_the_order_of_settlement_with_identifiers_in_none(demo):
    settled = pq.read_table(demo.result.to / "claims", columns=["settled_at", "claim_id"])
    times = settled["settled_at"].to_numpy()
    assert (np.diff(times) >= np.timedelta64(0)).all()
    numbers = np.array([int(i[1:]) for i in settled["claim_id"].to_pylist()], float)
    assert abs(np.corrcoef(numbers, np.arange(len(numbers)))[0, 1]) < 0.03
    lines = pq.read_table(demo.result.to / "lines", columns=["claim_id"])["claim_id"].to_pylist()
    assert list(dict.fromkeys(lines)) == settled["claim_id"].to_pylist()


# --- how it is asked for ---------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", ["payer", "payer.truth"])
def test_a_folder_that_holds_something_is_left_alone(tmp_path, taken):
    (tmp_path / taken).mkdir()
    (tmp_path / taken / "mine.txt").write_text("mine")
    with pytest.raises(ClaimsError, match="already holds something"):
        simulate(tmp_path / "payer", claims=1_000)
    assert [p.name for p in tmp_path.iterdir()] == [taken]


def test_an_empty_folder_is_used_and_nothing_else_is_left_behind(tmp_path):
    (tmp_path / "payer").mkdir()
    simulate(tmp_path / "payer", claims=1_000)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["payer", "payer.truth"]


def test_progress_is_told_from_nought_to_one(tmp_path):
    told: list[tuple[str, float]] = []
    simulate(tmp_path / "payer", claims=1_000, progress=lambda stage, share: told.append((stage, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert all(stage for stage, _ in told)


def test_examples_in_docstrings_hold():
    assert doctest.testmod(rows).failed == 0
