"""Raw files on disk, read as text into DuckDB: every record is staged or rejected, none is lost.

A CSV goes one of two ways. The fast way is DuckDB's own reader in strict mode; it counts only if it
reports no error and finds exactly one record a line. Everything else (cut rows, quoted line breaks,
bytes that are not text) goes the careful way: record by record, with a line number for each reject.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import shutil
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from fraud.errors import ClaimsError, Fault

__all__ = ["Layout", "RawFile", "RawSpec", "literal", "look", "prepare_rejects", "stage"]

BATCH_ROWS = 20_000
OPEN_QUOTE = "open_quote"
# What a packed file raises that ends too early.
CUT = (EOFError, zlib.error)
# A quote that is not closed within so many lines is taken as a cut row, not as a very long value.
QUOTED_LINES = 100
DELIMITERS = (",", "\t", ";", "|")
# Spaces that spreadsheets and Chinese forms leave around a value.
BLANKS = " \t\r\n\u00a0\u3000"


def literal(text: str) -> str:
    """The text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Layout:
    """How a raw file is written.

    `delimiter` None takes the one that the header shows. `timezone` says whose civil time the instants
    of a parquet file are to be read in.
    """

    delimiter: str | None = None
    encoding: str = "utf-8"
    nulls: tuple[str, ...] = ()
    timezone: str | None = None


@dataclass(frozen=True)
class RawSpec:
    """A raw file that an importer wants.

    `role` says what for, `name` is its path within the folder of raw files, `required` lists the columns
    that it must have.
    """

    path: Path
    role: str
    name: str
    required: tuple[str, ...] = ()
    layout: Layout = Layout()


@dataclass(frozen=True)
class RawFile:
    """A raw file with its columns and, once staged, its rows as the table `relation`."""

    spec: RawSpec
    index: int
    columns: tuple[str, ...]
    lists: frozenset[str] = frozenset()
    instants: frozenset[str] = frozenset()
    sha256: str = ""
    size: int = 0
    rows: int = 0
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        """The file's path within the folder of raw files."""
        return self.spec.name

    @property
    def role(self) -> str:
        """What the importer wants the file for."""
        return self.spec.role

    @property
    def relation(self) -> str:
        """Name of the staged table."""
        return f"raw_{self.index}"

    @property
    def is_parquet(self) -> bool:
        """Whether the file is parquet rather than CSV."""
        return self.spec.path.suffix.lower() == ".parquet"

    @cached_property
    def _places(self) -> dict[str, int]:
        exact = {name: place for place, name in enumerate(self.columns)}
        folded = {name.strip().casefold(): place for place, name in enumerate(self.columns)}
        return folded | exact

    def has(self, column: str) -> bool:
        """Whether the file has the column, in any case of letters."""
        return column in self._places or column.casefold() in self._places

    def cell(self, column: str) -> str:
        """SQL for the trimmed text of a column; NULL where the file does not have it."""
        if not self.has(column):
            return "CAST(NULL AS VARCHAR)"
        place = self._places.get(column, self._places.get(column.casefold(), 0))
        return self._text(place)

    def _text(self, place: int) -> str:
        quoted = f'"c{place}"'
        if self.columns[place] in self.lists:
            return f"CAST(to_json({quoted}) AS VARCHAR)"
        if self.columns[place] in self.instants:
            quoted = f"timezone({literal(self.spec.layout.timezone or 'UTC')}, {quoted})"
        trimmed = f"trim(CAST({quoted} AS VARCHAR), {literal(BLANKS)})"
        nulls = ", ".join(literal(null) for null in ("", *self.spec.layout.nulls))
        return f"(CASE WHEN {trimmed} NOT IN ({nulls}) THEN {trimmed} END)"

    def texts(self) -> dict[str, str]:
        """SQL for the text of every column, by staged column name (`c0`, `c1`, ...)."""
        return {f"c{place}": self._text(place) for place in range(len(self.columns))}


def look(specs: Iterable[RawSpec]) -> tuple[list[RawFile], list[Fault]]:
    """The files with their columns, and every file that cannot be read; nothing is loaded yet."""
    files, faults = [], []
    for index, spec in enumerate(specs):
        try:
            files.append(_look(spec, index))
        except (*CUT, OSError, ValueError, csv.Error, pa.ArrowException) as error:
            faults.append(Fault(spec.name, "unreadable_file", _reason(error)))
    return files, faults


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the header is not {error.encoding}; give the encoding in a mapping"
    if isinstance(error, pa.ArrowException):
        return "not a parquet file, or cut short"
    if isinstance(error, CUT):
        return "a packed file that is cut short; export it again"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _look(spec: RawSpec, index: int) -> RawFile:
    if spec.path.stat().st_size == 0:
        raise ValueError("the file is empty (0 bytes): export it again")
    if spec.path.suffix.lower() == ".parquet":
        return _look_parquet(spec, index)
    text = _header(spec)
    delimiter = spec.layout.delimiter or max(DELIMITERS, key=text.count)
    columns = tuple(name.strip() for name in next(csv.reader([text], delimiter=delimiter, strict=True)))
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f"the header names {', '.join(twice[:5])} more than once")
    return RawFile(replace(spec, layout=replace(spec.layout, delimiter=delimiter)), index, columns)


def _header(spec: RawSpec) -> str:
    with _text_lines(spec) as lines:
        text = next(lines, b"").decode("utf-8-sig").rstrip("\r\n")
    if not text.strip():
        raise ValueError("the first line is blank: expected the names of the columns")
    return text


def _look_parquet(spec: RawSpec, index: int) -> RawFile:
    schema = pq.read_schema(spec.path)
    lists = frozenset(f.name for f in schema if pa.types.is_list(f.type) or pa.types.is_large_list(f.type))
    instants = frozenset(f.name for f in schema if pa.types.is_timestamp(f.type) and f.type.tz)
    return RawFile(spec, index, tuple(schema.names), lists, instants)


class _text_lines:  # noqa: N801 - reads as a function
    """Lines of a file as UTF-8 bytes, whatever its encoding and compression; a context manager."""

    def __init__(self, spec: RawSpec) -> None:
        opener = gzip.open if spec.path.suffix.lower() == ".gz" else open
        self._file = opener(spec.path, "rb")
        self._encoding = codecs.lookup(spec.layout.encoding).name

    def __enter__(self) -> Iterator[bytes]:
        return iter(self._file) if self._encoding in ("utf-8", "ascii") else self._recoded()

    def _recoded(self) -> Iterator[bytes]:
        # Bytes that the encoding does not know stay as they are: invalid UTF-8, so a reject later.
        with io.TextIOWrapper(self._file, self._encoding, "surrogateescape", newline="\n") as lines:
            for line in lines:
                yield line.encode("utf-8", "surrogateescape")

    def __exit__(self, *_: object) -> None:
        self._file.close()


def stage(connection: duckdb.DuckDBPyConnection, file: RawFile, scratch: Path) -> RawFile:
    """The file with its digest and number of rows, after loading it as `raw_N` and into `rejects`."""
    digest, size = _digest(file.spec.path)
    try:
        if file.is_parquet:
            _stage_parquet(connection, file)
        elif not _stage_fast(connection, file, scratch):
            _stage_careful(connection, file)
    except (*CUT, UnicodeError) as error:
        encoding = file.spec.layout.encoding
        what = f"not text in {encoding}" if isinstance(error, UnicodeError) else "packed, and cut short"
        raise ClaimsError(
            f"{file.name}: {what}. Nothing was imported; export it again.",
            [Fault(file.name, "unreadable_file", what)],
        ) from error
    count = f"""SELECT (SELECT count(*) FROM {file.relation})
        + (SELECT count(*) FROM rejects WHERE _file = {file.index})"""
    rows = connection.execute(count).fetchall()[0][0]
    return replace(file, sha256=digest, size=size, rows=int(rows))


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest(), path.stat().st_size


def _stage_parquet(connection: duckdb.DuckDBPyConnection, file: RawFile) -> None:
    columns = ", ".join('"' + name.replace('"', '""') + f'" AS c{place}' for place, name in enumerate(file.columns))
    query = f"""CREATE TABLE {file.relation} AS SELECT file_row_number + 1 AS _row, {columns}
        FROM read_parquet({literal(str(file.spec.path))}, file_row_number = true)"""
    try:
        connection.execute(query)
    except duckdb.Error as error:
        raise ClaimsError(
            f"{file.name}: cannot be read as parquet; it may be cut short. Export it again.",
            [Fault(file.name, "unreadable_file", str(error).splitlines()[0][:200])],
        ) from error


def _stage_fast(connection: duckdb.DuckDBPyConnection, file: RawFile, scratch: Path) -> bool:
    """Whether DuckDB read the file without an error and one record a line; else nothing is left behind."""
    spec = file.spec
    if codecs.lookup(spec.layout.encoding).name not in ("utf-8", "ascii"):
        return False
    path = _unpacked(spec.path, scratch)
    lines = _lines(path)
    if lines is None:
        return False
    names = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(file.columns)))
    query = f"""CREATE TABLE {file.relation} AS SELECT row_number() OVER () + 1 AS _row, *
        FROM read_csv({literal(str(path))}, auto_detect = false, header = true, columns = {{{names}}},
            delim = {literal(spec.layout.delimiter or ",")}, quote = '"', escape = '"', nullstr = '',
            strict_mode = true, null_padding = false, compression = 'none')"""
    try:
        connection.execute(query)
    except duckdb.Error:
        connection.execute(f"DROP TABLE IF EXISTS {file.relation}")
        return False
    rows = connection.execute(f"SELECT count(*) FROM {file.relation}").fetchall()[0][0]
    if rows + 1 != lines:
        connection.execute(f"DROP TABLE {file.relation}")
        return False
    return True


def _unpacked(path: Path, scratch: Path) -> Path:
    if path.suffix.lower() != ".gz":
        return path
    target = scratch / path.stem
    with gzip.open(path, "rb") as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    return target


def _lines(path: Path) -> int | None:
    """Lines of the file, the last one with or without a line break; None where the engine is too generous.

    It reads `"a" "b"` as one value and a lone carriage return as a line break, and reports nothing.
    """
    lines, returns, last = 0, 0, b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            edge = last + block
            if b'" ' in edge or b' "' in edge:
                return None
            lines += block.count(b"\n")
            returns += block.count(b"\r") - edge.count(b"\r\n")
            last = block[-1:]
    return None if returns else lines + (last != b"\n")


@dataclass(frozen=True)
class _Record:
    row: int
    values: list[str] | None
    text: str = ""
    code: str = ""
    reason: str = ""


def _stage_careful(connection: duckdb.DuckDBPyConnection, file: RawFile) -> None:
    columns = ", ".join(f"c{place} VARCHAR" for place in range(len(file.columns)))
    connection.execute(f"CREATE TABLE {file.relation} (_row BIGINT, {columns})")
    with _text_lines(file.spec) as lines:
        records = _records(lines, len(file.columns), file.spec.layout.delimiter or ",")
        while batch := list(islice(records, BATCH_ROWS)):
            _insert(connection, file, batch)


def _insert(connection: duckdb.DuckDBPyConnection, file: RawFile, batch: list[_Record]) -> None:
    good = [record for record in batch if record.values is not None]
    bad = [record for record in batch if record.values is None]
    if good:
        cells = zip(*(record.values or [] for record in good), strict=True)
        arrays = [pa.array([cell or None for cell in column], pa.string()) for column in cells]
        names = ["_row", *(f"c{place}" for place in range(len(file.columns)))]
        rows = pa.table([pa.array([record.row for record in good], pa.int64()), *arrays], names=names)
        _append(connection, file.relation, rows)
    if bad:
        rejects = [{"_file": file.index, **asdict(record)} for record in bad]
        _append(
            connection,
            "rejects",
            pa.Table.from_pylist(rejects).select(["_file", "row", "code", "reason", "text"]),
        )


def _append(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    connection.register("batch", rows)
    connection.execute(f"INSERT INTO {table} SELECT * FROM batch")
    connection.unregister("batch")


def _records(lines: Iterator[bytes], width: int, delimiter: str) -> Iterator[_Record]:
    """Every record after the header, good or rejected; `row` is the line that it starts on."""
    waiting: deque[bytes] = deque()
    next(lines, None)
    row = 1
    while line := (waiting.popleft() if waiting else next(lines, b"")):
        row += 1
        if not line.strip(b"\r\n"):
            continue
        record = _record(line, row, width, delimiter)
        if record.code == OPEN_QUOTE:
            waiting.extend(islice(lines, max(0, QUOTED_LINES - len(waiting))))
            joined, taken = _joined(line, waiting, row, width, delimiter)
            if joined is not None:
                for _ in range(taken):
                    waiting.popleft()
                yield joined
                row += taken
                continue
        yield record


def _joined(line: bytes, waiting: Iterable[bytes], row: int, width: int, delimiter: str) -> tuple[_Record | None, int]:
    """The record that goes on over the next lines, and how many; None if they do not complete it."""
    block = line
    for taken, following in enumerate(waiting, start=1):
        block += following
        if b'"' not in following:
            continue
        record = _record(block, row, width, delimiter)
        if record.values is not None:
            return record, taken
        if record.code != OPEN_QUOTE:
            return None, 0
    return None, 0


def _record(line: bytes, row: int, width: int, delimiter: str) -> _Record:
    try:
        text = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        shown = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
        return _Record(row, None, shown, "not_text", "bytes that the encoding of the file does not know")
    try:
        values = _split(text, delimiter)
    except csv.Error as error:
        return _Record(row, None, text, *_broken(str(error)))
    # Spreadsheets end lines with delimiters: empty fields too many carry nothing.
    if len(values) >= width and not any(values[width:]):
        return _Record(row, values[:width])
    much = "few" if len(values) < width else "many"
    reason = f"too {much} fields: {len(values)}, the header has {width}; the row may be cut"
    return _Record(row, None, text, f"too_{much}_fields", reason)


def _split(text: str, delimiter: str) -> list[str]:
    return next(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True), [])


def _broken(error: str) -> tuple[str, str]:
    """Code and reason for what the CSV reader says about a record."""
    if "unexpected end" in error:
        return OPEN_QUOTE, "a quote is opened and not closed; the row may be cut"
    if "new-line" in error:
        return "bare_line_break", "a line break within a value that is not quoted"
    if "field limit" in error:
        return "too_long", f"a value is longer than {csv.field_size_limit():,} characters"
    return "broken_quotes", "text follows a closing quote"


def prepare_rejects(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table of records that could not be split into the columns of their file."""
    connection.execute("CREATE TABLE rejects (_file INT, _row BIGINT, code VARCHAR, reason VARCHAR, text VARCHAR)")
