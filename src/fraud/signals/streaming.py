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
from functools import cached_property
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
from fraud.signals.definition import ENTITIES, Signal
from fraud.signals.frames import FrameBuilder, Reference, SignalFrame, freeze_peers, joined_frames, months_of_claims
from fraud.signals.peers import Peers
from fraud.signals.relations import ENTITY_KEYS

__all__ = [
    "CHUNK",
    "MEMORY",
    "FrameStream",
    "PartOfFolder",
    "Progress",
    "WrittenFrames",
    "bounded_builder",
    "day_after_last_claim",
    "known_on",
    "whole_parts",
    "write_frame",
    "write_frames",
]

# Claims of one chunk: up to 1 GB while it is computed. Where a query may hold too little DuckDB spills, and then sums
# of floats differ in the last bit from run to run; at 250,000 claims even 3 GB were too little.
CHUNK = 50_000
# What DuckDB may hold before it spills to disk; the process needs about as much besides.
MEMORY = "3GB"
# Claims that the windows of one query may see, over all its snapshots.
_WINDOW_CLAIMS = 4_000_000
# Queries at once, and what each may hold: `MEMORY` together.
_MOST_HANDS = 2
MEMORY_OF_A_HAND = "1500MB"
_ITEMS = ("lines", "diagnoses", "procedures")
_CUT = ("claims", *_ITEMS)

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
            listed = ", ".join(f"'{_quoted(p)}'" for p in parts)
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
        connection.execute(f"SET temp_directory = '{_quoted(work / 'spill')}'")
        connection.execute("SET preserve_insertion_order = false")
        folder.attach(connection)
        yield FrameBuilder(connection, catalogue, days=days, present=folder.present), work
    finally:
        connection.close()
        shutil.rmtree(work, ignore_errors=True)


class FrameStream:
    """Computes frames over the tables of a builder's connection, which may hold any number of claims.

    `work` is a folder for chunks and values; whoever makes it removes it. `folder`, if its claims are all that the
    connection shows, may spare the cutting: its files may hold whole patients already. On a connection of
    one thread so many `hands` compute at once (where it is not told, as many as there are processors, two at most), and
    each may hold `memory`.
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
        self._folder = folder
        self._chunk = chunk
        self._say = progress or (lambda _name, _done: None)
        self._cut = False
        self._rounds = 0
        own = builder.connection.execute("SELECT current_setting('threads')").fetchall()[0][0]
        self._hands = (hands or min(cores(), _MOST_HANDS)) if int(own) == 1 else 0
        self._memory = memory
        self._making = Lock()

    @cached_property
    def claims_in_all(self) -> int:
        """Number of claims of the connection."""
        return int(self.builder.connection.execute("SELECT count(*) FROM claims").fetchall()[0][0])

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Names of the folder's own files, where they are chunks already; else none."""
        small = self._folder is None or self.claims_in_all <= self._chunk
        return () if small or self._folder is None else whole_parts(self.builder.connection, self._folder)

    @cached_property
    def chunks(self) -> int:
        """Number of chunks that the claims are computed in."""
        return len(self._pieces) or max(1, -(-self.claims_in_all // self._chunk))

    @cached_property
    def _pieces(self) -> tuple[tuple[str, int, int], ...]:
        """Of each chunk that is taken from a file: its name, which piece of it, and of how many."""
        sizes = (
            {} if self._folder is None else {f.name: pq.read_metadata(f).num_rows for f in self._folder.files("claims")}
        )
        pieces = {name: max(1, -(-sizes[name] // self._chunk)) for name in self.parts}
        return tuple((name, piece, of) for name, of in pieces.items() for piece in range(of))

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
        if self.chunks > 1 and not self._cut:
            self._cut_claims()
        if held:
            self._values(0).parent.mkdir(exist_ok=True)

        def write(builder: FrameBuilder, number: int) -> Path:
            self._say("signals of claims", number / self.chunks)
            part = out / f"part-{number:04d}.parquet"
            with self._shown(builder, number):
                self._write_chunk(builder, number, part, (signals, held, both), target)
            return part

        parts = self._dealt(write, range(self.chunks))
        if held:
            paths = [self._values(number) for number in range(self.chunks)]
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
        if self.claims_in_all <= self._chunk:
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
        size = max(1, _WINDOW_CLAIMS // max(self.claims_in_all, 1))
        taken = pairs["snapshot"].to_numpy()
        for first in range(0, len(days), size):
            chosen = np.array(days[first : first + size], dtype="datetime64[us]")
            yield pairs.filter(pa.array(np.isin(taken, chosen)))

    # --- chunks -------------------------------------------------------------------------------------------

    @contextmanager
    def _shown(self, builder: FrameBuilder, number: int) -> Iterator[None]:
        """Within it, `claims` and its items are those of a chunk on the builder's connection."""
        if self.chunks > 1:
            self._show(builder.connection, number)
        try:
            yield
        finally:
            builder.connection.execute("SET search_path = 'main'")
            if self.chunks > 1:
                builder.connection.execute(f"DROP SCHEMA {_schema(number)} CASCADE")

    def _cut_claims(self) -> None:
        """Write claims and their items as chunks of whole patients."""
        connection = self.builder.connection
        self._cut = True
        if self.parts:
            return
        self._say("cutting claims into chunks", 0.0)
        by = f"hash(patient_id) % {self.chunks} AS chunk"
        self._partition("claims", f"SELECT *, {by} FROM claims")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE claim_chunks AS SELECT claim_id, {by} FROM claims")
        for name in _ITEMS:
            self._say("cutting claims into chunks", (1 + _ITEMS.index(name)) / (1 + len(_ITEMS)))
            self._partition(name, f'SELECT i.*, c.chunk FROM "{name}" i JOIN claim_chunks c USING (claim_id)')
        connection.execute("DROP TABLE claim_chunks")

    def _partition(self, name: str, query: str) -> None:
        place = self.work / "chunks" / name
        place.mkdir(parents=True, exist_ok=True)
        self.builder.connection.execute(f"COPY ({query}) TO '{_quoted(place)}' (FORMAT parquet, PARTITION_BY (chunk))")

    def _show(self, connection: duckdb.DuckDBPyConnection, number: int) -> None:
        """Let `claims` and its items be those of one chunk."""
        connection.execute(f"CREATE SCHEMA {_schema(number)}")
        connection.execute(f"SET search_path = '{_schema(number)},main'")
        if self._pieces and self._folder is not None:
            part, piece, of = self._pieces[number]
            PartOfFolder(self._folder, part).attach(connection, _CUT)
            if of > 1:
                _take_piece(connection, piece, of)
            return
        for name in _CUT:
            place = self.work / "chunks" / name / f"chunk={number}"
            files = _quoted(place / "*.parquet")
            source = f"read_parquet('{files}', hive_partitioning = false)"
            if not any(place.glob("*.parquet")):
                source = f'main."{name}" WHERE false'
            connection.execute(f'CREATE OR REPLACE VIEW {_schema(number)}."{name}" AS SELECT * FROM {source}')

    def _write_chunk(
        self,
        builder: FrameBuilder,
        number: int,
        part: Path,
        signals: tuple[Sequence[Signal], Sequence[Signal], Sequence[Signal]],
        target: str,
    ) -> None:
        """Write the frame of a chunk's target claims, and what is held of all its claims."""
        own, held, both = signals
        connection = builder.connection
        here = _schema(number) if self.chunks > 1 else "main"
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


def _take_piece(connection: duckdb.DuckDBPyConnection, piece: int, of: int) -> None:
    """Let `claims` and its items of the first schema be those of one of so many groups of patients."""
    for name in _CUT:
        chosen = f"WHERE hash(patient_id) % {of} = {piece}" if name == "claims" else "SEMI JOIN claims USING (claim_id)"
        connection.execute(f'CREATE TABLE "{name}_of_piece" AS SELECT * FROM "{name}" {chosen}')
        connection.execute(f'DROP VIEW "{name}"')
        connection.execute(f'ALTER TABLE "{name}_of_piece" RENAME TO "{name}"')


def _schema(number: int) -> str:
    return f"chunk{number}"


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


class PartOfFolder(ClaimsFolder):
    """A folder with one file of claims and of each kind of their items, and all of the other tables."""

    def __init__(self, folder: ClaimsFolder, part: str) -> None:
        self._part: str | None = None
        super().__init__(folder.path)
        self._part = part

    def files(self, name: str) -> list[Path]:
        """Parquet files of a table: of claims and items only those of the part."""
        found = super().files(name)
        return [f for f in found if f.name == self._part] if self._part and name in _CUT else found


def whole_parts(connection: duckdb.DuckDBPyConnection, folder: ClaimsFolder) -> tuple[str, ...]:
    """Names of a folder's files, if each holds all claims of its patients with all their items.

    A payer's tables are often written by region or by month of birth; those of the simulator are written by city.
    """
    files = {f.name: f for f in folder.files("claims")}
    named = all(f.name in files for name in _ITEMS for f in folder.files(name))
    if len(files) < 2 or not named:
        return ()
    listed = ", ".join(f"'{_quoted(f)}'" for f in files.values())
    torn = f"""SELECT 1 FROM read_parquet([{listed}], filename = true)
        GROUP BY patient_id HAVING min(filename) <> max(filename) LIMIT 1"""
    strays = (
        f"SELECT 1 FROM '{_quoted(f)}' ANTI JOIN '{_quoted(files[f.name])}' USING (claim_id) LIMIT 1"
        for name in _ITEMS
        for f in folder.files(name)
    )
    apart = any(connection.execute(query).fetchall() for query in (torn, *strays))
    return () if apart else tuple(files)


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
    connection.execute(f"COPY ({query}) TO '{_quoted(to)}' (FORMAT parquet, COMPRESSION snappy)")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
