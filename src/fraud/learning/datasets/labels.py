"""Labels: what investigations found about the entities of one kind, as it was known on a day.

Policy, where an entity has several outcomes:

1. Outcomes decided after the day of the work (`as_of`) are not known yet: neither appeals nor corrections of what
   was decided before it.
2. `pending`, `insufficient_evidence`, `data_error` and `operation_error` say nothing about an entity: they
   neither make a label nor withdraw one. While a case is pending, nobody is a negative for want of an outcome.
3. A verdict speaks of its violation, one without a violation of all of them; and of its period, one without a
   period of all times (a claim has but one). The latest verdict on the same matter stands, wherever it comes from:
   `appeal_upheld` withdraws the finding that it names and no other, a case that was opened again counts as it was
   closed last. Of several on the same day the one that accuses least stands.
4. Of periods that do not overlap, the last that was looked at speaks: the row describes the entity at its end.
5. Whoever has a standing positive verdict is positive. Otherwise a verdict that the spec names neither positive
   nor negative leaves the entity unlabelled; if all are negative, it is negative.

Outcomes belong to the entity that was investigated: those of a provider are never copied to its claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fraud.errors import InputError
from fraud.learning.spec import UNDECIDED, ModelSpec

__all__ = ["MIN_OF_A_CLASS", "Labels", "check_classes", "known_labels", "read_labels"]

# With fewer than this in a class five folds hold one or two each, and no figure means anything.
MIN_OF_A_CLASS = 10


@dataclass(frozen=True)
class Labels:
    """What outcomes say about each entity that has claims and an outcome, one row each, in order of id.

    `looked_at` has `entity_id`, `y` (null: no label), `decided_at` and `period_to` (of the verdicts that make the
    label), `amount` (that they confirm, in the payer's currency) and `decided` (false: the case is open). `as_of`
    is the day up to which outcomes were used; `notes` count what was left out and why.
    """

    looked_at: pa.Table
    as_of: datetime
    notes: tuple[str, ...]

    @property
    def table(self) -> pa.Table:
        """The rows that have a label."""
        return self.looked_at.filter(pc.is_valid(self.looked_at["y"]))


def read_labels(connection: duckdb.DuckDBPyConnection, spec: ModelSpec, as_of: datetime | None = None) -> Labels:
    """Labels of the spec's entity from the attached outcomes.

    A model that is fitted without labels takes what there is, if only to be checked by it.

    Raises:
        InputError: there is no outcome of this kind of entity, or too few of one class.
    """
    day = as_of or _latest(connection, spec.entity)
    if spec.kind == "novelty":
        return known_labels(connection, spec, day or _end_of_claims(connection))
    if day is None:
        raise InputError(_no_outcomes(connection, spec))
    labels = known_labels(connection, spec, day)
    check_classes(labels.table["y"].to_numpy(), f"{spec.name}: {_counts(connection, spec.entity)}")
    return labels


def known_labels(
    connection: duckdb.DuckDBPyConnection, spec: ModelSpec, as_of: datetime, since: datetime | None = None
) -> Labels:
    """Labels of the spec's entity as they were known on a day, be they as few as they may.

    With `since`, only of outcomes decided from then on, about a period that had begun by then.
    """
    key = "claim_id" if spec.entity == "claim" else f"{spec.entity}_id"
    settings = {"entity": spec.entity, "as_of": as_of, "since": since, "positive": list(spec.label.positive)}
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE labels_found AS {_FOUND.format(key=key)}",
        settings | {"negative": list(spec.label.negative), "undecided": list(UNDECIDED)},
    )
    table = connection.sql(
        "SELECT entity_id, y::DOUBLE AS y, decided_at, period_to, amount, decided FROM labels_found "
        "WHERE has_claims ORDER BY entity_id"
    ).to_arrow_table()
    return Labels(table, as_of, tuple(_notes(connection, spec, as_of)))


# `known` numbers the outcomes; `standing` are those that no other on the same matter replaces; `last_period` where
# the last period that was looked at begins. An unknown verdict accuses least, a negative less than a positive.
_FOUND = """
    WITH known AS (
        SELECT row_number() OVER () AS n, entity_id, verdict, violation, decided_at, amount,
               CASE WHEN $entity <> 'claim' THEN period_from END AS period_from,
               CASE WHEN $entity <> 'claim' THEN period_to END AS last_day, period_to,
               list_contains($undecided, verdict) AS undecided,
               CASE WHEN list_contains($positive, verdict) THEN 1
                    WHEN list_contains($negative, verdict) THEN 0 END AS y
        FROM outcomes
        WHERE entity = $entity AND decided_at <= $as_of
          AND coalesce(decided_at >= $since AND coalesce(period_from < $since, true), $since IS NULL)),
    final AS (SELECT * FROM known WHERE NOT undecided),
    replaced AS (
        SELECT o.n FROM final o JOIN final l ON l.entity_id = o.entity_id AND l.n <> o.n
        WHERE (l.decided_at > o.decided_at
               OR l.decided_at = o.decided_at AND coalesce(l.y, -1) < coalesce(o.y, -1))
          AND (l.violation IS NULL OR o.violation IS NULL OR l.violation = o.violation)
          AND coalesce(l.period_from <= o.last_day, true) AND coalesce(o.period_from <= l.last_day, true)),
    standing AS (SELECT * FROM final ANTI JOIN replaced USING (n)),
    last_period AS (
        SELECT entity_id, arg_max(coalesce(period_from, DATE '0001-01-01'),
                                  (coalesce(last_day, decided_at::DATE), decided_at)) AS since
        FROM standing GROUP BY entity_id),
    speaking AS (
        SELECT s.*, CASE WHEN max(y) OVER whose = 1 THEN 1
                         WHEN count(y) OVER whose < count(*) OVER whose THEN NULL ELSE 0 END AS label
        FROM standing s JOIN last_period p USING (entity_id)
        WHERE coalesce(s.last_day, s.decided_at::DATE) >= p.since
        WINDOW whose AS (PARTITION BY entity_id)),
    labelled AS (
        SELECT entity_id, any_value(label) AS y,
               max(decided_at) FILTER (y IS NOT DISTINCT FROM label) AS decided_at,
               max(period_to) FILTER (y IS NOT DISTINCT FROM label) AS period_to,
               CASE any_value(label) WHEN 1 THEN sum(amount) FILTER (y = 1) WHEN 0 THEN 0.0 END AS amount
        FROM speaking GROUP BY entity_id),
    everyone AS (
        SELECT entity_id, bool_or(verdict <> 'pending') AS decided, count(*) FILTER (NOT undecided) AS outcomes,
               bool_and(undecided) AS undecided FROM known GROUP BY entity_id)
    SELECT e.*, l.* EXCLUDE (entity_id),
           e.entity_id IN (SELECT "{key}" FROM claims WHERE "{key}" IS NOT NULL) AS has_claims
    FROM everyone e LEFT JOIN labelled l USING (entity_id)"""


def check_classes(labels: np.ndarray, where: str) -> None:
    """Raise `InputError` unless both classes have at least `MIN_OF_A_CLASS` labels."""
    positives = int(np.nansum(labels))
    negatives = int(np.isfinite(labels).sum()) - positives
    if min(positives, negatives) < MIN_OF_A_CLASS:
        raise InputError(
            f"{where[:330]}. Found {positives} positive and {negatives} negative labels with claims; at least "
            f"{MIN_OF_A_CLASS} of each are needed. Add outcomes, or name more verdicts in the spec's [label]."
        )


def _end_of_claims(connection: duckdb.DuckDBPyConnection) -> datetime:
    ((last,),) = connection.execute("SELECT max(settled_at) FROM claims").fetchall()
    if last is None:
        raise InputError("the folder holds no claims; there is nothing to learn from.")
    found: datetime = last
    return found


def _latest(connection: duckdb.DuckDBPyConnection, entity: str) -> datetime | None:
    ((day,),) = connection.execute("SELECT max(decided_at) FROM outcomes WHERE entity = ?", [entity]).fetchall()
    return day  # type: ignore[no-any-return]


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
    ((later, undecided, several, other, absent),) = connection.execute(
        """SELECT (SELECT count(*) FROM outcomes WHERE entity = $entity AND decided_at > $as_of),
                  (SELECT count(*) FROM outcomes
                   WHERE entity = $entity AND decided_at <= $as_of AND list_contains($undecided, verdict)),
                  count(*) FILTER (WHERE outcomes > 1), count(*) FILTER (WHERE y IS NULL AND NOT undecided),
                  count(*) FILTER (WHERE NOT has_claims AND NOT undecided) FROM labels_found""",
        {"entity": spec.entity, "as_of": day, "undecided": list(UNDECIDED)},
    ).fetchall()
    texts: Mapping[str, int] = {
        f"labels concern {spec.entity}s without a claim here; only {plural} here can be learned from": absent,
        f"outcomes were decided after {day:%Y-%m-%d} and are not used": later,
        "outcomes are undecided (pending, not enough evidence, error in data or operation) and are not used": undecided,
        f"{spec.entity}s have several verdicts; the latest on each matter counts": several,
        f"{spec.entity}s have a verdict that the spec names neither positive nor negative": other,
    }
    return [f"{count:,} {text}" for text, count in texts.items() if count]
