"""The description of the calls (OpenAPI 3.1), made from the models that read and document them."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fraud import __version__
from fraud.web.answers import AddedAnswer, ClaimScore, EntityRisk, ModelAnswer, ProblemAnswer
from fraud.web.problems import FAULTS, PROBLEMS
from fraud.web.shapes import ClaimBody, ClaimsBody, ScoreBody

__all__ = ["description"]

_REFERENCE = "#/components/schemas/{model}"
_ABOUT = """Scores health-insurance claims: findings of rules, the risk that a model sees, reasons for both.
A score is a reason to look, never a verdict.

Times are the payer's civil time and carry no zone. All faults of a body are named in one answer.

"""


@cache
def description() -> bytes:
    """The document as JSON."""
    return orjson.dumps(_document(), option=orjson.OPT_INDENT_2)


def _document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "fraud", "version": __version__, "description": _ABOUT + _codes()},
        "paths": {**_claims(), **_reading(), **_server()},
        "components": {"schemas": _schemas()},
    }


def _codes() -> str:
    """The stable names of problems and faults, as tables."""
    problems = "".join(f"| `{name}` | {kind.status} | {kind.title} |\n" for name, kind in PROBLEMS.items())
    faults = "".join(f"| `{code}` | {meaning} |\n" for code, meaning in FAULTS.items())
    return f"| problem | status | meaning |\n|---|---|---|\n{problems}\n| fault | meaning |\n|---|---|\n{faults}"


def _schemas() -> dict[str, Any]:
    bodies: list[type[BaseModel]] = [ScoreBody, ClaimBody, ClaimsBody]
    answers: list[type[BaseModel]] = [ClaimScore, AddedAnswer, EntityRisk, ModelAnswer, ProblemAnswer]
    modes = [(m, "validation") for m in bodies] + [(m, "serialization") for m in answers]
    _, schema = models_json_schema(modes, ref_template=_REFERENCE)  # type: ignore[arg-type]
    return dict(schema["$defs"])


def _claims() -> dict[str, Any]:
    return {
        "/v1/claims/score": {
            "post": _call(
                "Score one claim",
                "The decision is durable before the answer leaves. A claim that is scored again never counts "
                "as its own past.",
                _answer("The score", ClaimScore),
                body={"$ref": _REFERENCE.format(model="ScoreBody")},
            )
        },
        "/v1/claims": {
            "post": _call(
                "Add settled claims to the history",
                "One claim, or several in `claims`. The same version twice changes nothing; a later "
                "`uploaded_at` replaces an earlier version, which is kept.",
                _answer("What became of each claim: added, replaced, unchanged or older", AddedAnswer),
                body={"anyOf": [{"$ref": _REFERENCE.format(model=m)} for m in ("ClaimBody", "ClaimsBody")]},
            )
        },
        "/v1/claims/{claim_id}/report": {
            "get": _call(
                "The explanation report of a claim",
                "As JSON or as one page that needs nothing from outside, by `Accept`.",
                {
                    "description": "The report",
                    "content": {
                        "application/json": {"schema": {"type": "object"}},
                        "text/html": {"schema": {"type": "string"}},
                    },
                },
                parameters=[_in_path("claim_id"), _LOCALE],
            )
        },
    }


def _reading() -> dict[str, Any]:
    risks = {
        f"/v1/{entity}s/{{entity_id}}/risk": {
            "get": _call(
                f"The latest snapshot score of a {entity}",
                f"404 when no model of {entity}s is in force, or no snapshot was taken yet.",
                _answer("The risk", EntityRisk),
                parameters=[_in_path("entity_id"), _LOCALE],
            )
        }
        for entity in ("provider", "patient", "physician")
    }
    decision = _call(
        "A stored decision", "Byte for byte as it was answered.", _answer("The decision", ClaimScore),
        parameters=[_in_path("request_id")],
    )  # fmt: skip
    model = _call("The models in force", "", _answer("The models", ModelAnswer))
    return {"/v1/decisions/{request_id}": {"get": decision}, **risks, "/v1/model": {"get": model}}


def _server() -> dict[str, Any]:
    said = {
        "/livez": "The process is up",
        "/readyz": "The database answers and no registered model is missing",
        "/metrics": "Figures for Prometheus",
    }
    plain = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    ok = {path: {"200": {"description": text, **plain}} for path, text in said.items()}
    ok["/readyz"]["503"] = {"description": "Not ready", **plain}
    return {path: {"get": {"summary": text, "responses": ok[path]}} for path, text in said.items()}


_LOCALE = {"name": "locale", "in": "query", "schema": {"enum": ["en", "zh-CN"], "default": "en"}}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body get the first answer again; another body is refused.",
    "schema": {"type": "string", "maxLength": 200},
}
_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "Echoed; without it one is made.",
    "schema": {"type": "string", "maxLength": 128},
}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _answer(text: str, model: type[BaseModel]) -> dict[str, Any]:
    reference = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"description": text, "content": {"application/json": {"schema": reference}}}


def _call(
    summary: str,
    text: str,
    answer: dict[str, Any],
    *,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    problem = {"$ref": _REFERENCE.format(model=ProblemAnswer.__name__)}
    refused = {
        "description": "A problem (RFC 9457)",
        "content": {"application/problem+json": {"schema": problem}},
    }
    call: dict[str, Any] = {"summary": summary, "description": text}
    call["parameters"] = [*(parameters or []), _REQUEST_ID, *([_KEY] if body else [])]
    if body is not None:
        call["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return call | {"responses": {"200": answer, "default": refused}}
