"""Any CSV or parquet files, with a TOML file that maps their columns, values and dates onto the tables.

`docs/mapping.example.toml` shows every key. A wrong mapping is refused with all its faults at once.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path, PurePath
from typing import Any
from zoneinfo import ZoneInfo

from fraud.claims.checking import Feed, Plan
from fraud.claims.raw import Layout, RawFile, RawSpec, literal
from fraud.claims.schema import TABLES, Column, Table
from fraud.errors import Fault, SpecError, nearest

__all__ = ["plan"]

# Stands for the number of the row in its file, where a source numbers nothing itself.
ROW = "#row"
KINDS: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "files": (str, list),
    "delimiter": str,
    "encoding": str,
    "nulls": list,
    "dates": list,
    "timezone": str,
    "pseudonymise": list,
    "columns": dict,
    "constants": dict,
    "values": dict,
    "scale": dict,
}


@dataclass(frozen=True)
class _Entry:
    """One `[[table]]` of a mapping."""

    name: str
    files: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    dates: tuple[str, ...] = ()
    pseudonymise: tuple[str, ...] = ()
    layout: Layout = Layout()

    @property
    def table(self) -> Table:
        return TABLES[self.name]


def plan(raw: Path, mapping: Path | None = None) -> Plan:
    """The files that the mapping names; raises `SpecError` with every fault of the mapping at once."""
    if mapping is None:
        raise SpecError("`mapped` needs a mapping: pass --mapping FILE.toml (see docs/mapping.example.toml).")
    entries, faults = _entries(_read(mapping))
    paths = [[path for pattern in entry.files for path in sorted(raw.glob(pattern))] for entry in entries]
    for place, (entry, found) in enumerate(zip(entries, paths, strict=True)):
        if not found:
            looked = ", ".join(entry.files)
            faults.append(Fault(f"/table/{place}/files", "no_file", f"no file in {raw.name} matches {looked}"))
    if faults:
        listed = "; ".join(f"{fault.where}: {fault.detail}" for fault in faults[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise SpecError(f"{mapping.name}: {listed}{more}. Nothing was imported."[:500], faults)
    specs = tuple(
        RawSpec(path, str(place), path.relative_to(raw).as_posix(), _required(entry), entry.layout)
        for place, entry in enumerate(entries)
        for path in paths[place]
    )
    return Plan(specs, lambda files: [_feed(entries[int(file.role)], file) for file in files], uses_mapping=True)


def _read(mapping: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(mapping.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SpecError(f"{mapping}: no such mapping. Start from docs/mapping.example.toml.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{mapping.name}: not UTF-8 text. Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{mapping.name}: not TOML: {error}.") from error


def _required(entry: _Entry) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for source in entry.columns.values() if source != ROW))


def _entries(read: Mapping[str, Any]) -> tuple[list[_Entry], list[Fault]]:
    tables = read.get("table", [])
    faults = [
        Fault(f"/{key}", "unknown_key", f"no such key{nearest(key, ['table'])}") for key in read if key != "table"
    ]
    if not isinstance(tables, list) or not tables:
        return [], [*faults, Fault("/table", "missing", "expected at least one [[table]]")]
    entries = []
    for place, given in enumerate(tables):
        found = list(_check(given))
        faults += [Fault(f"/table/{place}{fault.where}", fault.code, fault.detail) for fault in found]
        if not found:
            entries.append(_entry(given))
    return entries, faults


def _entry(given: Mapping[str, Any]) -> _Entry:
    files = given["files"]
    layout = Layout(
        given.get("delimiter"),
        given.get("encoding", "utf-8"),
        tuple(given.get("nulls", ())),
        given.get("timezone"),
    )
    parts: dict[str, Any] = {key: given[key] for key in ("columns", "constants", "values", "scale") if key in given}
    parts |= {key: tuple(given[key]) for key in ("dates", "pseudonymise") if key in given}
    return _Entry(given["name"], (files,) if isinstance(files, str) else tuple(files), layout=layout, **parts)


def _check(given: object) -> Iterator[Fault]:
    """Everything wrong with one `[[table]]`."""
    if not isinstance(given, dict):
        yield Fault("", "wrong_type", "expected a table of keys")
        return
    for key in given:
        if key not in KINDS:
            yield Fault(f"/{key}", "unknown_key", f"no such key{nearest(key, KINDS)}")
        elif not isinstance(given[key], KINDS[key]):
            yield Fault(f"/{key}", "wrong_type", f"{type(given[key]).__name__} is not what belongs here")
    for key in ("name", "files"):
        if key not in given:
            yield Fault(f"/{key}", "missing", f"{key} is missing")
    name = given.get("name")
    if isinstance(name, str) and name not in TABLES:
        yield Fault("/name", "unknown_table", f"no table {name}{nearest(name, TABLES)}")
    elif isinstance(name, str) and all(isinstance(given[key], KINDS[key]) for key in given if key in KINDS):
        yield from _check_columns(given, TABLES[name])
        yield from _check_layout(given)


def _check_columns(given: Mapping[str, Any], table: Table) -> Iterator[Fault]:
    columns, constants = given.get("columns", {}), given.get("constants", {})
    for key in ("columns", "constants", "values", "scale"):
        for name in given.get(key, {}):
            if name not in table.by_name:
                yield Fault(
                    f"/{key}/{name}",
                    "unknown_column",
                    f"no column in {table.name}{nearest(name, table.by_name)}",
                )
    for name in given.get("pseudonymise", []):
        if name not in table.by_name:
            yield Fault("/pseudonymise", "unknown_column", f"no column {name}{nearest(name, table.by_name)}")
        elif table.by_name[name].kind not in ("id", "text"):
            yield Fault("/pseudonymise", "not_text", f"{name} is no text; only text and ids become pseudonyms")
    for name in table.required:
        if name not in columns and name not in constants:
            yield Fault(f"/columns/{name}", "missing", "required, and neither a column nor a constant gives it")
    for name in columns:
        if name in constants:
            yield Fault(f"/constants/{name}", "given_twice", "given by a column too")
    yield from _check_contents(given, table)


def _check_contents(given: Mapping[str, Any], table: Table) -> Iterator[Fault]:
    columns = given.get("columns", {})
    for name, source in columns.items():
        if not isinstance(source, str):
            yield Fault(f"/columns/{name}", "wrong_type", "expected the name of a source column")
    for key in ("values", "scale"):
        for name in given.get(key, {}):
            if name in table.by_name and name not in columns:
                yield Fault(f"/{key}/{name}", "not_mapped", "no column is mapped to it")
    for name, values in given.get("values", {}).items():
        yield from _check_values(name, values, table.by_name.get(name))
    for name, factor in given.get("scale", {}).items():
        if isinstance(factor, bool) or not isinstance(factor, int | float) or factor == 0:
            yield Fault(f"/scale/{name}", "wrong_type", "expected a number other than 0")
        elif name in table.by_name and not table.by_name[name].is_number:
            yield Fault(f"/scale/{name}", "not_a_number", "only numbers can be scaled")


def _check_values(name: str, values: object, column: Column | None) -> Iterator[Fault]:
    if not isinstance(values, dict):
        yield Fault(f"/values/{name}", "wrong_type", 'expected a table such as {"1" = "male"}')
        return
    for source, target in values.items():
        if not isinstance(target, str):
            yield Fault(f"/values/{name}/{source}", "wrong_type", "expected text")
        elif column and column.values and target not in column.values:
            hint = nearest(target, column.values) or f"; expected one of {', '.join(column.values)}"
            yield Fault(f"/values/{name}/{source}", "not_in_set", f"{target} is not permitted{hint}")


def _check_layout(given: Mapping[str, Any]) -> Iterator[Fault]:
    delimiter = given.get("delimiter", ",")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        yield Fault("/delimiter", "wrong_value", "expected one character, and no quote or line break")
    yield from _check_lists(given)
    try:
        "a".encode(given.get("encoding", "utf-8"))
    except LookupError:
        yield Fault("/encoding", "wrong_value", f"no encoding {given['encoding']}; e.g. utf-8 or gb18030")
    for text in given.get("dates", []):
        if not _is_format(text):
            yield Fault("/dates", "wrong_value", f"{text} is no date format; e.g. %Y%m%d or %d/%m/%Y %H:%M")
    if "timezone" in given:
        try:
            ZoneInfo(given["timezone"])
        except (KeyError, ValueError, OSError):
            yield Fault("/timezone", "wrong_value", f"no time zone {given['timezone']}; e.g. Asia/Shanghai")


def _check_lists(given: Mapping[str, Any]) -> Iterator[Fault]:
    for key in ("files", "nulls", "dates", "pseudonymise"):
        listed = given.get(key, [])
        if not all(isinstance(text, str) for text in listed):
            yield Fault(f"/{key}", "wrong_type", "expected a list of texts")
    files = given.get("files", [])
    for pattern in [files] if isinstance(files, str) else files:
        if isinstance(pattern, str) and (not pattern or PurePath(pattern).is_absolute() or ".." in pattern):
            yield Fault("/files", "wrong_value", "expected a pattern within the folder of raw files")


def _is_format(text: object) -> bool:
    """Whether a day survives being written and read in this format."""
    day = datetime(2001, 12, 31)
    try:
        return isinstance(text, str) and datetime.strptime(day.strftime(text), text).date() == day.date()
    except ValueError:
        return False


def _feed(entry: _Entry, file: RawFile) -> Feed:
    columns = {name: _cell(entry, file, name, source) for name, source in entry.columns.items()}
    columns |= {name: _constant(value) for name, value in entry.constants.items()}
    return Feed(entry.name, file, columns, dates=entry.dates, pseudonymise=entry.pseudonymise)


def _cell(entry: _Entry, file: RawFile, name: str, source: str) -> str:
    cell = "CAST(_row AS VARCHAR)" if source == ROW else file.cell(source)
    if name in entry.values and entry.values[name]:
        cases = " ".join(f"WHEN {literal(a)} THEN {literal(b)}" for a, b in entry.values[name].items())
        cell = f"CASE {cell} {cases} ELSE {cell} END"
    if name in entry.scale:
        number = f"TRY_CAST({cell} AS DOUBLE)"
        cell = f"coalesce(CAST({_scaled(number, float(entry.scale[name]))} AS VARCHAR), {cell})"
    return cell


def _scaled(number: str, factor: float) -> str:
    """A hundredth is a division by 100, which rounds once: 1999 cents are 19.99, not 19.990000000000002."""
    inverse = 1 / factor
    return f"{number} / {round(inverse)}" if abs(inverse) > 1 and inverse.is_integer() else f"{number} * {factor!r}"


def _constant(value: object) -> str:
    if isinstance(value, list):
        return literal(json.dumps(value, ensure_ascii=False))
    if isinstance(value, date):
        return literal(value.isoformat())
    return literal(str(value).lower() if isinstance(value, bool) else str(value))
