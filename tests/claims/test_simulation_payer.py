"""A simulated payer of several cities, its presets, and how both are asked for."""

from __future__ import annotations

import doctest
import tomllib
from pathlib import Path

import duckdb
import numpy as np
import pytest
from typer.testing import CliRunner

from fraud.claims.simulation import PRESETS, identifiers, rates_text, simulate
from fraud.claims.simulation.identifiers import FORMS, Identifiers, scrambled
from fraud.claims.simulation.presets import CITY_CLAIMS, rates_of
from fraud.cli import app
from fraud.errors import InputError, NotKnownError, SpecError

TWO_CITIES = 'base = "demo"\nclaims = 3_000\ncities = 2\n'


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    path = tmp_path_factory.mktemp("preset") / "two.toml"
    path.write_text(TWO_CITIES)
    return str(path)


@pytest.fixture(scope="module")
def pair(tmp_path_factory, preset):
    """A payer of two cities."""
    return simulate(tmp_path_factory.mktemp("pair") / "payer", preset=preset, seed=3)


# --- several cities --------------------------------------------------------------------------------------


def test_each_city_is_a_part_of_its_own_and_what_is_common_is_written_once(pair):
    for table in ("claims", "lines", "patients", "providers", "outcomes"):
        assert sorted(p.name for p in (pair.to / table).iterdir()) == ["part-0.parquet", "part-1.parquet"]
    assert [p.name for p in (pair.to / "catalogue").iterdir()] == ["part-0.parquet"]
    assert sorted(p.name for p in pair.truth.iterdir()) == ["actors.parquet", "claims.parquet", "lines.parquet"]


def test_counts_are_those_of_the_files(pair):
    for table, rows in pair.counts.items():
        assert duckdb.sql(f"SELECT count(*) FROM '{pair.to}/{table}/*.parquet'").fetchall() == [(rows,)]
    for table, rows in pair.truth_counts.items():
        assert duckdb.sql(f"SELECT count(*) FROM '{pair.truth}/{table}.parquet'").fetchall() == [(rows,)]


def test_the_number_of_workers_changes_nothing(tmp_path, preset, pair):
    alone = simulate(tmp_path / "payer", preset=preset, seed=3, workers=1)
    assert bytes_of(alone.to) == bytes_of(pair.to)
    assert bytes_of(alone.truth) == bytes_of(pair.truth)


@pytest.mark.parametrize(
    ("table", "key"),
    [("claims", "claim_id"), ("patients", "patient_id"), ("providers", "provider_id"), ("physicians", "physician_id")],
)
def test_identifiers_of_different_cities_never_meet(pair, table, key):
    found = duckdb.sql(f"SELECT count(*), count(DISTINCT {key}) FROM '{pair.to}/{table}/*.parquet'").fetchall()
    assert found[0][0] == found[0][1]


def test_every_city_has_regions_of_its_own(pair):
    regions = duckdb.sql(f"SELECT DISTINCT region, filename FROM '{pair.to}/providers/*.parquet'").fetchall()
    assert len({region for region, _ in regions}) == len(regions) == 6


def test_a_city_is_the_same_in_a_smaller_payer(tmp_path, pair):
    """What a city is does not depend on how many others there are, but for its numbers."""
    one = tmp_path / "one.toml"
    one.write_text('base = "demo"\nclaims = 1_500\n')
    single = simulate(tmp_path / "payer", preset=str(one), seed=3)
    total = "SELECT count(*), sum(total_amount) FROM '{}/claims/part-0.parquet'"
    assert duckdb.sql(total.format(single.to)).fetchall() == duckdb.sql(total.format(pair.to)).fetchall()


# --- presets ---------------------------------------------------------------------------------------------


def test_presets_are_as_large_as_promised():
    claims = {name: rates_of(name)["wanted"] * rates_of(name)["cities"] for name in PRESETS}
    assert claims == {"demo": 30_000, "town": 50_000, "city": 4_000_000, "province": 100_000_000}
    assert all(rates_of(name)["wanted"] <= CITY_CLAIMS for name in PRESETS)


def test_many_claims_are_made_as_several_cities():
    rates = rates_of("demo", 1_000_000)
    assert rates["cities"] == 4
    assert rates["wanted"] == 250_000


def test_every_rate_of_a_preset_can_be_printed_and_read_again(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(rates_text("city"))
    assert rates_of(str(own)) == rates_of("city")
    assert tomllib.loads(rates_text("demo"))["schemes"]["upcoding"]["actors"] > 0


def test_all_faults_of_a_preset_are_named_at_once(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('dayz = 3\nclaims = "many"\n[schemes.upcoding]\nactor = 1\n[care]\nstays = true\n')
    with pytest.raises(SpecError, match="4 rates cannot be used") as caught:
        rates_of(str(own))
    where = {f.where.rpartition(":")[2]: f.detail for f in caught.value.faults}
    assert set(where) == {"dayz", "claims", "schemes.upcoding.actor", "care.stays"}
    assert 'did you mean "days"' in where["dayz"]


def test_a_preset_that_is_no_toml_is_refused_with_the_place(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text("claims = = 3")
    with pytest.raises(SpecError, match="line 1"):
        rates_of(str(own))
    with pytest.raises(NotKnownError, match="no such file"):
        rates_of(str(tmp_path / "none.toml"))


def test_an_unknown_preset_is_refused_with_the_nearest_one():
    with pytest.raises(NotKnownError, match=r'did you mean "demo"\?'):
        rates_of("dmo")


def test_too_few_claims_are_refused():
    with pytest.raises(InputError, match="999 claims are too few"):
        rates_of("demo", 999)


# --- identifiers -----------------------------------------------------------------------------------------


def test_numbers_are_scrambled_without_meeting():
    numbers = scrambled(np.arange(65_536), 8, key=3)
    assert len(np.unique(numbers)) == 65_536
    assert abs(np.corrcoef(numbers, np.arange(65_536))[0, 1]) < 0.02
    assert doctest.testmod(identifiers).failed == 0


def test_identifiers_have_one_length_and_those_of_cities_differ():
    for kind, (prefix, digits, _) in FORMS.items():
        first, second = (Identifiers(7, city, 2).of(kind, 500) for city in (0, 1))
        assert not set(first) & set(second)
        assert {len(i) for i in first} == {len(prefix) + digits}
    assert not set(Identifiers(7, 0, 1).of("claim", 500)) & set(Identifiers(8, 0, 1).of("claim", 500))


# --- the command -----------------------------------------------------------------------------------------


def test_the_command_writes_prints_rates_and_says_what_it_lacks(tmp_path):
    run = CliRunner().invoke
    done = run(app, ["simulate", "--to", str(tmp_path / "payer"), "--claims", "1000", "--json"])
    assert done.exit_code == 0
    assert (tmp_path / "payer" / "claims" / "part-0.parquet").is_file()
    assert tomllib.loads(run(app, ["simulate", "--rates", "--preset", "town"]).stdout)["claims"] == 50_000
    lacking = run(app, ["simulate"])
    assert lacking.exit_code == 2
    assert "--to DIR" in lacking.stderr
