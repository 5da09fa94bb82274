"""What differs between provinces in China's audit interface: addresses and dictionaries, from the serving room."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from fraud.claims.schema import TABLES
from fraud.claims.violations import violation_names
from fraud.errors import SpecError, nearest
from fraud.web.bodies.answers import LANGUAGES

__all__ = ["FILE", "AuditSettings", "load_audit_settings"]

FILE = "audit-interface.toml"
KINDS = ("violation", "suspicion")
SEVERITIES = ("general", "serious", "critical")
SCENES = tuple(str(n) for n in range(1, 11))
# Dictionaries from their codes to the canonical values of a column.
_COLUMNS = {
    "med_type": ("claims", "visit_type"),
    "med_mdtrt_type": ("claims", "visit_type"),
    "out_setl_flag": ("claims", "out_of_area"),
    "gend": ("patients", "sex"),
    "insutype": ("patients", "insurance_type"),
    "inout_dise_type": ("diagnoses", "kind"),
    "medins_type": ("providers", "kind"),
    "medins_lv": ("providers", "level"),
}
_FIXED: Mapping[str, tuple[str, ...]] = {
    "paths": ("before", "course", "feedback"),
    "answer": ("locale", "rule_id", "kinds"),
    "scenes": ("settled",),
    "vola_amt_stas": ("known", "unknown"),
    "sev_deg": KINDS,
    "vola_bhvr_type": ("", *violation_names()),
}
_CHOICES = {("answer", "locale"): tuple(LANGUAGES), ("answer", "rule_id"): ("national", "own")}
_LISTS = {("answer", "kinds"): KINDS, ("scenes", "settled"): SCENES}


@dataclass(frozen=True)
class AuditSettings:
    """Addresses, and dictionaries by name; `key` turns a person's number into a pseudonym."""

    tables: Mapping[str, Mapping[str, Any]]
    key: bytes | None = field(default=None, repr=False)

    @property
    def locale(self) -> str:
        """Locale of the sentences."""
        return str(self.tables["answer"]["locale"])

    @property
    def paths(self) -> Mapping[str, str]:
        """Addresses of the three calls: before, course, feedback."""
        return self.tables["paths"]

    def is_settled(self, scene: str) -> bool:
        """Whether the visit is settled with this call."""
        return scene in self.tables["scenes"]["settled"]

    def word(self, dictionary: str, code: str | None) -> str | None:
        """What a code stands for; None for one that the dictionary does not have."""
        found = None if code is None else self.tables[dictionary].get(code)
        return None if found is None else str(found)

    def word_by_beginning(self, dictionary: str, code: str | None) -> str | None:
        """What a code stands for by the longest beginning that the dictionary has."""
        beginnings = (code[:n] for n in range(len(code), 0, -1)) if code else ()
        return next((w for b in beginnings if (w := self.word(dictionary, b)) is not None), None)

    def severity(self, kind: str, severity: str) -> str:
        """The code of how serious a finding is."""
        return str(self.tables["sev_deg"][kind][severity])

    def behaviour(self, violation: str | None) -> str:
        """The code of the class of behaviour of a type of violation."""
        codes = self.tables["vola_bhvr_type"]
        return str(codes.get(violation or "", codes[""]))


def load_audit_settings(serving: Path | None = None, key: bytes | None = None) -> AuditSettings:
    """The settings in a serving room over the defaults; raises `SpecError` that names every wrong entry at once."""
    path = None if serving is None else serving / FILE
    given = _read(path) if path is not None and path.is_file() else {}
    if found := list(_faults(given)):
        raise SpecError(f"{path}: " + "; ".join(found))
    return AuditSettings({name: _joined(table, given.get(name, {})) for name, table in _defaults().items()}, key)


@cache
def _defaults() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(files("fraud.web.exchange").joinpath("audit.defaults.toml").read_text("utf-8"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path}: not valid TOML: {error}") from error


def _joined(default: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A table over its default, entry by entry."""
    nested = {n: _joined(default[n], v) for n, v in given.items() if isinstance(v, dict)}
    return {**default, **given, **nested}


def _faults(given: Mapping[str, Any]) -> Iterator[str]:
    known = (*_FIXED, *_COLUMNS)
    for name, table in given.items():
        if name not in known:
            yield f"[{name}] is not known{nearest(name, known)}"
        elif not isinstance(table, dict):
            yield f"{name} must be a table"
        elif name in _COLUMNS:
            yield from _dictionary_faults(name, table)
        else:
            yield from (f for entry, value in table.items() for f in _entry_faults(name, entry, value))


def _dictionary_faults(name: str, table: Mapping[str, Any]) -> Iterator[str]:
    column = TABLES[_COLUMNS[name][0]].by_name[_COLUMNS[name][1]]
    for code, value in table.items():
        if value not in column.values:
            yield f'{name}.{code} is one of {", ".join(column.values)}, found "{value}"'


def _entry_faults(name: str, entry: str, value: object) -> Iterator[str]:
    where = f"{name}.{entry or chr(34) * 2}"
    if entry not in _FIXED[name]:
        yield f"{where} is not known{nearest(entry, _FIXED[name])}"
    elif name == "sev_deg":
        yield from _severity_faults(where, value)
    elif (choice := _LISTS.get((name, entry))) is not None:
        if not isinstance(value, list) or not set(map(str, value)) <= set(choice):
            yield f"{where} is a list of {', '.join(choice)}"
    elif not isinstance(value, str):
        yield f"{where} must be text"
    elif value not in _CHOICES.get((name, entry), (value,)):
        yield f'{where} is one of {", ".join(_CHOICES[name, entry])}, found "{value}"'
    elif name == "paths" and not value.startswith("/"):
        yield f'{where} must begin with "/"'


def _severity_faults(where: str, value: object) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} must be a table"
        return
    for severity, code in value.items():
        if severity not in SEVERITIES:
            yield f"{where}.{severity} is not known{nearest(severity, SEVERITIES)}"
        elif not isinstance(code, str):
            yield f"{where}.{severity} must be text"
