"""A timeline: what was known at each cut, and nothing that came after."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError
from fraud.learning.datasets.dataset import Dataset, build_dataset
from fraud.learning.datasets.timeline import Timeline, build_timeline
from fraud.signals.catalogue import Catalogue
from tests.learning.town import CLAIM_SPEC, END, START, default_outcomes, outcome, spec, write_town

FIRST, SECOND = datetime(2024, 12, 1), datetime(2025, 3, 1)
CLAIMS = spec(CLAIM_SPEC, exclude=["*.peer_percentile"])


@pytest.fixture(scope="module")
def claims_line(town: ClaimsFolder, room: Catalogue) -> Timeline:
    return build_timeline(town, CLAIMS, room, cuts=[SECOND, FIRST])


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> ClaimsFolder:
    """The town with some providers decided early, and one appeal that came late."""
    early = [
        outcome("provider", f"H{p:03d}", "confirmed_fraud" if p % 5 == 0 else "false_positive", datetime(2024, 9, 20))
        for p in range(60)
    ]
    late = [
        outcome("provider", f"H{p:03d}", "confirmed_fraud" if p % 5 == 0 else "false_positive", datetime(2025, 5, 6))
        for p in range(60, 120)
    ]
    appeal = outcome("provider", "H000", "appeal_upheld", datetime(2025, 2, 10))
    return write_town(tmp_path_factory.mktemp("inspected"), outcomes=[*early, *late, appeal])


@pytest.fixture(scope="module")
def providers_line(inspected: ClaimsFolder, room: Catalogue) -> Timeline:
    return build_timeline(inspected, spec(), room, cuts=[FIRST, SECOND])


def _row(dataset: Dataset, entity_id: str) -> int:
    return dataset.ids.index(entity_id)


@pytest.mark.requirement("000-49")
@pytest.mark.parametrize("cut", [FIRST, SECOND])
def test_training_knows_what_happened_and_was_decided_before_the_cut(claims_line: Timeline, cut: datetime) -> None:
    training, test = claims_line.training(cut), claims_line.test(cut)
    at = np.datetime64(cut, "us")
    assert (training.happened_at < at).all()
    assert (training.decided_at[training.labelled] < at).all()
    assert (test.happened_at >= at).all()
    assert not set(training.ids) & set(test.ids)
    assert len(training) + len(test) == len(claims_line.described)
    assert len(training.labelled) > 20
    assert len(test.labelled) > 20


def test_the_test_ends_where_it_is_told_to(claims_line: Timeline) -> None:
    month = claims_line.test(FIRST, FIRST + timedelta(days=31))
    assert 0 < len(month) < len(claims_line.test(FIRST))
    assert month.happened_at.max() < np.datetime64(FIRST + timedelta(days=31))


def test_a_label_decided_on_the_cut_is_not_known_before_it(
    tmp_path: Path, claims_line: Timeline, room: Catalogue
) -> None:
    before = claims_line.training(FIRST)
    someone = before.ids[before.plain[0]]
    rows = [*default_outcomes(), outcome("claim", someone, "confirmed_fraud", FIRST)]
    chosen = spec(CLAIM_SPEC, signals=["claim.*"])
    line = build_timeline(write_town(tmp_path, outcomes=rows), chosen, room, cuts=[FIRST])
    training = line.training(FIRST)
    assert np.isnan(training.labels[_row(training, someone)])
    assert not training.investigated[_row(training, someone)]
    assert line.described.labels[_row(line.described, someone)] == 1


@pytest.mark.requirement("000-49")
def test_cutting_the_future_off_changes_no_training_row(tmp_path: Path, claims_line: Timeline, room: Catalogue) -> None:
    """The proof that nothing after the cut is seen: the same data without it give the same rows."""
    folder = write_town(tmp_path / "all")
    (tmp_path / "cut").mkdir()
    con = connect()
    folder.attach(con)
    bounds = {"claims": "settled_at", "outcomes": "decided_at"}
    for name, when in bounds.items():
        table = con.sql(f"FROM {name} WHERE {when} < TIMESTAMP '{FIRST}'").to_arrow_table()
        pq.write_table(table, tmp_path / "cut" / f"{name}.parquet")
    con.close()
    past = build_dataset(ClaimsFolder(tmp_path / "cut"), CLAIMS, room)
    training = claims_line.training(FIRST)
    assert training.ids == past.ids
    assert training.names == past.names
    # Other files, another order of addition: the last bit may differ.
    np.testing.assert_allclose(training.values, past.values, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(training.labels, past.labels)


def test_a_provider_is_described_on_the_day_of_its_label_and_tested_on_the_cut(providers_line: Timeline) -> None:
    training, test = providers_line.training(FIRST), providers_line.test(FIRST)
    day = dict(zip(training.ids, training.happened_at.astype("datetime64[D]").astype(str), strict=True))
    assert day["H001"] == "2024-09-01"
    assert day["H200"] == "2024-11-01", "a provider without a label is described a month before the cut"
    assert set(test.happened_at.astype("datetime64[D]").astype(str)) == {"2024-12-01"}
    assert len(test) == 300


def test_a_provider_is_judged_by_what_was_decided_after_the_cut(providers_line: Timeline) -> None:
    training, test = providers_line.training(FIRST), providers_line.test(FIRST)
    assert training.labels[_row(training, "H000")] == 1
    assert test.labels[_row(test, "H000")] == 0, "the appeal came after the cut"
    assert np.isnan(test.labels[_row(test, "H005")]), "what was known before is nothing to be found out"
    assert test.labels[_row(test, "H065")] == 1
    assert np.isnan(training.labels[_row(training, "H065")])
    later = providers_line.training(SECOND)
    assert later.labels[_row(later, "H000")] == 0


def test_peers_are_those_of_the_first_cut(
    claims_line: Timeline, town: ClaimsFolder, room: Catalogue, claims: Dataset
) -> None:
    alone = build_timeline(town, CLAIMS, room, cuts=[FIRST])
    both = claims_line.described.reference
    assert alone.described.reference.norms.equals(both.norms)
    for entity, peers in both.peers.items():
        other = alone.described.reference.peers[entity]
        assert all((g.median == other.groups[k].median).all() for k, g in peers.groups.items())
    assert not claims.reference.norms.equals(both.norms)


def test_days_without_a_cut_and_cuts_before_the_first_claim_are_refused(
    claims_line: Timeline, town: ClaimsFolder, room: Catalogue
) -> None:
    with pytest.raises(InputError, match="2024-05-01 is no cut of this timeline; there are 2024-12-01, 2025-03-01"):
        claims_line.training(datetime(2024, 5, 1))
    with pytest.raises(InputError, match="no claim settled before the first cut"):
        build_timeline(town, CLAIMS, room, cuts=[START])
    with pytest.raises(InputError, match="at least one cut"):
        build_timeline(town, CLAIMS, room, cuts=[])


def test_a_timeline_in_chunks_is_as_it_is_at_once(town: ClaimsFolder, room: Catalogue, claims_line: Timeline) -> None:
    found = build_timeline(town, CLAIMS, room, cuts=[FIRST, SECOND], chunk=1500).described
    assert found.ids == claims_line.described.ids
    np.testing.assert_allclose(found.values, claims_line.described.values, rtol=1e-9, atol=1e-9)


def test_claims_after_the_end_do_not_exist(town: ClaimsFolder, room: Catalogue) -> None:
    line = build_timeline(town, spec(CLAIM_SPEC, signals=["claim.*"]), room, cuts=[FIRST], until=SECOND)
    assert line.described.happened_at.max() < np.datetime64(SECOND)
    assert line.last <= END + timedelta(days=600)
