"""Labels: what investigations found about the entities of one kind.

Policy, where an entity has several outcomes:

1. Outcomes decided after the day of the work (`as_of`) are not known yet.
2. `pending`, `insufficient_evidence`, `data_error` and `operation_error` say nothing about an entity: they
   neither make a label nor withdraw one.
3. Of the others the latest wins, so that `appeal_upheld` turns an earlier confirmation into a negative; of
   several on the same day the one that accuses least.
4. A verdict that the spec names neither positive nor negative leaves the entity unlabelled.

Outcomes belong to the entity that was investigated: those of a provider are never copied to its claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from fraud.errors import InputError
from fraud.learning.spec import UNDECIDED, ModelSpec

__all__ = ["MIN_OF_A_CLASS", "Labels", "check_classes", "read_labels"]

# With fewer than this in a class five folds hold one or two each, and no figure means anything.
MIN_OF_A_CLASS = 10


@dataclass(frozen=True)
class Labels:
    """One row for each labelled entity that has claims: `entity_id, y, decided_at, period_to`.

    `as_of` is the day up to which outcomes were used; `notes` count what was left out and why.
    """

    table: pa.Table
    as_of: datetime
    notes: tuple[str, ...]


def read_labels(connection: duckdb.DuckDBPyConnection, spec: ModelSpec, as_of: datetime | None = None) -> Labels:
    """Labels of the spec's entity from the attached outcomes.

    Raises:
        InputError: there is no outcome of this kind of entity, or too few of one class.
    """
    day = as_of or _latest(connection, spec.entity)
    if day is None:
        raise InputError(_no_outcomes(connection, spec))
    key = "claim_id" if spec.entity == "claim" else f"{spec.entity}_id"
    settings = {"entity": spec.entity, "as_of": day, "positive": list(spec.label.positive)}
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE labels_found AS {_LATEST.format(key=key)}",
        settings | {"negative": list(spec.label.negative), "undecided": list(UNDECIDED)},
    )
    table = connection.sql(
        "SELECT entity_id, y::DOUBLE AS y, decided_at, period_to FROM labels_found "
        "WHERE has_claims AND y IS NOT NULL ORDER BY entity_id"
    ).to_arrow_table()
    labels = Labels(table, day, tuple(_notes(connection, spec, day)))
    check_classes(table["y"].to_numpy(), f"{spec.name}: {_counts(connection, spec.entity)}")
    return labels


_LATEST = """
    WITH final AS (
        SELECT entity_id, verdict, decided_at, period_to,
               CASE WHEN list_contains($positive, verdict) THEN 1
                    WHEN list_contains($negative, verdict) THEN 0 END AS y,
               count(*) OVER (PARTITION BY entity_id) AS outcomes
        FROM outcomes
        WHERE entity = $entity AND decided_at <= $as_of AND NOT list_contains($undecided, verdict)),
    latest AS (
        SELECT * FROM final
        QUALIFY row_number() OVER (PARTITION BY entity_id ORDER BY decided_at DESC, y NULLS FIRST, verdict) = 1)
    SELECT l.*, l.entity_id IN (SELECT "{key}" FROM claims WHERE "{key}" IS NOT NULL) AS has_claims FROM latest l"""


def check_classes(labels: np.ndarray, where: str) -> None:
    """Raise `InputError` unless both classes have at least `MIN_OF_A_CLASS` labels."""
    positives = int(np.nansum(labels))
    negatives = int(np.isfinite(labels).sum()) - positives
    if min(positives, negatives) < MIN_OF_A_CLASS:
        raise InputError(
            f"{where[:330]}. Found {positives} positive and {negatives} negative labels with claims; at least "
            f"{MIN_OF_A_CLASS} of each are needed. Add outcomes, or name more verdicts in the spec's [label]."
        )


def _latest(connection: duckdb.DuckDBPyConnection, entity: str) -> datetime | None:
    row = connection.execute("SELECT max(decided_at) FROM outcomes WHERE entity = ?", [entity]).fetchone()
    return row[0] if row else None


def _no_outcomes(connection: duckdb.DuckDBPyConnection, spec: ModelSpec) -> str:
    rows = connection.execute("SELECT entity, count(*) FROM outcomes GROUP BY ALL ORDER BY ALL").fetchall()
    found = ", ".join(f"{n:,} of a {entity}" for entity, n in rows) or "none at all"
    return (
        f"{spec.name} learns from outcomes of a {spec.entity}, and there is none. Outcomes here: {found}. "
        "Outcomes of another entity are never copied. Add some to the table `outcomes`, or train a model of an "
        "entity that has them."
    )


def _counts(connection: duckdb.DuckDBPyConnection, entity: str) -> str:
    query = "SELECT verdict, count(*) FROM outcomes WHERE entity = ? GROUP BY ALL ORDER BY 2 DESC, 1"
    found = ", ".join(f"{n:,} {verdict}" for verdict, n in connection.execute(query, [entity]).fetchall())
    return f"outcomes of a {entity}: {found}"


def _notes(connection: duckdb.DuckDBPyConnection, spec: ModelSpec, day: datetime) -> list[str]:
    """What became of the outcomes that are no label, each with its count."""
    plural = {"claim": "claims that are"}.get(spec.entity, f"{spec.entity}s that have claims")
    row = connection.execute(
        """SELECT (SELECT count(*) FROM outcomes WHERE entity = $entity AND decided_at > $as_of),
                  (SELECT count(*) FROM outcomes WHERE entity = $entity AND list_contains($undecided, verdict)),
                  count(*) FILTER (WHERE outcomes > 1), count(*) FILTER (WHERE y IS NULL),
                  count(*) FILTER (WHERE NOT has_claims) FROM labels_found""",
        {"entity": spec.entity, "as_of": day, "undecided": list(UNDECIDED)},
    ).fetchone()
    later, undecided, several, other, absent = row or (0, 0, 0, 0, 0)
    texts: Mapping[str, int] = {
        f"labels concern {spec.entity}s without a claim here; only {plural} here can be learned from": absent,
        f"outcomes were decided after {day:%Y-%m-%d} and are not used": later,
        "outcomes are undecided (pending, not enough evidence, error in data or operation) and are not used": undecided,
        f"{spec.entity}s have several verdicts; the latest counts": several,
        f"{spec.entity}s have a verdict that the spec names neither positive nor negative": other,
    }
    return [f"{count:,} {text}" for text, count in texts.items() if count]
