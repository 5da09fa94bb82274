"""The bodies of requests as pydantic models, generated from the schema of the canonical tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    RootModel,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError

from fraud.claims.checking import DOTLESS, YEARS
from fraud.claims.schema import TABLES, Column, Kind, Table
from fraud.scoring.shapes import ClaimBundle
from fraud.web.bodies.problems import FAULTS

__all__ = [
    "LONGEST_TEXT",
    "BatchBody",
    "ClaimBody",
    "ClaimsBody",
    "Options",
    "Outcome",
    "OutcomesBody",
    "ScoreBody",
    "bundle_of",
    "read_time",
]

LONGEST_TEXT = 256
# No amount or count of a claim comes near these; sums of thousands of them stay finite and exact enough.
LARGEST = 1e12
LARGEST_WHOLE = 2**31
MOST_CLAIMS = 1_000
MOST_IDS = 100

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ZONE = re.compile(r"(?:Z|[+-]\d\d(?::?\d\d)?)$", re.IGNORECASE | re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_Moment = TypeVar("_Moment", date, datetime)


def _fault(code: str) -> PydanticCustomError:
    return PydanticCustomError(code, FAULTS[code])


# --- values ---------------------------------------------------------------------------------------------


def read_time(value: object) -> datetime:
    """A civil time out of ISO text; a day alone is its midnight. Raises `PydanticCustomError`."""
    if not isinstance(value, str):
        raise _fault("not_a_time")
    if not _TIME.fullmatch(value):
        raise _fault("zone" if _TIME.match(value) and _ZONE.search(value) else "not_a_time")
    return _moment(datetime.fromisoformat, value, "not_a_time")


def _read_day(value: object) -> date:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise _fault("not_a_date")
    return _moment(date.fromisoformat, value, "not_a_date")


def _moment(read: Callable[[str], _Moment], value: str, code: str) -> _Moment:
    try:
        found = read(value)
    except ValueError as error:
        # Year 0 is well formed, and cannot be read.
        raise _fault("out_of_range" if value.startswith("0000") else code) from error
    if not YEARS[0] <= found.year <= YEARS[1]:
        raise _fault("out_of_range")
    return found


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise _fault("not_text")
    if not value:
        raise _fault("empty")
    if len(value) > LONGEST_TEXT:
        raise _fault("too_long")
    if not value.isprintable() and _CONTROL.search(value):
        raise _fault("control_character")
    return value


def _read_code(value: object) -> str:
    text = _read_text(value)
    if "." in text:
        raise _fault("dotted")
    return text


def _number(signed: bool) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _fault("not_a_number")
        if value < 0 and not signed:
            raise _fault("negative")
        if not -LARGEST <= value <= LARGEST:
            raise _fault("out_of_range")
        return float(value)

    return read


def _read_whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise _fault("not_a_whole_number" if isinstance(value, float) else "not_a_number")
    if value < 0:
        raise _fault("negative")
    if value > LARGEST_WHOLE:
        raise _fault("out_of_range")
    return int(value)


def _read_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise _fault("not_a_boolean")
    return value


def _read_ids(value: object) -> list[str]:
    if not isinstance(value, list):
        raise _fault("not_a_list")
    if len(value) > MOST_IDS:
        raise _fault("too_long")
    return [_read_text(v) for v in value]


def _one_of(values: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in values:
            raise PydanticCustomError("not_in_set", "expected one of: " + ", ".join(values))
        return str(value)

    return read


_READERS: dict[Kind, Callable[[object], Any]] = {
    "id": _read_text,
    "text": _read_text,
    "ts": read_time,
    "date": _read_day,
    "int": _read_whole,
    "bool": _read_bool,
    "ids": _read_ids,
}
_SCHEMAS: dict[Kind, dict[str, Any]] = {
    "id": {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT},
    "text": {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT},
    "ts": {"type": "string", "pattern": rf"^{_TIME.pattern}$", "examples": ["2024-03-01T09:30:00"]},
    "date": {"type": "string", "format": "date"},
    "int": {"type": "integer", "minimum": 0, "maximum": LARGEST_WHOLE},
    "bool": {"type": "boolean"},
    "ids": {"type": "array", "maxItems": MOST_IDS, "items": {"type": "string", "minLength": 1}},
}
_NUMBERS = ("money", "float")


def _reader(table: Table, column: Column) -> Callable[[object], Any]:
    if column.values:
        return _one_of(column.values)
    if (table.name, column.name) in DOTLESS:
        return _read_code
    return _number(column.signed) if column.kind in _NUMBERS else _READERS[column.kind]


def _schema(column: Column) -> dict[str, Any]:
    if column.values:
        return {"type": "string", "enum": list(column.values)}
    if column.kind in _NUMBERS:
        least = -LARGEST if column.signed else 0
        return {"type": "number", "minimum": least, "maximum": LARGEST}
    return _SCHEMAS[column.kind]


# --- rows and bodies ------------------------------------------------------------------------------------


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def _field(table: Table, column: Column, filled_in: bool) -> tuple[Any, Any]:
    """The column as a field; `filled_in` columns may be left out, because the claim says them."""
    reader, schema, says = _reader(table, column), _schema(column), column.doc
    if column.required and not filled_in:
        given = Annotated[Any, PlainValidator(_present(reader)), WithJsonSchema(schema)]
        return given, Field(description=says)
    nullable = {"anyOf": [schema, {"type": "null"}]}
    perhaps = Annotated[Any, PlainValidator(_optional(reader)), WithJsonSchema(nullable)]
    return perhaps, Field(default=None, description=says)


def _present(reader: Callable[[object], Any]) -> Callable[[object], Any]:
    def read(value: object) -> Any:
        if value is None:
            raise _fault("missing")
        return reader(value)

    return read


def _optional(reader: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else reader(value)


def _row(name: str, table_name: str) -> type[BaseModel]:
    table = TABLES[table_name]
    owned = table_name != "claims"
    fields = {c.name: _field(table, c, owned and c.name == "claim_id") for c in table.columns}
    says = f"{table.grain[0].upper()}{table.grain[1:]}."
    made: type[BaseModel] = create_model(name, __base__=_Body, __doc__=says, **fields)  # type: ignore[call-overload]
    return made


Claim = _row("Claim", "claims")
Line = _row("Line", "lines")
Diagnosis = _row("Diagnosis", "diagnoses")
Procedure = _row("Procedure", "procedures")
Outcome = _row("Outcome", "outcomes")


def _none_as(value: Any) -> Callable[[Any], Any]:
    """Null stands for the default, as it does for columns."""
    return lambda given: value() if given is None else given


class Options(_Body):
    """How to answer."""

    explain: Literal["none", "flagged", "reasons", "full"] = Field(
        default="flagged",
        description="no reasons, at most four where the action is not pass, at most four always, or every signal",
    )
    locale: Literal["en", "zh-CN"] = Field(default="en", description="language of the sentences")
    store: bool = Field(default=True, description="keep the claim as history once it is scored")


_Items = BeforeValidator(_none_as(list))


class ClaimBody(_Body):
    """One claim with its items."""

    claim: Claim  # type: ignore[valid-type]
    lines: Annotated[list[Line], _Items] = Field(default=[], description="what was billed")  # type: ignore[valid-type]
    diagnoses: Annotated[list[Diagnosis], _Items] = Field(default=[])  # type: ignore[valid-type]
    procedures: Annotated[list[Procedure], _Items] = Field(default=[])  # type: ignore[valid-type]


class ScoreBody(ClaimBody):
    """One claim to score."""

    options: Annotated[Options, BeforeValidator(_none_as(dict))] = Options()


class BatchBody(RootModel[list[ScoreBody]]):
    """Claims to score; each is read, and answers, for itself."""

    root: list[ScoreBody] = Field(min_length=1, max_length=MOST_CLAIMS)


class ClaimsBody(_Body):
    """Settled claims to add to the history."""

    claims: list[ClaimBody] = Field(min_length=1, max_length=MOST_CLAIMS)


class OutcomesBody(_Body):
    """What investigations found."""

    outcomes: list[Outcome] = Field(min_length=1, max_length=MOST_CLAIMS)  # type: ignore[valid-type]


def bundle_of(read: ClaimBody) -> ClaimBundle:
    """The claim and its items with every canonical column; items are told which claim they belong to."""
    claim = vars(read.claim)
    own = {"claim_id": claim["claim_id"]}

    def rows(items: list[Any]) -> tuple[dict[str, Any], ...]:
        return tuple(vars(i) | own for i in items)

    return ClaimBundle(claim, rows(read.lines), rows(read.diagnoses), rows(read.procedures))
