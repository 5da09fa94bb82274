"""What an answer must be, whatever was asked: never our fault, as described, and right about where a body is faulty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema
import orjson

from fraud.web.bodies.faults import pointer
from fraud.web.bodies.problems import FAULTS, PROBLEMS

from .mutations import Request

__all__ = ["Answer", "Judge"]

_PROBLEM, _JSON, _FHIR = "application/problem+json", "application/json", "application/fhir+json"
# No route matches it, not even the one that answers for whatever is nowhere.
_LINE_FEED = "%0A"


@dataclass(frozen=True)
class Answer:
    """What came back; the names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Judge:
    """Says what is wrong with an answer, by the description that the service gives of itself."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._validators: dict[str, jsonschema.Draft202012Validator] = {}

    def faults(self, request: Request, answer: Answer) -> list[str]:
        """What is wrong; empty when all is well."""
        return list(self._faults(request, answer))

    def _faults(self, request: Request, answer: Answer) -> Iterator[str]:
        if answer.status >= 500:
            yield f"status {answer.status}"
        if b"Traceback" in answer.body:
            yield "a traceback"
        if _LINE_FEED in request.path.upper():
            return
        if answer.headers.get("x-request-id", "") == "":
            yield "no X-Request-ID"
        if request.method == "HEAD":
            return
        described = self._described(request, answer.status)
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if described is not None and media_type not in described:
            yield f"{answer.status} as {media_type or 'nothing'}, described are {', '.join(sorted(described))}"
        if media_type == _PROBLEM:
            yield from self._of_problem(request, answer)
        elif described is not None and media_type in (_JSON, _FHIR):
            yield from self._of_schema(described.get(media_type, {}), answer.body)

    def _described(self, request: Request, status: int) -> Mapping[str, Any] | None:
        """What the description says of an answer, by media type; None for a call that it does not know."""
        call = self._document["paths"].get(request.template, {}).get(request.method.lower())
        if call is None:
            return {_PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}}
        answers = call["responses"]
        found: Mapping[str, Any] = answers.get(str(status), answers.get("default", {})).get("content", {})
        return found

    def _of_schema(self, content: Mapping[str, Any], body: bytes) -> Iterator[str]:
        schema = content.get("schema", {})
        name = str(schema)
        if name not in self._validators:
            whole = {**schema, "components": self._document["components"]}
            self._validators[name] = jsonschema.Draft202012Validator(whole)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            yield "not JSON"
            return
        error = jsonschema.exceptions.best_match(self._validators[name].iter_errors(value))
        if error is not None:
            yield f"not as described at {error.json_path}: {error.message[:200]}"

    def _of_problem(self, request: Request, answer: Answer) -> Iterator[str]:
        yield from self._of_schema({"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}, answer.body)
        problem = orjson.loads(answer.body)
        kind = problem["type"].rpartition(":")[2]
        if kind not in PROBLEMS or problem["status"] != answer.status != PROBLEMS[kind].status:
            yield f"a problem of kind {kind} with {answer.status}"
        if problem["instance"] != f"urn:fraud:request:{answer.headers.get('x-request-id')}":
            yield "an instance that is not the X-Request-ID"
        if kind == "faults":
            yield from _of_errors(request, problem.get("errors", []))


def _of_errors(request: Request, errors: list[dict[str, str]]) -> Iterator[str]:
    if not errors:
        yield "faults without errors"
    body = _read(request)
    for error in errors:
        if error["code"] not in FAULTS:
            yield f"an unknown code {error['code']}"
        if not _leads_somewhere(body, error):
            yield f"{error['code']} at {error['pointer']}, which is not in the body"


def _read(request: Request) -> Any:
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError:
        # One JSON value on each line.
        return [_line(line) for line in request.body.split(b"\n") if line.strip()]


def _line(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _leads_somewhere(body: Any, error: Mapping[str, str]) -> bool:
    """Whether a pointer is that of a value; of what is missing, that of the object in which it is missed."""
    parts = error["pointer"].split("/")[1:]
    for n, part in enumerate(parts):
        is_last = n == len(parts) - 1
        if is_last and error["code"] == "missing" and isinstance(body, dict):
            return True
        found = _step(body, part)
        if found is None:
            return False
        body = found[0]
    return True


def _step(value: Any, part: str) -> tuple[Any] | None:
    if isinstance(value, list):
        return (value[int(part)],) if part.isdecimal() and int(part) < len(value) else None
    if isinstance(value, dict):
        # Names that are long, or look like somebody's number, are told shortened or masked.
        return next(((v,) for k, v in value.items() if pointer([k]) == f"/{part}"), None)
    return None
