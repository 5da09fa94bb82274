"""The same definitions on a real Spark session give the same values as on DuckDB."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.schema import TABLES
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.prepared import PREPARED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# PySpark warns of its own use of pandas and of sockets that it closes late.
pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]
ENTITIES = ("claim", "patient", "provider", "physician")


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        pytest.skip("Spark needs Java 17 or later; install it or set JAVA_HOME")
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def both(spark: SparkSession, city: ClaimsFolder, catalogue: Catalogue) -> Iterator[FrameBuilder]:
    """A builder on DuckDB, with the same tables as views in Spark."""
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue, present=city.present)
    norms = builder.learn_norms()
    tables = {name: connection.sql(f'SELECT * FROM "{name}"').to_arrow_table() for name in TABLES}
    tables |= {"norms": norms, "target": tables["claims"]}
    for name, rows in tables.items():
        _view(spark, name, rows)
    yield builder
    connection.close()


def _view(spark: SparkSession, name: str, rows: pa.Table) -> None:
    from ibis.backends.pyspark.datatypes import PySparkSchema
    from ibis.formats.pyarrow import PyArrowSchema

    schema = PySparkSchema.from_ibis(PyArrowSchema.to_ibis(rows.schema))
    records = [tuple(row.values()) for row in rows.to_pylist()]
    spark.createDataFrame(records, schema=schema).createOrReplaceTempView(name)


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_signal_has_the_same_value_on_spark(
    spark: SparkSession, both: FrameBuilder, catalogue: Catalogue, entity: str
) -> None:
    signals = both.usable(catalogue.of(entity))
    expected = _on_duckdb(both, spark, entity, signals)
    query = both.compiler(entity).query(signals)
    keys = list(both.compiler(entity).relations.key)
    found: DataFrame = spark.sql(_spark_sql(query)).orderBy(*keys)
    rows = [row.asDict() for row in found.collect()]
    assert [row[keys[0]] for row in rows] == expected.ids
    wrong = {}
    for name in expected.names:
        values = np.array([np.nan if row[name] is None else float(row[name]) for row in rows])
        close = np.isclose(values, expected.column(name), rtol=1e-9, atol=1e-9, equal_nan=True)
        if not close.all():
            wrong[name] = int((~close).sum())
    assert not wrong


def _on_duckdb(builder: FrameBuilder, spark: SparkSession, entity: str, signals: list) -> SignalFrame:  # type: ignore[type-arg]
    if entity == "claim":
        return builder.claims(signals)
    key = f"{entity}_id"
    ids = builder.connection.execute(f"SELECT DISTINCT {key} FROM claims WHERE {key} IS NOT NULL ORDER BY 1 LIMIT 300")
    chosen = [row[0] for row in ids.fetchall()]
    days = pa.array([datetime(2025, 9, 1)] * len(chosen), pa.timestamp("us"))
    pairs = pa.table({"entity_id": pa.array(chosen, pa.string()), "snapshot": days})
    _view(spark, "entities", pairs)
    frame = builder.entities(signals, entity, pairs)
    # Ties and surges are prepared by the builder; Spark reads them as it reads norms.
    for name in _prepared(builder):
        _view(spark, name, builder.connection.sql(f'SELECT * FROM "{name}"').to_arrow_table())
    return frame


def _prepared(builder: FrameBuilder) -> list[str]:
    made = builder.connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return sorted({row[0] for row in made} & set(PREPARED))


def _spark_sql(query: ibis.Table) -> str:
    _ = ibis.pyspark  # the dialect's options exist once its backend is loaded
    return str(ibis.to_sql(query, dialect="pyspark"))
