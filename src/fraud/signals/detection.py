"""What was measured on a simulated city: how often signals fire, and what they find."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fraud.errors import InputError

__all__ = ["Detection", "Figure", "load_detection"]

Record = Mapping[str, Any]
# Figures that readers are shown, in this order, and how they are written; what else a measurement holds is its own.
_OF_A_SIGNAL = {
    "clean": "rate", "innocent": "rate", "guilty": "share", "precision": "share", "average_precision": "number",
    "times_base": "number",
}  # fmt: skip
_OF_A_SCHEME = {
    "count": "count", "base": "rate", "average_precision": "number", "times_base": "number", "precision": "share",
    "recall": "share",
}  # fmt: skip
# Rates below this are told in 10,000.
FEW = 0.01
_OF_A_RUN = {"seed": "plain", "preset": "plain", "claims": "count", "clean_claims": "count"}


@dataclass(frozen=True)
class Figure:
    """One measured figure as text; `name` is a key of the handbook's words."""

    name: str
    text: str


@dataclass(frozen=True)
class Detection:
    """Figures by signal and by type of violation, as a measurement wrote them; empty where none was made."""

    signals: Mapping[str, Record] = field(default_factory=dict)
    types: Mapping[str, Any] = field(default_factory=dict)
    run: Record = field(default_factory=dict)

    @property
    def measured(self) -> list[Figure]:
        """On what city it was measured."""
        return list(_figures(self.run, _OF_A_RUN))

    def outdated(self, digest: str) -> bool:
        """Whether the measurement was made with another catalogue than the one of this digest."""
        return bool(self.run.get("catalogue", digest) != digest)

    def of_signal(self, signal_id: str) -> list[Figure]:
        """How often a signal fires and what it finds."""
        return list(_figures(self.signals.get(signal_id, {}), _OF_A_SIGNAL))

    def of_type(self, violation: str) -> list[Record]:
        """Rows `scheme`, `entity`, `best` (id of a signal) and `figures` of one type of violation."""
        return [_row(record) for record in _records(self.types.get(violation, ()))]


def load_detection(path: Path) -> Detection:
    """The measurement in a JSON file; raises `InputError` where it cannot be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        why = "no such file" if isinstance(error, FileNotFoundError) else "not a JSON file"
        raise InputError(f"{path}: {why}. benchmarks/bench_detection.py writes one.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected an object with `signals` and `types`, found {type(found).__name__}.")
    run = found.get("settings") or found.get("run") or found
    return Detection(_mapping(found.get("signals")), _types(found), _mapping(run))


def _types(found: Record) -> dict[str, Any]:
    """Rows by type: those of its schemes where the measurement has them, else that of the type as a whole."""
    types = _mapping(found.get("types"))
    schemes: dict[str, list[Any]] = {}
    for row in _records(found.get("schemes", ())):
        schemes.setdefault(str(row.get("violation")), []).append(row)
    return {**types, **schemes}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _records(value: Any) -> Iterator[Record]:
    """Rows, whether there is one or a list; whatever else is there is none."""
    listed = value if isinstance(value, (list, tuple)) else [value]
    yield from (v for v in listed if isinstance(v, Mapping))


def _row(record: Record) -> Record:
    best = record.get("best")
    top = best if isinstance(best, Mapping) else {"signal": best}
    known = {k: v for k, v in record.items() if v is not None}
    return {
        "scheme": str(record.get("scheme") or ""),
        "entity": record.get("entity"),
        "best": top.get("signal"),
        "figures": list(_figures({**top, **known, "count": record.get("guilty")}, _OF_A_SCHEME)),
    }


def _figures(record: Record, wanted: Mapping[str, str]) -> Iterator[Figure]:
    for name, form in wanted.items():
        value = record.get(name)
        if value is not None and not isinstance(value, (Mapping, list)):
            yield Figure(name, _text(value, form))


def _text(value: Any, form: str) -> str:
    if form == "plain" or isinstance(value, str):
        return str(value)
    if form == "count":
        return f"{value:,.0f}"
    if form == "rate" and value < FEW:
        return f"{value * 10_000:.3g} / 10,000"
    return f"{value:.1%}" if form in ("share", "rate") else f"{value:.3g}"
