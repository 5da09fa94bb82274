"""Which rows are used where there are too many: everybody with an outcome, and a fixed draw of the others."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

__all__ = ["Draw", "draw"]


@dataclass(frozen=True)
class Draw:
    """Entities that are used.

    `rate` is the share of those without an outcome that were drawn; 1.0 means everybody, and then there is no
    table. Otherwise the table `drawn` has `id`, `plain` (without an outcome) and `compared`: the same share of all,
    outcome or not, which stands for everybody where something is learned without labels.
    """

    rate: float
    table: pa.Table | None = None

    @property
    def everybody(self) -> bool:
        """Whether nobody was left out."""
        return self.table is None


_EVERYONE = """
    CREATE OR REPLACE TEMP TABLE everyone AS
    SELECT id, md5_number_lower($seed || '/' || id) AS mark,
           id NOT IN (SELECT entity_id FROM looked_at WHERE entity_id IS NOT NULL) AS plain
    FROM (SELECT DISTINCT "{key}" AS id FROM claims WHERE "{key}" IS NOT NULL)"""
# Marks are as good as chance, and the same on every machine: those below a bound are the sample.
_DRAWN = """
    CREATE OR REPLACE TEMP TABLE drawn AS
    WITH bound AS (SELECT max(mark) AS last FROM (
        SELECT mark FROM everyone WHERE plain ORDER BY mark LIMIT $sample))
    SELECT id, plain, mark <= last AS compared FROM everyone, bound WHERE mark <= last OR NOT plain ORDER BY id"""


def draw(connection: duckdb.DuckDBPyConnection, key: str, looked_at: pa.Table, sample: int, seed: int) -> Draw:
    """At most `sample` entities without an outcome, by a hash of id and seed, and all that have one.

    `looked_at` names those with an outcome in `entity_id`; a sample of 0 takes everybody.
    """
    if not sample:
        return Draw(1.0)
    connection.register("looked_at", looked_at.select(["entity_id"]))
    connection.execute(_EVERYONE.format(key=key), {"seed": str(seed)})
    connection.unregister("looked_at")
    ((plain,),) = connection.execute("SELECT count(*) FILTER (plain) FROM everyone").fetchall()
    if plain <= sample:
        return Draw(1.0)
    connection.execute(_DRAWN, {"sample": sample})
    return Draw(sample / plain, connection.sql("FROM drawn ORDER BY id").to_arrow_table())
