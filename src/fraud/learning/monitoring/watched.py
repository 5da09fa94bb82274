"""Rows of a period as a registered model sees them: what came in, and what was decided meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fraud.claims.folder import ClaimsFolder
from fraud.learning.datasets.dataset import SNAPSHOT_OF_LABEL
from fraud.learning.datasets.features import attach, opened
from fraud.learning.datasets.labels import known_labels
from fraud.learning.model import FittedModel
from fraud.signals.assembly import by_entity, claim_features, entity_features
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder
from fraud.signals.relations import ENTITY_KEYS

__all__ = ["Watched", "last_day", "watch"]

# More rows cost time and change no digit that anybody looks at.
MOST_ROWS = 20_000
_ROWS_FOR_WEIGHTS = 1_000
_INSTANT = timedelta(microseconds=1)
_DAY = np.timedelta64(24 * 3600 * 1_000_000, "us")


@dataclass(frozen=True, eq=False)
class Watched:
    """A period under a model; `values` and `scores` run over the rows that were drawn from its `rows`.

    Scores are probabilities, or of a model without labels how far a row stands out.

    `units` says how many different claims, patients, providers and physicians stand behind the drawn rows.
    `weights` is how much of the scores each feature carries, and sums to one. `judged` has percentile, label and days
    of delay of what was decided in the period and after the model was fitted; `pending` counts open cases.
    """

    since: datetime
    until: datetime
    rows: int
    values: np.ndarray
    scores: np.ndarray
    units: Mapping[str, int]
    weights: np.ndarray
    judged: np.ndarray
    pending: int

    @property
    def weeks(self) -> float:
        """Length of the period."""
        return (self.until - self.since) / timedelta(weeks=1)


def watch(
    folder: ClaimsFolder,
    model: FittedModel,
    catalogue: Catalogue,
    since: datetime,
    until: datetime,
    *,
    most: int = MOST_ROWS,
    threads: int = 1,
) -> Watched:
    """The period under the model: claims that settled in it, or entities as they stand at its end.

    Nothing that settled or was decided from `until` on is known.
    """
    with opened() as (connection, _work):
        attach(connection, folder, until)
        decided, pending = _decided(connection, model, since, until)
        connection.register("decided_rows", decided)
        choose = _claims if model.spec.entity == "claim" else _snapshots
        rows, pairs, drawn, judged = choose(connection, model, (since, until), most)
        if not pairs.num_rows:
            none = np.empty((0, len(model.names)))
            return Watched(
                since, until, 0, none, np.empty(0), {}, np.zeros(len(model.names)), np.empty((0, 3)), pending
            )
        values = _values(connection, folder, model, catalogue, pairs)
        scores = model.ranking(model.margins(values, threads=threads))
        return Watched(
            since=since,
            until=until,
            rows=rows,
            values=values[drawn],
            scores=scores[drawn],
            units=_units(connection, model.spec.entity, int(drawn.sum())),
            weights=_weights(model, values[drawn]),
            judged=_judged(decided, pairs.take(judged), model.percentile(scores)[judged]),
            pending=pending,
        )


def last_day(folder: ClaimsFolder, entity: str) -> datetime:
    """The moment after the last settlement or decision about such an entity."""
    with opened() as (connection, _work):
        folder.attach(connection)
        query = """SELECT greatest((SELECT max(settled_at) FROM claims),
            (SELECT max(decided_at) FROM outcomes WHERE entity = ?))"""
        last: datetime = connection.execute(query, [entity]).fetchall()[0][0]
        return last + _INSTANT


def _decided(
    connection: duckdb.DuckDBPyConnection, model: FittedModel, since: datetime, until: datetime
) -> tuple[pa.Table, int]:
    """Labels from the period that the fit did not know, and how many cases are open at its end."""
    table = known_labels(connection, model.spec, until - _INSTANT).looked_at
    unseen = max(since, datetime.fromisoformat(model.as_of) + _INSTANT)
    kept = pc.and_(
        pc.is_valid(table["y"]), pc.greater_equal(table["decided_at"], pa.scalar(unseen, pa.timestamp("us")))
    )
    pending = pc.sum(pc.invert(table["decided"]).cast(pa.int64())).as_py() or 0
    return table.filter(kept), int(pending)


# How many rows the period has; (id, day) of all rows to describe; which are drawn, and the row of each decision.
Chosen = tuple[int, pa.Table, np.ndarray, np.ndarray]


def _claims(
    connection: duckdb.DuckDBPyConnection, model: FittedModel, when: tuple[datetime, datetime], most: int
) -> Chosen:
    since = when[0]
    ((rows,),) = connection.execute("SELECT count(*) FROM claims WHERE settled_at >= $1", [since]).fetchall()
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE drawn_ids AS SELECT claim_id FROM claims WHERE settled_at >= $1
           ORDER BY md5_number_lower(claim_id), claim_id LIMIT $2""",
        [since, most],
    )
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE watched_claims AS SELECT * FROM claims
           WHERE claim_id IN (SELECT claim_id FROM drawn_ids) OR claim_id IN (SELECT entity_id FROM decided_rows)"""
    )
    pairs = connection.sql(
        """SELECT claim_id AS entity_id, settled_at AS snapshot,
           claim_id IN (SELECT claim_id FROM drawn_ids) AS drawn FROM watched_claims ORDER BY claim_id"""
    ).to_arrow_table()
    return rows, pairs, _mask(pairs), _places(connection, pairs, "SELECT entity_id, NULL AS snapshot FROM decided_rows")


def _snapshots(
    connection: duckdb.DuckDBPyConnection, model: FittedModel, when: tuple[datetime, datetime], most: int
) -> Chosen:
    key, until = ENTITY_KEYS[model.spec.entity], when[1]
    ((rows,),) = connection.execute(
        f"""SELECT count(DISTINCT "{key}") FROM claims WHERE settled_at >= $1 - to_days(CAST($2 AS INTEGER))""",
        [until, model.spec.window_days],
    ).fetchall()
    labels = f"SELECT entity_id, {SNAPSHOT_OF_LABEL} AS snapshot FROM decided_rows l ORDER BY entity_id"
    pairs = connection.sql(
        f"""WITH active AS (
            SELECT DISTINCT "{key}" AS entity_id FROM claims
            WHERE "{key}" IS NOT NULL AND settled_at >= $until - to_days(CAST($days AS INTEGER))
            ORDER BY md5_number_lower("{key}"), "{key}" LIMIT $most),
        wanted AS (
            SELECT entity_id, CAST($until AS TIMESTAMP) AS snapshot, true AS drawn FROM active
            UNION ALL SELECT entity_id, snapshot, false FROM ({labels}))
        SELECT entity_id, snapshot, bool_or(drawn) AS drawn FROM wanted GROUP BY ALL ORDER BY ALL""",
        params={"until": until, "days": model.spec.window_days, "most": most},
    ).to_arrow_table()
    return rows, pairs, _mask(pairs), _places(connection, pairs, labels)


def _mask(pairs: pa.Table) -> np.ndarray:
    return np.asarray(pairs["drawn"].to_numpy(), dtype=bool)


def _places(connection: duckdb.DuckDBPyConnection, pairs: pa.Table, labels: str) -> np.ndarray:
    """The row of each decision, in order of id."""
    wanted = connection.sql(f"SELECT * FROM ({labels}) ORDER BY entity_id").to_arrow_table().to_pylist()
    place = {(r["entity_id"], r["snapshot"]): i for i, r in enumerate(pairs.to_pylist())}
    place |= {(r["entity_id"], None): i for i, r in enumerate(pairs.to_pylist())}
    return np.array([place[r["entity_id"], r["snapshot"]] for r in wanted], dtype=np.int64)


def _values(
    connection: duckdb.DuckDBPyConnection,
    folder: ClaimsFolder,
    model: FittedModel,
    catalogue: Catalogue,
    pairs: pa.Table,
) -> np.ndarray:
    """Features of the rows, with the norms and peers that the model was fitted with."""
    builder = FrameBuilder(
        connection, catalogue, days=model.spec.window_days, present=folder.present, reference=model.reference
    )
    signals = [catalogue[i] for i in model.signal_ids]
    if model.spec.entity == "claim":
        frame = claim_features(builder, signals, target="watched_claims")
    else:
        own = by_entity(signals)[model.spec.entity]
        frame = entity_features(builder, model.spec.entity, own, pairs.select(["entity_id", "snapshot"]))
    return np.ascontiguousarray(frame.select(model.names))


def _units(connection: duckdb.DuckDBPyConnection, entity: str, drawn: int) -> dict[str, int]:
    if entity != "claim":
        return {entity: drawn}
    counts = ", ".join(f'count(DISTINCT "{key}")' for key in ENTITY_KEYS.values())
    query = f"SELECT {counts} FROM watched_claims WHERE claim_id IN (SELECT claim_id FROM drawn_ids)"
    (found,) = connection.execute(query).fetchall()
    return {"claim": drawn, **dict(zip(ENTITY_KEYS, found, strict=True))}


def _weights(model: FittedModel, values: np.ndarray) -> np.ndarray:
    step = max(1, len(values) // _ROWS_FOR_WEIGHTS)
    _, contributions = model.contributions(values[::step])
    means = np.abs(contributions).mean(axis=0) if len(contributions) else np.zeros(len(model.names))
    return np.asarray(means / max(means.sum(), 1e-12))


def _judged(decided: pa.Table, pairs: pa.Table, percentiles: np.ndarray) -> np.ndarray:
    """Percentile, label and days from the row to its decision, in order of id."""
    happened, known = (c.to_numpy().astype("datetime64[us]") for c in (pairs["snapshot"], decided["decided_at"]))
    return np.column_stack([percentiles, decided["y"].to_numpy().astype(float), (known - happened) / _DAY])
