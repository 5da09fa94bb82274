"""Frames in bounded memory: cut into chunks, they are the frames of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError
from fraud.signals.assembly import claim_features, entity_features, learn_reference
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder, SignalFrame, months_of_claims
from fraud.signals.relations import ENTITY_KEYS
from fraud.signals.streaming import FrameStream, WrittenFrames, bounded_builder, write_frame, write_frames

ENTITIES = ("claim", "patient", "provider", "physician")
DAY = datetime(2025, 7, 1)
# DuckDB adds floats up in the order in which its threads meet, so sums differ in the last digits: 1e-12 is relative.
CLOSE = {"rtol": 1e-12, "atol": 1e-12, "equal_nan": True}


@pytest.fixture(scope="module")
def whole(city: ClaimsFolder, catalogue: Catalogue) -> Iterator[FrameBuilder]:
    """A builder that computes everything in one piece."""
    connection = connect(threads=1)
    city.attach(connection)
    yield FrameBuilder(connection, catalogue, present=city.present)
    connection.close()


@pytest.fixture(scope="module")
def frames(whole: FrameBuilder, catalogue: Catalogue) -> dict[str, SignalFrame]:
    """The frame of each kind of entity, in one piece."""
    pairs = {e: _known(whole, e) for e in ENTITY_KEYS}
    signals = whole.usable(catalogue.signals.values())
    learn_reference(whole, signals, pairs)
    own = {e: [s for s in signals if s.entity == e] for e in ENTITIES}
    found = {e: entity_features(whole, e, own[e], pairs[e]) for e in ENTITY_KEYS}
    return {"claim": whole.claims(own["claim"]), **found}


@pytest.fixture(scope="module")
def written(city: ClaimsFolder, catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> WrittenFrames:
    """The same, written in chunks."""
    return write_frames(
        city, catalogue, tmp_path_factory.mktemp("frames"), as_of=DAY, memory="500MB", chunk=1_000, threads=1
    )


def _known(builder: FrameBuilder, entity: str) -> pa.Table:
    key = ENTITY_KEYS[entity]
    query = f'SELECT "{key}" FROM claims WHERE "{key}" IS NOT NULL UNION SELECT "{key}" FROM {entity}s ORDER BY 1'
    ids = [row[0] for row in builder.connection.execute(query).fetchall()]
    return pa.table({"entity_id": pa.array(ids), "snapshot": pa.array([DAY] * len(ids), pa.timestamp("us"))})


def _differing(one: SignalFrame, names: tuple[str, ...], values: np.ndarray) -> list[str]:
    expected = one.select(names)
    close = np.isclose(expected, values, **CLOSE)  # type: ignore[call-overload]
    # A value that is itself a quantile of its peers falls to either side of it with its last digit: one step of 201.
    steps = np.array([n.endswith(".peer_percentile") for n in names])
    close |= steps & (np.abs(expected - values) <= 100 / 201)
    return [names[i] for i in np.flatnonzero(~close.all(axis=0))]


@pytest.mark.parametrize("entity", ENTITIES)
def test_frames_written_in_chunks_are_those_of_the_whole(
    frames: dict[str, SignalFrame], written: WrittenFrames, entity: str
) -> None:
    expected = frames[entity]
    rows = pa.concat_tables([pq.read_table(f) for f in written.files[entity]]).sort_by(expected.keys.column_names[0])
    assert rows.column_names == [*expected.keys.column_names, *expected.names]
    assert rows.column(0).to_pylist() == expected.ids
    values = np.column_stack([rows[n].to_numpy() for n in expected.names])
    assert _differing(expected, expected.names, values) == []
    assert written.rows[entity] == len(expected)


def test_claims_are_cut_into_parts_that_share_no_patient(
    city: ClaimsFolder, whole: FrameBuilder, written: WrittenFrames
) -> None:
    assert len(written.files["claim"]) > 3
    patients = dict(whole.connection.execute("SELECT claim_id, patient_id FROM claims").fetchall())
    seen = [{patients[c] for c in pq.read_table(f)["claim_id"].to_pylist()} for f in written.files["claim"]]
    assert sum(map(len, seen)) == len(set.union(*seen))


def test_a_sample_of_claims_has_the_features_that_it_has_among_all(
    city: ClaimsFolder, catalogue: Catalogue, whole: FrameBuilder, frames: dict[str, SignalFrame]
) -> None:
    names = ("claim.split_stays", "claim.days_since_discharge", "patient.claims", "provider.split_stays_share")
    signals = [s for s in whole.usable(catalogue.signals.values()) if s.id in names or s.entity == "claim"]
    signals += [next(s for s in whole.usable(catalogue.of(e)) if "window_signals" in s.scopes) for e in ("provider",)]
    signals = list({s.id: s for s in signals}.values())
    sample = "CREATE OR REPLACE TABLE sample AS SELECT * FROM claims WHERE hash(claim_id) % 7 = 0"
    whole.connection.execute(sample)
    expected = claim_features(whole, signals, "sample")
    with bounded_builder(city, catalogue, memory="500MB") as (builder, work):
        builder.learn_norms()
        builder.reference = whole.reference
        builder.connection.execute(sample)
        found = FrameStream(builder, work, chunk=1_000).features(signals, "sample")
        assert found.ids == expected.ids
        assert found.names == expected.names
        assert found.attributes == expected.attributes
        assert _differing(expected, found.names, found.values) == []


def test_how_many_compute_at_once_changes_no_bit(city: ClaimsFolder, catalogue: Catalogue) -> None:
    own = [s for s in catalogue.of("claim") if set(s.scopes) <= {"claim", "lines", "past"}][:6]
    scopes = ("window_signals", "joint_stays", "surges", "window_lines", "rings", "window")
    among = [next((s for s in catalogue.of("provider") if scope in s.scopes), None) for scope in scopes]
    found = []
    for hands in (1, 3):
        with bounded_builder(city, catalogue, memory="500MB", threads=1) as (builder, work):
            builder.learn_norms()
            signals = builder.usable({s.id: s for s in among if s is not None}.values())
            stream = FrameStream(builder, work, chunk=1_000, hands=hands)
            claims = stream.claims(builder.usable(own), rolled=builder.rolled_by(signals))
            found.append((claims, stream.entities(signals, "provider", _known(builder, "provider"))))
    for one, other in zip(*found, strict=True):
        assert len(one) > 0
        assert one.keys.equals(other.keys)
        assert one.names == other.names
        assert one.values.tobytes() == other.values.tobytes()


def test_snapshots_taken_one_after_another_are_those_taken_together(
    city: ClaimsFolder, catalogue: Catalogue, whole: FrameBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = [s for s in whole.usable(catalogue.of("physician")) if s.peer][:6]
    pairs = months_of_claims(whole.connection, "physician")
    expected = whole.entities(signals, "physician", pairs)
    monkeypatch.setattr("fraud.signals.streaming._WINDOW_CLAIMS", 1)
    stream = FrameStream(whole, Path("unused"), chunk=10**9)
    found = stream.entities(signals, "physician", pairs)
    assert found.keys.equals(expected.keys)
    assert found.attributes == expected.attributes
    assert _differing(expected, found.names, found.values) == []


def test_an_unknown_kind_is_refused_before_anything_is_computed(
    city: ClaimsFolder, catalogue: Catalogue, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no entity"):
        write_frames(city, catalogue, tmp_path, entities=["doctor"])


def _by_patient(city: ClaimsFolder, to: Path, torn: bool) -> ClaimsFolder:
    """The city in two files of every table, by patient; `torn` puts the items of a claim elsewhere."""
    connection = connect()
    city.attach(connection)
    for name in ("patients", "providers", "physicians", "catalogue", "exclusions"):
        connection.execute(f"COPY {name} TO '{to}/{name}.parquet'")
    for name in ("claims", "lines", "diagnoses", "procedures"):
        (to / name).mkdir()
        for part in range(2):
            side = part if name == "claims" or not torn else 1 - part
            own = f"SELECT claim_id FROM claims WHERE hash(patient_id) % 2 = {side}"
            query = f"SELECT * FROM {name} SEMI JOIN ({own}) USING (claim_id)"
            connection.execute(f"COPY ({query}) TO '{to}/{name}/part-{part}.parquet'")
    connection.close()
    return ClaimsFolder(to)


@pytest.mark.parametrize(("torn", "chunk"), [(False, 3_000), (False, 1_000), (True, 3_000)])
def test_files_that_hold_whole_patients_are_not_cut_anew(
    city: ClaimsFolder,
    catalogue: Catalogue,
    whole: FrameBuilder,
    frames: dict[str, SignalFrame],
    tmp_path: Path,
    torn: bool,
    chunk: int,
) -> None:
    folder = _by_patient(city, tmp_path, torn)
    signals = [s for s in catalogue.of("claim") if "past_lines" in s.scopes or "diagnoses" in s.scopes]
    with bounded_builder(folder, catalogue, memory="500MB") as (builder, work):
        builder.use_norms(whole.reference.norms)
        stream = FrameStream(builder, work, folder=folder, chunk=chunk)
        found = stream.claims(signals)
        assert (work / "chunks").is_dir() is torn
        assert stream.chunks.parts == (() if torn else ("part-0.parquet", "part-1.parquet"))
        assert found.ids == frames["claim"].ids
        assert _differing(frames["claim"], found.names, found.values) == []


@pytest.mark.parametrize("chunk", [1_500, 10_000])
def test_a_single_file_holds_every_claim_once_and_nothing_else_is_left(
    city: ClaimsFolder, catalogue: Catalogue, frames: dict[str, SignalFrame], tmp_path: Path, chunk: int
) -> None:
    made = write_frame(city, catalogue, "claim", tmp_path / "claims.parquet", memory="500MB", chunk=chunk)
    assert list(tmp_path.iterdir()) == [tmp_path / "claims.parquet"] == list(made.files["claim"])
    rows = pq.read_table(tmp_path / "claims.parquet")
    assert sorted(rows["claim_id"].to_pylist()) == frames["claim"].ids
    assert rows.column_names == ["claim_id", *frames["claim"].names]


def test_an_amount_of_memory_that_is_none_is_refused(city: ClaimsFolder, catalogue: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no amount of memory"):
        write_frames(city, catalogue, tmp_path, memory="plenty")
