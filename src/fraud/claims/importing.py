"""Imports raw claims files into a folder of canonical tables: all or nothing, and nothing silently lost.

    look ─> stage ─> check ─> accept ─> merge ─> write ─> swap
    (files) (as text) (cells)  (rows)   (earlier) (parquet) (the new folder for the old)

What is special about a source is a file in `sources/`; everything here is the same for all of them.
Every step is SQL in a DuckDB database on disk with a memory limit, so files larger than memory import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from fraud.claims import pseudonyms, quality
from fraud.claims.checking import Feed, Plan, check, prepare, suspect
from fraud.claims.exporting import export
from fraud.claims.folder import ClaimsFolder
from fraud.claims.merging import accept, merge, prepare_fates
from fraud.claims.raw import RawFile, look, prepare_rejects, stage
from fraud.claims.schema import TABLES
from fraud.claims.sources import SOURCES
from fraud.claims.swapping import Target
from fraud.claims.tallying import TableCount, count_tables, find_faults
from fraud.errors import ClaimsError, Fault, SpecError, nearest

__all__ = ["SOURCES", "ImportResult", "TableCount", "import_claims"]

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class ImportResult:
    """What an import did: `tables` counts the rows of this import, `faults` says what was wrong in them."""

    to: Path
    tables: dict[str, TableCount]
    faults: tuple[Fault, ...]
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """The result as plain JSON types."""
        return {
            "to": str(self.to),
            "digest": self.digest,
            "tables": {name: asdict(count) for name, count in self.tables.items()},
            "faults": [fault.as_dict() for fault in self.faults],
        }


def import_claims(
    source: str,
    raw: Path,
    to: Path,
    *,
    mapping: Path | None = None,
    key: bytes | None = None,
    memory_limit: str = "2GB",
    progress: Progress | None = None,
) -> ImportResult:
    """Counts and faults of an import of the folder `raw` into `to`, which is written whole or not at all.

    A folder that holds claims already is merged into: later versions replace earlier ones, which go to
    history. With `key`, personal ids become pseudonyms. Raises `ClaimsError` or `SpecError`, with every
    fault at once, when nothing can be imported; then `to` is as it was.
    """
    tell = progress or (lambda step, share: None)
    plan = _plan(source, Path(raw), mapping)
    files = _look(plan)
    _need_key(plan.feeds(files), key)
    target = Target(Path(to), Path(raw), pseudonyms.fingerprint(key))
    with target.prepared() as work:
        connection = _database(work, memory_limit)
        try:
            return _Import(connection, plan, target, source, key, tell).run(files, work)
        except duckdb.OutOfMemoryException as error:
            raise ClaimsError(
                f"The import needs more than the memory limit of {memory_limit}. Give it more, e.g. 4GB."
            ) from error
        except duckdb.IOException as error:
            said = str(error).splitlines()[0][:200]
            raise ClaimsError(f"{to}: the import cannot go on ({said}). Is the disk full?") from error
        finally:
            connection.close()


def _plan(source: str, raw: Path, mapping: Path | None) -> Plan:
    if source not in SOURCES:
        raise ClaimsError(f"{source}: no such source{nearest(source, SOURCES)}. Known: {', '.join(SOURCES)}.")
    if not raw.is_dir():
        raise ClaimsError(f"{raw}: no such folder. Give the folder that holds the raw files.")
    plan = SOURCES[source](raw, mapping)
    if mapping and not plan.uses_mapping:
        raise SpecError(f"{source}: takes no mapping. Leave --mapping out, or use `fraud import mapped`.")
    return plan


def _look(plan: Plan) -> Sequence[RawFile]:
    """The plan's files, once all of them can be read and have the columns they need."""
    files, faults = look(plan.files)
    for file in files:
        known = [name.strip() for name in file.columns]
        faults += [
            Fault(f"{file.name}:{column}", "missing_column", f"no column {column}{nearest(column, known)}")
            for column in file.spec.required
            if not file.has(column)
        ]
    if faults:
        listed = "; ".join(f"{fault.where.split(':')[0]}: {fault.detail}" for fault in faults[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise ClaimsError(f"{listed}{more}. Nothing was imported."[:500], faults)
    return files


def _need_key(feeds: Sequence[Feed], key: bytes | None) -> None:
    asked = sorted({column for feed in feeds for column in feed.pseudonymise})
    if asked and key is None:
        raise ClaimsError(
            f"The mapping asks for pseudonyms of {', '.join(asked)}, and there is no key. Set "
            f"{pseudonyms.KEY_SETTING} to a secret of 16 bytes or more."
        )


def _database(work: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    settings = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": memory_limit,
        "temp_directory": str(work / "spill"),
    }
    try:
        connection = duckdb.connect(str(work / "import.duckdb"), config=settings)
    except duckdb.Error as error:
        raise ClaimsError(f"{memory_limit}: no memory limit. Give a number and a unit, e.g. 2GB.") from error
    connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
    return connection


def _instants(files: Sequence[RawFile]) -> Iterator[Fault]:
    """Columns of instants that nobody said how to turn into civil times."""
    for file in files:
        if file.spec.layout.timezone is None:
            for column in sorted(file.instants):
                detail = "holds instants, read as civil times of UTC; give `timezone` in a mapping"
                yield Fault(f"{file.name}:{column}", "time_zone", detail, file.rows)


@dataclass(frozen=True)
class _Import:
    """One import on its way through the steps."""

    connection: duckdb.DuckDBPyConnection
    plan: Plan
    target: Target
    source: str
    key: bytes | None
    tell: Progress

    def run(self, looked: Sequence[RawFile], work: Path) -> ImportResult:
        """The result, after the new folder has taken the place of the old one."""
        self._prepare()
        files = self._stage(looked, work)
        feeds = self._check(files)
        self._merge(feeds)
        self.tell("writing tables", 0.6)
        folder = export(self.connection, files, feeds, self.target, self.key is not None)
        counts = count_tables(self.connection, files, feeds, self.target)
        faults = (*self.plan.faults(files), *_instants(files), *find_faults(self.connection, files, feeds))
        self.tell("checking quality", 0.75)
        report = quality.assess(self.connection, files, feeds, counts, faults, self.plan.left_out(files))
        digest = ClaimsFolder(folder).digest
        quality.write(report, folder)
        self.target.describe(folder, self.source, files, counts, faults, digest)
        self.connection.close()
        self.target.swap(folder)
        self.tell("done", 1.0)
        return ImportResult(self.target.path, counts, faults, digest)

    def _prepare(self) -> None:
        pseudonyms.install(self.connection, self.key)
        prepare_rejects(self.connection)
        prepare(self.connection)
        prepare_fates(self.connection)

    def _stage(self, looked: Sequence[RawFile], work: Path) -> Sequence[RawFile]:
        total = sum(file.spec.path.stat().st_size for file in looked) or 1
        files, done = [], 0
        for file in looked:
            self.tell(f"reading {file.name}", 0.4 * done / total)
            files.append(stage(self.connection, file, work))
            done += file.spec.path.stat().st_size
        self.connection.execute("CREATE TABLE files (_file INT, name VARCHAR, sha256 VARCHAR)")
        rows = [[file.index, file.name, file.sha256] for file in files]
        self.connection.executemany("INSERT INTO files VALUES (?, ?, ?)", rows)
        return files

    def _check(self, files: Sequence[RawFile]) -> Sequence[Feed]:
        """The feeds, after checking all their rows; tables in the schema's order, so claims come first."""
        feeds = self.plan.feeds(files)
        given = [name for name in TABLES if any(feed.table == name for feed in feeds)]
        for place, name in enumerate(given):
            self.tell(f"checking {name}", 0.4 + 0.2 * place / len(given))
            for feed in feeds:
                if feed.table == name:
                    check(self.connection, feed, self.key is not None)
            accept(self.connection, name)
        if self.key is None:
            self._refuse_personal(files, given)
        return feeds

    def _refuse_personal(self, files: Sequence[RawFile], given: Sequence[str]) -> None:
        """Raise `ClaimsError` when ids of persons would go into the tables as they are."""
        names = {file.index: file.name for file in files}
        faults = []
        for table in (TABLES[name] for name in given):
            columns = [c.name for c in table.columns if c.kind in ("id", "text") and not c.values]
            counts = ", ".join(f"""count(*) FILTER ({suspect(c, f'"{c}"')})""" for c in columns)
            query = f"SELECT _file, {counts} FROM checked_{table.name} GROUP BY _file ORDER BY _file"
            for index, *found in self.connection.execute(query).fetchall():
                faults += [
                    Fault(f"{names.get(index, '')}:{column}", "personal_id", "numbers of persons", count)
                    for column, count in zip(columns, found, strict=True)
                    if count
                ]
        if faults:
            where = ", ".join(f"{fault.where} ({fault.count})" for fault in faults[:5])
            raise ClaimsError(
                f"ID-card or telephone numbers in {where}: they may not go into the tables as they are. Set "
                f"{pseudonyms.KEY_SETTING} to a secret of 16 bytes or more, and import again.",
                faults,
            )

    def _merge(self, feeds: Sequence[Feed]) -> None:
        earlier = self.target.earlier()
        given = {feed.table for feed in feeds}
        if earlier:
            self.connection.execute("CREATE SCHEMA existing; USE existing")
            earlier.attach(self.connection)
            self.connection.execute("USE main")
        for name in TABLES:
            merge(self.connection, name, bool(earlier and earlier.files(name)), name in given)
