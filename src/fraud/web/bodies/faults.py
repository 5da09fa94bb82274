"""Every fault of a body at once: what pydantic finds in each value, and what values say of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from fraud.claims.pseudonyms import looks_personal, mask
from fraud.claims.schema import TABLES
from fraud.claims.violations import violation_names
from fraud.errors import Fault, nearest
from fraud.web.bodies.problems import FAULTS, Problem
from fraud.web.bodies.shapes import ClaimBody, ClaimsBody, Options, OutcomesBody, ScoreBody, read_time

__all__ = ["checked", "found", "pointer"]

_Body = TypeVar("_Body", bound=BaseModel)
LONGEST_FOUND = 80
ITEMS = ("lines", "diagnoses", "procedures")
# Within a claim each of these appears once.
_NUMBERS = {"lines": ("line_no",), "diagnoses": ("position", "kind"), "procedures": ("position",)}
# What pydantic calls the faults that it finds itself.
_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "model_type": "not_an_object",
    "model_attributes_type": "not_an_object",
    "list_type": "not_a_list",
    "literal_error": "not_in_set",
    "bool_type": "not_a_boolean",
    "too_short": "missing",
}
_FIELDS: dict[str, tuple[str, ...]] = {
    "claim": tuple(TABLES["claims"].by_name),
    **{name: tuple(TABLES[name].by_name) for name in (*ITEMS, "outcomes")},
    "options": tuple(Options.model_fields),
}
# Columns whose values may be repeated in an answer: they cannot name anybody.
_PLAIN = frozenset(
    c.name
    for name in ("claims", *ITEMS, "outcomes")
    for c in TABLES[name].columns
    if c.values or c.kind not in ("id", "text")
) | set(Options.model_fields)


def checked(model: type[_Body], body: Any) -> _Body:
    """The body as the model reads it; raises `Problem` that names every fault of it."""
    faults: list[Fault] = []
    read: _Body | None = None
    try:
        read = model.model_validate(body)
    except ValidationError as error:
        faults = [_fault(e, model) for e in error.errors(include_url=False, include_context=False)]
    faults += _between(body, model)
    if faults or read is None:
        count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise Problem("faults", f"The body has {count}; each is named in errors. Mend them and send it again.", faults)
    return read


def pointer(path: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901).

    >>> pointer(["lines", 3, "a/b"])
    '/lines/3/a~1b'
    """
    return "".join("/" + _escaped(part) for part in path)


def _escaped(part: str | int) -> str:
    # A field that nobody knows may have been named after somebody.
    return mask(_short(str(part))).replace("~", "~0").replace("/", "~1")


def found(value: Any, plain: bool) -> str:
    """What was found, in at most 80 characters; what could name a person by type and length only.

    >>> found("Zhang San", plain=False)
    'text of 9 characters'
    """
    if isinstance(value, str):
        return _short(value) if plain and not looks_personal(value) else f"text of {len(value)} characters"
    if isinstance(value, (dict, list)):
        return f"{'object' if isinstance(value, dict) else 'list'} of {len(value)}"
    if value is None or isinstance(value, bool):
        return str(orjson.dumps(value), "ascii")
    return _short(str(value)) if plain and not looks_personal(str(value)) else "number"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_FOUND else text[: LONGEST_FOUND - 1] + "…"


def _fault(error: ErrorDetails, model: type[BaseModel]) -> Fault:
    path, code = error["loc"], _code(error)
    where = pointer(path)
    if code == "unknown_field":
        hint = nearest(str(path[-1])[:LONGEST_FOUND], _known(path, model))
        return Fault(where, code, f"no such field{hint}", examples=(found(error["input"], plain=False),))
    if code == "missing":
        # For what is absent pydantic gives the whole object around it, which is not to be repeated.
        given = error["input"] in (None, [])
        return Fault(where, code, FAULTS[code], examples=(found(error["input"], plain=True),) if given else ())
    # The message of a closed set names its members; the others say what their code means.
    detail = error["msg"] if code == "not_in_set" else FAULTS[code]
    return Fault(where, code, detail, examples=(found(error["input"], _is_plain(path)),))


def _code(error: ErrorDetails) -> str:
    # Lists and texts can both be too long, and only lists are measured by pydantic.
    if error["type"] == "too_long" and isinstance(error["input"], list):
        return "too_many"
    return _CODES.get(error["type"], error["type"])


def _is_plain(path: Sequence[str | int]) -> bool:
    names = [p for p in path if isinstance(p, str)]
    return bool(names) and names[-1] in _PLAIN


def _known(path: Sequence[str | int], model: type[BaseModel]) -> tuple[str, ...]:
    """Names that the object at the end of a path may have."""
    owners = [p for p in path[:-1] if isinstance(p, str)]
    if not owners:
        return tuple(model.model_fields)
    return tuple(ClaimBody.model_fields) if owners[-1] == "claims" else _FIELDS.get(owners[-1], ())


# --- between values -------------------------------------------------------------------------------------


def _between(body: Any, model: type[BaseModel]) -> list[Fault]:
    """Faults between values that are well formed, however faulty the others are."""
    if not isinstance(body, dict):
        return []
    if model is OutcomesBody:
        return [*_of_outcomes(body.get("outcomes"))]
    if model is not ClaimsBody:
        return [*_of_claim(body, ())]
    claims = body.get("claims")
    found = enumerate(claims) if isinstance(claims, list) else ()
    return [f for i, claim in found if isinstance(claim, dict) for f in _of_claim(claim, ("claims", i))]


def _of_outcomes(rows: Any) -> Iterator[Fault]:
    given = enumerate(rows) if isinstance(rows, list) else ()
    for i, row in ((i, r) for i, r in given if isinstance(r, dict)):
        begin, end = _time(row.get("period_from")), _time(row.get("period_to"))
        if begin and end and end < begin:
            where = pointer(("outcomes", i, "period_to"))
            yield Fault(where, "period_reversed", FAULTS["period_reversed"], examples=(str(row["period_to"]),))
        violation = row.get("violation")
        if isinstance(violation, str) and violation not in violation_names():
            where = pointer(("outcomes", i, "violation"))
            yield Fault(where, "not_in_set", "expected one of: T01 to T40", examples=(found(violation, plain=False),))


def _of_claim(body: Mapping[str, Any], at: tuple[str | int, ...]) -> Iterator[Fault]:
    claim = body.get("claim")
    claim = claim if isinstance(claim, dict) else {}
    yield from _order(claim, at)
    for name in ITEMS:
        items = body.get(name)
        rows = [r if isinstance(r, dict) else {} for r in items] if isinstance(items, list) else []
        yield from _twice(name, rows, at)
        yield from _elsewhere(name, rows, claim.get("claim_id"), at)


def _order(claim: Mapping[str, Any], at: tuple[str | int, ...]) -> Iterator[Fault]:
    admitted = _time(claim.get("admitted_at"))
    for name, code in (
        ("discharged_at", "discharged_before_admitted"),
        ("settled_at", "settled_before_admitted"),
    ):
        later = _time(claim.get(name))
        if admitted and later and later < admitted:
            yield Fault(pointer((*at, "claim", name)), code, FAULTS[code], examples=(str(claim[name]),))


def _time(value: Any) -> datetime | None:
    try:
        return read_time(value)
    except PydanticCustomError:
        return None


def _twice(name: str, rows: Sequence[Mapping[str, Any]], at: tuple[str | int, ...]) -> Iterator[Fault]:
    columns = _NUMBERS[name]
    seen: Counter[tuple[Any, ...]] = Counter()
    for i, row in enumerate(rows):
        number = row.get(columns[0])
        if not isinstance(number, int):
            continue
        key = tuple(v if isinstance(v, (int, str)) else None for v in (row.get(c) for c in columns))
        seen[key] += 1
        if seen[key] > 1:
            where = pointer((*at, name, i, columns[0]))
            yield Fault(where, "duplicate", FAULTS["duplicate"], examples=(found(number, plain=True),))


def _elsewhere(
    name: str, rows: Sequence[Mapping[str, Any]], claim_id: Any, at: tuple[str | int, ...]
) -> Iterator[Fault]:
    for i, row in enumerate(rows):
        named = row.get("claim_id")
        if isinstance(named, str) and isinstance(claim_id, str) and named != claim_id:
            where = pointer((*at, name, i, "claim_id"))
            yield Fault(where, "other_claim", FAULTS["other_claim"], examples=(found(named, plain=False),))


assert ScoreBody.model_fields.keys() >= ClaimBody.model_fields.keys()
