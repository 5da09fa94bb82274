"""An explanation as bytes that outlive the model, the catalogue and the data that it was drawn up from.

Canonical JSON, compressed: every value with its type, tables as Arrow, and of signals everything that a report says
of them, as it was then. What `kept` gives back renders to the same bytes in every format.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any

import orjson
import pyarrow as pa

from fraud.errors import FraudError
from fraud.explaining.explanation import Event, Explanation, Fact, Look, Month, PeerStanding, Provenance, References
from fraud.explaining.reasons import Reason
from fraud.signals.definition import Signal
from fraud.signals.evidence import Evidence
from fraud.signals.limits import InForce, Limit, Source
from fraud.signals.rules import Finding

__all__ = ["FORM", "keep", "kept"]

# How the bytes are to be read; a program that writes them in another way counts on.
FORM = 1
_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        Explanation,
        Fact,
        Event,
        Month,
        PeerStanding,
        Look,
        Provenance,
        References,
        Reason,
        Finding,
        Evidence,
        Limit,
        InForce,
        Source,
        Signal,
    )
}
# Of a signal what it computes with is not kept: the figure that it gave is.
_NOT_KEPT = frozenset({"function", "total", "examples"})
_TAG = "$"
# Beyond this a number of JSON is not read as it was written.
_LARGEST = 2**53


def keep(explanation: Explanation) -> bytes:
    """The explanation as bytes; equal explanations give equal bytes."""
    written = {"form": FORM, "explanation": _written(explanation)}
    return zlib.compress(orjson.dumps(written, option=orjson.OPT_SORT_KEYS), 9)


def kept(stored: bytes) -> Explanation:
    """The explanation that `keep` wrote; raises `FraudError` for bytes of another form."""
    try:
        read = orjson.loads(zlib.decompress(stored))
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise FraudError(
            "A stored explanation cannot be read: it is damaged. Restore the database from a backup."
        ) from error
    if read["form"] != FORM:
        raise FraudError(
            f"A stored explanation has form {read['form']}, and this program reads form {FORM}: run a later program."
        )
    found = _read(read["explanation"])
    assert isinstance(found, Explanation)
    return found


# --- writing ----------------------------------------------------------------------------------------------


def _written(value: Any) -> Any:
    """A value as JSON types; what JSON has no type for is tagged."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else {_TAG: "int", "v": str(value)}
    if isinstance(value, float):
        plain = float(value)
        return plain if math.isfinite(plain) else {_TAG: "float", "v": repr(plain)}
    if isinstance(value, datetime):
        return {_TAG: "datetime", "v": value.isoformat()}
    if isinstance(value, date):
        return {_TAG: "date", "v": value.isoformat()}
    if isinstance(value, pa.Table):
        return {_TAG: "table", "v": _arrow(value)}
    if isinstance(value, Mapping):
        # In the order that they came in: a report shows them in it.
        return {_TAG: "map", "v": [[str(k), _written(v)] for k, v in value.items()]}
    if is_dataclass(value):
        return _object(value)
    return [_written(v) for v in value]


def _object(value: Any) -> dict[str, Any]:
    """A dataclass with every field: what is the default today may be another one tomorrow."""
    left_out = _NOT_KEPT if isinstance(value, Signal) else frozenset()
    own = {f.name: _written(getattr(value, f.name)) for f in fields(value) if f.name not in left_out}
    return {_TAG: type(value).__name__, **own}


def _arrow(table: pa.Table) -> str:
    """The table in Arrow's own stream, without anything that depends on how it came about."""
    sink = pa.BufferOutputStream()
    plain = table.replace_schema_metadata(None).combine_chunks()
    with pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


# --- reading ----------------------------------------------------------------------------------------------


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_read(v) for v in value)
    if not isinstance(value, dict):
        return value
    tag = value[_TAG]
    if tag in _PLAIN:
        return _PLAIN[tag](value["v"])
    kind = _KINDS[tag]
    known = {f.name for f in fields(kind)}
    own = {name: _read(v) for name, v in value.items() if name in known}
    return Signal(function=_not_kept, **own) if kind is Signal else kind(**own)


def _table(text: str) -> pa.Table:
    with pa.ipc.open_stream(base64.b64decode(text)) as reader:
        return reader.read_all()


_PLAIN: dict[str, Any] = {
    "float": float,
    "int": int,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "table": _table,
    "map": lambda pairs: {k: _read(v) for k, v in pairs},
}


def _not_kept() -> Any:
    """What a kept signal computes: nothing."""
    raise FraudError("A kept signal says what it said then, and computes nothing.")
