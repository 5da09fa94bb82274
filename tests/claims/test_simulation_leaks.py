"""Nothing that must not matter gives the guilty of a simulated payer away, and the alarm rings when something does."""

from __future__ import annotations

import csv
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.claims.simulation import SCHEMES, simulate
from fraud.claims.simulation.describing import Leak, leaks, shared
from fraud.claims.simulation.describing.actors import places
from fraud.claims.simulation.describing.comparing import (
    confidence,
    grouped_scores,
    one_of_each,
    told_apart,
    without_gaps,
)
from fraud.claims.simulation.describing.deeds import ANY, _united, false_claims
from fraud.claims.simulation.describing.opening import opened


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("leaks") / "payer").to


@pytest.fixture(scope="module")
def found(demo: Path) -> list[Leak]:
    return leaks(demo)


def told(leaks_found: list[Leak]) -> list[str]:
    return [f"{x.proof}: {x.scheme} by {x.given} ({x.auc:.2f}, {x.note})" for x in leaks_found]


# --- the proofs ------------------------------------------------------------------------------------------


def test_nothing_that_must_not_matter_tells_false_claims_and_lines_from_honest_ones(found):
    ringing = [x for x in found if x.verdict == "leak" and x.proof.startswith("false")]
    assert told(ringing) == []


def test_every_scheme_with_enough_claims_is_compared_and_all_of_them_together(found):
    compared = {x.scheme for x in found if x.proof == "false claims"}
    assert ANY in compared
    assert len(compared & {s.name for s in SCHEMES}) >= 0.7 * len(SCHEMES)
    together = next(x for x in found if x.proof == "false claims" and x.scheme == ANY and x.verdict != "trace")
    assert together.auc == pytest.approx(0.5, abs=0.05)
    assert together.high - together.low < 0.15  # it could have seen something


def test_honest_claims_of_actors_look_like_anybodys(found):
    honest = [x for x in found if x.proof == "honest claims of actors"]
    assert {x.scheme for x in honest} == {"provider", "patient"}
    assert {x.verdict for x in honest} == {"none"}, told(honest)


def test_actors_stand_anywhere_in_their_tables(found):
    spots = [x for x in found if x.proof == "places of actors" and x.given != "size"]
    assert spots
    assert {x.verdict for x in spots} == {"none"}


def test_two_seeds_share_nothing_and_the_same_seed_shares_everything(demo, tmp_path):
    other = simulate(tmp_path / "other", seed=8, claims=6_000).to
    assert {x.verdict for x in shared(demo, other)} == {"none"}
    same = {x.given: x.verdict for x in shared(demo, demo)}
    assert set(same.values()) == {"leak"}
    assert {"identifiers of actors", "identifiers of claims", "places of actors by row"} <= set(same)


def test_where_nobody_is_guilty_there_is_nothing_to_compare(tmp_path):
    assert leaks(simulate(tmp_path / "clean", claims=1_000, schemes=False).to) == []


def test_every_trace_belongs_to_a_scheme_and_says_why():
    text = files("fraud.claims.simulation.describing").joinpath("traces.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert {r["scheme"] for r in rows} <= {s.name for s in SCHEMES} | {ANY}
    assert all(r["begins"] and r["why"] for r in rows)
    # No deed explains what an identifier looks like.
    assert not [r for r in rows if r["begins"].startswith("identifiers")]


# --- the alarm rings -------------------------------------------------------------------------------------


def stamped(demo: Path, to: Path, everybody: bool) -> Path:
    """A copy of the payer with stamps in six of ten false claims, or in six of ten claims."""
    shutil.copytree(demo, to)
    shutil.copytree(f"{demo}.truth", f"{to}.truth")
    rng = np.random.default_rng(5)
    guilty = pc.is_in(
        pq.read_table(demo / "claims")["claim_id"],
        value_set=pq.read_table(f"{demo}.truth/claims.parquet")["claim_id"].combine_chunks(),
    ).to_numpy()
    hit = (guilty | everybody) & (rng.random(len(guilty)) < 0.6)
    file = to / "claims/part-0.parquet"
    rows = pq.read_table(file)
    settled = rows["settled_at"].to_numpy().astype("datetime64[s]").astype(np.int64)
    even = np.where(hit, settled - settled % 2, settled).astype("datetime64[s]").astype("datetime64[us]")
    invoices = [f"{i[:-1]}7" if h and i else i for i, h in zip(rows["invoice_no"].to_pylist(), hit, strict=True)]
    blank = pc.if_else(pa.array(hit), pa.scalar(None, pa.string()), rows["currency"])
    for name, column in (("settled_at", pa.array(even)), ("invoice_no", pa.array(invoices)), ("currency", blank)):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), column)
    pq.write_table(rows, file)
    return to


def ringing(folder: Path) -> set[str]:
    with opened(folder) as payer:
        return {x.given for x in false_claims(payer, 0, only=ANY) if x.verdict == "leak"}


def test_stamps_in_six_of_ten_false_claims_are_found_one_by_one_and_together(demo, tmp_path):
    assert {
        "clock.settled_at.even",
        "identifiers.invoice_no.last",
        "nulls.claims.currency",
        "everything that must not matter",
    } <= ringing(stamped(demo, tmp_path / "stamped", everybody=False))


def test_the_same_stamps_in_all_claims_alike_are_no_leak(demo, tmp_path):
    assert ringing(stamped(demo, tmp_path / "alike", everybody=True)) == set()


def test_actors_at_the_top_of_their_table_are_found(demo, tmp_path):
    copy = tmp_path / "sorted"
    shutil.copytree(demo, copy)
    Path(f"{copy}.truth").mkdir()
    for part in ("claims", "lines"):
        shutil.copy(f"{demo}.truth/{part}.parquet", f"{copy}.truth/{part}.parquet")
    first = pq.read_table(demo / "providers")["provider_id"][:25]
    actors = pq.read_table(f"{demo}.truth/actors.parquet").slice(0, 25)
    at = {name: actors.schema.get_field_index(name) for name in ("entity", "entity_id")}
    actors = actors.set_column(at["entity"], "entity", pa.array(["provider"] * 25))
    actors = actors.set_column(at["entity_id"], "entity_id", first)
    pq.write_table(actors, f"{copy}.truth/actors.parquet")
    with opened(copy) as payer:
        verdicts = {x.given: x.verdict for x in places(payer)}
    assert verdicts["order of rows"] == "leak"


# --- how it is measured ----------------------------------------------------------------------------------

SIDES = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@settings(max_examples=25, deadline=None)
@given(rng=SIDES)
def test_a_figure_and_its_logarithm_tell_the_same_and_its_opposite_tells_the_opposite(rng):
    odd = np.arange(60) < 20
    strata = rng.integers(0, 4, 60)
    figure = rng.integers(1, 12, 60).astype(float)
    both = told_apart(np.column_stack([figure, np.log(figure), -figure]), odd, strata, None, 2.0)
    assert both.auc[0] == pytest.approx(both.auc[1])
    assert both.auc[0] + both.auc[2] == pytest.approx(1)
    assert (both.low <= both.auc).all()
    assert (both.auc <= both.high).all()


def test_claims_are_compared_within_their_stratum_only():
    odd = np.array([True] * 5 + [False] * 45)
    strata = np.array([1] * 10 + [0] * 40)
    figure = strata * 100.0 + np.tile(np.arange(10), 5)  # all odd ones lie high, but so does their stratum
    found = told_apart(figure, odd, strata, None, 2.0)
    assert found.compared == 5
    assert found.auc[0] == 0.0


def test_an_interval_holds_chance_as_often_as_it_says():
    rng = np.random.default_rng(1)
    odd, strata = np.arange(400) < 60, rng.integers(0, 8, 400)
    noise = rng.random((400, 500))
    found = told_apart(noise, odd, strata, None, confidence(1, level=0.9))
    missed = ((found.low > 0.5) | (found.high < 0.5)).mean()
    assert 0.05 < missed < 0.15


def test_actors_who_differ_among_themselves_widen_the_interval():
    rng = np.random.default_rng(2)
    actor = np.repeat(np.arange(6), 40)
    odd = np.concatenate([np.ones(240, bool), np.zeros(240, bool)])
    strata = np.zeros(480, int)
    figure = np.concatenate([rng.normal(0, 0.3, 6)[actor] * 4 + rng.normal(0, 1, 240), rng.normal(0, 1, 240)])
    clusters = np.concatenate([actor, 10 + np.arange(240)])
    alone, by_actor = (told_apart(figure, odd, strata, c, 2.0) for c in (None, clusters))
    assert by_actor.high[0] - by_actor.low[0] > 2 * (alone.high[0] - alone.low[0])


def test_a_gap_says_nothing_once_it_is_filled():
    rng = np.random.default_rng(3)
    odd, strata = np.arange(2_000) < 500, np.zeros(2_000, int)
    figure = np.where(odd & (rng.random(2_000) < 0.8), np.nan, rng.random(2_000))
    filled = without_gaps(figure[:, None], strata, 0)
    assert not np.isnan(filled).any()
    assert told_apart(filled, odd, strata, None, 2.0).auc[0] == pytest.approx(0.5, abs=0.04)


def test_a_model_is_never_tested_on_its_own_actors():
    """Labels that follow the actor cannot be told where the actor has never been seen."""
    rng = np.random.default_rng(4)
    actor = np.repeat(np.arange(40), 25)
    odd = rng.permutation(np.arange(40) < 20)[actor]
    values = rng.normal(size=(40, 6))[actor] + rng.normal(0, 0.01, (1_000, 6))
    folds = actor % 4
    scores = grouped_scores(values, odd, folds, 0)
    assert not np.isnan(scores).any()
    apart = told_apart(scores, odd, folds, actor, 2.0)
    assert apart.low[0] < 0.5 < apart.high[0]


def test_somebody_with_many_claims_counts_once():
    owners = np.array(["a"] * 5 + ["b"] + ["a", "a", "c", "c"])
    odd = np.array([True] * 6 + [False] * 4)
    once = one_of_each(owners, odd, np.array(["s"] * 10), 0)
    assert sorted(owners[once & odd]) == ["a", "b"]
    assert sorted(owners[once & ~odd]) == ["a", "c"]


def test_actors_who_did_a_claim_together_are_one_group():
    deeds = [("patient:1", "provider:9"), ("patient:2", "provider:9"), ("patient:3", "provider:8")]
    kinds = ("provider", "patient")
    groups = _united(deeds, kinds)
    assert groups["patient:1"] == groups["patient:2"] == groups["provider:9"]
    assert groups["patient:3"] != groups["patient:1"]
    assert len(set(_united(deeds, ("patient",)).values())) == 3
