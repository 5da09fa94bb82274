"""The part of FHIR R4's Claim that is read here, as pydantic models: its structure, and every fault of it.

What is not listed is let through unread, as FHIR asks of a receiver.

Source: https://hl7.org/fhir/R4/claim.html and https://hl7.org/fhir/R4/datatypes.html
"""

from __future__ import annotations

import copy
import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from fraud.claims.checking import YEARS
from fraud.errors import Fault
from fraud.web.bodies.faults import found
from fraud.web.bodies.problems import FAULTS

__all__ = ["ClaimResource", "expression", "structure"]

# A moment has a zone as soon as it has a time; seconds may be left out nowhere in FHIR, and are by many senders.
_MOMENT = re.compile(
    r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])"
    r"(T([01]\d|2[0-3]):[0-5]\d(:([0-5]\d|60)(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_DAY = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
_CODES = {
    "missing": "missing",
    "model_type": "not_an_object",
    "model_attributes_type": "not_an_object",
    "list_type": "not_a_list",
    "too_short": "missing",
}


def _fault(code: str) -> PydanticCustomError:
    return PydanticCustomError(code, FAULTS[code])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _fault("not_text")
    if not value.strip():
        raise _fault("empty")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _fault("not_a_number")
    return float(value)


def _position(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _fault("not_a_number")
    if value != int(value):
        raise _fault("not_a_whole_number")
    if value < 1:
        raise _fault("out_of_range")
    return int(value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise _fault("not_a_boolean")
    return value


def _matching(pattern: re.Pattern[str], code: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value) or not _is_day(value.partition("T")[0]):
            raise _fault(code)
        if not YEARS[0] <= int(value[:4]) <= YEARS[1]:
            raise _fault("out_of_range")
        return value

    return read


def _is_day(text: str) -> bool:
    """Whether the calendar has it; a month or a year counts as its first day."""
    year, month, day = ([int(part) for part in text.split("-")] + [1, 1])[:3]
    return year > 0 and day <= monthrange(year, month)[1]


def _one_of(*codes: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in codes:
            raise PydanticCustomError("not_in_set", "expected one of: " + ", ".join(codes))
        return str(value)

    return read


def _patterned(pattern: re.Pattern[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({pattern.pattern})$"})


def _coded(codes: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(codes)})


_TYPES = ("Claim",)
_STATUSES = ("active", "cancelled", "draft", "entered-in-error")
_USES = ("claim", "preauthorization", "predetermination")
Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
Number = Annotated[float, PlainValidator(_number), WithJsonSchema({"type": "number"})]
Position = Annotated[int, PlainValidator(_position), WithJsonSchema({"type": "integer", "minimum": 1})]
Truth = Annotated[bool, PlainValidator(_truth), WithJsonSchema({"type": "boolean"})]
Moment = Annotated[str, PlainValidator(_matching(_MOMENT, "not_a_time")), _patterned(_MOMENT)]
Day = Annotated[str, PlainValidator(_matching(_DAY, "not_a_date")), _patterned(_DAY)]


class _Element(BaseModel):
    model_config = ConfigDict(extra="allow")


class Coding(_Element):
    """One code of a system."""

    system: Text | None = None
    code: Text | None = None
    display: Text | None = None


class Concept(_Element):
    """A concept by codes or in words."""

    coding: list[Coding] = []
    text: Text | None = None


class Identifier(_Element):
    """A business identifier."""

    use: Text | None = None
    system: Text | None = None
    value: Text | None = None


class Reference(_Element):
    """Another resource, by address, within `contained`, or by what it is called in business."""

    reference: Text | None = None
    type: Text | None = None
    identifier: Identifier | None = None


class Period(_Element):
    """A span of time."""

    start: Moment | None = None
    end: Moment | None = None


class Quantity(_Element):
    """An amount of something."""

    value: Number | None = None


class Money(_Element):
    """An amount of money."""

    value: Number | None = None
    currency: Text | None = None


class Resource(_Element):
    """A resource within `contained`: what it must be depends on who refers to it."""

    resourceType: Text
    id: Text | None = None
    identifier: list[Identifier] = []
    birthDate: Day | None = None


class CareTeam(_Element):
    """A member of the care team."""

    sequence: Position
    provider: Reference
    responsible: Truth | None = None
    role: Concept | None = None


class Information(_Element):
    """Supporting information, such as the days of an admission."""

    sequence: Position
    category: Concept
    code: Concept | None = None
    timingDate: Day | None = None
    timingPeriod: Period | None = None
    valueQuantity: Quantity | None = None


class ClaimDiagnosis(_Element):
    """A diagnosis."""

    sequence: Position
    diagnosisCodeableConcept: Concept | None = None
    diagnosisReference: Reference | None = None
    type: list[Concept] = []
    onAdmission: Concept | None = None


class ClaimProcedure(_Element):
    """A procedure."""

    sequence: Position
    date: Moment | None = None
    procedureCodeableConcept: Concept | None = None
    procedureReference: Reference | None = None


class Insurance(_Element):
    """The coverage that is asked to pay."""

    sequence: Position
    focal: Truth
    coverage: Reference


class Item(_Element):
    """A billed line."""

    sequence: Position
    careTeamSequence: list[Position] = []
    informationSequence: list[Position] = []
    productOrService: Concept
    servicedDate: Day | None = None
    servicedPeriod: Period | None = None
    locationCodeableConcept: Concept | None = None
    quantity: Quantity | None = None
    unitPrice: Money | None = None
    factor: Number | None = None
    net: Money | None = None


class ClaimResource(_Element):
    """FHIR R4 Claim: what is read of it."""

    resourceType: Annotated[str, PlainValidator(_one_of(*_TYPES)), _coded(_TYPES)]
    id: Text | None = None
    contained: list[Resource] = []
    identifier: list[Identifier] = []
    status: Annotated[str, PlainValidator(_one_of(*_STATUSES)), _coded(_STATUSES)]
    type: Concept
    subType: Concept | None = None
    use: Annotated[str, PlainValidator(_one_of(*_USES)), _coded(_USES)]
    patient: Reference
    billablePeriod: Period | None = None
    created: Moment
    provider: Reference
    priority: Concept
    facility: Reference | None = None
    careTeam: list[CareTeam] = []
    supportingInfo: list[Information] = []
    diagnosis: list[ClaimDiagnosis] = []
    procedure: list[ClaimProcedure] = []
    insurance: list[Insurance] = Field(min_length=1)
    item: list[Item] = []
    total: Money | None = None


# Choices of which a resource has one, and those of which it must have one.
_CHOICES = {
    "diagnosis": ("diagnosisCodeableConcept", "diagnosisReference"),
    "procedure": ("procedureCodeableConcept", "procedureReference"),
    "item": ("servicedDate", "servicedPeriod"),
}


def structure(resource: Any) -> tuple[dict[str, Any], list[Fault]]:
    """The resource without what is faulty in it, and the faults, so that the rest can still be looked at."""
    if not isinstance(resource, dict):
        shown = (found(resource, plain=False),)
        return {}, [Fault("Claim", "not_an_object", FAULTS["not_an_object"], examples=shown)]
    faults = [*_choice_faults(resource)]
    kept = copy.deepcopy(resource)
    try:
        ClaimResource.model_validate(resource)
    except ValidationError as error:
        for entry in error.errors(include_url=False, include_context=False):
            faults.append(_fault_of(entry))
            _forget(kept, entry["loc"])
    return kept, faults


def expression(path: Sequence[str | int]) -> str:
    """The place as FHIRPath.

    >>> expression(["item", 3, "net", "value"])
    'Claim.item[3].net.value'
    """
    return "Claim" + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)


def _fault_of(error: ErrorDetails) -> Fault:
    code = _CODES.get(error["type"], error["type"])
    detail = error["msg"] if code == "not_in_set" else FAULTS[code]
    shown = () if code == "missing" else (found(error["input"], plain=False),)
    return Fault(expression(error["loc"]), code, detail, examples=shown)


def _forget(resource: dict[str, Any], path: Sequence[str | int]) -> None:
    """Take one value out; of a list the place stays, so that the others keep theirs."""
    owner: Any = resource
    for part in path[:-1]:
        owner = owner[part]
    last = path[-1]
    if isinstance(owner, list):
        owner[last] = None  # type: ignore[index]
    elif isinstance(owner, dict):
        owner.pop(last, None)


def _choice_faults(resource: dict[str, Any]) -> Iterator[Fault]:
    for name, choices in _CHOICES.items():
        entries = resource.get(name)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            given = [c for c in choices if isinstance(entry, dict) and entry.get(c) is not None]
            where = expression((name, number, choices[0]))
            if len(given) > 1:
                yield Fault(where, "not_in_set", f"one of {' and '.join(choices)} may be given, not both")
            elif isinstance(entry, dict) and not given and name != "item":
                yield Fault(where, "missing", FAULTS["missing"])
