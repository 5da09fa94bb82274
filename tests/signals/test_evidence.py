"""Evidence: every signal can show the rows behind its value, on real tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.signals.catalogue import Catalogue
from fraud.signals.contract import tables_of
from fraud.signals.evidence import evidence
from fraud.signals.frames import FrameBuilder

DAY = datetime(2025, 11, 1)


@pytest.fixture(scope="module")
def builder(city: ClaimsFolder, catalogue: Catalogue) -> Iterator[FrameBuilder]:
    connection = tables_of(city)
    builder = FrameBuilder(connection, catalogue, present=city.present)
    builder.learn_norms()
    yield builder
    connection.close()


def _busiest(builder: FrameBuilder, key: str) -> str:
    query = f"SELECT {key} FROM claims WHERE {key} IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    ((found,),) = builder.connection.execute(query).fetchall()
    return str(found)


# The many signals of providers take half a minute; the two others show the way.
@pytest.mark.parametrize("entity", ["patient", pytest.param("provider", marks=pytest.mark.full), "physician"])
def test_every_signal_of_an_entity_shows_the_rows_behind_its_value(
    builder: FrameBuilder, catalogue: Catalogue, entity: str
) -> None:
    who = _busiest(builder, f"{entity}_id")
    pair = pa.table({"entity_id": [who], "snapshot": pa.array([DAY], pa.timestamp("us"))})
    builder.connection.register("entities", pair)
    for signal in builder.usable(catalogue.of(entity)):
        for part in evidence(builder, signal, {"entity_id": who, "snapshot": DAY}, most=5):
            assert part.rows.num_rows == min(part.total, 5), signal.id
            assert part.rows.num_columns, signal.id


def test_every_signal_of_a_claim_shows_the_rows_behind_its_value(builder: FrameBuilder, catalogue: Catalogue) -> None:
    patient = _busiest(builder, "patient_id")
    query = (
        "CREATE OR REPLACE TABLE target AS SELECT * FROM claims WHERE patient_id = $1 ORDER BY settled_at DESC LIMIT 1"
    )
    builder.connection.execute(query, [patient])
    ((claim,),) = builder.connection.execute("SELECT claim_id FROM target").fetchall()
    for signal in builder.usable(catalogue.of("claim")):
        for part in evidence(builder, signal, {"claim_id": claim}, most=5):
            assert part.rows.num_rows == min(part.total, 5), signal.id
