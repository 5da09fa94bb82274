"""What was known when: features once for all days, labels as they stood at each cut.

A model that is judged by what happened later must not know it. Signals of a claim see only what settled before
it, and a snapshot only what settled before its day, so that they are computed once for every cut. Norms and peers
are what a model freezes at fitting: they are learned from the claims before the *first* cut and used throughout.
Later cuts could know more of them; that would need every feature anew for each, and a comparison that is a little
old is what a model in service has as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fraud.claims.folder import ClaimsFolder
from fraud.errors import InputError
from fraud.learning.datasets.dataset import (
    SNAPSHOT_OF_LABEL,
    Dataset,
    Means,
    drawn_claims,
    label_rows,
    relabelled,
    weights_of,
)
from fraud.learning.datasets.features import (
    Frames,
    Rows,
    attach,
    describe_claims,
    describe_entities,
    frames_of,
    opened,
    usable_signals,
)
from fraud.learning.datasets.labels import Labels, known_labels
from fraud.learning.datasets.sampling import Draw, draw
from fraud.learning.spec import ModelSpec
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder
from fraud.signals.relations import ENTITY_KEYS
from fraud.signals.streaming import CHUNK_OF_A_HAND

__all__ = ["Timeline", "build_timeline"]

Progress = Callable[[str, float], None]
_INSTANT = timedelta(microseconds=1)
_TRAINING, _TEST = "training", "test"


@dataclass(frozen=True, eq=False)
class Timeline:
    """Described rows of a whole period, and the labels that were known at each of its `cuts`.

    `training` and `test` give the two sides of a cut. `first` and `last` bound the claims: the first settlement,
    and the moment from which on nothing is known any more.
    """

    spec: ModelSpec
    cuts: tuple[datetime, ...]
    first: datetime
    last: datetime
    described: Dataset
    before: Mapping[datetime, Labels]
    after: Mapping[datetime, Labels]
    snapshots: pa.Table | None

    def training(self, cut: datetime) -> Dataset:
        """Rows that happened before the cut, with the labels that were decided before it.

        An entity is described on the day of its label, and without one a month before the cut.
        """
        self._check(cut)
        if self.snapshots is None:
            rows = np.flatnonzero(self.described.happened_at < np.datetime64(cut, "us"))
        else:
            rows = self._at(_TRAINING, cut)
        return relabelled(self.described.take(rows), self.before[cut], self.spec)

    def test(self, cut: datetime, until: datetime | None = None) -> Dataset:
        """Rows that happened from the cut to before `until`, with the labels known at the end.

        An entity is described on the day of the cut, and its label is what was decided from then on about what had
        begun before.
        """
        self._check(cut)
        if self.snapshots is not None:
            return relabelled(self.described.take(self._at(_TEST, cut)), self.after[cut], self.spec)
        happened = self.described.happened_at
        rows = np.flatnonzero(
            (happened >= np.datetime64(cut, "us")) & (happened < np.datetime64(until or self.last, "us"))
        )
        return self.described.take(rows)

    def _check(self, cut: datetime) -> None:
        if cut not in self.cuts:
            known = ", ".join(f"{c:%Y-%m-%d}" for c in self.cuts)
            raise InputError(f"{self.spec.name}: {cut:%Y-%m-%d} is no cut of this timeline; there are {known}.")

    def _at(self, use: str, cut: datetime) -> np.ndarray:
        """Positions of the rows that serve a purpose at a cut."""
        uses = self.snapshots
        assert uses is not None
        kept = uses.filter(
            pc.and_(pc.equal(uses["use"], use), pc.equal(uses["cut"], pa.scalar(cut, pa.timestamp("us"))))
        )
        return np.asarray(kept["place"].to_numpy(), dtype=np.int64)


def build_timeline(
    folder: ClaimsFolder,
    spec: ModelSpec,
    catalogue: Catalogue,
    *,
    cuts: Sequence[datetime],
    until: datetime | None = None,
    progress: Progress | None = None,
    chunk: int = CHUNK_OF_A_HAND,
) -> Timeline:
    """Features of all rows that any of the cuts needs, and the labels that were known at each.

    Claims that settled from `until` on do not exist; outcomes are known to the end of the data.

    Raises:
        SpecError: the spec names a signal that does not exist.
        InputError: there is no cut, no claim before the first, no outcome, or no usable signal.
    """
    say = progress or (lambda _name, _done: None)
    with opened() as (connection, work):
        days = tuple(sorted(set(cuts)))
        if not days:
            raise InputError(f"{spec.name}: a timeline needs at least one cut.")
        attach(connection, folder, days[0])
        builder = FrameBuilder(connection, catalogue, days=spec.window_days, present=folder.present)
        signals = usable_signals(builder, spec)
        say("norms", 0.0)
        norms = builder.learn_norms()
        attach(connection, folder, until)
        builder.forget()
        first, last = _period(connection, spec, days[0])
        before = {cut: known_labels(connection, spec, cut - _INSTANT) for cut in days}
        after = {cut: known_labels(connection, spec, last, since=cut) for cut in days}
        known = known_labels(connection, spec, last)
        frames = frames_of(builder, work, folder if until is None else None, chunk)
        described, uses = _describe(frames, (connection, signals, norms), spec, (known, before), say)
        dataset = label_rows(*described, known, spec, builder, folder.digest)
        return Timeline(spec, days, first, last, dataset, before, after, uses)


def _period(connection: duckdb.DuckDBPyConnection, spec: ModelSpec, cut: datetime) -> tuple[datetime, datetime]:
    """The first settlement, and the moment after the last settlement or decision."""
    query = """SELECT (SELECT min(settled_at) FROM claims),
        greatest((SELECT max(settled_at) FROM claims), (SELECT max(decided_at) FROM outcomes WHERE entity = ?))"""
    ((first, last),) = connection.execute(query, [spec.entity]).fetchall()
    if first is None or last is None or first >= cut:
        begins = f"the first settled on {first:%Y-%m-%d}" if first else "there is none"
        raise InputError(f"{spec.name}: no claim settled before the first cut, {cut:%Y-%m-%d}; {begins}.")
    return first, last + _INSTANT


Described = tuple[tuple[Rows, np.ndarray], pa.Table | None]


def _describe(
    frames: Frames,
    means: Means,
    spec: ModelSpec,
    labels: tuple[Labels, Mapping[datetime, Labels]],
    say: Progress,
) -> Described:
    """Rows with their weights, and for an entity which of them each cut uses; peers are those of the first cut."""
    (connection, signals, norms), (known, before), cut = means, labels, min(labels[1])
    key = "claim_id" if spec.entity == "claim" else ENTITY_KEYS[spec.entity]
    drawn = draw(connection, key, known.looked_at, spec.sample, spec.seed)
    if spec.entity != "claim":
        return _describe_entities(frames, means, spec, (drawn, before), say)
    target, compared = drawn_claims(connection, drawn)
    connection.execute(
        f"""CREATE OR REPLACE VIEW claims_before AS
            SELECT * FROM "{compared}" WHERE settled_at < TIMESTAMP '{cut:%Y-%m-%d %H:%M:%S.%f}'"""
    )
    rows = describe_claims(
        frames, signals, spec, norms, target=target, compared="claims_before", step=lambda name: say(name, 0.0)
    )
    return (rows, weights_of(drawn, rows.ids)), None


def _describe_entities(
    frames: Frames,
    means: Means,
    spec: ModelSpec,
    chosen: tuple[Draw, Mapping[datetime, Labels]],
    say: Progress,
) -> Described:
    (connection, signals, norms), (drawn, before) = means, chosen
    uses = pa.concat_tables([_uses(connection, spec.entity, drawn, cut, known) for cut, known in before.items()])
    connection.register("uses", uses)
    pairs = connection.sql("SELECT DISTINCT entity_id, snapshot FROM uses ORDER BY ALL").to_arrow_table()
    connection.register("pairs", pairs)
    placed = connection.sql(
        """SELECT u.cut, u.use, p.place FROM uses u
           JOIN (SELECT *, row_number() OVER (ORDER BY entity_id, snapshot) - 1 AS place FROM pairs) p
           ON p.entity_id = u.entity_id AND p.snapshot = u.snapshot ORDER BY ALL"""
    ).to_arrow_table()
    connection.unregister("uses")
    connection.unregister("pairs")
    say(f"features of {pairs.num_rows:,} snapshots of {spec.entity}s", 0.0)
    early = pairs["snapshot"].to_numpy() <= np.datetime64(min(before), "us")
    rows = describe_entities(frames, signals, spec, pairs, norms, compared=early & _among(drawn, pairs))
    return (rows, weights_of(drawn, rows.ids)), placed


def _among(drawn: Draw, pairs: pa.Table) -> np.ndarray:
    """Which pairs are of entities that stand for everybody."""
    if drawn.table is None:
        return np.ones(pairs.num_rows, dtype=bool)
    kept = drawn.table.filter(drawn.table["compared"])["id"]
    return np.asarray(pc.is_in(pairs["entity_id"], kept.combine_chunks()).to_numpy(zero_copy_only=False))


def _uses(connection: duckdb.DuckDBPyConnection, entity: str, drawn: Draw, cut: datetime, known: Labels) -> pa.Table:
    """What a cut needs: (entity_id, snapshot, cut, use), labelled entities on the day of their label."""
    key = ENTITY_KEYS[entity]
    connection.register("label_rows", known.table)
    among = "true" if drawn.everybody else f'"{key}" IN (SELECT id FROM drawn)'
    query = f"""
        WITH seen AS (
            SELECT "{key}" AS entity_id, min(settled_at) AS first FROM claims WHERE "{key}" IS NOT NULL AND {among}
            GROUP BY 1),
        training AS (
            SELECT s.entity_id, {SNAPSHOT_OF_LABEL} AS labelled, date_trunc('month', $last)::TIMESTAMP AS plain
            FROM seen s LEFT JOIN label_rows l USING (entity_id))
        SELECT entity_id, coalesce(labelled, plain) AS snapshot, $cut AS cut, '{_TRAINING}' AS use
        FROM training JOIN seen USING (entity_id) WHERE first < coalesce(labelled, plain)
        UNION ALL
        SELECT entity_id, $cut AS snapshot, $cut AS cut, '{_TEST}' AS use FROM seen WHERE first < $cut
        ORDER BY ALL"""
    found = connection.sql(query, params={"cut": cut, "last": cut - _INSTANT}).to_arrow_table()
    connection.unregister("label_rows")
    return found
