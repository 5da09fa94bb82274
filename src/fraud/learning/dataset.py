"""The table a model is fitted on: one row for each entity of the model's kind, labelled or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import duckdb
import numpy as np
import pyarrow as pa

from fraud.claims.folder import ClaimsFolder, connect
from fraud.errors import InputError, SpecError, nearest
from fraud.learning.labels import Labels, read_labels
from fraud.learning.spec import ModelSpec, matches
from fraud.signals.assembly import by_entity, claim_features, feature_names, learn_reference
from fraud.signals.catalogue import FOLDERS, Catalogue
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.frames import FrameBuilder, Reference, SignalFrame, freeze_peers
from fraud.signals.relations import ENTITY_KEYS

__all__ = ["Dataset", "Feature", "amounts_at_stake", "build_dataset", "chosen_signals"]

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Feature:
    """One column of a model: `sign` is the direction in which risk may only rise (0: either).

    `volume` marks figures that grow with the size of the entity.
    """

    name: str
    signal: str
    sign: int
    volume: bool

    @property
    def is_peer_column(self) -> bool:
        """Whether the column says where the entity stands among its peers."""
        return self.name != self.signal


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features, labels and what is needed to split and to measure them; arrays run over `ids`.

    `labels` is 1, 0 or NaN (not investigated). `happened_at` is when a claim settled, or the snapshot of an
    entity; `groups` is what may not be in two folds; `amounts` is the money at stake. `skipped` says which
    signals were left out and why; `notes` count what else was left out.
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

    def with_feature(self, feature: Feature, values: np.ndarray) -> Dataset:
        """The dataset with one more column on the right."""
        columns = np.column_stack([self.values, values])
        return replace(self, features=(*self.features, feature), values=columns)


def build_dataset(
    folder: ClaimsFolder,
    spec: ModelSpec,
    catalogue: Catalogue,
    as_of: datetime | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Features and labels of every entity of the spec's kind that has claims in the folder.

    A labelled provider, patient or physician is described by the snapshot on the day after the period that
    was investigated, or where that is not known on the first of the month in which the outcome was decided;
    the others by the snapshot on the day after the last claim. With `as_of`, claims that settled from that
    day on and outcomes decided after it do not exist. Norms and peers are learned from all claims, never
    from a label.

    Raises:
        SpecError: the spec names a signal that does not exist.
        InputError: there are no labels of this kind, too few of a class, or no usable signal.
    """
    say = progress or (lambda _name, _done: None)
    # One thread: sums of floats differ in the last bit with the order in which threads meet, and then the
    # same data would no longer give the same model.
    connection = connect(threads=1)
    try:
        _attach(connection, folder, as_of)
        say("labels", 0.0)
        labels = read_labels(connection, spec, as_of)
        builder = _Remembering(connection, catalogue, days=spec.window_days, present=folder.present)
        signals = builder.usable(chosen_signals(spec, catalogue))
        if not signals:
            raise InputError(_no_signals(spec, builder.skipped))
        rows = _claim_rows if spec.entity == "claim" else _entity_rows
        return rows(builder, signals, spec, labels, folder.digest, say)
    finally:
        connection.close()


def chosen_signals(spec: ModelSpec, catalogue: Catalogue) -> list[Signal]:
    """Signals that a spec's patterns choose: any for a claim, its own kind for another entity.

    Raises:
        SpecError: a pattern can fit nothing; all such patterns are named at once.
    """
    faults = [f for p in (*spec.signals, *spec.exclude) if (f := _pattern_fault(p, spec, catalogue))]
    if faults:
        raise SpecError(f"{spec.name}: " + "; ".join(faults[:5]))
    kept = (s for s in catalogue.signals.values() if spec.entity in ("claim", s.entity))
    return [s for s in kept if spec.includes(s.id)]


def _pattern_fault(pattern: str, spec: ModelSpec, catalogue: Catalogue) -> str | None:
    """Why a pattern cannot be meant; one with a wildcard may fit nothing yet, if its folder exists."""
    if not any(c in pattern for c in "*?["):
        known = [s.id for s in catalogue.signals.values() if spec.entity in ("claim", s.entity)]
        base = pattern.removesuffix(".peer_z").removesuffix(".peer_percentile")
        return None if base in known else f"no {spec.entity} signal {pattern!r}{nearest(pattern, known)}"
    room = pattern.split(".")[0]
    plain = not any(c in room for c in "*?[")
    rooms = dict.fromkeys((*FOLDERS, *ENTITIES))
    return f"no folder {room!r} of signals{nearest(room, rooms)}" if plain and room not in rooms else None


def _no_signals(spec: ModelSpec, skipped: Mapping[str, str]) -> str:
    reasons = "; ".join(f"{k}: {v}" for k, v in list(skipped.items())[:3])
    why = f"{len(skipped)} were skipped, among them {reasons}" if skipped else "the catalogue has none that fit"
    return f"{spec.name}: no signal can be used: {why}. Patterns: {', '.join(spec.signals)}."[:500]


def _attach(connection: duckdb.DuckDBPyConnection, folder: ClaimsFolder, as_of: datetime | None) -> None:
    """Views of the tables; with `as_of`, only of the claims that settled before it."""
    if as_of is None:
        folder.attach(connection)
        return
    connection.execute("CREATE SCHEMA later; USE later")
    folder.attach(connection)
    connection.execute("USE main")
    known = f"SELECT * FROM later.claims WHERE settled_at < TIMESTAMP '{as_of:%Y-%m-%d %H:%M:%S.%f}'"
    connection.execute(f"CREATE VIEW claims AS {known}")
    (views,) = connection.execute(
        "SELECT list(view_name) FROM duckdb_views() WHERE schema_name = 'later' AND view_name <> 'claims'"
    ).fetchall()
    for name in views[0]:
        of_claim = name in ("lines", "diagnoses", "procedures")
        kept = "WHERE claim_id IN (SELECT claim_id FROM main.claims)" if of_claim else ""
        connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM later."{name}" {kept}')


# --- rows of a provider, patient or physician ----------------------------------------------------------


def _entity_rows(
    builder: FrameBuilder, signals: list[Signal], spec: ModelSpec, labels: Labels, digest: str, say: Progress
) -> Dataset:
    pairs = _snapshots(builder.connection, spec.entity, labels)
    say(f"features of {pairs.num_rows:,} {spec.entity}s", 0.0)
    norms = builder.learn_norms()
    frame = builder.entities(signals, spec.entity, pairs)
    builder.reference = Reference(norms, {spec.entity: freeze_peers(frame)})
    frame = builder.with_peers(frame)
    amounts = amounts_at_stake(builder.connection, spec.entity, frame.keys, spec.window_days)
    ids = np.array(frame.ids, dtype=object)
    happened = frame.keys["snapshot"].to_numpy().astype("datetime64[us]")
    return _dataset(builder, signals, spec, labels, frame, (ids, amounts, happened, digest))


def _snapshots(connection: duckdb.DuckDBPyConnection, entity: str, labels: Labels) -> pa.Table:
    """One (entity_id, snapshot) for each entity with a claim; never later than the day of its label."""
    key = ENTITY_KEYS[entity]
    connection.register("label_rows", labels.table)
    query = f"""
        SELECT c.entity_id, CASE
            WHEN l.decided_at IS NULL THEN CAST(CAST(last AS DATE) + 1 AS TIMESTAMP)
            WHEN l.period_to IS NOT NULL THEN least(CAST(l.period_to + 1 AS TIMESTAMP), l.decided_at)
            ELSE CAST(date_trunc('month', l.decided_at) AS TIMESTAMP) END AS snapshot
        FROM (SELECT DISTINCT "{key}" AS entity_id FROM claims WHERE "{key}" IS NOT NULL) c
        LEFT JOIN label_rows l USING (entity_id), (SELECT max(settled_at) AS last FROM claims)
        ORDER BY ALL"""
    pairs = connection.sql(query).to_arrow_table()
    connection.unregister("label_rows")
    return pairs


def amounts_at_stake(connection: duckdb.DuckDBPyConnection, entity: str, pairs: pa.Table, days: int) -> np.ndarray:
    """What the fund paid for each (entity_id, snapshot) in the window before the snapshot, in order."""
    key = ENTITY_KEYS[entity]
    numbered = pairs.select(["entity_id", "snapshot"]).append_column("place", pa.array(range(pairs.num_rows)))
    connection.register("stake_pairs", numbered)
    query = f"""
        SELECT coalesce(sum(c.fund_amount), 0.0) AS amount FROM stake_pairs p
        LEFT JOIN claims c ON c."{key}" = p.entity_id AND c.settled_at < p.snapshot
            AND c.settled_at >= p.snapshot - to_days(CAST($days AS INTEGER))
        GROUP BY p.place ORDER BY p.place"""
    amounts = connection.sql(query, params={"days": days}).to_arrow_table()["amount"].to_numpy()
    connection.unregister("stake_pairs")
    return np.asarray(amounts, dtype=np.float64)


# --- rows of a claim -----------------------------------------------------------------------------------


def _claim_rows(
    builder: FrameBuilder, signals: list[Signal], spec: ModelSpec, labels: Labels, digest: str, say: Progress
) -> Dataset:
    def step(name: str) -> None:
        say(name, 0.0)

    step("norms")
    learn_reference(builder, signals, progress=step)
    frame = claim_features(builder, signals, progress=step)
    query = f"""SELECT coalesce("{spec.split.group}", claim_id) AS who, fund_amount, settled_at
        FROM claims ORDER BY claim_id"""
    own = builder.connection.sql(query).to_arrow_table()
    groups = np.array(own["who"].to_pylist(), dtype=object)
    happened = own["settled_at"].to_numpy().astype("datetime64[us]")
    amounts = own["fund_amount"].to_numpy().astype(np.float64)
    return _dataset(builder, signals, spec, labels, frame, (groups, amounts, happened, digest))


class _Remembering(FrameBuilder):
    """A builder that computes a frame once, though peers are learned from it and rows are made of it."""

    def claims(self, signals: Sequence[Signal], target: str = "claims") -> SignalFrame:
        """Claim signals for every row of the relation named `target`."""
        return self._once(signals, target, lambda: super(_Remembering, self).claims(signals, target))

    def entities(self, signals: Sequence[Signal], entity: str, pairs: pa.Table) -> SignalFrame:
        """Windowed signals of one entity for `pairs` of (entity_id, snapshot), without peer columns."""
        days = tuple(pairs["snapshot"].unique().to_pylist()), pairs.num_rows
        return self._once(signals, days, lambda: super(_Remembering, self).entities(signals, entity, pairs))

    @cached_property
    def _held(self) -> dict[object, SignalFrame]:
        return {}

    def _once(self, signals: Sequence[Signal], where: object, build: Callable[[], SignalFrame]) -> SignalFrame:
        key = tuple(s.id for s in signals), where
        if key not in self._held:
            self._held[key] = build()
        return self._held[key]


def _dataset(
    builder: FrameBuilder,
    signals: Sequence[Signal],
    spec: ModelSpec,
    labels: Labels,
    frame: SignalFrame,
    own: tuple[np.ndarray, np.ndarray, np.ndarray, str],
) -> Dataset:
    """The dataset of a frame; `own` is groups, amounts, times and the digest of the data."""
    groups, amounts, happened_at, digest = own
    features = tuple(f for f in _features(signals) if not matches(f.name, spec.exclude))
    place = {entity_id: i for i, entity_id in enumerate(frame.ids)}
    rows = np.array([place[i] for i in labels.table["entity_id"].to_pylist()], dtype=np.int64)
    y = np.full(len(frame), np.nan)
    y[rows] = labels.table["y"].to_numpy()
    decided_at = np.full(len(frame), np.datetime64("NaT", "us"))
    decided_at[rows] = labels.table["decided_at"].to_numpy().astype("datetime64[us]")
    used = {f.signal for f in features}
    return Dataset(
        entity=spec.entity,
        ids=tuple(frame.ids),
        happened_at=happened_at,
        features=features,
        values=np.ascontiguousarray(frame.select([f.name for f in features])),
        labels=y,
        groups=groups,
        amounts=amounts,
        decided_at=decided_at,
        reference=builder.reference,
        skipped=dict(builder.skipped),
        notes=labels.notes,
        as_of=labels.as_of,
        data_digest=digest,
        signal_digests={i: builder.catalogue.digests[i] for i in sorted(used)},
        catalogue_digest=builder.catalogue.digest_of(used),
    )


def _features(signals: Sequence[Signal]) -> list[Feature]:
    """Every column of the frame of these signals, in its order."""
    known = {s.id: s for group in by_entity(signals).values() for s in group}
    bases = {n: n.removesuffix(".peer_z").removesuffix(".peer_percentile") for n in feature_names(signals)}
    return [Feature(n, base, known[base].monotone, known[base].volume) for n, base in bases.items()]
