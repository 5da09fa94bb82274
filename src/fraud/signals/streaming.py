"""Frames of a payer of any size, in bounded memory: claims in chunks of patients, snapshots one after another.

What a claim signal reads belongs to one patient, so claims are cut by patient and each chunk is computed alone. The
values of all claims go to parquet, from where the windows of patients, providers and physicians roll them up. A
snapshot is computed from all claims, and DuckDB spills what exceeds its memory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fraud.claims.folder import ClaimsFolder, connect, twin
from fraud.config import cores
from fraud.errors import InputError, nearest
from fraud.signals.assembly import by_entity, with_snapshots
from fraud.signals.catalogue import Catalogue
from fraud.signals.chunks import Chunks, quoted
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.frames import FrameBuilder, Reference, SignalFrame, freeze_peers, joined_frames, months_of_claims
from fraud.signals.peers import Peers
from fraud.signals.relations import ENTITY_KEYS

__all__ = [
    "CHUNK",
    "CHUNK_OF_A_HAND",
    "MEMORY",
    "FrameStream",
    "Progress",
    "WrittenFrames",
    "bounded_builder",
    "day_after_last_claim",
    "known_on",
    "write_frame",
    "write_frames",
]

# Claims of one chunk: some 2 GB while it is computed.
CHUNK = 250_000
# The same where values must be the same to the bit. Where a query may hold too little DuckDB spills, and then sums of
# floats differ from run to run: at 250,000 claims with 3 GB, and at 50,000 with 1.5.
CHUNK_OF_A_HAND = 25_000
# What DuckDB may hold before it spills to disk; the process needs about as much besides.
MEMORY = "3GB"
# Claims that the windows of one query may see, over all its snapshots.
_WINDOW_CLAIMS = 4_000_000
# Queries at once: one more than there are processors, since each waits for the interpreter now and then. What each may
# hold is more than it takes: three of them together have stayed below `MEMORY`.
_MOST_HANDS = 3
MEMORY_OF_A_HAND = "1500MB"

Progress = Callable[[str, float], None]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class WrittenFrames:
    """Where the frame of each kind is: parquet files with the key columns and a column for each signal.

    `skipped` says which signals the data cannot give, and why; `reference` holds the norms and peers learned.
    """

    files: Mapping[str, tuple[Path, ...]]
    rows: Mapping[str, int]
    skipped: Mapping[str, str]
    reference: Reference


def write_frames(
    folder: ClaimsFolder,
    catalogue: Catalogue,
    out: str | Path,
    *,
    entities: Iterable[str] = ENTITIES,
    as_of: datetime | None = None,
    memory: str = MEMORY,
    chunk: int = CHUNK,
    threads: int | None = None,
    progress: Progress | None = None,
) -> WrittenFrames:
    """Every signal of every claim and entity of these kinds, written to `out/<entity>/part-….parquet`.

    Entities come with their peer columns, as of `as_of` (default: the day after the last claim). Values are those of
    `FrameBuilder`; the rows of a part are in the order of their key, the parts are not. `memory` is what DuckDB may
    hold, `chunk` the number of claims computed at once.

    Raises:
        InputError: a kind does not exist, or the folder holds no claims.
    """
    wanted = tuple(dict.fromkeys(entities))
    for entity in wanted:
        if entity not in ENTITIES:
            raise InputError(f"{entity!r} is no entity{nearest(entity, ENTITIES)}; there are {', '.join(ENTITIES)}.")
    say = progress or (lambda _name, _done: None)
    with bounded_builder(folder, catalogue, memory=memory, threads=threads) as (builder, work):
        say("norms", 0.0)
        norms = builder.learn_norms()
        signals = {e: builder.usable(catalogue.of(e)) for e in wanted}
        stream = FrameStream(builder, work, folder=folder, chunk=chunk, progress=say)
        files = _write_claims(stream, signals, Path(out))
        day = as_of or day_after_last_claim(builder)
        peers: dict[str, Peers] = {}
        rows = {e: sum(pq.read_metadata(f).num_rows for f in found) for e, found in files.items()}
        for entity in (e for e in wanted if e != "claim"):
            frame = stream.entities(signals[entity], entity, known_on(builder, entity, day))
            peers[entity] = freeze_peers(frame)
            builder.reference = Reference(norms, peers)
            files[entity] = (_written(builder.with_peers(frame).to_arrow(), Path(out) / entity),)
            rows[entity] = len(frame)
        return WrittenFrames(files, rows, dict(builder.skipped), Reference(norms, peers))


def write_frame(
    folder: ClaimsFolder,
    catalogue: Catalogue,
    entity: str,
    to: Path,
    *,
    as_of: datetime | None = None,
    memory: str = MEMORY,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> WrittenFrames:
    """The frame of one kind as a single parquet file `to`; otherwise like `write_frames`."""
    # Beside the file, so that it can be moved there.
    with tempfile.TemporaryDirectory(prefix=".frames-", dir=to.absolute().parent) as beside:
        made = write_frames(
            folder, catalogue, beside, entities=[entity], as_of=as_of, memory=memory, chunk=chunk, progress=progress
        )
        parts = made.files[entity]
        if len(parts) == 1:
            shutil.move(parts[0], to)
        else:
            listed = ", ".join(f"'{quoted(p)}'" for p in parts)
            connection = connect(memory_limit=memory)
            _copy(connection, f"SELECT * FROM read_parquet([{listed}])", to)
            connection.close()
    return replace(made, files={entity: (to,)})


@contextmanager
def bounded_builder(
    folder: ClaimsFolder,
    catalogue: Catalogue,
    *,
    memory: str = MEMORY,
    threads: int | None = None,
    days: int = 365,
) -> Iterator[tuple[FrameBuilder, Path]]:
    """A builder on a folder whose queries spill beyond `memory`, and a folder for what is written on the way."""
    try:
        connection = connect(threads=threads, memory_limit=memory)
    except duckdb.Error as error:
        raise InputError(f"{memory!r} is no amount of memory; write it as 3GB or 800MB.") from error
    work = Path(tempfile.mkdtemp(prefix="fraud-frames-"))
    try:
        connection.execute(f"SET temp_directory = '{quoted(work / 'spill')}'")
        connection.execute("SET preserve_insertion_order = false")
        folder.attach(connection)
        yield FrameBuilder(connection, catalogue, days=days, present=folder.present), work
    finally:
        connection.close()
        shutil.rmtree(work, ignore_errors=True)


class FrameStream:
    """Computes frames over the tables of a builder's connection, which may hold any number of claims.

    `work` is a folder for chunks and values; whoever makes it removes it. `folder`, if its claims are all that the
    connection shows, may spare the cutting: its files may hold whole patients already. On a connection of one thread so
    many `hands` compute at once (where it is not told, one more than there are processors, three at most), and each may
    hold `memory`.
    """

    def __init__(
        self,
        builder: FrameBuilder,
        work: str | Path,
        *,
        folder: ClaimsFolder | None = None,
        chunk: int = CHUNK,
        hands: int | None = None,
        memory: str = MEMORY_OF_A_HAND,
        progress: Progress | None = None,
    ) -> None:
        self.builder = builder
        self.work = Path(work)
        self._say = progress or (lambda _name, _done: None)
        self.chunks = Chunks(builder.connection, self.work, folder, chunk, self._say)
        self._rounds = 0
        own = builder.connection.execute("SELECT current_setting('threads')").fetchall()[0][0]
        self._hands = (hands or min(cores() + 1, _MOST_HANDS)) if int(own) == 1 else 0
        self._memory = memory
        self._making = Lock()

    def write_claims(
        self, signals: Sequence[Signal], out: str | Path, target: str = "claims", *, rolled: Sequence[Signal] = ()
    ) -> tuple[Path, ...]:
        """Files of claim signals for every row of the relation `target`, one for each chunk, each in id order.

        `rolled` are claim signals that the windows of `entities` will ask for: they are computed on the way for all
        claims and held on disk.
        """
        out = Path(out)
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("part-*.parquet"):
            old.unlink()
        held = [s for s in rolled if not self.builder.holds(s)]
        both = list({s.id: s for s in (*signals, *held)}.values())
        self.chunks.cut()
        if held:
            self._values(0).parent.mkdir(exist_ok=True)

        def write(builder: FrameBuilder, number: int) -> Path:
            self._say("signals of claims", number / self.chunks.count)
            part = out / f"part-{number:04d}.parquet"
            with self.chunks.shown(builder.connection, number) as here:
                self._write_chunk(builder, (number, here), part, (signals, held, both), target)
            return part

        parts = self._dealt(write, range(self.chunks.count))
        if held:
            paths = [self._values(number) for number in range(self.chunks.count)]
            self._rounds += 1
            self.builder.hold_files(paths, [s.id for s in held])
        return tuple(parts)

    def claims(
        self, signals: Sequence[Signal], target: str = "claims", *, rolled: Sequence[Signal] = ()
    ) -> SignalFrame:
        """The frame of the claims of `target`, in id order: what `FrameBuilder.claims` gives, in bounded memory.

        The frame itself is held: 8 bytes for each claim and signal.
        """
        parts = self.write_claims(signals, self.work / "frame", target, rolled=rolled)
        names = tuple(s.id for s in signals)
        keys, attributes = self.builder.claim_rows(target)
        values = np.empty((keys.num_rows, len(names)))
        ids = keys.column(0).combine_chunks()
        for part in parts:
            rows = pq.read_table(part)
            at = pc.index_in(rows["claim_id"], value_set=ids).to_numpy()
            for column, name in enumerate(names):
                values[at, column] = rows[name].to_numpy()
        shutil.rmtree(self.work / "frame")
        return SignalFrame("claim", keys, names, values, attributes)

    def entities(self, signals: Sequence[Signal], entity: str, pairs: pa.Table) -> SignalFrame:
        """Windowed signals for `pairs`, without peer columns: what `FrameBuilder.entities` gives, in that order.

        Claim signals that they roll up are computed first, unless `write_claims` has held them.
        """
        self.hold(self.builder.rolled_by(signals))
        groups = self._groups(signals, entity)
        tasks = [(batch, own) for batch in self._batches(pairs) for own in groups]
        done = count()

        def compute(builder: FrameBuilder, task: tuple[pa.Table, Sequence[Signal]]) -> SignalFrame:
            frame = builder.entities(task[1], entity, task[0])
            self._say(f"snapshots of {entity}s", (next(done) + 1) / len(tasks))
            return frame

        self._say(f"snapshots of {entity}s", 0.0)
        frames = self._dealt(compute, tasks)
        names = tuple(s.id for s in signals)
        each = range(0, len(frames), len(groups))
        return joined_frames([_side_by_side(names, frames[first : first + len(groups)]) for first in each])

    def _groups(self, signals: Sequence[Signal], entity: str) -> list[Sequence[Signal]]:
        """Signals that one query computes: over many claims, those of the same relations.

        On 4 million claims one query of all signals of providers fails in DuckDB 2.0 (an overflow of its optimizer),
        and holds every relation at once.
        """
        if self.chunks.one:
            return [signals]
        groups: dict[tuple[str, ...], list[Signal]] = {}
        for s in signals:
            groups.setdefault(tuple(sorted(set(s.scopes) - {"limits", "rules", entity})), []).append(s)
        return list(groups.values())

    def _dealt(self, work: Callable[[FrameBuilder, Task], Result], tasks: Sequence[Task]) -> list[Result]:
        """What the work gives for each task, in their order, by as many hands at once as there are.

        Each task is computed by one thread, from beginning to end in a database of its own: neither how many hands
        there are nor what else they do changes a bit. Sums of floats depend on the order in which threads meet, and on
        when memory ran short. Queries that use all processors themselves are run one after the other as they are.
        """
        if not self._hands:
            return [work(self.builder, task) for task in tasks]

        def take(task: Task) -> Result:
            with self._making:
                connection = twin(self.builder.connection, self._memory)
            try:
                return work(self.builder.beside(connection), task)
            finally:
                connection.close()

        with ThreadPoolExecutor(self._hands, "fraud-frames") as pool:
            return list(pool.map(take, tasks))

    def features(self, signals: Sequence[Signal], target: str = "claims") -> SignalFrame:
        """What `claim_features` gives for the claims of `target`: own signals, then the snapshots they read."""
        grouped = by_entity(signals)
        own = grouped.pop("claim", [])
        rolled = self.builder.rolled_by([s for group in grouped.values() for s in group])
        frame = self.claims(own, target, rolled=rolled)
        for entity, group in grouped.items():
            pairs = months_of_claims(self.builder.connection, entity, target)
            snapshots = self.builder.with_peers(self.entities(group, entity, pairs))
            frame = with_snapshots(self.builder, frame, snapshots, target)
        return frame

    def hold(self, rolled: Sequence[Signal]) -> None:
        """Compute these claim signals for all claims and hold them on disk, as far as they are not held yet."""
        missing = [s for s in rolled if not self.builder.holds(s)]
        if missing:
            self.write_claims(missing, self.work / "unused", "claims", rolled=missing)
            shutil.rmtree(self.work / "unused")

    def _batches(self, pairs: pa.Table) -> Iterator[pa.Table]:
        """Pairs of so few snapshots that their windows together see a bounded number of claims."""
        days = sorted(set(pairs["snapshot"].to_pylist()))
        size = max(1, _WINDOW_CLAIMS // max(self.chunks.claims, 1))
        taken = pairs["snapshot"].to_numpy()
        for first in range(0, len(days), size):
            chosen = np.array(days[first : first + size], dtype="datetime64[us]")
            yield pairs.filter(pa.array(np.isin(taken, chosen)))

    def _write_chunk(
        self,
        builder: FrameBuilder,
        chunk: tuple[int, str],
        part: Path,
        signals: tuple[Sequence[Signal], Sequence[Signal], Sequence[Signal]],
        target: str,
    ) -> None:
        """Write the frame of a chunk's target claims, and what is held of all its claims; with the chunk's schema."""
        (number, here), (own, held, both), connection = chunk, signals, builder.connection
        chosen = "" if target == "claims" else f' SEMI JOIN main."{target}" t USING (claim_id)'
        if not held:
            _target(connection, f"SELECT c.* FROM {here}.claims c{chosen}")
            _copy(connection, _query(builder, own), part)
            return
        _target(connection, f"SELECT * FROM {here}.claims")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE chunk_values AS {_query(builder, both)}")
        names = ", ".join(f'c."{n}"' for n in ("claim_id", *(s.id for s in own)))
        _copy(connection, f"SELECT {names} FROM chunk_values c{chosen} ORDER BY claim_id", part)
        names = ", ".join(f'"{n}"' for n in ("claim_id", *(s.id for s in held)))
        _copy(connection, f"SELECT {names} FROM chunk_values", self._values(number))
        connection.execute("DROP TABLE chunk_values")

    def _values(self, number: int) -> Path:
        return self.work / f"values-{self._rounds}" / f"{number:04d}.parquet"


def _target(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    connection.execute(f'CREATE OR REPLACE TEMP VIEW "target" AS {query}')


def _query(builder: FrameBuilder, signals: Sequence[Signal]) -> str:
    if not signals:
        return 'SELECT claim_id FROM "target" ORDER BY claim_id'
    return f"{builder.sql(signals)} ORDER BY claim_id"


def _side_by_side(names: Sequence[str], frames: Sequence[SignalFrame]) -> SignalFrame:
    """One frame with the columns of several, which have the same rows, in the order of the names."""
    if len(frames) == 1:
        return frames[0]
    first = frames[0]
    values, totals = np.empty((2, len(first), len(names)))
    totals[:] = np.nan
    for frame in frames:
        places = [names.index(n) for n in frame.names]
        values[:, places] = frame.values
        if frame.totals is not None:
            totals[:, places] = frame.totals
    return SignalFrame(first.entity, first.keys, tuple(names), values, first.attributes, totals)


def _write_claims(
    stream: FrameStream, signals: Mapping[str, Sequence[Signal]], out: Path
) -> dict[str, tuple[Path, ...]]:
    """Files of the claims where they are wanted; what the entities roll up is held in any case."""
    rolled = stream.builder.rolled_by([s for entity, own in signals.items() if entity != "claim" for s in own])
    if "claim" in signals:
        return {"claim": stream.write_claims(signals["claim"], out / "claim", rolled=rolled)}
    stream.hold(rolled)
    return {}


def known_on(builder: FrameBuilder, entity: str, day: datetime) -> pa.Table:
    """Pairs (entity_id, snapshot) of every entity, registered or only named by a claim, on one day."""
    key = ENTITY_KEYS[entity]
    query = f"""SELECT entity_id, $day::TIMESTAMP AS snapshot FROM (
        SELECT "{key}" AS entity_id FROM claims WHERE "{key}" IS NOT NULL
        UNION SELECT "{key}" FROM "{entity}s") ORDER BY 1"""
    return builder.connection.sql(query, params={"day": day}).to_arrow_table()


def day_after_last_claim(builder: FrameBuilder) -> datetime:
    """Midnight after the last settlement: the snapshot that knows every claim."""
    query = "SELECT date_trunc('day', max(settled_at))::TIMESTAMP + INTERVAL 1 DAY FROM claims"
    ((day,),) = builder.connection.execute(query).fetchall()
    if day is None:
        raise InputError("the folder holds no claims; there is nothing to compute.")
    found: datetime = day
    return found


def _written(rows: pa.Table, place: Path) -> Path:
    """The one file of a frame that fits into memory."""
    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, place / "part-0000.parquet", compression="zstd")
    return place / "part-0000.parquet"


def _copy(connection: duckdb.DuckDBPyConnection, query: str, to: Path) -> None:
    # Most signals of most claims are 0, so a light compression is as small as a heavy one.
    connection.execute(f"COPY ({query}) TO '{quoted(to)}' (FORMAT parquet, COMPRESSION snappy)")
