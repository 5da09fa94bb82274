"""The same definitions on a real Spark session give the same values as on DuckDB."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fraud.claims.folder import ClaimsFolder, connect
from fraud.claims.schema import TABLES
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import Signal
from fraud.signals.frames import FrameBuilder, SignalFrame
from fraud.signals.prepared import PREPARED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# PySpark warns of its own use of pandas and of sockets that it closes late.
pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]
View = Callable[[str, pa.Table], None]
ENTITIES = ("claim", "patient", "provider", "physician")
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # A wide query over few rows: to compile it, or to plan it anew at every stage, takes far longer than to run it.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        pytest.skip("Spark needs Java 17 or later; install it or set JAVA_HOME")
    builder = SparkSession.builder.master("local[1]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def view(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> View:
    """Makes a table a view in Spark."""
    from ibis.backends.pyspark.datatypes import PySparkSchema
    from ibis.formats.pyarrow import PyArrowSchema

    folder = tmp_path_factory.mktemp("views")

    def view(name: str, rows: pa.Table) -> None:
        # As a file, Spark knows how large the table is and reads only the columns that it needs.
        file = folder / f"{next(numbers)}.parquet"
        pq.write_table(rows, file)
        schema = PySparkSchema.from_ibis(PyArrowSchema.to_ibis(rows.schema))
        spark.read.schema(schema).parquet(str(file)).createOrReplaceTempView(name)

    numbers = count()
    return view


@pytest.fixture(scope="module")
def both(view: View, city: ClaimsFolder, catalogue: Catalogue) -> Iterator[FrameBuilder]:
    """A builder on DuckDB, with the same tables as views in Spark."""
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue, present=city.present)
    norms = builder.learn_norms()
    tables = {name: connection.sql(f'SELECT * FROM "{name}"').to_arrow_table() for name in TABLES}
    tables |= {"norms": norms, "target": tables["claims"]}
    for name, rows in tables.items():
        view(name, rows)
    yield builder
    connection.close()


# Spark takes minutes to plan all signals, so that most runs take every sixth of each kind of entity.
ALL, SOME = 1, 6
CASES = [*((e, SOME) for e in ENTITIES), *(pytest.param(e, ALL, marks=pytest.mark.full) for e in ENTITIES)]


@pytest.mark.parametrize(("entity", "every"), CASES)
def test_signals_have_the_same_value_on_spark(
    spark: SparkSession, view: View, both: FrameBuilder, catalogue: Catalogue, entity: str, every: int
) -> None:
    signals = both.usable(catalogue.of(entity))[::every]
    expected = _on_duckdb(both, view, entity, signals)
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


def _on_duckdb(builder: FrameBuilder, view: View, entity: str, signals: list[Signal]) -> SignalFrame:
    if entity == "claim":
        return builder.claims(signals)
    key = f"{entity}_id"
    ids = builder.connection.execute(f"SELECT DISTINCT {key} FROM claims WHERE {key} IS NOT NULL ORDER BY 1 LIMIT 300")
    chosen = [row[0] for row in ids.fetchall()]
    days = pa.array([datetime(2025, 9, 1)] * len(chosen), pa.timestamp("us"))
    pairs = pa.table({"entity_id": pa.array(chosen, pa.string()), "snapshot": days})
    view("entities", pairs)
    frame = builder.entities(signals, entity, pairs)
    # Ties and surges are prepared by the builder; Spark reads them as it reads norms.
    for name in _prepared(builder):
        view(name, builder.connection.sql(f'SELECT * FROM "{name}"').to_arrow_table())
    return frame


def _prepared(builder: FrameBuilder) -> list[str]:
    made = builder.connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return sorted({row[0] for row in made} & set(PREPARED))


def _spark_sql(query: ibis.Table) -> str:
    _ = ibis.pyspark  # the dialect's options exist once its backend is loaded
    return str(ibis.to_sql(query, dialect="pyspark"))
