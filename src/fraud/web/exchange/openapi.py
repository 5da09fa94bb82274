"""The description of the neighbours' calls, and a sample body for every call that takes one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from fraud.web.bodies.shapes import Outcome, OutcomesBody
from fraud.web.exchange.audit_settings import load_audit_settings
from fraud.web.exchange.audit_shapes import AuditAnswer, AuditMessage
from fraud.web.exchange.fhir_answer import MEDIA_TYPE
from fraud.web.exchange.fhir_shapes import ClaimResource
from fraud.web.exchange.outcomes import OutcomesAnswer
from fraud.web.exchange.samples import SAMPLES

__all__ = ["ANSWERS", "BODIES", "paths", "with_samples"]

BODIES: tuple[type[BaseModel], ...] = (Outcome, OutcomesBody, ClaimResource, AuditMessage)
ANSWERS: tuple[type[BaseModel], ...] = (OutcomesAnswer, AuditAnswer)
_AUDITS = {
    "before": ("3101: what the rules say before care is given", "China's audit interface."),
    "course": ("3102: what the rules say while it is settled", "China's audit interface."),
    "feedback": ("3103: what was done about warnings", "Kept as events; `warn_rslt_id` is a `jr_id` of a result."),
}
_OPEN = (
    " A message that is wrong gets `infcode` -1 with every fault in `err_msg`; whatever goes wrong here gets 0 and no "
    "results, so that care goes on. The address is that of the default settings."
)


def paths() -> dict[str, Any]:
    """The calls by address."""
    return {"/v1/outcomes": {"post": _outcomes()}, "/fhir/Claim/$score": {"post": _fhir()}, **_audits()}


def with_samples(described: dict[str, Any]) -> dict[str, Any]:
    """The same with a sample of every body."""
    places = load_audit_settings().paths
    for address, sample in SAMPLES.items():
        there = described.get(places.get(address, address), {})
        call = there.get("post") or there.get("patch")
        for media_type, content in call["requestBody"]["content"].items() if call else ():
            if media_type.endswith("json") and "ndjson" not in media_type:
                content["examples"] = {"sample": {"value": sample}}
    return described


def _outcomes() -> dict[str, Any]:
    one_or_many = {"anyOf": [_reference(m) for m in (Outcome, OutcomesBody)]}
    return {
        "summary": "Add what an investigation found",
        "description": "One outcome, or several in `outcomes`: the only source of labels. Sent again they change "
        "nothing; a correction is a new outcome with its own `decided_at`.",
        "requestBody": _body({"application/json": one_or_many}),
        "responses": _responses("What became of each outcome", "application/json", OutcomesAnswer),
    }


def _fhir() -> dict[str, Any]:
    schema = _reference(ClaimResource)
    answer = {"description": "A FHIR R4 ClaimResponse", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
    refused = {"description": "A FHIR R4 OperationOutcome", "content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
    locale = {"name": "locale", "in": "query", "schema": {"enum": ["en", "zh-CN"], "default": "en"}}
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 200}}
    return {
        "summary": "Score a FHIR R4 Claim",
        "description": "Elements that are not described are let through unread. Times are taken as they are written, "
        "without their offset.",
        "parameters": [locale, key],
        "requestBody": _body({MEDIA_TYPE: schema, "application/json": schema}),
        "responses": {"200": answer, "default": refused},
    }


def _audits() -> dict[str, Any]:
    places = load_audit_settings().paths
    return {
        places[name]: {
            "post": {
                "summary": summary,
                "description": text + _OPEN,
                "requestBody": _body({"application/json": _reference(AuditMessage)}),
                "responses": _audit_responses(),
            }
        }
        for name, (summary, text) in _AUDITS.items()
    }


def _audit_responses() -> dict[str, Any]:
    """Refusals too come in the interface's own form; only those of keys have a status of their own."""
    told = {"application/json": {"schema": _reference(AuditAnswer)}}
    refused = {"description": "The key does not open this: `infcode` -1", "content": told}
    return {"200": {"description": "The answer", "content": told}, "401": refused, "403": refused}


def _body(schemas: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": schema} for media, schema in schemas.items()}}


def _responses(text: str, media_type: str, model: type[BaseModel]) -> dict[str, Any]:
    refused = {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}
    return {
        "200": {"description": text, "content": {media_type: {"schema": _reference(model)}}},
        "default": {"description": "A problem (RFC 9457)", "content": {"application/problem+json": refused}},
    }


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
