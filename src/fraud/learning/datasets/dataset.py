"""The table a model is fitted on: one row for each entity of the model's kind, labelled or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fraud.claims.folder import ClaimsFolder
from fraud.learning.datasets.features import (
    Feature,
    Frames,
    Rows,
    amounts_at_stake,
    attach,
    chosen_signals,
    describe_claims,
    describe_entities,
    frames_of,
    opened,
    usable_signals,
)
from fraud.learning.datasets.labels import Labels, read_labels
from fraud.learning.datasets.propensity import FitRows, fit_rows
from fraud.learning.datasets.sampling import Draw, draw
from fraud.learning.spec import ModelSpec
from fraud.signals.catalogue import Catalogue
from fraud.signals.definition import Signal
from fraud.signals.frames import FrameBuilder, Reference
from fraud.signals.relations import ENTITY_KEYS
from fraud.signals.streaming import CHUNK_OF_A_HAND

__all__ = ["Dataset", "Feature", "amounts_at_stake", "build_dataset", "chosen_signals", "label_rows", "relabelled"]

Progress = Callable[[str, float], None]
# The day on which a labelled entity is described; null without a label. Days are those on which a month begins:
# many labels then share the ties and series that a snapshot is made of.
SNAPSHOT_OF_LABEL = """CAST(date_trunc('month', CASE WHEN l.decided_at IS NOT NULL
    THEN least(coalesce(l.period_to + 1, l.decided_at), l.decided_at) END) AS TIMESTAMP)"""
_PER_ROW = (
    "happened_at",
    "values",
    "labels",
    "groups",
    "amounts",
    "decided_at",
    "weights",
    "investigated",
    "recovered",
    "mature",
)
_DAY = np.timedelta64(24 * 3600 * 1_000_000, "us")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features, labels and what is needed to split and to measure them; arrays run over `ids`.

    `labels` is 1, 0 or NaN (not known). `happened_at` is when a claim settled, or the snapshot of an
    entity; `groups` is what may not be in two folds; `amounts` is the money at stake. `skipped` says which
    signals were left out and why; `notes` count what else was left out.

    `weights` is how many rows of the folder each stands for. `investigated` marks rows about which an outcome of
    any kind was decided, `recovered` is the money that outcomes confirmed (NaN: not known), `mature` marks rows
    old enough to be a negative for want of an outcome. `segments` say who or where a row is (None: not known).
    `unlabelled` is what the fit makes of rows that nobody looked at.
    """

    entity: str
    ids: tuple[str, ...]
    happened_at: np.ndarray
    features: tuple[Feature, ...]
    values: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    amounts: np.ndarray
    decided_at: np.ndarray
    reference: Reference
    skipped: Mapping[str, str]
    notes: tuple[str, ...]
    as_of: datetime
    data_digest: str
    signal_digests: Mapping[str, str]
    catalogue_digest: str
    weights: np.ndarray
    investigated: np.ndarray
    recovered: np.ndarray
    mature: np.ndarray
    segments: Mapping[str, np.ndarray]
    unlabelled: str = "ignore"
    seed: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the feature columns."""
        return tuple(f.name for f in self.features)

    @cached_property
    def labelled(self) -> np.ndarray:
        """Positions of the rows that have a label."""
        return np.flatnonzero(np.isfinite(self.labels))

    @cached_property
    def plain(self) -> np.ndarray:
        """Positions of the rows that nobody looked at though there was time to."""
        return np.flatnonzero(self.mature & ~self.investigated & ~np.isfinite(self.labels))

    @cached_property
    def to_fit(self) -> FitRows:
        """What the model is fitted on, as `unlabelled` says; made from these rows alone."""
        return fit_rows(self, self.unlabelled)

    @property
    def fit_rows(self) -> np.ndarray:
        """Positions of the rows to fit on."""
        return self.to_fit.rows

    @property
    def fit_labels(self) -> np.ndarray:
        """1 or 0 for each of `fit_rows`."""
        return self.to_fit.labels

    @property
    def fit_weights(self) -> np.ndarray:
        """What each of `fit_rows` counts in the fit."""
        return self.to_fit.weights

    def with_feature(self, feature: Feature, values: np.ndarray) -> Dataset:
        """The dataset with one more column on the right."""
        columns = np.column_stack([self.values, values])
        return replace(self, features=(*self.features, feature), values=columns)

    def take(self, rows: np.ndarray) -> Dataset:
        """Some of the rows, in the order of their positions; what to fit on is made anew from these alone."""
        return replace(
            self,
            ids=tuple(self.ids[i] for i in rows),
            segments={name: column[rows] for name, column in self.segments.items()},
            **{name: getattr(self, name)[rows] for name in _PER_ROW},
        )


def build_dataset(
    folder: ClaimsFolder,
    spec: ModelSpec,
    catalogue: Catalogue,
    as_of: datetime | None = None,
    progress: Progress | None = None,
    chunk: int = CHUNK_OF_A_HAND,
) -> Dataset:
    """Features and labels of every entity of the spec's kind that has claims in the folder.

    A labelled provider, patient or physician is described on the first of the month of the day after the period
    that was investigated, or of the day of the decision where that was earlier; the others on the day after the
    last claim. With `as_of`, claims that settled from that day on and outcomes
    decided after it do not exist. Norms and peers are learned from all claims, never from a label. With a `sample`
    in the spec, those without an outcome are drawn by a hash of id and seed, and weigh what they stand for. More
    claims than `chunk` are computed in chunks of whole patients, and memory stays bounded.

    Raises:
        SpecError: the spec names a signal that does not exist.
        InputError: there are no labels of this kind, too few of a class, or no usable signal.
    """
    say = progress or (lambda _name, _done: None)
    with opened() as (connection, work):
        attach(connection, folder, as_of)
        say("labels", 0.0)
        labels = read_labels(connection, spec, as_of)
        builder = FrameBuilder(connection, catalogue, days=spec.window_days, present=folder.present)
        signals = usable_signals(builder, spec)
        frames = frames_of(builder, work, folder if as_of is None else None, chunk)
        norms = builder.learn_norms()
        describe = _claims if spec.entity == "claim" else _entities
        rows, weights = describe(frames, (connection, signals, norms), spec, labels, say)
        return label_rows(rows, weights, labels, spec, builder, folder.digest)


# The connection, and the signals and norms that describe what is on it.
Means = tuple[duckdb.DuckDBPyConnection, list[Signal], pa.Table]


def _claims(frames: Frames, means: Means, spec: ModelSpec, labels: Labels, say: Progress) -> tuple[Rows, np.ndarray]:
    connection, signals, norms = means
    drawn = draw(connection, "claim_id", labels.looked_at, spec.sample, spec.seed)
    target, compared = drawn_claims(connection, drawn)
    rows = describe_claims(
        frames, signals, spec, norms, target=target, compared=compared, step=lambda name: say(name, 0.0)
    )
    return rows, weights_of(drawn, rows.ids)


def drawn_claims(connection: duckdb.DuckDBPyConnection, drawn: Draw) -> tuple[str, str]:
    """Names of the relations of the claims that are used, and of those that stand for everybody."""
    if drawn.everybody:
        return "claims", "claims"
    query = "SELECT c.*, d.compared FROM claims c JOIN drawn d ON d.id = c.claim_id"
    connection.execute(f"CREATE OR REPLACE TABLE claims_and_draw AS {query}")
    for name, kept in (("drawn_claims", ""), ("compared_claims", "WHERE compared")):
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * EXCLUDE (compared) FROM claims_and_draw {kept}")
    return "drawn_claims", "compared_claims"


def weights_of(drawn: Draw, ids: Sequence[str]) -> np.ndarray:
    """How many entities of the folder each of these stands for."""
    if drawn.table is None:
        return np.ones(len(ids))
    plain = pc.is_in(pa.array(ids, pa.string()), drawn.table.filter(drawn.table["plain"])["id"].combine_chunks())
    return np.where(plain.to_numpy(zero_copy_only=False), 1.0 / drawn.rate, 1.0)


def _entities(frames: Frames, means: Means, spec: ModelSpec, labels: Labels, say: Progress) -> tuple[Rows, np.ndarray]:
    connection, signals, norms = means
    drawn = draw(connection, ENTITY_KEYS[spec.entity], labels.looked_at, spec.sample, spec.seed)
    pairs = _snapshots(connection, spec.entity, labels, drawn)
    say(f"features of {pairs.num_rows:,} {spec.entity}s", 0.0)
    compared = None if drawn.table is None else drawn.table["compared"].to_numpy(zero_copy_only=False)
    rows = describe_entities(frames, signals, spec, pairs, norms, compared=compared)
    return rows, weights_of(drawn, rows.ids)


def _snapshots(connection: duckdb.DuckDBPyConnection, entity: str, labels: Labels, drawn: Draw) -> pa.Table:
    """One (entity_id, snapshot) for each entity that is used; never later than the day of its label."""
    key = ENTITY_KEYS[entity]
    used = f'(SELECT DISTINCT "{key}" AS entity_id FROM claims WHERE "{key}" IS NOT NULL)'
    connection.register("label_rows", labels.table)
    query = f"""
        SELECT c.entity_id, coalesce({SNAPSHOT_OF_LABEL}, CAST(CAST(last AS DATE) + 1 AS TIMESTAMP)) AS snapshot
        FROM {used if drawn.everybody else "(SELECT id AS entity_id FROM drawn)"} c
        LEFT JOIN label_rows l USING (entity_id), (SELECT max(settled_at) AS last FROM claims)
        ORDER BY ALL"""
    pairs = connection.sql(query).to_arrow_table()
    connection.unregister("label_rows")
    return pairs


def label_rows(
    rows: Rows, weights: np.ndarray, labels: Labels, spec: ModelSpec, builder: FrameBuilder, digest: str
) -> Dataset:
    """The dataset of described rows under labels as they were known on a day; a row's label is that of its id."""
    used = {f.signal for f in rows.features}
    return Dataset(
        entity=spec.entity,
        ids=rows.ids,
        happened_at=rows.happened_at,
        features=rows.features,
        values=rows.values,
        groups=rows.groups,
        amounts=rows.amounts,
        reference=rows.reference,
        skipped=dict(builder.skipped),
        data_digest=digest,
        signal_digests={i: builder.catalogue.digests[i] for i in sorted(used)},
        catalogue_digest=builder.catalogue.digest_of(used),
        weights=weights,
        segments=rows.segments,
        unlabelled=spec.label.unlabelled,
        seed=spec.seed,
        **_label_columns(rows.ids, rows.happened_at, labels, spec),
    )


def relabelled(dataset: Dataset, labels: Labels, spec: ModelSpec) -> Dataset:
    """The dataset under labels as they were known on another day."""
    return replace(dataset, **_label_columns(dataset.ids, dataset.happened_at, labels, spec))


def _label_columns(ids: Sequence[str], happened_at: np.ndarray, labels: Labels, spec: ModelSpec) -> dict[str, Any]:
    """Whatever a dataset owes to outcomes."""
    found = _matched(ids, labels)
    old_enough = happened_at + spec.label.maturity_days * _DAY <= np.datetime64(labels.as_of, "us")
    return {
        "labels": found["y"],
        "decided_at": found["decided_at"],
        "notes": labels.notes,
        "as_of": labels.as_of,
        "investigated": found["decided"] == 1,
        "recovered": found["amount"],
        # An open case is no negative for want of an outcome, however old it is.
        "mature": old_enough & (found["decided"] != 0),
    }


def _matched(ids: Sequence[str], labels: Labels) -> dict[str, np.ndarray]:
    """Columns of the labels for each of the ids; NaN or NaT where there is no outcome."""
    table = labels.looked_at
    place = {entity_id: i for i, entity_id in enumerate(table["entity_id"].to_pylist())}
    at = np.array([place.get(i, -1) for i in ids], dtype=np.int64)
    found = {}
    for name in ("y", "amount", "decided"):
        column = table[name].cast(pa.int8()) if name == "decided" else table[name]
        found[name] = np.append(column.cast(pa.float64()).to_numpy().astype(np.float64), np.nan)[at]
    days = table["decided_at"].to_numpy().astype("datetime64[us]")
    found["decided_at"] = np.append(days, np.datetime64("NaT", "us"))[at]
    return found
