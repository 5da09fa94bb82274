"""A claim is judged by what was in force on its day in its region: as a rule, in a batch, in a request, on Spark."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import CatalogueError
from fraud.scoring.claim_signals import ClaimSignals
from fraud.scoring.shapes import ClaimBundle, History
from fraud.signals.catalogue import Catalogue
from fraud.signals.contract import _limit_breaches
from fraud.signals.examples import world
from fraud.signals.frames import FrameBuilder
from fraud.signals.inmemory import Leaf, Program, column_of
from fraud.signals.limits import InForce, Limit, Limits, load_limits
from fraud.signals.norms import no_norms
from fraud.signals.rules import findings, regions_of_claim
from fraud.signals.texts import Texts

DAYS = ibis.table({"day": "timestamp(6)", "region": "string"}, name="days")
HEAD = '[visits]\ndoc = "d"\nunit = "visits"\ntag = "LOC"\nsource = "s"\nchecked_on = 2026-01-01\n'
NATIONAL = InForce(date(2000, 1, 1), 15.0)
PROVINCE = InForce(date(2022, 1, 1), 12.0, regions=("33", "浙江"))
CITY = InForce(date(2023, 1, 1), 8.0, date(2024, 12, 31), ("3301",), "REG", "city-rule")


def _limit(*values: InForce, place: str = "insured") -> Limit:
    ranked = tuple(sorted(values, key=lambda v: v.rank, reverse=True))
    return Limit("visits", "visits", "LOC", "s", date(2026, 1, 1), "d", ranked, place)  # type: ignore[arg-type]


VISITS = _limit(NATIONAL, PROVINCE, CITY)


@pytest.mark.requirement("001-78")
@pytest.mark.parametrize(
    ("day", "region", "value"),
    [
        (date(2024, 6, 1), "330106", 8),  # a district of the city
        (date(2024, 6, 1), "3302", 12),  # another city of the province
        (date(2024, 6, 1), "浙江省宁波市", 12),  # the province by its name
        (date(2024, 6, 1), "3201", 15),  # another province
        (date(2024, 6, 1), None, 15),  # a region that is not known
        (date(2022, 12, 31), "3301", 12),  # before the city's own value
        (date(2024, 12, 31), "3301", 8),  # its last day
        (date(2025, 1, 1), "3301", 12),  # when it has ended, the province's again
        (date(2021, 12, 31), "3301", 15),  # before either
        (date(1999, 12, 31), "3301", None),  # before anything
    ],
)
def test_the_smallest_region_with_a_value_on_the_day_decides(
    day: date, region: str | None, value: float | None
) -> None:
    assert VISITS.on(day, region) == value
    assert VISITS.on(datetime(day.year, day.month, day.day, 23, 59), region) == value


regions = st.sampled_from([None, "", "3", "33", "3301", "330106", "3302", "浙江省", "浙", "32"])
# A value from 2000-01-01 on holds always: see `limits.ALWAYS`.
days = st.dates(date(2000, 1, 1), date(2026, 6, 1))
values = st.builds(
    lambda start, length, value, names: InForce(
        start, float(value), None if length is None else date.fromordinal(start.toordinal() + length), names
    ),
    days,
    st.one_of(st.none(), st.integers(0, 900)),
    st.integers(0, 99),
    st.sampled_from([(), ("33", "浙江"), ("3301",), ("330106",), ("32",)]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(values, min_size=1, max_size=6, unique_by=lambda v: (v.start, v.regions)),
    st.lists(st.tuples(days, regions), min_size=1, max_size=8),
)
def test_a_rule_a_batch_and_a_request_agree_on_any_limit(
    dated: list[InForce], asked: list[tuple[date, str | None]]
) -> None:
    limit = _limit(*dated)
    rows = [{"day": datetime(d.year, d.month, d.day, 10), "region": r} for d, r in asked]
    ruled = [limit.on(d, r) for d, r in asked]
    expression = limit.expression(DAYS.day, DAYS.region)
    assert _in_sql(expression, rows) == ruled
    assert _in_memory(expression, rows) == ruled


def _in_sql(expression: ibis.Value, rows: list[dict[str, object]]) -> list[float | None]:
    connection = connect(threads=1)
    connection.register("days", pa.Table.from_pylist(rows, schema=DAYS.schema().to_pyarrow()))
    query = ibis.to_sql(DAYS.select(value=expression), dialect="duckdb")
    found = [row[0] for row in connection.execute(str(query)).fetchall()]
    connection.close()
    return found


def _in_memory(expression: ibis.Value, rows: list[dict[str, object]]) -> list[float | None]:
    program = Program(lambda relation, name: Leaf("days", name, DAYS[name].type()))
    place = program.add(expression.op())
    texts = Texts(program.texts)
    leaves = {p: column_of([row[leaf.name] for row in rows], leaf.type, texts) for p, leaf in program.leaves}
    found = program.run(leaves, texts)[place]
    shown = zip(*np.broadcast_arrays(found.values, found.known, np.empty(len(rows)))[:2], strict=True)
    return [float(v) if k else None for v, k in shown]


# --- through a signal -------------------------------------------------------------------------------------------


def _with(catalogue: Catalogue, **limits: Limit) -> Catalogue:
    return replace(catalogue, limits=Limits({**catalogue.limits, **limits}))


def _local_month(catalogue: Catalogue, place: str = "insured") -> Catalogue:
    """A catalogue in which a month has fewer days in one region: the signal itself reads this limit."""
    national = catalogue.limits["month_days"]
    local = InForce(date(2024, 1, 1), 10.0, regions=("33",))
    return _with(catalogue, month_days=replace(national, values=(local, *national.values), place=place))  # type: ignore[arg-type]


def _claims(**columns: object) -> list[dict[str, object]]:
    base = {"patient_id": "P", "provider_id": "H", "visit_type": "outpatient", "total_amount": 9.0, "fund_amount": 5.0}
    at = [datetime(2024, 6, 12), datetime(2024, 6, 8), datetime(2024, 5, 20)]
    return [
        {**base, "claim_id": f"C{i}", "admitted_at": d, "discharged_at": d, "settled_at": d, **columns}
        for i, d in enumerate(at)
    ]


def _batch(catalogue: Catalogue, claims: list[dict[str, object]], present: object = None) -> float:
    connection = world({"claims": claims})  # type: ignore[dict-item]
    builder = FrameBuilder(connection, catalogue, present=present)  # type: ignore[arg-type]
    (signal,) = builder.usable([catalogue["claim.recent_claims"]])
    frame = builder.claims([signal])
    connection.close()
    return float(frame.column(signal.id)[frame.ids.index("C0")])


def _alone(catalogue: Catalogue, claims: list[dict[str, object]]) -> float:
    signal = catalogue["claim.recent_claims"]
    online = ClaimSignals(catalogue, [signal], norms=no_norms())
    return online.compute(ClaimBundle(claims[0]), History(claims=tuple(claims[1:]))).values[signal.id]


@pytest.mark.parametrize(
    ("place", "columns", "value"),
    [
        ("insured", {"insured_region": "330106"}, 1),
        ("insured", {"insured_region": "3201", "care_region": "3301"}, 2),
        ("care", {"insured_region": "3201", "care_region": "3301"}, 1),
        ("insured", {}, 2),
    ],
)
def test_a_signal_reads_the_limit_of_the_claims_region_in_a_batch_and_in_a_request(
    catalogue: Catalogue, place: str, columns: dict[str, str], value: float
) -> None:
    local, claims = _local_month(catalogue, place), _claims(**columns)
    assert _batch(local, claims) == value
    assert _alone(local, claims) == value


def test_data_without_regions_are_judged_nationwide_and_not_skipped(catalogue: Catalogue) -> None:
    present = {"claims": {"claim_id", "patient_id", "provider_id", "settled_at", "admitted_at", "visit_type"}}
    assert _batch(_local_month(catalogue), _claims(), present) == 2


@pytest.mark.parametrize(("region", "early"), [("3301", False), ("3201", True)])
def test_roll_ups_of_a_provider_read_the_limit_of_its_region(catalogue: Catalogue, region: str, early: bool) -> None:
    """The second supply is fetched while 28 days of the first are left: early at 14 days, not at 40."""
    signal, left = catalogue["provider.early_refill_share"], catalogue.limits["supply_left"]
    local = InForce(date(2024, 1, 1), 40.0, regions=("33",))
    regional = _with(catalogue, supply_left=replace(left, values=(local, *left.values), place="care"))
    connection = world(_refills(region))  # type: ignore[arg-type]
    pairs = pa.table({"entity_id": ["H"], "snapshot": [datetime(2024, 7, 1)]})
    value = FrameBuilder(connection, regional).entities([signal], "provider", pairs).column(signal.id)[0]
    connection.close()
    assert (value > 0) == early


def _refills(region: str) -> dict[str, list[dict[str, object]]]:
    claims = _claims(visit_type="pharmacy")[:2]
    lines = [
        {"claim_id": c["claim_id"], "line_no": 1, "item_code": "X", "quantity": 1.0, "amount": 9.0, "days_supply": 32.0}
        for c in claims
    ]
    drug = {"item_code": "X", "category": "drug"}
    return {
        "claims": claims,
        "lines": lines,
        "catalogue": [drug],
        "providers": [{"provider_id": "H", "kind": "pharmacy", "level": "other", "region": region}],
    }


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
def test_spark_reads_the_same_limits(tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17 or later")
    from pyspark.sql import SparkSession

    _ = ibis.pyspark
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.session.timeZone", "UTC").config("spark.ui.showConsoleProgress", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    asked = [
        (date(2024, 6, 1), "330106"),
        (date(2024, 6, 1), None),
        (date(2025, 1, 1), "3301"),
        (date(1999, 1, 1), "33"),
    ]
    session = builder.getOrCreate()
    try:
        rows = [(i, datetime(d.year, d.month, d.day, 10), r) for i, (d, r) in enumerate(asked)]
        session.createDataFrame(rows, "n int, day timestamp, region string").createOrReplaceTempView("days")
        table = ibis.table({"n": "int32", "day": "timestamp(6)", "region": "string"}, name="days")
        query = table.select("n", value=VISITS.expression(table.day, table.region))
        found = session.sql(str(ibis.to_sql(query, dialect="pyspark"))).orderBy("n").collect()
    finally:
        session.stop()
    assert [row["value"] for row in found] == [VISITS.on(d, r) for d, r in asked]


# --- as a rule -----------------------------------------------------------------------------------------------------


def test_a_finding_names_the_value_and_the_source_of_the_region(catalogue: Catalogue) -> None:
    local = _with(catalogue, monthly_claims=replace(VISITS, name="monthly_claims"))
    rule = local["claim.recent_claims"]
    claim = {"insured_region": "330106", "care_region": "3201"}
    day = datetime(2024, 6, 12)
    (hit,) = findings(local, [rule], {rule.id: 9.0}, day, regions=regions_of_claim(claim))
    assert (hit.limit, hit.tag, hit.source) == (8.0, "REG", "city-rule")
    assert "8" in hit.sentences["en"]
    assert not findings(local, [rule], {rule.id: 9.0}, day, regions={"insured": "3201"})


def test_a_limit_of_other_regions_says_nothing_and_one_not_yet_in_force_is_skipped(catalogue: Catalogue) -> None:
    local = _with(catalogue, monthly_claims=replace(VISITS, values=(CITY,)))
    rule = local["claim.recent_claims"]
    assert not findings(local, [rule], {rule.id: 99.0}, date(2024, 6, 1), regions={"insured": "3201"})
    assert not findings(local, [rule], {}, date(2024, 6, 1))
    (early,) = findings(local, [rule], {rule.id: 99.0}, date(2020, 1, 1), regions={"insured": "3301"})
    assert (early.status, early.why) == ("skipped", "no limit was in force on 2020-01-01")


def test_limits_of_this_catalogue_that_regions_have_set_hold_there_only(catalogue: Catalogue) -> None:
    """Real local numbers: Qingdao's assistance rules of 2021 to 2025, and Jiangxi's leads from trace codes."""
    limits = catalogue.limits
    day = date(2024, 6, 1)
    assert limits["assistance_lookback_days"].on(day, "370203") == 184
    assert limits["assistance_lookback_days"].on(day, "3301") is None
    assert limits["low_income_family_days"].on(day, "青岛市市南区") == 366
    assert limits["low_income_family_days"].on(date(2026, 1, 1), "3702") is None
    assert limits["trace_code_repeats"].on(date(2025, 3, 1), "3601") == 0
    assert limits["trace_code_repeats"].on(date(2025, 3, 1), "3301") == 1
    assert limits["untraced_drugs"].on(date(2025, 6, 30)) is None
    assert limits["untraced_drugs"].on(date(2025, 7, 1)) == 0
    assert sum(limit.is_local for limit in limits.values()) >= 3


def test_every_limit_of_the_catalogue_agrees_in_batch_request_and_rule(catalogue: Catalogue) -> None:
    assert not list(_limit_breaches(catalogue))


def test_the_contract_finds_a_limit_that_does_not_agree(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    local = _with(catalogue, monthly_claims=VISITS)
    monkeypatch.setattr(InForce, "covers", lambda value, region: not value.regions)
    (first, *_) = _limit_breaches(local)
    assert first.point == "limit"


def test_regions_change_no_digest_of_signals_that_do_not_read_them(catalogue: Catalogue) -> None:
    changed = _local_month(catalogue)
    moved = {i for i in catalogue.digests if catalogue.digests[i] != changed.digests[i]}
    reading = {s.id for s in catalogue.signals.values() if "month_days" in s.limits_read}
    # What counts the rules that hit changes with any of them.
    assert moved == reading | {s.id for s in catalogue.signals.values() if "rules" in s.scopes}


# --- changing and reading --------------------------------------------------------------------------------------------


def test_a_changed_limit_holds_nationwide_or_in_a_region_only() -> None:
    day = date(2024, 6, 1)
    nationwide = VISITS.changed(3)
    assert [nationwide.on(day, r) for r in (None, "32", "33", "3301")] == [3, 3, 12, 8]
    in_province = VISITS.changed(3, ("33",))
    assert [in_province.on(day, r) for r in (None, "32", "3302", "3301")] == [15, 15, 3, 3]
    local_only = _limit(CITY).changed(3)
    assert [local_only.on(day, r) for r in (None, "3301")] == [None, 3]


def test_a_file_with_regions_and_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    value = '{ from = 2023-01-01, to = 2024-12-31, value = 8, region = ["3301", "杭州"], tag = "REG", source = "r" }'
    path.write_text(f'{HEAD}place = "care"\nvalues = [{{ from = 2000-01-01, value = 15 }}, {value}]\n', "utf-8")
    limit = load_limits(path)["visits"]
    assert limit.place == "care"
    assert limit.on(date(2024, 1, 1), "杭州市") == 8
    assert limit.in_force(date(2024, 1, 1), "3301") == InForce(
        date(2023, 1, 1), 8.0, date(2024, 12, 31), ("3301", "杭州"), "REG", "r"
    )


def test_every_wrong_value_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    wrong = [
        "{ from = 2000-01-01 }",
        "{ from = 2000-01-01, value = 1, until = 2001-01-01 }",
        "{ from = 2000-01-02, value = 1, to = 1999-01-01 }",
        '{ from = 2000-01-03, value = 1, tag = "SURE" }',
        "{ from = 2000-01-03, value = 2 }",
    ]
    path.write_text(f'{HEAD}place = "home"\nvalues = [{", ".join(wrong)}]\n', "utf-8")
    with pytest.raises(CatalogueError) as caught:
        load_limits(path)
    for part in ("place must be", "needs `from` and `value`", "'until'", "ends before it begins", "tag of a value"):
        assert part in caught.value.message
    path.write_text(f"{HEAD}values = [{wrong[4]}, {wrong[4]}]\n", "utf-8")
    with pytest.raises(CatalogueError, match="same day in the same region"):
        load_limits(path)


def test_a_limit_of_the_city_in_force_reaches_every_claim_of_a_folder(city: ClaimsFolder, catalogue: Catalogue) -> None:
    """Over a simulated city: the claims of one district alone are counted with its own number of days."""
    connection = connect()
    city.attach(connection)
    ((name,),) = connection.execute("SELECT mode(insured_region) FROM claims").fetchall()
    local = InForce(date(2020, 1, 1), 3.0, regions=(name,))
    month = replace(catalogue.limits["month_days"], values=(local, *catalogue.limits["month_days"].values))
    signal = catalogue["claim.recent_claims"]
    both = [FrameBuilder(connection, c).claims([signal]) for c in (catalogue, _with(catalogue, month_days=month))]
    query = "SELECT insured_region FROM claims ORDER BY claim_id"
    there = np.array([row[0] == name for row in connection.execute(query).fetchall()])
    connection.close()
    before, after = (frame.column(signal.id) for frame in both)
    assert (after[there] <= before[there]).all()
    assert (after[there] < before[there]).any()
    assert (after[~there] == before[~there]).all()
