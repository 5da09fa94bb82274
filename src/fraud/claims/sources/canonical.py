"""The canonical tables themselves, as CSV or parquet: `TABLE.csv`, `TABLE.parquet` or a folder `TABLE/`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fraud.claims.checking import Feed, Plan
from fraud.claims.raw import RawFile, RawSpec
from fraud.claims.schema import TABLES
from fraud.errors import ClaimsError, Fault, nearest

__all__ = ["plan"]

ENDINGS = (".csv", ".csv.gz", ".parquet")


def plan(raw: Path, mapping: Path | None = None) -> Plan:
    """The tables found in the folder; raises `ClaimsError` when there is none of them."""
    specs = tuple(_specs(raw))
    if not specs:
        found = ", ".join(sorted(path.name for path in raw.iterdir())[:5]) or "nothing"
        raise ClaimsError(
            f"{raw}: no canonical table here. Expected claims.csv, claims.parquet or a folder claims/; found "
            f"{found}. For files with other names or columns, use `fraud import mapped`."
        )
    strange = _strange(raw)
    return Plan(specs, _feeds, faults=lambda files: (*strange, *_unknown(files)))


def _table_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and path.name.endswith(ENDINGS))


def _specs(raw: Path) -> Iterator[RawSpec]:
    for name, table in TABLES.items():
        folder = raw / name
        inside = _table_files(folder) if folder.is_dir() else ()
        for path in (*(raw / f"{name}{ending}" for ending in ENDINGS), *inside):
            if path.is_file():
                yield RawSpec(path, name, path.relative_to(raw).as_posix(), table.required)


def _strange(raw: Path) -> tuple[Fault, ...]:
    """Files that look like tables and have the name of none."""
    return tuple(
        Fault(path.name, "unknown_file", f"no table of that name{nearest(stem, TABLES)}")
        for path in _table_files(raw)
        if (stem := path.name.split(".")[0]) not in TABLES
    )


def _feeds(files: Sequence[RawFile]) -> Sequence[Feed]:
    return [
        Feed(
            file.role,
            file,
            {column.name: file.cell(column.name) for column in TABLES[file.role].columns if file.has(column.name)},
        )
        for file in files
    ]


def _unknown(files: Sequence[RawFile]) -> Iterator[Fault]:
    for file in files:
        known = TABLES[file.role].by_name
        for column in file.columns:
            if column.casefold() not in known:
                hint = nearest(column, known)
                yield Fault(f"{file.name}:{column}", "unknown_column", f"left out{hint}")
